// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_check.c - see sim_check.h: reading along, verdicts, the handshake's replacements, events.
 */
#include "sim_check.h"

#include <inttypes.h>
#include <stdlib.h>

#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_icmp.h"

#define MPTCP_ROOM 28
#define CAPABLE_SYNS_MAX 2

/* ---- what the gate is told ---- */

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void in_syn(struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;

	check_fini(c);
	memset(c, 0, sizeof(*c));
	c->n_sub = 1;
	c->guest_isn = s->seq;
	c->guest_wscale = s->wscale;
	c->guest_mss = s->has_mss ? s->mss : s->tuple.family == FLOW_IPV4 ? 536 : 1220;
	c->ts = s->has_ts;
	c->sack = s->sack_permitted;
	c->guest_tsval = s->tsval;
}

static void in_syn_ack(struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;
	uint32_t token;

	if (c->converted && s->seq == c->peer_isn)
		c->peer_tsval = c->sub[0].peer_tsval = later_tsval(c->peer_tsval, s);
	if (c->converted || s->ack != c->guest_isn + 1)
		return;
	c->peer_isn = s->seq;
	c->ts &= s->has_ts;
	c->sack &= s->sack_permitted;
	c->peer_wscale = s->has_wscale ? s->wscale : 0;
	if (!s->has_wscale)
		c->guest_wscale = 0;
	c->peer_tsval = s->tsval;
	c->peer_edge = c->to_guest_edge = s->window;
	c->key_peer = s->mp.key[0];
	c->csum = f->w->sc.control.checksum || (s->mp.capable_flags & 0x80);
	key_derive(c->key_peer, &token, &c->idsn_peer);
	c->sub[0].iss = c->guest_isn;
	c->sub[0].irs = c->peer_isn;
	c->sub[0].max = 1;
	c->sub[0].ack = 1;
	c->sub[0].peer_tsval = s->tsval;
}

static void in_guest(struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;
	int64_t acked = (int32_t)(s->ack - c->peer_isn - 1);
	int64_t sent = (int32_t)(s->seq + s->len_bytes - c->guest_isn - 1);

	if (s->flags & F_RST) {
		c->guest_reset = true;
		return;
	}
	/* A straggler of the connection that had these ports before. */
	if (acked > (int64_t)flow_far(f).sent + 1 || sent > (int64_t)f->guest.app.written + 1)
		return;
	c->guest_acked = max64(c->guest_acked, acked);
	c->guest_edge = max64(c->guest_edge, acked + ((int64_t)s->window << c->guest_wscale));
	c->guest_sent = max64(c->guest_sent, sent);
	c->guest_fin |= !!(s->flags & F_FIN);
	c->guest_tsval = later_tsval(c->guest_tsval, s);
}

/* Says as much as a DSS: who sends it knows both keys. */
static bool good_add_addr(const struct check *c, const struct mp *m)
{
	uint8_t want[8];

	if (!m->add_addr || m->echo || !c->keys)
		return false;
	addr_hmac(c->key_peer, c->key_gate, m, want);
	return memcmp(want, m->addr_hmac, sizeof(want)) == 0;
}

