// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_gate_in.c - a packet's visits to the engine as the host's rules have it, and what comes from
 * the guests.
 */
#include <stdlib.h>

#include "app/claimed.h"
#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_link.h"

#define MASQUERADE_PORT_SHIFT 1000

static struct engine_result ask(struct gate *g, struct flow *f, struct engine_result r)
{
	struct engine_tick t;

	if (!flow_tuple_equal(&r.ask, &f->tuple))
		sim_fail(g->w, "the engine asks for another connection's translation");
	gate_take_outs(g);
	t = gate_tick(g);
	return engine_translation(g->e, r.conn, &g->ct[f->index].net, &t, &g->outs);
}

bool gate_look(struct claimed_segment *x, const struct pkt *p, enum engine_side from)
{
	struct seg s;

	seg_head(&s, p->data, p->len_bytes);
	*x = (struct claimed_segment){.tuple = s.tuple,
				      .side = from == ENGINE_GUEST ? STEER_GUEST : STEER_NET,
				      .flags = s.flags,
				      .options = s.opt_bytes > 0,
				      .mptcp = s.mp.n_options > 0};
	return s.hdr_bytes > 0;
}

/* What is claimed as converted is the engine's: nobody else must see it. */
static void check_leak(struct gate *g, const struct visit *v, const struct pkt *p)
{
	struct claimed_segment x;

	if (v->mark != STEER_CONVERTED || !gate_look(&x, p, v->from))
		return;
	if (claimed_find(g->claimed, &x.tuple) >= STEER_IS_CONVERTED)
		sim_fail(g->w, "I6: a segment that is claimed leaked");
}

bool gate_visit(struct gate *g, const struct visit *v, struct pkt **p)
{
	struct engine_pkt in = {
		.data = (*p)->data,
		.len_bytes = (*p)->len_bytes,
		.from = (uint8_t)v->from,
		.hook = (uint8_t)v->hook,
		.path = (uint8_t)v->path,
		.csum_trusted = g->w->sc.control.csum_trusted && !(*p)->corrupted,
		.mark_converted = v->mark == STEER_CONVERTED,
		.mark_half = v->mark == STEER_HALF,
	};
	struct engine_tick t = gate_tick(g);
	struct engine_result r;
	struct pkt *q;

	if (v->f && !(*p)->forged)
		check_in(g, v->f, v->b, *p, v->from, v->hook);
	r = engine_packet(g->e, &in, &t, &g->outs);
	if (r.verdict == ENGINE_ASK && v->f)
		r = ask(g, v->f, r);
	claimed_orphan(g->claimed, &r);
	gate_claims(g);
	check_verdict(g, v->f, v->b, *p, v->from, v->hook, &r);
	if (r.verdict == ENGINE_ACCEPT)
		check_leak(g, v, *p);
	gate_take_outs(g);
	if (r.verdict == ENGINE_ACCEPT)
		return true;
	if (r.verdict == ENGINE_REPLACE) {
		q = pkt_new(r.replacement, r.replacement_bytes);
		free(*p);
		*p = q;
		return true;
	}
	return false;
}

/* ---- from the guests ---- */

/* The path that the host's routing chooses: one that is up. */
static unsigned route(const struct gate *g, unsigned n)
{
	for (unsigned i = 0; i < g->n_paths; i++)
		if (!g->w->uplink[gate_uplink(g, (n + i) % g->n_paths)].down)
			return (n + i) % g->n_paths;
	return n % g->n_paths;
}

static void forward_to_net(struct gate *g, struct flow *f, struct pkt *p)
{
	struct conntrack *ct = &g->ct[f->index];

	gate_translate(p, &ct->net);
	link_send(gate_link(g, ct->path), p);
}

/* Through the host's rules; false: it goes no further. */
static bool walk(struct gate *g, struct flow *f, struct pkt **p)
{
	struct visit v = {.f = f, .from = ENGINE_GUEST, .path = g->ct[f->index].path};
	struct claimed_segment x;

	if (!g->e)
		return true;
	gate_look(&x, *p, ENGINE_GUEST);
	v.mark = claimed_ingress(g->claimed, &x);
	if (!v.mark)
		check_unclaimed(g, f, x.flags);
	/* The queue is bypassed, but for what was converted. */
	if (g->dead)
		return v.mark != STEER_CONVERTED;
	v.hook = ENGINE_STEAL;
	if (claimed_stolen(v.mark, true, x.mptcp) && !gate_visit(g, &v, p))
		return false;
	v.hook = ENGINE_IN_PLACE;
	v.mark = 0;
	return !claimed_forwarded(&x) || gate_visit(g, &v, p);
}

void gate_from_guest(struct gate *g, struct pkt *p)
{
	struct conntrack *ct;
	struct flow *f;
	struct seg s;

	if (!seg_head(&s, p->data, p->len_bytes) && !p->corrupted)
		sim_fail(g->w, "a guest's packet cannot be read: %s", s.bad);
	f = flow_find(g, &s.tuple);
	if (!f) {
		free(p);
		return;
	}
	ct = &g->ct[f->index];
	if (!ct->known) {
		ct->known = true;
		ct->path = route(g, f->index);
		ct->net = f->tuple;
		if (g->w->sc.control.masquerade) {
			ct->net.src = gate_path_addr(g, ct->path);
			ct->net.src_port += MASQUERADE_PORT_SHIFT;
		}
	}
	if (walk(g, f, &p))
		forward_to_net(g, f, p);
	else
		free(p);
}
