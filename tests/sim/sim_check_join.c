// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_check_join.c - the subflows that the gate opens itself: MP_JOIN as RFC 8684 section 3.2 has
 * it, and nothing on them before the peer's fourth acknowledgement.
 */
#include <stdlib.h>

#include "sim_check.h"
#include "sim_flow.h"
#include "sim_gate.h"

#define REMOVED_US 2000000ull

struct check_sub *check_sub_find(struct gate *g, const struct flow_tuple *t, struct flow **f)
{
	for (unsigned i = g->w->sc.n_flows; i-- > 0;) {
		struct check *c = &g->flow[i].check;

		/* The latest: a port may be used again. */
		for (unsigned k = c->n_sub; k-- > 1;)
			if (flow_tuple_equal(&c->sub[k].tuple, t)) {
				*f = &g->flow[i];
				return &c->sub[k];
			}
	}
	return NULL;
}

bool check_living(const struct check *c, const struct check_sub *but)
{
	for (unsigned i = 0; i < c->n_sub; i++)
		if (&c->sub[i] != but && c->sub[i].state == CHECK_OPEN && !c->sub[i].fin_came)
			return true;
	return false;
}

static struct flow *flow_of_token(struct gate *g, uint32_t token)
{
	uint32_t t;
	uint64_t idsn;

	for (unsigned i = g->w->sc.n_flows; i-- > 0;) {
		if (!g->flow[i].check.converted)
			continue;
		key_derive(g->flow[i].check.key_peer, &t, &idsn);
		if (t == token)
			return &g->flow[i];
	}
	return NULL;
}

void check_removed_in(struct flow *f, uint8_t id)
{
	struct check *c = &f->check;

	c->removed_ids |= id < 64 ? 1ull << id : 0;
	for (unsigned k = 0; k < c->n_sub; k++) {
		bool unknown = c->sub[k].state == CHECK_SYN && !c->sub[k].passive;

		if (unknown || c->sub[k].removed || c->sub[k].id_peer != id)
			continue;
		c->sub[k].removed = true;
		c->sub[k].removed_us = f->w->now_us;
	}
}

/* Its path went, or the address at the gate's end: it may have ended without a word. */
static bool cut_off(const struct gate *g, const struct flow *f, const struct check_sub *x)
{
	const struct uplink *u = &g->w->uplink[gate_uplink(g, x->path)];
	struct ip_addr addr = gate_path_addr(g, x->path);
	const struct ip_addr *own =
		x == &f->check.sub[0] ? &g->ct[f->index].net.src : &x->tuple.src;

	/* A guest's own address stays where the path's changes. */
	return u->down_us > x->open_us || u->told_us > x->open_us ||
	       (!ip_addr_equal(own, &f->tuple.src) && !ip_addr_equal(own, &addr));
}

/* With another subflow to be had, the gate ends those to an address that was taken back. */
void check_removed_out(struct gate *g, struct flow *f, const struct check_sub *b,
		       const struct seg *s)
{
	const struct check *c = &f->check;

	if (b->removed || b->state != CHECK_OPEN || b->fin_came || c->closed)
		return;
	for (unsigned k = 0; k < c->n_sub; k++) {
		const struct check_sub *x = &c->sub[k];
		uint64_t since_us = x->removed_us > b->open_us ? x->removed_us : b->open_us;

		if (x->removed && x->state == CHECK_OPEN && !x->fin_came && !x->fin &&
		    !cut_off(g, f, x) && g->w->now_us > since_us + REMOVED_US)
			sim_fail(g->w,
				 "I4: the subflow of %u (%u>%u) to an address that was taken back "
				 "is not ended: %s",
				 x->id_peer, x->tuple.src_port, x->tuple.dst_port, seg_text(s));
	}
}

static bool taken_back(const struct flow *f, const struct flow_tuple *t)
{
	const struct peer *p = &f->peer;

	for (unsigned i = 0; i < p->n_own && !f->far; i++)
		if (ip_addr_equal(&p->own[i].addr, &t->dst))
			return f->check.removed_ids >> p->own[i].id & 1;
	return false;
}

static bool joinable(const struct flow *f, const struct flow_tuple *t)
{
	return f->far ? t->dst_port == f->tuple.dst_port : peer_joinable(&f->peer, t);
}

static void check_syn(struct gate *g, struct flow *f, const struct check_sub *b,
		      const struct seg *s)
{
	const struct mp *m = &s->mp;
	const struct engine_path_cfg *p = &g->cfg.path[b->path];
	struct ip_addr addr = g->w->sc.family == FLOW_IPV4 ? p->addr4 : p->addr6;

	if (s->flags != F_SYN || s->len_bytes || m->join != JOIN_SYN || m->n_options != 1 ||
	    !s->has_mss || !s->has_wscale)
		sim_fail(g->w, "I4: the SYN of an MP_JOIN: %s", seg_text(s));
	if (s->wscale != f->check.guest_wscale)
		sim_fail(g->w, "I2: the window scale of an MP_JOIN is %u, the guest's %u: %s",
			 s->wscale, f->check.guest_wscale, seg_text(s));
	if (!ip_addr_equal(&s->tuple.src, &addr) || s->tuple.src_port < g->cfg.port_min ||
	    s->tuple.src_port > g->cfg.port_max)
		sim_fail(g->w, "I4: an MP_JOIN from no address or port of ours: %s", seg_text(s));
	if (!joinable(f, &s->tuple) || m->join_id == 0 || m->backup != g->cfg.path[b->path].backup)
		sim_fail(g->w, "I4: an MP_JOIN to another place, with id 0 or a wrong B: %s",
			 seg_text(s));
	if (!f->check.confirmed)
		sim_fail(g->w, "I4: an MP_JOIN before the connection is confirmed: %s",
			 seg_text(s));
}

