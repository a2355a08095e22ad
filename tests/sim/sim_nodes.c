// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_nodes.c - what the world is made of: flows, gates, links between them, and who gets what
 * arrives. With a gate at each end its uplinks meet in a core that routes by address; otherwise
 * each path leads to the peer.
 */
#include <stdlib.h>

#include "sim_capture.h"
#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_icmp.h"
#include "sim_link.h"

struct flow *flow_find(struct gate *g, const struct flow_tuple *t)
{
	struct flow *found = NULL;

	for (unsigned i = 0; i < g->w->sc.n_flows; i++)
		if (flow_tuple_equal(&g->flow[i].tuple, t) && (g->flow[i].guest.started || !found))
			found = &g->flow[i];
	return found;
}

static unsigned path_of(const struct link *l)
{
	return (l->index - 1) % SIM_PATHS_MAX;
}

static void to_gate(struct link *l, struct pkt *p)
{
	gate_from_guest(l->gate, p);
}

static void to_guest(struct link *l, struct pkt *p)
{
	if (l->w->hosts_off)
		free(p);
	else
		guest_receive(l->gate, p);
}

static void to_peer(struct link *l, struct pkt *p)
{
	if (l->w->hosts_off)
		free(p);
	else
		peer_receive(l->w, path_of(l), p);
}

static void from_net(struct link *l, struct pkt *p)
{
	gate_from_net(l->gate, path_of(l), p);
}

/* By which uplink an address is reached; null: by none. */
static struct link *core_route(struct sim *w, const struct ip_addr *dst, uint16_t dst_port)
{
	for (unsigned k = 0; k < 2; k++) {
		struct gate *g = w->gate[k];

		for (unsigned i = 0; i < g->n_paths; i++) {
			struct ip_addr a = gate_path_addr(g, i);

			if (ip_addr_equal(&a, dst))
				return w->link[gate_uplink(g, i)][1];
		}
		/* A guest's own address is where its connection began. */
		for (unsigned i = 0; i < w->sc.n_flows; i++) {
			const struct flow *f = &g->flow[i];
			unsigned path = g->ct[i].known ? g->ct[i].path : i % g->n_paths;

			if (ip_addr_equal(&f->tuple.src, dst) && f->tuple.src_port == dst_port)
				return w->link[gate_uplink(g, path)][1];
		}
	}
	return NULL;
}

static void to_core(struct link *l, struct pkt *p)
{
	struct too_big m;
	struct link *next;
	struct seg s;

	if (too_big_parse(&m, p->data, p->len_bytes))
		s.tuple = flow_tuple_reverse(&m.about);
	else
		seg_head(&s, p->data, p->len_bytes);
	next = core_route(l->w, &s.tuple.dst, s.tuple.dst_port);
	if (next)
		link_send(next, p);
	else
		free(p);
}

static struct link *link_new(struct sim *w, unsigned index, bool to_net,
			     const struct link_script *script,
			     void (*deliver)(struct link *l, struct pkt *p))
{
	struct link *l = malloc(sizeof(*l));

	link_init(l, w, index, to_net, script);
	l->deliver = deliver;
	return l;
}

/* ---- flows ---- */

static struct ip_addr address(uint8_t family, unsigned net, uint8_t host)
{
	static const uint8_t four[][3] = {{10, 0, 0}, {10, 1, 0}, {198, 51, 100}};
	static const uint8_t six[] = {0, 8, 9};
	struct ip_addr a = {.b = {four[net][0], four[net][1], four[net][2], host}};

	if (family == FLOW_IPV6)
		a = (struct ip_addr){.b = {0xfd, six[net], [15] = host}};
	return a;
}

static void flow_init(struct gate *g, struct flow *f, unsigned i)
{
	struct sim *w = g->w;
	const struct flow_script *s = &w->sc.flow[i];
	struct rng r = rng_split(w->sc.seed, 50 + i);

	f->w = w;
	f->gate = g;
	f->index = i;
	f->script = s;
	f->passive = w->sc.role == ROLE_RESPONDER;
	f->key_to_peer = rng_next(&r);
	f->key_to_guest = rng_next(&r);
	f->tuple.family = w->sc.family;
	f->tuple.src_port = s->guest_port;
	f->tuple.dst_port = s->peer_port;
	f->tuple.src = address(w->sc.family, 0, 2);
	f->tuple.dst = address(w->sc.family, 2, 7);
}

