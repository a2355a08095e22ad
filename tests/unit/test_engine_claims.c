/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_claims.c - what the engine tells the host about whose packets are its own, through a
 * connection's life: never before it is converted, to the end of its lingering.
 */
#include "engine/claims.h"
#include "engine/conn.h"
#include "inbound.h"
#include "joins.h"
#include "unit.h"

static struct engine_claim claims[ENGINE_CLAIMS_MAX];

/* Fetches; checks that there are `n` and that the first two are the guest's and the peer's. */
static void expect(struct world *w, unsigned at, unsigned n, enum engine_claim_kind kind)
{
	struct flow_tuple peer = flow_tuple_reverse(&w->net);

	CHECK_EQ(at, engine_claims(w->e, claims), n);
	for (unsigned i = 0; i < n && i < 2; i++) {
		CHECK_EQ(at, claims[i].kind, kind);
		CHECK_EQ(at, claims[i].from, i == 0 ? ENGINE_GUEST : ENGINE_NET);
		CU_ASSERT(flow_tuple_equal(&claims[i].tuple, i == 0 ? &w->guest : &peer));
	}
}

static void start(struct world *w)
{
	world_init(w, FLOW_IPV4);
	w->net.src_port = 777; /* translated */
	world_start(w);
	expect(w, 0, 0, 0);
}

static void test_initiator(void)
{
	struct seg rst = {.flags = TCP_RST, .seq = 101};
	struct world w;

	start(&w);
	world_open(&w);
	expect(&w, 1, 2, ENGINE_CLAIM_CONVERTED);
	expect(&w, 2, 0, 0);
	guest_sends(&w, ENGINE_STEAL, &rst);
	expect(&w, 3, 2, ENGINE_CLAIM_OVER);
	world_pass(&w, 30000000);
	CHECK_EQ(4, engine_connections(w.e), 0);
	/* Not ENDED: since it was OVER the tuple may have been used again. */
	expect(&w, 4, 2, ENGINE_CLAIM_RELEASED);
	world_fini(&w);
}

static void test_idle(void)
{
	struct world w;

	world_init(&w, FLOW_IPV6);
	w.cfg.idle_timeout_us = 1000000;
	world_start(&w);
	world_open(&w);
	expect(&w, 0, 2, ENGINE_CLAIM_CONVERTED);
	world_pass(&w, 3000000);
	CHECK_EQ(1, engine_connections(w.e), 0);
	expect(&w, 1, 2, ENGINE_CLAIM_ENDED);
	world_fini(&w);
}

/* A connection that stays or becomes plain is nobody's but the kernel's. */
static void test_plain(void)
{
	struct seg s = {.flags = TCP_SYN | TCP_ACK, .ack = 1, .window = 1000};
	struct world w;

	start(&w);
	guest_sends(&w, ENGINE_IN_PLACE, &(struct seg){.flags = TCP_SYN, .window = 1000});
	expect(&w, 0, 0, 0);
	net_sends(&w, ENGINE_IN_PLACE, &s);
	expect(&w, 1, 0, 0);
	world_fini(&w);

	start(&w);
	world_handshake(&w);
	expect(&w, 2, 2, ENGINE_CLAIM_CONVERTED);
	guest_sends(&w, ENGINE_STEAL,
		    &(struct seg){.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000});
	/* The peer's first data has no DSS: fallback, and no rewriting is needed. */
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000, .payload_bytes = 10};
	net_sends(&w, ENGINE_STEAL, &s);
	expect(&w, 3, 2, ENGINE_CLAIM_RELEASED);
	world_fini(&w);
}

static void test_responder(void)
{
	struct world w;

	inbound_start(&w, FLOW_IPV4);
	client_syn(&w, "1e040101");
	expect(&w, 0, 1, ENGINE_CLAIM_HALF); /* how the host translates it is not known yet */
	guest_synack(&w);
	CHECK_EQ(1, engine_claims(w.e, claims), 1);
	CHECK_EQ(1, claims[0].from, ENGINE_NET);
	CHECK_EQ(1, claims[0].kind, ENGINE_CLAIM_HALF);
	client_acks(&w, w.key_local, 0);
	expect(&w, 2, 2, ENGINE_CLAIM_CONVERTED);
	world_fini(&w);

	inbound_start(&w, FLOW_IPV4);
	client_syn(&w, "1e040101");
	guest_synack(&w);
	engine_claims(w.e, claims);
	client_acks(&w, w.key_local + 1, 0); /* not our key: plain from here on */
	expect(&w, 3, 2, ENGINE_CLAIM_RELEASED);
	world_fini(&w);
}

static void test_adopted(void)
{
	struct world w;

	start(&w);
	world_open(&w);
	engine_claims(w.e, claims);
	w.e = engine_adopt(w.region, engine_region_bytes(&w.cfg), &w.cfg, w.tick.now_us);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w.e);
	expect(&w, 0, 2, ENGINE_CLAIM_CONVERTED);
	expect(&w, 1, 0, 0);
	world_fini(&w);
}

/*
 * What a subflow of the gate's own leaves behind stays claimed, the last FORGOTTEN_SLOTS of them;
 * not what is used again meanwhile.
 */
