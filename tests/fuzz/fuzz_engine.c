/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_engine.c - any bytes as timed packets on either side of open connections: the engine's
 * records stay in order, every packet has one verdict with a reason, what comes out can be read.
 *
 * Input: two bytes of configuration (see `begin`), then operations. A packet's numbers are given
 * relative to the connection's live state and its options come from a table, so that most inputs
 * get past the first checks.
 */
#include <stdlib.h>

#include "engine/crypto.h"
#include "engine/state.h"
#include "wire/icmp.h"

#define REQUIRE(condition)                \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

#define CONNS 3
#define OUTS 24
#define GUEST_ISN 0xfffffff0u /* the first data wraps */
#define PEER_ISN 0x10u
#define PEER_KEY 0x0123456789abcdefull
#define PAYLOAD_MAX 9000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	const uint8_t *p;
	size_t left;
	struct engine *e;
	struct engine_cfg cfg;
	void *region;
	size_t region_bytes;
	struct engine_random random;
	uint64_t word;
	uint64_t now_us;
	struct engine_out pkt[OUTS];
	struct engine_event event[8];
	struct engine_outs outs;
	unsigned cap_pkt;
	bool timestamps, checksum, repeats;
	uint8_t packet[PAYLOAD_MAX + 200];
};

static struct fuzz z;

static unsigned take(unsigned n)
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

static void check(void)
{
	REQUIRE(z.outs.n_pkt <= z.outs.cap_pkt && z.outs.n_event <= z.outs.cap_event);
	for (unsigned i = 0; i < z.outs.n_pkt; i++)
		check_out(&z.pkt[i]);
	for (unsigned i = 0; i < z.outs.n_event; i++)
		REQUIRE(z.event[i].reason != REASON_NONE && z.event[i].reason < REASON_COUNT);
	REQUIRE(engine_audit(z.e));
	REQUIRE(engine_connections(z.e) <= CONNS);
}

static void run_timeouts(void)
{
	for (int i = 0; i < 200 && engine_deadline_us(z.e) <= z.now_us; i++) {
		struct engine_tick t = tick();

		engine_timeout(z.e, &t, &z.outs);
		check();
	}
	REQUIRE(engine_deadline_us(z.e) > z.now_us);
}

static struct flow_tuple tuple_of(unsigned which, bool net)
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

static void put_packet(unsigned which, uint8_t from, uint8_t hook, uint32_t n)
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
	REQUIRE(r.verdict != ENGINE_REPLACE || (hook == ENGINE_IN_PLACE && r.replacement_bytes));
	check();
}

/* ---- packets ---- */

static const struct conn *conn_of(unsigned which)
{
	struct flow_tuple t = tuple_of(which, false);

	for (uint32_t i = 0; i < z.e->conns.n_touched; i++)
		if (conn_at(z.e, i)->state != CONN_FREE &&
		    flow_tuple_equal(&conn_at(z.e, i)->guest, &t))
			return conn_at(z.e, i);
	return NULL;
}

/* The nth of its subflows, or the last one. */
static const struct subflow *subflow_of(const struct conn *c, unsigned nth)
{
	const struct subflow *s = NULL;

	for (uint32_t i = c ? c->subflow : NONE; i != NONE; i = s->next) {
		s = subflow_at(z.e, i);
		if (nth-- == 0)
			break;
	}
	return s;
}

/* A distance: small ones, segment sizes, powers of two, either sign. */
static uint32_t distance(void)
{
	unsigned v = take(1), d;

	if (v < 0x40)
		return v;
	d = v & 7 ? 1u << (v & 31) : take(2);
	if (v < 0x80)
		d = 1448 * (v & 15);
	return v & 0x20 ? 0u - d : d;
}

static void put_dss(struct options_writer *w, const struct conn *c, const struct subflow *s)
{
	unsigned f = take(1);
	struct dss d = {.has_ack = f & 1,
			.ack64 = f & 2,
			.has_map = f & 4,
			.dsn64 = f & 8,
			.data_fin = f & 16 && f & 4};

	d.has_csum = d.has_map && c->checksum != !!(f & 32);
	d.data_ack = c->una_dsn + (uint64_t)(int64_t)(int32_t)distance();
	d.dsn = c->acked_dsn + (uint64_t)(int64_t)(int32_t)distance();
	d.ssn = (s ? s->rcv_nxt - s->irs : 1) + distance();
	d.map_len = (uint16_t)(f & 64 ? take(2) : 1448);
	d.csum = (uint16_t)f;
	dss_encode(w, &d);
}

