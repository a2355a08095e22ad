/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * steer_filter.h - a BPF filter of ours at the ingress of an interface (tc), beside those of the
 * host. A part of steer.c.
 */
#ifndef MPGATE_IO_STEER_FILTER_H
#define MPGATE_IO_STEER_FILTER_H

#include <stdbool.h>
#include <stdint.h>

struct steer_filter {
	uint32_t handle, program_id;
	unsigned priority;
};

/* Whether ours is there. */
bool steer_filter_find(unsigned ifindex, struct steer_filter *found);

/* At which priority ours stands there, or would. */
unsigned steer_filter_priority(unsigned ifindex);

/*
 * Puts the program (a descriptor) there, instead of an older one. Its priority, 1 unless filters of
 * another kind have that, or -errno.
 */
int steer_filter_put(unsigned ifindex, int program);

/*
 * Takes it away, and clsact where that came with it and nobody else uses it. 0, also when there is
 * none, or -errno.
 */
int steer_filter_rm(unsigned ifindex);

#endif
