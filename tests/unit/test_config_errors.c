/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_config_errors.c - a table of bad configuration files: each is refused with exactly the
 * message, line included, that stands beside it.
 */
#include <stdio.h>

#include "app/config_keys.h"
#include "unit.h"

#define GUESTS "guests = { \"virbr0\" }\n"
#define PATH_A "path \"a\" { interface = \"eth0\" }\n"

struct bad {
	int row; /* so that a failure names its row */
	const char *text, *message;
};

static const struct bad bad[] = {
	/* syntax */
	{1, "foo = 1\n",
	 "f:1: no such option 'foo'; mpgate.conf(5) lists the keys of each section"},
	{2, "\npath \"a\" {\n foo = 1\n}\n",
	 "f:3: no such option 'foo'; mpgate.conf(5) lists the keys of each section"},
	{3, "queue 5\n",
	 "f:1: missing equal sign after option 'queue'; write KEY = VALUE, or SECTION { ... } for "
	 "a "
	 "section"},
	{4, "queue = \n", "f:2: the last entry is not complete; mpgate.conf(5) shows the syntax"},
	{5, "\n\nqueue = { 1 }\n",
	 "f:3: unexpected token '{'; write KEY = VALUE; strings stand in quotes"},
	{6, "}\n", "f:1: unexpected closing brace; check that every { has its }"},
	{7, "path { interface = \"x\" }\n",
	 "f:1: missing title for section 'path'; write path \"NAME\" { ... }"},
	{8, "path \"a\" { interface = \"x\"\n\n",
	 "f:1: this section is never closed; add the missing }"},
	{9, "queue += 3\n",
	 "f:1: attempt to append to non-list option 'queue'; use = instead of +="},
	{10, "control = \"/x\n\n", "f:1: this string is never closed; add the missing quote"},
	{11, GUESTS PATH_A "\npath \"b\" {\n interface = \"eth1\"\n\n",
	 "f:4: this section is never closed; add the missing }"},
	{12, GUESTS PATH_A "/* no end\n\n",
	 "f:3: this comment is never closed; add the missing */"},
	/* given twice */
	{20, "queue = 1\n\nqueue = 2\n", "f:3: queue is given twice; keep one of them"},
	{21, "guests = { \"a\" }\nguests = { \"b\" }\n",
	 "f:2: guests is given twice; keep one of them"},
	{22, "guests = { \"a\", \"b\" }\nguests = { \"c\" }\n",
	 "f:2: guests is given twice; keep one of them"},
	{23, "guests = { \"a\", \"b\" }\nguests = { \"c\", \"d\", \"e\" }\n",
	 "f:2: guests is given twice; keep one of them"},
	{24, "guests = { \"a\",\n\"a\" }\n", "f:2: guests: \"a\" stands there twice; name it once"},
	{25, "multipath { }\nmultipath { }\n",
	 "f:2: multipath stands there twice; keep one section"},
	{26, "path \"a\" {\ninterface = \"x\"\ninterface = \"y\" }\n",
	 "f:3: interface is given twice; keep one of them"},
	{27, PATH_A "path \"a\" { interface = \"eth1\" }\n",
	 "f:2: found duplicate title 'a'; give every path a name of its own"},
	{28, GUESTS PATH_A "path \"b\" {\n interface = \"eth0\" }\n",
	 "f:3: interface \"eth0\" is path \"a\" already; give every path an interface of its own, "
	 "or both of them an address of their own"},
	{29, "path \"a\" { interface = x table = 7 } path \"b\" { table = 7 }\n",
	 "f:1: table = 7 is path \"a\"'s already; give every path a table of its own"},
	/* types and ranges */
	{40, "queue = x\n", "f:1: queue = \"x\" is not a whole number; write one from 0 to 65535"},
	{41, "\nqueue = 65536\n",
	 "f:2: queue = 65536 is out of range; write a whole number from 0 to 65535"},
	{42, "queue = -1\n",
	 "f:1: queue = \"-1\" is not a whole number; write one from 0 to 65535"},
	{43, "queue = 1.5\n",
	 "f:1: queue = \"1.5\" is not a whole number; write one from 0 to 65535"},
	{44, "memory_mb = 99999999999999999999999\n",
	 "f:1: memory_mb = 99999999999999999999999 is out of range; write a whole number from 1 to "
	 "1048576"},
	{45, "max_connections = 0\n",
	 "f:1: max_connections = 0 is out of range; write a whole number from 1 to 4194304"},
	{46, "manage_host = maybe\n",
	 "f:1: manage_host = \"maybe\" is neither yes nor no; write true or false"},
	{47, "checksum = \"\"\n",
	 "f:1: checksum = \"\" is neither yes nor no; write true or false"},
	{48, "path \"a\" { price = cheap }\n",
	 "f:1: price = \"cheap\" is no price; write a number from 0 to 1000000, such as 2.0"},
	{49, "path \"a\" { price = -1 }\n",
	 "f:1: price = \"-1\" is no price; write a number from 0 to 1000000, such as 2.0"},
	{50, "path \"a\" { price = nan }\n",
	 "f:1: price = \"nan\" is no price; write a number from 0 to 1000000, such as 2.0"},
	{51, "scheduler = \"fastest\"\n",
	 "f:1: scheduler = \"fastest\" is not known; write lowest-rtt, blest, redundant or "
	 "round-robin"},
	{52, "congestion = reno\n",
	 "f:1: congestion = \"reno\" is not known; write lia, olia, balia, cubic or bbr"},
	{53, "control = \"mpgate.sock\"\n",
	 "f:1: control = \"mpgate.sock\" is not an absolute file name; begin it with /"},
	{54, "control = \"\"\n",
	 "f:1: control = \"\" is not an absolute file name; begin it with /"},
	{55,
	 "control = \"/0123456789012345678901234567890123456789012345678901234567890123456789"
	 "0123456789012345678901234567890123456789\"\n",
	 "f:1: control is a file name of 111 bytes; write at most 107"},
	{56, "multipath { mode = \"ring\" }\n",
	 "f:1: mode = \"ring\" is not known; write \"fullmesh\", \"single\" or \"ndiffports N\" "
	 "with N "
	 "from 1 to 8"},
	{57, "multipath { mode = \"ndiffports 9\" }\n",
	 "f:1: mode = \"ndiffports 9\" is not known; write \"fullmesh\", \"single\" or "
	 "\"ndiffports N\" "
	 "with N from 1 to 8"},
	{58, "multipath {\n max_subflows = 9 }\n",
	 "f:2: max_subflows = 9 is out of range; write a whole number from 1 to 8"},
	{59, "path \"a\" { table = 254 }\n",
	 "f:1: table = 254 is one of the system's own (default, main, local); write another, or 0 "
	 "to "
	 "leave the choice to mpgate"},
	/* ports */
	{70, "ports = \"65000-61000\"\n",
	 "f:1: ports = \"65000-61000\" is no range of ports; write the lowest and the highest, "
	 "within "
	 "1024 and 65535, like \"61000-65000\""},
	{71, "ports = 61000\n",
	 "f:1: ports = \"61000\" is no range of ports; write the lowest and the highest, within "
	 "1024 and "
	 "65535, like \"61000-65000\""},
	{72, "ports = \"80-90\"\n",
	 "f:1: ports = \"80-90\" is no range of ports; write the lowest and the highest, within "
	 "1024 and "
	 "65535, like \"61000-65000\""},
	{73, "ports = \"61000-65536\"\n",
	 "f:1: ports = \"61000-65536\" is no range of ports; write the lowest and the highest, "
	 "within "
	 "1024 and 65535, like \"61000-65000\""},
	{74, "ports = \"61000-65000x\"\n",
	 "f:1: ports = \"61000-65000x\" is no range of ports; write the lowest and the highest, "
	 "within "
	 "1024 and 65535, like \"61000-65000\""},
	/* names */
	{80, "path \"\" { interface = x }\n",
	 "f:1: path name \"\" has odd characters; use letters, digits, - and _, beginning with a "
	 "letter "
	 "or digit"},
	{81, "\npath \"a b\"\n{\n interface = x\n}\n",
	 "f:2: path name \"a b\" has odd characters; use letters, digits, - and _, beginning with "
	 "a "
	 "letter or digit"},
	{82, "path \"-a\" { interface = x }\n",
	 "f:1: path name \"-a\" has odd characters; use letters, digits, - and _, beginning with a "
	 "letter or digit"},
	{83, "path \"twelve-chars\" { interface = x }\n",
	 "f:1: path name \"twelve-chars\" has 12 characters; use at most 11, because the device "
	 "mpg-NAME "
	 "carries it"},
	{84, "path \"g0\" { interface = x }\n",
	 "f:1: path name \"g0\" is kept for the devices towards the guests; choose another"},
	{85, "\npath \"a\" {\n\n}\n", "f:2: path \"a\" has no interface; add interface = \"...\""},
	{86, "path \"a\" { interface = \"\" }\n",
	 "f:1: interface: \"\" is no interface name; `ip link` shows the names"},
	{87, "path \"a\" { interface = \"a/b\" }\n",
	 "f:1: interface: \"a/b\" is no interface name; `ip link` shows the names"},
	{88, "guests = { \"sixteen-letters!\" }\n",
	 "f:1: guests: \"sixteen-letters!\" is longer than an interface name can be; write at most "
	 "15 "
	 "characters"},
	{89, "guests = { \"mpg-fibre\" }\n",
	 "f:1: guests: \"mpg-fibre\" is a name of mpgate's own devices; name the interface behind "
	 "it"},
	/* addresses */
	{100, "path \"a\" { address = \"10.0.0\" }\n",
	 "f:1: address = \"10.0.0\" is not an IPv4 address; write one like 10.1.1.1"},
	{101, "path \"a\" { gateway = \"fd00::1\" }\n",
	 "f:1: gateway = \"fd00::1\" is not an IPv4 address; write it as gateway6"},
	{102, "path \"a\" { gateway6 = \"10.0.0.1\" }\n",
	 "f:1: gateway6 = \"10.0.0.1\" is not an IPv6 address; write it as gateway"},
	{103, "path \"a\" { address6 = \"fd00::g\" }\n",
	 "f:1: address6 = \"fd00::g\" is not an IPv6 address; write one like fd00::1"},
	{104, "path \"a\" { address = \"224.0.0.1\" }\n",
	 "f:1: address = \"224.0.0.1\" is no address of one host; write the uplink's, or leave it "
	 "out"},
	{105, "path \"a\" { gateway6 = \"::\" }\n",
	 "f:1: gateway6 = \"::\" is no address of one host; write the uplink's, or leave it out"},
	/* policies */
	{110, "policy { use = never }\n",
	 "f:1: policy has no match; add match = \"tcp\" or a narrower one"},
	{111, "policy { match = tcp use = never }\npolicy {\n match = tcp\n}\n",
	 "f:2: policy has no use; add use = \"auto\", \"always\" or \"never\""},
	{112, "policy { match = tcp use = often }\n",
	 "f:1: use = \"often\" is not known; write auto, always or never"},
	{113, "policy { match = \"\" }\n",
	 "f:1: match: it is empty; write \"tcp\" to match every connection"},
	{114, "policy { match = \"udp\" }\n",
	 "f:1: match: \"udp\" is no word of a match; use tcp, dport, guest or to"},
	{115, "policy { match = \"tcp dport\" }\n",
	 "f:1: match: \"dport\" lacks its argument; write \"dport 22\""},
	{116, "policy { match = \"tcp dport 0\" }\n",
	 "f:1: match: \"dport 0\" is no port or range of ports; write \"dport 80\" or \"dport "
	 "8000-8099\""},
	{117, "policy { match = \"dport 90-80\" }\n",
	 "f:1: match: \"dport 90-80\" is no port or range of ports; write \"dport 80\" or \"dport "
	 "8000-8099\""},
	{118, "policy { match = \"dport 1 dport 2\" }\n",
	 "f:1: match: \"dport\" stands there twice; write a policy for each"},
	{119, "policy { match = \"guest 10.0.0.0/33\" }\n",
	 "f:1: match: \"guest 10.0.0.0/33\" has a bad prefix length; write an address or prefix "
	 "like "
	 "10.0.0.0/8 or fd00::/64"},
	{120, "policy { match = \"to 10.0.0.1/8\" }\n",
	 "f:1: match: \"to 10.0.0.1/8\" has bits set behind its prefix; write an address or prefix "
	 "like "
	 "10.0.0.0/8 or fd00::/64"},
	{121, "policy { match = \"to nowhere\" }\n",
	 "f:1: match: \"to nowhere\" is not an address; write an address or prefix like 10.0.0.0/8 "
	 "or "
	 "fd00::/64"},
	{122, "policy { match = \"guest 10.0.0.0/8 to fd00::/8\" }\n",
	 "f:1: match: it can never match: one address is IPv4, the other IPv6; write a policy for "
	 "each"},
	/* the whole */
	{130, "",
	 "f: guests is missing; add guests = { \"virbr0\" } with the interfaces behind which "
	 "guests live"},
	{131, "guests = { }\n" PATH_A,
	 "f: guests is missing; add guests = { \"virbr0\" } with the "
	 "interfaces behind which guests live"},
	{132, GUESTS, "f: no path; add path \"NAME\" { interface = \"...\" } for every uplink"},
	{133, GUESTS "\npath \"a\" {\n interface = virbr0 }\n",
	 "f:3: interface \"virbr0\" is among the guests too; an interface leads to guests or is a "
	 "path"},
	{134, "queue = \"\001\n\"\n",
	 "f:2: queue = \"??\" is not a whole number; write one from 0 to 65535"},
};

