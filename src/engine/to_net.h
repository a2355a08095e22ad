/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * to_net.h - several subflows, guest to net: keeping the guest's bytes, choosing who carries them.
 */
#ifndef MPGATE_ENGINE_TO_NET_H
#define MPGATE_ENGINE_TO_NET_H

#include "engine/state.h"

/* Places in the output: a piece takes some, what is left is for acknowledgements. */
#define TO_NET_OUTS_MIN 8

/* The window field for the guest (W4). */
uint16_t to_net_window(struct engine *e, const struct conn *c);

/* How much of the guest's data the gate is willing to hold, from the first byte not DATA_ACKed. */
uint32_t to_net_keep_bytes(struct engine *e, const struct conn *c);

/* Something waits to be sent that pacing may hold. */
bool to_net_waits(struct engine *e, const struct conn *c);

/* Takes the payload and FIN of the guest's segment at hand in. */
enum reason to_net_take(struct step *st, struct conn *c);

/* The peer has DATA_ACKed more: gives memory back. */
void to_net_acked(struct step *st, struct conn *c);

/*
 * The data level's own timer (RFC 8684 section 3.3.6): for what the peer took on a subflow and
 * threw away behind it, and for a window that stays shut.
 */
void to_net_arm(struct step *st, struct conn *c);
void to_net_timeout(struct step *st, struct conn *c);

/* DATA_FIN's retransmission. */
void push_timeout(struct step *st, struct conn *c);

#endif
