/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * path_manager.h - when a connection gets more subflows, and over which paths.
 */
#ifndef MPGATE_ENGINE_PATH_MANAGER_H
#define MPGATE_ENGINE_PATH_MANAGER_H

#include "engine/state.h"

/*
 * Looks whether the connection should have more subflows now, and starts them. Cheap when not:
 * called for every segment.
 */
void path_manager_check(struct step *st, struct conn *c);

/* Takes note in the connections that the path came, went, or has another address. */
void path_manager_path(struct engine *e, unsigned path);

#endif
