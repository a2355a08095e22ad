/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.c - see verify.h.
 */
#include "engine/verify.h"

#include "base/csum.h"
#include "base/seq.h"
#include "engine/dss_sum.h"
#include "engine/kept.h"
#include "engine/receive.h"
#include "engine/spans.h"

static uint32_t partial_index(struct engine *e, const struct partial *p)
{
	return (uint32_t)(((const char *)p - (const char *)partial_at(e, 0)) / sizeof(*p));
}

static uint32_t *list_of(struct engine *e, const struct subflow *s)
{
	return &sender_at(e, s->sender)->partials;
}

void verify_begin(struct engine *e, const struct conn *c, struct subflow *s)
{
	struct sender *x = sender_at(e, s->sender);
	uint32_t start, end;

	x->partials = NONE;
	x->hand_ssn = s->rcv_nxt;
	for (uint32_t list = s->early; spans_first(e, list, &start, &end);
	     list = spans_next(e, list))
		x->hand_ssn = end;
	/* What came early and could not be remembered was passed on all the same. */
	if (s->initial)
		x->hand_ssn = seq_max(x->hand_ssn, receive_ssn(s, c->sent_seq - c->peer_fin));
}

void verify_end(struct engine *e, struct subflow *s)
{
	while (*list_of(e, s) != NONE)
		verify_drop(e, s, partial_at(e, *list_of(e, s)));
}

struct partial *verify_find(struct engine *e, const struct subflow *s, uint32_t ssn)
{
	for (uint32_t i = *list_of(e, s); i != NONE; i = partial_at(e, i)->next) {
		struct partial *p = partial_at(e, i);

		if (ssn - p->ssn < p->bytes)
			return p;
	}
	return NULL;
}

void verify_drop(struct engine *e, struct subflow *s, struct partial *p)
{
	uint32_t *at = list_of(e, s), me = partial_index(e, p);

	while (*at != me)
		at = &partial_at(e, *at)->next;
	*at = p->next;
	kept_free(e, &p->kept);
	pool_free(&e->partials, e, me);
}

void verify_trim(struct engine *e, const struct conn *c, struct subflow *s)
{
	for (uint32_t i = s->sender == NONE ? NONE : *list_of(e, s), next; i != NONE; i = next) {
		struct partial *p = partial_at(e, i);

		next = p->next;
		if (seq_le(p->seq + p->bytes, acked_data_seq(c)))
			verify_drop(e, s, p);
	}
}

/* The subflow has all of [ssn, end). */
static bool received(struct engine *e, const struct subflow *s, uint32_t ssn, uint32_t end)
{
	uint32_t from, to;

	return seq_le(end, s->rcv_nxt) ||
	       (spans_find(e, s->early, seq_max(ssn, s->rcv_nxt), &from, &to) &&
		seq_le(from, ssn) && seq_le(end, to));
}

/* ... or something of it. */
static bool overlaps(struct engine *e, const struct subflow *s, uint32_t ssn, uint32_t end)
{
	uint32_t from, to;

	if (seq_lt(ssn, s->rcv_nxt))
		return true;
	for (uint32_t list = s->early; spans_first(e, list, &from, &to); list = spans_next(e, list))
		if (seq_lt(ssn, to) && seq_lt(from, end))
			return true;
	return false;
}

static uint64_t header(const struct subflow *s, const struct peer_map *m)
{
	return m->csum +
	       dss_sum_header(m->dsn, m->ssn - s->irs, (uint16_t)(m->len_bytes + m->data_fin));
}

static struct partial *hold(struct engine *e, const struct conn *c, struct subflow *s,
			    const struct peer_map *m)
{
	uint32_t *at = list_of(e, s), i = pool_new(&e->partials, e);
	struct partial *p;

	if (i == NONE)
		return NULL;
	p = partial_at(e, i);
	*p = (struct partial){.ssn = m->ssn,
			      .seq = seq_of_peer_dsn(c, m->dsn),
			      .bytes = m->len_bytes,
			      .sum = csum_fold(header(s, m))};
	kept_init(&p->kept, m->ssn, false);
	while (*at != NONE && seq_lt(partial_at(e, *at)->ssn, m->ssn))
		at = &partial_at(e, *at)->next;
	p->next = *at;
	*at = i;
	return p;
}

