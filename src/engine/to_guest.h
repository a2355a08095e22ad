/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * to_guest.h - several subflows, net to guest: acknowledging subflows, ordering, releasing to the
 * guest and sending it again if the guest lost it.
 */
#ifndef MPGATE_ENGINE_TO_GUEST_H
#define MPGATE_ENGINE_TO_GUEST_H

#include "engine/state.h"

/* The acknowledgement number for the subflow (W3). */
uint32_t to_guest_ack_ssn(struct engine *e, struct conn *c, struct subflow *s);

/* The right edge told to the peer (W4): the guest's, less what the gate could not keep. */
uint32_t to_guest_edge_seq(struct engine *e, const struct conn *c);

/* The guest's acknowledgement moved, or did not: trims, sends again, passes DATA_ACK on. */
void to_guest_acked(struct step *st, struct conn *c, uint32_t old_acked_seq, uint32_t old_edge_seq);

/* The payload and DATA_FIN of the peer's segment at hand. *sent: something went to the guest. */
enum reason to_guest_take(struct step *st, struct conn *c, struct subflow *s, bool *sent);

void to_guest_timeout(struct step *st, struct conn *c);

#endif
