// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon.c - `mpgate run`: start, loop, end.
 *
 * The order of the start matters. The devices and the queue are taken first: each can have one
 * owner only, so a second daemon ends there and changes nothing. The rules come last, when
 * everything that they lead to is in place; on the way down they go first.
 */
#include "app/daemon.h"
#include "app/daemon_state.h"
#include "app/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/log.h"
#include "io/notify.h"

static const struct control_extra counters[DAEMON_COUNTERS] = {
	[DAEMON_TRUNCATED] = {"queue_truncated", "Packets too long for the queue: dropped.", 0},
	[DAEMON_STRANGE_INTERFACE] = {"queue_strange_interface",
				      "Packets of interfaces that are neither a path's nor the "
				      "guests': let go.",
				      0},
	[DAEMON_EMIT_FAILED] = {"emit_failed", "Packets that a TUN device did not take.", 0},
	[DAEMON_VERDICT_FAILED] = {"verdict_failed", "Verdicts that the kernel did not take.", 0},
	[DAEMON_CONNTRACK_FAILED] = {"conntrack_failed",
				     "Questions and changes that conntrack refused.", 0},
	[DAEMON_CLAIM_FAILED] = {"claim_failed",
				 "Connections that the kernel's table of ours did not take.", 0},
	[DAEMON_RULES_RESTORED] = {"rules_restored",
				   "Times that others had removed our rules: set up again.", 0},
	[DAEMON_EVENTS_UNTOLD] = {"events_untold",
				  "Events left out of the log because there were too many.", 0},
};

static void on_signal(void *data)
{
	struct daemon *d = data;

	d->signal = loop_signal_read(d->signals);
	if (d->signal != SIGHUP)
		return;
	d->reload = daemon_reloadable(d);
	if (!d->reload)
		d->signal = 0;
}

static void on_control(void *data)
{
	struct daemon *d = data;

	control_dispatch(&d->control, d->engine, d->cfg, loop_now_us());
}

/* ---- the engine's region ---- */

/* Opens, locks and sizes the state file; how many bytes a process before us has left in it. */
static int open_state(struct daemon *d, size_t *left_bytes, char *err, unsigned err_bytes)
{
	const char *file = d->cfg->state;
	struct stat st;

	d->state_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->state_fd < 0 || fstat(d->state_fd, &st) < 0) {
		snprintf(err, err_bytes, "state file %s: %s", file, strerror(errno));
		return -1;
	}
	if (flock(d->state_fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(err, err_bytes, "state file %s: another mpgate uses it", file);
		return -1;
	}
	*left_bytes = (size_t)st.st_size;
	if (*left_bytes == d->region_bytes)
		return 0;
	/* Reserved at once: a full file system must not become a SIGBUS later. */
	if (ftruncate(d->state_fd, 0) < 0 ||
	    (errno = posix_fallocate(d->state_fd, 0, (off_t)d->region_bytes)) != 0) {
		snprintf(err, err_bytes, "state file %s: %s", file, strerror(errno));
		return -1;
	}
	return 0;
}

static int open_engine(struct daemon *d, char *err, unsigned err_bytes)
{
	bool file = d->cfg->state[0] != '\0';
	size_t left_bytes = 0;

	d->region_bytes = engine_region_bytes(&d->engine_cfg);
	if (d->region_bytes == 0) {
		snprintf(err, err_bytes, "memory_mb = %u is too little for max_connections = %u",
			 d->cfg->memory_mb, d->cfg->max_connections);
		return -1;
	}
	if (file && open_state(d, &left_bytes, err, err_bytes) < 0)
		return -1;
	d->region = mmap(NULL, d->region_bytes, PROT_READ | PROT_WRITE,
			 file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, d->state_fd, 0);
	if (d->region == MAP_FAILED) {
		d->region = NULL;
		snprintf(err, err_bytes, "%zu bytes of memory: %s", d->region_bytes,
			 strerror(errno));
		return -1;
	}
	if (left_bytes == d->region_bytes)
		d->engine = engine_adopt(d->region, d->region_bytes, &d->engine_cfg, loop_now_us());
	d->tracks = d->engine; /* conntrack may know the connections of the process before */
	if (d->engine)
		log_info("took over %u connections of the process before",
			 engine_connections(d->engine));
	else if (left_bytes)
		log_warning("%s holds another layout of memory (another mpgate, memory_mb or "
			    "max_connections): the connections of the process before are reset",
			    d->cfg->state);
	if (!d->engine)
		d->engine = engine_init(d->region, d->region_bytes, &d->engine_cfg);
	if (!d->engine)
		snprintf(err, err_bytes, "the engine refuses its configuration");
	return d->engine ? 0 : -1;
}

