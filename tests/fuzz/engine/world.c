// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * world.c - see fuzz_world.h: the engine and what it says.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_world.h"

#define PATHS 2

struct fuzz z;

void failed(const char *condition, int line)
{
	fprintf(stderr, "line %d: %s does not hold\n", line, condition);
	abort();
}

unsigned take(unsigned n)
{
	unsigned v = 0;

	for (; n > 0; n--) {
		v = v << 8 | (z.left ? *z.p : 0);
		if (z.left) {
			z.p++;
			z.left--;
		}
	}
	return v;
}

uint32_t distance(void)
{
	unsigned v = take(1), d;

	if (v < 0x40)
		return v;
	d = v & 7 ? 1u << (v & 31) : take(2);
	if (v < 0x80)
		d = 1448 * (v & 15);
	return v & 0x20 ? 0u - d : d;
}

/* ---- the engine and what it says ---- */

static struct engine_tick tick(void)
{
	while (z.random.n < ENGINE_RANDOM_WORDS) {
		z.word = z.word * 6364136223846793005ull + 1442695040888963407ull;
		z.random.word[z.random.n++] = z.repeats ? 7 : z.word;
	}
	z.outs = (struct engine_outs){
		.pkt = z.pkt, .cap_pkt = z.cap_pkt, .event = z.event, .cap_event = 8};
	return (struct engine_tick){.now_us = z.now_us, .random = &z.random};
}

static void check_out(const struct engine_out *out)
{
	static uint8_t whole[70000];
	struct packet p;
	struct options o;

	REQUIRE(out->reason != REASON_NONE && out->reason < REASON_COUNT);
	REQUIRE(out->hdr_bytes <= ENGINE_HEADER_MAX && out->payload_bytes < 66000);
	REQUIRE(out->side == ENGINE_GUEST || out->index < z.cfg.n_paths);
	if (out->whole)
		return;
	memcpy(whole, out->hdr, out->hdr_bytes);
	if (out->payload_bytes)
		memcpy(whole + out->hdr_bytes, out->payload, out->payload_bytes);
	headers_checksum_complete(whole, out->hdr_bytes, out->ip_bytes, whole + out->hdr_bytes,
				  out->payload_bytes);
	REQUIRE(packet_decode(&p, whole, out->hdr_bytes + out->payload_bytes) == PACKET_OK);
	REQUIRE(packet_checksum_ok(&p) && p.payload_bytes == out->payload_bytes);
	REQUIRE(out->payload_bytes == 0 || out->gso_size_bytes > 0);
	options_decode(&o, p.options, p.options_bytes, false, true, p.payload_bytes > 0);
	REQUIRE(out->side == ENGINE_NET || !o.mp.any);
}

/* What only looks, with a record of everything the engine may tell. */
static void look(void)
{
	struct engine_conn_info info;
	struct engine_path_info path;
	struct engine_pool_info pool;

	for (conn_ref i = 0; i < CONNS; i++)
		if (engine_conn_info(z.e, i, z.now_us, &info))
			REQUIRE(info.n_subflows <= ENGINE_SUBFLOWS_MAX &&
				info.reason < REASON_COUNT);
	for (unsigned i = 0; i < z.cfg.n_paths; i++) {
		engine_path_info(z.e, i, &path);
		REQUIRE(path.subflows <= CONNS * ENGINE_SUBFLOWS_MAX);
	}
	for (unsigned i = 0; engine_pool_info(z.e, i, &pool); i++)
		REQUIRE(pool.used <= pool.max);
	REQUIRE(engine_connections(z.e) <= CONNS);
}

static void check(void)
{
	static struct engine_claim claims[ENGINE_CLAIMS_MAX];
	const char *timeless = z.drained ? engine_audit_timers(z.e, z.now_us) : NULL;
	unsigned n = 0;

	REQUIRE(z.outs.n_pkt <= z.outs.cap_pkt && z.outs.n_event <= z.outs.cap_event);
	for (unsigned i = 0; i < z.outs.n_pkt; i++)
		check_out(&z.pkt[i]);
	for (unsigned i = 0; i < z.outs.n_event; i++)
		REQUIRE(z.event[i].reason != REASON_NONE && z.event[i].reason < REASON_COUNT);
	REQUIRE(engine_audit(z.e));
	if (timeless)
		fprintf(stderr, "no timer runs for %s\n", timeless);
	REQUIRE(!timeless);
	while (z.drained && (n = engine_claims(z.e, claims)) > 0)
		for (unsigned i = 0; i < n; i++)
			REQUIRE(claims[i].kind <= ENGINE_CLAIM_FORGOTTEN &&
				claims[i].from <= ENGINE_NET);
	look();
}

