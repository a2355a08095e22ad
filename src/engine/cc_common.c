/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_common.c - what the loss-based controllers share; see cc_common.h. Slow start is left by
 * HyStart++ (RFC 9406) before the queue overflows.
 */
#include "engine/cc_common.h"

#include <string.h>

#define HYSTART_SAMPLES 8
#define HYSTART_RTT_MIN_US 4000
#define HYSTART_RTT_MAX_US 16000
#define HYSTART_CSS_DIVISOR 4
#define HYSTART_CSS_ROUNDS 5
#define SLOWED_ROUNDS 2 /* a loss within them is one of the larger window */

uint64_t cc_mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t whole, rest;

	if (c == 0)
		c = 1;
	if (b == 0 || a <= UINT64_MAX / b)
		return a * b / c;
	whole = a / c;
	if (whole > UINT64_MAX / b)
		return UINT64_MAX;
	/* The rest is below c, so c is as large as what is cut off here. */
	for (rest = a % c; rest > UINT64_MAX / b; rest >>= 1)
		c >>= 1;
	rest = rest * b / c;
	return whole * b <= UINT64_MAX - rest ? whole * b + rest : UINT64_MAX;
}

uint32_t cc_initial_window(uint32_t mss_bytes)
{
	return cc_min32((uint64_t)CC_INITIAL_SEGMENTS * cc_max32(mss_bytes, 1), CC_CWND_MAX);
}

uint32_t cc_mss(const struct cc_group *g, uint32_t before)
{
	uint32_t mss_bytes = g->member[g->self].mss_bytes;

	return mss_bytes ? cc_min32(mss_bytes, UINT16_MAX) : cc_max32(before, 1);
}

void cc_common_init(struct cc *cc, uint32_t mss_bytes, uint64_t now_us)
{
	(void)now_us;
	memset(cc, 0, sizeof(*cc));
	cc->cwnd_bytes = cc_initial_window(mss_bytes);
	cc->ssthresh_bytes = CC_SSTHRESH_UNSET;
	cc_common(cc)->mss_bytes = cc_max32(cc_min32(mss_bytes, UINT16_MAX), 1);
}

/* Rounds are told by what had been delivered when the newest acknowledged segment was sent. */
static void update_round(struct cc_common *st, const struct cc_ack *ack)
{
	uint32_t flight = ack->prior_in_flight_bytes;

	st->round_start = ack->prior_delivered_bytes >= st->round_end_bytes;
	if (st->round_start) {
		st->round_end_bytes = ack->delivered_bytes;
		st->flight_max_bytes[1] = st->flight_max_bytes[0];
		st->flight_max_bytes[0] = 0;
		st->rtt_min_us[1] = st->rtt_min_us[0];
		st->rtt_min_us[0] = 0;
		st->rtt_samples = 0;
		if (++st->slowed_rounds > SLOWED_ROUNDS)
			st->slowed_bytes = 0;
	}
	st->flight_max_bytes[0] = cc_max32(st->flight_max_bytes[0], flight);
}

static uint32_t flight_max(const struct cc_common *st)
{
	return cc_max32(st->flight_max_bytes[0], st->flight_max_bytes[1]);
}

/*
 * In slow start half of the window in use is enough, as it may just have doubled. Otherwise an
 * eighth may be missing: the scheduler does not send tiny pieces, ACKs are taken in batches.
 */
bool cc_common_limited(const struct cc *cc)
{
	const struct cc_common *st = (const struct cc_common *)cc->word;
	uint64_t flight = flight_max(st);

	if (cc->cwnd_bytes < cc->ssthresh_bytes)
		return 2 * flight >= cc->cwnd_bytes;
	return flight + 2 * (uint64_t)st->mss_bytes + cc->cwnd_bytes / 8 >= cc->cwnd_bytes;
}

uint32_t cc_common_used(const struct cc *cc)
{
	const struct cc_common *st = (const struct cc_common *)cc->word;

	if (st->slowed_bytes)
		return st->slowed_bytes;
	if (cc_common_limited(cc) || flight_max(st) == 0)
		return cc->cwnd_bytes;
	return cc_min32(flight_max(st), cc->cwnd_bytes);
}

static void add_cwnd(struct cc *cc, uint64_t bytes, uint32_t max)
{
	uint64_t sum = bytes < CC_CWND_MAX ? cc->cwnd_bytes + bytes : CC_CWND_MAX;

	cc->cwnd_bytes = cc_max32(cc_min32(sum, max), cc_common(cc)->mss_bytes);
}

