/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * to_net.c - see to_net.h and multi.h.
 *
 * The guest's congestion control is out of the loop: it sees no loss, only DATA_ACKs, and a window
 * that lets it run a little ahead of what the subflows can carry (twice the sum of their rates
 * times the longest round trip), so its backlog here stays short.
 */
#include "engine/to_net.h"

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/guest_ts.h"
#include "engine/multi.h"
#include "engine/piece.h"
#include "engine/scoreboard.h"
#include "engine/sender.h"
#include "engine/spans.h"
#include "engine/kept.h"

#define KEEP_MIN_BYTES (512u << 10)
#define KEEP_MAX_BYTES (16u << 20)
#define DATA_AGAIN_US 500000u
#define ORPHANS_MAX_BYTES 65536u

static struct multi *multi_of(struct engine *e, const struct conn *c)
{
	return multi_at(e, c->multi);
}

uint32_t to_net_keep_bytes(struct engine *e, const struct conn *c)
{
	uint64_t rate = 0, free_bytes, bytes = 0;
	uint32_t longest_us = 0;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		const struct sender *x;

		if (s->sender == NONE)
			continue;
		x = sender_at(e, s->sender);
		bytes += x->cc.cwnd_bytes;
		if (x->stale || x->srtt_us == 0)
			continue;
		rate += x->cc.cwnd_bytes * 1000000ull / x->srtt_us;
		if (x->srtt_us > longest_us)
			longest_us = x->srtt_us;
	}
	/* What the slowest path delays, the others must be able to run ahead of. */
	if (rate * longest_us / 1000000 > bytes)
		bytes = rate * longest_us / 1000000;
	bytes *= 2;
	if (bytes < KEEP_MIN_BYTES)
		bytes = KEEP_MIN_BYTES;
	free_bytes = kept_share_bytes(e);
	if (bytes > free_bytes)
		bytes = free_bytes;
	/* That much there always is (kept.h, S3). */
	if (bytes < KEPT_CHUNK_BYTES)
		bytes = KEPT_CHUNK_BYTES;
	return bytes > KEEP_MAX_BYTES ? KEEP_MAX_BYTES : (uint32_t)bytes;
}

uint16_t to_net_window(struct engine *e, const struct conn *c)
{
	struct multi *m = multi_of(e, c);
	uint32_t edge = seq_min(c->told_guest_edge_seq, c->una_seq + to_net_keep_bytes(e, c));
	uint32_t room;

	m->told_seq = seq_max(m->told_seq, edge);
	room = (m->told_seq - c->una_seq) >> c->peer_wscale;
	return room > UINT16_MAX ? UINT16_MAX : (uint16_t)room;
}

bool to_net_waits(struct engine *e, const struct conn *c)
{
	const struct multi *m = multi_of(e, c);

	/* What lies beyond the peer's window waits for the peer, not for a path. */
	if (m->again != NONE || seq_lt(m->nxt_seq, seq_min(m->end_seq, c->told_guest_edge_seq)))
		return true;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->sender != NONE && sender_at(e, s->sender)->lost_bytes)
			return true;
	}
	return false;
}

/* The peer has the bytes at `seq` on the subflow, but only the guest has their mapping's rest. */
static bool rest_missing(struct engine *e, const struct conn *c, const struct sender *x,
			 uint32_t seq)
{
	const struct txseg *t = x->head == NONE ? NULL : txseg_at(e, x->head);

	return c->checksum && t && t->foreign && seq - t->map_seq < t->map_len_bytes;
}

/* What a silent one carries was sent on others as well, which may have seen it thrown away. */
static bool others_carry(struct engine *e, const struct conn *c, const struct subflow *but)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		if (subflow_at(e, k) != but && sender_carries(e, subflow_at(e, k)))
			return true;
	return false;
}

/* What had no mapping yet has one now, and may be cut before it leaves: summed up while whole. */
static void sum_adopted(struct engine *e, const struct conn *c, const struct subflow *s)
{
	uint32_t i = c->checksum ? sender_at(e, s->sender)->head : NONE;

	for (; i != NONE; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);

		if (!t->foreign && t->map_csum == 0 && t->bytes == t->map_len_bytes)
			t->map_csum = multi_checksum(e, c, s, t);
	}
}

