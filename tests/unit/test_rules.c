/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_rules.c - the rules of the host: the whole list against rules/example.txt, and what no list
 * may ever contain, whatever the configuration (I6).
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "app/rules.h"
#include "app/rules_build.h"
#include "unit.h"

#define EXAMPLE TESTS_DIR "/../rules/example.txt"

/* The failure shows the line. */
#define CHECK_TEXT(text, condition) \
	CU_assertImplementation((condition), __LINE__, (text), __FILE__, "", CU_FALSE)

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = {{0}};

	if (inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, a.b) != 1)
		abort();
	return a;
}

static void add_route(struct rtnl_route *routes, unsigned *n, const char *dst, uint8_t bits,
		      const char *via, uint32_t metric)
{
	struct rtnl_route *r = &routes[(*n)++];

	r->family = strchr(dst, ':') ? FLOW_IPV6 : FLOW_IPV4;
	r->dst = addr(dst);
	r->prefix_bits = bits;
	r->metric = metric;
	if (via)
		r->gateway = addr(via);
}

static void add_path(struct config *cfg, const char *name, const char *interface, uint32_t table)
{
	struct config_path *p = &cfg->path[cfg->n_paths++];

	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->interface, sizeof(p->interface), "%s", interface);
	p->table = table;
}

/* The host of rules/example.txt: two guests' bridges, a dual-stack uplink, an IPv4 one. */
static void example(struct config *cfg, struct host *host)
{
	struct host_path *p = &host->path[0];

	memset(cfg, 0, sizeof(*cfg));
	memset(host, 0, sizeof(*host));
	cfg->n_guests = 2;
	snprintf(cfg->guests[0], sizeof(cfg->guests[0]), "virbr0");
	snprintf(cfg->guests[1], sizeof(cfg->guests[1]), "virbr1");
	cfg->queue = 61;
	cfg->port_min = 61000;
	cfg->port_max = 65000;
	add_path(cfg, "fibre", "eth0", 0);
	add_path(cfg, "lte", "wwan0", 102);

	p->link.index = 2;
	p->link.up = p->link.admin_up = true;
	p->table = HOST_TABLE_BASE;
	p->address4 = addr("10.1.1.2");
	p->address6 = addr("2001:db8:1::2");
	/* In this order on purpose: the gateway's route must be added behind the connected one. */
	add_route(p->routes4, &p->n_routes4, "0.0.0.0", 0, "10.1.1.1", 100);
	add_route(p->routes4, &p->n_routes4, "10.1.1.0", 24, NULL, 0);
	add_route(p->routes4, &p->n_routes4, "172.16.0.0", 12, "10.1.1.7", 0);
	add_route(p->routes6, &p->n_routes6, "2001:db8:1::", 64, NULL, 256);
	add_route(p->routes6, &p->n_routes6, "::", 0, "fe80::1", 1024);

	p = &host->path[1];
	p->link.index = 3;
	p->link.up = p->link.admin_up = true;
	p->table = 102;
	p->address4 = addr("10.1.2.2");
	add_route(p->routes4, &p->n_routes4, "0.0.0.0", 0, NULL, 0);
}

static char *render(const struct config *cfg, const struct host *host, bool v6, bool routed)
{
	struct rules_list list = {0};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	rules_build(&list, cfg, host, v6, routed);
	CU_ASSERT_FALSE(list.no_memory);
	fprintf(out, "#!/bin/sh -e\n");
	rules_list_print(&list, out);
	fclose(out);
	rules_list_fini(&list);
	return text;
}

static char *slurp(const char *file)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *in = fopen(file, "r");

	if (!in || getdelim(&text, &bytes, '\0', in) < 0)
		text = strdup("");
	if (in)
		fclose(in);
	return text;
}

