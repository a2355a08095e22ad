/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * congestion.h - congestion control of a subflow behind one small interface: LIA (RFC 6356), OLIA,
 * BALIA, uncoupled CUBIC (RFC 9438), and BBR for paths that lose packets without being full.
 *
 * The sender (loss detection, what is in flight) calls; a controller answers with a congestion
 * window and, if it wants, a pacing rate. State is plain memory inside the subflow's record (I9):
 * no pointers in it. All numbers are bytes and microseconds; no floating point in state that must
 * replay bit for bit on every machine (I8) - integer arithmetic only.
 */
#ifndef MPGATE_ENGINE_CONGESTION_H
#define MPGATE_ENGINE_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#define CC_SUBFLOWS_MAX 8
#define CC_INITIAL_SEGMENTS 10 /* RFC 6928 */

struct cc {
	uint32_t cwnd_bytes;
	uint32_t ssthresh_bytes;
	uint64_t pacing_bytes_per_s; /* 0: not paced */
	uint64_t word[16];           /* the controller's own */
};

/* What an acknowledgement told the sender. */
struct cc_ack {
	uint64_t now_us;
	uint32_t acked_bytes;     /* newly acknowledged or SACKed */
	uint32_t lost_bytes;      /* newly found lost by this acknowledgement */
	uint32_t rtt_us;          /* sample, 0: none (Karn) */
	uint32_t in_flight_bytes; /* after this acknowledgement */
	uint32_t prior_in_flight_bytes;
	bool in_recovery;
	bool app_limited; /* the sample's data was sent while there was nothing more to send */
	/* delivery rate sample (draft-cheng-iccrg-delivery-rate-estimation) */
	uint64_t delivered_bytes;       /* in all, now */
	uint64_t prior_delivered_bytes; /* when the newest acknowledged segment was sent */
	uint64_t interval_us;           /* longer of send and ack phase; 0: no sample */
};

/*
 * The subflows of the connection, for the coupled controllers; `self` is the one at hand. All have
 * the same controller.
 */
struct cc_group {
	unsigned n, self;
	struct {
		const struct cc *cc;
		uint32_t srtt_us; /* 0: no sample yet */
		uint32_t mss_bytes;
		bool established;
	} member[CC_SUBFLOWS_MAX];
};

struct cc_ops {
	const char *name; /* as in the configuration: "lia", "olia", "balia", "cubic", "bbr" */
	bool model;       /* it knows its path: its window is not for others to lower */
	void (*init)(struct cc *cc, uint32_t mss_bytes, uint64_t now_us);
	void (*on_ack)(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g);
	/*
	 * Loss was found by acknowledgements: once for each recovery episode (RFC 6675), before
	 * on_ack() of the same one. cwnd_bytes is then where PRR leads to, in bbr too.
	 */
	void (*on_loss)(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g);
	void (*on_recovery_exit)(struct cc *cc, uint64_t now_us);
	void (*on_rto)(struct cc *cc, uint32_t in_flight_bytes, const struct cc_group *g,
		       uint64_t now_us);
	/* The loss that was acted upon was none (DSACK, Eifel): back to what was before. */
	void (*on_undo)(struct cc *cc);
	/* Nothing was sent for idle_us (RFC 2861, 9438 section 5.8). */
	void (*on_idle)(struct cc *cc, uint64_t idle_us, uint32_t rto_us, uint32_t mss_bytes,
			uint64_t now_us);
};

/*
 * What a paced sender sends at once before it waits for bytes / pacing_bytes_per_s: a millisecond's
 * worth, two segments to 64 KB. UINT32_MAX when it is not paced.
 */
static inline uint32_t congestion_burst_bytes(const struct cc *cc, uint32_t mss_bytes)
{
	uint64_t bytes = cc->pacing_bytes_per_s / 1000;

	if (cc->pacing_bytes_per_s == 0)
		return UINT32_MAX;
	if (bytes < 2 * (uint64_t)mss_bytes)
		return 2 * mss_bytes;
	return bytes < UINT16_MAX ? (uint32_t)bytes : UINT16_MAX;
}

/* Does the window double each RTT, as far as the controller knows? */
static inline bool congestion_slow_start(const struct cc *cc)
{
	return cc->cwnd_bytes < cc->ssthresh_bytes;
}

/* Null when there is no controller of that name. */
const struct cc_ops *congestion_find(const char *name);
const struct cc_ops *congestion_at(unsigned i); /* null behind the last one */

#endif
