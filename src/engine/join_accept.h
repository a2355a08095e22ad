/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join_accept.h - subflows that the peer opens: MP_JOIN from outside (RFC 8684 section 3.2).
 */
#ifndef MPGATE_ENGINE_JOIN_ACCEPT_H
#define MPGATE_ENGINE_JOIN_ACCEPT_H

#include "engine/state.h"

/*
 * A SYN from the net, met before the host's routing. With an MP_JOIN for a connection of ours it is
 * answered or refused here; any other is let go.
 */
struct engine_result join_accept_syn(struct step *st);

/*
 * The same SYN, let go before, has reached the host itself, where nobody listens: an MP_JOIN is
 * refused, any other left to the host's own answer.
 */
struct engine_result join_accept_unwanted(struct step *st);

/*
 * The same SYN has passed the host's firewall and translation towards a guest: refused, unless a
 * guest may know the token.
 */
struct engine_result join_accept_to_guest(struct step *st);

/* A guest was seen to speak MPTCP itself: what it knows of tokens is its own. */
void join_accept_guest_speaks(struct engine *e);

/* A segment of a subflow whose third ACK is awaited. */
struct engine_result join_accept_packet(struct step *st, struct conn *c, struct subflow *s);

/* Its timer: the SYN/ACK again, or the end. */
void join_accept_timeout(struct step *st, struct conn *c, struct subflow *s);

/*
 * The peer reached the gate at this address and port (gate first): a guest's service is there, or
 * is published there, so an MP_JOIN with an unknown token is nobody else's either.
 */
void join_accept_endpoint(struct engine *e, const struct flow_tuple *net, uint64_t now_us);

/* Is this (gate first) where only subflows of the gate's own are: a path's address, their ports? */
bool join_accept_own_place(const struct engine *e, const struct flow_tuple *net);

/*
 * Is a segment in mid-connection that belongs to no subflow one of a subflow that is forgotten? It
 * has an MPTCP option (st->o is decoded) and comes where nobody else's connection can be; neither
 * the host's own stack nor a guest's may answer it (I6).
 */
bool join_accept_stray(struct step *st);

#endif
