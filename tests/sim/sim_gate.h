/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_gate.h - the gate's host: the engine, and around it the datapath as the real one behaves:
 * the table of claimed tuples, hooks, NAT, segmentation on the way out.
 */
#ifndef MPGATE_SIM_GATE_H
#define MPGATE_SIM_GATE_H

#include "sim.h"

/* What the kernel's connection tracking knows. */
struct conntrack {
	bool known;
	unsigned path;
	struct flow_tuple net; /* gate first: on the wire towards the net */
};

struct gate {
	struct sim *w;
	unsigned index, n_paths;
	struct flow *flow;          /* sc.n_flows of them, the guest here first */
	struct link *guest_link[2]; /* [0] to the gate, [1] to the guest */
	struct engine *e;
	void *region;
	size_t region_bytes;
	struct engine_cfg cfg;
	struct engine_random random;
	struct rng rng, late_rng;
	struct engine_out *pkt;
	struct engine_event event[64];
	struct engine_outs outs;
	uint64_t n_calls, late_us;    /* how late it will wake up next */
	uint64_t idle_calls, idle_us; /* timers that came to nothing since: in a row */
	unsigned n_idle;
	struct conntrack ct[SIM_FLOWS_MAX]; /* by flow */
	struct claimed *claimed;            /* the kernel's table; it outlives the process */
	uint64_t adopt_us[3];               /* still to come, ascending */
	bool usable[ENGINE_PATHS_MAX];      /* as the engine was told */
	bool dead;                          /* between one process and the next */
	uint64_t dead_until_us;
};

void gate_init(struct gate *g, struct sim *w, unsigned index, struct flow *flow);
void gate_fini(struct gate *g);
void gate_from_guest(struct gate *g, struct pkt *p);
void gate_from_net(struct gate *g, unsigned path, struct pkt *p);
uint64_t gate_next_us(const struct gate *g);
void gate_run(struct gate *g);

/* The engine's process is replaced by one that adopts its region (I9). */
void gate_adopt(struct gate *g);

/* The kernel's messages say how the path is now. */
void gate_path_told(struct gate *g, unsigned path);

/* At the end nothing may be left. */
void gate_check_empty(struct gate *g);

/* A tuple (gate first) of a subflow that the gate may have opened itself. */
bool gate_owns(const struct gate *g, const struct flow_tuple *gate_first);

/* The address that the host has there now. */
struct ip_addr gate_path_addr(const struct gate *g, unsigned path);

/* Index of a path of the gate's among all uplinks of the world; and the link out of it. */
unsigned gate_uplink(const struct gate *g, unsigned path);
struct link *gate_link(const struct gate *g, unsigned path);

/* Between sim_gate.c and sim_gate_net.c. `gate_first`: a tuple on the wire, the gate's side first.
 */
struct engine_tick gate_tick(struct gate *g);
void gate_take_outs(struct gate *g);
/* Of a packet that comes in, what the host's rules look at; true when it can be looked at. */
struct claimed_segment;
bool gate_look(struct claimed_segment *x, const struct pkt *p, enum engine_side from);
/* A visit of the engine, of a packet met so. */
struct visit {
	struct flow *f;      /* whose it is; null: nobody's */
	struct check_sub *b; /* the subflow that it came on, null from a guest */
	enum engine_side from;
	enum engine_hook hook;
	unsigned path;
	uint32_t mark; /* that the program at ingress gave it */
};
bool gate_visit(struct gate *g, const struct visit *v, struct pkt **p); /* true: it goes on */
void gate_claims(struct gate *g);
void gate_translate(struct pkt *p, const struct flow_tuple *t);
struct flow *gate_flow_of_net(struct gate *g, const struct flow_tuple *gate_first);
void gate_forward_to_guest(struct gate *g, struct flow *f, struct pkt *p);
bool gate_is_here(const struct gate *g, unsigned path, const struct flow_tuple *gate_first);

#endif
