// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_peer_addr.c - addresses: what the gate says of its own (ADD_ADDR, REMOVE_ADDR; RFC 8684
 * section 3.4), and what the peer says of its own, of addresses that come and go and of subflows
 * that become backup (section 3.3.8).
 */
#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_peer.h"
#include "sim_tcp_send.h"

#define ANNOUNCED_PORT 9000

static void send(struct peer *p, struct peer_sub *s, const struct mp *m)
{
	struct seg g;

	(void)p;
	tcp_begin(&s->t, &g);
	g.mp = *m;
	/* IPv6, a port, an HMAC: with timestamps that is more than 40 bytes. */
	if (m->add_addr && m->addr_family == FLOW_IPV6)
		g.has_ts = false;
	tcp_emit(&s->t, &g, 0);
}

/* ---- the gate's addresses ---- */

static void target_add(struct peer *p, const struct mp *m)
{
	const struct gate *gate = p->f->gate;

	for (unsigned i = 0; i < p->n_targets; i++)
		if (p->target[i].id == m->addr_id)
			return;
	for (unsigned i = 0; i < gate->n_paths && p->n_targets < PEER_TARGETS_MAX; i++) {
		struct ip_addr a = gate_path_addr(gate, i);

		if (m->addr_family == p->f->tuple.family && ip_addr_equal(&a, &m->addr))
			p->target[p->n_targets++] = (struct peer_target){
				.addr = a, .port = m->addr_port, .id = m->addr_id, .path = i};
	}
}

static void target_rm(struct peer *p, uint8_t id)
{
	for (unsigned i = 0; i < p->n_targets; i++)
		if (p->target[i].id == id)
			p->target[i--] = p->target[--p->n_targets];
}

static void on_add(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	struct mp echo = {.add_addr = true,
			  .echo = true,
			  .addr_id = g->mp.addr_id,
			  .addr_family = g->mp.addr_family,
			  .addr = g->mp.addr,
			  .addr_port = g->mp.addr_port};
	uint8_t want[8];

	addr_hmac(p->key_remote, p->key_local, &g->mp, want);
	if (memcmp(want, g->mp.addr_hmac, sizeof(want)) != 0) {
		if (!p->w->sc.boxes)
			sim_fail(p->w, "I4: ADD_ADDR with a wrong HMAC: %s", seg_text(g));
		return;
	}
	if (g->mp.addr_id == 0)
		sim_fail(p->w, "I4: ADD_ADDR of id 0: %s", seg_text(g));
	target_add(p, &g->mp);
	send(p, s, &echo);
}

static void on_echo(struct peer *p, const struct seg *g)
{
	const struct mp *m = &g->mp;

	for (unsigned i = 0; i < p->n_own; i++)
		if (p->own[i].id == m->addr_id) {
			if (m->addr_port != p->own[i].port ||
			    !ip_addr_equal(&m->addr, &p->own[i].addr))
				sim_fail(p->w, "I4: an echo of another address: %s", seg_text(g));
			return;
		}
	if (!p->w->sc.boxes)
		sim_fail(p->w, "I4: an echo of what was never announced: %s", seg_text(g));
}

void peer_addresses(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	const struct mp *m = &g->mp;

	if (!peer_multipath(p))
		return;
	if (m->add_addr && m->echo)
		on_echo(p, g);
	else if (m->add_addr)
		on_add(p, s, g);
	for (unsigned i = 0; i < m->n_removed; i++)
		target_rm(p, m->removed[i]);
	if (m->n_removed)
		peer_removed(p, m);
}

/* ---- the peer's own ---- */

static struct peer_sub *any_open(struct peer *p)
{
	struct peer_sub *s = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_sub; i++)
		if (p->sub[i].t.state == TCP_OPEN && !p->sub[i].t.fin_sent &&
		    rng_range(&p->rng, 0, n++) == 0)
			s = &p->sub[i];
	return s;
}

static void announce(struct peer *p, struct peer_sub *s)
{
	struct peer_target *x = &p->own[p->n_own];
	struct mp m = {.add_addr = true, .addr_family = p->f->tuple.family};

	if (p->n_own == PEER_TARGETS_MAX)
		return;
	*x = (struct peer_target){.addr = p->f->tuple.dst, .id = (uint8_t)(10 + p->n_own)};
	x->addr.b[p->f->tuple.family == FLOW_IPV4 ? 3 : 15] += (uint8_t)(20 + p->n_own);
	if (rng_chance(&p->rng, 30))
		x->port = (uint16_t)(ANNOUNCED_PORT + p->n_own);
	p->n_own++;
	m.addr_id = x->id;
	m.addr = x->addr;
	m.addr_port = x->port;
	addr_hmac(p->key_local, p->key_remote, &m, m.addr_hmac);
	sim_log(p->w, "the peer announces address %u", m.addr_id);
	send(p, s, &m);
}

static void take_back(struct peer *p, struct peer_sub *s)
{
	struct peer_target *x = &p->own[rng_range(&p->rng, 0, p->n_own - 1)];
	struct mp m = {.n_removed = 1, .removed = {x->id}};

	x->removed = true;
	sim_log(p->w, "the peer takes back address %u", x->id);
	send(p, s, &m);
}

static void change_priority(struct peer *p, struct peer_sub *s)
{
	struct mp m = {.prio = true, .backup = rng_chance(&p->rng, 60)};

	sim_log(p->w, "the peer wants a subflow %s", m.backup ? "as backup" : "used");
	send(p, s, &m);
}

void peer_announce(struct peer *p)
{
	struct peer_sub *s = any_open(p);

	p->announce_at_us = NEVER;
	if (!s || !peer_multipath(p) || p->linger_at_us != NEVER || p->reset ||
	    p->n_announced++ >= p->f->script->peer_announces)
		return;
	p->announce_at_us = p->w->now_us + rng_range(&p->rng, 1, 500) * 1000;
	switch (rng_range(&p->rng, 0, 3)) {
	case 0:
		change_priority(p, s);
		break;
	case 1:
		if (p->n_own)
			take_back(p, s);
		break;
	default:
		announce(p, s);
		break;
	}
}

bool peer_joinable(const struct peer *p, const struct flow_tuple *t)
{
	uint16_t port = p->f->script->peer_port;

	if (t->dst_port == port && ip_addr_equal(&t->dst, &p->sub[0].t.tuple.src))
		return true;
	for (unsigned i = 0; i < p->n_own; i++)
		if (ip_addr_equal(&t->dst, &p->own[i].addr) &&
		    t->dst_port == (p->own[i].port ? p->own[i].port : port))
			return true;
	return false;
}
