/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_ahead.c - what comes behind a hole goes to a guest that keeps it (guest_sender.h,
 * G5).
 */
#include "guest_bench.h"

#define EDGE_BYTES (4000u << GUEST_WSCALE) /* as guest_acks() tells */

/* Bytes of the peer at `at`, wherever it stood before. */
static void comes_at(struct bench *b, uint32_t at, uint32_t bytes, bool fin)
{
	b->ssn = at;
	peer_sends(b, bytes, fin);
}

static void guest_keeps(struct bench *b, uint32_t start, uint32_t end)
{
	const struct sack_block x = {start, end};

	guest_acks(b, 1001, &x, 1);
}

/* 1001..3001 is missing, 3001..33001 went ahead, and the guest told that it has it. */
static void open_ahead(struct bench *b)
{
	open_bench(b, true);
	comes_at(b, 3001, 10000, false);
	CHECK_EQ(0, b->n, 1);
	SENT(b, 0, 0, 3001, 13001);
	guest_keeps(b, 3001, 13001);
	CHECK_EQ(1, b->n, 0);
	comes_at(b, 13001, 20000, false);
	CHECK_EQ(2, b->n, 1);
	SENT(b, 2, 0, 13001, 33001);
	guest_keeps(b, 3001, 33001);
	CHECK_EQ(3, b->n, 0);
}

/* Not in small pieces, and no more than to find out whether it keeps them. */
static void test_first(void)
{
	struct bench b;

	open_bench(&b, true);
	comes_at(&b, 3001, 5000, false);
	CHECK_EQ(0, b.n, 0);
	comes_at(&b, 8001, 5000, false);
	CHECK_EQ(1, b.n, 1);
	SENT(&b, 1, 0, 3001, 13001);
	comes_at(&b, 13001, 10000, false);
	CHECK_EQ(2, b.n, 0);
	guest_keeps(&b, 3001, 13001);
	CHECK_EQ(3, b.n, 0);
	comes_at(&b, 23001, 1000, false);
	CHECK_EQ(4, b.n, 1);
	SENT(&b, 4, 0, 13001, 24001);
	comes_at(&b, 13001, 11000, false); /* once more, as when it is reinjected */
	CHECK_EQ(5, b.n, 0);
	CU_ASSERT(engine_audit(b.w.e));
	world_fini(&b.w);
}

/* In its turn only what is missing goes, and late blocks are no sign of loss. */
static void test_in_its_turn(void)
{
	struct bench b;

	open_ahead(&b);
	comes_at(&b, 1001, 2000, false);
	CHECK_EQ(0, b.n, 1);
	SENT(&b, 0, 0, 1001, 3001);
	for (unsigned i = 0; i < 5; i++) {
		guest_keeps(&b, 3001, 33001);
		CHECK_EQ(i, b.n, 0);
	}
	guest_acks(&b, 33001, NULL, 0);
	CHECK_EQ(1, b.n, 0);
	CHECK_EQ(1, engine_deadline_us(b.w.e) > b.w.tick.now_us + 500 * MS, true);
	comes_at(&b, 33001, 1000, false);
	SENT(&b, 2, 0, 33001, 34001);
	CU_ASSERT(engine_audit(b.w.e));
	world_fini(&b.w);
}

/* The peer hears the window that the guest opens meanwhile, and no acknowledgement (I1). */
static void test_window(void)
{
	const struct sack_block x = {3001, 33001};
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1001, .window = 5000};
	unsigned told = 0;
	struct bench b;

	open_ahead(&b);
	options_put_sack(&s.w, (struct sack_block[]){{PEER_ISN + x.start, PEER_ISN + x.end}}, 1);
	guest_sends(&b.w, ENGINE_STEAL, &s);
	for (unsigned i = 0; out(&b.w, i); i++) {
		if (b.w.pkt[i].side != ENGINE_NET)
			continue;
		CHECK_EQ(i, (uint32_t)b.w.o.mp.dss.data_ack, (uint32_t)b.w.idsn_peer + 1001);
		CHECK_EQ(i, b.w.p.window, 5000);
		told++;
	}
	CHECK_EQ(0, told, 1);
	world_fini(&b.w);
}

