// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_routes.c - a routing table per path and the rules that lead there: what they are, and the
 * same as commands.
 *
 * The table holds what the main table says of the path's interface, and a default route through
 * the path's gateway. These rules lead there: for packets with the converted mark whose interface
 * is already chosen (the redirected road: its lookup has an output interface and no input one; one
 * rule by the path's address, for paths that share an interface, one by the interface alone, for
 * routed guests' addresses); for packets from the path's TUN device (the routed road); for packets
 * that bear the path's address, unless the main table knows better than by a default route (a guest
 * that talks to the host by that address gets its answers through the guests' interface).
 */
#include "app/rules.h"
#include "app/rules_build.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define TABLE_MAIN 254

/* The i-th path's rule has the preference base + i. */
#define PREFERENCE_ADDRESS 15000
#define PREFERENCE_OUTPUT 15050
#define PREFERENCE_DEVICE 15100
#define PREFERENCE_FROM_MAIN 15200
#define PREFERENCE_FROM 15300
_Static_assert(PREFERENCE_OUTPUT - PREFERENCE_ADDRESS >= ENGINE_PATHS_MAX, "no two have the same");

bool rules_route_same(const struct rtnl_route *a, const struct rtnl_route *b)
{
	return a->family == b->family && a->prefix_bits == b->prefix_bits &&
	       a->metric == b->metric && ip_addr_equal(&a->dst, &b->dst);
}

static struct rtnl_rule *add_rule(struct rules_plan *plan, uint8_t family, uint32_t preference,
				  uint32_t table)
{
	struct rtnl_rule *r = &plan->rules[plan->n_rules++];

	r->family = family;
	r->preference = preference;
	r->table = table;
	return r;
}

/* For the redirected road: the interface is chosen, the mark says that it is ours. */
static struct rtnl_rule *add_output_rule(struct rules_plan *plan, const char *interface,
					 uint8_t family, uint32_t preference)
{
	struct rtnl_rule *r = add_rule(plan, family, preference, plan->table);

	r->mark = STEER_CONVERTED;
	r->mask = STEER_KIND;
	snprintf(r->oif, sizeof(r->oif), "%s", interface);
	return r;
}

static void plan_rules(struct rules_plan *plan, const struct config_path *path,
		       const struct ip_addr *address, unsigned i, uint8_t family)
{
	struct rtnl_rule *r;

	r = add_rule(plan, family, PREFERENCE_DEVICE + i, plan->table);
	snprintf(r->iif, sizeof(r->iif), "mpg-%s", path->name);
	add_output_rule(plan, path->interface, family, PREFERENCE_OUTPUT + i);
	if (ip_addr_is_zero(address))
		return;
	r = add_output_rule(plan, path->interface, family, PREFERENCE_ADDRESS + i);
	r->from = *address;
	r = add_rule(plan, family, PREFERENCE_FROM_MAIN + i, TABLE_MAIN);
	r->from = *address;
	r->suppress_default = true;
	r = add_rule(plan, family, PREFERENCE_FROM + i, plan->table);
	r->from = *address;
}

void rules_plan(struct rules_plan *plan, const struct config *cfg, const struct host *host,
		unsigned path, uint8_t family)
{
	const struct host_path *hp = &host->path[path];
	bool v4 = family == FLOW_IPV4;
	const struct rtnl_route *routes = v4 ? hp->routes4 : hp->routes6;
	unsigned n = v4 ? hp->n_routes4 : hp->n_routes6;

	memset(plan, 0, sizeof(*plan));
	plan->table = hp->table;
	plan->ifindex = hp->link.index;
	plan_rules(plan, &cfg->path[path], v4 ? &hp->address4 : &hp->address6, path, family);
	/* A link that is down takes no routes; it gets them when it comes up. */
	if (!hp->link.index || !hp->link.admin_up)
		return;
	/*
	 * Gateways must be reachable when their routes are added: connected ones first; and what is
	 * out of reach comes with the connected route that leads there.
	 */
	for (unsigned i = 0; i < n; i++)
		if (ip_addr_is_zero(&routes[i].gateway))
			plan->routes[plan->n_routes++] = routes[i];
	for (unsigned i = 0; i < n; i++)
		if (!ip_addr_is_zero(&routes[i].gateway) && host_reaches(hp, &routes[i]))
			plan->routes[plan->n_routes++] = routes[i];
}

/* ---- as commands ---- */

static char digit(uint8_t family)
{
	return family == FLOW_IPV4 ? '4' : '6';
}

static const char *text(const struct ip_addr *a, uint8_t family, char *buf)
{
	return inet_ntop(family == FLOW_IPV4 ? AF_INET : AF_INET6, a->b, buf, INET6_ADDRSTRLEN);
}

static void print_route(struct rules_list *list, const struct rtnl_route *r, const char *interface,
			uint32_t table)
{
	char dst[INET6_ADDRSTRLEN], via[INET6_ADDRSTRLEN];
	bool gateway = !ip_addr_is_zero(&r->gateway);

	rules_list_input(list, "route replace %s/%u%s%s dev %s%s table %u metric %u protocol %u",
			 text(&r->dst, r->family, dst), r->prefix_bits,
			 r->via6   ? " via inet6 "
			 : gateway ? " via "
				   : "",
			 gateway ? text(&r->gateway, r->via6 ? FLOW_IPV6 : r->family, via) : "",
			 interface, r->on_link ? " onlink" : "", table, r->metric, RULES_PROTOCOL);
}

static void print_rule(struct rules_list *list, const struct rtnl_rule *r)
{
	char from[INET6_ADDRSTRLEN] = "", mark[48] = "", table[16] = "main";

	if (r->mask)
		snprintf(mark, sizeof(mark), " fwmark 0x%x/0x%x", r->mark, r->mask);
	if (r->table != TABLE_MAIN)
		snprintf(table, sizeof(table), "%u", r->table);
	rules_list_input(list, "rule add%s%s%s%s%s%s%s table %s%s pref %u protocol %u",
			 ip_addr_is_zero(&r->from) ? "" : " from ",
			 ip_addr_is_zero(&r->from) ? "" : text(&r->from, r->family, from), mark,
			 r->iif[0] ? " iif " : "", r->iif, r->oif[0] ? " oif " : "", r->oif, table,
			 r->suppress_default ? " suppress_prefixlength 0" : "", r->preference,
			 RULES_PROTOCOL);
}

void rules_routes(struct rules_list *list, const struct config *cfg, const struct host *host,
		  uint8_t family)
{
	static struct rules_plan plan;

	rules_list_add(list, "ip -%c rule flush protocol %u", digit(family), RULES_PROTOCOL);
	rules_list_why(list, "routing rules and routes of ours alone: those of protocol %u",
		       RULES_PROTOCOL);
	rules_list_may_fail(list);
	rules_list_add(list, "ip -%c route flush table all protocol %u", digit(family),
		       RULES_PROTOCOL);
	rules_list_may_fail(list);
	rules_list_add(list, "ip -%c -batch -", digit(family));
	rules_list_why(list, "a routing table per path");
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		rules_plan(&plan, cfg, host, i, family);
		for (unsigned k = 0; k < plan.n_routes; k++)
			print_route(list, &plan.routes[k], cfg->path[i].interface, plan.table);
		for (unsigned k = 0; k < plan.n_rules; k++)
			print_rule(list, &plan.rules[k]);
	}
}
