/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * many.h - the whole engine over several links in virtual time: a guest that sends, the links
 * with rate, delay, drop-tail queue, loss and death, and a peer that receives on all subflows,
 * checks every byte and every mapping, and acknowledges as Linux does (every second segment, one
 * SACK block beside the DATA_ACK, 40 ms at most). The guest's congestion window only grows: it
 * never sees a loss.
 */
#ifndef MPGATE_TESTS_MANY_H
#define MPGATE_TESTS_MANY_H

#include "world.h"

#define MANY_LINKS_MAX 4
#define MANY_EVENTS_MAX 8
#define MANY_RANGES_MAX 512

struct many_link {
	unsigned mbit, rtt_ms, queue_ms, loss_ppm; /* of what goes to the net; ACKs are not lost */
};

/* At that time the link swallows everything (both ways), or carries again. */
struct many_event {
	uint64_t at_us;
	unsigned link;
	bool down;
	bool told; /* the engine hears of it: administratively down */
};

struct many_setup {
	const char *congestion, *scheduler;
	unsigned n_links;
	struct many_link link[MANY_LINKS_MAX];
	struct many_event event[MANY_EVENTS_MAX];
	unsigned n_events;
	uint64_t bytes;
	uint64_t after_bytes; /* when to promote */
	uint64_t until_us;
	uint32_t window_bytes;     /* the peer's */
	uint32_t guest_window_max; /* the guest's congestion window ends there; 0: nowhere */
	uint32_t guest_ssthresh; /* from there on 5 % each round trip, as CUBIC of Linux; 0: nowhere
				  */
	uint32_t memory_mb;
	bool checksum, no_timestamps;
	uint64_t forget_at; /* the peer once throws away what it took on a subflow, from here on */
	uint32_t forget_bytes;
};

struct many_result {
	uint64_t us;       /* until all was received in order; until_us when it was not */
	uint64_t received; /* in order */
	uint64_t longest_gap_us, gap_at_us; /* without any progress */
	uint64_t carried[MANY_LINKS_MAX];   /* payload that arrived at the peer, twice or not */
	uint64_t last_us[MANY_LINKS_MAX];   /* when the link carried payload last */
	uint64_t first_after_us[MANY_LINKS_MAX]; /* ... first after its last event */
	uint64_t duplicates;                     /* bytes that arrived twice */
	uint64_t guest_retransmits, retransmits;
	uint32_t most_chunks; /* of kept payload, the engine's peak */
	unsigned violations;  /* bytes, mappings or windows that were not right */
	uint32_t left_chunks, left_txsegs, left_spans;
};

struct many_result many_run(const struct many_setup *setup);

/* Payload per second that the links carry together, in bytes. */
uint64_t many_capacity(const struct many_setup *setup, unsigned mask);

#endif
