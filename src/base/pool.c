/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.c - records handed out by index. Records never used are not linked into the free list:
 * a fresh region's pages stay untouched until they are needed.
 */
#include <assert.h>
#include <string.h>

#include "base/pool.h"

void pool_init(struct pool *p, uint64_t offset, uint32_t record_bytes, uint32_t n_records)
{
	assert(record_bytes >= sizeof(uint32_t));
	assert(n_records < POOL_NONE);
	*p = (struct pool){
		.offset = offset,
		.record_bytes = record_bytes,
		.n_records = n_records,
		.free_head = POOL_NONE,
	};
}

uint32_t pool_new(struct pool *p, void *region)
{
	uint32_t index = p->free_head;

	if (index != POOL_NONE) {
		assert(index < p->n_touched);
		memcpy(&p->free_head, pool_at(p, region, index), sizeof(p->free_head));
	} else if (p->n_touched < p->n_records) {
		index = p->n_touched++;
	} else {
		return POOL_NONE;
	}
	p->n_used++;
	return index;
}

void pool_free(struct pool *p, void *region, uint32_t index)
{
	assert(index < p->n_touched);
	assert(p->n_used > 0);
	memcpy(pool_at(p, region, index), &p->free_head, sizeof(p->free_head));
	p->free_head = index;
	p->n_used--;
}
