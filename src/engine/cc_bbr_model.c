/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_bbr_model.c - what the rate-based controller believes of its path: the largest delivery rate
 * of ten rounds, how bursty ACKs are, and how much in flight the path has been seen to lose.
 */
#include "engine/cc_bbr.h"

#define BW_ROUNDS 10
#define EXTRA_ROUNDS 5 /* of each of the two spans */
#define EXTRA_MAX_US 100000

/* Largest of a sliding window of rounds: the best, and the best of what came after each. */
static void bw_filter(struct bbr *b, uint64_t bw)
{
	uint32_t now = b->round;

	if (bw >= b->bw[0] || now - b->bw_round[2] > BW_ROUNDS) {
		for (unsigned i = 0; i < 3; i++) {
			b->bw[i] = bw;
			b->bw_round[i] = now;
		}
		return;
	}
	for (unsigned i = 1; i < 3; i++) {
		if (bw < b->bw[i])
			continue;
		for (unsigned k = i; k < 3; k++) {
			b->bw[k] = bw;
			b->bw_round[k] = now;
		}
		break;
	}
	while (now - b->bw_round[0] > BW_ROUNDS) {
		for (unsigned i = 0; i < 2; i++) {
			b->bw[i] = b->bw[i + 1];
			b->bw_round[i] = b->bw_round[i + 1];
		}
		b->bw[2] = bw;
		b->bw_round[2] = now;
	}
	/* The later places are renewed by and by, so that a fresh one is there when the first ages.
	 */
	if (b->bw_round[1] == b->bw_round[0] && now - b->bw_round[0] > BW_ROUNDS / 4) {
		b->bw[1] = b->bw[2] = bw;
		b->bw_round[1] = b->bw_round[2] = now;
	} else if (b->bw_round[2] == b->bw_round[1] && now - b->bw_round[1] > BW_ROUNDS / 2) {
		b->bw[2] = bw;
		b->bw_round[2] = now;
	}
}

void bbr_update_round(struct bbr *b, const struct cc_ack *ack)
{
	b->round_start = ack->prior_delivered_bytes >= b->round_end_bytes;
	if (b->round_start) {
		b->round_end_bytes = ack->delivered_bytes;
		b->round++;
		if (b->low_rounds && b->mode != BBR_PROBE_RTT)
			b->low_rounds--;
	}
	b->round_lost_bytes = cc_min32((uint64_t)b->round_lost_bytes + ack->lost_bytes, UINT32_MAX);
	b->round_acked_bytes =
		cc_min32((uint64_t)b->round_acked_bytes + ack->acked_bytes, UINT32_MAX);
}

/*
 * A sample counts when it is the path's: not shorter than its RTT (compressed ACKs), and of a time
 * when we had enough to send, unless it shows more than we knew.
 */
void bbr_update_bandwidth(struct bbr *b, const struct cc_ack *ack)
{
	uint64_t bw, bytes = ack->delivered_bytes - ack->prior_delivered_bytes;

	if (ack->interval_us == 0 || ack->delivered_bytes < ack->prior_delivered_bytes ||
	    ack->interval_us < b->rtt_min_us)
		return;
	bw = cc_mul_div(bytes, 1000000, ack->interval_us);
	if (bw >= b->bw[0] || !(ack->app_limited || b->low_rounds))
		bw_filter(b, bw);
}

/*
 * ACKs that arrive in lumps leave the path idle unless more than the plain product of rate and RTT
 * is allowed: how much came beyond the rate, at most, is added to the window.
 */
void bbr_update_aggregation(struct bbr *b, const struct cc_ack *ack, uint32_t cwnd_bytes)
{
	uint64_t elapsed = ack->now_us > b->epoch_at_us ? ack->now_us - b->epoch_at_us : 0;
	uint64_t expected, extra;

	if (b->round_start && ++b->extra_rounds >= EXTRA_ROUNDS) {
		b->extra_rounds = 0;
		b->extra_at = !b->extra_at;
		b->extra_bytes[b->extra_at] = 0;
	}
	if (!b->full || ack->acked_bytes == 0)
		return;
	expected = cc_mul_div(b->bw[0], elapsed, 1000000);
	if (b->epoch_at_us == 0 || b->epoch_acked_bytes <= expected) {
		b->epoch_at_us = ack->now_us;
		b->epoch_acked_bytes = 0;
		expected = 0;
	}
	b->epoch_acked_bytes =
		cc_min32((uint64_t)b->epoch_acked_bytes + ack->acked_bytes, CC_CWND_MAX);
	extra = b->epoch_acked_bytes > expected ? b->epoch_acked_bytes - expected : 0;
	extra = cc_min32(extra, cwnd_bytes);
	extra = cc_min32(cc_mul_div(b->bw[0], EXTRA_MAX_US, 1000000), (uint32_t)extra);
	if (extra > b->extra_bytes[b->extra_at])
		b->extra_bytes[b->extra_at] = (uint32_t)extra;
}

bool bbr_round_lossy(const struct bbr *b)
{
	uint64_t all = (uint64_t)b->round_lost_bytes + b->round_acked_bytes;

	return b->round_lost_bytes > all / 20 + 3 * (uint64_t)b->mss_bytes;
}

/* One overshoot may be told by several rounds: the bound stays above the product itself. */
static uint32_t limit_floor(const struct bbr *b)
{
	uint64_t bdp = cc_min32(bbr_bdp_bytes(b, BBR_UNIT), CC_CWND_MAX);

	return cc_max32((uint32_t)(bdp + bdp / 16), 4 * b->mss_bytes);
}

/*
 * A round that lost much bounds what may be in flight; the bound rises again with each round of the
 * probing phase that passes without such a loss.
 */
void bbr_update_flight_limit(struct bbr *b, const struct cc_ack *ack)
{
	uint64_t limit = b->flight_limit_bytes;

	if (!b->round_start)
		return;
	if (bbr_round_lossy(b)) {
		limit = ack->prior_in_flight_bytes < limit ? ack->prior_in_flight_bytes : limit;
		limit = limit * 17 / 20;
		b->flight_limit_bytes = cc_max32((uint32_t)limit, limit_floor(b));
	} else if (limit != UINT32_MAX && b->mode == BBR_PROBE_BW && b->phase == 0) {
		limit += limit / 8 + b->mss_bytes;
		if (limit > 2 * bbr_bdp_bytes(b, 2 * BBR_UNIT))
			limit = UINT32_MAX;
		b->flight_limit_bytes = cc_min32(limit, UINT32_MAX);
	}
	b->round_lost_bytes = b->round_acked_bytes = 0;
}

uint64_t bbr_bdp_bytes(const struct bbr *b, uint32_t gain)
{
	if (b->rtt_min_us == 0)
		return 0;
	return cc_mul_div(cc_mul_div(b->bw[0], b->rtt_min_us, 1000000), gain, BBR_UNIT);
}
