/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_scheduler.c - each scheduler by table rows: which subflow, how much, or none.
 *
 * A subflow is written "RTT/CWND/FLIGHT" in milliseconds and segments of 1000 bytes, with flags
 * behind: b backup, d down, pN price N in tenths, hN held N segments, s slow start, u unused,
 * cN carried N segments, mN least RTT.
 */
#include "engine/scheduler.h"
#include "unit.h"

#include <stdlib.h>

#define MSS 1000U
#define MUCH 10000000U

static void parse(struct sched_input *in, const char *text)
{
	memset(in, 0, sizeof(*in));
	in->last = -1;
	while (*text) {
		struct sched_subflow *s = &in->s[in->n++];
		unsigned rtt, cwnd, flight;
		int used = 0;

		if (sscanf(text, "%u/%u/%u%n", &rtt, &cwnd, &flight, &used) != 3 ||
		    in->n == SCHED_SUBFLOWS_MAX) {
			CU_FAIL("bad subflows in a test");
			return;
		}
		*s = (struct sched_subflow){.usable = true,
					    .srtt_us = rtt * 1000,
					    .rttvar_us = rtt * 100,
					    .cwnd_bytes = cwnd * MSS,
					    .in_flight_bytes = flight * MSS,
					    .mss_bytes = MSS,
					    .price_milli = 1000};
		for (text += used; *text && *text != ' '; text++) {
			s->backup |= *text == 'b';
			s->usable &= *text != 'd';
			s->slow_start |= *text == 's';
			s->unused |= *text == 'u';
			if (*text == 'h')
				s->held_bytes = (uint32_t)strtoul(text + 1, NULL, 10) * MSS;
			if (*text == 'c')
				s->carried_bytes = strtoull(text + 1, NULL, 10) * MSS;
			if (*text == 'm')
				s->min_rtt_us = (uint32_t)strtoul(text + 1, NULL, 10) * 1000;
			if (*text == 'p')
				s->price_milli = (uint32_t)strtoul(text + 1, NULL, 10) * 100;
		}
		while (*text == ' ')
			text++;
	}
}

struct row {
	const char *subflows;
	uint64_t unsent;
	uint32_t window;
	int last;
	int want; /* subflow */
	uint32_t bytes;
	uint8_t also;
};

static void run_rows(const char *name, const struct row *rows, unsigned n)
{
	const struct sched_ops *ops = scheduler_find(name);

	for (unsigned i = 0; i < n; i++) {
		struct sched sc = {{0}};
		struct sched_input in;
		struct sched_pick p;

		parse(&in, rows[i].subflows);
		in.unsent_bytes = rows[i].unsent;
		in.window_bytes = rows[i].window;
		in.last = rows[i].last;
		p = ops->pick(&sc, &in);
		if (p.subflow != rows[i].want || (p.subflow >= 0 && p.bytes != rows[i].bytes))
			printf("%s row %u: subflow %d, %u bytes\n", name, i, p.subflow, p.bytes);
		CHECK_ROW(i, p.subflow == rows[i].want);
		CHECK_ROW(i, p.also_mask == rows[i].also);
		if (rows[i].want >= 0)
			CHECK_EQ(i, p.bytes, rows[i].bytes);
	}
}

#define RUN(name, rows) run_rows(name, rows, sizeof(rows) / sizeof((rows)[0]))

static void names(void)
{
	static const char *const want[] = {"lowest-rtt", "blest", "redundant", "round-robin"};
	unsigned n = 0;

	for (; scheduler_at(n); n++) {
		CHECK_ROW(n, n < 4 && strcmp(scheduler_at(n)->name, want[n]) == 0);
		CHECK_ROW(n, scheduler_find(want[n]) == scheduler_at(n));
	}
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT_PTR_NULL(scheduler_find("ecf"));
}

