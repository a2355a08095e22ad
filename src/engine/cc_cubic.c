/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_cubic.c - CUBIC (RFC 9438) on each subflow by itself, with fast convergence and the
 * Reno-friendly region. As greedy as one TCP on each path: for paths that share no bottleneck.
 *
 * C = 0.4 segments / s^3, beta = 0.7. Times are milliseconds, windows bytes:
 * W(t) = w_max + mss * 0.4 * ((t - K) / 1000)^3,  K = 1000 * cbrt((w_max - cwnd) / mss / 0.4).
 */
#include "engine/cc_common.h"

#define TIME_MAX_MS ((1U << 21) - 1) /* its cube fits in 63 bits */

struct cubic_curve {
	uint64_t
		epoch_us; /* congestion avoidance began, or would have without idle times; 0: not */
	uint64_t w_est_q16;   /* what Reno would have */
	uint32_t w_max_bytes; /* 0: none (behind a timeout) */
	uint32_t k_ms;
	uint32_t prior_bytes; /* the window before the last reduction */
};

struct cubic {
	struct cc_common common;
	struct cubic_curve now;
	struct {
		uint32_t w_max_bytes, prior_bytes;
	} undo;
	uint64_t last_ack_us;
};
CC_STATE_FITS(struct cubic);

static struct cubic *cubic_of(struct cc *cc)
{
	return (struct cubic *)cc->word;
}

static uint32_t cube_root(uint64_t v)
{
	uint64_t root = 0;

	for (int bit = 20; bit >= 0; bit--) {
		uint64_t r = root | 1ULL << bit;

		if (r * r * r <= v)
			root = r;
	}
	return (uint32_t)root;
}

/* A new epoch: from here the window climbs along the curve towards w_max. */
static void start_epoch(struct cc *cc, uint64_t now_us)
{
	struct cubic_curve *cv = &cubic_of(cc)->now;

	cv->epoch_us = now_us ? now_us : 1;
	cv->w_est_q16 = (uint64_t)cc->cwnd_bytes << 16;
	if (cv->w_max_bytes <= cc->cwnd_bytes) {
		cv->w_max_bytes = cc->cwnd_bytes;
		cv->k_ms = 0;
		return;
	}
	cv->k_ms = cube_root(cc_mul_div(cv->w_max_bytes - cc->cwnd_bytes, 2500000000U,
					cc_common(cc)->mss_bytes));
}

/* W(t), t counted from the epoch. */
static uint64_t curve_at(const struct cubic_curve *cv, uint64_t t_ms, uint32_t mss_bytes)
{
	bool below = t_ms < cv->k_ms;
	uint64_t d = below ? cv->k_ms - t_ms : t_ms - cv->k_ms;
	uint64_t offset;

	if (d > TIME_MAX_MS)
		d = TIME_MAX_MS;
	offset = cc_mul_div(d * d * d, 4ULL * mss_bytes, 10000000000U);
	if (!below)
		return offset < CC_CWND_MAX ? cv->w_max_bytes + offset : CC_CWND_MAX;
	return cv->w_max_bytes > offset ? cv->w_max_bytes - offset : 0;
}

/* RFC 9438 section 4.3: alpha is 3 * (1 - beta) / (1 + beta) until the old window is regained. */
static uint64_t reno_estimate(struct cc *cc, uint32_t acked)
{
	struct cubic_curve *cv = &cubic_of(cc)->now;
	uint64_t step_q16 =
		cc_mul_div((uint64_t)cc_min32(acked, INT32_MAX) * cc_common(cc)->mss_bytes,
			   1U << 16, cc->cwnd_bytes);

	if (cv->w_est_q16 >> 16 < cv->prior_bytes)
		step_q16 = cc_mul_div(step_q16, 9, 17);
	cv->w_est_q16 += step_q16;
	if (cv->w_est_q16 > (uint64_t)CC_CWND_MAX << 16)
		cv->w_est_q16 = (uint64_t)CC_CWND_MAX << 16;
	return cv->w_est_q16 >> 16;
}

