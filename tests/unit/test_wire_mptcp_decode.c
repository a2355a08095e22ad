/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_mptcp_decode.c - MPTCP options decoded: every length form of every subtype, every
 * other length, the version 0 forms, duplicates.
 */
#include <stdlib.h>

#include "mptcp_text.h"

#define K1 "0102030405060708"
#define K2 "1112131415161718"
#define HMAC20 "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3"
#define V6 "20010db8000000000000000000000001"

enum { SYN = 1, ACK = 2, DATA = 4 };

static void decode(struct mptcp *m, const uint8_t *opt, unsigned len, unsigned flags)
{
	uint8_t *copy = malloc(len);

	memcpy(copy, opt, len);
	mptcp_decode(m, copy, len, flags & SYN, flags & ACK, flags & DATA);
	free(copy);
}

struct row {
	unsigned flags;
	const char *hex, *want;
};

static void check_rows(const struct row *rows, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t buf[OPTIONS_MAX];
		unsigned len = unit_hex(buf, sizeof(buf), rows[i].hex);
		struct mptcp m = {0};
		struct text t;

		CHECK_EQ(i, buf[1], len);
		decode(&m, buf, len, rows[i].flags);
		mptcp_text(&t, &m);
		CHECK_TEXT(i, t.s, rows[i].want);
		CHECK_ROW(i, m.any);
	}
}

static const struct row capable[] = {
	/* 0 */ {SYN, "1e04 0101", "capable v1 flags=01"},
	/* 1, checksum wanted */ {SYN, "1e04 0181", "capable v1 flags=81"},
	/* 2, flags are the engine's to judge */ {SYN, "1e04 0161", "capable v1 flags=61"},
	/* 3 */ {SYN, "1e04 0100", "capable v1 flags=00"},
	/* 4 */
	{SYN | ACK, "1e0c 0101" K1, "capable v1 flags=01 from=0102030405060708"},
	/* 5 */
	{ACK, "1e14 0101" K1 K2, "capable v1 flags=01 from=0102030405060708 to=1112131415161718"},
	/* 6 */
	{ACK | DATA, "1e16 0101" K1 K2 "0064",
	 "capable v1 flags=01 from=0102030405060708 to=1112131415161718 len=100"},
	/* 7 */
	{ACK | DATA, "1e18 0181" K1 K2 "ffff 1234",
	 "capable v1 flags=81 from=0102030405060708 to=1112131415161718 len=65535 csum=1234"},
	/* 8, length 0 is a length */
	{ACK | DATA, "1e16 0101" K1 K2 "0000",
	 "capable v1 flags=01 from=0102030405060708 to=1112131415161718 len=0"},
	/* 9, keys of zero are the engine's to judge */
	{SYN | ACK, "1e0c 0101 0000000000000000", "capable v1 flags=01 from=0000000000000000"},
	/* 10, each form where another belongs */ {SYN | ACK, "1e04 0101", "invalid"},
	/* 11 */ {ACK, "1e04 0101", "invalid"},
	/* 12, the SYN of version 1 has no key */ {SYN, "1e0c 0101" K1, "invalid"},
	/* 13 */ {ACK, "1e0c 0101" K1, "invalid"},
	/* 14 */ {SYN, "1e14 0101" K1 K2, "invalid"},
	/* 15 */ {SYN | ACK, "1e14 0101" K1 K2, "invalid"},
	/* 16, with data the length must be told */ {ACK | DATA, "1e14 0101" K1 K2, "invalid"},
	/* 17, without data it must not */ {ACK, "1e16 0101" K1 K2 "0064", "invalid"},
	/* 18 */ {ACK, "1e18 0101" K1 K2 "0064 1234", "invalid"},
	/* 19 */ {SYN | DATA, "1e16 0101" K1 K2 "0064", "invalid"},
	/* 20, version 0 */ {SYN, "1e0c 0001" K1, "capable v0 flags=01 from=0102030405060708"},
	/* 21 */ {SYN | ACK, "1e0c 0001" K1, "capable v0 flags=01 from=0102030405060708"},
	/* 22 */
	{ACK, "1e14 0001" K1 K2, "capable v0 flags=01 from=0102030405060708 to=1112131415161718"},
	/* 23, with data it is the same option */
	{ACK | DATA, "1e14 0001" K1 K2,
	 "capable v0 flags=01 from=0102030405060708 to=1112131415161718"},
	/* 24 */ {SYN, "1e04 0001", "invalid"},
	/* 25 */ {ACK | DATA, "1e16 0001" K1 K2 "0064", "invalid"},
	/* 26, versions to come: as version 1 */ {SYN, "1e04 0201", "capable v2 flags=01"},
	/* 27 */ {SYN, "1e04 0f01", "capable v15 flags=01"},
	/* 28 */ {SYN, "1e0c 0201" K1, "invalid"},
	/* 29, data on a SYN (Fast Open) changes nothing */
	{SYN | DATA, "1e04 0101", "capable v1 flags=01"},
};

