/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_icmp.c - "packet too big" read and written: literal messages whose checksums tshark
 * verified, every cut, every bit wrong.
 */
#include <stdlib.h>

#include "base/csum.h"
#include "unit.h"
#include "wire/icmp.h"

/* 10.9.8.7 says 1400 about 192.168.1.2:61000 to 203.0.113.5:443, 8 bytes of TCP quoted. */
#define TOO_BIG4                                                   \
	"45c0003812344000400154170a090807c0a801020304afe400000578" \
	"450005dc1234400040062538c0a80102cb007105 ee4801bb89abcdef"

/* The same, no MTU told, IPv4 options in the quoted header, more of TCP. */
#define TOO_BIG4_OPTIONS                                                    \
	"45c0004812344000400154070a090807c0a80102030483830000 0000"         \
	"460005dc1234400040069033c0a80102cb00710594040000 ee4801bb89abcdef" \
	"01020304801001f5abcd0000"

/* 2001:db8::1 says 1280 about 2001:db8::2 to 2001:db8:ffff::5. */
#define TOO_BIG6                                                                             \
	"6000000000443a40 20010db8000000000000000000000001 20010db8000000000000000000000002" \
	"02005c2700000500"                                                                   \
	"6000000005b4063f 20010db8000000000000000000000002 20010db8ffff00000000000000000005" \
	"ee4801bb89abcdef01020304801001f5abcd0000"

static const struct {
	const char *hex;
	uint8_t family;
	uint32_t mtu_bytes;
	unsigned needed; /* bytes up to the end of the quoted sequence number */
} messages[] = {
	/* 0 */ {TOO_BIG4, FLOW_IPV4, 1400, 56},
	/* 1 */ {TOO_BIG4_OPTIONS, FLOW_IPV4, 0, 60},
	/* 2 */ {TOO_BIG6, FLOW_IPV6, 1280, 96},
};

static bool decode(struct icmp_too_big *m, const uint8_t *data, unsigned n)
{
	uint8_t *copy = malloc(n + !n);
	bool ok;

	memcpy(copy, data, n);
	ok = icmp_too_big_decode(m, copy, n);
	free(copy);
	return ok;
}

static void test_decode(void)
{
	for (unsigned i = 0; i < 3; i++) {
		uint8_t buf[200], addr[2][16] = {{192, 168, 1, 2}, {203, 0, 113, 5}};
		uint8_t router[16] = {10, 9, 8, 7};
		unsigned n = unit_hex(buf, sizeof(buf), messages[i].hex);
		struct icmp_too_big m;

		if (messages[i].family == FLOW_IPV6) {
			unit_hex(router, 16, "20010db8000000000000000000000001");
			unit_hex(addr[0], 16, "20010db8000000000000000000000002");
			unit_hex(addr[1], 16, "20010db8ffff00000000000000000005");
		}
		CHECK_ROW(i, decode(&m, buf, n));
		CHECK_EQ(i, m.family, messages[i].family);
		CHECK_EQ(i, m.mtu_bytes, messages[i].mtu_bytes);
		CHECK_ROW(i, memcmp(m.router.b, router, 16) == 0);
		CHECK_EQ(i, m.about.family, messages[i].family);
		CHECK_ROW(i, memcmp(m.about.src.b, addr[0], 16) == 0);
		CHECK_ROW(i, memcmp(m.about.dst.b, addr[1], 16) == 0);
		CHECK_EQ(i, m.about.src_port, 61000);
		CHECK_EQ(i, m.about.dst_port, 443);
		CHECK_EQ(i, m.seq, 0x89abcdef);
		/* Trailing bytes of the link do no harm. */
		CHECK_ROW(i, decode(&m, buf, n + 6));
	}
}

/* Cut anywhere it is refused, also with lengths and checksum that fit the cut. */
static void test_cut(void)
{
	for (unsigned i = 0; i < 3; i++) {
		uint8_t buf[200];
		unsigned n = unit_hex(buf, sizeof(buf), messages[i].hex);
		bool v4 = messages[i].family == FLOW_IPV4;
		unsigned ip = v4 ? 20 : 40;

		for (unsigned cut = 0; cut < n; cut++) {
			struct icmp_too_big m;
			uint8_t fixed[200];
			uint64_t sum = 0;
			uint16_t csum;

			CHECK_ROW(100 * i + cut, !decode(&m, buf, cut));
			if (cut < ip + 8)
				continue;
			memcpy(fixed, buf, cut);
			fixed[v4 ? 3 : 5] = (uint8_t)(v4 ? cut : cut - 40);
			memset(fixed + ip + 2, 0, 2);
			if (!v4)
				sum = csum_pseudo6(fixed + 8, fixed + 24, 58, cut - ip);
			csum = (uint16_t)~csum_fold(csum_add(sum, fixed + ip, cut - ip));
			memcpy(fixed + ip + 2, &csum, 2);
			CHECK_EQ(100 * i + cut, decode(&m, fixed, cut), cut >= messages[i].needed);
		}
	}
}

