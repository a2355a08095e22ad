/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_handshake.c - SYN, SYN/ACK, third ACK, first data; who stays plain, and why.
 */
#include "unit.h"
#include "world.h"

static void test_convert(void)
{
	for (unsigned family = FLOW_IPV4; family <= FLOW_IPV6; family += 2) {
		struct world w;
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};

		world_init(&w, (uint8_t)family);
		world_start(&w);
		world_handshake(&w);
		/* The SYN/ACK as the guest sees it: no MPTCP, room for 28 bytes of options. */
		CU_ASSERT(replaced(&w));
		CHECK_EQ(family, world_claim(&w), ENGINE_CLAIM_CONVERTED);
		CHECK_EQ(family, w.o.mp.any, false);
		CHECK_EQ(family, w.o.mss, 1460 - 28);
		CHECK_EQ(family, w.p.seq, PEER_ISN);
		CU_ASSERT(w.o.has_timestamps && w.o.has_sack_permitted && w.o.has_wscale);

		guest_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(family, w.r.verdict, ENGINE_STOLEN);
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(family, w.outs.n_pkt, 1);
		CU_ASSERT(flow_tuple_equal(&w.p.tuple, &w.net));
		CU_ASSERT(w.o.mp.has_capable);
		CHECK_EQ(family, w.o.mp.capable.n_keys, 2);
		CHECK_EQ(family, w.o.mp.capable.receiver_key, PEER_KEY);
		CHECK_EQ(family, w.o.mp.capable.flags, MP_CAPABLE_HMAC_SHA256);
		w.key_local = w.o.mp.capable.sender_key;
		CU_ASSERT(w.key_local != 0);

		s.payload_bytes = 100;
		guest_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT_FATAL(out(&w, 0));
		CU_ASSERT(w.o.mp.has_capable && w.o.mp.capable.has_data_len);
		CHECK_EQ(family, w.o.mp.capable.data_len, 100);
		CHECK_EQ(family, w.p.payload_bytes, 100);
		CU_ASSERT(memcmp(w.p.payload, w.bytes + (family == 4 ? 40 : 60), 100) == 0);
		/* A second segment before the peer's first DSS has a mapping of its own. */
		s.seq = 101;
		guest_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT_FATAL(out(&w, 0));
		CU_ASSERT(!w.o.mp.has_capable && w.o.mp.has_dss && w.o.mp.dss.has_map);
		CHECK_EQ(family, w.o.mp.dss.ssn, 101);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

static void test_synack_again(void)
{
	struct world w;
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 9};
	uint8_t first[ENGINE_HEADER_MAX];
	uint64_t key;

	world_init(&w, FLOW_IPV4);
	world_start(&w);
	world_handshake(&w);
	memcpy(first, w.r.replacement, sizeof(first));
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT(out(&w, 0));
	key = w.o.mp.capable.sender_key;
	/* The SYN comes again (an old copy), the SYN/ACK comes again: nothing changes. */
	world_handshake(&w);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_CONVERTED);
	CU_ASSERT(memcmp(first, w.r.replacement, w.r.replacement_bytes) == 0);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT(out(&w, 0) && w.o.mp.has_capable);
	CHECK_EQ(0, w.o.mp.capable.sender_key, key);
	CHECK_EQ(0, engine_connections(w.e), 1);
	world_fini(&w);
}

/* Guest SYNs that must stay plain. */
static const struct {
	const char *options;
	uint32_t payload_bytes;
	enum reason want;
	bool dropped;
} syns[] = {
	/* 0 */ {"020405b4", 0, REASON_SYN_MP_CAPABLE, false},
	/* 1 MPTCP of the guest's own */ {"1e040101", 0, REASON_PLAIN_GUEST_MPTCP, false},
	/* 2 v0 of the guest's own */
	{"1e0c00811122334455667788", 0, REASON_PLAIN_GUEST_MPTCP, false},
	/* 3 cookie request */ {"2202", 0, REASON_PLAIN_TFO, false},
	/* 4 data in the SYN */ {"020405b4", 10, REASON_PLAIN_TFO, false},
	/* 5 */ {"131200112233445566778899aabbccddeeff", 0, REASON_PLAIN_MD5, false},
	/* 6 */ {"1d0400000000", 0, REASON_PLAIN_AO, false},
	/* 7 no four bytes left */
	{"020405b4 0402 080a0000000100000000 030307 fd13000000000000000000000000000000000000", 0,
	 REASON_PLAIN_NO_ROOM, false},
	/* 8 overrun */ {"020405b4 0814", 0, REASON_DROP_BAD_OPTION, true},
};

