/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_sender.c - the gate's sender of a subflow, segment by segment: reinjection, tail loss
 * probe (RFC 8985), spurious timeouts (RFC 3522, 3708), recovery at a measured pace (RFC 6937),
 * restart after idle, the data level's own timer (RFC 8684 section 3.3.6), sizes that vanish.
 * Numbers are as sender_bench.h has them.
 */
#include "engine/state.h"
#include "sender_bench.h"

/* A subflow ends: all that it carried leaves on the other one in the same moment. */
static void test_reinjection(void)
{
	struct seg rst = {.flags = TCP_RST, .seq = 1};
	uint32_t at[2] = {0, 0}, first = 0, again = 0;
	struct bench b;

	open_bench(&b, true);
	for (unsigned i = 0; i < 16; i++) {
		guest_writes(&b, 1400);
		for (unsigned k = 0; k < b.n; k++) {
			if (b.s[k].sub == 1 && at[1] == 0)
				first = b.s[k].seq;
			at[b.s[k].sub] += b.s[k].bytes;
		}
	}
	CU_ASSERT_FATAL(at[1] > 0);
	join_sends(&b.w, &b.j, &rst);
	look(&b);
	for (unsigned k = 0; k < b.n; k++) {
		CHECK_EQ(k, b.s[k].sub, 0);
		again += b.s[k].bytes;
	}
	CU_ASSERT_FATAL(b.n > 0);
	CHECK_EQ(0, b.s[0].seq, first);
	/* As much as its window lets go at once. */
	CHECK_ROW(0, again == at[1] || again + at[0] >= 9 * 1400);
	CHECK_ROW(0, again >= 1400);
	world_fini(&b.w);
}

/* One segment and no answer: a probe after two round trips, the timer later; each once. */
static void test_tail_loss_probe(void)
{
	struct bench b;

	open_bench(&b, false);
	guest_writes(&b, 1000);
	CHECK_EQ(0, b.n, 1);
	CU_ASSERT_FATAL(wait_sent(&b));
	CHECK_EQ(1, b.s[0].ssn, 1);
	CHECK_ROW(1, b.last_us >= 2 * RTT_MS * MS && b.last_us < (2 * RTT_MS + 55) * MS);
	CU_ASSERT_FATAL(wait_sent(&b));
	CHECK_ROW(2, b.last_us >= 100 * MS && b.last_us < 400 * MS);
	CHECK_EQ(2, b.s[0].ssn, 1);
	world_fini(&b.w);
}

/* No answer at all: each timeout waits twice as long as the one before (RFC 6298 section 5.5). */
static void test_backoff(void)
{
	struct bench b;
	struct tail t = open_tail(&b);
	uint64_t before_us = 0;

	CU_ASSERT_FATAL(wait_sent(&b)); /* the probe */
	CU_ASSERT_FATAL(wait_sent(&b)); /* the timer */
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_FATAL(wait_sent(&b));
		CHECK_EQ(i, b.s[0].ssn, t.ssn);
		CHECK_ROW(i, b.last_us >= (i ? 2 * before_us - 2 * MS : 300 * MS));
		CHECK_ROW(i, b.last_us <= (i ? 2 * before_us + 2 * MS : 1000 * MS));
		before_us = b.last_us;
	}
	world_fini(&b.w);
}

static uint32_t furthest(const struct bench *b, uint32_t end)
{
	for (unsigned n = 0; n < b->n; n++)
		end = seq_max(end, b->s[n].seq + b->s[n].bytes);
	return end;
}

/* I2: up to the last byte that the peer's window holds, whatever the guest sends beyond it. */
static void test_window(void)
{
	uint32_t end = 101, edge;
	struct bench b;

	open_bench(&b, false);
	edge = conn_at(b.w.e, 0)->told_guest_edge_seq - GUEST_ISN;
	for (unsigned i = 0; i < 200 && b.seq < edge + 5000; i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1};

		for (unsigned k = 0; k <= RTT_MS; k++) {
			if (k < 10)
				guest_writes(&b, 1000);
			end = furthest(&b, end);
			world_pass(&b.w, MS);
			look(&b);
			end = furthest(&b, end);
		}
		/* Its reader sleeps: the window closes. */
		s.ack = end - 100;
		s.window = (uint16_t)((edge - end) >> PEER_WSCALE);
		options_put_timestamps(&s.w, 9000, 1);
		put_peer_ack(&b.w, &s.w, end);
		join_sends(&b.w, &b.j, &s);
		look(&b);
		end = furthest(&b, end);
	}
	CHECK_EQ(0, end, edge);
	world_fini(&b.w);
}

