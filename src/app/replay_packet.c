/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_packet.c - packets as bytes, for replay: reads what decides about a packet, completes
 * checksums (RFC 1071), and cuts super-segments as the kernel does. It shares no code with the
 * engine's wire layer, so that each is a check of the other.
 */
#include "app/replay.h"

#include <netinet/in.h>

#define TCP_FIN_PSH 0x09
#define TCP_CWR 0x80
#define ICMP_BYTES 8
#define ICMP_UNREACHABLE 3
#define ICMP_TOO_BIG 4
#define ICMP6_TOO_BIG 2

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint64_t sum(const uint8_t *p, uint32_t n)
{
	uint64_t s = 0;

	for (; n >= 2; n -= 2, p += 2)
		s += be16(p);
	return n ? s + ((uint64_t)p[0] << 8) : s;
}

static unsigned fold(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (unsigned)s;
}

static bool is_v6(const uint8_t *data)
{
	return data[0] >> 4 == 6;
}

static uint64_t pseudo(const uint8_t *data, uint32_t tcp_bytes)
{
	uint64_t addresses = is_v6(data) ? sum(data + 8, 32) : sum(data + 12, 8);

	return addresses + IPPROTO_TCP + tcp_bytes;
}

/*
 * The gate's key: a third ACK or first data says both, where it answers the SYN/ACK has its own
 * (RFC 8684 section 3.1).
 */
static void read_mptcp(struct replay_packet *p, const uint8_t *options, unsigned n)
{
	for (unsigned i = 0; i + 1 < n && options[i] != 0;) {
		unsigned len = options[i] == 1 ? 1 : options[i + 1];

		if (len == 0 || len > n - i || (len == 1 && options[i] != 1))
			return;
		p->mptcp |= options[i] == 30;
		if (options[i] == 30 && options[i + 2] == 0x01 &&
		    (len >= 20 || (len == 12 && (p->flags & 0x12) == 0x12)))
			p->key = (uint64_t)be32(options + i + 4) << 32 | be32(options + i + 8);
		i += len;
	}
}

/* Addresses; the offset of what follows the header when that is `protocol`, else 0. */
static unsigned ip_read(struct flow_tuple *t, const uint8_t *data, uint32_t len, unsigned protocol)
{
	unsigned bytes;

	if (len >= 40 && is_v6(data)) {
		t->family = FLOW_IPV6;
		memcpy(t->src.b, data + 8, 16);
		memcpy(t->dst.b, data + 24, 16);
		return data[6] == protocol ? 40 : 0;
	}
	if (len < 20 || data[0] >> 4 != 4)
		return 0;
	t->family = FLOW_IPV4;
	memcpy(t->src.b, data + 12, 4);
	memcpy(t->dst.b, data + 16, 4);
	bytes = (data[0] & 15) * 4U;
	/* A later fragment has no ports. */
	return data[9] == protocol && bytes >= 20 && !(be16(data + 6) & 0x1fff) ? bytes : 0;
}

static void ports_read(struct flow_tuple *t, const uint8_t *tcp)
{
	t->src_port = (uint16_t)be16(tcp);
	t->dst_port = (uint16_t)be16(tcp + 2);
}

/* ICMP "fragmentation needed" (RFC 792, RFC 1191), ICMPv6 "packet too big" (RFC 4443). */
static void too_big_read(struct replay_packet *p, const uint8_t *data, uint32_t len)
{
	struct flow_tuple t = {0}, sent = {0};
	bool v6 = len > 0 && is_v6(data);
	unsigned at = ip_read(&t, data, len, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP), next;

	if (!at || len < at + ICMP_BYTES || data[at] != (v6 ? ICMP6_TOO_BIG : ICMP_UNREACHABLE) ||
	    (!v6 && data[at + 1] != ICMP_TOO_BIG))
		return;
	at += ICMP_BYTES;
	next = ip_read(&sent, data + at, len - at, IPPROTO_TCP);
	if (!next || len < at + next + 4)
		return;
	ports_read(&sent, data + at + next);
	p->about = sent;
}

void replay_packet_read(struct replay_packet *p, const uint8_t *data, uint32_t len)
{
	const uint8_t *tcp;
	unsigned tcp_bytes;

	memset(p, 0, sizeof(*p));
	p->ip_bytes = (uint8_t)ip_read(&p->tuple, data, len, IPPROTO_TCP);
	if (!p->ip_bytes)
		too_big_read(p, data, len);
	if (!p->ip_bytes || len < p->ip_bytes + 20U)
		return;
	tcp = data + p->ip_bytes;
	p->tcp = true;
	ports_read(&p->tuple, tcp);
	p->seq = be32(tcp + 4);
	p->flags = tcp[13];
	p->partial = be16(tcp + 16) == fold(pseudo(data, len - p->ip_bytes));
	tcp_bytes = (tcp[12] >> 4) * 4U;
	p->options = tcp_bytes > 20;
	if (tcp_bytes >= 20 && len >= p->ip_bytes + tcp_bytes)
		read_mptcp(p, tcp + 20, tcp_bytes - 20);
}

void replay_checksum(uint8_t *data, uint32_t len_bytes, unsigned ip_bytes)
{
	uint8_t *field = data + ip_bytes + 16;

	put16(field, ~fold(sum(data + ip_bytes, len_bytes - ip_bytes)) & 0xffff);
}

/* Header fields of the piece that begins `at` bytes into the payload. */
static void piece_patch(uint8_t *hdr, const struct engine_out *out, uint32_t at, uint32_t n)
{
	uint8_t *tcp = hdr + out->ip_bytes;
	unsigned old_tcp = out->hdr_bytes - out->ip_bytes + out->payload_bytes;
	unsigned new_tcp = out->hdr_bytes - out->ip_bytes + n;

	if (is_v6(hdr)) {
		put16(hdr + 4, new_tcp);
	} else {
		put16(hdr + 2, out->ip_bytes + new_tcp);
		put16(hdr + 4, be16(hdr + 4) + at / out->gso_size_bytes);
		put16(hdr + 10, 0);
		put16(hdr + 10, ~fold(sum(hdr, out->ip_bytes)) & 0xffff);
	}
	put32(tcp + 4, be32(tcp + 4) + at);
	if (at > 0)
		tcp[13] &= (uint8_t)~TCP_CWR;
	if (at + n < out->payload_bytes)
		tcp[13] &= (uint8_t)~TCP_FIN_PSH;
	/* The pseudo-header's sum that the engine left, with the piece's length in it. */
	put16(tcp + 16, fold((uint64_t)be16(tcp + 16) + (0xffff - fold(old_tcp)) + new_tcp));
}

void replay_segment(const struct engine_out *out, replay_emit_fn emit, void *ctx)
{
	static uint8_t buf[ENGINE_HEADER_MAX + 65536];
	uint32_t step = out->payload_bytes, at = 0, n;

	if (!out->whole && out->gso_size_bytes && out->gso_size_bytes < step)
		step = out->gso_size_bytes;
	do {
		n = out->payload_bytes - at < step ? out->payload_bytes - at : step;
		if (n > 65536)
			return; /* the engine cannot mean it: no IP packet holds this */
		memcpy(buf, out->hdr, out->hdr_bytes);
		if (n)
			memcpy(buf + out->hdr_bytes, out->payload + at, n);
		if (n < out->payload_bytes)
			piece_patch(buf, out, at, n);
		if (!out->whole)
			replay_checksum(buf, out->hdr_bytes + n, out->ip_bytes);
		emit(ctx, buf, out->hdr_bytes + n);
		at += n;
	} while (at < out->payload_bytes);
}
