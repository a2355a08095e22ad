/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_base_csum.c - the checksum against literal sums, real headers and a byte-wise oracle.
 */
#include "base/csum.h"
#include "unit.h"

/* The value as it reads on the wire. */
static unsigned wire(uint16_t csum)
{
	uint8_t b[2];

	memcpy(b, &csum, sizeof(b));
	return b[0] * 256U + b[1];
}

static uint16_t memory(unsigned value)
{
	const uint8_t b[2] = {(uint8_t)(value >> 8), (uint8_t)value};
	uint16_t csum;

	memcpy(&csum, b, sizeof(csum));
	return csum;
}

/* RFC 1071 section 1, one byte pair at a time. */
static unsigned oracle(const uint8_t *data, size_t len)
{
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? data[i] : data[i] * 256U;
		sum = sum % 65536 + sum / 65536;
	}
	return sum;
}

static const struct {
	const char *hex;
	unsigned sum; /* on the wire, not inverted */
} literal[] = {
	/* 0 */ {"", 0x0000},
	/* 1 */ {"01", 0x0100},
	/* 2 */ {"0001", 0x0001},
	/* 3, RFC 1071 section 3 */ {"0001 f203 f4f5 f6f7", 0xddf2},
	/* 4, odd: a zero follows */ {"0001 f203 f4f5 f6", 0xdcfb},
	/* 5, all ones stay ones */ {"ffff", 0xffff},
	/* 6 */ {"ffff ffff ffff ffff", 0xffff},
	/* 7 */ {"ffff 0001", 0x0001},
	/* 8 */ {"ffff ffff 0001 8000", 0x8001},
	/* 9, an IPv4 header with its checksum */
	{"4500 0040 aeca 4000 3f06 6e47 0a4e 0102 0a4e 0909", 0xffff},
	/* 10, the same without */
	{"4500 0040 aeca 4000 3f06 0000 0a4e 0102 0a4e 0909", 0x91b8},
	/* 11, {DSN, SSN, length, 0} of a DATA_FIN whose DSS checksum was aa66 */
	{"11c45dd65a368bc7 00000000 0001 0000", 0x5599},
	/* 12, 35 bytes: main loop and every tail */
	{"00000000000000000000000000000000 00000000000000000000000000000000 0000 ff", 0xff00},
};

static void test_literal(void)
{
	for (unsigned i = 0; i < sizeof(literal) / sizeof(literal[0]); i++) {
		uint8_t buf[64];
		unsigned n = unit_hex(buf, sizeof(buf), literal[i].hex);

		CHECK_EQ(i, wire(csum_fold(csum_add(0, buf, n))), literal[i].sum);
	}
}

/* Every length up to 300 at every alignment, random bytes and all ones. */
static void test_lengths(void)
{
	static uint8_t buf[320];
	uint64_t state = 1;

	for (unsigned ones = 0; ones < 2; ones++) {
		for (unsigned i = 0; i < sizeof(buf); i++)
			buf[i] = ones ? 0xff : (uint8_t)unit_random(&state);
		for (unsigned len = 0; len <= 300; len++)
			for (unsigned at = 0; at < 8; at++)
				CHECK_EQ(len, wire(csum_fold(csum_add(0, buf + at, len))),
					 oracle(buf + at, len));
	}
}

/* Pieces of even length may be summed apart and together, in any order. */
static void test_pieces(void)
{
	static uint8_t buf[65536];
	uint64_t state = 2;

	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)unit_random(&state);
	for (unsigned row = 0; row < 500; row++) {
		unsigned cut = (unsigned)unit_random(&state) % 65536 & ~1U;
		unsigned len = cut + (unsigned)unit_random(&state) % (65537 - cut);
		uint64_t chained = csum_add(csum_add(0, buf, cut), buf + cut, len - cut);
		uint64_t added = csum_add(0, buf + cut, len - cut) + csum_add(0, buf, cut);

		CHECK_EQ(row, wire(csum_fold(chained)), oracle(buf, len));
		CHECK_EQ(row, csum_fold(added), csum_fold(chained));
	}
	/* 64 KB of ones is where carries are densest. */
	memset(buf, 0xff, sizeof(buf));
	CHECK_EQ(0, wire(csum_fold(csum_add(0, buf, sizeof(buf)))), 0xffff);
	CHECK_EQ(1, wire(csum_fold(csum_add(0, buf, sizeof(buf) - 1))), oracle(buf, 65535));
}

