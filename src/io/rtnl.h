/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnl.h - what the kernel knows of links, addresses and routes (rtnetlink).
 */
#ifndef MPGATE_IO_RTNL_H
#define MPGATE_IO_RTNL_H

#include <net/if.h>

#include "flow.h"

/* These are compared as bytes: no padding. */

struct rtnl_link {
	unsigned index; /* 0: no such interface */
	uint32_t mtu_bytes;
	bool up; /* administratively up and with carrier */
	uint8_t zero[3];
};

/* A unicast route of the main table that leaves by one interface. */
struct rtnl_route {
	uint8_t family; /* FLOW_IPV4, FLOW_IPV6 */
	uint8_t prefix_bits;
	bool on_link; /* the gateway is reachable although no route says so */
	uint8_t zero;
	uint32_t metric;
	struct ip_addr dst, gateway; /* gateway zero: on link */
};

/* 0 with `link` filled in (index 0 when there is no such interface), or -errno. */
int rtnl_link(const char *name, struct rtnl_link *link);

/*
 * The first address of the family with global scope that is neither tentative nor deprecated nor
 * temporary; zero when there is none. 0 or -errno.
 */
int rtnl_address(unsigned ifindex, uint8_t family, struct ip_addr *address);

/* Fills `routes`, tells how many there are in *n (at most cap). 0 or -errno. */
int rtnl_routes(unsigned ifindex, uint8_t family, struct rtnl_route *routes, unsigned cap,
		unsigned *n);

/* A non-blocking socket that becomes readable when links, addresses or routes change; or -errno. */
int rtnl_monitor_open(void);

/*
 * Reads away all that is pending there. True when one of the `n` interfaces went down or lost an
 * address, or messages were lost: the kernel then has removed routes of theirs, those in tables of
 * ours too, and may have said nothing.
 */
bool rtnl_monitor_drain(int fd, const unsigned *ifindex, unsigned n);

#endif
