/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multi_state.h - records of connections that have several subflows. A part of state.h, which
 * includes it.
 */
#ifndef MPGATE_ENGINE_MULTI_STATE_H
#define MPGATE_ENGINE_MULTI_STATE_H

#include "base/pool.h"
#include "engine/congestion.h"
#include "engine/scheduler.h"

/*
 * What a sender sent in one go and has not seen acknowledged; cut where SACK blocks cut. Its
 * mapping stays that of the first sending, whatever is cut. A foreign one was sent before the gate
 * kept bytes: only the guest has them, until it sends them again (map_len_bytes 0: it was lost
 * before the gate, nothing was mapped).
 */
struct txseg {
	uint32_t pool_link, next;
	uint32_t ssn, seq, bytes; /* seq: the guest's */
	uint32_t map_ssn, map_seq;
	uint16_t map_len_bytes, map_csum;
	bool sacked, lost, foreign;
	bool reinjected; /* its data went out on another subflow as well */
	bool app_limited;
	bool map_fin; /* a DATA_FIN stands behind map_len_bytes */
	uint8_t n_sent;
	uint64_t sent_us; /* the last time */
	uint64_t first_sent_us, prior_delivered_bytes, prior_delivered_us;
};

/* The gate's own TCP sender of one subflow: RFC 5681, 6298, 6675, 8985 (RACK-TLP), 6937 (PRR). */
struct sender {
	uint32_t pool_link;
	uint32_t head, tail; /* txsegs, ascending by ssn, from snd_una to snd_nxt */
	uint32_t in_flight_bytes, lost_bytes;
	uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us, rtt_us; /* rtt_us: the latest */
	uint32_t recover_ssn;
	uint32_t prr_delivered_bytes, prr_out_bytes, prr_from_bytes;
	uint32_t rack_rtt_us, rack_end_ssn;
	uint32_t dup_bytes;   /* SACKed above the cumulative acknowledgement */
	uint32_t again_bytes; /* sent again in this episode and not yet reported twice (DSACK) */
	uint32_t again_tsval; /* of the first thing sent again in this episode */
	uint32_t tlp_end_ssn, tlp_tsval;
	bool in_recovery; /* loss was found by acknowledgements: PRR */
	bool in_loss;     /* the timer fired: slow start until recover_ssn */
	bool undoable;    /* nothing yet proves that the episode's loss was one */
	bool reordering, tlp_out;
	bool suspect; /* silent with data outstanding: what it carries goes elsewhere too */
	bool stale;   /* the timer fired and nothing was acknowledged since */
	bool down;    /* its path was down when we last looked */
	bool mute;    /* nothing at all came since the timer fired for the first time */
	bool unheard; /* asked (join_room.c), and silent since */
	uint8_t n_rto;
	uint64_t rack_sent_us;
	uint64_t rto_at_us, tlp_at_us, reo_at_us, suspect_at_us, pace_at_us;
	uint64_t delivered_bytes, delivered_us, first_sent_us;
	uint64_t app_limited_bytes; /* until so much is delivered, samples say little */
	uint64_t last_sent_us, penalised_us;
	uint64_t rate_bytes_per_s[2],
		rate_until_us; /* most delivered, now and in the time before */
	struct cc cc;

	/* from_net: mappings that wait for their checksum; V3 and V2 of verify.h */
	uint32_t partials, hand_ssn, void_ssn;
	uint32_t refused_ssn; /* what found no memory last, out of the data's order */
	bool refused, starved;
	uint32_t told_ack; /* what was acknowledged without data last, and how often before */
	uint8_t n_same_ack;
	uint8_t n_no_dss;      /* acknowledgements of data in a row that had no MPTCP option */
	uint64_t no_dss_at_us; /* when that began */
	uint32_t gap_us[2];    /* longest between arrivals of data, now and in the time before */
	uint64_t gap_until_us;
};

/* A stretch of sequence numbers (spans.h). */
struct span {
	uint32_t pool_link, next;
	uint32_t start, end;
};

/* What a list of them begins with: its last one, the one that was touched last, how many. */
struct span_list {
	uint32_t last; /* the pool's while free */
	uint32_t first;
	uint32_t cursor, n;
};

#define KEPT_CHUNK_BYTES 16384
#define KEPT_MAX_BYTES (64u << 20)

struct chunk {
	uint32_t pool_link, next;
	uint32_t seq; /* of its first byte */
	uint8_t zero[52];
	uint8_t data[KEPT_CHUNK_BYTES];
};

struct kept {
	uint32_t base_seq; /* nothing below is kept */
	uint32_t end_seq;  /* where the next chunk begins */
	uint32_t n_chunks;
	uint32_t head, tail, cursor;
	uint8_t aside_chunks; /* may be taken of what is set aside (kept.h, S3) */
};

