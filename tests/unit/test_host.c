/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_host.c - what the host is taken for after the kernel's messages: links that come, go and
 * change their names, addresses, gateways, routes that replace one another.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "app/host.h"
#include "app/rules_build.h"
#include "unit.h"

#define A 7 /* index of the interface "up-a" */
#define B 8

static struct config cfg;
static struct host host;
static struct host_touched touched;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = {{0}};

	if (inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, a.b) != 1)
		abort();
	return a;
}

static uint8_t family_of(const char *text)
{
	return strchr(text, ':') ? FLOW_IPV6 : FLOW_IPV4;
}

static void say(const struct rtnl_change *c)
{
	memset(&touched, 0, sizeof(touched));
	host_change(&cfg, &host, c, &touched);
	for (unsigned i = 0; i < cfg.n_paths; i++)
		host_settle(&cfg, &host, i);
}

static void say_link(const char *name, unsigned index, bool admin_up, bool carrier, bool gone)
{
	struct rtnl_change c = {.kind = RTNL_LINK, .ifindex = index, .gone = gone};

	snprintf(c.link.name, sizeof(c.link.name), "%s", name);
	c.link.index = index;
	c.link.mtu_bytes = 1500;
	c.link.admin_up = admin_up;
	c.link.up = admin_up && carrier;
	say(&c);
}

static void say_address(unsigned index, const char *address, unsigned bits, bool fit, bool gone)
{
	struct rtnl_change c = {.kind = RTNL_ADDRESS, .ifindex = index, .gone = gone};

	c.address.family = family_of(address);
	c.address.address = addr(address);
	c.address.prefix_bits = (uint8_t)bits;
	c.address.fit = fit;
	say(&c);
}

enum how { ADD, GONE, REPLACE };

static void say_route(unsigned index, const char *dst, unsigned bits, const char *via,
		      uint32_t metric, enum how how)
{
	struct rtnl_change c = {.kind = RTNL_ROUTE,
				.ifindex = index,
				.gone = how == GONE,
				.replaces = how == REPLACE};

	c.route.family = family_of(dst);
	c.route.prefix_bits = (uint8_t)bits;
	c.route.dst = addr(dst);
	c.route.metric = metric;
	if (via)
		c.route.gateway = addr(via);
	say(&c);
}

static bool is(const struct ip_addr *a, const char *text)
{
	struct ip_addr b = {{0}};

	if (text)
		b = addr(text);
	return ip_addr_equal(a, &b);
}

/* Two paths, both up, each with an address and a default route. */
static void begin(void)
{
	memset(&cfg, 0, sizeof(cfg));
	memset(&host, 0, sizeof(host));
	cfg.n_guests = 1;
	snprintf(cfg.guests[0], sizeof(cfg.guests[0]), "guest0");
	cfg.n_paths = 2;
	snprintf(cfg.path[0].interface, sizeof(cfg.path[0].interface), "up-a");
	snprintf(cfg.path[1].interface, sizeof(cfg.path[1].interface), "up-b");
	say_link("up-a", A, true, true, false);
	say_link("up-b", B, true, true, false);
	say_address(A, "10.1.1.2", 24, true, false);
	say_route(A, "10.1.1.0", 24, NULL, 0, ADD);
	say_route(A, "0.0.0.0", 0, "10.1.1.1", 100, ADD);
	say_address(B, "10.1.2.2", 24, true, false);
	say_route(B, "10.1.2.0", 24, NULL, 0, ADD);
	say_route(B, "0.0.0.0", 0, "10.1.2.1", 200, ADD);
}

static void test_start(void)
{
	begin();
	CU_ASSERT_EQUAL(host.path[0].link.index, A);
	CU_ASSERT_TRUE(is(&host.path[0].address4, "10.1.1.2"));
	CU_ASSERT_TRUE(is(&host.path[0].gateway4, "10.1.1.1"));
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 2);
	CU_ASSERT_TRUE(is(&host.path[1].gateway4, "10.1.2.1"));
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "up");
	/* Nothing that concerns others. */
	say_link("eth9", 3, true, true, false);
	CU_ASSERT_EQUAL(touched.paths | touched.guests, 0);
	say_route(3, "0.0.0.0", 0, "10.9.9.9", 1, ADD);
	CU_ASSERT_EQUAL(touched.paths, 0);
	say_address(3, "10.9.9.1", 24, true, false);
	CU_ASSERT_EQUAL(touched.paths, 0);
}

