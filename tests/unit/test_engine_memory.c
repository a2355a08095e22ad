/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_memory.c - payload memory nearly used up while there are several subflows: windows
 * bounded and never withdrawn (I2), what comes in order goes on, what does not is thrown away when
 * nothing else helps (kept.h, S3). Byte `d` of the peer's stream has the value d.
 */
#include "base/seq.h"
#include "engine/kept.h"
#include "joins.h"
#include "unit.h"

#define CHUNK KEPT_CHUNK_BYTES

struct bench {
	struct world w;
	struct join j;
	uint32_t end; /* the guest was sent everything below it */
	uint32_t taken;
};

/* Two subflows, and so many chunks left that anybody may take. */
static void open_bench(struct bench *b, uint32_t left)
{
	memset(b, 0, sizeof(*b));
	joins_init(&b->w, FLOW_IPV4);
	b->end = 1;
	CU_ASSERT_FATAL(joins_open(&b->w, &b->j));
	join_complete(&b->w, &b->j);
	CU_ASSERT_FATAL(living(&b->w) == 2);
	while (kept_available(b->w.e) > left) {
		pool_new(&b->w.e->chunks, b->w.e);
		b->taken++;
	}
}

/* Data of the peer, at `ssn` of subflow `sub`; how far the guest has been sent. */
static uint32_t data(struct bench *b, unsigned sub, uint32_t data_at, uint32_t ssn, uint16_t bytes)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = ssn,
			.ack = sub ? 1 : 101,
			.window = 1000,
			.payload_bytes = bytes,
			.payload_first = (uint8_t)data_at};

	put_peer_map(&b->w, &s.w, 101, data_at, ssn, bytes, false);
	if (sub)
		join_sends(&b->w, &b->j, &s);
	else
		net_sends(&b->w, ENGINE_STEAL, &s);
	for (unsigned i = 0; out(&b->w, i); i++) {
		uint32_t at = b->w.p.seq - PEER_ISN;

		if (b->w.pkt[i].side != ENGINE_GUEST || b->w.p.payload_bytes == 0)
			continue;
		CHECK_ROW(ssn, at == b->end && b->w.p.payload[0] == (uint8_t)at);
		b->end = at + b->w.p.payload_bytes;
	}
	return b->end;
}

static void guest_acks(struct bench *b, uint32_t ack, uint16_t window)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = ack, .window = window};

	guest_sends(&b->w, ENGINE_STEAL, &s);
}

/* The data edge that the peer was told, on whichever subflow, and the joined one's acknowledgement.
 */
static bool told(struct bench *b, uint64_t *edge, uint32_t *ack)
{
	if (join_out(&b->w, &b->j, is_any) < 0 && join_out(&b->w, NULL, is_any) < 0)
		return false;
	*edge = (uint32_t)(b->w.o.mp.dss.data_ack - b->w.idsn_peer) +
		((uint64_t)b->w.p.window << GUEST_WSCALE);
	*ack = b->w.p.ack - JOIN_ISN;
	return true;
}

/* Nothing left but what is set aside: data in order goes on for ever, a chunk at a time. */
static void test_in_order(void)
{
	uint32_t at = 1;
	struct bench b;

	open_bench(&b, 0);
	for (unsigned i = 0; i < 20; i++) {
		/* It ends where the one chunk does; the guest's acknowledgement gives that back. */
		uint32_t end = data(&b, 1, at, at, 10000), less = end - at;

		CHECK_ROW(i, less > 0 && less <= 10000);
		if (less < 10000)
			CHECK_EQ(i, b.w.r.reason, REASON_DROP_NO_PAYLOAD_MEMORY);
		at = end;
		if (i % 2)
			guest_acks(&b, at, 2000);
	}
	CHECK_ROW(0, at > 20 * 7000);
	world_fini(&b.w);
}

/*
 * Out of order: kept while there is memory, then refused, and thrown away when it comes again: its
 * subflow is acknowledged, the data is not.
 */
static void test_out_of_order(void)
{
	const uint32_t far = 3 * CHUNK;
	uint64_t edge = 0;
	uint32_t ack = 0;
	struct bench b;

	open_bench(&b, 1);
	CHECK_EQ(0, data(&b, 1, 1001, 1, 1000), 1); /* one chunk is there for it */
	CHECK_EQ(0, b.w.r.reason, REASON_DATA_TO_GUEST);
	data(&b, 1, far, 1001, 1000);
	CHECK_EQ(1, b.w.r.reason, REASON_DROP_NO_PAYLOAD_MEMORY);
	CHECK_EQ(1, engine_counter(b.w.e, REASON_DATA_DISCARDED), 0);
	data(&b, 1, far, 1001, 1000);
	CHECK_EQ(2, engine_counter(b.w.e, REASON_DATA_DISCARDED), 1);
	data(&b, 1, far + 1000, 2001, 1000); /* and what follows */
	CHECK_EQ(3, engine_counter(b.w.e, REASON_DATA_DISCARDED), 2);
	world_pass(&b.w, 2000);
	CU_ASSERT_FATAL(told(&b, &edge, &ack));
	CHECK_EQ(3, ack, 3001);
	CHECK_EQ(3, (uint32_t)b.w.o.mp.dss.data_ack, (uint32_t)b.w.idsn_peer + 1);
	/* The hole is filled; what was thrown away comes once more, at the data level. */
	CHECK_EQ(4, data(&b, 0, 1, 1, 1000), 2001);
	guest_acks(&b, 2001, 2000);
	CHECK_EQ(5, data(&b, 1, 2001, 3001, 1000), 3001);
	CU_ASSERT(engine_connections(b.w.e) == 1);
	world_fini(&b.w);
}

