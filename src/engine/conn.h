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
#define ALONE_US (60ull * 1000000)       /* without any subflow, as Linux's close_timeout */
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

/* A record in the connection's list and in the table; the caller fills in the rest. */
struct subflow *subflow_new(struct step *st, struct conn *c, const struct flow_tuple *net,
			    uint8_t path);

/* The subflow that the MP_CAPABLE handshake made; null when no record is free. */
struct subflow *subflow_initial(struct step *st, struct conn *c, const struct flow_tuple *net);
void subflow_free(struct engine *e, struct conn *c, struct subflow *s);

/* The subflow is gone: its data moves to the others; without any the connection waits a while. */
void subflow_end(struct step *st, struct conn *c, struct subflow *s, enum reason reason);

/* Resets the subflow, then ends it. */
void subflow_abort(struct step *st, struct conn *c, struct subflow *s, enum reason reason);

/* Our FIN, or our FIN again; and what its acknowledgement means. */
void subflow_send_fin(struct step *st, struct conn *c, struct subflow *s);
void subflow_fin_acked(struct step *st, struct conn *c, struct subflow *s);

/* Sets the connection's deadline anew from all its timers. */
void conn_deadline(struct step *st, struct conn *c);

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