static void test_link(void)
{
	begin();
	say_link("up-a", A, true, false, false);
	CU_ASSERT_EQUAL(touched.paths, 1);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "no carrier");
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 2); /* the kernel keeps them */
	say_link("up-a", A, false, false, false);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "link down");
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 0); /* the kernel dropped them without a word */
	CU_ASSERT_EQUAL(touched.lost, 1);
	CU_ASSERT_TRUE(is(&host.path[0].address4, "10.1.1.2"));
	say_link("up-a", A, true, true, false);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "no gateway");
	say_route(A, "10.1.1.0", 24, NULL, 0, ADD);
	say_route(A, "0.0.0.0", 0, "10.1.1.1", 100, ADD);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "up");
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[1]), "up");
}

/* Gone and back under another index; renamed away; another one renamed to the name. */
static void test_identity(void)
{
	begin();
	say_link("up-a", A, false, false, true);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "no such interface");
	CU_ASSERT_TRUE(is(&host.path[0].address4, NULL));
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 0);
	say_link("up-a", 21, true, true, false);
	CU_ASSERT_EQUAL(host.path[0].link.index, 21);
	CU_ASSERT_EQUAL(touched.ask, 1);
	say_address(A, "10.1.1.2", 24, true, false); /* a late word of the old one */
	CU_ASSERT_TRUE(is(&host.path[0].address4, NULL));
	say_address(21, "10.1.1.3", 24, true, false);
	CU_ASSERT_TRUE(is(&host.path[0].address4, "10.1.1.3"));

	say_link("other", B, true, true, false);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[1]), "no such interface");
	say_link("up-b", 30, true, true, false);
	CU_ASSERT_EQUAL(host.path[1].link.index, 30);
	CU_ASSERT_EQUAL(touched.ask, 2);
	/* The name moves on to another one before the first is gone. */
	say_link("up-b", 31, true, true, false);
	CU_ASSERT_EQUAL(host.path[1].link.index, 31);
	say_link("up-b", 30, true, true, true);
	CU_ASSERT_EQUAL(host.path[1].link.index, 31);

	say_link("guest0", 40, true, true, false);
	CU_ASSERT_EQUAL(touched.guests, 1);
	CU_ASSERT_EQUAL(host.guests[0].index, 40);
	say_link("guest0", 40, true, true, true);
	CU_ASSERT_EQUAL(host.guests[0].index, 0);
}

static void test_addresses(void)
{
	begin();
	say_address(A, "10.1.7.7", 24, true, false);
	CU_ASSERT_TRUE(is(&host.path[0].address4, "10.1.1.2")); /* the gateway's network */
	say_address(A, "10.1.1.2", 24, true, true);
	CU_ASSERT_TRUE(is(&host.path[0].address4, "10.1.7.7"));
	CU_ASSERT_EQUAL(touched.ask, 1); /* routes may have gone with it */
	CU_ASSERT_EQUAL(touched.lost, 1);
	say_address(A, "10.1.7.7", 24, true, true);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "no address");

	say_address(A, "fe80::1", 64, false, false);
	say_address(A, "fd00::2", 64, true, false);
	say_address(A, "2001:db8::3", 64, false, false); /* tentative */
	CU_ASSERT_TRUE(is(&host.path[0].address6, "fd00::2"));
	say_address(A, "2001:db8::3", 64, true, false); /* and then not any more */
	CU_ASSERT_TRUE(is(&host.path[0].address6, "2001:db8::3"));
	say_address(A, "2001:db8::3", 64, false, false); /* deprecated */
	CU_ASSERT_TRUE(is(&host.path[0].address6, "fd00::2"));
	CU_ASSERT_EQUAL(host.seen[0].n_addresses, 3);
}

