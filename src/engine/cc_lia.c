/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_lia.c - linked increases (RFC 6356): together the subflows grow as one TCP on the best path
 * would, and each no faster than a TCP of its own. Slow start and halving are each subflow's own.
 *
 * The RFC's increase is min(alpha * acked * mss / cwnd_total, acked * mss / cwnd_i) with
 * alpha = cwnd_total * max(cwnd_i / rtt_i^2) / (sum of cwnd_i / rtt_i)^2. cwnd_total cancels: with
 * b the path of the maximum the first is acked * mss / W, W = (sum of cwnd_i * rtt_b / rtt_i)^2 /
 * cwnd_b, in bytes. So no scaled alpha is kept and nothing is lost to its rounding; the increase
 * below one byte is carried on in 16 fraction bits.
 */
#include "engine/cc_common.h"

/* The path with the largest cwnd / rtt^2; the RTTs are shifted so that the products fit. */
static unsigned best_path(const struct cc_group *g)
{
	uint32_t rtt_max = 0;
	unsigned shift = 0, best = g->self;

	for (unsigned i = 0; i < g->n; i++)
		if (cc_coupled(g, i))
			rtt_max = cc_max32(rtt_max, g->member[i].srtt_us);
	while (rtt_max >> shift > UINT16_MAX)
		shift++;
	for (unsigned i = 0; i < g->n; i++) {
		uint64_t ri, rb;

		if (!cc_coupled(g, i))
			continue;
		ri = cc_max32(g->member[i].srtt_us >> shift, 1);
		rb = cc_max32(g->member[best].srtt_us >> shift, 1);
		if (g->member[i].cc->cwnd_bytes * rb * rb >
		    g->member[best].cc->cwnd_bytes * ri * ri)
			best = i;
	}
	return best;
}

static void lia_on_ack(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	uint32_t acked = cc_common_on_ack(cc, ack, g);
	uint64_t window = cc->cwnd_bytes;

	if (acked == 0)
		return;
	if (cc_coupled(g, g->self)) {
		uint64_t all = cc_coupled_window(g, best_path(g));

		window = all > window ? all : window;
	}
	cc_common_grow(cc, acked, window);
}

static void lia_on_loss(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	(void)ack;
	(void)g;
	cc_common_on_loss(cc, cc_common_used(cc) / 2);
}

static void lia_on_rto(struct cc *cc, uint32_t in_flight_bytes, const struct cc_group *g,
		       uint64_t now_us)
{
	(void)in_flight_bytes;
	(void)g;
	(void)now_us;
	cc_common_on_rto(cc, cc_common_used(cc) / 2);
}

const struct cc_ops cc_lia = {
	.name = "lia",
	.init = cc_common_init,
	.on_ack = lia_on_ack,
	.on_loss = lia_on_loss,
	.on_recovery_exit = cc_common_on_recovery_exit,
	.on_rto = lia_on_rto,
	.on_undo = cc_common_on_undo,
	.on_idle = cc_common_on_idle,
};
