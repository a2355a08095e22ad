/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_paths.c - paths that come, go and move under a connection, and when a connection is
 * worth more than one of them.
 */
#include "base/seq.h"
#include "joins.h"
#include "unit.h"

static void open_two(struct world *w, uint8_t family, struct join *j)
{
	joins_init(w, family);
	CU_ASSERT_FATAL(joins_open(w, j));
	join_complete(w, j);
	CU_ASSERT_FATAL(living(w) == 2);
}

/* The joined subflow's path goes and returns: REMOVE_ADDR of its id, then a join with another. */
static void test_second_down(void)
{
	struct world w;
	struct join j, again;

	open_two(&w, FLOW_IPV4, &j);
	engine_path_set(w.e, 1, false, NULL);
	CU_ASSERT(engine_deadline_us(w.e) <= w.tick.now_us);
	world_pass(&w, 1000);
	CHECK_EQ(0, living(&w), 1);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_remove_addr) >= 0);
	CHECK_EQ(0, w.o.mp.remove_addr.n, 1);
	CHECK_EQ(0, w.o.mp.remove_addr.address_id[0], j.id);
	/* Without DSS a peer to which this is the first segment behind the handshake falls back. */
	CU_ASSERT(w.o.mp.has_dss && w.o.mp.dss.has_ack);
	CHECK_EQ(0, (uint32_t)w.o.mp.dss.data_ack, (uint32_t)(w.idsn_peer + 1));
	CHECK_EQ(0, join_out(&w, &j, is_any), -1); /* nothing into a path that is down */
	CHECK_EQ(0, engine_counter(w.e, REASON_SUBFLOW_PATH_DOWN), 1);
	engine_path_set(w.e, 1, true, NULL);
	world_pass(&w, 1000);
	CU_ASSERT_FATAL(joins_find(&w, &again, 1) == 1);
	CU_ASSERT(again.id != j.id);
	join_complete(&w, &again);
	CHECK_EQ(1, living(&w), 2);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* The guest's last segment before the second subflow was overtaken: the clock does not go back. */
static void test_clock(void)
{
	struct seg s = {
		.flags = TCP_ACK, .seq = 201, .ack = 1, .window = 1000, .payload_bytes = 100};
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	options_put_timestamps(&s.w, 205, 7000);
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_DATA_TO_NET);
	s.w.len_bytes = 0;
	s.seq = 101;
	options_put_timestamps(&s.w, 200, 7000);
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, w.r.reason, REASON_DATA_TO_NET);
	CU_ASSERT(out(&w, 0) && w.o.tsval == 200); /* it is the guest's */
	join_complete(&w, &j);
	CU_ASSERT_FATAL(living(&w) == 2);
	engine_path_set(w.e, 1, false, NULL);
	world_pass(&w, 1);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_remove_addr) >= 0);
	CU_ASSERT(seq_le(205, w.o.tsval));
	world_fini(&w);
}

/* The peer acknowledges every 100 us, a timer is looked at a little late; how long until a SYN. */
static uint64_t until_syn_us(struct world *w, struct join *j, uint64_t most_us)
{
	uint64_t begun_us = w->tick.now_us;

	while (w->tick.now_us < begun_us + most_us) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};

		w->tick.now_us += 100;
		put_peer_ack(w, &s.w, 101);
		net_sends(w, ENGINE_STEAL, &s);
		world_pass(w, 0);
		if (joins_find(w, j, 1))
			break;
	}
	return w->tick.now_us - begun_us;
}

/*
 * A path that returned is joined; its SYN gets no answer. It goes again in time, however many
 * packets come meanwhile, and at once when the path has got its route.
 */
