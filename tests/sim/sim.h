/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim.h - the simulated world: hosts, links and a gate with the engine in it, under a virtual
 * clock.
 *
 * Theory of operation. A seed chooses a scenario (sim_scenario.c): what the hosts are like, what
 * the connections do, which faults there are. The world (sim_world.c) advances the clock from one
 * event to the next; ties go by a fixed order of the nodes, and each node has a random stream of
 * its own, so a seed is a run (I8). Packets are real bytes on every link. The gate (sim_gate.c) is
 * the engine with the host's datapath around it: hooks, marks, NAT, segmentation. At its four
 * edges stands the checker (sim_check*.c), which knows both streams, everything that both sides
 * really said, and the RFC; it sees all that the engine emits, before any link loses it.
 */
#ifndef MPGATE_SIM_H
#define MPGATE_SIM_H

#include "engine.h"
#include "sim_packet.h"
#include "sim_rng.h"
#include "sim_scenario.h"

#define NEVER UINT64_MAX

/* An uplink as it is; what the engine was told may lag behind. */
struct uplink {
	bool down;          /* in one direction at least */
	bool loses[2];      /* everything: [0] to the net, [1] from it */
	uint64_t down_us;   /* since when, or when it was last; 0: never */
	uint64_t told_us;   /* when the engine heard that it is down, last; 0: never */
	uint8_t generation; /* of its address */
};

struct flow;
struct gate;
struct link;
struct box;

/* The file names of captures and what the hash of a run covers: packets by place. */
enum place { PLACE_GUEST, PLACE_GATE_GUEST, PLACE_GATE_NET, PLACE_PEER };

struct sim {
	struct scenario sc;
	uint64_t now_us;
	uint64_t hash;            /* of every packet at every place */
	uint64_t events, done_us; /* done: both applications of every connection have it all */
	struct gate *gate[2];     /* [1]: at the other end, if there is one */
	struct flow *flow;        /* sc.n_flows of them, as the first gate has them */
	struct flow *mirror;      /* ... and as the second does, or null */
	struct flow_script mirror_script[SIM_FLOWS_MAX];
	/* By uplink: those of the first gate, from SIM_PATHS_MAX on those of the second. */
	struct box *box[SIM_UPLINKS_MAX];
	struct link *link[SIM_UPLINKS_MAX][2]; /* [0] to the net, [1] from it */
	struct uplink uplink[SIM_UPLINKS_MAX];
	struct link *all[2 * SIM_UPLINKS_MAX + 4]; /* the guests' too */
	unsigned n_links;
	unsigned n_events;                 /* of the script, that have happened */
	uint64_t tell_us[PATH_EVENTS_MAX]; /* those of which the engine is still to hear */
	struct capture *capture;
	const char *pcap_dir;
	bool verbose, ideal;    /* ideal: without the engine, plain TCP end to end */
	unsigned audit_every;   /* so many calls of the engine; 1: after each */
	uint8_t garbage;        /* what fresh memory holds: must make no difference */
	bool failed, hosts_off; /* off: only the gate is left, to clean up */
	char failure[512];
};

/* A violation: the first one is kept, the run stops. */
void sim_fail(struct sim *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_log_line(struct sim *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Its arguments are not even made when nobody reads them. */
#define sim_log(w, ...)                               \
	do {                                          \
		if ((w)->verbose)                     \
			sim_log_line(w, __VA_ARGS__); \
	} while (0)

/* Packets passing a place: traced, hashed, captured. `link`: 0 guests, 1 + path. */
void sim_trace(struct sim *w, enum place at, unsigned link, bool to_net, const struct pkt *p);

/* sim_paths.c: uplinks that go, come and move. */
void paths_init(struct sim *w);
uint64_t paths_next_us(const struct sim *w);
void paths_run(struct sim *w);

/* sim_nodes.c: hosts, gates and links. */
void nodes_init(struct sim *w);
void nodes_fini(struct sim *w);

/* Runs the scenario; true when nothing was violated. */
bool sim_run(struct sim *w);

/* The two streams of every connection: byte `off` of stream `key`. */
void stream_fill(uint64_t key, uint64_t off, uint8_t *buf, uint32_t n);
bool stream_equal(uint64_t key, uint64_t off, const uint8_t *buf, uint32_t n);

#endif