/* These hold for every scheduler, with one subflow. */
static void pieces(void)
{
	static const struct row rows[] = {
		/* 0, no subflow */ {"", MUCH, MUCH, -1, -1, 0, 0},
		/* 1, nothing to send */ {"10/20/0", 0, MUCH, -1, -1, 0, 0},
		/* 2, down */ {"10/20/0d", MUCH, MUCH, -1, -1, 0, 0},
		/* 3, all of the window, whole segments */ {"10/6/0", MUCH, MUCH, -1, 0, 6000, 0},
		/* 4, what is there, to the byte */ {"10/20/0", 4321, MUCH, -1, 0, 4321, 0},
		/* 5, a little */ {"10/20/0", 1, MUCH, -1, 0, 1, 0},
		/* 6, a little while much is in flight */ {"10/20/19", 1, MUCH, -1, 0, 1, 0},
		/* 7, the last segment's room */ {"10/20/19", MUCH, MUCH, -1, 0, 1000, 0},
		/* 8, window full */ {"10/20/20", MUCH, MUCH, -1, -1, 0, 0},
		/* 9, over-full, as after a loss */ {"10/20/30", MUCH, MUCH, -1, -1, 0, 0},
		/* 10, as the peer's window allows, whole segments */
		{"10/20/0", MUCH, 5500, -1, 0, 5000, 0},
		/* 11, the peer's window is small: wait, an ACK will open it */
		{"10/20/2", MUCH, 999, -1, -1, 0, 0},
		/* 12, no ACK can come: what it allows */ {"10/20/0", MUCH, 999, -1, 0, 999, 0},
		/* 13, closed */ {"10/20/0", MUCH, 0, -1, -1, 0, 0},
		/* 14, the rest of the data fits */ {"10/20/2", 999, 999, -1, 0, 999, 0},
		/* 15, a backup alone */ {"10/6/0b", MUCH, MUCH, -1, 0, 6000, 0},
		/* 16, no RTT yet */ {"0/6/0", MUCH, MUCH, -1, 0, 6000, 0},
		/* 17, a price alone is no price */ {"10/6/0p50", MUCH, MUCH, -1, 0, 6000, 0},
		/* 18, less than a piece worth sending of a large window */
		{"10/640/630", MUCH, MUCH, -1, -1, 0, 0},
		/* 19, enough */ {"10/96/93", MUCH, MUCH, -1, 0, 3000, 0},
	};

	for (unsigned s = 0; scheduler_at(s); s++)
		RUN(scheduler_at(s)->name, rows);
}

static void lowest_rtt(void)
{
	static const struct row rows[] = {
		/* 0 */ {"30/20/0 10/20/0 20/20/0", MUCH, MUCH, -1, 1, 20000, 0},
		/* 1, the fastest is full */
		{"30/20/0 10/20/20 20/20/0", MUCH, MUCH, -1, 2, 20000, 0},
		/* 2, all full */ {"30/20/20 10/20/20", MUCH, MUCH, -1, -1, 0, 0},
		/* 3, down */ {"30/20/0 10/20/0d", MUCH, MUCH, -1, 0, 20000, 0},
		/* 4, equal */ {"10/20/0 10/20/0", MUCH, MUCH, 0, 0, 20000, 0},
		/* 5, one not measured */ {"0/20/0 90/20/0", MUCH, MUCH, -1, 1, 20000, 0},
		/* 6, a piece ends at a mapping's length */
		{"10/900/0", MUCH, MUCH, -1, 0, 65000, 0},
		/* 7, a faster backup waits */ {"30/20/0 10/20/0b", MUCH, MUCH, -1, 0, 20000, 0},
		/* 8, also while the other is full */
		{"30/20/20 10/20/0b", MUCH, MUCH, -1, -1, 0, 0},
		/* 9, until it is down */ {"30/20/0d 10/20/0b", MUCH, MUCH, -1, 1, 20000, 0},
		/* 10, pacing holds back a part */
		{"10/20/0h15 20/20/0", MUCH, MUCH, -1, 0, 5000, 0},
		/* 11, all: the other one */ {"10/20/5h15 20/20/0", MUCH, MUCH, -1, 1, 20000, 0},
		/* 12, more than there is */ {"10/20/5h99", MUCH, MUCH, -1, -1, 0, 0},
		/* 13, the faster of two backups */
		{"30/20/0d 10/20/0b 5/20/0b", MUCH, MUCH, -1, 2, 20000, 0},
	};

	RUN("lowest-rtt", rows);
}

