/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multi.h - a connection over several subflows at once.
 *
 * Theory. From the moment a second subflow is established the gate is a full MPTCP endpoint
 * towards the net and a full TCP endpoint towards the guest, except that it never acknowledges in
 * either direction what the far side has not (I1). What the guest sends is kept in `tx` until the
 * peer has DATA_ACKed it and no subflow may have to send it again; what the peer sends is kept in
 * `rx` until the guest has acknowledged it.
 *
 * W1  una_seq <= nxt_seq <= end_seq. [una, end) is in tx, except, below hand_seq, what the guest
 *     sent before: that only the guest can send again (it sees the duplicate acknowledgements),
 *     and what it sends again goes its old way on the initial subflow.
 * W2  Everything in [una, nxt) was sent on at least one living subflow, or stands in `again`.
 * W3  acked_seq <= rx_nxt_seq = sent_seq (less a FIN). [acked, rx_nxt) is in rx, except below
 *     rx_hand_seq: there the initial subflow's acknowledgement still follows the guest's. Behind a
 *     hole, what `spans` names is in rx as well, and a guest that keeps it may have got it ahead
 *     of its turn (guest_sender.h, G5); it cannot acknowledge that before the hole is filled.
 * W4  The windows told to the guest and to the peer are bounded by what the gate will keep, never
 *     withdrawn (I2).
 */
#ifndef MPGATE_ENGINE_MULTI_H
#define MPGATE_ENGINE_MULTI_H

#include "engine/state.h"

/* Less room than the smallest segment is none: who has no more asks, and hears what is news. */
#define MULTI_SHUT_BYTES 536u

/* The second subflow is there: the connection becomes multipath. False when memory lacks. */
bool multi_new(struct step *st, struct conn *c);
void multi_free(struct engine *e, struct conn *c);

/* A subflow that joined later gets its sender. */
bool multi_add(struct step *st, struct conn *c, struct subflow *s);

/* Segments of either side while there are several subflows. */
struct engine_result multi_from_guest(struct step *st, struct conn *c);
struct engine_result multi_from_net(struct step *st, struct conn *c, struct subflow *s);

/* The time stamps of what goes to the guest now: TSval and TSecr. */
void multi_guest_clock(const struct step *st, const struct conn *c, uint32_t ts[2]);

/* Sends what windows and schedulers allow. */
void multi_push(struct step *st, struct conn *c);

/* Starts a segment of the gate's own; the caller adds seq, flags and the DSS. */
void multi_begin_net(struct step *st, struct conn *c, struct subflow *s, struct headers *h,
		     struct options_writer *w);
void multi_begin_guest(struct step *st, struct conn *c, struct headers *h,
		       struct options_writer *w);

/* The subflow has just carried an acknowledgement. */
void multi_acked(struct subflow *s);

/* Acknowledges on the subflow, with SACK blocks and DATA_ACK; `flags` besides ACK. */
void multi_ack(struct step *st, struct conn *c, struct subflow *s, uint8_t flags);

/* An acknowledgement to the guest without data. */
void multi_ack_guest(struct step *st, struct conn *c);

/* Checksum of the mapping of a txseg (RFC 8684 section 3.3.1), from the stream. */
uint16_t multi_checksum(struct engine *e, const struct conn *c, const struct subflow *s,
			const struct txseg *t);

/* A subflow ends (its record stays with the caller): its data moves to the others. */
void multi_lost(struct step *st, struct conn *c, struct subflow *s);

/* The guest does not answer any more, nor send again what it knows to be missing. */
bool multi_guest_gone(const struct step *st, const struct conn *c);

/* When time alone lets something happen; what waits for a packet has no part in it. */
uint64_t multi_deadline_us(struct engine *e, const struct conn *c, uint64_t now_us);
void multi_timeout(struct step *st, struct conn *c);

#endif