/* The window: as the guest says while there is memory, less when there is not, never withdrawn. */
static void test_window(void)
{
	uint64_t edge = 0, before;
	uint32_t ack, at = 1;
	struct bench b;

	open_bench(&b, 200);
	guest_acks(&b, 1, 4000); /* 512000 bytes */
	CU_ASSERT_FATAL(told(&b, &edge, &ack));
	CHECK_EQ(0, edge, 1 + 512000);
	while (kept_available(b.w.e) > 0)
		pool_new(&b.w.e->chunks, b.w.e);
	for (unsigned i = 0; i < 120; i++) {
		before = edge;
		at = data(&b, 1, at, at, 8000);
		guest_acks(&b, at, 20000); /* the guest grants a lot more */
		CU_ASSERT_FATAL(told(&b, &edge, &ack));
		/* A window is told in units of 128 bytes. */
		CHECK_ROW(i, edge + 128 > before);
		CHECK_ROW(i, edge < 128 + (before > at + 65536 ? before : at + 65536));
	}
	CHECK_ROW(0, at > 450000 && edge > 513000);
	world_fini(&b.w);
}

/* Nobody asks for a second subflow that could not keep anything. */
static void test_no_room_for_more(void)
{
	for (unsigned left = 1; left < 100; left += 98) {
		struct bench b;

		memset(&b, 0, sizeof(b));
		joins_init(&b.w, FLOW_IPV4);
		world_start(&b.w);
		while (kept_available(b.w.e) > left)
			pool_new(&b.w.e->chunks, b.w.e);
		world_open(&b.w);
		CHECK_EQ(left, joins_find(&b.w, &b.j, 1), left > 1);
		CHECK_EQ(left, engine_connections(b.w.e), 1);
		world_fini(&b.w);
	}
}

/*
 * One subflow with checksums, where each mapping has a record of its own: the last one is for the
 * first byte that the peer lacks (mapping.h, M5).
 */
static void test_mappings(void)
{
	struct seg s = {.flags = TCP_ACK, .ack = 1, .window = 1000, .payload_bytes = 100};
	struct bench b;
	struct pool *p;

	memset(&b, 0, sizeof(b));
	joins_init(&b.w, FLOW_IPV4);
	b.w.peer_checksum = true;
	b.w.cfg.mode = ENGINE_SINGLE;
	world_start(&b.w);
	world_open(&b.w);
	p = &b.w.e->mappings;
	while (p->n_records - p->n_used > b.w.e->conns.n_records + 1)
		pool_new(p, b.w.e);
	/* [101, 201) got lost before the gate. */
	for (unsigned i = 1; i < 4; i++) {
		s.seq = 101 + 100 * i;
		guest_sends(&b.w, ENGINE_STEAL, &s);
		CHECK_EQ(i, b.w.r.reason,
			 i == 1 ? REASON_DATA_TO_NET : REASON_DROP_NO_MAPPING_MEMORY);
	}
	s.seq = 101;
	guest_sends(&b.w, ENGINE_STEAL, &s);
	CHECK_EQ(4, b.w.r.reason, REASON_DATA_TO_NET);
	world_fini(&b.w);
}

/*
 * No join is asked for whose subflow could not be kept: what others have under way counts. When
 * there is room again it is asked for.
 */
static void test_no_join_without_memory(void)
{
	struct join j[8] = {{.id = 0}};
	unsigned asked = 0, n;
	uint64_t key[5];
	struct world w;

	joins_init(&w, FLOW_IPV4); /* 16 connections: 3 of them on several subflows */
	world_start(&w);
	for (unsigned i = 0; i < 5; i++) {
		w.guest.src_port = (uint16_t)(40000 + i);
		w.net.src_port = (uint16_t)(50000 + i);
		world_open(&w);
		key[i] = w.key_local;
		n = joins_find(&w, &j[asked], 1);
		CHECK_EQ(i, n, i < 3);
		asked += n;
	}
	for (unsigned i = 0; i < 3; i++) {
		w.key_local = key[i];
		join_complete(&w, &j[i]);
		CHECK_EQ(i, engine_counter(w.e, REASON_JOIN_ESTABLISHED), i + 1);
	}
	world_pass(&w, 3000000);
	CHECK_EQ(3, engine_counter(w.e, REASON_JOIN_MEMORY), 0);
	CHECK_EQ(3, joins_find(&w, j, 8), 0);
	/* One ends, and its place is taken. */
	w.guest.src_port = 40000;
	w.net.src_port = 50000;
	guest_sends(&w, ENGINE_STEAL, &(struct seg){.flags = TCP_RST, .seq = 101, .ack = 1});
	CHECK_EQ(4, w.r.reason, REASON_RST_TO_NET);
	n = 0;
	for (unsigned i = 0; i < 30; i++) {
		world_pass(&w, 100000);
		n += joins_find(&w, j, 8);
	}
	CHECK_ROW(5, n > 0);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"no join without memory", test_no_join_without_memory},
	{"in order", test_in_order},
	{"out of order", test_out_of_order},
	{"window", test_window},
	{"no room for a second subflow", test_no_room_for_more},
	{"mappings", test_mappings},
};
UNIT_MAIN("engine/memory", tests)
