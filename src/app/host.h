/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host.h - what the host looks like at this moment, seen through the configuration: indices and
 * MTUs of the interfaces, addresses, gateways and routes of the paths.
 *
 * Theory. `seen` is what the kernel told of each path's interface, asked once and kept true by its
 * messages from then on; `path` is what follows from that and the configuration. host_change()
 * takes one message, host_settle() draws the conclusions for one path. What the kernel does
 * without a word (it drops the IPv4 routes of a link that goes down, or of an address that goes)
 * is either done here too, or asked for again by host_ask().
 */
#ifndef MPGATE_APP_HOST_H
#define MPGATE_APP_HOST_H

#include "config.h"
#include "io/rtnl.h"

#define HOST_ROUTES_MAX 64 /* per path and family; more are left out, with a warning */
#define HOST_ADDRESSES_MAX 32
#define HOST_TABLE_BASE 20000 /* table of path i without `table` in the configuration */
#define HOST_TABLE_STEP 100   /* where others have one of these, all move up by so much */
#define HOST_TABLE_TRIES 8

struct host_interface {
	struct rtnl_link link;
	unsigned n_addresses, n_routes[2]; /* [family == FLOW_IPV6] */
	struct rtnl_address addresses[HOST_ADDRESSES_MAX];
	struct rtnl_route routes[2][HOST_ROUTES_MAX];
	bool full; /* there are more routes than there is room for */
};

struct host_path {
	struct rtnl_link link;
	uint32_t table;
	struct ip_addr address4, address6; /* configured, else found; zero: none */
	struct ip_addr gateway4, gateway6; /* configured, else of the default route; zero: none */
	unsigned n_routes4, n_routes6;
	struct rtnl_route routes4[HOST_ROUTES_MAX]; /* of the path's table, default included */
	struct rtnl_route routes6[HOST_ROUTES_MAX];
};

struct host {
	struct rtnl_link guests[CONFIG_GUESTS_MAX];
	struct host_path path[ENGINE_PATHS_MAX];
	struct host_interface seen[ENGINE_PATHS_MAX];
};

/* What one or several changes touched: bits of paths, and of guests' interfaces. */
struct host_touched {
	uint32_t paths, guests;
	uint32_t ask;  /* paths whose interface must be asked for again */
	uint32_t lost; /* paths whose routes, ours too, the kernel may have dropped */
	bool all;      /* messages were lost: host_look() */
};

/* Asks the kernel. A missing interface is no error: its link.index is 0. 0 or -errno. */
int host_look(const struct config *cfg, struct host *host);

/* Takes in one message of the kernel; adds to `touched`. */
void host_change(const struct config *cfg, struct host *host, const struct rtnl_change *change,
		 struct host_touched *touched);

/* Asks for addresses and routes of the path's interface. 0 or -errno. */
int host_ask(struct host *host, unsigned path);

/* What the path is now. */
void host_settle(const struct config *cfg, struct host *host, unsigned path);

/* Whether the route's gateway is reachable by one of the path's connected routes. */
bool host_reaches(const struct host_path *path, const struct rtnl_route *route);

/* Whether the path has a way to that family's gateway, or to all the world without one. */
bool host_has_way(const struct host_path *path, uint8_t family);

/* In a few words: "up", or why nothing can go by it. */
const char *host_path_state(const struct host_path *path);

/* Addresses, MTUs and the guests' smallest MTU into what config_engine() left open. */
void host_engine(const struct config *cfg, const struct host *host, struct engine_cfg *out);

#endif