static void test_forgotten(void)
{
	struct flow_tuple again = {0}, tuple;
	struct subflow *s;
	struct world w;
	struct conn *c;

	world_init(&w, FLOW_IPV4);
	world_start(&w);
	world_open(&w);
	engine_claims(w.e, claims);
	c = conn_at(w.e, 0);
	tuple = w.net;
	for (unsigned i = 0; i < FORGOTTEN_SLOTS + 3; i++) {
		struct step st = {.e = w.e, .tick = &w.tick, .outs = &w.outs};

		tuple.src_port = (uint16_t)(20000 + i);
		s = subflow_new(&st, c, &tuple, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CHECK_EQ(i, engine_claims(w.e, claims), 1);
		CHECK_EQ(i, claims[0].kind, ENGINE_CLAIM_OWN);
		if (i == FORGOTTEN_SLOTS) {
			/* The second one's tuple stands for a new subflow again. */
			again = tuple;
			again.src_port = 20001;
			CU_ASSERT_PTR_NOT_NULL_FATAL(subflow_new(&st, c, &again, 0));
			engine_claims(w.e, claims);
		}
		subflow_free(w.e, c, s);
		if (i < FORGOTTEN_SLOTS || i == FORGOTTEN_SLOTS + 1) {
			CHECK_EQ(i, engine_claims(w.e, claims), 1);
		} else {
			CHECK_EQ(i, engine_claims(w.e, claims), 2);
			CHECK_EQ(i, claims[0].kind, ENGINE_CLAIM_RELEASED);
			CHECK_EQ(i, claims[0].tuple.dst_port, 20000 + i - FORGOTTEN_SLOTS);
			claims[0] = claims[1];
		}
		CHECK_EQ(i, claims[0].kind, ENGINE_CLAIM_FORGOTTEN);
		CHECK_EQ(i, claims[0].from, ENGINE_NET);
		CHECK_EQ(i, claims[0].tuple.dst_port, 20000 + i);
	}
	/* With the connection its other subflow is forgotten; the guest's own is as any other. */
	guest_sends(&w, ENGINE_STEAL, &(struct seg){.flags = TCP_RST, .seq = 101});
	world_pass(&w, 30000000);
	CHECK_EQ(0, engine_connections(w.e), 0);
	{
		unsigned n = engine_claims(w.e, claims), forgotten = 0;

		for (unsigned i = 0; i < n; i++)
			forgotten += claims[i].kind == ENGINE_CLAIM_FORGOTTEN &&
				     claims[i].tuple.dst_port == again.src_port;
		CHECK_EQ(0, forgotten, 1);
	}
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Nobody fetches for too long: what is lost is told anew, and an engine without a host lives on. */
static void test_overflow(void)
{
	struct world w;
	unsigned n, converted = 0;

	world_init(&w, FLOW_IPV4);
	world_start(&w);
	world_open(&w);
	for (unsigned i = 0; i < 2 * ENGINE_CLAIMS_MAX; i++) {
		struct conn *c = conn_at(w.e, 0);

		claims_subflow_add(w.e, c, subflow_at(w.e, c->subflow));
	}
	CU_ASSERT_FALSE(claims_full(w.e)); /* nothing waits for somebody who never comes */
	CHECK_EQ(0, engine_claims(w.e, claims), ENGINE_CLAIMS_MAX);
	n = engine_claims(w.e, claims);
	for (unsigned i = 0; i < n; i++)
		converted += claims[i].kind == ENGINE_CLAIM_CONVERTED;
	CHECK_EQ(1, n, 2);
	CHECK_EQ(2, converted, 2);
	CHECK_EQ(3, engine_claims(w.e, claims), 0);
	for (unsigned i = 0; i < ENGINE_CLAIMS_MAX; i++)
		claims_subflow_add(w.e, conn_at(w.e, 0), subflow_at(w.e, 0));
	CU_ASSERT(claims_full(w.e));
	world_fini(&w);
}

/*
 * The first subflow is gone, the connection is not: a segment that comes for it is dropped, but is
 * no sign that the host may give the tuple away, as it is where the engine knows of nothing.
 */
static void test_begun(void)
{
	struct seg s = {.flags = TCP_RST | TCP_ACK, .seq = 1, .ack = 101};
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	join_complete(&w, &j);
	net_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(living(&w) == 1);
	for (unsigned other = 0; other < 2; other++) {
		struct engine_pkt in = {.from = ENGINE_NET,
					.hook = ENGINE_STEAL,
					.mark_converted = true,
					.csum_trusted = true,
					.len_bytes = 40};

		s.flags = (uint8_t)(TCP_ACK | (other ? 0 : TCP_SYN));
		w.net.dst_port += other;
		net_sends(&w, ENGINE_STEAL, &s); /* makes the bytes */
		in.data = w.bytes;
		w.outs.n_pkt = 0;
		w.r = engine_packet(w.e, &in, &w.tick, &w.outs);
		CHECK_EQ(other, w.r.reason, REASON_DROP_ORPHAN);
		CHECK_EQ(other, w.r.ask.family != 0, other);
	}
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"initiator", test_initiator}, {"idle", test_idle},       {"plain", test_plain},
	{"responder", test_responder}, {"adopted", test_adopted}, {"forgotten", test_forgotten},
	{"overflow", test_overflow},   {"begun", test_begun},
};

UNIT_MAIN("engine/claims", tests)
