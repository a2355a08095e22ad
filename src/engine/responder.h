/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * responder.h - the MP_CAPABLE handshake that a remote client begins (RFC 8684 section 3.1).
 */
#ifndef MPGATE_ENGINE_RESPONDER_H
#define MPGATE_ENGINE_RESPONDER_H

#include "engine/state.h"

/* A SYN of a remote client on its way to a guest, in place; `c`: what has the same tuple, or null.
 */
struct engine_result responder_syn(struct step *st, struct conn *c);

/* The guest's SYN/ACK, in place. */
struct engine_result responder_synack(struct step *st);

/* The answer to ENGINE_ASK about the guest's SYN/ACK: see engine_translation(). */
struct engine_result responder_translated(struct step *st, struct conn *c,
					  const struct flow_tuple *net);

/* A segment of the client, stolen, while the third ACK is awaited. */
struct engine_result responder_third_ack(struct step *st, struct conn *c, struct subflow *s);

/*
 * MP_CAPABLE of the client, again or with its first data: the mapping that it implies is put into
 * the step's DSS, so that all that follows need not know.
 */
void responder_first_data(struct step *st, struct conn *c, const struct subflow *s);

/*
 * The client's data lost its mapping while it may never have seen an option of ours behind the
 * SYN/ACK: it fell back (RFC 8684 section 3.7).
 */
bool responder_unheard(const struct step *st, const struct conn *c, const struct subflow *s);

/* Records that wait for a SYN/ACK or a third ACK. */
bool responder_half_open(const struct conn *c);

/* Such a record is given back, or is none any more. */
void responder_settled(struct engine *e, const struct conn *c);

#endif
