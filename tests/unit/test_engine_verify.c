/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_verify.c - DSS checksums of the peer's data with several subflows: nothing reaches
 * the guest before its mapping was verified, and a wrong one ends its subflow (RFC 8684 section
 * 3.7). Byte `d` of the peer's stream (1 is the first) has the value d.
 */
#include "base/seq.h"
#include "engine/from_guest.h"
#include "engine/kept.h"
#include "engine/verify.h"
#include "joins.h"
#include "unit.h"

struct bench {
	struct world w;
	struct join j;
	uint32_t end; /* the guest was sent everything below it */
};

/* A piece of a mapping, on the initial (0) or the joined (1) subflow. */
struct piece_row {
	unsigned sub;
	uint32_t data_at, ssn, len; /* the mapping */
	uint32_t at, bytes;         /* of it, in this segment */
	bool altered, fin;
	uint32_t end; /* what the guest has been sent then */
};

static void peer_piece(struct bench *b, const struct piece_row *r)
{
	uint8_t payload[65536];
	struct seg s = {.flags = TCP_ACK,
			.seq = r->ssn + r->at,
			.ack = r->sub ? 1 : 101,
			.window = 1000,
			.payload_bytes = r->bytes,
			.payload_first = (uint8_t)(r->data_at + r->at + r->altered)};
	struct dss d = {.has_ack = true,
			.data_ack = b->w.idsn_local + 101,
			.ack64 = true,
			.has_map = true,
			.dsn64 = true,
			.dsn = b->w.idsn_peer + r->data_at,
			.ssn = r->ssn,
			.map_len = (uint16_t)(r->len + r->fin),
			.data_fin = r->fin,
			.has_csum = true};

	for (uint32_t i = 0; i < r->len; i++)
		payload[i] = (uint8_t)(r->data_at + i);
	d.csum = from_guest_checksum(d.dsn, d.ssn, d.map_len, payload, r->len);
	dss_encode(&s.w, &d);
	if (r->sub)
		join_sends(&b->w, &b->j, &s);
	else
		net_sends(&b->w, ENGINE_STEAL, &s);
}

/* Every byte for the guest is the stream's, and none leaves a hole. */
static void look_at_guest(struct bench *b, unsigned row)
{
	for (unsigned i = 0; out(&b->w, i); i++) {
		uint32_t at = b->w.p.seq - PEER_ISN;

		if (b->w.pkt[i].side != ENGINE_GUEST || b->w.p.payload_bytes == 0)
			continue;
		CHECK_ROW(row, seq_le(at, b->end));
		for (uint32_t k = 0; k < b->w.p.payload_bytes; k++)
			if (b->w.p.payload[k] != (uint8_t)(at + k)) {
				CHECK_ROW(row, b->w.p.payload[k] == (uint8_t)(at + k));
				break;
			}
		b->end = seq_max(b->end, at + b->w.p.payload_bytes);
	}
}

static void run(struct bench *b, const struct piece_row *r, unsigned n, bool audit)
{
	for (unsigned i = 0; i < n; i++) {
		peer_piece(b, &r[i]);
		look_at_guest(b, i);
		CHECK_EQ(i, b->end, r[i].end);
		CU_ASSERT(!audit || engine_audit(b->w.e));
	}
}

#define RUN(b, rows) run(b, rows, sizeof(rows) / sizeof((rows)[0]), true)
/* The test itself holds some of the records. */
#define RUN_NO_AUDIT(b, rows) run(b, rows, sizeof(rows) / sizeof((rows)[0]), false)

static void open_bench(struct bench *b, bool complete)
{
	memset(b, 0, sizeof(*b));
	joins_init(&b->w, FLOW_IPV4);
	b->w.peer_checksum = true;
	b->end = 1;
	if (!complete) {
		/* The peer's first data begins the join: a guest that sent more is handed over. */
		b->w.cfg.after_bytes = 500;
		CU_ASSERT_FATAL(!joins_open(&b->w, &b->j));
		return;
	}
	CU_ASSERT_FATAL(joins_open(&b->w, &b->j));
	join_complete(&b->w, &b->j);
	CU_ASSERT_FATAL(living(&b->w) == 2);
}

static void guest_acks(struct bench *b, uint32_t ack)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = ack, .window = 1000};

	guest_sends(&b->w, ENGINE_STEAL, &s);
}

