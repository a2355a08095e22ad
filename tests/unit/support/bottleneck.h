/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bottleneck.h - links with a rate, a delay, a drop-tail queue and random loss, and senders that
 * drive congestion controllers over them as the interface says, all in virtual time. Packets carry
 * no bytes: what is lost is sent again later in another packet, so what is delivered is goodput.
 *
 * A sender is greedy (or has a backlog that the test fills), detects loss as RACK does where
 * nothing is reordered (a later packet was acknowledged), probes a silent tail once, then times
 * out. In recovery it sends what the window leaves free.
 */
#ifndef MPGATE_TESTS_BOTTLENECK_H
#define MPGATE_TESTS_BOTTLENECK_H

#include "engine/congestion.h"

#define BN_LINKS_MAX 4
#define BN_FLOWS_MAX 16
#define BN_RING 32768U /* packets of a flow in flight, a power of two */
#define BN_HEADER_BYTES 52
#define BN_ENDLESS UINT64_MAX

struct bn_link {
	uint64_t rate_bytes_per_s;
	uint32_t delay_us; /* one way */
	uint32_t queue_bytes;
	uint32_t loss_ppm;
	uint32_t jitter_us; /* of ACKs, without reordering */
	bool down;          /* swallows everything */
	uint64_t busy_until_ns;
	uint64_t passed_bytes, dropped, lost; /* wire bytes, packets */
};

struct bn_packet {
	uint64_t sent_us;
	uint64_t ack_at_us; /* 0: never arrives */
	uint64_t delivered_bytes, delivered_at_us, first_sent_us;
	bool app_limited;
	uint32_t piece; /* of the stream, when the flow carries one */
};

struct bn_stream;

struct bn_flow {
	const struct cc_ops *ops;
	struct cc cc;
	unsigned conn, link;
	unsigned group; /* coupled with the flows of the same group; bn_flow() sets conn */
	uint32_t mss_bytes;
	uint32_t ack_segments, ack_wait_us; /* an ACK for so many segments, or after so long */
	uint64_t start_us;
	uint64_t backlog_bytes;
	struct bn_stream *stream; /* scheduled data instead of a backlog of its own */
	bool established;
	uint32_t srtt_us, rttvar_us;
	uint32_t head, scan, tail; /* of the ring; scan: first packet that will be acknowledged */
	uint64_t next_send_us, timer_us, last_ack_at_us, last_send_us;
	unsigned backoff;
	uint32_t recovery_end; /* a packet's number; recovery until it is acknowledged */
	bool in_recovery, probed;
	uint64_t delivered_bytes, delivered_at_us, first_sent_us;
	uint64_t app_limited_until_bytes;
	/* results */
	uint64_t lost_packets, sent_packets, losses, timeouts;
	struct bn_packet ring[BN_RING];
};

struct bottleneck {
	uint64_t now_us, random;
	unsigned n_links, n_flows;
	struct bn_link link[BN_LINKS_MAX];
	struct bn_flow *flow[BN_FLOWS_MAX];
};

struct bottleneck *bn_new(uint64_t seed);
void bn_free(struct bottleneck *b);

/* The queue holds so many milliseconds at the link's rate. Returns the link's number. */
unsigned bn_link(struct bottleneck *b, unsigned mbit, uint32_t rtt_ms, uint32_t queue_ms,
		 uint32_t loss_ppm);

/* A greedy flow, a subflow of connection `conn`. */
struct bn_flow *bn_flow(struct bottleneck *b, unsigned conn, unsigned link, const char *name,
			uint64_t start_us);

void bn_run(struct bottleneck *b, uint64_t until_us);

/* For streams: what the window and pacing leave room for now, in packets; sends one of them. */
unsigned bn_room(const struct bottleneck *b, const struct bn_flow *f);
void bn_send(struct bottleneck *b, struct bn_flow *f, uint32_t piece);
void bn_pace(struct bottleneck *b, struct bn_flow *f, uint32_t sent_bytes);

/* Most payload that a link carries in so many microseconds. */
uint64_t bn_capacity(const struct bottleneck *b, unsigned link, uint64_t us);

#endif
