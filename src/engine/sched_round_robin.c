/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched_round_robin.c - one piece on each subflow in turn; who has no room is passed over.
 */
#include "engine/sched_common.h"

static struct sched_pick pick(struct sched *sc, const struct sched_input *in)
{
	uint8_t set = sched_candidates(in, true);
	unsigned start = in->last >= 0 && in->n ? ((unsigned)in->last + 1) % in->n : 0;

	(void)sc;
	for (unsigned k = 0; k < in->n; k++) {
		unsigned i = (start + k) % in->n;

		if ((set >> i & 1) && sched_room_bytes(in, i))
			return sched_piece(in, (int)i);
	}
	return sched_piece(in, -1);
}

const struct sched_ops sched_round_robin = {.name = "round-robin", .pick = pick};
