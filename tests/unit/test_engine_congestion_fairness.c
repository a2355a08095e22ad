/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_congestion_fairness.c - several subflows of one connection beside plain TCP: about
 * one share of a common bottleneck when coupled, all of it on links of their own, and more of the
 * better path; uncoupled ones as the contrast. "lia" alone on its connection is plain Reno.
 */
#include "bottleneck.h"
#include "unit.h"

#define SECOND 1000000ULL
/* When counting begins and ends; where nothing has to settle against another, sooner. */
struct span {
	uint64_t from_us, until_us;
	unsigned seeds;
};

static const struct span settled = {10 * SECOND, 50 * SECOND, 3};
static const struct span soon = {2 * SECOND, 8 * SECOND, 1};

static uint64_t delivered(const struct bottleneck *b, unsigned conn)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < b->n_flows; i++)
		if (b->flow[i]->conn == conn)
			bytes += b->flow[i]->delivered_bytes;
	return bytes;
}

/* Rates of the connections 0 and 1 in Mbit/s, the mean of the seeds. */
struct outcome {
	double mp, plain;
};

static struct outcome play(const struct span *t,
			   void (*build)(struct bottleneck *b, const void *arg), const void *arg)
{
	double bits = 8.0 / (double)(t->until_us - t->from_us) / t->seeds;
	struct outcome o = {0, 0};

	for (unsigned seed = 1; seed <= t->seeds; seed++) {
		struct bottleneck *b = bn_new(seed);
		uint64_t mp, plain;

		build(b, arg);
		bn_run(b, t->from_us);
		mp = delivered(b, 0);
		plain = delivered(b, 1);
		bn_run(b, t->until_us);
		o.mp += (double)(delivered(b, 0) - mp) * bits;
		o.plain += (double)(delivered(b, 1) - plain) * bits;
		bn_free(b);
	}
	return o;
}

struct shared_row {
	const char *name;
	unsigned subflows;
	const char *plain;
	unsigned queue_ms;
	double least, most; /* of the connection's rate to plain TCP's */
};

static void shared_link(struct bottleneck *b, const void *arg)
{
	const struct shared_row *row = arg;
	unsigned l = bn_link(b, 100, 10, row->queue_ms, 0);

	for (unsigned i = 0; i < row->subflows; i++)
		bn_flow(b, 0, l, row->name, i * 137000);
	bn_flow(b, 1, l, row->plain, 50000);
}

/*
 * One link of 100 Mbit/s. A queue that drops its tail hits the larger window more often, so even
 * the coupled ones take somewhat more than a share beside Reno; the law itself is tested below.
 */
static void beside_plain_tcp(void)
{
	static const struct shared_row rows[] = {
		/* 0, the scale: Reno beside Reno, and CUBIC */ {"lia", 1, "lia", 10, 0.8, 1.25},
		/* 1 */ {"lia", 1, "cubic", 10, 0.7, 1.2},
		/* 2, two subflows beside CUBIC */ {"lia", 2, "cubic", 10, 0.8, 1.25},
		/* 3 */ {"olia", 2, "cubic", 10, 0.7, 1.2},
		/* 4 */ {"balia", 2, "cubic", 10, 0.75, 1.25},
		/* 5, two beside Reno */ {"lia", 2, "lia", 10, 0.85, 1.4},
		/* 6 */ {"olia", 2, "lia", 10, 0.8, 1.4},
		/* 7 */ {"balia", 2, "lia", 10, 0.8, 1.4},
		/* 8, four beside CUBIC */ {"lia", 4, "cubic", 20, 0.85, 1.6},
		/* 9 */ {"olia", 4, "cubic", 20, 0.8, 1.4},
		/* 10 */ {"balia", 4, "cubic", 20, 0.8, 1.5},
		/* 11, uncoupled: as many shares as subflows */ {"cubic", 2, "cubic", 10, 1.7, 2.5},
		/* 12 */ {"cubic", 4, "cubic", 20, 3.2, 5.5},
		/* 13, rates against windows: more with short queues, less with long ones */
		{"bbr", 1, "cubic", 20, 0.8, 2.2},
		/* 14 */ {"bbr", 1, "cubic", 50, 0.4, 1.2},
		/* 15 */ {"bbr", 2, "cubic", 20, 1.2, 4.5},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome o = play(&settled, shared_link, &rows[i]);
		double ratio = o.mp / o.plain;

		printf("row %u: %s x %u %.1f, %s %.1f Mbit/s: %.2f shares\n", i, rows[i].name,
		       rows[i].subflows, o.mp, rows[i].plain, o.plain, ratio);
		CHECK_ROW(i, ratio >= rows[i].least && ratio <= rows[i].most);
		CHECK_ROW(i, o.mp + o.plain >= 94); /* the link is full */
	}
}

static void lossy_common(struct bottleneck *b, const void *arg)
{
	const struct shared_row *row = arg;
	unsigned l = bn_link(b, 1000, 20, 20, 1000);

	for (unsigned i = 0; i < row->subflows; i++)
		bn_flow(b, 0, l, row->name, i * 137000);
	bn_flow(b, 1, l, row->plain, 50000);
}

