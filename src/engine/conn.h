/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.h - the life of a connection's record and of its subflows' records.
 */
#ifndef MPGATE_ENGINE_CONN_H
#define MPGATE_ENGINE_CONN_H

#include "engine/state.h"

#define LINGER_US (10ull * 1000000)      /* after a normal close */
#define LINGER_RESET_US (2ull * 1000000) /* after a reset */
#define LINGER_PLAIN_US (5ull * 1000000) /* after fallback, for what is queued already */
#define RTO_FIRST_US 300000ull
#define RTO_TRIES 8

/* A fresh record, in the tables; null when none is free. */
struct conn *conn_new(struct step *st, const struct flow_tuple *guest);

/* Gives the record and all that hangs on it back. */
void conn_free(struct step *st, struct conn *c, enum reason reason);

/* Ends the connection; the record answers what is sent again until the linger time is over. */
void conn_close(struct step *st, struct conn *c, bool reset, enum reason reason);

/* Ends it with a RST to the guest and MP_FASTCLOSE to the peer. */
void conn_reset(struct step *st, struct conn *c, enum reason reason);

/* The first subflow of an established connection; null when no record is free. */
struct subflow *subflow_new(struct step *st, struct conn *c, const struct flow_tuple *net);

/* First subflow of the connection; null when it has none. */
struct subflow *conn_subflow(struct engine *e, const struct conn *c);

/* Sends the subflow's FIN when both DATA_FINs are acknowledged (RFC 8684 section 3.3.3). */
void conn_close_check(struct step *st, struct conn *c);

/* What is due for this connection: timeouts of its state, the FIN's retransmission. */
void conn_timeout(struct step *st, struct conn *c);

/*
 * Falls back to TCP (RFC 8684 section 3.7). The packet at hand then goes on like all later ones:
 * through fallback_packet().
 */
void conn_fallback(struct step *st, struct conn *c, enum reason reason);

/*
 * A packet of a connection that fell back: let go and marked plain if the sequence numbers of both
 * legs are the same, otherwise rewritten without MPTCP.
 */
struct engine_result fallback_packet(struct step *st, struct conn *c);

#endif
