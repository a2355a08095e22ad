/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multi.c - see multi.h: beginning and end, segments of the gate's own, deadlines.
 */
#include "engine/multi.h"

#include "base/csum.h"
#include "base/seq.h"
#include "engine/ack_guest.h"
#include "engine/conn.h"
#include "engine/dss_sum.h"
#include "engine/emit.h"
#include "engine/guest_sender.h"
#include "engine/guest_ts.h"
#include "engine/mapping.h"
#include "engine/receive.h"
#include "engine/sender.h"
#include "engine/spans.h"
#include "engine/kept.h"
#include "engine/to_guest.h"
#include "engine/to_net.h"
#include "engine/verify.h"

#define GUEST_OWES_US (1800ull * 1000000)

static uint32_t millis(uint64_t since_us, uint64_t now_us)
{
	return (uint32_t)((now_us - since_us) / 1000);
}

bool multi_new(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	bool room = kept_available(e) >= kept_aside(c) && (!c->checksum || verify_room(e));
	uint32_t i = room ? pool_new(&e->multis, e) : NONE;
	struct subflow *s;
	struct multi *m;

	if (i == NONE)
		return false;
	m = multi_at(e, i);
	memset(m, 0, sizeof(*m));
	m->conn = conn_index(e, c);
	m->checked = c->checksum;
	e->n_checked += m->checked;
	m->early = m->again = m->spans = NONE;
	m->hand_seq = m->end_seq = m->nxt_seq = c->max_seq - c->guest_fin;
	m->told_seq = c->told_guest_edge_seq;
	m->acked_guest_seq = c->una_seq;
	m->round_guest_seq = c->max_seq;
	m->round_guest_bytes = m->most_guest_bytes = c->max_seq - c->una_seq;
	m->rx_told_seq = c->told_peer_edge_seq;
	m->pruned_seq = m->recover_seq = c->una_seq;
	m->rx_hand_seq = m->rx_nxt_seq = c->sent_seq - c->peer_fin;
	m->fin_out = c->guest_fin;
	if (c->guest_fin && !c->guest_fin_acked)
		m->fin_at_us = st->tick->now_us + 1;
	m->last_to = -1;
	kept_init(&m->tx, c->una_seq, 1);
	kept_init(&m->rx, m->rx_nxt_seq, 1);
	guest_sender_init(c, m);
	for (uint32_t k = c->subflow; k != NONE; k = s->next) {
		s = subflow_at(e, k);
		if (!s->initial)
			continue;
		s->ts_since_us = st->tick->now_us;
		m->last_from = k;
		m->tsval_guest = s->ts_recent;
		m->ts_echo = s->tsval;
	}
	m->ts_since_us = m->guest_us = st->tick->now_us;
	c->multi = i;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		s = subflow_at(e, k);
		for (unsigned n = 0; n < s->ooo.n; n++)
			spans_add(e, &s->early, s->ooo.r[n].start, s->ooo.r[n].end);
		s->ooo.n = 0;
	}
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		s = subflow_at(e, k);
		if (s->state == SUBFLOW_ESTABLISHED && s->sender == NONE && !sender_new(st, c, s)) {
			multi_free(e, c);
			return false;
		}
	}
	/* A FIN that the guest could not take yet is sent once more by nobody else. */
	guest_sender_arm(st, c);
	return true;
}

bool multi_add(struct step *st, struct conn *c, struct subflow *s)
{
	return s->sender != NONE || sender_new(st, c, s);
}

void multi_free(struct engine *e, struct conn *c)
{
	struct multi *m;

	if (c->multi == NONE)
		return;
	m = multi_at(e, c->multi);
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		sender_free(e, subflow_at(e, k));
	kept_free(e, &m->tx);
	kept_free(e, &m->rx);
	spans_free(e, &m->early);
	spans_free(e, &m->again);
	spans_free(e, &m->spans);
	spans_free(e, &m->guest.sacked);
	spans_free(e, &m->guest.ahead);
	e->n_checked -= m->checked;
	pool_free(&e->multis, e, c->multi);
	c->multi = NONE;
}

void multi_begin_net(struct step *st, struct conn *c, struct subflow *s, struct headers *h,
		     struct options_writer *w)
{
	*h = (struct headers){.tuple = s->net, .dont_fragment = true};
	h->ack = to_guest_ack_ssn(st->e, c, s);
	h->window = emit_window_net(st->e, c);
	w->len_bytes = 0;
	if (s->timestamps)
		options_put_timestamps(w, emit_tsval(st, s), s->ts_recent);
}

void multi_guest_clock(const struct step *st, const struct conn *c, uint32_t ts[2])
{
	const struct multi *m = multi_at(st->e, c->multi);

	ts[0] = m->tsval_guest + millis(m->ts_since_us, st->tick->now_us);
	ts[1] = guest_ts_echo(st->e, c, st->tick->now_us);
}

