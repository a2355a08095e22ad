/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow_table.h - the three lookups: guest's tuple -> connection, net tuple -> subflow, token ->
 * connection. Chained buckets of indices: they can be rebuilt from the records alone (I9) and
 * their order never shows in the output (I8), which pointer-linked table libraries cannot give.
 */
#ifndef MPGATE_ENGINE_FLOW_TABLE_H
#define MPGATE_ENGINE_FLOW_TABLE_H

#include "engine/state.h"

void flow_table_clear(struct engine *e);

/* Null when there is none. `guest`: guest first. `net`: gate first. */
struct conn *conn_find(struct engine *e, const struct flow_tuple *guest);
struct conn *conn_find_token(struct engine *e, uint32_t token);
struct subflow *subflow_find(struct engine *e, const struct flow_tuple *net);

void conn_add(struct engine *e, struct conn *c);
void conn_add_token(struct engine *e, struct conn *c);
void conn_rm(struct engine *e, struct conn *c); /* from both tables; absent is no error */
void subflow_add(struct engine *e, struct subflow *s);
void subflow_rm(struct engine *e, struct subflow *s);

#endif
