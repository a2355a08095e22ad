/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.c - IPv4 (RFC 791), IPv6 (RFC 8200) and TCP (RFC 9293 section 3.1) headers, read and
 * written.
 *
 * What is not ours to touch (not TCP, fragments, extension headers) is told before lengths are
 * checked: such a packet goes on as it is, a judgement on its length is its receiver's.
 */
#include <assert.h>

#include "base/csum.h"
#include "wire/bytes.h"
#include "wire/options.h"
#include "wire/packet.h"

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define TCP_CSUM_OFFSET 16

#define IPV4_DF 0x4000
#define IPV4_MF_AND_OFFSET 0x3fff

enum protocol {
	PROTO_HOP_BY_HOP = 0,
	PROTO_TCP = 6,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_ESP = 50,
	PROTO_AH = 51,
	PROTO_DESTINATION = 60,
	PROTO_MOBILITY = 135,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

static enum packet_status ipv4_decode(struct packet *p, const uint8_t *data, uint32_t len_bytes)
{
	uint16_t fragment;

	if (len_bytes < IPV4_BYTES)
		return PACKET_TRUNCATED;
	p->tuple.family = FLOW_IPV4;
	memcpy(p->tuple.src.b, data + 12, 4);
	memcpy(p->tuple.dst.b, data + 16, 4);
	p->ip_bytes = (uint8_t)((data[0] & 0x0f) * 4);
	if (p->ip_bytes < IPV4_BYTES)
		return PACKET_BAD_HEADER;
	if (data[9] != PROTO_TCP)
		return PACKET_NOT_TCP;
	fragment = get16(data + 6);
	if (fragment & IPV4_MF_AND_OFFSET)
		return PACKET_FRAGMENT;
	if (p->ip_bytes > IPV4_BYTES)
		return PACKET_EXTENSION_HEADER;
	p->total_bytes = get16(data + 2);
	if (p->total_bytes == 0)
		p->total_bytes = len_bytes;
	if (p->total_bytes < p->ip_bytes)
		return PACKET_BAD_HEADER;
	p->tos = data[1];
	p->ip_id = get16(data + 4);
	p->dont_fragment = fragment & IPV4_DF;
	p->ttl = data[8];
	return PACKET_OK;
}

static enum packet_status ipv6_next_header(uint8_t next)
{
	switch (next) {
	case PROTO_TCP:
		return PACKET_OK;
	case PROTO_FRAGMENT:
		return PACKET_FRAGMENT;
	case PROTO_HOP_BY_HOP:
	case PROTO_ROUTING:
	case PROTO_ESP:
	case PROTO_AH:
	case PROTO_DESTINATION:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return PACKET_EXTENSION_HEADER;
	default:
		return PACKET_NOT_TCP;
	}
}

static enum packet_status ipv6_decode(struct packet *p, const uint8_t *data, uint32_t len_bytes)
{
	enum packet_status status;
	uint32_t first;

	if (len_bytes < IPV6_BYTES)
		return PACKET_TRUNCATED;
	p->tuple.family = FLOW_IPV6;
	memcpy(p->tuple.src.b, data + 8, 16);
	memcpy(p->tuple.dst.b, data + 24, 16);
	status = ipv6_next_header(data[6]);
	if (status != PACKET_OK)
		return status;
	first = get32(data);
	p->ip_bytes = IPV6_BYTES;
	p->total_bytes = IPV6_BYTES + get16(data + 4);
	p->tos = (uint8_t)(first >> 20);
	p->flow_label = first & 0xfffff;
	p->dont_fragment = true;
	p->ttl = data[7];
	return PACKET_OK;
}

static enum packet_status tcp_decode(struct packet *p)
{
	const uint8_t *tcp = p->data + p->ip_bytes;
	uint32_t segment_bytes = p->total_bytes - p->ip_bytes;
	unsigned tcp_bytes;

	if (segment_bytes < TCP_BYTES)
		return PACKET_TRUNCATED;
	tcp_bytes = (tcp[12] >> 4) * 4U;
	if (tcp_bytes < TCP_BYTES || tcp_bytes > segment_bytes)
		return PACKET_BAD_HEADER;
	p->tuple.src_port = get16(tcp);
	p->tuple.dst_port = get16(tcp + 2);
	p->seq = get32(tcp + 4);
	p->ack = get32(tcp + 8);
	p->flags = tcp[13];
	p->window = get16(tcp + 14);
	p->urgent = get16(tcp + 18);
	p->options = tcp + TCP_BYTES;
	p->options_bytes = (uint8_t)(tcp_bytes - TCP_BYTES);
	p->payload = tcp + tcp_bytes;
	p->payload_bytes = segment_bytes - tcp_bytes;
	return PACKET_OK;
}

enum packet_status packet_decode(struct packet *p, const uint8_t *data, uint32_t len_bytes)
{
	enum packet_status status;

