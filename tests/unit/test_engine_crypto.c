/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_crypto.c - keys, tokens, HMACs against sessions of the Linux kernel.
 */
#include "engine/crypto.h"

#include "unit.h"

/* Seen on the wire: keys of both ends, the data sequence numbers and the joins that followed. */
static const struct {
	uint64_t key, first_dsn;
} idsn[] = {
	/* 0 */ {0x0fbc23aa6af35ac6, 9143335369240298979ull - 100},
	/* 1 */ {0xfbe3d8021ba58b54, 8216714396658831182ull},
	/* 2 */ {0xb45b68c9b9892c23, 1811103578679528294ull - 100},
	/* 3 */ {0x3ee01abb3422b550, 7892140065428441739ull},
	/* 4 */ {0x5c4c26dd5031a684, 15079221128533075221ull - 100},
	/* 5 */ {0x45077edd56c0fb5b, 262501948914939736ull},
};

static void test_idsn(void)
{
	for (unsigned i = 0; i < sizeof(idsn) / sizeof(idsn[0]); i++) {
		uint32_t token;
		uint64_t got;

		crypto_key_derive(idsn[i].key, &token, &got);
		CHECK_EQ(i, got + 1, idsn[i].first_dsn);
	}
}

static void test_join(void)
{
	static const uint8_t synack[8] = {0x1a, 0x18, 0xe5, 0x42, 0xf6, 0xc9, 0x99, 0xea};
	static const uint8_t ack[20] = {0xf7, 0x28, 0xdb, 0x45, 0x10, 0xb4, 0x1c, 0x37, 0x35, 0x89,
					0x26, 0x36, 0x8e, 0xd3, 0x33, 0xa4, 0xb9, 0x1c, 0xae, 0x9e};
	const uint64_t a = 0xb45b68c9b9892c23, b = 0x3ee01abb3422b550;
	const uint32_t ra = 0x753838c9, rb = 0xd70ea0c1;
	uint8_t got[32];
	uint32_t token;
	uint64_t dsn;

	crypto_key_derive(b, &token, &dsn);
	CHECK_EQ(0, token, 0x9dd38cb6);
	crypto_join_hmac(b, a, rb, ra, got);
	CU_ASSERT(crypto_equal(got, synack, 8));
	crypto_join_hmac(a, b, ra, rb, got);
	CU_ASSERT(crypto_equal(got, ack, 20));
	for (unsigned i = 0; i < 20; i++) {
		got[i] ^= 1;
		CU_ASSERT(!crypto_equal(got, ack, 20));
		got[i] ^= 1;
	}
}

static const struct unit_test tests[] = {{"idsn", test_idsn}, {"join", test_join}};

UNIT_MAIN("engine/crypto", tests)
