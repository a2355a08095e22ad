/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_data.c - mappings, acknowledgements, windows, SACK, probes on one subflow. Sequence
 * numbers are relative: 1 is the first byte.
 */
#include "base/seq.h"
#include "joins.h"
#include "opened.h"

/* Guest data at `seq`; the expected pieces are {ssn, bytes, map ssn, map len}. */
static const struct {
	uint32_t seq, bytes;
	unsigned n;
	uint32_t want[3][4];
} sends[] = {
	/* 0 new */ {101, 1000, 1, {{101, 1000, 101, 1000}}},
	/* 1 super-segment */ {1101, 50000, 1, {{1101, 50000, 1101, 50000}}},
	/* 2 its tail again: the whole mapping with it */
	{41101, 10000, 1, {{41101, 10000, 1101, 50000}}},
	/* 3 across two mappings: cut */
	{601, 1000, 2, {{601, 500, 101, 1000}, {1101, 500, 1101, 50000}}},
	/* 4 the old and something new */
	{51001, 400, 2, {{51001, 100, 1101, 50000}, {51101, 300, 51101, 300}}},
	/* 5 a hole: 51401..51900 was lost before the gate */
	{51901, 100, 1, {{51901, 100, 51901, 100}}},
	/* 6 the hole, and what lies around it */
	{51301,
	 700,
	 3,
	 {{51301, 100, 51101, 300}, {51401, 500, 51401, 500}, {51901, 100, 51901, 100}}},
	/* 7 below what was DATA_ACKed: the old part goes */
	{51, 150, 1, {{101, 100, 101, 1000}}},
};

static void test_mapping(void)
{
	struct world w;

	open_world(&w);
	for (unsigned i = 0; i < sizeof(sends) / sizeof(sends[0]); i++) {
		struct seg s = {.flags = TCP_ACK | TCP_PSH,
				.seq = sends[i].seq,
				.ack = 1,
				.window = 1000,
				.payload_bytes = sends[i].bytes};
		uint32_t at = sends[i].seq;

		options_put_timestamps(&s.w, 200 + i, 7000);
		guest_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(i, w.r.verdict, ENGINE_STOLEN);
		CHECK_EQ(i, w.outs.n_pkt, sends[i].n);
		for (unsigned k = 0; k < sends[i].n; k++) {
			const uint32_t *want = sends[i].want[k];

			CU_ASSERT_FATAL(out(&w, k));
			CHECK_EQ(i, w.p.seq - GUEST_ISN, want[0]);
			CHECK_EQ(i, w.p.payload_bytes, want[1]);
			CHECK_EQ(i, w.o.mp.dss.ssn, want[2]);
			CHECK_EQ(i, w.o.mp.dss.map_len, want[3]);
			CHECK_EQ(i, w.o.mp.dss.dsn, w.idsn_local + want[2]);
			CHECK_EQ(i, w.o.tsval, 200 + i);
			CHECK_EQ(i, w.p.options_bytes, 36); /* 32-bit DATA_ACK: 12 + 22 + 2 */
			CHECK_EQ(i, w.p.payload[0], (uint8_t)(want[0] - at));
			CHECK_EQ(i, w.pkt[k].gso_size_bytes, 1500 - 40 - 36);
			CHECK_EQ(i, !!(w.p.flags & TCP_PSH), k + 1 == sends[i].n);
		}
	}
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Every byte keeps its place when the sequence numbers wrap, whatever their size. */
static void test_wrap(void)
{
	struct world w;
	uint32_t at = 101;

	world_init(&w, FLOW_IPV6);
	w.guest_isn = 0xfaffff00u;
	w.peer_isn = 0xfffffff0u;
	world_start(&w);
	world_open(&w);
	for (unsigned i = 0; i < 3000; i++) {
		struct seg s = {.flags = TCP_ACK,
				.seq = at,
				.ack = 1,
				.window = 1000,
				.payload_bytes = 60000};

		guest_sends(&w, ENGINE_STEAL, &s);
		if (!out(&w, 0) || w.p.seq != w.guest_isn + at ||
		    w.o.mp.dss.dsn != w.idsn_local + 101 + (uint64_t)i * 60000) {
			CHECK_EQ(i, 0, 1);
			break;
		}
		at += 60000;
		s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = at, .window = 1000};
		dss_encode(&s.w, &(struct dss){.has_ack = true,
					       .ack64 = i % 2,
					       .data_ack = w.idsn_local + 101 +
							   (uint64_t)(i + 1) * 60000});
		net_sends(&w, ENGINE_STEAL, &s);
		if (!out(&w, 0) || w.p.ack != w.guest_isn + at) {
			CHECK_EQ(i, 1, 0);
			break;
		}
	}
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* I1: what the subflow acknowledged but the peer did not DATA_ACK stays unacknowledged. */
static void test_honest_ack(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 1000};
	struct world w;

	open_world(&w);
	guest_sends(&w, ENGINE_STEAL, &s);
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 1101, .window = 1000};
	put_peer_ack(&w, &s.w, 101);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_ACK_HELD);
	CHECK_EQ(0, w.outs.n_pkt, 0);
	s.w.len_bytes = 0;
	put_peer_ack(&w, &s.w, 601);
	net_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(1, w.p.ack, GUEST_ISN + 601);
	/* More than was sent is no acknowledgement. */
	s.w.len_bytes = 0;
	put_peer_ack(&w, &s.w, 1102);
	s.window = 1001;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(2, engine_counter(w.e, REASON_DROP_DATA_ACK_BEYOND), 1);
	CU_ASSERT(!out(&w, 0) || w.p.ack == GUEST_ISN + 601);
	s.ack = 1102;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(3, w.r.reason, REASON_DROP_ACK_BEYOND);
	world_fini(&w);
}

