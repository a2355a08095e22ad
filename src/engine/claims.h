/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * claims.h - which packets the host has to hand over: see engine_claims(). A connection claims the
 * guest's tuple and its subflows', from the moment when it is not the guest's and the peer's own
 * any more until its record is gone or it is plain TCP.
 */
#ifndef MPGATE_ENGINE_CLAIMS_H
#define MPGATE_ENGINE_CLAIMS_H

#include "engine/state.h"

/* The connection's state has changed, or its first subflow is there: claims what follows from it.
 */
void claims_conn(struct engine *e, struct conn *c);

/* A subflow of a connection that has claimed its own tuple already is new, or is to be freed. */
void claims_subflow_add(struct engine *e, const struct conn *c, const struct subflow *s);
void claims_subflow_rm(struct engine *e, const struct conn *c, const struct subflow *s);

/* Was this the tuple (peer first) of a subflow that is gone, one of the last ones? */
bool claims_forgotten(const struct engine *e, const struct flow_tuple *peer);

/* Did a living connection begin there (peer first), whose first subflow is gone? One of the last.
 */
bool claims_begun(struct engine *e, const struct flow_tuple *peer);

/* The record is about to be freed. `reused`: its tuple is a new connection's already. */
void claims_end(struct engine *e, struct conn *c, bool reused);

/* Everything is to be claimed anew: what the process before left unfetched may be old. */
void claims_adopted(struct engine *e);

/* Whether more should wait until somebody has fetched what there is; false if nobody ever did. */
bool claims_full(const struct engine *e);

#endif
