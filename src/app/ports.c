// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ports.c - see ports.h.
 */
#include "app/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/rules_build.h"
#include "io/log.h"

#define SETTING "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define TEXT_BYTES 65536
#define WRITE_BYTES_MAX 4095 /* of which the kernel takes more only piece by piece */
#define NOTE_PREFERENCE 15400
#define NOTE_DEVICE "mpg.ports" /* no path's device has a dot in its name */
#define NOTES_MAX 16

bool ports_parse(const char *text, bool reserved[PORTS_ALL])
{
	memset(reserved, 0, PORTS_ALL * sizeof(bool));
	while (*text && *text != '\n') {
		char *end;
		unsigned long lo = strtoul(text, &end, 10), hi = lo;

		if (end == text)
			return false;
		if (*end == '-')
			hi = strtoul(end + 1, &end, 10);
		if (hi < lo || hi >= PORTS_ALL || (*end && *end != ',' && *end != '\n'))
			return false;
		memset(reserved + lo, 1, hi - lo + 1);
		text = *end == ',' ? end + 1 : end;
	}
	return true;
}

unsigned ports_text(const bool reserved[PORTS_ALL], char *text, unsigned bytes)
{
	unsigned n = 0, hi;
	int added;

	for (unsigned lo = 0; lo < PORTS_ALL; lo = hi + 1) {
		hi = lo;
		if (!reserved[lo])
			continue;
		while (hi + 1 < PORTS_ALL && reserved[hi + 1])
			hi++;
		added = hi > lo ? snprintf(text + n, bytes - n, "%s%u-%u", n ? "," : "", lo, hi)
				: snprintf(text + n, bytes - n, "%s%u", n ? "," : "", lo);
		if (added < 0 || (unsigned)added >= bytes - n)
			return 0;
		n += (unsigned)added;
	}
	/* An empty line empties the list; an empty write would do nothing. */
	if (n + 2 > bytes)
		return 0;
	memcpy(text + n, "\n", 2);
	return n + 1;
}

int ports_read(bool reserved[PORTS_ALL])
{
	static char text[TEXT_BYTES];
	int fd = open(SETTING, O_RDONLY | O_CLOEXEC), err;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	text[n] = '\0';
	return ports_parse(text, reserved) ? 0 : -EINVAL;
}

static int ports_write(const bool reserved[PORTS_ALL])
{
	static char text[TEXT_BYTES];
	unsigned n = ports_text(reserved, text, sizeof(text));
	int fd, err = 0;

	if (n == 0 || n > WRITE_BYTES_MAX)
		return -E2BIG;
	fd = open(SETTING, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, n) != (ssize_t)n)
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

static struct rtnl_rule note(unsigned lo, unsigned hi)
{
	struct rtnl_rule r = {.family = FLOW_IPV4,
			      .nop = true,
			      .preference = NOTE_PREFERENCE,
			      .iif = NOTE_DEVICE,
			      .port_min = (uint16_t)lo,
			      .port_max = (uint16_t)hi};

	return r;
}

/* Notes the ranges within ours that are free, then takes them; so no crash leaves one unnoted. */
static int reserve(const struct config *cfg)
{
	static bool reserved[PORTS_ALL];
	struct netlink nl;
	unsigned hi, n = 0;
	int err = ports_read(reserved);

	if (!err)
		err = netlink_open(&nl, NETLINK_ROUTE);
	if (err)
		return err;
	for (unsigned lo = cfg->port_min; lo <= cfg->port_max && !err; lo = hi + 1) {
		struct rtnl_rule r;

		hi = lo;
		if (reserved[lo])
			continue;
		while (hi < cfg->port_max && !reserved[hi + 1])
			hi++;
		r = note(lo, hi);
		err = ++n > NOTES_MAX ? -E2BIG : rtnl_rule_add(&nl, &r, RULES_PROTOCOL);
		if (!err)
			memset(reserved + lo, 1, hi - lo + 1);
	}
	netlink_close(&nl);
	return n && !err ? ports_write(reserved) : err;
}

void ports_reserve(const struct config *cfg)
{
	int error = reserve(cfg);

	/* A read-only /proc/sys: the host's own connections then may use the ports; no reason to
	 * give up. */
	if (error)
		log_warning("reserving the ports %u to %u: %s; `sysctl -w "
			    "net.ipv4.ip_local_reserved_ports=%u-%u` keeps the host from using "
			    "them for its own connections",
			    cfg->port_min, cfg->port_max, strerror(-error), cfg->port_min,
			    cfg->port_max);
}

struct release {
	struct rtnl_rule rule[NOTES_MAX];
	unsigned n;
};

static void on_note(const struct rtnl_rule *rule, void *data)
{
	struct release *rel = data;

	if (rule->nop && strcmp(rule->iif, NOTE_DEVICE) == 0 && rel->n < NOTES_MAX)
		rel->rule[rel->n++] = *rule;
}

void ports_release(void)
{
	static bool reserved[PORTS_ALL];
	struct release rel = {.n = 0};
	struct netlink nl;
	int err = rtnl_rules(FLOW_IPV4, RULES_PROTOCOL, on_note, &rel);

	if (err || rel.n == 0)
		return;
	err = ports_read(reserved);
	for (unsigned i = 0; i < rel.n; i++)
		memset(reserved + rel.rule[i].port_min, 0,
		       rel.rule[i].port_max - rel.rule[i].port_min + 1u);
	if (!err)
		err = ports_write(reserved);
	if (!err)
		err = netlink_open(&nl, NETLINK_ROUTE);
	if (err) {
		log_warning("the reserved ports could not be given back: %s", strerror(-err));
		return;
	}
	for (unsigned i = 0; i < rel.n; i++) {
		struct rtnl_rule r = note(rel.rule[i].port_min, rel.rule[i].port_max);

		rtnl_rule_del(&nl, &r, RULES_PROTOCOL);
	}
	netlink_close(&nl);
}

void ports_print(struct rules_list *list, const struct config *cfg)
{
	rules_list_add(list,
		       "ip -4 rule add iif " NOTE_DEVICE " ipproto tcp sport %u-%u nop pref %u "
		       "protocol %u",
		       cfg->port_min, cfg->port_max, NOTE_PREFERENCE, RULES_PROTOCOL);
	rules_list_why(list, "the subflows' ports, kept from the host's own connections; the rule, "
			     "which matches nothing, remembers what `down` has to give back");
	rules_list_add(list,
		       "sysctl -qw net.ipv4.ip_local_reserved_ports=\"$(sed 's/.$/&,/' " SETTING
		       ")%u-%u\"",
		       cfg->port_min, cfg->port_max);
}
