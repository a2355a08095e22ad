/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kept.c - see kept.h.
 */
#include "engine/kept.h"

#include <assert.h>

#include "base/seq.h"

void kept_init(struct kept *x, uint32_t seq, uint8_t aside_chunks)
{
	*x = (struct kept){.base_seq = seq,
			   .end_seq = seq,
			   .head = NONE,
			   .tail = NONE,
			   .cursor = NONE,
			   .aside_chunks = aside_chunks};
}

uint32_t kept_aside(const struct conn *c)
{
	return 2 + (c->checksum ? KEPT_MAPPING_CHUNKS : 0);
}

uint32_t kept_available(const struct engine *e)
{
	uint32_t left = e->chunks.n_records - e->chunks.n_used;
	uint32_t aside = 2 * e->multis.n_used + KEPT_MAPPING_CHUNKS * e->n_checked;

	return left > aside ? left - aside : 0;
}

uint64_t kept_share_bytes(const struct engine *e)
{
	return (uint64_t)kept_available(e) * KEPT_CHUNK_BYTES / 4;
}

/* How many chunks the stream may have more (S3). */
static uint32_t chunks_more(const struct engine *e, const struct kept *x)
{
	uint32_t more = kept_available(e), most = KEPT_MAX_BYTES / KEPT_CHUNK_BYTES - x->n_chunks;
	uint32_t left = e->chunks.n_records - e->chunks.n_used, due = 0;

	if (x->n_chunks < x->aside_chunks)
		due = x->aside_chunks - x->n_chunks;
	if (more < due)
		more = due < left ? due : left;
	return more < most ? more : most;
}

uint32_t kept_fit(const struct engine *e, const struct kept *x, uint32_t seq, uint32_t bytes)
{
	uint32_t end = x->end_seq + chunks_more(e, x) * KEPT_CHUNK_BYTES;

	if (seq_le(end, seq))
		return 0;
	return end - seq < bytes ? end - seq : bytes;
}

static struct chunk *chunk_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->chunks, e, i);
}

static uint32_t end_of(struct engine *e, uint32_t i)
{
	return chunk_at(e, i)->seq + KEPT_CHUNK_BYTES;
}

/* Appends chunks until `end` is covered. */
static bool cover(struct engine *e, struct kept *x, uint32_t end)
{
	uint32_t more;

	if (seq_le(end, x->end_seq))
		return true;
	more = (end - x->end_seq + KEPT_CHUNK_BYTES - 1) / KEPT_CHUNK_BYTES;
	if (more > chunks_more(e, x))
		return false;
	while (more--) {
		uint32_t i = pool_new(&e->chunks, e);

		chunk_at(e, i)->next = NONE;
		chunk_at(e, i)->seq = x->end_seq;
		x->end_seq += KEPT_CHUNK_BYTES;
		if (x->tail == NONE)
			x->head = i;
		else
			chunk_at(e, x->tail)->next = i;
		x->tail = i;
		x->n_chunks++;
	}
	return true;
}

/* The chunk that holds seq; the cursor makes the usual walk forward short. */
static struct chunk *locate(struct engine *e, const struct kept *x, uint32_t seq)
{
	uint32_t i = x->head;

	if (x->cursor != NONE && seq_le(chunk_at(e, x->cursor)->seq, seq))
		i = x->cursor;
	while (i != NONE && seq_le(end_of(e, i), seq))
		i = chunk_at(e, i)->next;
	assert(i != NONE && seq_le(chunk_at(e, i)->seq, seq));
	/* Only a shortcut: the stream's content does not change. */
	((struct kept *)(uintptr_t)x)->cursor = i;
	return chunk_at(e, i);
}

bool kept_write(struct engine *e, struct kept *x, uint32_t seq, const uint8_t *data, uint32_t bytes)
{
	assert(seq_le(x->base_seq, seq));
	if (!cover(e, x, seq + bytes))
		return false;
	while (bytes > 0) {
		struct chunk *k = locate(e, x, seq);
		uint32_t offset = seq - k->seq;
		uint32_t n = KEPT_CHUNK_BYTES - offset;

		if (n > bytes)
			n = bytes;
		memcpy(k->data + offset, data, n);
		seq += n;
		data += n;
		bytes -= n;
	}
	return true;
}

const uint8_t *kept_read(struct engine *e, const struct kept *x, uint32_t seq, uint32_t bytes,
			 uint32_t *run)
{
	const struct chunk *k = locate(e, x, seq);
	uint32_t offset = seq - k->seq;

	*run = KEPT_CHUNK_BYTES - offset;
	if (*run > bytes)
		*run = bytes;
	return k->data + offset;
}

void kept_prune(struct engine *e, struct kept *x, uint32_t seq, kept_needed needed,
		const struct conn *c)
{
	uint32_t before = NONE, i = x->head;

	while (i != NONE && seq_le(end_of(e, i), seq)) {
		uint32_t next = chunk_at(e, i)->next;

		if (needed && needed(e, c, chunk_at(e, i)->seq, end_of(e, i))) {
			before = i;
			i = next;
			continue;
		}
		if (before == NONE)
			x->head = next;
		else
			chunk_at(e, before)->next = next;
		if (x->tail == i)
			x->tail = before;
		x->n_chunks--;
		x->cursor = NONE;
		pool_free(&e->chunks, e, i);
		i = next;
	}
	/* Behind a stream that holds nothing the next chunk may begin anywhere. */
	x->end_seq = seq_max(x->end_seq, seq);
	x->base_seq = x->head != NONE ? chunk_at(e, x->head)->seq : x->end_seq;
}

void kept_trim(struct engine *e, struct kept *x, uint32_t seq)
{
	kept_prune(e, x, seq, NULL, NULL);
}

void kept_cut(struct engine *e, struct kept *x, uint32_t seq)
{
	uint32_t last = NONE, i = x->head;

	while (i != NONE && seq_lt(chunk_at(e, i)->seq, seq)) {
		last = i;
		i = chunk_at(e, i)->next;
	}
	x->tail = last;
	x->cursor = NONE;
	if (last == NONE)
		x->head = NONE;
	else
		chunk_at(e, last)->next = NONE;
	while (i != NONE) {
		uint32_t next = chunk_at(e, i)->next;

		x->end_seq = seq_min(x->end_seq, chunk_at(e, i)->seq);
		x->n_chunks--;
		pool_free(&e->chunks, e, i);
		i = next;
	}
}

void kept_free(struct engine *e, struct kept *x)
{
	while (x->head != NONE) {
		uint32_t i = x->head;

		x->head = chunk_at(e, i)->next;
		pool_free(&e->chunks, e, i);
	}
	kept_init(x, x->base_seq, x->aside_chunks);
}
