/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_addresses.c - ADD_ADDR, REMOVE_ADDR and MP_PRIO, both ways, packet by packet (RFC
 * 8684 sections 3.3.8 and 3.4); and addresses that are given up.
 */
#include "engine/crypto.h"
#include "joins.h"
#include "unit.h"

static const struct add_addr second = {
	.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 10}}};

/* The joined subflow of joins_open() is established: two subflows. */
static const struct {
	struct add_addr a;
	unsigned joins; /* over how many paths */
	enum reason reason;
} adds[] = {
	/* 0 */ {{.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 10}}},
		 2,
		 REASON_ADD_ADDR_ACCEPTED},
	/* 1 with a port */
	{{.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 10}}, .port = 8},
	 2,
	 REASON_ADD_ADDR_ACCEPTED},
	/* 2 the other family */
	{{.family = FLOW_IPV6, .address_id = 6, .addr = {.b = {0xfd, 9, 1}}},
	 2,
	 REASON_ADD_ADDR_ACCEPTED},
	/* 3 the one it began with, under another id: nothing new to join */
	{{.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 9}}},
	 0,
	 REASON_ADD_ADDR_ACCEPTED},
	/* 4 the same at another port */
	{{.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 9, 9, 9}}, .port = 8},
	 2,
	 REASON_ADD_ADDR_ACCEPTED},
	/* 5 id 0 is taken */
	{{.family = FLOW_IPV4, .address_id = 0, .addr = {.b = {10, 9, 9, 10}}},
	 0,
	 REASON_ADD_ADDR_REFUSED},
	/* 6 loopback, 7 multicast, 8 ours, 9 the guest's, 10 link-local */
	{{.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {127, 0, 0, 1}}},
	 0,
	 REASON_ADD_ADDR_REFUSED},
	{{.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {224, 0, 0, 1}}},
	 0,
	 REASON_ADD_ADDR_REFUSED},
	{{.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 0, 2, 1}}},
	 0,
	 REASON_ADD_ADDR_REFUSED},
	{{.family = FLOW_IPV4, .address_id = 5, .addr = {.b = {10, 0, 0, 2}}},
	 0,
	 REASON_ADD_ADDR_REFUSED},
	{{.family = FLOW_IPV6, .address_id = 5, .addr = {.b = {0xfe, 0x80, 1}}},
	 0,
	 REASON_ADD_ADDR_REFUSED},
};

static void test_add(void)
{
	for (unsigned i = 0; i < sizeof(adds) / sizeof(adds[0]); i++) {
		struct join j, more[4];
		struct world w;
		unsigned n;

		CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
		/* A wrong HMAC: not even an answer. */
		peer_adds(&w, &adds[i].a, false);
		CHECK_EQ(i, w.outs.n_pkt, 0);
		CHECK_EQ(i, engine_counter(w.e, REASON_ADD_ADDR_HMAC), 1);
		peer_adds(&w, &adds[i].a, true);
		CU_ASSERT_FATAL(join_out(&w, NULL, is_add_addr) >= 0);
		CU_ASSERT(w.o.mp.add_addr.echo && w.p.payload_bytes == 0);
		CHECK_EQ(i, w.o.mp.add_addr.address_id, adds[i].a.address_id);
		CHECK_EQ(i, w.o.mp.add_addr.port, adds[i].a.port);
		CU_ASSERT(ip_addr_equal(&w.o.mp.add_addr.addr, &adds[i].a.addr));
		CHECK_EQ(i, engine_counter(w.e, adds[i].reason), 1);
		n = joins_find(&w, more, 4);
		CHECK_EQ(i, n, adds[i].joins);
		for (unsigned k = 0; k < n; k++) {
			CU_ASSERT(more[k].net.family == adds[i].a.family &&
				  ip_addr_equal(&more[k].net.dst, &adds[i].a.addr));
			CHECK_EQ(i, more[k].net.dst_port, adds[i].a.port ? adds[i].a.port : 80);
		}
		/* Again: confirmed again, joined no more. */
		peer_adds(&w, &adds[i].a, true);
		CU_ASSERT(join_out(&w, NULL, is_add_addr) >= 0);
		CHECK_EQ(i, joins_find(&w, more, 4), 0);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* The echo goes alone, as Linux has it, while there is nothing that it could acknowledge. */
static void test_echo_beside(void)
{
	struct seg data = {
		.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000, .payload_bytes = 1000};
	struct seg ack = {.flags = TCP_ACK, .seq = 101, .ack = 1001, .window = 1000};
	struct world w;
	struct join j;

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
	peer_adds(&w, &adds[0].a, true);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_add_addr) >= 0);
	CU_ASSERT(!w.o.mp.has_dss);
	put_peer_map(&w, &data.w, 101, 1, 1, 1000, false);
	net_sends(&w, ENGINE_STEAL, &data);
	guest_sends(&w, ENGINE_STEAL, &ack);
	peer_adds(&w, &adds[0].a, true);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_add_addr) >= 0);
	CU_ASSERT(w.o.mp.has_dss && w.o.mp.dss.has_ack);
	CHECK_EQ(0, (uint32_t)w.o.mp.dss.data_ack, (uint32_t)w.idsn_peer + 1001);
	world_fini(&w);
}

