// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules.c - see rules.h.
 */
#include "app/rules.h"

#include <string.h>
#include <unistd.h>

#include "app/ports.h"
#include "app/routes.h"
#include "app/rules_build.h"
#include "io/ctnl.h"
#include "io/steer.h"

bool rules_have_v6(void)
{
	return access("/proc/sys/net/ipv6", F_OK) == 0;
}

bool rules_ask_routed(const struct config *cfg)
{
	return strcmp(cfg->emit, "routed") == 0;
}

static void build_chains(struct rules_list *list, const struct config *cfg, uint8_t family,
			 bool routed)
{
	rules_chains(list, cfg, family, routed);
	rules_jumps(list, family, routed);
}

void rules_build(struct rules_list *list, const struct config *cfg, const struct host *host,
		 bool v6, bool routed)
{
	rules_routes(list, cfg, host, FLOW_IPV4);
	ports_print(list, cfg);
	build_chains(list, cfg, FLOW_IPV4, routed);
	if (!v6)
		return;
	rules_routes(list, cfg, host, FLOW_IPV6);
	build_chains(list, cfg, FLOW_IPV6, routed);
}

static void count(const struct rtnl_rule *rule, void *data)
{
	unsigned *n = data;

	(void)rule;
	(*n)++;
}

bool rules_routes_there(void)
{
	unsigned n = 0;

	return rtnl_rules(FLOW_IPV4, RULES_PROTOCOL, count, &n) == 0 && n > 0;
}

bool rules_jumps_there(bool routed)
{
	struct rules_list jumps = {0};
	bool there;

	rules_jumps(&jumps, FLOW_IPV4, routed);
	if (rules_have_v6())
		rules_jumps(&jumps, FLOW_IPV6, routed);
	there = rules_list_needless(&jumps);
	rules_list_fini(&jumps);
	return there;
}

bool rules_daemon_there(void)
{
	return if_nametoindex("mpg-g0") != 0;
}

static int need_root(char *err, unsigned err_bytes)
{
	if (geteuid() == 0)
		return 0;
	snprintf(err, err_bytes, "rules of the host can only be changed by root");
	return -1;
}

/* It is too large for the stack. */
static struct host *look(const struct config *cfg, char *err, unsigned err_bytes)
{
	static struct host host;
	int error;

	memset(&host, 0, sizeof(host));
	error = host_look(cfg, &host);
	if (error)
		snprintf(err, err_bytes, "asking the kernel for interfaces and routes: %s",
			 strerror(-error));
	return error ? NULL : &host;
}

static int routes_up(const struct config *cfg, const struct host *host, char *err,
		     unsigned err_bytes)
{
	static struct routes routes;
	int error = routes_remove(err, err_bytes), result = 0;

	if (error)
		return -1;
	error = routes_open(&routes);
	if (error) {
		snprintf(err, err_bytes, "rtnetlink: %s", strerror(-error));
		return -1;
	}
	/* A gateway out of reach concerns its path alone. */
	for (unsigned i = 0; i < cfg->n_paths; i++)
		if (routes_renew(&routes, cfg, host, i, true, err, err_bytes) < 0 &&
		    host->path[i].link.up && strcmp(host_path_state(&host->path[i]), "up") == 0)
			result = -1;
	routes_close(&routes);
	return result;
}

int rules_chains_up(const struct config *cfg, bool routed, char *err, unsigned err_bytes)
{
	struct rules_list list = {0};
	int result;

	build_chains(&list, cfg, FLOW_IPV4, routed);
	if (rules_have_v6())
		build_chains(&list, cfg, FLOW_IPV6, routed);
	result = rules_list_run(&list, err, err_bytes);
	rules_list_fini(&list);
	return result;
}

int rules_up(const struct config *cfg, const struct host *host, bool routed, char *err,
	     unsigned err_bytes)
{
	char waste[8];

	if (need_root(err, err_bytes) < 0)
		return -1;
	if (!host)
		host = look(cfg, err, err_bytes);
	if (!host)
		return -1;
	ports_release();
	if (routes_up(cfg, host, err, err_bytes) == 0 &&
	    rules_chains_up(cfg, routed, err, err_bytes) == 0) {
		ports_reserve(cfg);
		return 0;
	}
	rules_down(waste, sizeof(waste));
	return -1;
}

/* What conntrack keeps of a converted connection would not end by itself for days. */
static void forget(const struct flow_tuple *guest, void *data)
{
	struct netlink nl;

	(void)data;
	if (netlink_open(&nl, NETLINK_NETFILTER) < 0)
		return;
	ctnl_over(&nl, guest);
	netlink_close(&nl);
}

int rules_down(char *err, unsigned err_bytes)
{
	struct rules_list chains = {0};
	int result, error;

	if (need_root(err, err_bytes) < 0)
		return -1;
	rules_chains_remove(&chains, FLOW_IPV4);
	if (rules_have_v6())
		rules_chains_remove(&chains, FLOW_IPV6);
	/* Whichever fails, the others still do their part. */
	ports_release();
	result = routes_remove(err, err_bytes);
	if (rules_list_run(&chains, err, err_bytes) < 0)
		result = -1;
	rules_list_fini(&chains);
	error = rules_daemon_there() ? 0 : steer_remove(forget, NULL);
	if (error) {
		snprintf(err, err_bytes, "BPF programs at the interfaces' ingress: %s",
			 strerror(-error));
		result = -1;
	}
	return result;
}

int rules_print(const struct config *cfg, bool routed, FILE *out, char *err, unsigned err_bytes)
{
	struct rules_list list = {0};
	struct host *host = look(cfg, err, err_bytes);
	int result;

	if (!host)
		return -1;
	rules_build(&list, cfg, host, rules_have_v6(), routed);
	result = list.no_memory ? -1 : 0;
	if (result < 0) {
		snprintf(err, err_bytes, "out of memory");
	} else {
		fprintf(out, "#!/bin/sh -e\n");
		rules_list_print(&list, out);
	}
	rules_list_fini(&list);
	return result;
}
