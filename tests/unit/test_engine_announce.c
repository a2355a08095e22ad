/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_announce.c - when ADD_ADDR goes out (RFC 8684 section 3.4.1), what stands before it,
 * and what is kept of it.
 */
#include "base/siphash.h"
#include "engine/state.h"
#include "inbound.h"
#include "joins.h"
#include "unit.h"

/* A called connection behind its third ACK, with a second path to announce. */
static void called(struct world *w, uint8_t family)
{
	joins_init(w, family);
	w->cfg.announce = ENGINE_ANNOUNCE_RESPONDER;
	world_start(w);
	client_syn(w, "1e040101");
	guest_synack(w);
	client_acks(w, w->key_local, 0);
	CHECK_EQ(0, w->r.reason, REASON_THIRD_ACK_CONVERTED);
}

static void guest_acks(struct world *w, uint32_t ack, uint32_t payload_bytes)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = 1,
			.ack = ack,
			.window = 1000,
			.payload_bytes = payload_bytes};

	options_put_timestamps(&s.w, 120, 7010);
	guest_sends(w, ENGINE_STEAL, &s);
}

/* Not before data went either way, or a while has passed. */
static void test_held(void)
{
	for (unsigned i = 0; i < 3; i++) {
		struct world w;

		called(&w, FLOW_IPV4);
		CHECK_ROW(i, join_out(&w, NULL, is_add_addr) < 0);
		world_pass(&w, 50000);
		CHECK_ROW(i, join_out(&w, NULL, is_add_addr) < 0);
		if (i == 0) { /* the client's data, and the guest's answer to it */
			client_acks(&w, w.key_local, 100);
			CHECK_ROW(i, join_out(&w, NULL, is_add_addr) < 0);
			guest_acks(&w, 101, 0);
			CHECK_ROW(i, join_out(&w, NULL, is_add_addr) == 1);
			CHECK_ROW(i, out(&w, 0) && w.o.mp.has_dss && w.o.mp.dss.has_ack);
		} else if (i == 1) { /* a guest that speaks first */
			guest_acks(&w, 1, 100);
			CHECK_ROW(i, join_out(&w, NULL, is_add_addr) == 1);
			CHECK_ROW(i, out(&w, 0) && w.p.payload_bytes == 100);
		} else {
			world_pass(&w, 160000);
			CHECK_ROW(i, join_out(&w, NULL, is_add_addr) == 0);
			CHECK_ROW(i, w.o.mp.has_dss && w.o.mp.dss.has_ack);
		}
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/*
 * ADD_ADDR of IPv6 and timestamps fill the options: it must not be the first segment behind the
 * third ACK (section 3.1), so an acknowledgement with DSS goes before, until the peer has heard
 * one.
 */
static void test_no_room(void)
{
	for (unsigned heard = 0; heard < 2; heard++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};
		struct world w;
		int at;

		called(&w, FLOW_IPV6);
		w.timestamps = true;
		if (heard) {
			engine_path_set(w.e, 1, false, NULL);
			guest_acks(&w, 1, 100);
			put_peer_ack(&w, &s.w, 100);
			net_sends(&w, ENGINE_STEAL, &s);
			engine_path_set(w.e, 1, true, NULL);
		}
		world_pass(&w, 210000);
		at = join_out(&w, NULL, is_add_addr);
		CHECK_EQ(heard, at, !heard);
		CHECK_ROW(heard, !w.o.mp.has_dss && w.o.has_timestamps);
		if (!heard)
			CHECK_ROW(heard, out(&w, 0) && w.o.mp.has_dss && w.o.mp.dss.has_ack);
		world_fini(&w);
	}
}

/* One more connection of the guest to the same peer, which announces `a`. */
static void one_more(struct world *w, unsigned i, const struct add_addr *a)
{
	w->guest.src_port = (uint16_t)(40000 + i);
	w->net.src_port = (uint16_t)(50000 + i);
	world_open(w);
	peer_adds(w, a, true);
	CHECK_ROW(i, join_out(w, NULL, is_add_addr) >= 0);
}

static void peer_removes(struct world *w, uint8_t id)
{
	struct options_writer o = {0};

	remove_addr_encode(&o, &(struct remove_addr){.n = 1, .address_id = {id}});
	peer_signals(w, &o);
}

/* What connections to one peer know of it is kept once; who hears something else has its own. */
static void test_shared(void)
{
	static const struct add_addr same = {
		.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 10}}};
	struct add_addr other = same;
	struct join j[4];
	struct world w;

	joins_init(&w, FLOW_IPV4);
	w.cfg.after_bytes = 1 << 20; /* no joins yet */
	world_start(&w);
	for (unsigned i = 0; i < 3; i++) {
		one_more(&w, i, &same);
		CHECK_EQ(i, world_pool_used(&w, "addresses"), 1);
		CU_ASSERT(engine_audit(w.e));
	}
	other.addr.b[3] = 11;
	one_more(&w, 3, &other);
	CHECK_EQ(3, world_pool_used(&w, "addresses"), 2);
	/* Again: nothing changes. */
	peer_adds(&w, &other, true);
	CHECK_EQ(4, engine_counter(w.e, REASON_ADD_ADDR_REPEATED), 1);
	CHECK_EQ(4, world_pool_used(&w, "addresses"), 2);
	/* One that is told of a second address parts from the others. */
	w.guest.src_port = 40001;
	w.net.src_port = 50001;
	other.address_id = 6;
	one_more(&w, 4, &same);
	peer_adds(&w, &other, true);
	CHECK_EQ(5, world_pool_used(&w, "addresses"), 3);
	CU_ASSERT(engine_audit(w.e));
	/* Taken back: the record goes with its last address. */
	peer_removes(&w, 5);
	peer_removes(&w, 6);
	CHECK_EQ(6, world_pool_used(&w, "addresses"), 2);
	CHECK_EQ(6, joins_find(&w, j, 4), 0);
	CU_ASSERT(engine_audit(w.e));
	/* The others still know theirs: the path goes, and both addresses are joined elsewhere. */
	w.net.src_port = 50000;
	w.guest.src_port = 40000;
	engine_path_set(w.e, 0, false, NULL);
	world_pass(&w, 1000);
	CHECK_ROW(7, joins_find(&w, j, 4) >= 2);
	CU_ASSERT(engine_audit(w.e));
	/* And nothing is left behind. */
	CU_ASSERT_FATAL(engine_shutdown(w.e, &w.tick, &w.outs) == false);
	CHECK_EQ(8, world_pool_used(&w, "addresses"), 0);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Where the engine looks for what another connection knows. */