/* The dear path: only when the cheap is full and the backlog more than its windows. */
static void price(void)
{
	static const struct row rows[] = {
		/* 0, cheap though slower */ {"30/20/0p10 10/20/0p20", MUCH, MUCH, -1, 0, 20000, 0},
		/* 1, cheap is full, much to send */
		{"30/20/20p10 10/20/0p20", MUCH, MUCH, -1, 1, 20000, 0},
		/* 2, cheap is full, it carries the rest in an RTT */
		{"30/20/20p10 10/20/0p20", 20000, MUCH, -1, -1, 0, 0},
		/* 3, a byte more */ {"30/20/20p10 10/20/0p20", 20001, MUCH, -1, 1, 20000, 0},
		/* 4, half the surcharge, half the patience */
		{"30/20/20p10 10/20/0p15", 10001, MUCH, -1, 1, 10001, 0},
		/* 5 */ {"30/20/20p10 10/20/0p15", 10000, MUCH, -1, -1, 0, 0},
		/* 6, a larger one does not make it worse */
		{"30/20/20p10 10/20/0p90", 20001, MUCH, -1, 1, 20000, 0},
		/* 7, free and not free */ {"30/20/20p0 10/20/0p1", 20000, MUCH, -1, -1, 0, 0},
		/* 8 */ {"30/20/20p0 10/20/0p1", 20001, MUCH, -1, 1, 20000, 0},
		/* 9, three: the second cheapest is next */
		{"30/20/20p10 10/20/0p30 20/20/0p20", MUCH, MUCH, -1, 2, 20000, 0},
		/* 10, both cheaper ones must be overrun */
		{"30/20/20p10 10/20/0p30 20/20/20p20", 40000, MUCH, -1, -1, 0, 0},
		/* 11 */ {"30/20/20p10 10/20/0p30 20/20/20p20", 40001, MUCH, -1, 1, 20000, 0},
		/* 12, the cheap one is down */ {"30/20/0dp10 10/20/0p20", 10, MUCH, -1, 1, 10, 0},
		/* 13, a cheap backup does not count */
		{"30/20/0bp10 10/20/0p20", 10, MUCH, -1, 1, 10, 0},
	};

	RUN("lowest-rtt", rows);
	RUN("round-robin", rows);
}

static void round_robin(void)
{
	static const struct row rows[] = {
		/* 0 */ {"30/20/0 10/20/0 20/20/0", MUCH, MUCH, -1, 0, 20000, 0},
		/* 1 */ {"30/20/0 10/20/0 20/20/0", MUCH, MUCH, 0, 1, 20000, 0},
		/* 2 */ {"30/20/0 10/20/0 20/20/0", MUCH, MUCH, 1, 2, 20000, 0},
		/* 3 */ {"30/20/0 10/20/0 20/20/0", MUCH, MUCH, 2, 0, 20000, 0},
		/* 4, full ones are passed over */
		{"30/20/0 10/20/20 20/20/20", MUCH, MUCH, 0, 0, 20000, 0},
		/* 5, and what is down or backup */
		{"30/20/0 10/20/0b 20/20/0d", MUCH, MUCH, 0, 0, 20000, 0},
		/* 6, the last one has gone */ {"30/20/0", MUCH, MUCH, 7, 0, 20000, 0},
	};

	RUN("round-robin", rows);
}

