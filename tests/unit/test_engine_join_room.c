/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_join_room.c - how many subflows the peer may open (RFC 8684 section 3.2), and which
 * of them give their places to others.
 */
#include "engine/state.h"
#include "peer_join.h"

/*
 * SYNs with a known token and no ACK behind them: bounded, less where the gate itself may want to
 * join, and over after a while.
 */
static void test_half_open(void)
{
	for (unsigned responder = 0; responder < 2; responder++) {
		struct engine_conn_info info;
		unsigned asked = 0, refused = 0, most = responder ? 7 : 4;
		struct world w;
		struct join j;
		conn_ref conn;

		start(&w, FLOW_IPV4, responder);
		conn = w.r.conn;
		for (unsigned i = 0; i < 100; i++) {
			j = join_of(&w, i);
			join_syn(&j);
			asked += w.r.reason == REASON_JOIN_SUBFLOW;
			refused += w.r.reason == REASON_JOIN_LIMIT;
		}
		check_rst(responder, &w, MP_TCPRST_RESOURCES);
		CU_ASSERT(w.o.mp.tcprst.transient); /* the peer may try again */
		CHECK_EQ(responder, asked, most);
		CHECK_EQ(responder, refused, 100 - most);
		CU_ASSERT(engine_audit(w.e));
		/* SYN/ACKs again after 1 and 3 s, the end after 7. */
		world_pass(&w, 1100000);
		CHECK_EQ(responder, w.outs.n_pkt, most);
		world_pass(&w, 2000000);
		CHECK_EQ(responder, w.outs.n_pkt, most);
		world_pass(&w, 4100000);
		CHECK_EQ(responder, w.outs.n_pkt, 0);
		CU_ASSERT(engine_conn_info(w.e, conn, w.tick.now_us, &info));
		CHECK_EQ(responder, info.n_subflows, 1);
		/* There is room again. */
		join_syn(&j);
		join_ack(&j, 0);
		CHECK_EQ(responder, w.r.reason, REASON_JOIN_ACCEPTED);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* All places are held by joins that never end: who comes when the oldest is stale has its place. */
static void test_stale(void)
{
	struct engine_claim claims[ENGINE_CLAIMS_MAX];
	struct world w;
	struct join j;

	start(&w, FLOW_IPV4, true);
	engine_claims(w.e, claims);
	for (unsigned i = 0; i < 7; i++) {
		j = join_of(&w, i);
		join_syn(&j);
		world_pass(&w, 100000);
	}
	CHECK_EQ(0, engine_claims(w.e, claims), 7);
	j = join_of(&w, 50);
	join_syn(&j);
	CHECK_EQ(1, w.r.reason, REASON_JOIN_LIMIT);
	world_pass(&w, 301000);
	join_syn(&j);
	CHECK_EQ(3, w.r.reason, REASON_JOIN_SUBFLOW);
	CHECK_EQ(3, engine_counter(w.e, REASON_JOIN_TIMEOUT), 1);
	/* What comes of the one that had to go is not for the host to answer. */
	CHECK_EQ(3, engine_claims(w.e, claims), 2);
	CHECK_EQ(3, claims[0].kind, ENGINE_CLAIM_FORGOTTEN);
	CHECK_EQ(3, claims[0].tuple.src_port, 6000);
	CHECK_EQ(3, claims[1].kind, ENGINE_CLAIM_OWN);
	join_ack(&j, 0);
	CHECK_EQ(4, w.r.reason, REASON_JOIN_ACCEPTED);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

#define MAX 3

/* A called connection with all the subflows that it may have. */
static void fill(struct world *w, struct join j[MAX])
{
	world_init(w, FLOW_IPV4);
	w->cfg.memory_bytes = 4 << 20;
	w->cfg.max_subflows = MAX;
	world_start(w);
	responder_open(w);
	for (unsigned i = 1; i < MAX; i++) {
		j[i] = join_of(w, i);
		join_syn(&j[i]);
		join_ack(&j[i], 0);
		CHECK_EQ(i, w->r.reason, REASON_JOIN_ACCEPTED);
	}
}

/* One more is refused; so many subflows are asked beside. */
static void refused(unsigned row, struct world *w, struct join *j, unsigned why, unsigned n_asked)
{
	unsigned n = 0;

	join_syn(j);
	CHECK_EQ(row, w->r.verdict, ENGINE_DROP);
	CHECK_EQ(row, w->r.reason, REASON_JOIN_LIMIT);
	CHECK_EQ(row, w->outs.n_pkt, n_asked + 1);
	for (; n < n_asked && out(w, n); n++) {
		CHECK_EQ(row, w->p.flags, TCP_ACK);
		CHECK_EQ(row, w->p.payload_bytes, 0);
		/* Below what the peer expects: it must answer. */
		CHECK_ROW(row, w->p.seq == w->guest_isn || w->p.tuple.dst_port >= 6000);
	}
	CU_ASSERT_FATAL(out(w, n));
	CHECK_EQ(row, w->p.flags & (TCP_RST | TCP_SYN), TCP_RST);
	CHECK_EQ(row, w->o.mp.tcprst.reason, why);
	CHECK_EQ(row, w->o.mp.tcprst.transient, why == MP_TCPRST_RESOURCES);
	CHECK_ROW(row, flow_tuple_equal(&w->p.tuple, &j->net));
}

/* The peer answers what it was asked, on the initial subflow (null) or on a join. */
static void answers(struct world *w, struct join *j)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};

	if (j) {
		options_put_timestamps(&s.w, 9002, 1);
		swap(j);
	}
	net_sends(w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w->r.verdict, ENGINE_STOLEN);
	if (j)
		swap(j);
}

/* No more subflows than configured, the initial one counted, where all live. */
static void test_max_subflows(void)
{
	struct join j[MAX], more;
	struct world w;

	fill(&w, j);
	more = join_of(&w, 7);
	refused(0, &w, &more, MP_TCPRST_RESOURCES, MAX);
	/* At once again: they had no time to answer, and are not asked again. */
	refused(1, &w, &more, MP_TCPRST_RESOURCES, 0);
	for (unsigned i = 0; i < MAX; i++)
		answers(&w, i ? &j[i] : NULL);
	refused(2, &w, &more, MP_TCPRST_RESOURCES, 0);
	world_pass(&w, 1001000);
	refused(3, &w, &more, MP_TCPRST_PROHIBITED, 0);
	refused(4, &w, &more, MP_TCPRST_RESOURCES, MAX);
	CHECK_EQ(5, engine_counter(w.e, REASON_SUBFLOW_UNHEARD), 0);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Those that do not answer give their places, one by one; the last stays. */
static void test_unheard(void)
{
	for (unsigned lives = 0; lives <= MAX; lives++) {
		struct join j[MAX], more;
		struct engine_conn_info info;
		struct world w;
		unsigned n = 0;

		fill(&w, j);
		more = join_of(&w, 10);
		refused(lives, &w, &more, MP_TCPRST_RESOURCES, MAX);
		if (lives < MAX)
			answers(&w, lives ? &j[lives] : NULL);
		world_pass(&w, 1001000);
		for (unsigned i = 0; i < 4; i++) {
			more = join_of(&w, 10 + i);
			join_syn(&more);
			if (w.r.reason != REASON_JOIN_SUBFLOW)
				break;
			/* A RST to the one that goes, then the SYN/ACK. */
			CHECK_EQ(lives, w.outs.n_pkt, 2);
			CHECK_ROW(lives,
				  out(&w, 0) && (w.p.flags & TCP_RST) && w.o.mp.tcprst.transient);
			CHECK_ROW(lives, lives == MAX ||
						 !flow_tuple_equal(&w.p.tuple,
								   lives ? &j[lives].net : &w.net));
			join_ack(&more, 0);
			CHECK_EQ(lives, w.r.reason, REASON_JOIN_ACCEPTED);
			n++;
		}
		CHECK_EQ(lives, n, lives == MAX ? MAX : MAX - 1);
		CHECK_EQ(lives, engine_counter(w.e, REASON_SUBFLOW_UNHEARD), n);
		CHECK_EQ(lives, w.r.reason, REASON_JOIN_LIMIT);
		CU_ASSERT(engine_conn_info(w.e, 0, w.tick.now_us, &info));
		CHECK_EQ(lives, info.n_subflows, MAX);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/*
 * One whose data goes unanswered gives its place at once, unless the peer says something there:
 * then it is alive.
 */
static void test_unanswered(void)
{
	struct seg s = {
		.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000, .payload_bytes = 1000};

	for (unsigned says = 0; says < 2; says++) {
		struct join j[MAX], more;
		struct world w;

		fill(&w, j);
		guest_sends(&w, ENGINE_STEAL, &s);
		for (unsigned i = 0; i < 60; i++)
			world_pass(&w, 100000);
		for (unsigned i = 0; says && i < MAX; i++)
			answers(&w, i ? &j[i] : NULL);
		CHECK_EQ(says, engine_counter(w.e, REASON_SUBFLOW_UNHEARD), 0);
		more = join_of(&w, 10);
		join_syn(&more);
		CHECK_EQ(says, w.r.reason, says ? REASON_JOIN_LIMIT : REASON_JOIN_SUBFLOW);
		CHECK_EQ(says, engine_counter(w.e, REASON_SUBFLOW_UNHEARD), !says);
		if (!says) {
			join_ack(&more, 0);
			CHECK_EQ(says, w.r.reason, REASON_JOIN_ACCEPTED);
			/* What the others do not bring goes there. */
			CU_ASSERT(out(&w, w.outs.n_pkt - 1) && w.p.payload_bytes > 0);
			CU_ASSERT(flow_tuple_equal(&w.p.tuple, &more.net));
		}
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"half open", test_half_open},       {"half open and stale", test_stale},
	{"max_subflows", test_max_subflows}, {"unheard", test_unheard},
	{"unanswered", test_unanswered},
};

UNIT_MAIN("engine/join_room", tests)
