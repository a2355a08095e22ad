// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_check_net.c - every segment that the gate sends on a subflow, as a strict firewall and a
 * strict MPTCP endpoint would judge it (RFC 8684 section 3, RFC 9293).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim_check.h"
#include "sim_flow.h"
#include "sim_gate.h"

#define SILENT_US 80000
#define UNHEARD_US 200000
#define TCPRST_RESOURCES 2

/* Index of the first mapping that ends behind `ssn`. */
static unsigned map_from(const struct check_sub *b, uint32_t ssn)
{
	unsigned low = 0, high = b->n_map;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (b->map[mid].ssn + b->map[mid].len <= ssn)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint16_t expected_csum(struct flow *f, const struct seen_map *m)
{
	static uint8_t buf[65536];

	stream_fill(f->key_to_peer, m->off, buf, m->len);
	return mp_checksum(f->check.idsn_gate + 1 + m->off, m->ssn, (uint16_t)(m->len + m->fin),
			   sum_add(0, buf, m->len));
}

static void map_add(struct gate *g, struct flow *f, struct check_sub *b, const struct seen_map *m,
		    unsigned at, const struct seg *s)
{
	struct check *c = &f->check;

	/*
	 * While there is one subflow the guest itself keeps to the window, or probes it by a byte,
	 * which the gate may have taken for data when a second one came.
	 */
	if (c->multi && (int64_t)(m->off + m->len) > c->peer_edge + (m->len == 1))
		sim_fail(g->w, "I2: data up to %" PRIu64 ", the peer granted %" PRId64 ": %s",
			 m->off + m->len, c->peer_edge, seg_text(s));
	if ((int64_t)(m->off + m->len) > c->guest_sent)
		sim_fail(g->w, "I4: a mapping up to %" PRIu64 ", the guest sent %" PRId64 ": %s",
			 m->off + m->len, c->guest_sent, seg_text(s));
	if (m->fin && (!c->guest_fin || m->off + m->len != f->script->guest_app.total_bytes))
		sim_fail(g->w, "I4: DATA_FIN at %" PRIu64 ": %s", m->off + m->len, seg_text(s));
	if (c->csum && !f->w->sc.alters && m->csum != expected_csum(f, m))
		sim_fail(g->w, "I4: DSS checksum %04x, computed %04x: %s", m->csum,
			 expected_csum(f, m), seg_text(s));
	if (b->n_map == b->cap_map) {
		b->cap_map = b->cap_map ? 2 * b->cap_map : 64;
		b->map = realloc(b->map, b->cap_map * sizeof(b->map[0]));
	}
	memmove(b->map + at + 1, b->map + at, (b->n_map - at) * sizeof(b->map[0]));
	b->map[at] = *m;
	b->n_map++;
}

/* A mapping is either one seen before, or one for bytes that had none: no ssn has two. */
static const struct seen_map *take_map(struct gate *g, struct flow *f, struct check_sub *b,
				       const struct seg *s, const struct seen_map *m)
{
	unsigned at = map_from(b, m->ssn);

	if (at < b->n_map && b->map[at].ssn < m->ssn + m->len) {
		const struct seen_map *x = &b->map[at];

		if (x->ssn != m->ssn || x->len != m->len || x->off != m->off || x->fin != m->fin ||
		    x->csum != m->csum)
			sim_fail(g->w,
				 "I4: mapping %u+%u (%" PRIu64 ") after %u+%u (%" PRIu64
				 ") for the same bytes: %s",
				 m->ssn, m->len, m->off, x->ssn, x->len, x->off, seg_text(s));
		return x;
	}
	map_add(g, f, b, m, at, s);
	return &b->map[at];
}

static void check_bare_fin(struct gate *g, struct flow *f, const struct seg *s, uint64_t off)
{
	const struct mp *m = &s->mp;

	if (m->ssn != 0 || s->len_bytes != 0)
		sim_fail(g->w, "I4: a bare DATA_FIN with SSN or data: %s", seg_text(s));
	if (!f->check.guest_fin || off != f->script->guest_app.total_bytes)
		sim_fail(g->w, "I4: DATA_FIN at %" PRIu64 ": %s", off, seg_text(s));
	if (f->check.csum && m->csum != mp_checksum(m->dsn, 0, 1, 0))
		sim_fail(g->w, "I4: checksum of a bare DATA_FIN: %s", seg_text(s));
}

/* The mapping of this segment; null (and complained about) when there is none. */
static const struct seen_map *segment_map(struct gate *g, struct flow *f, struct check_sub *b,
					  const struct seg *s)
{
	struct check *c = &f->check;
	const struct mp *m = &s->mp;
	struct seen_map x = {.csum = m->csum};

	if (m->capable && m->has_data_len) {
		x.ssn = 1;
		x.len = m->data_len;
		if (m->has_capable_csum != c->csum)
			sim_fail(g->w, "I4: MP_CAPABLE with data: checksum: %s", seg_text(s));
		return take_map(g, f, b, s, &x);
	}
	if (!m->dss || !m->has_map)
		return NULL;
	x.off = peer_expand(m->dsn, m->dsn64, c->idsn_gate + 1 + (uint64_t)c->peer_acked) -
		c->idsn_gate - 1;
	x.ssn = m->ssn;
	x.len = m->map_len - m->data_fin;
	x.fin = m->data_fin;
	if (m->has_csum != c->csum)
		sim_fail(g->w, "I4: DSS checksum present or absent against the handshake: %s",
			 seg_text(s));
	if (m->map_len == 0) { /* RFC 8684 section 3.7; from here on the peer judges */
		static struct seen_map infinite;

		if (!f->w->sc.boxes || m->data_fin || (c->csum && m->csum))
			sim_fail(g->w, "I4: an infinite mapping: %s", seg_text(s));
		infinite = x;
		infinite.len = s->seq - b->iss + s->len_bytes - x.ssn;
		return &infinite;
	}
	if (x.fin && x.len == 0) {
		check_bare_fin(g, f, s, x.off);
		return NULL;
	}
	return take_map(g, f, b, s, &x);
}

static void check_data(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	const struct seen_map *m = segment_map(g, f, b, s);
	bool own = b != &f->check.sub[0];
	uint32_t ssn = s->seq - b->iss;

	if (s->len_bytes == 0) {
		if (m)
			sim_fail(g->w, "I4: a mapping without data: %s", seg_text(s));
		if (!(s->flags & F_FIN) && (ssn > b->max || ssn + 1 < earlier(b->max, 1)))
			sim_fail(g->w, "I4: an acknowledgement at ssn %u of %u: %s", ssn, b->max,
				 seg_text(s));
		return;
	}
	if (!m) {
		sim_fail(g->w, "I4: data without a mapping: %s", seg_text(s));
		return;
	}
	if (ssn < m->ssn || ssn + s->len_bytes > m->ssn + m->len) {
		sim_fail(g->w, "I4: data outside of its mapping: %s", seg_text(s));
		return;
	}
	if (!f->w->sc.alters &&
	    !stream_equal(f->key_to_peer, m->off + (ssn - m->ssn), s->payload, s->len_bytes))
		sim_fail(g->w, "I3: other bytes than the guest's go to the net: %s", seg_text(s));
	if (ssn > b->max && (own || (!f->w->sc.lossy && !f->w->sc.scarce &&
				     engine_counter(g->e, REASON_DROP_OUTPUT_FULL) == 0)))
		sim_fail(g->w, "I4: a hole in the subflow, ssn %u behind %u: %s", ssn, b->max,
			 seg_text(s));
	if (b->fin && ssn + s->len_bytes > b->fin_at)
		sim_fail(g->w, "I4: data behind the subflow's FIN: %s", seg_text(s));
	if (b->max < ssn + s->len_bytes)
		b->max = ssn + s->len_bytes;
}

/*
 * What the guest's link lost before the hand-over stands in its place on the first subflow as soon
 * as that one's own recovery comes to it; the peer, which had it another way, ends with the FIN
 * only then.
 */
static bool fills_later(const struct flow *f, const struct check_sub *b)
{
	return b == &f->check.sub[0] && f->check.multi && f->w->sc.lossy;
}

/* The subflow's FIN: only when both DATA_FINs are acknowledged, and nothing may be missing. */
static void check_fin(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	struct check *c = &f->check;
	uint32_t at = s->seq + s->len_bytes - b->iss, whole = 1;

	if (b->fin) {
		if (at != b->fin_at)
			sim_fail(g->w, "I4: FIN at %u, earlier at %u: %s", at, b->fin_at,
				 seg_text(s));
		return;
	}
	if (c->peer_acked != (int64_t)f->script->guest_app.total_bytes + 1 ||
	    c->guest_acked != (int64_t)f->script->peer_app.total_bytes + 1)
		sim_fail(g->w, "I4: FIN on the subflow while the connection is open: %s",
			 seg_text(s));
	for (unsigned i = 0; i < b->n_map; i++) {
		if (b->map[i].ssn != whole && !fills_later(f, b))
			sim_fail(g->w, "I4: ssn %u was never sent: %s", whole, seg_text(s));
		whole = b->map[i].ssn + b->map[i].len;
	}
	if (at != b->max || at != whole)
		sim_fail(g->w, "I4: FIN at %u of %u: %s", at, b->max, seg_text(s));
	b->fin = true;
	b->fin_at = at;
	b->max = at + 1;
}

/* I1, I2 towards the peer; and the subflow's own acknowledgement. */
static void check_promises(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	struct check *c = &f->check;
	const struct mp *m = &s->mp;
	uint32_t ack = s->ack - b->irs;
	int64_t acked = c->to_net_ack, edge;

	if (m->dss && m->has_ack)
		acked = (int64_t)(peer_expand(m->data_ack, m->ack64,
					      c->idsn_peer + 1 + (uint64_t)c->guest_acked) -
				  c->idsn_peer - 1);
	else if (!m->capable && !m->fail && !m->fastclose && !m->add_addr && !m->n_removed &&
		 !m->prio)
		sim_fail(g->w, "I4: a segment with no DATA_ACK: %s", seg_text(s));
	if (acked > c->guest_acked)
		sim_fail(g->w, "I1: DATA_ACK %" PRId64 ", the guest acknowledged %" PRId64 ": %s",
			 acked, c->guest_acked, seg_text(s));
	if (acked < c->to_net_ack)
		sim_fail(g->w, "I4: DATA_ACK goes back from %" PRId64 ": %s", c->to_net_ack,
			 seg_text(s));
	c->to_net_ack = acked;
	if (ack > check_sub_next(b))
		sim_fail(g->w, "I4: acknowledged %u on the subflow, came only %u: %s", ack,
			 check_sub_next(b), seg_text(s));
	if (before(ack, b->ack))
		sim_fail(g->w, "I4: the subflow's acknowledgement goes back from %u: %s", b->ack,
			 seg_text(s));
	b->ack = ack;
	edge = acked + ((int64_t)s->window << c->guest_wscale);
	if (edge > c->guest_edge)
		sim_fail(g->w, "I2: the peer is promised %" PRId64 ", granted were %" PRId64 ": %s",
			 edge, c->guest_edge, seg_text(s));
	/* Without DATA_ACK the peer counts from one that it has, and its edge stays
	 * (section 3.3.5). */
	if (!(m->dss && m->has_ack))
		edge += c->guest_acked - acked;
	if (edge + (1ll << c->guest_wscale) <= c->to_net_edge)
		sim_fail(g->w,
			 "I2: window is taken back from the peer: %" PRId64 " after %" PRId64
			 ": %s",
			 edge, c->to_net_edge, seg_text(s));
	if (m->dss && m->has_ack && edge > c->to_net_edge)
		c->to_net_edge = edge;
}

/* The gate's own clock on a subflow, or the guest's, which has passed through. */
static void check_timestamps(struct gate *g, struct check *c, struct check_sub *b,
			     const struct seg *s)
{
	bool own = b != &c->sub[0];

	if (s->has_ts != (own ? b->ts : c->ts))
		sim_fail(g->w, "I4: timestamps were%s agreed on: %s", s->has_ts ? " not" : "",
			 seg_text(s));
	if (!s->has_ts)
		return;
	if (before(b->peer_tsval, s->tsecr) || (!c->own_clock && before(c->guest_tsval, s->tsval)))
		sim_fail(g->w, "I4: timestamps %u %u that nobody sent: %s", s->tsval, s->tsecr,
			 seg_text(s));
	if (c->multi && b->told && before(s->tsval, b->tsval))
		sim_fail(g->w, "I4: the subflow's clock goes back, %u after %u: %s", s->tsval,
			 b->tsval, seg_text(s));
	b->tsval = b->told ? later(b->tsval, s->tsval) : s->tsval;
	b->told = true;
}

static void check_options(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	struct check *c = &f->check;
	bool sack = b == &c->sub[0] ? c->sack : b->sack;

	if (s->has_mss || s->has_wscale || s->sack_permitted)
		sim_fail(g->w, "I4: an option of SYNs in mid-connection: %s", seg_text(s));
	check_timestamps(g, c, b, s);
	for (unsigned i = 0; i < s->n_sack; i++) {
		uint32_t start = s->sack[i].start - b->irs, end = s->sack[i].end - b->irs;

		if (!sack || end <= start || (!b->rx_full && !stretches_hold(&b->rx, start, end)))
			sim_fail(g->w, "I4: a SACK block %u to %u that never came: %s", start, end,
				 seg_text(s));
	}
}

/* MP_CAPABLE with both keys, until the peer's first DSS (RFC 8684 section 3.1). */
static void check_capable(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	struct check *c = &f->check;
	const struct mp *m = &s->mp;
	bool first = s->seq == b->iss + 1;
	uint32_t token;

	if (c->responder) {
		if (m->capable)
			sim_fail(g->w, "I4: MP_CAPABLE behind the SYN/ACK: %s", seg_text(s));
		return;
	}
	if (!m->capable && !c->keys) {
		sim_fail(g->w, "I4: a segment before the third ACK with its keys: %s", seg_text(s));
		return;
	}
	if (!m->capable) {
		/* It may stand beside a DATA_FIN, on a segment of its own. */
		if (first && !c->confirmed && !(m->has_map && m->data_fin && m->map_len == 1))
			sim_fail(g->w, "I4: MP_CAPABLE is not repeated: %s", seg_text(s));
		return;
	}
	if (!c->keys) {
		c->keys = true;
		c->key_gate = m->key[0];
		key_derive(c->key_gate, &token, &c->idsn_gate);
	}
	/* Segments cut from the first mapping carry it too, as segmentation in the kernel has it.
	 */
	if (m->has_data_len)
		first = s->seq - b->iss - 1 < m->data_len;
	if (!first || m->version != 1 || m->n_keys != 2 || m->key[0] != c->key_gate ||
	    m->key[1] != c->key_peer || m->capable_flags != (0x01 | (c->csum ? 0x80 : 0)) ||
	    m->has_data_len != (s->len_bytes > 0))
		sim_fail(g->w, "I4: MP_CAPABLE of the third ACK: %s", seg_text(s));
}

/* So many subflows carry data as there are records for. */
static bool senders_used_up(const struct gate *g)
{
	struct engine_pool_info x;

	for (unsigned i = 0; engine_pool_info(g->e, i, &x); i++)
		if (strcmp(x.name, "senders") == 0)
			return x.used == x.max;
	return false;
}

static void check_rst(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	struct check *c = &f->check;

	if (c->closed || c->peer_reset || !c->converted || c->fallback)
		return; /* an answer to what came too late */
	/* A subflow may end while others live; by itself that is no end of the connection. */
	if (c->n_sub > 1 && !s->mp.fastclose) {
		/* One that fell silent may be given up for what it carries. */
		bool silent = s->mp.tcprst && b->data_us && g->w->now_us - b->data_us >= SILENT_US;
		/* One that does not answer gives its place to a join. */
		bool unheard = s->mp.tcprst && g->w->now_us - b->heard_us >= UNHEARD_US;
		/* No memory for a sender of its own. */
		bool memory = s->mp.tcprst_reason == TCPRST_RESOURCES &&
			      (g->w->sc.scarce || senders_used_up(g));

		if (b->state == CHECK_OPEN && !g->w->sc.breaks_subflows && !silent && !unheard &&
		    !memory && !b->removed && !b->rst_came && !c->split)
			sim_fail(g->w, "I5: a subflow is reset for no reason: %s", seg_text(s));
		b->state = CHECK_GONE;
		return;
	}
	if (!c->guest_reset)
		sim_fail(g->w, "I4: the peer is reset for no reason: %s", seg_text(s));
	if (!s->mp.fastclose || s->mp.fastclose_key != c->key_peer)
		sim_fail(g->w, "I4: a guest's RST without a good MP_FASTCLOSE: %s", seg_text(s));
	if (s->seq - b->iss != b->max)
		sim_fail(g->w, "I4: a RST at %u of %u: %s", s->seq - b->iss, b->max, seg_text(s));
}

void check_to_net(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s)
{
	struct check *c = &f->check;

	if (s->flags & F_RST) {
		check_rst(g, f, b, s);
		return;
	}
	if (b->passive && b->state != CHECK_GONE) {
		if (!check_asked_out(g, f, b, s))
			return;
	} else if (b->state != CHECK_OPEN || s->mp.join) {
		check_join_out(g, f, b, s);
		return;
	}
	if (!(s->flags & F_ACK) || (s->flags & (F_SYN | F_URG))) {
		sim_fail(g->w, "I4: flags to the net: %s", seg_text(s));
		return;
	}
	if (c->fallback) {
		if (s->mp.n_options && !s->mp.fail)
			sim_fail(g->w, "I4: MPTCP after the fallback: %s", seg_text(s));
		return;
	}
	if (b == &c->sub[0])
		check_capable(g, f, b, s);
	if (g->w->failed)
		return;
	check_promises(g, f, b, s);
	check_removed_out(g, f, b, s);
	check_data(g, f, b, s);
	check_options(g, f, b, s);
	if (s->flags & F_FIN)
		check_fin(g, f, b, s);
}
