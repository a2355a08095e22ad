/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * to_net.h - several subflows, guest to net: keeping the guest's bytes, choosing who carries them.
 */
#ifndef MPGATE_ENGINE_TO_NET_H
#define MPGATE_ENGINE_TO_NET_H

#include "engine/state.h"

/* The window field for the guest (W4). */
uint16_t to_net_window(struct engine *e, const struct conn *c);

/* Something waits to be sent. */
bool to_net_waits(struct engine *e, const struct conn *c);

/* Takes the payload and FIN of the guest's segment at hand in. */
enum reason to_net_take(struct step *st, struct conn *c);

/* The peer has DATA_ACKed more: gives memory back. */
void to_net_acked(struct step *st, struct conn *c);

/* DATA_FIN's retransmission. */
void to_net_timeout(struct step *st, struct conn *c);

#endif
