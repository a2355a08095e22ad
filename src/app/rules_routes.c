// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_routes.c - a routing table per path and the rules that lead there.
 *
 * The table holds what the main table says of the path's interface, and a default route through
 * the path's gateway. Three rules lead there: for packets with the converted mark whose interface
 * is already chosen (the redirected road: its lookup has an output interface and no input one); for
 * packets from the path's TUN device (the routed road); for packets that bear the path's address,
 * unless the main table knows better than by a default route (a guest that talks to the host by
 * that address gets its answers through the guests' interface).
 */
#include "app/rules.h"
#include "app/rules_build.h"

#include <arpa/inet.h>

#define PREFERENCE_OUTPUT 15000
#define PREFERENCE_DEVICE 15100
#define PREFERENCE_FROM_MAIN 15200
#define PREFERENCE_FROM 15300

static char digit(uint8_t family)
{
	return family == FLOW_IPV4 ? '4' : '6';
}

static const char *text(const struct ip_addr *a, uint8_t family, char *buf)
{
	return inet_ntop(family == FLOW_IPV4 ? AF_INET : AF_INET6, a->b, buf, INET6_ADDRSTRLEN);
}

static void route(struct rules_list *list, const struct rtnl_route *r, const char *interface,
		  uint32_t table)
{
	char dst[INET6_ADDRSTRLEN], via[INET6_ADDRSTRLEN];
	bool gateway = !ip_addr_is_zero(&r->gateway);

	rules_list_input(list, "route replace %s/%u%s%s dev %s%s table %u metric %u protocol %u",
			 text(&r->dst, r->family, dst), r->prefix_bits, gateway ? " via " : "",
			 gateway ? text(&r->gateway, r->family, via) : "", interface,
			 r->on_link ? " onlink" : "", table, r->metric, RULES_PROTOCOL);
}

static void table(struct rules_list *list, const struct config_path *path,
		  const struct host_path *host, uint8_t family)
{
	bool v4 = family == FLOW_IPV4;
	const struct rtnl_route *routes = v4 ? host->routes4 : host->routes6;
	unsigned n = v4 ? host->n_routes4 : host->n_routes6;

	/* Gateways must be reachable when their routes are added: connected ones first. */
	for (unsigned i = 0; i < n; i++) {
		if (ip_addr_is_zero(&routes[i].gateway))
			route(list, &routes[i], path->interface, host->table);
	}
	for (unsigned i = 0; i < n; i++) {
		if (!ip_addr_is_zero(&routes[i].gateway))
			route(list, &routes[i], path->interface, host->table);
	}
}

/* The table of path `i` and the rules that lead there, as lines for `ip -batch`. */
static void one_path(struct rules_list *list, const struct config *cfg, const struct host *host,
		     unsigned i, uint8_t family)
{
	const struct config_path *path = &cfg->path[i];
	const struct host_path *hp = &host->path[i];
	const struct ip_addr *address = family == FLOW_IPV4 ? &hp->address4 : &hp->address6;
	char buf[INET6_ADDRSTRLEN];

	/* A link that is down takes no routes; it gets them when it comes up. */
	if (hp->link.index && hp->link.up)
		table(list, path, hp, family);
	rules_list_input(list, "rule add iif mpg-%s table %u pref %u protocol %u", path->name,
			 hp->table, PREFERENCE_DEVICE + i, RULES_PROTOCOL);
	rules_list_input(list, "rule add fwmark 0x%x/0x%x oif %s table %u pref %u protocol %u",
			 RULES_MARK_CONVERTED, RULES_MARK_CONN, path->interface, hp->table,
			 PREFERENCE_OUTPUT + i, RULES_PROTOCOL);
	if (ip_addr_is_zero(address))
		return;
	text(address, family, buf);
	rules_list_input(list,
			 "rule add from %s table main suppress_prefixlength 0 pref %u protocol %u",
			 buf, PREFERENCE_FROM_MAIN + i, RULES_PROTOCOL);
	rules_list_input(list, "rule add from %s table %u pref %u protocol %u", buf, hp->table,
			 PREFERENCE_FROM + i, RULES_PROTOCOL);
}

void rules_routes(struct rules_list *list, const struct config *cfg, const struct host *host,
		  uint8_t family)
{
	rules_routes_remove(list, family);
	rules_list_add(list, "ip -%c -batch -", digit(family));
	rules_list_why(list, "a routing table per path");
	for (unsigned i = 0; i < cfg->n_paths; i++)
		one_path(list, cfg, host, i, family);
}

void rules_routes_renew(struct rules_list *list, const struct config *cfg, const struct host *host,
			unsigned path, uint8_t family)
{
	static const unsigned preferences[] = {PREFERENCE_OUTPUT, PREFERENCE_DEVICE,
					       PREFERENCE_FROM_MAIN, PREFERENCE_FROM};

	/* What is not there cannot be deleted: such lines may fail, the rest is done. */
	rules_list_add(list, "ip -%c -force -batch -", digit(family));
	rules_list_may_fail(list);
	for (unsigned k = 0; k < sizeof(preferences) / sizeof(preferences[0]); k++)
		rules_list_input(list, "rule del pref %u protocol %u", preferences[k] + path,
				 RULES_PROTOCOL);
	rules_list_input(list, "route flush table %u protocol %u", host->path[path].table,
			 RULES_PROTOCOL);
	one_path(list, cfg, host, path, family);
}

void rules_routes_remove(struct rules_list *list, uint8_t family)
{
	rules_list_add(list, "ip -%c rule flush protocol %u", digit(family), RULES_PROTOCOL);
	rules_list_why(list, "routing rules and routes of ours alone: those of protocol %u",
		       RULES_PROTOCOL);
	rules_list_may_fail(list);
	rules_list_add(list, "ip -%c route flush table all protocol %u", digit(family),
		       RULES_PROTOCOL);
	rules_list_may_fail(list);
}
