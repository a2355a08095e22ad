// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_packet.c - see sim_packet.h: IP and TCP headers, checksums; the options are sim_options.c.
 */
#include "sim_packet.h"

#include <assert.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_options.h"

#define LANES 4 /* side by side: one addition need not wait for the other */

uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint64_t sum_add(uint64_t sum, const uint8_t *data, uint32_t n)
{
	uint64_t native = 0, word, lane[LANES] = {0};
	uint16_t folded;
	uint32_t i;

	/* RFC 1071 section 2 (B) and (C): the host's own order, wide, and swapped at the end. */
	for (i = 0; i + 8 * LANES <= n; i += 8 * LANES) {
		for (unsigned k = 0; k < LANES; k++) {
			memcpy(&word, data + i + 8ul * k, 8);
			lane[k] += (word & UINT32_MAX) + (word >> 32);
		}
	}
	for (unsigned k = 0; k < LANES; k++)
		native += lane[k];
	for (; i + 8 <= n; i += 8) {
		memcpy(&word, data + i, 8);
		native += (word & UINT32_MAX) + (word >> 32);
	}
	folded = sum_fold(native);
	sum += get16((const uint8_t *)&folded);
	for (; i + 1 < n; i += 2)
		sum += get16(data + i);
	if (i < n)
		sum += (uint32_t)data[i] << 8;
	return sum;
}

uint16_t mp_checksum(uint64_t dsn, uint32_t ssn, uint16_t len, uint64_t payload_sum)
{
	uint64_t sum = payload_sum + len;

	for (int i = 0; i < 4; i++)
		sum += (dsn >> (16 * i)) & 0xffff;
	sum += (ssn >> 16) + (ssn & 0xffff);
	return (uint16_t)~sum_fold(sum);
}

void key_derive(uint64_t key, uint32_t *token, uint64_t *idsn)
{
	struct sha256_ctx ctx;
	uint8_t bytes[8], digest[32];

	put64(bytes, key);
	sha256_init(&ctx);
	sha256_update(&ctx, 8, bytes);
	sha256_digest(&ctx, 32, digest);
	*token = get32(digest);
	*idsn = get64(digest + 24);
}

/* RFC 2104. */
static void hmac_sha256(const uint8_t key[16], const uint8_t *text, uint32_t n, uint8_t out[32])
{
	struct sha256_ctx ctx;
	uint8_t pad[64], inner[32];

	memset(pad, 0x36, sizeof(pad));
	for (int i = 0; i < 16; i++)
		pad[i] ^= key[i];
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(pad), pad);
	sha256_update(&ctx, n, text);
	sha256_digest(&ctx, sizeof(inner), inner);
	for (unsigned i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(pad), pad);
	sha256_update(&ctx, sizeof(inner), inner);
	sha256_digest(&ctx, 32, out);
}

void join_hmac(uint64_t key, uint64_t key_other, uint32_t nonce, uint32_t nonce_other,
	       uint8_t out[32])
{
	uint8_t keys[16], text[8];

	put64(keys, key);
	put64(keys + 8, key_other);
	put32(text, nonce);
	put32(text + 4, nonce_other);
	hmac_sha256(keys, text, sizeof(text), out);
}

void addr_hmac(uint64_t key, uint64_t key_other, const struct mp *m, uint8_t out[8])
{
	uint32_t n = m->addr_family == FLOW_IPV6 ? 16 : 4;
	uint8_t keys[16], text[19], full[32];

	put64(keys, key);
	put64(keys + 8, key_other);
	text[0] = m->addr_id;
	memcpy(text + 1, m->addr.b, n);
	put16(text + 1 + n, m->addr_port);
	hmac_sha256(keys, text, n + 3, full);
	memcpy(out, full + 24, 8);
}

static uint64_t pseudo_sum(const struct flow_tuple *t, uint32_t tcp_bytes)
{
	uint32_t n = t->family == FLOW_IPV4 ? 4 : 16;

	return sum_add(sum_add(6 + tcp_bytes, t->src.b, n), t->dst.b, n);
}

static bool bad(struct seg *s, const char *what)
{
	s->bad = what;
	return false;
}

