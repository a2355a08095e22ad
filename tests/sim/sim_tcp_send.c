// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_tcp_send.c - see sim_tcp_send.h: SACK scoreboard, loss recovery (RFC 6582, 6675 in the
 * small), window probes, and the loop that sends.
 */
#include "sim_tcp_send.h"

#include "sim.h"

/* ---- the scoreboard: ascending, disjoint ---- */

static void span_add(struct tcp *t, uint32_t start, uint32_t end)
{
	unsigned i = 0, j;

	while (i < t->n_sacked && before(t->sacked[i].end, start))
		i++;
	j = i;
	while (j < t->n_sacked && !before(end, t->sacked[j].start)) {
		start = earlier(start, t->sacked[j].start);
		end = later(end, t->sacked[j].end);
		j++;
	}
	if (i == j && t->n_sacked == SACKED_MAX)
		return;
	memmove(t->sacked + i + 1, t->sacked + j, (t->n_sacked - j) * sizeof(t->sacked[0]));
	t->n_sacked = t->n_sacked - (j - i) + 1;
	t->sacked[i] = (struct block){start, end};
}

void tcp_sacked_add(struct tcp *t, const struct seg *s)
{
	for (unsigned i = 0; i < s->n_sack; i++) {
		struct block b = s->sack[i];

		/* D-SACK (RFC 2883) and what was never sent say nothing here. */
		if (before(b.start, later(t->una, s->ack)) || before(t->max, b.end) ||
		    !before(b.start, b.end))
			continue;
		span_add(t, b.start, b.end);
	}
}

void tcp_sacked_trim(struct tcp *t)
{
	unsigned n = 0;

	while (n < t->n_sacked && !before(t->una, t->sacked[n].end))
		n++;
	memmove(t->sacked, t->sacked + n, (t->n_sacked - n) * sizeof(t->sacked[0]));
	t->n_sacked -= n;
	if (t->n_sacked && before(t->sacked[0].start, t->una))
		t->sacked[0].start = t->una;
}

uint32_t tcp_sacked_bytes(const struct tcp *t)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < t->n_sacked; i++)
		n += t->sacked[i].end - t->sacked[i].start;
	return n;
}

/* The first range at or behind `seq` that is not SACKed; end: where it stops at the latest. */
static uint32_t unsacked(const struct tcp *t, uint32_t seq, uint32_t *end)
{
	for (unsigned i = 0; i < t->n_sacked; i++) {
		if (before(seq, t->sacked[i].start)) {
			*end = earlier(*end, t->sacked[i].start);
			return seq;
		}
		if (before(seq, t->sacked[i].end))
			seq = t->sacked[i].end;
	}
	return seq;
}

uint32_t tcp_pipe(const struct tcp *t)
{
	uint32_t n = t->nxt - t->una, away = 0, from;

	if (t->recovering && !t->sack) {
		away = t->dupacks * t->mss;
		return away < n ? n - away : 0;
	}
	for (unsigned i = 0; i < t->n_sacked; i++) {
		if (before(t->sacked[i].start, t->nxt))
			away += earlier(t->sacked[i].end, t->nxt) - t->sacked[i].start;
		/* Holes below a SACKed block that were not sent again yet are lost. */
		from = later(t->rtx_nxt, i ? t->sacked[i - 1].end : t->una);
		if (t->recovering && before(from, t->sacked[i].start))
			away += t->sacked[i].start - from;
	}
	return away < n ? n - away : 0;
}

/* ---- sending ---- */

/* Sends up to n bytes at seq; true when something went. */
static bool transmit(struct tcp *t, uint32_t seq, uint32_t n, bool fin)
{
	static uint8_t buf[PACKET_MAX];
	bool again = before(seq, t->max);
	struct seg s;

	tcp_begin(t, &s);
	s.seq = seq;
	s.payload = buf;
	s.len_bytes = t->ops->fill(t, &s, n, buf);
	if (s.len_bytes < n)
		fin = false;
	if (s.len_bytes == 0 && !fin)
		return false;
	s.flags |= (uint8_t)((fin ? F_FIN : 0) | (s.len_bytes && s.len_bytes == n ? F_PSH : 0));
	if (t->k.urgent && s.len_bytes && s.seq % 7 == 0)
		s.flags |= F_URG;
	t->retransmits += again;
	if (again)
		t->timed_at_us = 0;
	else if (!t->timed_at_us) {
		t->timed_at_us = t->w->now_us;
		t->timed_seq = seq + s.len_bytes + fin;
	}
	if (fin) {
		t->fin_sent = true;
		t->fin_seq = seq + s.len_bytes;
	}
	if (t->nxt == seq || before(t->nxt, seq + s.len_bytes + fin))
		t->nxt = seq + s.len_bytes + fin;
	t->max = later(t->max, t->nxt);
	t->rtx_nxt = later(t->rtx_nxt, seq + s.len_bytes + fin);
	if (t->rto_at_us == NEVER)
		t->rto_at_us = t->w->now_us + tcp_rto_us(t);
	tcp_emit(t, &s, t->mss);
	return true;
}

