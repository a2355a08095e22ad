/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.h - DSS checksums of the peer's data while there are several subflows (RFC 8684 sections
 * 3.3.1, 3.7).
 *
 * A checksum covers a whole mapping, and that may come in many segments, out of order and twice.
 * Nothing of it goes on before it is verified: a mapping that one segment holds whole is summed
 * where it lies; otherwise its bytes are kept in a record of its own until the subflow has all of
 * them. A bad one ends its subflow (MP_FAIL, RST), and the peer sends its data elsewhere.
 *
 * V1  A partial holds a mapping of which the subflow received something, but not yet all; they are
 *     ascending by ssn and do not overlap. Who sends another mapping for the same bytes has the
 *     first one checked.
 * V2  What the subflow received and no partial holds was verified, or belongs to a mapping below
 *     `void_ssn` that was given up for lack of memory: it was never DATA_ACKed, the peer's data
 *     level sends it again, and what else comes of such a mapping is thrown away.
 * V3  Below `hand_ssn` stands what was passed on while there was one subflow, as it came. A mapping
 *     that begins there is finished likewise; when it proves wrong, the guest has wrong bytes that
 *     nobody can take back, and the connection is reset.
 * V4  Of a mapping nothing can go on before all of it is here, so whoever begins to send one that
 *     holds the data's next byte must be able to finish it, whatever the memory. For each
 *     connection one record and the chunks of the longest mapping are set aside (kept.h, S3). The
 *     mapping that holds the next byte takes them when nothing else is left, and then all other
 *     partials of the connection are given up: one mapping for the next byte displaces another
 *     only where the peer sends that byte twice, and the last of them is finished unless its
 *     subflow dies, after which the peer sends it elsewhere.
 */
#ifndef MPGATE_ENGINE_VERIFY_H
#define MPGATE_ENGINE_VERIFY_H

#include "engine/state.h"

enum verified {
	VERIFY_GOOD,      /* the piece may go on */
	VERIFY_KNOWN,     /* nothing in it is new, or of use */
	VERIFY_HELD,      /* it was put to its mapping, which verify_whole() judges */
	VERIFY_BAD,       /* the mapping is wrong */
	VERIFY_TOO_LATE,  /* likewise, and some of it went on before: V3 */
	VERIFY_NO_MEMORY, /* nothing was taken */
};

/* From here on several subflows: what came before is V3's. */
void verify_begin(struct engine *e, const struct conn *c, struct subflow *s);
void verify_end(struct engine *e, struct subflow *s);

/* Is there a record left that can be set aside for one more connection (V4)? */
bool verify_room(const struct engine *e);

/*
 * The stretch [ssn, ssn + bytes) of the mapping `m` (or of the partial at ssn, then m may be null),
 * before it counts as received. `due`: V4 holds, it may take what is set aside.
 */
enum verified verify_piece(struct engine *e, const struct conn *c, struct subflow *s,
			   struct peer_map *m, uint32_t ssn, const uint8_t *payload, uint32_t bytes,
			   bool due);

/* The mapping of a kept piece at ssn; null when none is kept. */
struct partial *verify_find(struct engine *e, const struct subflow *s, uint32_t ssn);

/* After the piece counts as received: VERIFY_HELD while some is missing, then GOOD or BAD. */
enum verified verify_whole(struct engine *e, const struct subflow *s, const struct partial *p);

/* From here on what comes of the mapping (or the partial at ssn) is thrown away. */
void verify_give_up(struct engine *e, struct subflow *s, const struct peer_map *m, uint32_t ssn);

/* Gives up all partials of the subflow but the one at `ssn`, if `spare`. False: there were none. */
bool verify_yield(struct engine *e, struct subflow *s, bool spare, uint32_t ssn);

/* Gives the partial back. */
void verify_drop(struct engine *e, struct subflow *s, struct partial *p);

/* Gives back what the guest has acknowledged: it came another way. */
void verify_trim(struct engine *e, const struct conn *c, struct subflow *s);

#endif