static void test_example(void)
{
	static struct config cfg;
	static struct host host;
	char *text, *expected;

	example(&cfg, &host);
	text = render(&cfg, &host, true, false);
	if (getenv("RULES_EXAMPLE_RENEW")) {
		FILE *out = fopen(EXAMPLE, "w");

		fputs(text, out);
		fclose(out);
	}
	expected = slurp(EXAMPLE);
	CU_ASSERT_STRING_EQUAL(text, expected);
	free(text);
	free(expected);
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* One rule that jumps from a chain of the host's into one of ours. */
static bool is_jump(const char *words)
{
	static const char *const tools[] = {"iptables -w -t ", "ip6tables -w -t "};
	const char *rest = NULL, *target = strstr(words, " -j MPGATE-");

	for (size_t i = 0; i < 2; i++) {
		if (starts(words, tools[i]))
			rest = strchr(words + strlen(tools[i]), ' ');
	}
	return rest && target && !strchr(target + strlen(" -j "), ' ') &&
	       (starts(rest, " -A ") || starts(rest, " -I ") || starts(rest, " -D "));
}

/* Not a command that can touch what is not ours. */
static bool is_harmless(const struct rules_command *c)
{
	static const char *const good[] = {
		"iptables-restore -w --noflush",
		"ip6tables-restore -w --noflush",
		"ip -4 -batch -",
		"ip -6 -batch -",
		"ip -4 rule flush protocol 77",
		"ip -6 rule flush protocol 77",
		"ip -4 route flush table all protocol 77",
		"ip -6 route flush table all protocol 77",
		"ip -4 rule add iif mpg.ports ipproto tcp sport 61000-65000 nop pref 15400 "
		"protocol 77",
		"sysctl -qw net.ipv4.ip_local_reserved_ports=\"$(sed 's/.$/&,/' "
		"/proc/sys/net/ipv4/ip_local_reserved_ports)61000-65000\"",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (strcmp(c->words, good[i]) == 0)
			return true;
	}
	return is_jump(c->words);
}

/* Of the lines that restore reads: our chains only, and each that is jumped to is declared. */
static bool is_ours(const char *line, const char *input)
{
	char target[32], declared[40];
	const char *jump = strstr(line, "-g MPGATE-");

	if (!jump)
		jump = strstr(line, "-j MPGATE-");
	if (jump && sscanf(jump + 3, "%31s", target) == 1) {
		snprintf(declared, sizeof(declared), "\n:%s - ", target);
		if (!strstr(input, declared))
			return false;
	}
	return line[0] == '*' || strcmp(line, "COMMIT") == 0 || starts(line, ":MPGATE-") ||
	       starts(line, "-A MPGATE-") || starts(line, "-X MPGATE-");
}

static bool is_our_route(const char *line)
{
	return (starts(line, "route replace ") || starts(line, "rule add ")) &&
	       strstr(line, " protocol 77") && strstr(line, " table ");
}

static void check_list(const struct rules_list *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct rules_command *c = &list->command[i];
		char *copy = strdup(c->input ? c->input : ""), *state = NULL;

		CHECK_TEXT(c->words, is_harmless(c));
		for (char *line = strtok_r(copy, "\n", &state); line;
		     line = strtok_r(NULL, "\n", &state)) {
			bool routes = starts(c->words, "ip ");

			CHECK_TEXT(line, routes ? is_our_route(line)
						: is_ours(line, c->input ? c->input : ""));
		}
		free(copy);
	}
}

static void test_harmless(void)
{
	static struct config cfg;
	static struct host host;
	struct rules_list up = {0}, down = {0};

	example(&cfg, &host);
	rules_build(&up, &cfg, &host, true, true);
	check_list(&up);
	CU_ASSERT(up.n > 20);
	rules_list_fini(&up);

	rules_chains_remove(&down, FLOW_IPV4);
	check_list(&down);
	CU_ASSERT(down.n >= 7);
	rules_list_fini(&down);
}

/* Interfaces that are not there yet: the rules name them all the same, the tables stay empty. */
static void test_missing_interfaces(void)
{
	static struct config cfg;
	static struct host host;
	char *text;

	example(&cfg, &host);
	memset(&host, 0, sizeof(host));
	host.path[0].table = HOST_TABLE_BASE;
	host.path[1].table = 102;
	text = render(&cfg, &host, true, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "-A MPGATE-FWD -o virbr1 -g MPGATE-FWDN"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "-A MPGATE-FWDN -i wwan0 -g MPGATE-NET"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "rule add iif mpg-lte table 102"));
	CU_ASSERT_PTR_NULL(strstr(text, "route replace"));
	free(text);
}

/* Converted connections must not pass a dead daemon; everything else must. */
static void test_bypass(void)
{
	static struct config cfg;
	static struct host host;
	unsigned with = 0, without = 0;
	char *text, *state = NULL;

	example(&cfg, &host);
	text = render(&cfg, &host, false, false);
	for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		if (!strstr(line, "-j NFQUEUE"))
			continue;
		CU_ASSERT_PTR_NOT_NULL(strstr(line, "--queue-num 61"));
		if (strstr(line, "--queue-bypass")) {
			with++;
		} else {
			without++;
			CU_ASSERT_TRUE(starts(line, "-A MPGATE-PRE -m mark --mark "
						    "0x20000000/0x30000000 "));
		}
	}
	/*
	 * half, shown; guests' SYNs by either path; from the net SYN/ACK, RST, SYN with MPTCP; SYNs
	 * to the host itself by either path
	 */
	CU_ASSERT_EQUAL(with, 9);
	CU_ASSERT_EQUAL(without, 1);
	free(text);
}