bool verify_give_up(struct engine *e, const struct conn *c, struct subflow *s,
		    const struct peer_map *m)
{
	struct partial *p = m ? verify_find(e, s, m->ssn) : NULL;

	if (m && !p)
		p = hold(e, c, s, m);
	if (!p)
		return false;
	kept_free(e, &p->kept);
	p->given_up = true;
	return true;
}

/* V3: as on a single path, which cannot sum what overlaps. */
static enum verified old(struct engine *e, const struct subflow *s, struct peer_map *m,
			 uint32_t ssn, const uint8_t *payload, uint32_t bytes)
{
	if (!m->check)
		return VERIFY_GOOD;
	if (overlaps(e, s, ssn, ssn + bytes)) {
		m->check = m->covered_bytes == 0;
		return VERIFY_GOOD;
	}
	m->sum += (uint32_t)dss_sum_bytes(ssn - m->ssn, payload, bytes);
	m->covered_bytes += bytes;
	if (m->covered_bytes != m->len_bytes)
		return VERIFY_GOOD;
	m->check = false;
	return csum_fold(m->sum + header(s, m)) == 0xffff ? VERIFY_GOOD : VERIFY_TOO_LATE;
}

/* All of it went to the guest and is kept for it; what was passed on unkept it may have lost. */
static bool useless(struct engine *e, const struct conn *c, const struct peer_map *m)
{
	const struct multi *x = multi_at(e, c->multi);
	uint32_t seq = seq_of_peer_dsn(c, m->dsn);

	return seq_le(seq + m->len_bytes, x->rx_nxt_seq) &&
	       (seq_le(x->rx_hand_seq, seq) || seq_le(seq + m->len_bytes, acked_data_seq(c)));
}

enum verified verify_piece(struct engine *e, const struct conn *c, struct subflow *s,
			   struct peer_map *m, uint32_t ssn, const uint8_t *payload, uint32_t bytes)
{
	struct partial *p = verify_find(e, s, ssn);
	uint64_t sum;

	if (p) {
		if (p->given_up)
			return VERIFY_KNOWN;
		return kept_write(e, &p->kept, ssn, payload, bytes) ? VERIFY_HELD
								    : VERIFY_NO_MEMORY;
	}
	if (seq_lt(m->ssn, sender_at(e, s->sender)->hand_ssn))
		return old(e, s, m, ssn, payload, bytes);
	if (received(e, s, ssn, ssn + bytes) || useless(e, c, m))
		return VERIFY_KNOWN;
	/* V1, V2: something of it came under another mapping. */
	if (overlaps(e, s, m->ssn, m->ssn + m->len_bytes))
		return VERIFY_BAD;
	if (bytes == m->len_bytes) {
		sum = header(s, m) + dss_sum_bytes(0, payload, bytes);
		return csum_fold(sum) == 0xffff ? VERIFY_GOOD : VERIFY_BAD;
	}
	p = hold(e, c, s, m);
	if (!p)
		return VERIFY_NO_MEMORY;
	if (!kept_write(e, &p->kept, ssn, payload, bytes)) {
		verify_drop(e, s, p);
		return VERIFY_NO_MEMORY;
	}
	return VERIFY_HELD;
}

enum verified verify_whole(struct engine *e, const struct subflow *s, const struct partial *p)
{
	uint64_t sum = p->sum;
	uint32_t run;

	if (!received(e, s, p->ssn, p->ssn + p->bytes))
		return VERIFY_HELD;
	for (uint32_t at = 0; at < p->bytes; at += run) {
		const uint8_t *data = kept_read(e, &p->kept, p->ssn + at, p->bytes - at, &run);

		sum += dss_sum_bytes(at, data, run);
	}
	return csum_fold(sum) == 0xffff ? VERIFY_GOOD : VERIFY_BAD;
}