static uint64_t shared_slot(const struct world *w, const struct add_addr *a)
{
	struct peer_address p;

	memset(&p, 0, sizeof(p));
	p = (struct peer_address){.id = a->address_id, .family = a->family, .addr = a->addr};
	return siphash(w->cfg.seed, &p, sizeof(p)) % SHARED_SLOTS;
}

/* Of two sets that meet in one place the second stays alone, and neither hears of the other. */
static void test_shared_place(void)
{
	static const struct add_addr one = {
		.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 10}}};
	struct add_addr other = one;
	struct world w;

	joins_init(&w, FLOW_IPV4);
	w.cfg.after_bytes = 1 << 20;
	world_start(&w);
	do {
		if (++other.addr.b[3] == 0)
			other.addr.b[2]++;
	} while (shared_slot(&w, &other) != shared_slot(&w, &one));
	one_more(&w, 0, &one);
	for (unsigned i = 1; i < 3; i++) {
		one_more(&w, i, &other);
		CHECK_EQ(i, world_pool_used(&w, "addresses"), 1 + i);
		/* It is known already: of the other set it would be new. */
		peer_adds(&w, &other, true);
		CHECK_EQ(i, engine_counter(w.e, REASON_ADD_ADDR_REPEATED), i);
		CU_ASSERT(engine_audit(w.e));
	}
	CU_ASSERT_FATAL(engine_shutdown(w.e, &w.tick, &w.outs) == false);
	CHECK_EQ(3, world_pool_used(&w, "addresses"), 0);
	world_fini(&w);
}

/* An initiator that announces its second path; nothing makes it join. */
static void announcing(struct world *w)
{
	joins_init(w, FLOW_IPV4);
	w->cfg.announce = ENGINE_ANNOUNCE_ALWAYS;
	w->cfg.after_bytes = 1 << 20;
	world_start(w);
}

/* The peer confirms what out() decoded last. */
static void peer_echoes(struct world *w)
{
	struct options_writer o = {0};
	struct add_addr a = w->o.mp.add_addr;

	a.echo = true;
	add_addr_encode(&o, &a);
	peer_signals(w, &o);
}

