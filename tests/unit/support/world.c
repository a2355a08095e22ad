/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world.c - see world.h.
 */
#include "world.h"

#include <stdlib.h>

#include "engine/crypto.h"

void world_init(struct world *w, uint8_t family)
{
	memset(w, 0, sizeof(*w));
	w->cfg = (struct engine_cfg){.max_connections = 16,
				     .memory_bytes = 1 << 20,
				     .seed = {1, 2},
				     .n_paths = 1,
				     .max_subflows = 8,
				     .path = {{.name = "a", .mtu_bytes = 1500, .price = 1.0}}};
	w->guest.family = family;
	w->guest.src = (struct ip_addr){.b = {10, 0, 0, 2}};
	w->guest.dst = (struct ip_addr){.b = {10, 9, 9, 9}};
	if (family == FLOW_IPV6) {
		w->guest.src.b[0] = w->guest.dst.b[0] = 0xfd;
		w->guest.dst.b[15] = 9;
	}
	w->guest.src_port = 40000;
	w->guest.dst_port = 80;
	w->net = w->guest;
	w->net.src.b[3] = 77;
	w->net.src_port = 50000;
	w->guest_isn = GUEST_ISN;
	w->peer_isn = PEER_ISN;
	w->timestamps = w->sack = true;
	w->guest_tsval = w->peer_tsecr = 100;
	w->tick = (struct engine_tick){.now_us = 1000000, .random = &w->random};
}

void world_start(struct world *w)
{
	size_t n = engine_region_bytes(&w->cfg);

	w->region = aligned_alloc(64, n);
	memset(w->region, 0xa5, n);
	w->e = engine_init(w->region, n, &w->cfg);
}

void world_fini(struct world *w)
{
	free(w->region);
}

static void fresh(struct world *w)
{
	w->outs = (struct engine_outs){.pkt = w->pkt,
				       .cap_pkt = w->cap_pkt ? w->cap_pkt : WORLD_OUT_MAX,
				       .event = w->event,
				       .cap_event = WORLD_OUT_MAX};
	for (unsigned i = 0; w->random.n < ENGINE_RANDOM_WORDS; i++)
		w->random.word[w->random.n++] = 0x1234567890abcdefull + w->tick.now_us * 97 + i;
}

void raw_sends(struct world *w, enum engine_side from, enum engine_hook hook, const void *data,
	       uint32_t len_bytes, bool csum_trusted)
{
	struct engine_pkt in = {.data = data,
				.len_bytes = len_bytes,
				.from = (uint8_t)from,
				.hook = (uint8_t)hook,
				.csum_trusted = csum_trusted,
				.mark_half = w->mark_half};

	fresh(w);
	w->tick.now_us += 10;
	w->r = engine_packet(w->e, &in, &w->tick, &w->outs);
	if (w->r.verdict == ENGINE_ASK)
		w->r = engine_translation(w->e, w->r.conn, &w->net, &w->tick, &w->outs);
}

static void send(struct world *w, enum engine_side from, enum engine_hook hook,
		 const struct flow_tuple *t, const struct seg *s, uint32_t seq, uint32_t ack)
{
	struct options_writer o = s->w;
	struct headers h = {.tuple = *t,
			    .seq = seq,
			    .ack = ack,
			    .flags = s->flags,
			    .window = s->window,
			    .ttl = s->ttl ? s->ttl : 64,
			    .tos = s->tos,
			    .flow_label = s->flow_label,
			    .dont_fragment = true};
	uint8_t ip_bytes;
	unsigned n;

	options_pad(&o);
	h.options = o.buf;
	h.options_bytes = o.len_bytes;
	n = headers_encode(w->bytes, &h, s->payload_bytes, &ip_bytes);
	for (uint32_t i = 0; i < s->payload_bytes; i++)
		w->bytes[n + i] = (uint8_t)(s->payload_first + i);
	headers_checksum_complete(w->bytes, n, ip_bytes, w->bytes + n, s->payload_bytes);
	raw_sends(w, from, hook, w->bytes, n + s->payload_bytes, false);
}

void guest_sends(struct world *w, enum engine_hook hook, const struct seg *s)
{
	send(w, ENGINE_GUEST, hook, &w->guest, s, w->guest_isn + s->seq,
	     s->flags & TCP_ACK ? w->peer_isn + s->ack : 0);
}

void net_sends(struct world *w, enum engine_hook hook, const struct seg *s)
{
	/* In place the kernel has already translated back; stolen ones show the wire's tuple. */
	struct flow_tuple t = flow_tuple_reverse(hook == ENGINE_IN_PLACE ? &w->guest : &w->net);

	send(w, ENGINE_NET, hook, &t, s, w->peer_isn + s->seq,
	     s->flags & TCP_ACK ? w->guest_isn + s->ack : 0);
}

static bool look(struct world *w, const uint8_t *data, uint32_t n)
{
	if (packet_decode(&w->p, data, n) != PACKET_OK || !packet_checksum_ok(&w->p))
		return false;
	options_decode(&w->o, w->p.options, w->p.options_bytes, w->p.flags & TCP_SYN,
		       w->p.flags & TCP_ACK, w->p.payload_bytes > 0);
	return !w->o.overrun;
}

