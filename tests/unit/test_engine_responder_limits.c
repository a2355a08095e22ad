/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_responder_limits.c - a remote client's connection where things go wrong: options that
 * vanish, guests that refuse, floods, forgeries, tuples that come again.
 */
#include "inbound.h"
#include "unit.h"

/*
 * Options of ours vanish: the client's first data still has its own, what it sends when it has seen
 * our first acknowledgement has none. Soon enough that is fallback, later nobody can tell.
 */
static void test_unheard(void)
{
	for (unsigned late = 0; late < 2; late++) {
		struct seg s = {.flags = TCP_ACK,
				.seq = 201,
				.ack = 1,
				.window = 1000,
				.payload_bytes = 100};
		struct world w;

		inbound_open(&w, FLOW_IPV4);
		client_acks(&w, w.key_local, 200);
		CU_ASSERT(out(&w, 0) && w.p.payload_bytes == 200);
		world_pass(&w, late ? 200000 : 50000);
		net_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(late, w.r.verdict, late ? ENGINE_STOLEN : ENGINE_ACCEPT);
		CHECK_EQ(late, engine_counter(w.e, REASON_FALLBACK_UNMAPPED), !late);
		CHECK_EQ(late, engine_counter(w.e, REASON_CLOSED_UNMAPPED), late);
		world_fini(&w);
	}
}

/* The guest refuses, is silent, or answers something that was not asked. */
static void test_guest_refuses(void)
{
	struct seg s = {.flags = TCP_RST | TCP_ACK, .seq = 0, .ack = 1};
	struct world w;

	inbound_start(&w, FLOW_IPV4);
	client_syn(&w, "1e040101");
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(0, engine_connections(w.e), 0);
	client_syn(&w, "1e040101");
	CHECK_EQ(0, engine_connections(w.e), 1);
	world_pass(&w, 11000000);
	CHECK_EQ(0, engine_connections(w.e), 0);
	CHECK_EQ(0, w.outs.n_pkt, 0);
	/* Later than we cared to wait: plain, and the kernel need not ask again. */
	guest_synack(&w);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_RELEASED);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/*
 * What a guest answers that leaves the connection plain: its SYN/ACK goes on as it is, and the
 * record is given back.
 */