/* I2: the edge told to either side is the largest granted, never more. */
static void test_windows(void)
{
	struct world w;
	/* data acknowledged, window granted with it, window field the guest must see */
	static const uint32_t row[][3] = {{101, 1000, 1000}, {101, 900, 1000}, {101, 1100, 1100}};

	open_world(&w);
	for (unsigned i = 0; i < 3; i++) {
		struct seg s = {
			.flags = TCP_ACK, .seq = 1, .ack = 101, .window = (uint16_t)row[i][1]};

		put_peer_ack(&w, &s.w, row[i][0]);
		net_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(i, w.p.window, row[i][2]);
	}
	for (unsigned i = 0; i < 3; i++) {
		struct seg s = {
			.flags = TCP_ACK, .seq = 101, .ack = 1, .window = (uint16_t)row[i][1]};

		guest_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(i, w.p.window, row[i][2]);
	}
	world_fini(&w);
}

static void net_data(struct world *w, uint32_t ssn, uint32_t data_at, uint32_t bytes)
{
	struct seg s = {
		.flags = TCP_ACK, .seq = ssn, .ack = 101, .window = 1000, .payload_bytes = bytes};

	put_peer_map(w, &s.w, 101, data_at, ssn, (uint16_t)bytes, false);
	net_sends(w, ENGINE_STEAL, &s);
}

static void guest_ack(struct world *w, uint32_t ack)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = ack, .window = 1000};

	guest_sends(w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(w, 0));
}

/*
 * The peer's zero-window probe is one old byte under a mapping of its own: the subflow's numbers
 * move on by one, the guest's do not.
 */
