/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * third_ack.h - what a client's third ACK says (RFC 8684 section 3.1), for the unit tests and the
 * fuzzers alike.
 */
#ifndef MPGATE_TESTS_THIRD_ACK_H
#define MPGATE_TESTS_THIRD_ACK_H

#include "wire/mptcp.h"

/* Both keys, and the length of the data that comes with it; 0 bytes: none does. */
static inline struct mp_capable third_ack(uint64_t sender_key, uint64_t receiver_key,
					  uint32_t bytes)
{
	return (struct mp_capable){.version = 1,
				   .flags = MP_CAPABLE_HMAC_SHA256,
				   .n_keys = 2,
				   .has_data_len = bytes > 0,
				   .data_len = (uint16_t)bytes,
				   .sender_key = sender_key,
				   .receiver_key = receiver_key};
}

#endif