/* ---- start and end ---- */

static int look_first(struct daemon *d, char *err, unsigned err_bytes)
{
	int error = host_look(d->cfg, &d->host);
	unsigned n_paths = 0, n_guests = 0;

	if (error) {
		snprintf(err, err_bytes, "asking the kernel for interfaces and routes: %s",
			 strerror(-error));
		return -1;
	}
	for (unsigned i = 0; i < d->cfg->n_paths; i++) {
		n_paths += d->host.path[i].link.index != 0;
		if (d->host.path[i].link.index == 0)
			log_warning("path %s: there is no interface %s yet", d->cfg->path[i].name,
				    d->cfg->path[i].interface);
	}
	for (unsigned i = 0; i < d->cfg->n_guests; i++) {
		n_guests += d->host.guests[i].index != 0;
		if (d->host.guests[i].index == 0)
			log_warning("guests: there is no interface %s yet", d->cfg->guests[i]);
	}
	if (n_paths == 0 || n_guests == 0) {
		snprintf(err, err_bytes, "none of the %s interfaces exists; see `mpgate check`",
			 n_paths ? "guests'" : "paths'");
		return -1;
	}
	return 0;
}

static int configure_engine(struct daemon *d, char *err, unsigned err_bytes)
{
	config_engine(d->cfg, &d->engine_cfg);
	host_engine(d->cfg, &d->host, &d->engine_cfg);
	for (unsigned i = 0; i < d->cfg->n_paths; i++)
		d->engine_cfg.path[i].routed = d->path_routed[i];
	d->engine_cfg.guests_routed = d->guests_routed;
	if (getrandom(d->engine_cfg.seed, sizeof(d->engine_cfg.seed), 0) !=
	    sizeof(d->engine_cfg.seed)) {
		snprintf(err, err_bytes, "random numbers: %s", strerror(errno));
		return -1;
	}
	if (open_engine(d, err, err_bytes) < 0)
		return -1;
	for (unsigned i = 0; i < d->cfg->n_paths; i++)
		engine_path_set(d->engine, i, d->host.path[i].link.up, &d->engine_cfg.path[i]);
	return 0;
}

static int open_loop(struct daemon *d, char *err, unsigned err_bytes)
{
	int error = loop_init(&d->loop);

	if (!error) {
		d->signals = loop_signals();
		error = d->signals < 0 ? d->signals : loop_add(&d->loop, d->signals, on_signal, d);
	}
	if (!error) {
		d->monitor = rtnl_monitor_open();
		error = d->monitor < 0 ? d->monitor
				       : loop_add(&d->loop, d->monitor, daemon_on_monitor, d);
	}
	if (!error)
		error = netlink_open(&d->conntrack, NETLINK_NETFILTER);
	if (!error)
		error = routes_open(&d->routes);
	if (error)
		snprintf(err, err_bytes, "descriptors for the event loop: %s", strerror(-error));
	return error ? -1 : 0;
}

static int open_queue(struct daemon *d, char *err, unsigned err_bytes)
{
	int error;

	d->queue = nfqueue_open(d->cfg->queue, err, err_bytes);
	if (!d->queue)
		return -1;
	error = loop_add(&d->loop, nfqueue_fd(d->queue), daemon_on_queue, d);
	if (error)
		snprintf(err, err_bytes, "watching the queue: %s", strerror(-error));
	return error ? -1 : 0;
}

static int open_control(struct daemon *d, char *err, unsigned err_bytes)
{
	int error;

	memcpy(d->counter, counters, sizeof(counters));
	if (d->cfg->control[0] == '\0')
		return 0;
	if (control_open(&d->control, d->cfg->control, err, err_bytes) < 0)
		return -1;
	d->control.host = &d->host;
	d->control.extra = d->counter;
	d->control.n_extra = DAEMON_COUNTERS;
	error = loop_add(&d->loop, control_fd(&d->control), on_control, d);
	if (error)
		snprintf(err, err_bytes, "watching the control socket: %s", strerror(-error));
	return error ? -1 : 0;
}

