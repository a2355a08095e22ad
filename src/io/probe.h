/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.h - a harmless packet that is sent through a device of ours and looked for where it has to
 * leave: a TCP RST of no connection, which its receiver ignores (RFC 9293 section 3.10.7.1), and
 * which no router behind this host passes on.
 */
#ifndef MPGATE_IO_PROBE_H
#define MPGATE_IO_PROBE_H

#include "engine.h"

enum probe_result {
	PROBE_LEFT,    /* it left as it was sent */
	PROBE_CHANGED, /* it left with other addresses or ports */
	PROBE_LOST,    /* it was not seen */
};

struct probe {
	struct flow_tuple tuple;
	uint8_t hops;      /* its limit: 1, or 2 where this host's own routing takes one */
	uint32_t magic[2]; /* sequence and acknowledgement numbers, by which it is known again */
};

/* The packet, as the engine would put it out. */
void probe_packet(const struct probe *probe, struct engine_out *out);

/* A socket that hears what leaves by the interface; or -errno. */
int probe_listen(unsigned ifindex);

/* What became of it, at most timeout_ms later. */
enum probe_result probe_await(int fd, const struct probe *probe, int timeout_ms);

#endif
