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

static inline void mix(struct state *s)
{
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

static inline void take(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s);
	mix(s);
	s->v0 ^= word;
}

/* Little endian on every machine; without a loop, so that compilers see the one load it is. */
static inline uint64_t load_le(const uint8_t *p)
{
	return p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
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
	uint64_t last = (uint64_t)len << 56;
	size_t left;

	for (left = len; left >= 8; p += 8, left -= 8)
		take(&s, load_le(p));
	while (left-- > 0)
		last |= (uint64_t)p[left] << (8 * left);
	take(&s, last);
	s.v2 ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		mix(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
