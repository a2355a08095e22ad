/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_balia.c - balanced linked adaptation (Peng, Walid, Hwang, Low; draft-walid-mptcp-congestion-
 * control): between LIA's friendliness and OLIA's responsiveness. With the rates x_i = cwnd_i /
 * rtt_i and alpha_r = max(x_i) / x_r a path grows by
 *
 *	acked * mss * x_r / rtt_r / (sum of x_i)^2 * (1 + alpha_r) / 2 * (4 + alpha_r) / 5
 *
 * and loses cwnd_r / 2 * min(alpha_r, 1.5). With one path this is Reno.
 */
#include "engine/cc_common.h"

#define ALPHA_ONE 256U /* alpha has 8 fraction bits */
#define ALPHA_MAX (1U << 28)

/* max(x_i) / x_r; rates are compared as windows at this path's RTT. */
static uint32_t alpha_q8(const struct cc *cc, const struct cc_group *g)
{
	uint64_t max = cc->cwnd_bytes, alpha;

	if (!cc_coupled(g, g->self))
		return ALPHA_ONE;
	for (unsigned i = 0; i < g->n; i++) {
		uint64_t scaled = cc_coupled(g, i) ? cc_coupled_scaled(g, i, g->self) : 0;

		max = scaled > max ? scaled : max;
	}
	alpha = cc_mul_div(max, ALPHA_ONE, cc->cwnd_bytes);
	return cc_max32(cc_min32(alpha, ALPHA_MAX), ALPHA_ONE);
}

static void balia_on_ack(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	uint32_t acked = cc_common_on_ack(cc, ack, g);
	uint64_t window = cc->cwnd_bytes;

	if (acked == 0)
		return;
	if (cc_coupled(g, g->self)) {
		uint64_t alpha = alpha_q8(cc, g);
		uint64_t factor_q16 = (ALPHA_ONE + alpha) * (4 * ALPHA_ONE + alpha) / 10;
		uint64_t all = cc_mul_div(cc_coupled_window(g, g->self), 1U << 16, factor_q16);

		/* In exact numbers it never grows faster than Reno; rounding shall not either. */
		window = all > window ? all : window;
	}
	cc_common_grow(cc, acked, window);
}

static uint32_t reduced(const struct cc *cc, const struct cc_group *g)
{
	uint32_t used = cc_common_used(cc), alpha = alpha_q8(cc, g);

	alpha = cc_min32(alpha, ALPHA_ONE + ALPHA_ONE / 2);
	return used - (uint32_t)((uint64_t)used * alpha / (2 * ALPHA_ONE));
}

static void balia_on_loss(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	(void)ack;
	cc_common_on_loss(cc, reduced(cc, g));
}

static void balia_on_rto(struct cc *cc, uint32_t in_flight_bytes, const struct cc_group *g,
			 uint64_t now_us)
{
	(void)in_flight_bytes;
	(void)now_us;
	cc_common_on_rto(cc, reduced(cc, g));
}

const struct cc_ops cc_balia = {
	.name = "balia",
	.init = cc_common_init,
	.on_ack = balia_on_ack,
	.on_loss = balia_on_loss,
	.on_recovery_exit = cc_common_on_recovery_exit,
	.on_rto = balia_on_rto,
	.on_undo = cc_common_on_undo,
	.on_idle = cc_common_on_idle,
};
