/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_claimed.c - which packets the daemon is shown: the table of claims through the connections'
 * lives, and every row of the rule that the program at the interfaces' ingress follows as well.
 */
#include "app/claimed.h"
#include "joins.h"
#include "unit.h"
#include "world.h"

#define SYN STEER_SYN
#define ACK STEER_ACK
#define RST STEER_RST
#define FIN STEER_FIN

static void test_rule(void)
{
	static const struct {
		uint8_t state, side, flags;
		bool options;
		uint32_t mark;
		bool again;
	} rows[] = {
		/* In nobody's tuple only a SYN from the net matters, and if it has options. */
		{0, STEER_GUEST, ACK, true, 0, false},
		{0, STEER_NET, ACK, true, 0, false},
		{0, STEER_NET, RST, false, 0, false},
		{0, STEER_GUEST, SYN, true, 0, false},
		{0, STEER_NET, SYN, false, 0, false},
		{0, STEER_NET, SYN, true, STEER_SHOWN, false},
		{0, STEER_NET, SYN | ACK, true, 0, false},
		{0, STEER_NET, SYN | RST, true, 0, false},
		{0, STEER_NET, SYN | FIN, true, 0, false},
		{STEER_IS_HALF, STEER_GUEST, ACK, true, STEER_HALF, false},
		{STEER_IS_HALF, STEER_NET, RST | ACK, false, STEER_HALF, false},
		{STEER_IS_HALF, STEER_GUEST, SYN | ACK, true, 0, false},
		{STEER_IS_HALF, STEER_NET, SYN, false, STEER_HALF, false},
		{STEER_IS_HALF, STEER_NET, SYN | ACK, true, 0, false},
		{STEER_IS_CONVERTED, STEER_GUEST, ACK, true, STEER_CONVERTED, false},
		{STEER_IS_CONVERTED, STEER_NET, RST, false, STEER_CONVERTED, false},
		/* Handshakes go the host's own road, but for those of the gate's subflows. */
		{STEER_IS_CONVERTED, STEER_GUEST, SYN, true, 0, false},
		{STEER_IS_CONVERTED, STEER_NET, SYN | ACK, true, 0, false},
		{STEER_IS_CONVERTED, STEER_NET, SYN, true, STEER_SHOWN, false},
		{STEER_IS_OWN, STEER_NET, SYN | ACK, true, STEER_CONVERTED, false},
		{STEER_IS_OWN, STEER_NET, SYN, true, STEER_SHOWN, false},
		{STEER_IS_OWN, STEER_NET, FIN | ACK, true, STEER_CONVERTED, false},
		/* What lingers ends where its ports are used again. */
		{STEER_IS_OVER, STEER_GUEST, ACK, true, STEER_CONVERTED, false},
		{STEER_IS_OVER, STEER_GUEST, SYN, true, 0, true},
		{STEER_IS_OVER, STEER_NET, SYN | ACK, true, 0, true},
		{STEER_IS_OVER, STEER_NET, SYN, true, STEER_SHOWN, true},
		{STEER_IS_FORGOTTEN, STEER_NET, ACK, true, STEER_CONVERTED, false},
		{STEER_IS_FORGOTTEN, STEER_NET, SYN | ACK, true, STEER_CONVERTED, false},
		{STEER_IS_FORGOTTEN, STEER_NET, SYN, true, STEER_SHOWN, true},
		{STEER_IS_FORGOTTEN, STEER_NET, SYN, false, 0, true},
	};
	bool again;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(i,
			 steer_mark(rows[i].state, (enum steer_side)rows[i].side, rows[i].flags,
				    rows[i].options, &again),
			 rows[i].mark);
		CHECK_EQ(i, again, rows[i].again);
	}
}

static void test_queues(void)
{
	static const struct {
		uint8_t side, flags;
		bool mptcp, forwarded;
	} rows[] = {
		{STEER_GUEST, SYN, false, true},       {STEER_GUEST, SYN | ACK, false, true},
		{STEER_GUEST, RST | ACK, true, false}, {STEER_GUEST, ACK, true, false},
		{STEER_GUEST, SYN | RST, true, false}, {STEER_GUEST, SYN | FIN, true, false},
		{STEER_NET, SYN, false, false},        {STEER_NET, SYN, true, true},
		{STEER_NET, SYN | ACK, false, true},   {STEER_NET, RST | ACK, false, true},
		{STEER_NET, RST, true, false},         {STEER_NET, ACK, true, false},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct claimed_segment s = {.side = (enum steer_side)rows[i].side,
						  .flags = rows[i].flags | 0x08,
						  .mptcp = rows[i].mptcp};

		CHECK_EQ(i, claimed_forwarded(&s), rows[i].forwarded);
	}
	CU_ASSERT_FALSE(claimed_stolen(0, true, true));
	CU_ASSERT_TRUE(claimed_stolen(STEER_HALF, true, false));
	CU_ASSERT_TRUE(claimed_stolen(STEER_CONVERTED, true, false));
	/* Shown: a SYN that has an MPTCP option indeed, or ICMP. */
	CU_ASSERT_FALSE(claimed_stolen(STEER_SHOWN, true, false));
	CU_ASSERT_TRUE(claimed_stolen(STEER_SHOWN, true, true));
	CU_ASSERT_TRUE(claimed_stolen(STEER_SHOWN, false, false));
}

