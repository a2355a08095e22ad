/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_keys.c - every key of the configuration file in one table, and the functions that turn
 * its text into a field, each error with what would be right.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/config_keys.h"

static void *field(struct config_reader *r, const struct config_key *key)
{
	void *base[CONFIG_SECTIONS] = {
		[CONFIG_TOP] = r->cfg,
		[CONFIG_PATH] = &r->path,
		[CONFIG_MULTIPATH] = r->cfg,
		[CONFIG_POLICY] = &r->rule,
	};

	return (char *)base[key->section] + key->offset;
}

static int set_uint(struct config_reader *r, const struct config_key *key, int line,
		    const char *value)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(value, &end, 10);
	/* strtoull() would take blanks and a minus before the digits. */
	if (!isdigit((unsigned char)value[0]) || *end)
		return config_fail(r, line,
				   "%s = \"%s\" is not a whole number; write one from %llu to %llu",
				   key->name, value, (unsigned long long)key->min,
				   (unsigned long long)key->max);
	if (errno == ERANGE || n < key->min || n > key->max)
		return config_fail(r, line,
				   "%s = %s is out of range; write a whole number from %llu to "
				   "%llu",
				   key->name, value, (unsigned long long)key->min,
				   (unsigned long long)key->max);
	switch (key->field_bytes) {
	case 2:
		*(uint16_t *)field(r, key) = (uint16_t)n;
		break;
	case 4:
		*(uint32_t *)field(r, key) = (uint32_t)n;
		break;
	default:
		*(uint64_t *)field(r, key) = n;
	}
	return 0;
}

static int set_bool(struct config_reader *r, const struct config_key *key, int line,
		    const char *value)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (unsigned i = 0; i < 6; i++) {
		if (strcmp(value, words[i]) == 0) {
			*(bool *)field(r, key) = i & 1;
			return 0;
		}
	}
	return config_fail(r, line, "%s = \"%s\" is neither yes nor no; write true or false",
			   key->name, value);
}

static int set_price(struct config_reader *r, const struct config_key *key, int line,
		     const char *value)
{
	char *end;
	double n = strtod(value, &end);

	/* The comparison also refuses NaN. */
	if (end == value || *end || !(n >= 0 && n <= 1e6))
		return config_fail(r, line,
				   "%s = \"%s\" is no price; write a number from 0 to 1000000, "
				   "such as 2.0",
				   key->name, value);
	*(double *)field(r, key) = n;
	return 0;
}

static int set_word(struct config_reader *r, const struct config_key *key, int line,
		    const char *value)
{
	char list[128] = "";

	for (unsigned i = 0; key->words[i]; i++) {
		if (strcmp(value, key->words[i]) == 0) {
			snprintf(field(r, key), key->field_bytes, "%s", value);
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 !i                  ? ""
			 : key->words[i + 1] ? ", "
					     : " or ",
			 key->words[i]);
	}
	return config_fail(r, line, "%s = \"%s\" is not known; write %s", key->name, value, list);
}

static int set_file(struct config_reader *r, const struct config_key *key, int line,
		    const char *value)
{
	/* `state` may be empty: no file. key->min says whether something must stand there. */
	if (!value[0] && !key->min) {
		memset(field(r, key), 0, key->field_bytes);
		return 0;
	}
	if (value[0] != '/')
		return config_fail(r, line,
				   "%s = \"%s\" is not an absolute file name; begin it with /",
				   key->name, value);
	if (strlen(value) >= key->field_bytes)
		return config_fail(r, line, "%s is a file name of %zu bytes; write at most %u",
				   key->name, strlen(value), key->field_bytes - 1);
	snprintf(field(r, key), key->field_bytes, "%s", value);
	return 0;
}