/* What the guest sent before the gate kept bytes and sends again: kept now. */
static enum reason take_old(struct step *st, struct conn *c, uint32_t seq, const uint8_t *data,
			    uint32_t bytes)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);

	bytes = kept_fit(e, &m->tx, seq, bytes);
	if (bytes == 0 || !kept_write(e, &m->tx, seq, data, bytes))
		return REASON_DROP_NO_PAYLOAD_MEMORY;
	/* Its own subflow must have it in its place (I4), and brings it, if it is alive. */
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);

		if (s->sender == NONE || !s->initial || s->remapped)
			continue;
		if (scoreboard_adopt(e, sender_at(e, s->sender), seq, seq + bytes) > 0) {
			sum_adopted(e, c, s);
			return REASON_DATA_TO_NET;
		}
		if (scoreboard_needs(e, sender_at(e, s->sender), seq, seq + bytes))
			return REASON_DATA_TO_NET;
		if (rest_missing(e, c, sender_at(e, s->sender), seq) && piece_split(c, s, seq) &&
		    !others_carry(e, c, s))
			return REASON_CLOSED_SPLIT;
	}
	return spans_add(e, &m->again, seq, seq + bytes) ? REASON_DATA_TO_NET
							 : REASON_DROP_NO_PAYLOAD_MEMORY;
}

static enum reason take_new(struct step *st, struct conn *c, uint32_t seq, const uint8_t *data,
			    uint32_t bytes)
{
	struct multi *m = multi_of(st->e, c);
	uint32_t end = seq + bytes;

	if (seq_le(end, m->end_seq)) {
		/* Sent again although the gate holds it: only the DATA_ACK is missing. */
		multi_ack_guest(st, c);
		return REASON_DATA_TO_NET;
	}
	if (seq_lt(seq, m->end_seq)) {
		data += m->end_seq - seq;
		seq = m->end_seq;
	}
	if (m->tx.n_chunks == 0 && kept_available(st->e) == 0)
		kept_trim(st->e, &m->tx, c->una_seq);
	/* In order whatever finds a place is taken. */
	if (seq == m->end_seq)
		end = seq + kept_fit(st->e, &m->tx, seq, end - seq);
	if (seq == end || !kept_write(st->e, &m->tx, seq, data, end - seq))
		return REASON_DROP_NO_PAYLOAD_MEMORY;
	if (seq == m->end_seq) {
		if (st->o.has_timestamps)
			guest_ts_data(m, seq, st->o.tsval);
		m->end_seq = spans_advance(st->e, &m->early, end);
		c->from_guest_bytes += m->end_seq - seq;
	} else if (spans_add(st->e, &m->early, seq, end)) {
		multi_ack_guest(st, c); /* a duplicate: something is missing */
	}
	c->max_seq = seq_max(c->max_seq, m->end_seq);
	return REASON_DATA_TO_NET;
}

/* Below what the peer expects: it answers with its window (RFC 9293 section 3.8.6.1). */
static void ask_window(struct step *st, struct conn *c)
{
	struct engine *e = st->e;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);
		struct dss d = emit_data_ack(c);
		struct options_writer w;
		struct headers h;

		if (s->state != SUBFLOW_ESTABLISHED || !emit_room(st, 1))
			continue;
		multi_begin_net(st, c, s, &h, &w);
		h.seq = s->snd_una - 1;
		h.flags = TCP_ACK;
		dss_encode(&w, &d);
		emit_net(st, c, s, &h, &w, NULL, 0, REASON_SUBFLOW_OWN);
	}
}

/*
 * A guest without room in the peer's window asks in the same way, and nothing of its own need be
 * left here that would make the gate ask: the peer's word that there is room may be lost.
 */
static void keepalive(struct step *st, struct conn *c)
{
	multi_ack_guest(st, c);
	if (st->p.payload_bytes <= 1 && !c->guest_fin &&
	    seq_lt(c->told_guest_edge_seq, c->una_seq + MULTI_SHUT_BYTES))
		ask_window(st, c);
}

enum reason to_net_take(struct step *st, struct conn *c)
{
	struct multi *m = multi_of(st->e, c);
	const struct packet *p = &st->p;
	uint32_t seq = p->seq, end = p->seq + p->payload_bytes;
	const uint8_t *data = p->payload;
	enum reason reason = REASON_ACK_TO_NET;

