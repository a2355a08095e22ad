/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_remap.c - one subflow: data that the peer acknowledged there and threw away is mapped
 * again, further on (RFC 8684 section 3.3.5).
 */
#include "opened.h"

/* The peer took data on the subflow, never as data: sent twice, then mapped anew. */
static void test_remap(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 1000};
	struct seg a = {.flags = TCP_ACK, .seq = 1, .ack = 1101, .window = 1000};
	struct world w;

	open_world(&w);
	guest_sends(&w, ENGINE_STEAL, &s);
	put_peer_ack(&w, &a.w, 101);
	net_sends(&w, ENGINE_STEAL, &a);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(0, w.p.seq, GUEST_ISN + 101);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(1, w.p.seq, GUEST_ISN + 1101);
	CHECK_EQ(1, w.o.mp.dss.dsn, w.idsn_local + 101);
	CHECK_EQ(1, w.o.mp.dss.ssn, 1101);
	/* New data follows behind it. */
	s.seq = 1101;
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(2, w.p.seq, GUEST_ISN + 2101);
	CHECK_EQ(2, w.o.mp.dss.dsn, w.idsn_local + 1101);
	a.ack = 3101;
	a.w.len_bytes = 0;
	put_peer_ack(&w, &a.w, 2101);
	net_sends(&w, ENGINE_STEAL, &a);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(3, w.p.ack, GUEST_ISN + 2101);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* What was lost before the gate behind such a mapping has the room that was left for it. */
static void test_remap_hole(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 1000};
	struct seg a = {.flags = TCP_ACK, .seq = 1, .ack = 2101, .window = 1000};
	struct world w;

	open_world(&w);
	guest_sends(&w, ENGINE_STEAL, &s);
	s.seq = 1101;
	guest_sends(&w, ENGINE_STEAL, &s);
	put_peer_ack(&w, &a.w, 101);
	net_sends(&w, ENGINE_STEAL, &a);
	s.seq = 101;
	guest_sends(&w, ENGINE_STEAL, &s);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(0, w.p.seq, GUEST_ISN + 2101);
	s.seq = 3101; /* 2101 is lost */
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(1, w.p.seq, GUEST_ISN + 4101);
	s.seq = 2101;
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(2, w.p.seq, GUEST_ISN + 3101);
	CHECK_EQ(2, w.o.mp.dss.dsn, w.idsn_local + 2101);
	CHECK_EQ(2, w.o.mp.dss.ssn, 3101);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/*
 * The peer has the first of two mappings as data after all, and the second is lost: the guest is
 * not told before its place on the subflow is filled, or nobody could fill it.
 */
static void test_remap_lost(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 1000};
	struct seg a = {.flags = TCP_ACK, .seq = 1, .ack = 1101, .window = 1000};
	struct world w;

	open_world(&w);
	guest_sends(&w, ENGINE_STEAL, &s);
	put_peer_ack(&w, &a.w, 101);
	net_sends(&w, ENGINE_STEAL, &a);
	guest_sends(&w, ENGINE_STEAL, &s);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(0, w.p.seq, GUEST_ISN + 1101);
	a.w.len_bytes = 0;
	put_peer_ack(&w, &a.w, 1101);
	net_sends(&w, ENGINE_STEAL, &a);
	for (unsigned i = 0; out(&w, i); i++)
		CHECK_EQ(1, w.p.ack, GUEST_ISN + 101);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(2, w.p.seq, GUEST_ISN + 1101);
	CHECK_EQ(2, w.o.mp.dss.dsn, w.idsn_local + 101);
	CHECK_EQ(2, w.p.payload_bytes, 1000);
	/* Half of it. */
	a.ack = 1601;
	net_sends(&w, ENGINE_STEAL, &a);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(3, w.p.ack, GUEST_ISN + 601);
	a.ack = 2101;
	net_sends(&w, ENGINE_STEAL, &a);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(4, w.p.ack, GUEST_ISN + 1101);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"mapped again", test_remap},
	{"a hole behind it", test_remap_hole},
	{"lost", test_remap_lost},
};

UNIT_MAIN("engine/remap", tests)
