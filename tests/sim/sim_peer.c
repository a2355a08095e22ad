// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_peer.c - see sim_peer.h: the listener, the handshake (RFC 8684 section 3.1), resets, timers.
 */
#include "sim_peer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "sim_flow.h"
#include "sim_link.h"

#define SYN_ACK_TRIES 6
#define ALONE_US (60ull * 1000000)
#define FLAG_H 0x01
#define FLAG_CSUM 0x80

void peer_init(struct flow *f)
{
	struct peer *p = &f->peer;

	p->w = f->w;
	p->f = f;
	p->rtx_at_us = p->probe_at_us = p->linger_at_us = p->alone_at_us = NEVER;
	p->join_at_us = p->announce_at_us = NEVER;
	p->client = f->passive;
	p->rng = rng_split(f->w->sc.seed, 70 + f->index);
	app_init(&p->app, f->w, &f->script->peer_app, &f->script->guest_app, f->key_to_guest,
		 f->key_to_peer);
}

void peer_fini(struct peer *p)
{
	for (unsigned i = 0; i < p->n_sub; i++) {
		tcp_fini(&p->sub[i].t);
		free(p->sub[i].map);
		free(p->sub[i].in.buf);
	}
}

void peer_stray_reset(struct sim *w, unsigned path, const struct seg *s, uint8_t why)
{
	struct seg r = seg_refusal(s);

	if (s->flags & F_RST)
		return;
	r.mp.tcprst = why != 0;
	r.mp.tcprst_reason = why;
	link_send(w->link[path][1], seg_build(&r));
}

static struct peer_sub *sub_find(struct sim *w, const struct flow_tuple *t)
{
	for (unsigned i = w->sc.n_flows; i-- > 0;) {
		struct peer *p = &w->flow[i].peer;

		/* The latest: the gate may use a port again. */
		for (unsigned k = p->n_sub; k-- > 0;)
			if (flow_tuple_equal(&p->sub[k].t.tuple, t))
				return &p->sub[k];
	}
	return NULL;
}

static struct peer *listener(struct sim *w, uint16_t port)
{
	for (unsigned i = w->sc.n_flows; i-- > 0;) {
		struct flow *f = &w->flow[i];

		if (f->guest.started && f->script->peer_port == port)
			return f->peer.n_sub == 0 ? &f->peer : NULL;
	}
	return NULL;
}

static void send_syn_ack(struct peer *p, struct peer_sub *s)
{
	struct mp m = {.capable = p->mptcp,
		       .version = 1,
		       .capable_flags = (uint8_t)(FLAG_H | (p->csum ? FLAG_CSUM : 0)),
		       .n_keys = 1,
		       .key = {p->key_local}};

	s->t.backoff = s->syn_acks++;
	tcp_syn(&s->t, true, &m);
}

/* The record of a subflow that is over, for another one. */
static struct peer_sub *over(struct peer *p)
{
	struct peer_sub *s = &p->sub[1];

	while (s->t.state != TCP_RESET)
		s++;
	tcp_fini(&s->t);
	free(s->map);
	free(s->in.buf);
	memset(s, 0, sizeof(*s));
	return s;
}

struct peer_sub *peer_sub_make(struct peer *p, unsigned path, const struct flow_tuple *t,
			       const struct tcp_traits *k)
{
	struct peer_sub *s = &p->sub[p->n_sub];

	if (p->n_sub < PEER_SUBFLOWS_MAX)
		p->n_sub++;
	else
		s = over(p);
	tcp_setup(&s->t, p->w, s, &peer_ops, k);
	s->p = p;
	s->used = true;
	s->path = path;
	s->reset_at_us = NEVER;
	s->t.tuple = *t;
	s->map_end = s->t.iss + 1;
	return s;
}

struct peer_sub *peer_sub_new(struct peer *p, unsigned path, const struct seg *syn,
			      const struct tcp_traits *k)
{
	struct flow_tuple t = flow_tuple_reverse(&syn->tuple);
	struct peer_sub *s = peer_sub_make(p, path, &t, k);

	tcp_negotiate(&s->t, syn);
	s->t.no_edge_check = p->mptcp;
	return s;
}

