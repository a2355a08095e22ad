/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * opened.h - a world with one connection of one subflow, of which 100 bytes of the guest are
 * acknowledged.
 */
#ifndef MPGATE_TESTS_OPENED_H
#define MPGATE_TESTS_OPENED_H

#include "unit.h"
#include "world.h"

static inline void open_world(struct world *w)
{
	world_init(w, FLOW_IPV4);
	world_start(w);
	world_open(w);
	CHECK_EQ(0, w->r.reason, REASON_ACK_TO_GUEST);
	CU_ASSERT_FATAL(out(w, 0));
	CHECK_EQ(0, w->p.ack, w->guest_isn + 101);
}

#endif
