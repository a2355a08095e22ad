/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siphash.c - SipHash-2-4: two rounds per eight bytes, four at the end.
 */
#include "base/siphash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t v, unsigned bits)
{
	return v << bits | v >> (64 - bits);
}

static inline void rounds(struct state *s, unsigned n)
{
	while (n-- > 0) {
		s->v0 += s->v1;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v2 = rotate(s->v2, 32);
	}
}

/* Little endian on every machine: the reference vectors are bytes. */
static inline uint64_t load_le(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint64_t siphash(const uint64_t key[2], const void *data, size_t len)
{
	struct state s = {
		.v0 = key[0] ^ 0x736f6d6570736575U,
		.v1 = key[1] ^ 0x646f72616e646f6dU,
		.v2 = key[0] ^ 0x6c7967656e657261U,
		.v3 = key[1] ^ 0x7465646279746573U,
	};
	const uint8_t *p = data;
	uint64_t word;
	size_t left;

	for (left = len; left >= 8; p += 8, left -= 8) {
		word = load_le(p, 8);
		s.v3 ^= word;
		rounds(&s, 2);
		s.v0 ^= word;
	}
	word = (uint64_t)len << 56 | load_le(p, left);
	s.v3 ^= word;
	rounds(&s, 2);
	s.v0 ^= word;
	s.v2 ^= 0xff;
	rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