/* From the SYN/ACK that shows MPTCP to the end of the lingering, or to the next SYN. */
static void test_life(void)
{
	for (unsigned reused = 0; reused < 2; reused++) {
		struct claimed *c = claimed_new();
		struct claimed_segment s = {.flags = SYN, .options = true};
		struct seg rst = {.flags = STEER_RST, .seq = 101};
		struct engine_result orphan = {.verdict = ENGINE_DROP,
					       .reason = REASON_DROP_ORPHAN};
		struct flow_tuple peer;
		struct world w;

		world_init(&w, FLOW_IPV4);
		w.net.src_port = 777;
		world_start(&w);
		claimed_fetch(c, w.e);
		CHECK_EQ(reused, claimed_count(c), 0);
		world_open(&w);
		claimed_fetch(c, w.e);
		peer = flow_tuple_reverse(&w.net);
		CHECK_EQ(reused, claimed_count(c), 2);
		CHECK_EQ(reused, claimed_find(c, &w.guest), STEER_IS_CONVERTED);
		CHECK_EQ(reused, claimed_find(c, &peer), STEER_IS_CONVERTED);
		CHECK_EQ(reused, claimed_find(c, &w.net), 0);
		CHECK_EQ(reused, claimed_too_big(c, &w.net), STEER_SHOWN);
		CHECK_EQ(reused, claimed_too_big(c, &peer), 0);
		guest_sends(&w, ENGINE_STEAL, &rst);
		claimed_fetch(c, w.e);
		CHECK_EQ(reused, claimed_find(c, &peer), STEER_IS_OVER);
		s.tuple = w.guest;
		if (reused) {
			CHECK_EQ(reused, claimed_ingress(c, &s), 0);
			CHECK_EQ(reused, claimed_count(c), 1);
		}
		/* Lingering adds nothing to what is not there. */
		orphan.ask = w.guest;
		claimed_orphan(c, &orphan);
		CHECK_EQ(reused, claimed_count(c), reused ? 1 : 2);
		world_pass(&w, 30000000);
		claimed_fetch(c, w.e);
		CHECK_EQ(reused, claimed_count(c), 0);
		world_fini(&w);
		claimed_del(c);
	}
	claimed_del(NULL);
}

/* Where a connection began stays its own, though the subflow there ends before it does. */
static void test_first_gone(void)
{
	struct seg rst = {.flags = STEER_RST, .seq = 1};
	struct claimed *c = claimed_new();
	struct flow_tuple first, joined;
	struct join j;
	struct world w;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	join_synack(&w, &j, 0, false, -1);
	join_complete(&w, &j);
	first = flow_tuple_reverse(&w.net);
	joined = flow_tuple_reverse(&j.net);
	claimed_fetch(c, w.e);
	CU_ASSERT_EQUAL(claimed_find(c, &first), STEER_IS_CONVERTED);
	CU_ASSERT_EQUAL(claimed_find(c, &joined), STEER_IS_OWN);
	net_sends(&w, ENGINE_STEAL, &rst);
	claimed_fetch(c, w.e);
	CU_ASSERT_EQUAL(living(&w), 1);
	CU_ASSERT_EQUAL(claimed_find(c, &first), STEER_IS_CONVERTED);
	/* A new process claims it as well. */
	w.e = engine_adopt(w.region, engine_region_bytes(&w.cfg), &w.cfg, w.tick.now_us);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w.e);
	claimed_del(c);
	c = claimed_new();
	claimed_fetch(c, w.e);
	CU_ASSERT_EQUAL(claimed_find(c, &first), STEER_IS_CONVERTED);
	/* The guest ends it: all of them linger, and go together; who joined is remembered. */
	rst.seq = 101;
	guest_sends(&w, ENGINE_STEAL, &rst);
	claimed_fetch(c, w.e);
	CU_ASSERT_EQUAL(claimed_find(c, &first), STEER_IS_OVER);
	world_pass(&w, 60000000);
	claimed_fetch(c, w.e);
	CU_ASSERT_EQUAL(claimed_count(c), 0);
	CU_ASSERT_EQUAL(claimed_find(c, &joined), STEER_IS_FORGOTTEN);
	claimed_del(c);
	world_fini(&w);
}

static const struct unit_test tests[] = {{"the rule", test_rule},
					 {"queues", test_queues},
					 {"a life", test_life},
					 {"the first gone", test_first_gone}};

UNIT_MAIN("claimed", tests)
