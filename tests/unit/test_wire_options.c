/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_options.c - TCP options decoded: every length form, wrong lengths, overruns, cuts,
 * order. What stands inside of MPTCP options is for test_wire_mptcp_decode.c.
 */
#include <stdlib.h>

#include "unit.h"
#include "wire/options.h"

#define T "080a 01020304 f5f6f7f8"

enum have {
	MSS = 1 << 0,
	WSCALE = 1 << 1,
	SACK_PERMITTED = 1 << 2,
	TIMESTAMPS = 1 << 3,
	FASTOPEN = 1 << 4,
	MD5 = 1 << 5,
	AO = 1 << 6,
	OVERRUN = 1 << 7,
	MPTCP = 1 << 8,
};

static unsigned have(const struct options *o)
{
	return (o->has_mss ? MSS : 0U) | (o->has_wscale ? WSCALE : 0U) |
	       (o->has_sack_permitted ? SACK_PERMITTED : 0U) |
	       (o->has_timestamps ? TIMESTAMPS : 0U) | (o->has_fastopen ? FASTOPEN : 0U) |
	       (o->has_md5 ? MD5 : 0U) | (o->has_ao ? AO : 0U) | (o->overrun ? OVERRUN : 0U) |
	       (o->mp.any ? MPTCP : 0U);
}

/* Decodes from a heap block of just that length: a read beyond is an error to the sanitizer. */
static struct options decode(const uint8_t *data, unsigned n)
{
	uint8_t *copy = malloc(n + !n);
	struct options o;

	memcpy(copy, data, n);
	memset(&o, 0xee, sizeof(o));
	options_decode(&o, copy, n, true, false, false);
	free(copy);
	return o;
}

static const struct {
	const char *hex;
	unsigned have;
	uint16_t mss;
	uint8_t wscale, n_sack;
} rows[] = {
	/* 0 */ {"", 0, 0, 0, 0},
	/* 1 */ {"00", 0, 0, 0, 0},
	/* 2 */ {"01010101", 0, 0, 0, 0},
	/* 3 */ {"020405b4", MSS, 1460, 0, 0},
	/* 4 */ {"01030307", WSCALE, 0, 7, 0},
	/* 5, RFC 7323 section 2.3 */ {"0303 0e", WSCALE, 0, 14, 0},
	/* 6 */ {"0303 0f", WSCALE, 0, 14, 0},
	/* 7 */ {"0303 ff", WSCALE, 0, 14, 0},
	/* 8 */ {"0303 00", WSCALE, 0, 0, 0},
	/* 9 */ {"0402", SACK_PERMITTED, 0, 0, 0},
	/* 10 */ {"0101 " T, TIMESTAMPS, 0, 0, 0},
	/* 11 */ {"050a 00000001 00000002", 0, 0, 0, 1},
	/* 12 */ {"0512 00000001 00000002 00000003 00000004", 0, 0, 0, 2},
	/* 13 */ {"051a 00000001 00000002 00000003 00000004 00000005 00000006", 0, 0, 0, 3},
	/* 14 */
	{"0522 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008", 0, 0, 0,
	 4},
	/* 15, Fast Open: a request, a cookie, any length */ {"2202", FASTOPEN, 0, 0, 0},
	/* 16 */ {"220a 0102030405060708", FASTOPEN, 0, 0, 0},
	/* 17 */ {"2203 01", FASTOPEN, 0, 0, 0},
	/* 18, the experimental kind with the magic */ {"fe04 f989", FASTOPEN, 0, 0, 0},
	/* 19 */ {"fe0c f989 0102030405060708", FASTOPEN, 0, 0, 0},
	/* 20, with another */ {"fe04 f988", 0, 0, 0, 0},
	/* 21, too short for one */ {"fe02 f989", OVERRUN, 0, 0, 0},
	/* 22 */ {"fe03 f9", 0, 0, 0, 0},
	/* 23, the other experimental kind */ {"fd04 f989", 0, 0, 0, 0},
	/* 24 */ {"1312 000102030405060708090a0b0c0d0e0f", MD5, 0, 0, 0},
	/* 25 */ {"1d10 0102 0102030405060708090a0b0c", AO, 0, 0, 0},
	/* 26, MD5 of a wrong length is still MD5 */ {"1303 00", MD5, 0, 0, 0},
	/* 27, MPTCP without a subtype */ {"1e02", MPTCP, 0, 0, 0},
	/* 28 */ {"1e04 0101", MPTCP, 0, 0, 0},
	/* 29, unknown kinds are stepped over */ {"ff05 010203 020405b4", MSS, 1460, 0, 0},
	/* 30 */ {"0602 0702 1c04 0000 020405b4", MSS, 1460, 0, 0},
	/* 31, EOL ends it */ {"0402 00 020405b4", SACK_PERMITTED, 0, 0, 0},
	/* 32, behind EOL nothing overruns */ {"020405b4 00 08", MSS, 1460, 0, 0},
	/* 33, the first wins */ {"020405b4 02040001", MSS, 1460, 0, 0},
	/* 34 */ {"030307 030301", WSCALE, 0, 7, 0},
	/* 35, a wrong one does not count as first */ {"0203ff 020405b4", MSS, 1460, 0, 0},
	/* 36, Linux */
	{"020405b4 0402 " T " 01 030307", MSS | SACK_PERMITTED | TIMESTAMPS | WSCALE, 1460, 7, 0},
	/* 37, iPXE: MSS last */
	{"0101 " T " 0101 0402 01 030309 020405b4", MSS | SACK_PERMITTED | TIMESTAMPS | WSCALE,
	 1460, 9, 0},
	/* 38, lwIP */ {"020405b4 01 030301", MSS | WSCALE, 1460, 1, 0},
	/* 39, Windows */
	{"020405b4 01 030308 0101 0402", MSS | WSCALE | SACK_PERMITTED, 1460, 8, 0},
};

