/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_options.h - numbers in network order, and the TCP options of sim_packet.h's segments.
 */
#ifndef MPGATE_SIM_OPTIONS_H
#define MPGATE_SIM_OPTIONS_H

#include "sim_packet.h"

static inline uint16_t get16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t get32(const uint8_t *b)
{
	return (uint32_t)get16(b) << 16 | get16(b + 2);
}

static inline uint64_t get64(const uint8_t *b)
{
	return (uint64_t)get32(b) << 32 | get32(b + 4);
}

static inline void put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void put32(uint8_t *b, uint32_t v)
{
	put16(b, (uint16_t)(v >> 16));
	put16(b + 2, (uint16_t)v);
}

static inline void put64(uint8_t *b, uint64_t v)
{
	put32(b, (uint32_t)(v >> 32));
	put32(b + 4, (uint32_t)v);
}

/* One MPTCP option of n bytes; flags and tuple of `s` are known. */
bool mptcp_parse(struct seg *s, const uint8_t *o, uint32_t n);

/* All MPTCP options there are in `m`, padded to a multiple of 4: bytes written. */
uint32_t mptcp_build(const struct mp *m, uint8_t *o);

bool options_parse(struct seg *s, const uint8_t *o, uint32_t n);

/* Bytes written, a multiple of 4; as many SACK blocks as 40 bytes leave room for. */
uint32_t options_build(const struct seg *s, uint8_t out[64]);

#endif
