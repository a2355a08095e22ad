/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heap.h - the deadlines of many objects: a binary heap over (deadline, object index). Every
 * object has at most one entry; equal deadlines come out by index, so the order never depends on
 * history (I8).
 */
#ifndef MPGATE_BASE_HEAP_H
#define MPGATE_BASE_HEAP_H

#include <stdint.h>

#define HEAP_NONE UINT32_MAX

struct heap_entry {
	uint64_t at_us;
	uint32_t object;
	uint32_t zero;
};

/* `entry` has room for `cap` entries; `where[object]` is its place or HEAP_NONE. */
struct heap {
	struct heap_entry *entry;
	uint32_t *where;
	uint32_t n, cap;
};

void heap_init(struct heap *h, struct heap_entry *entry, uint32_t *where, uint32_t cap);

/* Adds the object or moves it; UINT64_MAX takes it out. */
void heap_set(struct heap *h, uint32_t object, uint64_t at_us);

/* The earliest deadline, UINT64_MAX when there is none. */
uint64_t heap_first_us(const struct heap *h);

/* The object's deadline, UINT64_MAX when it has none. */
uint64_t heap_us(const struct heap *h, uint32_t object);

/* The object of the earliest deadline, HEAP_NONE when there is none. */
uint32_t heap_first(const struct heap *h);

#endif