static void test_good(void)
{
	static const struct piece_row rows[] = {
		/* 0 whole */ {1, 1, 1, 1000, 0, 1000, false, false, 1001},
		/* 1 in two */ {1, 1001, 1001, 1000, 0, 500, false, false, 1001},
		{1, 1001, 1001, 1000, 500, 500, false, false, 2001},
		/* 3 in three of odd length, backwards, one of them twice */
		{0, 2001, 1, 999, 666, 333, false, false, 2001},
		{0, 2001, 1, 999, 333, 333, false, false, 2001},
		{0, 2001, 1, 999, 333, 333, false, false, 2001},
		{0, 2001, 1, 999, 0, 333, false, false, 3000},
		/* 7 the next one is whole, but not its turn; then what it waits for, in pieces */
		{1, 5000, 2001, 700, 0, 700, false, false, 3000},
		{0, 3000, 1000, 2000, 1500, 500, false, false, 3000},
		{0, 3000, 1000, 2000, 0, 1500, false, false, 5700},
		/* 10 what is known comes again, whole and in part */
		{1, 1, 1, 1000, 0, 1000, false, false, 5700},
		{0, 3000, 1000, 2000, 0, 700, false, false, 5700},
		/* 12 large: several chunks, with a hole that is filled last; DATA_FIN behind it */
		{1, 5700, 2701, 60000, 20000, 40000, false, true, 5700},
		{1, 5700, 2701, 60000, 0, 19999, false, true, 5700},
		{1, 5700, 2701, 60000, 19999, 1, false, true, 65700},
	};
	struct bench b;

	open_bench(&b, true);
	RUN(&b, rows);
	CHECK_EQ(0, engine_counter(b.w.e, REASON_SUBFLOW_CHECKSUM), 0);
	CHECK_EQ(0, living(&b.w), 2);
	/* The guest's acknowledgement is the peer's DATA_ACK, and gives back what was kept. */
	guest_acks(&b, 65701);
	CU_ASSERT_FATAL(join_out(&b.w, &b.j, is_any) >= 0);
	CHECK_EQ(0, b.w.o.mp.dss.data_ack, b.w.idsn_peer + 65701);
	CU_ASSERT(engine_audit(b.w.e));
	world_fini(&b.w);
}

static bool is_fail(const struct world *w)
{
	return (w->p.flags & TCP_RST) && w->o.mp.has_fail;
}

/* Wrong at once, or in one of its pieces: MP_FAIL with its number, RST; it comes elsewhere. */
static void test_wrong(void)
{
	static const struct piece_row whole[] = {
		{1, 1, 1, 1000, 0, 1000, false, false, 1001},
		{1, 1001, 1001, 1000, 0, 1000, true, false, 1001},
	};
	static const struct piece_row second[] = {
		{1, 1, 1, 1000, 0, 1000, false, false, 1001},
		{1, 1001, 1001, 1000, 0, 500, false, false, 1001},
		{1, 1001, 1001, 1000, 500, 500, true, false, 1001},
	};
	static const struct piece_row first[] = {
		{1, 1, 1, 1000, 0, 1000, false, false, 1001},
		{1, 1001, 1001, 1000, 500, 500, false, false, 1001},
		{1, 2001, 2001, 1000, 0, 1000, false, false, 1001},
		{1, 1001, 1001, 1000, 0, 500, true, false, 1001},
	};
	/* Another mapping for bytes that wait under one already. */
	static const struct piece_row conflict[] = {
		{1, 1, 1, 1000, 0, 1000, false, false, 1001},
		{1, 1001, 1001, 1000, 0, 1000, false, false, 2001},
		{1, 2001, 1501, 1000, 0, 1000, false, false, 2001},
	};
	static const struct {
		const struct piece_row *row;
		unsigned n;
		uint32_t fail_at;
	} all[] = {{whole, 2, 1001}, {second, 3, 1001}, {first, 4, 1001}, {conflict, 3, 2001}};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct piece_row again = {0, 1001, 1, 2000, 0, 2000, false, false, 3001};
		struct bench b;

		open_bench(&b, true);
		run(&b, all[i].row, all[i].n, true);
		CHECK_ROW(i, join_out(&b.w, &b.j, is_fail) >= 0);
		CHECK_EQ(i, b.w.o.mp.fail_dsn, b.w.idsn_peer + all[i].fail_at);
		CHECK_ROW(i, b.w.o.mp.has_tcprst && !b.w.o.mp.tcprst.transient);
		CHECK_EQ(i, engine_counter(b.w.e, REASON_SUBFLOW_CHECKSUM), 1);
		CHECK_EQ(i, living(&b.w), 1);
		CHECK_EQ(i, engine_connections(b.w.e), 1);
		run(&b, &again, 1, true);
		/* The pair of addresses is not joined again. */
		world_pass(&b.w, 1000000);
		CHECK_EQ(i, joins_find(&b.w, &b.j, 1), 0);
		world_fini(&b.w);
	}
}

/* A mapping that began before the join goes on as it comes; wrong, it costs the connection. */
static void test_handover(void)
{
	for (unsigned altered = 0; altered < 2; altered++) {
		const struct piece_row before = {0, 1, 1, 1000, 0, 500, false, false, 501},
				       after = {0,       1,     1,
						1000,    500,   500,
						altered, false, altered ? 501 : 1001};
		struct bench b;

		open_bench(&b, false);
		run(&b, &before, 1, true);
		CU_ASSERT_FATAL(joins_find(&b.w, &b.j, 1) == 1);
		join_complete(&b.w, &b.j);
		CU_ASSERT_FATAL(living(&b.w) == 2);
		run(&b, &after, 1, true);
		CHECK_EQ(altered, engine_counter(b.w.e, REASON_CLOSED_ALTERED), altered);
		CHECK_EQ(altered, engine_counter(b.w.e, REASON_SUBFLOW_CHECKSUM), 0);
		world_fini(&b.w);
	}
}

