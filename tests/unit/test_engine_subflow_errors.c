/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_subflow_errors.c - subflows that cannot be had or kept: segments of a join that do
 * not fit, no memory when one is there, and everything by which a joined subflow ends while the
 * connection lives on (RFC 8684 sections 3.2, 3.3.3, 3.7).
 */
#include "engine/crypto.h"
#include "joins.h"
#include "unit.h"

/* The world speaks of connection `i` of several from now on. */
static void select_conn(struct world *w, unsigned i, const uint64_t *key)
{
	w->guest.src_port = (uint16_t)(40000 + i);
	w->net.src_port = (uint16_t)(50000 + i);
	w->key_local = key[i];
}

/* What does not belong to the handshake changes nothing: it ends well all the same. */
static void test_join_segments(void)
{
	static const struct {
		bool after; /* our ACK is out already */
		uint32_t seq, ack;
		const char *options;
		enum reason reason;
	} rows[] = {{false, 0, 2, "", REASON_JOIN_SUBFLOW},
		    {false, 0, 1, "02ff", REASON_DROP_BAD_OPTION},
		    {true, 7, 1, "", REASON_DROP_STATE},
		    {true, 0, 2, "", REASON_DROP_STATE},
		    {true, 0, 1, "", REASON_JOIN_SUBFLOW}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seg s = {.flags = TCP_SYN | TCP_ACK,
				.seq = rows[i].seq,
				.ack = rows[i].ack,
				.window = 1000};
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		CU_ASSERT_FATAL(joins_open(&w, &j));
		if (rows[i].after)
			join_synack(&w, &j, 0, false, -1);
		s.w.len_bytes = (uint8_t)unit_hex(s.w.buf, OPTIONS_MAX, rows[i].options);
		join_sends(&w, &j, &s);
		CHECK_EQ(i, w.r.reason, rows[i].reason);
		CHECK_EQ(i, living(&w), 1);
		join_complete(&w, &j);
		CHECK_EQ(i, living(&w), 2);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* A segment so small that nothing fits beside the options. */
static void test_join_mss(void)
{
	struct seg s = {.flags = TCP_SYN | TCP_ACK, .ack = 1, .window = 1000};
	struct mp_join m = {.form = MP_JOIN_SYNACK, .nonce = JOIN_NONCE};
	uint8_t hmac[32];
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	crypto_join_hmac(PEER_KEY, w.key_local, JOIN_NONCE, j.nonce, hmac);
	memcpy(m.hmac, hmac, sizeof(m.hmac));
	options_put_mss(&s.w, 127);
	mp_join_encode(&s.w, &m);
	join_sends(&w, &j, &s);
	CHECK_EQ(0, engine_counter(w.e, REASON_JOIN_MSS), 1);
	CU_ASSERT_FATAL(join_out(&w, &j, is_rst) >= 0);
	CU_ASSERT(w.o.mp.has_tcprst);
	CHECK_EQ(0, w.o.mp.tcprst.reason, MP_TCPRST_PERFORMANCE);
	CHECK_EQ(0, living(&w), 1);
	world_fini(&w);
}

/*
 * Another connection has taken all payload memory between the SYN and the fourth ACK: the subflow
 * is reset, for the moment; the connection lives on as it was, and has it when there is memory.
 */
static void test_no_memory_when_it_is_there(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 60000};
	struct join j[2];
	uint64_t key[2] = {0};
	struct world w;
	unsigned n = 0;

	joins_init(&w, FLOW_IPV4);
	world_start(&w);
	for (unsigned i = 0; i < 2; i++) {
		select_conn(&w, i, key);
		world_open(&w);
		key[i] = w.key_local;
		CU_ASSERT_FATAL(joins_find(&w, &j[i], 1) == 1);
	}
	select_conn(&w, 0, key);
	join_complete(&w, &j[0]);
	CHECK_EQ(0, living(&w), 2);
	put_peer_ack(&w, &s.w, 101);
	net_sends(&w, ENGINE_STEAL, &s);
	s = (struct seg){.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 60000};
	for (; n < 1000 && (n == 0 || w.r.reason == REASON_DATA_TO_NET); n++, s.seq += 60000)
		guest_sends(&w, ENGINE_STEAL, &s);
	select_conn(&w, 1, key);
	join_synack(&w, &j[1], 0, false, -1);
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
	options_put_timestamps(&s.w, 8001, 1);
	world_pass(&w, JOIN_SETTLE_US);
	join_sends(&w, &j[1], &s);
	CHECK_EQ(0, engine_counter(w.e, REASON_JOIN_MEMORY), 1);
	CHECK_EQ(0, engine_counter(w.e, REASON_JOIN_ESTABLISHED), 1);
	CU_ASSERT_FATAL(join_out(&w, &j[1], is_rst) >= 0);
	CU_ASSERT(w.o.mp.has_tcprst && w.o.mp.tcprst.transient);
	CHECK_EQ(0, w.o.mp.tcprst.reason, MP_TCPRST_RESOURCES);
	CU_ASSERT(engine_audit(w.e));
	/* The connection carries data as before. */
	s = (struct seg){.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 100};
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_DATA_TO_NET);
	world_fini(&w);
}

