/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * receive.h - what arrives on a subflow: the peer's mappings, the subflow's own order, and the
 * translation between the subflow's sequence numbers and those that the guest sees.
 *
 * Theory. On one subflow the guest's own TCP acknowledges and reorders; the gate only translates.
 * Usually ssn - seq is one constant, 0 from the handshake on. But the peer may send data again
 * further on in the subflow (a zero-window probe of Linux is such a mapping of one old byte, and
 * so is its data-level retransmission), and then the constant grows. `shift` lists where.
 *
 * R1  rcv_nxt is contiguous at the gate; beyond it `ooo` holds what came early.
 * R2  The acknowledgement told on the subflow is never beyond rcv_nxt, never beyond the place of
 *     what the guest has acknowledged, and never goes back.
 * R3  shift[] is ascending by ssn; what lies below shift[0].ssn is acknowledged.
 */
#ifndef MPGATE_ENGINE_RECEIVE_H
#define MPGATE_ENGINE_RECEIVE_H

#include "engine/state.h"

/* Takes in the mapping of a DSS; `dsn` is full 64 bits. The record of it, never null. */
struct peer_map *receive_map(struct subflow *s, const struct dss *d, uint64_t dsn);

/* The remembered mapping that holds the absolute `ssn`; null when none does. */
struct peer_map *receive_map_find(struct subflow *s, uint32_t ssn);

/* Notes that [ssn, ssn + len) of the subflow is, for the guest, seq = ssn - delta. */
void receive_shift(struct subflow *s, uint32_t ssn, uint32_t len_bytes, uint32_t delta);

/* Notes that [ssn, end) was received; `fin`: the peer's FIN stands at `end`. */
void receive_bytes(struct subflow *s, uint32_t ssn, uint32_t end, bool fin);

/* True when something of [ssn, end) was received before. */
bool receive_overlaps(const struct subflow *s, uint32_t ssn, uint32_t end);

/*
 * The subflow acknowledgement when the guest acknowledged `seq` (R2). `alone`: all that it
 * acknowledges came on this subflow.
 */
uint32_t receive_ack(struct subflow *s, uint32_t seq, bool alone);

/* Subflow number of a guest-side sequence number (for SACK blocks): by the newest shift. */
uint32_t receive_ssn(const struct subflow *s, uint32_t seq);

#endif
