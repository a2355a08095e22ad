/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exchange.h - segments of an open connection, in one line each. Sequence numbers are relative.
 */
#ifndef MPGATE_TESTS_EXCHANGE_H
#define MPGATE_TESTS_EXCHANGE_H

#include "unit.h"
#include "world.h"

/* A world whose connection is fully established: world_open(). */
static inline void open_world(struct world *w)
{
	world_init(w, FLOW_IPV4);
	world_start(w);
	world_open(w);
	CHECK_EQ(0, w->r.reason, REASON_ACK_TO_GUEST);
}

static inline void guest(struct world *w, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t bytes)
{
	struct seg s = {.flags = TCP_ACK | flags,
			.seq = seq,
			.ack = ack,
			.window = 1000,
			.payload_bytes = bytes};

	guest_sends(w, ENGINE_STEAL, &s);
}

/* A DATA_ACK of `acked`, and with len or fin a mapping of data at `at`. */
static inline void net(struct world *w, uint8_t flags, uint32_t ssn, uint32_t ack, uint32_t acked,
		       uint32_t at, uint16_t len, bool fin)
{
	struct seg s = {.flags = TCP_ACK | flags,
			.seq = ssn,
			.ack = ack,
			.window = 1000,
			.payload_bytes = len};

	if (len || fin)
		put_peer_map(w, &s.w, acked, at, len ? ssn : 0, len, fin);
	else
		put_peer_ack(w, &s.w, acked);
	net_sends(w, ENGINE_STEAL, &s);
}

#endif
