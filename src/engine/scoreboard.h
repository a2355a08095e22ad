/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scoreboard.h - the list of a sender's txsegs: acknowledging, SACKing, cutting, losing.
 */
#ifndef MPGATE_ENGINE_SCOREBOARD_H
#define MPGATE_ENGINE_SCOREBOARD_H

#include "engine/state.h"

/* What one acknowledgement changed. */
struct scoreboard_news {
	uint32_t acked_bytes; /* newly acknowledged or SACKed */
	uint32_t lost_bytes;
	uint32_t rtt_us; /* of the newest segment that was sent once; 0: none */
	bool again; /* something of it was sent twice: send times say nothing of the RTT (Karn) */
	bool any_sacked; /* something new was SACKed above the cumulative acknowledgement */
	/* of the newest segment delivered, for the rate sample */
	uint64_t prior_delivered_bytes, prior_delivered_us, first_sent_us, sent_us;
	bool app_limited;
};

/* Appends; null when no record is free. */
struct txseg *scoreboard_add(struct engine *e, struct sender *x);

void scoreboard_ack(struct engine *e, struct sender *x, uint32_t ack, uint64_t now_us,
		    struct scoreboard_news *news);
void scoreboard_sack(struct engine *e, struct sender *x, const struct sack_block *b, unsigned n,
		     uint64_t now_us, struct scoreboard_news *news);

/*
 * RACK (RFC 8985 section 6.2): segments sent before one that arrived, by more than a reordering
 * window, are lost. Returns when the next one will be (0: none waits).
 */
uint64_t scoreboard_detect(struct engine *e, struct sender *x, uint64_t now_us,
			   struct scoreboard_news *news);

/* After a timeout: all that is not SACKed is lost, and that too where the other end reneged. */
void scoreboard_lose_all(struct engine *e, struct sender *x);

/* What has more bytes than that was too big for the path: lost. */
void scoreboard_lose_larger(struct engine *e, struct sender *x, uint32_t bytes);

/* The episode's loss was none (RFC 3522): what was not sent again is in flight after all. */
void scoreboard_undo(struct engine *e, struct sender *x);

/* The segment is to be sent again, or has arrived: it counts as lost no more. */
void scoreboard_unlose(struct sender *x, struct txseg *t);

/*
 * Where the data begins that only the segment can still bring. With checksums the peer has nothing
 * of a mapping before it has all of it: the first outstanding segment stands for what of its
 * mapping the subflow has acknowledged, too.
 */
uint32_t scoreboard_start(struct engine *e, const struct conn *c, const struct sender *x,
			  const struct txseg *t);

/* May bytes of the guest's [start, end) have to be sent again? */
bool scoreboard_needs(struct engine *e, const struct sender *x, uint32_t start, uint32_t end);

/*
 * The guest sent [seq, end) again and the gate keeps it now: what is foreign of it becomes the
 * sender's own, lost as the guest believes. How many bytes that were.
 */
uint32_t scoreboard_adopt(struct engine *e, struct sender *x, uint32_t seq, uint32_t end);

/* Is anything outstanding that only the guest has? */
bool scoreboard_foreign(struct engine *e, const struct sender *x);

/* First lost segment that was not sent again yet; null when none. */
struct txseg *scoreboard_first_lost(struct engine *e, const struct sender *x);

/* Cuts the segment behind `bytes`; false when no record is free. */
bool scoreboard_cut(struct engine *e, struct sender *x, struct txseg *t, uint32_t bytes);

void scoreboard_free(struct engine *e, struct sender *x);

#endif
