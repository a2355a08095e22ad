/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_probe.c - does what the gate sends really leave? The devices, rules and routes of `run` are
 * set up for a moment, a packet goes through each device, and is looked for on the interface where
 * it has to leave: no other rule of the host's may have dropped or changed it.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "app/check.h"
#include "app/control_answer.h"
#include "app/rules.h"
#include "app/rules_build.h"
#include "io/bpf.h"
#include "io/probe.h"
#include "io/tun.h"

#define PATIENCE_MS 1500 /* a neighbour is asked for three times, a second apart */
#define PATIENCE_SILENT_MS 2500
#define PORT_DISCARD 9

/* Addresses for documentation (RFC 5737, RFC 3849): nobody's. */
static const struct ip_addr nobody4 = {{192, 0, 2, 1}};
static const struct ip_addr nobody6 = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}};

struct way {
	const char *device; /* of ours */
	const char *interface;
	unsigned ifindex;
	uint32_t mark;
	struct ip_addr from, to, gateway;
	uint8_t family;
	bool routed;
	uint16_t port;
};

static enum probe_result send_probe(const struct tun *tun, const struct way *w, int *error)
{
	static struct engine_out out;
	struct probe p = {.tuple = {.family = w->family,
				    .src = w->from,
				    .dst = w->to,
				    .src_port = w->port,
				    .dst_port = PORT_DISCARD},
			  .hops = w->routed ? 2 : 1};
	enum probe_result result = PROBE_LOST;
	int fd = probe_listen(w->ifindex);

	*error = fd < 0 ? fd : 0;
	if (fd < 0)
		return PROBE_LOST;
	if (getrandom(p.magic, sizeof(p.magic), 0) == sizeof(p.magic)) {
		probe_packet(&p, &out);
		*error = tun_write(tun, &out);
		if (!*error)
			result = probe_await(fd, &p, PATIENCE_MS);
	}
	close(fd);
	return result;
}

/* True when packets can leave that way. */
static bool judge(struct check *c, const struct way *w, enum probe_result result, int error)
{
	char gateway[64];
	bool silent = false;

	control_address(gateway, sizeof(gateway), w->family, &w->gateway);
	if (result == PROBE_LEFT) {
		check_say(c, CHECK_OK, "probe", "a packet through %s left by %s as it was sent",
			  w->device, w->interface);
		return true;
	}
	if (result == PROBE_CHANGED) {
		check_say(c, CHECK_FAIL, "probe",
			  "a packet through %s left by %s with another address or port; look for a "
			  "source translation of the host's that takes untracked packets too, and "
			  "exempt what comes from %s",
			  w->device, w->interface, w->device);
		return false;
	}
	if (!error && !ip_addr_is_zero(&w->gateway)) {
		/* The kernel gives up asking for a neighbour after three seconds. */
		usleep(PATIENCE_SILENT_MS * 1000);
		rtnl_silent(w->ifindex, w->family, &w->gateway, &silent);
	}
	if (silent) {
		check_say(c, CHECK_WARN, "probe",
			  "the gateway %s does not answer on %s: nothing can leave there; look at "
			  "the cable, the address and the gateway",
			  gateway, w->interface);
		return false;
	}
	check_say(c, CHECK_FAIL, "probe",
		  "a packet through %s did not leave by %s%s%s; look for a rule that drops it: "
		  "`nft list ruleset`, `tc filter show dev %s egress`%s",
		  w->device, w->interface, error ? ": " : "", error ? strerror(-error) : "",
		  w->interface,
		  c->no_redirect ? ", net.ipv4.conf.all.rp_filter, and let pass what comes from "
				   "mpg-*"
				 : "");
	return false;
}

static bool probe(struct check *c, struct way *w)
{
	enum probe_result result;
	struct tun tun;
	char err[256];
	int error;
	bool good;

	if (tun_open(&tun, w->device, err, sizeof(err)) < 0) {
		check_say(c, CHECK_FAIL, "probe", "%s", err);
		return false;
	}
	if (!c->no_redirect && bpf_redirect(tun.index, w->ifindex, w->mark) < 0)
		c->no_redirect = true;
	w->routed = c->no_redirect;
	result = send_probe(&tun, w, &error);
	good = judge(c, w, result, error);
	tun_close(&tun);
	return good;
}

static bool probe_path(struct check *c, unsigned i)
{
	const struct host_path *h = &c->host.path[i];
	char device[IFNAMSIZ];
	struct way w = {.device = device,
			.interface = c->cfg->path[i].interface,
			.ifindex = h->link.index,
			.mark = STEER_CONVERTED,
			.port = c->cfg->port_max};
	bool good = false;

	snprintf(device, sizeof(device), "mpg-%s", c->cfg->path[i].name);
	if (!h->link.up)
		return false;
	if (!ip_addr_is_zero(&h->address4) && host_has_way(h, FLOW_IPV4)) {
		w.family = FLOW_IPV4;
		w.from = h->address4;
		w.to = nobody4;
		w.gateway = h->gateway4;
		good = probe(c, &w);
	}
	if (!ip_addr_is_zero(&h->address6) && host_has_way(h, FLOW_IPV6)) {
		w.family = FLOW_IPV6;
		w.from = h->address6;
		w.to = nobody6;
		w.gateway = h->gateway6;
		good = probe(c, &w) || good;
	}
	return good;
}

/* Towards a guest that was heard lately; without one there is nobody to send to. */
static void probe_guests(struct check *c, unsigned i)
{
	char device[IFNAMSIZ];
	struct way w = {.device = device,
			.interface = c->cfg->guests[i],
			.ifindex = c->host.guests[i].index,
			.port = PORT_DISCARD};

	if (!c->host.guests[i].up)
		return;
	snprintf(device, sizeof(device), "mpg-g%u", i);
	w.family = FLOW_IPV4;
	w.from = nobody4;
	if (rtnl_heard(w.ifindex, FLOW_IPV4, &w.to) < 0 || ip_addr_is_zero(&w.to)) {
		w.family = FLOW_IPV6;
		w.from = nobody6;
		if (rtnl_heard(w.ifindex, FLOW_IPV6, &w.to) < 0 || ip_addr_is_zero(&w.to)) {
			check_say(c, CHECK_OK, "probe",
				  "nothing was sent through %s: no guest was heard on %s yet",
				  w.device, w.interface);
			return;
		}
	}
	probe(c, &w);
}

void check_probe(struct check *c)
{
	/* What a killed process left, for which connections may wait, is not touched. */
	bool there = rules_routes_there(), ours = c->cfg->manage_host && !there;
	unsigned usable = 0;
	char err[512];

	if (!c->root || c->n_fail)
		return;
	if (!ours && !there) {
		check_say(c, CHECK_WARN, "probe",
			  "not done: manage_host is false and the rules are not up");
		return;
	}
	if (ours && rules_up(c->cfg, &c->host, c->no_redirect, err, sizeof(err)) < 0) {
		check_say(c, CHECK_FAIL, "probe", "the rules cannot be set up here: %s", err);
		return;
	}
	for (unsigned i = 0; i < c->cfg->n_paths; i++)
		usable += probe_path(c, i);
	for (unsigned i = 0; i < c->cfg->n_guests; i++)
		probe_guests(c, i);
	if (ours && rules_down(err, sizeof(err)) < 0)
		check_say(c, CHECK_FAIL, "probe",
			  "the rules could not be withdrawn: %s; `mpgate rules down`", err);
	if (!usable && !c->n_fail)
		check_say(c, CHECK_FAIL, "paths",
			  "no packet left by any of them; mend what is said above");
}
