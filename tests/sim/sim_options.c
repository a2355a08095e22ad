// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_options.c - see sim_options.h.
 */
#include "sim_options.h"

enum { K_EOL, K_NOP, K_MSS, K_WSCALE, K_SACK_OK, K_SACK, K_TS = 8, K_MPTCP = 30 };
enum {
	MP_CAPABLE,
	MP_JOIN,
	MP_DSS,
	MP_ADD_ADDR,
	MP_REMOVE_ADDR,
	MP_PRIO,
	MP_FAIL,
	MP_FASTCLOSE,
	MP_TCPRST
};

static bool bad(struct seg *s, const char *what)
{
	s->bad = what;
	return false;
}

static bool parse_capable(struct seg *s, const uint8_t *o, uint32_t n)
{
	struct mp *m = &s->mp;

	m->capable = true;
	m->version = o[2] & 15;
	m->capable_flags = o[3];
	if (n != 4 && n != 12 && n != 20 && n != 22 && n != 24)
		return bad(s, "MP_CAPABLE length");
	m->n_keys = n == 4 ? 0 : n == 12 ? 1 : 2;
	for (int i = 0; i < m->n_keys; i++)
		m->key[i] = get64(o + 4 + 8 * i);
	m->has_data_len = n >= 22;
	if (m->has_data_len)
		m->data_len = get16(o + 20);
	m->has_capable_csum = n == 24;
	if (n == 24)
		m->csum = get16(o + 22);
	return true;
}

static bool parse_dss(struct seg *s, const uint8_t *o, uint32_t n)
{
	struct mp *m = &s->mp;
	uint32_t want = 4, at = 4;
	uint8_t f = o[3];

	m->dss = true;
	m->has_ack = f & 1;
	m->ack64 = f & 2;
	m->has_map = f & 4;
	m->dsn64 = f & 8;
	m->data_fin = f & 16;
	if (f & 0xe0)
		return bad(s, "DSS reserved flags");
	want += m->has_ack ? (m->ack64 ? 8 : 4) : 0;
	want += m->has_map ? (m->dsn64 ? 14 : 10) : 0;
	m->has_csum = m->has_map && n == want + 2;
	if (n != want + (m->has_csum ? 2 : 0))
		return bad(s, "DSS length");
	if (m->has_ack) {
		m->data_ack = m->ack64 ? get64(o + at) : get32(o + at);
		at += m->ack64 ? 8 : 4;
	}
	if (m->has_map) {
		m->dsn = m->dsn64 ? get64(o + at) : get32(o + at);
		at += m->dsn64 ? 8 : 4;
		m->ssn = get32(o + at);
		m->map_len = get16(o + at + 4);
		if (m->has_csum)
			m->csum = get16(o + at + 6);
	}
	return true;
}

static bool parse_mptcp(struct seg *s, const uint8_t *o, uint32_t n)
{
	struct mp *m = &s->mp;

	m->n_options++;
	if (n < 4)
		return n == 3 && o[2] >> 4 == MP_PRIO ? (m->other = true) : bad(s, "MPTCP length");
	switch (o[2] >> 4) {
	case MP_CAPABLE:
		return m->capable ? bad(s, "two MP_CAPABLE") : parse_capable(s, o, n);
	case MP_DSS:
		return m->dss ? bad(s, "two DSS") : parse_dss(s, o, n);
	case MP_FASTCLOSE:
		m->fastclose = true;
		if (n != 12)
			return bad(s, "MP_FASTCLOSE length");
		m->fastclose_key = get64(o + 4);
		return true;
	case MP_FAIL:
		m->fail = true;
		if (n != 12)
			return bad(s, "MP_FAIL length");
		m->fail_dsn = get64(o + 4);
		return true;
	case MP_TCPRST:
		m->tcprst = true;
		return n == 4 ? true : bad(s, "MP_TCPRST length");
	default:
		m->other = true;
		return true;
	}
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
		return parse_mptcp(s, o, n);
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

static uint8_t *begin_mptcp(uint8_t *o, uint8_t n, uint8_t subtype, uint8_t low)
{
	o[0] = K_MPTCP;
	o[1] = n;
	o[2] = (uint8_t)(subtype << 4 | low);
	return o + 3;
}

static uint32_t build_capable(const struct mp *m, uint8_t *o)
{
	uint32_t n = 4 + 8u * m->n_keys + (m->has_data_len ? 2 : 0) + (m->has_capable_csum ? 2 : 0);

	*begin_mptcp(o, (uint8_t)n, MP_CAPABLE, m->version) = m->capable_flags;
	for (int i = 0; i < m->n_keys; i++)
		put64(o + 4 + 8 * i, m->key[i]);
	if (m->has_data_len)
		put16(o + 20, m->data_len);
	if (m->has_capable_csum)
		put16(o + 22, m->csum);
	return n;
}

static uint32_t build_dss(const struct mp *m, uint8_t *o)
{
	uint32_t at = 4;

	o[3] = (uint8_t)(m->has_ack | m->ack64 << 1 | m->has_map << 2 | m->dsn64 << 3 |
			 m->data_fin << 4);
	if (m->has_ack && m->ack64)
		put64(o + at, m->data_ack);
	else if (m->has_ack)
		put32(o + at, (uint32_t)m->data_ack);
	at += m->has_ack ? (m->ack64 ? 8 : 4) : 0;
	if (m->has_map) {
		if (m->dsn64)
			put64(o + at, m->dsn);
		else
			put32(o + at, (uint32_t)m->dsn);
		at += m->dsn64 ? 8 : 4;
		put32(o + at, m->ssn);
		put16(o + at + 4, m->map_len);
		at += 6;
		if (m->has_csum) {
			put16(o + at, m->csum);
			at += 2;
		}
	}
	begin_mptcp(o, (uint8_t)at, MP_DSS, 0);
	return at;
}

static uint32_t pad(uint8_t *o, uint32_t n)
{
	while (n % 4)
		o[n++] = K_NOP;
	return n;
}

static uint32_t build_mptcp(const struct mp *m, uint8_t *o)
{
	uint32_t n = 0;

	if (m->capable)
		n += build_capable(m, o + n);
	if (m->dss)
		n += build_dss(m, o + n);
	if (m->fastclose) {
		*begin_mptcp(o + n, 12, MP_FASTCLOSE, 0) = 0;
		put64(o + n + 4, m->fastclose_key);
		n += 12;
	}
	if (m->fail) {
		*begin_mptcp(o + n, 12, MP_FAIL, 0) = 0;
		put64(o + n + 4, m->fail_dsn);
		n += 12;
	}
	return pad(o, n);
}

uint32_t options_build(const struct seg *s, uint8_t out[64])
{
	uint8_t mptcp[64];
	uint32_t n = 0, n_mp = build_mptcp(&s->mp, mptcp), blocks;

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