static const struct {
	uint64_t sum;
	uint16_t fold;
} folds[] = {
	/* 0 */ {0, 0},
	/* 1 */ {0xffff, 0xffff},
	/* 2 */ {0x10000, 1},
	/* 3 */ {0x1ffff, 1},
	/* 4 */ {0xffffffff, 0xffff},
	/* 5 */ {0x100000000, 1},
	/* 6 */ {UINT64_MAX, 0xffff},
	/* 7 */ {UINT64_MAX - 1, 0xfffe},
	/* 8, the carry of the first fold carries again */ {0x00000001ffffffff, 1},
	/* 9 */ {0xffff0001ffff0000, 1},
	/* 10 */ {0x0001000200030004, 10},
};

static void test_fold(void)
{
	for (unsigned i = 0; i < sizeof(folds) / sizeof(folds[0]); i++)
		CHECK_EQ(i, csum_fold(folds[i].sum), folds[i].fold);
}

static void test_pseudo(void)
{
	static const uint8_t src4[4] = {10, 78, 1, 2}, dst4[4] = {10, 78, 9, 9};
	static const uint8_t src6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	static const uint8_t dst6[16] = {0xfe, 0x80, [8] = 0x02, [15] = 0xff};

	/* 0a4e 0102 0a4e 0909 0006 002c; the header's words must make ffff with it. */
	CHECK_EQ(0, wire(csum_fold(csum_pseudo4(src4, dst4, 6, 44))), 0x1ed9);
	/* A length beyond 16 bits: 0001 0000 counts as 1 (big TCP). */
	CHECK_EQ(1, wire(csum_fold(csum_pseudo4(src4, dst4, 6, 0x10000))), 0x1eae);
	/* 2001 0db8 0001 fe80 0200 00ff 0000 0014 0006 */
	CHECK_EQ(2, wire(csum_fold(csum_pseudo6(src6, dst6, 6, 20))), 0x2f54);
	/* ... 0001 86a0 0006 */
	CHECK_EQ(3, wire(csum_fold(csum_pseudo6(src6, dst6, 6, 100000))), 0xb5e1);
}

static const struct {
	unsigned csum, old_word, new_word, want;
} patches[] = {
	/* 0, RFC 1624 section 4: equation 2 would say ffff */ {0xdd2f, 0x5555, 0x3285, 0x0000},
	/* 1, nothing changes */ {0x6e47, 0x0040, 0x0040, 0x6e47},
	/* 2, TTL 3f to 3e of a real header */ {0x6e47, 0x3f06, 0x3e06, 0x6f47},
	/* 3 */ {0x6e47, 0x0040, 0x0050, 0x6e37},
	/* 4 */ {0x0000, 0x0000, 0x0001, 0xfffe},
	/* 5, a borrow; only a header all of zeros could tell the zeros apart */
	{0xfffe, 0x0001, 0x0000, 0x0000},
	/* 6 */ {0x1234, 0x0000, 0xffff, 0x1234},
};

static void test_patch(void)
{
	uint8_t buf[40];
	uint64_t state = 3;

	for (unsigned i = 0; i < sizeof(patches) / sizeof(patches[0]); i++)
		CHECK_EQ(i,
			 wire(csum_patch16(memory(patches[i].csum), memory(patches[i].old_word),
					   memory(patches[i].new_word))),
			 patches[i].want);
	/* The patched checksum verifies, wherever and whatever the word. */
	for (unsigned row = 0; row < 20000; row++) {
		unsigned at = 2 * (unit_random(&state) % 20);
		uint16_t csum, old_word, new_word;

		for (unsigned i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)unit_random(&state);
		csum = (uint16_t)~csum_fold(csum_add(0, buf, sizeof(buf)));
		memcpy(&old_word, buf + at, 2);
		new_word = row % 3 ? (uint16_t)unit_random(&state) : (row % 2 ? 0xffff : 0);
		memcpy(buf + at, &new_word, 2);
		csum = csum_patch16(csum, old_word, new_word);
		CHECK_EQ(row, csum_fold(csum_add(csum, buf, sizeof(buf))), 0xffff);
	}
}

static const struct unit_test tests[] = {
	{"literal sums", test_literal}, {"lengths and alignments", test_lengths},
	{"pieces", test_pieces},        {"fold", test_fold},
	{"pseudo-header", test_pseudo}, {"patch", test_patch},
};

UNIT_MAIN("base/csum", tests)
