/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spans.c - see spans.h.
 */
#include "engine/spans.h"

#include "base/seq.h"

static struct span *span_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->spans, e, i);
}

/* The list's own record has the size of a span, and lies in their pool. */
static struct span_list *list_at(struct engine *e, uint32_t i)
{
	return pool_at(&e->spans, e, i);
}

_Static_assert(sizeof(struct span_list) <= sizeof(struct span), "one pool for both");

/* The last span that begins at or before seq, after so many steps; NONE: there is none. */
static uint32_t walk(struct engine *e, uint32_t list, uint32_t seq, uint32_t *steps)
{
	struct span_list *l;
	uint32_t at, next;

	*steps = 0;
	if (list == NONE)
		return NONE;
	l = list_at(e, list);
	at = l->first;
	if (seq_le(span_at(e, l->last)->start, seq))
		return l->last;
	if (seq_lt(seq, span_at(e, at)->start))
		return NONE;
	if (seq_le(span_at(e, l->cursor)->start, seq))
		at = l->cursor;
	while ((next = span_at(e, at)->next) != NONE && seq_le(span_at(e, next)->start, seq)) {
		at = next;
		++*steps;
	}
	l->cursor = at;
	return at;
}

static uint32_t floor_of(struct engine *e, uint32_t list, uint32_t seq)
{
	uint32_t steps;

	return walk(e, list, seq, &steps);
}

/* A list with one span. */
static bool begin(struct engine *e, uint32_t *list, uint32_t start, uint32_t end)
{
	uint32_t head = pool_new(&e->spans, e), i = pool_new(&e->spans, e);
	struct span_list *l;

	if (head == NONE)
		return false;
	if (i == NONE) {
		pool_free(&e->spans, e, head);
		return false;
	}
	l = list_at(e, head);
	l->first = l->last = l->cursor = i;
	l->n = 1;
	span_at(e, i)->start = start;
	span_at(e, i)->end = end;
	span_at(e, i)->next = NONE;
	*list = head;
	return true;
}

/* Behind `before` (NONE: as the first). */
static bool insert(struct engine *e, struct span_list *l, uint32_t before, uint32_t start,
		   uint32_t end)
{
	uint32_t i = l->n < SPANS_MAX ? pool_new(&e->spans, e) : NONE;
	uint32_t *at = before == NONE ? &l->first : &span_at(e, before)->next;

	if (i == NONE)
		return false;
	span_at(e, i)->start = start;
	span_at(e, i)->end = end;
	span_at(e, i)->next = *at;
	*at = i;
	/* The cursor stays where the holes are. */
	if (l->last == before)
		l->last = i;
	else
		l->cursor = i;
	l->n++;
	return true;
}

bool spans_add(struct engine *e, uint32_t *list, uint32_t start, uint32_t end)
{
	uint32_t at, next;
	struct span_list *l;
	struct span *x;

	if (*list == NONE)
		return begin(e, list, start, end);
	l = list_at(e, *list);
	at = floor_of(e, *list, start);
	if (at == NONE || seq_lt(span_at(e, at)->end, start)) {
		next = at == NONE ? l->first : span_at(e, at)->next;
		if (next == NONE || seq_lt(end, span_at(e, next)->start))
			return insert(e, l, at, start, end);
		at = next;
		span_at(e, at)->start = start;
	}
	x = span_at(e, at);
	x->end = seq_max(x->end, end);
	while (x->next != NONE && seq_le(span_at(e, x->next)->start, x->end)) {
		next = x->next;
		x->end = seq_max(x->end, span_at(e, next)->end);
		x->next = span_at(e, next)->next;
		if (l->last == next)
			l->last = at;
		if (l->cursor == next)
			l->cursor = at;
		l->n--;
		pool_free(&e->spans, e, next);
	}
	return true;
}

/* Takes the first span out; the list may be empty then. */
static void drop_first(struct engine *e, uint32_t *list)
{
	struct span_list *l = list_at(e, *list);
	uint32_t i = l->first;

	l->first = span_at(e, i)->next;
	if (l->cursor == i)
		l->cursor = l->first;
	l->n--;
	pool_free(&e->spans, e, i);
	if (l->first != NONE)
		return;
	pool_free(&e->spans, e, *list);
	*list = NONE;
}

void spans_trim(struct engine *e, uint32_t *list, uint32_t seq)
{
	uint32_t start, end;

	while (spans_first(e, *list, &start, &end) && seq_lt(start, seq)) {
		if (seq_lt(seq, end)) {
			span_at(e, list_at(e, *list)->first)->start = seq;
			return;
		}
		drop_first(e, list);
	}
}

uint32_t spans_advance(struct engine *e, uint32_t *list, uint32_t next)
{
	uint32_t start, end;

	while (spans_first(e, *list, &start, &end) && seq_le(start, next)) {
		next = seq_max(next, end);
		drop_first(e, list);
	}
	return next;
}

bool spans_first(struct engine *e, uint32_t list, uint32_t *start, uint32_t *end)
{
	const struct span *x;

	if (list == NONE)
		return false;
	x = span_at(e, list_at(e, list)->first);
	*start = x->start;
	*end = x->end;
	return true;
}

bool spans_end(struct engine *e, uint32_t list, uint32_t *end)
{
	if (list == NONE)
		return false;
	*end = span_at(e, list_at(e, list)->last)->end;
	return true;
}

uint32_t spans_begin(struct engine *e, uint32_t list)
{
	return list == NONE ? NONE : list_at(e, list)->first;
}

uint32_t spans_next(struct engine *e, uint32_t at)
{
	return span_at(e, at)->next;
}

const struct span *spans_at(struct engine *e, uint32_t at)
{
	return span_at(e, at);
}

bool spans_find(struct engine *e, uint32_t list, uint32_t seq, uint32_t *start, uint32_t *end)
{
	uint32_t at = floor_of(e, list, seq);

	if (at == NONE || seq_le(span_at(e, at)->end, seq))
		return false;
	*start = span_at(e, at)->start;
	*end = span_at(e, at)->end;
	return true;
}

bool spans_above(struct engine *e, uint32_t list, uint32_t seq, uint32_t *start, uint32_t *end)
{
	uint32_t at = floor_of(e, list, seq);

	if (at == NONE)
		at = spans_begin(e, list);
	else if (seq_le(span_at(e, at)->end, seq))
		at = span_at(e, at)->next;
	if (at == NONE)
		return false;
	*start = span_at(e, at)->start;
	*end = span_at(e, at)->end;
	return true;
}

bool spans_overlap(struct engine *e, uint32_t list, uint32_t start, uint32_t end)
{
	uint32_t at = floor_of(e, list, end - 1);

	return at != NONE && seq_lt(start, span_at(e, at)->end);
}

uint32_t spans_steps(struct engine *e, uint32_t list, uint32_t seq)
{
	uint32_t steps;

	walk(e, list, seq, &steps);
	return steps;
}

void spans_free(struct engine *e, uint32_t *list)
{
	while (*list != NONE)
		drop_first(e, list);
}