void world_timeouts(void)
{
	for (int i = 0; i < 200 && engine_deadline_us(z.e) <= z.now_us; i++) {
		struct engine_tick t = tick();

		engine_timeout(z.e, &t, &z.outs);
		check();
	}
	REQUIRE(engine_deadline_us(z.e) > z.now_us);
}

struct flow_tuple tuple_of(unsigned which, bool net)
{
	struct flow_tuple t = {.family = FLOW_IPV4, .src_port = 1000, .dst_port = 80};

	t.src = (struct ip_addr){.b = {10, 0, 0, 2}};
	t.dst = (struct ip_addr){.b = {10, 9, 9, 9}};
	if (which == 2) {
		t.family = FLOW_IPV6;
		t.src.b[15] = t.dst.b[15] = 1;
	}
	t.src_port = (uint16_t)(t.src_port + which + (net ? 100 : 0));
	return t;
}

void put_packet(unsigned which, uint8_t from, uint8_t hook, uint32_t n)
{
	struct flow_tuple net = tuple_of(which, true);
	struct engine_pkt in = {.data = z.packet,
				.len_bytes = n,
				.from = from,
				.hook = hook,
				.csum_trusted = true,
				.mark_converted = which & 1};
	struct engine_tick t;
	struct engine_result r;

	z.now_us += 100;
	t = tick();
	r = engine_packet(z.e, &in, &t, &z.outs);
	if (r.verdict == ENGINE_ASK)
		r = engine_translation(z.e, r.conn, z.repeats ? NULL : &net, &t, &z.outs);
	REQUIRE(r.reason != REASON_NONE && r.reason < REASON_COUNT && r.verdict < ENGINE_ASK);
	/* Of what is stolen only a remote client's third ACK goes on in its place. */
	REQUIRE(r.verdict != ENGINE_REPLACE ||
		(r.replacement_bytes &&
		 (hook == ENGINE_IN_PLACE || r.reason == REASON_THIRD_ACK_CONVERTED)));
	check();
}

void put_segment(unsigned which, uint8_t from, uint8_t hook, struct headers *h,
		 struct options_writer *w, uint32_t payload_bytes, uint8_t fill)
{
	uint8_t ip_bytes;
	unsigned bytes;

	options_pad(w);
	h->ttl = 64;
	h->dont_fragment = true;
	h->options = w->buf;
	h->options_bytes = w->len_bytes;
	bytes = headers_encode(z.packet, h, payload_bytes, &ip_bytes);
	if (bytes == 0)
		return;
	memset(z.packet + bytes, fill, payload_bytes);
	put_packet(which, from, hook, bytes + payload_bytes);
}

/* ---- records ---- */

const struct conn *conn_of(unsigned which)
{
	struct flow_tuple t = tuple_of(which, false);

	for (uint32_t i = 0; i < z.e->conns.n_touched; i++)
		if (conn_at(z.e, i)->state != CONN_FREE &&
		    flow_tuple_equal(&conn_at(z.e, i)->guest, &t))
			return conn_at(z.e, i);
	return NULL;
}

const struct subflow *subflow_of(const struct conn *c, unsigned nth)
{
	const struct subflow *s = NULL;

	for (uint32_t i = c ? c->subflow : NONE; i != NONE; i = s->next) {
		s = subflow_at(z.e, i);
		if (nth-- == 0)
			break;
	}
	return s;
}

/* ---- its life ---- */

void world_adopt(void)
{
	void *other = aligned_alloc(64, (z.region_bytes + 63) / 64 * 64);

	memcpy(other, z.region, z.region_bytes);
	free(z.region);
	z.region = other;
	z.e = engine_adopt(z.region, z.region_bytes, &z.cfg, z.now_us);
	REQUIRE(z.e);
}

