/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.h - one stream of data over several model senders, placed by a scheduler: what a
 * connection does, without its bytes. The peer's window and the sender's own bound hold it back;
 * a lost piece is sent again on its own flow.
 */
#ifndef MPGATE_TESTS_STREAM_H
#define MPGATE_TESTS_STREAM_H

#include "bottleneck.h"
#include "engine/scheduler.h"

#define STREAM_LOST_MAX 65536U /* of a flow, a power of two */

struct bn_stream {
	const struct sched_ops *ops;
	struct sched sched;
	unsigned n;
	int last;
	struct bn_flow *flow[SCHED_SUBFLOWS_MAX];
	uint32_t price_milli[SCHED_SUBFLOWS_MAX];
	bool backup[SCHED_SUBFLOWS_MAX];
	uint32_t pieces;        /* in all, of a segment each */
	uint32_t next;          /* never sent yet */
	uint32_t una;           /* all below are acknowledged */
	uint32_t window_pieces; /* the peer's, from una */
	uint32_t hold;          /* what is kept: so many times the rates times the longest RTT */
	uint8_t *acked;
	uint64_t carried[SCHED_SUBFLOWS_MAX], repaired;
	uint32_t lost_head[SCHED_SUBFLOWS_MAX], lost_tail[SCHED_SUBFLOWS_MAX];
	uint32_t lost[SCHED_SUBFLOWS_MAX][STREAM_LOST_MAX];
};

/* `bytes` over the flows of `b` (all of them), to a peer with such a window. */
struct bn_stream *stream_new(struct bottleneck *b, const char *scheduler, uint64_t bytes,
			     uint32_t window_bytes);
void stream_free(struct bn_stream *s);

/* Runs until all is acknowledged, at most so long; how long it took from the start of `b`. */
uint64_t stream_run(struct bottleneck *b, struct bn_stream *s, uint64_t most_us);

/* Called by the senders. */
void stream_send(struct bottleneck *b, struct bn_stream *s);
void stream_acked(struct bn_stream *s, uint32_t piece);
void stream_lost(struct bn_stream *s, const struct bn_flow *f, uint32_t piece);
bool stream_pending(const struct bn_stream *s);

#endif
