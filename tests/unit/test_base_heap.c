/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_base_heap.c - the deadlines against a table that is searched from end to end.
 */
#include "base/heap.h"
#include "unit.h"

#define N 61

static struct heap_entry entries[N];
static uint32_t where[N];

static void test_empty(void)
{
	struct heap h;

	heap_init(&h, entries, where, N);
	CHECK_EQ(0, heap_first_us(&h), UINT64_MAX);
	CHECK_EQ(0, heap_first(&h), HEAP_NONE);
	CHECK_EQ(0, heap_us(&h, 5), UINT64_MAX);
	/* Taking out what is not in changes nothing. */
	heap_set(&h, 5, UINT64_MAX);
	CHECK_EQ(1, h.n, 0);
	CHECK_EQ(1, heap_first(&h), HEAP_NONE);
}

static void test_one(void)
{
	struct heap h;

	heap_init(&h, entries, where, N);
	heap_set(&h, 5, 100);
	CHECK_EQ(0, heap_first_us(&h), 100);
	CHECK_EQ(0, heap_first(&h), 5);
	heap_set(&h, 5, 50);
	CHECK_EQ(1, heap_first_us(&h), 50);
	heap_set(&h, 5, 200);
	CHECK_EQ(2, heap_first_us(&h), 200);
	CHECK_EQ(2, h.n, 1);
	heap_set(&h, 5, UINT64_MAX);
	CHECK_EQ(3, heap_first_us(&h), UINT64_MAX);
	CHECK_EQ(3, where[5], HEAP_NONE);
	/* The latest time that is one. */
	heap_set(&h, 6, UINT64_MAX - 1);
	CHECK_EQ(4, heap_first_us(&h), UINT64_MAX - 1);
	CHECK_EQ(4, heap_first(&h), 6);
}

/* Equal deadlines come out by index, whatever the order they went in (I8). */
static void test_equal(void)
{
	struct heap h;

	for (unsigned step = 1; step < N; step++) {
		heap_init(&h, entries, where, N);
		/* N is prime: every step visits every object. */
		for (unsigned i = 0; i < N; i++)
			heap_set(&h, i * step % N, 1000);
		for (unsigned i = 0; i < N; i++) {
			CHECK_EQ(step, heap_first(&h), i);
			heap_set(&h, i, UINT64_MAX);
		}
		CHECK_EQ(step, h.n, 0);
	}
}

static bool is_heap(const struct heap *h)
{
	for (uint32_t i = 0; i < h->n; i++) {
		const struct heap_entry *e = &h->entry[i], *up = &h->entry[i ? (i - 1) / 2 : 0];

		if (h->where[e->object] != i || e->zero != 0)
			return false;
		if (e->at_us < up->at_us || (e->at_us == up->at_us && e->object < up->object))
			return false;
	}
	return true;
}

static uint32_t oracle_first(const uint64_t *at_us)
{
	uint32_t first = HEAP_NONE;

	for (uint32_t i = 0; i < N; i++)
		if (at_us[i] != UINT64_MAX && (first == HEAP_NONE || at_us[i] < at_us[first]))
			first = i;
	return first;
}

static void test_random(void)
{
	struct heap h;
	uint64_t at_us[N];
	uint64_t state = 5;

	memset(at_us, 0xff, sizeof(at_us));
	heap_init(&h, entries, where, N);
	for (unsigned row = 0; row < 30000; row++) {
		uint64_t r = unit_random(&state);
		uint32_t object = (uint32_t)(r % N), first, n = 0;
		/* Few distinct times: many are equal. */
		uint64_t at = (r >> 8) % 100 < 30 ? UINT64_MAX : (r >> 16) % 40;

		if ((r >> 32) % 10 == 0 && heap_first(&h) != HEAP_NONE) {
			object = heap_first(&h);
			at = UINT64_MAX;
		}
		heap_set(&h, object, at);
		at_us[object] = at;
		first = oracle_first(at_us);
		CHECK_EQ(row, heap_first(&h), first);
		CHECK_EQ(row, heap_first_us(&h), first == HEAP_NONE ? UINT64_MAX : at_us[first]);
		for (uint32_t i = 0; i < N; i++) {
			n += at_us[i] != UINT64_MAX;
			if ((where[i] == HEAP_NONE) != (at_us[i] == UINT64_MAX) ||
			    heap_us(&h, i) != at_us[i])
				CHECK_ROW(row, !"where[] agrees");
		}
		CHECK_EQ(row, h.n, n);
		CHECK_ROW(row, is_heap(&h));
	}
}

/* All in, all out: sorted by time, then index. */
static void test_drain(void)
{
	struct heap h;
	uint64_t state = 6;

	for (unsigned row = 0; row < 200; row++) {
		uint64_t last_us = 0;
		uint32_t last = 0;

		heap_init(&h, entries, where, N);
		for (uint32_t i = 0; i < N; i++)
			heap_set(&h, i, unit_random(&state) % (row + 1));
		CHECK_EQ(row, h.n, N);
		for (uint32_t i = 0; i < N; i++) {
			uint64_t us = heap_first_us(&h);
			uint32_t object = heap_first(&h);

			CHECK_ROW(row, i == 0 || us > last_us || (us == last_us && object > last));
			last_us = us;
			last = object;
			heap_set(&h, object, UINT64_MAX);
		}
		CHECK_EQ(row, h.n, 0);
	}
}

static const struct unit_test tests[] = {
	{"empty", test_empty},   {"one", test_one},     {"equal deadlines", test_equal},
	{"random", test_random}, {"drain", test_drain},
};

UNIT_MAIN("base/heap", tests)
