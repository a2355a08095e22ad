/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_close.c - FIN and DATA_FIN in every order, RST and MP_FASTCLOSE, fallback behind the
 * handshake, what is too broken to pass. Sequence numbers are relative.
 */
#include "exchange.h"

/* The guest closes first: FIN alone, then the peer, then both subflow FINs. */
static void test_guest_first(void)
{
	struct world w;

	open_world(&w);
	guest(&w, TCP_FIN, 101, 1, 0);
	CU_ASSERT_FATAL(out(&w, 0));
	CU_ASSERT(!(w.p.flags & TCP_FIN) && w.o.mp.dss.data_fin);
	CHECK_EQ(0, w.o.mp.dss.ssn, 0);
	CHECK_EQ(0, w.o.mp.dss.map_len, 1);
	CHECK_EQ(0, w.o.mp.dss.dsn, w.idsn_local + 101);
	net(&w, 0, 1, 101, 101, 0, 0, false); /* not yet acknowledged */
	CU_ASSERT(!out(&w, 0) || w.p.ack == GUEST_ISN + 101);
	net(&w, 0, 1, 101, 102, 0, 0, false);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(1, w.p.ack, GUEST_ISN + 102);
	CHECK_EQ(1, w.outs.n_pkt, 1); /* half closed: no FIN on the subflow */
	/* Data still comes, and the guest's acknowledgements behind its FIN pass. */
	net(&w, 0, 1, 101, 102, 1, 500, false);
	CHECK_EQ(2, w.r.reason, REASON_DATA_TO_GUEST);
	guest(&w, 0, 102, 501, 0);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(3, w.p.seq, GUEST_ISN + 101);
	CHECK_EQ(3, w.p.ack, PEER_ISN + 501);
	/* The peer's DATA_FIN rides on its last data. */
	net(&w, 0, 501, 101, 102, 501, 10, true);
	CU_ASSERT_FATAL(out(&w, 0));
	CU_ASSERT((w.p.flags & TCP_FIN) && w.p.payload_bytes == 10);
	guest(&w, 0, 102, 512, 0);
	CHECK_EQ(4, w.outs.n_pkt, 2);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(4, w.p.ack, PEER_ISN + 511); /* a DATA_FIN has no place on the subflow */
	CHECK_EQ(4, w.o.mp.dss.data_ack, w.idsn_peer + 512);
	CU_ASSERT_FATAL(out(&w, 1));
	CU_ASSERT((w.p.flags & TCP_FIN) && w.p.seq == GUEST_ISN + 101);
	/* Lost: it comes again by itself. */
	world_pass(&w, 400000);
	CU_ASSERT(out(&w, 0) && (w.p.flags & TCP_FIN) && w.p.seq == GUEST_ISN + 101);
	net(&w, TCP_FIN, 511, 102, 102, 0, 0, false);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(5, w.p.ack, PEER_ISN + 512);
	CHECK_EQ(5, w.p.seq, GUEST_ISN + 102);
	CHECK_EQ(5, engine_counter(w.e, REASON_CLOSED_NORMALLY), 1);
	/* What is sent again is answered again. */
	net(&w, TCP_FIN, 511, 102, 102, 0, 0, false);
	CU_ASSERT(out(&w, 0) && w.p.ack == PEER_ISN + 512);
	/*
	 * Over and over, by a timer that backs off: as long as it comes, its answer may have been
	 * lost; that of the last data, too. That the guest asks more often changes nothing.
	 */
	for (unsigned i = 0; i < 6; i++) {
		bool fin = !(i & 1);

		for (unsigned k = 0; k < 2 && i > 2; k++)
			guest(&w, TCP_FIN, 101, 512, 0);
		world_pass(&w, 4000000ull << i);
		net(&w, fin ? TCP_FIN : 0, fin ? 511 : 501, 102, 102, fin ? 0 : 501, fin ? 0 : 10,
		    false);
		CHECK_EQ(i, w.r.reason, REASON_SUBFLOW_OWN);
		CHECK_ROW(i, out(&w, 0) && w.p.ack == PEER_ISN + 512);
	}
	/* Not for ever: as long as TIME-WAIT may take (RFC 9293 section 3.4.2). */
	world_pass(&w, 239000000);
	CHECK_EQ(6, engine_connections(w.e), 1);
	world_pass(&w, 2000000);
	CHECK_EQ(7, engine_connections(w.e), 0);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/*
 * Both have closed, the peer's FIN on the subflow is missing. The guest, set back to a copy of
 * itself, begins another connection with the very same number: no SYN sent again.
 */
static void test_same_isn(void)
{
	struct seg s = {.flags = TCP_SYN};
	struct world w;

	open_world(&w);
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(0, w.r.reason, REASON_SYN_MP_CAPABLE); /* while it lives it is one */
	CHECK_EQ(0, w.outs.n_event, 0);
	guest(&w, TCP_FIN, 101, 1, 0);
	net(&w, 0, 1, 101, 102, 1, 0, true);
	guest(&w, 0, 102, 2, 0);
	CHECK_EQ(1, engine_counter(w.e, REASON_CLOSED_NORMALLY), 0);
	guest_sends(&w, ENGINE_IN_PLACE, &s);
	CHECK_EQ(1, w.r.reason, REASON_SYN_MP_CAPABLE);
	CHECK_EQ(1, w.outs.n_event, 1);
	CHECK_EQ(1, w.event[0].reason, REASON_CLOSED_REUSED);
	world_pass(&w, 400000);
	CHECK_EQ(2, w.outs.n_pkt, 0); /* no FIN of the old one */
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* The last data came early, then what was missing, then the FIN: all of it was received. */
static void test_fin_behind_early_data(void)
{
	struct world w;

	open_world(&w);
	net(&w, 0, 1001, 101, 101, 1001, 1000, true);
	CHECK_EQ(0, w.r.reason, REASON_DATA_TO_GUEST);
	net(&w, 0, 1, 101, 101, 1, 1000, false);
	CHECK_EQ(1, w.r.reason, REASON_DATA_TO_GUEST);
	net(&w, TCP_FIN, 2001, 101, 101, 0, 0, false);
	guest(&w, 0, 101, 2002, 0);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(2, w.p.ack, PEER_ISN + 2002);
	CHECK_EQ(2, w.o.mp.dss.data_ack, w.idsn_peer + 2002);
	world_fini(&w);
}

/*
 * The guest's last bytes are lost before the gate, its FIN is not. What it sends of them again, in
 * whatever order and with losses of its own, has the room that they would have had.
 */
static void test_fin_before_lost_data(void)
{
	static const uint32_t order[] = {1101, 101, 3101, 2101};
	struct world w;

	open_world(&w);
	guest(&w, TCP_FIN, 4101, 1, 0);
	CU_ASSERT_FATAL(out(&w, 0) && w.o.mp.dss.data_fin);
	CHECK_EQ(0, w.o.mp.dss.dsn, w.idsn_local + 4101);
	for (unsigned i = 0; i < 4; i++) {
		bool last = order[i] == 3101;

		guest(&w, last ? TCP_FIN : 0, order[i], 1, 1000);
		CHECK_EQ(i, w.outs.n_pkt, 1);
		CU_ASSERT_FATAL(out(&w, 0));
		CHECK_EQ(i, w.p.seq, GUEST_ISN + order[i]);
		CHECK_EQ(i, w.o.mp.dss.ssn, order[i]);
		CHECK_EQ(i, w.o.mp.dss.dsn, w.idsn_local + order[i]);
		CHECK_EQ(i, w.o.mp.dss.map_len, 1000 + last);
		/* The first ones are DATA_ACKed before the peer's TCP has what is missing. */
		if (i == 1)
			net(&w, 0, 1, 101, 2101, 0, 0, false);
	}
	net(&w, 0, 1, 4101, 4102, 0, 0, false);
	CU_ASSERT(out(&w, 0) && w.p.ack == GUEST_ISN + 4102);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* The peer closes first and the guest's FIN rides on data; DATA_FINs repeated meanwhile. */
static void test_peer_first(void)
{
	struct world w;

	open_world(&w);
	net(&w, 0, 1, 101, 101, 1, 0, true);
	CU_ASSERT_FATAL(out(&w, 0));
	CU_ASSERT((w.p.flags & TCP_FIN) && w.p.seq == PEER_ISN + 1);
	guest(&w, 0, 101, 2, 0);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(0, w.p.ack, PEER_ISN + 1);
	/* A DATA_FIN alone does not yet ask for 64 bits. */
	CU_ASSERT(!w.o.mp.dss.ack64);
	CHECK_EQ(0, (uint32_t)w.o.mp.dss.data_ack, (uint32_t)(w.idsn_peer + 2));
	net(&w, 0, 1, 101, 101, 1, 0, true);
	CHECK_EQ(1, w.r.reason, REASON_SIGNAL_ONLY);
	guest(&w, TCP_FIN | TCP_PSH, 101, 2, 300);
	CHECK_EQ(2, w.outs.n_pkt, 1);
	CU_ASSERT_FATAL(out(&w, 0));
	CU_ASSERT(w.o.mp.dss.data_fin && w.o.mp.dss.map_len == 301 && w.p.payload_bytes == 300);
	/* Sent again: the same mapping, DATA_FIN and all. */
	guest(&w, TCP_FIN | TCP_PSH, 101, 2, 300);
	CHECK_EQ(3, w.outs.n_pkt, 1);
	CU_ASSERT(out(&w, 0) && w.o.mp.dss.data_fin && w.o.mp.dss.map_len == 301);
	/* The data is acknowledged, the FIN is not: alone from now on. */
	net(&w, 0, 1, 401, 401, 1, 0, true);
	CU_ASSERT(out(&w, 0) && w.p.ack == GUEST_ISN + 401);
	guest(&w, TCP_FIN, 401, 2, 0);
	CU_ASSERT(out(&w, 0) && w.o.mp.dss.data_fin && w.o.mp.dss.map_len == 1);
	net(&w, 0, 1, 401, 402, 0, 0, false);
	CHECK_EQ(4, w.outs.n_pkt, 2);
	CU_ASSERT(out(&w, 0) && w.p.ack == GUEST_ISN + 402 && w.p.seq == PEER_ISN + 2);
	CU_ASSERT(out(&w, 1) && (w.p.flags & TCP_FIN) && w.p.seq == GUEST_ISN + 401);
	CHECK_EQ(4, w.pkt[0].side, ENGINE_GUEST);
	net(&w, TCP_FIN, 1, 402, 402, 0, 0, false);
	CHECK_EQ(5, engine_counter(w.e, REASON_CLOSED_NORMALLY), 1);
	world_fini(&w);
}

/*
 * Both FINs are acknowledged, the subflow's are not: the guest's socket may be gone. It is shown
 * nothing more, and its RST is not a reset.
 */
static void test_late(void)
{
	struct seg wider = {.flags = TCP_ACK, .seq = 2, .ack = 101, .window = 60000};
	struct world w;

	open_world(&w);
	net(&w, 0, 1, 101, 101, 1, 100, true);
	guest(&w, TCP_FIN, 101, 102, 0);
	net(&w, 0, 101, 101, 102, 0, 0, false);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_GUEST && w.p.ack == GUEST_ISN + 102);
	CU_ASSERT(out(&w, 1) && (w.p.flags & TCP_FIN) && w.pkt[1].side == ENGINE_NET);
	/* The application has read, and the window grows. */
	wider.seq = 101;
	options_put_timestamps(&wider.w, 9100, 1);
	put_peer_ack(&w, &wider.w, 102);
	net_sends(&w, ENGINE_STEAL, &wider);
	CHECK_EQ(0, w.r.reason, REASON_SUBFLOW_OWN);
	CHECK_EQ(0, w.outs.n_pkt, 0);
	/* Our acknowledgement got lost: the gate repeats it. */
	net(&w, 0, 1, 101, 102, 1, 100, true);
	CHECK_EQ(1, w.outs.n_pkt, 1);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_NET && w.p.ack == PEER_ISN + 101);
	CU_ASSERT(w.o.mp.dss.has_ack && !(w.p.flags & TCP_RST));
	/* DATA_FIN alone asks for it as well. */
	net(&w, 0, 101, 101, 102, 101, 0, true);
	CHECK_EQ(1, w.outs.n_pkt, 1);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_NET && w.o.mp.dss.has_ack);
	CHECK_EQ(1, (uint32_t)w.o.mp.dss.data_ack, (uint32_t)(w.idsn_peer + 102));
	/* The guest's was lost: its FIN comes again. */
	guest(&w, TCP_FIN, 101, 102, 0);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_GUEST && w.p.ack == GUEST_ISN + 102);
	guest(&w, TCP_RST, 102, 102, 0);
	CHECK_EQ(2, w.r.reason, REASON_DROP_STATE);
	CHECK_EQ(2, w.outs.n_pkt, 0);
	net(&w, TCP_FIN, 101, 102, 102, 0, 0, false);
	CHECK_EQ(3, engine_counter(w.e, REASON_CLOSED_NORMALLY), 1);
	world_fini(&w);
}

