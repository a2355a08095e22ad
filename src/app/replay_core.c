/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_core.c - feeds the engine: who opened which connection, what the host's rules would let
 * by, clock, random numbers, and the way of everything that comes out.
 */
#include <stdlib.h>
#include <uthash.h>

#include "app/claimed.h"
#include "app/replay.h"

#define OUT_PKTS 128
#define OUT_EVENTS 128
#define REGION_ALIGN 64
/* A deadline that stays where it is although it was served so often is a defect. */
#define STUCK_ROUNDS 1000

/* A connection of the guest's capture: its SYN is there, or the SYN/ACK that a guest answered. */
struct replay_conn {
	struct flow_tuple guest; /* guest first */
	bool from_net;           /* a remote client opened it */
	uint64_t learned_us;     /* when the guest's capture shows it first */
	uint8_t path;
	bool path_known;
	bool syn_fed;
	uint32_t isn; /* of the last SYN fed */
	/* Keys of the gate, one for each connection that used this tuple, in their order. */
	unsigned n_keys, next_key;
	uint64_t *key;
	UT_hash_handle hh;
};

struct replay_host {
	struct ip_addr addr;
	UT_hash_handle hh;
};

struct replay {
	struct engine *engine;
	void *region;
	struct claimed *claimed; /* what the kernel would know of the engine's claims */
	struct replay_hooks hooks;
	struct replay_conn *conns;
	struct replay_host *guests; /* addresses that sent a SYN, or a SYN/ACK */
	uint64_t now_us, random_state;
	bool stuck;
	struct engine_random random;
	struct engine_outs outs;
	struct engine_out pkt[OUT_PKTS];
	struct engine_event event[OUT_EVENTS];
	struct engine_cfg cfg;
};

/* splitmix64 (Steele, Lea, Flood): the same numbers on every machine. */
static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

