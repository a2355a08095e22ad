/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * to_guest.c - see to_guest.h and multi.h.
 */
#include "engine/to_guest.h"

#include "base/seq.h"
#include "engine/addresses.h"
#include "engine/conn.h"
#include "engine/data_ack.h"
#include "engine/emit.h"
#include "engine/guest_sender.h"
#include "engine/multi.h"
#include "engine/receive.h"
#include "engine/sender.h"
#include "engine/silence.h"
#include "engine/spans.h"
#include "engine/verify.h"
#include "engine/kept.h"

#define ACK_DELAY_US 1500u /* for the guest's own ACK to come along */
#define RX_SHARE_MIN_BYTES 65536u
#define ALTERED_MAX 2

static struct multi *multi_of(struct engine *e, const struct conn *c)
{
	return multi_at(e, c->multi);
}

uint32_t to_guest_ack_ssn(struct engine *e, struct conn *c, struct subflow *s)
{
	const struct multi *m = multi_of(e, c);

	/* What was passed on unkept is acknowledged only as far as the guest did. */
	if (s->initial && seq_lt(acked_data_seq(c), m->rx_hand_seq))
		return receive_ack(s, acked_data_seq(c), false);
	s->acked_ssn = s->rcv_nxt;
	return s->rcv_nxt;
}

uint32_t to_guest_edge_seq(struct engine *e, const struct conn *c)
{
	struct multi *m = multi_of(e, c);
	uint64_t bytes = kept_share_bytes(e);

	/* What comes in order always finds a place, little by little. */
	if (bytes < RX_SHARE_MIN_BYTES)
		bytes = RX_SHARE_MIN_BYTES;
	if (bytes > KEPT_MAX_BYTES)
		bytes = KEPT_MAX_BYTES;
	m->rx_told_seq = seq_max(m->rx_told_seq,
				 seq_min(c->told_peer_edge_seq, c->acked_seq + (uint32_t)bytes));
	return m->rx_told_seq;
}

void to_guest_timeout(struct step *st, struct conn *c)
{
	struct multi *m = multi_of(st->e, c);

	if (m->hole_at_us && m->hole_at_us <= st->tick->now_us)
		silence_look(st, c);
	guest_sender_timeout(st, c);
}

void to_guest_acked(struct step *st, struct conn *c, uint32_t old_acked_seq, uint32_t old_edge_seq)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	bool moved = c->acked_seq != old_acked_seq;
	bool told = false;

	if (moved) {
		kept_trim(e, &m->rx, acked_data_seq(c));
		for (uint32_t k = c->checksum ? c->subflow : NONE; k != NONE;
		     k = subflow_at(e, k)->next)
			verify_trim(e, c, subflow_at(e, k));
	}
	guest_sender_acked(st, c, old_acked_seq, c->told_peer_edge_seq != old_edge_seq);
	if (!moved && c->told_peer_edge_seq == old_edge_seq &&
	    (st->o.n_sack == 0 || seq_le(m->rx_hand_seq, c->acked_seq)))
		return;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);

		if (!s->ack_pending)
			continue;
		multi_ack(st, c, s, 0);
		told = true;
	}
	if (!told)
		data_ack_tell(st, c);
}

/* A piece below the hand-over point: straight to the guest, which sorts it (W3). */
static void pass_old(struct step *st, struct conn *c, uint32_t seq, const uint8_t *payload,
		     uint32_t bytes)
{
	struct options_writer w;
	struct headers h;

	multi_begin_guest(st, c, &h, &w);
	h.seq = seq;
	emit_guest(st, c, &h, &w, payload, bytes, REASON_DATA_TO_GUEST);
}

/*
 * A mapped piece of data: how much of it was taken, from its beginning; without memory for more
 * than that. *sent: went to the guest.
 */