static void redundant(void)
{
	static const struct row rows[] = {
		/* 0, the fastest leads when windows are alike, eight segments, the others get the
		   same */
		{"30/20/0 10/20/0 20/20/0", MUCH, MUCH, -1, 1, 8000, 5},
		/* 1, a full one is not waited for */
		{"30/20/20 10/20/0 20/20/0", MUCH, MUCH, -1, 1, 8000, 4},
		/* 2, one with a little room makes the piece small */
		{"30/20/17 10/20/0 20/20/0", MUCH, MUCH, -1, 1, 3000, 5},
		/* 3, the leader is full */ {"30/20/0 10/20/20", MUCH, MUCH, -1, -1, 0, 0},
		/* 4, it is the one with the highest rate */
		{"30/90/0 10/20/0", MUCH, MUCH, -1, 0, 8000, 2},
		/* 5, a little fits everywhere */
		{"30/20/19 10/20/0 20/20/19", 500, MUCH, -1, 1, 500, 5},
		/* 6, backups rest */ {"30/20/0b 10/20/0", 500, MUCH, -1, 1, 500, 0},
		/* 7, all backups */ {"30/20/0b 10/20/0b", 500, MUCH, -1, 1, 500, 1},
		/* 8, price does not matter */ {"30/20/0p10 10/20/0p90", 500, MUCH, -1, 1, 500, 1},
		/* 9, nobody has room */ {"30/20/20 10/20/20", 500, MUCH, -1, -1, 0, 0},
	};

	RUN("redundant", rows);
}

/*
 * Fast: 10 ms; slow: 60 ms. In half of each together the fast one sends 3.5 windows and what they
 * grow by.
 */
static void blest(void)
{
	static const struct row rows[] = {
		/* 0, the fast one has room */ {"10/20/0 60/20/0", MUCH, MUCH, -1, 0, 20000, 0},
		/* 1, it is full, the peer's window is large: use the slow one */
		{"10/20/20 60/20/0", MUCH, MUCH, -1, 1, 20000, 0},
		/* 2, (20 + 1.25) * 3.5 * 1.2 = 89.25 segments would be sent; 70 + 20 - 1 are open
		 */
		{"10/20/20 60/20/0", MUCH, 70000, -1, -1, 0, 0},
		/* 3, and now 90 */
		{"10/20/20 60/20/0", MUCH, 71000, -1, 1, 20000, 0},
		/* 4, equal paths never wait */ {"10/20/20 10/20/0", MUCH, 20000, -1, 1, 20000, 0},
		/* 5, two fast ones: twice as much */
		{"10/20/20 10/20/20 60/20/0", MUCH, 139000, -1, -1, 0, 0},
		/* 6 */ {"10/20/20 10/20/20 60/20/0", MUCH, 140000, -1, 2, 20000, 0},
		/* 7, a fast backup is no reason to wait */
		{"10/20/20b 60/20/0", MUCH, 20000, -1, 1, 20000, 0},
		/* 8, nor one that is down */ {"10/20/20d 60/20/0", MUCH, 20000, -1, 1, 20000, 0},
	};

	RUN("blest", rows);
}

/* Half of the fast one's RTT is a queue on the way there: 82.4 segments, not 89.25. */
static void blest_grows(void)
{
	static const struct {
		uint32_t window_bytes;
		bool grows;
		int want;
	} rows[] = {{63000, true, -1}, {64000, true, 1}, {64000, false, -1}, {71000, false, 1}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sched sc = {{0}};
		struct sched_input in;

		parse(&in, "10/20/20m5 60/20/0");
		in.unsent_bytes = MUCH;
		in.window_bytes = rows[i].window_bytes;
		in.window_grows = rows[i].grows;
		CHECK_EQ(i, scheduler_find("blest")->pick(&sc, &in).subflow, rows[i].want);
	}
}

/* Round trips that differ by no more than measurements do: both paths are used, evenly. */
static void alike(void)
{
	static const struct row rows[] = {
		/* 0, the emptier one, though its RTT is an eighth longer, */
		{"80/20/10 90/20/0", MUCH, MUCH, -1, 1, 20000, 0},
		/* 1, whichever comes first */ {"90/20/0 80/20/10", MUCH, MUCH, -1, 0, 20000, 0},
		/* 2, more is slower */ {"80/20/10 91/20/0", MUCH, MUCH, -1, 0, 10000, 0},
		/* 3, what is full leaves the rest to the other, without a thought of windows */
		{"80/20/20 90/20/0", MUCH, 20000, -1, 1, 20000, 0},
	};

	RUN("lowest-rtt", rows);
	RUN("blest", rows);
}

