// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon_host.c - the daemon's devices, and what it does when the host's links, addresses or
 * routes change.
 */
#include "app/daemon_state.h"
#include "app/rules.h"

#include <arpa/inet.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "io/bpf.h"
#include "io/log.h"

#define AGAIN_US 500000

/*
 * What comes out of `tun` goes straight to the interface `to`; false: there is no BPF, or the file
 * says so: it is routed.
 */
static bool redirect(struct daemon *d, const struct tun *tun, unsigned to, uint32_t mark)
{
	int err;

	if (rules_ask_routed(d->cfg))
		return false;
	if (to == 0)
		return true;
	err = bpf_redirect(tun->index, to, mark);
	if (!err || d->routed_told)
		return !err;
	log_warning("%s: redirecting by BPF: %s; packets take the routed way, where the host's "
		    "firewall rules and rp_filter apply to them",
		    tun->name, strerror(-err));
	d->routed_told = true;
	return false;
}

/* The kernel took the program before, and now it does not: the rules of the routed road. */
static void need_routed(struct daemon *d)
{
	char err[256];

	if (!d->rules_are_up || d->rules_routed)
		return;
	d->rules_routed = true;
	if (rules_chains_up(d->cfg, true, err, sizeof(err)) < 0)
		log_error("the rules of the routed road: %s", err);
}

static void on_device(void *data)
{
	tun_drain(data);
}

static int drain_add(struct daemon *d, struct tun *tun, char *err, unsigned err_bytes)
{
	int error = loop_add(&d->loop, tun->fd, on_device, tun);

	if (error)
		snprintf(err, err_bytes, "%s: watching it: %s", tun->name, strerror(-error));
	return error ? -1 : 0;
}

/*
 * What a device takes would be cut, routed and delivered within our writev(), on the one processor
 * that is the bottleneck; so we stay on one, and the others do that.
 */
static void spread(struct daemon *d)
{
	unsigned n_cpus = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
	int cpu = sched_getcpu(), err = 0;
	cpu_set_t own;

	if (cpu < 0 || n_cpus < 2 || n_cpus > CPU_SETSIZE)
		return;
	for (unsigned i = 0; i < d->cfg->n_paths && !err; i++)
		err = tun_spread(&d->path_tun[i], (unsigned)cpu, n_cpus);
	for (unsigned i = 0; i < d->cfg->n_guests && !err; i++)
		err = tun_spread(&d->guest_tun[i], (unsigned)cpu, n_cpus);
	if (err) /* a kernel without it, or a /sys that may not be written */
		return;
	CPU_ZERO(&own);
	CPU_SET((unsigned)cpu, &own);
	sched_setaffinity(0, sizeof(own), &own);
}

int daemon_devices_open(struct daemon *d, char *err, unsigned err_bytes)
{
	char name[IFNAMSIZ];

	for (unsigned i = 0; i < d->cfg->n_paths; i++) {
		snprintf(name, sizeof(name), "mpg-%s", d->cfg->path[i].name);
		if (tun_open(&d->path_tun[i], name, err, err_bytes) < 0 ||
		    drain_add(d, &d->path_tun[i], err, err_bytes) < 0)
			return -1;
		d->path_routed[i] =
			!redirect(d, &d->path_tun[i], d->host.path[i].link.index, STEER_CONVERTED);
	}
	for (unsigned i = 0; i < d->cfg->n_guests; i++) {
		snprintf(name, sizeof(name), "mpg-g%u", i);
		if (tun_open(&d->guest_tun[i], name, err, err_bytes) < 0 ||
		    drain_add(d, &d->guest_tun[i], err, err_bytes) < 0)
			return -1;
		d->guest_index[i] = d->host.guests[i].index;
		d->guests_routed |= !redirect(d, &d->guest_tun[i], d->guest_index[i], 0);
	}
	spread(d);
	return 0;
}

void daemon_devices_close(struct daemon *d)
{
	for (unsigned i = 0; i < ENGINE_PATHS_MAX; i++)
		tun_close(&d->path_tun[i]);
	for (unsigned i = 0; i < CONFIG_GUESTS_MAX; i++)
		tun_close(&d->guest_tun[i]);
}

/* ---- what the kernel tells ---- */