/* A connection whose peer has just been told of an address for the first time: its id. */
static uint8_t announced(struct world *w)
{
	announcing(w);
	world_open(w);
	CU_ASSERT_FATAL(join_out(w, NULL, is_add_addr) >= 0);
	return w->o.mp.add_addr.address_id;
}

/*
 * ADD_ADDR makes no record, and one that is made for the peer's own addresses meanwhile does not
 * bring the second one forward.
 */
static void test_first(void)
{
	static const struct add_addr peers = {
		.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 10}}};

	for (unsigned also = 0; also < 2; also++) {
		struct world w;
		uint8_t id;

		id = announced(&w);
		CHECK_EQ(also, world_pool_used(&w, "addresses"), 0);
		if (also) {
			peer_adds(&w, &peers, true);
			CHECK_ROW(also,
				  join_out(&w, NULL, is_add_addr) >= 0 && w.o.mp.add_addr.echo);
		}
		world_pass(&w, 950000);
		CHECK_ROW(also, join_out(&w, NULL, is_add_addr) < 0);
		CHECK_EQ(also, world_pool_used(&w, "addresses"), also);
		world_pass(&w, 60000);
		CU_ASSERT_FATAL(join_out(&w, NULL, is_add_addr) >= 0);
		CHECK_EQ(also, w.o.mp.add_addr.address_id, id);
		CHECK_EQ(also, world_pool_used(&w, "addresses"), also);
		peer_echoes(&w);
		CHECK_EQ(also, engine_counter(w.e, REASON_ADD_ADDR_ECHOED), 1);
		CHECK_EQ(also, world_pool_used(&w, "addresses"), also);
		world_pass(&w, 5000000);
		CHECK_ROW(also, join_out(&w, NULL, is_add_addr) < 0);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* The path goes before its first ADD_ADDR is confirmed: it is taken back all the same. */
static void test_first_taken_back(void)
{
	struct world w;
	uint8_t id;

	id = announced(&w);
	engine_path_set(w.e, 1, false, NULL);
	world_pass(&w, 1000);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_remove_addr) >= 0);
	CHECK_EQ(0, w.o.mp.remove_addr.n, 1);
	CHECK_EQ(0, w.o.mp.remove_addr.address_id[0], id);
	world_pass(&w, 1100000);
	CU_ASSERT(join_out(&w, NULL, is_add_addr) < 0);
	engine_path_set(w.e, 1, true, NULL);
	world_pass(&w, 1000);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_add_addr) >= 0);
	CU_ASSERT(w.o.mp.add_addr.address_id != id);
	peer_echoes(&w);
	CHECK_EQ(1, world_pool_used(&w, "addresses"), 0);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Where no record is free an address is announced all the same: five times, 1 to 16 s apart. */
static void test_no_record(void)
{
	struct add_addr peers = {
		.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 10}}};
	uint64_t first, sent;
	struct world w;

	announcing(&w);
	world_open(&w);
	first = engine_counter(w.e, REASON_ADD_ADDR_SENT);
	for (unsigned i = 1; i < 12; i++) {
		one_more(&w, i, &peers);
		peers.addr.b[3]++;
	}
	CHECK_EQ(0, world_pool_used(&w, "addresses"), 10); /* all that there are */
	CHECK_EQ(0, engine_counter(w.e, REASON_ADD_ADDR_REFUSED), 1);
	sent = engine_counter(w.e, REASON_ADD_ADDR_SENT);
	CHECK_EQ(0, sent, 12 * first);
	world_pass(&w, 500000);
	for (unsigned i = 1; i <= 40; i++) {
		for (unsigned k = 0; k < 10; k++)
			world_pass(&w, 100000);
		CHECK_EQ(i, engine_counter(w.e, REASON_ADD_ADDR_SENT),
			 sent + 12 * first * ((i >= 1) + (i >= 3) + (i >= 7) + (i >= 15)));
	}
	CHECK_EQ(0, engine_counter(w.e, REASON_ADD_ADDR_UNANSWERED), 12);
	CHECK_EQ(0, world_pool_used(&w, "addresses"), 10);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"held back", test_held},
	{"no room for DSS", test_no_room},
	{"shared records", test_shared},
	{"two sets in one place", test_shared_place},
	{"the first without a record", test_first},
	{"the first, taken back", test_first_taken_back},
	{"no record free", test_no_record},
};

UNIT_MAIN("engine/announce", tests)
