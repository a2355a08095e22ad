/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * piece.h - where on a single subflow the guest's bytes stand, and under which mapping (RFC 8684
 * section 3.3.1).
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
	bool stuck;                /* see tail_missing() */
};

/*
 * Finds or makes the mapping of the piece at x->seq, at most `left_bytes`; sets x->bytes, x->ssn
 * and x->map. `fin`: the guest's FIN follows these bytes. False: no record was free.
 */
bool piece_place(struct step *st, struct conn *c, struct subflow *s, struct piece *x,
		 uint32_t left_bytes, bool fin);

/* True when what stands at `ssn` carries MP_CAPABLE again (section 3.1). */
bool piece_capable_again(const struct conn *c, const struct subflow *s, uint32_t ssn);

#endif
