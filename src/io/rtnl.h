/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnl.h - rtnetlink: what the kernel knows of links, addresses and routes, what changes about
 * them, and the routes and routing rules that we add.
 *
 * Whatever the kernel says, asked or by itself, comes as a `struct rtnl_change` to a function of
 * the caller's. That function must not ask the kernel in turn.
 */
#ifndef MPGATE_IO_RTNL_H
#define MPGATE_IO_RTNL_H

#include <net/if.h>

#include "flow.h"
#include "io/netlink.h"

/* These are compared as bytes: no padding. */

struct rtnl_link {
	char name[IFNAMSIZ];
	unsigned index; /* 0: no such interface */
	uint32_t mtu_bytes;
	bool up; /* administratively up and with carrier */
	bool admin_up;
	uint8_t zero[2];
};

struct rtnl_address {
	struct ip_addr address;
	uint8_t family, prefix_bits;
	bool fit; /* of global scope, neither tentative nor deprecated nor temporary */
	uint8_t zero;
};

/* A unicast route of the main table that leaves by one interface. */
struct rtnl_route {
	uint8_t family; /* FLOW_IPV4, FLOW_IPV6 */
	uint8_t prefix_bits;
	bool on_link; /* the gateway is reachable although no route says so */
	bool via6;    /* an IPv4 route through an IPv6 gateway (RFC 8950) */
	uint32_t metric;
	struct ip_addr dst, gateway; /* gateway zero: on link */
};

enum rtnl_kind {
	RTNL_LINK,
	RTNL_ADDRESS,
	RTNL_ROUTE,
	RTNL_LOST, /* messages were lost: ask for everything again */
};

struct rtnl_change {
	uint8_t kind;  /* enum rtnl_kind */
	bool gone;     /* it was there and is not any more */
	bool replaces; /* route: instead of those with its dst and metric, by whichever interface */
	unsigned ifindex;
	unsigned master;       /* link: the bridge or the like that it is a port of; 0: none */
	struct rtnl_link link; /* of `kind` only; mtu_bytes 0: not told */
	struct rtnl_address address;
	struct rtnl_route route;
};

typedef void (*rtnl_fn)(const struct rtnl_change *change, void *data);

/* The link of that name, as one change; none when there is no such interface. 0 or -errno. */
int rtnl_link(const char *name, rtnl_fn fn, void *data);

/* All links. 0 or -errno. */
int rtnl_links(rtnl_fn fn, void *data);

/* All addresses of the interface, in the kernel's order. 0 or -errno. */
int rtnl_addresses(unsigned ifindex, rtnl_fn fn, void *data);

/*
 * The interface's routes in the main table. Left out are those of routing daemons (BGP, OSPF ...)
 * unless they are default routes: they may be a million, and a path has no use for them. 0 or
 * -errno.
 */
int rtnl_routes(unsigned ifindex, uint8_t family, rtnl_fn fn, void *data);

/* Whether that neighbour was asked for on the link and does not answer. 0 or -errno. */
int rtnl_silent(unsigned ifindex, uint8_t family, const struct ip_addr *whom, bool *silent);

/* Somebody who was heard on the link, by an address of more than link scope; zero: nobody. */
int rtnl_heard(unsigned ifindex, uint8_t family, struct ip_addr *found);

/*
 * A non-blocking socket that becomes readable when a link, an address or such a route changes
 * (others are filtered by the kernel); or -errno.
 */
int rtnl_monitor_open(void);

/* Tells all that is pending there. */
void rtnl_monitor_read(int fd, rtnl_fn fn, void *data);

/* ---- what we add; `protocol` marks it as ours ---- */

struct rtnl_rule {
	uint8_t family;
	bool suppress_default; /* what the table says by a default route does not count */
	bool nop;              /* leads nowhere: a mark that lives as long as the namespace */
	uint8_t zero;
	uint32_t preference, table;
	uint32_t mark, mask; /* mask 0: any */
	struct ip_addr from; /* zero: any */
	char iif[IFNAMSIZ], oif[IFNAMSIZ];
	uint16_t port_min, port_max; /* source ports of TCP, 0: any */
};

/* 0 also when it is there already. -errno. */
int rtnl_rule_add(struct netlink *nl, const struct rtnl_rule *rule, uint8_t protocol);

/* 0 also when it is not there. -errno. */
int rtnl_rule_del(struct netlink *nl, const struct rtnl_rule *rule, uint8_t protocol);

/* Calls for every rule of that protocol. 0 or -errno. */
typedef void (*rtnl_rule_fn)(const struct rtnl_rule *rule, void *data);
int rtnl_rules(uint8_t family, uint8_t protocol, rtnl_rule_fn fn, void *data);

/* Adds the route to the table, or changes the one with its destination and metric. -errno or 0. */
int rtnl_route_put(struct netlink *nl, const struct rtnl_route *route, unsigned ifindex,
		   uint32_t table, uint8_t protocol);

/* 0 also when it is not there. -errno. */
int rtnl_route_del(struct netlink *nl, const struct rtnl_route *route, uint32_t table,
		   uint8_t protocol);

/* Removes all rules and all routes of that protocol, in whichever table. 0 or -errno. */
int rtnl_remove(uint8_t family, uint8_t protocol);

/* Whether a rule leads to the table, or a route stands in it, that is not of that protocol. */
int rtnl_table_taken(uint8_t family, uint32_t table, uint8_t protocol, bool *taken);

#endif
