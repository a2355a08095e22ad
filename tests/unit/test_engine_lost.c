/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_lost.c - what a subflow or a connection leaves behind when it ends: data goes
 * elsewhere at once and whole, records go back.
 */
#include "engine/state.h"
#include "joins.h"
#include "unit.h"

#define BYTES 40000u
#define PIECE 5000u
#define PARTS 10
#define START 101u /* of the guest's stream, behind what world_open() sent */

/* Bytes of the guest's stream, by data sequence number. */
struct bytes {
	bool at[START + BYTES];
};

static void open_two(struct world *w, struct join *j)
{
	joins_init(w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(w, j));
	join_complete(w, j);
	CU_ASSERT_FATAL(living(w) == 2);
}

/* What the outputs carry on the joined subflow, or on the other; the end of it by ssn. */
static uint32_t note(struct world *w, const struct join *j, bool joined, struct bytes *b)
{
	uint32_t end = 0;

	for (unsigned i = 0; out(w, i); i++) {
		uint32_t ssn = w->p.seq - (joined ? j->iss : w->guest_isn);
		/* A mapping may be longer than a segment. */
		uint32_t at = (uint32_t)(w->o.mp.dss.dsn - w->idsn_local) + ssn - w->o.mp.dss.ssn;

		if (w->pkt[i].side != ENGINE_NET || w->p.payload_bytes == 0 ||
		    flow_tuple_equal(&w->p.tuple, &j->net) != joined)
			continue;
		for (uint32_t k = 0; k < w->p.payload_bytes && at + k < START + BYTES; k++)
			b->at[at + k] = true;
		end = ssn + w->p.payload_bytes;
	}
	return end;
}

/* The guest sends until both subflows carry some; how far the first one is by ssn. */
static uint32_t fill(struct world *w, const struct join *j, struct bytes *on_first,
		     struct bytes *on_joined)
{
	uint32_t end = START, at;

	for (uint32_t n = 0; n < BYTES; n += PIECE) {
		struct seg s = {.flags = TCP_ACK | TCP_PSH,
				.seq = START + n,
				.ack = 1,
				.window = 1000,
				.payload_bytes = PIECE};

		options_put_timestamps(&s.w, 200, 7000);
		guest_sends(w, ENGINE_STEAL, &s);
		at = note(w, j, false, on_first);
		end = at ? at : end;
		note(w, j, true, on_joined);
	}
	return end;
}

static unsigned bytes_of(const struct bytes *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < START + BYTES; i++)
		n += b->at[i];
	return n;
}

static void reset_joined(struct world *w, const struct join *j)
{
	struct seg s = {.flags = TCP_RST | TCP_ACK, .seq = 1, .ack = 1};

	join_sends(w, j, &s);
}

/* Up to `end` of the first subflow, and of the data what is in order then. */
static void acknowledge_first(struct world *w, uint32_t end, const struct bytes *on_first)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = end, .window = 1000};
	uint32_t acked = START;

	while (acked < end && on_first->at[acked])
		acked++;
	put_peer_ack(w, &s.w, acked);
	net_sends(w, ENGINE_STEAL, &s);
}

/*
 * No timer need fire: everything that the reset one carried follows on the other as soon as that
 * has room, in several pieces, every byte.
 */
