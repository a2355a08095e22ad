/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_packet.c - packets decoded: literal ones field by field, every truncation, every
 * header that cannot be, and the checksum of each with every bit wrong.
 */
#include <stdlib.h>

#include "packets.h"
#include "unit.h"
#include "wire/packet.h"

static const char *const base[] = {PACKET_SYN4, PACKET_DATA4, PACKET_DATA6};

enum { SYN4, DATA4, DATA6, N_BASE };

static unsigned load(uint8_t *buf, unsigned cap, unsigned which)
{
	return unit_hex(buf, cap, base[which]);
}

static void test_syn4(void)
{
	uint8_t buf[200];
	unsigned n = load(buf, sizeof(buf), SYN4);
	struct packet p;

	CHECK_EQ(0, packet_decode(&p, buf, n), PACKET_OK);
	CHECK_EQ(0, p.tuple.family, FLOW_IPV4);
	CHECK_EQ(0, p.tuple.src_port, 55204);
	CHECK_EQ(0, p.tuple.dst_port, 7001);
	CU_ASSERT(memcmp(p.tuple.src.b, "\x0a\x4e\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0", 16) == 0);
	CU_ASSERT(memcmp(p.tuple.dst.b, "\x0a\x4e\x09\x09\0\0\0\0\0\0\0\0\0\0\0\0", 16) == 0);
	CHECK_EQ(0, p.seq, 0x582f1cbd);
	CHECK_EQ(0, p.ack, 0);
	CHECK_EQ(0, p.window, 64240);
	CHECK_EQ(0, p.urgent, 0);
	CHECK_EQ(0, p.ip_id, 0xaeca);
	CHECK_EQ(0, p.ip_bytes, 20);
	CHECK_EQ(0, p.flags, TCP_SYN);
	CHECK_EQ(0, p.ttl, 63);
	CHECK_EQ(0, p.tos, 0);
	CU_ASSERT(p.dont_fragment);
	CHECK_EQ(0, p.flow_label, 0);
	CHECK_EQ(0, p.options_bytes, 24);
	CHECK_EQ(0, p.payload_bytes, 0);
	CHECK_EQ(0, p.total_bytes, 64);
	CU_ASSERT_PTR_EQUAL(p.data, buf);
	CU_ASSERT_PTR_EQUAL(p.options, buf + 40);
	CU_ASSERT_PTR_EQUAL(p.payload, buf + 64);
}

static void test_data4(void)
{
	uint8_t buf[200];
	unsigned n = load(buf, sizeof(buf), DATA4);
	struct packet p;

	buf[1] = 0x2e;
	buf[6] = 0x00;
	buf[38] = 0x12;
	buf[39] = 0x34;
	CHECK_EQ(0, packet_decode(&p, buf, n), PACKET_OK);
	CHECK_EQ(0, p.seq, 0x582f1cbe);
	CHECK_EQ(0, p.ack, 0xc6b45861);
	CHECK_EQ(0, p.window, 63);
	CHECK_EQ(0, p.urgent, 0x1234);
	CHECK_EQ(0, p.tos, 0x2e);
	CU_ASSERT(!p.dont_fragment);
	CHECK_EQ(0, p.flags, TCP_PSH | TCP_ACK);
	CHECK_EQ(0, p.options_bytes, 36);
	CHECK_EQ(0, p.payload_bytes, 100);
	CHECK_EQ(0, p.total_bytes, 176);
	CU_ASSERT_PTR_EQUAL(p.options, buf + 40);
	CU_ASSERT_PTR_EQUAL(p.payload, buf + 76);
}