static void test_capable(void)
{
	check_rows(capable, sizeof(capable) / sizeof(capable[0]));
}

static const struct row join[] = {
	/* 0 */ {SYN, "1e0c 1007 a1a2a3a4 b1b2b3b4", "join syn id=7 token=a1a2a3a4 nonce=b1b2b3b4"},
	/* 1 */
	{SYN, "1e0c 11ff a1a2a3a4 b1b2b3b4",
	 "join syn id=255 backup token=a1a2a3a4 nonce=b1b2b3b4"},
	/* 2, reserved bits */
	{SYN, "1e0c 1e00 a1a2a3a4 b1b2b3b4", "join syn id=0 token=a1a2a3a4 nonce=b1b2b3b4"},
	/* 3 */
	{SYN | ACK, "1e10 1003" K1 "b1b2b3b4",
	 "join synack id=3 nonce=b1b2b3b4 hmac=0102030405060708"},
	/* 4 */
	{SYN | ACK, "1e10 1103" K1 "b1b2b3b4",
	 "join synack id=3 backup nonce=b1b2b3b4 hmac=0102030405060708"},
	/* 5 */
	{ACK, "1e18 1000" HMAC20, "join ack hmac=a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3"},
	/* 6, its flags and id are reserved */
	{ACK, "1e18 1f63" HMAC20, "join ack hmac=a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3"},
	/* 7, with data */
	{ACK | DATA, "1e18 1000" HMAC20, "join ack hmac=a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3"},
	/* 8, forms in the wrong place */ {SYN | ACK, "1e0c 1007 a1a2a3a4 b1b2b3b4", "invalid"},
	/* 9 */ {ACK, "1e0c 1007 a1a2a3a4 b1b2b3b4", "invalid"},
	/* 10 */ {SYN, "1e10 1003" K1 "b1b2b3b4", "invalid"},
	/* 11 */ {ACK, "1e10 1003" K1 "b1b2b3b4", "invalid"},
	/* 12 */ {SYN, "1e18 1000" HMAC20, "invalid"},
	/* 13 */ {SYN | ACK, "1e18 1000" HMAC20, "invalid"},
	/* 14, neither SYN nor ACK */ {0, "1e18 1000" HMAC20, "invalid"},
};

static void test_join(void)
{
	uint8_t buf[OPTIONS_MAX];
	unsigned len = unit_hex(buf, sizeof(buf), "1e10 1003" K1 "b1b2b3b4");
	struct mptcp m = {0};

	check_rows(join, sizeof(join) / sizeof(join[0]));
	/* The truncated HMAC is 8 bytes and no more. */
	decode(&m, buf, len, SYN | ACK);
	for (unsigned i = 8; i < sizeof(m.join.hmac); i++)
		CHECK_EQ(i, m.join.hmac[i], 0);
}

