/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * path_manager.h - which subflows a connection should have, and what paths that come and go mean
 * for it.
 */
#ifndef MPGATE_ENGINE_PATH_MANAGER_H
#define MPGATE_ENGINE_PATH_MANAGER_H

#include "engine/state.h"

/*
 * Ends subflows that have to go, tells the peer what it should know, starts the joins that are
 * wanted. Cheap when there is nothing to do: called for every segment. Subflows may be freed.
 */
void path_manager_check(struct step *st, struct conn *c);

/*
 * The path's state, addresses, priority or price changed from `old` (usable: `was_usable`): notes
 * it in the connections and makes them due.
 */
void path_manager_path(struct engine *e, unsigned path, bool was_usable,
		       const struct engine_path_cfg *old);

/* How many subflows a connection may have, by the configuration and by what fits. */
unsigned path_manager_max_subflows(const struct engine *e);

/* An established subflow that has a path and is not about to end; null when there is none. */
struct subflow *path_manager_living(struct engine *e, const struct conn *c);

#endif
