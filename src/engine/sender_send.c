/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sender_send.c - see sender.h: what may be sent now, and sending it.
 */
#include <assert.h>

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/kept.h"
#include "engine/multi.h"
#include "engine/scoreboard.h"
#include "engine/sender.h"

uint32_t sender_room(const struct subflow *s, const struct sender *x)
{
	uint32_t target = x->cc.cwnd_bytes;
	uint64_t allowed;

	if (!x->in_recovery)
		return target > x->in_flight_bytes ? target - x->in_flight_bytes : 0;
	/* PRR (RFC 6937): the fast retransmit at once, down to the target in proportion, up to it.
	 */
	if (x->prr_out_bytes == 0)
		allowed = s->mss;
	else if (x->in_flight_bytes > target)
		allowed = ((uint64_t)x->prr_delivered_bytes * target + x->prr_from_bytes - 1) /
			  x->prr_from_bytes;
	else
		allowed = (uint64_t)x->prr_delivered_bytes + s->mss;
	if (allowed <= x->prr_out_bytes)
		return 0;
	allowed -= x->prr_out_bytes;
	if (x->in_flight_bytes <= target && allowed > target - x->in_flight_bytes + s->mss)
		allowed = target - x->in_flight_bytes + s->mss;
	return (uint32_t)allowed;
}

/* In slow start an initial window at least: every path has taken one already. */
static uint32_t burst_bytes(const struct subflow *s, const struct sender *x)
{
	uint32_t bytes = congestion_burst_bytes(&x->cc, s->mss), initial;

	initial = congestion_slow_start(&x->cc) ? CC_INITIAL_SEGMENTS * s->mss : 0;
	return bytes > initial ? bytes : initial;
}

static uint64_t burst_us(const struct subflow *s, const struct sender *x)
{
	return burst_bytes(s, x) * 1000000ull / x->cc.pacing_bytes_per_s;
}

/*
 * Pacing is a bucket of one burst: pace_at_us is when all that was sent would have left at the
 * pace. So a flow that sends what each acknowledgement frees is never held, and one that may send
 * a window at once does it over the time that the window takes.
 */
uint32_t sender_pace_bytes(const struct step *st, const struct subflow *s, const struct sender *x)
{
	uint32_t burst = burst_bytes(s, x);
	uint64_t ahead;

	if (x->cc.pacing_bytes_per_s == 0 || x->pace_at_us <= st->tick->now_us)
		return burst;
	ahead = (x->pace_at_us - st->tick->now_us) * x->cc.pacing_bytes_per_s / 1000000;
	return ahead < burst ? burst - (uint32_t)ahead : 0;
}

uint64_t sender_pace_us(const struct subflow *s, const struct sender *x)
{
	uint64_t half;

	if (x->cc.pacing_bytes_per_s == 0 || x->pace_at_us == 0)
		return 0;
	/* Half a burst is worth waking up for. */
	half = burst_us(s, x) / 2;
	return x->pace_at_us > half ? x->pace_at_us - half : 0;
}

static void paced(struct step *st, struct sender *x, uint32_t bytes)
{
	if (x->cc.pacing_bytes_per_s == 0)
		return;
	if (x->pace_at_us < st->tick->now_us)
		x->pace_at_us = st->tick->now_us;
	x->pace_at_us += bytes * 1000000ull / x->cc.pacing_bytes_per_s;
}

/*
 * In slow start acknowledgements are the better clock: they come at the pace of the narrowest link,
 * and the window over the round trip says no more than how small the window still is. What one lets
 * go, and as much again, goes at once, as far as it is no burst.
 */
void sender_pace_acked(struct sender *x, uint32_t acked_bytes)
{
	uint64_t us;

	if (x->cc.pacing_bytes_per_s == 0 || !congestion_slow_start(&x->cc))
		return;
	us = 2 * acked_bytes * 1000000ull / x->cc.pacing_bytes_per_s;
	x->pace_at_us = x->pace_at_us > us ? x->pace_at_us - us : 0;
}

