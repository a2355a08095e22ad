/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_bbr.c - a rate-based controller for paths that lose packets without being full, after BBR
 * (Cardwell et al., draft-cardwell-iccrg-bbr-congestion-control): it sends at the path's delivery
 * rate (largest of ten rounds) and keeps about twice that rate times the smallest RTT (of ten
 * seconds) in flight. Loss is no signal by itself.
 *
 * Like version 1, with these cures of later versions: the window is cut to half of the product,
 * not to four segments, to see the RTT; a round that loses more than a twentieth ends the startup
 * and bounds what is in flight until the path proves better; lumps of ACKs widen the window.
 * Uncoupled: each subflow takes what its path gives.
 *
 * What is sent in recovery is the sender's to pace (PRR towards cwnd_bytes, which stays).
 * ssthresh_bytes only tells startup (above the window) from the rest (the window).
 */
#include "engine/cc_bbr.h"

#include <string.h>

#define GAIN_HIGH 710     /* 4 ln 2: doubles the rate each round */
#define GAIN_DRAIN 92     /* its inverse */
#define GAIN_CWND 512     /* 2: covers delayed and lumped ACKs */
#define GAIN_PROBE 320    /* 1.25 */
#define GAIN_YIELD 192    /* 0.75 */
#define PACING_MARGIN 253 /* 0.99: the queue that probing left drains */
#define PHASES 8
#define RTT_WINDOW_US 10000000
#define PROBE_RTT_US 200000
#define FULL_ROUNDS 3

static uint32_t cwnd_floor(const struct bbr *b)
{
	return 4 * b->mss_bytes;
}

/* The first pacing rate: the initial window in a millisecond if no RTT is known. */
static uint64_t first_rate(const struct cc *cc, uint32_t rtt_us)
{
	uint64_t rate = cc_mul_div(cc->cwnd_bytes, 1000000, rtt_us ? rtt_us : 1000);

	return cc_mul_div(rate, GAIN_HIGH, BBR_UNIT);
}

static void bbr_init(struct cc *cc, uint32_t mss_bytes, uint64_t now_us)
{
	struct bbr *b = bbr_of(cc);

	memset(cc, 0, sizeof(*cc));
	cc->cwnd_bytes = cc_initial_window(mss_bytes);
	cc->ssthresh_bytes = CC_SSTHRESH_UNSET;
	cc->pacing_bytes_per_s = first_rate(cc, 0);
	b->mss_bytes = cc_max32(cc_min32(mss_bytes, UINT16_MAX), 1);
	b->flight_limit_bytes = UINT32_MAX;
	b->rtt_min_at_us = now_us;
}

static uint32_t pacing_gain(const struct bbr *b)
{
	switch (b->mode) {
	case BBR_STARTUP:
		return GAIN_HIGH;
	case BBR_DRAIN:
		return GAIN_DRAIN;
	case BBR_PROBE_BW:
		return b->phase == 0 ? GAIN_PROBE : b->phase == 1 ? GAIN_YIELD : BBR_UNIT;
	default:
		return BBR_UNIT;
	}
}

/*
 * A piece as the path's rate would have it. The pace may still be that of the beginning, when the
 * path was not known: on a slow one its pieces are a long queue.
 */
static uint32_t piece_bytes(const struct cc *cc, const struct bbr *b)
{
	uint64_t rate = cc_mul_div(b->bw[0], pacing_gain(b), BBR_UNIT);

	return cc_min32(cc_max32(cc_min32(rate / 1000, UINT16_MAX), 2 * b->mss_bytes),
			congestion_burst_bytes(cc, b->mss_bytes));
}

/* What may be in flight: the product, room for pieces on their way, and lumps of ACKs. */
static uint32_t flight_target(const struct cc *cc, const struct bbr *b, uint32_t gain)
{
	uint64_t bytes = bbr_bdp_bytes(b, gain);

	if (bytes == 0)
		return cc_initial_window(b->mss_bytes);
	bytes = bytes < CC_CWND_MAX ? bytes : CC_CWND_MAX;
	return cc_max32(cc_min32(bytes + 3 * piece_bytes(cc, b), CC_CWND_MAX), cwnd_floor(b));
}

static void enter_probe_bw(struct bbr *b, const struct cc_ack *ack)
{
	b->mode = BBR_PROBE_BW;
	b->phase_at_us = ack->now_us;
	/*
	 * Flows that share a link should not probe in step; any phase but the yielding one. No
	 * random numbers here: what was delivered differs enough.
	 */
	b->phase =
		(unsigned)(ack->delivered_bytes / b->mss_bytes + ack->now_us / 128) % (PHASES - 1);
	if (b->phase >= 1)
		b->phase++;
}

