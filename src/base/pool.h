/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h - fixed-size records in one array, named by index, never by pointer (I9).
 *
 * The free list runs through the records' first four bytes, so a record's user must not rely on
 * those after pool_free(). Order of allocation: lowest index first from a fresh pool, last freed
 * first afterwards (I8).
 */
#ifndef MPGATE_BASE_POOL_H
#define MPGATE_BASE_POOL_H

#include <stdint.h>

#define POOL_NONE UINT32_MAX

struct pool {
	uint64_t offset; /* of record 0, from the region's start */
	uint32_t record_bytes;
	uint32_t n_records;
	uint32_t n_used;
	uint32_t free_head;
	uint32_t n_touched; /* records below this index have been used once */
};

void pool_init(struct pool *p, uint64_t offset, uint32_t record_bytes, uint32_t n_records);
uint32_t pool_new(struct pool *p, void *region); /* POOL_NONE when none is free; not zeroed */
void pool_free(struct pool *p, void *region, uint32_t index);

static inline void *pool_at(const struct pool *p, const void *region, uint32_t index)
{
	/* As strchr() does it: the caller knows whether the region may be written. */
	union {
		const void *region;
		char *bytes;
	} u = {.region = region};

	return u.bytes + p->offset + (uint64_t)index * p->record_bytes;
}

#endif
