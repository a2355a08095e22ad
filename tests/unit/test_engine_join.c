/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_join.c - MP_JOIN as the initiator, packet by packet (RFC 8684 section 3.2): the
 * handshake, its losses, and everything that can refuse it.
 */
#include "engine/crypto.h"
#include "exchange.h"
#include "joins.h"

static const uint8_t families[] = {FLOW_IPV4, FLOW_IPV6};

static void test_handshake(void)
{
	for (unsigned f = 0; f < 2; f++) {
		struct engine_conn_info info;
		struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .window = 1000};
		uint8_t hmac[32];
		struct world w;
		struct join j;
		uint32_t token;
		uint64_t idsn;

		joins_init(&w, families[f]);
		CU_ASSERT_FATAL(joins_open(&w, &j));
		crypto_key_derive(PEER_KEY, &token, &idsn);
		CHECK_EQ(f, j.token, token);
		CHECK_EQ(f, j.net.family, families[f]);
		CU_ASSERT(
			ip_addr_equal(&j.net.src, f ? &w.cfg.path[1].addr6 : &w.cfg.path[1].addr4));
		CU_ASSERT(ip_addr_equal(&j.net.dst, &w.guest.dst) && j.net.dst_port == 80);
		CU_ASSERT(j.net.src_port >= 61000 && j.net.src_port <= 61999);
		CU_ASSERT(j.id != 0 && !j.backup);
		CU_ASSERT(w.o.has_mss && w.o.has_wscale && w.o.has_sack_permitted &&
			  w.o.has_timestamps);
		/* Our ACK carries our HMAC and no DSS. */
		join_synack(&w, &j, 0, false, -1);
		CHECK_EQ(f, w.outs.n_pkt, 1);
		CU_ASSERT_FATAL(join_out(&w, &j, is_join_ack) == 0);
		crypto_join_hmac(w.key_local, PEER_KEY, j.nonce, JOIN_NONCE, hmac);
		CU_ASSERT(memcmp(w.o.mp.join.hmac, hmac, 20) == 0);
		CU_ASSERT(!w.o.mp.has_dss && w.p.ack == JOIN_ISN + 1 && w.p.seq == j.iss + 1);
		/* Until the fourth ACK nothing else goes there, and it goes again. */
		s.payload_bytes = 500;
		guest_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(f, join_out(&w, &j, is_any), -1);
		CU_ASSERT(join_out(&w, NULL, is_any) >= 0);
		s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 601, .window = 1000};
		put_peer_ack(&w, &s.w, 601);
		net_sends(&w, ENGINE_STEAL, &s);
		world_pass(&w, 600000);
		CU_ASSERT(join_out(&w, &j, is_join_ack) >= 0);
		/* So it does when the SYN/ACK comes again. */
		join_synack(&w, &j, 0, false, -1);
		CU_ASSERT(join_out(&w, &j, is_join_ack) >= 0);
		CHECK_EQ(f, living(&w), 1);
		join_complete(&w, &j);
		CHECK_EQ(f, living(&w), 2);
		CHECK_EQ(f, engine_counter(w.e, REASON_JOIN_ESTABLISHED), 1);
		CU_ASSERT(engine_conn_info(w.e, 0, w.tick.now_us, &info));
		CU_ASSERT_STRING_EQUAL(info.mode, "multi");
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/*
 * After the fourth ACK the peer's connection is given time to take the subflow in: until 10 ms
 * after our ACK, or until the peer sends data there.
 */