/* More addresses than there is room for, more subflows than allowed: bounded, all confirmed. */
static void test_add_many(void)
{
	struct world w;
	struct join j, more[8];

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
	for (unsigned i = 0; i < 40; i++) {
		struct add_addr a = second;

		a.address_id = (uint8_t)(1 + i);
		a.addr.b[3] = (uint8_t)(10 + i);
		peer_adds(&w, &a, true);
		CU_ASSERT(join_out(&w, NULL, is_add_addr) >= 0);
		CHECK_EQ(i, joins_find(&w, more, 8), i < 3 ? 2 : 0);
	}
	/* An id in use cannot move to another address. */
	CHECK_EQ(0, engine_counter(w.e, REASON_ADD_ADDR_ACCEPTED), 8);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* The C flag (section 3.1): no join to the address that it began with, only to announced ones. */
static void test_no_join(void)
{
	struct world w;
	struct join j[4];

	joins_init(&w, FLOW_IPV4);
	w.peer_no_join = true;
	CU_ASSERT(!joins_open(&w, j));
	peer_adds(&w, &second, true);
	CHECK_EQ(0, joins_find(&w, j, 4), 2);
	CU_ASSERT(ip_addr_equal(&j[0].net.dst, &second.addr));
	world_fini(&w);
}

static void peer_removes(struct world *w, uint8_t id)
{
	struct options_writer o = {0};

	remove_addr_encode(&o, &(struct remove_addr){.n = 1, .address_id = {id}});
	peer_signals(w, &o);
}

static void test_remove(void)
{
	struct world w;
	struct join j, more[2];

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
	peer_adds(&w, &second, true);
	CU_ASSERT_FATAL(joins_find(&w, more, 2) == 2);
	join_complete(&w, &more[0]);
	join_synack(&w, &more[1], second.address_id, false, -1);
	/* The SYN/ACK of the first said id 0; a join under way ends as well. */
	peer_removes(&w, second.address_id);
	CU_ASSERT(join_out(&w, &more[1], is_rst) >= 0 && w.o.mp.has_tcprst);
	CHECK_EQ(0, living(&w), 3);
	/* Nothing joins it any more. */
	for (unsigned k = 0; k < 100; k++) {
		world_pass(&w, 1000000);
		CHECK_EQ(k, joins_find(&w, more, 2), 0);
	}
	/* Id 0 is that of all the others: one stays. */
	peer_removes(&w, 0);
	CHECK_EQ(1, living(&w), 0);
	CU_ASSERT(join_out(&w, NULL, is_rst) < 0 && join_out(&w, &j, is_rst) < 0);
	CHECK_EQ(2, engine_counter(w.e, REASON_REMOVE_ADDR_RECEIVED), 2);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

static void test_prio_received(void)
{
	struct engine_conn_info info;
	struct world w;
	struct join j;

	CU_ASSERT_FATAL(joins_open_two(&w, FLOW_IPV4, &j));
	for (unsigned i = 0; i < 4; i++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};

		mp_prio_encode(&s.w, &(struct mp_prio){.backup = !(i & 1)});
		join_sends(&w, &j, &s);
		CU_ASSERT(engine_conn_info(w.e, 0, w.tick.now_us, &info));
		CHECK_EQ(i, info.subflow[1].backup_peer, !(i & 1));
		CHECK_EQ(i, info.subflow[1].backup, !(i & 1));
		CHECK_EQ(i, info.subflow[0].backup, false);
		CHECK_EQ(i, engine_counter(w.e, REASON_PRIO_RECEIVED), i + 1);
	}
	world_fini(&w);
}

/* The path's priority or price changes: MP_PRIO on its subflows, twice, and no more. */
static void test_prio_sent(void)
{
	for (unsigned by_price = 0; by_price < 2; by_price++) {
		struct engine_path_cfg b;
		struct world w;
		struct join j;
		unsigned n = 0;

		joins_init(&w, FLOW_IPV4);
		w.cfg.backup_price = 3.0;
		CU_ASSERT_FATAL(joins_open(&w, &j));
		join_complete(&w, &j);
		b = w.cfg.path[1];
		b.price = by_price ? 3.0 : 2.5;
		b.backup = !by_price;
		engine_path_set(w.e, 1, true, &b);
		for (unsigned k = 0; k < 50; k++) {
			world_pass(&w, 100000);
			if (join_out(&w, &j, is_prio) < 0)
				continue;
			n++;
			CU_ASSERT(w.o.mp.prio.backup && !w.o.mp.prio.has_address_id);
			CU_ASSERT(join_out(&w, NULL, is_prio) < 0);
		}
		CHECK_EQ(by_price, n, 2);
		engine_path_set(w.e, 1, true, &w.cfg.path[1]);
		world_pass(&w, 1000);
		CU_ASSERT(join_out(&w, &j, is_prio) >= 0 && !w.o.mp.prio.backup);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

/* ADD_ADDR of ours: one at a time, again until confirmed, five times at most. */
static void test_announce(void)
{
	static const uint32_t at_ms[] = {0, 1000, 3000, 7000, 15000};
	struct add_addr first = {0};
	uint64_t begun_us;
	uint8_t hmac[8];
	struct world w;
	struct join j;
	unsigned n = 0;

	joins_init(&w, FLOW_IPV4);
	w.cfg.announce = ENGINE_ANNOUNCE_ALWAYS;
	CU_ASSERT_FATAL(joins_open(&w, &j));
	begun_us = w.tick.now_us;
	for (unsigned k = 0; k < 3000; k++) {
		if (join_out(&w, NULL, is_add_addr) >= 0) {
			const struct add_addr *a = &w.o.mp.add_addr;

			if (n < 5) {
				uint64_t ms = (w.tick.now_us - begun_us) / 1000;

				CU_ASSERT(ms >= at_ms[n] && ms < at_ms[n] + 30);
				CU_ASSERT(!a->echo && a->port == w.cfg.port_min);
				crypto_add_addr_hmac(w.key_local, PEER_KEY, a->address_id,
						     a->family, &a->addr, a->port, hmac);
				CU_ASSERT(memcmp(hmac, a->hmac, 8) == 0);
				CU_ASSERT(w.p.payload_bytes == 0 && !w.o.mp.dss.has_map);
			}
			if (n == 0)
				first = *a;
			else if (n < 5)
				CU_ASSERT(memcmp(&first, a, sizeof(first)) == 0);
			n++;
		}
		world_pass(&w, 20000);
	}
	/* Path a carries the connection; b is announced in the family that the peer has for sure.
	 */
	CU_ASSERT(ip_addr_equal(&first.addr, &w.cfg.path[1].addr4) && first.family == FLOW_IPV4);
	CHECK_EQ(0, n, 5);
	CHECK_EQ(0, engine_counter(w.e, REASON_ADD_ADDR_UNANSWERED), 1);
	world_fini(&w);
}

/* Confirmed, nothing but what the peer knows is kept; it is enough to take it back. */
static void test_announce_echo(void)
{
	struct add_addr seen[4];
	unsigned n = 0;
	struct world w;

	joins_init(&w, FLOW_IPV4);
	w.cfg.announce = ENGINE_ANNOUNCE_ALWAYS;
	w.cfg.after_bytes = 1 << 20; /* no joins of the gate's own */
	w.cfg.n_paths = 3;           /* the last has no IPv4 */
	w.cfg.path[2] = (struct engine_path_cfg){.name = "c", .mtu_bytes = 1500, .price = 1.0};
	w.cfg.path[2].addr6 = (struct ip_addr){.b = {0xfd, 0, 3, 1}};
	world_start(&w);
	world_open(&w);
	for (unsigned k = 0; k < 100; k++) {
		struct options_writer o = {0};

		if (join_out(&w, NULL, is_add_addr) < 0) {
			world_pass(&w, 100000);
			continue;
		}
		CU_ASSERT_FATAL(n < 4);
		CHECK_EQ(n, world_pool_used(&w, "addresses"), 0);
		seen[n] = w.o.mp.add_addr;
		seen[n].echo = true;
		add_addr_encode(&o, &seen[n++]);
		peer_signals(&w, &o); /* the next one follows at once */
	}
	CHECK_EQ(0, n, 2);
	CHECK_EQ(0, seen[0].family, FLOW_IPV4);
	CU_ASSERT(ip_addr_equal(&seen[1].addr, &w.cfg.path[2].addr6));
	CHECK_EQ(0, engine_counter(w.e, REASON_ADD_ADDR_ECHOED), 2);
	CHECK_EQ(0, world_pool_used(&w, "addresses"), 0);
	/* The paths go: their addresses are taken back. */
	engine_path_set(w.e, 1, false, NULL);
	engine_path_set(w.e, 2, false, NULL);
	world_pass(&w, 1000);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_remove_addr) >= 0);
	CHECK_EQ(0, w.o.mp.remove_addr.n, 2);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT(w.o.mp.remove_addr.address_id[0] == seen[i].address_id ||
			  w.o.mp.remove_addr.address_id[1] == seen[i].address_id);
	/* One returns: announced under another id. */
	engine_path_set(w.e, 1, true, NULL);
	world_pass(&w, 1000);
	CU_ASSERT_FATAL(join_out(&w, NULL, is_add_addr) >= 0);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT(w.o.mp.add_addr.address_id != seen[i].address_id);
	CU_ASSERT(engine_audit(w.e));
	world_fini(&w);
}

/* Does a join begin within the time? */
static bool begins(struct world *w, struct join *j, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		world_pass(w, 1000000);
		if (joins_find(w, j, 1))
			return true;
	}
	return false;
}

