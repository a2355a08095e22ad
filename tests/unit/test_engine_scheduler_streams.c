/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_scheduler_streams.c - whole transfers over two and three links in virtual time, by
 * each scheduler, against one flow on the best link: sums, short transfers, small windows, price,
 * backup, copies.
 */
#include "stream.h"
#include "unit.h"

#define MOST_US 60000000ULL
#define WIDE 6000000U

struct path {
	unsigned mbit, rtt_ms, queue_ms, loss_ppm;
};

static const struct path fast = {100, 10, 20, 0}, slow = {20, 60, 60, 0}, middle = {50, 20, 20, 0},
			 lossy = {100, 10, 20, 10000};

struct transfer {
	const char *scheduler, *cc;
	uint64_t bytes;
	uint32_t window_bytes;
	const struct path *path[3]; /* null: none */
	uint32_t price_milli[3];    /* 0: 1000 */
	bool backup[3];
};

struct result {
	uint64_t us, carried[3];
};

static struct result transfer(const struct transfer *t)
{
	struct bottleneck *b = bn_new(1);
	struct result r = {0, {0, 0, 0}};
	struct bn_stream *s;

	for (unsigned i = 0; i < 3 && t->path[i]; i++)
		bn_flow(b, 0,
			bn_link(b, t->path[i]->mbit, t->path[i]->rtt_ms, t->path[i]->queue_ms,
				t->path[i]->loss_ppm),
			t->cc, 0);
	s = stream_new(b, t->scheduler, t->bytes, t->window_bytes);
	for (unsigned i = 0; i < s->n; i++) {
		s->price_milli[i] = t->price_milli[i] ? t->price_milli[i] : 1000;
		s->backup[i] = t->backup[i];
	}
	r.us = stream_run(b, s, MOST_US);
	for (unsigned i = 0; i < s->n; i++)
		r.carried[i] = s->carried[i];
	stream_free(s);
	bn_free(b);
	return r;
}

static uint64_t plain_us(const char *cc, uint64_t bytes, uint32_t window_bytes)
{
	struct transfer t = {"lowest-rtt", cc, bytes, window_bytes, {&fast}, {0}, {false}};

	return transfer(&t).us;
}

/* Least rate in Mbit/s. */
static void sums(void)
{
	static const struct {
		struct transfer t;
		double least;
	} rows[] = {
		/* 0, 2 x 100: 192.9 is payload's share */
		{{"lowest-rtt", "lia", 50000000, WIDE, {&fast, &fast}, {0}, {false}}, 187},
		/* 1 */ {{"blest", "lia", 50000000, WIDE, {&fast, &fast}, {0}, {false}}, 187},
		/* 2 */ {{"blest", "cubic", 50000000, WIDE, {&fast, &fast}, {0}, {false}}, 187},
		/* 3 */ {{"blest", "bbr", 50000000, WIDE, {&fast, &fast}, {0}, {false}}, 184},
		/* 4 */ {{"round-robin", "lia", 50000000, WIDE, {&fast, &fast}, {0}, {false}}, 185},
		/* 5, 100 and 20, 10 and 60 ms: 115.7 */
		{{"lowest-rtt", "lia", 100000000, WIDE, {&fast, &slow}, {0}, {false}}, 112},
		/* 6 */ {{"blest", "lia", 100000000, WIDE, {&fast, &slow}, {0}, {false}}, 112},
		/* 7 */ {{"blest", "bbr", 100000000, WIDE, {&fast, &slow}, {0}, {false}}, 112},
		/* 8, three: 164 */
		{{"blest", "lia", 100000000, WIDE, {&fast, &middle, &slow}, {0}, {false}}, 155},
		/* 9, one of two loses 1 % */
		{{"blest", "lia", 20000000, WIDE, {&fast, &lossy}, {0}, {false}}, 97},
		/* 10 */ {{"blest", "bbr", 50000000, WIDE, {&fast, &lossy}, {0}, {false}}, 180},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double mbit = (double)rows[i].t.bytes * 8 / (double)transfer(&rows[i].t).us;

		printf("row %u: %s, %s: %.1f Mbit/s\n", i, rows[i].t.scheduler, rows[i].t.cc, mbit);
		CHECK_ROW(i, mbit >= rows[i].least);
	}
}

/*
 * A second, slow path makes a short transfer no later. lowest-rtt cannot know it of one that does
 * not fit into what the sender keeps at first; blest sees that bound as it sees the window. Nor do
 * lowest-rtt and redundant wait for the fast path where its window is full for a moment.
 */