static void in_net(struct flow *f, struct check_sub *b, const struct seg *s)
{
	struct check *c = &f->check;
	const struct mp *m = &s->mp;
	uint32_t from = s->seq - b->irs, end = from + s->len_bytes + !!(s->flags & F_FIN);
	uint8_t wscale = b == &c->sub[0] ? c->peer_wscale : b->peer_wscale;
	int64_t acked;

	if ((s->flags & F_RST) || m->fastclose) {
		c->peer_reset |= m->fastclose || !check_living(c, b);
		b->fin_came = b->rst_came = true;
		return;
	}
	if (b->state != CHECK_OPEN || (s->flags & F_SYN)) {
		check_join_in(f, b, s);
		if (b->state != CHECK_OPEN || (s->flags & F_SYN))
			return;
	}
	for (unsigned i = 0; i < m->n_removed; i++)
		check_removed_in(f, m->removed[i]);
	/* Overtaken by its REMOVE_ADDR, on another path: nobody can tell that it is older. */
	if (good_add_addr(c, m) && m->addr_id < 64)
		c->removed_ids &= ~(1ull << m->addr_id);
	if (end != from && from - 1 < 1u << 30)
		b->rx_full |= !stretches_add(&b->rx, STRETCHES_MAX, from, end);
	if (s->len_bytes)
		b->data_us = f->w->now_us;
	b->heard_us = f->w->now_us;
	b->fin_came |= !!(s->flags & F_FIN);
	b->peer_tsval = later_tsval(b->peer_tsval, s);
	if (b == &c->sub[0])
		c->peer_tsval = b->peer_tsval;
	c->confirmed |= (m->dss && m->has_ack) || good_add_addr(c, m);
	/* Without DATA_ACK the window counts at least from what was acknowledged before. */
	if (!m->dss || !m->has_ack)
		c->peer_edge = max64(c->peer_edge, c->peer_acked + ((int64_t)s->window << wscale));
	if (c->responder && !c->keys && m->capable && b == &c->sub[0])
		check_asked_keys(f, s);
	if (!c->keys || !m->dss || !m->has_ack)
		return;
	acked = (int64_t)(peer_expand(m->data_ack, m->ack64,
				      c->idsn_gate + 1 + (uint64_t)c->peer_acked) -
			  c->idsn_gate - 1);
	if (acked > c->guest_sent + c->guest_fin)
		return;
	c->peer_acked = max64(c->peer_acked, acked);
	c->peer_edge = max64(c->peer_edge, acked + ((int64_t)s->window << wscale));
}

void check_in(struct gate *g, struct flow *f, struct check_sub *b, const struct pkt *p,
	      enum engine_side from, enum engine_hook hook)
{
	struct seg s;

	(void)g;
	if (!seg_parse(&s, p->data, p->len_bytes) || !s.csum_ok)
		return;
	if (hook == ENGINE_IN_PLACE && from == ENGINE_GUEST && (s.flags & F_ACK)) {
		check_asked_answer(f, &s);
	} else if (hook == ENGINE_IN_PLACE && from == ENGINE_NET &&
		   (s.flags & (F_SYN | F_ACK)) == F_SYN) {
		check_asked_syn(f, &s);
	} else if (hook == ENGINE_IN_PLACE && from == ENGINE_GUEST) {
		if (s.seq != f->check.guest_isn || !f->check.guest_mss)
			in_syn(f, &s);
		f->check.guest_tsval = later_tsval(f->check.guest_tsval, &s);
	} else if (hook == ENGINE_IN_PLACE && (s.flags & F_SYN)) {
		in_syn_ack(f, &s);
	} else if (hook == ENGINE_IN_PLACE) {
		f->check.peer_reset |= s.ack == f->check.guest_isn + 1;
	} else if (from == ENGINE_GUEST) {
		in_guest(f, &s);
	} else {
		in_net(f, b, &s);
	}
}

/* ---- verdicts ---- */

/* The replacement is the packet with other MPTCP options, `room` less MSS, and nothing else. */
void check_replacement(struct sim *w, const struct seg *was, const struct seg *is, unsigned room)
{
	uint16_t mss = was->has_mss ? was->mss : was->tuple.family == FLOW_IPV4 ? 536 : 1220;

	if (is->bad || !is->csum_ok) {
		sim_fail(w, "I4: a replacement that cannot be read: %s",
			 is->bad ? is->bad : "checksum");
		return;
	}
	if (!flow_tuple_equal(&was->tuple, &is->tuple) || was->seq != is->seq ||
	    was->ack != is->ack || was->flags != is->flags || was->window != is->window)
		sim_fail(w, "I4: the handshake changed: %s", seg_text(is));
	if (was->has_wscale != is->has_wscale || was->wscale != is->wscale ||
	    was->sack_permitted != is->sack_permitted || was->has_ts != is->has_ts ||
	    was->tsval != is->tsval || was->tsecr != is->tsecr)
		sim_fail(w, "I4: an option of the handshake changed: %s", seg_text(is));
	if (room ? is->mss != mss - room : was->mss != is->mss)
		sim_fail(w, "I4: MSS %u became %u", was->mss, is->mss);
}