static void put_options(struct options_writer *w, const struct conn *c, const struct subflow *s)
{
	unsigned what = take(1);
	struct sack_block b;
	uint8_t raw[8];

	if (z.timestamps ^ !!(what & 1))
		options_put_timestamps(w, take(1), take(1));
	if (!c)
		return;
	if (what & 2) {
		b.start = c->una_seq + distance();
		b.end = b.start + distance();
		options_put_sack(w, &b, 1);
	}
	if (what & 4)
		put_dss(w, c, s);
	if (what & 8)
		mp_fastclose_encode(w, what & 16 ? c->key_local : c->key_peer);
	if (what & 32)
		mp_fail_encode(w, c->acked_dsn);
	if (what & 64)
		mp_capable_encode(w, &(struct mp_capable){.version = 1,
							  .flags = MP_CAPABLE_HMAC_SHA256,
							  .n_keys = (uint8_t)(take(1) % 3),
							  .sender_key = PEER_KEY});
	if (what & 128) {
		for (unsigned i = 0; i < sizeof(raw); i++)
			raw[i] = (uint8_t)take(1);
		options_put(w, raw, sizeof(raw));
	}
}

static void segment(unsigned which, unsigned nth, bool from_guest)
{
	static const uint8_t flags[] = {TCP_ACK,           TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN,
					TCP_RST,           TCP_RST | TCP_ACK, TCP_SYN,
					TCP_SYN | TCP_ACK, TCP_ACK | TCP_URG};
	const struct conn *c = conn_of(which);
	const struct subflow *s = subflow_of(c, nth);
	struct flow_tuple t = s && !from_guest ? s->net : tuple_of(which, !from_guest);
	struct options_writer w = {0};
	unsigned f = take(1), n = 0;
	struct headers h = {.ttl = 64, .dont_fragment = true, .window = (uint16_t)take(1)};
	uint8_t hook, ip_bytes;
	unsigned bytes;

	h.flags = flags[f & 7];
	hook = h.flags & TCP_SYN ? ENGINE_IN_PLACE : ENGINE_STEAL;
	if (hook == ENGINE_IN_PLACE)
		t = tuple_of(which, false);
	h.tuple = from_guest ? t : flow_tuple_reverse(&t);
	h.seq = from_guest ? GUEST_ISN : PEER_ISN;
	h.ack = from_guest ? PEER_ISN : GUEST_ISN + 1;
	if (c && s && hook == ENGINE_STEAL) {
		h.seq = from_guest ? f & 8 ? c->una_seq : c->max_seq
			: f & 8    ? s->acked_ssn
				   : s->rcv_nxt;
		h.ack = from_guest ? f & 16 ? c->acked_seq : c->sent_seq
			: f & 16   ? s->snd_una
				   : s->snd_nxt;
	}
	if (f & 32)
		h.seq += distance();
	if (f & 64)
		h.ack += distance();
	if (f & 128)
		n = take(2) % PAYLOAD_MAX;
	h.window = (uint16_t)(h.window << 8 | h.window);
	put_options(&w, c, s);
	if (h.flags == (TCP_SYN | TCP_ACK) && w.len_bytes == 0)
		mp_capable_encode(&w, &(struct mp_capable){.version = 1,
							   .flags = MP_CAPABLE_HMAC_SHA256,
							   .n_keys = 1,
							   .sender_key = PEER_KEY});
	options_pad(&w);
	h.options = w.buf;
	h.options_bytes = w.len_bytes;
	bytes = headers_encode(z.packet, &h, n, &ip_bytes);
	if (bytes == 0)
		return;
	memset(z.packet + bytes, (int)(f ^ h.seq), n);
	put_packet(which, from_guest ? ENGINE_GUEST : ENGINE_NET, hook, bytes + n);
}

/* ---- operations ---- */

