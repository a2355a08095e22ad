/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engine_congestion_links.c - the controllers over links in virtual time: how much of a link
 * they fill, with short and long queues, lumped ACKs, random loss, an outage, after idle.
 */
#include "bottleneck.h"
#include "unit.h"

#define SECOND 1000000ULL

/* What one flow gets of its link, in thousandths, between two times. */
static unsigned share(struct bottleneck *b, const struct bn_flow *f, uint64_t from_us,
		      uint64_t until_us)
{
	uint64_t before;

	bn_run(b, from_us);
	before = f->delivered_bytes;
	bn_run(b, until_us);
	return (unsigned)((f->delivered_bytes - before) * 1000 /
			  bn_capacity(b, f->link, until_us - from_us));
}

struct link_row {
	unsigned mbit, rtt_ms, queue_ms, loss_ppm, lump_us;
	/* least share in thousandths from 2 s to 20 s: Reno-like, cubic, bbr; 0: only measured */
	unsigned reno, cubic, bbr;
};

static unsigned wanted(const struct link_row *row, const char *name)
{
	if (strcmp(name, "bbr") == 0)
		return row->bbr;
	return strcmp(name, "cubic") == 0 ? row->cubic : row->reno;
}

static void run_rows(const struct link_row *rows, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned c = 0; congestion_at(c); c++) {
			const struct link_row *row = &rows[i];
			struct bottleneck *b = bn_new(i);
			unsigned l =
				bn_link(b, row->mbit, row->rtt_ms, row->queue_ms, row->loss_ppm);
			struct bn_flow *f = bn_flow(b, 0, l, congestion_at(c)->name, 0);
			unsigned got;

			if (row->lump_us) { /* as a receiver with GRO acknowledges */
				f->ack_segments = 44;
				f->ack_wait_us = row->lump_us;
			}
			got = share(b, f, 2 * SECOND, 20 * SECOND);
			if (got < wanted(row, f->ops->name) || got > 1010)
				printf("row %u: %s gets %u of 1000\n", i, f->ops->name, got);
			CHECK_ROW(i * 10 + c, got >= wanted(row, f->ops->name) && got <= 1010);
			bn_free(b);
		}
}