/* What few inputs need. */
static void configure_more(unsigned a, unsigned b)
{
	static const uint8_t modes[] = {ENGINE_FULLMESH, ENGINE_NDIFFPORTS, ENGINE_SINGLE,
					ENGINE_FULLMESH};

	z.cfg.announce = (uint8_t)(a % 3);
	z.cfg.mode = modes[a >> 2 & 3];
	z.cfg.ndiffports = 3;
	z.cfg.on_congestion = a & 16;
	z.cfg.after_bytes = a & 32 ? 20000 : 0;
	z.cfg.after_us = a & 64 ? 1000000 : 0;
	z.cfg.after_bytes_per_s = a & 128 ? 100000 : 0;
	z.cfg.backup_price = b & 1 ? 1.5 : 0;
	z.cfg.path[1].backup = b & 2;
	z.cfg.path[1].routed = b & 4;
	z.cfg.guests_routed = b & 8;
	z.cfg.max_subflows = b & 16 ? 2 : 8;
	z.cfg.guest_mtu_bytes = b & 32 ? 1280 : 0;
	z.cfg.n_policies = b & 64 ? 1 : 0;
	z.cfg.policy[0] = (struct engine_policy){.use = b & 128 ? ENGINE_ALWAYS : ENGINE_NEVER,
						 .guest_family = FLOW_IPV4,
						 .guest_prefix_bits = 8,
						 .guest = {.b = {10}},
						 .peer_port_min = 80,
						 .peer_port_max = 80};
}

void world_begin(void)
{
	unsigned a = take(1), b = take(1);

	z.timestamps = a & 1;
	z.checksum = a & 2;
	z.repeats = (a & 0x0c) == 0x0c;
	z.cap_pkt = a & 16 ? 2 + b % 4 : OUTS;
	z.word = b;
	z.random.n = 0;
	z.now_us = 1000000;
	z.cfg = (struct engine_cfg){.max_connections = CONNS,
				    .seed = {1, 2},
				    .checksum = z.checksum,
				    .n_paths = a & 32 ? PATHS : 1,
				    .max_subflows = 8,
				    .idle_timeout_us = 60000000,
				    .mode = a & 32 ? ENGINE_FULLMESH : ENGINE_SINGLE,
				    .scheduler = (uint8_t)(b % 4),
				    .congestion = (uint8_t)(b / 4 % 5),
				    .port_min = 61000,
				    .port_max = 61015,
				    .path = {{.name = "a", .mtu_bytes = 1500, .price = 1.0},
					     {.name = "b", .mtu_bytes = 1400, .price = 2.0}}};
	z.drained = a & 128;
	if (a & 128)
		configure_more(take(1), take(1));
	for (unsigned i = 0; i < PATHS; i++) {
		z.cfg.path[i].addr4.b[0] = z.cfg.path[i].addr6.b[0] = 192;
		z.cfg.path[i].addr4.b[3] = z.cfg.path[i].addr6.b[15] = (uint8_t)(1 + i);
	}
	for (z.cfg.memory_bytes = 1 << 15; !engine_region_bytes(&z.cfg);)
		z.cfg.memory_bytes += 4096;
	if (a & 64)
		z.cfg.memory_bytes += 1 << 19;
	z.region_bytes = engine_region_bytes(&z.cfg);
	z.region = aligned_alloc(64, (z.region_bytes + 63) / 64 * 64);
	memset(z.region, 0xa5, z.region_bytes);
	z.e = engine_init(z.region, z.region_bytes, &z.cfg);
	REQUIRE(z.e);
}

void world_shutdown(void)
{
	bool more = true;

	z.cap_pkt = OUTS; /* one connection's end takes up to nine at once */
	for (int i = 0; i < 200 && more; i++) {
		struct engine_tick t = tick();

		more = engine_shutdown(z.e, &t, &z.outs);
		check();
	}
	REQUIRE(!more);
}

void world_end(void)
{
	/* Whatever is left goes by itself. */
	for (int i = 0; i < 40; i++) {
		z.now_us += 100000000;
		world_timeouts();
	}
	REQUIRE(engine_connections(z.e) == 0 && z.e->n_half_open == 0 && z.e->n_half_joins == 0);
	free(z.region);
}
