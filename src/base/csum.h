/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * csum.h - the Internet checksum (RFC 1071), full and incremental (RFC 1624).
 *
 * A partial sum is 64-bit, not folded, in network byte order of its 16-bit words as they lie in
 * memory: sums of even-length pieces may be added.
 */
#ifndef MPGATE_BASE_CSUM_H
#define MPGATE_BASE_CSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds `len` bytes to `sum`; an odd last byte counts as if a zero followed. */
uint64_t csum_add(uint64_t sum, const void *data, size_t len);

/* Folds to 16 bits, not inverted; store with memcpy (it is in memory order). */
uint16_t csum_fold(uint64_t sum);

/* Sum of the TCP pseudo-header: addresses in network order, `len` of header and payload. */
uint64_t csum_pseudo4(const uint8_t src[4], const uint8_t dst[4], uint8_t proto, uint32_t len);
uint64_t csum_pseudo6(const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t len);

/* The checksum field `old_csum` after a 16-bit word changed; all three in memory order. */
uint16_t csum_patch16(uint16_t old_csum, uint16_t old_word, uint16_t new_word);

#endif
