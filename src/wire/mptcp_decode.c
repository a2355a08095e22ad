/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mptcp_decode.c - the MPTCP options of RFC 8684 section 3, one decoder per subtype. Each returns
 * false, with nothing set, when the option's length or form is impossible.
 */
#include "wire/bytes.h"
#include "wire/options.h"

#define ADD_ADDR_ECHO 0x01
#define BACKUP 0x01
#define TCPRST_TRANSIENT 0x01

enum dss_flag {
	DSS_HAS_ACK = 0x01,
	DSS_ACK64 = 0x02,
	DSS_HAS_MAP = 0x04,
	DSS_DSN64 = 0x08,
	DSS_DATA_FIN = 0x10,
};

/* RFC 8684 section 3.1; version 0: RFC 6824 section 3.1, whose SYN has the sender's key. */
static bool capable_decode(struct mptcp *m, const uint8_t *opt, unsigned len, bool syn, bool ack,
			   bool has_payload)
{
	struct mp_capable *c = &m->capable;
	uint8_t version = opt[2] & 0x0f;
	unsigned n_keys;

	if (syn)
		n_keys = ack || version == 0 ? 1 : 0;
	else
		n_keys = 2;
	if (!syn && has_payload && version != 0) {
		if (len != 22 && len != 24)
			return false;
		c->has_data_len = true;
		c->data_len = get16(opt + 20);
		c->has_csum = len == 24;
		if (c->has_csum)
			memcpy(&c->csum, opt + 22, sizeof(c->csum));
	} else if (len != 4 + 8 * n_keys) {
		return false;
	}
	c->version = version;
	c->flags = opt[3];
	c->n_keys = (uint8_t)n_keys;
	if (n_keys > 0)
		c->sender_key = get64(opt + 4);
	if (n_keys > 1)
		c->receiver_key = get64(opt + 12);
	m->has_capable = true;
	return true;
}

/* RFC 8684 section 3.2. */
static bool join_decode(struct mptcp *m, const uint8_t *opt, unsigned len, bool syn, bool ack)
{
	struct mp_join *j = &m->join;

	if (syn && !ack && len == 12) {
		j->form = MP_JOIN_SYN;
		j->token = get32(opt + 4);
		j->nonce = get32(opt + 8);
	} else if (syn && ack && len == 16) {
		j->form = MP_JOIN_SYNACK;
		memcpy(j->hmac, opt + 4, 8);
		j->nonce = get32(opt + 12);
	} else if (!syn && ack && len == 24) {
		j->form = MP_JOIN_ACK;
		memcpy(j->hmac, opt + 4, 20);
	} else {
		return false;
	}
	if (syn) {
		j->backup = opt[2] & BACKUP;
		j->address_id = opt[3];
	}
	m->has_join = true;
	return true;
}

/* RFC 8684 section 3.3. The widths mean nothing without their field, DATA_FIN not without a map. */
static bool dss_decode(struct mptcp *m, const uint8_t *opt, unsigned len)
{
	struct dss *d = &m->dss;
	uint8_t flags = opt[3];
	bool ack64 = flags & DSS_ACK64, dsn64 = flags & DSS_DSN64;
	unsigned need = 4;

	if (flags & DSS_HAS_ACK)
		need += ack64 ? 8 : 4;
	if (flags & DSS_HAS_MAP)
		need += dsn64 ? 14 : 10;
	if (len != need && !(flags & DSS_HAS_MAP && len == need + 2))
		return false;
	m->has_dss = true;
	opt += 4;
	if (flags & DSS_HAS_ACK) {
		d->has_ack = true;
		d->ack64 = ack64;
		d->data_ack = ack64 ? get64(opt) : get32(opt);
		opt += ack64 ? 8 : 4;
	}
	if (flags & DSS_HAS_MAP) {
		d->has_map = true;
		d->dsn64 = dsn64;
		d->data_fin = flags & DSS_DATA_FIN;
		d->dsn = dsn64 ? get64(opt) : get32(opt);
		opt += dsn64 ? 8 : 4;
		d->ssn = get32(opt);
		d->map_len = get16(opt + 4);
		d->has_csum = len != need;
		if (d->has_csum)
			memcpy(&d->csum, opt + 6, sizeof(d->csum));
	}
	return true;
}

/*
 * RFC 8684 section 3.4.1. Version 0 has the family where version 1 has the echo flag (4 and 6: it
 * reads as "no echo") and no HMAC, so its lengths are those of an echo: not valid.
 */
