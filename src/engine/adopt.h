/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * adopt.h - a region that is taken over under another configuration: paths are known by their
 * names, their indices may have changed.
 */
#ifndef MPGATE_ENGINE_ADOPT_H
#define MPGATE_ENGINE_ADOPT_H

#include "engine/state.h"

/* Paths that the configuration lacks share one index behind those that it has. */
#define ADOPT_GONE (ENGINE_PATHS_MAX - 1)

/*
 * Gives everything that names a path the index that the path's name has in `cfg`, or ADOPT_GONE.
 * `old` becomes the paths as they were, by their new indices. False when a path is gone and
 * ADOPT_GONE is in use: then nothing was changed.
 */
bool adopt_paths(struct engine *e, const struct engine_cfg *cfg,
		 struct engine_path_cfg old[ENGINE_PATHS_MAX]);

#endif
