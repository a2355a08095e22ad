/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crypto.h - keys, tokens and HMACs of RFC 8684 sections 3.1, 3.2 and 3.4.1.
 */
#ifndef MPGATE_ENGINE_CRYPTO_H
#define MPGATE_ENGINE_CRYPTO_H

#include "flow.h"

/* Token: the first 4 bytes of SHA-256(key); IDSN: the last 8, both big endian. */
void crypto_key_derive(uint64_t key, uint32_t *token, uint64_t *idsn);

/*
 * HMAC-SHA256 under key_a||key_b over nonce_a||nonce_b: the sender's key and nonce first. MP_JOIN
 * SYN/ACK carries the leftmost 8 bytes, the ACK the leftmost 20.
 */
void crypto_join_hmac(uint64_t key_a, uint64_t key_b, uint32_t nonce_a, uint32_t nonce_b,
		      uint8_t hmac[32]);

/* ADD_ADDR: rightmost 8 bytes of HMAC under sender||receiver over id|address|port. */
void crypto_add_addr_hmac(uint64_t key_sender, uint64_t key_receiver, uint8_t address_id,
			  uint8_t family, const struct ip_addr *addr, uint16_t port,
			  uint8_t hmac[8]);

/* In time that does not depend on where they differ. */
bool crypto_equal(const uint8_t *a, const uint8_t *b, unsigned n);

#endif
