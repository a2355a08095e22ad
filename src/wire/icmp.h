/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmp.h - "packet too big": ICMPv4 type 3 code 4 (RFC 792, 1191) and ICMPv6 type 2 (RFC 4443),
 * about a TCP segment.
 */
#ifndef MPGATE_WIRE_ICMP_H
#define MPGATE_WIRE_ICMP_H

#include "flow.h"

/* IPv6 header 40, ICMPv6 8, and the same again with the first 8 bytes of TCP. */
#define ICMP_TOO_BIG_MAX 96

struct icmp_too_big {
	uint8_t family;
	uint32_t mtu_bytes;      /* 0: an old router that does not say (RFC 1191 section 3) */
	struct ip_addr router;   /* who complains */
	struct flow_tuple about; /* of the segment that was too big, its sender first */
	uint32_t seq;            /* of that segment */
};

/* False when it is anything else, cut short, or its checksum is wrong. */
bool icmp_too_big_decode(struct icmp_too_big *m, const uint8_t *data, uint32_t len_bytes);

/* The whole packet from m->router to m->about.src, checksums complete; its length. */
unsigned icmp_too_big_encode(uint8_t buf[ICMP_TOO_BIG_MAX], const struct icmp_too_big *m);

#endif
