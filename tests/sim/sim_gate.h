/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_gate.h - the gate's host: the engine, and around it the datapath as the real one behaves:
 * hooks, connection marks, NAT, segmentation on the way out.
 */
#ifndef MPGATE_SIM_GATE_H
#define MPGATE_SIM_GATE_H

#include "sim.h"

/* What the kernel knows of a connection. */
struct conntrack {
	bool known;
	uint8_t mark; /* enum engine_mark */
	unsigned path;
	struct flow_tuple net; /* gate first: on the wire towards the net */
};

struct gate {
	struct sim *w;
	struct engine *e;
	void *region;
	size_t region_bytes;
	struct engine_cfg cfg;
	struct engine_random random;
	struct rng rng;
	struct engine_out *pkt;
	struct engine_event event[64];
	struct engine_outs outs;
	struct conntrack ct[SIM_FLOWS_MAX]; /* by flow */
	uint64_t adopt_us[3];               /* still to come, ascending */
	bool dead;                          /* between one process and the next */
	uint64_t dead_until_us;
};

void gate_init(struct gate *g, struct sim *w);
void gate_fini(struct gate *g);
void gate_from_guest(struct gate *g, struct pkt *p);
void gate_from_net(struct gate *g, unsigned path, struct pkt *p);
uint64_t gate_next_us(const struct gate *g);
void gate_run(struct gate *g);

/* The engine's process is replaced by one that adopts its region (I9). */
void gate_adopt(struct gate *g);

/* At the end nothing may be left. */
void gate_check_empty(struct gate *g);

struct ip_addr gate_path_addr(const struct sim *w, unsigned path);

#endif