static void on_change(const struct rtnl_change *change, void *data)
{
	struct daemon *d = data;

	host_change(d->cfg, &d->host, change, &d->touched);
	daemon_steer_link(d, change);
}

static bool same_link(const struct rtnl_link *a, const struct rtnl_link *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void tell_address(const struct config_path *path, uint8_t family, const struct ip_addr *old,
			 const struct ip_addr *now)
{
	int af = family == FLOW_IPV4 ? AF_INET : AF_INET6;
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	if (ip_addr_equal(old, now))
		return;
	inet_ntop(af, old->b, from, sizeof(from));
	inet_ntop(af, now->b, to, sizeof(to));
	if (ip_addr_is_zero(now))
		log_info("path %s: address %s was removed from %s", path->name, from,
			 path->interface);
	else if (ip_addr_is_zero(old))
		log_info("path %s: %s has the address %s", path->name, path->interface, to);
	else
		log_info("path %s: the address of %s changed from %s to %s", path->name,
			 path->interface, from, to);
}

static void tell_gateway(const struct config_path *path, uint8_t family,
			 const struct host_path *old, const struct host_path *now)
{
	bool v4 = family == FLOW_IPV4, before = host_has_way(old, family);
	const struct ip_addr *gateway = v4 ? &now->gateway4 : &now->gateway6;
	char via[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, gateway->b, via, sizeof(via));
	if (!host_has_way(now, family)) {
		if (before && now->link.up)
			log_info("path %s: there is no way out by %s for IPv%c any more: no "
				 "gateway",
				 path->name, path->interface, v4 ? '4' : '6');
	} else if (!before || !ip_addr_equal(gateway, v4 ? &old->gateway4 : &old->gateway6)) {
		log_info("path %s: IPv%c goes out through %s", path->name, v4 ? '4' : '6',
			 ip_addr_is_zero(gateway) ? "the link itself" : via);
	}
}

/* What happened and why, in words. */
static void tell(const struct config_path *path, const struct host_path *old,
		 const struct host_path *now)
{
	if (old->link.index && !now->link.index)
		log_info("path %s: down because %s is gone", path->name, path->interface);
	else if (old->link.index && old->link.index != now->link.index)
		log_info("path %s: %s is another interface now (index %u, before %u)", path->name,
			 path->interface, now->link.index, old->link.index);
	else if (old->link.up && !now->link.up)
		log_info("path %s: down because %s %s", path->name, path->interface,
			 now->link.admin_up ? "lost its carrier" : "was set down");
	if (now->link.up && (!old->link.up || old->link.index != now->link.index))
		log_info("path %s: up, %s has carrier, MTU %u", path->name, path->interface,
			 now->link.mtu_bytes);
	else if (now->link.up && old->link.mtu_bytes != now->link.mtu_bytes)
		log_info("path %s: the MTU of %s is %u now, it was %u", path->name, path->interface,
			 now->link.mtu_bytes, old->link.mtu_bytes);
	tell_address(path, FLOW_IPV4, &old->address4, &now->address4);
	tell_address(path, FLOW_IPV6, &old->address6, &now->address6);
	tell_gateway(path, FLOW_IPV4, old, now);
	tell_gateway(path, FLOW_IPV6, old, now);
}

static bool same_ways(const struct host_path *a, const struct host_path *b)
{
	return a->n_routes4 == b->n_routes4 && a->n_routes6 == b->n_routes6 &&
	       memcmp(a->routes4, b->routes4, sizeof(a->routes4)) == 0 &&
	       memcmp(a->routes6, b->routes6, sizeof(a->routes6)) == 0;
}

static void renew(struct daemon *d, unsigned i, bool lost)
{
	char err[256];

	if (!d->rules_are_up ||
	    routes_renew(&d->routes, d->cfg, &d->host, i, lost, err, sizeof(err)) == 0)
		return;
	/* An address or a connected route may be on its way: what it needs comes with a message. */
	if (!d->routes_told[i])
		log_warning("path %s: %s; it is tried again", d->cfg->path[i].name, err);
	d->routes_told[i] = true;
	d->again_at_us = loop_now_us() + AGAIN_US;
}

static void look_at_path(struct daemon *d, unsigned i)
{
	static struct host_path old;
	bool lost = d->touched.lost >> i & 1, usable;
	const struct host_path *now = &d->host.path[i];
	int error = 0;

	old = *now;
	if (d->touched.ask >> i & 1)
		error = host_ask(&d->host, i);
	if (error) {
		log_error("path %s: asking the kernel for addresses and routes: %s",
			  d->cfg->path[i].name, strerror(-error));
		d->touched.all = true;
		d->again_at_us = loop_now_us() + AGAIN_US;
	}
	host_settle(d->cfg, &d->host, i);
	host_engine(d->cfg, &d->host, &d->engine_cfg);
	usable = now->link.up;
	/* What goes down goes first; what comes up needs its routes before packets leave. */
	if (!usable)
		engine_path_set(d->engine, i, false, &d->engine_cfg.path[i]);
	if (now->link.index != old.link.index) {
		daemon_steer_attach(d, d->cfg->path[i].interface, now->link.index, STEER_NET);
		daemon_steer_ports(d);
		d->path_routed[i] = !redirect(d, &d->path_tun[i], now->link.index, STEER_CONVERTED);
		if (d->path_routed[i])
			need_routed(d);
	}
	d->engine_cfg.path[i].routed = d->path_routed[i];
	if (lost || d->routes.unsure[i] || memcmp(&old, now, sizeof(old)) != 0)
		renew(d, i, lost);
	/* Routes often come after link and address: what has gone nowhere is to be sent again. */
	if (usable && (!same_link(&old.link, &now->link) || !same_ways(&old, now) ||
		       !ip_addr_equal(&old.address4, &now->address4) ||
		       !ip_addr_equal(&old.address6, &now->address6)))
		engine_path_set(d->engine, i, true, &d->engine_cfg.path[i]);
	if (memcmp(&old, now, sizeof(old)) != 0) {
		d->routes_told[i] = false;
		tell(&d->cfg->path[i], &old, now);
	}
}

/* Messages were lost: everything is asked for again. */
static void look_at_all(struct daemon *d)
{
	static struct host_path old[ENGINE_PATHS_MAX];
	int error;

	log_info("the kernel had more changes to tell than we could hear: asking for all again");
	memcpy(old, d->host.path, sizeof(old));
	error = host_look(d->cfg, &d->host);
	if (error) {
		log_error("asking the kernel for interfaces and routes: %s", strerror(-error));
		d->again_at_us = loop_now_us() + AGAIN_US;
		return;
	}
	daemon_steer_ports(d);
	/* What was before is what the next step compares with. */
	memcpy(d->host.path, old, sizeof(old));
	d->touched = (struct host_touched){.paths = (1u << d->cfg->n_paths) - 1,
					   .lost = (1u << d->cfg->n_paths) - 1,
					   .guests = (1u << d->cfg->n_guests) - 1};
}

static void look(struct daemon *d)
{
	struct host_touched done;

	if (d->touched.all)
		look_at_all(d);
	for (unsigned i = 0; i < d->cfg->n_paths; i++)
		if (d->touched.paths >> i & 1)
			look_at_path(d, i);
	for (unsigned i = 0; i < d->cfg->n_guests; i++) {
		if (!(d->touched.guests >> i & 1) || d->guest_index[i] == d->host.guests[i].index)
			continue;
		d->guest_index[i] = d->host.guests[i].index;
		log_info("guests: %s is %s", d->cfg->guests[i],
			 d->guest_index[i] ? "there, another interface than before" : "gone");
		daemon_steer_attach(d, d->cfg->guests[i], d->guest_index[i], STEER_GUEST);
		daemon_steer_ports(d);
		if (!redirect(d, &d->guest_tun[i], d->guest_index[i], 0))
			need_routed(d);
	}
	done = d->touched;
	d->touched = (struct host_touched){.all = done.all};
	daemon_claims(d); /* subflows of a path that is gone */
}

void daemon_on_monitor(void *data)
{
	struct daemon *d = data;

	rtnl_monitor_read(d->monitor, on_change, d);
	look(d);
}

void daemon_look_again(struct daemon *d)
{
	d->again_at_us = UINT64_MAX;
	for (unsigned i = 0; i < d->cfg->n_paths; i++)
		if (d->routes.unsure[i])
			d->touched.paths |= 1u << i;
	look(d);
}
