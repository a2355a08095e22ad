// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host.c - see host.h: what follows from what the kernel told (host_seen.c).
 */
#include "app/host.h"

#include "app/rules_build.h"
#include "io/log.h"

static bool prefix_holds(const struct ip_addr *prefix, unsigned bits, const struct ip_addr *a)
{
	for (unsigned bit = 0; bit < bits; bit++)
		if ((prefix->b[bit / 8] ^ a->b[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

static bool is_link_local6(const struct ip_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* Whether the route's gateway can be reached by one of the connected routes. */
static bool reachable(const struct rtnl_route *routes, unsigned n, const struct rtnl_route *r)
{
	if (ip_addr_is_zero(&r->gateway) || r->on_link || r->via6)
		return true;
	if (r->family == FLOW_IPV6 && is_link_local6(&r->gateway))
		return true;
	for (unsigned i = 0; i < n; i++)
		if (ip_addr_is_zero(&routes[i].gateway) && routes[i].prefix_bits > 0 &&
		    prefix_holds(&routes[i].dst, routes[i].prefix_bits, &r->gateway))
			return true;
	return false;
}

bool host_reaches(const struct host_path *path, const struct rtnl_route *route)
{
	return route->family == FLOW_IPV4 ? reachable(path->routes4, path->n_routes4, route)
					  : reachable(path->routes6, path->n_routes6, route);
}

bool host_has_way(const struct host_path *path, uint8_t family)
{
	bool v4 = family == FLOW_IPV4;
	const struct rtnl_route *routes = v4 ? path->routes4 : path->routes6;
	unsigned n = v4 ? path->n_routes4 : path->n_routes6;

	for (unsigned i = 0; i < n; i++)
		if (routes[i].prefix_bits == 0 && reachable(routes, n, &routes[i]))
			return true;
	return false;
}

const char *host_path_state(const struct host_path *path)
{
	bool v4 = !ip_addr_is_zero(&path->address4), v6 = !ip_addr_is_zero(&path->address6);

	if (!path->link.index)
		return "no such interface";
	if (!path->link.admin_up)
		return "link down";
	if (!path->link.up)
		return "no carrier";
	if (!v4 && !v6)
		return "no address";
	if (!(v4 && host_has_way(path, FLOW_IPV4)) && !(v6 && host_has_way(path, FLOW_IPV6)))
		return "no gateway";
	return "up";
}

/*
 * The default routes give way to a configured gateway; else the one that the kernel prefers names
 * the gateway. The table gets one route for each destination and metric.
 */
static void settle_routes(uint8_t family, const struct host_interface *seen,
			  struct ip_addr *gateway, struct rtnl_route *to, unsigned *n)
{
	const struct rtnl_route *from = seen->routes[family == FLOW_IPV6];
	static const struct ip_addr none;
	bool configured = !ip_addr_is_zero(gateway), twice;
	uint32_t metric = UINT32_MAX;

	*n = 0;
	for (unsigned i = 0; i < seen->n_routes[family == FLOW_IPV6]; i++) {
		twice = false;
		for (unsigned k = 0; k < *n; k++)
			twice = twice || rules_route_same(&to[k], &from[i]);
		if (twice || (from[i].prefix_bits == 0 && configured))
			continue;
		if (from[i].prefix_bits == 0 && from[i].metric < metric) {
			metric = from[i].metric;
			*gateway = from[i].via6 ? none : from[i].gateway;
		}
		to[(*n)++] = from[i];
	}
	if (configured && *n < HOST_ROUTES_MAX)
		to[(*n)++] = (struct rtnl_route){.family = family, .gateway = *gateway};
}

/* Better: 2 in the gateway's network, 1 global rather than local to a site (fc00::/7). */
static int address_rank(const struct rtnl_address *a, const struct ip_addr *gateway)
{
	bool near = !ip_addr_is_zero(gateway) && prefix_holds(gateway, a->prefix_bits, &a->address);

	return 2 * near + (a->family == FLOW_IPV4 || (a->address.b[0] & 0xfe) != 0xfc);
}

/* The first of the best. */
static void settle_address(uint8_t family, const struct host_interface *seen,
			   const struct ip_addr *gateway, struct ip_addr *address)
{
	const struct rtnl_address *best = NULL;

	for (unsigned i = 0; i < seen->n_addresses; i++) {
		const struct rtnl_address *a = &seen->addresses[i];

		if (a->family == family && a->fit &&
		    (!best || address_rank(a, gateway) > address_rank(best, gateway)))
			best = a;
	}
	if (best)
		*address = best->address;
}

static bool bears(const struct host_interface *seen, const struct ip_addr *address)
{
	for (unsigned i = 0; i < seen->n_addresses; i++)
		if (ip_addr_equal(&seen->addresses[i].address, address))
			return true;
	return false;
}

void host_settle(const struct config *cfg, struct host *host, unsigned path)
{
	const struct config_path *from = &cfg->path[path];
	const struct host_interface *seen = &host->seen[path];
	struct host_path p;

	/* It is compared as bytes. */
	memset(&p, 0, sizeof(p));
	p.link = seen->link;
	p.table = host->path[path].table;
	p.gateway4 = from->gateway4;
	p.gateway6 = from->gateway6;
	if (seen->link.index) {
		settle_routes(FLOW_IPV4, seen, &p.gateway4, p.routes4, &p.n_routes4);
		settle_routes(FLOW_IPV6, seen, &p.gateway6, p.routes6, &p.n_routes6);
		/* A configured address that the interface has lost is of no use. */
		if (!ip_addr_is_zero(&from->address4) && bears(seen, &from->address4))
			p.address4 = from->address4;
		else if (ip_addr_is_zero(&from->address4))
			settle_address(FLOW_IPV4, seen, &p.gateway4, &p.address4);
		if (!ip_addr_is_zero(&from->address6) && bears(seen, &from->address6))
			p.address6 = from->address6;
		else if (ip_addr_is_zero(&from->address6))
			settle_address(FLOW_IPV6, seen, &p.gateway6, &p.address6);
	}
	host->path[path] = p;
}

/* ---- for the engine ---- */

static uint16_t mtu(uint32_t mtu_bytes)
{
	return mtu_bytes > UINT16_MAX ? UINT16_MAX : (uint16_t)mtu_bytes;
}

void host_engine(const struct config *cfg, const struct host *host, struct engine_cfg *out)
{
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		out->path[i].addr4 = host->path[i].address4;
		out->path[i].addr6 = host->path[i].address6;
		out->path[i].mtu_bytes = mtu(host->path[i].link.mtu_bytes);
	}
	out->guest_mtu_bytes = 0;
	for (unsigned i = 0; i < cfg->n_guests; i++) {
		uint16_t m = mtu(host->guests[i].mtu_bytes);

		if (m && (out->guest_mtu_bytes == 0 || m < out->guest_mtu_bytes))
			out->guest_mtu_bytes = m;
	}
}
