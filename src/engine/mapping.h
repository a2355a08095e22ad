/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mapping.h - the mappings under which a guest's data was sent on a subflow (RFC 8684 section
 * 3.3.1).
 *
 * Theory. The Linux receiver keeps one mapping per subflow, and a different one for bytes that a
 * pending mapping still covers is a conflict (reset or fallback). So a retransmission repeats the
 * mapping of its first sending, and that needs the boundaries, not the bytes, of what is not yet
 * DATA_ACKed. They stand in a list per subflow, ascending by the guest's sequence number:
 *
 * M1  Records of one subflow never overlap in guest sequence.
 * M2  Equal mappings that follow one another without a gap share a record (a run), so a bulk
 *     sender without segmentation offload costs one record, not thousands. With checksums each
 *     mapping has its own record.
 * M3  Usually ssn - seq is one constant. It grows when bytes must be mapped again further on in
 *     the subflow (the peer took them at subflow level but never DATA_ACKed them).
 * M4  What lies between two records was never seen here (lost before the gate): room was left for
 *     it below the record behind it, from which its ssn follows, unless that was mapped again.
 * M5  For each connection one record is set aside, for the mapping of the first byte that the peer
 *     lacks: when that was lost before the gate, all that the connection's other records hold
 *     waits for it, and would wait for ever.
 */
#ifndef MPGATE_ENGINE_MAPPING_H
#define MPGATE_ENGINE_MAPPING_H

#include "engine/state.h"

/* One mapping, taken out of its run. */
struct mapping_view {
	uint32_t seq, ssn;
	uint16_t len_bytes;
	uint16_t csum; /* memory order */
	bool data_fin;
};

/*
 * The mapping that holds guest sequence `seq`. False if none does: then *ssn is where the byte
 * belongs if it was skipped over (M4) and *until the first sequence behind `seq` that is mapped
 * (or seq - 1 + 2^31 when none is).
 */
bool mapping_find(struct engine *e, const struct subflow *s, uint32_t seq, struct mapping_view *m,
		  uint32_t *ssn, uint32_t *until);

/*
 * Behind all that was mapped so far, in guest sequence: there new bytes follow at s->snd_nxt. A FIN
 * that came before what it ends does not count, so that what is still to come before it has room.
 */
uint32_t mapping_end(struct engine *e, const struct conn *c, const struct subflow *s);

/*
 * How far, up to `seq`, what was mapped is acknowledged on the subflow too. Only where something
 * was mapped again (M3) that may be less than what the peer has as data.
 */
uint32_t mapping_acked(struct engine *e, const struct subflow *s, uint32_t seq);

/* No remembered mapping stands at [ssn, ssn + bytes) of the subflow. */
bool mapping_vacant(struct engine *e, const struct subflow *s, uint32_t ssn, uint32_t bytes);

/*
 * Remembers a mapping that overlaps no other. False when no record is free (M5). `lone` forbids
 * sharing a record (it has a checksum or a DATA_FIN of its own).
 */
bool mapping_add(struct engine *e, struct subflow *s, const struct mapping_view *m, bool lone);

/* Forgets the one mapping that holds `seq`, which was found before. False: no record to split. */
bool mapping_rm(struct engine *e, struct subflow *s, uint32_t seq);

/* Forgets what lies wholly below `una_seq`, which the peer has DATA_ACKed. */
void mapping_free_acked(struct engine *e, struct subflow *s, uint32_t una_seq);
void mapping_free_all(struct engine *e, struct subflow *s);

#endif
