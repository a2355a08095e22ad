/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * csum.c - the Internet checksum over 32-bit words in a 64-bit accumulator.
 *
 * 2^16 is 1 modulo 65535, so words of any even width may be added in memory order (RFC 1071
 * section 2). Halves of 32 bits leave the upper 32 bits of the sum to carries: no input below
 * 16 GB can overflow it, and callers may add partial sums with a plain `+`.
 */
#include <string.h>

#include "base/csum.h"

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t halves(uint64_t v)
{
	return (v & UINT32_MAX) + (v >> 32);
}

uint64_t csum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t low[4] = {0}, high[4] = {0};

	/* Four chains each way: the adds do not wait for each other. */
	for (; len >= 32; p += 32, len -= 32) {
		uint64_t v0 = load64(p), v1 = load64(p + 8);
		uint64_t v2 = load64(p + 16), v3 = load64(p + 24);

		low[0] += v0 & UINT32_MAX;
		high[0] += v0 >> 32;
		low[1] += v1 & UINT32_MAX;
		high[1] += v1 >> 32;
		low[2] += v2 & UINT32_MAX;
		high[2] += v2 >> 32;
		low[3] += v3 & UINT32_MAX;
		high[3] += v3 >> 32;
	}
	for (unsigned i = 0; i < 4; i++)
		sum += low[i] + high[i];
	for (; len >= 8; p += 8, len -= 8)
		sum += halves(load64(p));
	if (len & 4) {
		uint32_t v;

		memcpy(&v, p, sizeof(v));
		sum += v;
		p += 4;
	}
	if (len & 2) {
		uint16_t v;

		memcpy(&v, p, sizeof(v));
		sum += v;
		p += 2;
	}
	if (len & 1) {
		const uint8_t odd[2] = {*p};
		uint16_t v;

		memcpy(&v, odd, sizeof(v));
		sum += v;
	}
	return sum;
}

uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}

/* The length and protocol words, as RFC 8200 section 8.1 lays them out; RFC 9293's sum equals it.
 */
static uint64_t add_length(uint64_t sum, uint8_t proto, uint32_t len)
{
	const uint8_t tail[8] = {(uint8_t)(len >> 24),
				 (uint8_t)(len >> 16),
				 (uint8_t)(len >> 8),
				 (uint8_t)len,
				 0,
				 0,
				 0,
				 proto};

	return sum + halves(load64(tail));
}

uint64_t csum_pseudo4(const uint8_t src[4], const uint8_t dst[4], uint8_t proto, uint32_t len)
{
	return add_length(csum_add(csum_add(0, src, 4), dst, 4), proto, len);
}

uint64_t csum_pseudo6(const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t len)
{
	return add_length(csum_add(csum_add(0, src, 16), dst, 16), proto, len);
}

uint16_t csum_patch16(uint16_t old_csum, uint16_t old_word, uint16_t new_word)
{
	/* RFC 1624 equation 3; the other form makes a wrong zero of some sums. */
	uint32_t sum = (uint32_t)(uint16_t)~old_csum + (uint16_t)~old_word + new_word;

	return (uint16_t)~csum_fold(sum);
}