static void test_rows(void)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t buf[OPTIONS_MAX];
		unsigned n = unit_hex(buf, sizeof(buf), rows[i].hex);
		struct options o = decode(buf, n);

		CHECK_EQ(i, have(&o), rows[i].have);
		CHECK_EQ(i, o.mss, rows[i].mss);
		CHECK_EQ(i, o.wscale, rows[i].wscale);
		CHECK_EQ(i, o.n_sack, rows[i].n_sack);
		CHECK_EQ(i, o.tsval, o.has_timestamps ? 0x01020304 : 0);
		CHECK_EQ(i, o.tsecr, o.has_timestamps ? 0xf5f6f7f8 : 0);
		for (unsigned k = 0; k < o.n_sack; k++) {
			CHECK_EQ(i, o.sack[k].start, 2 * k + 1);
			CHECK_EQ(i, o.sack[k].end, 2 * k + 2);
		}
	}
}

/* Each kind with each length from 2 to 40 behind it, all bytes there: only the right ones count. */
static void test_wrong_lengths(void)
{
	static const uint8_t kinds[] = {TCPOPT_MSS, TCPOPT_WSCALE, TCPOPT_SACK_PERMITTED,
					TCPOPT_TIMESTAMPS, TCPOPT_SACK};

	for (unsigned k = 0; k < sizeof(kinds); k++)
		for (unsigned len = 2; len <= OPTIONS_MAX; len++) {
			uint8_t buf[OPTIONS_MAX] = {kinds[k], (uint8_t)len};
			struct options o;
			unsigned want = 0, n_sack = 0;

			if (kinds[k] == TCPOPT_MSS && len == 4)
				want = MSS;
			if (kinds[k] == TCPOPT_WSCALE && len == 3)
				want = WSCALE;
			if (kinds[k] == TCPOPT_SACK_PERMITTED && len == 2)
				want = SACK_PERMITTED;
			if (kinds[k] == TCPOPT_TIMESTAMPS && len == 10)
				want = TIMESTAMPS;
			if (kinds[k] == TCPOPT_SACK &&
			    (len == 10 || len == 18 || len == 26 || len == 34))
				n_sack = len / 8;
			o = decode(buf, len);
			CHECK_EQ(100 * k + len, have(&o), want);
			CHECK_EQ(100 * k + len, o.n_sack, n_sack);
		}
}