static void check_syn(struct gate *g, struct flow *f, const struct seg *was,
		      const struct engine_result *r)
{
	struct check *c = &f->check;
	struct seg is;
	const struct mp *m = &is.mp;

	seg_parse(&is, r->replacement, r->replacement_bytes);
	check_replacement(g->w, was, &is, 0);
	if (!m->capable || m->version != 1 || m->n_keys != 0 || m->n_options != 1 ||
	    m->capable_flags != (0x01 | (g->cfg.checksum ? 0x80 : 0)))
		sim_fail(g->w, "I4: MP_CAPABLE of the SYN is not as RFC 8684 section 3.1 has it");
	/* RFC 8684 section 3.1: a middlebox may swallow it. */
	if (!c->converted && !c->plain && !c->peer_reset && ++c->capable_syns > CAPABLE_SYNS_MAX)
		sim_fail(g->w, "I5: SYN %u with MP_CAPABLE, and none was answered",
			 c->capable_syns);
}

static void check_syn_ack(struct gate *g, struct flow *f, const struct seg *was,
			  const struct engine_result *r)
{
	bool converted = r->reason == REASON_SYNACK_CONVERTED;
	struct seg is;

	seg_parse(&is, r->replacement, r->replacement_bytes);
	check_replacement(g->w, was, &is, converted ? MPTCP_ROOM : 0);
	if (is.mp.n_options)
		sim_fail(g->w, "I4: the guest is shown an MPTCP option");
	f->check.converted |= converted;
}

static void check_drop(struct gate *g, struct flow *f, const struct check_sub *b,
		       const struct pkt *p, const struct engine_result *r)
{
	const struct scenario *sc = &g->w->sc;

	if (!sc->clean || f->check.closed || f->check.fallback || p->forged)
		return;
	/* The connection closes while a join of it is still under way. */
	if (r->reason == REASON_DROP_NO_SUBFLOW && f->check.n_sub > 1)
		return;
	/* It crossed with the RST by which the gate had ended the subflow. */
	if (r->reason == REASON_DROP_ORPHAN && b && b->state == CHECK_GONE)
		return;
	/* Refused by RST: more at once than are let in, or too late. */
	if (r->reason == REASON_JOIN_LIMIT || r->reason == REASON_JOIN_NOT_OPEN ||
	    r->reason == REASON_JOIN_WITHDRAWN || r->reason == REASON_JOIN_MEMORY)
		return;
	sim_fail(g->w, "a packet was dropped on clean links: %s",
		 reason_name((enum reason)r->reason));
}

void check_unclaimed(struct gate *g, const struct flow *f, uint8_t flags)
{
	const struct check *c = &f->check;

	if (c->converted && !c->fallback && !c->plain && !c->closed && !(flags & F_SYN))
		sim_fail(g->w, "I6: a segment of a converted connection is not claimed");
}

void check_verdict(struct gate *g, struct flow *f, const struct check_sub *b, const struct pkt *p,
		   enum engine_side from, enum engine_hook hook, const struct engine_result *r)
{
	struct check *c;
	struct seg s;

	sim_log(g->w, "  verdict %u %s", r->verdict, reason_name((enum reason)r->reason));
	if (r->reason == REASON_NONE || r->reason >= REASON_COUNT || r->verdict >= ENGINE_ASK)
		sim_fail(g->w, "a packet got verdict %u for reason %u", r->verdict, r->reason);
	if (!f)
		return;
	c = &f->check;
	c->checked++;
	if (r->verdict == ENGINE_REPLACE && hook != ENGINE_IN_PLACE &&
	    r->reason != REASON_THIRD_ACK_CONVERTED)
		sim_fail(g->w, "a stolen packet was to be replaced in place");
	if (r->verdict == ENGINE_DROP)
		check_drop(g, f, b, p, r);
	seg_head(&s, p->data, p->len_bytes);
	if (r->verdict != ENGINE_REPLACE)
		return;
	if (c->responder) {
		check_asked_replaced(g, f, &s, from, r);
		return;
	}
	if (from == ENGINE_GUEST && g->w->sc.control.policy && f->script->peer_port == 8000)
		sim_fail(g->w, "a connection that must stay plain is offered MPTCP");
	if (from == ENGINE_GUEST)
		check_syn(g, f, &s, r);
	else
		check_syn_ack(g, f, &s, r);
}

