/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join.h - MP_JOIN as the initiator (RFC 8684 section 3.2).
 */
#ifndef MPGATE_ENGINE_JOIN_H
#define MPGATE_ENGINE_JOIN_H

#include "engine/state.h"

/*
 * Sends the SYN of a new subflow over `path` to an address of the peer, of a family that the path
 * has. False when records, numbers or room lack.
 */
bool join_start(struct step *st, struct conn *c, uint8_t path, const struct peer_address *to);

/*
 * Is there what one more subflow will need once it is established, besides those that are half
 * open? Better not begun now, or refused, than reset then.
 */
bool join_memory(struct engine *e, const struct conn *c);

/* Did the last join to the connection's peer end without a subflow, for whatever reason? */
bool join_refused_before(const struct step *st, const struct conn *c);

/*
 * Something on the subflow's path takes MPTCP's options away (RFC 8684 section 3.7). True, and
 * told, when that was so often between these addresses that it is not worth asking there again.
 */
bool join_stripped(struct step *st, struct conn *c, const struct subflow *s);

/* A segment of the peer for a subflow that is not established yet. */
struct engine_result join_packet(struct step *st, struct conn *c, struct subflow *s);

/* The SYN or the ACK again, later each time, or the end of it. */
void join_timeout(struct step *st, struct conn *c, struct subflow *s);

/*
 * Both ends have closed the connection (RFC 8684 section 3.3.3). What the peer has not confirmed is
 * taken back by RST; where it has it ends by FIN as any other subflow, and needs no sender: there
 * is nothing left to send.
 */
void join_close(struct step *st, struct conn *c, struct subflow *s);

#endif
