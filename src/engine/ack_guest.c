/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ack_guest.c - see ack_guest.h.
 */
#include "engine/ack_guest.h"

#include "base/seq.h"
#include "engine/multi.h"
#include "engine/sender.h"

#define ACKS_PER_ROUND 7
#define APART_US 2500u
#define OUT_MIN_BYTES 24576u /* Hybrid Start watches from 16 segments on */
#define ROUNDS_WITHOUT_GROWTH 3
#define HOLD_MIN_US APART_US
#define HOLD_MAX_US 40000u /* what a delayed acknowledgement takes at least in Linux */
#define QUEUE_US 2500u     /* Hybrid Start takes 4 ms more than the least for a queue */
#define TRAIN_SLACK_US 500u

void ack_guest_told(struct multi *m, const struct conn *c, uint64_t now_us)
{
	if (m->acked_guest_seq != c->una_seq) {
		if (now_us - m->acked_guest_us >= APART_US)
			m->train_guest_us = now_us;
		m->acked_guest_us = now_us;
	}
	m->acked_guest_seq = c->una_seq;
	m->ack_guest_at_us = 0;
}

/* Does the guest leave a good part of the window unused that it was told? */
static bool window_left(const struct multi *m, const struct conn *c)
{
	return seq_lt(c->max_seq, m->told_seq - (m->told_seq - c->una_seq) / 4);
}

/*
 * Once in a round trip as the guest sees it: has it more outstanding, by half, than ever before?
 * That a guest has not whose data waits here for lack of room on the paths proves nothing, and it
 * does not need to hear sooner.
 */
static void watch_growth(struct multi *m, const struct conn *c)
{
	uint32_t out_bytes = c->max_seq - c->una_seq;

	if (seq_lt(c->una_seq, m->round_guest_seq))
		return;
	m->round_guest_seq = c->max_seq;
	m->round_guest_bytes = out_bytes;
	if (out_bytes >= m->most_guest_bytes + m->most_guest_bytes / 2) {
		m->n_slow_rounds = 0;
		m->most_guest_bytes = out_bytes;
	} else if (m->nxt_seq == m->end_seq || window_left(m, c)) {
		m->n_slow_rounds++;
	}
}

/* No reason to hold anything back. */
static bool at_once(const struct multi *m, const struct conn *c)
{
	if (m->n_slow_rounds >= ROUNDS_WITHOUT_GROWTH || c->guest_fin ||
	    c->una_seq == m->acked_guest_seq)
		return true;
	return m->round_guest_bytes < OUT_MIN_BYTES || c->una_seq == c->max_seq;
}

static bool enough(const struct multi *m, const struct conn *c)
{
	return (uint64_t)(c->una_seq - m->acked_guest_seq) * ACKS_PER_ROUND >= m->round_guest_bytes;
}

/* Half of the longest round trip: as far as the guest is concerned, a path somewhat longer. */
static uint32_t hold_us(struct engine *e, const struct conn *c)
{
	uint32_t us = HOLD_MIN_US;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->sender != NONE && sender_at(e, s->sender)->srtt_us / 2 > us)
			us = sender_at(e, s->sender)->srtt_us / 2;
	}
	return us < HOLD_MAX_US ? us : HOLD_MAX_US;
}

/*
 * Did what was acknowledged last come without having waited in a queue, of a path or here? Of such
 * samples there may be any number. `least_us`: the shortest round trip.
 */
static bool no_queue(struct engine *e, const struct conn *c, uint32_t least_us)
{
	const struct multi *m = multi_at(e, c->multi);

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		const struct sender *x = s->sender == NONE ? NULL : sender_at(e, s->sender);

		if (x && x->srtt_us && x->head != NONE &&
		    x->rtt_us >= (uint64_t)least_us + QUEUE_US)
			return false;
	}
	return m->nxt_seq == m->end_seq;
}

void ack_guest(struct step *st, struct conn *c)
{
	struct multi *m = multi_at(st->e, c->multi);
	uint64_t now_us = st->tick->now_us, apart_us = m->acked_guest_us + APART_US;
	bool much = enough(m, c), clear, train; /* much: by the round that may end here */
	uint32_t least_us;

	if (m->n_slow_rounds < ROUNDS_WITHOUT_GROWTH)
		watch_growth(m, c);
	if (at_once(m, c)) {
		multi_ack_guest(st, c);
		return;
	}
	least_us = sender_least_rtt_us(st->e, c);
	clear = no_queue(st->e, c, least_us);
	train = least_us && now_us - m->train_guest_us + TRAIN_SLACK_US >= least_us / 2;
	if (((clear || much) && apart_us <= now_us) || (clear && !train))
		multi_ack_guest(st, c);
	else if ((clear || much) && (m->ack_guest_at_us == 0 || apart_us < m->ack_guest_at_us))
		m->ack_guest_at_us = apart_us;
	else if (m->ack_guest_at_us == 0)
		m->ack_guest_at_us = now_us + hold_us(st->e, c);
}

void ack_guest_timeout(struct step *st, struct conn *c)
{
	const struct multi *m = multi_at(st->e, c->multi);

	if (m->ack_guest_at_us && m->ack_guest_at_us <= st->tick->now_us)
		multi_ack_guest(st, c);
}
