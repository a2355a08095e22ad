/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_spans.c - lists of stretches: against a map of single numbers, under random
 * operations and across the wrap of sequence numbers; and how far they walk for what is usual.
 */
#include <stdlib.h>

#include "engine/spans.h"
#include "unit.h"

#define RANGE 4000u
#define BASE 0xfffff800u /* the numbers wrap in the middle */
#define MSS 1400u

static struct engine *engine_with(uint64_t memory_bytes)
{
	struct engine_cfg cfg = {.max_connections = 16, .memory_bytes = memory_bytes};
	size_t bytes = (engine_region_bytes(&cfg) + 63) / 64 * 64;
	struct engine *e = engine_init(aligned_alloc(64, bytes), bytes, &cfg);

	CU_ASSERT_FATAL(e != NULL);
	return e;
}

/* The list says the same as the map, in order and as long as it can be. */
static bool agrees(struct engine *e, uint32_t list, const bool *map)
{
	uint32_t at = spans_begin(e, list), i = 0, start, end;

	for (; at != NONE; at = spans_next(e, at)) {
		for (; i < RANGE && !map[i]; i++)
			;
		start = i;
		for (; i < RANGE && map[i]; i++)
			;
		if (spans_at(e, at)->start != BASE + start || spans_at(e, at)->end != BASE + i)
			return false;
		if (i == start)
			return false;
	}
	end = i;
	for (; i < RANGE; i++)
		if (map[i])
			return false;
	return !spans_end(e, list, &start) || start == BASE + end;
}

static bool looks_right(struct engine *e, uint32_t list, const bool *map, uint32_t seq,
			uint32_t bytes)
{
	uint32_t from = seq, to = seq, start = 0, end = 0;
	bool some = false;

	for (uint32_t i = seq; i < seq + bytes; i++)
		some |= map[i];
	if (spans_overlap(e, list, BASE + seq, BASE + seq + bytes) != some)
		return false;
	if (spans_find(e, list, BASE + seq, &start, &end) != map[seq])
		return false;
	while (map[seq] && from > 0 && map[from - 1])
		from--;
	while (to < RANGE && !map[to])
		to++;
	if (spans_above(e, list, BASE + seq, &start, &end) != (to < RANGE))
		return false;
	if (to < RANGE && start != BASE + (map[seq] ? from : to))
		return false;
	while (to < RANGE && map[to])
		to++;
	return end == 0 || end == BASE + to;
}

static void random_operations(void)
{
	struct engine *e = engine_with(8u << 20);
	static bool map[RANGE];
	uint64_t r = 7;
	uint32_t list = NONE, next;

	for (unsigned n = 0; n < 30000; n++) {
		uint32_t seq = (uint32_t)(unit_random(&r) % (RANGE - 20));
		uint32_t bytes = 1 + (uint32_t)(unit_random(&r) % 19);

		switch (unit_random(&r) % 1000) {
		case 0:
			spans_trim(e, &list, BASE + seq);
			memset(map, 0, seq);
			break;
		case 1:
			spans_free(e, &list);
			memset(map, 0, sizeof(map));
			break;
		case 2:
			/* Everything below is taken as it stands. */
			next = spans_advance(e, &list, BASE + seq) - BASE;
			for (uint32_t i = seq; i < RANGE && map[i]; i++)
				CHECK_ROW(n, i < next);
			memset(map, 0, next);
			break;
		default:
			CHECK_ROW(n, spans_add(e, &list, BASE + seq, BASE + seq + bytes));
			memset(map + seq, 1, bytes);
			break;
		}
		if (n % 7 == 0 && !agrees(e, list, map)) {
			CHECK_ROW(n, false);
			break;
		}
		seq = (uint32_t)(unit_random(&r) % (RANGE - 20));
		if (!looks_right(e, list, map, seq, bytes)) {
			CHECK_ROW(n, false);
			break;
		}
	}
	spans_free(e, &list);
	CHECK_EQ(0, e->spans.n_used, 0);
	free(e);
}

/* When no record is left nothing changes, and what needs none goes on. */
static void memory(void)
{
	struct engine *e = engine_with(8u << 20);
	uint32_t list = NONE, other = NONE, n = 0, first, end;

	while (e->spans.n_used + 1 < e->spans.n_records)
		pool_new(&e->spans, e);
	CU_ASSERT(!spans_add(e, &list, 10, 20));
	CU_ASSERT(list == NONE && e->spans.n_used + 1 == e->spans.n_records);
	free(e);

	e = engine_with(8u << 20);
	while (spans_add(e, &list, n * 10, n * 10 + 5))
		n++;
	CHECK_EQ(0, n, SPANS_MAX);
	CU_ASSERT(spans_add(e, &other, 1, 2)); /* others have some still */
	CU_ASSERT(spans_add(e, &list, 5, 10) && spans_add(e, &list, n * 10 - 5, n * 10 + 40));
	CU_ASSERT(spans_first(e, list, &first, &end) && first == 0 && end == 15);
	CU_ASSERT(spans_end(e, list, &end) && end == n * 10 + 40);
	spans_free(e, &list);
	spans_free(e, &other);
	CHECK_EQ(0, e->spans.n_used, 0);
	free(e);
}

/* Every second segment is lost; then the holes are filled, while new data comes behind. */
static void walks(void)
{
	struct engine *e = engine_with(8u << 20);
	uint32_t list = NONE, steps = 0, n = SPANS_MAX / 2, end = 0, start;

	for (uint32_t i = 1; i <= n; i++) {
		end = (2 * i + 1) * MSS;
		steps += spans_steps(e, list, 2 * i * MSS);
		CU_ASSERT(spans_add(e, &list, 2 * i * MSS, end));
	}
	CHECK_EQ(0, steps, 0);
	for (uint32_t i = n / 2; i <= n; i++) {
		/* From the middle on: what the first half lacks is repaired later. */
		start = (2 * i - 1) * MSS;
		steps += spans_steps(e, list, start);
		CU_ASSERT(spans_add(e, &list, start, start + MSS));
		/* ... and a duplicate, a SACK block, a segment behind all others */
		steps += spans_steps(e, list, start);
		steps += spans_steps(e, list, end);
		end += 2 * MSS;
		CU_ASSERT(spans_add(e, &list, end - MSS, end));
	}
	/* The way to the middle once, then no step for any of 3 * 1025. */
	CHECK_ROW(1, steps <= n / 2);
	for (uint32_t i = 1; i < n / 2; i++) {
		start = (2 * i - 1) * MSS;
		steps += spans_steps(e, list, start);
		CU_ASSERT(spans_add(e, &list, start, start + MSS));
		end += 2 * MSS;
		steps += spans_steps(e, list, end - MSS);
		CU_ASSERT(spans_add(e, &list, end - MSS, end));
	}
	CHECK_ROW(2, steps <= n / 2 + n / 2);
	spans_free(e, &list);
	CHECK_EQ(0, e->spans.n_used, 0);
	free(e);
}

static const struct unit_test tests[] = {
	{"random operations", random_operations},
	{"memory", memory},
	{"walks", walks},
};
UNIT_MAIN("engine/spans", tests)
