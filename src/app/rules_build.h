/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules_build.h - the parts of which rules.c makes its list of commands.
 */
#ifndef MPGATE_APP_RULES_BUILD_H
#define MPGATE_APP_RULES_BUILD_H

#include "app/host.h"
#include "app/rules_list.h"

#define RULES_PROTOCOL 77 /* of our routes and routing rules: by it they are found again */

/* `family` is FLOW_IPV4 or FLOW_IPV6 in all of these. */

/* Contents of our chains, each table in one transaction. */
void rules_chains(struct rules_list *list, const struct config *cfg, const struct host *host,
		  uint8_t family);

/* The jumps from the host's chains into ours, and their and the chains' removal. */
void rules_jumps(struct rules_list *list, uint8_t family);
void rules_chains_remove(struct rules_list *list, uint8_t family);

/* The same for one path alone, over what stands there of it; the others are not touched. */
void rules_routes_renew(struct rules_list *list, const struct config *cfg, const struct host *host,
			unsigned path, uint8_t family);

/* The paths' tables and the routing rules that lead there, and their removal. */
void rules_routes(struct rules_list *list, const struct config *cfg, const struct host *host,
		  uint8_t family);
void rules_routes_remove(struct rules_list *list, uint8_t family);

/* All that `up` runs, in order; v6 false: IPv4 only. */
void rules_build(struct rules_list *list, const struct config *cfg, const struct host *host,
		 bool v6);

#endif
