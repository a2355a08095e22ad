/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_join_accept.c - subflows that the peer opens (RFC 8684 section 3.2): accepted in both
 * roles, refused with the right reason, bounded, and what is nobody's business here let go.
 */
#include "engine/state.h"
#include "peer_join.h"

static void test_accepted(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct engine_conn_info info;
		struct world w;
		struct join j;
		uint8_t hmac[32];

		start(&w, i & 1 ? FLOW_IPV6 : FLOW_IPV4, i & 2);
		j = join_of(&w, 1);
		join_syn(&j);
		CHECK_EQ(i, w.r.verdict, ENGINE_STOLEN);
		CHECK_EQ(i, w.p.flags, TCP_SYN | TCP_ACK);
		CHECK_EQ(i, w.p.ack, j.peer_isn + 1);
		CU_ASSERT(flow_tuple_equal(&w.p.tuple, &j.net));
		CU_ASSERT(w.o.has_mss && w.o.has_sack_permitted && w.o.has_timestamps &&
			  w.o.has_wscale);
		CHECK_EQ(i, w.o.tsecr, 9000);
		CHECK_EQ(i, w.o.mp.join.address_id, 0);
		crypto_join_hmac(w.key_local, PEER_KEY, j.nonce, NONCE, hmac);
		CU_ASSERT(memcmp(hmac, j.hmac, 8) == 0);

		/* The SYN again: the same answer. */
		join_syn(&j);
		CU_ASSERT(w.o.mp.has_join && w.o.mp.join.nonce == j.nonce);

		join_ack(&j, 0);
		CHECK_EQ(i, w.r.reason, REASON_JOIN_ACCEPTED);
		CU_ASSERT(out(&w, 0) && w.o.mp.has_dss && w.o.mp.dss.has_ack);
		CHECK_EQ(i, w.p.ack, j.peer_isn + 1);
		CU_ASSERT(engine_conn_info(w.e, w.r.conn, w.tick.now_us, &info));
		CHECK_EQ(i, info.n_subflows, 2);
		CU_ASSERT_STRING_EQUAL(info.mode, "multi");
		/* The third ACK again: the fourth got lost. */
		join_ack(&j, 0);
		CU_ASSERT(w.o.mp.has_dss && w.outs.n_pkt == 1 && w.r.verdict == ENGINE_STOLEN);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

static void test_hmac(void)
{
	struct world w;
	struct join j;

	start(&w, FLOW_IPV4, true);
	j = join_of(&w, 1);
	join_syn(&j);
	join_ack(&j, 1);
	CHECK_EQ(0, w.r.reason, REASON_JOIN_ACK_HMAC);
	check_rst(0, &w, MP_TCPRST_MPTCP);
	/* Replayed: of this there is nothing left, and the host's own stack need not say so. */
	join_ack(&j, 0);
	CHECK_EQ(1, w.r.reason, REASON_DROP_NO_SUBFLOW);
	check_rst(1, &w, MP_TCPRST_MPTCP);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Refusals: which, and what the peer is told. */
static void test_refused(void)
{
	struct world w;
	struct join j;

	/* 0: nobody else can be meant where a guest's connection was converted */
	start(&w, FLOW_IPV4, true);
	j = join_of(&w, 1);
	j.token++;
	join_syn(&j);
	CHECK_EQ(0, w.r.reason, REASON_JOIN_TOKEN);
	check_rst(0, &w, MP_TCPRST_MPTCP);
	/* The whole SYN is acknowledged. */
	CHECK_EQ(0, w.p.ack, j.peer_isn + 1);
	/* 1: where none was, it may be the host's own */
	j.net.src_port++;
	join_syn(&j);
	CHECK_EQ(1, w.r.reason, REASON_JOIN_PASSED);
	CHECK_EQ(1, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(1, w.outs.n_pkt, 0);
	/* 2: ours, but not to be reached there */
	j.token--;
	join_syn(&j);
	CHECK_EQ(2, w.r.reason, REASON_JOIN_PROHIBITED);
	check_rst(2, &w, MP_TCPRST_PROHIBITED);
	world_fini(&w);

	/* 4: before the connection is confirmed */
	world_init(&w, FLOW_IPV4);
	world_start(&w);
	world_handshake(&w);
	{
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};

		guest_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT_FATAL(out(&w, 0));
		w.key_local = w.o.mp.capable.sender_key;
	}
	j = join_of(&w, 1);
	join_syn(&j);
	CHECK_EQ(4, w.r.reason, REASON_JOIN_NOT_OPEN);
	check_rst(4, &w, MP_TCPRST_MPTCP);
	world_fini(&w);

	/* 5: one path is what the operator wants */
	world_init(&w, FLOW_IPV4);
	w.cfg.mode = ENGINE_SINGLE;
	world_start(&w);
	responder_open(&w);
	j = join_of(&w, 1);
	join_syn(&j);
	CHECK_EQ(5, w.r.reason, REASON_JOIN_PROHIBITED);
	check_rst(5, &w, MP_TCPRST_PROHIBITED);
	world_fini(&w);
}

/* On the addresses of other paths: at the connection's port, and at ports of the gate's range. */
static void test_addresses(void)
{
	static const struct {
		uint8_t last; /* of 10.0.2.x */
		uint16_t port;
		enum reason want;
	} rows[] = {
		/* 0 */ {2, 40000, REASON_JOIN_SUBFLOW},
		/* 1 */ {2, 61000, REASON_JOIN_SUBFLOW},
		/* 2 */ {2, 60999, REASON_JOIN_PROHIBITED},
		/* 3 */ {3, 40000, REASON_JOIN_PROHIBITED},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct engine_conn_info info;
		struct world w;
		struct join j;

		world_init(&w, FLOW_IPV4);
		w.cfg.memory_bytes = 4 << 20;
		w.cfg.n_paths = 2;
		w.cfg.port_min = 61000;
		w.cfg.port_max = 65000;
		w.cfg.path[1] = (struct engine_path_cfg){.name = "b", .mtu_bytes = 1400};
		w.cfg.path[1].addr4 = (struct ip_addr){.b = {10, 0, 2, 2}};
		w.net.src_port = 40000;
		world_start(&w);
		responder_open(&w);
		j = join_of(&w, 1);
		j.net.src = (struct ip_addr){.b = {10, 0, 2, rows[i].last}};
		j.net.src_port = rows[i].port;
		join_syn(&j);
		CHECK_EQ(i, w.r.reason, rows[i].want);
		if (rows[i].want == REASON_JOIN_SUBFLOW) {
			CHECK_EQ(i, w.pkt[0].index, 1);
			CHECK_EQ(i, w.o.mss, 1360);
			CU_ASSERT(w.o.mp.join.address_id != 0);
			join_ack(&j, 0);
			CHECK_EQ(i, w.r.reason, REASON_JOIN_ACCEPTED);
			CU_ASSERT(engine_conn_info(w.e, w.r.conn, w.tick.now_us, &info));
			CHECK_EQ(i, info.subflow[1].path, 1);
		}
		/* Unknown tokens at a port of the gate's own are the gate's to refuse. */
		j = join_of(&w, 2);
		j.net.src = (struct ip_addr){.b = {10, 0, 2, 2}};
		j.net.src_port = 61001;
		j.token ^= 1;
		join_syn(&j);
		CHECK_EQ(i, w.r.reason, REASON_JOIN_TOKEN);
		check_rst(i, &w, MP_TCPRST_MPTCP);
		world_fini(&w);
	}
}

/* Let go because it might be the host's own, and met again where the host has nobody for it. */
static void test_unwanted(void)
{
	struct seg s = {.flags = TCP_SYN, .window = 1000};
	struct mp_join o = {.form = MP_JOIN_SYN, .token = 4711, .nonce = NONCE};
	struct world w;

	start(&w, FLOW_IPV6, true);
	mp_join_encode(&s.w, &o);
	w.net.src.b[15] ^= 1;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_JOIN_PASSED);
	net_sends(&w, ENGINE_UNWANTED, &s);
	CHECK_EQ(1, w.r.reason, REASON_JOIN_TOKEN);
	check_rst(1, &w, MP_TCPRST_MPTCP);
	/* Whoever asks for a new connection there hears from the host itself. */
	s.w.len_bytes = (uint8_t)unit_hex(s.w.buf, OPTIONS_MAX, "1e040101");
	net_sends(&w, ENGINE_UNWANTED, &s);
	CHECK_EQ(2, w.r.reason, REASON_SYN_PASSED);
	CHECK_EQ(2, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(2, w.outs.n_pkt, 0);
	world_fini(&w);
}

/* The pool's records are in other hands, or come back from there; of the first 4096. */
struct hoard {
	struct pool *pool;
	uint32_t record[4096];
	unsigned n;
};

static void hoard(struct world *w, struct hoard *h, struct pool *pool)
{
	h->pool = pool;
	h->n = 0;
	while (pool->n_used < pool->n_records && h->n < 4096)
		h->record[h->n++] = pool_new(pool, w->e);
	CU_ASSERT_FATAL(pool->n_used == pool->n_records);
}

static void give_back(struct world *w, struct hoard *h)
{
	while (h->n > 0)
		pool_free(h->pool, w->e, h->record[--h->n]);
}

/* It has this many subflows, and data goes on in both directions. */
static void check_lives(unsigned row, struct world *w, unsigned n_subflows, uint32_t at)
{
	struct seg s = {
		.flags = TCP_ACK, .seq = at, .ack = at, .window = 1000, .payload_bytes = 10};
	struct engine_conn_info info;

	guest_sends(w, ENGINE_STEAL, &s);
	CHECK_EQ(row, w->r.reason, REASON_DATA_TO_NET);
	CU_ASSERT(out(w, 0) && w->pkt[0].side == ENGINE_NET && w->p.payload_bytes == 10);
	s.ack += 10;
	put_peer_map(w, &s.w, at + 10, at, at, 10, false);
	net_sends(w, ENGINE_STEAL, &s);
	CHECK_EQ(row, w->r.reason, REASON_DATA_TO_GUEST);
	CU_ASSERT(out(w, 0) && w->pkt[0].side == ENGINE_GUEST && w->p.payload_bytes == 10);
	CU_ASSERT(engine_conn_info(w->e, w->r.conn, w->tick.now_us, &info));
	CHECK_EQ(row, info.n_subflows, n_subflows);
}

/*
 * No record is left for the subflow, for its sender, or for the connection on several: refused at
 * once, or where the last one went during the handshake, at the third ACK, with a word that it may
 * be tried again (section 3.6). The connection goes on as it was, and when there is room, so it is.
 */
static void test_memory(void)
{
	static struct hoard h;
	static const struct {
		unsigned pool;
		bool at_ack;
		enum reason want;
	} rows[] = {
		/* 0 subflows */ {0, false, REASON_JOIN_LIMIT},
		/* 1 senders */ {1, false, REASON_JOIN_LIMIT},
		/* 2 of several */ {2, false, REASON_JOIN_LIMIT},
		/* 3 */ {1, true, REASON_JOIN_MEMORY},
		/* 4 */ {2, true, REASON_JOIN_MEMORY},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;
		struct join j;

		start(&w, i & 1 ? FLOW_IPV6 : FLOW_IPV4, true);
		check_lives(i, &w, 1, 1);
		j = join_of(&w, 1);
		if (rows[i].at_ack)
			join_syn(&j);
		hoard(&w, &h,
		      rows[i].pool == 0   ? &w.e->subflows
		      : rows[i].pool == 1 ? &w.e->senders
					  : &w.e->multis);
		if (rows[i].at_ack)
			join_ack(&j, 0);
		else
			join_syn(&j);
		CHECK_EQ(i, w.r.reason, rows[i].want);
		check_rst(i, &w, MP_TCPRST_RESOURCES);
		CU_ASSERT(w.o.mp.tcprst.transient);
		CHECK_EQ(i, engine_counter(w.e, rows[i].want), 1);
		check_lives(i, &w, 1, 11);
		give_back(&w, &h);
		CU_ASSERT(engine_audit(w.e));
		j = join_of(&w, 2);
		join_syn(&j);
		join_ack(&j, 0);
		CHECK_EQ(i, w.r.reason, REASON_JOIN_ACCEPTED);
		check_lives(i, &w, 2, 21);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* What may come on a half-open join instead of its third ACK. */
static void test_third_acks(void)
{
	struct seg s;
	struct world w;
	struct join j;

	start(&w, FLOW_IPV4, true);
	j = join_of(&w, 1);
	join_syn(&j);
	/* Data that overtook it: comes again. */
	swap(&j);
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 9, .payload_bytes = 100};
	put_peer_map(&w, &s.w, 1, 1, 1, 100, false);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_DROP_STATE);
	/* An acknowledgement of something never sent. */
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 7, .window = 9};
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, w.r.reason, REASON_DROP_STATE);
	/* A forged RST, a real one. */
	s = (struct seg){.flags = TCP_RST, .seq = 2};
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(2, w.r.reason, REASON_DROP_STATE);
	s.seq = 1;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(3, w.r.reason, REASON_JOIN_WITHDRAWN);
	swap(&j);
	CHECK_EQ(4, w.outs.n_pkt, 0);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* A SYN on a joined subflow's tuple disturbs nothing. */
static void test_syn_on_living(void)
{
	struct world w;
	struct join j;

	start(&w, FLOW_IPV4, true);
	j = join_of(&w, 1);
	join_syn(&j);
	join_ack(&j, 0);
	swap(&j);
	w.peer_isn += 999;
	swap(&j);
	join_syn(&j);
	CHECK_EQ(0, w.r.reason, REASON_DROP_SYN_CHALLENGED);
	CU_ASSERT(out(&w, 0) && w.p.flags == TCP_ACK);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"accepted", test_accepted},
	{"wrong HMAC", test_hmac},
	{"refused", test_refused},
	{"addresses", test_addresses},
	{"nobody awaits it", test_unwanted},
	{"no memory", test_memory},
	{"instead of third ACKs", test_third_acks},
	{"SYN on a living subflow", test_syn_on_living},
};

UNIT_MAIN("engine/join_accept", tests)
