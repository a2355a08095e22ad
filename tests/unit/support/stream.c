/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.c - one stream over several model senders; see stream.h.
 */
#include "stream.h"

#include <stdlib.h>

#define MSS 1448U

struct bn_stream *stream_new(struct bottleneck *b, const char *scheduler, uint64_t bytes,
			     uint32_t window_bytes)
{
	struct bn_stream *s = calloc(1, sizeof(*s));

	if (!s || !scheduler_find(scheduler))
		abort();
	s->ops = scheduler_find(scheduler);
	s->last = -1;
	s->hold = 2;
	s->pieces = (uint32_t)((bytes + MSS - 1) / MSS);
	s->window_pieces = window_bytes / MSS;
	s->acked = calloc(s->pieces + 1, 1);
	if (!s->acked)
		abort();
	for (unsigned i = 0; i < b->n_flows; i++) {
		s->price_milli[i] = 1000;
		s->flow[s->n++] = b->flow[i];
		b->flow[i]->stream = s;
	}
	return s;
}

void stream_free(struct bn_stream *s)
{
	free(s->acked);
	free(s);
}

static unsigned index_of(const struct bn_stream *s, const struct bn_flow *f)
{
	unsigned i = 0;

	while (s->flow[i] != f)
		i++;
	return i;
}

void stream_acked(struct bn_stream *s, uint32_t piece)
{
	s->acked[piece] = 1;
	while (s->una < s->next && s->acked[s->una])
		s->una++;
}

void stream_lost(struct bn_stream *s, const struct bn_flow *f, uint32_t piece)
{
	unsigned i = index_of(s, f);

	if (!s->acked[piece])
		s->lost[i][s->lost_tail[i]++ % STREAM_LOST_MAX] = piece;
}

bool stream_pending(const struct bn_stream *s)
{
	if (s->next < s->pieces)
		return true;
	for (unsigned i = 0; i < s->n; i++)
		if (s->lost_head[i] != s->lost_tail[i])
			return true;
	return false;
}

static uint32_t burst_pieces(const struct bn_flow *f)
{
	return congestion_burst_bytes(&f->cc, MSS) / MSS;
}

static void repair(struct bottleneck *b, struct bn_stream *s, unsigned i)
{
	uint32_t sent = 0;

	while (sent < burst_pieces(s->flow[i]) && s->lost_head[i] != s->lost_tail[i] &&
	       bn_room(b, s->flow[i])) {
		uint32_t piece = s->lost[i][s->lost_head[i]++ % STREAM_LOST_MAX];

		if (s->acked[piece])
			continue;
		bn_send(b, s->flow[i], piece);
		s->repaired++;
		sent++;
	}
	bn_pace(b, s->flow[i], sent * MSS);
}

/*
 * The end of what the sender keeps, and so of what the guest has given: as a gate that keeps what
 * all paths carry in two of the longest RTTs (twice the sum of the windows stalls the fast path
 * whenever the slow one repairs a loss).
 */
static uint32_t bound(const struct bn_stream *s)
{
	uint64_t rate = 0, pieces;
	uint32_t rtt_us = 0;

	for (unsigned i = 0; i < s->n; i++) {
		const struct bn_flow *f = s->flow[i];

		if (!f->established)
			continue;
		rate += f->cc.cwnd_bytes * 1000000ULL / f->srtt_us;
		rtt_us = f->srtt_us > rtt_us ? f->srtt_us : rtt_us;
	}
	pieces = rate * rtt_us / 1000000 * s->hold / MSS;
	return s->una + (uint32_t)pieces;
}

static void describe(const struct bottleneck *b, const struct bn_stream *s, struct sched_input *in)
{
	uint32_t end = bound(s), edge = s->una + s->window_pieces;
	uint32_t given = end < s->pieces ? end : s->pieces;

	edge = edge < end ? edge : end;
	*in = (struct sched_input){.n = s->n, .last = s->last};
	in->unsent_bytes = given > s->next ? (uint64_t)(given - s->next) * MSS : 0;
	in->window_bytes = edge > s->next ? (edge - s->next) * MSS : 0;
	in->tail = given == s->pieces;
	for (unsigned i = 0; i < s->n; i++) {
		const struct bn_flow *f = s->flow[i];
		uint32_t flight = (f->tail - f->head) * MSS, room = bn_room(b, f);
		uint32_t free_bytes = f->cc.cwnd_bytes > flight ? f->cc.cwnd_bytes - flight : 0;

		room = room < burst_pieces(f) ? room : burst_pieces(f);
		in->s[i] = (struct sched_subflow){.usable = f->established && !f->backoff,
						  .slow_start = congestion_slow_start(&f->cc),
						  .backup = s->backup[i],
						  .srtt_us = f->srtt_us,
						  .rttvar_us = f->rttvar_us,
						  .cwnd_bytes = f->cc.cwnd_bytes,
						  .in_flight_bytes = flight,
						  .held_bytes = free_bytes - room * MSS,
						  .mss_bytes = MSS,
						  .price_milli = s->price_milli[i]};
		if (free_bytes - room * MSS < MSS) /* that is no pacing, but a fraction */
			in->s[i].held_bytes = 0;
	}
}

static void send_piece(struct bottleneck *b, struct bn_stream *s, unsigned i, uint32_t from,
		       uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		bn_send(b, s->flow[i], from + k);
	s->carried[i] += n;
	bn_pace(b, s->flow[i], n * MSS);
}

void stream_send(struct bottleneck *b, struct bn_stream *s)
{
	for (unsigned i = 0; i < s->n; i++)
		repair(b, s, i);
	for (;;) {
		struct sched_input in;
		struct sched_pick p;
		uint32_t n, from = s->next;

		describe(b, s, &in);
		p = s->ops->pick(&s->sched, &in);
		n = p.bytes / MSS;
		if (p.subflow < 0 || n == 0)
			break;
		s->next += n;
		s->last = p.subflow;
		send_piece(b, s, (unsigned)p.subflow, from, n);
		for (unsigned i = 0; i < s->n; i++)
			if (p.also_mask >> i & 1)
				send_piece(b, s, i, from, n);
	}
	for (unsigned i = 0; i < s->n; i++) {
		struct bn_flow *f = s->flow[i];

		if (bn_room(b, f)) /* it could have sent more */
			f->app_limited_until_bytes =
				f->delivered_bytes + (f->tail - f->head) * MSS + 1;
	}
}

uint64_t stream_run(struct bottleneck *b, struct bn_stream *s, uint64_t most_us)
{
	while (s->una < s->pieces && b->now_us < most_us)
		bn_run(b, b->now_us + 1000);
	return b->now_us;
}
