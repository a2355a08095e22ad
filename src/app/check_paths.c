/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_paths.c - the interfaces that the file names, and what each path needs: an address, a way
 * out, a routing table that nobody else uses.
 */
#include <stdio.h>

#include "app/check.h"
#include "app/control_answer.h"
#include "app/rules_build.h"

static void guests(struct check *c)
{
	for (unsigned i = 0; i < c->cfg->n_guests; i++) {
		const char *name = c->cfg->guests[i];

		if (!c->host.guests[i].index)
			check_say(c, CHECK_FAIL, "guests",
				  "there is no interface \"%s\"; create it, or correct guests in "
				  "the file",
				  name);
		else if (!c->host.guests[i].up)
			check_say(c, CHECK_WARN, "guests",
				  "%s is down or without carrier; `ip link set %s up`, or start a "
				  "guest",
				  name, name);
		else
			check_say(c, CHECK_OK, "guests", "%s is up", name);
	}
}

/* One family of a path. Tells whether packets could leave. */
static bool way_out(struct check *c, unsigned i, uint8_t family)
{
	bool v4 = family == FLOW_IPV4;
	const struct config_path *p = &c->cfg->path[i];
	const struct host_path *h = &c->host.path[i];
	const struct ip_addr *wanted = v4 ? &p->address4 : &p->address6;
	const struct ip_addr *address = v4 ? &h->address4 : &h->address6;
	const struct ip_addr *gateway = v4 ? &h->gateway4 : &h->gateway6;
	char what[32], text[64], via[64];

	snprintf(what, sizeof(what), "path %s", p->name);
	control_address(text, sizeof(text), family, ip_addr_is_zero(address) ? wanted : address);
	control_address(via, sizeof(via), family, gateway);
	if (ip_addr_is_zero(address)) {
		if (!ip_addr_is_zero(wanted))
			check_say(c, CHECK_FAIL, what,
				  "%s is not an address of %s; `ip addr` shows them, or leave it "
				  "out of the file",
				  text, p->interface);
		return false;
	}
	if (host_has_way(h, family)) {
		check_say(c, CHECK_OK, what, "%s leaves by %s through %s", text, p->interface,
			  ip_addr_is_zero(gateway) ? "the link itself" : via);
		return true;
	}
	if (!ip_addr_is_zero(gateway))
		check_say(c, CHECK_FAIL, what,
			  "the gateway %s is on no network of %s; correct it, or the interface's "
			  "prefix length",
			  via, p->interface);
	else
		check_say(
			c, CHECK_WARN, what,
			"no gateway and no default route through %s for IPv%c; write %s = \"...\" "
			"into the path's section",
			p->interface, v4 ? '4' : '6', v4 ? "gateway" : "gateway6");
	return false;
}

/* Whether the line holds the words, and not only as the beginning of longer ones. */
static bool has_words(const char *line, const char *words)
{
	const char *at = strstr(line, words);

	return at && (at[strlen(words)] == '\0' || at[strlen(words)] == ' ');
}

/* Lines of the command's output that do not say that they are ours; the first is kept. */
static unsigned foreign_lines(char *out, const char *with, char *first, unsigned first_bytes)
{
	char ours[32], *line, *rest = out;
	unsigned n = 0;

	snprintf(ours, sizeof(ours), " proto %d", RULES_PROTOCOL);
	while ((line = strsep(&rest, "\n"))) {
		if (!*line || (with && !has_words(line, with)) || has_words(line, ours))
			continue;
		if (n++ == 0)
			snprintf(first, first_bytes, "%s", line);
	}
	return n;
}

static void table(struct check *c, unsigned i)
{
	static char out[65536];
	char number[16], lookup[32], first[128] = "", what[32];
	const char *const families[] = {"-4", "-6"};
	unsigned n = 0;

	snprintf(what, sizeof(what), "path %s", c->cfg->path[i].name);
	snprintf(number, sizeof(number), "%u", c->host.path[i].table);
	snprintf(lookup, sizeof(lookup), "lookup %s", number);
	for (unsigned f = 0; f < 2 && !n; f++) {
		/* A table that holds nothing does not exist: the command fails, which is good. */
		const char *const routes[] = {"ip",   families[f], "-N",   "route",
					      "show", "table",     number, NULL};
		const char *const rules[] = {"ip", families[f], "-N", "rule", "show", NULL};

		if (check_run(routes, out, sizeof(out)) == 0)
			n += foreign_lines(out, NULL, first, sizeof(first));
		if (!n && check_run(rules, out, sizeof(out)) == 0)
			n += foreign_lines(out, lookup, first, sizeof(first));
	}
	if (n)
		check_say(c, CHECK_FAIL, what,
			  "routing table %s is used by others (\"%s\"); write another table into "
			  "the path's section, or leave it out",
			  number, first);
	else
		check_say(c, CHECK_OK, what, "routing table %s is free for it", number);
}

/* The devices' names are the daemon's: whoever has them keeps it from starting. */
static void device(struct check *c, const char *name)
{
	char device_name[IFNAMSIZ];

	snprintf(device_name, sizeof(device_name), "mpg-%s", name);
	if (if_nametoindex(device_name))
		check_say(c, CHECK_FAIL, "device",
			  "%s exists already; stop the mpgate that has it, or `ip link del %s`",
			  device_name, device_name);
}

/* True when packets could go by this path now. */
static bool path(struct check *c, unsigned i)
{
	const struct config_path *p = &c->cfg->path[i];
	const struct host_path *h = &c->host.path[i];
	bool v4 = !ip_addr_is_zero(&h->address4), v6 = !ip_addr_is_zero(&h->address6);
	bool usable = false;
	char what[32];

	snprintf(what, sizeof(what), "path %s", p->name);
	if (!h->link.index) {
		check_say(c, CHECK_FAIL, what,
			  "there is no interface \"%s\"; create it, or correct line %d of the file",
			  p->interface, p->line);
		return true; /* said already */
	}
	table(c, i);
	/* A link that is down has no routes: what they would say is of no use. */
	if (!h->link.up) {
		check_say(c, CHECK_WARN, what,
			  "%s is down or without carrier; `ip link set %s up`, look at the cable",
			  p->interface, p->interface);
		return false;
	}
	if (!v4 && !v6 && ip_addr_is_zero(&p->address4) && ip_addr_is_zero(&p->address6))
		check_say(c, CHECK_WARN, what,
			  "%s has no global address; `ip addr add` one, or write address = \"...\" "
			  "into the path's section",
			  p->interface);
	usable = way_out(c, i, FLOW_IPV4);
	return way_out(c, i, FLOW_IPV6) || usable;
}

void check_paths(struct check *c)
{
	unsigned usable = 0;
	char name[8];

	guests(c);
	for (unsigned i = 0; i < c->cfg->n_guests; i++) {
		snprintf(name, sizeof(name), "g%u", i % 100);
		device(c, name);
	}
	for (unsigned i = 0; i < c->cfg->n_paths; i++) {
		device(c, c->cfg->path[i].name);
		usable += path(c, i);
	}
	if (!usable)
		check_say(c, CHECK_FAIL, "paths",
			  "none has interface, address and gateway; mend what is said above");
}
