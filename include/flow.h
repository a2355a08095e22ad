/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow.h - addresses and TCP 4-tuples, the words that every directory shares.
 */
#ifndef MPGATE_FLOW_H
#define MPGATE_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FLOW_IPV4 4
#define FLOW_IPV6 6

/* An IPv4 address stands in the first four bytes (network order), the rest is zero. */
struct ip_addr {
	uint8_t b[16];
};

/* Ports are in host byte order. Unused bytes are zero, so tuples compare and hash as bytes. */
struct flow_tuple {
	uint8_t family; /* FLOW_IPV4, FLOW_IPV6 or 0: no tuple */
	uint8_t zero[3];
	uint16_t src_port;
	uint16_t dst_port;
	struct ip_addr src;
	struct ip_addr dst;
};

_Static_assert(sizeof(struct flow_tuple) == 40, "a tuple is hashed as bytes: no padding");

static inline bool flow_tuple_equal(const struct flow_tuple *a, const struct flow_tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The same connection as the other end names it. */
static inline struct flow_tuple flow_tuple_reverse(const struct flow_tuple *t)
{
	struct flow_tuple r = *t;

	r.src = t->dst;
	r.dst = t->src;
	r.src_port = t->dst_port;
	r.dst_port = t->src_port;
	return r;
}

static inline bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool ip_addr_is_zero(const struct ip_addr *a)
{
	static const struct ip_addr zero;

	return ip_addr_equal(a, &zero);
}

#endif
