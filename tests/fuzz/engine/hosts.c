// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hosts.c - see fuzz_world.h: what needs keys, tokens and nonces, made as a good host makes it.
 *
 * Each operation takes a byte that says how far to go and what to get wrong.
 */
#include "engine/crypto.h"
#include "engine/fuzz_world.h"
#include "unit/support/third_ack.h"

#define JOIN_NONCE 99
#define JOIN_ISN 0x20000000u

void host_joins_answered(unsigned which, unsigned nth)
{
	const struct conn *c = conn_of(which);
	const struct subflow *s = subflow_of(c, nth);
	struct mp_join j = {.form = MP_JOIN_SYNACK, .address_id = 1, .nonce = JOIN_NONCE};
	struct headers h = {.window = 1000, .flags = TCP_SYN | TCP_ACK};
	struct options_writer w = {0};
	unsigned wrong = take(1);
	uint8_t hmac[32];

	if (!s || s->state != SUBFLOW_JOIN_SYN)
		return;
	crypto_join_hmac(c->key_peer, c->key_local, j.nonce, s->nonce_local, hmac);
	memcpy(j.hmac, hmac, 8);
	j.hmac[wrong & 7] ^= wrong >= 0xf0;
	h.tuple = flow_tuple_reverse(&s->net);
	h.seq = PEER_ISN;
	h.ack = s->iss + 1;
	options_put_mss(&w, (uint16_t)(wrong & 8 ? 1460 : 536));
	if (wrong & 16)
		options_put_timestamps(&w, 5, s->tsval);
	mp_join_encode(&w, &j);
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, 0, 0);
}

/* ---- a remote client ---- */

static void client_syn(unsigned which, unsigned wrong)
{
	struct flow_tuple t = tuple_of(which, false);
	struct headers h = {.seq = PEER_ISN, .flags = TCP_SYN, .window = 8192};
	struct mp_capable k = {
		.version = wrong & 32 ? 2 : 1, .flags = MP_CAPABLE_HMAC_SHA256, .n_keys = 0};
	struct options_writer w = {0};

	if (wrong & 64)
		k.flags |= MP_CAPABLE_CHECKSUM;
	if (wrong & 128)
		k.flags |= MP_CAPABLE_NO_JOIN;
	h.tuple = flow_tuple_reverse(&t);
	options_put_mss(&w, 1460);
	if (z.timestamps)
		options_put_timestamps(&w, 1, 0);
	mp_capable_encode(&w, &k);
	put_segment(which, ENGINE_NET, ENGINE_IN_PLACE, &h, &w, 0, 0);
}

static void guest_synack(unsigned which)
{
	struct headers h = {.tuple = tuple_of(which, false),
			    .seq = GUEST_ISN,
			    .ack = PEER_ISN + 1,
			    .flags = TCP_SYN | TCP_ACK,
			    .window = 8192};
	struct options_writer w = {0};

	options_put_mss(&w, 1460);
	if (z.timestamps)
		options_put_timestamps(&w, 1, 1);
	put_segment(which, ENGINE_GUEST, ENGINE_IN_PLACE, &h, &w, 0, 0);
}

static void client_third(unsigned which, unsigned wrong)
{
	const struct conn *c = conn_of(which);
	struct flow_tuple t = tuple_of(which, true);
	struct headers h = {
		.seq = PEER_ISN + 1, .ack = GUEST_ISN + 1, .flags = TCP_ACK, .window = 8192};
	uint32_t n = wrong & 4 ? 100 : 0;
	struct mp_capable k = third_ack(PEER_KEY, c ? c->key_local : 1, n);
	struct options_writer w = {0};

	k.receiver_key ^= (wrong & 8) != 0;
	if (wrong & 64)
		k.flags |= MP_CAPABLE_CHECKSUM;
	k.has_csum = n > 0 && c && c->checksum;
	h.tuple = flow_tuple_reverse(&t);
	if (z.timestamps)
		options_put_timestamps(&w, 2, 1);
	mp_capable_encode(&w, &k);
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, n, 0);
}

