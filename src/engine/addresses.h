/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addresses.h - what the peer says of its addresses and subflows: ADD_ADDR, REMOVE_ADDR, MP_PRIO
 * (RFC 8684 sections 3.3.8, 3.4), and where joins to it failed.
 *
 * An address of the peer is named by its id. Id 0 is the one that the connection began with; it
 * stands in struct conn and may be forbidden (the C flag of MP_CAPABLE) or taken back.
 */
#ifndef MPGATE_ENGINE_ADDRESSES_H
#define MPGATE_ENGINE_ADDRESSES_H

#include "engine/state.h"

/* The connection's record, its own: made or copied if need be; null when none is free. */
struct addresses *addresses_of(struct engine *e, struct conn *c);
void addresses_free(struct engine *e, struct conn *c);

/* The same, null if it has none of its own. */
struct addresses *addresses_own(struct engine *e, const struct conn *c);

/* Its own record holds nothing but the peer's addresses: shared with whoever knows the same. */
void addresses_share(struct engine *e, struct conn *c);

/* Acts on the options of the peer's segment at hand, which came on `s`. */
void addresses_on_packet(struct step *st, struct conn *c, struct subflow *s);

/* Where the i-th address of the peer that may be joined is; false behind the last. */
bool addresses_target(struct engine *e, const struct conn *c, unsigned i, struct peer_address *to);

/* The id of the peer's address that a subflow of ours goes to. */
uint8_t addresses_peer_id(struct engine *e, const struct conn *c, const struct flow_tuple *net);

/*
 * A join over `path` to the peer's address failed; `forever`: the peer does not want it. And when
 * it may be tried again: 0 at once, UINT64_MAX never.
 */
void addresses_failed(struct step *st, struct conn *c, uint8_t path, uint8_t peer_id, bool forever);
uint64_t addresses_again_us(struct engine *e, const struct conn *c, uint8_t path, uint8_t peer_id);

/*
 * It failed, or the subflow did, because options were taken away there; goes before
 * addresses_failed(). True: three times without an hour between them.
 */
bool addresses_stripped(struct step *st, struct conn *c, uint8_t path, uint8_t peer_id);

/* Forgets failures over the path; ENGINE_NO_PATH: all of them. */
void addresses_forgive(struct engine *e, const struct conn *c, uint8_t path);

#endif
