/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_link.h - one direction of a link: rate, delay, queue, and everything that goes wrong on it.
 */
#ifndef MPGATE_SIM_LINK_H
#define MPGATE_SIM_LINK_H

#include "sim.h"

struct link {
	struct sim *w;
	struct gate *gate; /* at one of its ends */
	const struct link_script *script;
	unsigned index;      /* 0: the guests' link, 1 + path */
	bool to_net, guests; /* guests: between them and their gate */
	enum place near, far;
	struct rng rng;
	struct pkt *head, *tail; /* on the way, by time of arrival */
	uint64_t busy_until_us, n_packets, put_us;
	struct box *box;  /* at the near end; null: none */
	struct pkt *held; /* by the box, to be joined with the next */
	uint64_t held_until_us;
	void (*deliver)(struct link *l, struct pkt *p);
	uint64_t sent_bytes;
};

void link_init(struct link *l, struct sim *w, unsigned index, bool to_net,
	       const struct link_script *script);
void link_fini(struct link *l);

/* Takes the packet over. */
void link_send(struct link *l, struct pkt *p);

/* Behind the middlebox: one packet onto the wire. For sim_box.c. */
void link_put(struct link *l, struct pkt *p);

uint64_t link_next_us(const struct link *l);
void link_run(struct link *l);

/* sim_box.c: the middleboxes of a path. */
struct box *box_new(struct sim *w, const struct box_script *script);
void box_free(struct box *b);
void box_flush(struct link *l);
uint64_t box_altered(const struct box *b);                   /* packets */
void box_pass(struct box *b, struct link *l, struct pkt *p); /* link_put()s what comes out */

/* A super-segment becomes segments, as the kernel or the network card cuts it. */
struct pkt *pkt_cut(struct pkt *p); /* list by `next`; takes p over */

#endif
