/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_bench.h - a guest that receives over two subflows, and what the gate sends it (for the
 * tests of guest_sender.h). Byte `d` of the peer's stream has the value d.
 */
#ifndef MPGATE_TESTS_GUEST_BENCH_H
#define MPGATE_TESTS_GUEST_BENCH_H

#include "base/seq.h"
#include "joins.h"
#include "unit.h"

#define MSS 1448u /* of the guest: 1460, less 12 for timestamps */
#define MS 1000ull

struct bench {
	struct world w;
	struct join j;
	uint32_t ssn; /* next, on the joined subflow */
	/* what the last call sent to the guest, in the peer's numbers */
	uint32_t start[64], end[64];
	unsigned n;
	bool fin;
};

static inline void look(struct bench *b)
{
	b->n = 0;
	b->fin = false;
	for (unsigned i = 0; out(&b->w, i); i++) {
		uint32_t at = b->w.p.seq - PEER_ISN;

		if (b->w.pkt[i].side != ENGINE_GUEST)
			continue;
		b->fin |= b->w.p.flags & TCP_FIN;
		for (uint32_t k = 0; k < b->w.p.payload_bytes; k++)
			if (b->w.p.payload[k] != (uint8_t)(at + k)) {
				CHECK_EQ(k, b->w.p.payload[k], (uint8_t)(at + k));
				break;
			}
		if (b->w.p.payload_bytes == 0)
			continue;
		if (b->n > 0 && b->end[b->n - 1] == at) {
			b->end[b->n - 1] += b->w.p.payload_bytes;
			continue;
		}
		b->start[b->n] = at;
		b->end[b->n++] = at + b->w.p.payload_bytes;
	}
}

/* The peer's next bytes, whole segments of a mapping each. */
static inline void peer_sends(struct bench *b, uint32_t bytes, bool fin)
{
	struct seg s = {.flags = TCP_ACK,
			.seq = b->ssn,
			.ack = 1,
			.window = 1000,
			.payload_bytes = bytes,
			.payload_first = (uint8_t)b->ssn};

	put_peer_map(&b->w, &s.w, 101, b->ssn, b->ssn, (uint16_t)bytes, fin);
	join_sends(&b->w, &b->j, &s);
	b->ssn += bytes;
	look(b);
}

static inline void guest_acks(struct bench *b, uint32_t ack, const struct sack_block *blocks,
			      unsigned n)
{
	struct seg s = {.flags = TCP_ACK, .seq = 101, .ack = ack, .window = 4000};
	struct sack_block x[3];

	for (unsigned i = 0; i < n; i++)
		x[i] = (struct sack_block){PEER_ISN + blocks[i].start, PEER_ISN + blocks[i].end};
	if (n)
		options_put_sack(&s.w, x, n);
	guest_sends(&b->w, ENGINE_STEAL, &s);
	look(b);
}

static inline void open_bench(struct bench *b, bool sack)
{
	memset(b, 0, sizeof(*b));
	joins_init(&b->w, FLOW_IPV4);
	b->w.sack = sack;
	b->ssn = 1;
	CU_ASSERT_FATAL(joins_open(&b->w, &b->j));
	join_complete(&b->w, &b->j);
	CU_ASSERT_FATAL(living(&b->w) == 2);
	/* One round trip of 5 ms is known. */
	peer_sends(b, 1000, false);
	CHECK_EQ(0, b->n, 1);
	b->w.tick.now_us += 5 * MS;
	guest_acks(b, 1001, NULL, 0);
}

#define SENT(b, row, k, from, to)                   \
	do {                                        \
		CHECK_EQ(row, (b)->start[k], from); \
		CHECK_EQ(row, (b)->end[k], to);     \
	} while (0)

#endif