static void test_settling(void)
{
	static const struct {
		uint32_t fourth_us; /* when the ACK comes */
		bool data, synack;  /* the peer's data at once; its SYN/ACK once more */
		unsigned living;    /* then, and at 10 ms */
	} rows[] = {{0, false, false, 1},
		    {0, false, true, 1},
		    {0, true, false, 2},
		    {9000, false, false, 1},
		    {10000, false, false, 2}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		CU_ASSERT_FATAL(joins_open(&w, &j));
		join_synack(&w, &j, 0, false, -1);
		w.tick.now_us += rows[i].fourth_us;
		options_put_timestamps(&s.w, 8001, 1);
		join_sends(&w, &j, &s);
		CHECK_EQ(i, living(&w), rows[i].fourth_us < 10000 ? 1 : 2);
		if (rows[i].data) {
			s.payload_bytes = 100;
			s.w.len_bytes = 0;
			put_peer_map(&w, &s.w, 101, 1, 1, 100, false);
			join_sends(&w, &j, &s);
		}
		if (rows[i].synack)
			join_synack(&w, &j, 0, false, -1);
		CHECK_EQ(i, living(&w), rows[i].living);
		CHECK_EQ(i, join_out(&w, &j, is_rst), -1);
		if (rows[i].fourth_us < 9000) {
			world_pass(&w, 9000 - rows[i].fourth_us);
			CHECK_EQ(i, living(&w), rows[i].living);
		}
		world_pass(&w, 1000);
		CHECK_EQ(i, living(&w), 2);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* Both ends close within that time: where the fourth ACK has come, by FIN on the subflow. */
static void test_closed_meanwhile(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
		bool fourth = i & 1, second = i & 2;
		struct join j[2];
		struct world w;
		unsigned at = 0;

		joins_init(&w, FLOW_IPV4);
		w.cfg.n_paths = second ? 3 : 2;
		w.cfg.path[2] = w.cfg.path[1];
		w.cfg.path[2].addr4.b[2] = 3;
		world_start(&w);
		world_open(&w);
		CU_ASSERT_FATAL(joins_find(&w, j, 2) == (second ? 2 : 1));
		/* With a second subflow there already, or as the first. */
		if (second)
			join_complete(&w, &j[at++]);
		join_synack(&w, &j[at], 0, false, -1);
		options_put_timestamps(&s.w, 8001, 1);
		if (fourth)
			join_sends(&w, &j[at], &s);
		CHECK_EQ(i, living(&w), at + 1);
		guest(&w, TCP_FIN, 101, 1, 0);
		net(&w, 0, 1, 101, 102, 1, 0, true);
		guest(&w, 0, 102, 2, 0);
		CHECK_EQ(i, join_out(&w, &j[at], is_rst) >= 0, !fourth);
		CHECK_EQ(i, join_out(&w, &j[at], is_fin) >= 0, fourth);
		CHECK_EQ(i, engine_counter(w.e, REASON_JOIN_ESTABLISHED), at + fourth);
		CU_ASSERT(engine_audit(w.e));
		/* Lost, it comes again; then the peer's. */
		world_pass(&w, 400000);
		CHECK_EQ(i, join_out(&w, &j[at], is_fin) >= 0, fourth);
		s.flags |= TCP_FIN;
		s.ack = 2;
		for (unsigned k = 0; k < at + fourth; k++) {
			join_sends(&w, &j[k], &s);
			CHECK_EQ(i, join_out(&w, &j[k], is_any) >= 0, 1);
			CHECK_EQ(i, w.p.ack, JOIN_ISN + 2);
		}
		CHECK_EQ(i, engine_counter(w.e, REASON_CLOSED_NORMALLY), 0);
		net(&w, TCP_FIN, 1, 102, 102, 0, 0, false);
		CHECK_EQ(i, engine_counter(w.e, REASON_CLOSED_NORMALLY), 1);
		world_pass(&w, 11000000);
		CHECK_EQ(i, engine_connections(w.e), 0);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/*
 * Both have closed, and the guest did not hear that all of its data arrived (its own timer backs
 * off): it is answered for as long as it asks, by a clock that does not go back.
 */
static void test_asked_afterwards(void)
{
	for (unsigned two = 0; two < 2; two++) {
		struct seg s = {.flags = TCP_ACK | TCP_FIN, .seq = 1, .ack = 2, .window = 1000};
		uint32_t tsval = 0;
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		w.cfg.mode = two ? w.cfg.mode : ENGINE_SINGLE;
		CHECK_EQ(two, joins_open(&w, &j), two);
		if (two)
			join_complete(&w, &j);
		world_pass(&w, 50000);
		guest(&w, TCP_FIN, 101, 1, 0);
		net(&w, 0, 1, 101, 102, 1, 0, true);
		for (unsigned i = 0; out(&w, i); i++)
			if (w.pkt[i].side == ENGINE_GUEST)
				tsval = w.o.tsval;
		CU_ASSERT(!two || tsval != 0);
		guest(&w, 0, 102, 2, 0);
		if (two)
			join_sends(&w, &j, &s);
		net(&w, TCP_FIN, 1, 102, 102, 0, 0, false);
		CHECK_EQ(two, engine_counter(w.e, REASON_CLOSED_NORMALLY), 1);
		for (unsigned i = 0; i < 4; i++) {
			world_pass(&w, 9000000ull << i);
			guest(&w, i & 1 ? TCP_FIN : 0, 51, 2, i & 2 ? 50 : 40);
			CHECK_EQ(i, w.outs.n_pkt, 1);
			CU_ASSERT_FATAL(out(&w, 0));
			CHECK_EQ(i, w.pkt[0].side, ENGINE_GUEST);
			CHECK_EQ(i, w.p.ack, GUEST_ISN + 102);
			CHECK_EQ(i, w.p.seq, PEER_ISN + 2);
			CHECK_ROW(i, w.o.has_timestamps && (int32_t)(w.o.tsval - tsval) >= 0);
		}
		/* An acknowledgement asks nothing. */
		guest(&w, 0, 102, 2, 0);
		CHECK_EQ(two, w.outs.n_pkt, 0);
		world_pass(&w, 153000000);
		CHECK_EQ(two, engine_connections(w.e), 1);
		world_pass(&w, 2000000);
		CHECK_EQ(two, engine_connections(w.e), 0);
		world_fini(&w);
	}
}

/* The SYN goes at 0, 0.5, 1.5 and 3.5 s; given up at 7.5 s; another try 2 s later, then 4 s. */
static void test_silence(void)
{
	static const struct {
		uint32_t from_ms, to_ms;
		unsigned syns;
	} rows[] = {{0, 450, 0},     {450, 550, 1},   {550, 1450, 0},
		    {1450, 1550, 1}, {1550, 3450, 0}, {3450, 3550, 1},
		    {3550, 9400, 0}, {9400, 9600, 1}, {9600, 10050, 1}};
	struct world w;
	struct join j, again;
	uint64_t begun_us;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	begun_us = w.tick.now_us;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned syns = 0;

		while (w.tick.now_us < begun_us + rows[i].to_ms * 1000ull) {
			world_pass(&w, 10000);
			syns += joins_find(&w, &again, 1);
		}
		CHECK_EQ(i, syns, rows[i].syns);
		/* The same SYN while it is the same subflow. */
		if (rows[i].to_ms < 9000 && syns)
			CU_ASSERT(again.iss == j.iss && again.nonce == j.nonce &&
				  flow_tuple_equal(&again.net, &j.net));
	}
	CHECK_EQ(0, engine_counter(w.e, REASON_JOIN_TIMEOUT), 1);
	CHECK_EQ(0, living(&w), 1);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* An HMAC with any bit wrong, no MP_JOIN at all, an MSS of nothing: reset, with a reason. */
static void test_bad_synack(void)
{
	struct seg bare = {.flags = TCP_SYN | TCP_ACK, .ack = 1, .window = 64240};

	for (int bit = 0; bit < 65; bit++) {
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		CU_ASSERT_FATAL(joins_open(&w, &j));
		if (bit < 64)
			join_synack(&w, &j, 0, false, bit);
		else
			join_sends(&w, &j, &bare);
		CU_ASSERT_FATAL(join_out(&w, &j, is_rst) >= 0);
		CU_ASSERT(w.o.mp.has_tcprst && w.p.seq == j.iss + 1);
		CHECK_EQ(bit, w.o.mp.tcprst.reason,
			 bit < 64 ? MP_TCPRST_MPTCP : MP_TCPRST_MIDDLEBOX);
		CHECK_EQ(bit,
			 engine_counter(w.e, bit < 64 ? REASON_JOIN_HMAC : REASON_JOIN_STRIPPED),
			 1);
		CHECK_EQ(bit, living(&w), 1);
		/* It is tried again, later. */
		world_pass(&w, 1000000);
		CHECK_EQ(bit, joins_find(&w, &j, 1), 0);
		world_pass(&w, 1100000);
		CHECK_EQ(bit, joins_find(&w, &j, 1), 1);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

static const struct {
	bool believed, tcprst, transient;
	uint8_t reason;
	uint32_t ack; /* relative */
	bool with_ack;
	bool again; /* within three seconds */
	enum reason counted;
} refusals[] = {
	/* 0 no listener */ {true, false, false, 0, 1, true, true, REASON_JOIN_REFUSED},
	/* 1 policy */ {true, true, false, 3, 1, true, false, REASON_TCPRST_PROHIBITED},
	/* 2 for the moment */ {true, true, true, 2, 1, true, true, REASON_TCPRST_RESOURCES},
	/* 3 unknown */ {true, true, true, 77, 1, true, true, REASON_TCPRST_OTHER},
	/* 4 another ACK */ {false, true, false, 3, 2, true, false, REASON_TCPRST_PROHIBITED},
	/* 5 none */ {false, true, false, 3, 1, false, false, REASON_TCPRST_PROHIBITED},
};

static void test_refused(void)
{
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct seg s = {.flags = TCP_RST, .ack = refusals[i].ack};
		struct world w;
		struct join j;
		unsigned again = 0;

		joins_init(&w, FLOW_IPV4);
		CU_ASSERT_FATAL(joins_open(&w, &j));
		if (refusals[i].with_ack)
			s.flags |= TCP_ACK;
		if (refusals[i].tcprst)
			mp_tcprst_encode(&s.w,
					 &(struct mp_tcprst){.transient = refusals[i].transient,
							     .reason = refusals[i].reason});
		join_sends(&w, &j, &s);
		CHECK_EQ(i, w.outs.n_pkt, 0);
		CHECK_EQ(i, engine_counter(w.e, refusals[i].counted), refusals[i].believed);
		if (refusals[i].believed) {
			for (int k = 0; k < 3000; k++) {
				world_pass(&w, refusals[i].again ? 1000 : 1000000);
				again += joins_find(&w, &j, 1);
			}
			CU_ASSERT(refusals[i].again ? again > 0 : again == 0);
		}
		CHECK_EQ(i, living(&w), 1);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* Refused on the third ACK, as Linux does it at its limits; what is not at the number is not. */
static void test_refused_late(void)
{
	struct seg s = {.flags = TCP_RST, .seq = 2};
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	join_synack(&w, &j, 0, false, -1);
	mp_tcprst_encode(&s.w, &(struct mp_tcprst){.reason = 3});
	join_sends(&w, &j, &s);
	CHECK_EQ(0, engine_counter(w.e, REASON_TCPRST_PROHIBITED), 0);
	s.seq = 1;
	join_sends(&w, &j, &s);
	CHECK_EQ(0, engine_counter(w.e, REASON_TCPRST_PROHIBITED), 1);
	for (int k = 0; k < 300; k++) {
		world_pass(&w, 1000000);
		CHECK_EQ(k, joins_find(&w, &j, 1), 0);
	}
	/* A path that comes anew is another matter. */
	engine_path_set(w.e, 1, false, NULL);
	world_pass(&w, 1000);
	engine_path_set(w.e, 1, true, NULL);
	world_pass(&w, 1000);
	CHECK_EQ(1, joins_find(&w, &j, 1), 1);
	world_fini(&w);
}

/*
 * The peer still has an older connection of the same ports and challenges the SYN: it gets the RST
 * that it asks for, and the SYN once more.
 */
static void test_stale(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 7, .ack = 5000, .window = 1000};
	struct world w;
	struct join j, again;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	join_sends(&w, &j, &s);
	CU_ASSERT_FATAL(w.outs.n_pkt == 1 && join_out(&w, &j, is_rst) == 0);
	CU_ASSERT(w.p.seq == j.iss + 5000 && w.p.flags == TCP_RST);
	world_pass(&w, 30000);
	CU_ASSERT(joins_find(&w, &again, 1) == 1 && again.iss == j.iss);
	join_complete(&w, &j);
	CHECK_EQ(0, living(&w), 2);
	world_fini(&w);
}

/* N subflows over one path have N ports; those that ended give theirs back. */
static void test_ports(void)
{
	struct join j[4];
	struct world w;

	joins_init(&w, FLOW_IPV4);
	w.cfg.mode = ENGINE_NDIFFPORTS;
	w.cfg.ndiffports = 4;
	w.cfg.port_max = w.cfg.port_min + 3;
	world_start(&w);
	world_open(&w);
	CHECK_EQ(0, joins_find(&w, j, 4), 3);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT(ip_addr_equal(&j[i].net.src, &w.cfg.path[0].addr4));
		for (unsigned k = 0; k < i; k++)
			CU_ASSERT(j[i].net.src_port != j[k].net.src_port);
		join_complete(&w, &j[i]);
	}
	CHECK_EQ(1, living(&w), 4);
	/* One ends: another takes its place after a while. */
	join_sends(&w, &j[1], &(struct seg){.flags = TCP_RST, .seq = 1});
	CHECK_EQ(2, living(&w), 3);
	for (unsigned k = 0; k < 30; k++) {
		world_pass(&w, 100000);
		if (joins_find(&w, j, 1))
			break;
	}
	join_complete(&w, &j[0]);
	CHECK_EQ(3, living(&w), 4);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* A segment for a port of ours where nothing is: the gate resets it, the host's kernel does not. */
static void test_stranger(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 77, .ack = 99};
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	j.net.src_port ^= 1;
	join_sends(&w, &j, &s);
	CHECK_EQ(0, w.r.verdict, ENGINE_DROP);
	CHECK_EQ(0, w.r.reason, REASON_DROP_NO_SUBFLOW);
	CU_ASSERT_FATAL(w.outs.n_pkt == 1 && out(&w, 0));
	CU_ASSERT(w.p.flags == TCP_RST && w.p.seq == j.iss + 99 && w.o.mp.has_tcprst);
	/* Another port is the host's own. */
	j.net.src_port = 22;
	join_sends(&w, &j, &s);
	CHECK_EQ(1, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(1, w.outs.n_pkt, 0);
	world_fini(&w);
}

/*
 * Nobody speaks any more, but each join is answered by a RST of whoever has the address now: that
 * does not keep the connection (row 0). A join that succeeds does.
 */
static void test_refused_for_ever(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct seg s = {.flags = TCP_RST | TCP_ACK, .ack = 1};
		unsigned refused = 1;
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		w.cfg.idle_timeout_us = 60000000;
		CU_ASSERT_FATAL(joins_open(&w, &j));
		join_sends(&w, &j, &s);
		for (unsigned n = 0; n < 118; n++) {
			world_pass(&w, 500000);
			if (joins_find(&w, &j, 1) == 0)
				continue;
			if (++refused < 5 || i == 0)
				join_sends(&w, &j, &s);
			else
				join_complete(&w, &j);
		}
		CHECK_EQ(i, refused, 5);
		CHECK_EQ(i, engine_connections(w.e), 1);
		world_pass(&w, 2000000);
		CHECK_EQ(i, engine_connections(w.e), i);
		CHECK_EQ(i, engine_counter(w.e, REASON_CLOSED_IDLE), !i);
		world_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"handshake", test_handshake},
	{"settling", test_settling},
	{"closed meanwhile", test_closed_meanwhile},
	{"asked afterwards", test_asked_afterwards},
	{"silence", test_silence},
	{"bad SYN/ACK", test_bad_synack},
	{"refused", test_refused},
	{"refused late", test_refused_late},
	{"refused for ever", test_refused_for_ever},
	{"ports", test_ports},
	{"stranger", test_stranger},
	{"stale connection at the peer", test_stale},
};

UNIT_MAIN("engine/join", tests)
