// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_options.c - see sim_options.h.
 */
#include "sim_options.h"

enum { K_EOL, K_NOP, K_MSS, K_WSCALE, K_SACK_OK, K_SACK, K_TS = 8, K_MPTCP = 30 };

static bool bad(struct seg *s, const char *what)
{
	s->bad = what;
	return false;
}

static bool parse_one(struct seg *s, const uint8_t *o, uint32_t n)
{
	switch (o[0]) {
	case K_MSS:
		s->has_mss = true;
		if (n != 4)
			return bad(s, "MSS length");
		s->mss = get16(o + 2);
		return true;
	case K_WSCALE:
		s->has_wscale = true;
		if (n != 3)
			return bad(s, "window scale length");
		s->wscale = o[2];
		return true;
	case K_SACK_OK:
		s->sack_permitted = true;
		return n == 2 ? true : bad(s, "SACK-permitted length");
	case K_SACK:
		if (n % 8 != 2 || n < 10 || n > 34 || s->n_sack)
			return bad(s, "SACK length");
		for (uint32_t at = 2; at < n; at += 8)
			s->sack[s->n_sack++] = (struct block){get32(o + at), get32(o + at + 4)};
		return true;
	case K_TS:
		if (n != 10 || s->has_ts)
			return bad(s, "timestamps length");
		s->has_ts = true;
		s->tsval = get32(o + 2);
		s->tsecr = get32(o + 6);
		return true;
	case K_MPTCP:
		return mptcp_parse(s, o, n);
	default:
		return true;
	}
}

bool options_parse(struct seg *s, const uint8_t *o, uint32_t n)
{
	uint32_t at = 0;

	while (at < n && o[at] != K_EOL) {
		if (o[at] == K_NOP) {
			at++;
			continue;
		}
		if (at + 2 > n || o[at + 1] < 2 || at + o[at + 1] > n)
			return bad(s, "options overrun");
		if (!parse_one(s, o + at, o[at + 1]))
			return false;
		at += o[at + 1];
	}
	return true;
}

static uint32_t pad(uint8_t *o, uint32_t n)
{
	while (n % 4)
		o[n++] = K_NOP;
	return n;
}

uint32_t options_build(const struct seg *s, uint8_t out[64])
{
	uint8_t mptcp[64];
	uint32_t n = 0, n_mp = mptcp_build(&s->mp, mptcp), blocks;

	if (s->has_mss) {
		out[n] = K_MSS;
		out[n + 1] = 4;
		put16(out + n + 2, s->mss);
		n += 4;
	}
	if (s->sack_permitted) {
		out[n++] = K_SACK_OK;
		out[n++] = 2;
	}
	if (s->has_ts) {
		n = s->sack_permitted ? n : (out[n] = out[n + 1] = K_NOP, n + 2);
		out[n] = K_TS;
		out[n + 1] = 10;
		put32(out + n + 2, s->tsval);
		put32(out + n + 6, s->tsecr);
		n += 10;
	}
	n = pad(out, n);
	if (s->has_wscale) {
		out[n++] = K_NOP;
		out[n++] = K_WSCALE;
		out[n++] = 3;
		out[n++] = s->wscale;
	}
	blocks = 40 > n + n_mp + 4 ? (40 - n - n_mp - 4) / 8 : 0;
	blocks = blocks < s->n_sack ? blocks : s->n_sack;
	if (blocks) {
		out[n++] = K_NOP;
		out[n++] = K_NOP;
		out[n++] = K_SACK;
		out[n++] = (uint8_t)(2 + 8 * blocks);
		for (uint32_t i = 0; i < blocks; i++, n += 8) {
			put32(out + n, s->sack[i].start);
			put32(out + n + 4, s->sack[i].end);
		}
	}
	memcpy(out + n, mptcp, n_mp);
	return n + n_mp;
}
