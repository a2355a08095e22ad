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
#define OUTS_SPARE 4       /* what is left of the output is for acknowledgements */
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
	m->guest.sacked = NONE;
	m->guest.out_seq = m->rx_nxt_seq;
	m->guest.fin_out = c->peer_fin;
}

/* Emits [seq, end), and FIN when it stands at `end`. How far it came. */
static uint32_t emit_range(struct step *st, struct conn *c, uint32_t seq, uint32_t end)
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
		if (seq + run == end)
			h.flags |= TCP_PSH;
		if (has_fin(c, seq + run))
			h.flags |= TCP_FIN;
		if (!emit_guest(st, c, &h, &w, payload, run,
				run ? REASON_DATA_TO_GUEST : REASON_FIN_TO_GUEST))
			return seq;
		seq += run;
		m->guest.fin_out |= has_fin(c, seq);
	} while (seq != end);
	return seq;
}

void guest_sender_push(struct step *st, struct conn *c)
{
	struct multi *m = multi_of(st->e, c);
	struct guest_sender *g = &m->guest;
	uint32_t end = m->rx_nxt_seq;

	/* Below stands what was sent unkept. */
	if (g->out_seq == end && (g->fin_out || !has_fin(c, end)))
		return;
	g->out_seq = emit_range(st, c, g->out_seq, end);
	if (g->rtt_at_us == 0 && g->out_seq == end) {
		g->rtt_at_us = st->tick->now_us;
		g->rtt_seq = end;
	}
	if (g->rto_at_us == 0)
		guest_sender_arm(st, c);
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

/* Bytes SACKed, and the end of the last ones. */
static uint32_t sacked_bytes(struct engine *e, const struct guest_sender *g, uint32_t *last)
{
	uint32_t bytes = 0;

	for (uint32_t at = spans_begin(e, g->sacked); at != NONE; at = spans_next(e, at))
		bytes += spans_at(e, at)->end - spans_at(e, at)->start;
	spans_end(e, g->sacked, last);
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
	uint32_t end = limit(e, c, g), start, stop;

	/* G3 */
	if (seq_lt(c->acked_seq, m->rx.base_seq) || seq_lt(c->acked_seq, m->rx_hand_seq))
		return;
	g->rtt_at_us = 0;
	g->rtx_seq = seq_max(g->rtx_seq, c->acked_seq);
	while (budget_bytes > 0 && seq_lt(g->rtx_seq, end)) {
		if (!spans_above(e, g->sacked, g->rtx_seq, &start, &stop))
			start = stop = end;
		if (seq_le(start, g->rtx_seq)) {
			g->rtx_seq = stop;
			continue;
		}
		stop = seq_min(start, end);
		if (stop - g->rtx_seq > budget_bytes)
			stop = g->rtx_seq + budget_bytes;
		budget_bytes -= stop - g->rtx_seq;
		start = g->rtx_seq;
		g->rtx_seq = emit_range(st, c, start, stop);
		if (g->rtx_seq != stop)
			return; /* the timer sees to it */
	}
	/* Nothing but the FIN is missing. */
	if (g->loss && has_fin(c, g->rtx_seq) && g->fin_out && c->acked_seq == c->peer_fin_seq)
		emit_range(st, c, g->rtx_seq, g->rtx_seq);
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

static void advanced(struct step *st, struct conn *c, uint32_t bytes)
{
	struct engine *e = st->e;
	struct guest_sender *g = &multi_of(e, c)->guest;
	uint32_t most;

	spans_trim(e, &g->sacked, c->acked_seq);
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

void guest_sender_acked(struct step *st, struct conn *c, uint32_t old_acked_seq, bool window_moved)
{
	struct engine *e = st->e;
	struct guest_sender *g = &multi_of(e, c)->guest;
	bool news = false;

	for (unsigned i = 0; i < st->o.n_sack; i++) {
		const struct sack_block *b = &st->o.sack[i];

		/* A block below says what came twice (RFC 2883). */
		if (seq_lt(c->acked_seq, b->start) && seq_lt(b->start, b->end) &&
		    seq_le(b->end, g->out_seq))
			news |= spans_add(e, &g->sacked, b->start, b->end);
	}
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
