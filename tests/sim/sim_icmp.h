/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_icmp.h - "packet too big" (RFC 1191, RFC 8201): a router says what it had to throw away.
 */
#ifndef MPGATE_SIM_ICMP_H
#define MPGATE_SIM_ICMP_H

#include "sim_packet.h"

struct too_big {
	struct flow_tuple about; /* of the segment, its sender first */
	uint32_t seq, mtu_bytes;
};

struct pkt *too_big_build(const struct too_big *m);
bool too_big_parse(struct too_big *m, const uint8_t *data, uint32_t len_bytes);

#endif
