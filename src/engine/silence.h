/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * silence.h - a subflow of the peer that stopped bringing data while others go on.
 */
#ifndef MPGATE_ENGINE_SILENCE_H
#define MPGATE_ENGINE_SILENCE_H

#include "engine/state.h"

/* From now on something is missing in the middle of the data. */
void silence_hole(struct step *st, struct multi *m);

/* The subflow brought data. */
void silence_arrival(struct step *st, struct multi *m, struct subflow *s);

/* What is due at hole_at_us: is it one subflow's silence that the hole comes from? */
void silence_look(struct step *st, struct conn *c);

#endif