static int start(struct daemon *d, char *err, unsigned err_bytes)
{
	if (open_loop(d, err, err_bytes) < 0 || look_first(d, err, err_bytes) < 0 ||
	    daemon_devices_open(d, err, err_bytes) < 0 || open_queue(d, err, err_bytes) < 0 ||
	    configure_engine(d, err, err_bytes) < 0 || open_control(d, err, err_bytes) < 0 ||
	    daemon_steer_open(d, err, err_bytes) < 0)
		return -1;
	if (d->cfg->manage_host) {
		for (unsigned i = 0; i < d->cfg->n_paths; i++)
			d->rules_routed |= d->path_routed[i];
		d->rules_routed |= d->guests_routed;
		if (rules_up(d->cfg, &d->host, d->rules_routed, err, err_bytes) < 0)
			return -1;
		d->rules_are_up = true;
		daemon_rules_watch(d);
		for (unsigned i = 0; i < d->cfg->n_paths; i++)
			d->touched.lost |= 1u << i;
		d->touched.paths = d->touched.lost;
		d->again_at_us = 0;
	}
	return 0;
}

static void end(struct daemon *d)
{
	char err[512];

	if (d->signal && d->engine && !d->reload)
		daemon_shutdown(d, loop_now_us());
	daemon_later_all(d);
	if (d->rules_are_up && !d->reload && rules_down(err, sizeof(err)) < 0)
		log_error("withdrawing the rules: %s", err);
	daemon_steer_close(d);
	control_close(&d->control);
	nfqueue_close(d->queue);
	daemon_devices_close(d);
	netlink_close(&d->conntrack);
	routes_close(&d->routes);
	if (d->region)
		munmap(d->region, d->region_bytes);
	if (d->state_fd >= 0) {
		/* Without the rules nothing of what stands there stays true. */
		if (d->signal && !d->reload)
			unlink(d->cfg->state);
		close(d->state_fd);
	}
	if (d->monitor >= 0)
		close(d->monitor);
	if (d->nftables >= 0)
		close(d->nftables);
	if (d->signals >= 0)
		close(d->signals);
	loop_fini(&d->loop);
}

static uint64_t wait_us(const struct daemon *d, uint64_t now_us)
{
	uint64_t at_us = engine_deadline_us(d->engine), later_us = daemon_later_us(d);

	if (d->again_at_us < at_us)
		at_us = d->again_at_us;
	if (later_us < at_us)
		at_us = later_us;
	if (d->rules_look_at_us < at_us)
		at_us = d->rules_look_at_us;
	if (at_us == UINT64_MAX)
		return UINT64_MAX;
	return at_us > now_us ? at_us - now_us : 0;
}

static enum daemon_end run(struct daemon *d)
{
	while (!d->signal) {
		int error = loop_wait(&d->loop, wait_us(d, loop_now_us()));
		uint64_t now_us = loop_now_us();

		if (error) {
			log_error("waiting for events: %s", strerror(-error));
			return DAEMON_FAILED;
		}
		daemon_timeouts(d, now_us);
		daemon_later(d, now_us);
		if (d->again_at_us <= now_us)
			daemon_look_again(d);
		if (d->rules_look_at_us <= now_us)
			daemon_rules_look(d);
	}
	return d->reload ? DAEMON_RELOAD : DAEMON_ENDED;
}

static struct daemon *new (const struct config *cfg)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->cfg = cfg;
	d->state_fd = d->signals = d->monitor = d->nftables = d->loop.epoll = -1;
	d->again_at_us = d->rules_look_at_us = UINT64_MAX;
	for (unsigned i = 0; i < ENGINE_PATHS_MAX; i++)
		d->path_tun[i].fd = -1;
	for (unsigned i = 0; i < CONFIG_GUESTS_MAX; i++)
		d->guest_tun[i].fd = -1;
	d->outs.pkt = d->out;
	d->outs.cap_pkt = DAEMON_OUTS;
	d->outs.event = d->event;
	d->outs.cap_event = DAEMON_EVENTS;
	return d;
}

enum daemon_end daemon_run(const struct config *cfg, const char *file)
{
	struct daemon *d = new (cfg);
	char err[1024];
	enum daemon_end status = DAEMON_FAILED;

	if (!d) {
		log_error("out of memory");
		return DAEMON_FAILED;
	}
	d->file = file;
	if (start(d, err, sizeof(err)) < 0) {
		log_error("%s", err);
	} else {
		log_info("ready: %u paths, %u guests' interfaces, queue %u, at most %u connections "
			 "in %zu MB",
			 cfg->n_paths, cfg->n_guests, cfg->queue, cfg->max_connections,
			 d->region_bytes >> 20);
		notify_state("READY=1");
		status = run(d);
		notify_state(status == DAEMON_RELOAD ? "RELOADING=1" : "STOPPING=1");
		log_info(status == DAEMON_RELOAD ? "beginning anew with the file as it is now"
						 : "ending");
	}
	end(d);
	free(d);
	return status;
}
