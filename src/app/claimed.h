/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * claimed.h - which packets the daemon would be shown, without a kernel: the table of the program
 * at the interfaces' ingress (src/bpf) and the rules (rules_chains.c) in plain C, for replay and
 * for the simulated world.
 */
#ifndef MPGATE_APP_CLAIMED_H
#define MPGATE_APP_CLAIMED_H

#include "engine.h"
#include "steer_table.h"

/* How a claim stands in the table; 0: not at all. For the daemon too. */
unsigned claimed_state(enum engine_claim_kind kind);

/* How the tuple r->ask is to stand there after this verdict, if it does; 0: as it is. */
unsigned claimed_orphaned(const struct engine_result *r);

struct claimed;

/* Null without memory. */
struct claimed *claimed_new(void);
void claimed_del(struct claimed *c);

/* Everything that engine_claims() has to say; to be called when it is to be. */
void claimed_fetch(struct claimed *c, struct engine *e);

/* After a packet's verdict: if it was taken for claimed and is nobody's, its tuple lingers. */
void claimed_orphan(struct claimed *c, const struct engine_result *r);

/* How the tuple (sender first) stands there: enum steer_state, 0: not at all. */
unsigned claimed_find(const struct claimed *c, const struct flow_tuple *tuple);

/* How many stand there, but for STEER_IS_FORGOTTEN. */
unsigned claimed_count(const struct claimed *c);

/* What decides about a segment. */
struct claimed_segment {
	struct flow_tuple tuple; /* as it came in, sender first */
	enum steer_side side;
	uint8_t flags;       /* of TCP */
	bool options, mptcp; /* there are any; one of kind 30 */
};

/*
 * The mark of the program at ingress. A SYN ends what lingers of its tuple.
 */
uint32_t claimed_ingress(struct claimed *c, const struct claimed_segment *s);

/* The mark of "packet too big" from the net about what was sent with this tuple. */
uint32_t claimed_too_big(const struct claimed *c, const struct flow_tuple *sent);

/* Raw PREROUTING queues what bears this mark (ENGINE_STEAL); false: it goes on. */
bool claimed_stolen(uint32_t mark, bool tcp, bool mptcp);

/* Security FORWARD queues it (ENGINE_IN_PLACE): handshakes between a guest and a path. */
bool claimed_forwarded(const struct claimed_segment *s);

#endif
