/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_config.c - the configuration file: what a good one becomes.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/config_keys.h"
#include "unit.h"

#define GUESTS "guests = { \"virbr0\" }\n"
#define PATH_A "path \"a\" { interface = \"eth0\" }\n"

/* The example of the design, word by word. */
static const char design[] =
	"# mpgate.conf\n"
	"guests   = { \"virbr0\" }                 # interfaces behind which guests live\n"
	"control  = \"/run/mpgate.sock\"\n"
	"manage_host = true\n"
	"ports    = \"61000-65000\"                # local ports of the gate's own subflows\n"
	"path \"fibre\" { interface = \"eth0\"  gateway = \"10.1.1.1\" }      # address, gateway\n"
	"path \"lte\"   { interface = \"wwan0\" gateway = \"10.1.2.1\" table = 102 backup = false "
	"price = 2.0 }\n"
	"multipath { mode = \"fullmesh\"  after_bytes = 262144  after_ms = 0  on_congestion = true "
	" max_subflows = 8 }\n"
	"scheduler = \"lowest-rtt\"               # lowest-rtt, blest, redundant, round-robin\n"
	"congestion = \"lia\"                     # lia, olia, balia, cubic, bbr\n"
	"memory_mb = 256\n"
	"max_connections = 65536\n"
	"policy { match = \"tcp dport 22\"  use = \"never\" }\n";

static struct config cfg;
static char err[512];

static bool address_is(const struct ip_addr *a, int family, const char *text)
{
	struct ip_addr want = {0};

	return inet_pton(family, text, want.b) == 1 && ip_addr_equal(a, &want);
}

