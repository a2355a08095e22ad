/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_congestion.c - each controller step by step: its increase against the formula of its
 * paper in floating point, reductions, timeouts, undo, idle, the end of slow start.
 */
#include "cc_rig.h"
#include "unit.h"

static const char *const loss_based[] = {"lia", "olia", "balia", "cubic"};

static void names(void)
{
	static const char *const want[] = {"lia", "olia", "balia", "cubic", "bbr"};
	unsigned n = 0;

	for (; congestion_at(n); n++) {
		CHECK_ROW(n, n < 5 && strcmp(congestion_at(n)->name, want[n]) == 0);
		CHECK_ROW(n, congestion_find(want[n]) == congestion_at(n));
	}
	CU_ASSERT_EQUAL(n, 5);
	CU_ASSERT_PTR_NULL(congestion_find("reno"));
	CU_ASSERT_PTR_NULL(congestion_at(1000000));
}

/* Ten segments; each ACK in slow start adds what it acknowledged, super-ACKs as well. */
static void slow_start(void)
{
	for (unsigned c = 0; congestion_at(c); c++) {
		struct rig r;

		rig_init(&r, congestion_at(c)->name, 1);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 10 * MSS);
		CHECK_EQ(c, r.cc[0].ssthresh_bytes, UINT32_MAX);
		rig_ack(&r, 0, 10 * MSS);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 20 * MSS);
		rig_ack(&r, 0, 20 * MSS);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 40 * MSS);
	}
}

/* A window that is not in use does not grow. */
static void unused_window(void)
{
	for (unsigned c = 0; c < 4; c++) {
		struct rig r;
		struct cc_ack a;

		rig_init(&r, loss_based[c], 1);
		rig_avoiding(&r, 0, 100 * MSS, RTT_US);
		for (unsigned i = 0; i < 100; i++) {
			a = rig_full_ack(&r, 0, 2 * MSS);
			a.prior_in_flight_bytes = 20 * MSS;
			a.in_flight_bytes = 18 * MSS;
			r.now_us += 1000;
			r.ops->on_ack(&r.cc[0], &a, &r.g);
		}
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 100 * MSS);
		/* and a loss starts from what was in use, not from what was allowed */
		a.lost_bytes = MSS;
		r.ops->on_loss(&r.cc[0], &a, &r.g);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 20 * MSS * (c == 3 ? 7 : 5) / 10);
	}
}

static double max_of(double a, double b)
{
	return a > b ? a : b;
}

static bool near(double got, double want, double part, double absolute)
{
	double diff = got > want ? got - want : want - got;

	return diff <= part * (want > 0 ? want : -want) + absolute;
}

static double coupled_sum(const struct rig *r)
{
	double sum = 0;

	for (unsigned i = 0; i < r->g.n; i++)
		sum += (double)r->cc[i].cwnd_bytes / r->g.member[i].srtt_us;
	return sum;
}

static double per_rtt2(const struct rig *r, unsigned i, double value)
{
	return value / r->g.member[i].srtt_us / r->g.member[i].srtt_us;
}

/* RFC 6356 section 3, as it stands there. */
static double lia_formula(const struct rig *r, unsigned self, double acked)
{
	double sum = coupled_sum(r), best = 0, total = 0, alpha, own;

	for (unsigned i = 0; i < r->g.n; i++) {
		double rtt = r->g.member[i].srtt_us;

		total += r->cc[i].cwnd_bytes;
		best = max_of(best, r->cc[i].cwnd_bytes / (rtt * rtt));
	}
	alpha = total * best / (sum * sum);
	own = acked * MSS / r->cc[self].cwnd_bytes;
	return alpha * acked * MSS / total < own ? alpha * acked * MSS / total : own;
}

