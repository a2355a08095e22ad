// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon_host.c - the daemon's devices, and what it does when the host's links, addresses or
 * routes change.
 */
#include "app/daemon_state.h"
#include "app/rules.h"

#include <string.h>

#include "io/bpf.h"
#include "io/log.h"

/* What comes out of `tun` goes straight to the interface `to`; without BPF it is routed. */
static void redirect(struct daemon *d, const struct tun *tun, unsigned to, uint32_t mark)
{
	int err;

	if (to == 0)
		return;
	err = bpf_redirect(tun->index, to, mark);
	if (!err || d->routed_told)
		return;
	log_warning("%s: redirecting by BPF: %s; packets take the routed way, where the host's "
		    "firewall rules and rp_filter apply to them",
		    tun->name, strerror(-err));
	d->routed_told = true;
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

int daemon_devices_open(struct daemon *d, char *err, unsigned err_bytes)
{
	char name[IFNAMSIZ];

	for (unsigned i = 0; i < d->cfg->n_paths; i++) {
		snprintf(name, sizeof(name), "mpg-%s", d->cfg->path[i].name);
		if (tun_open(&d->path_tun[i], name, err, err_bytes) < 0 ||
		    drain_add(d, &d->path_tun[i], err, err_bytes) < 0)
			return -1;
		redirect(d, &d->path_tun[i], d->host.path[i].link.index, RULES_MARK_CONVERTED);
	}
	for (unsigned i = 0; i < d->cfg->n_guests; i++) {
		snprintf(name, sizeof(name), "mpg-g%u", i);
		if (tun_open(&d->guest_tun[i], name, err, err_bytes) < 0 ||
		    drain_add(d, &d->guest_tun[i], err, err_bytes) < 0)
			return -1;
		redirect(d, &d->guest_tun[i], d->host.guests[i].index, 0);
	}
	return 0;
}

void daemon_devices_close(struct daemon *d)
{
	for (unsigned i = 0; i < ENGINE_PATHS_MAX; i++)
		tun_close(&d->path_tun[i]);
	for (unsigned i = 0; i < CONFIG_GUESTS_MAX; i++)
		tun_close(&d->guest_tun[i]);
}

static void look_at_path(struct daemon *d, unsigned i, const struct host_path *now)
{
	const struct host_path *before = &d->host.path[i];
	const struct config_path *path = &d->cfg->path[i];
	bool usable = now->link.index != 0 && now->link.up;

	if (now->link.index != before->link.index)
		redirect(d, &d->path_tun[i], now->link.index, RULES_MARK_CONVERTED);
	if (memcmp(&now->link, &before->link, sizeof(now->link)) == 0 &&
	    ip_addr_equal(&now->address4, &before->address4) &&
	    ip_addr_equal(&now->address6, &before->address6))
		return;
	log_info("path %s: %s is %s, MTU %u", path->name, path->interface, usable ? "up" : "down",
		 now->link.mtu_bytes);
	engine_path_set(d->engine, i, usable, &d->engine_cfg.path[i]);
}

/* A link that went down and the MTU concern no rule; one that came up has lost its routes. */
static bool must_renew(const struct host_path *before, const struct host_path *now)
{
	struct host_path p = *now;

	if (!now->link.up)
		return false;
	p.link.mtu_bytes = before->link.mtu_bytes;
	return memcmp(&p, before, sizeof(p)) != 0;
}

void daemon_look(struct daemon *d)
{
	static struct host now;
	char err[512];
	bool renew[ENGINE_PATHS_MAX] = {false};
	int error = host_look(d->cfg, &now);

	if (error) {
		log_error("asking the kernel for interfaces and routes: %s", strerror(-error));
		return;
	}
	if (memcmp(&now, &d->host, sizeof(now)) == 0 && !d->routes_lost)
		return;
	host_engine(d->cfg, &now, &d->engine_cfg);
	for (unsigned i = 0; i < d->cfg->n_paths; i++)
		look_at_path(d, i, &now.path[i]);
	for (unsigned i = 0; i < d->cfg->n_guests; i++) {
		if (now.guests[i].index != d->host.guests[i].index)
			redirect(d, &d->guest_tun[i], now.guests[i].index, 0);
	}
	for (unsigned i = 0; i < d->cfg->n_paths; i++)
		renew[i] = d->routes_lost || must_renew(&d->host.path[i], &now.path[i]);
	d->host = now;
	d->routes_lost = false;
	for (unsigned i = 0; i < d->cfg->n_paths && d->rules_are_up; i++) {
		if (!renew[i] || rules_renew(d->cfg, &d->host, i, err, sizeof(err)) == 0)
			continue;
		log_error("renewing the rules of path %s: %s", d->cfg->path[i].name, err);
		d->routes_lost = true; /* again at the next event */
	}
}