/* The connection as the other end's gate has it: its own guest first. */
static void mirror_init(struct gate *g, struct flow *m, struct flow *f)
{
	struct flow_script *s = &g->w->mirror_script[f->index];

	*s = *f->script;
	s->guest = f->script->peer;
	s->peer = f->script->guest;
	s->guest_app = f->script->peer_app;
	s->peer_app = f->script->guest_app;
	s->guest_port = f->script->peer_port;
	s->peer_port = f->script->guest_port;
	m->w = g->w;
	m->gate = g;
	m->index = f->index;
	m->script = s;
	m->passive = true;
	m->key_to_peer = f->key_to_guest;
	m->key_to_guest = f->key_to_peer;
	m->tuple = flow_tuple_reverse(&f->tuple);
	m->tuple.src = address(g->w->sc.family, 1, 2);
	f->tuple.dst = g->w->sc.published ? gate_path_addr(g, f->index % g->n_paths) : m->tuple.src;
	m->far = f;
	f->far = m;
	guest_init(m);
}

struct far flow_far(const struct flow *f)
{
	const struct peer *p = &f->peer;
	const struct tcp *t;

	if (!f->far)
		return (struct far){p->nxt, p->rcv + p->eof, p->rcv_edge + p->eof, p->app.closed};
	t = &f->far->guest.t;
	return (struct far){.sent = t->max - t->iss - 1 - (t->fin_sent && t->max != t->fin_seq),
			    .received = t->rcv_nxt - t->irs - 1,
			    .granted = t->rcv_edge - t->irs - 1 + t->fin_received,
			    .closed = f->far->guest.app.closed};
}

/* ---- the whole ---- */

static void gate_place(struct sim *w, unsigned k, struct flow *flow)
{
	struct gate *g = w->gate[k] = malloc(sizeof(*g));
	unsigned guests = k ? SIM_UPLINKS_MAX + 1 : 0;

	gate_init(g, w, k, flow);
	g->guest_link[0] = link_new(w, guests, true, &w->sc.guest_link[0], to_gate);
	g->guest_link[1] = link_new(w, guests, false, &w->sc.guest_link[1], to_guest);
	g->guest_link[0]->gate = g->guest_link[1]->gate = g;
}

static void uplink_place(struct sim *w, unsigned k, unsigned path)
{
	struct gate *g = w->gate[k];
	unsigned i = gate_uplink(g, path);
	bool core = w->sc.role == ROLE_BOTH;

	w->box[i] = w->sc.box[i].used ? box_new(w, &w->sc.box[i]) : NULL;
	w->link[i][0] = link_new(w, i + 1, true, &w->sc.link[i][0], core ? to_core : to_peer);
	w->link[i][1] = link_new(w, i + 1, false, &w->sc.link[i][1], from_net);
	w->link[i][0]->box = w->link[i][1]->box = w->box[i];
	w->link[i][0]->gate = w->link[i][1]->gate = g;
}

void nodes_init(struct sim *w)
{
	bool both = w->sc.role == ROLE_BOTH;

	w->flow = calloc(w->sc.n_flows, sizeof(*w->flow));
	w->mirror = both ? calloc(w->sc.n_flows, sizeof(*w->mirror)) : NULL;
	gate_place(w, 0, w->flow);
	if (both)
		gate_place(w, 1, w->mirror);
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		struct flow *f = &w->flow[i];

		flow_init(w->gate[0], f, i);
		if (both)
			mirror_init(w->gate[1], &w->mirror[i], f);
		guest_init(f);
		if (!both)
			peer_init(f);
	}
	for (unsigned k = 0; k < 2 && w->gate[k]; k++)
		for (unsigned i = 0; i < w->gate[k]->n_paths; i++)
			uplink_place(w, k, i);
	for (unsigned i = 0; i < 4 && w->gate[i / 2]; i++)
		w->all[w->n_links++] = w->gate[i / 2]->guest_link[i % 2];
	for (unsigned i = 0; i < SIM_UPLINKS_MAX; i++)
		for (unsigned k = 0; k < 2 && w->link[i][k]; k++)
			w->all[w->n_links++] = w->link[i][k];
}

void nodes_fini(struct sim *w)
{
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		guest_fini(&w->flow[i]);
		peer_fini(&w->flow[i].peer);
		check_fini(&w->flow[i].check);
		if (w->mirror) {
			guest_fini(&w->mirror[i]);
			check_fini(&w->mirror[i].check);
		}
	}
	for (unsigned i = 0; i < w->n_links; i++) {
		link_fini(w->all[i]);
		free(w->all[i]);
	}
	for (unsigned i = 0; i < SIM_UPLINKS_MAX; i++)
		box_free(w->box[i]);
	for (unsigned k = 0; k < 2 && w->gate[k]; k++) {
		gate_fini(w->gate[k]);
		free(w->gate[k]);
	}
	free(w->flow);
	free(w->mirror);
}
