/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mapping.c - see mapping.h.
 */
#include "engine/mapping.h"

#include <assert.h>

#include "base/seq.h"

static uint32_t span(const struct mapping *m)
{
	return (uint32_t)m->len_bytes * m->count;
}

static uint32_t delta(const struct mapping *m)
{
	return m->ssn - m->seq;
}

static uint32_t end_seq(const struct mapping *m)
{
	return m->seq + span(m);
}

/* The last record that begins at or before seq; NONE when there is none. */
static uint32_t record_before(struct engine *e, const struct subflow *s, uint32_t seq)
{
	uint32_t found = NONE;

	/* New data lies behind everything: look at the tail first. */
	if (s->map_tail != NONE && seq_le(mapping_at(e, s->map_tail)->seq, seq))
		return s->map_tail;
	for (uint32_t i = s->map_head; i != NONE; i = mapping_at(e, i)->next) {
		if (seq_lt(seq, mapping_at(e, i)->seq))
			break;
		found = i;
	}
	return found;
}

bool mapping_find(struct engine *e, const struct subflow *s, uint32_t seq, struct mapping_view *v,
		  uint32_t *ssn, uint32_t *until)
{
	uint32_t i = record_before(e, s, seq);
	uint32_t next = i == NONE ? s->map_head : mapping_at(e, i)->next;

	if (i != NONE && seq_lt(seq, end_seq(mapping_at(e, i)))) {
		const struct mapping *m = mapping_at(e, i);
		uint32_t skip = (seq - m->seq) / m->len_bytes * m->len_bytes;

		*v = (struct mapping_view){.seq = m->seq + skip,
					   .ssn = m->ssn + skip,
					   .len_bytes = m->len_bytes,
					   .csum = m->csum,
					   .data_fin = m->data_fin};
		return true;
	}
	/* Of the two neighbours the upper one: the lower may have been mapped again since (M3). */
	*ssn = seq + (next != NONE ? delta(mapping_at(e, next))
		      : i != NONE  ? delta(mapping_at(e, i))
				   : s->delta_freed);
	*until = next == NONE ? seq - 1 + (1u << 31) : mapping_at(e, next)->seq;
	return false;
}

uint32_t mapping_end(struct engine *e, const struct conn *c, const struct subflow *s)
{
	return s->map_tail == NONE ? c->una_seq - c->guest_fin_acked
				   : end_seq(mapping_at(e, s->map_tail));
}

uint32_t mapping_acked(struct engine *e, const struct subflow *s, uint32_t seq)
{
	for (uint32_t i = s->map_head; i != NONE; i = mapping_at(e, i)->next) {
		const struct mapping *m = mapping_at(e, i);
		uint32_t from = seq_max(m->ssn, s->snd_una) - delta(m);

		if (seq_lt(s->snd_una, m->ssn + span(m)))
			return seq_min(from, seq);
	}
	return seq;
}

bool mapping_vacant(struct engine *e, const struct subflow *s, uint32_t ssn, uint32_t bytes)
{
	for (uint32_t i = s->map_head; i != NONE; i = mapping_at(e, i)->next) {
		const struct mapping *m = mapping_at(e, i);

		if (seq_lt(m->ssn, ssn + bytes) && seq_lt(ssn, m->ssn + span(m)))
			return false;
	}
	return true;
}

static bool joins(const struct mapping *m, const struct mapping_view *v)
{
	return !m->data_fin && m->len_bytes == v->len_bytes && m->count < UINT16_MAX &&
	       end_seq(m) == v->seq && m->ssn + span(m) == v->ssn;
}

/* Puts a record behind `before` (NONE: at the head). `due`: M5 holds. */
static struct mapping *insert(struct engine *e, struct subflow *s, uint32_t before, bool due)
{
	uint32_t left = e->mappings.n_records - e->mappings.n_used;
	uint32_t i = due || left > e->conns.n_records ? pool_new(&e->mappings, e) : NONE;
	struct mapping *m;