static void test_reinjection(void)
{
	static struct bytes first, joined, again;
	uint32_t end;
	struct world w;
	struct join j;

	memset(&first, 0, sizeof(first));
	memset(&joined, 0, sizeof(joined));
	memset(&again, 0, sizeof(again));
	open_two(&w, &j);
	end = fill(&w, &j, &first, &joined);
	CU_ASSERT(bytes_of(&first) > 0 && bytes_of(&joined) > 0);
	reset_joined(&w, &j);
	CHECK_EQ(0, living(&w), 1);
	note(&w, &j, false, &again);
	for (unsigned part = 1; part <= PARTS; part++) {
		acknowledge_first(&w, START + (end - START) / PARTS * part, &first);
		note(&w, &j, false, &again);
		world_pass(&w, 1000);
		note(&w, &j, false, &again);
	}
	for (uint32_t i = 0; i < START + BYTES; i++)
		if (joined.at[i] && !again.at[i]) {
			CHECK_EQ(i, again.at[i], true);
			break;
		}
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* A subflow that ends with a hole: the spans behind it are nobody's. */
static void test_ends_with_a_hole(void)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = 1 + PIECE,
			.ack = 1,
			.window = 1000,
			.payload_bytes = PIECE};
	struct world w;
	struct join j;

	open_two(&w, &j);
	put_peer_map(&w, &s.w, START, 1 + PIECE, 1 + PIECE, PIECE, false);
	join_sends(&w, &j, &s);
	CU_ASSERT(engine_audit(w.e));
	reset_joined(&w, &j);
	CHECK_EQ(0, living(&w), 1);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* A connection that ends while something waits for room on another subflow. */
static void test_ends_in_reinjection(void)
{
	static struct bytes first, joined;
	struct seg s = {.flags = TCP_RST, .seq = START + BYTES};
	struct world w;
	struct join j;

	memset(&first, 0, sizeof(first));
	memset(&joined, 0, sizeof(joined));
	open_two(&w, &j);
	fill(&w, &j, &first, &joined);
	CU_ASSERT(bytes_of(&joined) > 0);
	reset_joined(&w, &j);
	CHECK_EQ(0, living(&w), 1);
	guest_sends(&w, ENGINE_STEAL, &s);
	world_pass(&w, 1000000);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static void guest_repeats(struct world *w, uint32_t seq, uint16_t bytes)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = seq,
			.ack = 1,
			.window = 1000,
			.payload_bytes = bytes,
			.payload_first = (uint8_t)seq};

	guest_sends(w, ENGINE_STEAL, &s);
}

/* The joined subflow carries [seq, seq + bytes) at ssn 1 + (seq - START), as a mapping. */
static bool carried(struct world *w, const struct join *j, uint32_t seq, uint16_t bytes)
{
	for (unsigned i = 0; out(w, i); i++)
		if (flow_tuple_equal(&w->p.tuple, &j->net) && w->p.payload_bytes == bytes &&
		    w->p.seq == j->iss + 1 + (seq - START) && w->o.mp.dss.map_len == bytes &&
		    (uint32_t)w->o.mp.dss.dsn == (uint32_t)w->idsn_local + seq)
			return true;
	return false;
}

/*
 * DSS checksums: a mapping of which the guest repeats only a part cannot be finished where it is.
 * Begun on the only subflow (row 0) or with another one that joins meanwhile (row 1), the part goes
 * on the other.
 */
