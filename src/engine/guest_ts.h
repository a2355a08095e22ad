/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_ts.h - TSecr for the guest of a connection with several subflows (RFC 7323 section 4).
 *
 * A time stamp may be echoed when the peer can have heard it and not sooner: from the echo of its
 * data the guest takes the round trip that its RTO needs, from that of its acknowledgements the one
 * by which Linux lets its receive window grow; too short a one leaves the window small for good.
 */
#ifndef MPGATE_ENGINE_GUEST_TS_H
#define MPGATE_ENGINE_GUEST_TS_H

#include "engine/multi.h"

/* The guest sent data from `seq` on with this TSval. */
void guest_ts_data(struct multi *m, uint32_t seq, uint32_t tsval);

/* The peer has the guest's data below `una_seq`. */
void guest_ts_acked(struct multi *m, uint32_t una_seq);

/* The guest, all of whose data the peer has, said something. */
void guest_ts_quiet(struct engine *e, const struct conn *c, uint32_t tsval, uint64_t now_us);

uint32_t guest_ts_echo(struct engine *e, const struct conn *c, uint64_t now_us);

#endif
