/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_guest_sender.c - what the guest loses of the peer's data is sent again by the gate,
 * while there are several subflows (guest_sender.h).
 */
#include "guest_bench.h"

/* SACK: all holes, each once, in one round trip. */
static void test_holes(void)
{
	/* 1001..41001 was sent; lost are 1001..3001, 10001..12001, 30001..31001. */
	const struct sack_block one[] = {{3001, 10001}}, two[] = {{12001, 30001}, {3001, 10001}},
				three[] = {{31001, 41001}, {12001, 30001}, {3001, 10001}};
	struct bench b;

	open_bench(&b, true);
	peer_sends(&b, 40000, false);
	guest_acks(&b, 1001, one, 1);
	CHECK_EQ(0, b.n, 1);
	SENT(&b, 0, 0, 1001, 3001);
	guest_acks(&b, 1001, two, 2);
	CHECK_EQ(1, b.n, 1);
	SENT(&b, 1, 0, 10001, 12001);
	guest_acks(&b, 1001, three, 3);
	CHECK_EQ(2, b.n, 1);
	SENT(&b, 2, 0, 30001, 31001);
	guest_acks(&b, 1001, three, 3); /* nothing new in it */
	CHECK_EQ(3, b.n, 0);
	guest_acks(&b, 10001, two, 1);
	CHECK_EQ(4, b.n, 0);
	guest_acks(&b, 41001, NULL, 0);
	CHECK_EQ(5, b.n, 0);
	CHECK_EQ(5, engine_deadline_us(b.w.e) > b.w.tick.now_us + 500 * MS, true);
	CU_ASSERT(engine_audit(b.w.e));
	world_fini(&b.w);
}

/* A few bytes out of order are no loss; nor is what was SACKed below the acknowledgement. */
static void test_reordering(void)
{
	const struct sack_block little = {2001, 2001 + 2 * MSS}, below = {1, 1001};
	struct bench b;

	open_bench(&b, true);
	peer_sends(&b, 20000, false);
	guest_acks(&b, 1001, &little, 1);
	CHECK_EQ(0, b.n, 0);
	for (unsigned i = 0; i < 5; i++) {
		guest_acks(&b, 1001, &below, 1);
		CHECK_EQ(i, b.n, 0);
	}
	world_fini(&b.w);
}

/* No SACK: three duplicates, one segment; then as far as the answers say. */
static void test_blind(void)
{
	struct bench b;

	open_bench(&b, false);
	peer_sends(&b, 40000, false);
	for (unsigned i = 0; i < 3; i++) {
		guest_acks(&b, 1001, NULL, 0);
		CHECK_EQ(i, b.n, i == 2);
	}
	SENT(&b, 2, 0, 1001, 1001 + MSS);
	guest_acks(&b, 1001, NULL, 0);
	CHECK_EQ(3, b.n, 0);
	/* It kept nothing: each answer lets two go. */
	guest_acks(&b, 1001 + MSS, NULL, 0);
	CHECK_EQ(4, b.n, 1);
	SENT(&b, 4, 0, 1001 + MSS, 1001 + 3 * MSS);
	guest_acks(&b, 1001 + 2 * MSS, NULL, 0);
	SENT(&b, 5, 0, 1001 + 3 * MSS, 1001 + 5 * MSS);
	/* It kept the rest after all. */
	guest_acks(&b, 41001, NULL, 0);
	CHECK_EQ(6, b.n, 0);
	world_fini(&b.w);
}

/* The timer follows the round trip, doubles, and then everything goes again. */
static void test_timeout(void)
{
	uint64_t wait_us = 0;
	struct bench b;

	open_bench(&b, true);
	peer_sends(&b, 10000, true);
	CHECK_EQ(0, b.fin, true);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t from_us = b.w.tick.now_us, us = 0;

		for (b.n = 0; b.n == 0 && us < 20000 * MS; us += MS) {
			world_pass(&b.w, MS);
			look(&b);
		}
		CHECK_EQ(i, b.n, 1);
		SENT(&b, i, 0, 1001, 1001 + MSS);
		us = b.w.tick.now_us - from_us;
		if (i == 0) /* 5 ms and 200 ms */
			CHECK_ROW(i, us >= 200 * MS && us < 230 * MS);
		else
			CHECK_ROW(i, us > wait_us * 19 / 10 && us < wait_us * 21 / 10);
		wait_us = us;
	}
	guest_acks(&b, 1001 + MSS, NULL, 0);
	SENT(&b, 5, 0, 1001 + MSS, 1001 + 3 * MSS);
	guest_acks(&b, 1001 + 3 * MSS, NULL, 0);
	SENT(&b, 6, 0, 1001 + 3 * MSS, 1001 + 6 * MSS);
	CHECK_EQ(6, b.fin, false);
	guest_acks(&b, 1001 + 6 * MSS, NULL, 0);
	CHECK_EQ(7, b.end[0], 11001);
	CHECK_EQ(7, b.fin, true);
	/* Only the FIN is missing: it alone. */
	guest_acks(&b, 11001, NULL, 0);
	world_pass(&b.w, 250 * MS);
	look(&b);
	CHECK_EQ(8, b.n, 0);
	CHECK_EQ(8, b.fin, true);
	guest_acks(&b, 11002, NULL, 0);
	world_pass(&b.w, 30000 * MS);
	look(&b);
	CHECK_EQ(9, b.fin, false);
	world_fini(&b.w);
}

