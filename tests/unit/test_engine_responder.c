/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_responder.c - a remote client opens a connection towards a guest: SYN, SYN/ACK, third
 * ACK, first data; who stays plain, and why (RFC 8684 sections 3.1 and 3.7).
 */
#include "inbound.h"
#include "unit.h"

static void test_convert(void)
{
	for (unsigned family = FLOW_IPV4; family <= FLOW_IPV6; family += 2) {
		struct engine_conn_info info;
		struct seg s;
		struct world w;

		inbound_start(&w, (uint8_t)family);
		client_syn(&w, "1e040101");
		CHECK_EQ(family, world_claim(&w), ENGINE_CLAIM_HALF);
		CU_ASSERT_FATAL(replaced(&w));
		CHECK_EQ(family, w.o.mp.any, false);
		CHECK_EQ(family, w.o.mss, 1460 - 28);
		CHECK_EQ(family, w.p.seq, PEER_ISN);
		CU_ASSERT(w.o.has_timestamps && w.o.has_sack_permitted && w.o.has_wscale);

		guest_synack(&w);
		CHECK_EQ(family, world_claim(&w), ENGINE_CLAIM_HALF);
		CU_ASSERT(w.o.mp.has_capable && w.o.mp.capable.n_keys == 1);
		CHECK_EQ(family, w.o.mp.capable.version, 1);
		CHECK_EQ(family, w.o.mp.capable.flags, MP_CAPABLE_HMAC_SHA256);
		CHECK_EQ(family, w.o.mss, 1460);
		CHECK_EQ(family, w.p.seq, GUEST_ISN);
		CU_ASSERT(w.key_local != 0);

		client_acks(&w, w.key_local, 0);
		CHECK_EQ(family, world_claim(&w), ENGINE_CLAIM_CONVERTED);
		CHECK_EQ(family, w.r.reason, REASON_THIRD_ACK_CONVERTED);
		CU_ASSERT(replaced(&w) && !w.o.mp.any && w.o.has_timestamps);
		CHECK_EQ(family, w.p.ack, GUEST_ISN + 1);
		CHECK_EQ(family, w.outs.n_pkt, 0);
		CU_ASSERT(engine_conn_info(w.e, w.r.conn, w.tick.now_us, &info));
		CU_ASSERT_STRING_EQUAL(info.role, "responder");

		/* The server speaks first: its data has a mapping at once, no MP_CAPABLE. */
		s = (struct seg){
			.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 500, .payload_bytes = 100};
		guest_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT_FATAL(out(&w, 0));
		CU_ASSERT(flow_tuple_equal(&w.p.tuple, &w.net));
		CU_ASSERT(!w.o.mp.has_capable && w.o.mp.has_dss && w.o.mp.dss.has_map);
		CHECK_EQ(family, w.o.mp.dss.ssn, 1);
		CHECK_EQ(family, w.o.mp.dss.dsn, w.idsn_local + 1);
		CHECK_EQ(family, (uint32_t)w.o.mp.dss.data_ack, (uint32_t)(w.idsn_peer + 1));

		/* Its DATA_ACK reaches the guest as an acknowledgement. */
		s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};
		put_peer_ack(&w, &s.w, 101);
		net_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT(out(&w, 0) && w.p.ack == GUEST_ISN + 101);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* The first data carries MP_CAPABLE: behind a third ACK, instead of it, and again. */
static void test_first_data(void)
{
	for (unsigned instead = 0; instead < 2; instead++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 201, .window = 500};
		struct world w;

		inbound_start(&w, FLOW_IPV4);
		client_syn(&w, "1e040101");
		guest_synack(&w);
		if (!instead)
			client_acks(&w, w.key_local, 0);
		client_acks(&w, w.key_local, 200);
		CHECK_EQ(instead, w.r.verdict, instead ? ENGINE_REPLACE : ENGINE_STOLEN);
		CU_ASSERT(!instead || replaced(&w));
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(instead, w.p.payload_bytes, 200);
		CHECK_EQ(instead, w.p.seq, PEER_ISN + 1);
		CHECK_EQ(instead, w.o.mp.any, false);
		/* Nothing is acknowledged before the guest has (I1). */
		CHECK_EQ(instead, w.outs.n_pkt, 1);
		client_acks(&w, w.key_local, 200);
		CU_ASSERT(out(&w, 0) && w.p.payload_bytes == 200 && w.outs.n_pkt == 1);
		guest_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT(out(&w, 0) && w.o.mp.has_dss && w.o.mp.dss.has_ack);
		CHECK_EQ(instead, w.o.mp.dss.data_ack, w.idsn_peer + 201);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* MP_CAPABLE is copied on all that was cut from the first data; the first piece got lost. */
static void test_first_data_cut(void)
{
	for (unsigned instead = 0; instead < 2; instead++) {
		struct seg s = {.flags = TCP_ACK,
				.seq = 101,
				.ack = 1,
				.window = 1000,
				.payload_bytes = 100};
		struct mp_capable k = {.version = 1,
				       .flags = MP_CAPABLE_HMAC_SHA256,
				       .n_keys = 2,
				       .has_data_len = true,
				       .data_len = 200,
				       .sender_key = PEER_KEY};
		struct world w;

		inbound_start(&w, FLOW_IPV4);
		client_syn(&w, "1e040101");
		guest_synack(&w);
		if (!instead)
			client_acks(&w, w.key_local, 0);
		k.receiver_key = w.key_local;
		mp_capable_encode(&s.w, &k);
		net_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(instead, w.r.verdict, instead ? ENGINE_REPLACE : ENGINE_STOLEN);
		if (instead) {
			CU_ASSERT(replaced(&w) && w.p.seq == PEER_ISN + 1);
			CHECK_EQ(instead, world_claim(&w), ENGINE_CLAIM_CONVERTED);
		}
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(instead, w.p.seq, PEER_ISN + 101);
		CHECK_EQ(instead, w.p.payload_bytes, 100);
		s.seq = 1;
		net_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT(out(&w, 0) && w.p.seq == PEER_ISN + 1 && w.p.payload_bytes == 100);
		/* Beyond what the option covers it says nothing. */
		s.seq = 201;
		net_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT(engine_counter(w.e, REASON_FALLBACK_FIRST_DATA) == 0);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* SYNs of clients that stay plain. */
static const struct {
	const char *mptcp;
	enum reason want;
} syns[] = {
	/* 0 */ {"1e040101", REASON_SYN_STRIPPED},
	/* 1 a later version: answered with 1 */ {"1e040201", REASON_SYN_STRIPPED},
	/* 2 C flag and other algorithms beside H */ {"1e040133", REASON_SYN_STRIPPED},
	/* 3 checksums asked for */ {"1e040181", REASON_SYN_STRIPPED},
	/* 4 version 0 */ {"1e0c00011122334455667788", REASON_PLAIN_PEER_CAPABLE},
	/* 5 no H */ {"1e040102", REASON_PLAIN_PEER_CAPABLE},
	/* 6 B */ {"1e040141", REASON_PLAIN_PEER_CAPABLE},
	/* 7 a key that version 1 does not have here */
	{"1e0c01011122334455667788", REASON_PLAIN_PEER_CAPABLE},
	/* 8 */ {"", REASON_PLAIN_UNKNOWN},
	/* 9 */ {"1e040101 2202", REASON_PLAIN_TFO},
	/* 10 */ {"1e040101 1d0400000000", REASON_PLAIN_AO},
};

static void test_syns(void)
{
	for (unsigned i = 0; i < sizeof(syns) / sizeof(syns[0]); i++) {
		struct world w;

		inbound_start(&w, FLOW_IPV4);
		client_syn(&w, syns[i].mptcp);
		CHECK_EQ(i, w.r.reason, syns[i].want);
		if (syns[i].want == REASON_SYN_STRIPPED) {
			guest_synack(&w);
			CU_ASSERT(replaced(&w) && w.o.mp.capable.version == 1);
			CHECK_EQ(i, w.o.mp.capable.flags, i == 3 ? 0x81 : 0x01);
		} else {
			CHECK_EQ(i, w.r.verdict, ENGINE_ACCEPT);
			CHECK_EQ(i, world_claim(&w), ENGINE_CLAIM_RELEASED);
			CHECK_EQ(i, engine_connections(w.e), 0);
		}
		world_fini(&w);
	}
}

/* Policy: the port that is called is the guest's. */
static void test_policy(void)
{
	struct world w;

	for (unsigned i = 0; i < 2; i++) {
		world_init(&w, FLOW_IPV4);
		w.cfg.n_policies = 1;
		w.cfg.policy[0] = (struct engine_policy){.use = ENGINE_NEVER};
		w.cfg.policy[0].peer_port_min = w.cfg.policy[0].peer_port_max =
			i ? w.guest.src_port : w.guest.dst_port;
		world_start(&w);
		client_syn(&w, "1e040101");
		CHECK_EQ(i, w.r.reason, i ? REASON_PLAIN_POLICY : REASON_SYN_STRIPPED);
		world_fini(&w);
	}
}

/* SYN and SYN/ACK again; a guest with SYN cookies may answer with another number. */
static void test_again(void)
{
	uint64_t key;
	struct world w;

	inbound_start(&w, FLOW_IPV4);
	client_syn(&w, "1e040101");
	client_syn(&w, "1e040101");
	CU_ASSERT(replaced(&w) && !w.o.mp.any);
	guest_synack(&w);
	key = w.key_local;
	client_syn(&w, "1e040101");
	CU_ASSERT(replaced(&w) && !w.o.mp.any);
	guest_synack(&w);
	CHECK_EQ(0, w.key_local, key);
	w.guest_isn += 100000;
	guest_synack(&w);
	CU_ASSERT(replaced(&w) && w.o.mp.has_capable);
	CHECK_EQ(0, w.key_local, key);
	CHECK_EQ(0, engine_connections(w.e), 1);
	client_acks(&w, key, 0);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_CONVERTED);
	/* The guest did not get it: its SYN/ACK is answered here. */
	guest_synack(&w);
	CHECK_EQ(0, w.r.verdict, ENGINE_STOLEN);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_GUEST);
	CHECK_EQ(0, w.p.ack, w.guest_isn + 1);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* The same where the client has been answered, and its SYN is met before routing alone. */
static void test_retries_answered(void)
{
	struct seg s = {.flags = TCP_SYN, .window = 1000};
	struct world w;

	inbound_start(&w, FLOW_IPV4);
	client_syn(&w, "1e040101");
	guest_synack(&w);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_HALF);
	w.peer_isn++;
	net_sends(&w, ENGINE_STEAL, &s); /* another connection's */
	w.peer_isn--;
	CHECK_EQ(0, engine_connections(w.e), 1);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(0, engine_connections(w.e), 0);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_RELEASED);
	guest_synack(&w);
	CHECK_EQ(1, w.r.verdict, ENGINE_ACCEPT);
	world_fini(&w);
}

/* The client's third SYN comes without MP_CAPABLE: plain. */
static void test_retries(void)
{
	struct world w;

	inbound_start(&w, FLOW_IPV4);
	client_syn(&w, "1e040101");
	client_syn(&w, "");
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_RELEASED);
	CHECK_EQ(0, engine_connections(w.e), 0);
	guest_synack(&w);
	CHECK_EQ(0, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_RELEASED);
	world_fini(&w);
}

