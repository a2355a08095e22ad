// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_gate_net.c - what comes from the net: as rules, connection tracking and NAT treat it before
 * the engine sees it.
 */
#include <stdlib.h>

#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_icmp.h"
#include "sim_link.h"

/* An ICMP error of a router on the path: to the daemon if it is about a converted connection. */
static void gate_icmp(struct gate *g, const struct too_big *m, struct pkt *p)
{
	struct flow *f = gate_flow_of_net(g, &m->about);
	struct engine_pkt in = {.data = p->data,
				.len_bytes = p->len_bytes,
				.from = ENGINE_NET,
				.hook = ENGINE_STEAL};
	struct engine_result r = {.verdict = ENGINE_ACCEPT};
	struct too_big out = *m;
	struct engine_tick t;

	if (f && g->e && !g->dead && g->ct[f->index].mark == ENGINE_MARK_CONVERTED) {
		in.path = (uint8_t)g->ct[f->index].path;
		f->check.path_mtu = m->mtu_bytes;
		t = gate_tick(g);
		r = engine_packet(g->e, &in, &t, &g->outs);
		check_verdict(g, f, p, ENGINE_NET, ENGINE_STEAL, &r);
		gate_take_outs(g);
	}
	free(p);
	if (!f || r.verdict != ENGINE_ACCEPT)
		return;
	out.about = f->tuple;
	link_send(g->guest_link[1], too_big_build(&out));
}

bool gate_owns(const struct gate *g, const struct flow_tuple *gate_first)
{
	struct ip_addr addr;

	if (gate_first->src_port < g->cfg.port_min || gate_first->src_port > g->cfg.port_max)
		return false;
	for (unsigned i = 0; i < g->n_paths; i++) {
		addr = gate_path_addr(g, i);
		if (ip_addr_equal(&addr, &gate_first->src))
			return true;
	}
	return false;
}

/* For whom a SYN from outside is; conntrack begins. Null: for nobody here. */
static struct flow *asked(struct gate *g, unsigned path, const struct seg *s)
{
	for (unsigned i = 0; i < g->w->sc.n_flows; i++) {
		struct flow *f = &g->flow[i];
		struct conntrack *ct = &g->ct[i];
		struct ip_addr addr = gate_path_addr(g, path);

		if (!f->passive || f->tuple.src_port != s->tuple.dst_port || ct->known ||
		    !ip_addr_equal(g->w->sc.published ? &addr : &f->tuple.src, &s->tuple.dst))
			continue;
		ct->known = true;
		ct->path = path;
		ct->net = flow_tuple_reverse(&s->tuple);
		f->tuple.dst = s->tuple.src;
		f->tuple.dst_port = s->tuple.src_port;
		return f;
	}
	return NULL;
}

/*
 * What conntrack does not know: to a port of ours, with an MPTCP option, or in mid-connection; the
 * rules send it to the daemon. What that lets go is the host's own or a guest's: of a subflow of
 * ours neither may hear.
 */
static void own_subflow(struct gate *g, unsigned path, struct pkt *p, const struct flow_tuple *t)
{
	struct engine_pkt in = {.data = p->data,
				.len_bytes = p->len_bytes,
				.from = ENGINE_NET,
				.hook = ENGINE_STEAL,
				.path = (uint8_t)path,
				.csum_trusted = g->w->sc.control.csum_trusted && !p->corrupted};
	struct engine_result r;
	struct engine_tick now;
	struct flow *f = NULL;
	struct check_sub *b;
	struct seg s;

	if (g->dead) {
		free(p);
		return;
	}
	now = gate_tick(g);
	seg_parse(&s, p->data, p->len_bytes);
	b = check_join_asked(g, t, path, &s, &f);
	if (f)
		check_in(g, f, b, p, ENGINE_NET, ENGINE_STEAL);
	r = engine_packet(g->e, &in, &now, &g->outs);
	if (f)
		check_verdict(g, f, p, ENGINE_NET, ENGINE_STEAL, &r);
	else if (r.reason == REASON_NONE || r.reason >= REASON_COUNT || r.verdict >= ENGINE_ASK)
		sim_fail(g->w, "a packet got verdict %u for reason %u", r.verdict, r.reason);
	if (r.verdict != ENGINE_STOLEN && r.verdict != ENGINE_DROP && (f || gate_owns(g, t)) &&
	    !(s.flags & F_RST))
		sim_fail(g->w, "I6: the host sees a segment of a port of ours");
	gate_take_outs(g);
	free(p);
}

void gate_from_net(struct gate *g, unsigned path, struct pkt *p)
{
	struct flow_tuple reverse, guest;
	enum engine_hook hook;
	struct conntrack *ct;
	struct flow *f;
	struct too_big icmp;
	struct seg s;
	bool ok = seg_parse(&s, p->data, p->len_bytes);

	if (too_big_parse(&icmp, p->data, p->len_bytes)) {
		gate_icmp(g, &icmp, p);
		return;
	}
	reverse = flow_tuple_reverse(&s.tuple);
	if (!g->w->ideal && g->w->sc.multi && !gate_is_here(g, path, &reverse)) {
		free(p);
		return;
	}
	f = gate_flow_of_net(g, &reverse);
	if (!f && ok && (s.flags & (F_SYN | F_ACK)) == F_SYN && !s.mp.join)
		f = asked(g, path, &s);
	if (!f && g->e && ok && (gate_owns(g, &reverse) || g->flow[0].passive)) {
		own_subflow(g, path, p, &reverse);
		return;
	}
	if (!f || (!ok && !p->corrupted)) {
		if (!ok && !p->corrupted && !g->w->sc.boxes)
			sim_fail(g->w, "the peer's packet cannot be read: %s", s.bad);
		free(p);
		return;
	}
	ct = &g->ct[f->index];
	hook = s.flags & F_SYN ? ENGINE_IN_PLACE : ENGINE_STEAL;
	/* A refusal visits the daemon on the host's road. */
	if ((s.flags & F_RST) && ct->mark == ENGINE_MARK_NONE)
		hook = ENGINE_IN_PLACE;
	if (g->dead && ct->mark == ENGINE_MARK_CONVERTED) {
		free(p);
		return;
	}
	if (hook == ENGINE_IN_PLACE) {
		guest = flow_tuple_reverse(&f->tuple);
		gate_translate(p, &guest);
	}
	if (!g->e || g->dead ||
	    (ct->mark != ENGINE_MARK_CONVERTED && ct->mark != ENGINE_MARK_HALF &&
	     hook == ENGINE_STEAL) ||
	    gate_through(g, f, &f->check.sub[0], &p, ENGINE_NET, hook))
		gate_forward_to_guest(g, f, p);
	else
		free(p);
}
