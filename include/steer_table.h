/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * steer_table.h - what the program at the interfaces' ingress (src/bpf), its loader (src/io) and
 * the rules (src/app) agree upon: the marks, and the table of the tuples that are ours.
 */
#ifndef MPGATE_STEER_TABLE_H
#define MPGATE_STEER_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Marks of packets; the other 28 bits are the host's. The program sets one of the first three, and
 * raw PREROUTING queues what bears it.
 */
#define STEER_SHOWN 0x10000000U     /* for the daemon, if there is one, to have a look at */
#define STEER_CONVERTED 0x20000000U /* of a converted connection: waits for a daemon */
#define STEER_HALF 0x30000000U      /* of one whose third ACK decides; passes without a daemon */
#define STEER_KIND 0x30000000U      /* the bits of these */
#define STEER_DECIDED 0x40000000U   /* the daemon has spoken: the packet goes on */
#define STEER_ALL 0xf0000000U

enum steer_side { STEER_GUEST, STEER_NET };

/* Packets as they come in, sender first; unused bytes are zero. */
struct steer_key {
	uint8_t family;
	uint8_t zero[3];
	uint16_t src_port, dst_port; /* network byte order */
	uint8_t src[16], dst[16];    /* an IPv4 address stands in the first four bytes */
};

enum steer_state {
	STEER_IS_HALF = 1,
	STEER_IS_CONVERTED, /* all but SYN and SYN/ACK, which go the host's own road */
	STEER_IS_OWN,       /* a subflow of the gate's own: its SYN/ACK as well */
	STEER_IS_OVER,      /* lingers; a SYN of a new connection, or what answers it, ends that */
	STEER_IS_FORGOTTEN, /* a subflow of the gate's own that is over: only a SYN ends that */
};

/*
 * The side is no part of the key: what comes from the other one pretends, and the daemon is to see
 * that as well.
 */
struct steer_value {
	uint16_t state; /* enum steer_state */
	uint16_t side;  /* enum steer_side: where such packets come from */
};

/* Of the TCP header. */
#define STEER_FIN 0x01
#define STEER_SYN 0x02
#define STEER_RST 0x04
#define STEER_ACK 0x10

/*
 * The mark of a segment that comes in on `side`; 0: none of ours. `state`: as its tuple stands in
 * the table, 0 if it does not; `options`: it has some. With *again its ports are used again, and
 * there may be no daemon that sees it: the entry is to go.
 */
static inline __attribute__((always_inline)) uint32_t
steer_mark(uint16_t state, enum steer_side side, uint8_t flags, bool options, bool *again)
{
	bool own = state == STEER_IS_OWN || state == STEER_IS_FORGOTTEN;

	*again = (flags & STEER_SYN) &&
		 (state == STEER_IS_OVER || (state == STEER_IS_FORGOTTEN && !(flags & STEER_ACK)));
	if (flags & STEER_SYN) {
		if (own && (flags & STEER_ACK))
			return STEER_CONVERTED;
		/* Half: the client may ask again without MPTCP. */
		if (state == STEER_IS_HALF && side == STEER_NET && !(flags & STEER_ACK))
			return STEER_HALF;
		/* An MPTCP option may be there: raw PREROUTING looks. */
		return side == STEER_NET && !(flags & (STEER_ACK | STEER_RST | STEER_FIN)) &&
				       options
			       ? STEER_SHOWN
			       : 0;
	}
	if (state == 0)
		return 0;
	return state == STEER_IS_HALF ? STEER_HALF : STEER_CONVERTED;
}

#endif