/*
 * What the guest itself sent before there was a second subflow is in flight all the same: the first
 * one gets nothing more until some of it is acknowledged, and what of it was lost goes again where
 * it was, once the guest has sent it again.
 */
static void test_handover(void)
{
	struct sack_block x = {1501, 28101};
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};
	struct bench b;

	open_single(&b, 28000);
	for (unsigned i = 0; i < 20; i++) {
		guest_writes(&b, 1400);
		CHECK_EQ(i, b.n, 1);
		CHECK_EQ(i, b.s[0].sub, 0);
	}
	CU_ASSERT_FATAL(joins_find(&b.w, &b.j, 1) == 1);
	b.w.tick.now_us += RTT_MS * MS;
	join_complete(&b.w, &b.j);
	CU_ASSERT_FATAL(living(&b.w) == 2);
	for (unsigned i = 0; i < 5; i++) {
		guest_writes(&b, 1400);
		CHECK_ROW(i, b.n > 0);
		for (unsigned k = 0; k < b.n; k++)
			CHECK_EQ(i, b.s[k].sub, 1);
	}
	/* All but the first arrived. */
	options_put_timestamps(&s.w, 9000, 1);
	x.start += GUEST_ISN;
	x.end += GUEST_ISN;
	options_put_sack(&s.w, &x, 1);
	put_peer_ack(&b.w, &s.w, 101);
	net_sends(&b.w, ENGINE_STEAL, &s);
	for (unsigned i = 0; i < 50; i++) {
		world_pass(&b.w, MS);
		look(&b);
		for (unsigned k = 0; k < b.n; k++)
			CHECK_ROW(i, b.s[k].sub != 0 || b.s[k].seq >= 28101);
	}
	b.seq = 101;
	guest_writes(&b, 1400);
	CHECK_EQ(9, b.n, 1);
	CHECK_EQ(9, b.s[0].sub, 0);
	CHECK_EQ(9, b.s[0].ssn, 101);
	CHECK_EQ(9, b.s[0].bytes, 1400);
	world_fini(&b.w);
}

/* The probe repaired the loss of a tail: that counts as congestion, a mere delay does not. */
static void test_probe_answer(void)
{
	for (unsigned lost = 0; lost < 2; lost++) {
		struct bench b;
		struct tail t = open_tail(&b);

		CU_ASSERT_FATAL(wait_sent(&b));
		if (lost) {
			/* Answers the probe, and what follows it. */
			t.tsval = b.s[0].tsval;
			guest_writes(&b, 1400);
			b.w.tick.now_us += RTT_MS * MS;
			peer_acks(&b, t.ssn + 2800, b.seq, NULL, 0, t.tsval);
			CHECK_ROW(lost, cwnd(&b) < t.cwnd_bytes);
		} else {
			peer_acks(&b, t.ssn + 1400, b.seq, NULL, 0, t.tsval);
			CHECK_ROW(lost, cwnd(&b) >= t.cwnd_bytes);
		}
		world_fini(&b.w);
	}
}

/* A timeout that was none: by the timestamp of the answer, or because all came twice. */
static void test_undo(void)
{
	for (unsigned i = 0; i < 3; i++) {
		struct bench b;
		struct tail t = open_tail(&b);

		b.w.tick.now_us += MS;
		CU_ASSERT_FATAL(wait_sent(&b)); /* the probe */
		CU_ASSERT_FATAL(wait_sent(&b)); /* the timer */
		CHECK_ROW(i, cwnd(&b) < t.cwnd_bytes / 2);
		if (i == 0) { /* the original's answer was late */
			peer_acks(&b, t.ssn + 1400, b.seq, NULL, 0, t.tsval);
			CHECK_ROW(i, cwnd(&b) >= t.cwnd_bytes);
		} else if (i == 1) { /* it had come, and comes twice (RFC 2883) */
			const struct sack_block twice = {t.ssn, t.ssn + 1400};

			peer_acks(&b, t.ssn + 1400, b.seq, &twice, 1, b.s[0].tsval);
			CHECK_ROW(i, cwnd(&b) >= t.cwnd_bytes);
		} else { /* it was lost */
			peer_acks(&b, t.ssn + 1400, b.seq, NULL, 0, b.s[0].tsval);
			CHECK_ROW(i, cwnd(&b) < t.cwnd_bytes);
		}
		world_fini(&b.w);
	}
}