/* A mapping of the peer that is not whole yet (verify.h). */
struct partial {
	uint32_t pool_link, next;
	uint32_t ssn, seq, bytes; /* seq: as the guest sees it */
	uint16_t sum;             /* of the pseudo-header and the checksum, folded */
	struct kept kept;         /* by ssn */
};

#define TSMARKS 32

/* From guest sequence `seq` on, the guest's segments carried this TSval. */
struct tsmark {
	uint32_t seq, tsval;
};

#define QUIET_TS 8

/* Of the guest's acknowledgements: the TSval, and when it came. */
struct quiet_ts {
	uint64_t at_us;
	uint32_t tsval;
};

/* The gate as the sender of the peer's data towards the guest (guest_sender.h). */
struct guest_sender {
	uint32_t sacked;  /* list of struct span */
	uint32_t ahead;   /* likewise: sent before its turn (G5) */
	uint32_t out_seq; /* everything below was sent once */
	uint32_t rtx_seq, recover_seq;
	uint32_t rtt_seq, srtt_us, rttvar_us;
	uint64_t rtt_at_us; /* 0: nothing is being timed */
	uint64_t rto_at_us;
	uint8_t n_dup, n_rto;
	bool recovery;
	bool loss;    /* by the timer: everything up to recover_seq may be missing */
	bool blind;   /* without SACK: likewise, as the answers show */
	bool fin_out; /* sent once */
	bool sacks;   /* the guest tells what it has behind a hole */
	bool forgets; /* and did not have it any more when its turn came */
};

/* What a connection needs only while it has several subflows. */
struct multi {
	uint32_t pool_link;
	uint32_t conn;

	/* to_net: the guest's bytes from hand_seq on are kept here until nobody needs them */
	struct kept tx;
	uint32_t hand_seq; /* what lies below, the guest itself sends again */
	uint32_t end_seq;  /* contiguous end of what the guest sent */
	uint32_t nxt_seq;  /* first byte never sent */
	uint32_t early;    /* spans from the guest, behind a hole */
	uint32_t again;    /* spans to be sent on another subflow as well */
	uint32_t
		told_seq; /* right edge told to the guest: what was granted, less what is bounded */
	bool fin_out;
	uint64_t fin_at_us, data_at_us; /* DATA_FIN again; the data level's own timer */
	uint64_t ack_guest_at_us;       /* when the guest is told more; 0: nothing is held back */
	uint32_t recover_seq; /* below, what nobody carries goes again as soon as it is first */
	uint8_t n_fin, n_data;
	uint8_t n_slow_rounds; /* of the guest's, in a row, in which its window did not grow */
	uint32_t pruned_seq;   /* una_seq when memory was last given back */
	uint8_t n_tsmarks, n_quiet;
	struct tsmark tsmark[TSMARKS];
	uint32_t ts_echo; /* TSecr for the guest */
	struct quiet_ts quiet[QUIET_TS];
	uint64_t guest_us; /* when the guest said something last */
	/* ack_guest.c: what the guest was told last; its round trip */
	uint32_t acked_guest_seq;
	uint64_t acked_guest_us, train_guest_us; /* without a pause since */
	uint32_t round_guest_seq;   /* acknowledged: a round trip as the guest sees it is over */
	uint32_t round_guest_bytes; /* outstanding when it began */
	uint32_t most_guest_bytes;  /* it had outstanding at the end of one */

	/* to_guest */
	struct kept rx;
	uint32_t rx_hand_seq; /* what lies below was passed on unkept; the guest still owes its ACK
			       */
	uint32_t rx_nxt_seq;  /* contiguous end of what was received, all of it sent to the guest */
	uint32_t rx_told_seq; /* right edge told to the peer: what the guest granted, less what
				 is bounded */
	uint32_t spans;       /* list of struct span, ascending */
	uint64_t hole_us;     /* since when the same thing is missing; 0: nothing is */
	uint64_t hole_at_us;  /* when to look who misses it */
	uint64_t came_us;     /* when data came last, on whichever subflow */
	uint64_t resumed_us;  /* when it came again after none had come for a while */
	uint64_t asked_us;    /* when the subflows were asked who lives (join_room.c); or 0 */
	struct guest_sender guest;
	uint32_t tsval_guest; /* at ts_since_us; counts milliseconds */
	uint64_t ts_since_us;

	uint8_t n_altered;  /* wrong checksums on the only subflow left */
	bool checked;       /* counted in n_checked */
	uint32_t last_from; /* subflow that brought data last */
	int last_to;
	struct sched sched;
};

#endif