/* RFC 9406 section 4.2: what a round's RTT may rise above another's, an eighth within bounds. */
static uint32_t hystart_threshold_us(uint32_t rtt_us)
{
	return cc_min32(cc_max32(rtt_us / 8, HYSTART_RTT_MIN_US), HYSTART_RTT_MAX_US);
}

/*
 * Every eight samples: is the least of them above what the round before had? What the guest sent
 * before the gate did gives no samples: behind such a round the first of this one must do.
 */
static void hystart_enter(struct cc_common *st)
{
	uint32_t before_us = st->rtt_min_us[1] ? st->rtt_min_us[1] : st->rtt_min_us[0];

	if (st->rtt_samples >= HYSTART_SAMPLES &&
	    st->rtt_group_us >= (uint64_t)before_us + hystart_threshold_us(before_us)) {
		st->css_base_us = st->rtt_group_us;
		st->css_rounds = 0;
	}
}

/*
 * Has the RTT risen? The RFC compares rounds; a window that doubles overruns a queue of one round
 * trip within one, so here groups of eight samples are compared with the round before.
 */
static void hystart_sample(struct cc_common *st, const struct cc_ack *ack)
{
	uint32_t weight, rtt = ack->rtt_us;

	if (rtt == 0)
		return;
	if (st->rtt_min_us[0] == 0 || rtt < st->rtt_min_us[0])
		st->rtt_min_us[0] = rtt;
	if (st->rtt_samples == 0 || rtt < st->rtt_group_us)
		st->rtt_group_us = rtt;
	/* RFC says 8 samples; an ACK of many segments counts as the ACKs that it replaces. */
	weight = cc_max32(1, ack->acked_bytes / (2 * st->mss_bytes));
	st->rtt_samples = (uint8_t)cc_min32((uint64_t)st->rtt_samples + weight, UINT8_MAX);
	if (st->rtt_samples < HYSTART_SAMPLES)
		return;
	if (st->css_base_us == 0)
		hystart_enter(st);
	else if (st->rtt_group_us + hystart_threshold_us(st->css_base_us) < st->css_base_us)
		st->css_base_us = 0; /* it was no queue */
	st->rtt_samples = 0;
}

static void note_rate(struct cc_common *st, const struct cc_ack *ack)
{
	uint64_t bytes = ack->delivered_bytes - ack->prior_delivered_bytes, rate;

	if (ack->rtt_us && (st->rtt_least_us == 0 || ack->rtt_us < st->rtt_least_us))
		st->rtt_least_us = ack->rtt_us;
	if (ack->interval_us == 0 || ack->interval_us < st->rtt_least_us)
		return;
	rate = cc_mul_div(bytes, 1000000, ack->interval_us);
	if (rate > st->rate_bytes_per_s)
		st->rate_bytes_per_s = rate;
}

/*
 * What the path holds, by the rate it has delivered, and half as much in its queue. A window that
 * doubles is beyond queues of two round trips by the time that the first sign of them is back.
 */
static uint32_t pipe_bytes(const struct cc_common *st)
{
	uint64_t bytes = cc_mul_div(st->rate_bytes_per_s, st->rtt_least_us, 1000000);

	return bytes ? cc_min32(bytes + bytes / 2, CC_CWND_MAX) : CC_CWND_MAX;
}

/*
 * A round of conservative slow start is over, and with the fifth one (RFC 9406 section 4.2) slow
 * start. Sooner, if the RTT of the whole round was above the first rise by as much again: every
 * sample waited in a queue, the path is full. Not at all while something of a round finds no queue:
 * then the rise was one of bursts, and a window that is too small for the path would be left at
 * that, where coupled ones grow by less than a segment in a round trip.
 */
static bool css_over(struct cc_common *st)
{
	uint32_t rtt_us = st->rtt_min_us[1];

	if (!st->css_base_us || !st->round_start)
		return false;
	if (rtt_us >= (uint64_t)st->css_base_us + hystart_threshold_us(st->css_base_us))
		return true;
	if (++st->css_rounds < HYSTART_CSS_ROUNDS)
		return false;
	st->css_rounds = HYSTART_CSS_ROUNDS;
	return rtt_us == 0 || rtt_us >= (uint64_t)st->rtt_least_us + st->rtt_least_us / 8;
}