static uint32_t take_piece(struct step *st, struct conn *c, uint32_t seq, const uint8_t *payload,
			   uint32_t bytes, bool *sent)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t end = seq + bytes, from;

	if (seq_lt(seq, m->rx_hand_seq) && seq_lt(c->acked_seq, m->rx_hand_seq)) {
		from = seq_min(end, m->rx_hand_seq);
		pass_old(st, c, seq, payload, from - seq);
		*sent = true;
	}
	if (seq_le(end, m->rx_nxt_seq))
		return bytes;
	from = seq_max(seq, m->rx_nxt_seq);
	if (from == m->rx_nxt_seq)
		end = from + kept_fit(e, &m->rx, from, end - from);
	if (from == end || !kept_write(e, &m->rx, from, payload + (from - seq), end - from))
		return from == m->rx_nxt_seq ? from - seq : 0;
	bytes = end - seq;
	if (from != m->rx_nxt_seq) {
		if (m->hole_us == 0)
			silence_hole(st, m);
		if (!spans_add(e, &m->spans, from, end))
			return 0;
		*sent |= guest_sender_ahead(st, c, from);
		return bytes;
	}
	end = spans_advance(e, &m->spans, end);
	m->hole_us = m->hole_at_us = 0;
	if (m->spans != NONE)
		silence_hole(st, m);
	m->rx_nxt_seq = end;
	c->sent_seq = end + (c->peer_fin && end == c->peer_fin_seq);
	guest_sender_push(st, c);
	*sent = true;
	return bytes;
}

/* DATA_FIN at this number: the guest learns of it when all before it was delivered. */
static void take_fin(struct step *st, struct conn *c, uint32_t seq, bool *sent)
{
	struct multi *m = multi_of(st->e, c);

	if (c->peer_fin_acked)
		return;
	if (!c->peer_fin) {
		c->peer_fin = true;
		c->peer_fin_seq = seq;
	}
	if (seq != c->peer_fin_seq || m->rx_nxt_seq != seq || c->sent_seq == seq + 1)
		return;
	c->sent_seq = seq + 1;
	guest_sender_push(st, c);
	*sent = true;
}

/* Notes [ssn, end) in the subflow's own order. False: it cannot be remembered. */
static bool received(struct engine *e, struct subflow *s, uint32_t ssn, uint32_t end)
{
	uint32_t from, to;

	if (seq_le(end, s->rcv_nxt) ||
	    (spans_find(e, s->early, ssn, &from, &to) && seq_le(end, to))) {
		s->twice_ssn = ssn;
		s->twice_end = end;
	}
	s->newest_ssn = ssn;
	if (seq_lt(s->rcv_nxt, ssn))
		return spans_add(e, &s->early, ssn, end);
	if (seq_lt(s->rcv_nxt, end))
		s->rcv_nxt = spans_advance(e, &s->early, end);
	return true;
}

/* A part of the segment at hand under one mapping. */
struct stretch {
	struct peer_map *map; /* null when only a partial remembers it */
	struct partial *partial;
	const uint8_t *payload;
	uint32_t ssn, seq, bytes;
};

/* The mapping at x->ssn; cuts x where it ends. False: there is none. */
static bool locate(struct step *st, const struct conn *c, struct subflow *s, struct stretch *x)
{
	uint32_t rest;

	/* What was begun under a mapping is finished under it, whatever others say. */
	x->partial = c->checksum && s->sender != NONE ? verify_find(st->e, s, x->ssn) : NULL;
	x->map = receive_map_find(s, x->ssn);
	if (x->partial) {
		x->seq = x->partial->seq + (x->ssn - x->partial->ssn);
		rest = x->partial->ssn + x->partial->bytes - x->ssn;
	} else if (x->map) {
		x->seq = seq_of_peer_dsn(c, x->map->dsn + (x->ssn - x->map->ssn));
		rest = x->map->ssn + x->map->len_bytes - x->ssn;
	} else {
		return false;
	}
	x->bytes = x->bytes < rest ? x->bytes : rest;
	return true;
}

/*
 * Out of the data's order and no memory for it. Refused it is sent again on its subflow; but while
 * it is, that subflow carries nothing else, and when all do that, what is missing never comes. So
 * what was refused once is acknowledged on the subflow and thrown away, and all that follows, until
 * the data goes on: it is not DATA_ACKed, the peer's data level has it still (RFC 8684 section
 * 3.3.5). True: it counts as received.
 */
static bool discard(struct step *st, struct conn *c, struct subflow *s, const struct stretch *x)
{
	struct sender *t = s->sender == NONE ? NULL : sender_at(st->e, s->sender);

	if (!t || seq_le(x->seq, multi_of(st->e, c)->rx_nxt_seq))
		return false;
	t->starved |= t->refused && t->refused_ssn == x->ssn;
	t->refused = true;
	t->refused_ssn = x->ssn;
	if (t->starved)
		count(st->e, REASON_DATA_DISCARDED);
	return t->starved;
}

