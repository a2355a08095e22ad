/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_many.c - uploads of the whole engine over several links in virtual time: sums,
 * asymmetry, loss, death and return, short transfers, small windows, memory.
 */
#include "many.h"
#include "unit.h"

#define MS 1000ull
#define S 1000000ull
#define WIDE 6000000u

static const struct many_link fast = {100, 10, 20, 0}, slow = {20, 60, 60, 0},
			      middle = {50, 20, 20, 0}, lossy = {100, 10, 20, 10000},
			      wide = {500, 2, 10, 0};

static struct many_setup setup(unsigned n, struct many_link a, struct many_link b,
			       struct many_link c, uint64_t bytes)
{
	return (struct many_setup){.n_links = n,
				   .link = {a, b, c},
				   .bytes = bytes,
				   .until_us = 60 * S,
				   .window_bytes = WIDE};
}

static double mbit(const struct many_result *r)
{
	return (double)r->received * 8 / (double)r->us;
}

/* Goodput, against the payload that the links carry together. */
static void sums(void)
{
	static const struct {
		const char *name, *cc;
		unsigned n;
		const struct many_link *link[3];
		uint64_t bytes;
		double least;
	} rows[] = {
		{"2 x 100", "lia", 2, {&fast, &fast}, 30000000, 0.90},
		{"2 x 100", "cubic", 2, {&fast, &fast}, 30000000, 0.90},
		{"2 x 100", "bbr", 2, {&fast, &fast}, 30000000, 0.85},
		{"100/20", "lia", 2, {&fast, &slow}, 30000000, 0.84},
		{"100/50/20", "lia", 3, {&fast, &middle, &slow}, 40000000, 0.82},
		{"2 x 500", "lia", 2, {&wide, &wide}, 60000000, 0.88},
		{"1 % loss on one", "lia", 2, {&fast, &lossy}, 15000000, 0.40},
		{"1 % loss on one", "cubic", 2, {&fast, &lossy}, 15000000, 0.40},
		{"1 % loss on one", "bbr", 2, {&fast, &lossy}, 30000000, 0.75},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct many_setup s =
			setup(rows[i].n, *rows[i].link[0], rows[i].n > 1 ? *rows[i].link[1] : fast,
			      rows[i].n > 2 ? *rows[i].link[2] : fast, rows[i].bytes);
		struct many_result r;
		double sum;

		s.congestion = rows[i].cc;
		s.after_bytes = 262144;
		s.guest_ssthresh = 187000; /* where CUBIC left slow start on the first path */
		r = many_run(&s);
		sum = (double)many_capacity(&s, 7) * 8 / 1e6;
		printf("%u %s, %s: %.1f of %.1f Mbit/s (%.3f), again %u, twice %u, gap %u ms at "
		       "%u, guest %u, carried %u %u %u MB\n",
		       i, rows[i].name, rows[i].cc, mbit(&r), sum, mbit(&r) / sum,
		       (unsigned)r.retransmits, (unsigned)r.duplicates,
		       (unsigned)(r.longest_gap_us / MS), (unsigned)(r.gap_at_us / MS),
		       (unsigned)r.guest_retransmits, (unsigned)(r.carried[0] / 1000000),
		       (unsigned)(r.carried[1] / 1000000), (unsigned)(r.carried[2] / 1000000));
		CHECK_EQ(i, r.violations, 0);
		CHECK_ROW(i, mbit(&r) >= rows[i].least * sum);
	}
}

static const struct unit_test tests[] = {
	{"sums", sums},
};
UNIT_MAIN("engine/many", tests)
