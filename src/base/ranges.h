/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ranges.h - a few disjoint, ordered ranges of 32-bit sequence numbers: what was received out of
 * order. All ranges lie within 2^31 of each other.
 */
#ifndef MPGATE_BASE_RANGES_H
#define MPGATE_BASE_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MAX 6

struct range {
	uint32_t start, end; /* end is the first number behind */
};

struct ranges {
	uint32_t n;
	struct range r[RANGES_MAX]; /* ascending, not touching each other */
};

/* Adds [start, end), merging. False when it needed a place and none was left; nothing changed. */
bool ranges_add(struct ranges *rs, uint32_t start, uint32_t end);

/*
 * `next` is contiguous up to here: removes everything up to it, and if a range begins at or before
 * it, takes that range too. Returns the new contiguous end.
 */
uint32_t ranges_advance(struct ranges *rs, uint32_t next);

#endif
