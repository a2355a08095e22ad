// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_ranges.c - which bytes of a subflow have come in; part of sim_check.h.
 */
#include "sim_check.h"

#include <string.h>

void ranges_seen_add(struct ranges_seen *r, uint32_t start, uint32_t end)
{
	unsigned i = 0, j;

	while (i < r->n && r->b[i].end < start)
		i++;
	for (j = i; j < r->n && r->b[j].start <= end; j++) {
		start = start < r->b[j].start ? start : r->b[j].start;
		end = end > r->b[j].end ? end : r->b[j].end;
	}
	if (i == j && r->n == RANGES_MAX) {
		r->full = true;
		return;
	}
	memmove(r->b + i + 1, r->b + j, (r->n - j) * sizeof(r->b[0]));
	r->n = r->n - (j - i) + 1;
	r->b[i] = (struct block){start, end};
}

bool ranges_seen_hold(const struct ranges_seen *r, uint32_t start, uint32_t end)
{
	for (unsigned i = 0; i < r->n; i++)
		if (r->b[i].start <= start && end <= r->b[i].end)
			return true;
	return r->full;
}

uint32_t ranges_seen_next(const struct ranges_seen *r)
{
	return r->n && r->b[0].start <= 1 ? r->b[0].end : 1;
}
