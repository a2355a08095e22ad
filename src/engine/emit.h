/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * emit.h - building the segments that leave the engine.
 */
#ifndef MPGATE_ENGINE_EMIT_H
#define MPGATE_ENGINE_EMIT_H

#include "engine/state.h"

/* True when at least n more packets fit into the caller's array. */
bool emit_room(const struct step *st, unsigned n);

/*
 * Starts the headers of a segment: from the packet at hand if `from_packet`, otherwise afresh
 * (TTL 0: emit_net() and emit_guest() set it, and what else routers go by), and the options of it:
 * timestamps and whatever else is not MPTCP or SACK. The caller sets seq, ack, window and flags.
 */
void emit_begin_net(struct step *st, const struct subflow *s, bool from_packet, struct headers *h,
		    struct options_writer *w);

/* Remembers how the packet of that side looks to routers. */
void emit_look(struct conn *c, enum engine_side side, const struct packet *p);

/* TSval for a segment of the gate's own now. */
uint32_t emit_tsval(const struct step *st, const struct subflow *s);

void emit_begin_guest(struct step *st, const struct conn *c, bool from_packet, struct headers *h,
		      struct options_writer *w);

/*
 * Adds the packet's SACK blocks up to `limit`, translated by adding `delta`, as many as fit beside
 * `reserve` bytes that follow; not those that report what came twice (RFC 2883) unless `ack`, the
 * acknowledgement that they go with, covers them: above it they would say something else. The first
 * ones are the newest (RFC 2018 section 4).
 */
void emit_sack(const struct step *st, struct options_writer *w, uint32_t limit, uint32_t delta,
	       uint32_t ack, unsigned reserve);

/* Puts the segment out. False (and counted) when the array is full. */
bool emit_net(struct step *st, struct conn *c, struct subflow *s, struct headers *h,
	      struct options_writer *w, const uint8_t *payload, uint32_t payload_bytes,
	      enum reason reason);
bool emit_guest(struct step *st, struct conn *c, struct headers *h, struct options_writer *w,
		const uint8_t *payload, uint32_t payload_bytes, enum reason reason);

/* The DSS with nothing but the DATA_ACK that the guest's acknowledgement stands for (I1). */
struct dss emit_data_ack(const struct conn *c);

/* Window fields that keep every promise and make none that was not granted (I2). */
uint16_t emit_window_net(struct engine *e, const struct conn *c);
uint16_t emit_window_guest(const struct conn *c);

/* An acknowledgement of the gate's own on the subflow; `flags` besides ACK: FIN, RST. */
bool emit_own_ack(struct step *st, struct conn *c, struct subflow *s, uint32_t ssn, uint8_t flags,
		  enum reason reason);

/* An acknowledgement of the gate's own to the guest: nothing new in it. `s` may be null. */
void emit_ack_guest(struct step *st, struct conn *c, const struct subflow *s);

/* The acknowledgement number of it. */
uint32_t emit_own_ack_ssn(struct step *st, struct conn *c, struct subflow *s);

/*
 * Answers the packet at hand with a RST (RFC 9293 section 3.5.2), back where it came from; with
 * MP_TCPRST when `why` is not null.
 */
void emit_rst_back(struct step *st, const struct mp_tcprst *why, enum reason reason);

#endif