/* The only subflow left: it is made anew, until nobody can believe in chance any more. */
static void test_last(void)
{
	uint32_t data_at = 1;
	struct bench b;
	struct seg rst = {.flags = TCP_RST, .seq = 1};

	open_bench(&b, true);
	net_sends(&b.w, ENGINE_STEAL, &rst);
	CHECK_EQ(0, living(&b.w), 1);
	for (unsigned i = 0; i < 3; i++) {
		struct piece_row good = {1, data_at, 1, 10, 0, 10, false, false, data_at + 10};
		struct piece_row bad = {1, data_at + 10, 11, 10, 0, 10, true, false, data_at + 10};

		run(&b, &good, 1, true);
		run(&b, &bad, 1, true);
		data_at += 10;
		CHECK_EQ(i, living(&b.w), i == 2); /* a closed one is shown as it was */
		CHECK_EQ(i, engine_counter(b.w.e, REASON_SUBFLOW_CHECKSUM), i < 2 ? i + 1 : 2);
		CHECK_EQ(i, engine_counter(b.w.e, REASON_CLOSED_ALTERED), i == 2);
		if (i == 2)
			break;
		CU_ASSERT_FATAL(joins_find(&b.w, &b.j, 1) == 1);
		join_complete(&b.w, &b.j);
	}
	world_fini(&b.w);
}

/* Nothing is left but what is set aside. */
static void no_memory(struct bench *b)
{
	struct engine *e = b->w.e;

	while (kept_available(e) > 0)
		pool_new(&e->chunks, e);
	while (verify_room(e))
		pool_new(&e->partials, e);
}

/*
 * V4: the mapping that holds the next byte is finished however it comes; what does not is refused,
 * then thrown away; a second one for the same bytes displaces the first.
 */
static void test_no_memory(void)
{
	static const struct piece_row rows[] = {
		/* 0 not its turn: refused, thrown away when it comes again */
		{0, 50000, 1, 2000, 0, 1000, false, false, 1},
		{0, 50000, 1, 2000, 0, 1000, false, false, 1},
		/* 2 the next one, as long as a mapping can be, its end first */
		{1, 1, 1, 65535, 65000, 535, false, false, 1},
		{1, 1, 1, 65535, 100, 64900, false, false, 1},
		/* 4 the same bytes elsewhere displace it: what comes of it goes nowhere */
		{0, 1, 2001, 1000, 10, 990, false, false, 1},
		{1, 1, 1, 65535, 0, 100, false, false, 1},
		/* 6 the one that displaced it goes on */
		{0, 1, 2001, 1000, 0, 10, false, false, 1001},
		/* 7 what was refused above comes again, at the data's level; one whole, its turn */
		{1, 1001, 65536, 30000, 10000, 20000, false, false, 1001},
		{1, 1001, 65536, 30000, 0, 10000, false, false, KEPT_CHUNK_BYTES + 1},
	};
	struct bench b;

	open_bench(&b, true);
	no_memory(&b);
	RUN_NO_AUDIT(&b, rows);
	CHECK_ROW(0, engine_counter(b.w.e, REASON_DROP_NO_PAYLOAD_MEMORY) > 0);
	CHECK_ROW(0, engine_counter(b.w.e, REASON_DATA_DISCARDED) >= 2);
	CHECK_EQ(0, engine_counter(b.w.e, REASON_SUBFLOW_CHECKSUM), 0);
	CHECK_EQ(0, living(&b.w), 2);
	world_fini(&b.w);
}

/* The rest of a mapping that found only a part of its room is not taken for another mapping. */
static void test_part_of_one(void)
{
	static const struct piece_row rows[] = {
		{1, 1, 1, 60000, 0, 60000, false, false, KEPT_CHUNK_BYTES + 1},
		/* sent again on its subflow, cut otherwise: nothing of it is needed there any more
		 */
		{1, 1, 1, 60000, 16000, 30000, false, false, KEPT_CHUNK_BYTES + 1},
		{1, 1, 1, 60000, 46000, 14000, false, false, KEPT_CHUNK_BYTES + 1},
	};
	const struct piece_row again = {1,     KEPT_CHUNK_BYTES + 1,   60001, 1000, 0, 1000, false,
					false, KEPT_CHUNK_BYTES + 1001};
	struct bench b;

	open_bench(&b, true);
	no_memory(&b);
	RUN_NO_AUDIT(&b, rows);
	guest_acks(&b, KEPT_CHUNK_BYTES + 1);
	run(&b, &again, 1, false);
	CHECK_EQ(0, engine_counter(b.w.e, REASON_SUBFLOW_CHECKSUM), 0);
	CHECK_EQ(0, living(&b.w), 2);
	world_fini(&b.w);
}

static const struct unit_test tests[] = {
	{"mappings in pieces", test_good},       {"a wrong one", test_wrong},
	{"begun on one subflow", test_handover}, {"on the only subflow left", test_last},
	{"without memory", test_no_memory},      {"a part of one", test_part_of_one},
};
UNIT_MAIN("engine/verify", tests)
