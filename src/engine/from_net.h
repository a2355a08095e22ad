/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * from_net.h - a stolen segment of the peer, on its way to the guest.
 */
#ifndef MPGATE_ENGINE_FROM_NET_H
#define MPGATE_ENGINE_FROM_NET_H

#include "engine/state.h"

struct engine_result from_net(struct step *st, struct conn *c, struct subflow *s);

/* False when the sequence number is far outside of what the subflow can expect. */
bool from_net_plausible(const struct conn *c, const struct subflow *s, const struct packet *p);

/* DATA_ACK and window of the segment. Never more than was sent is believed. */
void from_net_take_data_ack(struct step *st, struct conn *c, struct subflow *s);

#endif
