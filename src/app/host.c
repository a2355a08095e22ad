// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host.c - see host.h.
 */
#include "app/host.h"

#include "io/log.h"

/*
 * A configured gateway replaces the default routes that the list has; else the one of them that
 * the kernel prefers names the gateway.
 */
static void settle_gateway(uint8_t family, struct rtnl_route *routes, unsigned *n,
			   struct ip_addr *gateway)
{
	bool configured = !ip_addr_is_zero(gateway);
	uint32_t metric = UINT32_MAX;
	unsigned kept = 0;

	for (unsigned i = 0; i < *n; i++) {
		bool is_default = routes[i].prefix_bits == 0;

		if (is_default && !configured && routes[i].metric < metric) {
			metric = routes[i].metric;
			*gateway = routes[i].gateway;
		}
		if (!is_default || !configured)
			routes[kept++] = routes[i];
	}
	if (configured && kept < HOST_ROUTES_MAX) {
		memset(&routes[kept], 0, sizeof(*routes));
		routes[kept].family = family;
		routes[kept].gateway = *gateway;
		kept++;
	}
	/* The structure is compared as bytes. */
	memset(&routes[kept], 0, (HOST_ROUTES_MAX - kept) * sizeof(*routes));
	*n = kept;
}

static int look_family(unsigned index, uint8_t family, struct ip_addr *address,
		       struct ip_addr *gateway, struct rtnl_route *routes, unsigned *n)
{
	int err = 0;

	if (ip_addr_is_zero(address))
		err = rtnl_address(index, family, address);
	if (!err)
		err = rtnl_routes(index, family, routes, HOST_ROUTES_MAX, n);
	if (err)
		return err;
	if (*n == HOST_ROUTES_MAX)
		log_warning(
			"interface %u has %u or more routes; the others are not copied into its "
			"path's table",
			index, HOST_ROUTES_MAX);
	settle_gateway(family, routes, n, gateway);
	return 0;
}

int host_look(const struct config *cfg, struct host *host)
{
	int err;

	memset(host, 0, sizeof(*host));
	for (unsigned i = 0; i < cfg->n_guests; i++) {
		err = rtnl_link(cfg->guests[i], &host->guests[i]);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		const struct config_path *from = &cfg->path[i];
		struct host_path *p = &host->path[i];

		p->table = from->table ? from->table : HOST_TABLE_BASE + i;
		p->address4 = from->address4;
		p->address6 = from->address6;
		p->gateway4 = from->gateway4;
		p->gateway6 = from->gateway6;
		err = rtnl_link(from->interface, &p->link);
		if (!err && p->link.index)
			err = look_family(p->link.index, FLOW_IPV4, &p->address4, &p->gateway4,
					  p->routes4, &p->n_routes4);
		if (!err && p->link.index)
			err = look_family(p->link.index, FLOW_IPV6, &p->address6, &p->gateway6,
					  p->routes6, &p->n_routes6);
		if (err)
			return err;
	}
	return 0;
}

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
