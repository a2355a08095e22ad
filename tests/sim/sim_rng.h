/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_rng.h - random numbers that depend on the seed alone (splitmix64).
 */
#ifndef MPGATE_SIM_RNG_H
#define MPGATE_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* A stream of its own for each purpose, so that one more draw here changes nothing there. */
static inline struct rng rng_split(uint64_t seed, uint64_t purpose)
{
	struct rng r = {seed ^ (purpose * 0xd6e8feb86659fd93ull)};

	rng_next(&r);
	return r;
}

static inline uint64_t rng_range(struct rng *r, uint64_t low, uint64_t high)
{
	return low + rng_next(r) % (high - low + 1);
}

static inline bool rng_chance(struct rng *r, unsigned percent)
{
	return rng_next(r) % 100 < percent;
}

#endif
