/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spans.h - lists of disjoint stretches of sequence numbers, ascending, from a common pool: what
 * came out of order, what is to be sent again. As ranges.h, but without a fixed number.
 *
 * Theory. Nearly all that is added or looked up stands behind the last stretch (it came in order
 * behind a hole) or close behind what was added before it (holes are filled from below). A list
 * that is not empty therefore begins with a record of its own (struct span_list) that names its
 * last stretch and the one that was touched last, and a walk starts at the nearest of these two and
 * the first that is not beyond what is looked for. Who jumps to and fro pays for a walk, of
 * SPANS_MAX records at most.
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

/* One span after the other, from `at` = spans_begin() on: NONE behind the last. */
uint32_t spans_begin(struct engine *e, uint32_t list);
uint32_t spans_next(struct engine *e, uint32_t at);
const struct span *spans_at(struct engine *e, uint32_t at);

/* The span that holds seq; false when none does. */
bool spans_find(struct engine *e, uint32_t list, uint32_t seq, uint32_t *start, uint32_t *end);

/* The first span that ends above seq; false when none does. */
bool spans_above(struct engine *e, uint32_t list, uint32_t seq, uint32_t *start, uint32_t *end);

/* Is anything of [start, end) in the list? */
bool spans_overlap(struct engine *e, uint32_t list, uint32_t start, uint32_t end);

/* The first span, and where the last one ends; false when the list is empty. */
bool spans_first(struct engine *e, uint32_t list, uint32_t *start, uint32_t *end);
bool spans_end(struct engine *e, uint32_t list, uint32_t *end);

/* How many records a walk to `seq` would pass now. */
uint32_t spans_steps(struct engine *e, uint32_t list, uint32_t seq);

void spans_free(struct engine *e, uint32_t *list);

#endif
