/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_forge.h - forged segments.
 */
#ifndef MPGATE_SIM_FORGE_H
#define MPGATE_SIM_FORGE_H

#include "sim.h"

/* One segment for some connection that stands, handed to the gate. */
void forge(struct sim *w, struct rng *r);

#endif