static uint32_t room(const struct tcp *t)
{
	uint32_t pipe = tcp_pipe(t);

	if (pipe == 0)
		return t->cwnd > t->mss ? t->cwnd : t->mss;
	return t->cwnd > pipe ? t->cwnd - pipe : 0;
}

static uint32_t data_limit(const struct tcp *t)
{
	return t->fin_sent ? t->fin_seq : t->max;
}

/* In recovery: the next hole. */
static bool send_hole(struct tcp *t)
{
	uint32_t from = later(t->una, t->rtx_nxt), end, n;

	if (!t->sack) {
		if (t->rtx_nxt != t->una)
			return false;
		from = t->una;
		end = data_limit(t);
	} else {
		if (t->n_sacked == 0)
			return false;
		end = t->sacked[t->n_sacked - 1].start;
		if (!before(from, end))
			return false;
		from = unsacked(t, from, &end);
		if (!before(from, end))
			return false;
	}
	n = end - from;
	if (n > t->mss)
		n = t->mss;
	if (before(data_limit(t), from + n))
		n = data_limit(t) - from;
	return transmit(t, from, n, t->fin_sent && from + n == t->fin_seq);
}

/* After a timeout: from nxt on everything goes again, but what is SACKed. */
static bool send_again(struct tcp *t)
{
	uint32_t end = t->max, n, seq = unsacked(t, t->nxt, &end);
	bool fin;

	if (!before(seq, t->max)) {
		t->nxt = t->max;
		return true;
	}
	t->nxt = seq;
	n = end - seq;
	if (n > t->k.super_bytes)
		n = t->k.super_bytes;
	if (n > room(t))
		n = room(t) / t->mss * t->mss;
	if (n == 0)
		return false;
	fin = t->fin_sent && seq + n == t->fin_seq + 1;
	return transmit(t, seq, fin ? n - 1 : n, fin);
}

static bool send_new(struct tcp *t)
{
	uint32_t end = t->ops->end(t), limit = earlier(end, t->edge), n, space = room(t);
	bool all, fin = false;

	if (t->no_edge_check)
		limit = end;
	if (t->fin_sent)
		return false;
	n = before(t->nxt, limit) ? limit - t->nxt : 0;
	all = t->nxt + n == end;
	if (n > t->k.super_bytes || n > space) {
		n = t->k.super_bytes < space ? t->k.super_bytes : space;
		all = false;
	}
	if (!all && n > t->mss)
		n = n / t->mss * t->mss;
	fin = all && t->fin_wanted && !(t->k.fin_alone && n > 0);
	if (n == 0 && !fin)
		return false;
	/* Nagle; and no silly window: a part of a segment only when it is the rest. */
	if (n < t->mss && !fin && t->nxt != t->una && (!t->k.nodelay || !all))
		return false;
	return transmit(t, t->nxt, n, fin);
}

void tcp_push(struct tcp *t)
{
	unsigned n = 0;
	bool went = true;

	if (t->state != TCP_OPEN)
		return;
	while (went && n++ < 1000) {
		if (t->recovering && room(t) >= t->mss && send_hole(t))
			continue;
		if (room(t) == 0)
			break;
		went = before(t->nxt, t->max) ? send_again(t) : send_new(t);
	}
	if (t->una == t->max && before(t->una, t->ops->end(t)) && !t->no_edge_check &&
	    !before(t->una, t->edge)) {
		if (t->probe_at_us == NEVER)
			t->probe_at_us = t->w->now_us + tcp_rto_us(t);
	} else if (t->una == t->max) {
		t->probe_at_us = NEVER;
	}
}

void tcp_probe(struct tcp *t)
{
	uint64_t us = tcp_rto_us(t) << (t->probes < 5 ? t->probes : 5);
	struct seg s;

	t->probes++;
	t->probe_at_us = t->w->now_us + us;
	if (t->k.probe == PROBE_BYTE && before(t->una, t->ops->end(t))) {
		transmit(t, t->una, 1, false);
		return;
	}
	tcp_begin(t, &s);
	s.seq = t->una - 1;
	t->ops->fill(t, &s, 0, NULL);
	tcp_emit(t, &s, 0);
}