	if (p->payload_bytes > 0 && seq_le(end, c->una_seq)) {
		keepalive(st, c);
		return REASON_KEEPALIVE;
	}
	if (seq_lt(seq, c->una_seq) && p->payload_bytes > 0) {
		data += c->una_seq - seq;
		seq = c->una_seq;
	}
	if (p->payload_bytes > 0 && seq_lt(seq, m->hand_seq)) {
		uint32_t n = seq_min(end, m->hand_seq) - seq;

		reason = take_old(st, c, seq, data, n);
		if (reason != REASON_DATA_TO_NET)
			return reason;
		/*
		 * RFC 7323 section 4.3: what fills the hole is echoed. The time stamp of its first
		 * sending would make the guest's RTO as long as its recovery has taken so far.
		 */
		if (seq == c->una_seq && st->o.has_timestamps)
			m->ts_echo = seq_max(m->ts_echo, st->o.tsval);
		data += n;
		seq += n;
	}
	if (seq_lt(seq, end))
		reason = take_new(st, c, seq, data, end - seq);
	if ((p->flags & TCP_FIN) && !c->guest_fin && end == m->end_seq) {
		c->guest_fin = true;
		c->fin_seq = end;
		c->max_seq = end + 1;
		reason = REASON_FIN_TO_NET;
	} else if (p->payload_bytes == 0 && p->seq == c->una_seq - 1) {
		keepalive(st, c); /* the gate may answer, it promises nothing */
		reason = REASON_KEEPALIVE;
	}
	return reason;
}

/* The end of what no subflow carries from una on; una itself when it is carried, or none could. */
static uint32_t orphaned_end(struct engine *e, const struct conn *c, uint32_t una)
{
	uint32_t end = seq_min(multi_of(e, c)->nxt_seq, una + ORPHANS_MAX_BYTES);
	bool any = false;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		const struct sender *x;

		if (!sender_carries(e, s))
			continue;
		any = true;
		x = sender_at(e, s->sender);
		for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
			const struct txseg *t = txseg_at(e, i);

			if (seq_lt(una, t->seq + t->bytes) && !t->sacked)
				end = seq_min(end, seq_max(scoreboard_start(e, c, x, t), una));
		}
	}
	return any ? end : una;
}

static void send_orphans(struct engine *e, const struct conn *c, uint32_t una)
{
	struct multi *m = multi_of(e, c);
	uint32_t end = orphaned_end(e, c, una);

	if (seq_le(m->hand_seq, una) && seq_lt(una, end))
		spans_add(e, &m->again, una, end);
}

/* May a subflow have to send something of [start, end) again (I4)? */
static bool needed(struct engine *e, const struct conn *c, uint32_t start, uint32_t end)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->sender != NONE && scoreboard_needs(e, sender_at(e, s->sender), start, end))
			return true;
	}
	return false;
}

void to_net_acked(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t data_una = c->una_seq - c->guest_fin_acked;

	m->nxt_seq = seq_max(m->nxt_seq, data_una);
	m->end_seq = seq_max(m->end_seq, data_una);
	spans_trim(e, &m->again, data_una);
	guest_ts_acked(m, c->una_seq);
	m->n_data = 0;
	m->data_at_us = 0;
	/* What the peer threw away it threw away in one go: no timer for each piece of it. */
	if (seq_lt(data_una, m->recover_seq))
		send_orphans(e, c, data_una);
	else
		m->recover_seq = data_una;
	if (data_una - m->pruned_seq < KEPT_CHUNK_BYTES)
		return;
	m->pruned_seq = data_una;
	kept_prune(e, &m->tx, data_una, needed, c);
}

void to_net_arm(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint64_t us = DATA_AGAIN_US;

	if (m->end_seq == c->una_seq - c->guest_fin_acked) {
		/* Idle: nothing is kept but what a subflow may have to repeat. */
		if (m->tx.n_chunks)
			kept_prune(e, &m->tx, m->end_seq, needed, c);
		m->data_at_us = 0;
		return;
	}
	if (m->data_at_us)
		return;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->sender != NONE && !sender_at(e, s->sender)->stale &&
		    2ull * sender_at(e, s->sender)->rto_us > us)
			us = 2ull * sender_at(e, s->sender)->rto_us;
	}
	m->data_at_us = st->tick->now_us + (us << (m->n_data < 6 ? m->n_data : 6));
}

void to_net_timeout(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t una = c->una_seq - c->guest_fin_acked;

	if (m->data_at_us == 0 || st->tick->now_us < m->data_at_us)
		return;
	m->data_at_us = 0;
	if (m->n_data < UINT8_MAX)
		m->n_data++;
	/* Its word may be lost on one path, again and again; where it is heard it says how far. */
	ask_window(st, c);
	if (una == m->nxt_seq)
		return;
	m->recover_seq = m->nxt_seq;
	send_orphans(e, c, una);
}
