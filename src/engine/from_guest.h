/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * from_guest.h - a stolen segment of a guest, on its way to the net.
 */
#ifndef MPGATE_ENGINE_FROM_GUEST_H
#define MPGATE_ENGINE_FROM_GUEST_H

#include "engine/state.h"

struct engine_result from_guest(struct step *st, struct conn *c);

/* The guest's acknowledgement and window. False: it acknowledges what it was never sent. */
bool from_guest_take_ack(struct conn *c, const struct packet *p);

/* RFC 8684 section 3.3.1: over the payload and a pseudo-header of DSN, SSN, length. */
uint16_t from_guest_checksum(uint64_t dsn, uint32_t ssn, uint16_t len, const uint8_t *payload,
			     uint32_t bytes);

#endif
