/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_hand_over.c - what a connection's first subflow takes along when a second one makes
 * the gate its sender, and what is still told of both when it is over.
 */
#include "joins.h"
#include "unit.h"

/*
 * The first subflow's round trip at the hand-over is the shorter of the two that were measured: the
 * SYN may have waited for a neighbour's address, or the data in a queue.
 */
static void test_round_trip_handed_over(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct engine_conn_info info;
		uint32_t at = 101, joins = 0;
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		w.cfg.after_bytes = 10000;
		w.peer_us = i ? 1000 : 300000;
		world_start(&w);
		world_open(&w);
		for (; at < 12000 && !joins; at += 100) {
			struct seg s = {.flags = TCP_ACK,
					.seq = at,
					.ack = 1,
					.window = 1000,
					.payload_bytes = 100};

			guest_sends(&w, ENGINE_STEAL, &s);
			joins = joins_find(&w, &j, 1);
			w.tick.now_us += i ? 200000 : 1000;
			s = (struct seg){
				.flags = TCP_ACK, .seq = 1, .ack = at + 100, .window = 1000};
			put_peer_ack(&w, &s.w, at + 100);
			net_sends(&w, ENGINE_STEAL, &s);
		}
		CU_ASSERT_FATAL(joins == 1);
		join_complete(&w, &j);
		CU_ASSERT_FATAL(engine_conn_info(w.e, 0, w.tick.now_us, &info));
		for (unsigned k = 0; k < info.n_subflows; k++)
			if (flow_tuple_equal(&info.subflow[k].tuple, &w.net))
				CHECK_ROW(i, info.subflow[k].srtt_us > 0 &&
						     info.subflow[k].srtt_us < 10000);
		CHECK_EQ(i, living(&w), 2);
		world_fini(&w);
	}
}

/* Ended by MP_FASTCLOSE it is still one that had several subflows. */
static void test_over(void)
{
	struct engine_conn_info info;
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	join_complete(&w, &j);
	mp_fastclose_encode(&s.w, w.key_local);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, engine_counter(w.e, REASON_CLOSED_BY_PEER_FASTCLOSE), 1);
	CU_ASSERT_FATAL(engine_conn_info(w.e, 0, w.tick.now_us, &info));
	CU_ASSERT_STRING_EQUAL(info.state, "closed");
	CU_ASSERT_STRING_EQUAL(info.mode, "multi");
	CHECK_EQ(0, info.n_subflows, 2);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"the round trip at the hand-over", test_round_trip_handed_over},
	{"over", test_over},
};

UNIT_MAIN("engine/hand-over", tests)