void multi_begin_guest(struct step *st, struct conn *c, struct headers *h, struct options_writer *w)
{
	struct multi *m = multi_at(st->e, c->multi);
	uint32_t ts[2];

	*h = (struct headers){.tuple = flow_tuple_reverse(&c->guest), .dont_fragment = true};
	h->ack = c->una_seq;
	h->flags = TCP_ACK;
	h->seq = c->sent_seq;
	h->window = to_net_window(st->e, c);
	ack_guest_told(m, c, st->tick->now_us);
	w->len_bytes = 0;
	if (c->timestamps) {
		multi_guest_clock(st, c, ts);
		options_put_timestamps(w, ts[0], ts[1]);
	}
}

void multi_acked(struct subflow *s)
{
	s->ack_pending = false;
	s->ack_at_us = 0;
}

/* What was passed on unkept, and the guest does not have yet: only the peer can send it again. */
static bool owes_unkept(struct engine *e, const struct conn *c, const struct subflow *s)
{
	return s->initial && s->sender != NONE &&
	       seq_lt(acked_data_seq(c), multi_at(e, c->multi)->rx_hand_seq);
}

/* What of [ssn, end) came on the subflow. */
static unsigned sack_received(struct engine *e, const struct subflow *s, uint32_t ssn, uint32_t end,
			      struct sack_block *b, unsigned max)
{
	uint32_t from, to;
	unsigned n = 0;

	if (max > 0 && seq_lt(ssn, s->rcv_nxt))
		b[n++] = (struct sack_block){ssn, seq_min(end, s->rcv_nxt)};
	for (; n < max && spans_above(e, s->early, ssn, &from, &to) && seq_lt(from, end); ssn = to)
		b[n++] = (struct sack_block){seq_max(from, ssn), seq_min(to, end)};
	return n;
}

/*
 * Of what was passed on unkept the guest's own blocks tell, nothing else: what the gate told of it
 * would be taken back when the guest has lost it. But some of it another subflow may have brought,
 * and here it was never sent: a firewall takes a block beyond what it saw for an invalid segment.
 */
static unsigned sack_of_guest(const struct step *st, const struct conn *c, const struct subflow *s,
			      struct sack_block *b, unsigned max)
{
	uint32_t hand_seq = multi_at(st->e, c->multi)->rx_hand_seq;
	unsigned n = 0;

	if (!st->in || st->in->from != ENGINE_GUEST || s->n_shifts != 1)
		return 0;
	for (unsigned i = 0; i < st->o.n_sack && n < max; i++) {
		struct sack_block x = st->o.sack[i];

		if (!seq_lt(x.start, x.end) || seq_lt(hand_seq, x.end) ||
		    !seq_lt(acked_data_seq(c), x.start))
			continue;
		n += sack_received(st->e, s, receive_ssn(s, x.start), receive_ssn(s, x.end), b + n,
				   max - n);
	}
	return n;
}

/* What came twice first (RFC 2883), then the newest block, then the first others (RFC 2018). */
static unsigned sack_blocks(struct step *st, const struct conn *c, struct subflow *s,
			    struct sack_block *b, unsigned max)
{
	struct engine *e = st->e;
	bool unkept = owes_unkept(e, c, s);
	uint32_t from = unkept ? sender_at(e, s->sender)->hand_ssn : s->rcv_nxt;
	uint32_t newest = 0, start, end;
	unsigned n = 0;

	if (max > OPTIONS_SACK_MAX)
		max = OPTIONS_SACK_MAX;
	/* Above the acknowledgement that goes with it, it would be taken for a SACK (RFC 2883). */
	if (s->twice_ssn != s->twice_end && n < max && seq_le(s->twice_end, s->acked_ssn))
		b[n++] = (struct sack_block){s->twice_ssn, s->twice_end};
	s->twice_ssn = s->twice_end;
	if (unkept)
		n += sack_of_guest(st, c, s, b + n, max - n);
	if (n < max && spans_find(e, s->early, s->newest_ssn, &start, &end) &&
	    seq_le(from, start)) {
		newest = start;
		b[n++] = (struct sack_block){start, end};
	}
	for (uint32_t at = spans_begin(e, s->early); n < max && at != NONE;
	     at = spans_next(e, at)) {
		const struct span *x = spans_at(e, at);

		if (x->start != newest && seq_le(from, x->start))
			b[n++] = (struct sack_block){x->start, x->end};
	}
	return n;
}

static void note_ack(struct sender *x, uint32_t ack)
{
	if (x->told_ack != ack)
		x->n_same_ack = 0;
	else if (x->n_same_ack < UINT8_MAX)
		x->n_same_ack++;
	x->told_ack = ack;
}