	memset(p, 0, sizeof(*p));
	p->data = data;
	if (len_bytes == 0)
		return PACKET_TRUNCATED;
	switch (data[0] >> 4) {
	case 4:
		status = ipv4_decode(p, data, len_bytes);
		break;
	case 6:
		status = ipv6_decode(p, data, len_bytes);
		break;
	default:
		return PACKET_BAD_HEADER;
	}
	if (status != PACKET_OK)
		return status;
	if (p->total_bytes > len_bytes)
		return PACKET_TRUNCATED;
	return tcp_decode(p);
}

static uint64_t pseudo_sum(const struct flow_tuple *tuple, uint32_t segment_bytes)
{
	if (tuple->family == FLOW_IPV4)
		return csum_pseudo4(tuple->src.b, tuple->dst.b, PROTO_TCP, segment_bytes);
	return csum_pseudo6(tuple->src.b, tuple->dst.b, PROTO_TCP, segment_bytes);
}

bool packet_checksum_ok(const struct packet *p)
{
	uint32_t segment_bytes = p->total_bytes - p->ip_bytes;
	uint64_t sum;

	if (p->tuple.family == FLOW_IPV4 && csum_fold(csum_add(0, p->data, p->ip_bytes)) != 0xffff)
		return false;
	sum = pseudo_sum(&p->tuple, segment_bytes);
	return csum_fold(csum_add(sum, p->data + p->ip_bytes, segment_bytes)) == 0xffff;
}

void headers_from_packet(struct headers *h, const struct packet *p)
{
	*h = (struct headers){
		.tuple = p->tuple,
		.seq = p->seq,
		.ack = p->ack,
		.window = p->window,
		.ip_id = p->ip_id,
		.flags = p->flags,
		.ttl = p->ttl,
		.tos = p->tos,
		.dont_fragment = p->dont_fragment,
		.flow_label = p->flow_label,
		.options = p->options,
		.options_bytes = p->options_bytes,
	};
}

static void ipv4_encode(uint8_t *buf, const struct headers *h, uint32_t segment_bytes)
{
	uint16_t csum;

	buf[0] = 4 << 4 | IPV4_BYTES / 4;
	buf[1] = h->tos;
	put16(buf + 2, (uint16_t)(IPV4_BYTES + segment_bytes));
	put16(buf + 4, h->ip_id);
	put16(buf + 6, h->dont_fragment ? IPV4_DF : 0);
	buf[8] = h->ttl;
	buf[9] = PROTO_TCP;
	put16(buf + 10, 0);
	memcpy(buf + 12, h->tuple.src.b, 4);
	memcpy(buf + 16, h->tuple.dst.b, 4);
	csum = (uint16_t)~csum_fold(csum_add(0, buf, IPV4_BYTES));
	memcpy(buf + 10, &csum, sizeof(csum));
}

static void ipv6_encode(uint8_t *buf, const struct headers *h, uint32_t segment_bytes)
{
	put32(buf, 6U << 28 | (uint32_t)h->tos << 20 | (h->flow_label & 0xfffff));
	put16(buf + 4, (uint16_t)segment_bytes);
	buf[6] = PROTO_TCP;
	buf[7] = h->ttl;
	memcpy(buf + 8, h->tuple.src.b, 16);
	memcpy(buf + 24, h->tuple.dst.b, 16);
}

static void tcp_encode(uint8_t *tcp, const struct headers *h, uint32_t segment_bytes)
{
	uint16_t sum = csum_fold(pseudo_sum(&h->tuple, segment_bytes));

	put16(tcp, h->tuple.src_port);
	put16(tcp + 2, h->tuple.dst_port);
	put32(tcp + 4, h->seq);
	put32(tcp + 8, h->ack);
	tcp[12] = (uint8_t)((TCP_BYTES + h->options_bytes) / 4 << 4);
	/* Without its pointer the flag would name a byte that is not urgent. */
	tcp[13] = (uint8_t)(h->flags & ~TCP_URG);
	put16(tcp + 14, h->window);
	memcpy(tcp + TCP_CSUM_OFFSET, &sum, sizeof(sum));
	put16(tcp + 18, 0);
	if (h->options_bytes > 0)
		memcpy(tcp + TCP_BYTES, h->options, h->options_bytes);
}

unsigned headers_encode(uint8_t *buf, const struct headers *h, uint32_t payload_bytes,
			uint8_t *ip_bytes)
{
	bool ipv4 = h->tuple.family == FLOW_IPV4;
	unsigned tcp_bytes = TCP_BYTES + h->options_bytes;
	unsigned counted_bytes = tcp_bytes + (ipv4 ? IPV4_BYTES : 0);

	assert(ipv4 || h->tuple.family == FLOW_IPV6);
	assert(h->options_bytes % 4 == 0 && h->options_bytes <= OPTIONS_MAX);
	if (payload_bytes > UINT16_MAX - counted_bytes)
		return 0;
	*ip_bytes = ipv4 ? IPV4_BYTES : IPV6_BYTES;
	if (ipv4)
		ipv4_encode(buf, h, tcp_bytes + payload_bytes);
	else
		ipv6_encode(buf, h, tcp_bytes + payload_bytes);
	tcp_encode(buf + *ip_bytes, h, tcp_bytes + payload_bytes);
	return *ip_bytes + tcp_bytes;
}

void headers_checksum_complete(uint8_t *buf, unsigned hdr_bytes, unsigned ip_bytes,
			       const uint8_t *payload, uint32_t payload_bytes)
{
	uint64_t sum = csum_add(0, buf + ip_bytes, hdr_bytes - ip_bytes);
	uint16_t csum;

	if (payload_bytes > 0)
		sum = csum_add(sum, payload, payload_bytes);
	csum = (uint16_t)~csum_fold(sum);
	memcpy(buf + ip_bytes + TCP_CSUM_OFFSET, &csum, sizeof(csum));
}