static void raw_packet(void)
{
	unsigned head = take(1), n = take(1);

	for (unsigned i = 0; i < n; i++)
		z.packet[i] = (uint8_t)take(1);
	put_packet(head & 1, head >> 1 & 1, head >> 2 & 1, n);
}

/* The SYN/ACK of an MP_JOIN as a good peer sends it, or with one thing wrong. */
static void join_answer(unsigned which, unsigned nth)
{
	const struct conn *c = conn_of(which);
	const struct subflow *s = subflow_of(c, nth);
	struct mp_join j = {.form = MP_JOIN_SYNACK, .address_id = 1, .nonce = 99};
	struct headers h = {.ttl = 64, .window = 1000, .flags = TCP_SYN | TCP_ACK};
	struct options_writer w = {0};
	uint8_t hmac[32], ip_bytes;
	unsigned wrong = take(1);

	if (!s || s->state != SUBFLOW_JOIN_SYN)
		return;
	crypto_join_hmac(c->key_peer, c->key_local, j.nonce, s->nonce_local, hmac);
	memcpy(j.hmac, hmac, 8);
	j.hmac[wrong & 7] ^= wrong >= 0xf0;
	h.tuple = flow_tuple_reverse(&s->net);
	h.seq = PEER_ISN;
	h.ack = s->iss + 1;
	options_put_mss(&w, (uint16_t)(wrong & 8 ? 1460 : 536));
	if (wrong & 16)
		options_put_timestamps(&w, 5, s->tsval);
	mp_join_encode(&w, &j);
	options_pad(&w);
	h.options = w.buf;
	h.options_bytes = w.len_bytes;
	put_packet(which, ENGINE_NET, ENGINE_STEAL, headers_encode(z.packet, &h, 0, &ip_bytes));
}

static void too_big(unsigned which, unsigned nth)
{
	const struct subflow *s = subflow_of(conn_of(which), nth);
	struct icmp_too_big m = {.mtu_bytes = take(2), .about = tuple_of(which, true)};

	m.family = m.about.family;
	m.seq = (s ? s->snd_una : GUEST_ISN) + distance();
	put_packet(which, ENGINE_NET, ENGINE_STEAL, icmp_too_big_encode(z.packet, &m));
}

static void adopt(void)
{
	void *other = aligned_alloc(64, (z.region_bytes + 63) / 64 * 64);

	memcpy(other, z.region, z.region_bytes);
	free(z.region);
	z.region = other;
	z.e = engine_adopt(z.region, z.region_bytes, &z.cfg, z.now_us);
	REQUIRE(z.e);
}

static void begin(void)
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
				    .n_paths = a & 32 ? 2 : 1,
				    .max_subflows = 8,
				    .idle_timeout_us = 60000000,
				    .mode = a & 32 ? ENGINE_FULLMESH : ENGINE_SINGLE,
				    .scheduler = (uint8_t)(b % 4),
				    .congestion = (uint8_t)(b / 4 % 5),
				    .port_min = 61000,
				    .port_max = 61015,
				    .path = {{.name = "a", .mtu_bytes = 1500, .price = 1.0},
					     {.name = "b", .mtu_bytes = 1400, .price = 2.0}}};
	for (unsigned i = 0; i < 2; i++) {
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	z.p = data;
	z.left = size > 4096 ? 4096 : size;
	begin();
	while (z.left > 0) {
		unsigned op = take(1), which = (op >> 4) % CONNS, nth = (op >> 4) / CONNS;

		switch (op & 15) {
		case 10:
			join_answer(which, nth);
			break;
		case 11:
			engine_path_set(z.e, nth % z.cfg.n_paths, op & 16, NULL);
			break;
		case 12:
			z.now_us += (uint64_t)take(2) * 10000;
			run_timeouts();
			break;
		case 13:
			adopt();
			break;
		case 14:
			raw_packet();
			break;
		case 15:
			too_big(which, nth);
			break;
		default:
			segment(which, nth, op & 1);
			break;
		}
	}
	/* Whatever is left goes by itself. */
	for (int i = 0; i < 40; i++) {
		z.now_us += 100000000;
		run_timeouts();
	}
	REQUIRE(engine_connections(z.e) == 0);
	free(z.region);
	return 0;
}
