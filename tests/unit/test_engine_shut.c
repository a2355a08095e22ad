/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_shut.c - several subflows, and a window that is shut: whoever waits for room asks,
 * and the gate asks on, since the word that there is room may have been lost before it. And a
 * DATA_ACK that is never heard where it is told.
 */
#include "joins.h"
#include "unit.h"

#define PIECE 8000u
#define GUEST_ROOM (1000u << GUEST_WSCALE) /* what world_open() granted, from byte 1 on */
#define PEER_ROOM (1000u << PEER_WSCALE)   /* from byte 101 on */

static int to_guest(struct world *w)
{
	for (unsigned i = 0; out(w, i); i++)
		if (w->pkt[i].side == ENGINE_GUEST)
			return (int)i;
	return -1;
}

/* A keepalive, or a gate that has no room: answered on its subflow. */
static void test_keepalive(void)
{
	struct seg s = {.flags = TCP_ACK, .ack = 1, .window = 1000};
	struct world w;
	struct join j;

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
	world_pass(&w, 1000000);
	put_peer_ack(&w, &s.w, 101);
	for (unsigned i = 0; i < 3; i++) {
		/* Only what stands one below is a question. */
		s.seq = i == 1;
		join_sends(&w, &j, &s);
		CHECK_ROW(i, (join_out(&w, &j, is_any) >= 0) == (i != 1));
		if (i == 1)
			continue;
		CHECK_EQ(i, w.p.seq, j.iss + 1);
		CHECK_EQ(i, w.p.ack, JOIN_ISN + 1);
		CHECK_ROW(i, w.o.mp.has_dss && w.o.mp.dss.has_ack);
		/* There is room, and the gate knows. */
		CHECK_EQ(i, to_guest(&w), -1);
	}
	world_fini(&w);
}

/* The guest's window is shut: who asks, by a bare acknowledgement or an old byte, makes us ask. */
static void test_guest_shut(void)
{
	uint32_t end = 1 + GUEST_ROOM;
	struct world w;
	struct join j;
	struct seg s;

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
	for (uint32_t at = 1; at < end; at += PIECE) {
		s = (struct seg){.flags = TCP_ACK,
				 .seq = at,
				 .ack = 101,
				 .window = 1000,
				 .payload_bytes = PIECE};
		put_peer_map(&w, &s.w, 101, at, at, PIECE, false);
		net_sends(&w, ENGINE_STEAL, &s);
		s = (struct seg){.flags = TCP_ACK, .seq = 101, .ack = at + PIECE};
		s.window = (uint16_t)((end - s.ack) >> GUEST_WSCALE);
		guest_sends(&w, ENGINE_STEAL, &s);
	}
	world_pass(&w, 1000000);
	for (unsigned old_byte = 0; old_byte < 2; old_byte++) {
		s = (struct seg){.flags = TCP_ACK, .ack = 1, .window = 1000};
		s.seq = s.payload_bytes = old_byte;
		if (old_byte)
			put_peer_map(&w, &s.w, 101, end - 1, 1, 1, false);
		else
			put_peer_ack(&w, &s.w, 101);
		join_sends(&w, &j, &s);
		CU_ASSERT_FATAL(to_guest(&w) >= 0);
		CHECK_EQ(old_byte, w.p.seq, w.peer_isn + end - 1);
		CHECK_EQ(old_byte, w.p.payload_bytes, 0);
	}
	/* Its answer goes on. */
	s = (struct seg){.flags = TCP_ACK, .seq = 101, .ack = end, .window = 500};
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(join_out(&w, &j, is_any) >= 0);
	CHECK_EQ(2, w.p.window, 500);
	world_fini(&w);
}

