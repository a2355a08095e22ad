/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched_redundant.c - the same data on every subflow that has room for it: the first copy to
 * arrive counts. The fastest path sets the pace; a slower one carries what it can and is never
 * waited for. Price is not asked, backups still wait until nothing else is usable.
 */
#include "engine/sched_common.h"

#define PIECE_SEGMENTS 8 /* below the initial window, so that new and slow paths take part */

static struct sched_pick pick(struct sched *sc, const struct sched_input *in)
{
	uint8_t set = sched_candidates(in, false);
	struct sched_pick p = sched_piece(in, sched_fastest(in, set));
	uint64_t most;

	(void)sc;
	if (p.subflow < 0)
		return p;
	most = (uint64_t)PIECE_SEGMENTS * in->s[p.subflow].mss_bytes;
	if (most && p.bytes > most)
		p.bytes = (uint32_t)most;
	for (unsigned i = 0; i < in->n; i++)
		if ((set >> i & 1) && (int)i != p.subflow && sched_room_bytes(in, i) >= p.bytes)
			p.also_mask |= (uint8_t)(1U << i);
	return p;
}

const struct sched_ops sched_redundant = {.name = "redundant", .pick = pick};