static void test_peer_probe(void)
{
	struct world w;

	open_world(&w);
	net_data(&w, 1, 1, 500);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(0, w.p.seq, PEER_ISN + 1);
	guest_ack(&w, 501);
	CHECK_EQ(0, w.p.ack, PEER_ISN + 501);
	CHECK_EQ(0, w.o.mp.dss.data_ack, w.idsn_peer + 501);
	net_data(&w, 501, 500, 1); /* the probe */
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(1, w.p.seq, PEER_ISN + 500);
	guest_ack(&w, 501);
	CHECK_EQ(1, w.p.ack, PEER_ISN + 502);
	CHECK_EQ(1, w.o.mp.dss.data_ack, w.idsn_peer + 501);
	net_data(&w, 502, 501, 1000);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(2, w.p.seq, PEER_ISN + 501);
	net_data(&w, 1502, 1500, 1); /* another, before anything was acknowledged */
	net_data(&w, 1503, 1501, 1000);
	CHECK_EQ(3, w.outs.n_pkt, 1);
	guest_ack(&w, 1001);
	CHECK_EQ(4, w.p.ack, PEER_ISN + 1002);
	guest_ack(&w, 1501);
	CHECK_EQ(5, w.p.ack, PEER_ISN + 1503);
	guest_ack(&w, 2501);
	CHECK_EQ(6, w.p.ack, PEER_ISN + 2503);
	CHECK_EQ(6, w.o.mp.dss.data_ack, w.idsn_peer + 2501);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static void test_sack(void)
{
	struct sack_block b[3] = {{PEER_ISN + 3001, PEER_ISN + 4001},
				  {PEER_ISN + 2001, PEER_ISN + 2501},
				  {PEER_ISN + 1001, PEER_ISN + 1501}};
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .window = 1000};
	struct world w;

	open_world(&w);
	for (unsigned i = 0; i < 3; i++) {
		struct seg d = {.flags = TCP_ACK,
				.seq = b[i].start - PEER_ISN,
				.ack = 101,
				.payload_bytes = b[i].end - b[i].start};

		dss_encode(&d.w, &(struct dss){.has_map = true,
					       .dsn = (uint32_t)w.idsn_peer + d.seq,
					       .ssn = d.seq,
					       .map_len = (uint16_t)d.payload_bytes});
		net_sends(&w, ENGINE_STEAL, &d);
		CHECK_EQ(i, w.r.reason, REASON_DATA_TO_GUEST);
	}
	options_put_timestamps(&s.w, 300, 7000);
	options_put_sack(&s.w, b, 3);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	/* Beside timestamps and a 32-bit DATA_ACK there is room for two, the newest. */
	CHECK_EQ(0, w.o.n_sack, 2);
	CHECK_EQ(0, w.o.sack[0].start, b[0].start);
	CHECK_EQ(0, w.o.sack[1].end, b[1].end);
	CU_ASSERT(w.o.has_timestamps && w.o.mp.has_dss && !w.o.mp.dss.ack64);
	net_data(&w, 1, 1, 10);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(1, w.o.n_sack, 1); /* a 64-bit DATA_ACK leaves one */
	CU_ASSERT(w.o.mp.dss.ack64);
	world_fini(&w);
}

static void test_keepalive_and_urgent(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 100, .ack = 1, .window = 1000, .payload_bytes = 1};
	struct world w;

	open_world(&w);
	guest_sends(&w, ENGINE_STEAL, &s); /* an old BSD's garbage byte */
	CHECK_EQ(0, w.r.reason, REASON_KEEPALIVE);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(0, w.p.seq, GUEST_ISN + 100);
	CHECK_EQ(0, w.p.payload_bytes, 0);
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};
	put_peer_ack(&w, &s.w, 101);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, w.r.reason, REASON_ACK_TO_GUEST);
	CU_ASSERT(out(&w, 0) && w.p.ack == GUEST_ISN + 101);
	s = (struct seg){.flags = TCP_ACK | TCP_URG, .seq = 101, .ack = 1, .payload_bytes = 5};
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT(out(&w, 0) && !(w.p.flags & TCP_URG) && w.p.payload_bytes == 5);
	world_fini(&w);
}

/* A mapping on the first segment only; segments that begin inside a mapping; a split one. */
static void test_peer_mapping(void)
{
	struct seg s = {
		.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000, .payload_bytes = 500};
	struct world w;

	open_world(&w);
	put_peer_map(&w, &s.w, 101, 1, 1, 3000, false);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_DATA_TO_GUEST);
	s.seq = 2001;
	s.w.len_bytes = 0;
	net_sends(&w, ENGINE_STEAL, &s); /* bare, out of order */
	CHECK_EQ(1, w.r.reason, REASON_DATA_TO_GUEST);
	CU_ASSERT(out(&w, 0) && w.p.seq == PEER_ISN + 2001);
	/* Coalesced beyond the mapping's end: only what is mapped goes on. */
	s.seq = 2801;
	net_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT(out(&w, 0) && w.p.payload_bytes == 200 && w.outs.n_pkt == 1);
	/* A mapping from another world. */
	s.seq = 3001;
	put_peer_map(&w, &s.w, 101, 0x70000000u, 3001, 500, false);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(3, w.r.reason, REASON_DROP_OUT_OF_WINDOW);
	CHECK_EQ(3, w.outs.n_pkt, 0);
	world_fini(&w);
}

