/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_settings.c - the host's settings that decide whether packets come and go: forwarding,
 * reverse path filters, ports, memory; and whether the names that the daemon takes are free.
 */
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "app/check.h"
#include "io/control.h"
#include "io/steer.h"

/* An interface's name within a sysctl's: there a dot is written as a slash. */
static const char *sysctl_name(const char *interface)
{
	static char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "%s", interface);
	for (char *at = name; (at = strchr(at, '.'));)
		*at = '/';
	return name;
}

static void forwarding_of(struct check *c, const char *interface, unsigned *n_off)
{
	long on;

	if (!check_number(&on, "/proc/sys/net/ipv4/conf/%s/forwarding", interface) || on)
		return;
	check_say(c, CHECK_FAIL, "forwarding",
		  "what arrives on %s is not forwarded; `sysctl -w net.ipv4.conf.%s.forwarding=1`, "
		  "or net.ipv4.ip_forward=1 for all",
		  interface, sysctl_name(interface));
	(*n_off)++;
}

static void forwarding(struct check *c)
{
	unsigned n_off = 0;
	bool v6 = false;
	long on;

	for (unsigned i = 0; i < c->cfg->n_guests; i++)
		forwarding_of(c, c->cfg->guests[i], &n_off);
	for (unsigned i = 0; i < c->cfg->n_paths; i++) {
		forwarding_of(c, c->cfg->path[i].interface, &n_off);
		v6 = v6 || !ip_addr_is_zero(&c->host.path[i].address6);
	}
	if (!n_off)
		check_say(c, CHECK_OK, "forwarding", "IPv4 is forwarded");
	if (!v6 || !check_number(&on, "/proc/sys/net/ipv6/conf/all/forwarding"))
		return;
	if (on)
		check_say(c, CHECK_OK, "forwarding", "IPv6 is forwarded");
	else
		check_say(c, CHECK_WARN, "forwarding",
			  "IPv6 is not forwarded; `sysctl -w net.ipv6.conf.all.forwarding=1` if "
			  "guests use it");
}

static void rp_filter(struct check *c)
{
	long all = 0, own;
	unsigned strict = 0;

	check_number(&all, "/proc/sys/net/ipv4/conf/all/rp_filter");
	for (unsigned i = 0; i < c->cfg->n_paths; i++) {
		const char *name = c->cfg->path[i].interface;

		if (!check_number(&own, "/proc/sys/net/ipv4/conf/%s/rp_filter", name))
			continue;
		/* The larger of the two counts; 1 is strict, 2 loose. */
		if (all > own ? all != 1 : own != 1)
			continue;
		strict++;
		if (c->cfg->n_paths > 1)
			check_say(c, CHECK_WARN, "rp_filter",
				  "strict on %s: replies that arrive on another uplink than the "
				  "kernel would choose are dropped; `sysctl -w "
				  "net.ipv4.conf.%s.rp_filter=2`",
				  name, sysctl_name(name));
	}
	if (c->no_redirect && all == 1)
		check_say(c, CHECK_FAIL, "rp_filter",
			  "strict on all interfaces, mpgate's own devices with them; `sysctl -w "
			  "net.ipv4.conf.all.rp_filter=0` and set 1 where it is wanted");
	else if (!strict || c->cfg->n_paths == 1)
		check_say(c, CHECK_OK, "rp_filter", "stands in nobody's way");
}

static void filters_of(struct check *c, const char *interface, unsigned index, unsigned *n_behind)
{
	unsigned priority = index ? steer_priority(index) : 1;

	if (priority <= 1)
		return;
	check_say(c, CHECK_WARN, "filter",
		  "other filters come first at the ingress of %s, ours gets priority %u: of what "
		  "they accept nothing is converted, or worse, only one direction; give them a "
		  "larger one, `tc filter show dev %s ingress` shows them",
		  interface, priority, interface);
	(*n_behind)++;
}

/* tc's, before which the program stands that finds our connections. */
static void filters(struct check *c)
{
	unsigned n_behind = 0;

	for (unsigned i = 0; i < c->cfg->n_guests; i++)
		filters_of(c, c->cfg->guests[i], c->host.guests[i].index, &n_behind);
	for (unsigned i = 0; i < c->cfg->n_paths; i++)
		filters_of(c, c->cfg->path[i].interface, c->host.path[i].link.index, &n_behind);
	if (!n_behind)
		check_say(c, CHECK_OK, "filter", "nobody's filters come before ours");
}

