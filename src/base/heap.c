/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heap.c - a binary heap whose entries know their places, so that a deadline moves in O(log n).
 */
#include <assert.h>
#include <stdbool.h>

#include "base/heap.h"

static inline bool earlier(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->at_us < b->at_us || (a->at_us == b->at_us && a->object < b->object);
}

static inline void place(struct heap *h, uint32_t at, struct heap_entry entry)
{
	h->entry[at] = entry;
	h->where[entry.object] = at;
}

/* Puts `entry` at the hole `at` or above it. */
static void sift_up(struct heap *h, uint32_t at, struct heap_entry entry)
{
	while (at > 0) {
		uint32_t parent = (at - 1) / 2;

		if (!earlier(&entry, &h->entry[parent]))
			break;
		place(h, at, h->entry[parent]);
		at = parent;
	}
	place(h, at, entry);
}

/* Puts `entry` at the hole `at` or below it. */
static void sift_down(struct heap *h, uint32_t at, struct heap_entry entry)
{
	for (;;) {
		uint64_t child = 2 * (uint64_t)at + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && earlier(&h->entry[child + 1], &h->entry[child]))
			child++;
		if (!earlier(&h->entry[child], &entry))
			break;
		place(h, at, h->entry[child]);
		at = (uint32_t)child;
	}
	place(h, at, entry);
}

static void fill_hole(struct heap *h, uint32_t at, struct heap_entry entry)
{
	if (at > 0 && earlier(&entry, &h->entry[(at - 1) / 2]))
		sift_up(h, at, entry);
	else
		sift_down(h, at, entry);
}

void heap_init(struct heap *h, struct heap_entry *entry, uint32_t *where, uint32_t cap)
{
	*h = (struct heap){.entry = entry, .where = where, .cap = cap};
	for (uint32_t i = 0; i < cap; i++)
		where[i] = HEAP_NONE;
}

static void remove_at(struct heap *h, uint32_t at)
{
	struct heap_entry last = h->entry[--h->n];

	h->where[h->entry[at].object] = HEAP_NONE;
	if (at < h->n)
		fill_hole(h, at, last);
}

void heap_set(struct heap *h, uint32_t object, uint64_t at_us)
{
	struct heap_entry entry = {.at_us = at_us, .object = object};
	uint32_t at;

	assert(object < h->cap);
	at = h->where[object];
	if (at != HEAP_NONE) {
		if (at_us == UINT64_MAX)
			remove_at(h, at);
		else
			fill_hole(h, at, entry);
	} else if (at_us != UINT64_MAX) {
		sift_up(h, h->n++, entry);
	}
}

uint64_t heap_first_us(const struct heap *h)
{
	return h->n > 0 ? h->entry[0].at_us : UINT64_MAX;
}

uint32_t heap_first(const struct heap *h)
{
	return h->n > 0 ? h->entry[0].object : HEAP_NONE;
}

uint64_t heap_us(const struct heap *h, uint32_t object)
{
	uint32_t at;

	assert(object < h->cap);
	at = h->where[object];
	return at == HEAP_NONE ? UINT64_MAX : h->entry[at].at_us;
}
