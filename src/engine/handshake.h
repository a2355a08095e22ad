/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handshake.h - SYN and SYN/ACK, rewritten in place on the host's own road.
 */
#ifndef MPGATE_ENGINE_HANDSHAKE_H
#define MPGATE_ENGINE_HANDSHAKE_H

#include "engine/state.h"

/* RFC 9293 section 3.7.1: without the option, MSS is 536 (IPv6: 1220). */
#define MSS_DEFAULT_IPV4 536
#define MSS_DEFAULT_IPV6 1220
/* Below this, 28 bytes of options make a runt of every segment. */
#define MSS_MIN 128

/* A SYN or SYN/ACK at the in-place hook, from either side. */
struct engine_result handshake_packet(struct step *st);

/* Parts that both roles need. */

/* MSS that the options at hand announce, or the default. */
uint16_t handshake_mss(const struct step *st);

/* Puts the packet at hand, with other options and without payload, into the result. */
void handshake_replace(struct step *st, const struct options_writer *w, struct engine_result *r);

/*
 * The packet at hand without MPTCP; `lower`: with the MSS that leaves room for our options. False
 * when it would be too small, or does not fit.
 */
bool handshake_strip(struct step *st, bool lower, struct engine_result *r);

/*
 * Key and token of ours: the key random and not 0, the token unique and not 0 (RFC 8684 section
 * 3.1). REASON_NONE, or why there is none.
 */
enum reason handshake_key(struct step *st, struct conn *c);

/* Why a SYN with these options must stay plain, whoever sent it; REASON_NONE when it need not. */
enum reason handshake_plain_options(const struct step *st);

/* The answer to ENGINE_ASK: see engine_translation(). */
struct engine_result handshake_translated(struct step *st, struct conn *c,
					  const struct flow_tuple *net);

#endif