static const struct row dss[] = {
	/* 0, empty */ {ACK, "1e04 2000", "dss"},
	/* 1 */ {ACK, "1e08 2001 a1a2a3a4", "dss ack32=a1a2a3a4"},
	/* 2 */ {ACK, "1e0c 2003" K1, "dss ack64=0102030405060708"},
	/* 3 */
	{ACK, "1e0e 2004 a1a2a3a4 00000001 05b4", "dss dsn32=a1a2a3a4 ssn=1 len=1460"},
	/* 4 */
	{ACK, "1e12 200c" K1 "00000001 05b4", "dss dsn64=0102030405060708 ssn=1 len=1460"},
	/* 5 */
	{ACK, "1e12 2005 b1b2b3b4 a1a2a3a4 00000001 05b4",
	 "dss ack32=b1b2b3b4 dsn32=a1a2a3a4 ssn=1 len=1460"},
	/* 6 */
	{ACK, "1e16 2007" K2 "a1a2a3a4 00000001 05b4",
	 "dss ack64=1112131415161718 dsn32=a1a2a3a4 ssn=1 len=1460"},
	/* 7 */
	{ACK, "1e16 200d b1b2b3b4" K1 "00000001 05b4",
	 "dss ack32=b1b2b3b4 dsn64=0102030405060708 ssn=1 len=1460"},
	/* 8 */
	{ACK, "1e1a 200f" K2 K1 "00000001 05b4",
	 "dss ack64=1112131415161718 dsn64=0102030405060708 ssn=1 len=1460"},
	/* 9, the maps with checksum */
	{ACK, "1e10 2004 a1a2a3a4 00000001 05b4 1234",
	 "dss dsn32=a1a2a3a4 ssn=1 len=1460 csum=1234"},
	/* 10 */
	{ACK, "1e14 200c" K1 "00000001 05b4 1234",
	 "dss dsn64=0102030405060708 ssn=1 len=1460 csum=1234"},
	/* 11 */
	{ACK, "1e14 2005 b1b2b3b4 a1a2a3a4 00000001 05b4 1234",
	 "dss ack32=b1b2b3b4 dsn32=a1a2a3a4 ssn=1 len=1460 csum=1234"},
	/* 12 */
	{ACK, "1e18 2007" K2 "a1a2a3a4 00000001 05b4 1234",
	 "dss ack64=1112131415161718 dsn32=a1a2a3a4 ssn=1 len=1460 csum=1234"},
	/* 13 */
	{ACK, "1e18 200d b1b2b3b4" K1 "00000001 05b4 1234",
	 "dss ack32=b1b2b3b4 dsn64=0102030405060708 ssn=1 len=1460 csum=1234"},
	/* 14 */
	{ACK, "1e1c 200f" K2 K1 "00000001 05b4 1234",
	 "dss ack64=1112131415161718 dsn64=0102030405060708 ssn=1 len=1460 csum=1234"},
	/* 15, DATA_FIN alone */
	{ACK, "1e1a 201f" K2 K1 "00000000 0001",
	 "dss ack64=1112131415161718 dsn64=0102030405060708 ssn=0 len=1 fin"},
	/* 16, DATA_FIN with data */
	{ACK | DATA, "1e12 201c" K1 "ffffffff 0065",
	 "dss dsn64=0102030405060708 ssn=4294967295 len=101 fin"},
	/* 17, an infinite mapping */
	{ACK, "1e0e 2004 a1a2a3a4 00000001 0000", "dss dsn32=a1a2a3a4 ssn=1 len=0"},
	/* 18, widths without their field */ {ACK, "1e04 200a", "dss"},
	/* 19, DATA_FIN without a mapping */ {ACK, "1e0c 2013" K1, "dss ack64=0102030405060708"},
	/* 20, reserved bits, of both bytes */
	{ACK, "1e0c 2fe3" K1, "dss ack64=0102030405060708"},
	/* 21, a checksum needs a mapping */ {ACK, "1e06 2000 1234", "invalid"},
	/* 22 */ {ACK, "1e0e 2003" K1 "1234", "invalid"},
};

static void test_dss(void)
{
	check_rows(dss, sizeof(dss) / sizeof(dss[0]));
}