/* Nothing of ours may make a host track connections that does not; I6. */
static void test_no_tracking(void)
{
	static const char *const words[] = {"conntrack", "connmark", "CONNMARK", "ctstate",
					    "-j CT",     "helper",   "NAT",      "state"};
	static struct config cfg;
	static struct host host;
	char *text;

	example(&cfg, &host);
	text = render(&cfg, &host, true, false);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		CHECK_TEXT(words[i], !strstr(text, words[i]));
	CU_ASSERT_PTR_NULL(strstr(text, "MPGATE-ACCEPT"));
	free(text);
	/* Only packets that come out of a device of ours need it, where they are routed. */
	text = render(&cfg, &host, true, true);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "-A MPGATE-RAW -i mpg-lte -j CT --notrack"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "-A MPGATE-ACCEPT -i mpg-g1 -j ACCEPT"));
	free(text);
}

static void test_marks(void)
{
	CU_ASSERT_EQUAL(STEER_SHOWN | STEER_CONVERTED, STEER_KIND);
	CU_ASSERT_EQUAL(STEER_HALF, STEER_KIND);
	CU_ASSERT_EQUAL((STEER_KIND | STEER_DECIDED) & ~STEER_ALL, 0);
}

/* The checks above can fail. */
static void test_checks(void)
{
	static const char *const bad[] = {
		"iptables -w -t mangle -F PREROUTING",
		"iptables -w -t filter -P FORWARD ACCEPT",
		"iptables -w -t filter -I FORWARD -j ACCEPT",
		"iptables-restore -w",
		"ip -4 rule flush",
		"ip -4 route flush table all",
	};
	static const char *const input = "*mangle\n:MPGATE-PRE - [0:0]\n";

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char words[64];
		struct rules_command c = {.words = words};

		snprintf(words, sizeof(words), "%s", bad[i]);
		CHECK_ROW(i, !is_harmless(&c));
	}
	CU_ASSERT_TRUE(is_ours("-A MPGATE-PRE -g MPGATE-PRE", input));
	CU_ASSERT_FALSE(is_ours("-A MPGATE-PRE -g MPGATE-SET", input));
	CU_ASSERT_FALSE(is_ours("-A PREROUTING -j MPGATE-PRE", input));
	CU_ASSERT_FALSE(is_our_route("route replace default via 10.0.0.1 table 5"));
}

static bool has_line(const char *text, const char *words)
{
	return strstr(text, words) != NULL;
}

/* Two paths on one interface: what bears a path's address takes its table, before the rest. */
static void test_shared_interface(void)
{
	static struct config cfg;
	static struct host host;
	static struct rules_plan plan;
	char *text;

	example(&cfg, &host);
	snprintf(cfg.path[1].interface, sizeof(cfg.path[1].interface), "eth0");
	text = render(&cfg, &host, false, false);
	CU_ASSERT_TRUE(has_line(text, "rule add from 10.1.1.2 fwmark 0x20000000/0x30000000 oif "
				      "eth0 table 20000 pref 15000 "));
	CU_ASSERT_TRUE(has_line(text, "rule add from 10.1.2.2 fwmark 0x20000000/0x30000000 oif "
				      "eth0 table 102 pref 15001 "));
	free(text);
	rules_plan(&plan, &cfg, &host, 0, FLOW_IPV4);
	CU_ASSERT_EQUAL(plan.n_rules, RULES_PER_PATH);
	CU_ASSERT_EQUAL(plan.n_routes, 3);
	CU_ASSERT_TRUE(ip_addr_is_zero(&plan.routes[0].gateway)); /* the connected one first */
	host.path[0].link.admin_up = false;
	rules_plan(&plan, &cfg, &host, 0, FLOW_IPV4);
	CU_ASSERT_EQUAL(plan.n_routes, 0);
	CU_ASSERT_EQUAL(plan.n_rules, RULES_PER_PATH);
}

static const struct unit_test tests[] = {
	{"the list against rules/example.txt", test_example},
	{"nothing but ours is touched", test_harmless},
	{"interfaces that do not exist yet", test_missing_interfaces},
	{"who may pass a dead daemon", test_bypass},
	{"no connection tracking", test_no_tracking},
	{"marks", test_marks},
	{"two paths on one interface", test_shared_interface},
	{"the checks can fail", test_checks},
};

UNIT_MAIN("rules", tests)
