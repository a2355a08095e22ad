/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kept.c - see kept.h.
 */
#include "engine/kept.h"

#include <assert.h>

#include "base/seq.h"

void kept_init(struct kept *x, uint32_t seq)
{
	*x = (struct kept){.base_seq = seq, .head = NONE, .tail = NONE, .cursor = NONE};
}

static struct chunk *chunk_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->chunks, e, i);
}

/* Appends chunks until `end` is covered. */
static bool cover(struct engine *e, struct kept *x, uint32_t end)
{
	uint32_t have = x->n_chunks * KEPT_CHUNK_BYTES;
	uint32_t need = end - x->base_seq;
	uint32_t more;

	if (need <= have)
		return true;
	more = (need - have + KEPT_CHUNK_BYTES - 1) / KEPT_CHUNK_BYTES;
	if (need > KEPT_MAX_BYTES || e->chunks.n_records - e->chunks.n_used < more)
		return false;
	while (more--) {
		uint32_t i = pool_new(&e->chunks, e);

		chunk_at(e, i)->next = NONE;
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
	uint32_t nth = (seq - x->base_seq) / KEPT_CHUNK_BYTES;
	uint32_t i = x->head, at = 0;

	assert(nth < x->n_chunks);
	if (x->cursor != NONE && x->cursor_nth <= nth) {
		i = x->cursor;
		at = x->cursor_nth;
	}
	for (; at < nth; at++)
		i = chunk_at(e, i)->next;
	/* Only a shortcut: the stream's content does not change. */
	((struct kept *)(uintptr_t)x)->cursor = i;
	((struct kept *)(uintptr_t)x)->cursor_nth = nth;
	return chunk_at(e, i);
}

bool kept_write(struct engine *e, struct kept *x, uint32_t seq, const uint8_t *data, uint32_t bytes)
{
	assert(seq_le(x->base_seq, seq));
	if (!cover(e, x, seq + bytes))
		return false;
	while (bytes > 0) {
		uint32_t offset = (seq - x->base_seq) % KEPT_CHUNK_BYTES;
		uint32_t n = KEPT_CHUNK_BYTES - offset;

		if (n > bytes)
			n = bytes;
		memcpy(locate(e, x, seq)->data + offset, data, n);
		seq += n;
		data += n;
		bytes -= n;
	}
	return true;
}

const uint8_t *kept_read(struct engine *e, const struct kept *x, uint32_t seq, uint32_t bytes,
			 uint32_t *run)
{
	uint32_t offset = (seq - x->base_seq) % KEPT_CHUNK_BYTES;

	assert(seq_le(x->base_seq, seq));
	*run = KEPT_CHUNK_BYTES - offset;
	if (*run > bytes)
		*run = bytes;
	return locate(e, x, seq)->data + offset;
}

void kept_trim(struct engine *e, struct kept *x, uint32_t seq)
{
	while (x->n_chunks > 0 && seq_le(x->base_seq + KEPT_CHUNK_BYTES, seq)) {
		uint32_t i = x->head;

		x->head = chunk_at(e, i)->next;
		if (x->head == NONE)
			x->tail = NONE;
		x->n_chunks--;
		x->base_seq += KEPT_CHUNK_BYTES;
		x->cursor = NONE;
		pool_free(&e->chunks, e, i);
	}
	/* An empty stream may begin anywhere. */
	if (x->n_chunks == 0 && seq_lt(x->base_seq, seq))
		x->base_seq = seq;
}

void kept_free(struct engine *e, struct kept *x)
{
	while (x->head != NONE) {
		uint32_t i = x->head;

		x->head = chunk_at(e, i)->next;
		pool_free(&e->chunks, e, i);
	}
	kept_init(x, x->base_seq);
}