/* What comes instead of a third ACK with both keys. */
static void test_third_ack(void)
{
	static const struct {
		const char *options;
		uint8_t flags;
		uint32_t seq, ack;
		enum reason want;
		enum engine_verdict verdict;
		uint32_t left; /* records afterwards */
	} rows[] = {
		/* 0 options are gone */
		{"", TCP_ACK, 1, 1, REASON_FALLBACK_THIRD_ACK, ENGINE_ACCEPT, 0},
		/* 1 a DSS alone */
		{"1e080001 00000001", TCP_ACK, 1, 1, REASON_FALLBACK_THIRD_ACK, ENGINE_ACCEPT, 0},
		/* 2 not our key */
		{"1e140101 1111111111111111 2222222222222222", TCP_ACK, 1, 1,
		 REASON_FALLBACK_THIRD_ACK, ENGINE_ACCEPT, 0},
		/* 3 later data overtook it: comes again */
		{"1e080001 00000001", TCP_ACK, 500, 1, REASON_DROP_STATE, ENGINE_DROP, 1},
		/* 4 of an older connection */
		{"", TCP_ACK, 1, 77, REASON_PLAIN_UNKNOWN, ENGINE_ACCEPT, 1},
		/* 5 */ {"", TCP_RST, 1, 0, REASON_CLOSED_REFUSED, ENGINE_ACCEPT, 0},
		/* 6 a forged RST */ {"", TCP_RST, 9, 0, REASON_CLOSED_REFUSED, ENGINE_ACCEPT, 1},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seg s = {.flags = rows[i].flags,
				.seq = rows[i].seq,
				.ack = rows[i].ack,
				.window = 1000};
		struct world w;

		inbound_start(&w, FLOW_IPV4);
		client_syn(&w, "1e040101");
		guest_synack(&w);
		inbound_hex(&s, rows[i].options);
		net_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(i, w.r.reason, rows[i].want);
		CHECK_EQ(i, w.r.verdict, rows[i].verdict);
		CHECK_EQ(i, engine_connections(w.e), rows[i].left);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/*
 * What was queued behind a third ACK that makes the connection plain goes on, although this is a
 * place where the gate has had connections: the client learns only now, and would be reset.
 */
static void test_queued_behind_plain(void)
{
	struct seg bare = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
	struct world w;

	inbound_open(&w, FLOW_IPV4);
	w.guest.dst_port++;
	w.net.dst_port++;
	w.mark_half = true;
	client_syn(&w, "1e040101");
	guest_synack(&w);
	net_sends(&w, ENGINE_STEAL, &bare);
	CHECK_EQ(0, w.r.reason, REASON_FALLBACK_THIRD_ACK);
	client_acks(&w, w.key_local, 100);
	CHECK_EQ(0, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(0, w.r.reason, REASON_PLAIN_UNKNOWN);
	CHECK_EQ(0, w.outs.n_pkt, 0);
	w.mark_half = false; /* of an older connection, which the gate has forgotten */
	client_acks(&w, w.key_local, 100);
	CHECK_EQ(1, w.r.reason, REASON_DROP_NO_SUBFLOW);
	world_fini(&w);
}

/* The first data after a good third ACK has no mapping: something removes options. */
static void test_first_data_stripped(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000, .payload_bytes = 10};
	struct world w;

	inbound_open(&w, FLOW_IPV4);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_RELEASED);
	CHECK_EQ(0, engine_counter(w.e, REASON_FALLBACK_FIRST_DATA), 1);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"convert", test_convert},
	{"first data", test_first_data},
	{"first data cut", test_first_data_cut},
	{"SYNs", test_syns},
	{"policy", test_policy},
	{"SYN and SYN/ACK again", test_again},
	{"SYN retries", test_retries},
	{"plain retry, answered", test_retries_answered},
	{"third ACKs", test_third_ack},
	{"first data without options", test_first_data_stripped},
	{"what was queued behind a plain third ACK", test_queued_behind_plain},
};

UNIT_MAIN("engine/responder", tests)
