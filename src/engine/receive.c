/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * receive.c - see receive.h.
 */
#include "engine/receive.h"

#include "base/seq.h"

static bool map_holds(const struct peer_map *m, uint32_t ssn)
{
	return ssn - m->ssn < m->len_bytes;
}

struct peer_map *receive_map(struct subflow *s, const struct dss *d, uint64_t dsn)
{
	uint32_t ssn = s->irs + d->ssn;
	uint16_t len = (uint16_t)(d->map_len - d->data_fin);
	struct peer_map *m;

	for (unsigned i = 0; i < s->n_maps; i++) {
		m = &s->map[i];
		if (m->ssn == ssn && m->dsn == dsn && m->len_bytes == len &&
		    m->data_fin == d->data_fin)
			return m;
	}
	m = &s->map[s->next_map];
	s->next_map = (uint8_t)((s->next_map + 1) % PEER_MAPS);
	if (s->n_maps < PEER_MAPS)
		s->n_maps++;
	*m = (struct peer_map){.dsn = dsn,
			       .ssn = ssn,
			       .len_bytes = len,
			       .csum = d->csum,
			       .data_fin = d->data_fin,
			       .check = d->has_csum};
	return m;
}

struct peer_map *receive_map_find(struct subflow *s, uint32_t ssn)
{
	/* Newest first: the last one written is the likeliest. */
	for (unsigned k = 1; k <= s->n_maps; k++) {
		struct peer_map *m = &s->map[(s->next_map + PEER_MAPS - k) % PEER_MAPS];

		if (map_holds(m, ssn))
			return m;
	}
	return NULL;
}

static unsigned shift_of(const struct subflow *s, uint32_t ssn)
{
	unsigned i = s->n_shifts - 1u;

	while (i > 0 && seq_lt(ssn, s->shift[i].ssn))
		i--;
	return i;
}

static void shift_insert(struct subflow *s, unsigned at, uint32_t ssn, uint32_t delta)
{
	if (s->n_shifts == SHIFTS_MAX) {
		/* Too many to remember: what the oldest covered counts as acknowledged. */
		memmove(s->shift, s->shift + 1, (SHIFTS_MAX - 1) * sizeof(s->shift[0]));
		s->n_shifts--;
		at = at ? at - 1 : 0;
	}
	memmove(s->shift + at + 1, s->shift + at, (s->n_shifts - at) * sizeof(s->shift[0]));
	s->shift[at] = (struct shift){ssn, delta};
	s->n_shifts++;
}

void receive_shift(struct subflow *s, uint32_t ssn, uint32_t len_bytes, uint32_t delta)
{
	uint32_t end = ssn + len_bytes, before;
	unsigned i;
	bool last;

	/* What comes once more below the acknowledgement says nothing about what lies above (R3).
	 */
	if (seq_lt(ssn, s->acked_ssn))
		ssn = seq_min(end, s->acked_ssn);
	len_bytes = end - ssn;
	i = shift_of(s, ssn);
	before = s->shift[i].delta;
	last = i + 1u == s->n_shifts;
	if (before == delta || len_bytes == 0)
		return;
	s->shifted = true;
	/* What lies behind keeps its number until its own mapping says otherwise. */
	if (!last && seq_lt(ssn + len_bytes, s->shift[i + 1].ssn))
		shift_insert(s, i + 1, ssn + len_bytes, before);
	i = shift_of(s, ssn);
	if (s->shift[i].ssn == ssn)
		s->shift[i].delta = delta;
	else
		shift_insert(s, i + 1, ssn, delta);
}

void receive_bytes(struct subflow *s, uint32_t ssn, uint32_t end, bool fin)
{
	if (seq_lt(s->rcv_nxt, ssn)) {
		if (ssn != end)
			ranges_add(&s->ooo, ssn, end);
		return; /* a FIN out of order comes again */
	}
	if (seq_lt(s->rcv_nxt, end))
		s->rcv_nxt = ranges_advance(&s->ooo, end);
	if (fin && !s->fin_received && s->rcv_nxt == end) {
		s->fin_received = true;
		s->rcv_nxt++;
	}
}

bool receive_overlaps(const struct subflow *s, uint32_t ssn, uint32_t end)
{
	if (seq_lt(ssn, s->rcv_nxt))
		return true;
	for (unsigned i = 0; i < s->ooo.n; i++)
		if (seq_lt(ssn, s->ooo.r[i].end) && seq_lt(s->ooo.r[i].start, end))
			return true;
	return false;
}

uint32_t receive_ack(struct subflow *s, uint32_t seq, bool alone)
{
	uint32_t ack = s->acked_ssn;
	uint32_t data_end;

	/*
	 * While there is one constant and no other subflow, what the guest acknowledged has passed
	 * here, even if `ooo` had no room to remember it.
	 */
	if (alone && !s->shifted && !s->fin_received && seq_lt(s->rcv_nxt, seq + s->shift[0].delta))
		s->rcv_nxt = ranges_advance(&s->ooo, seq + s->shift[0].delta);
	data_end = s->rcv_nxt - s->fin_received;
	for (unsigned i = shift_of(s, ack); i < s->n_shifts; i++) {
		uint32_t limit = seq + s->shift[i].delta;
		uint32_t next = i + 1u < s->n_shifts ? s->shift[i + 1].ssn : data_end;

		if (seq_lt(limit, next)) {
			ack = seq_max(ack, limit);
			break;
		}
		ack = seq_max(ack, next);
	}
	ack = seq_min(ack, data_end);
	if (s->fin_received && ack == data_end)
		ack = s->rcv_nxt;
	if (seq_lt(s->acked_ssn, ack))
		s->acked_ssn = ack;
	/* Shifts below the acknowledgement are history (R3). */
	while (s->n_shifts > 1 && seq_le(s->shift[1].ssn, s->acked_ssn)) {
		memmove(s->shift, s->shift + 1, (s->n_shifts - 1u) * sizeof(s->shift[0]));
		s->n_shifts--;
	}
	return s->acked_ssn;
}

uint32_t receive_ssn(const struct subflow *s, uint32_t seq)
{
	return seq + s->shift[s->n_shifts - 1].delta;
}