static void check_phase(struct cc *cc, struct bbr *b, const struct cc_ack *ack)
{
	bool long_enough = ack->now_us - b->phase_at_us > b->rtt_min_us;
	bool next = long_enough;

	if (b->mode != BBR_PROBE_BW)
		return;
	if (b->phase == 0) /* until the path had the chance to show more */
		next = long_enough && (ack->lost_bytes || ack->prior_in_flight_bytes >=
								  flight_target(cc, b, GAIN_PROBE));
	else if (b->phase == 1) /* until the queue is gone */
		next = long_enough || ack->prior_in_flight_bytes <= flight_target(cc, b, BBR_UNIT);
	if (!next)
		return;
	b->phase = (b->phase + 1) % PHASES;
	b->phase_at_us = ack->now_us;
}

/* Three rounds without a quarter more, or a round of heavy loss: the path is full. */
static void check_full(struct bbr *b, const struct cc_ack *ack)
{
	if (b->full || !b->round_start)
		return;
	if (bbr_round_lossy(b)) {
		b->full = 1;
		return;
	}
	if (ack->app_limited)
		return;
	if (b->bw[0] >= b->full_bw + b->full_bw / 4) {
		b->full_bw = b->bw[0];
		b->full_rounds = 0;
		return;
	}
	if (++b->full_rounds >= FULL_ROUNDS)
		b->full = 1;
}

static void check_drain(struct cc *cc, struct bbr *b, const struct cc_ack *ack)
{
	if (b->mode == BBR_STARTUP && b->full)
		b->mode = BBR_DRAIN;
	if (b->mode == BBR_DRAIN && ack->in_flight_bytes <= flight_target(cc, b, BBR_UNIT))
		enter_probe_bw(b, ack);
}

static void keep_cwnd(const struct cc *cc, struct bbr *b)
{
	if (!b->in_episode && b->mode != BBR_PROBE_RTT)
		b->prior_cwnd_bytes = cc->cwnd_bytes;
	else
		b->prior_cwnd_bytes = cc_max32(b->prior_cwnd_bytes, cc->cwnd_bytes);
}

static uint32_t probe_rtt_cwnd(const struct bbr *b)
{
	return cc_max32(cc_min32(bbr_bdp_bytes(b, BBR_UNIT / 2), CC_CWND_MAX), cwnd_floor(b));
}

static void leave_probe_rtt(struct cc *cc, struct bbr *b, const struct cc_ack *ack)
{
	b->rtt_min_at_us = ack->now_us;
	cc->cwnd_bytes = cc_max32(cc->cwnd_bytes, b->prior_cwnd_bytes);
	if (b->full)
		enter_probe_bw(b, ack);
	else
		b->mode = BBR_STARTUP;
}

/* The smallest RTT of ten seconds; then the window is made small to see it again. */
static void check_rtt(struct cc *cc, struct bbr *b, const struct cc_ack *ack)
{
	bool expired = ack->now_us - b->rtt_min_at_us > RTT_WINDOW_US;

	if (ack->rtt_us && (b->rtt_min_us == 0 || ack->rtt_us <= b->rtt_min_us || expired)) {
		b->rtt_min_us = ack->rtt_us;
		b->rtt_min_at_us = ack->now_us;
	}
	if (expired && !b->idle_restart && b->mode != BBR_PROBE_RTT) {
		keep_cwnd(cc, b);
		b->mode = BBR_PROBE_RTT;
		b->phase_at_us = 0;
		b->low_rounds = 2;
	}
	if (b->mode != BBR_PROBE_RTT)
		return;
	if (b->phase_at_us == 0 && ack->in_flight_bytes <= probe_rtt_cwnd(b))
		b->phase_at_us = ack->now_us + PROBE_RTT_US;
	else if (b->phase_at_us && ack->now_us > b->phase_at_us)
		leave_probe_rtt(cc, b, ack);
}

static void set_pacing(struct cc *cc, const struct bbr *b, uint32_t srtt_us)
{
	uint64_t rate = cc_mul_div(b->bw[0], pacing_gain(b), BBR_UNIT);

	if (b->bw[0] == 0) {
		cc->pacing_bytes_per_s = first_rate(cc, srtt_us);
		return;
	}
	rate = cc_mul_div(rate, PACING_MARGIN, BBR_UNIT);
	if (b->full || rate > cc->pacing_bytes_per_s)
		cc->pacing_bytes_per_s = rate ? rate : 1;
}