static void test_data6(void)
{
	static const uint8_t src[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 0x10};
	static const uint8_t dst[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 2, [15] = 0x20};
	uint8_t buf[200];
	unsigned n = load(buf, sizeof(buf), DATA6);
	struct packet p;

	CHECK_EQ(0, packet_decode(&p, buf, n), PACKET_OK);
	CHECK_EQ(0, p.tuple.family, FLOW_IPV6);
	CHECK_EQ(0, p.tuple.src_port, 40000);
	CHECK_EQ(0, p.tuple.dst_port, 443);
	CU_ASSERT(memcmp(p.tuple.src.b, src, 16) == 0);
	CU_ASSERT(memcmp(p.tuple.dst.b, dst, 16) == 0);
	CHECK_EQ(0, p.seq, 0xfffffff8);
	CHECK_EQ(0, p.ack, 0x01020304);
	CHECK_EQ(0, p.window, 0x1234);
	CHECK_EQ(0, p.ip_id, 0);
	CHECK_EQ(0, p.ip_bytes, 40);
	CHECK_EQ(0, p.flags, TCP_PSH | TCP_ACK | TCP_ECE);
	CHECK_EQ(0, p.ttl, 61);
	CHECK_EQ(0, p.tos, 0xb8);
	CU_ASSERT(p.dont_fragment);
	CHECK_EQ(0, p.flow_label, 0xabcde);
	CHECK_EQ(0, p.options_bytes, 12);
	CHECK_EQ(0, p.payload_bytes, 11);
	CHECK_EQ(0, p.total_bytes, 83);
	CU_ASSERT_PTR_EQUAL(p.payload, buf + 72);
}

/* Cut anywhere: truncated, and not a byte beyond the cut is read (the heap block is that short). */
static void test_truncated(void)
{
	for (unsigned which = 0; which < N_BASE; which++) {
		uint8_t buf[200];
		unsigned n = load(buf, sizeof(buf), which);

		for (unsigned cut = 0; cut < n; cut++) {
			uint8_t *copy = malloc(cut + !cut);
			unsigned addresses = which == DATA6 ? 40 : 20;
			struct packet p;

			memcpy(copy, buf, cut);
			CHECK_EQ(cut, packet_decode(&p, copy, cut), PACKET_TRUNCATED);
			CHECK_EQ(cut, p.tuple.family != 0, cut >= addresses);
			free(copy);
		}
	}
}

/* Bytes behind the packet (Ethernet padding) are no payload. */
static void test_trailing(void)
{
	for (unsigned which = 0; which < N_BASE; which++)
		for (unsigned more = 1; more < 50; more++) {
			uint8_t buf[300];
			unsigned n = load(buf, sizeof(buf), which);
			struct packet p, q;

			memset(buf + n, 0xaa, more);
			CHECK_EQ(more, packet_decode(&p, buf, n), PACKET_OK);
			CHECK_EQ(more, packet_decode(&q, buf, n + more), PACKET_OK);
			CHECK_EQ(more, q.total_bytes, n);
			CHECK_EQ(more, q.payload_bytes, p.payload_bytes);
			CHECK_ROW(more, packet_checksum_ok(&q));
		}
}

struct patch {
	uint8_t at, value;
};

