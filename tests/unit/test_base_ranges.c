/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_base_ranges.c - out-of-order ranges: a table of merges, and a bitmap as the oracle, both
 * also across the wrap of the sequence space.
 */
#include "base/ranges.h"
#include "unit.h"

/* Ranges as written: "10-20 30-40". */
static void parse(struct ranges *rs, const char *text, uint32_t base)
{
	memset(rs, 0, sizeof(*rs));
	while (*text) {
		unsigned start, end;
		int used;

		if (sscanf(text, "%u-%u %n", &start, &end, &used) != 2) {
			CU_FAIL("bad ranges in a test");
			return;
		}
		rs->r[rs->n++] = (struct range){base + start, base + end};
		text += used;
	}
}

static void check_same(unsigned row, const struct ranges *got, const char *want, uint32_t base)
{
	struct ranges w;

	parse(&w, want, base);
	CHECK_EQ(row, got->n, w.n);
	for (unsigned i = 0; i < w.n && i < got->n; i++) {
		CHECK_EQ(row, got->r[i].start, w.r[i].start);
		CHECK_EQ(row, got->r[i].end, w.r[i].end);
	}
}

static const uint32_t bases[] = {0, 1000, 0x7fffff80, 0xffffff00, 0xffffffc4, 0xffffffff};

#define FULL "10-20 30-40 50-60 70-80 90-100 110-120"

static const struct {
	const char *before;
	uint32_t start, end;
	const char *after;
	bool ok;
} adds[] = {
	/* 0 */ {"", 10, 20, "10-20", true},
	/* 1, nothing to add */ {"", 10, 10, "", true},
	/* 2, backwards */ {"10-20", 30, 25, "10-20", true},
	/* 3, before */ {"30-40", 10, 20, "10-20 30-40", true},
	/* 4, behind */ {"30-40", 50, 60, "30-40 50-60", true},
	/* 5, between */ {"10-20 50-60", 30, 40, "10-20 30-40 50-60", true},
	/* 6, touches the end */ {"10-20", 20, 30, "10-30", true},
	/* 7, touches the start */ {"10-20", 5, 10, "5-20", true},
	/* 8, one apart stays apart */ {"10-20", 21, 30, "10-20 21-30", true},
	/* 9 */ {"10-20", 5, 9, "5-9 10-20", true},
	/* 10, within */ {"10-20", 12, 18, "10-20", true},
	/* 11, the same */ {"10-20", 10, 20, "10-20", true},
	/* 12, around */ {"10-20", 5, 25, "5-25", true},
	/* 13, closes a gap */ {"10-20 30-40", 20, 30, "10-40", true},
	/* 14, closes all gaps */ {FULL, 20, 110, "10-120", true},
	/* 15, swallows the middle */ {FULL, 35, 95, "10-20 30-100 110-120", true},
	/* 16, swallows all */ {FULL, 0, 200, "0-200", true},
	/* 17, full: no place in front */ {FULL, 2, 8, FULL, false},
	/* 18, full: none in between */ {FULL, 42, 48, FULL, false},
	/* 19, full: none behind */ {FULL, 130, 140, FULL, false},
	/* 20, full, but it merges */
	{FULL, 40, 45, "10-20 30-45 50-60 70-80 90-100 110-120", true},
	/* 21 */ {FULL, 120, 130, "10-20 30-40 50-60 70-80 90-100 110-130", true},
	/* 22 */ {FULL, 5, 10, "5-20 30-40 50-60 70-80 90-100 110-120", true},
	/* 23, full, nothing to add */ {FULL, 45, 45, FULL, true},
	/* 24, the last place */
	{"10-20 30-40 50-60 70-80 90-100", 110, 120, FULL, true},
};

static void test_add(void)
{
	for (unsigned b = 0; b < sizeof(bases) / sizeof(bases[0]); b++)
		for (unsigned i = 0; i < sizeof(adds) / sizeof(adds[0]); i++) {
			struct ranges rs;

			parse(&rs, adds[i].before, bases[b]);
			CHECK_EQ(i,
				 ranges_add(&rs, bases[b] + adds[i].start, bases[b] + adds[i].end),
				 adds[i].ok);
			check_same(i, &rs, adds[i].after, bases[b]);
		}
}

