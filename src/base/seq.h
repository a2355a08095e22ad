/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seq.h - serial arithmetic on 32-bit sequence numbers (RFC 9293 section 3.4) and 64-bit data
 * sequence numbers (RFC 8684 section 3.3.1).
 */
#ifndef MPGATE_BASE_SEQ_H
#define MPGATE_BASE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

static inline bool dsn_lt(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

static inline bool dsn_le(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) <= 0;
}

/* The 64-bit number nearest to `near` whose low half is `low` (RFC 8684 section 3.3.1). */
static inline uint64_t dsn_expand(uint32_t low, uint64_t near)
{
	return near + (uint64_t)(int64_t)(int32_t)(low - (uint32_t)near);
}

#endif