static void test_split(void)
{
	for (unsigned row = 0; row < 2; row++) {
		struct seg half = {.flags = TCP_ACK, .seq = 1, .ack = START + 500, .window = 1000};
		struct seg ack = {.flags = TCP_ACK, .seq = 1, .ack = 501, .window = 1000};
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		w.peer_checksum = true;
		w.cfg.after_bytes = row ? 1000 : 1u << 30;
		CU_ASSERT_FATAL(!joins_open(&w, &j));
		guest_repeats(&w, START, 1000);
		put_peer_ack(&w, &half.w, START);
		if (row == 0) {
			net_sends(&w, ENGINE_STEAL, &half);
			guest_repeats(&w, START, 500);
			CHECK_EQ(row, joins_find(&w, &j, 1), 0);
			guest_repeats(&w, START, 500);
		}
		CU_ASSERT_FATAL(joins_find(&w, &j, 1) == 1);
		join_complete(&w, &j);
		if (row == 1) {
			CHECK_EQ(row, living(&w), 2);
			net_sends(&w, ENGINE_STEAL, &half);
		}
		guest_repeats(&w, START, 500);
		CHECK_ROW(row, carried(&w, &j, START, 500));
		put_peer_ack(&w, &ack.w, START + 500);
		join_sends(&w, &j, &ack);
		guest_repeats(&w, START + 500, 500);
		/* Where the first subflow lives, that is what it lacked. */
		CHECK_EQ(row, carried(&w, &j, START + 500, 500), row == 0);
		CHECK_EQ(row, living(&w), 1 + row);
		CHECK_EQ(row, engine_counter(w.e, REASON_CLOSED_SPLIT), 0);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/*
 * The guest's last bytes are lost before the gate, its FIN is not; then a second subflow is there.
 * What it sends again has its place behind what was sent, wherever it goes.
 */
static void test_lost_before_fin(void)
{
	struct seg s = {.flags = TCP_ACK | TCP_FIN, .seq = START + 1500, .ack = 1, .window = 1000};
	struct bytes first = {0}, joined = {0};
	struct world w;
	struct join j;
	uint32_t end;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	guest_repeats(&w, START, 500);
	guest_sends(&w, ENGINE_STEAL, &s);
	join_complete(&w, &j);
	CU_ASSERT_FATAL(living(&w) == 2);
	s.seq = START + 500;
	s.payload_bytes = 1000;
	guest_sends(&w, ENGINE_STEAL, &s);
	end = note(&w, &j, false, &first);
	note(&w, &j, true, &joined);
	for (uint32_t i = START + 500; i < START + 1500; i++)
		if (!first.at[i] && !joined.at[i]) {
			CHECK_EQ(i, first.at[i] || joined.at[i], true);
			break;
		}
	/* A keepalive is answered by where the subflow stands. */
	s = (struct seg){.flags = TCP_ACK, .ack = START, .window = 1000};
	put_peer_ack(&w, &s.w, START);
	net_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_any) >= 0);
	CHECK_EQ(0, w.p.seq - w.guest_isn, end ? end : START + 500);
	world_fini(&w);
}

/* A box on a path acknowledges of its own accord for ever: only the peer keeps a connection. */
static void test_box_is_no_peer(void)
{
	for (unsigned peer = 0; peer < 2; peer++) {
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		w.cfg.idle_timeout_us = 10000000;
		CU_ASSERT_FATAL(joins_open(&w, &j));
		join_complete(&w, &j);
		CU_ASSERT_FATAL(living(&w) == 2);
		for (unsigned i = 0; i < 6; i++) {
			struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};

			if (peer)
				put_peer_ack(&w, &s.w, START);
			join_sends(&w, &j, &s);
			world_pass(&w, 4000000);
		}
		CHECK_EQ(peer, engine_connections(w.e), peer);
		world_fini(&w);
	}
}

/*
 * Each subflow acknowledges at once what it carries, and no DATA_ACK ever comes: whichever subflow
 * is liked best, the other one gets the data too.
 */
