/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stranger.h - segments that were stolen and belong to no connection.
 */
#ifndef MPGATE_ENGINE_STRANGER_H
#define MPGATE_ENGINE_STRANGER_H

#include "engine/state.h"

/*
 * The segment, whose checksum is good, pretends to come from the other side, or is one of a
 * connection or subflow that is gone: dropped, and answered with RST where the host's kernel or a
 * guest would do so, who know nothing of it (I6). What else there is is let go.
 */
struct engine_result stranger(struct step *st);

#endif