static void short_transfers(void)
{
	static const uint64_t bytes[] = {1448, 14480, 30000, 100000, 300000, 1000000};

	for (unsigned i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		for (unsigned c = 0; congestion_at(c); c++)
			for (unsigned k = 0; k < 3; k++) { /* round-robin is as it is */
				const char *cc = congestion_at(c)->name;
				struct transfer t = {scheduler_at(k)->name, cc,  bytes[i], WIDE,
						     {&fast, &slow},        {0}, {false}};
				uint64_t plain = plain_us(cc, bytes[i], WIDE), us = transfer(&t).us;

				if (us > plain + plain / 50)
					printf("%s, %s: %u bytes in %u ms, plain %u ms\n",
					       t.scheduler, cc, (unsigned)bytes[i],
					       (unsigned)us / 1000, (unsigned)plain / 1000);
				if (k == 1 || bytes[i] < 300000)
					CHECK_ROW(i * 100 + c * 10 + k, us <= plain + plain / 50);
				else
					CHECK_ROW(i * 100 + c * 10 + k, us <= plain + plain / 6);
			}
}

/*
 * The peer grants less than the slow path's product asks for: lowest-rtt stalls behind it, blest
 * leaves it alone. This is what makes blest the better default.
 */
static void small_windows(void)
{
	static const uint32_t windows[] = {64000,  128000,  256000,  384000,
					   512000, 1000000, 2000000, 4000000};

	for (unsigned i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		uint64_t plain = plain_us("lia", 20000000, windows[i]);

		for (unsigned k = 0; k < 2; k++) {
			struct transfer t = {scheduler_at(k)->name, "lia", 20000000, windows[i],
					     {&fast, &slow},        {0},   {false}};
			uint64_t us = transfer(&t).us;

			printf("window %u: %s %.2f of plain\n", windows[i], t.scheduler,
			       (double)plain / (double)us);
			if (k == 1)
				CHECK_ROW(i, us <= plain + plain / 33);
			else if (windows[i] == 128000) /* or the row above shows nothing */
				CHECK_ROW(i, us > 2 * plain);
		}
	}
}

static void backup_and_price(void)
{
	static const struct {
		struct transfer t;
		bool second_used;
	} rows[] = {
		/* 0, no backup while the other lives */
		{{"blest", "lia", 5000000, WIDE, {&fast, &fast}, {0}, {false, true}}, false},
		/* 1 */
		{{"redundant", "lia", 5000000, WIDE, {&fast, &fast}, {0}, {false, true}}, false},
		/* 2, dear: not for a little */
		{{"blest", "lia", 20000, WIDE, {&fast, &fast}, {1000, 2000}, {false}}, false},
		/* 3, but for much */
		{{"blest", "lia", 20000000, WIDE, {&fast, &fast}, {1000, 2000}, {false}}, true},
		/* 4, also when it is the faster one */
		{{"lowest-rtt", "lia", 20000000, WIDE, {&slow, &fast}, {1000, 2000}, {false}},
		 true},
		/* 5 */
		{{"lowest-rtt", "lia", 10000, WIDE, {&slow, &fast}, {1000, 2000}, {false}}, false},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result r = transfer(&rows[i].t);

		CHECK_ROW(i, r.us < MOST_US);
		CHECK_ROW(i, (r.carried[1] > 0) == rows[i].second_used);
	}
}

/* All of it on the leader, most of it twice on equal paths; a path that loses is no matter. */
static void copies(void)
{
	struct transfer t = {"redundant", "lia", 10000000, WIDE, {&fast, &fast}, {0}, {false}};
	struct result r = transfer(&t);
	uint64_t plain = plain_us("lia", 10000000, WIDE), pieces = 10000000 / 1448 + 1;

	CU_ASSERT(r.us <= plain + plain / 20);
	CU_ASSERT(r.carried[0] + r.carried[1] >= pieces + pieces / 2);
	t.path[1] = &slow;
	r = transfer(&t);
	CU_ASSERT(r.us <= plain + plain / 20);
	CU_ASSERT_EQUAL(r.carried[0], pieces);
	CU_ASSERT(r.carried[1] > pieces / 20);
}

static const struct unit_test tests[] = {
	{"sums", sums},
	{"short transfers", short_transfers},
	{"small windows", small_windows},
	{"backup and price", backup_and_price},
	{"copies", copies},
};
UNIT_MAIN("engine/scheduler streams", tests)