static void test_synack_plain(void)
{
	static const struct {
		const char *options;
		uint32_t payload_bytes;
		enum reason reason;
	} rows[] = {
		/* 0 MPTCP of the guest's own */
		{"020405b4 1e0c0101 0102030405060708", 0, REASON_PLAIN_GUEST_MPTCP},
		/* 1 data, as TCP Fast Open has it */
		{"020405b4", 10, REASON_PLAIN_GUEST_MPTCP},
		/* 2 MD5 */
		{"020405b4 1312 00000000000000000000000000000000", 0, REASON_PLAIN_MD5},
		/* 3 AO */
		{"020405b4 1d0400000000", 0, REASON_PLAIN_AO},
		/* 4 no room behind all this */
		{"020405b4 0402 080a0000006400001b58 01030306 fd0a0000000000000000 0101", 0,
		 REASON_PLAIN_NO_ROOM},
		/* 5 a length beyond the end */
		{"020405b4 0801 fdff", 0, REASON_PLAIN_GUEST_MPTCP},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seg s = {.flags = TCP_SYN | TCP_ACK,
				.ack = 1,
				.window = 1000,
				.payload_bytes = rows[i].payload_bytes};
		struct world w;

		inbound_start(&w, FLOW_IPV4);
		client_syn(&w, "1e040101");
		inbound_hex(&s, rows[i].options);
		guest_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(i, w.r.verdict, ENGINE_ACCEPT);
		CHECK_EQ(i, w.r.reason, rows[i].reason);
		CHECK_EQ(i, w.outs.n_pkt, 0);
		CHECK_EQ(i, engine_connections(w.e), 0);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* A SYN/ACK of an older connection changes nothing; one without an MSS, or one of 4, is taken. */
static void test_synack_odd(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct seg s = {.flags = TCP_SYN | TCP_ACK, .ack = 99, .window = 1000};
		struct world w;

		inbound_start(&w, i ? FLOW_IPV6 : FLOW_IPV4);
		client_syn(&w, "1e040101");
		guest_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(i, w.r.verdict, ENGINE_ACCEPT);
		CHECK_EQ(i, engine_connections(w.e), 1);
		s.ack = 1;
		if (i)
			inbound_hex(&s, "02040004");
		guest_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(i, w.r.verdict, ENGINE_REPLACE);
		CU_ASSERT_FATAL(replaced(&w) && w.o.mp.has_capable);
		w.key_local = w.o.mp.capable.sender_key;
		client_acks(&w, w.key_local, 0);
		CHECK_EQ(i, w.r.reason, REASON_THIRD_ACK_CONVERTED);
		/* What comes for the guest is cut to what every host takes. */
		client_acks(&w, w.key_local, 3000);
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(i, w.pkt[0].side, ENGINE_GUEST);
		CHECK_ROW(i, w.pkt[0].gso_size_bytes <= (i ? 1220 : 536));
		world_fini(&w);
	}
}

/* A flood of SYNs, with and without answers of the guest, fills its share and no more. */
static void test_flood(void)
{
	unsigned plain = 0, half = 0;
	struct world w;

	world_init(&w, FLOW_IPV4);
	w.cfg.max_connections = 256;
	world_start(&w);
	for (unsigned i = 0; i < 1000; i++) {
		w.guest.dst_port = w.net.dst_port = (uint16_t)(1000 + i);
		client_syn(&w, "1e040101");
		plain += w.r.reason == REASON_PLAIN_HALF_OPEN;
		half += w.r.reason == REASON_SYN_STRIPPED;
		if (i % 2)
			guest_synack(&w);
	}
	CHECK_EQ(0, half, 32);
	CHECK_EQ(0, plain, 968);
	CHECK_EQ(0, engine_connections(w.e), 32);
	CU_ASSERT(engine_audit(w.e));
	world_pass(&w, 11000000);
	CHECK_EQ(0, engine_connections(w.e), 0);
	client_syn(&w, "1e040101");
	CHECK_EQ(0, w.r.reason, REASON_SYN_STRIPPED);
	guest_synack(&w);
	client_acks(&w, w.key_local, 0);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_CONVERTED);
	world_fini(&w);
}

/* Packets that claim the other side's address: dropped, and the connection lives. */
static void test_wrong_side(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 9, .payload_bytes = 10};
	struct flow_tuple guest, net;
	struct world w;

	inbound_open(&w, FLOW_IPV4);
	guest = w.guest;
	net = w.net;
	w.net = flow_tuple_reverse(&guest); /* from the net, as the guest */
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_DROP_WRONG_SIDE);
	CHECK_EQ(0, w.outs.n_pkt, 0);
	w.net = net;
	w.guest = flow_tuple_reverse(&net); /* from the guests' side, as the peer */
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, w.r.reason, REASON_DROP_WRONG_SIDE);
	CHECK_EQ(1, w.outs.n_pkt, 0);
	w.guest = guest;
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT(out(&w, 0) && w.p.payload_bytes == 10);
	/* MP_FASTCLOSE with a wrong key. */
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 11, .window = 9};
	mp_fastclose_encode(&s.w, w.key_local + 1);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(2, w.r.reason, REASON_DROP_FORGED_FASTCLOSE);
	CHECK_EQ(2, w.outs.n_pkt, 0);
	CHECK_EQ(2, engine_connections(w.e), 1);
	world_fini(&w);
}