static const struct {
	uint8_t which;
	struct patch patch[3]; /* at 0 with value 0: none */
	uint8_t status;
	bool has_family;
} statuses[] = {
	/* 0, versions */ {SYN4, {{0, 0x05}}, PACKET_BAD_HEADER, false},
	/* 1 */ {SYN4, {{0, 0x55}}, PACKET_BAD_HEADER, false},
	/* 2 */ {DATA6, {{0, 0xf0}}, PACKET_BAD_HEADER, false},
	/* 3, IPv4 header length below 5 */ {SYN4, {{0, 0x40}}, PACKET_BAD_HEADER, true},
	/* 4 */ {SYN4, {{0, 0x44}}, PACKET_BAD_HEADER, true},
	/* 5, IPv4 options */ {SYN4, {{0, 0x46}}, PACKET_EXTENSION_HEADER, true},
	/* 6 */ {SYN4, {{0, 0x4f}}, PACKET_EXTENSION_HEADER, true},
	/* 7, total length below the header's */ {SYN4, {{3, 19}}, PACKET_BAD_HEADER, true},
	/* 8 */ {SYN4, {{3, 1}}, PACKET_BAD_HEADER, true},
	/* 9, no TCP header in it */ {SYN4, {{3, 20}}, PACKET_TRUNCATED, true},
	/* 10 */ {SYN4, {{3, 39}}, PACKET_TRUNCATED, true},
	/* 11, one byte too long */ {SYN4, {{3, 65}}, PACKET_TRUNCATED, true},
	/* 12 */ {SYN4, {{2, 0xff}}, PACKET_TRUNCATED, true},
	/* 13, data offset below 5 */ {SYN4, {{32, 0x40}}, PACKET_BAD_HEADER, true},
	/* 14 */ {SYN4, {{32, 0x00}}, PACKET_BAD_HEADER, true},
	/* 15, data offset beyond the end */ {SYN4, {{32, 0xc0}}, PACKET_BAD_HEADER, true},
	/* 16 */ {SYN4, {{32, 0xf0}, {3, 63}}, PACKET_BAD_HEADER, true},
	/* 17, total length inside of the options */ {SYN4, {{3, 63}}, PACKET_BAD_HEADER, true},
	/* 18, just the header */ {SYN4, {{3, 40}, {32, 0x50}}, PACKET_OK, true},
	/* 19, UDP */ {SYN4, {{9, 17}}, PACKET_NOT_TCP, true},
	/* 20, ICMP */ {SYN4, {{9, 1}}, PACKET_NOT_TCP, true},
	/* 21, ICMP, and the length is wrong */ {SYN4, {{9, 1}, {2, 9}}, PACKET_NOT_TCP, true},
	/* 22, more fragments */ {SYN4, {{6, 0x20}}, PACKET_FRAGMENT, true},
	/* 23, an offset, high and low */ {SYN4, {{6, 0x10}}, PACKET_FRAGMENT, true},
	/* 24 */ {SYN4, {{7, 0x01}}, PACKET_FRAGMENT, true},
	/* 25, the last fragment, with options */
	{SYN4, {{0, 0x46}, {7, 1}}, PACKET_FRAGMENT, true},
	/* 26, a fragment of UDP */ {SYN4, {{9, 17}, {6, 0x20}}, PACKET_NOT_TCP, true},
	/* 27, the reserved bit is no fragment */ {SYN4, {{6, 0x80}}, PACKET_OK, true},
	/* 28, IPv6 */ {DATA6, {{6, 0}}, PACKET_EXTENSION_HEADER, true},
	/* 29 */ {DATA6, {{6, 43}}, PACKET_EXTENSION_HEADER, true},
	/* 30 */ {DATA6, {{6, 44}}, PACKET_FRAGMENT, true},
	/* 31 */ {DATA6, {{6, 50}}, PACKET_EXTENSION_HEADER, true},
	/* 32 */ {DATA6, {{6, 51}}, PACKET_EXTENSION_HEADER, true},
	/* 33 */ {DATA6, {{6, 60}}, PACKET_EXTENSION_HEADER, true},
	/* 34 */ {DATA6, {{6, 135}}, PACKET_EXTENSION_HEADER, true},
	/* 35 */ {DATA6, {{6, 139}}, PACKET_EXTENSION_HEADER, true},
	/* 36 */ {DATA6, {{6, 140}}, PACKET_EXTENSION_HEADER, true},
	/* 37, UDP */ {DATA6, {{6, 17}}, PACKET_NOT_TCP, true},
	/* 38, ICMPv6 */ {DATA6, {{6, 58}}, PACKET_NOT_TCP, true},
	/* 39, none follows */ {DATA6, {{6, 59}}, PACKET_NOT_TCP, true},
	/* 40, IPv6 with no room for TCP */ {DATA6, {{5, 0}}, PACKET_TRUNCATED, true},
	/* 41 */ {DATA6, {{5, 19}}, PACKET_TRUNCATED, true},
	/* 42, one byte too long */ {DATA6, {{5, 44}}, PACKET_TRUNCATED, true},
	/* 43, data offset */ {DATA6, {{52, 0x40}}, PACKET_BAD_HEADER, true},
	/* 44 */ {DATA6, {{52, 0xb0}}, PACKET_BAD_HEADER, true},
	/* 45, options take it all */ {DATA6, {{52, 0xa0}}, PACKET_OK, true},
	/* 46, payload length inside of the options */ {DATA6, {{5, 31}}, PACKET_BAD_HEADER, true},
	/* 47, reserved bits of TCP */ {DATA6, {{52, 0x8f}}, PACKET_OK, true},
};