static void blest_shows(void)
{
	static const struct row rows[] = {
		/* 0, the window is too small for the slow path: not used */
		{"10/100/100 60/10/0", 300000, 200000, 0, -1, 0, 0},
		/* 1, a little, once, so that the peer sees it and its window grows */
		{"10/100/100 60/10/0u", 300000, 200000, 0, 1, 2000, 0},
		/* 2, not for what the fast path carries in a round trip */
		{"10/100/100 60/10/0u", 100000, 200000, 0, -1, 0, 0},
		/* 3, unless as much has been carried that the transfer is a long one */
		{"10/100/100c700 60/10/0u", 100000, 200000, 0, -1, 0, 0},
		{"10/100/100c900 60/10/0u", 100000, 200000, 0, 1, 2000, 0},
		/* 5, once */ {"10/100/100c900 60/10/0", 100000, 200000, 0, -1, 0, 0},
	};

	RUN("blest", rows);
}

/* Lambda: a window that was blocked nevertheless makes it careful, quiet times bold again. */
static void blest_learns(void)
{
	const struct sched_ops *ops = scheduler_find("blest");
	struct sched sc = {{0}};
	struct sched_input in, blocked;

	parse(&in, "10/20/20 60/20/0");
	in.unsent_bytes = MUCH;
	in.window_bytes = 71000;
	CU_ASSERT_EQUAL(ops->pick(&sc, &in).subflow, 1);
	parse(&blocked, "10/20/0 60/20/10");
	blocked.unsent_bytes = MUCH;
	CU_ASSERT_EQUAL(ops->pick(&sc, &blocked).subflow, -1);
	CU_ASSERT_EQUAL(ops->pick(&sc, &in).subflow, -1); /* now it waits */
	in.window_bytes = 180000;
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(i, ops->pick(&sc, &in).subflow, 1);
	in.window_bytes = 56000; /* lambda is 1.0 */
	CU_ASSERT_EQUAL(ops->pick(&sc, &in).subflow, 1);
	in.window_bytes = 55000;
	CU_ASSERT_EQUAL(ops->pick(&sc, &in).subflow, -1);
	for (unsigned i = 0; i < 100; i++) /* one blocked time counts once: 1.04 */
		ops->pick(&sc, &blocked);
	in.window_bytes = 59000;
	CU_ASSERT_EQUAL(ops->pick(&sc, &in).subflow, 1);
	for (unsigned i = 0; i < 100; i++) {
		ops->pick(&sc, &blocked);
		in.window_bytes = MUCH;
		ops->pick(&sc, &in);
	}
	in.window_bytes = 77000; /* 1.3 */
	CU_ASSERT_EQUAL(ops->pick(&sc, &in).subflow, -1);
	in.window_bytes = 78000;
	CU_ASSERT_EQUAL(ops->pick(&sc, &in).subflow, 1);
}

/* The end of a transfer is not put on a path that is slower than waiting. */
static void tail(void)
{
	static const struct {
		const char *subflows;
		uint64_t unsent;
		bool tail;
		int want;
	} rows[] = {
		/* 0, more follows */ {"10/20/20 60/20/0", 20000, false, 1},
		/* 1, the fast one has it done sooner */
		{"10/20/20 60/20/0", 20000, true, -1},
		/* 2, in 49 ms it sends 107.5 segments */ {"10/20/20 60/20/0", 107000, true, -1},
		/* 3 */ {"10/20/20 60/20/0", 108000, true, 1},
		/* 4, two fast ones */ {"10/20/20 20/20/20 60/20/0", 146000, true, -1},
		/* 5 */ {"10/20/20 20/20/20 60/20/0", 147000, true, 2},
		/* 6, alike */ {"10/20/20 11/20/0", 1000, true, 1},
		/* 7, the fast one has room */ {"10/20/0 60/20/0", 1000, true, 0},
		/* 8, the fast one is down */ {"10/20/20d 60/20/0", 1000, true, 1},
		/* 9, the slow one not measured */ {"10/20/20 0/20/0", 1000, true, 1},
		/* 10, in slow start: 2 * 20 * (2^4 - 1) = 600 */
		{"10/20/20s 60/20/0", 599000, true, -1},
		/* 11 */ {"10/20/20s 60/20/0", 600000, true, 1},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned s = 0; s < 2; s++) {
			struct sched sc = {{0}};
			struct sched_input in;

			parse(&in, rows[i].subflows);
			in.unsent_bytes = rows[i].unsent;
			in.window_bytes = 10000 * MSS;
			in.tail = rows[i].tail;
			CHECK_EQ(i * 10 + s, scheduler_at(s)->pick(&sc, &in).subflow, rows[i].want);
		}
}