static void test_syns(void)
{
	for (unsigned i = 0; i < sizeof(syns) / sizeof(syns[0]); i++) {
		struct seg s = {.flags = TCP_SYN, .payload_bytes = syns[i].payload_bytes};
		struct world w;

		world_init(&w, FLOW_IPV4);
		world_start(&w);
		s.w.len_bytes = (uint8_t)unit_hex(s.w.buf, OPTIONS_MAX, syns[i].options);
		guest_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(i, w.r.reason, syns[i].want);
		if (i == 0) {
			CU_ASSERT(replaced(&w) && w.o.mp.has_capable);
			CHECK_EQ(i, w.o.mp.capable.n_keys, 0);
			CHECK_EQ(i, w.o.mss, 1460);
			CHECK_EQ(i, w.p.seq, GUEST_ISN);
		} else {
			CHECK_EQ(i, w.r.verdict, syns[i].dropped ? ENGINE_DROP : ENGINE_ACCEPT);
			CHECK_EQ(i, world_claim(&w), ENGINE_CLAIM_RELEASED);
			CHECK_EQ(i, engine_connections(w.e), 0);
		}
		world_fini(&w);
	}
}

/* SYN/ACKs after which the connection is plain. */
static const struct {
	const char *mptcp;
	enum reason want;
} synacks[] = {
	/* 0 */ {"", REASON_FALLBACK_SYNACK},
	/* 1 key of 0 */ {"1e0c01010000000000000000", REASON_FALLBACK_SYNACK_INVALID},
	/* 2 version 0 */ {"1e0c00010000000000000001", REASON_FALLBACK_SYNACK_INVALID},
	/* 3 version 2 */ {"1e0c02010000000000000001", REASON_FALLBACK_SYNACK_INVALID},
	/* 4 B flag */ {"1e0c01410000000000000001", REASON_FALLBACK_SYNACK_INVALID},
	/* 5 no H */ {"1e0c01000000000000000001", REASON_FALLBACK_SYNACK_INVALID},
	/* 6 a copied SYN option */ {"1e040101", REASON_FALLBACK_SYNACK_INVALID},
	/* 7 unknown subtype */ {"1e0490ff", REASON_FALLBACK_SYNACK_INVALID},
};

static void test_synacks(void)
{
	for (unsigned i = 0; i < 8; i++) {
		struct seg s = {.flags = TCP_SYN};
		struct world w;

		world_init(&w, FLOW_IPV4);
		world_start(&w);
		options_put_mss(&s.w, 1460);
		guest_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(i, w.r.verdict, ENGINE_REPLACE);
		s.flags = TCP_SYN | TCP_ACK;
		s.ack = 1;
		s.w.len_bytes += (uint8_t)unit_hex(s.w.buf + s.w.len_bytes, 30, synacks[i].mptcp);
		net_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(i, w.r.reason, synacks[i].want);
		CHECK_EQ(i, world_claim(&w), ENGINE_CLAIM_RELEASED);
		CHECK_EQ(i, w.r.verdict, i == 0 ? ENGINE_ACCEPT : ENGINE_REPLACE);
		if (i > 0)
			CU_ASSERT(replaced(&w) && !w.o.mp.any && w.o.mss == 1460);
		CHECK_EQ(i, engine_connections(w.e), 0);
		world_fini(&w);
	}
}