void multi_ack(struct step *st, struct conn *c, struct subflow *s, uint8_t flags)
{
	struct dss d = emit_data_ack(c);
	struct sack_block b[OPTIONS_SACK_MAX];
	struct options_writer w;
	struct headers h;
	unsigned n = 0;

	multi_begin_net(st, c, s, &h, &w);
	h.seq = s->snd_nxt - ((flags & TCP_FIN) != 0);
	h.flags = TCP_ACK | flags;
	if (s->sack)
		n = sack_blocks(st, c, s, b, (options_room(&w) - dss_bytes(&d) - 4) / 8);
	if (n > 0)
		options_put_sack(&w, b, n);
	dss_encode(&w, &d);
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_ACK_TO_NET);
	if (s->sender != NONE)
		note_ack(sender_at(st->e, s->sender), h.ack);
	multi_acked(s);
}

/*
 * What came behind a hole, once the acknowledgement stands before it: earlier the guest would take
 * for lost all that the peer has not DATA_ACKed yet. Advice, no acknowledgement (I1): the guest
 * keeps it (RFC 2018 section 8).
 */
static void sack_guest(struct engine *e, const struct conn *c, struct options_writer *w)
{
	const struct multi *m = multi_at(e, c->multi);
	struct sack_block b[OPTIONS_SACK_MAX];
	unsigned n = 0;

	if (!c->sack || c->una_seq != m->end_seq)
		return;
	for (uint32_t at = spans_begin(e, m->early); n < 3 && at != NONE; at = spans_next(e, at))
		b[n++] = (struct sack_block){spans_at(e, at)->start, spans_at(e, at)->end};
	if (n > 0)
		options_put_sack(w, b, n);
}

void multi_ack_guest(struct step *st, struct conn *c)
{
	struct options_writer w;
	struct headers h;

	multi_begin_guest(st, c, &h, &w);
	sack_guest(st->e, c, &w);
	emit_guest(st, c, &h, &w, NULL, 0, REASON_ACK_TO_GUEST);
}

uint16_t multi_checksum(struct engine *e, const struct conn *c, const struct subflow *s,
			const struct txseg *t)
{
	const struct multi *m = multi_at(e, c->multi);
	uint64_t sum = dss_sum_header(dsn_of_guest(c, t->map_seq), t->map_ssn - s->iss,
				      (uint16_t)(t->map_len_bytes + t->map_fin));
	uint32_t run;

	for (uint32_t at = 0; at < t->bytes; at += run) {
		const uint8_t *p = kept_read(e, &m->tx, t->seq + at, t->bytes - at, &run);

		sum += dss_sum_bytes(at, p, run);
	}
	return (uint16_t)~csum_fold(sum);
}

/* 0: none. */
static uint64_t sooner(uint64_t a_us, uint64_t b_us)
{
	return b_us && b_us < a_us ? b_us : a_us;
}

uint64_t multi_deadline_us(struct engine *e, const struct conn *c, uint64_t now_us)
{
	const struct multi *m = multi_at(e, c->multi);
	uint64_t at_us = UINT64_MAX;

	bool waits = to_net_waits(e, c);

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		const struct sender *x;
		uint64_t pace_us;

		if (s->ack_pending)
			at_us = sooner(at_us, s->ack_at_us);
		if (s->sender == NONE)
			continue;
		x = sender_at(e, s->sender);
		at_us = sooner(at_us, sender_deadline_us(x));
		/* What its pace lets go already waits for something else: a window, another path.
		 */
		pace_us = waits && sender_room(s, x) >= s->mss ? sender_pace_us(s, x) : 0;
		if (pace_us > now_us)
			at_us = sooner(at_us, pace_us);
	}
	at_us = sooner(at_us, guest_sender_deadline_us(c, m));
	at_us = sooner(at_us, m->fin_at_us);
	at_us = sooner(at_us, m->data_at_us);
	at_us = sooner(at_us, m->hole_at_us);
	at_us = sooner(at_us, m->ack_guest_at_us);
	return at_us;
}

/*
 * A guest that is there sends again what is not acknowledged: no timer of a TCP exceeds two minutes
 * (RFC 6298 section 2.5 allows one, Linux has two).
 */
bool multi_guest_gone(const struct step *st, const struct conn *c)
{
	const struct multi *m = multi_at(st->e, c->multi);
	bool owes = m->end_seq != c->una_seq - c->guest_fin_acked;

	return guest_sender_gone(m) || (owes && m->guest_us + GUEST_OWES_US <= st->tick->now_us);
}

void multi_timeout(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	uint64_t now_us = st->tick->now_us;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);

		if (s->ack_pending && s->ack_at_us <= now_us)
			multi_ack(st, c, s, 0);
		if (s->sender == NONE)
			continue;
		sender_path(st, s);
		sender_timeout(st, c, s);
	}
	to_guest_timeout(st, c);
	to_net_timeout(st, c);
	push_timeout(st, c);
	multi_push(st, c);
	ack_guest_timeout(st, c);
}
