/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_olia.c - opportunistic linked increases (Khalili et al., "MPTCP is not Pareto-optimal",
 * draft-khalili-mptcp-congestion-control): the increase of a path is
 *
 *	acked * mss * (cwnd_r / rtt_r^2 / (sum of cwnd_i / rtt_i)^2 + alpha_r / cwnd_r)
 *
 * The first term balances the load as theory wants it; it is acked * mss / cc_coupled_window(r).
 * alpha moves windows from the paths with the largest ones (alpha < 0) to the best paths that
 * still have small ones (alpha > 0); it is 0 when the best paths have the largest windows.
 *
 * Best is a path with the largest l / rtt^2, l being the bytes it carried between losses: a TCP
 * there would send sqrt(2 * l * mss) / rtt.
 */
#include "engine/cc_common.h"

struct olia {
	struct cc_common common;
	uint64_t since_loss_bytes;     /* acknowledged since the last loss */
	uint64_t between_losses_bytes; /* between the last two */
};
CC_STATE_FITS(struct olia);

/* All subflows of a connection have the same controller. */
static const struct olia *olia_of(const struct cc_group *g, unsigned i)
{
	return (const struct olia *)g->member[i].cc->word;
}

static uint64_t loss_distance(const struct olia *o)
{
	return o->since_loss_bytes > o->between_losses_bytes ? o->since_loss_bytes
							     : o->between_losses_bytes;
}

/* Is l / rtt^2 of path i larger than of path k? Numbers are cut to 16 bits of RTT, 31 of l. */
static bool better(const struct cc_group *g, unsigned i, unsigned k)
{
	uint64_t li = loss_distance(olia_of(g, i)), lk = loss_distance(olia_of(g, k));
	uint64_t ri = g->member[i].srtt_us, rk = g->member[k].srtt_us;

	while ((li | lk) >> 31) {
		li >>= 1;
		lk >>= 1;
	}
	while ((ri | rk) >> 16) {
		ri >>= 1;
		rk >>= 1;
	}
	return li * rk * rk > lk * ri * ri;
}

struct olia_paths {
	unsigned n;         /* coupled subflows */
	unsigned largest;   /* those with the largest window */
	unsigned collected; /* the best ones without the largest window */
	bool self_largest, self_collected;
};

static struct olia_paths sort_paths(const struct cc_group *g)
{
	struct olia_paths p = {0};
	unsigned best = g->self;
	uint32_t cwnd_max = 0;

	for (unsigned i = 0; i < g->n; i++) {
		if (!cc_coupled(g, i))
			continue;
		p.n++;
		cwnd_max = cc_max32(cwnd_max, g->member[i].cc->cwnd_bytes);
		if (better(g, i, best))
			best = i;
	}
	for (unsigned i = 0; i < g->n; i++) {
		if (!cc_coupled(g, i))
			continue;
		if (g->member[i].cc->cwnd_bytes == cwnd_max) {
			p.largest++;
			p.self_largest |= i == g->self;
		} else if (!better(g, best, i)) {
			p.collected++;
			p.self_collected |= i == g->self;
		}
	}
	return p;
}

static void olia_on_ack(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	uint32_t acked = cc_common_on_ack(cc, ack, g);
	uint64_t window = cc->cwnd_bytes;
	struct olia_paths p;

	((struct olia *)cc->word)->since_loss_bytes += ack->acked_bytes;
	if (acked == 0)
		return;
	if (!cc_coupled(g, g->self)) {
		cc_common_grow(cc, acked, window);
		return;
	}
	p = sort_paths(g);
	cc_common_grow(cc, acked, cc_coupled_window(g, g->self));
	if (p.collected == 0)
		return;
	if (p.self_collected)
		cc_common_grow(cc, acked, window * p.n * p.collected);
	else if (p.self_largest)
		cc_common_shrink(cc, acked, window * p.n * p.largest);
}

static void count_loss(struct cc *cc)
{
	struct olia *o = (struct olia *)cc->word;

	o->between_losses_bytes = o->since_loss_bytes;
	o->since_loss_bytes = 0;
}

static void olia_on_loss(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	(void)ack;
	(void)g;
	count_loss(cc);
	cc_common_on_loss(cc, cc_common_used(cc) / 2);
}

static void olia_on_rto(struct cc *cc, uint32_t in_flight_bytes, const struct cc_group *g,
			uint64_t now_us)
{
	(void)in_flight_bytes;
	(void)g;
	(void)now_us;
	if (!cc_common(cc)->episode)
		count_loss(cc);
	cc_common_on_rto(cc, cc_common_used(cc) / 2);
}

/* The loss was none: the distance goes on from where it was. */
static void olia_on_undo(struct cc *cc)
{
	struct olia *o = (struct olia *)cc->word;

	if (cc_common(cc)->undo_cwnd_bytes)
		o->since_loss_bytes += o->between_losses_bytes;
	cc_common_on_undo(cc);
}

const struct cc_ops cc_olia = {
	.name = "olia",
	.init = cc_common_init,
	.on_ack = olia_on_ack,
	.on_loss = olia_on_loss,
	.on_recovery_exit = cc_common_on_recovery_exit,
	.on_rto = olia_on_rto,
	.on_undo = olia_on_undo,
	.on_idle = cc_common_on_idle,
};