static int interface_check(struct config_reader *r, const char *what, int line, const char *value)
{
	bool odd = false;

	for (const char *c = value; *c; c++)
		odd = odd || !isgraph((unsigned char)*c) || *c == '/' || *c == ':';
	if (!*value || odd || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return config_fail(r, line,
				   "%s: \"%s\" is no interface name; `ip link` shows the names",
				   what, value);
	if (strlen(value) >= IFNAMSIZ)
		return config_fail(r, line,
				   "%s: \"%s\" is longer than an interface name can be; write at "
				   "most %d characters",
				   what, value, IFNAMSIZ - 1);
	if (strncmp(value, "mpg-", 4) == 0)
		return config_fail(r, line,
				   "%s: \"%s\" is a name of mpgate's own devices; name the "
				   "interface behind it",
				   what, value);
	return 0;
}

static int set_interface(struct config_reader *r, const struct config_key *key, int line,
			 const char *value)
{
	if (interface_check(r, key->name, line, value) < 0)
		return -1;
	snprintf(r->path.interface, sizeof(r->path.interface), "%s", value);
	return 0;
}

static int set_guest(struct config_reader *r, const struct config_key *key, int line,
		     const char *value)
{
	struct config *cfg = r->cfg;

	if (interface_check(r, key->name, line, value) < 0)
		return -1;
	for (unsigned i = 0; i < cfg->n_guests; i++)
		if (strcmp(cfg->guests[i], value) == 0)
			return config_fail(
				r, line, "guests: \"%s\" stands there twice; name it once", value);
	if (cfg->n_guests == CONFIG_GUESTS_MAX)
		return config_fail(r, line,
				   "guests: more than %d interfaces; put them behind a bridge",
				   CONFIG_GUESTS_MAX);
	snprintf(cfg->guests[cfg->n_guests++], IFNAMSIZ, "%s", value);
	return 0;
}

/* key->min is the family. */
static int set_address(struct config_reader *r, const struct config_key *key, int line,
		       const char *value)
{
	bool v4 = key->min == FLOW_IPV4, odd;
	struct ip_addr addr = {0}, other;

	if (inet_pton(v4 ? AF_INET : AF_INET6, value, addr.b) != 1) {
		bool swapped = inet_pton(v4 ? AF_INET6 : AF_INET, value, other.b) == 1;
		int base = (int)strcspn(key->name, "6");

		return config_fail(r, line, "%s = \"%s\" is not an IPv%d address; write %s%.*s%s",
				   key->name, value, v4 ? 4 : 6, swapped ? "it as " : "one like ",
				   swapped ? base : (v4 ? 8 : 7),
				   swapped ? key->name : (v4 ? "10.1.1.1" : "fd00::1"),
				   swapped && v4 ? "6" : "");
	}
	odd = ip_addr_is_zero(&addr) ||
	      (v4 ? addr.b[0] >= 224 || addr.b[0] == 127 : addr.b[0] == 0xff);
	if (odd)
		return config_fail(r, line,
				   "%s = \"%s\" is no address of one host; write the uplink's, or "
				   "leave it out",
				   key->name, value);
	memcpy(field(r, key), &addr, sizeof(addr));
	return 0;
}

static int set_table(struct config_reader *r, const struct config_key *key, int line,
		     const char *value)
{
	if (set_uint(r, key, line, value) < 0)
		return -1;
	if (r->path.table >= 253 && r->path.table <= 255)
		return config_fail(r, line,
				   "table = %s is one of the system's own (default, main, local); "
				   "write another, or 0 to leave the choice to mpgate",
				   value);
	for (unsigned i = 0; i < r->cfg->n_paths; i++)
		if (r->path.table && r->cfg->path[i].table == r->path.table)
			return config_fail(r, line,
					   "table = %s is path \"%s\"'s already; give every path a "
					   "table of its own",
					   value, r->cfg->path[i].name);
	return 0;
}

static int set_ports(struct config_reader *r, const struct config_key *key, int line,
		     const char *value)
{
	(void)key;
	if (!config_ports(value, false, 1024, &r->cfg->port_min, &r->cfg->port_max))
		return config_fail(r, line,
				   "ports = \"%s\" is no range of ports; write the lowest and the "
				   "highest, within 1024 and 65535, like \"61000-65000\"",
				   value);
	return 0;
}

static int set_mode(struct config_reader *r, const struct config_key *key, int line,
		    const char *value)
{
	struct config *cfg = r->cfg;
	unsigned n;
	char more;

	(void)key;
	if (strcmp(value, "fullmesh") == 0) {
		cfg->multipath.mode = CONFIG_FULLMESH;
	} else if (strcmp(value, "single") == 0) {
		cfg->multipath.mode = CONFIG_SINGLE;
	} else if (sscanf(value, "ndiffports %1u%c", &n, &more) == 1 && n >= 1 &&
		   n <= ENGINE_SUBFLOWS_MAX) {
		cfg->multipath.mode = CONFIG_NDIFFPORTS;
		cfg->multipath.ndiffports = n;
	} else {
		return config_fail(r, line,
				   "mode = \"%s\" is not known; write \"fullmesh\", \"single\" or "
				   "\"ndiffports N\" with N from 1 to %d",
				   value, ENGINE_SUBFLOWS_MAX);
	}
	return 0;
}

static int set_match(struct config_reader *r, const struct config_key *key, int line,
		     const char *value)
{
	char err[256];

	(void)key;
	r->rule.has_match = true;
	if (config_match(&r->rule.policy, value, err, sizeof(err)) < 0)
		return config_fail(r, line, "match: %s", err);
	return 0;
}

static int set_use(struct config_reader *r, const struct config_key *key, int line,
		   const char *value)
{
	static const char *const words[] = {"auto", "always", "never"};

	(void)key;
	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(value, words[i]) == 0) {
			r->rule.policy.use = (uint8_t)(i == 0   ? ENGINE_AUTO
						       : i == 1 ? ENGINE_ALWAYS
								: ENGINE_NEVER);
			r->rule.has_use = true;
			return 0;
		}
	}
	return config_fail(r, line, "use = \"%s\" is not known; write auto, always or never",
			   value);
}