/* A guest that is gone, while the peer goes on to ask: both are reset after a quarter of an hour.
 */
static void test_gone(void)
{
	struct seg s = {.flags = TCP_ACK, .ack = 1, .window = 1000};
	unsigned minutes = 0;
	struct bench b;

	open_bench(&b, true);
	peer_sends(&b, 3000, false);
	for (; minutes < 30 && engine_counter(b.w.e, REASON_CLOSED_GUEST_GONE) == 0; minutes++) {
		for (unsigned i = 0; i < 60; i++)
			world_pass(&b.w, 1000 * MS);
		s.seq = b.ssn;
		join_sends(&b.w, &b.j, &s);
	}
	CHECK_ROW(minutes, minutes >= 14 && minutes <= 17);
	world_pass(&b.w, 70000 * MS);
	CHECK_EQ(minutes, engine_connections(b.w.e), 0);
	world_fini(&b.w);
}

/*
 * The peer asks for ever, and what it does not acknowledge only the guest can send again. Row 0: it
 * does not, for half an hour. Row 1: it does now and then.
 */
static void test_owes(void)
{
	for (unsigned row = 0; row < 2; row++) {
		struct seg asks = {.flags = TCP_ACK, .ack = 1, .window = 1000};
		struct seg data = {.flags = TCP_ACK,
				   .seq = 101,
				   .ack = 1,
				   .window = 1000,
				   .payload_bytes = 500};
		unsigned minutes = 0;
		struct bench b;

		open_bench(&b, true);
		guest_sends(&b.w, ENGINE_STEAL, &data);
		for (; minutes < 40 && engine_connections(b.w.e); minutes++) {
			for (unsigned i = 0; i < 60; i++)
				world_pass(&b.w, 1000 * MS);
			asks.seq = b.ssn;
			join_sends(&b.w, &b.j, &asks);
			if (row == 1 && minutes % 10 == 0)
				guest_sends(&b.w, ENGINE_STEAL, &data);
		}
		CHECK_EQ(row, engine_counter(b.w.e, REASON_CLOSED_GUEST_GONE), row == 0);
		CHECK_ROW(minutes, row == 1 ? minutes == 40 : minutes >= 29 && minutes <= 33);
		world_fini(&b.w);
	}
}

/* What finds no place in the output goes when there is some; nothing is taken for lost. */
static void test_output_full(void)
{
	uint32_t from = 1001 + 1000;
	struct bench b;

	open_bench(&b, true);
	/* 400 kB behind a hole of 1000 bytes. */
	b.ssn = from;
	for (unsigned i = 0; i < 16; i++) {
		struct seg s = {.flags = TCP_ACK,
				.seq = b.ssn,
				.ack = 1,
				.window = 1000,
				.payload_bytes = 25000,
				.payload_first = (uint8_t)b.ssn};

		put_peer_map(&b.w, &s.w, 101, b.ssn, b.ssn, 25000, false);
		join_sends(&b.w, &b.j, &s);
		b.ssn += 25000;
	}
	b.w.cap_pkt = 12;
	b.ssn = 1001;
	peer_sends(&b, 1000, false);
	CHECK_EQ(0, b.n, 1);
	CHECK_ROW(0, b.end[0] > from && b.end[0] < from + 200000);
	for (unsigned i = 0; i < 10 && from < 402001; i++) {
		from = b.end[0];
		world_pass(&b.w, MS);
		look(&b);
		if (b.n == 0)
			break;
		CHECK_EQ(i, b.start[0], from);
	}
	CHECK_EQ(1, from, 402001);
	world_fini(&b.w);
}

/*
 * A peer without SACK: what tells nothing but a DATA_ACK is no third duplicate on the subflow where
 * its data is on the way.
 */
