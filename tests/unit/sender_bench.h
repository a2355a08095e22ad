/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sender_bench.h - two subflows, a guest that writes and a peer that acknowledges on the joined
 * one, segment by segment. Numbers are relative: 101 is the guest's first byte here, 1 the joined
 * subflow's.
 */
#ifndef MPGATE_TESTS_SENDER_BENCH_H
#define MPGATE_TESTS_SENDER_BENCH_H

#include "base/seq.h"
#include "joins.h"
#include "unit.h"

#define MS 1000ull
#define RTT_MS 20ull
#define SENT_MAX 64

struct sent {
	unsigned sub; /* 0 initial, 1 joined */
	uint32_t ssn, seq, bytes, tsval;
	uint16_t gso_bytes;
};

struct bench {
	struct world w;
	struct join j;
	uint32_t seq; /* the guest's next */
	struct sent s[SENT_MAX];
	unsigned n;
	uint64_t last_us; /* world_pass() until something was sent */
};

static inline void look(struct bench *b)
{
	b->n = 0;
	for (unsigned i = 0; out(&b->w, i); i++) {
		bool joined = flow_tuple_equal(&b->w.p.tuple, &b->j.net);

		if (b->w.pkt[i].side != ENGINE_NET || b->w.p.payload_bytes == 0)
			continue;
		b->s[b->n++] = (struct sent){
			.sub = joined,
			.ssn = b->w.p.seq - (joined ? b->j.iss : GUEST_ISN),
			.seq = (uint32_t)b->w.o.mp.dss.dsn - (uint32_t)b->w.idsn_local +
			       (b->w.p.seq - (joined ? b->j.iss : GUEST_ISN)) - b->w.o.mp.dss.ssn,
			.bytes = b->w.p.payload_bytes,
			.tsval = b->w.o.tsval,
			.gso_bytes = b->w.pkt[i].gso_size_bytes};
	}
}

static inline void guest_writes(struct bench *b, uint32_t bytes)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = b->seq,
			.ack = 1,
			.window = 1000,
			.payload_bytes = bytes,
			.payload_first = (uint8_t)b->seq};

	guest_sends(&b->w, ENGINE_STEAL, &s);
	b->seq += bytes;
	look(b);
}

/* What the peer says on the joined subflow; 0 blocks: none; tsecr 0: as sent last. */
static inline void peer_acks(struct bench *b, uint32_t ack, uint32_t data_ack,
			     const struct sack_block *blocks, unsigned n, uint32_t tsecr)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = ack, .window = 1000};
	struct sack_block x[2];

	for (unsigned i = 0; i < n; i++)
		x[i] = (struct sack_block){b->j.iss + blocks[i].start, b->j.iss + blocks[i].end};
	options_put_timestamps(&s.w, 9000, tsecr);
	if (n)
		options_put_sack(&s.w, x, n);
	put_peer_ack(&b->w, &s.w, data_ack);
	join_sends(&b->w, &b->j, &s);
	look(b);
}

/* Lets time pass until data leaves; false after a minute. */
static inline bool wait_sent(struct bench *b)
{
	uint64_t from_us = b->w.tick.now_us;

	for (b->n = 0; b->n == 0 && b->w.tick.now_us < from_us + 60000 * MS;) {
		world_pass(&b->w, MS);
		look(b);
	}
	b->last_us = b->w.tick.now_us - from_us;
	return b->n > 0;
}

static inline uint32_t cwnd(struct bench *b)
{
	struct engine_conn_info info;

	CU_ASSERT_FATAL(engine_conn_info(b->w.e, 0, b->w.tick.now_us, &info));
	for (unsigned i = 0; i < info.n_subflows; i++)
		if (flow_tuple_equal(&info.subflow[i].tuple, &b->j.net))
			return info.subflow[i].cwnd_bytes;
	return 0;
}

static inline void open_bench(struct bench *b, bool both)
{
	struct seg rst = {.flags = TCP_RST, .seq = 1};

	memset(b, 0, sizeof(*b));
	joins_init(&b->w, FLOW_IPV4);
	b->w.cfg.congestion = (uint8_t)engine_congestion("cubic");
	CU_ASSERT_FATAL(joins_open(&b->w, &b->j));
	b->w.tick.now_us += RTT_MS * MS;
	join_complete(&b->w, &b->j);
	CU_ASSERT_FATAL(living(&b->w) == 2);
	b->seq = 101;
	if (!both)
		net_sends(&b->w, ENGINE_STEAL, &rst);
}

/* One subflow; the second is asked for after so many bytes. */
static inline void open_single(struct bench *b, uint64_t after_bytes)
{
	memset(b, 0, sizeof(*b));
	joins_init(&b->w, FLOW_IPV4);
	b->w.cfg.after_bytes = after_bytes;
	CU_ASSERT_FATAL(!joins_open(&b->w, &b->j));
	b->seq = 101;
}

/* A round trip passes; what is paced goes meanwhile. How much that was. */
static inline uint32_t pass_rtt(struct bench *b)
{
	uint32_t bytes = 0;

	for (unsigned i = 0; i < RTT_MS; i++) {
		world_pass(&b->w, MS);
		look(b);
		for (unsigned k = 0; k < b->n; k++)
			bytes += b->s[k].bytes;
	}
	return bytes;
}

/* So many segments go and are acknowledged a round trip later: the window grows by as much. */
static inline uint32_t round_trip(struct bench *b, uint32_t ssn, unsigned segments)
{
	for (unsigned i = 0; i < segments; i++)
		guest_writes(b, 1400);
	pass_rtt(b);
	ssn += 1400 * segments;
	peer_acks(b, ssn, b->seq, NULL, 0, b->n ? b->s[b->n - 1].tsval : 1);
	return ssn;
}

/* One segment more is on its way, after a round trip of ten. */
struct tail {
	uint32_t cwnd_bytes, ssn, tsval;
};

static inline struct tail open_tail(struct bench *b)
{
	struct tail t;

	open_bench(b, false);
	t.ssn = round_trip(b, 1, 10);
	t.cwnd_bytes = cwnd(b);
	guest_writes(b, 1400);
	t.tsval = b->s[0].tsval;
	return t;
}

#endif
