/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched_blest.c - as lowest-rtt, but a slow path is left alone when data on it would block the
 * connection's window (after Ferlin, Alay, Mehani, Boreli: "BLEST: Blocking estimation-based
 * MPTCP scheduler for heterogeneous networks", 2016).
 *
 * While a piece is on its way on slow path s, the faster paths could send
 *
 *	X = sum over f of mss_f * (cwnd_f / mss_f + (r - 1) / 2) * r
 *	r = (srtt_s / srtt_f + 1) / 2
 *
 * (the paper's r is srtt_s / srtt_f, but the fast path's acknowledgements carry the DATA_ACK that
 * the slow piece allows, so it comes after half of each RTT; their windows, growing by a segment
 * each RTT; in slow start they double). That is careful: the fast path's queue stands on the way
 * there, so the DATA_ACK takes half of its least RTT. By that it goes where the window is the
 * guest's own and grows; not where it is the peer's, and each stall as long as the one before.
 * If that times lambda is more than the window that is left, with what the fast paths have in
 * flight (it is acknowledged before the piece) and without the piece, they would stand still: then
 * it is better to wait. Lambda, 1.0 to 1.3, grows when the window was blocked nevertheless and
 * shrinks while it is not.
 */
#include "engine/sched_common.h"

#define LAMBDA_MIN 1000
#define LAMBDA_FIRST 1200
#define LAMBDA_MAX 1300
#define LAMBDA_WORSE 40
#define LAMBDA_BETTER 10
#define SHOWN_SEGMENTS 2U
#define LONG_WINDOWS 8   /* carried by the fast paths already: as much is likely to follow */
#define BETTER_PIECES 16 /* on slow paths, without a blocked window between them */

enum blest_word {
	BLEST_LAMBDA, /* 0: LAMBDA_FIRST */
	BLEST_BLOCKED,
	BLEST_PIECES
};

static uint64_t lambda_of(struct sched *sc)
{
	if (sc->word[BLEST_LAMBDA] == 0)
		sc->word[BLEST_LAMBDA] = LAMBDA_FIRST;
	return sc->word[BLEST_LAMBDA];
}

/* A path with room while the peer's window has none: once for each such time. */
static void learn_blocked(struct sched *sc, const struct sched_input *in, int fastest)
{
	bool blocked = fastest >= 0 && in->window_bytes < in->s[fastest].mss_bytes &&
		       in->window_bytes < in->unsent_bytes;

	if (blocked && !sc->word[BLEST_BLOCKED]) {
		uint64_t lambda = lambda_of(sc) + LAMBDA_WORSE;

		sc->word[BLEST_LAMBDA] = lambda < LAMBDA_MAX ? lambda : LAMBDA_MAX;
		sc->word[BLEST_PIECES] = 0;
	}
	sc->word[BLEST_BLOCKED] = blocked;
}

static void learn_good(struct sched *sc)
{
	uint64_t lambda = lambda_of(sc) - LAMBDA_BETTER;

	if (++sc->word[BLEST_PIECES] < BETTER_PIECES)
		return;
	sc->word[BLEST_PIECES] = 0;
	sc->word[BLEST_LAMBDA] = lambda > LAMBDA_MIN ? lambda : LAMBDA_MIN;
}

static bool would_block(struct sched *sc, const struct sched_input *in, uint8_t set, unsigned i)
{
	uint64_t x = 0, left = in->window_bytes, piece = in->s[i].mss_bytes, wait_us, back_us;

	if (in->s[i].srtt_us == 0)
		return false;
	for (unsigned k = 0; k < in->n; k++) {
		const struct sched_subflow *f = &in->s[k];

		if (!(set >> k & 1) || f->srtt_us == 0 || !sched_faster(f, &in->s[i]))
			continue;
		back_us = in->window_grows && f->min_rtt_us ? f->min_rtt_us : f->srtt_us;
		wait_us = ((uint64_t)sched_expect_us(&in->s[i]) + back_us) / 2;
		x += sched_could_send(f, wait_us * 256 / f->srtt_us);
		left += f->in_flight_bytes;
	}
	left = left > piece ? left - piece : 0;
	return x * lambda_of(sc) / LAMBDA_MIN > left;
}

static bool any_faster(const struct sched_input *in, uint8_t set, unsigned i)
{
	for (unsigned k = 0; k < in->n; k++)
		if ((set >> k & 1) && sched_faster(&in->s[k], &in->s[i]))
			return true;
	return false;
}

/*
 * A peer sizes its window by the longest round trip that it sees data on (Linux): while a path has
 * brought none, the window stays too small for it, and for ever. So it gets a little when more
 * waits than the others carry in a round trip, or in a long transfer: there what waits may be less
 * for ever, since it is bounded by that window, and the fast paths' grow with their queues.
 */
static bool worth_showing(const struct sched_input *in, uint8_t set, unsigned i)
{
	uint64_t carry = 0, carried = 0;

	if (!in->s[i].unused || in->tail)
		return false;
	for (unsigned k = 0; k < in->n; k++)
		if ((set >> k & 1) && sched_faster(&in->s[k], &in->s[i])) {
			carry += in->s[k].cwnd_bytes;
			carried += in->s[k].carried_bytes;
		}
	return in->unsent_bytes > carry || carried / LONG_WINDOWS > carry;
}

static struct sched_pick pick(struct sched *sc, const struct sched_input *in)
{
	uint8_t set = sched_candidates(in, true);
	int i = sched_fastest(in, set);
	bool slow = i >= 0 && any_faster(in, set, (unsigned)i);
	struct sched_pick p;

	learn_blocked(sc, in, i);
	if (slow && worth_showing(in, set, (unsigned)i)) {
		p = sched_piece(in, i);
		if (p.bytes > SHOWN_SEGMENTS * in->s[i].mss_bytes)
			p.bytes = SHOWN_SEGMENTS * in->s[i].mss_bytes;
		return p;
	}
	if (slow &&
	    (would_block(sc, in, set, (unsigned)i) || sched_tail_waits(in, set, (unsigned)i)))
		return sched_piece(in, -1);
	p = sched_piece(in, i);
	if (slow && p.subflow >= 0)
		learn_good(sc);
	return p;
}

const struct sched_ops sched_blest = {.name = "blest", .pick = pick};
