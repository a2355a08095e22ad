/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_ack_guest.c - the hand-over while the first join is under way, and how often the
 * guest then hears of DATA_ACKs (ack_guest.h).
 */
#include "joins.h"
#include "unit.h"

#define PIECE 1000u

/* The guest sends pieces on end, as much as it has window for. */
static void guest_sends_to(struct world *w, uint32_t *at, uint32_t end)
{
	for (; *at + PIECE <= end; *at += PIECE) {
		struct seg s = {.flags = TCP_ACK,
				.seq = *at,
				.ack = 1,
				.window = 1000,
				.payload_bytes = PIECE};

		guest_sends(w, ENGINE_STEAL, &s);
	}
}

/* The peer acknowledges up to there; returns how many ACKs go to the guest, and what they say. */
static unsigned peer_acks(struct world *w, uint32_t to, uint32_t *told)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = to, .window = 4000};
	unsigned n = 0;

	put_peer_ack(w, &s.w, to);
	net_sends(w, ENGINE_STEAL, &s);
	for (unsigned i = 0; out(w, i); i++) {
		if (w->pkt[i].side != ENGINE_GUEST)
			continue;
		n++;
		*told = w->p.ack - w->guest_isn;
	}
	return n;
}

static const char *mode(struct world *w)
{
	static struct engine_conn_info info;

	return engine_conn_info(w->e, 0, w->tick.now_us, &info) ? info.mode : "none";
}

/* The least time between two ACKs to the guest since it was set to UINT64_MAX. */
static uint64_t apart_us, last_us;

/*
 * A round trip: `window` bytes outstanding, acknowledged piece by piece; the guest answers each ACK
 * it gets by `growth` pieces for one.
 */
static unsigned round_trip(struct world *w, uint32_t *una, uint32_t *at, unsigned growth)
{
	uint32_t end = *at, told = *una, n = 0;

	while (*una < end) {
		uint32_t before = told;

		*una += PIECE;
		world_pass(w, 500);
		for (unsigned i = 0; out(w, i); i++)
			if (w->pkt[i].side == ENGINE_GUEST)
				n++, told = w->p.ack - w->guest_isn;
		n += peer_acks(w, *una, &told);
		if (told != before && w->tick.now_us - last_us < apart_us)
			apart_us = w->tick.now_us - last_us;
		if (told != before)
			last_us = w->tick.now_us;
		guest_sends_to(w, at, *at + growth * (told - before));
	}
	return n;
}

/* Promoted, and so much sent that the gate has taken over; the last 17 pieces are outstanding. */
static void open_sending(struct world *w, struct join *j, uint32_t *una, uint32_t *at)
{
	uint32_t told;

	joins_init(w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(w, j));
	*at = 101;
	guest_sends_to(w, at, 16101);
	*una = *at;
	peer_acks(w, *una, &told);
	guest_sends_to(w, at, 32101);
	CU_ASSERT_STRING_EQUAL(mode(w), "single");
	guest_sends_to(w, at, 33101);
	CU_ASSERT_STRING_EQUAL(mode(w), "multi");
}

/* In slow start the guest gets a few ACKs in each round trip, and its window grows fast. */
static void few_while_it_grows(void)
{
	uint32_t una, at;
	struct world w;
	struct join j;

	open_sending(&w, &j, &una, &at);
	/* Few segments: no reason to hold anything back. */
	CHECK_ROW(0, round_trip(&w, &una, &at, 2) >= 16);
	round_trip(&w, &una, &at, 2);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t before = at - una;
		unsigned n;

		apart_us = UINT64_MAX;
		n = round_trip(&w, &una, &at, 2);
		CHECK_ROW(i, n >= 3 && n <= before / PIECE / 5);
		/* Not what Hybrid Start takes for a train of them. */
		CHECK_ROW(i, apart_us > 2000);
		CHECK_ROW(i, at - una >= before * 3 / 2);
	}
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/*
 * Flights of `pieces`, answered after 10 ms piece by piece, 100 us apart. Returns how many ACKs the
 * guest gets for the last; `train_us`: the longest time without two milliseconds of silence.
 */
