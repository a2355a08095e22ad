/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state_at.h - the records of the engine's region by their indices, and back (I9). A part of
 * state.h, which includes it.
 */
#ifndef MPGATE_ENGINE_STATE_AT_H
#define MPGATE_ENGINE_STATE_AT_H

#include "engine/state.h"

static inline struct conn *conn_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->conns, e, i);
}

static inline struct subflow *subflow_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->subflows, e, i);
}

static inline struct mapping *mapping_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->mappings, e, i);
}

static inline struct sender *sender_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->senders, e, i);
}

static inline struct txseg *txseg_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->txsegs, e, i);
}

static inline struct multi *multi_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->multis, e, i);
}

static inline struct partial *partial_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->partials, e, i);
}

static inline struct addresses *addresses_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->addresses, e, i);
}

static inline uint32_t conn_index(struct engine *e, const struct conn *c)
{
	return (uint32_t)(((const char *)c - (const char *)conn_at(e, 0)) / sizeof(*c));
}

static inline uint32_t subflow_index(struct engine *e, const struct subflow *s)
{
	return (uint32_t)(((const char *)s - (const char *)subflow_at(e, 0)) / sizeof(*s));
}

#endif