static void test_retries_and_blackhole(void)
{
	struct seg s = {.flags = TCP_SYN};
	struct world w;

	world_init(&w, FLOW_IPV4);
	world_start(&w);
	options_put_mss(&s.w, 1460);
	for (unsigned i = 0; i < 2; i++) {
		guest_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(i, w.r.verdict, ENGINE_REPLACE);
	}
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(3, w.r.reason, REASON_PLAIN_SYN_RETRIES);
	CHECK_EQ(3, w.r.verdict, ENGINE_ACCEPT);
	s.flags = TCP_SYN | TCP_ACK;
	s.ack = 1;
	net_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(4, world_claim(&w), ENGINE_CLAIM_RELEASED);
	/* The destination is remembered, for an hour, on this path. */
	w.guest.src_port++;
	s.flags = TCP_SYN;
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(5, w.r.reason, REASON_PLAIN_BLACKHOLE);
	w.guest.dst.b[3]++;
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(6, w.r.reason, REASON_SYN_MP_CAPABLE);
	w.guest.dst.b[3]--;
	world_pass(&w, 3601ull * 1000000);
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(7, w.r.reason, REASON_SYN_MP_CAPABLE);
	world_fini(&w);
}

static void test_limits(void)
{
	struct seg s = {.flags = TCP_SYN};
	struct world w;

	world_init(&w, FLOW_IPV6);
	w.cfg.n_policies = 1;
	w.cfg.policy[0] = (struct engine_policy){
		.use = ENGINE_NEVER, .peer_port_min = 22, .peer_port_max = 25};
	world_start(&w);
	options_put_mss(&s.w, 1440);
	for (unsigned i = 0; i < 16; i++) {
		w.guest.src_port++;
		guest_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(i, w.r.reason, REASON_SYN_MP_CAPABLE);
	}
	w.guest.src_port++;
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(16, w.r.reason, REASON_PLAIN_TABLE_FULL);
	/* Unanswered SYNs give their records back. */
	world_pass(&w, 131ull * 1000000);
	CHECK_EQ(17, engine_connections(w.e), 0);
	CHECK_EQ(17, engine_counter(w.e, REASON_CLOSED_SYN_TIMEOUT), 16);
	w.guest.dst_port = 25;
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(18, w.r.reason, REASON_PLAIN_POLICY);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static void test_refused(void)
{
	struct seg s = {.flags = TCP_SYN};
	struct world w;

	world_init(&w, FLOW_IPV4);
	world_start(&w);
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	s.flags = TCP_RST | TCP_ACK;
	s.ack = 2;
	net_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(0, engine_connections(w.e), 1);
	s.ack = 1;
	net_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(1, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(1, w.r.reason, REASON_CLOSED_REFUSED);
	CHECK_EQ(1, engine_connections(w.e), 0);
	world_fini(&w);
}

/* The guest reuses its port while the old connection's record still stands (TIME_WAIT). */
static void test_reuse(void)
{
	struct seg s = {.flags = TCP_SYN};
	struct world w;

	world_init(&w, FLOW_IPV4);
	world_start(&w);
	world_open(&w);
	/* On a living connection a SYN is challenged, and the connection stays. */
	s.seq = 77777;
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(0, w.r.reason, REASON_DROP_SYN_CHALLENGED);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_GUEST && w.p.ack == GUEST_ISN + 101);
	/* A guest that knows nothing of it answers with the RST that ends it. */
	s = (struct seg){.flags = TCP_RST, .seq = 101};
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_RST_TO_NET);
	w.guest_isn += 77777;
	w.peer_isn += 4444;
	world_open(&w);
	CU_ASSERT(w.key_local != 0);
	CHECK_EQ(0, engine_connections(w.e), 1);
	CHECK_EQ(0, w.r.reason, REASON_ACK_TO_GUEST);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"convert", test_convert},
	{"SYN/ACK again", test_synack_again},
	{"plain SYNs", test_syns},
	{"plain SYN/ACKs", test_synacks},
	{"retries and blackhole", test_retries_and_blackhole},
	{"limits", test_limits},
	{"refused", test_refused},
	{"4-tuple reuse", test_reuse},
};

UNIT_MAIN("engine/handshake", tests)
