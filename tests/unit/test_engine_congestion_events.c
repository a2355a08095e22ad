/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_congestion_events.c - what loss, timeout, undo and silence do to each controller, and
 * when slow start ends by itself (RFC 9406).
 */
#include "cc_rig.h"
#include "unit.h"

#define W (100 * MSS)

static const char *const loss_based[] = {"lia", "olia", "balia", "cubic"};

/* One subflow in congestion avoidance with a full window of 100 segments. */
static void settled(struct rig *r, const char *name)
{
	rig_init(r, name, 1);
	rig_avoiding(r, 0, W, RTT_US);
	rig_ack(r, 0, MSS);
	r->cc[0].cwnd_bytes = W;
}

static void timeout(struct rig *r)
{
	r->ops->on_rto(&r->cc[0], r->cc[0].cwnd_bytes, &r->g, r->now_us);
}

/* Alone, each of the coupled ones halves as Reno does; cubic keeps 0.7. */
static void loss(void)
{
	for (unsigned c = 0; c < 4; c++) {
		uint32_t want = c == 3 ? W / 10 * 7 : W / 2;
		struct rig r;

		settled(&r, loss_based[c]);
		rig_lose(&r, 0);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, want);
		CHECK_EQ(c, r.cc[0].ssthresh_bytes, want);
		for (unsigned i = 0; i < 50; i++) { /* repairs: no growth */
			struct cc_ack a = rig_full_ack(&r, 0, MSS);

			a.in_recovery = true;
			r.ops->on_ack(&r.cc[0], &a, &r.g);
		}
		CHECK_EQ(c, r.cc[0].cwnd_bytes, want);
		r.ops->on_recovery_exit(&r.cc[0], r.now_us);
		rig_ack(&r, 0, want);
		CHECK_ROW(c, r.cc[0].cwnd_bytes > want && r.cc[0].cwnd_bytes <= want + 2 * MSS);
	}
}

/* Not below two segments, however often. */
static void loss_floor(void)
{
	for (unsigned c = 0; c < 4; c++) {
		struct rig r;

		settled(&r, loss_based[c]);
		for (unsigned i = 0; i < 40; i++) {
			rig_lose(&r, 0);
			r.ops->on_recovery_exit(&r.cc[0], r.now_us);
		}
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 2 * MSS);
	}
}

/* A path that BALIA finds slow beside another gives up three quarters, the fast one half. */
static void balia_reduction(void)
{
	struct rig r;

	rig_init(&r, "balia", 2);
	rig_avoiding(&r, 0, W, RTT_US);
	rig_avoiding(&r, 1, W, RTT_US * 10);
	rig_ack(&r, 0, 0);
	rig_ack(&r, 1, 0);
	rig_lose(&r, 1);
	CU_ASSERT_EQUAL(r.cc[1].cwnd_bytes, W / 4);
	rig_lose(&r, 0);
	CU_ASSERT_EQUAL(r.cc[0].cwnd_bytes, W / 2);
}

/* Behind a timeout: one segment, slow start to ssthresh, then slowly. */
static void after_timeout(void)
{
	for (unsigned c = 0; c < 4; c++) {
		uint32_t want = c == 3 ? W / 10 * 7 : W / 2;
		struct rig r;

		settled(&r, loss_based[c]);
		timeout(&r);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, MSS);
		CHECK_EQ(c, r.cc[0].ssthresh_bytes, want);
		timeout(&r); /* again: nothing was learnt about the path's room */
		CHECK_EQ(c, r.cc[0].ssthresh_bytes, want);
		for (unsigned i = 0; i < 5; i++) {
			struct cc_ack a = rig_full_ack(&r, 0, r.cc[0].cwnd_bytes);

			a.in_recovery = true;
			CHECK_EQ(c, r.cc[0].cwnd_bytes, MSS << i);
			r.ops->on_ack(&r.cc[0], &a, &r.g);
			r.now_us += RTT_US;
		}
		r.ops->on_recovery_exit(&r.cc[0], r.now_us);
		rig_ack(&r, 0, 32 * MSS);
		if (r.cc[0].cwnd_bytes < want)
			rig_ack(&r, 0, want - r.cc[0].cwnd_bytes);
		CHECK_ROW(c, r.cc[0].cwnd_bytes >= want && r.cc[0].cwnd_bytes < want + 3 * MSS);
		r.now_us += RTT_US;
		rig_ack(&r, 0, want);
		CHECK_ROW(c, r.cc[0].cwnd_bytes > want && r.cc[0].cwnd_bytes < want + 5 * MSS);
	}
}

