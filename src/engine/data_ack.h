/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * data_ack.h - several subflows: on which of them the peer is told a DATA_ACK or a window when no
 * data of the subflow's own has to be acknowledged.
 */
#ifndef MPGATE_ENGINE_DATA_ACK_H
#define MPGATE_ENGINE_DATA_ACK_H

#include "engine/state.h"

/* Tells it on one of them, or with the next data's acknowledgement. */
void data_ack_tell(struct step *st, struct conn *c);

/*
 * The segment at hand repeats what was DATA_ACKed, after nothing had come for a while: of what is
 * told on this subflow the peer does not hear the DATA_ACK. It is told on the others too.
 */
void data_ack_again(struct step *st, struct conn *c, const struct subflow *s);

#endif
