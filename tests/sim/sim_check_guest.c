// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_check_guest.c - every segment that the gate sends to a guest, held against what the peer
 * really said and really sent.
 */
#include <inttypes.h>

#include "sim_check.h"
#include "sim_flow.h"
#include "sim_gate.h"

static bool legal_reset(const struct check *c)
{
	return c->peer_reset || c->guest_reset || c->closed || c->plain;
}

/* I1, I2: acknowledgement and window are the peer's own. */
static void check_promises(struct gate *g, struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;
	int64_t ack = (int32_t)(s->ack - c->guest_isn - 1);
	int64_t edge = ack + ((int64_t)s->window << c->peer_wscale);
	const struct far far = flow_far(f);
	uint64_t granted = far.granted;
	int64_t honest = c->fallback ? (int64_t)far.received : c->peer_acked;

	/* Plain TCP through such a proxy is the proxy's responsibility, also its window. */
	if (c->fallback && f->w->sc.proxies)
		return;
	if (ack > honest)
		sim_fail(g->w,
			 "I1: the guest is told %" PRId64 ", the peer acknowledged %" PRId64 ": %s",
			 ack, honest, seg_text(s));
	if (ack < c->to_guest_ack)
		sim_fail(g->w,
			 "I4: the acknowledgement to the guest goes back from %" PRId64 ": %s",
			 c->to_guest_ack, seg_text(s));
	c->to_guest_ack = ack;
	if (c->closed)
		return;
	if (edge > (int64_t)granted && edge > c->peer_edge)
		sim_fail(g->w,
			 "I2: the guest is promised %" PRId64 ", the peer granted %" PRIu64 ": %s",
			 edge, granted, seg_text(s));
	if (!c->fallback && edge > c->peer_edge)
		sim_fail(g->w,
			 "I2: the guest is promised %" PRId64 ", granted were %" PRId64 ": %s",
			 edge, c->peer_edge, seg_text(s));
	if (edge + (1ll << c->peer_wscale) <= c->to_guest_edge)
		sim_fail(g->w,
			 "I2: window is taken back from the guest: %" PRId64 " after %" PRId64
			 ": %s",
			 edge, c->to_guest_edge, seg_text(s));
	if (edge > c->to_guest_edge)
		c->to_guest_edge = edge;
}

static void check_data(struct gate *g, struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;
	int64_t off = (int32_t)(s->seq - c->peer_isn - 1), end = off + s->len_bytes;
	const struct far far = flow_far(f);
	int64_t sent = (int64_t)far.sent;
	bool fin = s->flags & F_FIN;

	if (s->len_bytes == 0 && !fin) {
		/* What passed by a gate that was not there yet is not known to it. */
		if ((off < c->guest_acked - 1 && !c->unseen) || off > sent + 1)
			sim_fail(g->w,
				 "I4: an acknowledgement stands at %" PRId64 " (%" PRId64
				 " to %" PRId64 "): %s",
				 off, c->guest_acked, sent, seg_text(s));
		return;
	}
	if (off < 0 || end > sent) {
		if (!f->w->sc.alters || end > sent)
			sim_fail(g->w,
				 "I3: bytes %" PRId64 " to %" PRId64
				 " to the guest, sent were %" PRId64 ": %s",
				 off, end, sent, seg_text(s));
		return;
	}
	/* What the guest has already is discarded unread: a window probe of Linux is no old byte.
	 */
	if (end > c->guest_acked && !f->w->sc.alters &&
	    !stream_equal(f->key_to_guest, (uint64_t)off, s->payload, s->len_bytes))
		sim_fail(g->w, "I3: other bytes than the peer's go to the guest: %s", seg_text(s));
	if (fin && (end != (int64_t)f->script->peer_app.total_bytes || !far.closed))
		sim_fail(g->w, "I3: FIN to the guest at %" PRId64 ": %s", end, seg_text(s));
}

static void check_options(struct gate *g, struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;

	if (s->mp.n_options)
		sim_fail(g->w, "I4: the guest is shown an MPTCP option: %s", seg_text(s));
	if (s->has_mss || s->has_wscale || s->sack_permitted)
		sim_fail(g->w, "I4: an option of SYNs in mid-connection: %s", seg_text(s));
	if (s->has_ts != c->ts)
		sim_fail(g->w, "I4: timestamps were%s agreed on: %s", c->ts ? "" : " not",
			 seg_text(s));
	if (c->ts && (before(c->guest_tsval, s->tsecr) ||
		      (!c->own_clock && before(c->peer_tsval, s->tsval))))
		sim_fail(g->w, "I4: timestamps %u %u that nobody sent: %s", s->tsval, s->tsecr,
			 seg_text(s));
	/* With several subflows the gate has a clock of its own for the guest. */
	if (c->multi && c->ts && c->to_guest_told && before(s->tsval, c->to_guest_tsval))
		sim_fail(g->w, "I4: the guest's clock goes back, %u after %u: %s", s->tsval,
			 c->to_guest_tsval, seg_text(s));
	c->to_guest_tsval = c->to_guest_told ? later(c->to_guest_tsval, s->tsval) : s->tsval;
	c->to_guest_told = true;
	for (unsigned i = 0; i < s->n_sack; i++) {
		int64_t start = (int32_t)(s->sack[i].start - c->guest_isn - 1);
		int64_t end = (int32_t)(s->sack[i].end - c->guest_isn - 1);

		if (!c->sack || start < -1 || end <= start || end > c->guest_sent + 1)
			sim_fail(g->w,
				 "I4: a SACK block of %" PRId64 " to %" PRId64 " for the guest: %s",
				 start, end, seg_text(s));
	}
}

void check_to_guest(struct gate *g, struct flow *f, const struct seg *s)
{
	struct check *c = &f->check;
	int64_t off = (int32_t)(s->seq - c->peer_isn - 1);

	if (s->flags & F_RST) {
		if (!legal_reset(c))
			sim_fail(g->w, "I4: the guest is reset for no reason: %s", seg_text(s));
		else if (!c->closed && !c->guest_reset && off < c->guest_acked)
			sim_fail(g->w, "I4: a RST that the guest must ignore: %s", seg_text(s));
		return;
	}
	if (!(s->flags & F_ACK) || (s->flags & (F_SYN | F_URG))) {
		sim_fail(g->w, "I4: flags to the guest: %s", seg_text(s));
		return;
	}
	check_promises(g, f, s);
	check_data(g, f, s);
	check_options(g, f, s);
}
