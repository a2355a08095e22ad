/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ranges.c - the few ranges stand in a sorted array: a handful is searched faster than any tree.
 */
#include <string.h>

#include "base/ranges.h"
#include "base/seq.h"

bool ranges_add(struct ranges *rs, uint32_t start, uint32_t end)
{
	uint32_t first = 0, behind;

	if (!seq_lt(start, end))
		return true;
	while (first < rs->n && seq_lt(rs->r[first].end, start))
		first++;
	/* [first, behind) overlap or touch the new range and become one with it. */
	for (behind = first; behind < rs->n && seq_le(rs->r[behind].start, end); behind++) {
		start = seq_min(start, rs->r[behind].start);
		end = seq_max(end, rs->r[behind].end);
	}
	if (first == behind && rs->n == RANGES_MAX)
		return false;
	memmove(&rs->r[first + 1], &rs->r[behind], (rs->n - behind) * sizeof(rs->r[0]));
	rs->r[first] = (struct range){start, end};
	rs->n = rs->n - (behind - first) + 1;
	return true;
}

uint32_t ranges_advance(struct ranges *rs, uint32_t next)
{
	uint32_t gone = 0;

	while (gone < rs->n && seq_le(rs->r[gone].start, next))
		next = seq_max(next, rs->r[gone++].end);
	memmove(&rs->r[0], &rs->r[gone], (rs->n - gone) * sizeof(rs->r[0]));
	rs->n -= gone;
	return next;
}
