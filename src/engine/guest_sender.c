/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_sender.c - see guest_sender.h.
 */
#include "engine/guest_sender.h"

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/kept.h"
#include "engine/multi.h"
#include "engine/spans.h"

#define RTO_FIRST_US 200000u
#define RTO_MIN_US 200000u /* above the round trip: guests delay acknowledgements */
#define RTO_MAX_US 8000000u
#define TRIES_MAX 118 /* a quarter of an hour, as long as Linux tries (RFC 9293 section 3.8.3) */
#define DUP_THRESHOLD 3
#define OUTS_SPARE 4          /* what is left of the output is for acknowledgements */
#define AHEAD_MIN_BYTES 8192u /* less is not worth the guest's time, nor a super-segment */
#define AHEAD_WINDOW_BYTES (1u << 20)
#define ENTRY_BYTES 16384u /* an initial window (RFC 6928), rounded up to a chunk */

static struct multi *multi_of(struct engine *e, const struct conn *c)
{
	return multi_at(e, c->multi);
}

static uint32_t mss_of(const struct conn *c)
{
	return c->guest_mss - (c->timestamps ? 12u : 0u);
}

static bool has_fin(const struct conn *c, uint32_t end)
{
	return c->peer_fin && end == c->peer_fin_seq;
}

void guest_sender_init(struct conn *c, struct multi *m)
{
	m->guest.sacked = m->guest.ahead = NONE;
	m->guest.out_seq = m->rx_nxt_seq;
	m->guest.fin_out = c->peer_fin;
}

/* Emits [seq, end), and FIN when it stands at `end`, but not ahead of its turn. How far it came. */
static uint32_t emit_range(struct step *st, struct conn *c, uint32_t seq, uint32_t end, bool ahead)
{
	struct multi *m = multi_of(st->e, c);
	struct options_writer w;
	struct headers h;
	uint32_t run;

	do {
		const uint8_t *payload = NULL;

		if (!emit_room(st, 1 + OUTS_SPARE))
			return seq;
		run = 0;
		if (seq != end)
			payload = kept_read(st->e, &m->rx, seq, end - seq, &run);
		multi_begin_guest(st, c, &h, &w);
		h.seq = seq;
		if (seq + run == end && !ahead)
			h.flags |= TCP_PSH;
		if (has_fin(c, seq + run) && !ahead)
			h.flags |= TCP_FIN;
		if (!emit_guest(st, c, &h, &w, payload, run,
				run ? REASON_DATA_TO_GUEST : REASON_FIN_TO_GUEST))
			return seq;
		seq += run;
		m->guest.fin_out |= has_fin(c, seq) && !ahead;
	} while (seq != end);
	return seq;
}

/* Moves *seq to the first below `end` that the list does not have; *to: where that ends. */
static bool gap(struct engine *e, uint32_t list, uint32_t *seq, uint32_t end, uint32_t *to)
{
	uint32_t from;

	while (seq_lt(*seq, end)) {
		if (!spans_above(e, list, *seq, &from, to))
			from = end;
		if (seq_lt(*seq, from)) {
			*to = seq_min(from, end);
			return true;
		}
		*seq = seq_min(*to, end);
	}
	return false;
}

void guest_sender_push(struct step *st, struct conn *c)
{
	struct multi *m = multi_of(st->e, c);
	struct guest_sender *g = &m->guest;
	uint32_t end = m->rx_nxt_seq, to;

	/* Below stands what was sent unkept. */
	if (g->out_seq == end && (g->fin_out || !has_fin(c, end)))
		return;
	/* A guest that did not show yet that it keeps what went ahead gets it once more. */
	while (gap(st->e, g->sacks ? g->ahead : NONE, &g->out_seq, end, &to)) {
		g->out_seq = emit_range(st, c, g->out_seq, to, false);
		if (g->out_seq != to)
			break;
	}
	if (g->out_seq == end && has_fin(c, end) && !g->fin_out)
		emit_range(st, c, end, end, false);
	if (g->rtt_at_us == 0 && g->out_seq == end) {
		g->rtt_at_us = st->tick->now_us;
		g->rtt_seq = end;
	}
	if (g->rto_at_us == 0)
		guest_sender_arm(st, c);
}

/* G5 */
static bool may_go_ahead(struct engine *e, const struct conn *c)
{
	const struct multi *m = multi_of(e, c);
	const struct guest_sender *g = &m->guest;

	/* What has a checksum may be thrown away here to make room (verify.h, V4). */
	if (!c->sack || c->checksum || g->forgets || g->recovery)
		return false;
	if (c->told_peer_edge_seq - c->acked_seq >= AHEAD_WINDOW_BYTES)
		return false;
	return (g->sacks || g->ahead == NONE) && g->out_seq == m->rx_nxt_seq &&
	       seq_le(m->rx_hand_seq, acked_data_seq(c));
}