/*
 * The same loss for every packet, whosever it is, is what the formulas are made for: there k
 * coupled subflows are one TCP (LIA a bit more: its subflows' windows differ for a while).
 */
static void the_law(void)
{
	static const struct shared_row rows[] = {
		/* 0 */ {"lia", 1, "lia", 0, 0.85, 1.15},
		/* 1 */ {"lia", 2, "lia", 0, 0.9, 1.3},
		/* 2 */ {"lia", 4, "lia", 0, 0.9, 1.3},
		/* 3 */ {"olia", 2, "lia", 0, 0.85, 1.2},
		/* 4 */ {"olia", 4, "lia", 0, 0.85, 1.2},
		/* 5 */ {"balia", 2, "lia", 0, 0.85, 1.2},
		/* 6 */ {"balia", 4, "lia", 0, 0.85, 1.2},
		/* 7 */ {"cubic", 2, "cubic", 0, 1.8, 2.2},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome o = play(&settled, lossy_common, &rows[i]);
		double ratio = o.mp / o.plain;

		printf("row %u: %s x %u at 0.1 %% loss: %.2f shares\n", i, rows[i].name,
		       rows[i].subflows, ratio);
		CHECK_ROW(i, ratio >= rows[i].least && ratio <= rows[i].most);
	}
}

struct pair_row {
	unsigned mbit[2], rtt_ms[2], loss_ppm[2];
	unsigned coupled, cubic, bbr; /* least sum in Mbit/s */
};

struct pair_arg {
	const struct pair_row *row;
	const char *name;
};

static void own_links(struct bottleneck *b, const void *arg)
{
	const struct pair_arg *p = arg;

	for (unsigned i = 0; i < 2; i++)
		bn_flow(b, 0,
			bn_link(b, p->row->mbit[i], p->row->rtt_ms[i], p->row->rtt_ms[i] + 10,
				p->row->loss_ppm[i]),
			p->name, i * 300000);
}

/* Nobody else there: the sum of the links, whatever the other path is like. */
static void disjoint(void)
{
	static const struct pair_row rows[] = {
		/* 0 */ {{100, 100}, {10, 10}, {0, 0}, 189, 190, 188},
		/* 1: balia takes long to the slow link's top; the others have 112 */
		{{100, 20}, {10, 60}, {0, 0}, 108, 114, 112},
		/* 2 */ {{500, 500}, {2, 2}, {0, 0}, 950, 950, 940},
		/* 3, one loses: the clean one is not pulled down */
		{{100, 100}, {10, 10}, {0, 10000}, 97, 107, 185},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned c = 0; congestion_at(c); c++) {
			struct pair_arg p = {&rows[i], congestion_at(c)->name};
			struct outcome o = play(&soon, own_links, &p);
			unsigned least = c < 3    ? rows[i].coupled
					 : c == 3 ? rows[i].cubic
						  : rows[i].bbr;

			if (o.mp < least)
				printf("row %u: %s %.1f Mbit/s\n", i, p.name, o.mp);
			CHECK_ROW(i * 10 + c, o.mp >= least);
		}
}

struct balance_row {
	const char *name;
	unsigned loss_ppm[2], rtt_ms[2];
	double most_worse; /* share of the worse path in the connection's traffic */
};

static void two_paths(struct bottleneck *b, const void *arg)
{
	const struct balance_row *row = arg;

	for (unsigned i = 0; i < 2; i++) {
		unsigned l = bn_link(b, 1000, row->rtt_ms[i], 20, row->loss_ppm[i]);

		bn_flow(b, i, l, row->name, 0);
	}
	/* both in one connection for the controllers; counted apart by play() */
	b->flow[1]->group = b->flow[0]->group = 7;
}

/*
 * Traffic moves to the less congested path; OLIA moves nearly all of it (what is left is slow
 * start and the floor of two segments), BALIA and LIA less.
 */
static void balance(void)
{
	static const struct balance_row rows[] = {
		/* 0, a tenfold loss; uncoupled would be sqrt(1/10): a quarter */
		{"lia", {1000, 10000}, {10, 10}, 0.14},
		/* 1 */ {"olia", {1000, 10000}, {10, 10}, 0.09},
		/* 2 */ {"balia", {1000, 10000}, {10, 10}, 0.12},
		/* 3, a fourfold RTT; uncoupled would be a fifth */
		{"lia", {1000, 1000}, {10, 40}, 0.24},
		/* 4 */ {"olia", {1000, 1000}, {10, 40}, 0.06},
		/* 5 */ {"balia", {1000, 1000}, {10, 40}, 0.12},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome o = play(&settled, two_paths, &rows[i]);
		double worse = o.plain / (o.mp + o.plain);

		printf("row %u: %s %.3f on the worse path\n", i, rows[i].name, worse);
		CHECK_ROW(i, worse <= rows[i].most_worse);
	}
}

static const struct unit_test tests[] = {
	{"beside plain TCP", beside_plain_tcp},
	{"the law", the_law},
	{"links of their own", disjoint},
	{"traffic moves to the better path", balance},
};
UNIT_MAIN("engine/congestion fairness", tests)