static void test_reset(void)
{
	struct seg s = {.flags = TCP_ACK | TCP_RST, .seq = 1, .ack = 101};
	struct world w;

	/* of the guest */
	open_world(&w);
	guest(&w, TCP_RST, 101, 1, 0);
	CU_ASSERT_FATAL(out(&w, 0));
	CU_ASSERT((w.p.flags & TCP_RST) && w.o.mp.has_fastclose);
	CHECK_EQ(0, w.o.mp.fastclose_key, PEER_KEY);
	CHECK_EQ(0, w.p.seq, GUEST_ISN + 101);
	net(&w, 0, 1, 101, 101, 1, 10, false);
	CU_ASSERT(out(&w, 0) && (w.p.flags & TCP_RST) && w.p.seq == GUEST_ISN + 101);
	world_pass(&w, 3000000);
	CHECK_EQ(1, engine_connections(w.e), 0);
	world_fini(&w);
	/* of the peer: a wrong key, the right one */
	open_world(&w);
	mp_fastclose_encode(&s.w, w.key_local ^ 1);
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(2, w.r.reason, REASON_DROP_FORGED_FASTCLOSE);
	CHECK_EQ(2, w.outs.n_pkt, 0);
	s.w.len_bytes = 0;
	mp_fastclose_encode(&s.w, w.key_local);
	net_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT(out(&w, 0) && (w.p.flags & TCP_RST) && w.p.seq == PEER_ISN + 1);
	CHECK_EQ(3, engine_counter(w.e, REASON_CLOSED_BY_PEER_FASTCLOSE), 1);
	world_fini(&w);
	/* bare: only at the very next number (RFC 5961) */
	open_world(&w);
	s.w.len_bytes = 0;
	s.seq = 100;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(4, w.r.reason, REASON_DROP_OUT_OF_WINDOW);
	CU_ASSERT(out(&w, 0) && w.pkt[0].side == ENGINE_NET && w.p.ack == PEER_ISN + 1);
	s.seq = 1;
	net_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT(out(&w, 0) && (w.p.flags & TCP_RST) && w.pkt[0].side == ENGINE_GUEST);
	guest(&w, 0, 101, 1, 10);
	CU_ASSERT(out(&w, 0) && (w.p.flags & TCP_RST) && w.pkt[0].side == ENGINE_GUEST);
	world_fini(&w);
}