/* What the guest lost comes again, however much of its window came behind it. */
static void test_far_behind(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .window = 32768};
	struct world w;

	open_world(&w);
	guest_sends(&w, ENGINE_STEAL, &s); /* 4 MiB */
	s = (struct seg){
		.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000, .payload_bytes = 1000};
	for (unsigned i = 0; i < 4000; i++, s.seq += 1000) {
		s.w.len_bytes = 0;
		put_peer_map(&w, &s.w, 101, s.seq, s.seq, 1000, false);
		net_sends(&w, ENGINE_STEAL, &s);
		CHECK_ROW(i, w.r.reason == REASON_DATA_TO_GUEST);
	}
	s.seq = 1;
	s.w.len_bytes = 0;
	put_peer_map(&w, &s.w, 101, 1, 1, 1000, false);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_DATA_TO_GUEST);
	CU_ASSERT(out(&w, 0) && w.p.seq == PEER_ISN + 1 && w.p.payload_bytes == 1000);
	world_fini(&w);
}

static void test_bounds(void)
{
	struct seg s = {.flags = TCP_ACK, .ack = 1, .window = 1000, .payload_bytes = 10};
	unsigned dropped = 0;
	struct world w;

	world_init(&w, FLOW_IPV4);
	w.cfg.mode = ENGINE_SINGLE;
	w.cfg.memory_bytes = 120000; /* some hundred mappings */
	CU_ASSERT_FATAL(engine_region_bytes(&w.cfg) != 0);
	world_start(&w);
	world_open(&w);
	/* Lone bytes with holes between them cannot share a record. */
	for (unsigned i = 0; i < 3000; i++) {
		s.seq = 101 + 20 * i;
		guest_sends(&w, ENGINE_STEAL, &s);
		dropped += w.r.reason == REASON_DROP_NO_MAPPING_MEMORY;
	}
	CU_ASSERT(dropped > 0 && engine_audit(w.e));
	CHECK_EQ(0, engine_counter(w.e, REASON_DROP_NO_MAPPING_MEMORY), dropped);
	/* The output array is full: counted, and the same bytes pass the next time. */
	s.seq = 101;
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, w.outs.n_pkt, 1);
	world_fini(&w);
}

/*
 * The gate's own segments go on with the guest's clock, wherever that stands: a SYN/ACK may echo 0,
 * and what was overtaken on its way does not turn it back.
 */
static void test_clock(void)
{
	static const uint32_t begins[] = {100, 0, 0x7fffff00, 0x80000000, 0xfffffff0};

	for (unsigned i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		static const unsigned later[] = {20, 30, 25};
		struct world w;

		for (unsigned lost = 0; lost < 2; lost++) {
			world_init(&w, FLOW_IPV4);
			w.guest_tsval = begins[i];
			w.peer_tsecr = lost ? 0 : begins[i];
			world_start(&w);
			world_open(&w);
			for (unsigned k = 0; k < 3; k++) {
				struct seg s = {.flags = TCP_ACK,
						.seq = 101 + k,
						.ack = 1,
						.window = 1000,
						.payload_bytes = 1};

				options_put_timestamps(&s.w, begins[i] + later[k], 7000);
				guest_sends(&w, ENGINE_STEAL, &s);
			}
			peer_adds(&w, &(struct add_addr){.family = FLOW_IPV4}, true);
			CHECK_ROW(i, join_out(&w, NULL, is_add_addr) >= 0); /* the echo */
			CHECK_EQ(i, w.o.tsval, begins[i] + 30);
			world_fini(&w);
		}
	}
}

static const struct unit_test tests[] = {
	{"mapping", test_mapping},
	{"the guest's clock", test_clock},
	{"wrap", test_wrap},
	{"honest acknowledgement", test_honest_ack},
	{"windows", test_windows},
	{"peer's probe", test_peer_probe},
	{"SACK", test_sack},
	{"keepalive, urgent", test_keepalive_and_urgent},
	{"peer's mappings", test_peer_mapping},
	{"far behind", test_far_behind},
	{"bounds", test_bounds},
};

UNIT_MAIN("engine/data", tests)
