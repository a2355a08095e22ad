/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmp.c - see icmp.h.
 */
#include "wire/icmp.h"

#include "base/csum.h"
#include "wire/bytes.h"

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_ICMP6 58
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define ICMP_BYTES 8
#define TCP_QUOTED_BYTES 8
#define TTL 64

static void store_csum(uint8_t *at, uint64_t sum)
{
	uint16_t csum = (uint16_t)~csum_fold(sum);

	memcpy(at, &csum, 2);
}

/* The quoted segment: IP header, ports, sequence number. */
static bool decode_quote(struct icmp_too_big *m, const uint8_t *q, uint32_t len)
{
	uint32_t ip = m->family == FLOW_IPV4 ? IPV4_BYTES : IPV6_BYTES;
	uint32_t addr = m->family == FLOW_IPV4 ? 4 : 16;

	if (len < ip || q[0] >> 4 != m->family)
		return false;
	if (m->family == FLOW_IPV4)
		ip = (q[0] & 0xfu) * 4;
	/* The gate's segments are never fragmented, and only a first fragment has the ports. */
	if (m->family == FLOW_IPV4 && get16(q + 6) & 0x3fff)
		return false;
	if (ip < IPV4_BYTES || len < ip + TCP_QUOTED_BYTES ||
	    q[m->family == FLOW_IPV4 ? 9 : 6] != PROTO_TCP)
		return false;
	m->about.family = m->family;
	memcpy(m->about.src.b, q + (m->family == FLOW_IPV4 ? 12 : 8), addr);
	memcpy(m->about.dst.b, q + (m->family == FLOW_IPV4 ? 16 : 24), addr);
	m->about.src_port = get16(q + ip);
	m->about.dst_port = get16(q + ip + 2);
	m->seq = get32(q + ip + 4);
	return true;
}

bool icmp_too_big_decode(struct icmp_too_big *m, const uint8_t *data, uint32_t len)
{
	uint32_t ip, total;
	const uint8_t *icmp;

	memset(m, 0, sizeof(*m));
	if (len < IPV4_BYTES)
		return false;
	m->family = data[0] >> 4;
	if (m->family == FLOW_IPV4) {
		ip = (data[0] & 0xfu) * 4;
		total = get16(data + 2);
		if (ip < IPV4_BYTES || total > len || total < ip + ICMP_BYTES ||
		    data[9] != PROTO_ICMP || get16(data + 6) & 0x3fff)
			return false;
		icmp = data + ip;
		if (icmp[0] != 3 || icmp[1] != 4 ||
		    csum_fold(csum_add(0, icmp, total - ip)) != 0xffff)
			return false;
		memcpy(m->router.b, data + 12, 4);
		m->mtu_bytes = get16(icmp + 6);
	} else {
		if (m->family != FLOW_IPV6 || len < IPV6_BYTES + ICMP_BYTES ||
		    data[6] != PROTO_ICMP6)
			return false;
		ip = IPV6_BYTES;
		total = ip + get16(data + 4);
		icmp = data + ip;
		if (total > len || total < ip + ICMP_BYTES || icmp[0] != 2 ||
		    csum_fold(csum_pseudo6(data + 8, data + 24, PROTO_ICMP6, total - ip) +
			      csum_add(0, icmp, total - ip)) != 0xffff)
			return false;
		memcpy(m->router.b, data + 8, 16);
		m->mtu_bytes = get32(icmp + 4);
	}
	return decode_quote(m, icmp + ICMP_BYTES, total - ip - ICMP_BYTES);
}

static void put_ip4(uint8_t *b, uint16_t total, uint8_t proto, const struct ip_addr *src,
		    const struct ip_addr *dst)
{
	b[0] = 0x45;
	put16(b + 2, total);
	b[8] = TTL;
	b[9] = proto;
	memcpy(b + 12, src->b, 4);
	memcpy(b + 16, dst->b, 4);
	store_csum(b + 10, csum_add(0, b, IPV4_BYTES));
}

static void put_ip6(uint8_t *b, uint16_t payload, uint8_t proto, const struct ip_addr *src,
		    const struct ip_addr *dst)
{
	b[0] = 0x60;
	put16(b + 4, payload);
	b[6] = proto;
	b[7] = TTL;
	memcpy(b + 8, src->b, 16);
	memcpy(b + 24, dst->b, 16);
}

unsigned icmp_too_big_encode(uint8_t buf[ICMP_TOO_BIG_MAX], const struct icmp_too_big *m)
{
	bool v4 = m->family == FLOW_IPV4;
	unsigned ip = v4 ? IPV4_BYTES : IPV6_BYTES;
	unsigned icmp_bytes = ICMP_BYTES + ip + TCP_QUOTED_BYTES;
	uint8_t *icmp = buf + ip, *quote = icmp + ICMP_BYTES;

	memset(buf, 0, ICMP_TOO_BIG_MAX);
	if (v4) {
		put_ip4(buf, ip + icmp_bytes, PROTO_ICMP, &m->router, &m->about.src);
		put_ip4(quote, 1500, PROTO_TCP, &m->about.src, &m->about.dst);
		icmp[0] = 3;
		icmp[1] = 4;
		put16(icmp + 6, m->mtu_bytes);
	} else {
		put_ip6(buf, icmp_bytes, PROTO_ICMP6, &m->router, &m->about.src);
		put_ip6(quote, 1460, PROTO_TCP, &m->about.src, &m->about.dst);
		icmp[0] = 2;
		put32(icmp + 4, m->mtu_bytes);
	}
	put16(quote + ip, m->about.src_port);
	put16(quote + ip + 2, m->about.dst_port);
	put32(quote + ip + 4, m->seq);
	store_csum(icmp + 2,
		   csum_add(v4 ? 0 : csum_pseudo6(buf + 8, buf + 24, PROTO_ICMP6, icmp_bytes), icmp,
			    icmp_bytes));
	return ip + icmp_bytes;
}
