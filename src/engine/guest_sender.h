/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_sender.h - several subflows: the gate as the TCP sender of the peer's data towards the
 * guest, for what the guest loses of it.
 *
 * Theory. New data goes out as it comes in order: the guest granted the window, and no link lies
 * between. What it loses all the same is found by its duplicate acknowledgements and SACK blocks
 * (RFC 6675, by bytes: super-segments make few acknowledgements), or by a timer from measured
 * round trips (RFC 6298). Then every hole is filled, as much at a time as the guest's answers say
 * has arrived (RFC 6937): all holes below what was SACKed, or without SACK everything from the
 * first missing byte on, twice as much with every answer, for the guest may keep nothing that
 * comes out of order.
 *
 * G1  [acked, sent) is the guest's to acknowledge; what of it is SACKed stands in `sacked`.
 * G2  In recovery or loss everything below rtx_seq was sent again or SACKed.
 * G3  What was passed on unkept (W3) only the peer can send again.
 * G4  [out_seq, rx_nxt) found no place in the output yet and goes as soon as there is some.
 * G5  What came behind a hole goes to the guest ahead of its turn, as a network would bring it: a
 *     receiver's window grows with all that it gets, and the peer waits for that window while one
 *     path is slower than another. What went so and is not acknowledged stands in `ahead` and is
 *     kept as everything else; in its turn it does not go again. That its SACK blocks come shows
 *     no loss, for what is missing was not sent. Only to a guest that told by SACK blocks that it
 *     keeps such data (the first stretch is to find that out), and never again to one that did
 *     not have it when its turn came. And only while its window is small: sorting costs a guest
 *     more than one large segment in order does, at high rates more than the window brings.
 */
#ifndef MPGATE_ENGINE_GUEST_SENDER_H
#define MPGATE_ENGINE_GUEST_SENDER_H

#include "engine/state.h"

void guest_sender_init(struct conn *c, struct multi *m);

/* Everything up to rx_nxt_seq, and FIN behind it, that did not go yet. */
void guest_sender_push(struct step *st, struct conn *c);

/* What came behind a hole and holds `seq` was kept: perhaps it goes ahead. True: some of it went.
 */
bool guest_sender_ahead(struct step *st, struct conn *c, uint32_t seq);

/* The acknowledgement of the guest's segment at hand. `window_moved`: no duplicate then. */
void guest_sender_acked(struct step *st, struct conn *c, uint32_t old_acked_seq, bool window_moved);

/* Starts the timer while the guest owes an acknowledgement, stops it when not. */
void guest_sender_arm(struct step *st, struct conn *c);

/* It has been sent the same again and again, and acknowledges nothing. */
bool guest_sender_gone(const struct multi *m);

/* What is due; when that is, 0: nothing. */
void guest_sender_timeout(struct step *st, struct conn *c);
uint64_t guest_sender_deadline_us(const struct conn *c, const struct multi *m);

#endif