static void test_configured(void)
{
	begin();
	cfg.path[0].address4 = addr("10.1.1.9");
	cfg.path[0].gateway4 = addr("10.1.1.254");
	say_address(A, "10.1.1.9", 24, true, false);
	CU_ASSERT_TRUE(is(&host.path[0].address4, "10.1.1.9"));
	CU_ASSERT_TRUE(is(&host.path[0].gateway4, "10.1.1.254"));
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 2); /* connected, and ours instead of the default */
	CU_ASSERT_TRUE(is(&host.path[0].routes4[1].gateway, "10.1.1.254"));
	say_address(A, "10.1.1.9", 24, true, true);
	CU_ASSERT_TRUE(is(&host.path[0].address4, NULL)); /* no other one is taken for it */
	/* A gateway out of reach is no way out. */
	cfg.path[1].gateway4 = addr("192.0.2.1");
	say_address(B, "10.1.2.3", 24, true, false);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[1]), "no gateway");
}

static void test_routes(void)
{
	begin();
	say_route(A, "0.0.0.0", 0, "10.1.1.7", 50, ADD);
	CU_ASSERT_TRUE(is(&host.path[0].gateway4, "10.1.1.7")); /* the lower metric */
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 3);
	say_route(A, "0.0.0.0", 0, "10.1.1.7", 50, ADD); /* told twice */
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 3);
	say_route(A, "0.0.0.0", 0, "10.1.1.8", 50, REPLACE);
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 3);
	CU_ASSERT_TRUE(is(&host.path[0].gateway4, "10.1.1.8"));
	/* A replacement by another interface's takes it away here. */
	say_route(B, "0.0.0.0", 0, "10.1.2.9", 50, REPLACE);
	CU_ASSERT_EQUAL(touched.paths, 3);
	CU_ASSERT_TRUE(is(&host.path[0].gateway4, "10.1.1.1"));
	CU_ASSERT_TRUE(is(&host.path[1].gateway4, "10.1.2.9"));
	say_route(B, "0.0.0.0", 0, "10.1.2.9", 50, GONE);
	CU_ASSERT_TRUE(is(&host.path[1].gateway4, "10.1.2.1"));
	/* Several next hops of one route: one of them is enough for the table. */
	say_route(A, "172.16.0.0", 12, "10.1.1.3", 0, ADD);
	say_route(A, "172.16.0.0", 12, "10.1.1.4", 0, ADD);
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 3);
	say_route(A, "172.16.0.0", 12, "10.1.1.3", 0, GONE);
	CU_ASSERT_EQUAL(host.path[0].n_routes4, 3);
	CU_ASSERT_TRUE(is(&host.path[0].routes4[2].gateway, "10.1.1.4"));
	/* More than there is room for. */
	for (unsigned i = 0; i < 2 * HOST_ROUTES_MAX; i++) {
		char dst[32];

		snprintf(dst, sizeof(dst), "198.18.%u.0", i);
		say_route(A, dst, 24, "10.1.1.3", 0, ADD);
	}
	CU_ASSERT_EQUAL(host.path[0].n_routes4, HOST_ROUTES_MAX);
	say_route(A, "0.0.0.0", 0, "10.1.1.5", 7, ADD);
	CU_ASSERT_TRUE(is(&host.path[0].gateway4, "10.1.1.5"));
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "up");
}

static void test_lost(void)
{
	struct rtnl_change c = {.kind = RTNL_LOST};

	begin();
	say(&c);
	CU_ASSERT_TRUE(touched.all);
	CU_ASSERT_STRING_EQUAL(host_path_state(&host.path[0]), "up");
}

static const struct unit_test tests[] = {
	{"start", test_start},
	{"links go down and up", test_link},
	{"interfaces come, go and are renamed", test_identity},
	{"addresses", test_addresses},
	{"what the file says goes first", test_configured},
	{"routes", test_routes},
	{"lost messages", test_lost},
};

UNIT_MAIN("host", tests)
