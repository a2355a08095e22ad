/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scoreboard.c - see scoreboard.h.
 */
#include "engine/scoreboard.h"

#include "base/seq.h"

#define MIN_REO_US 1000
#define DUP_THRESHOLD_SEGMENTS 3
#define SEGMENT_BYTES 1400

static uint32_t index_of(struct engine *e, const struct txseg *t)
{
	return (uint32_t)(((const char *)t - (const char *)txseg_at(e, 0)) / sizeof(*t));
}

static bool in_flight(const struct txseg *t)
{
	return !t->sacked && !t->lost;
}

struct txseg *scoreboard_add(struct engine *e, struct sender *x)
{
	uint32_t i = pool_new(&e->txsegs, e);
	struct txseg *t;

	if (i == NONE)
		return NULL;
	t = txseg_at(e, i);
	memset(t, 0, sizeof(*t));
	t->next = NONE;
	if (x->tail == NONE)
		x->head = i;
	else
		txseg_at(e, x->tail)->next = i;
	x->tail = i;
	return t;
}

/* Marks a segment lost that was in flight. What only the guest has waits for the guest. */
static void lose(struct sender *x, struct txseg *t)
{
	t->lost = true;
	x->in_flight_bytes -= t->bytes;
	if (!t->foreign)
		x->lost_bytes += t->bytes;
}

void scoreboard_unlose(struct sender *x, struct txseg *t)
{
	if (!t->lost)
		return;
	t->lost = false;
	if (!t->foreign)
		x->lost_bytes -= t->bytes;
}

bool scoreboard_cut(struct engine *e, struct sender *x, struct txseg *t, uint32_t bytes)
{
	uint32_t i = pool_new(&e->txsegs, e);
	struct txseg *rest;

	if (i == NONE)
		return false;
	rest = txseg_at(e, i);
	*rest = *t;
	rest->ssn += bytes;
	rest->seq += bytes;
	rest->bytes -= bytes;
	t->bytes = bytes;
	t->next = i;
	if (x->tail == index_of(e, t))
		x->tail = i;
	return true;
}

/* The segment has arrived (acknowledged or SACKed for the first time). */
static void delivered(struct sender *x, struct txseg *t, uint64_t now_us,
		      struct scoreboard_news *news)
{
	uint32_t rtt_us = (uint32_t)(now_us - t->sent_us);

	if (in_flight(t))
		x->in_flight_bytes -= t->bytes;
	scoreboard_unlose(x, t);
	news->acked_bytes += t->bytes;
	x->delivered_bytes += t->bytes;
	x->delivered_us = now_us;
	news->again |= t->n_sent > 1;
	/* A segment sent twice whose answer is too quick was answered the first time. */
	if (t->n_sent > 1 && rtt_us < x->min_rtt_us)
		return;
	if (!t->foreign && t->n_sent == 1)
		news->rtt_us = rtt_us ? rtt_us : 1;
	if (t->sent_us > x->rack_sent_us ||
	    (t->sent_us == x->rack_sent_us && seq_lt(x->rack_end_ssn, t->ssn + t->bytes))) {
		x->rack_sent_us = t->sent_us;
		x->rack_end_ssn = t->ssn + t->bytes;
		x->rack_rtt_us = rtt_us ? rtt_us : 1;
	} else if (t->n_sent == 1 && seq_lt(t->ssn + t->bytes, x->rack_end_ssn)) {
		x->reordering = true;
	}
	if (t->prior_delivered_bytes >= news->prior_delivered_bytes) {
		news->prior_delivered_bytes = t->prior_delivered_bytes;
		news->prior_delivered_us = t->prior_delivered_us;
		news->first_sent_us = t->first_sent_us;
		news->sent_us = t->sent_us;
		news->app_limited = t->app_limited;
	}
}

void scoreboard_ack(struct engine *e, struct sender *x, uint32_t ack, uint64_t now_us,
		    struct scoreboard_news *news)
{
	while (x->head != NONE) {
		struct txseg *t = txseg_at(e, x->head);
		uint32_t i = x->head;

		if (seq_le(ack, t->ssn))
			return;
		if (seq_lt(ack, t->ssn + t->bytes) && !scoreboard_cut(e, x, t, ack - t->ssn))
			return;
		if (t->sacked)
			x->dup_bytes -= t->bytes;
		else
			delivered(x, t, now_us, news);
		x->head = t->next;
		if (x->head == NONE)
			x->tail = NONE;
		pool_free(&e->txsegs, e, i);
	}
}

void scoreboard_sack(struct engine *e, struct sender *x, const struct sack_block *b, unsigned n,
		     uint64_t now_us, struct scoreboard_news *news)
{
	for (uint32_t i = x->head; i != NONE && n > 0; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);

		for (unsigned k = 0; k < n && !t->sacked; k++) {
			uint32_t end = t->ssn + t->bytes;

			if (seq_le(b[k].end, t->ssn) || seq_le(end, b[k].start))
				continue;
			if (seq_lt(t->ssn, b[k].start)) {
				/* The rest comes next in the list. */
				scoreboard_cut(e, x, t, b[k].start - t->ssn);
				break;
			}
			if (seq_lt(b[k].end, end) && !scoreboard_cut(e, x, t, b[k].end - t->ssn))
				break;
			delivered(x, t, now_us, news);
			t->sacked = true;
			x->dup_bytes += t->bytes;
			news->any_sacked = true;
		}
	}
}

