/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_base_pool.c - records by index: order of allocation, exhaustion, and a random run against
 * a plain list.
 */
#include <stdlib.h>

#include "base/pool.h"
#include "unit.h"

#define N 50
#define RECORD_BYTES 24
#define OFFSET 64

static uint8_t region[OFFSET + N * RECORD_BYTES + 64];

static void test_order(void)
{
	struct pool p;

	pool_init(&p, OFFSET, RECORD_BYTES, N);
	CHECK_EQ(0, p.n_used, 0);
	for (uint32_t i = 0; i < N; i++) {
		CHECK_EQ(i, pool_new(&p, region), i);
		CHECK_EQ(i, p.n_used, i + 1);
	}
	/* Last freed, first given. */
	pool_free(&p, region, 7);
	pool_free(&p, region, 49);
	pool_free(&p, region, 0);
	CHECK_EQ(0, p.n_used, N - 3);
	CHECK_EQ(0, pool_new(&p, region), 0);
	CHECK_EQ(1, pool_new(&p, region), 49);
	CHECK_EQ(2, pool_new(&p, region), 7);
	CHECK_EQ(3, pool_new(&p, region), POOL_NONE);
}

/* A freed record comes before one that was never touched. */
static void test_touched(void)
{
	struct pool p;

	pool_init(&p, OFFSET, RECORD_BYTES, N);
	CHECK_EQ(0, pool_new(&p, region), 0);
	CHECK_EQ(1, pool_new(&p, region), 1);
	pool_free(&p, region, 0);
	CHECK_EQ(2, pool_new(&p, region), 0);
	CHECK_EQ(3, pool_new(&p, region), 2);
	CHECK_EQ(4, p.n_touched, 3);
}

static void test_exhaustion(void)
{
	struct pool p;

	pool_init(&p, OFFSET, RECORD_BYTES, 2);
	CHECK_EQ(0, pool_new(&p, region), 0);
	CHECK_EQ(1, pool_new(&p, region), 1);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(i, pool_new(&p, region), POOL_NONE);
	CHECK_EQ(2, p.n_used, 2);
	pool_free(&p, region, 1);
	CHECK_EQ(3, pool_new(&p, region), 1);
	CHECK_EQ(4, pool_new(&p, region), POOL_NONE);

	pool_init(&p, OFFSET, RECORD_BYTES, 0);
	CHECK_EQ(5, pool_new(&p, region), POOL_NONE);
}

static void test_places(void)
{
	struct pool p;

	pool_init(&p, OFFSET, RECORD_BYTES, N);
	CU_ASSERT_PTR_EQUAL(pool_at(&p, region, 0), region + OFFSET);
	CU_ASSERT_PTR_EQUAL(pool_at(&p, region, N - 1), region + OFFSET + (N - 1) * RECORD_BYTES);
	/* Beyond 4 GB the index must not wrap; no byte is read here. */
	pool_init(&p, 1, 1 << 20, 1 << 20);
	CHECK_EQ(0, (uintptr_t)pool_at(&p, region, 1 << 19) - (uintptr_t)region, (1ULL << 39) + 1);
}

/* Records in use keep their bytes, none is given twice, nothing around the records is written. */
static void test_random(void)
{
	struct pool p;
	bool used[N] = {false};
	unsigned n_used = 0;
	uint64_t state = 4;

	memset(region, 0xee, sizeof(region));
	pool_init(&p, OFFSET, RECORD_BYTES, N);
	for (unsigned row = 0; row < 20000; row++) {
		uint32_t i;

		/* Long ups and downs, so that both ends are reached. */
		if (unit_random(&state) % 8 < (row / 500 % 2 ? 5 : 3)) {
			i = pool_new(&p, region);
			if (n_used == N) {
				CHECK_EQ(row, i, POOL_NONE);
				continue;
			}
			CHECK_ROW(row, i < N && !used[i]);
			if (i >= N)
				return;
			used[i] = true;
			n_used++;
			memset(pool_at(&p, region, i), (int)i, RECORD_BYTES);
		} else if (n_used > 0) {
			do
				i = (uint32_t)unit_random(&state) % N;
			while (!used[i]);
			for (unsigned b = 0; b < RECORD_BYTES; b++)
				CHECK_EQ(row, ((uint8_t *)pool_at(&p, region, i))[b], i);
			pool_free(&p, region, i);
			used[i] = false;
			n_used--;
		}
		CHECK_EQ(row, p.n_used, n_used);
	}
	for (unsigned b = 0; b < 64; b++) {
		CHECK_EQ(b, region[b], 0xee);
		CHECK_EQ(b, region[OFFSET + N * RECORD_BYTES + b], 0xee);
	}
}

static const struct unit_test tests[] = {
	{"order", test_order},   {"touched", test_touched}, {"exhaustion", test_exhaustion},
	{"places", test_places}, {"random", test_random},
};

UNIT_MAIN("base/pool", tests)
