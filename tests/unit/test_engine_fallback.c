/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_fallback.c - connections that cannot stay Multipath TCP (RFC 8684 section 3.7), and
 * DSS checksums.
 */
#include "exchange.h"

/* What the peer's first packets say, and what becomes of the connection. */
static const struct {
	const char *options;
	uint32_t bytes;
	bool opened;
	enum reason want;
} falls[] = {
	/* 0 first ACK without DSS */ {"", 0, false, REASON_FALLBACK_FIRST_ACK},
	/* 1 first data without DSS */ {"", 50, false, REASON_FALLBACK_FIRST_DATA},
	/* 2 infinite mapping */
	{"1e12200410000000000000000000000000010000", 50, true, REASON_FALLBACK_INFINITE},
};

static void test_fallback(void)
{
	for (unsigned i = 0; i < sizeof(falls) / sizeof(falls[0]); i++) {
		struct seg s = {.flags = TCP_ACK,
				.seq = 1,
				.ack = 101,
				.window = 1000,
				.payload_bytes = falls[i].bytes};
		struct world w;

		world_init(&w, FLOW_IPV4);
		world_start(&w);
		if (falls[i].opened) {
			world_open(&w);
		} else {
			world_handshake(&w);
			guest(&w, 0, 1, 1, 100);
		}
		if (i == 2)
			dss_encode(&s.w, &(struct dss){.has_map = true, .dsn64 = true, .ssn = 1});
		else
			s.w.len_bytes = (uint8_t)unit_hex(s.w.buf, OPTIONS_MAX, falls[i].options);
		net_sends(&w, ENGINE_STEAL, &s);
		/* Both legs have the same numbers: the kernel takes over at once. */
		CHECK_EQ(i, w.r.verdict, ENGINE_ACCEPT);
		CHECK_EQ(i, world_claim(&w), ENGINE_CLAIM_RELEASED);
		CHECK_EQ(i, engine_counter(w.e, falls[i].want), 1);
		/* What was queued meanwhile goes the same way, then the record is given back. */
		guest(&w, 0, 101, 1, 10);
		CHECK_EQ(i, w.r.verdict, ENGINE_ACCEPT);
		CHECK_EQ(i, world_claim(&w), ENGINE_CLAIM_RELEASED);
		world_pass(&w, 6000000);
		CHECK_EQ(i, engine_connections(w.e), 0);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/*
 * The legs' numbers differ, as data was mapped twice, and the guest's FIN came before the bytes in
 * front of it: those have their place behind what was sent, and the peer's answers come back there.
 */
static void test_fallback_fin(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 2101, .window = 1000};

	for (unsigned fin = 0; fin < 2; fin++) {
		struct world w;

		open_world(&w);
		guest(&w, 0, 101, 1, 1000);
		net(&w, 0, 1, 1101, 101, 0, 0, false);
		guest(&w, 0, 101, 1, 1000);
		guest(&w, 0, 101, 1, 1000);
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(fin, w.p.seq, GUEST_ISN + 1101);
		if (fin)
			guest(&w, TCP_FIN, 3101, 1, 0);
		net(&w, 0, 1, 2101, 1101, 0, 0, false);
		s.payload_bytes = 50;
		s.w.len_bytes = 0;
		dss_encode(&s.w, &(struct dss){.has_map = true, .dsn64 = true, .ssn = 1});
		net_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(fin, engine_counter(w.e, REASON_FALLBACK_INFINITE), 1);
		CHECK_EQ(fin, w.r.verdict, ENGINE_STOLEN);
		CU_ASSERT(out(&w, 0) && w.p.ack == GUEST_ISN + 1101);
		guest(&w, fin ? TCP_FIN : 0, 1101, 51, 2000);
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(fin, w.p.seq, GUEST_ISN + 2101);
		CHECK_EQ(fin, w.p.payload_bytes, 2000);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* Where TCP could not go on with the right bytes, the connection ends: both ends hear of it. */
static void test_no_fallback(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 9, .payload_bytes = 50};
	struct world w;

	open_world(&w);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_RST_TO_GUEST);
	CHECK_EQ(0, engine_counter(w.e, REASON_CLOSED_UNMAPPED), 1);
	CHECK_EQ(0, w.outs.n_pkt, 2);
	CU_ASSERT(out(&w, 0) && (w.p.flags & TCP_RST) && w.pkt[0].side == ENGINE_GUEST);
	CHECK_EQ(0, w.p.seq, PEER_ISN + 1);
	CU_ASSERT(out(&w, 1) && (w.p.flags & TCP_RST) && w.o.mp.has_fastclose);
	world_fini(&w);
	/* MP_FAIL after the guest's DATA_FIN, then segments without DSS. */
	open_world(&w);
	guest(&w, TCP_FIN, 101, 1, 0);
	net(&w, 0, 1, 101, 102, 0, 0, false);
	s.payload_bytes = 0;
	mp_fail_encode(&s.w, 1);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, engine_counter(w.e, REASON_FALLBACK_MP_FAIL), 1);
	s.w.len_bytes = 0;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(2, engine_counter(w.e, REASON_CLOSED_NO_FALLBACK), 1);
	CHECK_EQ(2, w.outs.n_pkt, 2);
	world_fini(&w);
}

