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

bool spans_add(struct engine *e, uint32_t *list, uint32_t start, uint32_t end)
{
	uint32_t *at = list, i;
	unsigned n = 0;
	struct span *x;

	for (; *at != NONE && seq_lt(span_at(e, *at)->end, start); n++)
		at = &span_at(e, *at)->next;
	if (n > SPANS_MAX)
		return false;
	if (*at == NONE || seq_lt(end, span_at(e, *at)->start)) {
		i = pool_new(&e->spans, e);
		if (i == NONE)
			return false;
		x = span_at(e, i);
		x->start = start;
		x->end = end;
		x->next = *at;
		*at = i;
		return true;
	}
	x = span_at(e, *at);
	x->start = seq_min(x->start, start);
	x->end = seq_max(x->end, end);
	while (x->next != NONE && seq_le(span_at(e, x->next)->start, x->end)) {
		i = x->next;
		x->end = seq_max(x->end, span_at(e, i)->end);
		x->next = span_at(e, i)->next;
		pool_free(&e->spans, e, i);
	}
	return true;
}

void spans_trim(struct engine *e, uint32_t *list, uint32_t seq)
{
	while (*list != NONE && seq_lt(span_at(e, *list)->start, seq)) {
		struct span *x = span_at(e, *list);
		uint32_t i = *list;

		if (seq_lt(seq, x->end)) {
			x->start = seq;
			return;
		}
		*list = x->next;
		pool_free(&e->spans, e, i);
	}
}

uint32_t spans_advance(struct engine *e, uint32_t *list, uint32_t next)
{
	while (*list != NONE && seq_le(span_at(e, *list)->start, next)) {
		uint32_t i = *list;

		next = seq_max(next, span_at(e, i)->end);
		*list = span_at(e, i)->next;
		pool_free(&e->spans, e, i);
	}
	return next;
}

bool spans_first(struct engine *e, uint32_t list, uint32_t *start, uint32_t *end)
{
	if (list == NONE)
		return false;
	*start = span_at(e, list)->start;
	*end = span_at(e, list)->end;
	return true;
}

uint32_t spans_next(struct engine *e, uint32_t list)
{
	return span_at(e, list)->next;
}

bool spans_find(struct engine *e, uint32_t list, uint32_t seq, uint32_t *start, uint32_t *end)
{
	while (list != NONE && seq_le(span_at(e, list)->end, seq))
		list = span_at(e, list)->next;
	return spans_first(e, list, start, end) && seq_le(*start, seq);
}

void spans_free(struct engine *e, uint32_t *list)
{
	while (*list != NONE) {
		uint32_t i = *list;

		*list = span_at(e, i)->next;
		pool_free(&e->spans, e, i);
	}
}
