/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_base_seq.c - serial arithmetic at and around every wrap.
 */
#include "base/seq.h"
#include "unit.h"

static const struct {
	uint32_t a, b;
	bool lt, le;
} order[] = {
	/* 0 */ {0, 0, false, true},
	/* 1 */ {0, 1, true, true},
	/* 2 */ {1, 0, false, false},
	/* 3, over the wrap */ {0xffffffff, 0, true, true},
	/* 4 */ {0, 0xffffffff, false, false},
	/* 5 */ {0xfffffff0, 0x10, true, true},
	/* 6, the farthest */ {0, 0x7fffffff, true, true},
	/* 7 */ {0x7fffffff, 0, false, false},
	/* 8 */ {0x80000001, 0, true, true},
	/* 9 */ {0x7fffffff, 0x80000000, true, true},
	/* 10 */ {0x80000000, 0x80000000, false, true},
};

static void test_seq(void)
{
	for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		uint32_t a = order[i].a, b = order[i].b;

		CHECK_EQ(i, seq_lt(a, b), order[i].lt);
		CHECK_EQ(i, seq_le(a, b), order[i].le);
		CHECK_EQ(i, seq_max(a, b), order[i].le ? b : a);
		CHECK_EQ(i, seq_min(a, b), order[i].le ? a : b);
		/* The same in 64 bits, around its own wrap. */
		CHECK_EQ(i, dsn_lt((uint64_t)a << 32, (uint64_t)b << 32), order[i].lt);
		CHECK_EQ(i, dsn_le((uint64_t)a << 32, (uint64_t)b << 32), order[i].le);
	}
}

static void test_dsn(void)
{
	CU_ASSERT(dsn_lt(UINT64_MAX, 0));
	CU_ASSERT(!dsn_lt(0, UINT64_MAX));
	CU_ASSERT(dsn_lt(0xffffffff, 0x100000000));
	CU_ASSERT(dsn_le(5, 5));
	CU_ASSERT(!dsn_lt(5, 5));
	CU_ASSERT(dsn_le(0, INT64_MAX));
}

static const struct {
	uint32_t low;
	uint64_t near, want;
} expand[] = {
	/* 0 */ {0, 0, 0},
	/* 1 */ {5, 0, 5},
	/* 2, behind 0 */ {0xffffffff, 0, UINT64_MAX},
	/* 3 */ {0x10, 0x1fffffff0, 0x200000010},
	/* 4 */ {0xfffffff0, 0x200000010, 0x1fffffff0},
	/* 5 */ {0x12345678, 0xabcdef0112345678, 0xabcdef0112345678},
	/* 6 */ {0x12345679, 0xabcdef0112345678, 0xabcdef0112345679},
	/* 7, over the end */ {3, UINT64_MAX, 3},
	/* 8, the farthest ahead */ {0x7fffffff, 0x500000000, 0x57fffffff},
	/* 9, the farthest behind */ {0x80000000, 0x500000000, 0x480000000},
};

static void test_expand(void)
{
	uint64_t state = 8;

	for (unsigned i = 0; i < sizeof(expand) / sizeof(expand[0]); i++)
		CHECK_EQ(i, dsn_expand(expand[i].low, expand[i].near), expand[i].want);
	for (unsigned row = 0; row < 2000; row++) {
		uint64_t near = unit_random(&state);
		uint64_t dsn = near + (uint64_t)(int64_t)(int32_t)unit_random(&state);

		CHECK_EQ(row, dsn_expand((uint32_t)dsn, near), dsn);
	}
}

static const struct unit_test tests[] = {
	{"seq", test_seq},
	{"dsn", test_dsn},
	{"expand", test_expand},
};

UNIT_MAIN("base/seq", tests)