void host_connects(unsigned which)
{
	unsigned wrong = take(1);

	client_syn(which, wrong);
	if (wrong & 1)
		return;
	guest_synack(which);
	if (!(wrong & 2))
		client_third(which, wrong);
}

/* ---- joins from outside ---- */

static const struct subflow *half_join(const struct conn *c)
{
	const struct subflow *s;

	for (uint32_t i = c ? c->subflow : NONE; i != NONE; i = s->next) {
		s = subflow_at(z.e, i);
		if (s->state == SUBFLOW_JOIN_RECEIVED)
			return s;
	}
	return NULL;
}

static void join_syn(unsigned which, unsigned nth, unsigned wrong)
{
	const struct conn *c = conn_of(which);
	const struct subflow *first = subflow_of(c, 0);
	struct mp_join j = {.form = MP_JOIN_SYN,
			    .backup = wrong & 16,
			    .address_id = (uint8_t)(2 + nth),
			    .nonce = JOIN_NONCE};
	struct headers h = {.seq = JOIN_ISN + nth, .flags = TCP_SYN, .window = 8192};
	struct options_writer w = {0};
	uint64_t idsn;

	if (!first)
		return;
	crypto_key_derive(c->key_local, &j.token, &idsn);
	j.token ^= (wrong & 4) != 0;
	h.tuple = flow_tuple_reverse(&first->net);
	h.tuple.src.b[wrong & 32 ? 3 : 2] ^= 0x40;
	h.tuple.src_port = (uint16_t)(5000 + nth);
	if (wrong & 64) { /* to a path's address, at a port of the gate's */
		h.tuple.dst = c->guest.family == FLOW_IPV4 ? z.cfg.path[nth % 2].addr4
							   : z.cfg.path[nth % 2].addr6;
		h.tuple.dst_port = 61001;
	}
	options_put_mss(&w, 1460);
	if (wrong & 128)
		options_put_timestamps(&w, 3, 0);
	mp_join_encode(&w, &j);
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, 0, 0);
}

static void join_third(unsigned which, unsigned wrong)
{
	const struct conn *c = conn_of(which);
	const struct subflow *s = half_join(c);
	struct mp_join j = {.form = MP_JOIN_ACK};
	struct headers h = {.flags = TCP_ACK, .window = 8192};
	struct options_writer w = {0};
	uint8_t hmac[32];

	if (!s)
		return;
	crypto_join_hmac(c->key_peer, c->key_local, s->nonce_peer, s->nonce_local, hmac);
	memcpy(j.hmac, hmac, sizeof(j.hmac));
	j.hmac[19] ^= (wrong & 8) != 0;
	h.tuple = flow_tuple_reverse(&s->net);
	h.seq = s->irs + 1;
	h.ack = s->iss + 1;
	if (s->timestamps)
		options_put_timestamps(&w, 4, s->tsval);
	mp_join_encode(&w, &j);
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, 0, 0);
}

void host_joins(unsigned which, unsigned nth)
{
	unsigned wrong = take(1);

	if (!(wrong & 1))
		join_syn(which, nth, wrong);
	if (!(wrong & 2))
		join_third(which, wrong);
}

/* ---- addresses ---- */

static void put_address(struct options_writer *w, const struct conn *c, unsigned what)
{
	struct add_addr a = {.echo = what & 4,
			     .family = what & 8 ? FLOW_IPV6 : FLOW_IPV4,
			     .address_id = (uint8_t)take(1),
			     .port = (uint16_t)(what & 16 ? 8080 : 0)};

	a.addr.b[0] = 203;
	a.addr.b[3] = (uint8_t)(a.address_id + 1);
	crypto_add_addr_hmac(c->key_peer, c->key_local, a.address_id, a.family, &a.addr, a.port,
			     a.hmac);
	a.hmac[7] ^= (what & 32) != 0;
	add_addr_encode(w, &a);
}

