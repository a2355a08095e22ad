/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * joins.h - the peer's side of subflows that join the connection of a world (world.h).
 */
#ifndef MPGATE_TESTS_JOINS_H
#define MPGATE_TESTS_JOINS_H

#include "world.h"

#define JOIN_SETTLE_US 10000u /* after our ACK the peer is given so long */
#define JOIN_ISN 900000u      /* the peer's, on every joined subflow */
#define JOIN_NONCE 0x05060708u

/* A subflow as the peer knows it from the SYN. */
struct join {
	struct flow_tuple net; /* gate first */
	uint32_t iss, nonce;
	uint32_t token;
	uint8_t id;
	bool backup;
};

/* A world with paths a and b, both with addresses of both families, joins wanted from the start. */
void joins_init(struct world *w, uint8_t family);

/* Opens it; false when the first join is not there. */
bool joins_open(struct world *w, struct join *first);

/* All of it, until there are two subflows. */
bool joins_open_two(struct world *w, uint8_t family, struct join *j);

/* The joins' SYNs among the outputs, at most `most`; how many there are. */
unsigned joins_find(struct world *w, struct join *j, unsigned most);

/* A segment of the peer on the subflow: seq and ack relative to its ISNs. */
void join_sends(struct world *w, const struct join *j, const struct seg *s);

/* The SYN/ACK, with the address id and, unless `hmac_bit` is negative, one bit of the HMAC wrong.
 */
void join_synack(struct world *w, const struct join *j, uint8_t id, bool backup, int hmac_bit);

/* SYN/ACK and fourth ACK: the subflow is established. */
void join_complete(struct world *w, const struct join *j);

/* Output number of the first packet on the subflow whose options hold, -1 when there is none. */
int join_out(struct world *w, const struct join *j, bool (*holds)(const struct world *w));

/* What holds may be. */
bool is_rst(const struct world *w);
bool is_fin(const struct world *w);
bool is_syn(const struct world *w);
bool is_join_ack(const struct world *w);
bool is_add_addr(const struct world *w);
bool is_remove_addr(const struct world *w);
bool is_prio(const struct world *w);
bool is_any(const struct world *w);

/* ADD_ADDR of the peer with its HMAC (echo: without), in a pure ACK on the initial subflow. */
void peer_adds(struct world *w, const struct add_addr *a, bool good);

/* A pure ACK of the peer on the initial subflow that carries the options. */
void peer_signals(struct world *w, const struct options_writer *o);

/* Established subflows that are not leaving. */
unsigned living(struct world *w);

#endif