static bool parse_ip(struct seg *s, const uint8_t *d, uint32_t len)
{
	struct flow_tuple *t = &s->tuple;

	if (len < 20)
		return bad(s, "too short for IP");
	if (d[0] == 0x45) {
		t->family = FLOW_IPV4;
		memcpy(t->src.b, d + 12, 4);
		memcpy(t->dst.b, d + 16, 4);
		s->ip_bytes = 20;
		if (get16(d + 2) != len)
			return bad(s, "IPv4 total length");
		if (get16(d + 6) & 0x3fff)
			return bad(s, "IPv4 fragment");
		if (sum_fold(sum_add(0, d, 20)) != 0xffff)
			return bad(s, "IPv4 header checksum");
		return d[9] == 6 ? true : bad(s, "not TCP");
	}
	if (d[0] >> 4 != 6 || len < 40)
		return bad(s, "IP version or options");
	t->family = FLOW_IPV6;
	memcpy(t->src.b, d + 8, 16);
	memcpy(t->dst.b, d + 24, 16);
	s->ip_bytes = 40;
	if (get16(d + 4) + 40u != len)
		return bad(s, "IPv6 payload length");
	return d[6] == 6 ? true : bad(s, "not TCP");
}

bool seg_head(struct seg *s, const uint8_t *data, uint32_t len)
{
	const uint8_t *h;
	uint32_t tcp;

	memset(s, 0, sizeof(*s));
	if (!parse_ip(s, data, len))
		return false;
	h = data + s->ip_bytes;
	tcp = len - s->ip_bytes;
	if (tcp < 20 || h[12] >> 4 < 5 || (uint32_t)(h[12] >> 4) * 4 > tcp)
		return bad(s, "TCP header length");
	s->tuple.src_port = get16(h);
	s->tuple.dst_port = get16(h + 2);
	s->seq = get32(h + 4);
	s->ack = get32(h + 8);
	s->opt_bytes = (uint8_t)((h[12] >> 4) * 4 - 20);
	s->hdr_bytes = (uint8_t)(s->ip_bytes + 20 + s->opt_bytes);
	s->flags = h[13];
	s->window = get16(h + 14);
	s->payload = data + s->hdr_bytes;
	s->len_bytes = len - s->hdr_bytes;
	return options_parse(s, h + 20, s->opt_bytes);
}

bool seg_parse(struct seg *s, const uint8_t *data, uint32_t len)
{
	bool good = seg_head(s, data, len);
	uint32_t ip = s->ip_bytes;

	if (s->hdr_bytes)
		s->csum_ok = sum_fold(sum_add(pseudo_sum(&s->tuple, len - ip), data + ip,
					      len - ip)) == 0xffff;
	return good;
}

struct pkt *pkt_new(const uint8_t *data, uint32_t len)
{
	struct pkt *p = malloc(sizeof(*p) + len);

	assert(p && len <= PACKET_MAX + 40);
	*p = (struct pkt){.len_bytes = len};
	if (data)
		memcpy(p->data, data, len);
	else
		memset(p->data, 0, len);
	return p;
}

struct pkt *pkt_copy(const struct pkt *p)
{
	struct pkt *q = pkt_new(p->data, p->len_bytes);

	q->gso_bytes = p->gso_bytes;
	q->corrupted = p->corrupted;
	return q;
}

void pkt_fix(struct pkt *p)
{
	struct flow_tuple t = {0};
	uint32_t ip = 20, n = 4;
	uint8_t *d = p->data;

	if (d[0] >> 4 == 4) {
		t.family = FLOW_IPV4;
		put16(d + 2, (uint16_t)p->len_bytes);
		put16(d + 10, 0);
		put16(d + 10, (uint16_t)~sum_fold(sum_add(0, d, 20)));
	} else {
		t.family = FLOW_IPV6;
		ip = 40;
		n = 16;
		put16(d + 4, (uint16_t)(p->len_bytes - 40));
	}
	memcpy(t.src.b, d + (n == 4 ? 12 : 8), n);
	memcpy(t.dst.b, d + (n == 4 ? 16 : 24), n);
	put16(d + ip + 16, 0);
	put16(d + ip + 16, (uint16_t)~sum_fold(sum_add(pseudo_sum(&t, p->len_bytes - ip), d + ip,
						       p->len_bytes - ip)));
}

struct pkt *seg_build(const struct seg *s)
{
	uint8_t opt[64];
	uint32_t n_opt = options_build(s, opt);
	uint32_t ip = s->tuple.family == FLOW_IPV4 ? 20 : 40;
	struct pkt *p = pkt_new(NULL, ip + 20 + n_opt + s->len_bytes);
	uint8_t *d = p->data, *h = d + ip;

