/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sender.h - the gate's own TCP sender of one subflow, used while a connection has several.
 *
 * Theory. Each subflow is a lawful TCP connection (I4), so each has what a TCP sender has: round
 * trip time and retransmission timer (RFC 6298), a SACK scoreboard, loss found by time (RACK-TLP,
 * RFC 8985), recovery at a measured pace (PRR, RFC 6937), a congestion window (congestion.h). What
 * to send on it is decided above (to_net.c); what was once sent on it is sent again on it, the
 * same bytes at the same place under the same mapping, until acknowledged.
 *
 * Silence for two round trips makes a subflow `suspect`: it gets nothing new, and what it carries
 * is sent on others as well (push.c). The timer makes it `stale` too. Either ends with the first
 * thing that it delivers; what it carries is sent again on it all the same (I4), which is the probe
 * for a path that healed.
 *
 * T1  txsegs are ascending and contiguous: head.ssn = snd_una, tail's end = snd_nxt (less a FIN).
 * T2  in_flight_bytes is the sum over txsegs that are neither SACKed nor (lost and not sent again),
 *     lost_bytes over those that are lost and that the gate can send again.
 * T3  A foreign txseg (sent before the gate kept bytes) is sent again only when the guest has sent
 *     its bytes again.
 */
#ifndef MPGATE_ENGINE_SENDER_H
#define MPGATE_ENGINE_SENDER_H

#include "engine/scoreboard.h"

/* A sender for an established subflow; what is in flight already becomes foreign. */
bool sender_new(struct step *st, struct conn *c, struct subflow *s);
void sender_free(struct engine *e, struct subflow *s);

/* From now on DATA_ACKs have eight octets: segments carry less. */
void sender_dsn64(struct engine *e, const struct conn *c);

/* The acknowledgement and SACK blocks of the packet at hand. */
void sender_on_ack(struct step *st, struct conn *c, struct subflow *s);

/* Bytes that window and recovery allow; what of it pacing lets out now; when it lets out more. */
uint32_t sender_room(const struct subflow *s, const struct sender *x);
uint32_t sender_pace_bytes(const struct step *st, const struct subflow *s, const struct sender *x);
uint64_t sender_pace_us(const struct subflow *s, const struct sender *x);

/* Does it answer, on a path that is there? And is it open for more? */
bool sender_carries(struct engine *e, const struct subflow *s);
bool sender_alive(struct engine *e, const struct subflow *s);

/* The shortest round trip that was seen on any of the connection's paths; 0: none was. */
uint32_t sender_least_rtt_us(struct engine *e, const struct conn *c);

/* So many bytes were acknowledged: what pacing lets out for it in slow start. */
void sender_pace_acked(struct sender *x, uint32_t acked_bytes);

/*
 * Sends [seq, seq + bytes) of the guest's data as one fresh mapping. False: no record or no place
 * in the output, nothing was sent.
 */
bool sender_send(struct step *st, struct conn *c, struct subflow *s, uint32_t seq, uint32_t bytes);

/* Sends lost segments again while there is room. */
void sender_retransmit(struct step *st, struct conn *c, struct subflow *s);

/* One txseg as it stands, under its mapping. False: no place in the output. */
bool sender_transmit(struct step *st, struct conn *c, struct subflow *s, struct txseg *t);

/* Sets the timers; `acked`: something was answered or repaired, so the timeout begins anew. */
void sender_arm(struct step *st, const struct conn *c, struct subflow *s, bool acked);

/* Before something is sent: the window forgets what an idle time made uncertain. */
void sender_idle(struct step *st, const struct subflow *s, struct sender *x);

/* Between the sender's files: an RTT sample; loss recovery begins; what was acked and lost counts.
 */
void sender_rtt(struct sender *x, uint32_t rtt_us);
void sender_episode(const struct subflow *s, struct sender *x);
void sender_group(struct engine *e, const struct conn *c, const struct subflow *self,
		  struct cc_group *g);
void sender_congestion(struct step *st, struct conn *c, struct subflow *s, struct sender *x,
		       const struct scoreboard_news *n, uint32_t prior_bytes);

/*
 * When what is sent now will be acknowledged: the RTT without a queue, or what is in flight at the
 * rate that was delivered. The smoothed RTT says how long the queue was a round trip ago, and who
 * goes by it fills one path's queue while the other runs dry, and then the other way round. 0: not
 * known.
 */
uint32_t sender_expect_us(const struct sender *x);

/* Earliest deadline of the subflow's timers; what is due of them. */
uint64_t sender_deadline_us(const struct sender *x);
void sender_timeout(struct step *st, struct conn *c, struct subflow *s);

/* A router says that what is in flight is too big for it: sent again, smaller. */
void sender_too_big(struct step *st, struct conn *c, struct subflow *s);

/* Takes note of the path's going down or coming back. */
void sender_path(struct step *st, struct subflow *s);

#endif