static void test_statuses(void)
{
	for (unsigned i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		uint8_t buf[200];
		unsigned n = load(buf, sizeof(buf), statuses[i].which);
		struct packet p;

		for (unsigned k = 0; k < 3; k++) {
			struct patch patch = statuses[i].patch[k];

			if (patch.at || patch.value)
				buf[patch.at] = patch.value;
		}
		CHECK_EQ(i, packet_decode(&p, buf, n), statuses[i].status);
		CHECK_EQ(i, p.tuple.family != 0, statuses[i].has_family);
	}
}

/* What is neither TCP nor whole still tells who sent it. */
static void test_addresses(void)
{
	uint8_t buf[200];
	struct packet p;

	load(buf, sizeof(buf), SYN4);
	buf[9] = 1;
	CHECK_EQ(0, packet_decode(&p, buf, 20), PACKET_NOT_TCP);
	CU_ASSERT(memcmp(p.tuple.src.b, "\x0a\x4e\x01\x02", 4) == 0);
	CU_ASSERT(memcmp(p.tuple.dst.b, "\x0a\x4e\x09\x09", 4) == 0);
	load(buf, sizeof(buf), DATA6);
	buf[6] = 44;
	CHECK_EQ(1, packet_decode(&p, buf, 40), PACKET_FRAGMENT);
	CHECK_EQ(1, p.tuple.src.b[15], 0x10);
	CHECK_EQ(1, p.tuple.dst.b[15], 0x20);
}

/* IPv4 total length 0: all there is, also beyond 65535 (big TCP). */
static void test_big(void)
{
	static uint8_t buf[100000];
	static const uint32_t lens[] = {64, 65, 1500, 65535, 65536, 70000, 100000};

	load(buf, sizeof(buf), SYN4);
	buf[2] = buf[3] = 0;
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct packet p;

		CHECK_EQ(i, packet_decode(&p, buf, lens[i]), PACKET_OK);
		CHECK_EQ(i, p.total_bytes, lens[i]);
		CHECK_EQ(i, p.payload_bytes, lens[i] - 64);
	}
	/* The largest that its field can say. */
	buf[2] = buf[3] = 0xff;
	for (unsigned i = 0; i < 2; i++) {
		struct packet p;

		CHECK_EQ(i, packet_decode(&p, buf, 65534 + i), i ? PACKET_OK : PACKET_TRUNCATED);
		if (i)
			CHECK_EQ(i, p.payload_bytes, 65535 - 64);
	}
}

/* The real checksums hold; with any bit of what they cover wrong they do not. */
static void test_checksum(void)
{
	for (unsigned which = 0; which < N_BASE; which++) {
		uint8_t buf[200];
		unsigned n = load(buf, sizeof(buf), which);
		struct packet p;

		CHECK_EQ(which, packet_decode(&p, buf, n), PACKET_OK);
		CHECK_ROW(which, packet_checksum_ok(&p));
		for (unsigned bit = 0; bit < 8 * n; bit++) {
			unsigned at = bit / 8;
			bool covered = which != DATA6 || at >= 8 || at == 4 || at == 5;

			/* IPv6: class, label and hop limit are not covered, the length is. */
			buf[at] ^= (uint8_t)(1 << bit % 8);
			if (packet_decode(&p, buf, n) == PACKET_OK)
				CHECK_EQ(bit, packet_checksum_ok(&p), !covered);
			buf[at] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static const struct unit_test tests[] = {
	{"IPv4 SYN", test_syn4},       {"IPv4 data", test_data4},   {"IPv6 data", test_data6},
	{"truncated", test_truncated}, {"trailing", test_trailing}, {"statuses", test_statuses},
	{"addresses", test_addresses}, {"big", test_big},           {"checksum", test_checksum},
};

UNIT_MAIN("wire/packet", tests)