/* ---- what the engine emits ---- */

/* The subflow that a segment to the net is of; an MP_JOIN begins one. */
static struct check_sub *out_sub(struct gate *g, const struct engine_out *out, const struct seg *s,
				 struct flow **f)
{
	struct check_sub *b;

	*f = NULL;
	for (unsigned i = g->w->sc.n_flows; i-- > 0 && !*f;)
		if (g->ct[i].known && flow_tuple_equal(&g->ct[i].net, &s->tuple))
			*f = &g->flow[i];
	if (*f) {
		if (out->index != g->ct[(*f)->index].path)
			sim_fail(g->w, "I4: the first subflow on another path: %s", seg_text(s));
		return &(*f)->check.sub[0];
	}
	b = check_sub_find(g, &s->tuple, f);
	/* A port may be used again, after a join that was given up. */
	if ((s->flags & (F_SYN | F_ACK)) == F_SYN &&
	    (!b || b->state == CHECK_GONE || s->seq != b->iss))
		b = check_join_new(g, out, s, f);
	if (b && out->index != b->path)
		sim_fail(g->w, "I4: a subflow of path %u on path %u: %s", b->path, out->index,
			 seg_text(s));
	return b;
}

void check_out(struct gate *g, const struct engine_out *out, const struct pkt *p)
{
	struct check_sub *b = NULL;
	struct flow_tuple t;
	struct flow *f;
	struct seg s;
	unsigned unit;

	if (!seg_parse(&s, p->data, p->len_bytes)) {
		sim_fail(g->w, "I4: the engine emits what cannot be read: %s", s.bad);
		return;
	}
	if (!s.csum_ok)
		sim_fail(g->w, "I4: the engine emits a wrong checksum: %s", seg_text(&s));
	if (s.hdr_bytes != out->hdr_bytes || s.ip_bytes != out->ip_bytes)
		sim_fail(g->w, "the engine's header lengths are wrong: %s", seg_text(&s));
	if (out->reason == REASON_NONE || out->reason >= REASON_COUNT)
		sim_fail(g->w, "an emitted packet has no reason: %s", seg_text(&s));
	unit = out->payload_bytes < out->gso_size_bytes || !out->gso_size_bytes
		       ? out->payload_bytes
		       : out->gso_size_bytes;
	sim_log(g->w, "  emits to %s: %s", out->side == ENGINE_NET ? "net" : "guest", seg_text(&s));
	t = out->side == ENGINE_NET ? s.tuple : flow_tuple_reverse(&s.tuple);
	if (out->side == ENGINE_NET) {
		b = out_sub(g, out, &s, &f);
		if (unit + s.hdr_bytes > g->cfg.path[out->index].mtu_bytes)
			sim_fail(g->w, "I4: segments beyond the path's MTU: %s", seg_text(&s));
		/* Late words on a subflow that is forgotten are answered by RST. */
		if (!f && (s.flags & F_RST) &&
		    (gate_owns(g, &t) || t.src_port == g->flow[0].tuple.src_port))
			return;
	} else {
		f = flow_find(g, &t);
		if (f && unit + s.opt_bytes > f->check.guest_mss)
			sim_fail(g->w, "I4: segments beyond the guest's MSS: %s", seg_text(&s));
	}
	if (!f)
		sim_fail(g->w, "I4: a packet for no connection: %s", seg_text(&s));
	else if (out->side == ENGINE_NET)
		check_to_net(g, f, b, &s);
	else
		check_to_guest(g, f, &s);
}

void check_icmp(struct gate *g, const struct engine_out *out, const struct pkt *p)
{
	struct too_big m;
	struct flow *f;

	if (!too_big_parse(&m, p->data, p->len_bytes) || out->side != ENGINE_GUEST) {
		sim_fail(g->w, "I4: an ICMP error that no guest can read");
		return;
	}
	f = flow_find(g, &m.about);
	if (!f || !f->check.path_mtu || m.mtu_bytes > f->check.path_mtu - MPTCP_ROOM ||
	    (int32_t)(m.seq - f->check.guest_isn - 1) > f->check.guest_sent)
		sim_fail(g->w, "I4: an ICMP error with MTU %u about %u that no router sent",
			 m.mtu_bytes, m.seq);
}