/*
 * The peer's MP_FAIL (RFC 8684 section 3.7): answered with MP_FAIL, what the guest sends then goes
 * under an infinite mapping, and what the peer maps still is translated until it stops to.
 */
static void test_mp_fail(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};
	struct world w;

	open_world(&w);
	put_peer_ack(&w, &s.w, 101);
	mp_fail_encode(&s.w, 1);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, engine_counter(w.e, REASON_FALLBACK_MP_FAIL), 1);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_NET && w.o.mp.has_fail);
	net_sends(&w, ENGINE_STEAL, &s); /* at once again: it is told once in a round trip */
	CHECK_EQ(1, engine_counter(w.e, REASON_FALLBACK_MP_FAIL), 1);
	for (unsigned i = 0; i < w.outs.n_pkt; i++)
		CU_ASSERT(out(&w, i) && !w.o.mp.has_fail);
	guest(&w, 0, 101, 1, 50);
	CU_ASSERT(out(&w, 0) && w.p.payload_bytes == 50 && w.o.mp.has_dss);
	CU_ASSERT(w.o.mp.dss.has_map && w.o.mp.dss.map_len == 0 && w.o.mp.dss.has_ack);
	CU_ASSERT(w.o.mp.dss.ssn == 101 && w.o.mp.dss.dsn == w.idsn_local + 101);
	/* Old data further on is old data to the guest. */
	net(&w, 0, 1, 101, 101, 1, 40, false);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_GUEST && w.p.seq == PEER_ISN + 1);
	s.w.len_bytes = 0;
	s.ack = 151;
	s.seq = 41;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(2, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(2, world_claim(&w), ENGINE_CLAIM_RELEASED);
	CHECK_EQ(2, engine_counter(w.e, REASON_FALLBACK_MP_FAIL), 1);
	world_fini(&w);
}

/*
 * Words about addresses and priorities have no DSS; they are no sign that something removes it,
 * not even where they are the first that is heard of the peer (its first DSS was lost).
 */
static void signals(bool opened)
{
	/* REMOVE_ADDR of ids 2 and 3, MP_PRIO with B */
	static const char *const words[] = {"1e05 40 02 03 01 01 01", "1e03 51 01"};
	struct world w;

	world_init(&w, FLOW_IPV4);
	world_start(&w);
	if (opened)
		world_open(&w);
	else
		world_handshake(&w);
	guest(&w, 0, opened ? 101 : 1, 1, 100);
	for (unsigned i = 0; i < 8; i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};

		s.w.len_bytes = (uint8_t)unit_hex(s.w.buf, OPTIONS_MAX, words[i % 2]);
		world_pass(&w, 300000);
		net_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(i, world_claim(&w), ENGINE_CLAIM_CONVERTED);
		CHECK_EQ(i, engine_counter(w.e, REASON_FALLBACK_FIRST_ACK), 0);
	}
	world_fini(&w);
}

