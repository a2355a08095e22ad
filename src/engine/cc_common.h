/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_common.h - what the loss-based controllers share: slow start with HyStart++ (RFC 9406),
 * growth with its fraction kept, the window in use (RFC 7661's question), undo, idle (RFC 2861),
 * and the coupled controllers' sum over the subflows; plus saturating integer arithmetic.
 *
 * Windows are bytes. Growth counts bytes acknowledged (RFC 3465), without that RFC's limit L: one
 * ACK here often stands for a super-segment of 64 KB, and a limit of two segments for each ACK
 * would stop slow start. Instead the window at most doubles for one ACK.
 */
#ifndef MPGATE_ENGINE_CC_COMMON_H
#define MPGATE_ENGINE_CC_COMMON_H

#include "engine/congestion.h"

#define CC_CWND_MAX (1U << 30) /* the largest window TCP can announce */
#define CC_SSTHRESH_UNSET UINT32_MAX

/* First in cc->word of every loss-based controller. */
struct cc_common {
	uint64_t round_end_bytes; /* the round is over when data sent at this count is acked */
	uint32_t mss_bytes;
	uint32_t fraction_q16;        /* growth below one byte */
	uint32_t flight_max_bytes[2]; /* in this round, in the one before */
	uint32_t undo_cwnd_bytes;     /* 0: nothing to undo */
	uint32_t undo_ssthresh_bytes;
	uint32_t rtt_min_us[2];    /* in this round, in the one before; 0: no sample */
	uint32_t rtt_group_us;     /* of the last samples */
	uint32_t rtt_least_us;     /* of all */
	uint32_t slowed_bytes;     /* the window before it was made the path's; 0: long ago */
	uint64_t rate_bytes_per_s; /* most delivered in slow start */
	uint32_t css_base_us; /* RFC 9406's baseline in conservative slow start; 0: not in it */
	uint8_t rtt_samples;  /* so many */
	uint8_t css_rounds, slowed_rounds;
	bool episode;     /* from a loss until the recovery's exit */
	bool round_start; /* this acknowledgement is the first of a round */
};

/* A controller's own state behind the common one must fit. */
#define CC_STATE_FITS(type) \
	_Static_assert(sizeof(type) <= sizeof(((struct cc *)0)->word), "state too large")

static inline struct cc_common *cc_common(struct cc *cc)
{
	return (struct cc_common *)cc->word;
}

/* a * b / c, saturating; exact while b * c fits into 64 bits. */
uint64_t cc_mul_div(uint64_t a, uint64_t b, uint64_t c);

static inline uint32_t cc_min32(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

static inline uint32_t cc_max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

uint32_t cc_initial_window(uint32_t mss_bytes);
uint32_t cc_mss(const struct cc_group *g, uint32_t before); /* never 0 */

void cc_common_init(struct cc *cc, uint32_t mss_bytes, uint64_t now_us);

/*
 * Book-keeping of one acknowledgement, then slow start. Returns how many of its bytes are left
 * for congestion avoidance: 0 in slow start, in recovery, and when the window was not in use.
 */
uint32_t cc_common_on_ack(struct cc *cc, const struct cc_ack *ack, const struct cc_group *g);

/* Was the window what held the sender back in this or the last round? */
bool cc_common_limited(const struct cc *cc);

/* The window that was really in use: what a reduction starts from. */
uint32_t cc_common_used(const struct cc *cc);

/* The window grows by acked * mss / window. */
void cc_common_grow(struct cc *cc, uint32_t acked_bytes, uint64_t window_bytes);

/* The reverse, for OLIA; two segments stay. */
void cc_common_shrink(struct cc *cc, uint32_t acked_bytes, uint64_t window_bytes);

/* Loss: what was before is kept for an undo, the window becomes `target`, two segments at least. */
void cc_common_on_loss(struct cc *cc, uint32_t target_bytes);

/* Timeout: slow start from one segment; a further timeout of the episode keeps ssthresh. */
void cc_common_on_rto(struct cc *cc, uint32_t target_bytes);

void cc_common_on_recovery_exit(struct cc *cc, uint64_t now_us);
void cc_common_on_undo(struct cc *cc);
void cc_common_on_idle(struct cc *cc, uint64_t idle_us, uint32_t rto_us, uint32_t mss_bytes,
		       uint64_t now_us);

/* Does subflow i take part in the coupling? */
bool cc_coupled(const struct cc_group *g, unsigned i);

/* Subflow i's rate as a window at subflow ref's RTT: cwnd_i * rtt_ref / rtt_i. */
uint64_t cc_coupled_scaled(const struct cc_group *g, unsigned i, unsigned ref);

/*
 * (sum over i of cwnd_i * rtt_ref / rtt_i)^2 / cwnd_ref: the window that one flow on path `ref`
 * would have if it carried all of the connection. It is what the increase is divided by in LIA
 * (ref: the best path) and in OLIA and BALIA (ref: the path at hand). At least cwnd_ref.
 */
uint64_t cc_coupled_window(const struct cc_group *g, unsigned ref);

extern const struct cc_ops cc_lia, cc_olia, cc_balia, cc_cubic, cc_bbr;

#endif