static struct config cfg;
static char err[512];

static void test_table(void)
{
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int rc = config_read_text(&cfg, "f", bad[i].text, err, sizeof(err));

		if (rc == 0 || strcmp(err, bad[i].message) != 0)
			printf("\nrow %d: rc %d\n got  %s\n want %s\n", bad[i].row, rc, err,
			       bad[i].message);
		CU_ASSERT_EQUAL(rc, -1);
		CU_ASSERT_STRING_EQUAL(err, bad[i].message);
	}
}

/* Reads a file with so much memory for the default of connections. */
static int read_with_memory(unsigned long memory_mb)
{
	char text[256];

	snprintf(text, sizeof(text), GUESTS PATH_A "\nmemory_mb = %lu\n", memory_mb);
	return config_read_text(&cfg, "f", text, err, sizeof(err));
}

/* How much is needed is the engine's to say: the advice suffices, and one less does not. */
static void test_memory(void)
{
	unsigned long advice;

	CU_ASSERT_EQUAL(read_with_memory(1), -1);
	/* Not %u: that takes a number of more digits modulo 2^32. */
	CU_ASSERT_EQUAL_FATAL(sscanf(err,
				     "f:4: memory_mb = 1 is too small for max_connections = 65536; "
				     "write memory_mb = %lu or lower max_connections",
				     &advice),
			      1);
	CU_ASSERT_TRUE(strstr(err, " or lower max_connections") != NULL);
	CU_ASSERT_EQUAL(read_with_memory(advice), 0);
	CU_ASSERT_EQUAL(read_with_memory(advice - 1), -1);
}

static const struct unit_test tests[] = {
	{"messages", test_table},
	{"memory", test_memory},
};

UNIT_MAIN("config errors", tests)