/* Packets that must be refused with their reason, and leave the connection unharmed. */
static void test_bad(void)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = 1, .window = 1000};
	struct world w;

	open_world(&w);
	s.ack = 2;
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(0, w.r.reason, REASON_DROP_ACK_BEYOND);
	s.ack = 1;
	s.seq = 0x60000000;
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(1, w.r.reason, REASON_DROP_OUT_OF_WINDOW);
	s.seq = 101;
	s.flags = 0;
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(2, w.r.reason, REASON_DROP_BAD_FLAGS);
	s.flags = TCP_ACK;
	options_put(&s.w, "\x08\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x05\xff", 12);
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(3, w.r.reason, REASON_DROP_BAD_OPTION);
	s.w.len_bytes = 0;
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(4, w.r.reason, REASON_ACK_TO_NET);
	w.bytes[30] ^= 1;
	raw_sends(&w, ENGINE_GUEST, ENGINE_STEAL, w.bytes, 40, false);
	CHECK_EQ(5, w.r.reason, REASON_DROP_BAD_CHECKSUM);
	w.bytes[30] ^= 1;
	for (uint32_t n = 0; n < 40; n++) {
		raw_sends(&w, ENGINE_GUEST, ENGINE_STEAL, w.bytes, n, false);
		CHECK_EQ(n, w.r.verdict, ENGINE_DROP);
		CHECK_EQ(n, w.outs.n_pkt, 0);
	}
	s.seq = 0x50000000;
	s.ack = 101;
	net_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(6, w.r.reason, REASON_DROP_OUT_OF_WINDOW);
	/* The guest's address from the net side is a stranger there. */
	raw_sends(&w, ENGINE_NET, ENGINE_STEAL, w.bytes, 40, true);
	s.seq = 101;
	s.ack = 1;
	s.payload_bytes = 10;
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(7, w.r.reason, REASON_DATA_TO_NET);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Segments of converted connections that a dead process left behind are reset, others let go. */
static void test_orphans(void)
{
	struct engine_pkt in = {.hook = ENGINE_STEAL, .mark_converted = true, .csum_trusted = true};
	struct world w;

	open_world(&w);
	w.guest.src_port++;
	guest(&w, 0, 101, 1, 10);
	CHECK_EQ(0, w.r.reason, REASON_PLAIN_UNKNOWN);
	CHECK_EQ(0, world_claim(&w), ENGINE_CLAIM_RELEASED);
	in.data = w.bytes;
	in.len_bytes = 50;
	w.outs.n_pkt = 0;
	w.r = engine_packet(w.e, &in, &w.tick, &w.outs);
	CHECK_EQ(1, w.r.reason, REASON_DROP_ORPHAN);
	CU_ASSERT(out(&w, 0) && (w.p.flags & TCP_RST) && w.pkt[0].side == ENGINE_GUEST);
	CHECK_EQ(1, w.p.seq, PEER_ISN + 1);
	world_fini(&w);
}

