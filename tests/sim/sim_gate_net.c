// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_gate_net.c - what comes from the net: as rules, connection tracking and NAT treat it before
 * the engine sees it.
 */
#include <stdlib.h>

#include "app/claimed.h"
#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_icmp.h"
#include "sim_link.h"

/* An ICMP error of a router on the path: to the daemon if it is about what is claimed. */
static void gate_icmp(struct gate *g, unsigned path, const struct too_big *m, struct pkt *p)
{
	struct flow *f = gate_flow_of_net(g, &m->about), *of = f;
	struct visit v = {.from = ENGINE_NET, .hook = ENGINE_STEAL, .path = path};
	struct too_big out = *m;
	bool on = true;

	if (!of)
		check_sub_find(g, &m->about, &of);
	v.mark = g->e && !g->dead ? claimed_too_big(g->claimed, &m->about) : 0;
	if (v.mark) {
		if (of)
			of->check.path_mtu = m->mtu_bytes;
		v.f = of;
		on = gate_visit(g, &v, &p);
	}
	free(p);
	if (!f || !on)
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
 * Nobody's: the host's own stack answers for its own addresses (RFC 9293 section 3.10.7.1), whether
 * there is a daemon or not.
 */
static void host_answers(struct gate *g, unsigned path, const struct seg *s)
{
	struct ip_addr addr = gate_path_addr(g, path);
	struct seg rst = seg_refusal(s);

	if ((s->flags & F_RST) || !s->csum_ok || !ip_addr_equal(&addr, &s->tuple.dst))
		return;
	sim_log(g->w, "  the host itself resets: %s", seg_text(&rst));
	link_send(gate_link(g, path), seg_build(&rst));
}

/* A SYN with an MPTCP option that no socket of the host wants is shown to the daemon once more. */
static void nobodys(struct gate *g, unsigned path, struct pkt *p)
{
	struct visit v = {.from = ENGINE_NET, .hook = ENGINE_UNWANTED, .path = path};
	struct claimed_segment x;
	struct seg s;

	gate_look(&x, p, ENGINE_NET);
	if (!g->e || g->dead || (x.flags & (F_SYN | F_ACK)) != F_SYN || !x.mptcp ||
	    gate_visit(g, &v, &p)) {
		seg_parse(&s, p->data, p->len_bytes);
		host_answers(g, path, &s);
	}
	free(p);
}

/*
 * Before routing, by the mark of the program at ingress; true: it goes on. A SYN with MP_CAPABLE is
 * met here too, but means nothing yet.
 */
static bool stolen(struct gate *g, struct visit *v, const struct flow_tuple *gate_first,
		   struct pkt **p)
{
	struct flow *of = v->f;
	struct seg s;

	seg_head(&s, (*p)->data, (*p)->len_bytes);
	if (s.flags & F_SYN)
		seg_parse(&s, (*p)->data, (*p)->len_bytes);
	v->hook = ENGINE_STEAL;
	v->b = of ? &of->check.sub[0] : NULL;
	if (!of && (s.mp.join || !(s.flags & F_SYN) || (s.flags & F_ACK)))
		v->b = check_join_asked(g, gate_first, v->path, &s, &of);
	v->f = (s.flags & (F_SYN | F_ACK)) == F_SYN && !s.mp.join ? NULL : of;
	return gate_visit(g, v, p);
}

/* Through the host's rules before routing; false: it goes no further. */
static bool ingress(struct gate *g, unsigned path, struct flow *f, struct pkt **p)
{
	struct visit v = {.f = f, .from = ENGINE_NET, .path = path};
	struct claimed_segment x;
	struct flow_tuple gate_first;

	if (!g->e)
		return true;
	gate_look(&x, *p, ENGINE_NET);
	v.mark = claimed_ingress(g->claimed, &x);
	if (!v.mark && f)
		check_unclaimed(g, f, x.flags);
	if (g->dead && f)
		f->check.unseen |= v.mark != STEER_CONVERTED;
	if (g->dead)
		return v.mark != STEER_CONVERTED;
	gate_first = flow_tuple_reverse(&x.tuple);
	return !claimed_stolen(v.mark, true, x.mptcp) || stolen(g, &v, &gate_first, p);
}

void gate_from_net(struct gate *g, unsigned path, struct pkt *p)
{
	struct flow_tuple reverse, guest;
	struct claimed_segment x;
	struct visit v = {.from = ENGINE_NET, .hook = ENGINE_IN_PLACE, .path = path};
	struct too_big icmp;
	struct flow *f;
	struct seg s;
	bool ok = seg_head(&s, p->data, p->len_bytes);

	if (too_big_parse(&icmp, p->data, p->len_bytes)) {
		gate_icmp(g, path, &icmp, p);
		return;
	}
	if (!ok && !p->corrupted && !g->w->sc.boxes)
		sim_fail(g->w, "the peer's packet cannot be read: %s", s.bad);
	reverse = flow_tuple_reverse(&s.tuple);
	if (!s.hdr_bytes || (!g->w->ideal && g->w->sc.multi && !gate_is_here(g, path, &reverse))) {
		free(p);
		return;
	}
	f = gate_flow_of_net(g, &reverse);
	if (!ingress(g, path, f, &p)) {
		free(p);
		return;
	}
	if (!f && ok && (s.flags & (F_SYN | F_ACK)) == F_SYN)
		f = asked(g, path, &s);
	if (!f) {
		nobodys(g, path, p);
		return;
	}
	gate_look(&x, p, ENGINE_NET);
	guest = flow_tuple_reverse(&f->tuple);
	v.f = f;
	if (g->e && !g->dead && claimed_forwarded(&x)) {
		gate_translate(p, &guest);
		if (!gate_visit(g, &v, &p)) {
			free(p);
			return;
		}
	}
	gate_forward_to_guest(g, f, p);
}
