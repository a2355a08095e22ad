/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_headers.c - headers written: literal bytes, what is read is written again, lengths
 * up to the end of 16 bits, checksums of super-segments.
 */
#include "base/csum.h"
#include "packets.h"
#include "unit.h"
#include "wire/packet.h"

static const char *const base[] = {PACKET_SYN4, PACKET_DATA4, PACKET_DATA6};

/* Decoded, encoded and completed, a packet is the same bytes as before. */
static void test_identity(void)
{
	for (unsigned i = 0; i < 3; i++) {
		uint8_t buf[200], again[100], ip_bytes = 0;
		unsigned n = unit_hex(buf, sizeof(buf), base[i]), hdr_bytes;
		struct packet p;
		struct headers h;

		CHECK_EQ(i, packet_decode(&p, buf, n), PACKET_OK);
		headers_from_packet(&h, &p);
		memset(again, 0xcc, sizeof(again));
		hdr_bytes = headers_encode(again, &h, p.payload_bytes, &ip_bytes);
		CHECK_EQ(i, hdr_bytes, n - p.payload_bytes);
		CHECK_EQ(i, ip_bytes, p.ip_bytes);
		headers_checksum_complete(again, hdr_bytes, ip_bytes,
					  p.payload_bytes ? p.payload : NULL, p.payload_bytes);
		CHECK_ROW(i, memcmp(again, buf, hdr_bytes) == 0);
		for (unsigned k = hdr_bytes; k < sizeof(again); k++)
			CHECK_EQ(k, again[k], 0xcc);
	}
}

static void test_from_packet(void)
{
	uint8_t buf[200];
	unsigned n = unit_hex(buf, sizeof(buf), PACKET_DATA6);
	struct packet p;
	struct headers h;

	memset(&h, 0xee, sizeof(h));
	CHECK_EQ(0, packet_decode(&p, buf, n), PACKET_OK);
	headers_from_packet(&h, &p);
	CU_ASSERT(flow_tuple_equal(&h.tuple, &p.tuple));
	CHECK_EQ(0, h.seq, 0xfffffff8);
	CHECK_EQ(0, h.ack, 0x01020304);
	CHECK_EQ(0, h.window, 0x1234);
	CHECK_EQ(0, h.ip_id, 0);
	CHECK_EQ(0, h.flags, TCP_PSH | TCP_ACK | TCP_ECE);
	CHECK_EQ(0, h.ttl, 61);
	CHECK_EQ(0, h.tos, 0xb8);
	CU_ASSERT(h.dont_fragment);
	CHECK_EQ(0, h.flow_label, 0xabcde);
	CU_ASSERT_PTR_EQUAL(h.options, p.options);
	CHECK_EQ(0, h.options_bytes, 12);
}

static const struct headers plain4 = {
	.tuple = {.family = FLOW_IPV4,
		  .src_port = 0x1234,
		  .dst_port = 80,
		  .src = {{10, 0, 0, 1}},
		  .dst = {{192, 168, 1, 2}}},
	.seq = 0x01020304,
	.ack = 0xfffefdfc,
	.window = 0xabcd,
	.ip_id = 0x4321,
	.flags = TCP_ACK | TCP_CWR | TCP_URG,
	.ttl = 64,
	.tos = 2,
};

/* Every field in its place, the checksum field not completed, the urgent flag gone. */
static void test_literal(void)
{
	static const char *const want[2] = {
		"45020028432100004006 6c02 0a000001c0a80102"
		"12340050 01020304 fffefdfc 5090 abcd cbc5 0000",
		"61234567001c0640 000102030405060708090a0b0c0d0e0f"
		"101112131415161718191a1b1c1d1e1f"
		"12340050 01020304 fffefdfc 7090 abcd f122 0000 0101010101010101",
	};
	struct headers h = plain4;
	uint8_t buf[100], wanted[100], ip_bytes;
	unsigned n;

	n = unit_hex(wanted, sizeof(wanted), want[0]);
	CHECK_EQ(0, headers_encode(buf, &h, 0, &ip_bytes), n);
	CHECK_EQ(0, ip_bytes, 20);
	CU_ASSERT(memcmp(buf, wanted, n) == 0);

	h.tuple.family = FLOW_IPV6;
	for (uint8_t i = 0; i < 16; i++) {
		h.tuple.src.b[i] = i;
		h.tuple.dst.b[i] = (uint8_t)(16 + i);
	}
	h.tos = 0x12;
	h.flow_label = 0xfff34567; /* 20 bits count */
	h.options = (const uint8_t *)"\1\1\1\1\1\1\1\1";
	h.options_bytes = 8;
	n = unit_hex(wanted, sizeof(wanted), want[1]);
	CHECK_EQ(1, headers_encode(buf, &h, 0, &ip_bytes), n);
	CHECK_EQ(1, ip_bytes, 40);
	CU_ASSERT(memcmp(buf, wanted, n) == 0);
}

