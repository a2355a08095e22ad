/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - TCP options (RFC 9293, 7323, 2018, 7413, 2385, 5925): all decoded in one pass, and
 * a writer that never exceeds the 40 bytes that a TCP header has for them.
 */
#ifndef MPGATE_WIRE_OPTIONS_H
#define MPGATE_WIRE_OPTIONS_H

#include "wire/mptcp.h"

#define OPTIONS_MAX 40
#define OPTIONS_SACK_MAX 4

enum tcp_option_kind {
	TCPOPT_EOL = 0,
	TCPOPT_NOP = 1,
	TCPOPT_MSS = 2,
	TCPOPT_WSCALE = 3,
	TCPOPT_SACK_PERMITTED = 4,
	TCPOPT_SACK = 5,
	TCPOPT_TIMESTAMPS = 8,
	TCPOPT_MD5 = 19,
	TCPOPT_AO = 29,
	TCPOPT_MPTCP = 30,
	TCPOPT_FASTOPEN = 34,
	TCPOPT_EXPERIMENTAL = 254, /* with magic 0xF989: TCP Fast Open */
};

struct sack_block {
	uint32_t start, end;
};

struct options {
	bool overrun; /* a length was below 2 or beyond the end: what stood before is decoded */
	bool has_mss, has_wscale, has_sack_permitted, has_timestamps;
	bool has_fastopen, has_md5, has_ao;
	uint8_t wscale; /* at most 14, larger ones are cut (RFC 7323 section 2.3) */
	uint8_t n_sack;
	uint16_t mss;
	uint32_t tsval, tsecr;
	struct sack_block sack[OPTIONS_SACK_MAX];
	struct mptcp mp; /* every MPTCP option of the segment */
};

/* `syn`, `ack`: the segment's flags, which decide how MP_CAPABLE and MP_JOIN are read. */
void options_decode(struct options *o, const uint8_t *data, unsigned len_bytes, bool syn, bool ack,
		    bool has_payload);

struct options_writer {
	uint8_t len_bytes;
	uint8_t buf[OPTIONS_MAX];
};

static inline unsigned options_room(const struct options_writer *w)
{
	return OPTIONS_MAX - w->len_bytes;
}

/* Every writer: false and nothing written when it does not fit. */
bool options_put(struct options_writer *w, const void *data, unsigned len_bytes);
bool options_put_nops(struct options_writer *w, unsigned n);
bool options_put_mss(struct options_writer *w, uint16_t mss);
/* Both put two NOPs first, as Linux does. */
bool options_put_timestamps(struct options_writer *w, uint32_t tsval, uint32_t tsecr);
bool options_put_sack(struct options_writer *w, const struct sack_block *b, unsigned n);

/*
 * Copies options verbatim and in order, leaving out the kinds in the 0-terminated list `without`
 * (null: none), everything behind EOL, and the NOPs directly before an option that is left out.
 * False if something did not fit; what fitted is written.
 */
bool options_copy(struct options_writer *w, const uint8_t *data, unsigned len_bytes,
		  const uint8_t *without);

/* Overwrites the MSS option in place if there is one; false if not. */
bool options_set_mss(struct options_writer *w, uint16_t mss);

/* Fills up with NOP to a multiple of 4. */
void options_pad(struct options_writer *w);

#endif
