/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * from_net.h - a stolen segment of the peer, on its way to the guest.
 */
#ifndef MPGATE_ENGINE_FROM_NET_H
#define MPGATE_ENGINE_FROM_NET_H

#include "engine/state.h"

struct engine_result from_net(struct step *st, struct conn *c, struct subflow *s);

#endif