static const struct {
	const char *before;
	uint32_t next, result;
	const char *after;
} advances[] = {
	/* 0 */ {"", 10, 10, ""},
	/* 1, a gap before */ {"10-20", 5, 5, "10-20"},
	/* 2, touches */ {"10-20", 10, 20, ""},
	/* 3, into */ {"10-20 30-40", 15, 20, "30-40"},
	/* 4, to the end */ {"10-20 30-40", 20, 20, "30-40"},
	/* 5, past it */ {"10-20 30-40", 25, 25, "30-40"},
	/* 6, onto the next */ {"10-20 30-40", 30, 40, ""},
	/* 7, past all */ {FULL, 500, 500, ""},
	/* 8, to the middle */ {FULL, 55, 60, "70-80 90-100 110-120"},
	/* 9, before all */ {FULL, 0, 0, FULL},
};

static void test_advance(void)
{
	for (unsigned b = 0; b < sizeof(bases) / sizeof(bases[0]); b++)
		for (unsigned i = 0; i < sizeof(advances) / sizeof(advances[0]); i++) {
			struct ranges rs;

			parse(&rs, advances[i].before, bases[b]);
			CHECK_EQ(i, ranges_advance(&rs, bases[b] + advances[i].next),
				 bases[b] + advances[i].result);
			check_same(i, &rs, advances[i].after, bases[b]);
		}
}

#define SPACE 160

/* What the ranges hold, bit by bit; also checks that they are in order and apart. */
static void check_bits(unsigned row, const struct ranges *rs, const bool *bits, uint32_t base)
{
	bool got[SPACE] = {false};

	CHECK_ROW(row, rs->n <= RANGES_MAX);
	for (unsigned i = 0; i < rs->n; i++) {
		uint32_t start = rs->r[i].start - base, end = rs->r[i].end - base;

		CHECK_ROW(row, start < end && end <= SPACE);
		CHECK_ROW(row, i == 0 || rs->r[i - 1].end - base < start);
		for (uint32_t at = start; at < end && at < SPACE; at++)
			got[at] = true;
	}
	CHECK_ROW(row, memcmp(got, bits, sizeof(got)) == 0);
}

static unsigned runs(const bool *bits)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SPACE; i++)
		n += bits[i] && (i == 0 || !bits[i - 1]);
	return n;
}

static void test_random(void)
{
	uint64_t state = 7;
	unsigned refused = 0;

	for (unsigned round = 0; round < 600; round++) {
		uint32_t base = bases[round % 6];
		struct ranges rs = {0};
		bool bits[SPACE] = {false};

		for (unsigned op = 0; op < 30; op++) {
			uint32_t start = (uint32_t)unit_random(&state) % (SPACE - 20);
			uint32_t end = start + (uint32_t)unit_random(&state) % 12;
			bool want[SPACE], ok;

			if (unit_random(&state) % 8 == 0) {
				uint32_t next = start;

				memset(bits, 0, next);
				while (bits[next])
					bits[next++] = false;
				CHECK_EQ(round, ranges_advance(&rs, base + start) - base, next);
				check_bits(round, &rs, bits, base);
				continue;
			}
			memcpy(want, bits, sizeof(want));
			for (uint32_t at = start; at < end; at++)
				want[at] = true;
			ok = runs(want) <= RANGES_MAX;
			refused += !ok;
			CHECK_EQ(round, ranges_add(&rs, base + start, base + end), ok);
			if (ok)
				memcpy(bits, want, sizeof(bits));
			check_bits(round, &rs, bits, base);
		}
	}
	CU_ASSERT(refused > 100);
}

static const struct unit_test tests[] = {
	{"add", test_add},
	{"advance", test_advance},
	{"random against a bitmap", test_random},
};

UNIT_MAIN("base/ranges", tests)