static void test_syn_again(void)
{
	struct join j, first, again;
	struct world w;

	open_two(&w, FLOW_IPV4, &j);
	engine_path_set(w.e, 1, false, NULL);
	world_pass(&w, 1000);
	engine_path_set(w.e, 1, true, NULL);
	world_pass(&w, 1000);
	CU_ASSERT_FATAL(joins_find(&w, &first, 1) == 1);
	CHECK_EQ(0, until_syn_us(&w, &again, 3000000) / 10000, 50);
	CHECK_EQ(1, until_syn_us(&w, &again, 3000000) / 10000, 100);
	CHECK_EQ(1, again.iss, first.iss);
	engine_path_set(w.e, 1, true, NULL);
	CHECK_EQ(2, until_syn_us(&w, &again, 3000000) / 10000, 0);
	CHECK_EQ(2, again.iss, first.iss);
	CHECK_EQ(3, until_syn_us(&w, &again, 3000000) / 10000, 100);
	join_complete(&w, &again);
	CHECK_EQ(4, living(&w), 2);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* The initial subflow's path goes: id 0. It moves: likewise, and the new address joins. */
static void test_initial(void)
{
	for (unsigned moves = 0; moves < 2; moves++) {
		struct engine_path_cfg a;
		struct world w;
		struct join j, again;

		open_two(&w, FLOW_IPV6, &j);
		a = w.cfg.path[0];
		if (moves)
			a.addr6.b[15] = 99;
		engine_path_set(w.e, 0, moves, &a);
		world_pass(&w, 1000);
		CU_ASSERT_FATAL(join_out(&w, &j, is_remove_addr) >= 0);
		CHECK_EQ(moves, w.o.mp.remove_addr.address_id[0], 0);
		CHECK_EQ(moves, living(&w), 1);
		CHECK_EQ(moves, joins_find(&w, &again, 1), moves);
		if (moves)
			CU_ASSERT(ip_addr_equal(&again.net.src, &a.addr6));
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* A guest's own, routed address does not move with the path's; the joined subflow does. */
static void test_routed(void)
{
	struct engine_path_cfg p;
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	w.net.src = w.guest.src;
	CU_ASSERT_FATAL(joins_open(&w, &j));
	join_complete(&w, &j);
	p = w.cfg.path[0];
	p.addr4.b[3] = 99;
	engine_path_set(w.e, 0, true, &p);
	world_pass(&w, 1000);
	CHECK_EQ(0, living(&w), 2);
	p = w.cfg.path[1];
	p.addr4.b[3] = 99;
	engine_path_set(w.e, 1, true, &p);
	world_pass(&w, 1000);
	CHECK_EQ(1, living(&w), 1);
	CHECK_EQ(1, engine_counter(w.e, REASON_SUBFLOW_ADDRESS_LOST), 1);
	/* Whatever changes besides. */
	p.mtu_bytes = 1400;
	engine_path_set(w.e, 1, true, &p);
	engine_path_set(w.e, 0, true, &w.cfg.path[0]);
	world_pass(&w, 1000);
	CHECK_EQ(2, engine_counter(w.e, REASON_SUBFLOW_ADDRESS_LOST), 1);
	world_fini(&w);
}

/* The last one stays while its path is down, and goes on when the peer is heard again. */
static void test_last_stays(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};
	struct world w;
	struct join j;

	open_two(&w, FLOW_IPV4, &j);
	engine_path_set(w.e, 1, false, NULL);
	world_pass(&w, 1000);
	engine_path_set(w.e, 0, false, NULL);
	world_pass(&w, 120000000);
	CHECK_EQ(0, living(&w), 0);
	CHECK_EQ(0, engine_connections(w.e), 1);
	CHECK_EQ(0, engine_counter(w.e, REASON_CLOSED_ALONE), 0);
	engine_path_set(w.e, 0, true, NULL);
	world_pass(&w, 1000);
	put_peer_ack(&w, &s.w, 101);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, living(&w), 1);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/*
 * Break before make. A connection with one subflow, below every threshold, loses its path and its
 * address; what the guest sends meanwhile is kept and goes where it can when a path comes.
 */
static void test_alone(void)
{
	struct engine_path_cfg none = {.name = "x", .mtu_bytes = 1500, .price = 1.0}, b;
	struct seg s = {.flags = TCP_ACK | TCP_PSH,
			.seq = 101,
			.ack = 1,
			.window = 1000,
			.payload_bytes = 900};
	uint32_t tsval = 0;
	struct world w;
	struct join j;
	bool sent = false;

	joins_init(&w, FLOW_IPV4);
	w.cfg.after_bytes = 1 << 30;
	CU_ASSERT(!joins_open(&w, &j));
	b = w.cfg.path[1];
	engine_path_set(w.e, 1, false, &none);
	engine_path_set(w.e, 0, true, &none);
	world_pass(&w, 1000);
	CHECK_EQ(0, living(&w), 0);
	CHECK_EQ(0, engine_counter(w.e, REASON_SUBFLOW_ADDRESS_LOST), 1);
	options_put_timestamps(&s.w, 200, 7000);
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.verdict, ENGINE_STOLEN);
	CHECK_EQ(0, join_out(&w, NULL, is_any), -1);
	world_pass(&w, 30000000);
	/* The other path comes. */
	engine_path_set(w.e, 1, true, &b);
	world_pass(&w, 1000);
	CU_ASSERT_FATAL(joins_find(&w, &j, 1) == 1);
	join_complete(&w, &j);
	CHECK_EQ(1, living(&w), 1);
	for (unsigned i = 0; out(&w, i); i++) {
		if (w.pkt[i].side != ENGINE_NET || w.p.payload_bytes == 0)
			continue;
		sent = true;
		CU_ASSERT(flow_tuple_equal(&w.p.tuple, &j.net) && w.p.payload_bytes == 900);
		CHECK_EQ(1, (uint32_t)w.o.mp.dss.dsn, (uint32_t)(w.idsn_local + 101));
		CHECK_EQ(1, w.o.mp.dss.ssn, 1);
	}
	CU_ASSERT(sent);
	/* The guest's acknowledgement comes through, with a clock that did not go back. */
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 901, .window = 1000};
	put_peer_ack(&w, &s.w, 1001);
	join_sends(&w, &j, &s);
	for (unsigned i = 0; out(&w, i); i++)
		if (w.pkt[i].side == ENGINE_GUEST) {
			CHECK_EQ(2, w.p.ack, w.guest_isn + 1001);
			tsval = w.o.tsval;
		}
	CU_ASSERT(seq_lt(7000, tsval));
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* No path comes: after rejoin_us the guest hears of it. */
static void test_alone_for_ever(void)
{
	struct engine_path_cfg none = {.name = "x", .mtu_bytes = 1500, .price = 1.0};
	struct world w;
	struct join j;
	bool rst = false;

	joins_init(&w, FLOW_IPV4);
	w.cfg.rejoin_us = 5000000;
	CU_ASSERT_FATAL(joins_open(&w, &j));
	engine_path_set(w.e, 1, true, &none);
	engine_path_set(w.e, 0, true, &none);
	world_pass(&w, 1000);
	CHECK_EQ(0, engine_counter(w.e, REASON_CLOSED_ALONE), 0);
	world_pass(&w, 4900000);
	CHECK_EQ(1, engine_counter(w.e, REASON_CLOSED_ALONE), 0);
	world_pass(&w, 200000);
	CHECK_EQ(2, engine_counter(w.e, REASON_CLOSED_ALONE), 1);
	for (unsigned i = 0; out(&w, i); i++)
		rst |= w.pkt[i].side == ENGINE_GUEST && (w.p.flags & TCP_RST);
	CU_ASSERT(rst && engine_audit(w.e));
	world_fini(&w);
}

/* The peer no longer knows the token, and there is no other subflow: the connection is over. */
static void test_alone_unknown(void)
{
	struct engine_path_cfg none = {.name = "x", .mtu_bytes = 1500, .price = 1.0};
	struct seg s = {.flags = TCP_RST | TCP_ACK, .ack = 1};
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	engine_path_set(w.e, 0, true, &none);
	world_pass(&w, 1000);
	mp_tcprst_encode(&s.w, &(struct mp_tcprst){.reason = MP_TCPRST_MPTCP});
	join_sends(&w, &j, &s);
	/* The join had begun before: the subflow was not yet the last hope. */
	for (unsigned k = 0; k < 20 && joins_find(&w, &j, 1) == 0; k++)
		world_pass(&w, 500000);
	join_sends(&w, &j, &s);
	CHECK_EQ(0, engine_counter(w.e, REASON_CLOSED_BY_PEER_RST), 1);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* ---- promotion ---- */

/* A megabyte a second up in segments of 1000 bytes, acknowledged 10 ms later. */
static void upload(struct world *w, uint32_t *at, unsigned n, uint32_t gap_us, uint32_t delay_us)
{
	for (unsigned i = 0; i < n; i++) {
		struct seg s = {.flags = TCP_ACK,
				.seq = *at,
				.ack = 1,
				.window = 1000,
				.payload_bytes = 1000};

		guest_sends(w, ENGINE_STEAL, &s);
		*at += 1000;
		world_pass(w, delay_us);
		s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = *at, .window = 1000};
		put_peer_ack(w, &s.w, *at);
		net_sends(w, ENGINE_STEAL, &s);
		world_pass(w, gap_us);
	}
}

static bool promoted(struct world *w, enum reason reason)
{
	return engine_counter(w->e, reason) == 1;
}

static void open_plainly(struct world *w)
{
	joins_init(w, FLOW_IPV4);
	w->cfg.after_bytes = 1 << 30;
	w->cfg.on_congestion = true;
}

static void test_thresholds(void)
{
	uint32_t at = 101;
	struct world w;
	struct join j;

	/* bytes */
	open_plainly(&w);
	w.cfg.after_bytes = 50000;
	CU_ASSERT(!joins_open(&w, &j));
	upload(&w, &at, 49, 1000, 1000);
	CU_ASSERT(!promoted(&w, REASON_PROMOTED_BYTES));
	upload(&w, &at, 2, 1000, 1000);
	CU_ASSERT(promoted(&w, REASON_PROMOTED_BYTES));
	world_fini(&w);
	/* time, with data on its way */
	open_plainly(&w);
	w.cfg.after_us = 2000000;
	CU_ASSERT(!joins_open(&w, &j));
	at = 101;
	upload(&w, &at, 3, 500000, 1000);
	world_pass(&w, 5000000);
	CU_ASSERT(!promoted(&w, REASON_PROMOTED_TIME));
	upload(&w, &at, 1, 1000, 1000);
	CU_ASSERT(promoted(&w, REASON_PROMOTED_TIME));
	world_fini(&w);
	/* rate: 100 kB/s is too little, 500 kB/s is not */
	open_plainly(&w);
	w.cfg.after_bytes_per_s = 250000;
	CU_ASSERT(!joins_open(&w, &j));
	at = 101;
	upload(&w, &at, 100, 9000, 1000);
	CU_ASSERT(!promoted(&w, REASON_PROMOTED_RATE));
	upload(&w, &at, 300, 1000, 1000);
	CU_ASSERT(promoted(&w, REASON_PROMOTED_RATE));
	world_fini(&w);
}

static void test_congestion(void)
{
	uint32_t at = 101;
	struct seg s = {.flags = TCP_ACK, .ack = 1, .window = 1000, .payload_bytes = 1000};
	struct world w;
	struct join j;

	/* Nothing: neither small round trips that vary, nor a retransmission in the first 64 KB. */
	open_plainly(&w);
	CU_ASSERT(!joins_open(&w, &j));
	s.seq = at;
	guest_sends(&w, ENGINE_STEAL, &s);
	upload(&w, &at, 40, 1000, 10000);
	CHECK_EQ(0, joins_find(&w, &j, 1), 0);
	upload(&w, &at, 40, 1000, 12000);
	CU_ASSERT(promoted(&w, REASON_PROMOTED_LOSS)); /* it was sent twice: once 64 KB moved */
	world_fini(&w);
	/* delay: the world's first round trip took next to nothing */
	open_plainly(&w);
	CU_ASSERT(!joins_open(&w, &j));
	at = 101;
	upload(&w, &at, 80, 1000, 2000);
	upload(&w, &at, 40, 1000, 9000);
	CU_ASSERT(!promoted(&w, REASON_PROMOTED_DELAY));
	upload(&w, &at, 40, 1000, 50000);
	CU_ASSERT(promoted(&w, REASON_PROMOTED_DELAY));
	world_fini(&w);
	/* not when it is switched off */
	open_plainly(&w);
	w.cfg.on_congestion = false;
	CU_ASSERT(!joins_open(&w, &j));
	at = 101;
	upload(&w, &at, 80, 1000, 10000);
	upload(&w, &at, 80, 1000, 90000);
	CHECK_EQ(1, joins_find(&w, &j, 1), 0);
	world_fini(&w);
}

static void test_policy(void)
{
	struct world w;
	struct join j;

	open_plainly(&w);
	w.cfg.n_policies = 1;
	w.cfg.policy[0] = (struct engine_policy){
		.use = ENGINE_ALWAYS, .peer_port_min = 80, .peer_port_max = 80};
	CU_ASSERT(joins_open(&w, &j) && promoted(&w, REASON_PROMOTED_POLICY));
	world_fini(&w);
	/* single mode: never */
	open_plainly(&w);
	w.cfg.after_bytes = 0;
	w.cfg.mode = ENGINE_SINGLE;
	CU_ASSERT(!joins_open(&w, &j));
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"second path down", test_second_down}, {"clock", test_clock},
	{"SYN again", test_syn_again},          {"initial path", test_initial},
	{"routed guest", test_routed},          {"last one stays", test_last_stays},
	{"break before make", test_alone},      {"no path for ever", test_alone_for_ever},
	{"token unknown", test_alone_unknown},  {"thresholds", test_thresholds},
	{"congestion", test_congestion},        {"policy", test_policy},
};

UNIT_MAIN("engine/paths", tests)
