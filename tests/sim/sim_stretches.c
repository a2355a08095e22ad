// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_stretches.c - see sim_stretches.h.
 */
#include "sim_stretches.h"

#include <string.h>

bool stretches_add(struct stretches *x, unsigned max, uint64_t start, uint64_t end)
{
	unsigned i = 0, j;

	while (i < x->n && x->r[i].end < start)
		i++;
	for (j = i; j < x->n && x->r[j].start <= end; j++) {
		start = start < x->r[j].start ? start : x->r[j].start;
		end = end > x->r[j].end ? end : x->r[j].end;
	}
	if (i == j && x->n == max)
		return false;
	memmove(x->r + i + 1, x->r + j, (x->n - j) * sizeof(x->r[0]));
	x->n = x->n - (j - i) + 1;
	x->r[i].start = start;
	x->r[i].end = end;
	return true;
}

void stretches_rm(struct stretches *x, unsigned i)
{
	memmove(x->r + i, x->r + i + 1, (--x->n - i) * sizeof(x->r[0]));
}

bool stretches_hold(const struct stretches *x, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < x->n; i++)
		if (x->r[i].start <= start && end <= x->r[i].end)
			return true;
	return false;
}

uint64_t stretches_next(const struct stretches *x, uint64_t from)
{
	for (unsigned i = 0; i < x->n && x->r[i].start <= from; i++)
		if (from < x->r[i].end)
			return x->r[i].end;
	return from;
}
