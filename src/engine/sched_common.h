/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched_common.h - what the schedulers share: who may carry data at all (usable, backup, price,
 * room in the window), how large a piece is, and whether it is better to wait for a faster path.
 */
#ifndef MPGATE_ENGINE_SCHED_COMMON_H
#define MPGATE_ENGINE_SCHED_COMMON_H

#include "engine/scheduler.h"

#define SCHED_PIECE_MAX 65535U /* a mapping's length field */

/* RTT as compared: a path never measured comes last. */
uint32_t sched_srtt_us(const struct sched_subflow *s);

/* When a byte sent now is acknowledged, as far as known. */
uint32_t sched_expect_us(const struct sched_subflow *s);

/* Does what is sent on a now arrive clearly before what is sent on b? */
bool sched_faster(const struct sched_subflow *a, const struct sched_subflow *b);

/* What fits into the subflow's window; 0 when it is less than a worthwhile piece. */
uint32_t sched_room_bytes(const struct sched_input *in, unsigned i);

/*
 * Bit i: subflow i may carry data: usable, no backup while there is another, and not dearer than
 * the backlog justifies. Room is not asked here. `priced` false: whatever the price.
 */
uint8_t sched_candidates(const struct sched_input *in, bool priced);

/* Of `set`, the one with the lowest RTT that has room; -1 when none has. */
int sched_fastest(const struct sched_input *in, uint8_t set);

/* A piece for subflow i (-1: none), whole segments unless it is the rest of the data. */
struct sched_pick sched_piece(const struct sched_input *in, int i);

/*
 * What subflow s sends in so many RTTs (8 fraction bits) from a full window: each RTT a window and
 * what it grows by, a segment; in slow start twice the window, and twice that.
 */
uint64_t sched_could_send(const struct sched_subflow *s, uint64_t rtts_q8);

/*
 * The end of a transfer: would the subflows of `set` that are faster than `i` carry all the rest
 * sooner than a piece sent on `i` arrives?
 */
bool sched_tail_waits(const struct sched_input *in, uint8_t set, unsigned i);

extern const struct sched_ops sched_lowest_rtt, sched_blest, sched_redundant, sched_round_robin;

#endif