/* The draft's section 3; best paths are those of the longest distance between losses per rtt^2. */
static double olia_formula(const struct rig *r, unsigned self, double acked, const double *distance)
{
	double sum = coupled_sum(r), rtt = r->g.member[self].srtt_us, best = 0, most = 0, alpha = 0;
	double w = r->cc[self].cwnd_bytes;
	unsigned collected = 0, largest = 0;

	for (unsigned i = 0; i < r->g.n; i++) {
		best = max_of(best, per_rtt2(r, i, distance[i]));
		most = max_of(most, r->cc[i].cwnd_bytes);
	}
	for (unsigned i = 0; i < r->g.n; i++) {
		bool is_best = per_rtt2(r, i, distance[i]) >= best;

		largest += r->cc[i].cwnd_bytes == most;
		collected += is_best && r->cc[i].cwnd_bytes != most;
	}
	if (collected && per_rtt2(r, self, distance[self]) >= best && w != most)
		alpha = 1.0 / r->g.n / collected;
	else if (collected && w == most)
		alpha = -1.0 / r->g.n / largest;
	return acked * MSS * (w / (rtt * rtt) / (sum * sum) + alpha / w);
}

/* The draft's section 3.1. */
static double balia_formula(const struct rig *r, unsigned self, double acked)
{
	double sum = coupled_sum(r), rtt = r->g.member[self].srtt_us, best = 0, alpha, x;

	for (unsigned i = 0; i < r->g.n; i++)
		best = max_of(best, (double)r->cc[i].cwnd_bytes / r->g.member[i].srtt_us);
	x = r->cc[self].cwnd_bytes / rtt;
	alpha = best / x;
	return acked * MSS * x / rtt / (sum * sum) * (1 + alpha) / 2 * (4 + alpha) / 5;
}

/* Sets random windows and RTTs up to a thousandfold apart. */
static void random_paths(struct rig *r, const char *name, uint64_t *seed)
{
	rig_init(r, name, 1 + unit_random(seed) % 4);
	for (unsigned i = 0; i < r->g.n; i++)
		rig_avoiding(r, i, 10 * MSS + (uint32_t)(unit_random(seed) % (1000 * MSS)),
			     500 + (uint32_t)(unit_random(seed) % 300000));
}

/* One ACK of so much that the rounding to bytes does not matter. */
static void coupled_formulas(void)
{
	static const char *const name[] = {"lia", "olia", "balia"};
	const uint32_t acked = 1000000;
	uint64_t seed = 1;

	for (unsigned row = 0; row < 600; row++) {
		double want, distance[4];
		struct rig r;
		unsigned self;
		uint32_t before;

		random_paths(&r, name[row % 3], &seed);
		self = unit_random(&seed) % r.g.n;
		/* the distance between losses, as told by ACKs in recovery: no growth */
		for (unsigned i = 0; i < r.g.n; i++) {
			struct cc_ack a =
				rig_full_ack(&r, i, (uint32_t)(unit_random(&seed) % 100000000));

			a.in_recovery = true;
			r.ops->on_ack(&r.cc[i], &a, &r.g);
			distance[i] = a.acked_bytes + (i == self ? acked : 0);
		}
		want = row % 3 == 0   ? lia_formula(&r, self, acked)
		       : row % 3 == 1 ? olia_formula(&r, self, acked, distance)
				      : balia_formula(&r, self, acked);
		before = r.cc[self].cwnd_bytes;
		if (want < 2.0 * MSS - before) /* the floor */
			want = 2.0 * MSS - before;
		rig_ack(&r, self, acked);
		if (!near((double)r.cc[self].cwnd_bytes - before, want, 0.01, 2))
			printf("row %u: %s grows by %d, not %f\n", row, name[row % 3],
			       (int)(r.cc[self].cwnd_bytes - before), want);
		CHECK_ROW(row, near((double)r.cc[self].cwnd_bytes - before, want, 0.01, 2));
	}
}

/* W(t) of RFC 9438 section 4.2, in bytes; `k_s` is its K. */
static double cubic_curve(double w_max, double t_s, double k_s)
{
	double d = t_s - k_s;

	return w_max + MSS * 0.4 * d * d * d;
}

