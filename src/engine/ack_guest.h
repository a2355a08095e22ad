/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ack_guest.h - several subflows: when the guest hears of what the peer has DATA_ACKed.
 *
 * A sender whose acknowledgements come by several paths sees round trip times that jump: what
 * went over the slow path holds up those behind it. Hybrid Start (RFC 9406's ancestor, in every
 * Linux) takes that for a queue and ends slow start, and then the guest's window grows by a
 * twentieth in a round trip, for seconds less than the paths carry. Its samples are
 * acknowledgements, it wants more than eight in a round trip, so the guest gets seven; and
 * acknowledgements no more than two milliseconds apart that go on for half a round trip are a sign
 * of a full path to it, so there is more between them. Its window grows nearly as fast, as each
 * stands for all the bytes it covers (RFC 3465).
 *
 * A guest whose window does not grow (it is past slow start, has nothing to send, or counts
 * acknowledgements instead of bytes) gets all of them.
 */
#ifndef MPGATE_ENGINE_ACK_GUEST_H
#define MPGATE_ENGINE_ACK_GUEST_H

#include "engine/state.h"

/* The peer's DATA_ACK or its window has moved: tells the guest now or a little later. */
void ack_guest(struct step *st, struct conn *c);

/* What every segment to the guest tells it along the way. */
void ack_guest_told(struct multi *m, const struct conn *c, uint64_t now_us);

/* The time has come for what was held back. */
void ack_guest_timeout(struct step *st, struct conn *c);

#endif