void host_announces(unsigned which, unsigned nth)
{
	const struct conn *c = conn_of(which);
	const struct subflow *s = subflow_of(c, nth);
	struct headers h = {.flags = TCP_ACK, .window = 8192};
	struct options_writer w = {0};
	unsigned what = take(1);
	struct remove_addr r = {.n = (uint8_t)(1 + (what >> 2 & 3))};

	if (!s)
		return;
	h.tuple = flow_tuple_reverse(&s->net);
	h.seq = s->rcv_nxt;
	h.ack = s->snd_nxt;
	if (s->timestamps)
		options_put_timestamps(&w, s->ts_recent + 1, s->tsval);
	if (what & 64)
		dss_encode(&w, &(struct dss){.has_ack = true, .data_ack = c->una_dsn});
	switch (what & 3) {
	case 0:
		for (unsigned i = 0; i < r.n; i++)
			r.address_id[i] = (uint8_t)(take(1) & 15);
		remove_addr_encode(&w, &r);
		break;
	case 1:
		mp_prio_encode(&w, &(struct mp_prio){.backup = what & 4,
						     .has_address_id = what & 8,
						     .address_id = (uint8_t)nth});
		break;
	default:
		put_address(&w, c, what);
		break;
	}
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, 0, 0);
}

/* ---- data that goes well ---- */

/* The first sequence number that the peer has not sent yet, as the guest sees it. */
static uint32_t peer_next(const struct conn *c)
{
	if (c->multi == NONE)
		return c->sent_seq;
	return ((const struct multi *)pool_at(&z.e->multis, z.e, c->multi))->rx_nxt_seq;
}

static void peer_data(unsigned which, unsigned nth, unsigned how)
{
	const struct conn *c = conn_of(which);
	const struct subflow *s = subflow_of(c, nth);
	struct headers h = {.flags = TCP_ACK | TCP_PSH, .window = 8192};
	struct options_writer w = {0};
	uint32_t n = how & 1 ? 100 + (how >> 5) * 1000 : 0;
	struct dss d = {.has_ack = true, .ack64 = true, .data_ack = c->una_dsn};
	uint32_t all = c->max_seq - c->una_seq;

	h.tuple = flow_tuple_reverse(&s->net);
	h.seq = s->rcv_nxt;
	h.ack = s->snd_nxt;
	if (how & 2)
		d.data_ack += all;
	if (n > 0) {
		d.has_map = d.dsn64 = true;
		d.dsn = c->acked_dsn + (peer_next(c) - c->acked_seq);
		d.ssn = s->rcv_nxt - s->irs;
		d.map_len = (uint16_t)n;
		d.has_csum = c->checksum;
		d.data_fin = how & 16;
		d.map_len = (uint16_t)(d.map_len + d.data_fin);
	}
	if (s->timestamps)
		options_put_timestamps(&w, s->ts_recent + 1, s->tsval);
	dss_encode(&w, &d);
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, n, 0);
}

static void guest_data(unsigned which, const struct conn *c, unsigned how)
{
	struct headers h = {.tuple = c->guest,
			    .seq = c->max_seq,
			    .ack = peer_next(c),
			    .flags = TCP_ACK | TCP_PSH,
			    .window = 8192};
	struct options_writer w = {0};

	if (c->timestamps)
		options_put_timestamps(&w, 9, 0);
	put_segment(which, ENGINE_GUEST, ENGINE_STEAL, &h, &w,
		    how & 8 ? 100 + (how >> 5) * 1000 : 0, 0);
}

void host_talks(unsigned which, unsigned nth)
{
	unsigned how = take(1);
	const struct conn *c;

	if (conn_of(which) && subflow_of(conn_of(which), nth) && (how & 3))
		peer_data(which, nth, how);
	c = conn_of(which);
	if (c && (how & 12))
		guest_data(which, c, how);
}