static void clean_links(void)
{
	static const struct link_row rows[] = {
		/* 0, the plain case */ {100, 10, 20, 0, 0, 990, 990, 980},
		/* 1, a queue of one product */ {100, 10, 10, 0, 0, 980, 990, 980},
		/* 2, half of it: halving must empty the pipe */ {100, 10, 5, 0, 0, 900, 980, 980},
		/* 3, a tenth */ {100, 10, 1, 0, 0, 740, 850, 960},
		/* 4, a bloated queue */ {100, 10, 200, 0, 0, 990, 990, 980},
		/* 5, fast and near */ {500, 2, 5, 0, 0, 980, 990, 980},
		/* 6, fast and far */ {1000, 50, 50, 0, 0, 990, 990, 970},
		/* 7, slow and far */ {20, 60, 60, 0, 0, 990, 990, 970},
		/* 8, a modem */ {1, 100, 300, 0, 0, 980, 980, 960},
	};

	run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* One ACK for up to 64 KB, or for what came in so many microseconds. */
static void lumped_acks(void)
{
	static const struct link_row rows[] = {
		/* 0 */ {100, 10, 20, 0, 1000, 980, 990, 980},
		/* 1, lumps as long as the queue */ {100, 10, 5, 0, 5000, 750, 850, 950},
		/* 2 */ {500, 2, 5, 0, 1000, 980, 990, 980},
		/* 3 */ {20, 60, 60, 0, 5000, 960, 980, 960},
		/* 4, a queue of less than half a product, as above */
		{1000, 50, 20, 0, 1000, 920, 980, 960},
	};

	run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* Loss that does not come from a full queue; what loss-based ones make of it is known too well. */
static void random_loss(void)
{
	static const struct link_row rows[] = {
		/* 0 */ {100, 10, 20, 1000, 0, 300, 350, 970},
		/* 1 */ {100, 10, 20, 10000, 0, 100, 110, 950},
		/* 2 */ {100, 10, 20, 20000, 0, 60, 70, 930},
		/* 3 */ {100, 10, 20, 50000, 0, 30, 30, 800},
		/* 4 */ {20, 60, 60, 10000, 0, 80, 90, 900},
		/* 5 */ {500, 2, 5, 10000, 0, 100, 110, 950},
	};

	run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* 1 MB from nothing, in milliseconds; the link alone would take 84. */
static void cold_start(void)
{
	for (unsigned c = 0; congestion_at(c); c++) {
		struct bottleneck *b = bn_new(1);
		struct bn_flow *f =
			bn_flow(b, 0, bn_link(b, 100, 10, 20, 0), congestion_at(c)->name, 0);
		unsigned ms = 0;

		while (f->delivered_bytes < 1000000 && ms < 1000)
			bn_run(b, ++ms * 1000);
		CHECK_ROW(c, ms <= 150);
		bn_free(b);
	}
}

/* Nothing passes for 1.5 s; a second after the timeout that follows the link is full again. */
static void outage(void)
{
	for (unsigned c = 0; congestion_at(c); c++) {
		struct bottleneck *b = bn_new(c);
		struct bn_flow *f =
			bn_flow(b, 0, bn_link(b, 100, 10, 20, 0), congestion_at(c)->name, 0);
		unsigned got;

		bn_run(b, 3 * SECOND);
		b->link[0].down = true;
		bn_run(b, 9 * SECOND / 2);
		b->link[0].down = false;
		CHECK_ROW(c, f->timeouts >= 2);
		CHECK_ROW(c, f->cc.cwnd_bytes <= 4 * f->mss_bytes);
		/* backoff: the next probe comes 1.4 s later at the latest */
		got = share(b, f, 7 * SECOND, 10 * SECOND);
		if (got < 850)
			printf("row %u: %s gets %u of 1000\n", c, f->ops->name, got);
		CHECK_ROW(c, got >= 850);
		bn_free(b);
	}
}

/* The first pace is a guess: on a slow path with a deep queue it must not become one. */
static void deep_queue(void)
{
	struct bottleneck *b = bn_new(1);
	unsigned l = bn_link(b, 10, 2, 1000, 0);
	struct bn_flow *f = bn_flow(b, 0, l, "bbr", 0);
	uint32_t most_us = 0;

	for (uint64_t us = 1000; us < SECOND; us += 1000) {
		bn_run(b, us);
		most_us = f->srtt_us > most_us ? f->srtt_us : most_us;
	}
	CHECK_EQ(most_us, most_us < 40000, true);
	bn_free(b);
}

/* 100 kB each second: no controller grows its window without end, none loses a packet. */
static void app_limited(void)
{
	for (unsigned c = 0; congestion_at(c); c++) {
		struct bottleneck *b = bn_new(c);
		struct bn_flow *f =
			bn_flow(b, 0, bn_link(b, 100, 10, 20, 0), congestion_at(c)->name, 0);
		unsigned ms;

		f->backlog_bytes = 0;
		for (unsigned s = 0; s < 20; s++) {
			f->backlog_bytes += 100000;
			bn_run(b, (s + 1) * SECOND);
			CHECK_ROW(c * 100 + s, f->backlog_bytes < f->mss_bytes);
		}
		CHECK_EQ(c, f->lost_packets, 0);
		CHECK_ROW(c, f->cc.cwnd_bytes <= 300000);
		/* after a minute of silence the link fills again within a second */
		bn_run(b, 80 * SECOND);
		f->backlog_bytes = BN_ENDLESS;
		ms = share(b, f, 81 * SECOND, 84 * SECOND);
		if (ms < 900)
			printf("row %u: %s gets %u of 1000\n", c, f->ops->name, ms);
		CHECK_ROW(c, ms >= 900);
		bn_free(b);
	}
}

/* bbr drains its queue and sees a longer path: the RTT window and the rate filter move on. */
static void bbr_adapts(void)
{
	struct bottleneck *b = bn_new(1);
	struct bn_flow *f = bn_flow(b, 0, bn_link(b, 100, 10, 300, 0), "bbr", 0);

	CU_ASSERT(share(b, f, 2 * SECOND, 9 * SECOND) >= 970);
	CU_ASSERT(f->srtt_us < 20000); /* with 300 ms of queue to fill */
	b->link[0].rate_bytes_per_s /= 4;
	CU_ASSERT(share(b, f, 12 * SECOND, 20 * SECOND) >= 950);
	CU_ASSERT(f->srtt_us < 40000);
	b->link[0].rate_bytes_per_s *= 4;
	CU_ASSERT(share(b, f, 22 * SECOND, 30 * SECOND) >= 950);
	b->link[0].delay_us += 20000;
	CU_ASSERT(share(b, f, 50 * SECOND, 60 * SECOND) >= 900);
	bn_free(b);
}

/* The queue that its startup built is gone at once; a second later nothing is left of it. */
static void bbr_drains(void)
{
	struct bottleneck *b = bn_new(2);
	struct bn_flow *f = bn_flow(b, 0, bn_link(b, 100, 10, 300, 0), "bbr", 0);
	uint32_t longest_us = 0;

	for (unsigned ms = 20; ms <= 1000; ms += 20) {
		bn_run(b, ms * 1000);
		longest_us = f->srtt_us > longest_us ? f->srtt_us : longest_us;
		if (ms >= 260)
			CHECK_ROW(ms, f->srtt_us < 17000);
	}
	CU_ASSERT(longest_us > 25000);
	bn_free(b);
}

/* Looking for the smallest RTT, once in ten seconds, costs no more than half of 200 ms. */
static void bbr_probes_rtt(void)
{
	struct bottleneck *b = bn_new(3);
	struct bn_flow *f = bn_flow(b, 0, bn_link(b, 100, 10, 20, 0), "bbr", 0);
	unsigned least = 1000, full = 0;

	for (unsigned ms = 9000; ms < 12000; ms += 50) {
		unsigned got = share(b, f, ms * 1000ULL, (ms + 50) * 1000ULL);

		least = got < least ? got : least;
		full += got >= 970;
	}
	CU_ASSERT(least >= 400 && least <= 700);
	CU_ASSERT(full >= 60 - 7);
	bn_free(b);
}

/* Two on a queue of a fifth of the product: what the rates overshoot by is bounded by their loss.
 */
static void bbr_short_queue(void)
{
	struct bottleneck *b = bn_new(4);
	struct bn_flow *f[2];
	unsigned l = bn_link(b, 100, 10, 2, 0);
	uint64_t lost, sent;

	for (unsigned i = 0; i < 2; i++)
		f[i] = bn_flow(b, i, l, "bbr", i * 500000);
	bn_run(b, 30 * SECOND);
	lost = f[0]->lost_packets + f[1]->lost_packets;
	sent = f[0]->sent_packets + f[1]->sent_packets;
	if (lost * 1000 > sent * 60)
		printf("%u of 1000 lost\n", (unsigned)(lost * 1000 / sent));
	CU_ASSERT(lost * 1000 <= sent * 60);
	CU_ASSERT(f[0]->delivered_bytes + f[1]->delivered_bytes >=
		  bn_capacity(b, l, 30 * SECOND) / 100 * 95);
	bn_free(b);
}

/* ACKs in lumps of one and a half RTTs: the window must hold what waits for its ACK as well. */
static void bbr_long_lumps(void)
{
	struct bottleneck *b = bn_new(5);
	struct bn_flow *f = bn_flow(b, 0, bn_link(b, 100, 10, 50, 0), "bbr", 0);
	unsigned got;

	f->ack_segments = 10000;
	f->ack_wait_us = 25000;
	got = share(b, f, 5 * SECOND, 15 * SECOND);
	if (got < 900)
		printf("bbr gets %u of 1000\n", got);
	CU_ASSERT(got >= 900);
	bn_free(b);
}

static const struct unit_test tests[] = {
	{"clean links", clean_links},
	{"lumped ACKs", lumped_acks},
	{"random loss", random_loss},
	{"a cold start", cold_start},
	{"an outage", outage},
	{"deep queue", deep_queue},
	{"limited by the application, idle", app_limited},
	{"bbr follows the path", bbr_adapts},
	{"bbr drains its startup", bbr_drains},
	{"bbr probes the RTT", bbr_probes_rtt},
	{"bbr on a short queue", bbr_short_queue},
	{"bbr with long lumps of ACKs", bbr_long_lumps},
};
UNIT_MAIN("engine/congestion on links", tests)