/* ---- events, and the engine as a whole ---- */

/* What may end MPTCP on this connection, given what goes wrong in this run. */
static void check_fallback(struct gate *g, struct flow *f, const struct engine_event *ev)
{
	const struct scenario *sc = &g->w->sc;

	if (sc->boxes || sc->scarce || !f->script->peer_mptcp)
		return;
	if (ev->reason == REASON_PLAIN_POLICY) {
		if (!sc->control.policy || f->script->peer_port != 8000)
			sim_fail(g->w, "a connection is plain by a policy that does not name it");
		return;
	}
	/* The client's SYN came again without MP_CAPABLE, and the answer to one that had it is on
	 * its way.
	 */
	if (sc->lossy && f->check.responder && ev->reason == REASON_FALLBACK_THIRD_ACK)
		return;
	/* The third ACK was lost until the far gate had forgotten the handshake. */
	if (sc->lossy && sc->role == ROLE_BOTH && ev->reason == REASON_FALLBACK_SYNACK)
		return;
	if (sc->lossy &&
	    (ev->reason == REASON_FALLBACK_FIRST_ACK || ev->reason == REASON_PLAIN_SYN_RETRIES ||
	     ev->reason == REASON_PLAIN_BLACKHOLE || ev->reason == REASON_FALLBACK_FIRST_DATA))
		return;
	sim_fail(g->w, "I5: MPTCP was given up: %s", reason_name((enum reason)ev->reason));
}

void check_event(struct gate *g, const struct engine_event *ev)
{
	struct flow *f = flow_find(g, &ev->guest);

	sim_log(g->w, "  event %u %s", ev->kind, reason_name((enum reason)ev->reason));
	if (!f || ev->reason == REASON_NONE) {
		sim_fail(g->w, "event %u without a connection or reason", ev->kind);
		return;
	}
	switch (ev->kind) {
	case ENGINE_EVENT_PLAIN:
		f->check.plain = true;
		check_fallback(g, f, ev);
		break;
	case ENGINE_EVENT_FALLBACK:
		f->check.fallback = true;
		check_fallback(g, f, ev);
		break;
	case ENGINE_EVENT_CLOSED:
		if ((ev->reason == REASON_CLOSED_UNMAPPED ||
		     ev->reason == REASON_CLOSED_NO_FALLBACK) &&
		    !g->w->sc.breaks)
			sim_fail(g->w, "I5: a connection was reset: %s",
				 reason_name((enum reason)ev->reason));
		if (ev->reason == REASON_CLOSED_UNMAPPED || ev->reason == REASON_CLOSED_NO_FALLBACK)
			f->check.broken = true;
		if (ev->reason == REASON_CLOSED_FIN_TIMEOUT)
			f->check.gave_up = true;
		if (ev->reason == REASON_CLOSED_IDLE)
			f->check.idled = true;
		if (ev->reason != REASON_CLOSED_REUSED)
			f->check.closed = true;
		break;
	case ENGINE_EVENT_SUBFLOW:
		f->check.split |= ev->reason == REASON_SUBFLOW_SPLIT;
		f->check.multi |= ev->reason == REASON_JOIN_ESTABLISHED;
		f->check.own_clock |= ev->reason == REASON_SUBFLOW_LOST;
		break;
	default:
		break;
	}
}

void check_engine(struct gate *g)
{
	const char *timeless;

	/* What is wrong there stays wrong: in a long row of seeds it is found a little later. */
	if (++g->n_calls % g->w->audit_every)
		return;
	timeless = engine_audit_timers(g->e, g->w->now_us);
	if (!engine_audit(g->e))
		sim_fail(g->w, "I7: the audit of the engine's records failed");
	else if (timeless)
		sim_fail(g->w, "no timer runs for %s", timeless);
}

void check_fini(struct check *c)
{
	for (unsigned i = 0; i < c->n_sub; i++)
		free(c->sub[i].map);
}