static void test_signals(void)
{
	signals(true);
	signals(false);
}

/* Three acknowledgements of data in a row without DSS: something began to remove options. */
static void test_stripped_acks(void)
{
	struct world w;

	open_world(&w);
	for (unsigned i = 0; i < 3; i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 201 + 100 * i, .window = 1000};

		guest(&w, 0, 101 + 100 * i, 1, 100);
		net_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(i, world_claim(&w), ENGINE_CLAIM_CONVERTED);
	}
	/* Not at once: a proxy may be quicker than the peer itself. */
	world_pass(&w, 600000);
	guest(&w, 0, 301, 1, 100);
	net_sends(&w, ENGINE_STEAL,
		  &(struct seg){.flags = TCP_ACK, .seq = 1, .ack = 401, .window = 9});
	CHECK_EQ(3, world_claim(&w), ENGINE_CLAIM_RELEASED);
	CHECK_EQ(3, engine_counter(w.e, REASON_FALLBACK_FIRST_ACK), 1);
	world_fini(&w);
}

static void csum_map(struct world *w, struct options_writer *o, uint16_t csum)
{
	dss_encode(o, &(struct dss){.has_ack = true,
				    .data_ack = (uint32_t)(w->idsn_local + 101),
				    .has_map = true,
				    .dsn64 = true,
				    .dsn = w->idsn_peer + 1,
				    .ssn = 1,
				    .map_len = 101,
				    .has_csum = true,
				    .csum = csum});
}

/* Checksums: asked for by the peer, sent on every mapping, verified, MP_FAIL when wrong. */
static void test_checksum(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .payload_bytes = 51};
	struct world w;

	world_init(&w, FLOW_IPV4);
	w.timestamps = false;
	w.peer_checksum = true;
	world_start(&w);
	world_open(&w);
	CHECK_EQ(0, w.r.reason, REASON_ACK_TO_GUEST);
	guest(&w, 0, 101, 1, 99);
	CU_ASSERT_FATAL(out(&w, 0));
	CU_ASSERT(w.o.mp.dss.has_csum && w.o.mp.dss.csum != 0);
	/* Two segments of odd length under one mapping; its checksum is wrong. */
	csum_map(&w, &s.w, 0x1234);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, w.r.reason, REASON_DATA_TO_GUEST);
	s.seq = 52;
	s.payload_bytes = 50;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(2, w.r.reason, REASON_FALLBACK_CHECKSUM);
	CU_ASSERT_FATAL(out(&w, 1));
	CU_ASSERT(w.o.mp.has_fail && w.o.mp.fail_dsn == w.idsn_peer + 1);
	world_fini(&w);
}

/* A guest that makes its segments smaller than a mapping with checksum was. */
static void test_split(void)
{
	struct world w;

	world_init(&w, FLOW_IPV4);
	w.peer_checksum = true;
	world_start(&w);
	world_open(&w);
	guest(&w, 0, 101, 1, 1000);
	net(&w, 0, 1, 601, 101, 0, 0, false); /* half of it arrived */
	for (unsigned i = 0; i < 5; i++) {
		guest(&w, 0, 101, 1, 500);
		CHECK_EQ(i, w.r.reason, REASON_DATA_TO_NET);
	}
	guest(&w, 0, 101, 1, 1000); /* whole: no cause to give up */
	CHECK_EQ(5, w.r.reason, REASON_DATA_TO_NET);
	guest(&w, 0, 101, 1, 500);
	CHECK_EQ(6, engine_counter(w.e, REASON_CLOSED_SPLIT), 1);
	CHECK_EQ(6, w.outs.n_pkt, 2);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"fallback", test_fallback},       {"fallback, a FIN before lost data", test_fallback_fin},
	{"no fallback", test_no_fallback}, {"MP_FAIL", test_mp_fail},
	{"split mapping", test_split},     {"stripped acknowledgements", test_stripped_acks},
	{"signals", test_signals},         {"checksum", test_checksum},
};

UNIT_MAIN("engine/fallback", tests)