/* Marks in `reserved` the ports that the kernel never chooses by itself. */
static void reserved_read(bool *reserved)
{
	static char text[65536];
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_reserved_ports", "re");
	char *rest = text, *word;

	if (!f || !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	while ((word = strsep(&rest, ",\n"))) {
		unsigned lo, hi;
		int n = sscanf(word, "%u-%u", &lo, &hi);

		if (n == 1)
			hi = lo;
		for (; n >= 1 && lo <= hi && lo <= 65535; lo++)
			reserved[lo] = true;
	}
}

static void ports(struct check *c)
{
	static bool reserved[65536];
	unsigned lo = 0, hi = 0, free_to_kernel = 0;
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

	if (!f || fscanf(f, "%u %u", &lo, &hi) != 2)
		lo = 1, hi = 0;
	if (f)
		fclose(f);
	reserved_read(reserved);
	for (unsigned port = c->cfg->port_min; port <= c->cfg->port_max; port++)
		free_to_kernel += port >= lo && port <= hi && !reserved[port];
	if (free_to_kernel)
		check_say(
			c, CHECK_WARN, "ports",
			"the host itself may choose %u of the ports %u to %u for its connections; "
			"`sysctl -w net.ipv4.ip_local_reserved_ports=%u-%u`, or write other ports",
			free_to_kernel, c->cfg->port_min, c->cfg->port_max, c->cfg->port_min,
			c->cfg->port_max);
	else
		check_say(c, CHECK_OK, "ports", "%u to %u are ours alone", c->cfg->port_min,
			  c->cfg->port_max);
}

static void memory(struct check *c)
{
	struct engine_cfg engine;
	unsigned long available_kb = 0, need_kb;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lu kB", &available_kb) == 1)
			break;
	if (f)
		fclose(f);
	config_engine(c->cfg, &engine);
	need_kb = (unsigned long)(engine_region_bytes(&engine) >> 10);
	if (!available_kb)
		return;
	if (need_kb > available_kb)
		check_say(c, CHECK_FAIL, "memory",
			  "%lu MB are needed, %lu MB are free; lower memory_mb and "
			  "max_connections",
			  need_kb >> 10, available_kb >> 10);
	else if (need_kb > available_kb / 2)
		check_say(c, CHECK_WARN, "memory",
			  "%lu MB are needed of %lu MB free; consider a lower memory_mb",
			  need_kb >> 10, available_kb >> 10);
	else
		check_say(c, CHECK_OK, "memory", "%lu MB are needed of %lu MB free", need_kb >> 10,
			  available_kb >> 10);
}

/* The kernel lists who has which queue. */
static void queue(struct check *c)
{
	unsigned number, owner;
	char line[256];
	FILE *f = fopen("/proc/net/netfilter/nfnetlink_queue", "re");
	bool taken = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%u %u", &number, &owner) != 2 || number != c->cfg->queue)
			continue;
		check_say(c, CHECK_FAIL, "queue",
			  "queue %u is taken (netlink port %u); stop who has it, or set another "
			  "queue in the file",
			  number, owner);
		taken = true;
	}
	if (f)
		fclose(f);
	if (f && !taken)
		check_say(c, CHECK_OK, "queue", "queue %u is free", c->cfg->queue);
}

/* The directory that a file of ours will be made in. */
static void directory(struct check *c, const char *what, const char *file)
{
	char dir[128];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", file);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	if (access(dir, F_OK) < 0)
		check_say(c, CHECK_FAIL, what, "%s does not exist; create it", dir);
	else if (c->root && access(dir, W_OK) < 0)
		check_say(c, CHECK_FAIL, what, "%s is not writable; set another %s", dir, what);
	else
		check_say(c, CHECK_OK, what, "%s can be made", file);
}

/* The engine's memory is a mapping of it: on a disk each first write to a page may wait. */
static void state(struct check *c, const char *file)
{
	struct statfs fs;
	char dir[128];
	char *slash;

	directory(c, "state", file);
	snprintf(dir, sizeof(dir), "%s", file);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	if (statfs(dir, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC)
		check_say(c, CHECK_WARN, "state",
			  "%s is no file system in memory, and packets may wait for its disk; set "
			  "state to a file of a tmpfs: in /dev/shm, or in /run where it is one",
			  dir);
}

static void files(struct check *c)
{
	const char *control = c->cfg->control;
	struct stat st;

	if (lstat(control, &st) == 0 && !S_ISSOCK(st.st_mode))
		check_say(c, CHECK_FAIL, "control",
			  "%s exists and is no socket; remove it, or set another control", control);
	else if (lstat(control, &st) == 0 && control_alive(control))
		check_say(c, CHECK_FAIL, "control",
			  "another mpgate answers on %s; stop it first, or set another control",
			  control);
	else
		directory(c, "control", control);
	if (c->cfg->state[0])
		state(c, c->cfg->state);
}

/* With manage_host = false somebody else must have set up the rules; listing them changes nothing.
 */
static void foreign_rules(struct check *c)
{
	const char *const list[] = {"iptables", "-w", "-t", "raw", "-S", "MPGATE-PRE", NULL};
	char out[4096];

	if (c->cfg->manage_host || !c->root)
		return;
	if (check_run(list, out, sizeof(out)) == 0)
		check_say(c, CHECK_OK, "manage_host", "the rules are up");
	else
		check_say(
			c, CHECK_WARN, "manage_host",
			"it is false and the rules are not up: nothing would be converted; `mpgate "
			"rules up` with the same file");
}

void check_settings(struct check *c)
{
	foreign_rules(c);
	forwarding(c);
	rp_filter(c);
	filters(c);
	ports(c);
	memory(c);
	queue(c);
	files(c);
}
