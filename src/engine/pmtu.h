/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmtu.h - what routers say of a subflow's path MTU (RFC 1191, 8201).
 */
#ifndef MPGATE_ENGINE_PMTU_H
#define MPGATE_ENGINE_PMTU_H

#include "engine/state.h"

/*
 * A packet that is not TCP. "Packet too big" about a subflow lowers its MTU and is told to the
 * guest with the room for options taken off; everything else is let go.
 */
struct engine_result pmtu_packet(struct step *st);

/* MTU of the subflow's path now. */
uint32_t pmtu_bytes(const struct engine *e, const struct subflow *s);

/* What a data segment carries within that MTU, with timestamps and a full DSS. */
uint32_t pmtu_payload_bytes(const struct subflow *s, uint32_t mtu_bytes);

#endif
