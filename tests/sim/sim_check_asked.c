// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_check_asked.c - the gate where it is asked: the handshake of a connection that somebody
 * outside opens (RFC 8684 section 3.1), and subflows that the peer opens (section 3.2). Nothing is
 * believed before its proof: the third ACK with both keys, the third ACK of a join with its HMAC.
 */
#include <stdlib.h>

#include "sim_check.h"
#include "sim_flow.h"
#include "sim_gate.h"

#define MPTCP_ROOM 28
#define FLAG_H 0x01
#define FLAG_CSUM 0x80
#define FORGOTTEN_US 1000000ull
#define HALF_OPEN_US 10000000ull

/* ---- the connection ---- */

void check_asked_syn(struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;

	if (c->responder && s->seq == c->peer_isn) {
		c->peer_tsval = later_tsval(c->peer_tsval, s);
		return;
	}
	check_fini(c);
	memset(c, 0, sizeof(*c));
	c->responder = true;
	c->n_sub = 1;
	c->peer_isn = s->seq;
	c->peer_scales = s->has_wscale;
	c->peer_wscale = s->wscale;
	c->ts = s->has_ts;
	c->sack = s->sack_permitted;
	c->peer_tsval = s->tsval;
	c->peer_edge = c->to_guest_edge = s->window;
	c->csum = f->w->sc.control.checksum || (s->mp.capable_flags & FLAG_CSUM);
}

void check_asked_answer(struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;

	c->guest_tsval = later_tsval(c->guest_tsval, s);
	if (c->guest_mss)
		return;
	c->guest_isn = s->seq;
	c->guest_mss = s->has_mss ? s->mss : s->tuple.family == FLOW_IPV4 ? 536 : 1220;
	c->guest_wscale = s->has_wscale ? s->wscale : 0;
	if (!s->has_wscale || !c->peer_scales)
		c->guest_wscale = c->peer_wscale = 0;
	c->ts &= s->has_ts;
	c->sack &= s->sack_permitted;
	c->guest_tsval = s->tsval;
	c->guest_edge = c->to_net_edge = s->window;
	c->sub[0].iss = c->guest_isn;
	c->sub[0].irs = c->peer_isn;
	c->sub[0].max = c->sub[0].ack = 1;
	c->sub[0].peer_tsval = c->peer_tsval;
}

void check_asked_keys(struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;
	uint32_t token;

	if (s->mp.n_keys != 2 || s->mp.key[1] != c->key_gate || s->ack != c->guest_isn + 1)
		return;
	c->keys = c->confirmed = true;
	c->key_peer = s->mp.key[0];
	key_derive(c->key_peer, &token, &c->idsn_peer);
}

static void answered(struct gate *g, struct flow *f, const struct seg *is)
{
	struct check *c = &f->check;
	const struct mp *m = &is->mp;
	uint32_t token;

	if (!m->capable || m->version != 1 || m->n_keys != 1 || m->n_options != 1 ||
	    m->capable_flags != (FLAG_H | (c->csum ? FLAG_CSUM : 0)) || m->key[0] == 0)
		sim_fail(g->w, "I4: MP_CAPABLE of the SYN/ACK: %s", seg_text(is));
	/* One that waited so long for its third ACK is forgotten. */
	if (c->key_gate && c->key_gate != m->key[0] && g->w->now_us < c->answered_us + HALF_OPEN_US)
		sim_fail(g->w, "I4: another key on the SYN/ACK sent again");
	c->answered_us = g->w->now_us;
	c->key_gate = m->key[0];
	key_derive(c->key_gate, &token, &c->idsn_gate);
}

/* The third ACK goes on to the guest as a plain one. */
static void converted(struct gate *g, struct flow *f, const struct seg *is)
{
	struct check *c = &f->check;

	if (!c->keys)
		sim_fail(g->w, "I4: converted before the peer repeated our key: %s", seg_text(is));
	if (is->bad || !is->csum_ok || is->mp.n_options || is->len_bytes || is->flags != F_ACK ||
	    is->seq != c->peer_isn + 1 || is->ack != c->guest_isn + 1 || is->has_ts != c->ts)
		sim_fail(g->w, "I4: the third ACK for the guest: %s", seg_text(is));
	c->converted = true;
}

void check_asked_replaced(struct gate *g, struct flow *f, const struct seg *was,
			  enum engine_side from, const struct engine_result *r)
{
	struct seg is;

	seg_parse(&is, r->replacement, r->replacement_bytes);
	if (!(was->flags & F_SYN)) {
		converted(g, f, &is);
		return;
	}
	check_replacement(g->w, was, &is, from == ENGINE_NET ? MPTCP_ROOM : 0);
	if (from == ENGINE_GUEST)
		answered(g, f, &is);
	else if (is.mp.n_options)
		sim_fail(g->w, "I4: the guest is shown an MPTCP option: %s", seg_text(&is));
}

/* ---- subflows ---- */

static struct flow *flow_asked_for(struct gate *g, uint32_t token)
{
	uint32_t t;
	uint64_t idsn;

