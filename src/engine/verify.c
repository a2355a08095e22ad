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

	x->partials = NONE;
	x->hand_ssn = s->rcv_nxt;
	spans_end(e, s->early, &x->hand_ssn);
	x->void_ssn = s->rcv_nxt;
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
	return seq_lt(ssn, s->rcv_nxt) || spans_overlap(e, s->early, ssn, end);
}

static uint64_t header(const struct subflow *s, const struct peer_map *m)
{
	return m->csum +
	       dss_sum_header(m->dsn, m->ssn - s->irs, (uint16_t)(m->len_bytes + m->data_fin));
}

bool verify_room(const struct engine *e)
{
	return e->partials.n_records - e->partials.n_used > e->n_checked;
}

static struct partial *hold(struct engine *e, const struct conn *c, struct subflow *s,
			    const struct peer_map *m, bool due)
{
	uint32_t *at = list_of(e, s), i = due || verify_room(e) ? pool_new(&e->partials, e) : NONE;
	struct partial *p;

	if (i == NONE)
		return NULL;
	p = partial_at(e, i);
	*p = (struct partial){.ssn = m->ssn,
			      .seq = seq_of_peer_dsn(c, m->dsn),
			      .bytes = m->len_bytes,
			      .sum = csum_fold(header(s, m))};
	kept_init(&p->kept, m->ssn, 0);
	while (*at != NONE && seq_lt(partial_at(e, *at)->ssn, m->ssn))
		at = &partial_at(e, *at)->next;
	p->next = *at;
	*at = i;
	return p;
}

/* V2 */
static void forget(struct engine *e, const struct subflow *s, uint32_t end)
{
	struct sender *x = sender_at(e, s->sender);

	x->void_ssn = seq_max(seq_max(x->void_ssn, s->rcv_nxt), end);
}

void verify_give_up(struct engine *e, struct subflow *s, const struct peer_map *m, uint32_t ssn)
{
	struct partial *p = verify_find(e, s, ssn);

	forget(e, s, p ? p->ssn + p->bytes : m->ssn + m->len_bytes);
	if (p)
		verify_drop(e, s, p);
}

bool verify_yield(struct engine *e, struct subflow *s, bool spare, uint32_t ssn)
{
	bool any = false;

	for (uint32_t i = s->sender == NONE ? NONE : *list_of(e, s), next; i != NONE; i = next) {
		struct partial *p = partial_at(e, i);

		next = p->next;
		if (spare && ssn - p->ssn < p->bytes)
			continue;
		forget(e, s, p->ssn + p->bytes);
		verify_drop(e, s, p);
		any = true;
	}
	return any;
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
static bool useless(struct engine *e, const struct conn *c, uint32_t seq, uint32_t bytes)
{
	const struct multi *x = multi_at(e, c->multi);

	return seq_le(seq + bytes, x->rx_nxt_seq) &&
	       (seq_le(x->rx_hand_seq, seq) || seq_le(seq + bytes, acked_data_seq(c)));
}

/* Of a mapping of which something was received before, or which comes in pieces. */
static enum verified held(struct engine *e, struct subflow *s, struct partial *p, uint32_t ssn,
			  const uint8_t *payload, uint32_t bytes, bool due)
{
	bool kept;

	p->kept.aside_chunks = due ? KEPT_MAPPING_CHUNKS : 0;
	kept = kept_write(e, &p->kept, ssn, payload, bytes);
	p->kept.aside_chunks = 0;
	if (!kept && p->kept.n_chunks == 0)
		verify_drop(e, s, p);
	return kept ? VERIFY_HELD : VERIFY_NO_MEMORY;
}

/* The segment holds the mapping, and it is right. */
static bool whole(const struct subflow *s, const struct peer_map *m, const uint8_t *payload,
		  uint32_t bytes)
{
	return bytes == m->len_bytes &&
	       csum_fold(header(s, m) + dss_sum_bytes(0, payload, bytes)) == 0xffff;
}

enum verified verify_piece(struct engine *e, const struct conn *c, struct subflow *s,
			   struct peer_map *m, uint32_t ssn, const uint8_t *payload, uint32_t bytes,
			   bool due)
{
	struct partial *p = verify_find(e, s, ssn);
	const struct sender *x = sender_at(e, s->sender);
	bool known;

	if (p && useless(e, c, p->seq, p->bytes)) {
		verify_give_up(e, s, m, ssn);
		return VERIFY_KNOWN;
	}
	if (p && m && m->ssn == p->ssn && bytes == p->bytes && whole(s, m, payload, bytes)) {
		verify_drop(e, s, p);
		return VERIFY_GOOD;
	}
	if (p)
		return held(e, s, p, ssn, payload, bytes, due);
	if (seq_lt(m->ssn, x->hand_ssn))
		return old(e, s, m, ssn, payload, bytes);
	if (received(e, s, ssn, ssn + bytes) ||
	    useless(e, c, seq_of_peer_dsn(c, m->dsn), m->len_bytes))
		return VERIFY_KNOWN;
	/* V1, V2: something of it came under another mapping, or was thrown away. */
	known = overlaps(e, s, m->ssn, m->ssn + m->len_bytes);
	if (known && !seq_lt(m->ssn, x->void_ssn))
		return VERIFY_BAD;
	if (whole(s, m, payload, bytes))
		return VERIFY_GOOD;
	if (known)
		return VERIFY_KNOWN;
	if (bytes == m->len_bytes)
		return VERIFY_BAD;
	p = hold(e, c, s, m, due);
	return p ? held(e, s, p, ssn, payload, bytes, due) : VERIFY_NO_MEMORY;
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
