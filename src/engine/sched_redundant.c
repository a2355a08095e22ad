/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched_redundant.c - the same data on every subflow that has room for it: the first copy to
 * arrive counts. The path with the highest rate sets the pace and carries everything; the others
 * carry what they can and are never waited for. Price is not asked, backups still wait until
 * nothing else is usable.
 */
#include "engine/sched_common.h"

#define PIECE_SEGMENTS 8 /* below the initial window, so that new and slow paths take part */

static bool has(uint8_t set, unsigned i)
{
	return set >> i & 1;
}

/* cwnd / srtt; paths alike go by RTT. */
static int leader(const struct sched_input *in, uint8_t set)
{
	int best = -1;

	for (unsigned i = 0; i < in->n; i++) {
		uint64_t mine, others;

		if (!has(set, i))
			continue;
		if (best < 0) {
			best = (int)i;
			continue;
		}
		mine = (uint64_t)in->s[i].cwnd_bytes * sched_srtt_us(&in->s[best]);
		others = (uint64_t)in->s[best].cwnd_bytes * sched_srtt_us(&in->s[i]);
		if (mine > others ||
		    (mine == others && sched_srtt_us(&in->s[i]) < sched_srtt_us(&in->s[best])))
			best = (int)i;
	}
	return best;
}

static struct sched_pick pick(struct sched *sc, const struct sched_input *in)
{
	uint8_t set = sched_candidates(in, false);
	struct sched_pick p = sched_piece(in, leader(in, set));
	uint32_t mss;

	(void)sc;
	if (p.subflow < 0)
		return p;
	mss = in->s[p.subflow].mss_bytes ? in->s[p.subflow].mss_bytes : 1;
	if (p.bytes > PIECE_SEGMENTS * mss)
		p.bytes = PIECE_SEGMENTS * mss;
	/* Two segments are few enough for a path that is paced slowly to take part now and then. */
	for (unsigned i = 0; i < in->n; i++) {
		uint32_t room = has(set, i) && (int)i != p.subflow ? sched_room_bytes(in, i) : 0;

		if (room >= 2 * mss && room < p.bytes)
			p.bytes = room - room % mss;
	}
	for (unsigned i = 0; i < in->n; i++)
		if (has(set, i) && (int)i != p.subflow && sched_room_bytes(in, i) >= p.bytes)
			p.also_mask |= (uint8_t)(1U << i);
	return p;
}

const struct sched_ops sched_redundant = {.name = "redundant", .pick = pick};