/* A timeout in a recovery does not reduce a second time. */
static void timeout_in_recovery(void)
{
	for (unsigned c = 0; c < 4; c++) {
		struct rig r;

		settled(&r, loss_based[c]);
		rig_lose(&r, 0);
		timeout(&r);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, MSS);
		CHECK_EQ(c, r.cc[0].ssthresh_bytes, c == 3 ? W / 10 * 7 : W / 2);
		r.ops->on_undo(&r.cc[0]); /* all of it was for nothing */
		CHECK_EQ(c, r.cc[0].cwnd_bytes, W);
	}
}

static void undo(void)
{
	for (unsigned row = 0; row < 10; row++) {
		struct rig r;
		uint32_t ssthresh;

		settled(&r, congestion_at(row / 2)->name);
		ssthresh = r.cc[0].ssthresh_bytes;
		if (row % 2)
			timeout(&r);
		else
			rig_lose(&r, 0);
		r.ops->on_undo(&r.cc[0]);
		CHECK_EQ(row, r.cc[0].cwnd_bytes, W);
		CHECK_ROW(row, r.cc[0].ssthresh_bytes >= ssthresh);
		r.ops->on_undo(&r.cc[0]); /* nothing left to undo */
		CHECK_EQ(row, r.cc[0].cwnd_bytes, W);
	}
}

/* An undone loss leaves no trace: then growth is as if it had never been. */
static void undo_keeps_growing(void)
{
	for (unsigned c = 0; c < 4; c++) {
		struct rig a, b;

		settled(&a, loss_based[c]);
		settled(&b, loss_based[c]);
		rig_lose(&a, 0);
		a.ops->on_undo(&a.cc[0]);
		for (unsigned i = 0; i < 20; i++) {
			rig_ack(&a, 0, W);
			rig_ack(&b, 0, W);
			a.now_us += RTT_US;
			b.now_us += RTT_US;
		}
		CHECK_ROW(c, a.cc[0].cwnd_bytes > W);
		CHECK_ROW(c, a.cc[0].cwnd_bytes + MSS >= b.cc[0].cwnd_bytes);
	}
}