/* Memory was found again: from here on what is refused is refused for the first time. */
static void found_memory(struct engine *e, struct subflow *s)
{
	if (s->sender != NONE)
		sender_at(e, s->sender)->refused = sender_at(e, s->sender)->starved = false;
}

static enum reason take_mapped(struct step *st, struct conn *c, struct subflow *s,
			       const struct stretch *x, bool *sent)
{
	uint32_t n = take_piece(st, c, x->seq, x->payload, x->bytes, sent);

	if (n > 0)
		found_memory(st->e, s);
	else if (discard(st, c, s, x))
		n = x->bytes;
	if (n == 0 || !received(st->e, s, x->ssn, x->ssn + n) || n < x->bytes)
		return REASON_DROP_NO_PAYLOAD_MEMORY;
	return REASON_DATA_TO_GUEST;
}

static bool others_live(struct engine *e, const struct conn *c, const struct subflow *but)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s != but && s->state == SUBFLOW_ESTABLISHED && !s->leaving)
			return true;
	}
	return false;
}

/* A wrong checksum: the subflow ends (RFC 8684 section 3.7). `seq`: where the mapping begins. */
static enum reason wrong(struct step *st, struct conn *c, struct subflow *s, uint32_t seq,
			 bool too_late)
{
	struct multi *m = multi_of(st->e, c);

	/* Once may be chance; again and again on the only subflow there is no way around it. */
	if (too_late || (!others_live(st->e, c, s) && m->n_altered++ == ALTERED_MAX)) {
		conn_reset(st, c, REASON_CLOSED_ALTERED);
		return REASON_FALLBACK_CHECKSUM;
	}
	addresses_failed(st, c, s->path, addresses_peer_id(st->e, c, &s->net), true);
	subflow_fail(st, c, s, dsn_of_peer_seq(c, seq));
	return REASON_FALLBACK_CHECKSUM;
}

/* A mapping that is whole now, out of its partial. */
static enum reason take_whole(struct step *st, struct conn *c, struct subflow *s, struct partial *p,
			      bool *sent)
{
	enum reason reason = REASON_DATA_TO_GUEST;
	uint32_t run;

	for (uint32_t at = 0; at < p->bytes; at += run) {
		const uint8_t *data = kept_read(st->e, &p->kept, p->ssn + at, p->bytes - at, &run);

		/* The peer's data level sends again what finds no place. */
		if (take_piece(st, c, p->seq + at, data, run, sent) < run)
			reason = REASON_DROP_NO_PAYLOAD_MEMORY;
	}
	verify_drop(st->e, s, p);
	return reason;
}

/*
 * V4: the mapping holds what comes next, and what came early makes room for it. That was
 * acknowledged on its subflows only, so the peer's data level sends it again. False: it does not.
 */
static bool make_room(struct step *st, struct conn *c, const struct subflow *s,
		      const struct stretch *x)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t begin = x->partial ? x->partial->seq : x->seq - (x->ssn - x->map->ssn);
	bool any = m->spans != NONE;

	if (seq_lt(m->rx_nxt_seq, begin))
		return false;
	spans_free(e, &m->spans);
	kept_cut(e, &m->rx, m->rx_nxt_seq);
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		any |= verify_yield(e, subflow_at(e, k), subflow_at(e, k) == s, x->ssn);
	if (any)
		count(e, REASON_DATA_DISCARDED);
	return true;
}

/* The piece goes to its mapping, if there is memory for it or something can be done for some. */
static enum verified verify(struct step *st, struct conn *c, struct subflow *s,
			    const struct stretch *x)
{
	struct engine *e = st->e;
	enum verified v = verify_piece(e, c, s, x->map, x->ssn, x->payload, x->bytes, false);

	if (v != VERIFY_NO_MEMORY)
		return v;
	if (make_room(st, c, s, x))
		return verify_piece(e, c, s, x->map, x->ssn, x->payload, x->bytes, true);
	if (!discard(st, c, s, x))
		return VERIFY_NO_MEMORY;
	verify_give_up(e, s, x->map, x->ssn);
	return VERIFY_KNOWN;
}

