/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handshake.h - SYN and SYN/ACK, rewritten in place on the host's own road.
 */
#ifndef MPGATE_ENGINE_HANDSHAKE_H
#define MPGATE_ENGINE_HANDSHAKE_H

#include "engine/state.h"

/* A SYN or SYN/ACK at the in-place hook, from either side. */
struct engine_result handshake_packet(struct step *st);

/* The answer to ENGINE_ASK: see engine_translation(). */
struct engine_result handshake_translated(struct step *st, struct conn *c,
					  const struct flow_tuple *net);

#endif