/* Notes that `t` left now: for RTT and rate samples, RACK, Eifel (RFC 3522). */
static void note_sent(struct step *st, const struct subflow *s, struct sender *x, struct txseg *t)
{
	uint64_t now_us = st->tick->now_us;

	if (t->n_sent > 0) {
		if (x->again_bytes == 0)
			x->again_tsval = emit_tsval(st, s);
		x->again_bytes += t->bytes;
	}
	if (t->n_sent < UINT8_MAX)
		t->n_sent++;
	if (x->in_flight_bytes == 0)
		x->first_sent_us = x->delivered_us = now_us;
	t->sent_us = now_us;
	t->prior_delivered_bytes = x->delivered_bytes;
	t->prior_delivered_us = x->delivered_us;
	t->first_sent_us = x->first_sent_us;
	t->app_limited = x->app_limited_bytes > x->delivered_bytes;
	x->in_flight_bytes += t->bytes;
	x->last_sent_us = now_us;
	if (x->in_recovery)
		x->prr_out_bytes += t->bytes;
	paced(st, x, t->bytes);
}

bool sender_transmit(struct step *st, struct conn *c, struct subflow *s, struct txseg *t)
{
	struct multi *m = multi_at(st->e, c->multi);
	uint32_t at = 0, run;

	if (!emit_room(st, 2 + t->bytes / KEPT_CHUNK_BYTES))
		return false;
	/* Mapped only now: what the guest had lost before the gate saw it. */
	if (c->checksum && t->map_csum == 0 && t->bytes == t->map_len_bytes)
		t->map_csum = multi_checksum(st->e, c, s, t);
	while (at < t->bytes) {
		const uint8_t *payload = kept_read(st->e, &m->tx, t->seq + at, t->bytes - at, &run);
		struct dss d = emit_data_ack(c);
		struct options_writer w;
		struct headers h;

		multi_begin_net(st, c, s, &h, &w);
		h.seq = t->ssn + at;
		h.flags = TCP_ACK | (at + run == t->bytes ? TCP_PSH : 0);
		/* Four octets of it are enough within a window, and eight are a half per cent. */
		d.has_map = true;
		d.dsn = dsn_of_guest(c, t->map_seq);
		d.ssn = t->map_ssn - s->iss;
		d.data_fin = t->map_fin;
		d.map_len = (uint16_t)(t->map_len_bytes + t->map_fin);
		d.has_csum = c->checksum;
		d.csum = t->map_csum;
		dss_encode(&w, &d);
		emit_net(st, c, s, &h, &w, payload, run, REASON_DATA_TO_NET);
		at += run;
	}
	multi_acked(s);
	note_sent(st, s, sender_at(st->e, s->sender), t);
	return true;
}

bool sender_send(struct step *st, struct conn *c, struct subflow *s, uint32_t seq, uint32_t bytes)
{
	struct sender *x = sender_at(st->e, s->sender);
	struct txseg *t;

	assert(bytes > 0 && bytes < UINT16_MAX);
	if (!emit_room(st, 2 + bytes / KEPT_CHUNK_BYTES))
		return false;
	sender_idle(st, s, x);
	t = scoreboard_add(st->e, x);
	if (!t)
		return false;
	t->ssn = t->map_ssn = s->snd_nxt;
	t->seq = t->map_seq = seq;
	t->bytes = bytes;
	t->map_len_bytes = (uint16_t)bytes;
	s->snd_nxt += bytes;
	sender_transmit(st, c, s, t);
	sender_arm(st, c, s, false);
	return true;
}

void sender_retransmit(struct step *st, struct conn *c, struct subflow *s)
{
	struct sender *x = sender_at(st->e, s->sender);
	const uint32_t mss = s->mss;
	struct txseg *t;

	assert(mss > 0);
	while ((t = scoreboard_first_lost(st->e, x)) != NULL) {
		uint32_t room = sender_room(s, x), pace = sender_pace_bytes(st, s, x);

		room = room < pace ? room : pace;
		/* One segment at least, or a timeout could starve. */
		if (room < mss && room < t->bytes && x->in_flight_bytes > 0)
			return;
		if (room < mss)
			room = mss;
		room -= room % mss;
		/*
		 * Without a record to cut it, it goes whole when nothing else is on its way: what
		 * holds the records may be waiting for it.
		 */
		if (t->bytes > room && !scoreboard_cut(st->e, x, t, room) && x->in_flight_bytes > 0)
			return;
		if (!sender_transmit(st, c, s, t))
			return;
		scoreboard_unlose(x, t);
		s->retransmits++;
		if (x->rto_at_us == 0)
			sender_arm(st, c, s, true);
	}
}