/* Every option cut at every length is an overrun, and what stood before it is decoded. */
static void test_cut(void)
{
	static const char *const options[] = {
		"020405b4",
		"030307",
		"0402",
		T,
		"050a 00000001 00000002",
		"0522 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008",
		"220a 0102030405060708",
		"fe0c f989 0102030405060708",
		"1d10 0102030405060708090a0b0c0d0e",
		"1312 000102030405060708090a0b0c0d0e0f",
		"1e04 0101",
		"1e0c 0101 0102030405060708",
		"1e1a 201f 0102030405060708 0102030405060708 00000001 0001",
		"ff08 010203040506",
	};

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		uint8_t buf[3 + OPTIONS_MAX] = {TCPOPT_WSCALE, 3, 5};
		unsigned n = unit_hex(buf + 3, OPTIONS_MAX, options[i]);

		for (unsigned cut = 1; cut < n; cut++) {
			struct options o = decode(buf + 3, cut);

			CHECK_EQ(100 * i + cut, have(&o), OVERRUN);
			CHECK_EQ(100 * i + cut, o.n_sack, 0);
			o = decode(buf, 3 + cut);
			CHECK_EQ(100 * i + cut, have(&o), OVERRUN | WSCALE);
			CHECK_EQ(100 * i + cut, o.wscale, 5);
		}
	}
}

static void test_bad_lengths(void)
{
	static const char *const bad[] = {
		/* 0 */ "0200",      /* 1 */ "0201",      /* 2 */ "02",
		/* 3 */ "0205 05b4",
		/* 4 */ "1e00 0101", /* 5 */ "1e01 0101", /* 6 */ "1eff 0101",
		/* 7 */ "0101 08",   /* 8 */ "ff00",      /* 9 */ "08ff 0000000000000000",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t buf[OPTIONS_MAX];
		unsigned n = unit_hex(buf, sizeof(buf), bad[i]);
		struct options o = decode(buf, n);

		CHECK_EQ(i, have(&o), OVERRUN);
	}
}

/* The flags reach the MPTCP decoder: the same 12 bytes are an answer or nonsense. */
static void test_flags(void)
{
	uint8_t buf[OPTIONS_MAX];
	unsigned n = unit_hex(buf, sizeof(buf), "1e0c 0101 0102030405060708");
	struct options o;

	options_decode(&o, buf, n, true, true, false);
	CU_ASSERT(o.mp.has_capable && !o.mp.invalid);
	options_decode(&o, buf, n, true, false, false);
	CU_ASSERT(!o.mp.has_capable && o.mp.invalid);
	options_decode(&o, buf, n, false, true, false);
	CU_ASSERT(!o.mp.has_capable && o.mp.invalid);
	n = unit_hex(buf, sizeof(buf), "1e16 0101 0102030405060708 1112131415161718 0064");
	options_decode(&o, buf, n, false, true, true);
	CU_ASSERT(o.mp.has_capable && !o.mp.invalid);
	options_decode(&o, buf, n, false, true, false);
	CU_ASSERT(!o.mp.has_capable && o.mp.invalid);
	/* Kind 30, length 2: there is no subtype, it is not valid. */
	n = unit_hex(buf, sizeof(buf), "1e02 1e04 0101");
	options_decode(&o, buf, n, true, false, false);
	CU_ASSERT(o.mp.any && o.mp.invalid && o.mp.has_capable);
}

/* Any 40 bytes: no crash, no read beyond, and counts within their arrays. */
static void test_random(void)
{
	uint64_t state = 10;

	for (unsigned row = 0; row < 50000; row++) {
		static const uint8_t likely[] = {1, 2, 3, 4, 5, 8, 10, 12, 18, 20, 26, 30, 34};
		uint8_t buf[OPTIONS_MAX];
		unsigned n = (unsigned)unit_random(&state) % (OPTIONS_MAX + 1);
		struct options o;

		for (unsigned i = 0; i < n; i++) {
			uint64_t r = unit_random(&state);

			buf[i] = r % 2 ? (uint8_t)(r >> 8) : likely[(r >> 8) % sizeof(likely)];
		}
		o = decode(buf, n);
		CHECK_ROW(row, o.n_sack <= OPTIONS_SACK_MAX && o.wscale <= 14);
		CHECK_ROW(row, o.mp.remove_addr.n <= REMOVE_ADDR_MAX);
	}
}

static const struct unit_test tests[] = {
	{"rows", test_rows},   {"wrong lengths", test_wrong_lengths},
	{"cut", test_cut},     {"bad lengths", test_bad_lengths},
	{"flags", test_flags}, {"random", test_random},
};

UNIT_MAIN("wire/options", tests)
