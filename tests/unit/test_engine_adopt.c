/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_adopt.c - a region taken over under another configuration: paths in another order,
 * paths that are new, and paths that are gone (I9).
 */
#include "engine/adopt.h"
#include "inbound.h"

static void name(struct engine_cfg *cfg, unsigned path, const char *text)
{
	snprintf(cfg->path[path].name, sizeof(cfg->path[path].name), "%s", text);
}

/* A connection whose one subflow is on the path "b", the second of two. */
static void open_on_b(struct world *w)
{
	world_init(w, FLOW_IPV4);
	w->cfg.n_paths = 2;
	w->cfg.path[1] = w->cfg.path[0];
	name(&w->cfg, 0, "b");
	name(&w->cfg, 1, "a");
	world_start(w);
	world_open(w);
}

static void take_over(struct world *w, const struct engine_cfg *cfg)
{
	w->e = engine_adopt(w->region, engine_region_bytes(&w->cfg), cfg, w->tick.now_us);
	CU_ASSERT_FATAL(w->e != NULL);
	CU_ASSERT_TRUE(engine_audit(w->e));
}

static uint8_t path_of(struct world *w, unsigned *n)
{
	struct engine_conn_info info;

	CU_ASSERT_FATAL(engine_conn_info(w->e, 0, w->tick.now_us, &info));
	*n = info.n_subflows;
	return info.subflow[0].path;
}

/* The guest's next 1000 bytes; the path by which they leave. */
static uint8_t send(struct world *w, uint32_t seq)
{
	struct seg s = {
		.flags = TCP_ACK, .seq = seq, .ack = 1, .window = 500, .payload_bytes = 1000};

	guest_sends(w, ENGINE_STEAL, &s);
	CU_ASSERT_TRUE(out(w, 0));
	return w->pkt[0].index;
}

static void test_order(void)
{
	struct engine_path_info before, after;
	struct engine_cfg other;
	struct world w;
	unsigned n;

	open_on_b(&w);
	CU_ASSERT_EQUAL(path_of(&w, &n), 0);
	CU_ASSERT_EQUAL(send(&w, 101), 0);
	engine_path_info(w.e, 0, &before);
	other = w.cfg;
	other.n_paths = 3;
	name(&other, 0, "new");
	name(&other, 1, "a");
	other.path[2] = w.cfg.path[0]; /* "b" */
	take_over(&w, &other);
	CU_ASSERT_EQUAL(path_of(&w, &n), 2);
	CU_ASSERT_EQUAL(send(&w, 1101), 2);
	engine_path_info(w.e, 2, &after);
	CU_ASSERT_TRUE(after.usable);
	CU_ASSERT_EQUAL(after.subflows, 1);
	CU_ASSERT_EQUAL(after.to_net_bytes, before.to_net_bytes + 1000);
	engine_path_info(w.e, 0, &after);
	CU_ASSERT_FALSE(after.usable); /* until engine_path_set() says otherwise */
	CU_ASSERT_EQUAL(after.to_net_bytes, 0);
	world_fini(&w);
}

/* Ids of addresses that stand for other paths now are not given again. */
static void test_generation(void)
{
	struct engine_cfg other;
	struct world w;

	open_on_b(&w);
	w.e->address_generation[2] = 3;
	take_over(&w, &w.cfg);
	CU_ASSERT_EQUAL(w.e->address_generation[2], 3);
	other = w.cfg;
	name(&other, 0, "a");
	name(&other, 1, "b");
	take_over(&w, &other);
	CU_ASSERT_EQUAL(w.e->address_generation[0], 4);
	CU_ASSERT_EQUAL(w.e->address_generation[2], 4);
	world_fini(&w);
}

static void test_gone(void)
{
	struct engine_cfg other;
	struct world w;
	unsigned n;

	open_on_b(&w);
	other = w.cfg;
	other.n_paths = 1;
	name(&other, 0, "a");
	take_over(&w, &other);
	CU_ASSERT_EQUAL(path_of(&w, &n), ADOPT_GONE);
	CU_ASSERT_EQUAL(n, 1);
	/* And back, under a name that is known again or not. */
	take_over(&w, &w.cfg);
	CU_ASSERT_EQUAL(path_of(&w, &n), ADOPT_GONE);
	world_fini(&w);

	/* No room for what is gone. */
	open_on_b(&w);
	other = w.cfg;
	other.n_paths = ENGINE_PATHS_MAX;
	for (unsigned i = 0; i < ENGINE_PATHS_MAX; i++) {
		other.path[i] = w.cfg.path[0];
		snprintf(other.path[i].name, sizeof(other.path[i].name), "x%u", i);
	}
	CU_ASSERT_PTR_NULL(
		engine_adopt(w.region, engine_region_bytes(&w.cfg), &other, w.tick.now_us));
	CU_ASSERT_EQUAL(path_of(&w, &n), 0); /* nothing was changed */
	world_fini(&w);
}

/*
 * While nobody was here the third ACK passed, and data behind it, and the client asks again: of
 * what the guest has, as much is acknowledged as the client has mapped since (I1), and no more.
 */
static void test_half_open(void)
{
	for (unsigned unseen = 0; unseen < 2; unseen++) {
		struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 2001, .window = 1000};
		struct seg n = {.flags = TCP_ACK, .seq = 101, .ack = 1, .window = 1000};
		struct world w;

		inbound_start(&w, FLOW_IPV4);
		client_syn(&w, "1e040101");
		guest_synack(&w);
		CHECK_EQ(unseen, world_claim(&w), ENGINE_CLAIM_HALF);
		if (unseen)
			take_over(&w, &w.cfg);
		client_acks(&w, w.key_local, 100);
		CHECK_EQ(unseen, w.r.reason, REASON_THIRD_ACK_CONVERTED);
		guest_sends(&w, ENGINE_STEAL, &s);
		CHECK_EQ(unseen, w.r.reason, unseen ? REASON_ACK_TO_NET : REASON_DROP_ACK_BEYOND);
		CHECK_EQ(unseen, w.outs.n_pkt, unseen);
		if (unseen) {
			CU_ASSERT_FATAL(out(&w, 0));
			CHECK_EQ(0, w.p.ack, w.peer_isn + 101);
			CHECK_EQ(0, (uint32_t)w.o.mp.dss.data_ack, (uint32_t)(w.idsn_peer + 101));
			n.payload_bytes = 1900;
			put_peer_map(&w, &n.w, 1, 101, 101, 1900, false);
			net_sends(&w, ENGINE_STEAL, &n);
			CHECK_EQ(0, w.r.reason, REASON_DATA_TO_GUEST);
			guest_sends(&w, ENGINE_STEAL, &s);
			CU_ASSERT_FATAL(out(&w, 0));
			CHECK_EQ(1, w.p.ack, w.peer_isn + 2001);
			CHECK_EQ(1, (uint32_t)w.o.mp.dss.data_ack, (uint32_t)(w.idsn_peer + 2001));
			s.ack = 4000000;
			guest_sends(&w, ENGINE_STEAL, &s);
			CHECK_EQ(2, w.r.reason, REASON_DROP_ACK_BEYOND);
		}
		CU_ASSERT_TRUE(engine_audit(w.e));
		world_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"another order", test_order},
	{"address ids", test_generation},
	{"a path that is gone", test_gone},
	{"half open", test_half_open},
};

UNIT_MAIN("engine/adopt", tests)