static const struct row addresses[] = {
	/* 0 */ {ACK, "1e10 3005 0a4e090a" K1, "add id=5 addr=0a4e090a hmac=0102030405060708"},
	/* 1 */
	{ACK, "1e12 3005 0a4e090a 1e61" K1,
	 "add id=5 addr=0a4e090a port=7777 hmac=0102030405060708"},
	/* 2 */
	{ACK, "1e1c 3005" V6 K1,
	 "add id=5 addr=20010db8000000000000000000000001 hmac=0102030405060708"},
	/* 3 */
	{ACK, "1e1e 3005" V6 "1e61" K1,
	 "add id=5 addr=20010db8000000000000000000000001 port=7777 hmac=0102030405060708"},
	/* 4 */ {ACK, "1e08 3105 0a4e090a", "add-echo id=5 addr=0a4e090a"},
	/* 5 */ {ACK, "1e0a 3105 0a4e090a 1e61", "add-echo id=5 addr=0a4e090a port=7777"},
	/* 6 */
	{ACK, "1e14 3105" V6, "add-echo id=5 addr=20010db8000000000000000000000001"},
	/* 7 */
	{ACK, "1e16 3105" V6 "1e61",
	 "add-echo id=5 addr=20010db8000000000000000000000001 port=7777"},
	/* 8, reserved bits */
	{ACK, "1e10 3e05 0a4e090a" K1, "add id=5 addr=0a4e090a hmac=0102030405060708"},
	/* 9, an echo with HMAC */ {ACK, "1e10 3105 0a4e090a" K1, "invalid"},
	/* 10 */ {ACK, "1e1c 3105" V6 K1, "invalid"},
	/* 11, none without */ {ACK, "1e08 3005 0a4e090a", "invalid"},
	/* 12, version 0: IPv4 */ {ACK, "1e08 3405 0a4e090a", "invalid"},
	/* 13 */ {ACK, "1e0a 3405 0a4e090a 1e61", "invalid"},
	/* 14, version 0: IPv6 */ {ACK, "1e14 3605" V6, "invalid"},
	/* 15 */ {ACK, "1e16 3605" V6 "1e61", "invalid"},
	/* 16, port 0 */ {ACK, "1e12 3005 0a4e090a 0000" K1, "invalid"},
	/* 17 */ {ACK, "1e16 3105" V6 "0000", "invalid"},
	/* 18 */ {ACK, "1e04 4005", "remove=05"},
	/* 19 */ {ACK, "1e05 4005 00", "remove=0500"},
	/* 20 */ {ACK, "1e0b 4001 02030405060708", "remove=0102030405060708"},
	/* 21, more than we hold */ {ACK, "1e0c 4001 0203040506070809", "invalid"},
	/* 22, none */ {ACK, "1e03 40", "invalid"},
};

static void test_addresses(void)
{
	check_rows(addresses, sizeof(addresses) / sizeof(addresses[0]));
}

static const struct row signals[] = {
	/* 0 */ {ACK, "1e03 50", "prio=0"},
	/* 1 */ {ACK, "1e03 51", "prio=1"},
	/* 2, reserved bits */ {ACK, "1e03 5e", "prio=0"},
	/* 3, version 0: with an address id */ {ACK, "1e04 5109", "prio=1 id=9"},
	/* 4 */ {ACK, "1e05 5109 00", "invalid"},
	/* 5 */ {ACK, "1e0c 6000" K1, "fail=0102030405060708"},
	/* 6 */ {ACK, "1e0c 7000" K1, "fastclose=0102030405060708"},
	/* 7, reserved bits */ {ACK, "1e0c 7fff" K1, "fastclose=0102030405060708"},
	/* 8 */ {ACK, "1e04 8000", "rst=0"},
	/* 9 */ {ACK, "1e04 8103", "rst=3 transient"},
	/* 10, the flags U, V, W */ {ACK, "1e04 8e06", "rst=6"},
	/* 11, subtypes that nobody defined */ {ACK, "1e04 9000", "unknown"},
	/* 12 */ {ACK, "1e03 e0", "unknown"},
	/* 13, private use */ {ACK, "1e05 f000 01", "unknown"},
};

static void test_signals(void)
{
	check_rows(signals, sizeof(signals) / sizeof(signals[0]));
}

static bool length_possible(unsigned subtype, unsigned low, unsigned byte3, unsigned len,
			    unsigned flags)
{
	unsigned need = 4;

	switch (subtype) {
	case MPTCP_CAPABLE:
		if (flags & SYN)
			return len == (flags & ACK || low == 0 ? 12U : 4U);
		if (flags & DATA && low != 0)
			return len == 22 || len == 24;
		return len == 20;
	case MPTCP_JOIN:
		return (flags & 3) != 0 && len == (unsigned[]){0, 12, 24, 16}[flags & 3];
	case MPTCP_DSS:
		need += byte3 & 1 ? (byte3 & 2 ? 8 : 4) : 0;
		need += byte3 & 4 ? (byte3 & 8 ? 14 : 10) : 0;
		return len == need || (byte3 & 4 && len == need + 2);
	case MPTCP_ADD_ADDR:
		len -= low & 1 ? 0 : 8;
		return len == 8 || len == 10 || len == 20 || len == 22;
	case MPTCP_REMOVE_ADDR:
		return len >= 4 && len <= 11;
	case MPTCP_PRIO:
		return len == 3 || len == 4;
	case MPTCP_FAIL:
	case MPTCP_FASTCLOSE:
		return len == 12;
	case MPTCP_TCPRST:
		return len == 4;
	default:
		return false;
	}
}