/* PRR: the first repair at once, then as much as arrives in proportion to the new window. */
static void test_recovery_pace(void)
{
	uint32_t ssn, sent = 0, first = 0, delivered;
	struct bench b;

	open_bench(&b, false);
	ssn = round_trip(&b, 1, 10);
	for (unsigned i = 0; i < 20; i++)
		guest_writes(&b, 1400);
	pass_rtt(&b);
	/* The first ten are lost; the others are reported two by two. */
	for (unsigned i = 12; i <= 20; i += 2) {
		struct sack_block x = {ssn + 10 * 1400, ssn + i * 1400};

		b.w.tick.now_us += MS;
		peer_acks(&b, ssn, 101 + 14000, &x, 1, 1);
		for (unsigned k = 0; k < b.n; k++)
			sent += b.s[k].bytes;
		if (b.n > 0 && first == 0)
			first = b.s[0].ssn;
		delivered = x.end - x.start;
		CHECK_ROW(i, sent <= delivered * 8 / 10 + 2 * 1448);
	}
	CHECK_EQ(0, first, ssn);
	CHECK_ROW(0, sent >= 4 * 1400);
	world_fini(&b.w);
}

/* In slow start what an acknowledgement lets go, and as much again, is not held back by pacing. */
static void test_slow_start_clock(void)
{
	struct bench b;

	open_bench(&b, false);
	for (unsigned i = 0; i < 10; i++)
		guest_writes(&b, 1400);
	pass_rtt(&b);
	for (unsigned i = 1; i <= 10; i++) {
		uint32_t sent = 0;

		b.w.tick.now_us += MS / 10;
		peer_acks(&b, 1 + i * 1400, 101 + i * 1400, NULL, 0, 1);
		for (unsigned k = 0; k < 2; k++) {
			guest_writes(&b, 1400);
			for (unsigned n = 0; n < b.n; n++)
				sent += b.s[n].bytes;
		}
		CHECK_EQ(i, sent, 2800);
	}
	world_fini(&b.w);
}

/* After a pause of many timeouts the window is the initial one again. */
static void test_restart(void)
{
	uint32_t ssn = 1, burst = 0;
	struct bench b;

	open_bench(&b, false);
	for (unsigned i = 0; i < 4; i++)
		ssn = round_trip(&b, ssn, 10u << (i < 2 ? i : 2));
	CHECK_ROW(0, cwnd(&b) > 30 * 1400);
	b.w.tick.now_us += 5000 * MS;
	for (unsigned i = 0; i < 40; i++) {
		guest_writes(&b, 1400);
		for (unsigned k = 0; k < b.n; k++)
			burst += b.s[k].bytes;
	}
	burst += pass_rtt(&b);
	CHECK_ROW(1, burst >= 9 * 1400 && burst <= 11 * 1448);
	world_fini(&b.w);
}

/* Taken on the subflow and thrown away behind it: mapped anew, later each time. */
static void test_data_timer(void)
{
	uint64_t wait_us = 0;
	uint32_t ssn = 1;
	struct bench b;

	open_bench(&b, false);
	guest_writes(&b, 1000);
	for (unsigned i = 0; i < 4; i++) {
		b.w.tick.now_us += RTT_MS * MS;
		ssn += 1000;
		peer_acks(&b, ssn, 101, NULL, 0, b.s[0].tsval);
		CHECK_EQ(i, b.n, 0);
		CU_ASSERT_FATAL(wait_sent(&b));
		CHECK_EQ(i, b.n, 1);
		CHECK_EQ(i, b.s[0].ssn, ssn);
		CHECK_EQ(i, b.s[0].seq, 101);
		CHECK_EQ(i, b.s[0].bytes, 1000);
		CHECK_ROW(i, b.last_us > (wait_us ? wait_us * 3 / 2 : 400 * MS));
		wait_us = b.last_us;
	}
	b.w.tick.now_us += RTT_MS * MS;
	peer_acks(&b, ssn + 1000, 1101, NULL, 0, b.s[0].tsval);
	CHECK_EQ(9, wait_sent(&b), false);
	world_fini(&b.w);
}

/* What has left now goes on: the joined subflow's end, and how far the stream came in one piece. */
static void note(struct bench *b, uint32_t *ssn, uint32_t *end)
{
	for (unsigned k = 0; k < b->n; k++) {
		*ssn = seq_max(*ssn, b->s[k].ssn + b->s[k].bytes);
		if (seq_le(b->s[k].seq, *end))
			*end = seq_max(*end, b->s[k].seq + b->s[k].bytes);
	}
}

