/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scheduler.c - the schedulers by name.
 */
#include "engine/sched_common.h"

#include <stddef.h>
#include <string.h>

static const struct sched_ops *const schedulers[] = {&sched_lowest_rtt, &sched_blest,
						     &sched_redundant, &sched_round_robin};

const struct sched_ops *scheduler_at(unsigned i)
{
	return i < sizeof(schedulers) / sizeof(schedulers[0]) ? schedulers[i] : NULL;
}

const struct sched_ops *scheduler_find(const char *name)
{
	for (unsigned i = 0; scheduler_at(i); i++)
		if (strcmp(schedulers[i]->name, name) == 0)
			return schedulers[i];
	return NULL;
}