/*
 * What a joined subflow does not survive, and the connection does: each row is a segment of the
 * peer there, behind which the subflow is to be reset with this reason.
 */
static void test_broken(void)
{
	static const char *const rows[] = {
		/* MP_FAIL: with other subflows there is nothing to fall back to */
		"1e0c 6000 0000000000000001",
		/* an infinite mapping */
		"1e0e 2004 00000001 00000001 0000 0101",
		/* data without a mapping */
		"",
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
		struct world w;
		struct join j;

		CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
		s.payload_bytes = 100;
		s.w.len_bytes = (uint8_t)unit_hex(s.w.buf, OPTIONS_MAX, rows[i]);
		join_sends(&w, &j, &s);
		CHECK_EQ(i, w.r.reason, REASON_SUBFLOW_OWN);
		CU_ASSERT_FATAL(join_out(&w, &j, is_rst) >= 0);
		CU_ASSERT(w.o.mp.has_tcprst);
		CHECK_EQ(i, w.o.mp.tcprst.reason, MP_TCPRST_MIDDLEBOX);
		CHECK_EQ(i, living(&w), 1);
		CU_ASSERT(engine_audit(w.e));
		/* It goes on over the first one, and the pair is left alone for two seconds. */
		s = (struct seg){.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 500};
		guest_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT(join_out(&w, NULL, is_any) >= 0);
		world_pass(&w, 1900000);
		CHECK_EQ(i, joins_find(&w, &j, 1), 0);
		world_fini(&w);
	}
}

/*
 * The peer's FIN without DATA_FIN closes its half of the subflow alone: ours follows when what we
 * sent there has arrived, and the guest hears nothing of it.
 */
static void test_peer_closes_subflow(void)
{
	struct seg s = {.flags = TCP_ACK | TCP_FIN, .seq = 1, .ack = 1, .window = 1000};
	struct world w;
	struct join j;

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
	put_peer_ack(&w, &s.w, 101);
	join_sends(&w, &j, &s);
	CHECK_EQ(0, living(&w), 1);
	CU_ASSERT_FATAL(join_out(&w, &j, is_fin) >= 0);
	CHECK_EQ(0, w.p.ack, JOIN_ISN + 2);
	for (unsigned i = 0; i < w.outs.n_pkt; i++)
		CHECK_EQ(i, w.pkt[i].side, ENGINE_NET);
	/* It is over when ours is acknowledged; the connection is not. */
	s = (struct seg){.flags = TCP_ACK, .seq = 2, .ack = 2, .window = 1000};
	join_sends(&w, &j, &s);
	CHECK_EQ(0, living(&w), 1);
	CHECK_EQ(0, engine_connections(w.e), 1);
	CU_ASSERT(engine_audit(w.e));
	s = (struct seg){.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 500};
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT(join_out(&w, NULL, is_any) >= 0 && w.p.payload_bytes == 500);
	world_fini(&w);
}

/* The peer repeats its SYN/ACK on a subflow that is established: it lacks our ACK. */
static void test_synack_again(void)
{
	struct world w;
	struct join j;

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV6, &j));
	join_synack(&w, &j, 0, false, -1);
	CHECK_EQ(0, w.r.reason, REASON_JOIN_SUBFLOW);
	CU_ASSERT_FATAL(join_out(&w, &j, is_any) >= 0);
	CU_ASSERT(w.p.flags == TCP_ACK && w.p.ack == JOIN_ISN + 1 && w.p.seq == j.iss + 1);
	CHECK_EQ(0, w.outs.n_pkt, 1);
	CHECK_EQ(0, living(&w), 2);
	world_fini(&w);
}

