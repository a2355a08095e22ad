/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mptcp_encode.c - the MPTCP options of RFC 8684 section 3, written as Linux writes them: every
 * option is followed by NOPs up to a multiple of 4 of its own length.
 */
#include <assert.h>

#include "wire/bytes.h"
#include "wire/options.h"

#define ADD_ADDR_ECHO 0x01

/*
 * Reserves an option of `len` bytes and its padding, writes kind, length, subtype with `low`
 * bits, and `fourth`. Returns where the rest goes; null when there is no room.
 */
static uint8_t *begin(struct options_writer *w, enum mptcp_subtype subtype, unsigned len,
		      uint8_t low, uint8_t fourth)
{
	unsigned padded = (len + 3) & ~3U;
	uint8_t *opt = w->buf + w->len_bytes;

	if (padded > options_room(w))
		return NULL;
	w->len_bytes = (uint8_t)(w->len_bytes + padded);
	opt[0] = TCPOPT_MPTCP;
	opt[1] = (uint8_t)len;
	opt[2] = (uint8_t)((unsigned)subtype << 4 | low);
	opt[3] = fourth;
	memset(opt + len, TCPOPT_NOP, padded - len);
	return opt + 4;
}

bool mp_capable_encode(struct options_writer *w, const struct mp_capable *c)
{
	unsigned len = 4 + 8U * c->n_keys + (c->has_data_len ? 2 : 0) + (c->has_csum ? 2 : 0);
	uint8_t *p;

	assert(c->n_keys <= 2);
	assert(c->n_keys == 2 || !c->has_data_len);
	assert(c->has_data_len || !c->has_csum);
	p = begin(w, MPTCP_CAPABLE, len, c->version & 0x0f, c->flags);
	if (!p)
		return false;
	if (c->n_keys > 0)
		p = put64(p, c->sender_key);
	if (c->n_keys > 1)
		p = put64(p, c->receiver_key);
	if (c->has_data_len)
		p = put16(p, c->data_len);
	if (c->has_csum)
		memcpy(p, &c->csum, sizeof(c->csum));
	return true;
}

bool mp_join_encode(struct options_writer *w, const struct mp_join *j)
{
	uint8_t *p;

	switch (j->form) {
	case MP_JOIN_SYN:
		p = begin(w, MPTCP_JOIN, 12, j->backup, j->address_id);
		if (p)
			put32(put32(p, j->token), j->nonce);
		return p;
	case MP_JOIN_SYNACK:
		p = begin(w, MPTCP_JOIN, 16, j->backup, j->address_id);
		if (p) {
			memcpy(p, j->hmac, 8);
			put32(p + 8, j->nonce);
		}
		return p;
	case MP_JOIN_ACK:
		p = begin(w, MPTCP_JOIN, 24, 0, 0);
		if (p)
			memcpy(p, j->hmac, 20);
		return p;
	default:
		assert(!"a join without a form");
		return false;
	}
}

static unsigned dss_option_bytes(const struct dss *d)
{
	unsigned len = 4;

	if (d->has_ack)
		len += d->ack64 ? 8 : 4;
	if (d->has_map)
		len += (d->dsn64 ? 14 : 10) + (d->has_csum ? 2 : 0);
	return len;
}

unsigned dss_bytes(const struct dss *d)
{
	return (dss_option_bytes(d) + 3) & ~3U;
}

bool dss_encode(struct options_writer *w, const struct dss *d)
{
	uint8_t flags = 0;
	uint8_t *p;

	assert(d->has_map || (!d->has_csum && !d->data_fin));
	if (d->has_ack)
		flags |= (uint8_t)(0x01 | (d->ack64 ? 0x02 : 0));
	if (d->has_map)
		flags |= (uint8_t)(0x04 | (d->dsn64 ? 0x08 : 0) | (d->data_fin ? 0x10 : 0));
	p = begin(w, MPTCP_DSS, dss_option_bytes(d), 0, flags);
	if (!p)
		return false;
	if (d->has_ack)
		p = d->ack64 ? put64(p, d->data_ack) : put32(p, (uint32_t)d->data_ack);
	if (d->has_map) {
		p = d->dsn64 ? put64(p, d->dsn) : put32(p, (uint32_t)d->dsn);
		p = put16(put32(p, d->ssn), d->map_len);
		if (d->has_csum)
			memcpy(p, &d->csum, sizeof(d->csum));
	}
	return true;
}

bool add_addr_encode(struct options_writer *w, const struct add_addr *a)
{
	unsigned address_bytes = a->family == FLOW_IPV4 ? 4 : 16;
	unsigned len = 4 + address_bytes + (a->port ? 2 : 0) + (a->echo ? 0 : 8);
	uint8_t *p;

	assert(a->family == FLOW_IPV4 || a->family == FLOW_IPV6);
	p = begin(w, MPTCP_ADD_ADDR, len, a->echo ? ADD_ADDR_ECHO : 0, a->address_id);
	if (!p)
		return false;
	memcpy(p, a->addr.b, address_bytes);
	p += address_bytes;
	if (a->port)
		p = put16(p, a->port);
	if (!a->echo)
		memcpy(p, a->hmac, sizeof(a->hmac));
	return true;
}

bool remove_addr_encode(struct options_writer *w, const struct remove_addr *r)
{
	uint8_t *p;

	assert(r->n >= 1 && r->n <= REMOVE_ADDR_MAX);
	p = begin(w, MPTCP_REMOVE_ADDR, 3U + r->n, 0, r->address_id[0]);
	if (p)
		memcpy(p, r->address_id + 1, r->n - 1U);
	return p;
}

bool mp_prio_encode(struct options_writer *w, const struct mp_prio *p)
{
	/* The fourth byte is the padding of the shorter form. */
	return begin(w, MPTCP_PRIO, p->has_address_id ? 4 : 3, p->backup,
		     p->has_address_id ? p->address_id : TCPOPT_NOP);
}

static bool number_encode(struct options_writer *w, enum mptcp_subtype subtype, uint64_t number)
{
	uint8_t *p = begin(w, subtype, 12, 0, 0);

	if (p)
		put64(p, number);
	return p;
}

bool mp_fail_encode(struct options_writer *w, uint64_t dsn)
{
	return number_encode(w, MPTCP_FAIL, dsn);
}

bool mp_fastclose_encode(struct options_writer *w, uint64_t receiver_key)
{
	return number_encode(w, MPTCP_FASTCLOSE, receiver_key);
}

bool mp_tcprst_encode(struct options_writer *w, const struct mp_tcprst *r)
{
	return begin(w, MPTCP_TCPRST, 4, r->transient, r->reason);
}
