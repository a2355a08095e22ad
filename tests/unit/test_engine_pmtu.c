/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_pmtu.c - "packet too big" about a subflow reaches the guest as its own, and cuts.
 */
#include "sender_bench.h"
#include "wire/icmp.h"

static void test_too_big(void)
{
	for (unsigned family = FLOW_IPV4; family <= FLOW_IPV6; family += 2) {
		struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 5000};
		struct icmp_too_big m = {.family = (uint8_t)family, .mtu_bytes = 1400}, got;
		uint8_t buf[ICMP_TOO_BIG_MAX];
		struct world w;
		unsigned n;

		world_init(&w, (uint8_t)family);
		world_start(&w);
		world_open(&w);
		guest_sends(&w, ENGINE_STEAL, &s);
		CU_ASSERT(out(&w, 0));
		m.router.b[0] = 99;
		m.about = w.net;
		m.seq = GUEST_ISN + 1500;
		n = icmp_too_big_encode(buf, &m);
		CU_ASSERT(icmp_too_big_decode(&got, buf, n));
		CU_ASSERT(memcmp(&m, &got, sizeof(m)) == 0);
		for (unsigned k = 0; k < n; k++) {
			CU_ASSERT(!icmp_too_big_decode(&got, buf, k));
			buf[k] ^= 0x10;
			raw_sends(&w, ENGINE_NET, ENGINE_STEAL, buf, n, true);
			buf[k] ^= 0x10;
		}
		raw_sends(&w, ENGINE_NET, ENGINE_STEAL, buf, n, true);
		CHECK_EQ(family, w.r.reason, REASON_ICMP_TO_GUEST);
		CHECK_EQ(family, w.outs.n_pkt, 1);
		CU_ASSERT_FATAL(icmp_too_big_decode(&got, w.pkt[0].hdr, w.pkt[0].hdr_bytes));
		CU_ASSERT(flow_tuple_equal(&got.about, &w.guest));
		CHECK_EQ(family, got.mtu_bytes, 1372);
		CHECK_EQ(family, got.seq, GUEST_ISN + 1500);
		guest_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(family, w.pkt[0].gso_size_bytes + w.pkt[0].hdr_bytes, 1400);
		/* Not about anything in flight: not believed. */
		m.seq = GUEST_ISN + 50;
		m.mtu_bytes = 1300;
		n = icmp_too_big_encode(buf, &m);
		raw_sends(&w, ENGINE_NET, ENGINE_STEAL, buf, n, true);
		CHECK_EQ(family, w.r.verdict, ENGINE_DROP);
		/* After ten minutes the path's own MTU is tried again. */
		world_pass(&w, 601ull * 1000000);
		guest_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(family, w.pkt[0].gso_size_bytes + w.pkt[0].hdr_bytes, 1500);
		world_fini(&w);
	}
}

/* With checksums the guest keeps its segments' size; the gate cuts what it sends again. */
static void test_checksum(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .payload_bytes = 1300};
	struct icmp_too_big m = {.family = FLOW_IPV4, .mtu_bytes = 1200};
	uint8_t buf[ICMP_TOO_BIG_MAX];
	struct world w;
	unsigned n;

	world_init(&w, FLOW_IPV4);
	w.peer_checksum = true;
	world_start(&w);
	world_open(&w);
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.outs.n_pkt, 1);
	m.about = w.net;
	m.seq = GUEST_ISN + 101;
	n = icmp_too_big_encode(buf, &m);
	raw_sends(&w, ENGINE_NET, ENGINE_STEAL, buf, n, true);
	CHECK_EQ(0, w.r.verdict, ENGINE_STOLEN);
	CHECK_EQ(0, w.outs.n_pkt, 0);
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.outs.n_pkt, 1);
	CHECK_EQ(0, w.pkt[0].gso_size_bytes + w.pkt[0].hdr_bytes, 1200);
	/* What is new gets mappings that fit. */
	s.seq = 1401;
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.outs.n_pkt, 2);
	CU_ASSERT(w.pkt[0].payload_bytes <= w.pkt[0].gso_size_bytes);
	world_fini(&w);
}

static void too_big(struct bench *b, const struct flow_tuple *about, uint32_t seq,
		    uint32_t mtu_bytes)
{
	struct icmp_too_big m = {
		.family = FLOW_IPV4, .mtu_bytes = mtu_bytes, .about = *about, .seq = seq};
	uint8_t buf[ICMP_TOO_BIG_MAX];

	raw_sends(&b->w, ENGINE_NET, ENGINE_STEAL, buf, icmp_too_big_encode(buf, &m), true);
	look(b);
}

/*
 * About a subflow whose sender is the gate's: what was too big goes again at once, in smaller
 * pieces, which is no congestion, and the guest need not know.
 */
static void test_own_sender(void)
{
	uint32_t before;
	struct bench b;

	open_bench(&b, false);
	guest_writes(&b, 1400);
	guest_writes(&b, 500);
	before = cwnd(&b);
	too_big(&b, &b.j.net, b.j.iss + 1, 1280);
	CHECK_EQ(0, b.w.r.reason, REASON_ICMP_TO_GUEST);
	CHECK_EQ(0, b.w.outs.n_pkt, 1);
	CHECK_EQ(0, b.n, 1);
	CHECK_EQ(0, b.s[0].ssn, 1);
	CHECK_EQ(0, b.s[0].bytes, 1400);
	CHECK_ROW(0, b.s[0].gso_bytes > 1100 && b.s[0].gso_bytes <= 1280 - 20 - 20 - 12);
	CHECK_EQ(0, cwnd(&b), before);
	world_fini(&b.w);
}

/* What the guest sent itself, before the gate's sender began, only the guest can send again. */
static void test_before_the_handover(void)
{
	struct icmp_too_big got;
	struct bench b;

	open_single(&b, 2000);
	guest_writes(&b, 1400);
	guest_writes(&b, 1400);
	CU_ASSERT_FATAL(joins_find(&b.w, &b.j, 1) == 1);
	b.w.tick.now_us += RTT_MS * MS;
	join_complete(&b.w, &b.j);
	CU_ASSERT_FATAL(living(&b.w) == 2);
	too_big(&b, &b.w.net, GUEST_ISN + 101, 1280);
	CHECK_EQ(0, b.w.r.reason, REASON_ICMP_TO_GUEST);
	CHECK_EQ(0, b.n, 0);
	CHECK_EQ(0, b.w.outs.n_pkt, 1);
	CU_ASSERT_FATAL(icmp_too_big_decode(&got, b.w.pkt[0].hdr, b.w.pkt[0].hdr_bytes));
	CHECK_EQ(0, b.w.pkt[0].side, ENGINE_GUEST);
	CHECK_ROW(0, flow_tuple_equal(&got.about, &b.w.guest));
	CHECK_EQ(0, got.seq, GUEST_ISN + 101);
	world_fini(&b.w);
}

static const struct unit_test tests[] = {
	{"too big", test_too_big},
	{"checksum", test_checksum},
	{"a sender of the gate's own", test_own_sender},
	{"before the handover", test_before_the_handover},
};

UNIT_MAIN("engine/pmtu", tests)