static bool add_addr_decode(struct mptcp *m, const uint8_t *opt, unsigned len)
{
	struct add_addr *a = &m->add_addr;
	bool echo = opt[2] & ADD_ADDR_ECHO;
	unsigned body = echo ? len : len - 8; /* without the HMAC; wraps to a length of no form */
	unsigned address_bytes = body == 8 || body == 10 ? 4 : 16;
	bool has_port = body == 10 || body == 22;

	if (body != 4 + address_bytes + (has_port ? 2 : 0))
		return false;
	/* Absent and 0 are one and the same to the HMAC: a port of 0 has no business here. */
	if (has_port && get16(opt + 4 + address_bytes) == 0)
		return false;
	a->echo = echo;
	a->family = address_bytes == 4 ? FLOW_IPV4 : FLOW_IPV6;
	a->address_id = opt[3];
	memcpy(a->addr.b, opt + 4, address_bytes);
	if (has_port)
		a->port = get16(opt + 4 + address_bytes);
	if (!echo)
		memcpy(a->hmac, opt + body, sizeof(a->hmac));
	m->has_add_addr = true;
	return true;
}

/* RFC 8684 section 3.4.2. More ids than we hold: invalid as for Linux, whose limit is ours. */
static bool remove_addr_decode(struct mptcp *m, const uint8_t *opt, unsigned len)
{
	if (len < 4 || len > 3 + REMOVE_ADDR_MAX)
		return false;
	m->remove_addr.n = (uint8_t)(len - 3);
	memcpy(m->remove_addr.address_id, opt + 3, len - 3);
	m->has_remove_addr = true;
	return true;
}

/* RFC 8684 section 3.3.8; with an address id: RFC 6824 section 3.3.8. */
static bool prio_decode(struct mptcp *m, const uint8_t *opt, unsigned len)
{
	if (len != 3 && len != 4)
		return false;
	m->prio.backup = opt[2] & BACKUP;
	m->prio.has_address_id = len == 4;
	if (len == 4)
		m->prio.address_id = opt[3];
	m->has_prio = true;
	return true;
}

/* RFC 8684 sections 3.7 (MP_FAIL) and 3.5 (MP_FASTCLOSE): both are 64 bits behind 4 bytes. */
static bool number_decode(bool *has, uint64_t *number, const uint8_t *opt, unsigned len)
{
	if (len != 12)
		return false;
	*number = get64(opt + 4);
	*has = true;
	return true;
}

/* RFC 8684 section 3.6. */
static bool tcprst_decode(struct mptcp *m, const uint8_t *opt, unsigned len)
{
	if (len != 4)
		return false;
	m->tcprst.transient = opt[2] & TCPRST_TRANSIENT;
	m->tcprst.reason = opt[3];
	m->has_tcprst = true;
	return true;
}

static bool has_already(const struct mptcp *m, unsigned subtype)
{
	switch (subtype) {
	case MPTCP_CAPABLE:
		return m->has_capable;
	case MPTCP_JOIN:
		return m->has_join;
	case MPTCP_DSS:
		return m->has_dss;
	case MPTCP_ADD_ADDR:
		return m->has_add_addr;
	case MPTCP_REMOVE_ADDR:
		return m->has_remove_addr;
	case MPTCP_PRIO:
		return m->has_prio;
	case MPTCP_FAIL:
		return m->has_fail;
	case MPTCP_FASTCLOSE:
		return m->has_fastclose;
	case MPTCP_TCPRST:
		return m->has_tcprst;
	default:
		return false;
	}
}

void mptcp_decode(struct mptcp *m, const uint8_t *opt, unsigned len, bool syn, bool ack,
		  bool has_payload)
{
	unsigned subtype = opt[2] >> 4;
	bool valid = false;

	m->any = true;
	if (has_already(m, subtype)) {
		m->duplicate = true;
		return;
	}
	/* All forms but MP_PRIO's have a fourth byte. */
	if (len < 4 && subtype <= MPTCP_TCPRST && subtype != MPTCP_PRIO) {
		m->invalid = true;
		return;
	}
	switch (subtype) {
	case MPTCP_CAPABLE:
		valid = capable_decode(m, opt, len, syn, ack, has_payload);
		break;
	case MPTCP_JOIN:
		valid = join_decode(m, opt, len, syn, ack);
		break;
	case MPTCP_DSS:
		valid = dss_decode(m, opt, len);
		break;
	case MPTCP_ADD_ADDR:
		valid = add_addr_decode(m, opt, len);
		break;
	case MPTCP_REMOVE_ADDR:
		valid = remove_addr_decode(m, opt, len);
		break;
	case MPTCP_PRIO:
		valid = prio_decode(m, opt, len);
		break;
	case MPTCP_FAIL:
		valid = number_decode(&m->has_fail, &m->fail_dsn, opt, len);
		break;
	case MPTCP_FASTCLOSE:
		valid = number_decode(&m->has_fastclose, &m->fastclose_key, opt, len);
		break;
	case MPTCP_TCPRST:
		valid = tcprst_decode(m, opt, len);
		break;
	default:
		/* MP_EXPERIMENTAL too: private use says nothing about what is inside. */
		m->unknown = true;
		return;
	}
	m->invalid |= !valid;
}
