/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_base_siphash.c - SipHash-2-4 against the authors' vectors: key 00..0f, input 00, 01, 02 ...
 * of each length from 0 to 63.
 */
#include "base/siphash.h"
#include "unit.h"

static const uint64_t key[2] = {0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

static const char *const vectors[64] = {
	/* 0 */ "310e0edd47db6f72",  "fd67dc93c539f874",
	"5a4fa9d909806c0d",          "2d7efbd796666785",
	/* 4 */ "b7877127e09427cf",  "8da699cd64557618",
	"cee3fe586e46c9cb",          "37d1018bf50002ab",
	/* 8 */ "6224939a79f5f593",  "b0e4a90bdf82009e",
	"f3b9dd94c5bb5d7a",          "a7ad6b22462fb3f4",
	/* 12 */ "fbe50e86bc8f1e75", "903d84c02756ea14",
	"eef27a8e90ca23f7",          "e545be4961ca29a1",
	/* 16 */ "db9bc2577fcc2a3f", "9447be2cf5e99a69",
	"9cd38d96f0b3c14b",          "bd6179a71dc96dbb",
	/* 20 */ "98eea21af25cd6be", "c7673b2eb0cbf2d0",
	"883ea3e395675393",          "c8ce5ccd8c030ca8",
	/* 24 */ "94af49f6c650adb8", "eab8858ade92e1bc",
	"f315bb5bb835d817",          "adcf6b0763612e2f",
	/* 28 */ "a5c91da7acaa4dde", "716595876650a2a6",
	"28ef495c53a387ad",          "42c341d8fa92d832",
	/* 32 */ "ce7cf2722f512771", "e37859f94623f3a7",
	"381205bb1ab0e012",          "ae97a10fd434e015",
	/* 36 */ "b4a31508beff4d31", "81396229f0907902",
	"4d0cf49ee5d4dcca",          "5c73336a76d8bf9a",
	/* 40 */ "d0a704536ba93e0e", "925958fcd6420cad",
	"a915c29bc8067318",          "952b79f3bc0aa6d4",
	/* 44 */ "f21df2e41d4535f9", "87577519048f53a9",
	"10a56cf5dfcd9adb",          "eb75095ccd986cd0",
	/* 48 */ "51a9cb9ecba312e6", "96afadfc2ce666c7",
	"72fe52975a4364ee",          "5a1645b276d592a1",
	/* 52 */ "b274cb8ebf87870a", "6f9bb4203de7b381",
	"eaecb2a30b22a87f",          "9924a43cc1315724",
	/* 56 */ "bd838d3aafbf8db7", "0b1a2a3265d51aea",
	"135079a3231ce660",          "932b2846e4d70666",
	/* 60 */ "e1915f5cb1eca46c", "f325965ca16d629f",
	"575ff28e60381be5",          "724506eb4c328a95",
};

static void test_vectors(void)
{
	uint8_t input[64];

	for (unsigned i = 0; i < 64; i++)
		input[i] = (uint8_t)i;
	for (unsigned i = 0; i < 64; i++) {
		uint8_t want[8];

		CHECK_EQ(i, unit_hex(want, sizeof(want), vectors[i]), 8);
		for (unsigned b = 0; b < 8; b++)
			CHECK_EQ(i, siphash(key, input, i) >> (8 * b) & 0xff, want[b]);
	}
}

/* The hash is of the bytes, wherever they lie. */
static void test_alignment(void)
{
	uint8_t buf[64 + 8];

	for (unsigned at = 0; at < 8; at++) {
		for (unsigned i = 0; i < 64; i++)
			buf[at + i] = (uint8_t)i;
		CHECK_EQ(at, siphash(key, buf + at, 15), 0xa129ca6149be45e5U);
	}
}

static void test_key_matters(void)
{
	static const uint64_t other[2] = {0x0706050403020100U, 0x0f0e0d0c0b0a0909U};

	CU_ASSERT(siphash(key, "flow", 4) != siphash(other, "flow", 4));
}

static const struct unit_test tests[] = {
	{"official vectors", test_vectors},
	{"alignment", test_alignment},
	{"key", test_key_matters},
};

UNIT_MAIN("base/siphash", tests)
