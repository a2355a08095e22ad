/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer_join.h - a peer that opens further subflows of the connection of world.h (RFC 8684 section
 * 3.2), which either end has opened.
 */
#ifndef MPGATE_TESTS_PEER_JOIN_H
#define MPGATE_TESTS_PEER_JOIN_H

#include "engine/crypto.h"
#include "unit.h"
#include "world.h"

#define NONCE 0x01020304u
#define SYN_OPTIONS "020405b4 0402 080a0000232800000000 01030305"

/* The join's own tuple and numbers stand in the world while it is played. */
struct join {
	struct world *w;
	struct flow_tuple net;
	uint32_t guest_isn, peer_isn;
	uint32_t token, nonce; /* nonce: the gate's */
	uint8_t hmac[8];
};

static inline void swap(struct join *j)
{
	struct world *w = j->w;
	struct flow_tuple net = w->net;
	uint32_t guest_isn = w->guest_isn, peer_isn = w->peer_isn;

	w->net = j->net;
	w->guest_isn = j->guest_isn;
	w->peer_isn = j->peer_isn;
	j->net = net;
	j->guest_isn = guest_isn;
	j->peer_isn = peer_isn;
}

static inline struct join join_of(struct world *w, unsigned n)
{
	struct join j = {.w = w, .net = w->net, .peer_isn = 0xfffffff0u + n};
	uint64_t idsn;

	j.net.dst.b[w->guest.family == FLOW_IPV4 ? 3 : 15] = 10;
	j.net.dst_port = (uint16_t)(6000 + n);
	crypto_key_derive(w->key_local, &j.token, &idsn);
	return j;
}

static inline void join_syn(struct join *j)
{
	struct mp_join o = {
		.form = MP_JOIN_SYN, .address_id = 3, .token = j->token, .nonce = NONCE};
	struct seg s = {.flags = TCP_SYN, .window = 64240};

	s.w.len_bytes = (uint8_t)unit_hex(s.w.buf, OPTIONS_MAX, SYN_OPTIONS);
	mp_join_encode(&s.w, &o);
	swap(j);
	net_sends(j->w, ENGINE_STEAL, &s);
	/* What had to go for it comes before. */
	if (j->w->outs.n_pkt && out(j->w, j->w->outs.n_pkt - 1) && j->w->o.mp.has_join) {
		j->nonce = j->w->o.mp.join.nonce;
		memcpy(j->hmac, j->w->o.mp.join.hmac, 8);
		j->w->guest_isn = j->w->p.seq;
	}
	swap(j);
	out(j->w, 0);
}

/* The third ACK; `flip`: of the HMAC's last byte. */
static inline void join_ack(struct join *j, uint8_t flip)
{
	struct mp_join o = {.form = MP_JOIN_ACK};
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
	uint8_t hmac[32];

	crypto_join_hmac(PEER_KEY, j->w->key_local, NONCE, j->nonce, hmac);
	memcpy(o.hmac, hmac, sizeof(o.hmac));
	o.hmac[19] ^= flip;
	options_put_timestamps(&s.w, 9001, 1);
	mp_join_encode(&s.w, &o);
	swap(j);
	net_sends(j->w, ENGINE_STEAL, &s);
	swap(j);
	out(j->w, 0);
}

static inline void responder_open(struct world *w)
{
	struct seg s = {.flags = TCP_SYN, .window = 64240};
	struct mp_capable k = {.version = 1, .flags = MP_CAPABLE_HMAC_SHA256};
	uint32_t token;

	options_put_mss(&s.w, 1460);
	mp_capable_encode(&s.w, &k);
	net_sends(w, ENGINE_IN_PLACE, &s);
	s = (struct seg){.flags = TCP_SYN | TCP_ACK, .ack = 1, .window = 65160};
	options_put_mss(&s.w, 1460);
	guest_sends(w, ENGINE_IN_PLACE, &s);
	if (replaced(w))
		w->key_local = w->o.mp.capable.sender_key;
	k.n_keys = 2;
	k.sender_key = PEER_KEY;
	k.receiver_key = w->key_local;
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
	mp_capable_encode(&s.w, &k);
	net_sends(w, ENGINE_STEAL, &s);
	CU_ASSERT_EQUAL(w->r.reason, REASON_THIRD_ACK_CONVERTED);
	crypto_key_derive(PEER_KEY, &token, &w->idsn_peer);
	crypto_key_derive(w->key_local, &token, &w->idsn_local);
}

static inline void start(struct world *w, uint8_t family, bool responder)
{
	world_init(w, family);
	w->cfg.memory_bytes = 4 << 20;
	world_start(w);
	if (responder)
		responder_open(w);
	else
		world_open(w);
}

static inline void check_rst(unsigned row, struct world *w, unsigned why)
{
	CHECK_EQ(row, w->r.verdict, ENGINE_DROP);
	CU_ASSERT(out(w, 0));
	CHECK_EQ(row, w->outs.n_pkt, 1);
	CHECK_EQ(row, w->p.flags & (TCP_RST | TCP_SYN), TCP_RST);
	CU_ASSERT(w->o.mp.has_tcprst);
	CHECK_EQ(row, w->o.mp.tcprst.reason, why);
}

#endif