static void accept_syn(struct peer *p, unsigned path, const struct seg *g)
{
	const struct flow_script *script = p->f->script;
	struct tcp_traits k = script->peer;
	struct peer_sub *s;
	const struct mp *m = &g->mp;
	uint32_t token;

	p->mptcp = script->peer_mptcp && m->capable;
	if (m->capable && (m->version != 1 || (m->capable_flags & 0x7f) != FLAG_H || m->n_keys))
		sim_fail(p->w, "I4: MP_CAPABLE of the SYN: version %u flags %02x keys %u",
			 m->version, m->capable_flags, m->n_keys);
	p->csum = p->mptcp && (script->peer_checksum || (m->capable_flags & FLAG_CSUM));
	p->key_local = script->peer_key;
	key_derive(p->key_local, &token, &p->idsn_local);
	if (p->mptcp)
		k.mss_reserve = 28;
	s = peer_sub_new(p, path, g, &k);
	send_syn_ack(p, s);
	s->t.rcv_edge = s->t.rcv_nxt + app_space(&p->app);
}

/* The third acknowledgement: with the keys, or plain TCP it is (RFC 8684 section 3.7). */
static void third_ack(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	const struct mp *m = &g->mp;
	uint32_t token;

	s->t.state = TCP_OPEN;
	s->t.una = g->ack;
	s->t.rto_at_us = NEVER;
	s->t.backoff = 0;
	s->t.edge = g->ack + ((uint32_t)g->window << s->t.peer_wscale);
	p->open = true;
	p->edge = (uint64_t)g->window << s->t.peer_wscale;
	if (p->mptcp && (!m->capable || m->n_keys != 2)) {
		peer_fall_back(p, "the third ACK has no MP_CAPABLE with both keys");
	} else if (p->mptcp) {
		if (m->key[1] != p->key_local)
			sim_fail(p->w, "I4: MP_CAPABLE repeats a key that is not ours");
		p->key_remote = m->key[0];
		key_derive(p->key_remote, &token, &p->idsn_remote);
		if (!p->key_remote || !token)
			sim_fail(p->w, "I4: a key or token of zero");
	}
	app_open(&p->app);
}

static void on_rst(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	if (g->mp.fastclose && g->mp.fastclose_key != p->key_local) {
		sim_fail(p->w, "I4: MP_FASTCLOSE with a key that is not ours");
		return;
	}
	if (g->seq != s->t.rcv_nxt) {
		if (!before(g->seq, s->t.rcv_nxt) && s->t.state == TCP_OPEN)
			tcp_ack(&s->t); /* RFC 5961 section 3.2 */
		return;
	}
	s->t.state = TCP_RESET;
	/* RFC 8684 section 3.5: only MP_FASTCLOSE ends more than the subflow. */
	if (p->w->sc.multi && !g->mp.fastclose && peer_multipath(p))
		peer_sub_gone(p, s);
	else
		p->reset = true;
}

void peer_sub_gone(struct peer *p, struct peer_sub *s)
{
	bool any = false;

	s->t.state = TCP_RESET;
	peer_queue(p, s);
	for (unsigned i = 0; i < p->n_sub; i++)
		any |= p->sub[i].t.state == TCP_OPEN;
	if (!any)
		p->alone_at_us = p->w->now_us + ALONE_US;
}

void peer_sub_reset(struct peer *p, struct peer_sub *s, uint8_t why)
{
	struct mp m = {.tcprst = true, .tcprst_flags = 1, .tcprst_reason = why};

	sim_log(p->w, "the peer resets a subflow, reason %u", why);
	tcp_reset(&s->t, &m);
	peer_sub_gone(p, s);
}

/* What the guest sends when the gate has forgotten the connection passes as it is. */
static bool forgotten(const struct peer *p, const struct seg *g)
{
	const struct check *c = &p->f->check;

	return (c->idled || c->gave_up) && g->mp.n_options == 0;
}