bool out(struct world *w, unsigned i)
{
	const struct engine_out *x = &w->pkt[i];

	if (i >= w->outs.n_pkt)
		return false;
	memcpy(w->whole, x->hdr, x->hdr_bytes);
	if (x->payload_bytes)
		memcpy(w->whole + x->hdr_bytes, x->payload, x->payload_bytes);
	headers_checksum_complete(w->whole, x->hdr_bytes, x->ip_bytes, w->whole + x->hdr_bytes,
				  x->payload_bytes);
	return look(w, w->whole, x->hdr_bytes + x->payload_bytes);
}

bool replaced(struct world *w)
{
	return w->r.verdict == ENGINE_REPLACE && look(w, w->r.replacement, w->r.replacement_bytes);
}

static struct seg syn(struct world *w, bool from_guest)
{
	struct seg s = {.flags = TCP_SYN, .window = 64240};
	uint8_t wscale[] = {TCPOPT_NOP, TCPOPT_WSCALE, 3, from_guest ? GUEST_WSCALE : PEER_WSCALE};
	uint8_t sack[] = {TCPOPT_SACK_PERMITTED, 2};

	options_put_mss(&s.w, 1460);
	if (w->sack)
		options_put(&s.w, sack, sizeof(sack));
	if (w->timestamps)
		options_put_timestamps(&s.w, from_guest ? w->guest_tsval : 7000,
				       from_guest ? 0 : w->peer_tsecr);
	options_put(&s.w, wscale, sizeof(wscale));
	return s;
}

static void peer_waits(struct world *w)
{
	if (w->peer_us)
		world_pass(w, w->peer_us);
}

void world_handshake(struct world *w)
{
	struct seg s = syn(w, true);
	struct mp_capable k = {.version = 1,
			       .flags = MP_CAPABLE_HMAC_SHA256 |
					(w->peer_checksum ? MP_CAPABLE_CHECKSUM : 0) |
					(w->peer_no_join ? MP_CAPABLE_NO_JOIN : 0),
			       .n_keys = 1,
			       .sender_key = PEER_KEY};
	uint32_t token;

	guest_sends(w, ENGINE_IN_PLACE, &s);
	peer_waits(w);
	s = syn(w, false);
	s.flags |= TCP_ACK;
	s.ack = 1;
	options_pad(&s.w);
	mp_capable_encode(&s.w, &k);
	net_sends(w, ENGINE_IN_PLACE, &s);
	crypto_key_derive(PEER_KEY, &token, &w->idsn_peer);
}

void world_open(struct world *w)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};
	uint32_t token;

	world_handshake(w);
	guest_sends(w, ENGINE_STEAL, &s);
	if (out(w, 0) && w->o.mp.has_capable)
		w->key_local = w->o.mp.capable.sender_key;
	crypto_key_derive(w->key_local, &token, &w->idsn_local);
	s.payload_bytes = 100;
	guest_sends(w, ENGINE_STEAL, &s);
	peer_waits(w);
	s = (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000};
	put_peer_ack(w, &s.w, 101);
	net_sends(w, ENGINE_STEAL, &s);
}

void world_pass(struct world *w, uint64_t us)
{
	w->tick.now_us += us;
	fresh(w);
	engine_timeout(w->e, &w->tick, &w->outs);
}

void put_peer_ack(struct world *w, struct options_writer *o, uint32_t data_acked)
{
	struct dss d = {.has_ack = true, .ack64 = true, .data_ack = w->idsn_local + data_acked};

	dss_encode(o, &d);
}

void put_peer_map(struct world *w, struct options_writer *o, uint32_t data_acked, uint32_t data_at,
		  uint32_t ssn, uint16_t len, bool fin)
{
	struct dss d = {.has_ack = true,
			.ack64 = true,
			.data_ack = w->idsn_local + data_acked,
			.has_map = true,
			.dsn64 = true,
			.dsn = w->idsn_peer + data_at,
			.ssn = ssn,
			.map_len = (uint16_t)(len + fin),
			.data_fin = fin};

	dss_encode(o, &d);
}

enum engine_claim_kind world_claim(struct world *w)
{
	struct engine_claim claim[ENGINE_CLAIMS_MAX];
	unsigned n;

	while ((n = engine_claims(w->e, claim)) > 0)
		for (unsigned i = 0; i < n; i++)
			if (claim[i].from == ENGINE_GUEST &&
			    flow_tuple_equal(&claim[i].tuple, &w->guest))
				w->claim = claim[i].kind;
	return (enum engine_claim_kind)w->claim;
}

uint32_t world_pool_used(const struct world *w, const char *name)
{
	struct engine_pool_info info;

	for (unsigned i = 0; engine_pool_info(w->e, i, &info); i++)
		if (strcmp(info.name, name) == 0)
			return info.used;
	return UINT32_MAX;
}
