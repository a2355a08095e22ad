/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deadline.c - when each connection is to be looked at next.
 */
#include "engine/state.h"

/* The heap's arrays lie in the region; its handle is made afresh for each use. */
static struct heap heap_of(const struct engine *e)
{
	char *base = (char *)(uintptr_t)e;

	return (struct heap){.entry = (struct heap_entry *)(void *)(base + e->heap_entries),
			     .where = (uint32_t *)(void *)(base + e->heap_where),
			     .n = e->heap_n,
			     .cap = e->cfg.max_connections};
}

void deadlines_init(struct engine *e)
{
	struct heap h = heap_of(e);

	heap_init(&h, h.entry, h.where, h.cap);
}

void deadline_set(struct engine *e, const struct conn *c, uint64_t at_us)
{
	struct heap h = heap_of(e);

	heap_set(&h, conn_index(e, c), at_us);
	e->heap_n = h.n;
}

uint64_t deadline_us(const struct engine *e, uint32_t conn)
{
	struct heap h = heap_of(e);

	return heap_us(&h, conn);
}

uint32_t deadline_first(const struct engine *e)
{
	struct heap h = heap_of(e);

	return heap_first(&h);
}

uint64_t deadline_first_us(const struct engine *e)
{
	struct heap h = heap_of(e);

	return heap_first_us(&h);
}