/*
 * A SYN/ACK without MP_JOIN, three times without an hour between them: given up until the path
 * comes anew. Other failures do not count as one; `late`: nor what was long ago.
 */
static void test_given_up(void)
{
	for (unsigned late = 0; late < 2; late++) {
		struct seg bare = {.flags = TCP_SYN | TCP_ACK, .ack = 1, .window = 64240};
		struct seg rst = {.flags = TCP_RST | TCP_ACK, .ack = 1};
		struct world w;
		struct join j;

		joins_init(&w, FLOW_IPV4);
		CU_ASSERT_FATAL(joins_open(&w, &j));
		join_sends(&w, &j, &bare);
		CU_ASSERT_FATAL(begins(&w, &j, 10));
		join_sends(&w, &j, &rst);
		CU_ASSERT_FATAL(begins(&w, &j, 10));
		join_sends(&w, &j, &bare);
		CU_ASSERT_FATAL(begins(&w, &j, 20));
		if (late) {
			join_complete(&w, &j);
			world_pass(&w, 3700ull * 1000000);
			join_sends(&w, &j, &(struct seg){.flags = TCP_RST, .seq = 1});
			CU_ASSERT_FATAL(begins(&w, &j, 40));
		}
		join_sends(&w, &j, &bare);
		CHECK_EQ(late, engine_counter(w.e, REASON_JOIN_STRIPPED), 3);
		CHECK_EQ(late, engine_counter(w.e, REASON_JOIN_GIVEN_UP), !late);
		CHECK_EQ(late, begins(&w, &j, 600), late);
		CHECK_EQ(late, living(&w), 1);
		engine_path_set(w.e, 1, false, NULL);
		world_pass(&w, 1000);
		engine_path_set(w.e, 1, true, NULL);
		world_pass(&w, 1000);
		CHECK_EQ(late, joins_find(&w, &j, 1), 1);
		CU_ASSERT(engine_audit(w.e));
		world_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"ADD_ADDR", test_add},
	{"the echo of what is announced", test_echo_beside},
	{"many ADD_ADDRs", test_add_many},
	{"C flag", test_no_join},
	{"REMOVE_ADDR", test_remove},
	{"MP_PRIO received", test_prio_received},
	{"MP_PRIO sent", test_prio_sent},
	{"announcing", test_announce},
	{"announcing, confirmed", test_announce_echo},
	{"given up", test_given_up},
};

UNIT_MAIN("engine/addresses", tests)