static uint32_t any32(uint64_t *seed, uint32_t max)
{
	uint64_t v = unit_random(seed);

	if (v % 8 < 2)
		return v % 8 ? max : 0;
	return (uint32_t)((v >> 8) % ((1ULL << (v >> 3) % 33) + 1) % ((uint64_t)max + 1));
}

/* What every pick must keep, whatever is asked. */
static void check_pick(unsigned i, const struct sched_input *in, const struct sched_pick *p)
{
	const struct sched_subflow *s;
	bool ok;

	if (p->subflow < 0) {
		CHECK_ROW(i, p->subflow == -1 && p->also_mask == 0);
		return;
	}
	s = &in->s[p->subflow];
	ok = (unsigned)p->subflow < in->n && s->usable && p->bytes > 0 &&
	     p->bytes <= in->unsent_bytes && p->bytes <= in->window_bytes && p->bytes <= 65535 &&
	     (uint64_t)s->in_flight_bytes + s->held_bytes + p->bytes <= s->cwnd_bytes &&
	     !(p->also_mask >> p->subflow & 1) && p->also_mask >> in->n == 0;
	/* less than a segment: all there is, or nothing in flight on it */
	ok &= p->bytes >= s->mss_bytes || p->bytes == in->unsent_bytes || s->in_flight_bytes == 0;
	for (unsigned k = 0; k < in->n; k++) {
		if (p->also_mask >> k & 1)
			ok &= in->s[k].usable &&
			      (uint64_t)in->s[k].in_flight_bytes + p->bytes <= in->s[k].cwnd_bytes;
		if (in->s[k].usable && !in->s[k].backup)
			ok &= !s->backup;
	}
	if (!ok)
		CHECK_ROW(i, ok);
}

static void any_numbers(void)
{
	uint64_t seed = 7;
	unsigned picked = 0;

	for (unsigned i = 0; i < 200000; i++) {
		static struct sched sc[4];
		struct sched_input in = {.n = (unsigned)(unit_random(&seed) % 9)};
		struct sched_pick p;

		for (unsigned k = 0; k < in.n; k++)
			in.s[k] =
				(struct sched_subflow){.usable = unit_random(&seed) % 8,
						       .backup = unit_random(&seed) % 4 == 0,
						       .slow_start = unit_random(&seed) % 2,
						       .srtt_us = any32(&seed, UINT32_MAX),
						       .rttvar_us = any32(&seed, UINT32_MAX),
						       .cwnd_bytes = any32(&seed, UINT32_MAX),
						       .in_flight_bytes = any32(&seed, UINT32_MAX),
						       .mss_bytes = any32(&seed, 65535),
						       .price_milli = any32(&seed, UINT32_MAX)};
		in.unsent_bytes = unit_random(&seed) % 4 ? any32(&seed, UINT32_MAX) : UINT64_MAX;
		in.window_bytes = any32(&seed, UINT32_MAX);
		in.last = (int)(unit_random(&seed) % 10) - 1;
		in.tail = unit_random(&seed) % 2;
		p = scheduler_at(i % 4)->pick(&sc[i % 4], &in);
		check_pick(i, &in, &p);
		picked += p.subflow >= 0;
	}
	CU_ASSERT(picked > 50000);
}

static const struct unit_test tests[] = {
	{"names", names},
	{"pieces", pieces},
	{"lowest-rtt", lowest_rtt},
	{"price", price},
	{"round-robin", round_robin},
	{"redundant", redundant},
	{"blest", blest},
	{"blest and a window that grows", blest_grows},
	{"paths that are alike", alike},
	{"blest shows each path to the peer", blest_shows},
	{"blest learns", blest_learns},
	{"the tail of a transfer", tail},
	{"any numbers", any_numbers},
};
UNIT_MAIN("engine/scheduler", tests)