static bool ack_possible(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	if (!before(s->t.max, g->ack))
		return true;
	if (!p->w->sc.boxes && !p->w->sc.control.forged && !forgotten(p, g))
		sim_fail(p->w, "I4: the subflow acknowledges what was never sent (max %u): %s",
			 s->t.max, seg_text(g));
	tcp_ack(&s->t);
	return false;
}

/* RFC 8684 section 3.1: the first segment without DSS behind the handshake means plain TCP. */
static void first_segment(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	if (p->heard_dss || p->fallback || !p->mptcp || s->joined)
		return;
	if ((g->mp.dss && g->mp.has_ack) || (p->client && g->mp.add_addr))
		p->heard_dss = true;
	else if (!g->mp.capable && g->seq == s->t.irs + 1 && g->seq == s->t.rcv_nxt)
		peer_fall_back(p, "the first segment has neither MP_CAPABLE nor DSS");
	if (g->mp.capable && g->mp.has_data_len)
		p->remote64 = true;
	if (!p->heard_dss)
		return;
	if (p->client)
		peer_confirmed(p);
	if (p->f->script->peer_announces)
		p->announce_at_us = p->w->now_us + rng_range(&p->rng, 1, 500) * 1000;
}

static void sub_input(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	if (s->t.state == TCP_RESET) {
		peer_stray_reset(p->w, s->path, g, 0);
		return;
	}
	if (s->t.state == TCP_SYN_SENT && !peer_client_input(p, s, g))
		return;
	if (g->flags & F_SYN) {
		if (s->t.state == TCP_SYN_RECEIVED && g->seq == s->t.irs && s->joined)
			peer_join_answer(p, s);
		else if (s->t.state == TCP_SYN_RECEIVED && g->seq == s->t.irs)
			send_syn_ack(p, s);
		else
			tcp_ack(&s->t);
		return;
	}
	if (g->flags & F_RST) {
		on_rst(p, s, g);
		return;
	}
	if (!(g->flags & F_ACK) || !ack_possible(p, s, g))
		return;
	if (s->t.state == TCP_SYN_RECEIVED) {
		if (g->ack != s->t.iss + 1)
			return;
		if (s->joined)
			peer_join_third(p, s, g);
		else
			third_ack(p, s, g);
		if (s->t.state != TCP_OPEN)
			return;
	} else if (g->mp.join == JOIN_ACK) {
		tcp_ack(&s->t); /* the fourth ACK was lost (section 3.2) */
		return;
	}
	peer_addresses(p, s, g);
	if (s->t.state != TCP_OPEN)
		return;
	if (g->mp.prio)
		s->backup = g->mp.backup;
	first_segment(p, s, g);
	if (g->mp.fail && p->failed) {
		p->fail_answered = true;
	} else if (g->mp.fail && p->mptcp && !p->fallback) {
		if (!p->w->sc.boxes && !p->w->sc.lossy)
			sim_fail(p->w, "I4: MP_FAIL without a cause");
		p->fail_wanted = true;
		p->fail_dsn = p->idsn_remote + 1 + p->rcv;
		peer_fall_back(p, "MP_FAIL");
		p->infinite_wanted = true;
	}
	peer_take_data_ack(p, s, g);
	tcp_segment(&s->t, g);
	peer_push(p);
	peer_finish(p);
}

void peer_receive(struct sim *w, unsigned path, struct pkt *pkt)
{
	struct peer_sub *s;
	struct flow_tuple t;
	struct peer *p;
	struct seg g;

	if (!seg_parse(&g, pkt->data, pkt->len_bytes) || !g.csum_ok) {
		free(pkt);
		return;
	}
	t = flow_tuple_reverse(&g.tuple);
	s = sub_find(w, &t);
	p = (g.flags & (F_SYN | F_ACK | F_RST)) == F_SYN ? listener(w, g.tuple.dst_port) : NULL;
	if (s && (g.flags & F_SYN) && g.seq != s->t.irs && s->t.state == TCP_RESET)
		s = NULL;
	if (!s && (g.flags & F_SYN) && g.mp.join == JOIN_SYN)
		peer_join(w, path, &g);
	else if (p && !p->f->script->peer_refuses)
		accept_syn(p, path, &g);
	else if (s)
		sub_input(s->p, s, &g);
	else
		peer_stray_reset(w, path, &g, 0);
	free(pkt);
}