static double cube_root(double v)
{
	double low = 0, high = v > 1 ? v : 1;

	for (unsigned i = 0; i < 100; i++) {
		double mid = (low + high) / 2;

		if (mid * mid * mid < v)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static double off_curve(double got, double want)
{
	return (got > want ? got - want : want - got) / want;
}

/* After a loss at w_max the window runs along the curve, within a percent, for 4 K. */
static void cubic_follows_the_curve(void)
{
	static const struct {
		uint32_t segments, rtt_us;
	} rows[] = {{1000, 50000}, {5000, 100000}, {20000, 20000}, {300, 200000}};

	for (unsigned row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		double w_max = rows[row].segments * (double)MSS, k_s, t_s = 0, worst = 0;
		uint64_t start_us;
		struct rig r;

		rig_init(&r, "cubic", 1);
		rig_avoiding(&r, 0, rows[row].segments * MSS, rows[row].rtt_us);
		rig_ack(&r, 0, MSS);
		r.cc[0].cwnd_bytes = rows[row].segments * MSS;
		rig_lose(&r, 0);
		CHECK_ROW(row, near(r.cc[0].cwnd_bytes, w_max * 0.7, 0.001, 0));
		r.ops->on_recovery_exit(&r.cc[0], r.now_us);
		k_s = cube_root(w_max * 0.3 / MSS / 0.4);
		start_us = r.now_us;
		for (unsigned i = 0; t_s < 4 * k_s; i++) {
			t_s = (double)(r.now_us - start_us) / 1e6;
			/* a tenth of the window at a time */
			rig_ack(&r, 0, r.cc[0].cwnd_bytes / 10);
			r.now_us += rows[row].rtt_us / 10;
			worst = max_of(worst,
				       off_curve(r.cc[0].cwnd_bytes, cubic_curve(w_max, t_s, k_s)));
		}
		CHECK_ROW(row, worst < 0.02);
		CHECK_ROW(row, r.cc[0].cwnd_bytes > w_max * 1.5);
	}
}

/* On a short fat-free path the curve is slower than Reno: then Reno's window counts (4.3). */
static void cubic_is_reno_friendly(void)
{
	double w_est = 70.0 * MSS;
	struct rig r;

	rig_init(&r, "cubic", 1);
	rig_avoiding(&r, 0, 100 * MSS, 1000);
	rig_ack(&r, 0, MSS);
	r.cc[0].cwnd_bytes = 100 * MSS;
	rig_lose(&r, 0);
	r.ops->on_recovery_exit(&r.cc[0], r.now_us);
	for (unsigned i = 0; i < 300; i++) { /* RTTs of a millisecond */
		w_est += (w_est < 100.0 * MSS ? 9.0 / 17.0 : 1.0) * MSS;
		rig_ack(&r, 0, r.cc[0].cwnd_bytes);
		r.now_us += 1000;
		CHECK_ROW(i, near(r.cc[0].cwnd_bytes, w_est, 0.02, 0));
	}
	CU_ASSERT(r.cc[0].cwnd_bytes > 300 * MSS);
}

/* A second loss below the old plateau gives way: the next plateau is at (1 + beta) / 2 (4.7). */
static void cubic_fast_convergence(void)
{
	struct rig r;

	rig_init(&r, "cubic", 1);
	rig_avoiding(&r, 0, 1000 * MSS, 100000);
	rig_ack(&r, 0, MSS);
	r.cc[0].cwnd_bytes = 1000 * MSS;
	rig_lose(&r, 0); /* 700, plateau 1000 */
	r.ops->on_recovery_exit(&r.cc[0], r.now_us);
	rig_lose(&r, 0); /* 490, plateau 0.85 * 700 = 595 */
	r.ops->on_recovery_exit(&r.cc[0], r.now_us);
	CHECK_ROW(0, near(r.cc[0].cwnd_bytes, 490.0 * MSS, 0.001, 0));
	/* K = cbrt(105 / 0.4) = 6.4 s: there the window rests at the plateau */
	for (unsigned i = 0; i < 630; i++) {
		rig_ack(&r, 0, r.cc[0].cwnd_bytes / 10);
		r.now_us += 10000;
	}
	CHECK_ROW(1, near(r.cc[0].cwnd_bytes, 595.0 * MSS, 0.01, 0));
}

static const struct unit_test tests[] = {
	{"names", names},
	{"slow start", slow_start},
	{"a window not in use", unused_window},
	{"coupled increases are the papers'", coupled_formulas},
	{"cubic follows its curve", cubic_follows_the_curve},
	{"cubic in the Reno-friendly region", cubic_is_reno_friendly},
	{"cubic's fast convergence", cubic_fast_convergence},
};
UNIT_MAIN("engine/congestion", tests)
