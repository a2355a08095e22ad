/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * piece.c - see piece.h. What the guest repeats is repeated under the mapping it had; what is new
 * stands behind all that was sent; what the peer threw away is mapped once more.
 */
#include "engine/piece.h"

#include "base/seq.h"
#include "engine/from_guest.h"
#include "engine/pmtu.h"

#define MAP_MAX_BYTES 65534 /* with DATA_FIN it still fits into 16 bits */
#define LEAVE_AGAIN 2
#define AGAIN_MAX 6 /* of a timer that doubles from 200 ms: 13 s */

/* Before the peer's first DSS, what stands at ISN+1 carries the keys. */
bool piece_capable_again(const struct conn *c, const struct subflow *s, uint32_t ssn)
{
	return !c->responder && !c->confirmed && ssn == s->iss + 1;
}

/* Fresh bytes get a mapping of their own at `ssn`. False when there is no record for it. */
static bool map_fresh(struct step *st, struct conn *c, struct subflow *s, struct piece *x,
		      uint32_t ssn, bool fin)
{
	struct mapping_view *m = &x->map;

	*m = (struct mapping_view){
		.seq = x->seq, .ssn = ssn, .len_bytes = (uint16_t)x->bytes, .data_fin = fin};
	x->ssn = ssn;
	if (c->checksum)
		m->csum = from_guest_checksum(dsn_of_guest(c, x->seq), ssn - s->iss,
					      (uint16_t)(x->bytes + fin), x->payload, x->bytes);
	if (!mapping_add(st->e, s, m, c->checksum || fin))
		return false;
	if (seq_lt(s->snd_nxt, ssn + x->bytes))
		s->snd_nxt = ssn + x->bytes;
	return true;
}

/*
 * Bytes that the peer acknowledged on the subflow, never as data, and that the guest sends again.
 * Once as they were (the answer may bring the DATA_ACK); the second time the peer must have thrown
 * them away (RFC 8684 section 3.3.5 allows it): they are mapped again, further on.
 */
static bool must_remap(const struct conn *c, struct subflow *s, struct piece *x)
{
	/* A mapping with a checksum is one segment: the guest repeats it whole. */
	if (c->checksum)
		return false;
	/* Without DSS on its acknowledgements the peer may speak TCP by now: old bytes at new
	 * numbers would be new data to it. */
	if (c->no_dss_count > 0 || c->infinite)
		return false;
	/* The pieces of one segment of the guest share its round. */
	if (!x->judged) {
		x->judged = true;
		x->second_round = s->again_seq == x->seq;
		s->again_seq = x->seq;
	}
	return x->second_round;
}

/* The peer has this part on the subflow, and lacks a later one. */
static bool tail_missing(const struct conn *c, const struct subflow *s, const struct piece *x)
{
	return c->checksum && seq_lt(s->snd_una, x->map.ssn + x->map.len_bytes);
}

bool piece_split(struct conn *c, struct subflow *s, uint32_t seq)
{
	if (s->again_seq != seq)
		s->n_again = 0;
	s->again_seq = seq;
	if (s->n_again < UINT8_MAX)
		s->n_again++;
	if (s->n_again >= LEAVE_AGAIN && !s->leaving) {
		s->leaving = REASON_SUBFLOW_SPLIT;
		c->join_at_us = 0;
	}
	return s->n_again >= AGAIN_MAX;
}

/*
 * The longest mapping for fresh bytes. With checksums the peer DATA_ACKs a mapping only when it has
 * all of it, and after a timeout the guest sends one segment at a time: so one segment, or neither
 * would ever move.
 */
static uint32_t map_max_bytes(struct step *st, const struct conn *c, const struct subflow *s)
{
	uint32_t ip = c->guest.family == FLOW_IPV4 ? 20 : 40;
	uint32_t most = pmtu_bytes(st->e, s) - ip - 20;

	if (!c->checksum)
		return MAP_MAX_BYTES;
	if (most > c->peer_mss)
		most = c->peer_mss;
	most -= MPTCP_ROOM_BYTES;
	if (most > c->guest_mss)
		most = c->guest_mss;
	return most - (c->timestamps ? 12 : 0);
}

bool piece_place(struct step *st, struct conn *c, struct subflow *s, struct piece *x,
		 uint32_t left_bytes, bool fin)
{
	uint32_t ssn, until, end;
	bool again;

	if (mapping_find(st->e, s, x->seq, &x->map, &ssn, &until)) {
		end = x->map.seq + x->map.len_bytes;
		x->bytes = left_bytes < end - x->seq ? left_bytes : end - x->seq;
		x->ssn = x->map.ssn + (x->seq - x->map.seq);
		s->retransmits++;
		again = seq_le(x->ssn + x->bytes, s->snd_una);
		x->stuck = again && tail_missing(c, s, x) && piece_split(c, s, x->seq);
		if (!again || !must_remap(c, s, x))
			return true;
		if (!mapping_rm(st->e, s, x->seq))
			return false;
		s->remapped = true;
		return map_fresh(st, c, s, x, s->snd_nxt, false);
	}
	x->bytes = map_max_bytes(st, c, s);
	if (x->bytes > left_bytes)
		x->bytes = left_bytes;
	if (x->bytes > until - x->seq)
		x->bytes = until - x->seq;
	fin = fin && x->bytes == left_bytes && !piece_capable_again(c, s, x->seq);
	end = mapping_end(st->e, c, s);
	if (seq_le(end, x->seq))
		return map_fresh(st, c, s, x, s->snd_nxt + (x->seq - end), fin);
	/* Below what was sent: skipped over (M4), or its mapping went with a remapping. */
	if (c->no_dss_count == 0 && !c->infinite &&
	    (seq_lt(ssn, s->snd_una) || seq_lt(s->snd_nxt, ssn + x->bytes) ||
	     (s->remapped && !mapping_vacant(st->e, s, ssn, x->bytes)))) {
		s->remapped = true;
		ssn = s->snd_nxt;
	}
	return map_fresh(st, c, s, x, ssn, false);
}