static void test_dont_fragment(void)
{
	struct headers h = plain4;
	uint8_t buf[100], ip_bytes;

	for (unsigned df = 0; df < 2; df++) {
		h.dont_fragment = df;
		headers_encode(buf, &h, 0, &ip_bytes);
		CHECK_EQ(df, buf[6], df ? 0x40 : 0);
		CHECK_EQ(df, buf[7], 0);
		CHECK_EQ(df, csum_fold(csum_add(0, buf, 20)), 0xffff);
	}
}

static const struct {
	uint8_t family, options_bytes;
	uint32_t payload_bytes;
	unsigned hdr_bytes; /* 0: too long */
} lengths[] = {
	/* 0 */ {FLOW_IPV4, 0, 65495, 40},
	/* 1 */ {FLOW_IPV4, 0, 65496, 0},
	/* 2 */ {FLOW_IPV4, 40, 65455, 80},
	/* 3 */ {FLOW_IPV4, 40, 65456, 0},
	/* 4 */ {FLOW_IPV6, 0, 65515, 60},
	/* 5 */ {FLOW_IPV6, 0, 65516, 0},
	/* 6 */ {FLOW_IPV6, 40, 65475, 100},
	/* 7 */ {FLOW_IPV6, 40, 65476, 0},
	/* 8, no wrap */ {FLOW_IPV4, 0, UINT32_MAX, 0},
	/* 9 */ {FLOW_IPV4, 0, UINT32_MAX - 39, 0},
	/* 10 */ {FLOW_IPV6, 40, UINT32_MAX - 59, 0},
	/* 11 */ {FLOW_IPV4, 12, 1448, 52},
};

/* At the limits, and a super-segment that is written is one that decodes with a right checksum. */
static void test_lengths(void)
{
	static uint8_t whole[65536 + 100];
	uint8_t options[40], ip_bytes;
	uint64_t state = 9;

	memset(options, 1, sizeof(options));
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct headers h = plain4;
		uint32_t payload_bytes = lengths[i].payload_bytes;
		uint8_t buf[100];
		struct packet p;
		unsigned n;

		h.tuple.family = lengths[i].family;
		h.options = options;
		h.options_bytes = lengths[i].options_bytes;
		n = headers_encode(buf, &h, payload_bytes, &ip_bytes);
		CHECK_EQ(i, n, lengths[i].hdr_bytes);
		if (n == 0)
			continue;
		for (uint32_t k = 0; k < payload_bytes; k++)
			whole[n + k] = (uint8_t)unit_random(&state);
		headers_checksum_complete(buf, n, ip_bytes, whole + n, payload_bytes);
		memcpy(whole, buf, n);
		CHECK_EQ(i, packet_decode(&p, whole, n + payload_bytes), PACKET_OK);
		CHECK_EQ(i, p.payload_bytes, payload_bytes);
		CHECK_ROW(i, packet_checksum_ok(&p));
		whole[n + payload_bytes - 1] ^= 1;
		CHECK_ROW(i, !packet_checksum_ok(&p));
	}
}

/* The field before completion is the pseudo-header's sum: what a network card expects. */
static void test_partial(void)
{
	struct headers h = plain4;
	uint8_t buf[100], ip_bytes;
	uint16_t field;

	headers_encode(buf, &h, 1000, &ip_bytes);
	memcpy(&field, buf + 36, sizeof(field));
	CHECK_EQ(0, field, csum_fold(csum_pseudo4(h.tuple.src.b, h.tuple.dst.b, 6, 1020)));
}

static const struct unit_test tests[] = {
	{"identity", test_identity}, {"from a packet", test_from_packet},
	{"literal", test_literal},   {"don't fragment", test_dont_fragment},
	{"lengths", test_lengths},   {"partial checksum", test_partial},
};

UNIT_MAIN("wire/headers", tests)
