// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * routes.c - see routes.h.
 */
#include "app/routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

#include "app/rules.h"

int routes_open(struct routes *r)
{
	memset(r, 0, sizeof(*r));
	r->v6 = rules_have_v6();
	return netlink_open(&r->nl, NETLINK_ROUTE);
}

void routes_close(struct routes *r)
{
	netlink_close(&r->nl);
}

/* The first failure is told, the rest is tried all the same. */
struct failure {
	char *err;
	unsigned err_bytes;
	bool any;
};

static void fail(struct failure *f, int error, const char *what, uint8_t family,
		 const struct ip_addr *address)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (!error || f->any)
		return;
	inet_ntop(family == FLOW_IPV4 ? AF_INET : AF_INET6, address->b, text, sizeof(text));
	snprintf(f->err, f->err_bytes, "%s %s: %s", what, text, strerror(-error));
	f->any = true;
}

static bool has_rule(const struct rules_plan *plan, const struct rtnl_rule *rule)
{
	for (unsigned i = 0; i < plan->n_rules; i++)
		if (memcmp(&plan->rules[i], rule, sizeof(*rule)) == 0)
			return true;
	return false;
}

static const struct rtnl_route *find_route(const struct rules_plan *plan,
					   const struct rtnl_route *route)
{
	for (unsigned i = 0; i < plan->n_routes; i++)
		if (rules_route_same(&plan->routes[i], route))
			return &plan->routes[i];
	return NULL;
}

static void renew_family(struct routes *r, const struct rules_plan *old,
			 const struct rules_plan *now, bool all, struct failure *f)
{
	/* Routes of an interface that is gone are gone with it. */
	bool same_link = old->ifindex == now->ifindex;

	for (unsigned i = 0; i < old->n_rules; i++)
		if (!has_rule(now, &old->rules[i]))
			fail(f, rtnl_rule_del(&r->nl, &old->rules[i], RULES_PROTOCOL),
			     "removing the rule for", old->rules[i].family, &old->rules[i].from);
	for (unsigned i = 0; i < old->n_routes && same_link; i++)
		if (!find_route(now, &old->routes[i]))
			fail(f, rtnl_route_del(&r->nl, &old->routes[i], old->table, RULES_PROTOCOL),
			     "removing the route to", old->routes[i].family, &old->routes[i].dst);
	for (unsigned i = 0; i < now->n_routes; i++) {
		const struct rtnl_route *route = &now->routes[i], *before = find_route(old, route);

		if (!all && same_link && before && memcmp(before, route, sizeof(*route)) == 0)
			continue;
		fail(f, rtnl_route_put(&r->nl, route, now->ifindex, now->table, RULES_PROTOCOL),
		     ip_addr_is_zero(&route->gateway) ? "adding the route to"
						      : "adding the route through",
		     route->via6 ? FLOW_IPV6 : route->family,
		     ip_addr_is_zero(&route->gateway) ? &route->dst : &route->gateway);
	}
	for (unsigned i = 0; i < now->n_rules; i++)
		if (all || !has_rule(old, &now->rules[i]))
			fail(f, rtnl_rule_add(&r->nl, &now->rules[i], RULES_PROTOCOL),
			     "adding the rule for", now->rules[i].family, &now->rules[i].from);
}

int routes_renew(struct routes *r, const struct config *cfg, const struct host *host, unsigned path,
		 bool lost, char *err, unsigned err_bytes)
{
	struct failure f = {.err = err, .err_bytes = err_bytes};
	static struct rules_plan now;

	for (unsigned v6 = 0; v6 <= (r->v6 ? 1u : 0u); v6++) {
		rules_plan(&now, cfg, host, path, v6 ? FLOW_IPV6 : FLOW_IPV4);
		renew_family(r, &r->plan[path][v6], &now, lost || r->unsure[path], &f);
		r->plan[path][v6] = now;
	}
	r->unsure[path] = f.any;
	return f.any ? -1 : 0;
}

int routes_remove(char *err, unsigned err_bytes)
{
	int error = rtnl_remove(FLOW_IPV4, RULES_PROTOCOL), error6 = 0;

	if (rules_have_v6())
		error6 = rtnl_remove(FLOW_IPV6, RULES_PROTOCOL);
	if (!error)
		error = error6;
	if (error)
		snprintf(err, err_bytes, "removing routes and routing rules: %s", strerror(-error));
	return error ? -1 : 0;
}
