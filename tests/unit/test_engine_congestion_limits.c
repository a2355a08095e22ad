/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_congestion_limits.c - whatever numbers the sender gives, and in whatever order it
 * calls, a controller neither divides by zero nor overflows (the sanitizers watch), its window
 * stays between one segment and 2^31, and the same calls give the same answers.
 */
#include "cc_rig.h"
#include "unit.h"

/* Small, huge and everything between, the edges often. */
static uint32_t any32(uint64_t *seed, uint32_t max)
{
	uint64_t v = unit_random(seed);

	switch (v & 7) {
	case 0:
		return 0;
	case 1:
		return max;
	case 2:
		return 1;
	default:
		return (uint32_t)((v >> 8) % ((1ULL << (v >> 3) % 33) + 1) % ((uint64_t)max + 1));
	}
}

static void any_group(struct rig *r, uint64_t *seed)
{
	r->g.n = 1 + unit_random(seed) % 4;
	r->g.self = unit_random(seed) % r->g.n;
	for (unsigned i = 0; i < 4; i++) {
		r->g.member[i].srtt_us = any32(seed, 100000000);
		r->g.member[i].mss_bytes = any32(seed, 65535);
		r->g.member[i].established = unit_random(seed) % 8;
	}
}

static struct cc_ack any_ack(struct rig *r, uint64_t *seed)
{
	struct cc_ack a = {.now_us = r->now_us,
			   .acked_bytes = any32(seed, UINT32_MAX),
			   .lost_bytes = any32(seed, UINT32_MAX),
			   .rtt_us = any32(seed, 100000000),
			   .in_flight_bytes = any32(seed, UINT32_MAX),
			   .prior_in_flight_bytes = any32(seed, UINT32_MAX),
			   .in_recovery = unit_random(seed) % 2,
			   .app_limited = unit_random(seed) % 2,
			   .interval_us = any32(seed, UINT32_MAX)};

	r->delivered_bytes += a.acked_bytes;
	a.delivered_bytes = r->delivered_bytes;
	a.prior_delivered_bytes =
		r->delivered_bytes - any32(seed, UINT32_MAX) % (r->delivered_bytes + 1);
	return a;
}

static void any_call(struct rig *r, uint64_t *seed)
{
	struct cc *cc = &r->cc[r->g.self];
	uint64_t kind = unit_random(seed) % 64;
	struct cc_ack a;

	if (kind == 0) {
		r->ops->init(cc, any32(seed, 65535), r->now_us);
	} else if (kind < 4) {
		a = any_ack(r, seed);
		r->ops->on_loss(cc, &a, &r->g);
	} else if (kind < 6) {
		r->ops->on_recovery_exit(cc, r->now_us);
	} else if (kind < 8) {
		r->ops->on_rto(cc, any32(seed, UINT32_MAX), &r->g, r->now_us);
	} else if (kind < 10) {
		r->ops->on_undo(cc);
	} else if (kind < 12) {
		r->ops->on_idle(cc, any32(seed, UINT32_MAX) * 1000ULL, any32(seed, UINT32_MAX),
				any32(seed, 65535), r->now_us);
	} else {
		a = any_ack(r, seed);
		r->ops->on_ack(cc, &a, &r->g);
	}
}

/* The same sequence of calls; a fingerprint of everything the controllers answered. */
static uint64_t play(unsigned c, uint64_t seed, unsigned calls)
{
	uint64_t print = seed;
	struct rig r;

	rig_init(&r, congestion_at(c)->name, 4);
	for (unsigned i = 0; i < calls; i++) {
		const struct cc *cc;

		any_group(&r, &seed);
		r.now_us += any32(&seed, unit_random(&seed) % 16 ? 100000 : UINT32_MAX);
		/* as if it had grown that far */
		if (unit_random(&seed) % 512 == 0)
			r.cc[r.g.self].cwnd_bytes = (1U << 31) - 1 - any32(&seed, 65535);
		any_call(&r, &seed);
		cc = &r.cc[r.g.self];
		if (cc->cwnd_bytes == 0 || cc->cwnd_bytes > 1U << 31 || cc->ssthresh_bytes == 0) {
			CHECK_EQ(i, cc->cwnd_bytes, 0);
			CHECK_EQ(i, cc->ssthresh_bytes, 0);
			return 0;
		}
		print = (print ^ cc->cwnd_bytes ^ cc->pacing_bytes_per_s) * 0x9e3779b97f4a7c15U;
		print ^= print >> 29 ^ cc->ssthresh_bytes;
	}
	return print;
}

static void any_numbers(void)
{
	for (unsigned c = 0; congestion_at(c); c++)
		for (unsigned s = 0; s < 20; s++) {
			uint64_t print = play(c, 1000 * c + s, 20000);

			CHECK_ROW(c * 100 + s, print != 0);
			if (s == 0) /* the same again, also with the state elsewhere in memory */
				CHECK_EQ(c, play(c, 1000 * c, 20000), print);
		}
}

/* Numbers from files of others' making: an idle group, a subflow without RTT, one of eight. */
static void odd_groups(void)
{
	for (unsigned c = 0; congestion_at(c); c++) {
		struct rig r;

		rig_init(&r, congestion_at(c)->name, 4);
		for (unsigned i = 0; i < 4; i++)
			rig_avoiding(&r, i, 20 * MSS, RTT_US);
		r.g.member[1].srtt_us = 0;
		r.g.member[2].established = false;
		rig_ack(&r, 0, MSS);
		CHECK_ROW(c, r.cc[0].cwnd_bytes >= 20 * MSS);
		rig_ack(&r, 1, 20 * MSS); /* itself unmeasured */
		CHECK_ROW(c, r.cc[1].cwnd_bytes >= 20 * MSS);
		rig_ack(&r, 2, 20 * MSS);
		CHECK_ROW(c, r.cc[2].cwnd_bytes >= 20 * MSS);
	}
}

/* The window ends at 1 GiB, the largest that TCP can announce. */
static void largest_window(void)
{
	for (unsigned c = 0; c < 4; c++) {
		struct rig r;

		rig_init(&r, congestion_at(c)->name, 1);
		for (unsigned i = 0; i < 64; i++) {
			rig_ack(&r, 0, r.cc[0].cwnd_bytes);
			r.now_us += RTT_US;
		}
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 1U << 30);
		r.cc[0].ssthresh_bytes = 1;
		rig_ack(&r, 0, r.cc[0].cwnd_bytes);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 1U << 30);
	}
}

static void bursts(void)
{
	static const struct {
		uint64_t rate;
		uint32_t mss, want;
	} rows[] = {
		/* 0, not paced */ {0, 1448, UINT32_MAX},
		/* 1, slow */ {1, 1448, 2896},
		/* 2, 100 Mbit/s */ {12500000, 1448, 12500},
		/* 3, 1 Gbit/s */ {125000000, 1448, 65535},
		/* 4 */ {UINT64_MAX, 1448, 65535},
		/* 5, large segments */ {1000000, 65535, 131070},
	};

	for (unsigned row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct cc cc = {.pacing_bytes_per_s = rows[row].rate};

		CHECK_EQ(row, congestion_burst_bytes(&cc, rows[row].mss), rows[row].want);
	}
}

static const struct unit_test tests[] = {
	{"any numbers in any order", any_numbers},
	{"odd groups", odd_groups},
	{"the largest window", largest_window},
	{"bursts", bursts},
};
UNIT_MAIN("engine/congestion limits", tests)
