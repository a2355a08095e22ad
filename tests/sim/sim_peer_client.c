// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_peer_client.c - the peer as the one who asks: an MPTCP version 1 client. MP_CAPABLE until the
 * other end is heard to speak MPTCP (RFC 8684 section 3.1), joins to the addresses that it knows
 * (section 3.2), nothing on them before the fourth ACK.
 */
#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_link.h"
#include "sim_peer.h"
#include "sim_tcp_send.h"

#define SYN_TRIES 7
#define CAPABLE_TRIES 3 /* then without: something may swallow it */
#define JOIN_TRIES 5
#define FLAG_H 0x01
#define FLAG_CSUM 0x80
#define JOIN_PORT 50100
#define REJOINS_MAX 90

/* ---- MP_CAPABLE ---- */

static void send_syn(struct peer *p, struct peer_sub *s)
{
	struct mp m = {.capable = p->f->script->peer_mptcp && s->syns < CAPABLE_TRIES,
		       .version = 1,
		       .capable_flags =
			       (uint8_t)(FLAG_H | (p->f->script->peer_checksum ? FLAG_CSUM : 0))};

	p->asked = m.capable;
	s->t.backoff = s->syns++;
	tcp_syn(&s->t, false, m.capable ? &m : NULL);
}

void peer_connect(struct peer *p)
{
	const struct flow *f = p->f;
	const struct flow_script *script = f->script;
	unsigned path = f->index % p->w->sc.n_paths;
	struct tcp_traits k = script->peer;
	struct flow_tuple t = flow_tuple_reverse(&f->tuple);

	if (p->w->sc.published)
		t.dst = gate_path_addr(f->gate, path);
	p->started = true;
	p->key_local = script->peer_key;
	if (script->peer_mptcp)
		k.mss_reserve = 28;
	send_syn(p, peer_sub_make(p, path, &t, &k));
}

/* Both keys, until the other end has confirmed them; on what stands first. */
bool peer_capable_due(const struct peer *p, const struct peer_sub *s, uint32_t seq)
{
	return p->client && peer_multipath(p) && !p->heard_dss && !s->joined && seq == s->t.iss + 1;
}

void peer_put_capable(const struct peer *p, struct mp *m, const struct peer_map *x)
{
	*m = (struct mp){.capable = true,
			 .version = 1,
			 .capable_flags = (uint8_t)(FLAG_H | (p->csum ? FLAG_CSUM : 0)),
			 .n_keys = 2,
			 .key = {p->key_local, p->key_remote}};
	if (!x)
		return;
	m->has_data_len = true;
	m->data_len = (uint16_t)x->len;
	m->has_capable_csum = p->csum;
	m->csum = x->csum;
}

static void open(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	const struct mp *m = &g->mp;
	uint32_t token;

	/* The answer to a SYN that was sent again without may be the first one's: to no effect. */
	p->mptcp = p->asked && m->capable;
	if (m->capable && (m->version != 1 || (m->capable_flags & 0x7f) != FLAG_H ||
			   m->n_keys != 1 || m->key[0] == 0 || !p->f->script->peer_mptcp))
		sim_fail(p->w, "I4: MP_CAPABLE of the SYN/ACK: %s", seg_text(g));
	p->csum = p->mptcp && (p->f->script->peer_checksum || (m->capable_flags & FLAG_CSUM));
	p->key_remote = m->key[0];
	key_derive(p->key_local, &token, &p->idsn_local);
	key_derive(p->key_remote, &token, &p->idsn_remote);
	s->t.no_edge_check = p->mptcp;
	p->open = true;
	p->edge = g->window;
	app_open(&p->app);
	app_run(&p->app);
	if (!s->t.k.third_with_data || p->app.written == 0)
		tcp_ack(&s->t);
	peer_push(p);
	peer_finish(p);
}

/* ---- MP_JOIN ---- */

static void send_join(struct peer *p, struct peer_sub *s)
{
	uint64_t idsn;
	struct mp m = {.join = JOIN_SYN,
		       .join_id = s->id_local,
		       .backup = s->backup,
		       .nonce = s->nonce_local};

	key_derive(p->key_remote, &m.token, &idsn);
	s->t.backoff = s->syns++;
	tcp_syn(&s->t, false, &m);
}

static void send_third(struct peer *p, struct peer_sub *s)
{
	uint8_t hmac[32];
	struct seg g;

	join_hmac(p->key_local, p->key_remote, s->nonce_local, s->nonce_remote, hmac);
	tcp_begin(&s->t, &g);
	g.mp.join = JOIN_ACK;
	memcpy(g.mp.hmac, hmac, HMAC_BYTES);
	tcp_emit(&s->t, &g, 0);
	s->t.rto_at_us = p->w->now_us + (500000ull << s->thirds++);
}