	for (unsigned i = g->w->sc.n_flows; i-- > 0;) {
		const struct check *c = &g->flow[i].check;

		if (!c->converted || !c->keys)
			continue;
		key_derive(c->key_gate, &t, &idsn);
		if (t == token)
			return &g->flow[i];
	}
	return NULL;
}

struct check_sub *check_join_asked(struct gate *g, const struct flow_tuple *t, unsigned path,
				   const struct seg *s, struct flow **f)
{
	struct check_sub *b = check_sub_find(g, t, f);

	if (!(s->flags & F_SYN) || s->mp.join != JOIN_SYN || !s->csum_ok)
		return b;
	if (b && b->state != CHECK_GONE && b->irs == s->seq && b->nonce_peer == s->mp.nonce)
		return b;
	*f = flow_asked_for(g, s->mp.token);
	b = *f ? check_sub_new(g, *f) : NULL;
	if (!b)
		return NULL;
	b->passive = true;
	b->tuple = *t;
	b->path = path;
	for (unsigned i = 0; i < g->n_paths; i++) {
		struct ip_addr a = gate_path_addr(g, i);

		if (ip_addr_equal(&a, &t->src))
			b->path = i;
	}
	b->state = CHECK_SYN;
	b->irs = s->seq;
	b->nonce_peer = s->mp.nonce;
	b->id_peer = s->mp.join_id;
	b->ts = s->has_ts;
	b->sack = s->sack_permitted;
	b->peer_tsval = s->tsval;
	b->peer_mss = s->mss;
	b->peer_wscale = s->wscale;
	b->max = b->ack = 1;
	return b;
}

void check_asked_in(struct flow *f, struct check_sub *b, const struct seg *s)
{
	struct check *c = &f->check;
	uint8_t want[32];

	b->peer_tsval = later_tsval(b->peer_tsval, s);
	if ((s->flags & F_SYN) || s->mp.join != JOIN_ACK || !b->answered || s->ack != b->iss + 1 ||
	    s->seq != b->irs + 1)
		return;
	join_hmac(c->key_peer, c->key_gate, b->nonce_peer, b->nonce_gate, want);
	if (memcmp(want, s->mp.hmac, HMAC_BYTES) != 0)
		return;
	b->state = CHECK_ACK;
	c->own_clock = true;
}

/*
 * Half open for a second, or a path went meanwhile, the one it came by or the one whose address it
 * asks: that may be answered anew. Who has the first answer acknowledges it in vain, and is reset.
 */
static bool forgotten(const struct gate *g, const struct check_sub *b)
{
	bool any = g->w->now_us >= b->answered_us + FORGOTTEN_US;

	for (unsigned i = 0; i < g->n_paths; i++)
		any |= g->w->uplink[gate_uplink(g, i)].told_us > b->answered_us;
	return any;
}

static void check_answer(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	const struct check *c = &f->check;
	const struct mp *m = &s->mp;
	bool initial = ip_addr_equal(&b->tuple.src, &g->ct[f->index].net.src);
	uint8_t want[32];

	join_hmac(c->key_gate, c->key_peer, m->nonce, b->nonce_peer, want);
	if (s->flags != (F_SYN | F_ACK) || s->len_bytes || m->join != JOIN_SYN_ACK ||
	    m->n_options != 1 || !s->has_mss || s->ack != b->irs + 1)
		sim_fail(g->w, "I4: the answer to an MP_JOIN: %s", seg_text(s));
	else if (memcmp(want, m->hmac, 8) != 0)
		sim_fail(g->w, "I4: the HMAC of the answer to an MP_JOIN: %s", seg_text(s));
	if (s->has_ts != b->ts || s->sack_permitted != b->sack)
		sim_fail(g->w, "I4: an option that the MP_JOIN's SYN did not have: %s",
			 seg_text(s));
	if ((s->has_wscale && s->wscale != c->guest_wscale) ||
	    s->window > c->guest_edge - c->guest_acked)
		sim_fail(g->w, "I2: the window in the answer to an MP_JOIN: %s", seg_text(s));
	if (initial != (m->join_id == 0) || m->backup != g->cfg.path[b->path].backup)
		sim_fail(g->w, "I4: the address id or B of the answer to an MP_JOIN: %s",
			 seg_text(s));
	if (b->answered && (s->seq != b->iss || m->nonce != b->nonce_gate) && !forgotten(g, b))
		sim_fail(g->w, "I4: the answer to an MP_JOIN changes: %s", seg_text(s));
	if (!b->answered || s->seq != b->iss)
		b->answered_us = g->w->now_us;
	b->answered = true;
	b->iss = s->seq;
	b->nonce_gate = m->nonce;
	b->id_gate = m->join_id;
	b->tsval = s->tsval;
}

bool check_asked_out(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	if (b->state == CHECK_SYN) {
		check_answer(g, f, b, s);
		return false;
	}
	if (b->state != CHECK_ACK)
		return b->state == CHECK_OPEN;
	b->state = CHECK_OPEN;
	b->open_us = g->w->now_us;
	f->check.multi = true;
	return true;
}
