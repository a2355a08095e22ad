/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spans.h - lists of disjoint stretches of sequence numbers, ascending, from a common pool: what
 * came out of order, what is to be sent again. As ranges.h, but without a fixed number.
 */
#ifndef MPGATE_ENGINE_SPANS_H
#define MPGATE_ENGINE_SPANS_H

#include "engine/state.h"

#define SPANS_MAX 4096 /* of a list: nobody makes walks without end, or takes all records */

/* Adds [start, end), merging. False when no record is free; nothing changed. */
bool spans_add(struct engine *e, uint32_t *list, uint32_t start, uint32_t end);

/* As ranges_advance(). */
uint32_t spans_advance(struct engine *e, uint32_t *list, uint32_t next);

/* Drops what lies below seq. */
void spans_trim(struct engine *e, uint32_t *list, uint32_t seq);

/* The list behind its first span. */
uint32_t spans_next(struct engine *e, uint32_t list);

/* The span that holds seq; false when none does. */
bool spans_find(struct engine *e, uint32_t list, uint32_t seq, uint32_t *start, uint32_t *end);

/* The first span; false when the list is empty. */
bool spans_first(struct engine *e, uint32_t list, uint32_t *start, uint32_t *end);

void spans_free(struct engine *e, uint32_t *list);

#endif
