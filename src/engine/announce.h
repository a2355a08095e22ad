/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * announce.h - what the peer is told of our addresses and subflows: ADD_ADDR, its echo,
 * REMOVE_ADDR, MP_PRIO (RFC 8684 sections 3.3.8, 3.4). Each goes on an acknowledgement of its own,
 * as Linux sends them.
 */
#ifndef MPGATE_ENGINE_ANNOUNCE_H
#define MPGATE_ENGINE_ANNOUNCE_H

#include "engine/state.h"

/*
 * The address id of a path's address: another one each time that the path comes back, so that a
 * REMOVE_ADDR on its way cannot hit what came after it.
 */
uint8_t announce_id(const struct engine *e, uint8_t path, uint8_t family);

/* Whether a subflow over the path is backup by our word (configuration, price). */
bool announce_backup(const struct engine *e, uint8_t path);

/* Confirms the peer's ADD_ADDR; takes its confirmation of ours. */
void announce_echo(struct step *st, struct conn *c, struct subflow *s, const struct add_addr *a);
void announce_echoed(struct step *st, struct conn *c, struct subflow *s);

/* The peer shall hear that our address with this id is gone. */
void announce_removal(struct step *st, struct conn *c, uint8_t id);

/* The same, but not repeated: a subflow of this id may come after it. */
void announce_removal_once(struct step *st, struct conn *c, uint8_t id);

/* Does this connection's peer hear of our addresses at all? */
bool announce_due(const struct engine *e, const struct conn *c);

/* Not yet, because neither end's data was answered: see announce.c. */
bool announce_held(const struct conn *c);

/* The ids of our addresses, or their places, are about to change: what the peer knows them by. */
void announce_unfold(struct engine *e, struct conn *c);

/* Sends what is due; lowers *next_us to when there is more to do. */
void announce_check(struct step *st, struct conn *c, uint64_t *next_us);

#endif
