/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_packet.c - any bytes as a packet: decoding stays within them, and what decodes can be
 * written again and then says the same; also for the ICMP messages that the gate reads.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/csum.h"
#include "wire/icmp.h"
#include "wire/packet.h"

#define REQUIRE(condition)                \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bounds(const struct packet *p, const uint8_t *data, uint32_t len_bytes)
{
	REQUIRE(p->data == data);
	REQUIRE(p->total_bytes <= len_bytes);
	REQUIRE(p->flow_label <= 0xfffff);
	REQUIRE(p->ip_bytes == (p->tuple.family == FLOW_IPV4 ? 20 : 40));
	REQUIRE(p->options == data + p->ip_bytes + 20);
	REQUIRE(p->options_bytes <= 40 && p->options_bytes % 4 == 0);
	REQUIRE(p->payload == p->options + p->options_bytes);
	REQUIRE(p->payload + p->payload_bytes == data + p->total_bytes);
}

static void check_same(const struct packet *a, const struct packet *b)
{
	REQUIRE(flow_tuple_equal(&a->tuple, &b->tuple));
	REQUIRE(a->seq == b->seq && a->ack == b->ack && a->window == b->window);
	REQUIRE(a->ip_id == b->ip_id && a->ttl == b->ttl && a->tos == b->tos);
	REQUIRE(a->dont_fragment == b->dont_fragment && a->flow_label == b->flow_label);
	REQUIRE((a->flags & ~TCP_URG) == b->flags && b->urgent == 0);
	REQUIRE(a->total_bytes == b->total_bytes && a->payload_bytes == b->payload_bytes);
	REQUIRE(a->options_bytes == b->options_bytes);
	REQUIRE(memcmp(a->options, b->options, a->options_bytes) == 0);
}

/* Everything that headers_encode() keeps; the rest (URG, reserved bits) is left off by design. */
static bool is_canonical(const struct packet *p)
{
	const uint8_t *tcp = p->data + p->ip_bytes;
	bool evil_bit = p->tuple.family == FLOW_IPV4 && p->data[6] & 0x80;
	bool no_length = p->tuple.family == FLOW_IPV4 && p->data[2] == 0 && p->data[3] == 0;

	return !(p->flags & TCP_URG) && p->urgent == 0 && (tcp[12] & 0x0f) == 0 && !evil_bit &&
	       !no_length;
}

static void check_again(const struct packet *p)
{
	static uint8_t whole[UINT16_MAX + 100];
	uint8_t ip_bytes = 0;
	struct headers h;
	struct packet q;
	unsigned n;

	headers_from_packet(&h, p);
	n = headers_encode(whole, &h, p->payload_bytes, &ip_bytes);
	if (n == 0) {
		/* Only what IPv4's length field could not say: a total length of 0. */
		REQUIRE(p->tuple.family == FLOW_IPV4 && p->total_bytes > UINT16_MAX);
		return;
	}
	headers_checksum_complete(whole, n, ip_bytes, p->payload, p->payload_bytes);
	memcpy(whole + n, p->payload, p->payload_bytes);
	REQUIRE(packet_decode(&q, whole, n + p->payload_bytes) == PACKET_OK);
	check_same(p, &q);
	REQUIRE(packet_checksum_ok(&q));
	if (is_canonical(p) && packet_checksum_ok(p)) {
		/* The same headers, but for the two zeros that a checksum has. */
		REQUIRE(memcmp(p->data + ip_bytes, whole + ip_bytes, 16) == 0);
		REQUIRE(memcmp(p->data + 12, whole + 12, ip_bytes - 12U) == 0);
	}
}

static void check_icmp(const uint8_t *data, uint32_t len_bytes)
{
	uint8_t buf[ICMP_TOO_BIG_MAX];
	struct icmp_too_big m, again;
	unsigned n;

	if (!icmp_too_big_decode(&m, data, len_bytes))
		return;
	n = icmp_too_big_encode(buf, &m);
	REQUIRE(n <= sizeof(buf));
	REQUIRE(icmp_too_big_decode(&again, buf, n));
	REQUIRE(again.family == m.family && again.mtu_bytes == m.mtu_bytes && again.seq == m.seq);
	REQUIRE(ip_addr_equal(&again.router, &m.router));
	REQUIRE(flow_tuple_equal(&again.about, &m.about));
}

/* The same with its checksum mended: no fuzzer guesses one, and what is behind it counts too. */
static void check_icmp_mended(const uint8_t *data, uint32_t len_bytes)
{
	bool ipv4 = len_bytes > 0 && data[0] >> 4 == 4;
	unsigned ip = ipv4 ? (data[0] & 0x0f) * 4 : 40;
	uint64_t sum = 0;
	uint8_t *copy;
	uint16_t csum;

	if (len_bytes < ip + 8 || len_bytes > 200 || ip < 20)
		return;
	copy = malloc(len_bytes);
	memcpy(copy, data, len_bytes);
	memset(copy + ip + 2, 0, 2);
	if (!ipv4)
		sum = csum_pseudo6(copy + 8, copy + 24, 58, len_bytes - ip);
	csum = (uint16_t)~csum_fold(csum_add(sum, copy + ip, len_bytes - ip));
	memcpy(copy + ip + 2, &csum, 2);
	check_icmp(copy, len_bytes);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum packet_status status;
	struct packet p;

	if (size > 100000)
		return 0;
	check_icmp(data, (uint32_t)size);
	check_icmp_mended(data, (uint32_t)size);
	status = packet_decode(&p, data, (uint32_t)size);
	REQUIRE(status <= PACKET_EXTENSION_HEADER);
	REQUIRE(p.tuple.family == 0 || p.tuple.family == FLOW_IPV4 || p.tuple.family == FLOW_IPV6);
	if (status != PACKET_OK)
		return 0;
	check_bounds(&p, data, (uint32_t)size);
	(void)packet_checksum_ok(&p);
	check_again(&p);
	return 0;
}
