// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_options_mp.c - the MPTCP options of sim_packet.h's segments (RFC 8684 section 3), read
 * strictly.
 */
#include "sim_options.h"

#define NOP 1
#define K_MPTCP 30

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

static bool parse_join(struct seg *s, const uint8_t *o, uint32_t n)
{
	struct mp *m = &s->mp;
	bool syn = s->flags & F_SYN, ack = s->flags & F_ACK;

	m->join = n == 12 ? JOIN_SYN : n == 16 ? JOIN_SYN_ACK : JOIN_ACK;
	if (n != 12 && n != 16 && n != 24)
		return bad(s, "MP_JOIN length");
	if (m->join != (syn ? ack ? JOIN_SYN_ACK : JOIN_SYN : JOIN_ACK))
		return bad(s, "MP_JOIN on the wrong segment");
	if (m->join == JOIN_ACK) {
		memcpy(m->hmac, o + 4, 20);
		return o[2] & 15 || o[3] ? bad(s, "MP_JOIN reserved bits") : true;
	}
	m->backup = o[2] & 1;
	m->join_id = o[3];
	if (m->join == JOIN_SYN)
		m->token = get32(o + 4);
	else
		memcpy(m->hmac, o + 4, 8);
	m->nonce = get32(o + n - 4);
	return o[2] & 0x0e ? bad(s, "MP_JOIN reserved bits") : true;
}

static bool parse_add_addr(struct seg *s, const uint8_t *o, uint32_t n)
{
	struct mp *m = &s->mp;
	bool six = n >= 20, port;
	uint32_t at = 4, bytes;

	m->add_addr = true;
	m->echo = o[2] & 1;
	/* IPv4 8, IPv6 20; port 2; HMAC 8 unless it is an echo (section 3.4.1). */
	if (!m->echo)
		six = n >= 28;
	bytes = six ? 16 : 4;
	port = n == 4 + bytes + 2 + (m->echo ? 0 : 8);
	if (n != 4 + bytes + (port ? 2 : 0) + (m->echo ? 0 : 8) || (o[2] & 0x0e))
		return bad(s, "ADD_ADDR length or flags");
	m->addr_family = six ? FLOW_IPV6 : FLOW_IPV4;
	m->addr_id = o[3];
	memcpy(m->addr.b, o + at, bytes);
	at += bytes;
	m->addr_port = port ? get16(o + at) : 0;
	at += port ? 2 : 0;
	if (!m->echo)
		memcpy(m->addr_hmac, o + at, 8);
	return true;
}

bool mptcp_parse(struct seg *s, const uint8_t *o, uint32_t n)
{
	struct mp *m = &s->mp;

	m->n_options++;
	if (n < 3)
		return bad(s, "MPTCP length");
	if (n == 3 && o[2] >> 4 != MP_PRIO)
		return bad(s, "MPTCP length");
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
		m->tcprst_flags = o[2] & 15;
		m->tcprst_reason = n > 3 ? o[3] : 0;
		return n == 4 ? true : bad(s, "MP_TCPRST length");
	case MP_JOIN:
		return m->join ? bad(s, "two MP_JOIN") : parse_join(s, o, n);
	case MP_ADD_ADDR:
		return m->add_addr ? bad(s, "two ADD_ADDR") : parse_add_addr(s, o, n);
	case MP_REMOVE_ADDR:
		m->n_removed = (uint8_t)(n - 3);
		if (n < 4 || m->n_removed > REMOVED_MAX)
			return bad(s, "REMOVE_ADDR length");
		memcpy(m->removed, o + 3, m->n_removed);
		return true;
	case MP_PRIO:
		m->prio = true;
		m->backup = o[2] & 1;
		return n == 3 && !(o[2] & 0x0e) ? true : bad(s, "MP_PRIO length or flags");
	default:
		m->other = true;
		return true;
	}
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

static uint32_t build_join(const struct mp *m, uint8_t *o)
{
	static const uint8_t bytes[] = {0, 12, 16, 24};
	uint8_t n = bytes[m->join];

	*begin_mptcp(o, n, MP_JOIN, m->join != JOIN_ACK && m->backup) = m->join_id;
	if (m->join == JOIN_SYN)
		put32(o + 4, m->token);
	else
		memcpy(o + 4, m->hmac, m->join == JOIN_ACK ? 20 : 8);
	if (m->join == JOIN_ACK)
		o[3] = 0;
	else
		put32(o + n - 4, m->nonce);
	return n;
}

static uint32_t build_add_addr(const struct mp *m, uint8_t *o)
{
	uint32_t bytes = m->addr_family == FLOW_IPV6 ? 16 : 4, n = 4 + bytes;

	memcpy(o + 4, m->addr.b, bytes);
	if (m->addr_port) {
		put16(o + n, m->addr_port);
		n += 2;
	}
	if (!m->echo) {
		memcpy(o + n, m->addr_hmac, 8);
		n += 8;
	}
	*begin_mptcp(o, (uint8_t)n, MP_ADD_ADDR, m->echo) = m->addr_id;
	return n;
}

uint32_t mptcp_build(const struct mp *m, uint8_t *o)
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
	if (m->tcprst) {
		*begin_mptcp(o + n, 4, MP_TCPRST, m->tcprst_flags) = m->tcprst_reason;
		n += 4;
	}
	if (m->join)
		n += build_join(m, o + n);
	if (m->add_addr)
		n += build_add_addr(m, o + n);
	if (m->n_removed) {
		memcpy(begin_mptcp(o + n, (uint8_t)(3 + m->n_removed), MP_REMOVE_ADDR, 0),
		       m->removed, m->n_removed);
		n += 3u + m->n_removed;
	}
	if (m->prio) {
		begin_mptcp(o + n, 3, MP_PRIO, m->backup);
		n += 3;
	}
	while (n % 4)
		o[n++] = NOP;
	return n;
}
