// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_icmp.c - see sim_icmp.h.
 */
#include "sim_icmp.h"

#include "sim_options.h"

#define QUOTED 8

static uint32_t ip_bytes(uint8_t family)
{
	return family == FLOW_IPV4 ? 20 : 40;
}

static void put_ip(uint8_t *d, uint8_t family, uint32_t total, uint8_t proto, const uint8_t *src,
		   const uint8_t *dst)
{
	if (family == FLOW_IPV4) {
		d[0] = 0x45;
		put16(d + 2, (uint16_t)total);
		d[8] = 64;
		d[9] = proto;
		memcpy(d + 12, src, 4);
		memcpy(d + 16, dst, 4);
		put16(d + 10, (uint16_t)~sum_fold(sum_add(0, d, 20)));
	} else {
		d[0] = 0x60;
		put16(d + 4, (uint16_t)(total - 40));
		d[6] = proto;
		d[7] = 64;
		memcpy(d + 8, src, 16);
		memcpy(d + 24, dst, 16);
	}
}

static uint64_t pseudo(const uint8_t *d, uint8_t family, uint32_t icmp)
{
	return family == FLOW_IPV4 ? 0 : sum_add(58 + icmp, d + 8, 32);
}

struct pkt *too_big_build(const struct too_big *m)
{
	static const uint8_t router[16] = {203, 0, 113, 1};
	uint8_t family = m->about.family;
	uint32_t ip = ip_bytes(family), icmp = 8 + ip + QUOTED;
	struct pkt *p = pkt_new(NULL, ip + icmp);
	uint8_t *d = p->data, *q = d + ip + 8;

	put_ip(d, family, ip + icmp, family == FLOW_IPV4 ? 1 : 58, router, m->about.src.b);
	d[ip] = family == FLOW_IPV4 ? 3 : 2;
	d[ip + 1] = family == FLOW_IPV4 ? 4 : 0;
	put32(d + ip + 4, m->mtu_bytes);
	put_ip(q, family, m->mtu_bytes + 1, 6, m->about.src.b, m->about.dst.b);
	put16(q + ip, m->about.src_port);
	put16(q + ip + 2, m->about.dst_port);
	put32(q + ip + 4, m->seq);
	put16(d + ip + 2, (uint16_t)~sum_fold(sum_add(pseudo(d, family, icmp), d + ip, icmp)));
	return p;
}

bool too_big_parse(struct too_big *m, const uint8_t *d, uint32_t len)
{
	uint32_t ip, n;
	const uint8_t *q;

	memset(m, 0, sizeof(*m));
	if (len < 20 + 8)
		return false;
	m->about.family = d[0] >> 4;
	ip = ip_bytes(m->about.family);
	n = m->about.family == FLOW_IPV4 ? 4 : 16;
	if (len < 2 * ip + 8 + QUOTED || (ip == 20 ? d[9] != 1 : d[6] != 58))
		return false;
	if (ip == 20 ? d[ip] != 3 || d[ip + 1] != 4 : d[ip] != 2)
		return false;
	if (sum_fold(sum_add(pseudo(d, m->about.family, len - ip), d + ip, len - ip)) != 0xffff)
		return false;
	q = d + ip + 8;
	m->mtu_bytes = get32(d + ip + 4);
	memcpy(m->about.src.b, q + (n == 4 ? 12 : 8), n);
	memcpy(m->about.dst.b, q + (n == 4 ? 16 : 24), n);
	m->about.src_port = get16(q + ip);
	m->about.dst_port = get16(q + ip + 2);
	m->seq = get32(q + ip + 4);
	return true;
}