/* With DSS checksums: nothing goes on before its mapping was verified (verify.h). */
static enum reason take_checked(struct step *st, struct conn *c, struct subflow *s,
				const struct stretch *x, bool *sent)
{
	struct engine *e = st->e;
	enum reason reason;
	struct partial *p;

	if (s->sender == NONE)
		return REASON_DROP_STATE;
	switch (verify(st, c, s, x)) {
	case VERIFY_GOOD:
		reason = take_mapped(st, c, s, x, sent);
		/* Only a part found room: the rest would not be known again in other pieces. */
		if (reason != REASON_DATA_TO_GUEST)
			verify_give_up(e, s, x->map, x->ssn);
		return reason;
	case VERIFY_BAD:
		return wrong(st, c, s, x->seq - (x->ssn - x->map->ssn), false);
	case VERIFY_TOO_LATE:
		return wrong(st, c, s, x->seq, true);
	case VERIFY_NO_MEMORY:
		return REASON_DROP_NO_PAYLOAD_MEMORY;
	case VERIFY_KNOWN:
	case VERIFY_HELD:
		break;
	}
	if (!received(e, s, x->ssn, x->ssn + x->bytes))
		return REASON_DROP_NO_PAYLOAD_MEMORY;
	p = verify_find(e, s, x->ssn);
	/* What is missing is on its way, though nothing of it goes on yet. */
	if (p && multi_of(e, c)->hole_us && seq_le(p->seq, multi_of(e, c)->rx_nxt_seq))
		silence_hole(st, multi_of(e, c));
	switch (p ? verify_whole(e, s, p) : VERIFY_HELD) {
	case VERIFY_GOOD:
		return take_whole(st, c, s, p, sent);
	case VERIFY_BAD:
		return wrong(st, c, s, p->seq, false);
	default:
		return REASON_DATA_TO_GUEST;
	}
}

enum reason to_guest_take(struct step *st, struct conn *c, struct subflow *s, bool *sent)
{
	const struct packet *p = &st->p;
	const struct dss *d = &st->o.mp.dss;
	uint32_t ssn = p->seq, end = p->seq + p->payload_bytes;
	const uint8_t *payload = p->payload;
	bool in_order = p->seq == s->rcv_nxt;
	enum reason reason = REASON_NONE;
	uint64_t dsn;

	if (st->o.mp.has_dss && d->has_map) {
		if (d->dsn64 && !c->dsn64_seen && in_order && p->payload_bytes > 0) {
			c->dsn64_seen = true;
			sender_dsn64(st->e, c);
		}
		dsn = d->dsn64 ? d->dsn : dsn_expand((uint32_t)d->dsn, c->acked_dsn);
		if (dsn - c->acked_dsn + (1u << 30) > 2ull << 30)
			return REASON_DROP_OUT_OF_WINDOW;
		if (d->map_len > 1 || !d->data_fin)
			receive_map(s, d, dsn);
		if (d->data_fin) {
			take_fin(st, c, seq_of_peer_dsn(c, dsn + d->map_len - 1), sent);
			reason = REASON_FIN_TO_GUEST;
		}
	}
	while (ssn != end) {
		struct stretch x = {.ssn = ssn, .payload = payload, .bytes = end - ssn};

		if (!locate(st, c, s, &x))
			return REASON_FALLBACK_UNMAPPED;
		if (!emit_room(st, 4 + x.bytes / KEPT_CHUNK_BYTES))
			return REASON_DROP_OUTPUT_FULL;
		reason = c->checksum ? take_checked(st, c, s, &x, sent)
				     : take_mapped(st, c, s, &x, sent);
		if (reason != REASON_DATA_TO_GUEST)
			return reason;
		silence_arrival(st, multi_of(st->e, c), s);
		if (s->initial && s->n_shifts)
			receive_shift(s, ssn, x.bytes, ssn - x.seq);
		multi_of(st->e, c)->last_from = subflow_index(st->e, s);
		ssn += x.bytes;
		payload += x.bytes;
	}
	if (p->payload_bytes == 0)
		return reason;
	if (!s->ack_pending) {
		s->ack_pending = true;
		s->ack_at_us = st->tick->now_us + ACK_DELAY_US;
	}
	/* Out of the subflow's order: tell at once, duplicate acknowledgements find losses. */
	if (!in_order || s->early != NONE)
		multi_ack(st, c, s, 0);
	return reason;
}
