/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * piece.h - where on a single subflow the guest's bytes stand, and under which mapping (RFC 8684
 * section 3.3.1).
 *
 * With checksums a mapping is verifiable only as a whole, so the peer acknowledges it as data only
 * whole, and who repeats a part of it must be able to repeat the rest. So before the gate keeps
 * payload a mapping is what one segment of the guest holds at most (map_max_bytes()). A guest whose
 * segments become smaller after that (its path's MTU shrank), and whose timer runs out, sends the
 * first part again and again: the rest does not follow before that part is acknowledged, and that
 * would not be true (I1). On this subflow nothing can go on then; on another one the part has a
 * mapping of its own.
 */
#ifndef MPGATE_ENGINE_PIECE_H
#define MPGATE_ENGINE_PIECE_H

#include "engine/mapping.h"

/* One segment that leaves: a part of the guest's, under one mapping. */
struct piece {
	struct mapping_view map;
	const uint8_t *payload;
	uint32_t seq, ssn, bytes;
	bool judged, second_round; /* see must_remap() */
	bool stuck;                /* see piece_split() */
};

/*
 * Finds or makes the mapping of the piece at x->seq, at most `left_bytes`; sets x->bytes, x->ssn
 * and x->map. `fin`: the guest's FIN follows these bytes. False: no record was free.
 */
bool piece_place(struct step *st, struct conn *c, struct subflow *s, struct piece *x,
		 uint32_t left_bytes, bool fin);

/*
 * Once more the guest repeats a part, from `seq` on, of a mapping that the peer has not whole. The
 * subflow is to be left for another one; true: for so long that none can be had.
 */
bool piece_split(struct conn *c, struct subflow *s, uint32_t seq);

/* True when what stands at `ssn` carries MP_CAPABLE again (section 3.1). */
bool piece_capable_again(const struct conn *c, const struct subflow *s, uint32_t ssn);

#endif
