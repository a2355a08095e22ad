/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crypto.c - keys, tokens and HMACs of RFC 8684, on nettle's SHA-256.
 */
#include "engine/crypto.h"

#include <nettle/hmac.h>
#include <nettle/sha2.h>

static void put32(uint8_t *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void put64(uint8_t *b, uint64_t v)
{
	put32(b, (uint32_t)(v >> 32));
	put32(b + 4, (uint32_t)v);
}

void crypto_key_derive(uint64_t key, uint32_t *token, uint64_t *idsn)
{
	struct sha256_ctx ctx;
	uint8_t bytes[8], digest[SHA256_DIGEST_SIZE];

	put64(bytes, key);
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(bytes), bytes);
	sha256_digest(&ctx, sizeof(digest), digest);
	*token = 0;
	*idsn = 0;
	for (int i = 0; i < 4; i++)
		*token = *token << 8 | digest[i];
	for (int i = 24; i < 32; i++)
		*idsn = *idsn << 8 | digest[i];
}

static void hmac(uint64_t key_a, uint64_t key_b, const uint8_t *msg, unsigned n, uint8_t out[32])
{
	struct hmac_sha256_ctx ctx;
	uint8_t key[16];

	put64(key, key_a);
	put64(key + 8, key_b);
	hmac_sha256_set_key(&ctx, sizeof(key), key);
	hmac_sha256_update(&ctx, n, msg);
	hmac_sha256_digest(&ctx, 32, out);
}

void crypto_join_hmac(uint64_t key_a, uint64_t key_b, uint32_t nonce_a, uint32_t nonce_b,
		      uint8_t out[32])
{
	uint8_t msg[8];

	put32(msg, nonce_a);
	put32(msg + 4, nonce_b);
	hmac(key_a, key_b, msg, sizeof(msg), out);
}

void crypto_add_addr_hmac(uint64_t key_sender, uint64_t key_receiver, uint8_t address_id,
			  uint8_t family, const struct ip_addr *addr, uint16_t port, uint8_t out[8])
{
	uint8_t msg[1 + 16 + 2], full[32];
	unsigned n = family == FLOW_IPV4 ? 4 : 16;

	msg[0] = address_id;
	memcpy(msg + 1, addr->b, n);
	msg[1 + n] = (uint8_t)(port >> 8);
	msg[2 + n] = (uint8_t)port;
	hmac(key_sender, key_receiver, msg, 3 + n, full);
	memcpy(out, full + 24, 8);
}

bool crypto_equal(const uint8_t *a, const uint8_t *b, unsigned n)
{
	uint8_t diff = 0;

	while (n--)
		diff |= *a++ ^ *b++;
	return diff == 0;
}