static uint32_t reordering_window_us(const struct sender *x)
{
	uint32_t us = x->min_rtt_us / 4;

	/* Without reordering seen, three segments' worth of SACKs is proof enough (section 6.2). */
	if (!x->reordering &&
	    (x->in_recovery || x->dup_bytes >= DUP_THRESHOLD_SEGMENTS * SEGMENT_BYTES))
		return 0;
	if (us < MIN_REO_US)
		us = MIN_REO_US;
	return us < x->srtt_us || x->srtt_us == 0 ? us : x->srtt_us;
}

uint64_t scoreboard_detect(struct engine *e, struct sender *x, uint64_t now_us,
			   struct scoreboard_news *news)
{
	uint32_t wait_us = x->rack_rtt_us + reordering_window_us(x);
	uint64_t next_us = 0;

	if (x->rack_sent_us == 0)
		return 0;
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);
		bool before = t->sent_us < x->rack_sent_us ||
			      (t->sent_us == x->rack_sent_us &&
			       seq_lt(t->ssn + t->bytes, x->rack_end_ssn));

		if (t->sacked || t->lost || !before)
			continue;
		if (t->sent_us + wait_us <= now_us) {
			lose(x, t);
			news->lost_bytes += t->bytes;
		} else if (next_us == 0 || t->sent_us + wait_us < next_us) {
			next_us = t->sent_us + wait_us;
		}
	}
	return next_us;
}

/*
 * The timer fired: nothing counts as in flight any more. RFC 2018 section 5.1: what stands first
 * goes again although it was SACKed; who SACKed that and does not acknowledge it has thrown it
 * away, and maybe the rest as well.
 */
void scoreboard_lose_all(struct engine *e, struct sender *x)
{
	bool reneged = x->head != NONE && txseg_at(e, x->head)->sacked;

	for (uint32_t i = x->head; i != NONE && reneged; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);

		if (!t->sacked)
			continue;
		t->sacked = false;
		x->dup_bytes -= t->bytes;
		x->in_flight_bytes += t->bytes;
	}
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);

		if (in_flight(t))
			lose(x, t);
	}
}

void scoreboard_lose_larger(struct engine *e, struct sender *x, uint32_t bytes)
{
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);

		if (in_flight(t) && t->bytes > bytes)
			lose(x, t);
	}
}

void scoreboard_undo(struct engine *e, struct sender *x)
{
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);

		if (!t->lost || t->n_sent != 1)
			continue;
		scoreboard_unlose(x, t);
		x->in_flight_bytes += t->bytes;
	}
}

struct txseg *scoreboard_first_lost(struct engine *e, const struct sender *x)
{
	if (x->lost_bytes == 0)
		return NULL;
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next)
		if (txseg_at(e, i)->lost && !txseg_at(e, i)->foreign)
			return txseg_at(e, i);
	return NULL;
}

uint32_t scoreboard_start(struct engine *e, const struct conn *c, const struct sender *x,
			  const struct txseg *t)
{
	/* What lies below the hand-over only the guest has. */
	if (!c->checksum || t->foreign || txseg_at(e, x->head) != t ||
	    seq_lt(t->map_seq, multi_at(e, c->multi)->hand_seq))
		return t->seq;
	return t->map_seq;
}

bool scoreboard_foreign(struct engine *e, const struct sender *x)
{
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next)
		if (txseg_at(e, i)->foreign)
			return true;
	return false;
}

bool scoreboard_needs(struct engine *e, const struct sender *x, uint32_t start, uint32_t end)
{
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		const struct txseg *t = txseg_at(e, i);

		if (!t->foreign && seq_lt(t->seq, end) && seq_lt(start, t->seq + t->bytes))
			return true;
	}
	return false;
}

uint32_t scoreboard_adopt(struct engine *e, struct sender *x, uint32_t seq, uint32_t end)
{
	uint32_t bytes = 0;

	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);

		if (!t->foreign || seq_le(end, t->seq) || seq_le(t->seq + t->bytes, seq))
			continue;
		if (seq_lt(t->seq, seq)) {
			/* The rest comes next in the list. */
			scoreboard_cut(e, x, t, seq - t->seq);
			continue;
		}
		if (seq_lt(end, t->seq + t->bytes) && !scoreboard_cut(e, x, t, end - t->seq))
			continue;
		if (in_flight(t))
			lose(x, t);
		t->foreign = false;
		t->n_sent = 2; /* the guest did */
		if (t->lost)
			x->lost_bytes += t->bytes;
		if (t->map_len_bytes == 0) {
			t->map_ssn = t->ssn;
			t->map_seq = t->seq;
			t->map_len_bytes = (uint16_t)t->bytes;
		}
		bytes += t->bytes;
	}
	return bytes;
}

void scoreboard_free(struct engine *e, struct sender *x)
{
	while (x->head != NONE) {
		uint32_t i = x->head;

		x->head = txseg_at(e, i)->next;
		pool_free(&e->txsegs, e, i);
	}
	x->tail = NONE;
	x->in_flight_bytes = x->lost_bytes = 0;
}