static void test_data_acks(void)
{
	uint64_t told = 0;
	unsigned same = 0;
	uint32_t last = 0;
	struct bench b;

	open_bench(&b, false);
	for (unsigned i = 0; i < 10; i++)
		peer_sends(&b, 1000, false);
	for (unsigned i = 0; i < 12; i++) {
		if (i < 10)
			guest_acks(&b, 2001 + i * 1000, NULL, 0);
		else
			world_pass(&b.w, 30 * MS);
		for (unsigned k = 0; out(&b.w, k); k++) {
			if (b.w.pkt[k].side != ENGINE_NET || b.w.p.payload_bytes)
				continue;
			told = (uint32_t)b.w.o.mp.dss.data_ack - (uint32_t)b.w.idsn_peer;
			if (!flow_tuple_equal(&b.w.p.tuple, &b.j.net))
				continue;
			same = b.w.p.ack == last ? same + 1 : 0;
			last = b.w.p.ack;
			CHECK_ROW(i, same < 3);
		}
		b.w.tick.now_us += MS;
	}
	CHECK_EQ(0, last, JOIN_ISN + 11001);
	CHECK_EQ(0, told, 11001);
	world_fini(&b.w);
}

/*
 * What the guest sent behind a hole is SACKed to it, once its acknowledgement stands there, and
 * counted when the hole is filled.
 */
static void test_sack_for_guest(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1101, .ack = 1001, .window = 4000};
	struct engine_conn_info info;
	struct bench b;

	open_bench(&b, true);
	s.payload_bytes = 500;
	guest_sends(&b.w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&b.w, 0) && b.w.pkt[0].side == ENGINE_GUEST);
	CHECK_EQ(0, b.w.p.ack, GUEST_ISN + 101);
	CHECK_EQ(0, b.w.o.n_sack, 1);
	CHECK_EQ(0, b.w.o.sack[0].start, GUEST_ISN + 1101);
	CHECK_EQ(0, b.w.o.sack[0].end, GUEST_ISN + 1601);
	/* What stands before the hole waits for the peer: nothing is told behind it. */
	s.seq = 101;
	guest_sends(&b.w, ENGINE_STEAL, &s);
	s.seq = 2101;
	guest_sends(&b.w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&b.w, 0) && b.w.pkt[0].side == ENGINE_GUEST);
	CHECK_EQ(1, b.w.o.n_sack, 0);
	CU_ASSERT_FATAL(engine_conn_info(b.w.e, 0, b.w.tick.now_us, &info));
	CHECK_EQ(0, info.from_guest_bytes, 600);
	s.seq = 601;
	guest_sends(&b.w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(engine_conn_info(b.w.e, 0, b.w.tick.now_us, &info));
	CHECK_EQ(1, info.from_guest_bytes, 1600);
	world_fini(&b.w);
}

static void first_brings(struct bench *b, uint32_t at, uint32_t bytes)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = at,
			.ack = 101,
			.window = 1000,
			.payload_bytes = bytes,
			.payload_first = (uint8_t)at};

	put_peer_map(&b->w, &s.w, 101, at, at, (uint16_t)bytes, false);
	net_sends(&b->w, ENGINE_STEAL, &s);
	look(b);
	CHECK_EQ(at, b->n, 1);
}

/*
 * What came before the hand-over the guest's own blocks tell of, on the first subflow: of what
 * another one brought to its place nothing, there it was never sent.
 */
static void test_sack_of_guest(void)
{
	const struct sack_block of_guest = {1001, 2501};
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000, .payload_bytes = 500};
	unsigned told = 0;
	struct bench b = {.ssn = 1};

	joins_init(&b.w, FLOW_IPV4);
	b.w.sack = true;
	CU_ASSERT_FATAL(joins_open(&b.w, &b.j));
	first_brings(&b, 1001, 1000);
	first_brings(&b, 3001, 500);
	join_complete(&b.w, &b.j);
	CU_ASSERT_FATAL(living(&b.w) == 2);
	s.payload_first = (uint8_t)2001;
	put_peer_map(&b.w, &s.w, 101, 2001, 1, 500, false);
	join_sends(&b.w, &b.j, &s);
	world_pass(&b.w, 50 * MS);
	first_brings(&b, 1, 500);
	guest_acks(&b, 501, &of_guest, 1);
	for (unsigned i = 0; out(&b.w, i); i++) {
		if (b.w.pkt[i].side != ENGINE_NET || flow_tuple_equal(&b.w.p.tuple, &b.j.net))
			continue;
		CHECK_EQ(i, b.w.o.n_sack, 1);
		CHECK_EQ(i, b.w.o.sack[0].start, PEER_ISN + 1001);
		CHECK_EQ(i, b.w.o.sack[0].end, PEER_ISN + 2001);
		told++;
	}
	CHECK_EQ(2, told, 1);
	world_fini(&b.w);
}

static const struct unit_test tests[] = {
	{"holes", test_holes},
	{"reordering", test_reordering},
	{"without SACK", test_blind},
	{"timeout", test_timeout},
	{"gone", test_gone},
	{"owes", test_owes},
	{"output full", test_output_full},
	{"DATA_ACKs", test_data_acks},
	{"SACK for the guest", test_sack_for_guest},
	{"SACK of the guest", test_sack_of_guest},
};
UNIT_MAIN("engine/guest_sender", tests)
