/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.h - the life of a connection's record and of its subflows' records.
 */
#ifndef MPGATE_ENGINE_CONN_H
#define MPGATE_ENGINE_CONN_H

#include "engine/state.h"

#define LINGER_US (10ull * 1000000)      /* after a normal close */
#define LINGER_MAX_US (240ull * 1000000) /* 2 MSL (RFC 9293 section 3.4.2) */
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

#define CONN_STEP_US 500 /* what is due and could not be done is tried again so soon */

/*
 * Somebody asks once more after the end, and did at *asked_us: the answer may get lost again, and
 * timers back off to twice the pause (RFC 6298 section 5.5). The record stays for that long and
 * LINGER_US more, as TIME-WAIT begins anew (RFC 9293 section 3.10.7.4).
 */
void conn_linger(struct step *st, struct conn *c, uint64_t *asked_us);

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

/* Resets the subflow, telling the peer why (RFC 8684 section 3.6), then ends it. */
void subflow_abort(struct step *st, struct conn *c, struct subflow *s, enum mp_tcprst_reason why,
		   enum reason reason);

/* The same for a wrong checksum in the mapping at `dsn` (section 3.7): MP_FAIL goes with the RST.
 */
void subflow_fail(struct step *st, struct conn *c, struct subflow *s, uint64_t dsn);

/* Counts and puts an event out that concerns the subflow. */
void subflow_event(struct step *st, const struct conn *c, const struct subflow *s,
		   enum reason reason);

/* What an MP_TCPRST of the peer says. */
enum reason subflow_tcprst_reason(const struct mp_tcprst *r);

/* No more than the one subflow from here on: joins that are under way end. */
void subflow_stay_single(struct step *st, struct conn *c);

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

/*
 * Is the peer still speaking MPTCP? Its first segment decides (section 3.1, 3.7), and later the
 * lack of DSS on acknowledgements of data. REASON_NONE: it is.
 */
enum reason fallback_check(struct step *st, struct conn *c);

/*
 * One more acknowledgement of data without DSS, after *count in a row since *since_us: have there
 * been so many for so long that something removes options?
 */
bool fallback_no_dss(uint8_t *count, uint64_t *since_us, uint64_t now_us, uint32_t rtt_us);

/*
 * MP_FAIL for the mapping at `dsn`, or in answer to the peer's; once per round trip until the peer
 * is heard to have fallen back, for it may get lost. The data goes on to the guest as TCP would
 * deliver it, and the connection stays Multipath TCP meanwhile: a peer that does not know yet and
 * hears no DATA_ACK would map old data again further on.
 */
void fallback_mp_fail(struct step *st, struct conn *c, struct subflow *s, uint64_t dsn);

/*
 * MP_FAIL from the peer (section 3.7): answered, if it is no answer itself, and from here on our
 * data carries an infinite mapping. When the peer's segments come without DSS it is TCP.
 */
void fallback_peer_fails(struct step *st, struct conn *c, struct subflow *s);

#endif