/* The peer's data [at, at + 100) of the stream: the n-th hundred bytes there, on `j` or the first.
 */
static void peer_data(struct world *w, const struct join *j, uint32_t n, uint32_t at)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = 1 + 100 * n,
			.ack = j ? 1 : 101,
			.window = 1000,
			.payload_bytes = 100};

	put_peer_map(w, &s.w, 101, at, s.seq, 100, false);
	if (j)
		join_sends(w, j, &s);
	else
		net_sends(w, ENGINE_STEAL, &s);
}

/*
 * A subflow that brought data brings no more, what it should have brought is missing, and another
 * one goes on: it is taken for silent, and the peer is told by REMOVE_ADDR, once. Not when none
 * goes on, nor without a hole; and later when the other is so far away that it may bring what is
 * missing.
 */
static void test_silent(void)
{
	static const struct {
		bool hole, goes_on;
		uint32_t rtt_us; /* of the other one */
		uint32_t from_ms, to_ms;
	} rows[] = {{true, true, 0, 80, 400},
		    {true, true, 300000, 600, 900},
		    {true, false, 0, 0, 0},
		    {false, true, 0, 0, 0}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned told = 0, silent = rows[i].to_ms > 0, n;
		uint32_t at = rows[i].hole ? 201 : 101;
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		w.peer_us = rows[i].rtt_us;
		CU_ASSERT_FATAL(joins_open(&w, &j));
		join_complete(&w, &j);
		CU_ASSERT_FATAL(living(&w) == 2);
		peer_data(&w, &j, 0, 1);
		for (n = 0; n < 50 && living(&w) == 2; n++) {
			world_pass(&w, 20000);
			told += join_out(&w, NULL, is_remove_addr) >= 0;
			if (n == 0 || rows[i].goes_on)
				peer_data(&w, NULL, n, at + 100 * n);
			told += join_out(&w, NULL, is_remove_addr) >= 0;
		}
		CHECK_EQ(i, living(&w), 2 - silent);
		CHECK_EQ(i, told, silent);
		CHECK_EQ(i, engine_counter(w.e, REASON_SUBFLOW_SILENT), silent);
		if (silent)
			CHECK_ROW(i, n * 20 >= rows[i].from_ms && n * 20 <= rows[i].to_ms);
		world_pass(&w, 1000000);
		told += join_out(&w, NULL, is_remove_addr) >= 0;
		CHECK_EQ(i, told, silent);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/*
 * The path's address goes between our ACK and the peer's first data there: what comes is taken, and
 * the subflow ends behind it.
 */
static void test_address_lost_while_joining(void)
{
	for (unsigned i = 0; i < 3; i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
		struct engine_path_cfg path;
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		CU_ASSERT_FATAL(joins_open(&w, &j));
		join_synack(&w, &j, 0, false, -1);
		path = w.cfg.path[1];
		path.addr4.b[3] = 99;
		engine_path_set(w.e, 1, true, &path);
		w.tick.now_us += JOIN_SETTLE_US;
		/* a pure ACK; data in order; data behind a hole */
		if (i > 0) {
			s.payload_bytes = 100;
			s.seq = i == 1 ? 1 : 501;
			put_peer_map(&w, &s.w, 101, s.seq, s.seq, 100, false);
		}
		join_sends(&w, &j, &s);
		CU_ASSERT(engine_audit(w.e));
		CHECK_EQ(i, engine_counter(w.e, REASON_SUBFLOW_ADDRESS_LOST), 1);
		CHECK_EQ(i, living(&w), 1);
		CHECK_EQ(i, world_pool_used(&w, "spans"), i == 2 ? 2 : 0);
		world_pass(&w, 50000);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"segments of a join", test_join_segments},
	{"a join's MSS", test_join_mss},
	{"no memory when it is there", test_no_memory_when_it_is_there},
	{"broken", test_broken},
	{"the peer closes a subflow", test_peer_closes_subflow},
	{"SYN/ACK again", test_synack_again},
	{"falls silent", test_silent},
	{"address lost while joining", test_address_lost_while_joining},
};

UNIT_MAIN("engine/subflows that cannot be had or kept", tests)
