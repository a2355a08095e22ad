/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join_room.h - how many joins from outside there may be, and who makes room for one.
 */
#ifndef MPGATE_ENGINE_JOIN_ROOM_H
#define MPGATE_ENGINE_JOIN_ROOM_H

#include "engine/state.h"

/*
 * Is there room for one more half-open join of the connection? REASON_NONE: there is, if need be
 * once *goes (else null) was handed to join_room_make(). Else why not, *why for the peer; what has
 * to be known before it asks again is found out meanwhile.
 */
enum reason join_room_check(struct step *st, struct conn *c, enum mp_tcprst_reason *why,
			    struct subflow **goes);
void join_room_make(struct step *st, struct conn *c, struct subflow *goes);

/* Nobody answered the SYN/ACK. */
void join_room_give_up(struct step *st, struct conn *c, struct subflow *s);

#endif