static void set_cwnd(struct cc *cc, const struct bbr *b, const struct cc_ack *ack)
{
	uint64_t target = flight_target(cc, b, GAIN_CWND);
	uint64_t cwnd = cc->cwnd_bytes;

	if (b->full)
		target += cc_max32(b->extra_bytes[0], b->extra_bytes[1]);
	if (b->full)
		cwnd = cwnd + ack->acked_bytes < target ? cwnd + ack->acked_bytes : target;
	else if (cwnd < target || ack->delivered_bytes < cc_initial_window(b->mss_bytes))
		cwnd += ack->acked_bytes;
	cwnd = cc_min32(cwnd, b->flight_limit_bytes);
	if (b->mode == BBR_PROBE_RTT)
		cwnd = cc_min32(cwnd, probe_rtt_cwnd(b));
	cc->cwnd_bytes = cc_max32(cc_min32(cwnd, CC_CWND_MAX), cwnd_floor(b));
	if (!b->in_episode)
		cc->ssthresh_bytes = b->full ? cc->cwnd_bytes : CC_SSTHRESH_UNSET;
}

static void bbr_on_ack(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	struct bbr *b = bbr_of(cc);

	b->mss_bytes = cc_mss(g, b->mss_bytes);
	bbr_update_round(b, ack);
	bbr_update_bandwidth(b, ack);
	bbr_update_aggregation(b, ack, cc->cwnd_bytes);
	check_phase(cc, b, ack);
	check_full(b, ack);
	bbr_update_flight_limit(b, ack);
	check_drain(cc, b, ack);
	check_rtt(cc, b, ack);
	b->idle_restart = 0;
	set_pacing(cc, b, g->member[g->self].srtt_us);
	set_cwnd(cc, b, ack);
}

static void bbr_on_loss(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g)
{
	struct bbr *b = bbr_of(cc);

	(void)ack;
	(void)g;
	keep_cwnd(cc, b);
	b->in_episode = 1;
	cc->ssthresh_bytes = cc->cwnd_bytes;
}

static void restore_cwnd(struct cc *cc)
{
	struct bbr *b = bbr_of(cc);

	if (b->in_episode && b->mode != BBR_PROBE_RTT)
		cc->cwnd_bytes = cc_max32(cc->cwnd_bytes, b->prior_cwnd_bytes);
	b->in_episode = 0;
	cc->ssthresh_bytes = b->full ? cc->cwnd_bytes : CC_SSTHRESH_UNSET;
}

static void bbr_on_recovery_exit(struct cc *cc, uint64_t now_us)
{
	(void)now_us;
	restore_cwnd(cc);
}

/* All in flight is taken for lost: what is left, and one segment more; the model stays. */
static void bbr_on_rto(struct cc *cc, uint32_t in_flight_bytes, const struct cc_group *g,
		       uint64_t now_us)
{
	struct bbr *b = bbr_of(cc);

	(void)in_flight_bytes;
	(void)now_us;
	b->mss_bytes = cc_mss(g, b->mss_bytes);
	keep_cwnd(cc, b);
	b->in_episode = 1;
	b->full_bw = 0;
	b->full_rounds = 0;
	cc->ssthresh_bytes = cc->cwnd_bytes;
	cc->cwnd_bytes = b->mss_bytes;
}

static void bbr_on_undo(struct cc *cc)
{
	bbr_of(cc)->full_bw = 0;
	bbr_of(cc)->full_rounds = 0;
	restore_cwnd(cc);
}

/* The model is not forgotten: sending goes on at the estimated rate, without probing above it. */
static void bbr_on_idle(struct cc *cc, uint64_t idle_us, uint32_t rto_us, uint32_t mss_bytes,
			uint64_t now_us)
{
	struct bbr *b = bbr_of(cc);

	(void)idle_us;
	(void)rto_us;
	(void)mss_bytes;
	b->idle_restart = 1;
	b->epoch_at_us = now_us;
	b->epoch_acked_bytes = 0;
	if (b->mode == BBR_PROBE_BW)
		cc->pacing_bytes_per_s = b->bw[0] ? b->bw[0] : 1;
}

const struct cc_ops cc_bbr = {
	.name = "bbr",
	.model = true,
	.init = bbr_init,
	.on_ack = bbr_on_ack,
	.on_loss = bbr_on_loss,
	.on_recovery_exit = bbr_on_recovery_exit,
	.on_rto = bbr_on_rto,
	.on_undo = bbr_on_undo,
	.on_idle = bbr_on_idle,
};