/* Every subtype, its low bits and fourth byte, at every length and with all flags. */
static void test_every_length(void)
{
	for (unsigned first = 0; first < 256; first++)
		for (unsigned byte3 = 0; byte3 < 256; byte3 += first == 0x20 ? 1 : 85)
			for (unsigned len = 3; len <= OPTIONS_MAX; len++)
				for (unsigned flags = 0; flags < 8; flags++) {
					uint8_t buf[OPTIONS_MAX];
					struct mptcp m = {0};
					bool want;

					memset(buf, 0x11, sizeof(buf));
					buf[0] = TCPOPT_MPTCP;
					buf[1] = (uint8_t)len;
					buf[2] = (uint8_t)first;
					buf[3] = (uint8_t)byte3;
					decode(&m, buf, len, flags);
					want = length_possible(first >> 4, first & 15, byte3, len,
							       flags);
					CHECK_EQ(first, m.invalid, !want && first >> 4 <= 8);
					CHECK_EQ(first, m.unknown, first >> 4 > 8);
				}
}

static const struct {
	const char *first, *second, *want;
} pairs[] = {
	/* 0, the first of a subtype wins */
	{"1e08 2001 a1a2a3a4", "1e08 2001 b1b2b3b4", "dss ack32=a1a2a3a4 duplicate"},
	/* 1, whatever the second's length */
	{"1e08 2001 a1a2a3a4", "1e05 2001 b1", "dss ack32=a1a2a3a4 duplicate"},
	/* 2 */ {"1e04 8001", "1e04 8102", "rst=1 duplicate"},
	/* 3 */ {"1e03 50", "1e03 51", "prio=0 duplicate"},
	/* 4 */ {"1e04 4001", "1e04 4002", "remove=01 duplicate"},
	/* 5 */
	{"1e08 3105 0a4e090a", "1e08 3106 0a4e090b", "add-echo id=5 addr=0a4e090a duplicate"},
	/* 6 */
	{"1e0c 7000" K1, "1e0c 7000" K2, "fastclose=0102030405060708 duplicate"},
	/* 7 */ {"1e0c 6000" K1, "1e0c 6000" K2, "fail=0102030405060708 duplicate"},
	/* 8 */
	{"1e14 0101" K1 K2, "1e14 0101" K2 K1,
	 "capable v1 flags=01 from=0102030405060708 to=1112131415161718 duplicate"},
	/* 9 */
	{"1e18 1000" HMAC20, "1e18 1000" HMAC20,
	 "join ack hmac=a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3 duplicate"},
	/* 10, one that is not valid does not count as first */
	{"1e05 2001 b1", "1e08 2001 a1a2a3a4", "dss ack32=a1a2a3a4 invalid"},
	/* 11, different subtypes go together */
	{"1e0c 7000" K1, "1e04 8000", "fastclose=0102030405060708 rst=0"},
	/* 12 */ {"1e0c 2003" K1, "1e04 4005", "dss ack64=0102030405060708 remove=05"},
	/* 13 */ {"1e04 9000", "1e04 9000", "unknown"},
};

static void test_pairs(void)
{
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		uint8_t buf[2 * OPTIONS_MAX];
		unsigned n = unit_hex(buf, OPTIONS_MAX, pairs[i].first);
		unsigned second = unit_hex(buf + n, OPTIONS_MAX, pairs[i].second);
		struct mptcp m = {0};
		struct text t;

		decode(&m, buf, n, ACK);
		decode(&m, buf + n, second, ACK);
		mptcp_text(&t, &m);
		CHECK_TEXT(i, t.s, pairs[i].want);
	}
}

static const struct unit_test tests[] = {
	{"MP_CAPABLE", test_capable},
	{"MP_JOIN", test_join},
	{"DSS", test_dss},
	{"addresses", test_addresses},
	{"signals", test_signals},
	{"every length", test_every_length},
	{"pairs", test_pairs},
};

UNIT_MAIN("wire/mptcp_decode", tests)
