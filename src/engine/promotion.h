/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * promotion.h - when a connection may have more than one subflow.
 *
 * From the thesis: TCP or MPTCP by the duration and intensity of the traffic. Most connections are
 * short and small, and a second subflow would only cost them. A connection stays on one until it
 * has moved `after_bytes`, lived for `after_us` with data on its way, run faster than
 * `after_bytes_per_s`, or its path shows congestion; a rule may say `always`.
 */
#ifndef MPGATE_ENGINE_PROMOTION_H
#define MPGATE_ENGINE_PROMOTION_H

#include "engine/state.h"

/* True once the connection may have more subflows; never taken back. Called for every segment. */
bool promotion_check(struct step *st, struct conn *c);

/*
 * What a connection with one subflow shows of its path: `retransmits` are the subflow's before the
 * guest's segment, `una` its snd_una before the peer's.
 */
void promotion_from_guest(struct step *st, struct conn *c, struct subflow *s, uint64_t retransmits);
void promotion_from_net(struct step *st, struct conn *c, struct subflow *s);

#endif
