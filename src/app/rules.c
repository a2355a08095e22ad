// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules.c - see rules.h.
 */
#include "app/rules.h"

#include <string.h>
#include <unistd.h>

#include "app/rules_build.h"

static bool have_v6(void)
{
	return access("/proc/sys/net/ipv6", F_OK) == 0;
}

static void build_family(struct rules_list *list, const struct config *cfg, const struct host *host,
			 uint8_t family)
{
	rules_routes(list, cfg, host, family);
	rules_chains(list, cfg, host, family);
	rules_jumps(list, family);
}

void rules_build(struct rules_list *list, const struct config *cfg, const struct host *host,
		 bool v6)
{
	build_family(list, cfg, host, FLOW_IPV4);
	if (v6)
		build_family(list, cfg, host, FLOW_IPV6);
}

static int need_root(char *err, unsigned err_bytes)
{
	if (geteuid() == 0)
		return 0;
	snprintf(err, err_bytes, "rules of the host can only be changed by root");
	return -1;
}

static int look(const struct config *cfg, struct host *host, char *err, unsigned err_bytes)
{
	int error = host_look(cfg, host);

	if (error)
		snprintf(err, err_bytes, "asking the kernel for interfaces and routes: %s",
			 strerror(-error));
	return error ? -1 : 0;
}

int rules_up(const struct config *cfg, char *err, unsigned err_bytes)
{
	struct rules_list list = {0};
	struct host host;
	char waste[8];
	int result;

	if (need_root(err, err_bytes) < 0 || look(cfg, &host, err, err_bytes) < 0)
		return -1;
	rules_build(&list, cfg, &host, have_v6());
	result = rules_list_run(&list, err, err_bytes);
	rules_list_fini(&list);
	if (result < 0)
		rules_down(waste, sizeof(waste));
	return result;
}

int rules_renew(const struct config *cfg, const struct host *host, unsigned path, char *err,
		unsigned err_bytes)
{
	struct rules_list list = {0};
	int result;

	rules_routes_renew(&list, cfg, host, path, FLOW_IPV4);
	rules_chains(&list, cfg, host, FLOW_IPV4);
	if (have_v6()) {
		rules_routes_renew(&list, cfg, host, path, FLOW_IPV6);
		rules_chains(&list, cfg, host, FLOW_IPV6);
	}
	result = rules_list_run(&list, err, err_bytes);
	rules_list_fini(&list);
	return result;
}

int rules_down(char *err, unsigned err_bytes)
{
	struct rules_list routes = {0}, chains = {0};
	int result;

	if (need_root(err, err_bytes) < 0)
		return -1;
	rules_routes_remove(&routes, FLOW_IPV4);
	rules_chains_remove(&chains, FLOW_IPV4);
	if (have_v6()) {
		rules_routes_remove(&routes, FLOW_IPV6);
		rules_chains_remove(&chains, FLOW_IPV6);
	}
	/* Where one of the two tools is missing the other still does its part. */
	result = rules_list_run(&routes, err, err_bytes);
	if (rules_list_run(&chains, err, err_bytes) < 0)
		result = -1;
	rules_list_fini(&routes);
	rules_list_fini(&chains);
	return result;
}

int rules_print(const struct config *cfg, FILE *out, char *err, unsigned err_bytes)
{
	struct rules_list list = {0};
	struct host host;
	int result;

	if (look(cfg, &host, err, err_bytes) < 0)
		return -1;
	rules_build(&list, cfg, &host, have_v6());
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
