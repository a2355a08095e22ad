/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mptcp_text.h - decoded MPTCP options as one line of text, so that tables can say what is
 * expected in words. Only what is set is said.
 */
#ifndef MPGATE_TESTS_MPTCP_TEXT_H
#define MPGATE_TESTS_MPTCP_TEXT_H

#include <stdarg.h>

#include "unit.h"
#include "wire/options.h"

struct text {
	unsigned n;
	char s[600];
};

__attribute__((format(printf, 2, 3))) static inline void text_add(struct text *t,
								  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->n += (unsigned)vsnprintf(t->s + t->n, sizeof(t->s) - t->n, format, args);
	va_end(args);
	if (t->n >= sizeof(t->s)) {
		CU_FAIL("text too long");
		t->n = sizeof(t->s) - 1;
	}
}

static inline void text_bytes(struct text *t, const char *label, const uint8_t *b, unsigned n)
{
	text_add(t, " %s", label);
	for (unsigned i = 0; i < n; i++)
		text_add(t, "%02x", b[i]);
}

/* Checksums are in memory order: shown as they lie. */
static inline void text_csum(struct text *t, uint16_t csum)
{
	uint8_t b[2];

	memcpy(b, &csum, sizeof(b));
	text_bytes(t, "csum=", b, 2);
}

static inline void text_capable(struct text *t, const struct mp_capable *c)
{
	text_add(t, " capable v%u flags=%02x", c->version, c->flags);
	if (c->n_keys > 0)
		text_add(t, " from=%016llx", (unsigned long long)c->sender_key);
	if (c->n_keys > 1)
		text_add(t, " to=%016llx", (unsigned long long)c->receiver_key);
	if (c->has_data_len)
		text_add(t, " len=%u", c->data_len);
	if (c->has_csum)
		text_csum(t, c->csum);
}

static inline void text_join(struct text *t, const struct mp_join *j)
{
	static const char *const form[] = {"none", "syn", "synack", "ack"};

	text_add(t, " join %s", form[j->form]);
	if (j->form != MP_JOIN_ACK)
		text_add(t, " id=%u%s", j->address_id, j->backup ? " backup" : "");
	if (j->form == MP_JOIN_SYN)
		text_add(t, " token=%08x", j->token);
	if (j->form != MP_JOIN_ACK)
		text_add(t, " nonce=%08x", j->nonce);
	if (j->form != MP_JOIN_SYN)
		text_bytes(t, "hmac=", j->hmac, j->form == MP_JOIN_ACK ? 20 : 8);
}

static inline void text_dss(struct text *t, const struct dss *d)
{
	text_add(t, " dss");
	if (d->has_ack)
		text_add(t, " ack%s=%0*llx", d->ack64 ? "64" : "32", d->ack64 ? 16 : 8,
			 (unsigned long long)d->data_ack);
	if (d->has_map)
		text_add(t, " dsn%s=%0*llx ssn=%u len=%u%s", d->dsn64 ? "64" : "32",
			 d->dsn64 ? 16 : 8, (unsigned long long)d->dsn, d->ssn, d->map_len,
			 d->data_fin ? " fin" : "");
	if (d->has_csum)
		text_csum(t, d->csum);
}

static inline void text_add_addr(struct text *t, const struct add_addr *a)
{
	text_add(t, " add%s id=%u", a->echo ? "-echo" : "", a->address_id);
	text_bytes(t, "addr=", a->addr.b, a->family == FLOW_IPV4 ? 4 : 16);
	if (a->port)
		text_add(t, " port=%u", a->port);
	if (!a->echo)
		text_bytes(t, "hmac=", a->hmac, 8);
}

/* " capable ... join ... dss ..." in the order of the subtypes, then what was wrong. */
static inline void mptcp_text(struct text *t, const struct mptcp *m)
{
	t->n = 0;
	t->s[0] = 0;
	if (m->has_capable)
		text_capable(t, &m->capable);
	if (m->has_join)
		text_join(t, &m->join);
	if (m->has_dss)
		text_dss(t, &m->dss);
	if (m->has_add_addr)
		text_add_addr(t, &m->add_addr);
	if (m->has_remove_addr)
		text_bytes(t, "remove=", m->remove_addr.address_id, m->remove_addr.n);
	if (m->has_prio)
		text_add(t, " prio=%u", m->prio.backup);
	if (m->has_prio && m->prio.has_address_id)
		text_add(t, " id=%u", m->prio.address_id);
	if (m->has_fail)
		text_add(t, " fail=%016llx", (unsigned long long)m->fail_dsn);
	if (m->has_fastclose)
		text_add(t, " fastclose=%016llx", (unsigned long long)m->fastclose_key);
	if (m->has_tcprst)
		text_add(t, " rst=%u%s", m->tcprst.reason, m->tcprst.transient ? " transient" : "");
	text_add(t, "%s%s%s", m->invalid ? " invalid" : "", m->unknown ? " unknown" : "",
		 m->duplicate ? " duplicate" : "");
}

#define CHECK_TEXT(row, got, want) \
	unit_check_text((got), (want), (unsigned)(row), __LINE__, __FILE__)

/* `want` without the leading blank. */
static inline void unit_check_text(const char *got, const char *want, unsigned row, int line,
				   const char *file)
{
	char buf[1400];
	bool same;

	got += *got == ' ';
	same = strcmp(got, want) == 0;
	snprintf(buf, sizeof(buf), "row %u: \"%s\", not \"%s\"", row, got, want);
	CU_assertImplementation(same, (unsigned)line, buf, file, "", CU_FALSE);
}

#endif