/* ---- timers ---- */

uint64_t peer_next_us(const struct peer *p)
{
	uint64_t us = p->rtx_at_us, one;

	if (p->client && !p->started)
		return p->f->script->start_us;
	if (p->n_sub == 0 || p->reset)
		return NEVER;
	us = p->join_at_us < us ? p->join_at_us : us;
	us = p->announce_at_us < us ? p->announce_at_us : us;
	us = p->probe_at_us < us ? p->probe_at_us : us;
	us = p->linger_at_us < us ? p->linger_at_us : us;
	us = p->alone_at_us < us ? p->alone_at_us : us;
	one = p->open ? app_next_us(&p->app) : NEVER;
	us = one < us ? one : us;
	for (unsigned i = 0; i < p->n_sub; i++) {
		one = tcp_next_us(&p->sub[i].t);
		us = one < us ? one : us;
		us = p->sub[i].reset_at_us < us ? p->sub[i].reset_at_us : us;
	}
	return us;
}

void peer_abort(struct peer *p)
{
	struct mp m = {.fastclose = p->mptcp && !p->fallback, .fastclose_key = p->key_remote};

	for (unsigned i = 0; i < p->n_sub; i++)
		if (p->sub[i].t.state == TCP_OPEN)
			tcp_reset(&p->sub[i].t, &m);
	p->reset = true;
}

static void run_sub(struct peer *p, struct peer_sub *s)
{
	if (s->t.state == TCP_SYN_RECEIVED && s->t.rto_at_us <= p->w->now_us) {
		if (s->syn_acks <= SYN_ACK_TRIES && s->joined)
			peer_join_answer(p, s);
		else if (s->syn_acks <= SYN_ACK_TRIES)
			send_syn_ack(p, s);
		else if (s->joined)
			s->t.state = TCP_RESET;
		else
			peer_abort(p);
	}
	if (s->reset_at_us <= p->w->now_us) {
		s->reset_at_us = NEVER;
		if (s->t.state == TCP_OPEN && !s->t.fin_sent && peer_multipath(p))
			peer_sub_reset(p, s, 2);
	}
	peer_client_timer(p, s);
	tcp_run(&s->t);
}

/* An orphan's subflows, and a connection that nobody joins again, do not stay for ever. */
static void give_up(struct peer *p)
{
	if (p->linger_at_us <= p->w->now_us) {
		p->linger_at_us = NEVER - 1;
		for (unsigned i = 0; i < p->n_sub; i++)
			p->sub[i].t.state = TCP_RESET;
	}
	if (p->alone_at_us <= p->w->now_us) {
		p->alone_at_us = NEVER;
		p->reset = true;
	}
}

void peer_run(struct peer *p)
{
	bool was_shut = app_space(&p->app) < p->f->script->peer_app.buffer_bytes / 2;

	if (p->client && !p->started) {
		peer_connect(p);
		return;
	}
	for (unsigned i = 0; i < p->n_sub; i++)
		run_sub(p, &p->sub[i]);
	give_up(p);
	if (p->reset)
		return;
	app_run(&p->app);
	if (p->app.abort && p->open) {
		peer_abort(p);
		return;
	}
	if (p->join_at_us <= p->w->now_us)
		peer_join_more(p);
	if (p->announce_at_us <= p->w->now_us)
		peer_announce(p);
	peer_data_timer(p);
	if (was_shut && app_space(&p->app) >= p->f->script->peer_app.buffer_bytes / 2)
		for (unsigned i = 0; i < p->n_sub; i++)
			if (p->sub[i].t.state == TCP_OPEN && !p->sub[i].t.fin_received)
				tcp_ack(&p->sub[i].t);
	peer_push(p);
	peer_finish(p);
}

bool peer_over(const struct peer *p)
{
	if (p->reset)
		return true;
	for (unsigned i = 0; i < p->n_sub; i++)
		if (!tcp_finished(&p->sub[i].t))
			return false;
	return p->n_sub > 0;
}