/* A regular end: both ends hear of it; what is over already is left alone. */
static void test_shutdown(void)
{
	struct world w;

	open_world(&w);
	w.outs.n_pkt = 0;
	CU_ASSERT(!engine_shutdown(w.e, &w.tick, &w.outs));
	CHECK_EQ(0, w.outs.n_pkt, 2);
	CU_ASSERT(out(&w, 0) && (w.p.flags & TCP_RST) && w.p.seq == PEER_ISN + 1);
	CU_ASSERT(out(&w, 1) && (w.p.flags & TCP_RST) && w.o.mp.fastclose_key == PEER_KEY);
	w.outs.n_pkt = 0;
	CU_ASSERT(!engine_shutdown(w.e, &w.tick, &w.outs) && w.outs.n_pkt == 0);
	world_fini(&w);
}

/* The array of outputs is full: nothing is put behind its end, and what is dropped is counted. */
static void test_full(void)
{
	struct engine_out last;
	struct world w;

	open_world(&w);
	w.cap_pkt = 1;
	guest(&w, 0, 101, 1, 1000);
	CHECK_EQ(0, w.outs.n_pkt, 1);
	/* The packet is in w.bytes: once more, behind that one. */
	memset(&w.pkt[1], 0xee, sizeof(w.pkt[1]));
	last = w.pkt[1];
	for (unsigned i = 0; i < 3; i++) {
		struct engine_pkt in = {.data = w.bytes,
					.len_bytes = 20 + 20 + 12 + 1000,
					.from = ENGINE_GUEST,
					.hook = ENGINE_STEAL};

		w.r = engine_packet(w.e, &in, &w.tick, &w.outs);
		CHECK_EQ(i, w.outs.n_pkt, 1);
		CHECK_EQ(i, w.r.reason, REASON_DROP_OUTPUT_FULL);
		CHECK_ROW(i, memcmp(&w.pkt[1], &last, sizeof(last)) == 0);
	}
	CU_ASSERT(engine_shutdown(w.e, &w.tick, &w.outs) && w.outs.n_pkt == 1);
	/* Nothing of it was lost: it goes when there is room. */
	guest(&w, 0, 101, 1, 1000);
	CHECK_EQ(9, w.outs.n_pkt, 1);
	world_fini(&w);
}

