/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mbox.h - a middlebox that misbehaves on order: what it shall do to the packets that it is shown.
 */
#ifndef MBOX_H
#define MBOX_H

#include <stdbool.h>
#include <stdint.h>

#define MBOX_NEVER UINT64_MAX

/* Positions of a connection whose packets can be stripped of MPTCP options, as bits. */
enum mbox_position {
	MBOX_SYN = 1,
	MBOX_SYNACK = 2,
	MBOX_ACK3 = 4,        /* the client's first packet after the SYN/ACK */
	MBOX_CLIENT_DATA = 8, /* the client's packets with payload */
	MBOX_CLIENT_ACK = 16, /* ... without */
	MBOX_SERVER_DATA = 32,
	MBOX_SERVER_ACK = 64,
};

enum mbox_verdict { MBOX_PASS, MBOX_CHANGED, MBOX_DROP };

struct mbox_opts {
	uint16_t port;              /* the server's: tells the directions apart */
	unsigned strip;             /* enum mbox_position, from the first packet on */
	uint64_t strip_after_bytes; /* both directions, when so many bytes went either way */
	uint64_t corrupt_at_bytes;  /* one byte of the payload there; TCP checksum mended */
	bool corrupt_from_server;
	unsigned drop_capable_syns; /* so many of each connection */
	unsigned loss_ppm;
	uint32_t seq_shift;  /* added to the client's sequence numbers */
	uint32_t server_isn; /* the server's first becomes this one; 0: stays */
	uint64_t seed;
};

struct mbox_counts {
	unsigned packets, stripped, corrupted, dropped, capable_syns;
};

/* May change the packet in place. */
enum mbox_verdict mbox_packet(uint8_t *ip, unsigned len_bytes, const struct mbox_opts *o,
			      struct mbox_counts *n);

#endif