/* The client's SYN on a living connection is challenged, on one that is over it is a new one. */
static void test_reuse(void)
{
	struct seg s = {.flags = TCP_RST, .seq = 1, .ack = 1};
	struct world w;

	inbound_open(&w, FLOW_IPV4);
	w.peer_isn += 5000;
	client_syn(&w, "1e040101");
	CHECK_EQ(0, w.r.reason, REASON_DROP_SYN_CHALLENGED);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_NET && w.o.mp.has_dss);
	w.peer_isn -= 5000;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_RST_TO_GUEST);
	w.peer_isn += 5000;
	w.guest_isn += 777;
	client_syn(&w, "1e040101");
	CHECK_EQ(0, w.r.reason, REASON_SYN_STRIPPED);
	guest_synack(&w);
	client_acks(&w, w.key_local, 0);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_CONVERTED);
	CHECK_EQ(0, engine_connections(w.e), 1);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* As rules/README.md has it: met where it comes in, and again towards a guest. */
static void join_let_go(struct world *w, uint32_t nonce)
{
	struct seg s = {.flags = TCP_SYN, .window = 1000};

	mp_join_encode(&s.w, &(struct mp_join){.form = MP_JOIN_SYN, .token = 4711, .nonce = nonce});
	net_sends(w, ENGINE_STEAL, &s);
	CHECK_EQ(nonce, w->r.reason, REASON_JOIN_PASSED);
	CHECK_EQ(nonce, w->outs.n_pkt, 0);
	net_sends(w, ENGINE_IN_PLACE, &s);
}

/*
 * MP_JOIN with an unknown token to a guest that nobody called yet, published under another address:
 * refused from there (section 3.2), until a guest is seen to speak MPTCP itself.
 */
static void test_join_to_guest(void)
{
	for (unsigned role = 0; role < 2; role++) {
		struct seg s = {.flags = TCP_SYN | (role ? TCP_ACK : 0), .ack = 1};
		struct world w;

		inbound_start(&w, role ? FLOW_IPV6 : FLOW_IPV4);
		join_let_go(&w, 1);
		CHECK_EQ(role, w.r.verdict, ENGINE_DROP);
		CHECK_EQ(role, w.r.reason, REASON_JOIN_TOKEN);
		CU_ASSERT_FATAL(out(&w, 0) && w.outs.n_pkt == 1);
		CHECK_EQ(role, w.pkt[0].side, ENGINE_NET);
		CU_ASSERT(w.p.flags & TCP_RST && w.o.mp.has_tcprst);
		CHECK_EQ(role, w.o.mp.tcprst.reason, MP_TCPRST_MPTCP);
		CHECK_EQ(role, w.p.ack, w.peer_isn + 1);
		CU_ASSERT(flow_tuple_equal(&w.p.tuple, &w.net));
		/* Not seen before: the daemon was started meanwhile. */
		mp_join_encode(&s.w, &(struct mp_join){.form = MP_JOIN_SYN, .nonce = 7});
		s.flags = TCP_SYN;
		net_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(role, w.r.reason, REASON_JOIN_PASSED);
		/* The guest as client, or as server. */
		s = (struct seg){.flags = TCP_SYN | (role ? TCP_ACK : 0), .ack = 1};
		inbound_hex(&s, role ? "1e0c0101 0102030405060708" : "1e040101");
		guest_sends(&w, ENGINE_IN_PLACE, &s);
		CHECK_EQ(role, w.r.verdict, ENGINE_ACCEPT);
		join_let_go(&w, 2);
		CHECK_EQ(role, w.r.verdict, ENGINE_ACCEPT);
		CHECK_EQ(role, w.r.reason, REASON_JOIN_PASSED);
		CHECK_EQ(role, w.outs.n_pkt, 0);
		world_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"a join to a guest", test_join_to_guest},
	{"options of ours vanish", test_unheard},
	{"the guest refuses or is silent", test_guest_refuses},
	{"SYN/ACKs that leave it plain", test_synack_plain},
	{"odd SYN/ACKs", test_synack_odd},
	{"flood of SYNs", test_flood},
	{"the wrong side", test_wrong_side},
	{"4-tuple reuse", test_reuse},
};

UNIT_MAIN("engine/responder_limits", tests)
