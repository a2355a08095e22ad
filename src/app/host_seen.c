// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host_seen.c - see host.h: what the kernel told, asked or by itself.
 */
#include <errno.h>

#include "app/host.h"
#include "app/rules_build.h"
#include "io/log.h"

static void forget(struct host_interface *seen)
{
	memset(seen, 0, sizeof(*seen));
}

static void forget_routes(struct host_interface *seen, bool v6)
{
	memset(seen->routes[v6], 0, sizeof(seen->routes[v6]));
	seen->n_routes[v6] = 0;
}

/* The link as it is now told; an MTU that was not told stays. */
static void link_set(struct rtnl_link *link, const struct rtnl_link *told)
{
	uint32_t mtu_bytes = told->mtu_bytes ? told->mtu_bytes : link->mtu_bytes;

	*link = *told;
	link->mtu_bytes = mtu_bytes;
}

/*
 * An interface is known by its name. One that bears the name now, with another index, is another
 * one; one whose name changed is gone.
 */
static void link_change(const struct config *cfg, struct host *host, const struct rtnl_change *c,
			struct host_touched *touched)
{
	for (unsigned i = 0; i < cfg->n_guests; i++) {
		bool named = strcmp(cfg->guests[i], c->link.name) == 0 && !c->gone;

		if (!named && host->guests[i].index != c->ifindex)
			continue;
		touched->guests |= 1u << i;
		if (named)
			link_set(&host->guests[i], &c->link);
		else
			memset(&host->guests[i], 0, sizeof(host->guests[i]));
	}
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		struct host_interface *seen = &host->seen[i];
		bool named = strcmp(cfg->path[i].interface, c->link.name) == 0 && !c->gone;

		if (!named && seen->link.index != c->ifindex)
			continue;
		touched->paths |= 1u << i;
		if (!named || seen->link.index != c->ifindex) {
			forget(seen);
			touched->lost |= 1u << i;
		}
		if (!named)
			continue;
		/* It may have had addresses under another name. */
		if (seen->link.index == 0)
			touched->ask |= 1u << i;
		link_set(&seen->link, &c->link);
		/* Without a word to us: the kernel drops what leads through a link that is down. */
		if (!c->link.admin_up) {
			forget_routes(seen, false);
			forget_routes(seen, true);
			touched->lost |= 1u << i;
		}
	}
}

static void address_change(struct host_interface *seen, const struct rtnl_change *c)
{
	unsigned i = 0;

	while (i < seen->n_addresses &&
	       (seen->addresses[i].family != c->address.family ||
		!ip_addr_equal(&seen->addresses[i].address, &c->address.address)))
		i++;
	if (!c->gone) {
		if (i == HOST_ADDRESSES_MAX)
			return;
		seen->addresses[i] = c->address;
		seen->n_addresses += i == seen->n_addresses;
	} else if (i < seen->n_addresses) {
		seen->n_addresses--;
		memmove(&seen->addresses[i], &seen->addresses[i + 1],
			(seen->n_addresses - i) * sizeof(seen->addresses[0]));
	}
}

/* Takes out those that `c` names, or, for a replacement, those in its place. */
static bool routes_take_out(struct host_interface *seen, const struct rtnl_change *c)
{
	bool v6 = c->route.family == FLOW_IPV6;
	struct rtnl_route *routes = seen->routes[v6];
	unsigned kept = 0, n = seen->n_routes[v6];

	for (unsigned i = 0; i < n; i++) {
		bool out = rules_route_same(&routes[i], &c->route) &&
			   (c->replaces || (routes[i].via6 == c->route.via6 &&
					    ip_addr_equal(&routes[i].gateway, &c->route.gateway)));

		if (!out)
			routes[kept++] = routes[i];
	}
	memset(&routes[kept], 0, (n - kept) * sizeof(routes[0]));
	seen->n_routes[v6] = kept;
	return kept < n;
}

static bool essential(const struct rtnl_route *r)
{
	return r->prefix_bits == 0 || ip_addr_is_zero(&r->gateway);
}