struct replay *replay_new(const struct engine_cfg *cfg, uint64_t seed,
			  const struct replay_hooks *hooks)
{
	struct engine_cfg own = *cfg;
	size_t bytes = engine_region_bytes(cfg);
	size_t rounded = (bytes + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;
	struct replay *r = calloc(1, sizeof(*r));

	if (!r || !bytes)
		goto fail;
	r->random_state = seed;
	own.seed[0] = splitmix64(&r->random_state);
	own.seed[1] = splitmix64(&r->random_state);
	r->region = aligned_alloc(REGION_ALIGN, rounded);
	r->engine = r->region ? engine_init(r->region, rounded, &own) : NULL;
	r->claimed = claimed_new();
	if (!r->engine || !r->claimed)
		goto fail;
	r->hooks = *hooks;
	r->cfg = own;
	r->now_us = 1;
	r->outs.pkt = r->pkt;
	r->outs.event = r->event;
	r->outs.cap_pkt = OUT_PKTS;
	r->outs.cap_event = OUT_EVENTS;
	for (unsigned i = 0; i < own.n_paths; i++)
		engine_path_set(r->engine, i, true, NULL);
	return r;
fail:
	replay_del(r);
	return NULL;
}

void replay_del(struct replay *r)
{
	struct replay_conn *c, *next_conn;
	struct replay_host *h, *next_host;

	if (!r)
		return;
	HASH_ITER(hh, r->conns, c, next_conn)
	{
		HASH_DEL(r->conns, c);
		free(c->key);
		free(c);
	}
	HASH_ITER(hh, r->guests, h, next_host)
	{
		HASH_DEL(r->guests, h);
		free(h);
	}
	claimed_del(r->claimed);
	free(r->region);
	free(r);
}

const struct engine *replay_engine(const struct replay *r)
{
	return r->engine;
}

uint64_t replay_now_us(const struct replay *r)
{
	return r->now_us;
}

static struct replay_conn *conn_find(const struct replay *r, const struct flow_tuple *guest)
{
	struct replay_conn *c;

	HASH_FIND(hh, r->conns, guest, sizeof(*guest), c);
	return c;
}

static bool is_guest(const struct replay *r, const struct ip_addr *addr)
{
	struct replay_host *h;

	HASH_FIND(hh, r->guests, addr, sizeof(*addr), h);
	return h != NULL;
}

/* Out of memory here is the end of a tool, not of a daemon. */
static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static void learn_guest(struct replay *r, const struct ip_addr *addr)
{
	struct replay_host *h;

	if (is_guest(r, addr))
		return;
	h = must(calloc(1, sizeof(*h)));
	h->addr = *addr;
	HASH_ADD(hh, r->guests, addr, sizeof(h->addr), h);
}

static void learn_conn(struct replay *r, uint64_t time_us, const struct flow_tuple *guest,
		       bool from_net)
{
	struct flow_tuple reverse = flow_tuple_reverse(guest);
	struct replay_conn *c;

	if (conn_find(r, guest) || conn_find(r, &reverse))
		return;
	c = must(calloc(1, sizeof(*c)));
	c->guest = *guest;
	c->from_net = from_net;
	c->learned_us = time_us;
	HASH_ADD(hh, r->conns, guest, sizeof(c->guest), c);
	learn_guest(r, &guest->src);
}

/* The net had the SYN before the guests did: what they show is the gate's, towards a guest. */
static void learn_caller(struct replay *r, struct replay_conn *c)
{
	struct replay_host *h;

	HASH_DEL(r->conns, c);
	HASH_FIND(hh, r->guests, &c->guest.src, sizeof(c->guest.src), h);
	if (h) {
		HASH_DEL(r->guests, h);
		free(h);
	}
	c->guest = flow_tuple_reverse(&c->guest);
	c->from_net = true;
	HASH_ADD(hh, r->conns, guest, sizeof(c->guest), c);
	learn_guest(r, &c->guest.src);
}

static void learn_key(struct replay_conn *c, uint64_t key)
{
	if (!key || (c->n_keys && c->key[c->n_keys - 1] == key))
		return;
	c->key = must(realloc(c->key, (c->n_keys + 1) * sizeof(*c->key)));
	c->key[c->n_keys++] = key;
}

void replay_learn(struct replay *r, uint64_t time_us, enum engine_side side, unsigned path,
		  const uint8_t *data, uint32_t len_bytes)
{
	struct flow_tuple reverse;
	struct replay_conn *c;
	struct replay_packet p;

	replay_packet_read(&p, data, len_bytes);
	if (!p.tcp)
		return;
	if (side == ENGINE_GUEST) {
		/*
		 * Who sends the first is the guest; a SYN/ACK of its own, or the RST that refuses a
		 * SYN, says that it was called.
		 */
		if ((p.flags & 0x02) || ((p.flags & 0x14) == 0x14 && p.seq == 0))
			learn_conn(r, time_us, &p.tuple, p.flags & 0x10);
		return;
	}
	reverse = flow_tuple_reverse(&p.tuple);
	c = conn_find(r, &p.tuple);
	if (c && (p.flags & 0x12) == 0x02 && time_us < c->learned_us)
		learn_caller(r, c);
	c = conn_find(r, &p.tuple);
	if (c)
		learn_key(c, p.key);
	else
		c = conn_find(r, &reverse);
	if (c && !c->path_known) {
		c->path = (uint8_t)path;
		c->path_known = true;
	}
}

static void fill(struct replay *r)
{
	while (r->random.n < ENGINE_RANDOM_WORDS)
		r->random.word[r->random.n++] = splitmix64(&r->random_state);
	r->outs.n_pkt = r->outs.n_event = 0;
}

struct segment_ctx {
	struct replay *r;
	const struct engine_out *out;
};

static void on_segment(void *ctx, const uint8_t *data, uint32_t len_bytes)
{
	const struct segment_ctx *s = ctx;

	s->r->hooks.on_packet(s->r->hooks.ctx, s->r->now_us, s->out->side, s->out->index, data,
			      len_bytes);
}

/* What one call put out; before it, what it claims. */
static void deliver(struct replay *r)
{
	claimed_fetch(r->claimed, r->engine);
	for (unsigned i = 0; i < r->outs.n_event; i++) {
		if (r->hooks.on_event)
			r->hooks.on_event(r->hooks.ctx, r->now_us, &r->event[i]);
	}
	for (unsigned i = 0; r->hooks.on_packet && i < r->outs.n_pkt; i++) {
		struct segment_ctx s = {.r = r, .out = &r->pkt[i]};

		replay_segment(s.out, on_segment, &s);
	}
	r->outs.n_pkt = r->outs.n_event = 0;
}

/* Keeps every deadline up to `until_us`; the clock stands at each in turn. */
static void deadlines(struct replay *r, uint64_t until_us)
{
	uint64_t last_us = 0, at_us;
	unsigned rounds = 0;

	while (!r->stuck && (at_us = engine_deadline_us(r->engine)) <= until_us) {
		struct engine_tick tick = {.random = &r->random};

		rounds = at_us == last_us ? rounds + 1 : 0;
		last_us = at_us;
		r->stuck = rounds > STUCK_ROUNDS;
		if (at_us > r->now_us)
			r->now_us = at_us;
		tick.now_us = r->now_us;
		fill(r);
		engine_timeout(r->engine, &tick, &r->outs);
		deliver(r);
	}
}

/* An address of one of the gate's paths, where its own subflows are. */
static bool is_path(const struct replay *r, const struct flow_tuple *t, const struct ip_addr *addr)
{
	for (unsigned i = 0; i < r->cfg.n_paths; i++) {
		const struct engine_path_cfg *p = &r->cfg.path[i];

		if (ip_addr_equal(addr, t->family == FLOW_IPV4 ? &p->addr4 : &p->addr6))
			return true;
	}
	return false;
}

/* Whether the packet is for us, and whose it is (null: of no connection, but sent to us). */
static enum replay_fate sort(const struct replay *r, enum engine_side side,
			     const struct replay_packet *p, struct replay_conn **conn)
{
	struct flow_tuple reverse = flow_tuple_reverse(&p->tuple);
	bool from_guest, to_guest;

	*conn = p->tcp ? conn_find(r, &p->tuple) : NULL;
	from_guest = *conn != NULL;
	if (p->tcp && !*conn)
		*conn = conn_find(r, &reverse);
	to_guest = !from_guest && *conn;
	/* No kernel forwards what has not even addresses. */
	if (!p->tuple.family)
		return REPLAY_UNRELATED;
	/* What is no TCP, and on the paths, where there are more subflows than the guest sees. */
	if (!*conn && (!p->tcp || (side == ENGINE_NET && r->cfg.n_paths))) {
		from_guest = is_guest(r, &p->tuple.src) || is_path(r, &p->tuple, &p->tuple.src);
		to_guest = is_guest(r, &p->tuple.dst) || is_path(r, &p->tuple, &p->tuple.dst);
	}
	if (!from_guest && !to_guest)
		return REPLAY_UNRELATED;
	return (side == ENGINE_GUEST) == from_guest ? REPLAY_FED : REPLAY_OTHER_WAY;
}

/* A new SYN on a tuple is a new connection. */
static void on_syn(struct replay_conn *c, const struct replay_packet *p)
{
	if (c->syn_fed && c->isn == p->seq)
		return;
	if (c->syn_fed)
		c->next_key++;
	c->syn_fed = true;
	c->isn = p->seq;
}

static bool is_first_syn(const struct replay_packet *p)
{
	return (p->flags & 0x17) == 0x02;
}

/* The packet itself goes to the other side. */
static void pass(struct replay *r, const struct engine_pkt *in, const struct replay_packet *p,
		 uint8_t path)
{
	static uint8_t copy[ENGINE_HEADER_MAX + 65536];
	bool to_net = in->from == ENGINE_GUEST;
	const uint8_t *data = in->data;

	if (!r->hooks.on_packet)
		return;
	if (p->partial && in->len_bytes <= sizeof(copy)) {
		memcpy(copy, in->data, in->len_bytes);
		replay_checksum(copy, in->len_bytes, p->ip_bytes);
		data = copy;
	}
	r->hooks.on_packet(r->hooks.ctx, r->now_us, to_net ? ENGINE_NET : ENGINE_GUEST,
			   to_net ? path : in->guest_if, data, in->len_bytes);
}

static struct engine_result call(struct replay *r, const struct engine_pkt *in)
{
	struct engine_tick tick = {.now_us = r->now_us, .random = &r->random};
	struct engine_result res = engine_packet(r->engine, in, &tick, &r->outs);

	if (res.verdict == ENGINE_ASK) {
		struct flow_tuple same = res.ask;

		res = engine_translation(r->engine, res.conn, &same, &tick, &r->outs);
	}
	return res;
}

/*
 * One visit to the engine. True: the packet goes on, as it is. `last`: it will not be met again, so
 * that this verdict is to be told.
 */
static bool show(struct replay *r, const struct engine_pkt *in, bool last)
{
	struct engine_result res;
	bool to_net = in->from == ENGINE_GUEST;

	fill(r);
	res = call(r, in);
	claimed_orphan(r->claimed, &res);
	if (r->hooks.on_verdict && (last || res.verdict != ENGINE_ACCEPT))
		r->hooks.on_verdict(r->hooks.ctx, r->now_us, in, &res);
	if (res.verdict == ENGINE_REPLACE && r->hooks.on_packet)
		r->hooks.on_packet(r->hooks.ctx, r->now_us, to_net ? ENGINE_NET : ENGINE_GUEST,
				   to_net ? in->path : 0, res.replacement, res.replacement_bytes);
	return res.verdict == ENGINE_ACCEPT;
}

/*
 * A packet's way through the host: raw PREROUTING by the mark of the program at ingress, then, for
 * handshakes of a guest's own connections, security FORWARD. False: it met the engine nowhere.
 */
static bool walk(struct replay *r, struct engine_pkt *in, const struct replay_packet *p, bool own)
{
	const struct claimed_segment s = {.tuple = p->tuple,
					  .side = in->from == ENGINE_GUEST ? STEER_GUEST
									   : STEER_NET,
					  .flags = p->flags,
					  .options = p->options,
					  .mptcp = p->mptcp};
	bool forwarded = own && claimed_forwarded(&s), on;
	uint32_t mark = 0;

	if (p->tcp)
		mark = claimed_ingress(r->claimed, &s);
	else if (p->about.family && in->from == ENGINE_NET)
		mark = claimed_too_big(r->claimed, &p->about);
	if (claimed_stolen(mark, p->tcp, p->mptcp)) {
		in->hook = ENGINE_STEAL;
		in->mark_converted = mark == STEER_CONVERTED;
		in->mark_half = mark == STEER_HALF;
		on = show(r, in, !forwarded);
		if (on && !forwarded)
			pass(r, in, p, in->path);
		deliver(r);
		if (!on || !forwarded)
			return true;
	}
	if (!forwarded)
		return false;
	in->hook = ENGINE_IN_PLACE;
	in->mark_converted = in->mark_half = false;
	if (show(r, in, true))
		pass(r, in, p, in->path);
	deliver(r);
	return true;
}

enum replay_fate replay_feed(struct replay *r, uint64_t time_us, enum engine_side side,
			     unsigned path, const uint8_t *data, uint32_t len_bytes)
{
	struct engine_pkt in = {.data = data, .len_bytes = len_bytes, .from = (uint8_t)side};
	struct replay_packet p;
	struct replay_conn *c;
	enum replay_fate fate;

	replay_packet_read(&p, data, len_bytes);
	fate = sort(r, side, &p, &c);
	if (fate != REPLAY_FED)
		return fate;
	if (time_us > r->now_us) {
		deadlines(r, time_us);
		r->now_us = time_us;
	}
	in.path = (uint8_t)(side == ENGINE_NET ? path : c ? c->path : 0);
	in.csum_trusted = p.partial;
	fill(r);
	if (c && is_first_syn(&p) && c->from_net == (side == ENGINE_NET))
		on_syn(c, &p);
	/* The engine draws the gate's key for the guest: at its SYN, or at its SYN/ACK. */
	if (c && side == ENGINE_GUEST && (p.flags & 0x02) && c->next_key < c->n_keys)
		r->random.word[r->random.n - 1] = c->key[c->next_key];
	if (walk(r, &in, &p, c != NULL))
		return REPLAY_FED;
	if (r->hooks.on_verdict)
		r->hooks.on_verdict(r->hooks.ctx, r->now_us, &in, NULL);
	/* To an address of a path, and of no guest's connection: the host's own. */
	if (c || side == ENGINE_GUEST || !is_path(r, &p.tuple, &p.tuple.dst))
		pass(r, &in, &p, in.path);
	return REPLAY_KERNEL;
}

bool replay_finish(struct replay *r)
{
	deadlines(r, r->now_us + REPLAY_TAIL_US);
	return !r->stuck;
}
