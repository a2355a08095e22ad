/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * address_state.h - the record of a connection's addresses; a part of state.h.
 */
#ifndef MPGATE_ENGINE_ADDRESS_STATE_H
#define MPGATE_ENGINE_ADDRESS_STATE_H

#include "engine.h"

#define PEER_ADDRESSES_MAX 8
#define JOIN_FAILURES_MAX 12
#define REMOVALS_MAX 8
#define OWN_ADDRESSES_MAX (2 * ENGINE_PATHS_MAX)

struct peer_address {
	struct ip_addr addr;
	uint16_t port; /* 0: the connection's */
	uint8_t id, family;
};

/* Joins over this path to this address of the peer failed. */
struct join_failure {
	uint64_t again_at_us; /* UINT64_MAX: the peer does not want it */
	uint8_t path, peer_id, n;
	uint8_t n_stripped; /* of them in a row, because MPTCP's options were taken away */
};

/* An address of ours, as it was announced before ids changed (announce.c). */
struct own_address {
	uint8_t id; /* 0: not announced */
	bool known; /* or not answered to; else the peer was still being asked */
};

/*
 * What a connection needs when either end has more than one address. What idle connections to one
 * peer know of it is the same: those refer to one record, which nobody changes (`shared`).
 */
struct addresses {
	uint32_t pool_link;
	uint32_t shared; /* so many connections have it in common; 0: the connection's own */
	uint8_t n_peer, n_failures, n_removals, n_removals_sent;
	uint8_t removal[REMOVALS_MAX];
	struct peer_address peer[PEER_ADDRESSES_MAX];
	struct join_failure failure[JOIN_FAILURES_MAX];
	struct own_address own[OWN_ADDRESSES_MAX]; /* two for each path: IPv4, IPv6 */
	uint64_t remove_at_us;
};

#endif
