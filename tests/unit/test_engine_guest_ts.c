/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_guest_ts.c - several subflows: which of the guest's time stamps is echoed, and when
 * (guest_ts.h, RFC 7323 section 4).
 */
#include "joins.h"
#include "unit.h"

#define RTT_US 20000u
#define PIECE 1000u

/* Both paths take RTT_US. */
static void begin(struct world *w, struct join *j)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};

	joins_init(w, FLOW_IPV4);
	w->peer_us = RTT_US;
	CU_ASSERT_FATAL(joins_open(w, j));
	world_pass(w, RTT_US);
	join_synack(w, j, 0, false, -1);
	world_pass(w, RTT_US);
	options_put_timestamps(&s.w, 8001, 1);
	join_sends(w, j, &s);
	CU_ASSERT_FATAL(living(w) == 2);
}

static void guest_acks(struct world *w, uint32_t ack, uint32_t tsval)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = ack, .window = 1000};

	options_put_timestamps(&s.w, tsval, 1);
	guest_sends(w, ENGINE_STEAL, &s);
}

/* The TSecr with which the peer's next piece comes to the guest. */
static uint32_t echoed(struct world *w, uint32_t *at)
{
	struct seg s = {
		.flags = TCP_ACK, .seq = *at, .ack = 101, .window = 1000, .payload_bytes = PIECE};

	put_peer_map(w, &s.w, 101, *at, *at, PIECE, false);
	net_sends(w, ENGINE_STEAL, &s);
	*at += PIECE;
	for (unsigned i = 0; out(w, i); i++)
		if (w->pkt[i].side == ENGINE_GUEST && w->p.payload_bytes && w->o.has_timestamps)
			return w->o.tsecr;
	return 0;
}

/*
 * Of a guest that only receives: an acknowledgement is echoed a round trip later. Sooner, Linux
 * would take that for the round trip, and its receive window would stay small.
 */
static void test_receiver(void)
{
	uint32_t at = 1, tsval = 1000000, n = 0;
	struct world w;
	struct join j;

	begin(&w, &j);
	guest_acks(&w, at, tsval);
	world_pass(&w, RTT_US + 1000);
	CHECK_EQ(0, echoed(&w, &at), tsval);
	/* Every millisecond a piece and its acknowledgement. */
	for (unsigned ms = 1; ms < 200; ms++) {
		uint32_t tsecr;

		guest_acks(&w, at, tsval + ms);
		world_pass(&w, 1000);
		tsecr = echoed(&w, &at);
		n += tsecr != tsval;
		CHECK_ROW(ms, ms < 19 ? tsecr == tsval : tsecr + 19 <= tsval + ms);
		CHECK_ROW(ms, ms < 50 || tsecr + 2 * RTT_US / 1000 >= tsval + ms);
	}
	CU_ASSERT(n > 100);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Of a guest that sends: what came with the byte that is acknowledged. */
static void test_sender(void)
{
	struct seg s = {
		.flags = TCP_ACK, .seq = 101, .ack = 1, .window = 1000, .payload_bytes = PIECE};
	unsigned n = 0;
	struct world w;
	struct join j;

	begin(&w, &j);
	options_put_timestamps(&s.w, 2000000, 1);
	guest_sends(&w, ENGINE_STEAL, &s);
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 101 + PIECE, .window = 1000};
	put_peer_ack(&w, &s.w, 101 + PIECE);
	net_sends(&w, ENGINE_STEAL, &s);
	for (unsigned i = 0; out(&w, i); i++) {
		if (w.pkt[i].side != ENGINE_GUEST)
			continue;
		CHECK_EQ(i, w.o.tsecr, 2000000);
		n++;
	}
	CU_ASSERT(n > 0);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"a guest that receives", test_receiver},
	{"a guest that sends", test_sender},
};
UNIT_MAIN("engine/guest_ts", tests)
