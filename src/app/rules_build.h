/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules_build.h - the parts of which rules.c makes its list of commands, and what of them is sent
 * to the kernel by rtnetlink instead.
 */
#ifndef MPGATE_APP_RULES_BUILD_H
#define MPGATE_APP_RULES_BUILD_H

#include "app/host.h"
#include "app/rules_list.h"

#define RULES_PROTOCOL 77 /* of our routes and routing rules: by it they are found again */
#define RULES_PER_PATH 5  /* routing rules, at most */

/* ---- iptables; `family` is FLOW_IPV4 or FLOW_IPV6 in all of these ---- */

/* Contents of our chains, each table in one transaction; `routed`: see rules_up(). */
void rules_chains(struct rules_list *list, const struct config *cfg, uint8_t family, bool routed);

/* The jumps from the host's chains into ours, and their and the chains' removal. */
void rules_jumps(struct rules_list *list, uint8_t family, bool routed);
void rules_chains_remove(struct rules_list *list, uint8_t family);

/* ---- routing ---- */

/* What one path needs of one family; compared as bytes. */
struct rules_plan {
	unsigned n_rules, n_routes, ifindex;
	uint32_t table;
	struct rtnl_rule rules[RULES_PER_PATH];
	struct rtnl_route routes[HOST_ROUTES_MAX]; /* in the order in which they can be added */
};

/* The same place in a table: destination and metric. */
bool rules_route_same(const struct rtnl_route *a, const struct rtnl_route *b);

void rules_plan(struct rules_plan *plan, const struct config *cfg, const struct host *host,
		unsigned path, uint8_t family);

/* The plans of all paths as commands, for people. */
void rules_routes(struct rules_list *list, const struct config *cfg, const struct host *host,
		  uint8_t family);

/* All that `up` does, in order, as commands; v6 false: IPv4 only. */
void rules_build(struct rules_list *list, const struct config *cfg, const struct host *host,
		 bool v6, bool routed);

#endif