/* RFC 2861: half for each RTO of silence, ten segments stay; slow start back to what was. */
static void idle(void)
{
	static const struct {
		uint32_t idle_ms, want_segments;
	} rows[] = {{100, 100}, {299, 100}, {300, 50},     {650, 25},
		    {1000, 12}, {1300, 10}, {99999999, 10}};

	for (unsigned row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
		for (unsigned c = 0; c < 4; c++) {
			struct rig r;

			settled(&r, loss_based[c]);
			r.now_us += rows[row].idle_ms * 1000ULL;
			r.ops->on_idle(&r.cc[0], rows[row].idle_ms * 1000ULL, 300000, MSS,
				       r.now_us);
			CHECK_EQ(row * 4 + c, r.cc[0].cwnd_bytes / MSS, rows[row].want_segments);
			if (rows[row].want_segments == 10)
				CHECK_EQ(row * 4 + c, r.cc[0].ssthresh_bytes, W / 4 * 3);
		}
}

/* Twenty RTTs behind a loss. */
static void climb(struct rig *r)
{
	rig_lose(r, 0);
	r->ops->on_recovery_exit(&r->cc[0], r->now_us);
	for (unsigned i = 0; i < 20; i++) {
		rig_ack(r, 0, r->cc[0].cwnd_bytes);
		r->now_us += RTT_US;
	}
}

/*
 * Time in which nothing was sent, or not as much as the window allows, is no time on CUBIC's
 * curve: 20 s would lift it by 1000 segments, and so by half of the window at the next ACK.
 */
static void idle_cubic(void)
{
	for (unsigned row = 0; row < 2; row++) {
		uint32_t before;
		struct rig r;

		settled(&r, "cubic");
		climb(&r);
		before = r.cc[0].cwnd_bytes;
		if (row == 0) {
			r.now_us += 20000000;
			r.ops->on_idle(&r.cc[0], 20000000, 60000000, MSS, r.now_us);
		}
		for (unsigned i = 0; row == 1 && i < 200; i++) {
			struct cc_ack a = rig_full_ack(&r, 0, MSS);

			r.now_us += 100000;
			a.now_us = r.now_us;
			a.prior_in_flight_bytes = 2 * MSS;
			r.ops->on_ack(&r.cc[0], &a, &r.g);
		}
		/* an ACK or two still count as of a full window */
		CHECK_ROW(row, r.cc[0].cwnd_bytes <= before + MSS);
		rig_ack(&r, 0, r.cc[0].cwnd_bytes);
		CHECK_ROW(row, r.cc[0].cwnd_bytes >= before);
		CHECK_ROW(row, r.cc[0].cwnd_bytes < before + 5 * MSS);
	}
}

/* An undone loss leaves CUBIC's plateau where it was: the next loss above it is no retreat. */
static void undo_cubic(void)
{
	struct rig r;

	settled(&r, "cubic");
	r.cc[0].cwnd_bytes = 2 * W;
	rig_ack(&r, 0, MSS);
	r.cc[0].cwnd_bytes = 2 * W;
	rig_lose(&r, 0); /* plateau 200 segments */
	r.ops->on_recovery_exit(&r.cc[0], r.now_us);
	rig_avoiding(&r, 0, W, RTT_US);
	rig_lose(&r, 0); /* were it real: plateau 85 */
	r.ops->on_undo(&r.cc[0]);
	CU_ASSERT_EQUAL(r.cc[0].cwnd_bytes, W);
	/* K = cbrt(100 / 0.4) = 6.3 s; at half of it 7/8 of the way is done */
	for (unsigned i = 0; i < 315; i++) {
		rig_ack(&r, 0, r.cc[0].cwnd_bytes / 10);
		r.now_us += 10000;
	}
	CU_ASSERT(r.cc[0].cwnd_bytes > 182 * MSS && r.cc[0].cwnd_bytes < 192 * MSS);
}

/* One ACK that covers more than the window, behind a timeout: at most doubled. */
static void huge_ack(void)
{
	for (unsigned c = 0; c < 4; c++) {
		struct cc_ack a;
		struct rig r;

		settled(&r, loss_based[c]);
		timeout(&r);
		a = rig_full_ack(&r, 0, 40 * MSS);
		a.in_recovery = true;
		r.ops->on_ack(&r.cc[0], &a, &r.g);
		CHECK_EQ(c, r.cc[0].cwnd_bytes, 2 * MSS);
	}
}

/* Rounds of ten ACKs; from round `from` on the RTT is longer by `more_us`. Window at the end. */
static uint32_t hystart(const char *name, unsigned rounds, unsigned from, uint32_t more_us,
			unsigned acks, bool *over)
{
	struct rig r;

	rig_init(&r, name, 1);
	for (unsigned round = 0; round < rounds; round++) {
		uint32_t each = r.cc[0].cwnd_bytes / acks;
		uint64_t sent_at = r.delivered_bytes;

		for (unsigned i = 0; i < acks; i++) {
			struct cc_ack a = rig_full_ack(&r, 0, each);

			a.rtt_us = RTT_US + (round >= from ? more_us : 0);
			a.prior_delivered_bytes = i ? sent_at + i : sent_at;
			r.ops->on_ack(&r.cc[0], &a, &r.g);
			r.now_us += 500;
		}
	}
	*over = r.cc[0].ssthresh_bytes != UINT32_MAX;
	return r.cc[0].cwnd_bytes;
}

static void hystart_ends_slow_start(void)
{
	for (unsigned c = 0; c < 4; c++) {
		uint32_t doubled = 10 * MSS << 12, w;
		bool over;

		/* no longer RTT: it only doubles */
		w = hystart(loss_based[c], 12, 99, 0, 10, &over);
		CHECK_ROW(c, !over && w > doubled / 10 * 9 && w <= doubled);
		/* 3 ms more, below the threshold of 4 ms: no matter */
		w = hystart(loss_based[c], 12, 5, 3000, 10, &over);
		CHECK_ROW(c, !over && w > doubled / 10 * 9);
		/* 5 ms more from the sixth round: five slow rounds, then out of slow start */
		w = hystart(loss_based[c], 12, 5, 5000, 10, &over);
		CHECK_ROW(c, over && w > 10 * MSS << 5 && w < 10 * MSS << 8);
		/* as told by one super-ACK for each round */
		w = hystart(loss_based[c], 12, 5, 5000, 1, &over);
		CHECK_ROW(c, over && w > 10 * MSS << 5 && w < 10 * MSS << 8);
	}
}

/* One round of ten ACKs of the window, at one time: the RTT of its halves is so much longer. */
static void hystart_round(struct rig *r, uint32_t first_more_us, uint32_t then_more_us)
{
	uint32_t each = r->cc[0].cwnd_bytes / 10;
	uint64_t sent_at = r->delivered_bytes;

	for (unsigned i = 0; i < 10; i++) {
		struct cc_ack a = rig_full_ack(r, 0, each);

		a.rtt_us = RTT_US + (i < 5 ? first_more_us : then_more_us);
		a.prior_delivered_bytes = i ? sent_at + i : sent_at;
		r->ops->on_ack(&r->cc[0], &a, &r->g);
	}
}

/* A jump that goes away was no queue: slow start goes on. */
static void hystart_resumes(void)
{
	struct rig r;
	bool seen_slow = false;

	rig_init(&r, "lia", 1);
	for (unsigned round = 0; round < 10; round++) {
		uint32_t before = r.cc[0].cwnd_bytes, more_us = round == 5 || round == 6 ? 9000 : 0;

		hystart_round(&r, more_us, more_us);
		seen_slow |= r.cc[0].cwnd_bytes < before / 10 * 13;
		if (round >= 8)
			CHECK_ROW(round, r.cc[0].cwnd_bytes > before / 10 * 19);
	}
	CU_ASSERT(seen_slow);
	CU_ASSERT_EQUAL(r.cc[0].ssthresh_bytes, UINT32_MAX);
}

/* The queue grows on while the window hardly does: five rounds would be too long, one is not. */
static void hystart_sees_the_queue(void)
{
	static const uint32_t more_us[] = {0, 0, 0, 5000, 12000, 12000, 12000};

	for (unsigned c = 0; c < 4; c++) {
		struct rig r;

		rig_init(&r, loss_based[c], 1);
		for (unsigned round = 0; round < 7; round++) {
			CHECK_EQ(c, r.cc[0].ssthresh_bytes == UINT32_MAX, round < 6);
			hystart_round(&r, more_us[round], more_us[round]);
		}
		CHECK_ROW(c, r.cc[0].cwnd_bytes < 10 * MSS << 5);
	}
}

/*
 * In the second half of each round trip from the fourth on the RTT is longer by just the
 * threshold, as bursts make it, but the first half finds no queue, until round `full`: the
 * window grows on slowly, beyond the RFC's five rounds, and no longer than that. Window at the end.
 */
static uint32_t hystart_bursts(const char *name, unsigned rounds, unsigned full, bool *over)
{
	struct rig r;

	rig_init(&r, name, 1);
	for (unsigned round = 0; round < rounds; round++)
		hystart_round(&r, round >= full ? 4000 : 0, round >= 3 || round >= full ? 4000 : 0);
	*over = r.cc[0].ssthresh_bytes != UINT32_MAX;
	return r.cc[0].cwnd_bytes;
}

static void hystart_is_not_full(void)
{
	for (unsigned c = 0; c < 4; c++) {
		uint32_t w[2];
		bool over;

		w[0] = hystart_bursts(loss_based[c], 9, 99, &over);
		CHECK_EQ(c, over, false);
		w[1] = hystart_bursts(loss_based[c], 14, 99, &over);
		CHECK_EQ(c, over, false);
		/* a quarter in each of five rounds is three times as much; doubled, 32 times */
		CHECK_ROW(c, w[1] > 2 * w[0] && w[1] < 4 * w[0]);
		hystart_bursts(loss_based[c], 14, 11, &over);
		CHECK_EQ(c, over, true);
	}
}

/* The first samples of a round are behind the last one's burst: they alone do not tell of it. */
static void hystart_waits_for_the_round(void)
{
	static const uint32_t more_us[][2] = {
		{0, 0}, {0, 0}, {0, 0}, {5000, 5000}, {12000, 2500}, {12000, 2500}, {12000, 2500},
	};

	for (unsigned c = 0; c < 4; c++) {
		struct rig r;

		rig_init(&r, loss_based[c], 1);
		for (unsigned round = 0; round < 7; round++)
			hystart_round(&r, more_us[round][0], more_us[round][1]);
		CHECK_EQ(c, r.cc[0].ssthresh_bytes, UINT32_MAX);
	}
}

/* What the guest sent gives no samples: behind that round the queue shows within the next. */
static void hystart_without_samples(void)
{
	for (unsigned c = 0; c < 4; c++) {
		struct rig r;

		rig_init(&r, loss_based[c], 1);
		for (unsigned round = 0; round < 2; round++) {
			uint64_t sent_at = r.delivered_bytes;

			for (unsigned i = 0; i < 40; i++) {
				struct cc_ack a = rig_full_ack(&r, 0, MSS);

				a.rtt_us = round ? RTT_US + i * 1000 : 0;
				a.prior_delivered_bytes = i ? sent_at + i : sent_at;
				r.ops->on_ack(&r.cc[0], &a, &r.g);
			}
		}
		CHECK_ROW(c, r.cc[0].cwnd_bytes < 70 * MSS); /* 59; it would be 90 */
	}
}

static const struct unit_test tests[] = {
	{"HyStart++ without samples", hystart_without_samples},
	{"loss", loss},
	{"two segments stay", loss_floor},
	{"balia's reduction", balia_reduction},
	{"behind a timeout", after_timeout},
	{"a timeout in recovery", timeout_in_recovery},
	{"undo", undo},
	{"growth behind an undo", undo_keeps_growing},
	{"idle", idle},
	{"idle is no time for cubic", idle_cubic},
	{"undo of cubic's plateau", undo_cubic},
	{"an ACK of more than the window", huge_ack},
	{"HyStart++ ends slow start", hystart_ends_slow_start},
	{"HyStart++ resumes", hystart_resumes},
	{"HyStart++ sees the queue", hystart_sees_the_queue},
	{"HyStart++ of bursts", hystart_is_not_full},
	{"HyStart++ waits for the round", hystart_waits_for_the_round},
};
UNIT_MAIN("engine/congestion events", tests)
