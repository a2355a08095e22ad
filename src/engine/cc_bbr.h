/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_bbr.h - the state of the rate-based controller and its model of the path; see cc_bbr.c.
 */
#ifndef MPGATE_ENGINE_CC_BBR_H
#define MPGATE_ENGINE_CC_BBR_H

#include "engine/cc_common.h"

enum bbr_mode {
	BBR_STARTUP,  /* the rate doubles each round until the delivery rate stops growing */
	BBR_DRAIN,    /* the queue that this built is emptied */
	BBR_PROBE_BW, /* steady: eight phases, one above and one below the estimated rate */
	BBR_PROBE_RTT /* little in flight for 200 ms, to see the RTT without our own queue */
};

#define BBR_UNIT 256U /* gains have 8 fraction bits */

struct bbr {
	uint64_t bw[3]; /* bytes/s: largest of the window, then of what came behind it */
	uint64_t round_end_bytes;
	uint64_t rtt_min_at_us;
	uint64_t phase_at_us; /* PROBE_BW: the phase began; PROBE_RTT: it may end, 0: not yet */
	uint64_t full_bw;     /* STARTUP: the rate that must be exceeded by a quarter */
	uint64_t epoch_at_us; /* of ACK aggregation */
	uint32_t bw_round[3];
	uint32_t round;
	uint32_t rtt_min_us;       /* 0: no sample yet */
	uint32_t prior_cwnd_bytes; /* before recovery or PROBE_RTT; 0: none kept */
	uint32_t extra_bytes[2];   /* most acknowledged beyond the rate, in two spans of rounds */
	uint32_t epoch_acked_bytes;
	uint32_t flight_limit_bytes; /* above it the path lost much; UINT32_MAX: not known */
	uint32_t round_lost_bytes, round_acked_bytes;
	uint32_t mss_bytes;
	uint32_t mode : 3, phase : 3, full_rounds : 3;
	uint32_t full : 1;        /* STARTUP has found the path's rate */
	uint32_t round_start : 1; /* this acknowledgement is the first of a round */
	uint32_t idle_restart : 1;
	uint32_t low_rounds : 2; /* rounds left whose samples are of PROBE_RTT's small window */
	uint32_t extra_at : 1;   /* which of extra_bytes is being filled */
	uint32_t extra_rounds : 4;
	uint32_t in_episode : 1;
};
CC_STATE_FITS(struct bbr);

static inline struct bbr *bbr_of(struct cc *cc)
{
	return (struct bbr *)cc->word;
}

/* The model, cc_bbr_model.c. */
void bbr_update_round(struct bbr *b, const struct cc_ack *ack);
void bbr_update_bandwidth(struct bbr *b, const struct cc_ack *ack);
void bbr_update_aggregation(struct bbr *b, const struct cc_ack *ack, uint32_t cwnd_bytes);
void bbr_update_flight_limit(struct bbr *b, const struct cc_ack *ack);
uint64_t bbr_bdp_bytes(const struct bbr *b, uint32_t gain); /* 0: no model yet */

/* Does the path lose so much that it must be full (a random loss of a few percent does not)? */
bool bbr_round_lossy(const struct bbr *b);

#endif