static void test_deaf(void)
{
	static struct bytes carried[2];
	struct world w;
	struct join j;

	memset(carried, 0, sizeof(carried));
	open_two(&w, &j);
	guest_repeats(&w, START, 500);
	for (unsigned i = 0; i < 200; i++) {
		uint32_t first = note(&w, &j, false, &carried[0]);
		uint32_t joined = note(&w, &j, true, &carried[1]);
		struct seg s = {
			.flags = TCP_ACK, .seq = 1, .ack = first ? first : joined, .window = 1000};

		put_peer_ack(&w, &s.w, START);
		if (first)
			net_sends(&w, ENGINE_STEAL, &s);
		else if (joined)
			join_sends(&w, &j, &s);
		world_pass(&w, 50000);
	}
	CHECK_EQ(0, bytes_of(&carried[0]), 500);
	CHECK_EQ(0, bytes_of(&carried[1]), 500);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Runs timers when they are due; how many of them in `us`. */
static unsigned timers_within(struct world *w, uint64_t us)
{
	uint64_t until_us = w->tick.now_us + us;
	unsigned n = 0;

	while (engine_deadline_us(w->e) <= until_us && n < 10000) {
		world_pass(w, engine_deadline_us(w->e) > w->tick.now_us
				      ? engine_deadline_us(w->e) - w->tick.now_us
				      : 0);
		n++;
	}
	return n;
}

/*
 * The joined subflow went silent with data on it, the other one carried all of it: while
 * the connection is idle, only the silent one's timer runs, whatever it has lost.
 */
static void test_silent_and_idle(void)
{
	static struct bytes first, joined;
	struct world w;
	struct join j;
	unsigned n;

	memset(&first, 0, sizeof(first));
	memset(&joined, 0, sizeof(joined));
	open_two(&w, &j);
	acknowledge_first(&w, fill(&w, &j, &first, &joined), &first);
	CU_ASSERT_FATAL(bytes_of(&joined) > 0);
	for (unsigned i = 0; i < 20; i++) {
		const struct subflow *s = subflow_at(w.e, conn_at(w.e, 0)->subflow);
		struct seg ack = {.flags = TCP_ACK,
				  .seq = 1,
				  .ack = s->snd_nxt - w.guest_isn,
				  .window = 1000};

		world_pass(&w, 100000);
		if (i > 10)
			put_peer_ack(&w, &ack.w, START + BYTES);
		net_sends(&w, ENGINE_STEAL, &ack);
	}
	CHECK_EQ(0, living(&w), 1);
	n = timers_within(&w, 10000000);
	CHECK_EQ(n, n > 5 && n < 50, true);
	world_fini(&w);
}

/* A SYN where the connection began, which now lives elsewhere: that subflow is not to answer it. */
static void test_syn_where_it_began(void)
{
	struct seg s = {.flags = TCP_RST | TCP_ACK, .seq = 1, .ack = 101};
	struct world w;
	struct join j;

	open_two(&w, &j);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, living(&w), 1);
	s = (struct seg){.flags = TCP_SYN, .seq = 5000, .window = 1000};
	net_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(0, w.r.reason, REASON_DROP_SYN_CHALLENGED);
	CHECK_EQ(0, join_out(&w, &j, is_any), -1);
	world_fini(&w);
}

/*
 * The peer's data came on the joined subflow, where what we send now is not answered any more: that
 * the guest has it is told where the peer hears it.
 */
static void test_told_where_heard(void)
{
	static struct bytes first, joined;
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000, .payload_bytes = 100};
	struct world w;
	struct join j;

	memset(&first, 0, sizeof(first));
	memset(&joined, 0, sizeof(joined));
	open_two(&w, &j);
	put_peer_map(&w, &s.w, START, 1, 1, 100, false);
	join_sends(&w, &j, &s);
	world_pass(&w, 100000); /* acknowledged on the subflow */
	acknowledge_first(&w, fill(&w, &j, &first, &joined), &first);
	CU_ASSERT_FATAL(bytes_of(&joined) > 0);
	for (unsigned i = 0; i < 20 && living(&w) == 2; i++) {
		const struct subflow *one = subflow_at(w.e, conn_at(w.e, 0)->subflow);

		world_pass(&w, 100000);
		s = (struct seg){.flags = TCP_ACK,
				 .seq = 1,
				 .ack = one->snd_nxt - w.guest_isn,
				 .window = 1000};
		put_peer_ack(&w, &s.w, START);
		net_sends(&w, ENGINE_STEAL, &s);
	}
	CHECK_EQ(0, living(&w), 1);
	s = (struct seg){.flags = TCP_ACK, .seq = START + BYTES, .ack = 101, .window = 1000};
	options_put_timestamps(&s.w, 300, 7000);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_any) >= 0);
	CU_ASSERT(w.o.mp.has_dss && w.o.mp.dss.has_ack);
	CHECK_EQ(0, (uint32_t)w.o.mp.dss.data_ack, (uint32_t)(w.idsn_peer + 101));
	CHECK_EQ(0, join_out(&w, &j, is_any), -1);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"a box is no peer", test_box_is_no_peer},
	{"lost before the FIN", test_lost_before_fin},
	{"reinjection", test_reinjection},
	{"ends with a hole", test_ends_with_a_hole},
	{"ends in reinjection", test_ends_in_reinjection},
	{"a mapping that cannot be finished", test_split},
	{"deaf", test_deaf},
	{"silent and idle", test_silent_and_idle},
	{"a SYN where it began", test_syn_where_it_began},
	{"told where it is heard", test_told_where_heard},
};

UNIT_MAIN("engine/lost", tests)