/* Any wrong bit of the ICMP message is seen by its checksum. */
static void test_bits(void)
{
	for (unsigned i = 0; i < 3; i++) {
		uint8_t buf[200];
		unsigned n = unit_hex(buf, sizeof(buf), messages[i].hex);
		unsigned ip = messages[i].family == FLOW_IPV4 ? 20 : 40;

		for (unsigned bit = 8 * ip; bit < 8 * n; bit++) {
			struct icmp_too_big m;

			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CHECK_ROW(bit, !decode(&m, buf, n));
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

/* Fields that make it something else, the checksum mended for each. */
static const struct {
	uint8_t which, at, value;
} others[] = {
	/* 0, no ICMP */ {0, 9, 6},
	/* 1, a fragment */ {0, 6, 0x20},
	/* 2 */ {0, 7, 1},
	/* 3, header length */ {0, 0, 0x44},
	/* 4, version */ {0, 0, 0x55},
	/* 5, port unreachable */ {0, 21, 3},
	/* 6, time exceeded */ {0, 20, 11},
	/* 7, about UDP */ {0, 37, 17},
	/* 8, about IPv6 */ {0, 28, 0x65},
	/* 9, about a header length that cannot be */ {0, 28, 0x44},
	/* 10, about one that leads beyond the end */ {0, 28, 0x46},
	/* 11 */ {2, 6, 17},
	/* 12, time exceeded */ {2, 40, 3},
	/* 13, about UDP */ {2, 54, 17},
	/* 14, about IPv4 */ {2, 48, 0x40},
	/* 15, about a first fragment */ {0, 34, 0x20},
	/* 16, about a later one */ {0, 35, 1},
};

static void test_others(void)
{
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		uint8_t buf[200];
		unsigned n = unit_hex(buf, sizeof(buf), messages[others[i].which].hex);
		unsigned ip = others[i].which == 2 ? 40 : 20;
		struct icmp_too_big m;
		uint16_t csum, old_word, new_word;
		unsigned word = others[i].at & ~1U;

		memcpy(&old_word, buf + word, 2);
		buf[others[i].at] = others[i].value;
		memcpy(&new_word, buf + word, 2);
		if (word >= ip) {
			memcpy(&csum, buf + ip + 2, 2);
			csum = csum_patch16(csum, old_word, new_word);
			memcpy(buf + ip + 2, &csum, 2);
		}
		CHECK_ROW(i, !decode(&m, buf, n));
	}
}

/* Written and read again it says the same; it goes from the router to the sender. */
static void test_encode(void)
{
	for (unsigned i = 0; i < 3; i++) {
		uint8_t buf[200], out[ICMP_TOO_BIG_MAX];
		unsigned n = unit_hex(buf, sizeof(buf), messages[i].hex), len;
		unsigned ip = messages[i].family == FLOW_IPV4 ? 20 : 40;
		struct icmp_too_big m, again;

		CHECK_ROW(i, decode(&m, buf, n));
		len = icmp_too_big_encode(out, &m);
		CHECK_EQ(i, len, 2 * ip + 16);
		CHECK_ROW(i, decode(&again, out, len));
		CHECK_EQ(i, again.mtu_bytes, m.mtu_bytes);
		CHECK_EQ(i, again.seq, m.seq);
		CHECK_ROW(i, ip_addr_equal(&again.router, &m.router));
		CHECK_ROW(i, flow_tuple_equal(&again.about, &m.about));
		CHECK_ROW(i, memcmp(out + (ip == 20 ? 16 : 24), m.about.src.b, ip == 20 ? 4 : 16) ==
				     0);
		/* A hop limit with which it arrives. */
		CHECK_EQ(i, out[ip == 20 ? 8 : 7], 64);
		if (ip == 20) {
			CHECK_EQ(i, csum_fold(csum_add(0, out, 20)), 0xffff);
			CHECK_EQ(i, csum_fold(csum_add(0, out + 28, 20)), 0xffff);
		}
	}
}

static const struct unit_test tests[] = {
	{"decode", test_decode}, {"cut", test_cut},       {"bits", test_bits},
	{"others", test_others}, {"encode", test_encode},
};

UNIT_MAIN("wire/icmp", tests)
