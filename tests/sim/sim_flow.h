/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_flow.h - one connection from end to end: the guest, the peer, and what the checker knows.
 */
#ifndef MPGATE_SIM_FLOW_H
#define MPGATE_SIM_FLOW_H

#include "sim_app.h"
#include "sim_check.h"
#include "sim_lwip.h"
#include "sim_peer.h"
#include "sim_tcp.h"

struct guest {
	struct tcp t;
	struct app app;
	bool started;
	unsigned syns;
	/* where the guest is lwIP: how far its stack took from the application, and gave it */
	struct lwip_conn lwip;
	uint64_t pushed_bytes, freed_bytes;
};

struct flow {
	struct sim *w;
	unsigned index;
	struct gate *gate; /* that of the guest */
	struct flow *far;  /* the same connection at the other gate, if there is one */
	bool passive;      /* the guest is asked, it does not ask */
	const struct flow_script *script;
	struct flow_tuple tuple;            /* guest first, as the guest names it */
	uint64_t key_to_peer, key_to_guest; /* streams */
	struct guest guest;
	struct peer peer;
	struct check check;
	uint64_t end_us; /* both ends finished */
	/* Its only path went before it could have another, or its tuple was never free. */
	bool excused;
};

/* What the far end of a guest's connection really did: bytes of the two streams. */
struct far {
	uint64_t sent;     /* to the guest */
	uint64_t received; /* in order, the end of the data counted */
	uint64_t granted;  /* edge of its window */
	bool closed;       /* no more will be written */
};
struct far flow_far(const struct flow *f);

/* The flow that a packet with this tuple (guest first) means: the latest one begun. */
struct flow *flow_find(struct gate *g, const struct flow_tuple *t);

void guest_init(struct flow *f);
void guest_fini(struct flow *f);
void guest_receive(struct gate *g, struct pkt *p); /* frees p */
uint64_t guest_next_us(const struct flow *f);
void guest_run(struct flow *f);
bool guest_over(const struct flow *f);
bool guest_holds(const struct flow *f); /* its socket: nobody else can have the tuple */

#endif