/* True when slow start is over. Only the first one is watched: later ones know their end. */
static bool hystart_over(struct cc *cc, const struct cc_ack *ack)
{
	struct cc_common *st = cc_common(cc);

	if (cc->ssthresh_bytes != CC_SSTHRESH_UNSET)
		return false;
	if (css_over(st)) {
		cc->ssthresh_bytes = cc->cwnd_bytes;
		return true;
	}
	hystart_sample(st, ack);
	return false;
}

static uint32_t slow_start(struct cc *cc, const struct cc_ack *ack)
{
	struct cc_common *st = cc_common(cc);
	uint32_t acked = ack->acked_bytes, before, grown, most = CC_CWND_MAX;
	bool slowed = st->css_base_us != 0;

	note_rate(st, ack);
	if (hystart_over(cc, ack))
		return acked;
	if (cc->ssthresh_bytes == CC_SSTHRESH_UNSET && st->css_base_us) {
		most = pipe_bytes(st);
		if (!slowed && cc->cwnd_bytes > most) {
			st->slowed_bytes = cc->cwnd_bytes;
			st->slowed_rounds = 0;
			cc->cwnd_bytes = cc_max32(most, cc->cwnd_bytes / 2);
		}
		most = cc_max32(most, cc->cwnd_bytes);
	}
	before = cc->cwnd_bytes;
	if (!cc_common_limited(cc))
		return 0;
	grown = cc_min32(acked, cc->cwnd_bytes);
	if (cc->ssthresh_bytes == CC_SSTHRESH_UNSET && st->css_base_us)
		grown /= HYSTART_CSS_DIVISOR;
	add_cwnd(cc, grown, cc_min32(cc->ssthresh_bytes, most));
	if (cc->cwnd_bytes < cc->ssthresh_bytes)
		return 0;
	grown = cc->cwnd_bytes > before ? cc->cwnd_bytes - before : 0;
	return acked > grown ? acked - grown : 0;
}

/*
 * Twice the window each RTT in slow start, a quarter more than it afterwards: never what holds the
 * flow back, but the burst that a super-ACK allows does not overrun a short queue.
 */
static void set_pacing(struct cc *cc, uint32_t srtt_us)
{
	bool doubles = cc->cwnd_bytes < cc->ssthresh_bytes && cc_common(cc)->css_base_us == 0;
	uint32_t per_second = doubles ? 2000000 : 1250000;

	if (srtt_us)
		cc->pacing_bytes_per_s = cc_mul_div(cc->cwnd_bytes, per_second, srtt_us) + 1;
}

uint32_t cc_common_on_ack(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	struct cc_common *st = cc_common(cc);
	uint32_t left = ack->acked_bytes;

	st->mss_bytes = cc_mss(g, st->mss_bytes);
	update_round(st, ack);
	set_pacing(cc, g->member[g->self].srtt_us);
	if (ack->acked_bytes == 0)
		return 0;
	/* Behind a timeout the window is below ssthresh: slow start also while repairing. */
	if (cc->cwnd_bytes < cc->ssthresh_bytes)
		left = slow_start(cc, ack);
	if (ack->in_recovery || cc->cwnd_bytes < cc->ssthresh_bytes)
		return 0;
	st->episode = false;
	return cc_common_limited(cc) ? left : 0;
}

void cc_common_grow(struct cc *cc, uint32_t acked_bytes, uint64_t window_bytes)
{
	struct cc_common *st = cc_common(cc);
	uint64_t q16 = cc_mul_div((uint64_t)cc_min32(acked_bytes, INT32_MAX) * st->mss_bytes,
				  1U << 16, window_bytes);

	q16 = (q16 < UINT64_MAX / 2 ? q16 : UINT64_MAX / 2) + st->fraction_q16;
	st->fraction_q16 = q16 & UINT16_MAX;
	add_cwnd(cc, q16 >> 16, CC_CWND_MAX);
}

/* The draft lets a window shrink to one segment; a peer that delays its ACKs would stall that. */
void cc_common_shrink(struct cc *cc, uint32_t acked_bytes, uint64_t window_bytes)
{
	struct cc_common *st = cc_common(cc);
	uint64_t q16 = cc_mul_div((uint64_t)cc_min32(acked_bytes, INT32_MAX) * st->mss_bytes,
				  1U << 16, window_bytes);
	uint64_t have_q16 = ((uint64_t)cc->cwnd_bytes << 16) + st->fraction_q16;
	uint64_t floor_q16 = (uint64_t)st->mss_bytes << 17;

	if (have_q16 < floor_q16)
		return;
	have_q16 = have_q16 - floor_q16 > q16 ? have_q16 - q16 : floor_q16;
	cc->cwnd_bytes = (uint32_t)(have_q16 >> 16);
	st->fraction_q16 = have_q16 & UINT16_MAX;
}