bool guest_sender_ahead(struct step *st, struct conn *c, uint32_t seq)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	struct guest_sender *g = &m->guest;
	uint32_t begin, end, to;
	bool any = false;

	if (!may_go_ahead(e, c) || !spans_find(e, m->spans, seq, &begin, &end))
		return false;
	seq = begin;
	end = seq_min(end, c->told_peer_edge_seq);
	while (gap(e, g->ahead, &seq, end, &to) && to - seq >= AHEAD_MIN_BYTES) {
		begin = seq;
		seq = emit_range(st, c, begin, to, true);
		if (seq == begin)
			break;
		any = true;
		/* Not remembered it goes once more in its turn. */
		if (!spans_add(e, &g->ahead, begin, seq) || seq != to)
			break;
	}
	return any;
}

void guest_sender_arm(struct step *st, struct conn *c)
{
	struct guest_sender *g = &multi_of(st->e, c)->guest;
	uint64_t us = RTO_FIRST_US;

	if (g->srtt_us)
		us = g->srtt_us + (4 * g->rttvar_us > RTO_MIN_US ? 4 * g->rttvar_us : RTO_MIN_US);
	us <<= g->n_rto < 6 ? g->n_rto : 6;
	if (us > RTO_MAX_US)
		us = RTO_MAX_US;
	g->rto_at_us = c->acked_seq != c->sent_seq ? st->tick->now_us + us : 0;
}

/* RFC 6298 section 2; what was sent again is not timed (Karn). */
static void sample(struct guest_sender *g, uint32_t rtt_us)
{
	uint32_t off = g->srtt_us > rtt_us ? g->srtt_us - rtt_us : rtt_us - g->srtt_us;

	if (g->srtt_us == 0) {
		g->srtt_us = rtt_us ? rtt_us : 1;
		g->rttvar_us = rtt_us / 2;
		return;
	}
	g->rttvar_us += off / 4 - g->rttvar_us / 4;
	g->srtt_us += rtt_us / 8 - g->srtt_us / 8;
	if (g->srtt_us == 0)
		g->srtt_us = 1;
}

/* Bytes SACKed of what went in its turn, and the end of the last ones. */
static uint32_t sacked_bytes(struct engine *e, const struct guest_sender *g, uint32_t *last)
{
	uint32_t bytes = 0;

	for (uint32_t at = spans_begin(e, g->sacked); at != NONE; at = spans_next(e, at)) {
		const struct span *x = spans_at(e, at);

		if (seq_lt(g->out_seq, x->end))
			break;
		bytes += x->end - x->start;
		*last = x->end;
	}
	return bytes;
}

/* Where the holes end that may be filled now. */
static uint32_t limit(struct engine *e, const struct conn *c, const struct guest_sender *g)
{
	uint32_t last = c->acked_seq;

	if (g->loss || g->blind)
		return seq_min(g->recover_seq, g->out_seq);
	sacked_bytes(e, g, &last);
	return last;
}

/* Fills holes from rtx_seq on. */
static void fill(struct step *st, struct conn *c, uint32_t budget_bytes)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	struct guest_sender *g = &m->guest;
	uint32_t end = limit(e, c, g), stop, reached;

	/* G3 */
	if (seq_lt(c->acked_seq, m->rx.base_seq) || seq_lt(c->acked_seq, m->rx_hand_seq))
		return;
	g->rtt_at_us = 0;
	g->rtx_seq = seq_max(g->rtx_seq, c->acked_seq);
	while (budget_bytes > 0 && gap(e, g->sacked, &g->rtx_seq, end, &stop)) {
		if (stop - g->rtx_seq > budget_bytes)
			stop = g->rtx_seq + budget_bytes;
		budget_bytes -= stop - g->rtx_seq;
		reached = emit_range(st, c, g->rtx_seq, stop, false);
		g->rtx_seq = reached;
		if (reached != stop)
			return; /* the timer sees to it */
	}
	/* Nothing but the FIN is missing. */
	if (g->loss && has_fin(c, g->rtx_seq) && g->fin_out && c->acked_seq == c->peer_fin_seq)
		emit_range(st, c, g->rtx_seq, g->rtx_seq, false);
}

static void begin(struct conn *c, struct guest_sender *g, bool loss, bool blind)
{
	g->recovery = true;
	g->loss = loss;
	g->blind = blind;
	g->recover_seq = g->out_seq;
	g->rtx_seq = c->acked_seq;
}

