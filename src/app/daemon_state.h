/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon_state.h - what the parts of the daemon share: daemon.c (start, end), daemon_packets.c
 * (packets and events), daemon_host.c (interfaces, devices and what changes about them),
 * daemon_steer.c (which packets are the engine's), daemon_conntrack.c (the host's tracking),
 * daemon_rules.c (rules that others remove), daemon_later.c (what can wait), daemon_reload.c (what
 * a reload may change).
 */
#ifndef MPGATE_APP_DAEMON_STATE_H
#define MPGATE_APP_DAEMON_STATE_H

#include "app/control.h"
#include "app/host.h"
#include "app/routes.h"
#include "io/ctnl.h"
#include "io/loop.h"
#include "io/nfqueue.h"
#include "io/steer.h"
#include "io/tun.h"

#define DAEMON_OUTS 256
#define DAEMON_EVENTS 256
#define DAEMON_RANDOM_WORDS 512
#define DAEMON_TELLINGS 64
#define DAEMON_UNTOLD 20

enum daemon_counter {
	DAEMON_TRUNCATED,
	DAEMON_STRANGE_INTERFACE,
	DAEMON_EMIT_FAILED,
	DAEMON_VERDICT_FAILED,
	DAEMON_CONNTRACK_FAILED,
	DAEMON_CLAIM_FAILED,
	DAEMON_EVENTS_UNTOLD,
	DAEMON_RULES_RESTORED,
	DAEMON_COUNTERS
};

/* What conntrack is to be told of a connection. */
struct daemon_telling {
	struct flow_tuple guest; /* itself first */
	uint64_t at_us;          /* not before */
	bool over;               /* else: it is converted */
};

struct daemon {
	const struct config *cfg;
	const char *file; /* of the configuration, or null */
	struct host host;
	struct engine_cfg engine_cfg;
	struct engine *engine;
	void *region;
	size_t region_bytes;
	int state_fd; /* -1: the region is anonymous */

	struct loop loop;
	struct nfqueue *queue;
	struct netlink conntrack;
	bool tracks; /* it has known a connection of ours */
	unsigned n_telling;
	struct daemon_telling telling[DAEMON_TELLINGS];
	struct steer *steer;
	struct engine_claim claim[ENGINE_CLAIMS_MAX];
	struct control control;
	struct control_extra counter[DAEMON_COUNTERS];
	int signals, monitor;
	int nftables; /* tells of rules that others remove; -1: not watched */
	int signal;   /* that ends us, 0: none yet */
	bool reload;  /* it is SIGHUP: another process takes over */
	bool rules_are_up;
	struct routes routes;
	struct host_touched touched; /* by what the kernel told and was not yet acted upon */
	uint64_t again_at_us;        /* when to try again what failed; UINT64_MAX: nothing */
	uint64_t rules_look_at_us;   /* whether ours are still there; UINT64_MAX: no cause */
	uint64_t rules_looked_us;

	struct tun path_tun[ENGINE_PATHS_MAX];
	struct tun guest_tun[CONFIG_GUESTS_MAX];
	unsigned guest_index[CONFIG_GUESTS_MAX]; /* the interface that guest_tun leads to */
	bool path_routed[ENGINE_PATHS_MAX];      /* the kernel forwards what leaves there */
	bool guests_routed;
	bool rules_routed;                  /* the rules are there that the routed road needs */
	bool routed_told;                   /* that BPF is not to be had */
	bool routes_told[ENGINE_PATHS_MAX]; /* that they could not be installed */

	struct engine_random random;
	uint64_t random_pool[DAEMON_RANDOM_WORDS];
	unsigned n_random;
	struct engine_outs outs;
	struct engine_out out[DAEMON_OUTS];
	struct engine_event event[DAEMON_EVENTS];
	struct nfqueue_packet packet[NFQUEUE_BATCH];
	uint64_t later_at_us; /* when what can wait has its turn; UINT64_MAX: nothing waits */
	struct engine_event untold[DAEMON_UNTOLD];
	unsigned n_untold;
	uint64_t tell_second; /* of the clock, and lines told in it */
	unsigned told;
	bool emit_told, claim_told, withdrawn_told;
};

/* Everything the queue has at this moment, and what follows from it. `data` is the daemon. */
void daemon_on_queue(void *data);

/* What the engine has claimed or released, told to the kernel. */
void daemon_claims(struct daemon *d);

/*
 * The connection on the wire towards the net, the gate's side first; where nothing is translated,
 * as the guest names it (`guest`: itself first). 0 or -errno.
 */
int daemon_conntrack_ask(struct daemon *d, const struct flow_tuple *guest, struct flow_tuple *net);

/* Notes what conntrack is to be told of the claim. */
void daemon_conntrack_claim(struct daemon *d, const struct engine_claim *claim);

/* Tells what was due then, a few at a time; until_us UINT64_MAX: whatever there is. */
void daemon_conntrack_tell(struct daemon *d, uint64_t until_us);

/* When something is to be told; UINT64_MAX: nothing. */
uint64_t daemon_conntrack_due_us(const struct daemon *d);

/* Random numbers for a call of the engine. */
void daemon_random(struct daemon *d);

/* Notes the outputs' events for the log. */
void daemon_events(struct daemon *d, uint64_t now_us);

/* Does what waits and is due; all of it; when it is due (UINT64_MAX: never). */
void daemon_later(struct daemon *d, uint64_t now_us);
void daemon_later_all(struct daemon *d);
uint64_t daemon_later_us(const struct daemon *d);

/* After a verdict: what was taken for claimed and is nobody's (any more) lingers in the table. */
void daemon_orphan(struct daemon *d, enum engine_side from, const struct engine_result *r);

/* The programs at the interfaces' ingress. 0, or -1 with a message in `err`. */
int daemon_steer_open(struct daemon *d, char *err, unsigned err_bytes);
void daemon_steer_close(struct daemon *d);

/* An interface is there, maybe anew (index 0: it is not). 0 or -errno, which the log tells. */
int daemon_steer_attach(struct daemon *d, const char *interface, unsigned index,
			enum steer_side side);

/* The same of the ports of such interfaces: of one link, of all there are. */
void daemon_steer_link(struct daemon *d, const struct rtnl_change *change);
void daemon_steer_ports(struct daemon *d);

/* A regular end: resets what cannot go on without us. */
void daemon_shutdown(struct daemon *d, uint64_t now_us);

/* What is due in the engine. */
void daemon_timeouts(struct daemon *d, uint64_t now_us);

/* TUN devices and where they lead. 0, or -1 with a message in `err`. */
int daemon_devices_open(struct daemon *d, char *err, unsigned err_bytes);
void daemon_devices_close(struct daemon *d);

/* The kernel has told changes: tells the engine, mends devices, routes and rules. */
void daemon_on_monitor(void *data);

/* From here on it is heard when others remove our rules; what is due then (rules_look_at_us). */
void daemon_rules_watch(struct daemon *d);
void daemon_rules_look(struct daemon *d);

/* Whether a process with the file as it is now can take over from this one; the log says why not.
 */
bool daemon_reloadable(const struct daemon *d);

/* What failed is tried again. */
void daemon_look_again(struct daemon *d);

#endif