static void keep_for_undo(struct cc *cc)
{
	cc_common(cc)->undo_cwnd_bytes = cc->cwnd_bytes;
	cc_common(cc)->undo_ssthresh_bytes = cc->ssthresh_bytes;
}

static void set_ssthresh(struct cc *cc, uint32_t target_bytes)
{
	uint32_t floor = 2 * cc_common(cc)->mss_bytes;

	cc->ssthresh_bytes = cc_min32(cc_max32(target_bytes, floor), CC_CWND_MAX);
}

void cc_common_on_loss(struct cc *cc, uint32_t target_bytes)
{
	struct cc_common *st = cc_common(cc);

	keep_for_undo(cc);
	set_ssthresh(cc, target_bytes);
	cc->cwnd_bytes = cc->ssthresh_bytes;
	st->fraction_q16 = 0;
	st->css_base_us = st->slowed_bytes = 0;
	st->episode = true;
}

void cc_common_on_rto(struct cc *cc, uint32_t target_bytes)
{
	struct cc_common *st = cc_common(cc);

	if (!st->episode) {
		keep_for_undo(cc);
		set_ssthresh(cc, target_bytes);
	}
	cc->cwnd_bytes = st->mss_bytes;
	st->fraction_q16 = 0;
	st->css_base_us = 0;
	st->episode = true;
}

void cc_common_on_recovery_exit(struct cc *cc, uint64_t now_us)
{
	(void)now_us;
	cc_common(cc)->episode = false;
}

void cc_common_on_undo(struct cc *cc)
{
	struct cc_common *st = cc_common(cc);

	if (st->undo_cwnd_bytes == 0)
		return;
	cc->cwnd_bytes = cc_max32(cc->cwnd_bytes, st->undo_cwnd_bytes);
	cc->ssthresh_bytes = cc_max32(cc->ssthresh_bytes, st->undo_ssthresh_bytes);
	st->undo_cwnd_bytes = 0;
	st->episode = false;
}

/* RFC 2861: half of the window for each RTO of silence, but the initial window stays allowed. */
void cc_common_on_idle(struct cc *cc, uint64_t idle_us, uint32_t rto_us, uint32_t mss_bytes,
		       uint64_t now_us)
{
	uint64_t halvings = idle_us / cc_max32(rto_us, 1);
	uint32_t restart = cc_initial_window(mss_bytes), cwnd = cc->cwnd_bytes;

	(void)now_us;
	if (halvings == 0 || cwnd <= restart)
		return;
	if (cc->ssthresh_bytes != CC_SSTHRESH_UNSET)
		cc->ssthresh_bytes = cc_max32(cc->ssthresh_bytes, cwnd - cwnd / 4);
	cc->cwnd_bytes = cc_max32(halvings < 32 ? cwnd >> halvings : 0, restart);
	cc_common(cc)->undo_cwnd_bytes = 0;
}

bool cc_coupled(const struct cc_group *g, unsigned i)
{
	return g->member[i].established && g->member[i].srtt_us != 0 && g->member[i].cc &&
	       g->member[i].cc->cwnd_bytes != 0;
}

uint64_t cc_coupled_scaled(const struct cc_group *g, unsigned i, unsigned ref)
{
	uint64_t product = (uint64_t)g->member[i].cc->cwnd_bytes * g->member[ref].srtt_us;

	return product / g->member[i].srtt_us;
}

uint64_t cc_coupled_window(const struct cc_group *g, unsigned ref)
{
	uint32_t cwnd = cc_max32(g->member[ref].cc->cwnd_bytes, 1);
	uint64_t sum = 0, window;
	unsigned shift = 0;

	for (unsigned i = 0; i < g->n; i++) {
		uint64_t scaled = cc_coupled(g, i) ? cc_coupled_scaled(g, i, ref) : 0;

		sum += scaled < UINT64_MAX - sum ? scaled : UINT64_MAX - sum;
	}
	for (; sum > UINT32_MAX; sum >>= 1)
		shift += 2;
	window = sum * sum / cwnd;
	window = shift < 64 && window <= UINT64_MAX >> shift ? window << shift : UINT64_MAX;
	return window > cwnd ? window : cwnd;
}