/* A lot of it: from the timer on as fast as the answers come, not by a timer for each piece. */
static void test_data_recovery(void)
{
	const uint32_t last = 101 + 84 * 1400;
	uint32_t ssn = 1, end = 101;
	uint64_t from_us;
	struct bench b;

	open_bench(&b, false);
	for (unsigned n = 4; b.seq < last; n += 4) {
		for (unsigned i = 0; i < n && b.seq < last; i++) {
			guest_writes(&b, 1400);
			note(&b, &ssn, &end);
		}
		for (unsigned ms = 0; ms < RTT_MS; ms++) {
			world_pass(&b.w, MS);
			look(&b);
			note(&b, &ssn, &end);
		}
		peer_acks(&b, ssn, 101, NULL, 0, 1);
		note(&b, &ssn, &end);
	}
	CHECK_EQ(0, end, last);
	CU_ASSERT_FATAL(wait_sent(&b));
	CHECK_EQ(0, b.s[0].seq, 101);
	end = 101;
	from_us = b.w.tick.now_us;
	for (unsigned i = 0; i < 100 && end < last; i++) {
		for (unsigned ms = 0; ms < RTT_MS; ms++) {
			note(&b, &ssn, &end);
			world_pass(&b.w, MS);
			look(&b);
		}
		note(&b, &ssn, &end);
		peer_acks(&b, ssn, end, NULL, 0, 1);
	}
	CHECK_EQ(0, end, last);
	CHECK_ROW(0, b.w.tick.now_us - from_us < 400 * MS);
	world_fini(&b.w);
}

/* No record is left to cut what was lost: it goes whole, once nothing else is on its way. */
static void test_no_record_to_cut(void)
{
	uint32_t ssn = 1;
	struct bench b;

	open_bench(&b, false);
	for (unsigned i = 0; i < 3; i++)
		ssn = round_trip(&b, ssn, 8);
	guest_writes(&b, 8000);
	CHECK_EQ(0, b.s[0].bytes, 8000);
	while (pool_new(&b.w.e->txsegs, b.w.e) != POOL_NONE)
		;
	CU_ASSERT_FATAL(wait_sent(&b));
	CHECK_EQ(1, b.n, 1);
	CHECK_EQ(1, b.s[0].ssn, ssn);
	CHECK_EQ(1, b.s[0].bytes, 8000);
	peer_acks(&b, ssn + 8000, b.seq, NULL, 0, b.s[0].tsval);
	guest_writes(&b, 1000);
	CHECK_EQ(2, b.n, 1);
	world_fini(&b.w);
}

/* Large segments vanish while small ones pass: smaller ones are tried, in steps. */
static void test_black_hole(void)
{
	uint32_t ssn, least = 1500;
	struct bench b;

	open_bench(&b, false);
	ssn = round_trip(&b, 1, 1);
	guest_writes(&b, 1400);
	for (unsigned i = 0; i < 12 && least > 600; i++) {
		CU_ASSERT_FATAL(wait_sent(&b));
		CHECK_EQ(i, b.s[0].ssn, ssn);
		if (b.s[0].gso_bytes < least) {
			printf("    after %u: %u bytes\n", i, b.s[0].gso_bytes);
			least = b.s[0].gso_bytes;
		}
		/* Something small is sent and comes through: no timeouts in a row. */
		guest_writes(&b, 100);
		if (b.n) {
			struct sack_block x = {b.s[0].ssn, b.s[0].ssn + 100};

			b.w.tick.now_us += RTT_MS * MS;
			peer_acks(&b, ssn, 101 + 1400, &x, 1, b.s[0].tsval);
		}
	}
	CHECK_ROW(0, least <= 576 - 40 - 12);
	world_fini(&b.w);
}

static const struct unit_test tests[] = {
	{"reinjection", test_reinjection},
	{"tail loss probe", test_tail_loss_probe},
	{"backoff", test_backoff},
	{"handover", test_handover},
	{"the peer's window", test_window},
	{"the probe's answer", test_probe_answer},
	{"undo", test_undo},
	{"pace of recovery", test_recovery_pace},
	{"clock of slow start", test_slow_start_clock},
	{"restart after idle", test_restart},
	{"the data level's timer", test_data_timer},
	{"black hole", test_black_hole},
	{"the data level's recovery", test_data_recovery},
	{"no record to cut", test_no_record_to_cut},
};
UNIT_MAIN("engine/sender", tests)