	assert(n_opt <= 40 && n_opt % 4 == 0);
	if (ip == 20) {
		d[0] = 0x45;
		put16(d + 6, 0x4000);
		d[8] = 64;
		d[9] = 6;
		memcpy(d + 12, s->tuple.src.b, 4);
		memcpy(d + 16, s->tuple.dst.b, 4);
	} else {
		d[0] = 0x60;
		d[6] = 6;
		d[7] = 64;
		memcpy(d + 8, s->tuple.src.b, 16);
		memcpy(d + 24, s->tuple.dst.b, 16);
	}
	put16(h, s->tuple.src_port);
	put16(h + 2, s->tuple.dst_port);
	put32(h + 4, s->seq);
	put32(h + 8, s->flags & F_ACK ? s->ack : 0);
	h[12] = (uint8_t)((20 + n_opt) / 4 << 4);
	h[13] = s->flags;
	put16(h + 14, s->window);
	memcpy(h + 20, opt, n_opt);
	if (s->len_bytes)
		memcpy(h + 20 + n_opt, s->payload, s->len_bytes);
	pkt_fix(p);
	return p;
}

static void other_text(const struct mp *m, char *text, size_t n)
{
	static const char *const join[] = {"", " join", " join-answer", " join-ack"};

	char ids[40] = "", of[8] = "";

	for (unsigned i = 0; i < m->n_removed; i++)
		snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%s%u", i ? "," : "=",
			 m->removed[i]);
	if (m->join == JOIN_SYN || m->join == JOIN_SYN_ACK || m->add_addr)
		snprintf(of, sizeof(of), "=%u", m->add_addr ? m->addr_id : m->join_id);
	snprintf(text, n, "%s%s%s%s%s%s%s%s%s%s", m->fastclose ? " fastclose" : "",
		 m->fail ? " fail" : "", m->tcprst ? " tcprst" : "", join[m->join],
		 m->prio ? " prio" : "", m->prio && m->backup ? "-backup" : "",
		 m->add_addr ? m->echo ? " add-addr-echo" : " add-addr" : "", of,
		 m->n_removed ? " remove-addr" : "", ids);
}

struct seg seg_refusal(const struct seg *s)
{
	struct seg r = {.tuple = flow_tuple_reverse(&s->tuple), .flags = F_RST, .seq = s->ack};

	if (!(s->flags & F_ACK)) {
		r.flags = F_RST | F_ACK;
		r.ack = s->seq + s->len_bytes + !!(s->flags & F_SYN) + !!(s->flags & F_FIN);
		r.seq = 0;
	}
	return r;
}

const char *seg_text(const struct seg *s)
{
	static char text[480];
	const struct mp *m = &s->mp;
	char dss[120] = "", other[140], stamps[40] = "", sack[100] = "";

	if (m->dss)
		snprintf(dss, sizeof(dss),
			 " dss%s%s%s ack=%" PRIx64 " dsn=%" PRIx64 " ssn=%u len=%u",
			 m->has_ack ? " A" : "", m->has_map ? " M" : "", m->data_fin ? " F" : "",
			 m->data_ack, m->dsn, m->ssn, m->map_len);
	else if (m->capable)
		snprintf(dss, sizeof(dss), " capable keys=%u len=%u", m->n_keys, m->data_len);
	other_text(m, other, sizeof(other));
	for (unsigned i = 0; i < s->n_sack; i++)
		snprintf(sack + strlen(sack), sizeof(sack) - strlen(sack), "%s%u-%u",
			 i ? "," : " sack=", s->sack[i].start, s->sack[i].end);
	if (s->has_ts)
		snprintf(stamps, sizeof(stamps), " ts=%u,%u", s->tsval, s->tsecr);
	snprintf(text, sizeof(text), "%u>%u %s%s%s%s seq=%u len=%u ack=%u win=%u%s%s%s%s",
		 s->tuple.src_port, s->tuple.dst_port, s->flags & F_SYN ? "S" : "",
		 s->flags & F_FIN ? "F" : "", s->flags & F_RST ? "R" : "",
		 s->flags & F_ACK ? "." : "", s->seq, s->len_bytes, s->ack, s->window, sack, dss,
		 other, stamps);
	return text;
}