static void avoid_congestion(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g,
			     uint32_t acked)
{
	struct cubic *cu = cubic_of(cc);
	uint32_t rtt_us = g->member[g->self].srtt_us, cwnd = cc->cwnd_bytes;
	uint64_t target, reno, t_us;

	if (cu->now.epoch_us == 0)
		start_epoch(cc, ack->now_us);
	t_us = ack->now_us > cu->now.epoch_us ? ack->now_us - cu->now.epoch_us : 0;
	t_us += rtt_us ? rtt_us : ack->rtt_us;
	target = curve_at(&cu->now, t_us / 1000, cu->common.mss_bytes);
	if (target > cwnd + (uint64_t)cwnd / 2)
		target = cwnd + (uint64_t)cwnd / 2;
	reno = reno_estimate(cc, acked);
	if (target > cwnd) /* (target - cwnd) / cwnd for each segment acknowledged */
		cc_common_grow(cc, acked, cc_mul_div(cu->common.mss_bytes, cwnd, target - cwnd));
	if (cc->cwnd_bytes < reno)
		cc->cwnd_bytes = (uint32_t)reno;
}

static void cubic_on_ack(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	struct cubic *cu = cubic_of(cc);
	uint32_t acked = cc_common_on_ack(cc, ack, g);
	uint64_t last_us = cu->last_ack_us;

	cu->last_ack_us = ack->now_us;
	if (acked) {
		avoid_congestion(cc, ack, g, acked);
		return;
	}
	/* Time in which the window was not in use is no time on the curve (section 5.8). */
	if (cu->now.epoch_us && last_us && ack->now_us > last_us)
		cu->now.epoch_us += ack->now_us - last_us;
}

/* A reduction: the curve's next plateau; below the old one when the path got smaller (4.7). */
static uint32_t reduce(struct cc *cc)
{
	struct cubic *cu = cubic_of(cc);
	uint32_t used = cc_common_used(cc);

	cu->undo.w_max_bytes = cu->now.w_max_bytes;
	cu->undo.prior_bytes = cu->now.prior_bytes;
	cu->now.w_max_bytes =
		used < cu->now.w_max_bytes ? (uint32_t)((uint64_t)used * 17 / 20) : used;
	cu->now.prior_bytes = used;
	cu->now.epoch_us = 0;
	return (uint32_t)((uint64_t)used * 7 / 10);
}

static void cubic_on_loss(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	(void)ack;
	(void)g;
	cc_common_on_loss(cc, reduce(cc));
}

/* Section 4.8: behind a timeout the curve starts from where slow start ends. */
static void cubic_on_rto(struct cc *cc, uint32_t in_flight_bytes, const struct cc_group *g,
			 uint64_t now_us)
{
	struct cubic *cu = cubic_of(cc);
	uint32_t target = cc->ssthresh_bytes;

	(void)in_flight_bytes;
	(void)g;
	(void)now_us;
	if (!cc_common(cc)->episode)
		target = reduce(cc);
	cc_common_on_rto(cc, target);
	cu->now.w_max_bytes = 0;
	cu->now.epoch_us = 0;
}

/* The window is back; the curve starts anew from it, towards the old plateau if still above. */
static void cubic_on_undo(struct cc *cc)
{
	struct cubic *cu = cubic_of(cc);

	if (cc_common(cc)->undo_cwnd_bytes) {
		cu->now.w_max_bytes = cu->undo.w_max_bytes;
		cu->now.prior_bytes = cu->undo.prior_bytes;
		cu->now.epoch_us = 0;
	}
	cc_common_on_undo(cc);
}

static void cubic_on_idle(struct cc *cc, uint64_t idle_us, uint32_t rto_us, uint32_t mss_bytes,
			  uint64_t now_us)
{
	struct cubic *cu = cubic_of(cc);

	if (cu->now.epoch_us && cu->last_ack_us && now_us > cu->last_ack_us)
		cu->now.epoch_us += now_us - cu->last_ack_us;
	cu->last_ack_us = now_us;
	cc_common_on_idle(cc, idle_us, rto_us, mss_bytes, now_us);
}

const struct cc_ops cc_cubic = {
	.name = "cubic",
	.init = cc_common_init,
	.on_ack = cubic_on_ack,
	.on_loss = cubic_on_loss,
	.on_recovery_exit = cc_common_on_recovery_exit,
	.on_rto = cubic_on_rto,
	.on_undo = cubic_on_undo,
	.on_idle = cubic_on_idle,
};