static unsigned flights(struct world *w, uint32_t *una, uint32_t *at, unsigned pieces,
			uint64_t *train_us)
{
	uint64_t begin_us = 0;
	unsigned n = 0;

	guest_sends_to(w, at, *una + pieces * PIECE);
	world_pass(w, 10000);
	last_us = *train_us = 0;
	while (*una < *at) {
		uint32_t told = 0, before = 0;

		world_pass(w, 100);
		for (unsigned i = 0; out(w, i); i++)
			if (w->pkt[i].side == ENGINE_GUEST)
				n++, before = 1;
		*una += PIECE;
		n += peer_acks(w, *una, &told);
		if (!told && !before)
			continue;
		if (w->tick.now_us - last_us > 2000)
			begin_us = w->tick.now_us;
		last_us = w->tick.now_us;
		if (last_us - begin_us > *train_us)
			*train_us = last_us - begin_us;
	}
	return n;
}

/*
 * What has not waited in a queue tells nothing of one, so the guest hears of it all; but never for
 * half a round trip on end.
 */
static void all_without_a_queue(void)
{
	static const unsigned pieces[] = {16, 24, 40, 80};
	uint32_t una, at;
	struct world w;
	struct join j;

	open_sending(&w, &j, &una, &at);
	for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		uint64_t train_us;
		uint32_t before = una;
		unsigned n = flights(&w, &una, &at, pieces[i], &train_us);

		CHECK_ROW(i, pieces[i] > 24 || n == (una - before) / PIECE);
		CHECK_ROW(i, train_us < 5000);
	}
	world_fini(&w);
}

/* One that sends no more than before hears of all. */
static void all_when_it_does_not(void)
{
	uint32_t una, at, before;
	struct world w;
	struct join j;
	unsigned n = 0;

	open_sending(&w, &j, &una, &at);
	guest_sends_to(&w, &at, at + 8000);
	for (unsigned i = 0; i < 8; i++) {
		before = una;
		n = round_trip(&w, &una, &at, 1);
	}
	CHECK_EQ(0, n, (una - before) / PIECE);
	world_fini(&w);
}

/* Nothing is held back for long, and nothing when it is the last. */
static void held_and_told(void)
{
	uint32_t una, at, told = 0, before;
	struct world w;
	struct join j;
	unsigned n = 0;

	open_sending(&w, &j, &una, &at);
	for (unsigned i = 0; i < 3; i++)
		round_trip(&w, &una, &at, 2);
	/* What the last one held back, and more. */
	world_pass(&w, 50000);
	CHECK_EQ(0, peer_acks(&w, una + PIECE, &told), 0);
	before = told;
	world_pass(&w, 50000);
	for (unsigned i = 0; out(&w, i); i++)
		n += w.pkt[i].side == ENGINE_GUEST && w.p.ack == w.guest_isn + una + PIECE;
	CHECK_EQ(1, before, 0);
	CHECK_EQ(2, n, 1);
	world_fini(&w);
}

/* A peer that refused a join gets the next connection's only when it has taken its join. */
static void not_after_a_refusal(void)
{
	struct seg s = {.flags = TCP_RST | TCP_ACK, .ack = 1};
	struct world w;
	struct join j;

	joins_init(&w, FLOW_IPV4);
	CU_ASSERT_FATAL(joins_open(&w, &j));
	join_sends(&w, &j, &s);
	CHECK_EQ(0, engine_counter(w.e, REASON_JOIN_REFUSED), 1);
	/* Another connection of the guest to the same place. */
	s = (struct seg){.flags = TCP_RST | TCP_ACK, .seq = 101, .ack = 1};
	guest_sends(&w, ENGINE_STEAL, &s);
	world_pass(&w, 200000000);
	CHECK_EQ(1, engine_counter(w.e, REASON_JOIN_ESTABLISHED), 0);
	world_open(&w);
	CHECK_ROW(2, joins_find(&w, &j, 1) == 1);
	CU_ASSERT_STRING_EQUAL(mode(&w), "single");
	join_complete(&w, &j);
	CU_ASSERT_STRING_EQUAL(mode(&w), "multi");
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"few ACKs while the guest grows", few_while_it_grows},
	{"all of them without a queue", all_without_a_queue},
	{"all of them when it does not", all_when_it_does_not},
	{"held for a while", held_and_told},
	{"not after a refusal", not_after_a_refusal},
};
UNIT_MAIN("engine/ack_guest", tests)