	if (i == NONE)
		return NULL;
	m = mapping_at(e, i);
	memset(m, 0, sizeof(*m));
	if (before == NONE) {
		m->next = s->map_head;
		s->map_head = i;
	} else {
		m->next = mapping_at(e, before)->next;
		mapping_at(e, before)->next = i;
	}
	if (m->next == NONE)
		s->map_tail = i;
	return m;
}

bool mapping_add(struct engine *e, struct subflow *s, const struct mapping_view *v, bool lone)
{
	uint32_t before = record_before(e, s, v->seq);
	struct mapping *m;

	assert(v->len_bytes != 0);
	assert(before == NONE || seq_le(end_seq(mapping_at(e, before)), v->seq)); /* M1 */
	if (!lone && before != NONE && joins(mapping_at(e, before), v)) {
		mapping_at(e, before)->count++;
		return true;
	}
	m = insert(e, s, before, v->seq == conn_at(e, s->conn)->una_seq);
	if (!m)
		return false;
	m->seq = v->seq;
	m->ssn = v->ssn;
	m->len_bytes = v->len_bytes;
	m->csum = v->csum;
	m->data_fin = v->data_fin;
	m->count = 1;
	return true;
}

static void unlink_record(struct engine *e, struct subflow *s, uint32_t i)
{
	uint32_t before = NONE;

	for (uint32_t j = s->map_head; j != i; j = mapping_at(e, j)->next)
		before = j;
	if (before == NONE)
		s->map_head = mapping_at(e, i)->next;
	else
		mapping_at(e, before)->next = mapping_at(e, i)->next;
	if (s->map_tail == i)
		s->map_tail = before;
	pool_free(&e->mappings, e, i);
}

bool mapping_rm(struct engine *e, struct subflow *s, uint32_t seq)
{
	uint32_t i = record_before(e, s, seq);
	struct mapping *m, *rest;
	uint32_t nth;

	assert(i != NONE);
	m = mapping_at(e, i);
	nth = (seq - m->seq) / m->len_bytes;
	assert(nth < m->count);
	if (m->count == 1) {
		unlink_record(e, s, i);
		return true;
	}
	if (nth > 0 && nth + 1 < m->count) {
		rest = insert(e, s, i, false);
		if (!rest)
			return false;
		rest->seq = m->seq + (nth + 1) * m->len_bytes;
		rest->ssn = m->ssn + (nth + 1) * m->len_bytes;
		rest->len_bytes = m->len_bytes;
		rest->count = (uint16_t)(m->count - nth - 1);
		m->count = (uint16_t)nth;
		return true;
	}
	if (nth == 0) {
		m->seq += m->len_bytes;
		m->ssn += m->len_bytes;
	}
	m->count--;
	return true;
}

void mapping_free_acked(struct engine *e, struct subflow *s, uint32_t una_seq)
{
	while (s->map_head != NONE) {
		struct mapping *m = mapping_at(e, s->map_head);
		uint32_t i = s->map_head, whole;

		if (seq_le(una_seq, m->seq))
			return;
		s->delta_freed = m->ssn - m->seq;
		if (seq_lt(una_seq, end_seq(m))) {
			whole = (una_seq - m->seq) / m->len_bytes;
			m->seq += whole * m->len_bytes;
			m->ssn += whole * m->len_bytes;
			m->count = (uint16_t)(m->count - whole);
			return;
		}
		s->map_head = m->next;
		if (s->map_head == NONE)
			s->map_tail = NONE;
		pool_free(&e->mappings, e, i);
	}
}

void mapping_free_all(struct engine *e, struct subflow *s)
{
	while (s->map_head != NONE) {
		uint32_t i = s->map_head;

		s->map_head = mapping_at(e, i)->next;
		pool_free(&e->mappings, e, i);
	}
	s->map_tail = NONE;
}