static const char *const emits[] = {"straight", "routed", NULL};
static const char *const schedulers[] = {"lowest-rtt", "blest", "redundant", "round-robin", NULL};
static const char *const announces[] = {"responder", "always", "never", NULL};
static const char *const congestions[] = {"lia", "olia", "balia", "cubic", "bbr", NULL};

#define TOP(member) offsetof(struct config, member), sizeof(((struct config *)0)->member)
#define PATH(member) offsetof(struct config_path, member), sizeof(((struct config_path *)0)->member)

const struct config_key config_keys[] = {
	{"guests", CONFIG_TOP, true, set_guest, TOP(guests), 0, 0, NULL},
	{"control", CONFIG_TOP, false, set_file, TOP(control), 1, 0, NULL},
	{"state", CONFIG_TOP, false, set_file, TOP(state), 0, 0, NULL},
	{"manage_host", CONFIG_TOP, false, set_bool, TOP(manage_host), 0, 0, NULL},
	{"emit", CONFIG_TOP, false, set_word, TOP(emit), 0, 0, emits},
	{"checksum", CONFIG_TOP, false, set_bool, TOP(checksum), 0, 0, NULL},
	{"queue", CONFIG_TOP, false, set_uint, TOP(queue), 0, 65535, NULL},
	{"ports", CONFIG_TOP, false, set_ports, TOP(port_min), 0, 0, NULL},
	{"scheduler", CONFIG_TOP, false, set_word, TOP(scheduler), 0, 0, schedulers},
	{"congestion", CONFIG_TOP, false, set_word, TOP(congestion), 0, 0, congestions},
	{"memory_mb", CONFIG_TOP, false, set_uint, TOP(memory_mb), 1, 1048576, NULL},
	{"max_connections", CONFIG_TOP, false, set_uint, TOP(max_connections), 1, 4194304, NULL},
	{"interface", CONFIG_PATH, false, set_interface, PATH(interface), 0, 0, NULL},
	{"address", CONFIG_PATH, false, set_address, PATH(address4), FLOW_IPV4, 0, NULL},
	{"address6", CONFIG_PATH, false, set_address, PATH(address6), FLOW_IPV6, 0, NULL},
	{"gateway", CONFIG_PATH, false, set_address, PATH(gateway4), FLOW_IPV4, 0, NULL},
	{"gateway6", CONFIG_PATH, false, set_address, PATH(gateway6), FLOW_IPV6, 0, NULL},
	{"table", CONFIG_PATH, false, set_table, PATH(table), 0, UINT32_MAX, NULL},
	{"backup", CONFIG_PATH, false, set_bool, PATH(backup), 0, 0, NULL},
	{"price", CONFIG_PATH, false, set_price, PATH(price), 0, 0, NULL},
	{"mode", CONFIG_MULTIPATH, false, set_mode, TOP(multipath.mode), 0, 0, NULL},
	{"after_bytes", CONFIG_MULTIPATH, false, set_uint, TOP(multipath.after_bytes), 0, INT64_MAX,
	 NULL},
	{"after_ms", CONFIG_MULTIPATH, false, set_uint, TOP(multipath.after_ms), 0, UINT32_MAX,
	 NULL},
	{"after_mbit", CONFIG_MULTIPATH, false, set_uint, TOP(multipath.after_mbit), 0, 1000000,
	 NULL},
	{"on_congestion", CONFIG_MULTIPATH, false, set_bool, TOP(multipath.on_congestion), 0, 0,
	 NULL},
	{"max_subflows", CONFIG_MULTIPATH, false, set_uint, TOP(multipath.max_subflows), 1,
	 ENGINE_SUBFLOWS_MAX, NULL},
	{"announce", CONFIG_MULTIPATH, false, set_word, TOP(multipath.announce), 0, 0, announces},
	{"backup_price", CONFIG_MULTIPATH, false, set_price, TOP(multipath.backup_price), 0, 0,
	 NULL},
	{"rejoin_s", CONFIG_MULTIPATH, false, set_uint, TOP(multipath.rejoin_s), 1, 86400, NULL},
	{"match", CONFIG_POLICY, false, set_match, 0, 0, 0, 0, NULL},
	{"use", CONFIG_POLICY, false, set_use, 0, 0, 0, 0, NULL},
};

const unsigned config_n_keys = sizeof(config_keys) / sizeof(config_keys[0]);

_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= 32,
	       "config_reader.seen has 32 bits");

const struct config_key *config_key_find(enum config_section section, const char *name)
{
	for (unsigned i = 0; i < config_n_keys; i++)
		if (config_keys[i].section == section && strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}
