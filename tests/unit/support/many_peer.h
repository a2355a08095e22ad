/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * many_peer.h - the world of many.c and its peer.
 */
#ifndef MPGATE_TESTS_MANY_PEER_H
#define MPGATE_TESTS_MANY_PEER_H

#include "many.h"

struct many_packet {
	struct many_packet *next;
	uint64_t at_us;
	uint32_t len;
	uint8_t data[];
};

struct many_queue {
	struct many_packet *head, *tail;
};

struct many_range {
	uint64_t start, end;
};

struct many_ranges {
	unsigned n;
	struct many_range r[MANY_RANGES_MAX]; /* ascending, apart */
};

/* Came early on its subflow: reaches the data level in the subflow's order, as in Linux. */
struct many_early {
	struct many_early *next;
	uint64_t start, end, dsn;
};

struct many_sub {
	struct many_early *waiting;
	bool used, ready;
	struct flow_tuple tuple; /* peer first */
	uint32_t irs, iss, nonce_local;
	uint64_t rcv_nxt; /* relative to irs */
	struct many_ranges early;
	uint64_t newest;   /* start of the range that grew last; 0: none */
	uint64_t twice[2]; /* to be told as DSACK; 0: none */
	unsigned unacked;
	uint64_t ack_at_us;
	uint32_t ts_recent;
	bool timestamps;
};

struct many_peer {
	struct many_sub sub[MANY_LINKS_MAX];
	uint64_t data_una; /* relative to the IDSN: 1 is the first byte */
	struct many_ranges early;
	uint64_t told_edge;
	bool forgot;
};

struct many {
	const struct many_setup *setup;
	struct world w;
	uint64_t now_us, start_us, random, progress_us;
	uint64_t busy_ns[MANY_LINKS_MAX];
	bool down[MANY_LINKS_MAX];
	unsigned n_event;
	struct many_queue to_peer[MANY_LINKS_MAX], from_peer[MANY_LINKS_MAX], to_guest, from_guest;
	uint32_t guest_una, guest_nxt, guest_max, guest_cwnd, guest_edge, ts_recent;
	uint32_t sacked_end, repaired; /* the guest's recovery; 0: it saw no SACK block yet */
	uint64_t guest_rto_us;
	struct many_peer peer;
	struct many_result r;
};

void many_queue_add(struct many_queue *q, struct many_packet *p);
uint32_t many_random(struct many *m);

/* Byte n of the stream. */
static inline uint8_t many_byte(uint64_t n)
{
	return (uint8_t)(n * 7 + (n >> 8) * 13 + (n >> 16));
}

void many_peer_init(struct many *m);
void many_peer_fini(struct many *m);
void many_peer_receive(struct many *m, unsigned link, struct many_packet *p); /* frees p */
uint64_t many_peer_next_us(const struct many *m);
void many_peer_run(struct many *m);

#endif
