/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inbound.h - a remote client that opens a connection towards the guest of world.h.
 */
#ifndef MPGATE_TESTS_INBOUND_H
#define MPGATE_TESTS_INBOUND_H

#include "engine/crypto.h"
#include "third_ack.h"
#include "unit.h"
#include "world.h"

#define INBOUND_SYN "020405b4 0402 080a00001b5800000000 01030307"
#define INBOUND_SYNACK "020405b4 0402 080a0000006400001b58 01030306"

static inline void inbound_hex(struct seg *s, const char *text)
{
	s->w.len_bytes = (uint8_t)unit_hex(s->w.buf, OPTIONS_MAX, text);
}

static inline void inbound_start(struct world *w, uint8_t family)
{
	world_init(w, family);
	world_start(w);
}

static inline void client_syn(struct world *w, const char *mptcp)
{
	struct seg s = {.flags = TCP_SYN, .window = 64240};
	char text[256];

	snprintf(text, sizeof(text), INBOUND_SYN "%s", mptcp);
	inbound_hex(&s, text);
	net_sends(w, ENGINE_IN_PLACE, &s);
}

static inline void guest_synack(struct world *w)
{
	struct seg s = {.flags = TCP_SYN | TCP_ACK, .ack = 1, .window = 65160};

	inbound_hex(&s, INBOUND_SYNACK);
	guest_sends(w, ENGINE_IN_PLACE, &s);
	if (replaced(w) && w->o.mp.has_capable)
		w->key_local = w->o.mp.capable.sender_key;
}

/* MP_CAPABLE with both keys; `len`: of the data with it, 0: none. */
static inline void client_acks(struct world *w, uint64_t receiver_key, uint32_t len)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000, .payload_bytes = len};
	struct mp_capable k = third_ack(PEER_KEY, receiver_key, len);
	uint32_t token;

	options_put_timestamps(&s.w, 7010, 100);
	mp_capable_encode(&s.w, &k);
	net_sends(w, ENGINE_STEAL, &s);
	crypto_key_derive(PEER_KEY, &token, &w->idsn_peer);
	crypto_key_derive(w->key_local, &token, &w->idsn_local);
}

static inline void inbound_open(struct world *w, uint8_t family)
{
	inbound_start(w, family);
	client_syn(w, "1e040101");
	guest_synack(w);
	client_acks(w, w->key_local, 0);
}

#endif