static void test_design(void)
{
	CU_ASSERT_EQUAL_FATAL(config_read_text(&cfg, "f", design, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(cfg.n_guests, 1);
	CU_ASSERT_STRING_EQUAL(cfg.guests[0], "virbr0");
	CU_ASSERT_STRING_EQUAL(cfg.control, "/run/mpgate.sock");
	CU_ASSERT_TRUE(cfg.manage_host);
	CU_ASSERT_EQUAL(cfg.port_min, 61000);
	CU_ASSERT_EQUAL(cfg.port_max, 65000);
	CU_ASSERT_EQUAL_FATAL(cfg.n_paths, 2);
	CU_ASSERT_STRING_EQUAL(cfg.path[0].name, "fibre");
	CU_ASSERT_STRING_EQUAL(cfg.path[0].interface, "eth0");
	CU_ASSERT_EQUAL(cfg.path[0].line, 6);
	CU_ASSERT_TRUE(address_is(&cfg.path[0].gateway4, AF_INET, "10.1.1.1"));
	CU_ASSERT_TRUE(ip_addr_is_zero(&cfg.path[0].address4));
	CU_ASSERT_EQUAL(cfg.path[0].price, 1.0);
	CU_ASSERT_STRING_EQUAL(cfg.path[1].name, "lte");
	CU_ASSERT_EQUAL(cfg.path[1].table, 102);
	CU_ASSERT_EQUAL(cfg.path[1].price, 2.0);
	CU_ASSERT_EQUAL(cfg.path[1].line, 7);
	CU_ASSERT_EQUAL(cfg.multipath.mode, CONFIG_FULLMESH);
	CU_ASSERT_EQUAL(cfg.multipath.max_subflows, 8);
	CU_ASSERT_EQUAL(cfg.memory_mb, 256);
	CU_ASSERT_EQUAL(cfg.max_connections, 65536);
	CU_ASSERT_EQUAL_FATAL(cfg.n_policies, 1);
	CU_ASSERT_EQUAL(cfg.policy[0].use, ENGINE_NEVER);
	CU_ASSERT_EQUAL(cfg.policy[0].peer_port_min, 22);
	CU_ASSERT_EQUAL(cfg.policy[0].peer_port_max, 22);
}

/* What is not said has the value of the documentation. */
static void test_defaults(void)
{
	CU_ASSERT_EQUAL_FATAL(config_read_text(&cfg, "f", GUESTS PATH_A, err, sizeof(err)), 0);
	CU_ASSERT_STRING_EQUAL(cfg.control, "/run/mpgate.sock");
	CU_ASSERT_STRING_EQUAL(cfg.state, "/run/mpgate.sock.state");
	CU_ASSERT_TRUE(cfg.manage_host);
	CU_ASSERT_FALSE(cfg.checksum);
	CU_ASSERT_EQUAL(cfg.queue, 61);
	CU_ASSERT_EQUAL(cfg.port_min, 61000);
	CU_ASSERT_EQUAL(cfg.port_max, 65000);
	CU_ASSERT_EQUAL(cfg.multipath.mode, CONFIG_FULLMESH);
	CU_ASSERT_EQUAL(cfg.multipath.after_bytes, 14000);
	CU_ASSERT_EQUAL(cfg.multipath.after_ms, 0);
	CU_ASSERT_TRUE(cfg.multipath.on_congestion);
	CU_ASSERT_EQUAL(cfg.multipath.max_subflows, 8);
	CU_ASSERT_STRING_EQUAL(cfg.scheduler, "blest");
	CU_ASSERT_STRING_EQUAL(cfg.congestion, "lia");
	CU_ASSERT_EQUAL(cfg.memory_mb, 256);
	CU_ASSERT_EQUAL(cfg.max_connections, 65536);
	CU_ASSERT_EQUAL(cfg.path[0].price, 1.0);
	CU_ASSERT_FALSE(cfg.path[0].backup);
	CU_ASSERT_EQUAL(cfg.path[0].table, 0);
}

static void test_everything(void)
{
	static const char text[] =
		"guests = { \"br0\", \"br1\" }\nguests += { \"tap3\" }\n"
		"queue = 7 checksum = on state = \"/run/mpgate.state\" manage_host = no\n"
		"path \"a-b_9\" {\n interface = \"eth0.7\"\n address = \"10.0.0.2\"\n"
		" address6 = \"fd00::2\"\n gateway = \"10.0.0.1\"\n gateway6 = \"fe80::1\"\n"
		" backup = true\n price = 0.5\n}\n"
		"multipath { mode = \"ndiffports 3\" after_ms = 250 on_congestion = false }\n"
		"policy { match = \"guest 10.9.0.0/16 to 192.0.2.7 dport 8000-8099\" use = always "
		"}\n"
		"policy { match = \"tcp to 2001:db8::/32\" use = auto }\n";

	CU_ASSERT_EQUAL_FATAL(config_read_text(&cfg, "f", text, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL_FATAL(cfg.n_guests, 3);
	CU_ASSERT_STRING_EQUAL(cfg.guests[2], "tap3");
	CU_ASSERT_EQUAL(cfg.queue, 7);
	CU_ASSERT_TRUE(cfg.checksum);
	CU_ASSERT_FALSE(cfg.manage_host);
	CU_ASSERT_STRING_EQUAL(cfg.state, "/run/mpgate.state");
	CU_ASSERT_STRING_EQUAL(cfg.path[0].name, "a-b_9");
	CU_ASSERT_EQUAL(cfg.path[0].line, 4);
	CU_ASSERT_TRUE(address_is(&cfg.path[0].address4, AF_INET, "10.0.0.2"));
	CU_ASSERT_TRUE(address_is(&cfg.path[0].address6, AF_INET6, "fd00::2"));
	CU_ASSERT_TRUE(address_is(&cfg.path[0].gateway4, AF_INET, "10.0.0.1"));
	CU_ASSERT_TRUE(address_is(&cfg.path[0].gateway6, AF_INET6, "fe80::1"));
	CU_ASSERT_TRUE(cfg.path[0].backup);
	CU_ASSERT_EQUAL(cfg.path[0].price, 0.5);
	CU_ASSERT_EQUAL(cfg.multipath.mode, CONFIG_NDIFFPORTS);
	CU_ASSERT_EQUAL(cfg.multipath.ndiffports, 3);
	CU_ASSERT_EQUAL(cfg.multipath.after_ms, 250);
	CU_ASSERT_FALSE(cfg.multipath.on_congestion);
	CU_ASSERT_EQUAL_FATAL(cfg.n_policies, 2);
	CU_ASSERT_EQUAL(cfg.policy[0].use, ENGINE_ALWAYS);
	CU_ASSERT_EQUAL(cfg.policy[0].guest_family, FLOW_IPV4);
	CU_ASSERT_EQUAL(cfg.policy[0].guest_prefix_bits, 16);
	CU_ASSERT_TRUE(address_is(&cfg.policy[0].guest, AF_INET, "10.9.0.0"));
	CU_ASSERT_EQUAL(cfg.policy[0].peer_prefix_bits, 32);
	CU_ASSERT_TRUE(address_is(&cfg.policy[0].peer, AF_INET, "192.0.2.7"));
	CU_ASSERT_EQUAL(cfg.policy[0].peer_port_min, 8000);
	CU_ASSERT_EQUAL(cfg.policy[0].peer_port_max, 8099);
	CU_ASSERT_EQUAL(cfg.policy[1].use, ENGINE_AUTO);
	CU_ASSERT_EQUAL(cfg.policy[1].peer_family, FLOW_IPV6);
	CU_ASSERT_EQUAL(cfg.policy[1].peer_prefix_bits, 32);
}

static void test_engine(void)
{
	struct engine_cfg out;

	CU_ASSERT_EQUAL_FATAL(config_read_text(&cfg, "f", design, err, sizeof(err)), 0);
	config_engine(&cfg, &out);
	CU_ASSERT_EQUAL(out.max_connections, 65536);
	CU_ASSERT_EQUAL(out.memory_bytes, (uint64_t)256 << 20);
	CU_ASSERT_EQUAL(out.n_paths, 2);
	CU_ASSERT_EQUAL(out.n_policies, 1);
	CU_ASSERT_EQUAL(out.max_subflows, 8);
	CU_ASSERT_EQUAL(out.port_min, 61000);
	CU_ASSERT_EQUAL(out.port_max, 65000);
	CU_ASSERT_STRING_EQUAL(out.path[1].name, "lte");
	CU_ASSERT_EQUAL(out.path[1].price, 2.0);
	CU_ASSERT_EQUAL(out.policy[0].use, ENGINE_NEVER);
	CU_ASSERT_EQUAL(out.seed[0], 0);
	cfg.multipath.mode = CONFIG_SINGLE;
	config_engine(&cfg, &out);
	CU_ASSERT_EQUAL(out.max_subflows, 1);
}

/* A message that does not fit is cut, never overrun. */
static void test_short_buffer(void)
{
	char small[8];

	memset(small, 'x', sizeof(small));
	CU_ASSERT_EQUAL(config_read_text(&cfg, "f", "nonsense", small, 4), -1);
	CU_ASSERT_EQUAL(small[3], '\0');
	CU_ASSERT_EQUAL(small[4], 'x');
	CU_ASSERT_EQUAL(config_read_text(&cfg, "f", "nonsense", small, 0), -1);
}

static void test_files(void)
{
	char name[] = "/tmp/test_config.XXXXXX", want[128];
	int fd = mkstemp(name);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, design, strlen(design)), (ssize_t)strlen(design));
	CU_ASSERT_EQUAL(config_read(&cfg, name, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(pwrite(fd, "queue = x\n", 10, 0), 10);
	CU_ASSERT_EQUAL(config_read(&cfg, name, err, sizeof(err)), -1);
	snprintf(want, sizeof(want),
		 "%s:1: queue = \"x\" is not a whole number; write one from 0 to 65535", name);
	CU_ASSERT_STRING_EQUAL(err, want);
	CU_ASSERT_EQUAL(pwrite(fd, "", 1, 3), 1);
	CU_ASSERT_EQUAL(config_read(&cfg, name, err, sizeof(err)), -1);
	snprintf(want, sizeof(want), "%s: it holds a zero byte; write it as plain text", name);
	CU_ASSERT_STRING_EQUAL(err, want);
	CU_ASSERT_EQUAL(ftruncate(fd, 2 << 20), 0);
	CU_ASSERT_EQUAL(config_read(&cfg, name, err, sizeof(err)), -1);
	snprintf(want, sizeof(want), "%s: it is larger than 1048576 bytes; is it the right file?",
		 name);
	CU_ASSERT_STRING_EQUAL(err, want);
	close(fd);
	unlink(name);
	CU_ASSERT_EQUAL(config_read(&cfg, name, err, sizeof(err)), -1);
	snprintf(want, sizeof(want),
		 "%s: cannot open it: No such file or directory; name the file with -c FILE", name);
	CU_ASSERT_STRING_EQUAL(err, want);
	CU_ASSERT_EQUAL(config_read(&cfg, "/tmp", err, sizeof(err)), -1);
	CU_ASSERT_STRING_EQUAL(
		err, "/tmp: cannot read it: Is a directory; name a plain file with -c FILE");
}

/* As many of everything as there is room for, and one more. */
static void test_limits(void)
{
	static char text[16384];
	int n = 0;

	n += snprintf(text + n, sizeof(text) - (size_t)n, GUESTS);
	for (int i = 0; i < ENGINE_PATHS_MAX; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "path \"p%d\" { interface = \"e%d\" }\n", i, i);
	for (int i = 0; i < ENGINE_POLICY_MAX; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "policy { match = \"dport %d\" use = auto }\n", i + 1);
	CU_ASSERT_EQUAL(config_read_text(&cfg, "f", text, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(cfg.n_paths, ENGINE_PATHS_MAX);
	CU_ASSERT_EQUAL(cfg.n_policies, ENGINE_POLICY_MAX);
	snprintf(text + n, sizeof(text) - (size_t)n, "\npath \"x\" { interface = \"x\" }\n");
	CU_ASSERT_EQUAL(config_read_text(&cfg, "f", text, err, sizeof(err)), -1);
	CU_ASSERT_STRING_EQUAL(err, "f:83: more than 16 paths; remove some");
	snprintf(text + n, sizeof(text) - (size_t)n, "\npolicy { match = tcp use = auto }\n");
	CU_ASSERT_EQUAL(config_read_text(&cfg, "f", text, err, sizeof(err)), -1);
	CU_ASSERT_STRING_EQUAL(err, "f:83: more than 64 policies; merge some with prefixes");
	n = snprintf(text, sizeof(text), "guests = {");
	for (int i = 0; i <= CONFIG_GUESTS_MAX; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s\n\"br%d\"", i ? "," : "", i);
	snprintf(text + n, sizeof(text) - (size_t)n, "}\n");
	CU_ASSERT_EQUAL(config_read_text(&cfg, "f", text, err, sizeof(err)), -1);
	CU_ASSERT_STRING_EQUAL(err,
			       "f:18: guests: more than 16 interfaces; put them behind a bridge");
}

static void test_section_line(void)
{
	static const char text[] = "# path\n/* path\npath */ x = \"path\n{\" // path {\n"
				   "paths = 1 path \"a\" { path = 1\n}\npath 'b\\'' {}\npath";

	CU_ASSERT_EQUAL(config_section_line(text, "path", 0), 5);
	CU_ASSERT_EQUAL(config_section_line(text, "path", 1), 7);
	CU_ASSERT_EQUAL(config_section_line(text, "path", 2), 8);
	CU_ASSERT_EQUAL(config_section_line(text, "path", 3), 0);
	CU_ASSERT_EQUAL(config_section_line("/* \n path", "path", 0), 0);
	CU_ASSERT_EQUAL(config_section_line("\"\n path", "path", 0), 0);
	CU_ASSERT_EQUAL(config_section_line("", "path", 0), 0);
}

static const struct unit_test tests[] = {
	{"the design's file", test_design},
	{"defaults", test_defaults},
	{"every key", test_everything},
	{"config_engine", test_engine},
	{"short buffer", test_short_buffer},
	{"files", test_files},
	{"limits", test_limits},
	{"section lines", test_section_line},
};

UNIT_MAIN("config", tests)
