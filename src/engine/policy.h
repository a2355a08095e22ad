/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.h - which new connections may use MPTCP: the operator's rules, and the memory of
 * destinations where SYNs with MP_CAPABLE vanish (RFC 8684 section 3.7: a middlebox may drop
 * them).
 */
#ifndef MPGATE_ENGINE_POLICY_H
#define MPGATE_ENGINE_POLICY_H

#include "engine/state.h"

/*
 * The first rule that matches; ENGINE_AUTO when none does. A rule's port is the one that was
 * called: the peer's, or, where the peer opened the connection (responder), the guest's.
 */
enum engine_use policy_use(const struct engine *e, const struct flow_tuple *guest, bool responder);

/* The destination eats SYNs on this path: plain for an hour, twice as long each time. */
void blackhole_add(struct engine *e, const struct flow_tuple *guest, uint8_t path, uint64_t now_us);
bool blackhole_check(const struct engine *e, const struct flow_tuple *guest, uint8_t path,
		     uint64_t now_us);
/* A SYN with MP_CAPABLE got through: forget. */
void blackhole_rm(struct engine *e, const struct flow_tuple *guest, uint8_t path);

#endif