/* The peer's window is shut and nothing waits here: the guest's question goes on. */
static void test_peer_shut(void)
{
	uint32_t end = 101 + PEER_ROOM;
	struct world w;
	struct join j;
	struct seg s;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	for (uint32_t at = 101; at < end; at += PIECE) {
		s = (struct seg){.flags = TCP_ACK,
				 .seq = at,
				 .ack = 1,
				 .window = 1000,
				 .payload_bytes = PIECE};
		guest_sends(&w, ENGINE_STEAL, &s);
		s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = at + PIECE};
		s.window = (uint16_t)((end - s.ack) >> PEER_WSCALE);
		put_peer_ack(&w, &s.w, s.ack);
		net_sends(&w, ENGINE_STEAL, &s);
	}
	join_complete(&w, &j);
	CU_ASSERT_FATAL(living(&w) == 2);
	world_pass(&w, 1000000);
	for (unsigned open = 0; open < 2; open++) {
		s = (struct seg){.flags = TCP_ACK, .seq = end - 1, .ack = 1, .window = 1000};
		guest_sends(&w, ENGINE_STEAL, &s);
		CHECK_ROW(open, to_guest(&w) >= 0);
		CHECK_EQ(open, w.p.window == 0, !open);
		CHECK_ROW(open, (join_out(&w, NULL, is_any) >= 0) == !open);
		CHECK_ROW(open, (join_out(&w, &j, is_any) >= 0) == !open);
		if (open)
			break;
		CHECK_EQ(open, w.p.seq, j.iss);
		s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 500};
		put_peer_ack(&w, &s.w, end);
		join_sends(&w, &j, &s);
		CHECK_ROW(open, to_guest(&w) >= 0 && w.p.window > 0);
	}
	world_fini(&w);
}

/*
 * A middlebox removes the DATA_ACKs of the joined subflow, where all data comes: the peer sends
 * again what it was told there, and is told on the other one.
 */
static void test_data_ack_unheard(void)
{
	struct world w;
	struct join j;

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
	/* New data; the same at once, as who sends everything twice does; and after a while. */
	for (unsigned i = 0; i < 3; i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1 + 100 * i, .ack = 1, .window = 1000};

		s.payload_bytes = 100;
		put_peer_map(&w, &s.w, 101, 1, s.seq, 100, false);
		join_sends(&w, &j, &s);
		CHECK_ROW(i, (join_out(&w, NULL, is_any) >= 0) == (i == 2));
		if (i == 2)
			CHECK_EQ(i, w.o.mp.dss.data_ack, w.idsn_peer + 101);
		s = (struct seg){.flags = TCP_ACK, .seq = 101, .ack = 101, .window = 1000};
		guest_sends(&w, ENGINE_STEAL, &s);
		CHECK_ROW(i, (join_out(&w, &j, is_any) >= 0) == (i == 0));
		world_pass(&w, i ? 300000 : 2000);
	}
	world_fini(&w);
}

/* The end of what the outputs carry on the subflow (NULL: the first one), relative; or `end`. */
static uint32_t carried(struct world *w, const struct join *j, uint32_t end)
{
	const struct flow_tuple *net = j ? &j->net : &w->net;

	for (unsigned n = 0; out(w, n); n++)
		if (flow_tuple_equal(&w->p.tuple, net) && w->p.payload_bytes)
			end = w->p.seq + w->p.payload_bytes - (j ? j->iss : w->guest_isn);
	return end;
}

/*
 * A middlebox removes what the peer says of the data on the first subflow, which carries all: the
 * data's timer asks on the other. The one that acknowledges so for long ends, unless the peer was
 * heard there meanwhile.
 */
static void test_stripped_subflow(void)
{
	for (unsigned heard = 0; heard < 2; heard++) {
		struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .window = 1000};
		uint32_t end[2] = {1, 101};
		bool asked = false;
		struct world w;
		struct join j;

		CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
		s.payload_bytes = PIECE;
		guest_sends(&w, ENGINE_STEAL, &s);
		for (unsigned i = 0; i < 8; i++) {
			end[0] = carried(&w, &j, end[0]);
			end[1] = carried(&w, NULL, end[1]);
			s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = end[1], .window = 999};
			net_sends(&w, ENGINE_STEAL, &s);
			put_peer_ack(&w, &s.w, 101);
			if (heard)
				net_sends(&w, ENGINE_STEAL, &s);
			s.ack = end[0];
			join_sends(&w, &j, &s);
			world_pass(&w, 1000000);
			for (unsigned n = 0; out(&w, n); n++)
				asked |= flow_tuple_equal(&w.p.tuple, &j.net) &&
					 w.p.seq == j.iss + end[0] - 1;
		}
		CHECK_EQ(heard, engine_counter(w.e, REASON_SUBFLOW_RESET), !heard);
		CHECK_ROW(heard, asked);
		world_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"keepalive", test_keepalive},
	{"the guest's window", test_guest_shut},
	{"the peer's window", test_peer_shut},
	{"a DATA_ACK that is not heard", test_data_ack_unheard},
	{"a subflow without options", test_stripped_subflow},
};

UNIT_MAIN("engine/shut", tests)