/* A guest that never says what it has gets all in its turn; so does one without SACK. */
static void test_unproved(void)
{
	struct bench b;

	for (unsigned sack = 0; sack < 2; sack++) {
		open_bench(&b, sack);
		comes_at(&b, 3001, 10000, false);
		CHECK_EQ(sack, b.n, sack);
		comes_at(&b, 13001, 10000, false);
		CHECK_EQ(sack, b.n, 0);
		comes_at(&b, 1001, 2000, false);
		CHECK_EQ(sack, b.n, 1);
		SENT(&b, sack, 0, 1001, 23001);
		guest_acks(&b, 23001, NULL, 0);
		CHECK_EQ(sack, b.n, 0);
		CU_ASSERT(engine_audit(b.w.e));
		world_fini(&b.w);
	}
}

/* Nor one whose window is large already. */
static void test_large_window(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1001, .window = 8192};
	struct bench b;

	open_ahead(&b);
	guest_sends(&b.w, ENGINE_STEAL, &s); /* 1 MB */
	comes_at(&b, 33001, 20000, false);
	CHECK_EQ(0, b.n, 0);
	comes_at(&b, 1001, 2000, false);
	CHECK_EQ(1, b.n, 2);
	SENT(&b, 1, 0, 1001, 3001);
	SENT(&b, 1, 1, 33001, 53001);
	world_fini(&b.w);
}

/* It has thrown away what it had: at once everything goes again, and nothing ahead any more. */
static void test_forgotten(void)
{
	uint32_t at = 3001;
	struct bench b;

	open_ahead(&b);
	comes_at(&b, 1001, 2000, false);
	SENT(&b, 0, 0, 1001, 3001);
	for (unsigned i = 0; i < 20 && at != 33001; i++) {
		guest_acks(&b, at, NULL, 0);
		CHECK_EQ(i, b.n, 1);
		CHECK_ROW(i, b.start[0] == at);
		at = b.end[0];
	}
	CHECK_EQ(1, at, 33001);
	guest_acks(&b, at, NULL, 0);
	comes_at(&b, 40001, 20000, false);
	CHECK_EQ(2, b.n, 0);
	comes_at(&b, 33001, 7000, false);
	SENT(&b, 3, 0, 33001, 60001);
	CU_ASSERT(engine_audit(b.w.e));
	world_fini(&b.w);
}

/* What fills the hole is lost on its way to the guest: the timer sends it, not what it has. */
static void test_filler_lost(void)
{
	struct bench b;

	open_ahead(&b);
	comes_at(&b, 1001, 2000, false);
	comes_at(&b, 33001, 6000, false);
	SENT(&b, 0, 0, 33001, 39001);
	guest_keeps(&b, 3001, 39001);
	CHECK_EQ(1, b.n, 1);
	SENT(&b, 1, 0, 1001, 3001);
	guest_acks(&b, 39001, NULL, 0);
	CHECK_EQ(2, b.n, 0);
	CU_ASSERT(engine_audit(b.w.e));
	world_fini(&b.w);
}

/* Beyond the window that the guest granted nothing goes; the FIN never before its turn. */
static void test_edges(void)
{
	const uint32_t edge = 1001 + EDGE_BYTES;
	struct bench b;

	open_ahead(&b);
	comes_at(&b, edge - 10000, 20000, false);
	CHECK_EQ(0, b.n, 1);
	SENT(&b, 0, 0, edge - 10000, edge);
	world_fini(&b.w);

	open_ahead(&b);
	comes_at(&b, 33001, 10000, true);
	CHECK_EQ(1, b.n, 1);
	SENT(&b, 1, 0, 33001, 43001);
	CHECK_EQ(1, b.fin, false);
	comes_at(&b, 1001, 2000, false);
	CHECK_EQ(2, b.n, 1);
	SENT(&b, 2, 0, 1001, 3001);
	CHECK_EQ(2, b.fin, true);
	guest_acks(&b, 43002, NULL, 0);
	CHECK_EQ(3, b.n, 0);
	CU_ASSERT(engine_audit(b.w.e));
	world_fini(&b.w);
}

static const struct unit_test tests[] = {
	{"first", test_first},
	{"in its turn", test_in_its_turn},
	{"window", test_window},
	{"unproved", test_unproved},
	{"large window", test_large_window},
	{"forgotten", test_forgotten},
	{"filler lost", test_filler_lost},
	{"edges", test_edges},
};
UNIT_MAIN("engine/ahead of its turn", tests)
