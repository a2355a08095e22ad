/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched_lowest_rtt.c - the subflow with the lowest RTT that has room in its window; at the end of
 * a transfer none so slow that waiting for a faster one is sooner.
 */
#include "engine/sched_common.h"

static struct sched_pick pick(struct sched *sc, const struct sched_input *in)
{
	uint8_t set = sched_candidates(in, true);
	int i = sched_fastest(in, set);

	(void)sc;
	if (i >= 0 && sched_tail_waits(in, set, (unsigned)i))
		i = -1;
	return sched_piece(in, i);
}

const struct sched_ops sched_lowest_rtt = {.name = "lowest-rtt", .pick = pick};