static void join(struct peer *p, const struct peer_target *to)
{
	const struct flow *f = p->f;
	struct tcp_traits k = f->script->peer;
	struct flow_tuple t = flow_tuple_reverse(&f->tuple);
	bool other = rng_chance(&p->rng, 60);
	struct peer_sub *s;

	/* From the address that the connection began with, or one of the path's own. */
	if (other)
		t.src.b[f->tuple.family == FLOW_IPV4 ? 3 : 15] += (uint8_t)(1 + to->path);
	t.src_port = (uint16_t)(JOIN_PORT + 100 * f->index + p->n_joins++);
	t.dst = to->addr;
	t.dst_port = to->port ? to->port : f->tuple.src_port;
	k.mss_reserve = 28;
	k.isn = (uint32_t)rng_next(&p->rng);
	k.ts_base = (uint32_t)rng_next(&p->rng);
	s = peer_sub_make(p, to->path, &t, &k);
	s->joined = true;
	s->id_local = (uint8_t)(other ? 1 + to->path : 0);
	s->id_remote = to->id;
	s->backup = rng_chance(&p->rng, 15);
	s->nonce_local = (uint32_t)rng_next(&p->rng);
	if (rng_chance(&p->rng, f->script->peer_resets_percent))
		s->reset_at_us = p->w->now_us + rng_range(&p->rng, 1, 3000) * 1000;
	send_join(p, s);
}

static unsigned n_living(const struct peer *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_sub; i++)
		n += p->sub[i].t.state == TCP_SYN_SENT || peer_living(p, &p->sub[i]);
	return n;
}

void peer_join_more(struct peer *p)
{
	const struct flow_script *k = p->f->script;

	p->join_at_us = NEVER;
	if (!peer_multipath(p) || !p->open || p->reset || p->linger_at_us != NEVER ||
	    p->n_joins >= (k->peer_rejoins ? REJOINS_MAX : k->peer_joins) || p->n_targets == 0)
		return;
	if (k->peer_rejoins && (n_living(p) >= 2 || p->n_sub == PEER_SUBFLOWS_MAX)) {
		p->join_at_us = p->w->now_us + rng_range(&p->rng, 1, 400) * 1000;
		return;
	}
	join(p, &p->target[rng_range(&p->rng, 0, p->n_targets - 1)]);
	p->join_at_us = p->w->now_us + rng_range(&p->rng, 1, 400) * 1000;
}

/* The other end speaks MPTCP: it may be joined, where it is and where it says that it is too. */
void peer_confirmed(struct peer *p)
{
	struct peer_sub *s = &p->sub[0];

	p->target[p->n_targets++] = (struct peer_target){.addr = s->t.tuple.dst, .path = s->path};
	if (p->f->script->peer_joins || p->f->script->peer_rejoins)
		p->join_at_us = p->w->now_us + rng_range(&p->rng, 0, 300) * 1000;
}

static void join_answered(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	const struct mp *m = &g->mp;
	uint8_t want[32];

	if (s->thirds) {
		if (g->seq == s->t.irs)
			send_third(p, s);
		return;
	}
	join_hmac(p->key_remote, p->key_local, m->nonce, s->nonce_local, want);
	if (m->join != JOIN_SYN_ACK || memcmp(want, m->hmac, 8) != 0) {
		if (!p->w->sc.boxes && !p->w->sc.spoils_joins && !p->w->sc.strips_joined)
			sim_fail(p->w, "I4: the answer to a join has %s: %s",
				 m->join == JOIN_SYN_ACK ? "a wrong HMAC" : "no MP_JOIN",
				 seg_text(g));
		peer_sub_reset(p, s, 1);
		return;
	}
	s->nonce_remote = m->nonce;
	tcp_negotiate(&s->t, g);
	s->t.no_edge_check = true;
	s->t.una = g->ack;
	send_third(p, s);
}

/* ---- what comes before the subflow is open ---- */

bool peer_client_input(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	struct tcp *t = &s->t;

	if (g->flags & F_RST) {
		bool ours = s->thirds ? g->seq == t->rcv_nxt
				      : (g->flags & F_ACK) && g->ack == t->iss + 1;

		if (ours && s->joined)
			peer_sub_gone(p, s);
		else if (ours)
			p->reset = true;
		return false;
	}
	if (!(g->flags & F_ACK) || g->ack != t->iss + 1)
		return false;
	if ((g->flags & F_SYN) && s->joined) {
		join_answered(p, s, g);
		return false;
	}
	if (g->flags & F_SYN) {
		tcp_negotiate(t, g);
	} else if (!s->thirds) {
		return false; /* not before its SYN/ACK */
	}
	t->una = g->ack;
	t->state = TCP_OPEN;
	t->rto_at_us = NEVER;
	t->backoff = 0;
	p->alone_at_us = NEVER;
	if (s->joined)
		return true; /* the fourth ACK, maybe with more in it */
	open(p, s, g);
	return false;
}

void peer_client_timer(struct peer *p, struct peer_sub *s)
{
	if (s->t.state != TCP_SYN_SENT || s->t.rto_at_us > p->w->now_us)
		return;
	if (s->thirds && s->thirds < JOIN_TRIES)
		send_third(p, s);
	else if (s->joined && !s->thirds && s->syns < JOIN_TRIES)
		send_join(p, s);
	else if (s->joined)
		peer_sub_gone(p, s);
	else if (s->syns < SYN_TRIES)
		send_syn(p, s);
	else
		p->reset = true;
}
