/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_stretches.h - stretches of a stream of bytes: what came early, what is to go again. Half
 * open, ascending, disjoint, and never next to each other.
 */
#ifndef MPGATE_SIM_STRETCHES_H
#define MPGATE_SIM_STRETCHES_H

#include <stdbool.h>
#include <stdint.h>

#define STRETCHES_MAX 1024

struct stretches {
	struct {
		uint64_t start, end;
	} r[STRETCHES_MAX];
	unsigned n;
};

/* Joins [start, end) with what it touches; false: there are `max` already, it is not noted. */
bool stretches_add(struct stretches *x, unsigned max, uint64_t start, uint64_t end);

/* Takes the i-th out. */
void stretches_rm(struct stretches *x, unsigned i);

/* Does one of them hold all of [start, end)? */
bool stretches_hold(const struct stretches *x, uint64_t start, uint64_t end);

/* From `from` on: the first byte that none of them holds. */
uint64_t stretches_next(const struct stretches *x, uint64_t from);

#endif
