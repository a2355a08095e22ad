/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scheduler.h - which subflow carries the next data, behind one small interface: lowest-rtt, blest
 * (avoids head-of-line blocking on unequal paths), redundant, round-robin; backup and price.
 */
#ifndef MPGATE_ENGINE_SCHEDULER_H
#define MPGATE_ENGINE_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_SUBFLOWS_MAX 8

/* One subflow as the scheduler sees it. */
struct sched_subflow {
	bool usable;     /* established, not stale, its path up */
	bool unused;     /* nothing has gone there yet */
	bool slow_start; /* its window doubles each RTT: congestion_slow_start() */
	bool backup;     /* RFC 8684 section 3.3.8: only when no other is usable */
	uint32_t srtt_us, rttvar_us;
	uint32_t min_rtt_us; /* without a queue; 0: not known, srtt_us */
	uint32_t expect_us;  /* when a byte sent now would be acknowledged; 0: not known, srtt_us */
	uint32_t cwnd_bytes, in_flight_bytes;
	uint64_t carried_bytes; /* delivered so far */
	uint32_t held_bytes;    /* of the room between them, what pacing does not let out yet */
	uint32_t mss_bytes;
	uint32_t price_milli; /* price per byte relative to others, 1000 = 1.0 */
};

struct sched_input {
	unsigned n;
	struct sched_subflow s[SCHED_SUBFLOWS_MAX];
	uint64_t unsent_bytes; /* waiting to be sent for the first time, this piece included */
	/*
	 * Data-level window left: the peer's edge minus what was sent, or what the sender itself
	 * may still keep, if that is less: either stops the fast paths behind a slow piece.
	 */
	uint32_t window_bytes;
	/*
	 * That is what the guest's own congestion window lets it send now, not what the peer
	 * grants: it grows with every acknowledgement.
	 */
	bool window_grows;
	int last; /* subflow of the previous piece, -1: none */
	/*
	 * unsent_bytes is all there is: the guest sent FIN, or it could send more within its
	 * window and does not. Then no slow path is used where waiting for a fast one is sooner.
	 */
	bool tail;
};

/* State that a scheduler keeps for the connection (plain memory). */
struct sched {
	uint64_t word[4];
};

struct sched_pick {
	int subflow;       /* -1: none now (wait for an acknowledgement) */
	uint32_t bytes;    /* at most that much, at least one segment unless less is left */
	uint8_t also_mask; /* bit i: send the same data on subflow i as well (redundant) */
};

struct sched_ops {
	const char *name; /* "lowest-rtt", "blest", "redundant", "round-robin" */
	struct sched_pick (*pick)(struct sched *sc, const struct sched_input *in);
};

const struct sched_ops *scheduler_find(const char *name);
const struct sched_ops *scheduler_at(unsigned i);

#endif