static void route_add(struct host_interface *seen, const struct rtnl_route *route)
{
	bool v6 = route->family == FLOW_IPV6;
	struct rtnl_route *routes = seen->routes[v6];
	unsigned i;

	if (seen->n_routes[v6] < HOST_ROUTES_MAX) {
		routes[seen->n_routes[v6]++] = *route;
		return;
	}
	if (!seen->full)
		log_warning("interface %s has more than %u routes; the others are not copied into "
			    "its path's table",
			    seen->link.name, HOST_ROUTES_MAX);
	seen->full = true;
	/* Without these nothing goes by the path: one of the others has to give way. */
	for (i = HOST_ROUTES_MAX; i > 0 && essential(&routes[i - 1]); i--)
		;
	if (i > 0 && essential(route))
		routes[i - 1] = *route;
}

void host_change(const struct config *cfg, struct host *host, const struct rtnl_change *c,
		 struct host_touched *touched)
{
	if (c->kind == RTNL_LOST)
		touched->all = true;
	if (c->kind == RTNL_LINK)
		link_change(cfg, host, c, touched);
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		struct host_interface *seen = &host->seen[i];
		bool here = seen->link.index && seen->link.index == c->ifindex;

		if (c->kind == RTNL_ADDRESS && here) {
			address_change(seen, c);
			touched->paths |= 1u << i;
			/* The kernel drops routes that need the address, again without a word. */
			if (c->gone && c->address.family == FLOW_IPV4) {
				touched->ask |= 1u << i;
				touched->lost |= 1u << i;
			}
		}
		if (c->kind != RTNL_ROUTE)
			continue;
		/* Every change takes out its like first, so that none stands there twice. */
		if ((here || c->replaces) && routes_take_out(seen, c))
			touched->paths |= 1u << i;
		if (here && !c->gone)
			route_add(seen, &c->route);
		if (here)
			touched->paths |= 1u << i;
	}
}

/* ---- asking ---- */

static void on_told_link(const struct rtnl_change *c, void *data)
{
	if (c->kind == RTNL_LINK)
		link_set(data, &c->link);
}

static void on_told(const struct rtnl_change *c, void *data)
{
	struct host_interface *seen = data;

	if (c->kind == RTNL_ADDRESS) {
		address_change(seen, c);
	} else if (c->kind == RTNL_ROUTE) {
		routes_take_out(seen, c);
		route_add(seen, &c->route);
	}
}

int host_ask(struct host *host, unsigned path)
{
	struct host_interface *seen = &host->seen[path];
	struct rtnl_link link = seen->link;
	int err;

	forget(seen);
	seen->link = link;
	if (!link.index)
		return 0;
	err = rtnl_addresses(link.index, on_told, seen);
	if (!err)
		err = rtnl_routes(link.index, FLOW_IPV4, on_told, seen);
	if (!err)
		err = rtnl_routes(link.index, FLOW_IPV6, on_told, seen);
	return err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err;
}

/*
 * Tables of which nobody else has one: those from HOST_TABLE_BASE on, or further up. A table of the
 * configuration is taken as it is; `mpgate check` says when it is occupied.
 */
static uint32_t table_base(const struct config *cfg)
{
	for (unsigned k = 0; k < HOST_TABLE_TRIES; k++) {
		uint32_t base = HOST_TABLE_BASE + k * HOST_TABLE_STEP;
		bool taken = false, one;

		for (unsigned i = 0; i < cfg->n_paths; i++) {
			for (unsigned f = FLOW_IPV4; f <= FLOW_IPV6; f += FLOW_IPV6 - FLOW_IPV4)
				if (!cfg->path[i].table &&
				    rtnl_table_taken((uint8_t)f, base + i, RULES_PROTOCOL, &one) ==
					    0)
					taken = taken || one;
		}
		if (!taken)
			return base;
	}
	return HOST_TABLE_BASE;
}

int host_look(const struct config *cfg, struct host *host)
{
	uint32_t base = host->path[0].table ? 0 : table_base(cfg);
	int err;

	memset(host->guests, 0, sizeof(host->guests));
	memset(host->seen, 0, sizeof(host->seen));
	for (unsigned i = 0; i < cfg->n_guests; i++) {
		err = rtnl_link(cfg->guests[i], on_told_link, &host->guests[i]);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		/* Once chosen a table stays. */
		if (base)
			host->path[i].table = cfg->path[i].table ? cfg->path[i].table : base + i;
		err = rtnl_link(cfg->path[i].interface, on_told_link, &host->seen[i].link);
		if (!err)
			err = host_ask(host, i);
		if (err)
			return err;
		host_settle(cfg, host, i);
	}
	return 0;
}
