/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host.h - what the host looks like at this moment, seen through the configuration: indices and
 * MTUs of the interfaces, addresses, gateways and routes of the paths.
 */
#ifndef MPGATE_APP_HOST_H
#define MPGATE_APP_HOST_H

#include "config.h"
#include "io/rtnl.h"

#define HOST_ROUTES_MAX 64    /* per path and family; more are left out, with a warning */
#define HOST_TABLE_BASE 20000 /* table of path i without `table` in the configuration */

struct host_path {
	struct rtnl_link link;
	uint32_t table;
	struct ip_addr address4, address6; /* configured, else found; zero: none */
	struct ip_addr gateway4, gateway6; /* configured, else of the default route; zero: none */
	unsigned n_routes4, n_routes6;
	struct rtnl_route routes4[HOST_ROUTES_MAX]; /* of the main table, default included */
	struct rtnl_route routes6[HOST_ROUTES_MAX];
};

struct host {
	struct rtnl_link guests[CONFIG_GUESTS_MAX];
	struct host_path path[ENGINE_PATHS_MAX];
};

/* Asks the kernel. A missing interface is no error: its link.index is 0. 0 or -errno. */
int host_look(const struct config *cfg, struct host *host);

/* Addresses, MTUs and the guests' smallest MTU into what config_engine() left open. */
void host_engine(const struct config *cfg, const struct host *host, struct engine_cfg *out);

#endif