/* I9: another process takes the region over in mid-stream. */
static void test_adopt(void)
{
	struct engine_cfg other;
	struct world w;

	open_world(&w);
	guest(&w, 0, 101, 1, 1000);
	other = w.cfg;
	other.max_connections++;
	CU_ASSERT(engine_adopt(w.region, engine_region_bytes(&w.cfg), &other, w.tick.now_us) ==
		  NULL);
	other = w.cfg;
	other.seed[0] ^= 99;
	w.e = engine_adopt(w.region, engine_region_bytes(&w.cfg), &other, w.tick.now_us);
	CU_ASSERT_FATAL(w.e != NULL);
	net(&w, 0, 1, 1101, 1101, 0, 0, false);
	CU_ASSERT(out(&w, 0) && w.p.ack == GUEST_ISN + 1101);
	guest(&w, 0, 1101, 1, 1000);
	CU_ASSERT(out(&w, 0) && w.o.mp.dss.dsn == w.idsn_local + 1101);
	world_fini(&w);
}

/* A router takes a hop off; the gate's own segments look like those around them. */
static void test_hops(void)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = 101,
			.ack = 1,
			.window = 1000,
			.ttl = 33,
			.tos = 0xb9,
			.flow_label = 0x12345,
			.payload_bytes = 10};
	struct seg n = {.flags = TCP_ACK, .seq = 1, .ack = 111, .window = 1000, .ttl = 44};
	struct world w;

	world_init(&w, FLOW_IPV6);
	world_start(&w);
	world_open(&w);
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(0, w.p.ttl, 32);
	put_peer_ack(&w, &n.w, 111);
	net_sends(&w, ENGINE_STEAL, &n);
	CU_ASSERT_FATAL(out(&w, 0) && w.pkt[0].side == ENGINE_GUEST);
	CHECK_EQ(1, w.p.ttl, 43);
	/* The answer to a RST that stands in the wrong place. */
	n.flags = TCP_RST;
	n.w.len_bytes = 0;
	n.seq = 100;
	net_sends(&w, ENGINE_STEAL, &n);
	CU_ASSERT_FATAL(out(&w, 0) && w.pkt[0].side == ENGINE_NET);
	CHECK_EQ(2, w.p.ttl, 32);
	CHECK_EQ(2, w.p.tos, 0xb8); /* without the guest's ECN bits */
	CHECK_EQ(2, w.p.flow_label, 0x12345);
	/* The kernel drops what has no hop left, and tells the sender. */
	s.ttl = 1;
	guest_sends(&w, ENGINE_STEAL, &s);
	CHECK_EQ(3, w.r.verdict, ENGINE_ACCEPT);
	CHECK_EQ(3, w.r.reason, REASON_TTL_EXPIRED);
	CHECK_EQ(3, w.outs.n_pkt, 0);
	/* Where the kernel forwards what leaves the gate, it counts that itself. */
	engine_path_set(w.e, 0, true, &(struct engine_path_cfg){.routed = true});
	s.ttl = 33;
	s.seq = 111;
	guest_sends(&w, ENGINE_STEAL, &s);
	CU_ASSERT_FATAL(out(&w, 0));
	CHECK_EQ(4, w.p.ttl, 33);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"guest closes first", test_guest_first},
	{"the same ISN again", test_same_isn},
	{"peer closes first", test_peer_first},
	{"late, behind both FINs", test_late},
	{"a FIN behind early data", test_fin_behind_early_data},
	{"a FIN before lost data", test_fin_before_lost_data},
	{"reset", test_reset},
	{"bad packets", test_bad},
	{"orphans", test_orphans},
	{"hops", test_hops},
	{"shutdown", test_shutdown},
	{"a full array", test_full},
	{"adoption", test_adopt},
};

UNIT_MAIN("engine/close", tests)
