/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * congestion.c - the congestion controllers by name.
 */
#include "engine/cc_common.h"

#include <stddef.h>
#include <string.h>

static const struct cc_ops *const controllers[] = {&cc_lia, &cc_olia, &cc_balia, &cc_cubic,
						   &cc_bbr};

const struct cc_ops *congestion_at(unsigned i)
{
	return i < sizeof(controllers) / sizeof(controllers[0]) ? controllers[i] : NULL;
}

const struct cc_ops *congestion_find(const char *name)
{
	for (unsigned i = 0; congestion_at(i); i++)
		if (strcmp(controllers[i]->name, name) == 0)
			return controllers[i];
	return NULL;
}