/* A duplicate, with or without blocks: is something lost? */
static void duplicate(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct guest_sender *g = &multi_of(e, c)->guest;
	uint32_t mss = mss_of(c), last;

	if (g->n_dup < UINT8_MAX)
		g->n_dup++;
	if (g->recovery) {
		/* Blindly nothing more is known to be lost. */
		if (!g->blind)
			fill(st, c, 2 * mss);
		return;
	}
	if (g->n_dup < DUP_THRESHOLD && sacked_bytes(e, g, &last) <= DUP_THRESHOLD * mss)
		return;
	begin(c, g, false, g->sacked == NONE);
	fill(st, c, g->blind ? mss : ENTRY_BYTES);
}

/*
 * It acknowledges all that lay before something that went ahead, and not that: the guest has thrown
 * it away, as it may (RFC 2018 section 8), or lost it. To such a one nothing goes ahead any more.
 */
static void look_ahead(struct engine *e, struct conn *c, struct guest_sender *g)
{
	uint32_t from, to;

	spans_trim(e, &g->ahead, c->acked_seq);
	if (!g->sacks || !spans_find(e, g->ahead, c->acked_seq, &from, &to))
		return;
	g->forgets = true;
	spans_free(e, &g->ahead);
	spans_free(e, &g->sacked);
	begin(c, g, true, false);
}

static void advanced(struct step *st, struct conn *c, uint32_t bytes)
{
	struct engine *e = st->e;
	struct guest_sender *g = &multi_of(e, c)->guest;
	uint32_t most;

	spans_trim(e, &g->sacked, c->acked_seq);
	look_ahead(e, c, g);
	if (g->rtt_at_us && seq_le(g->rtt_seq, c->acked_seq)) {
		sample(g, (uint32_t)(st->tick->now_us - g->rtt_at_us));
		g->rtt_at_us = 0;
	}
	g->n_rto = g->n_dup = 0;
	if (g->recovery && seq_le(g->recover_seq, c->acked_seq))
		g->recovery = g->loss = g->blind = false;
	/* As in slow start. A guest that kept what came early acknowledges much at once. */
	most = g->blind ? 2 * mss_of(c) : ENTRY_BYTES;
	if (g->recovery)
		fill(st, c, (bytes < most ? bytes : most) + mss_of(c));
	guest_sender_arm(st, c);
}

/* True: something that was sent later than what is missing has come. */
static bool take_block(struct engine *e, const struct conn *c, struct guest_sender *g,
		       const struct sack_block *b)
{
	uint32_t from, to;
	bool ahead = spans_find(e, g->ahead, b->start, &from, &to) && seq_le(b->end, to);

	/* A block below says what came twice (RFC 2883). */
	if (!seq_lt(c->acked_seq, b->start) || !seq_lt(b->start, b->end) ||
	    !(ahead || seq_le(b->end, g->out_seq)))
		return false;
	g->sacks = true;
	return spans_add(e, &g->sacked, b->start, b->end) && !ahead;
}

void guest_sender_acked(struct step *st, struct conn *c, uint32_t old_acked_seq, bool window_moved)
{
	struct engine *e = st->e;
	struct guest_sender *g = &multi_of(e, c)->guest;
	bool news = false;

	for (unsigned i = 0; i < st->o.n_sack; i++)
		news |= take_block(e, c, g, &st->o.sack[i]);
	if (c->acked_seq != old_acked_seq)
		advanced(st, c, c->acked_seq - old_acked_seq);
	else if (c->acked_seq != c->sent_seq && st->p.ack == c->acked_seq &&
		 (news || (st->p.payload_bytes == 0 && !window_moved && !c->sack)))
		duplicate(st, c);
}

bool guest_sender_gone(const struct multi *m)
{
	return m->guest.n_rto > TRIES_MAX;
}

void guest_sender_timeout(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct guest_sender *g = &multi_of(e, c)->guest;

	guest_sender_push(st, c);
	if (g->rto_at_us == 0 || st->tick->now_us < g->rto_at_us)
		return;
	if (g->n_rto < UINT8_MAX)
		g->n_rto++;
	/* What it said to have it may have thrown away (RFC 2018 section 8). */
	spans_free(e, &g->sacked);
	begin(c, g, true, false);
	fill(st, c, mss_of(c));
	guest_sender_arm(st, c);
}

uint64_t guest_sender_deadline_us(const struct conn *c, const struct multi *m)
{
	/* Waits for room in the output. */
	if (m->guest.out_seq != m->rx_nxt_seq || (has_fin(c, m->rx_nxt_seq) && !m->guest.fin_out))
		return 1;
	return m->guest.rto_at_us;
}