/* The oldest subflow that is over, or was never answered. */
static void forget(struct check *c)
{
	for (unsigned i = 1; i < c->n_sub; i++) {
		if (c->sub[i].state == CHECK_OPEN && !c->sub[i].fin_came)
			continue;
		free(c->sub[i].map);
		memmove(&c->sub[i], &c->sub[i + 1], (--c->n_sub - i) * sizeof(c->sub[0]));
		return;
	}
}

struct check_sub *check_sub_new(struct gate *g, struct flow *f)
{
	struct check *c = &f->check;

	if (c->n_sub == CHECK_SUBS_MAX)
		forget(c);
	if (c->n_sub == CHECK_SUBS_MAX) {
		sim_fail(g->w, "more than %u subflows are open", c->n_sub);
		return NULL;
	}
	memset(&c->sub[c->n_sub], 0, sizeof(c->sub[0]));
	return &c->sub[c->n_sub++];
}

struct check_sub *check_join_new(struct gate *g, const struct engine_out *out, const struct seg *s,
				 struct flow **f)
{
	struct check_sub *b;
	struct check *c;

	*f = s->mp.join == JOIN_SYN ? flow_of_token(g, s->mp.token) : NULL;
	if (!*f)
		return NULL;
	c = &(*f)->check;
	for (unsigned i = 1; i < c->n_sub; i++)
		if (c->sub[i].state != CHECK_GONE && !c->sub[i].fin_came &&
		    c->sub[i].id_gate == s->mp.join_id && c->sub[i].path != out->index)
			sim_fail(g->w, "I4: two addresses with id %u: %s", s->mp.join_id,
				 seg_text(s));
	if (taken_back(*f, &s->tuple))
		sim_fail(g->w, "I4: an MP_JOIN to an address that was taken back: %s", seg_text(s));
	b = check_sub_new(g, *f);
	if (!b)
		return NULL;
	b->tuple = s->tuple;
	b->path = out->index;
	b->state = CHECK_SYN;
	b->id_gate = s->mp.join_id;
	b->backup = s->mp.backup;
	b->iss = s->seq;
	c->own_clock = true;
	b->nonce_gate = s->mp.nonce;
	b->ts = s->has_ts;
	b->sack = s->sack_permitted;
	b->tsval = s->tsval;
	b->max = b->ack = 1;
	return b;
}

void check_join_in(struct flow *f, struct check_sub *b, const struct seg *s)
{
	if (b->passive) {
		check_asked_in(f, b, s);
		return;
	}
	if ((s->flags & F_SYN) && b->state == CHECK_SYN && s->mp.join == JOIN_SYN_ACK &&
	    s->ack == b->iss + 1) {
		b->irs = s->seq;
		b->nonce_peer = s->mp.nonce;
		b->id_peer = s->mp.join_id;
		b->ts &= s->has_ts;
		b->sack &= s->sack_permitted;
		b->peer_mss = s->mss;
		b->peer_wscale = s->wscale;
		b->peer_tsval = s->tsval;
		b->state = CHECK_ACK;
	} else if (s->flags & F_SYN) {
		b->peer_tsval = later_tsval(b->peer_tsval, s);
	} else if (b->state == CHECK_ACK && b->hmac_sent && s->ack == b->iss + 1) {
		b->state = CHECK_OPEN;
		b->open_us = f->w->now_us;
	}
}

static void check_ack(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	const struct check *c = &f->check;
	uint8_t want[32];

	join_hmac(c->key_gate, c->key_peer, b->nonce_gate, b->nonce_peer, want);
	if (s->mp.join != JOIN_ACK || s->mp.n_options != 1 || s->flags != F_ACK || s->len_bytes)
		sim_fail(g->w, "I4: something before the fourth ACK of an MP_JOIN: %s",
			 seg_text(s));
	else if (memcmp(want, s->mp.hmac, HMAC_BYTES) != 0)
		sim_fail(g->w, "I4: the HMAC of an MP_JOIN: %s", seg_text(s));
	if (s->seq != b->iss + 1 || s->ack != b->irs + 1 || s->has_ts != b->ts)
		sim_fail(g->w, "I4: the third ACK of an MP_JOIN: %s", seg_text(s));
	b->hmac_sent = true;
}

void check_join_out(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	if (b->state == CHECK_GONE) {
		sim_fail(g->w, "I4: something on a subflow that was reset: %s", seg_text(s));
		return;
	}
	if (b->state == CHECK_SYN) {
		check_syn(g, f, b, s);
		if (s->seq != b->iss || s->mp.nonce != b->nonce_gate ||
		    s->mp.join_id != b->id_gate || s->mp.backup != b->backup)
			sim_fail(g->w, "I4: the SYN of an MP_JOIN changes: %s", seg_text(s));
		return;
	}
	if (b == &f->check.sub[0])
		sim_fail(g->w, "I4: MP_JOIN on the first subflow: %s", seg_text(s));
	else
		check_ack(g, f, b, s);
}
