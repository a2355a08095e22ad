/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kept.h - payload that the gate keeps while several subflows are in use: one direction's bytes
 * by sequence number, in chunks from a common pool.
 *
 * S1  Chunks are ascending and cover everything from the last kept_trim() or kept_prune() on
 *     without gaps; which bytes of that were really written is the user's to know.
 * S2  Below that only what kept_prune() was told to spare is readable: a dead path may miss bytes
 *     for long that everybody else has, and they must not hold all that came after them.
 * S3  Each of a connection's two streams can always keep one chunk, and the mapping that it waits
 *     for, where there are checksums, KEPT_MAPPING_CHUNKS (verify.h): so many are set aside, and
 *     only who holds fewer than is set aside for it takes of them. So what comes in order goes on
 *     however full the memory is, and what is kept gets free again.
 */
#ifndef MPGATE_ENGINE_KEPT_H
#define MPGATE_ENGINE_KEPT_H

#include "engine/state.h"

#define KEPT_MAPPING_CHUNKS 4 /* 65535 bytes */

/* An empty stream that begins at `seq`, of those for which so many chunks are set aside. */
void kept_init(struct kept *x, uint32_t seq, uint8_t aside_chunks);

/* Chunks that are set aside for a connection with several subflows. */
uint32_t kept_aside(const struct conn *c);

/* Chunks that anybody may take. */
uint32_t kept_available(const struct engine *e);

/* A connection's share of them: nobody takes more than a quarter of what is left. */
uint64_t kept_share_bytes(const struct engine *e);

/* How much of [seq, seq + bytes) kept_write() would take now. */
uint32_t kept_fit(const struct engine *e, const struct kept *x, uint32_t seq, uint32_t bytes);

/*
 * Copies bytes to their place; at most KEPT_MAX_BYTES are kept. False, and nothing written, when
 * there are not enough free chunks.
 */
bool kept_write(struct engine *e, struct kept *x, uint32_t seq, const uint8_t *data,
		uint32_t bytes);

/* The bytes from `seq` on: *run of them lie in one piece (at most `bytes`). */
const uint8_t *kept_read(struct engine *e, const struct kept *x, uint32_t seq, uint32_t bytes,
			 uint32_t *run);

/* Gives back what lies wholly below seq. */
void kept_trim(struct engine *e, struct kept *x, uint32_t seq);

/* The same, but spares the chunks of which `needed` says so for [start, end). */
typedef bool (*kept_needed)(struct engine *e, const struct conn *c, uint32_t start, uint32_t end);
void kept_prune(struct engine *e, struct kept *x, uint32_t seq, kept_needed needed,
		const struct conn *c);

/* Gives back what lies wholly from seq on. */
void kept_cut(struct engine *e, struct kept *x, uint32_t seq);
void kept_free(struct engine *e, struct kept *x);

#endif
