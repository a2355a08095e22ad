/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * from_guest.h - a stolen segment of a guest, on its way to the net.
 */
#ifndef MPGATE_ENGINE_FROM_GUEST_H
#define MPGATE_ENGINE_FROM_GUEST_H

#include "engine/state.h"

struct engine_result from_guest(struct step *st, struct conn *c);

#endif
