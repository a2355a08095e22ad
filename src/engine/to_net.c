/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * to_net.c - see to_net.h and multi.h.
 *
 * The guest's congestion control is out of the loop: it sees no loss, only DATA_ACKs, and a window
 * that lets it run a little ahead of what the subflows can carry (about twice the sum of their
 * congestion windows), so its backlog here stays short.
 */
#include "engine/to_net.h"

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/from_guest.h"
#include "engine/multi.h"
#include "engine/sender.h"
#include "engine/spans.h"
#include "engine/kept.h"

#define KEEP_MIN_BYTES (512u << 10)
#define KEEP_MAX_BYTES (16u << 20)
#define PIECE_MAX_BYTES 62000u
#define FIN_AGAIN_US 300000u

static struct multi *multi_of(struct engine *e, const struct conn *c)
{
	return multi_at(e, c->multi);
}

/* How much of the guest's data the gate is willing to hold. */
static uint32_t keep_bytes(struct engine *e, const struct conn *c)
{
	uint64_t sum = 0, free_bytes;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		if (subflow_at(e, k)->sender != NONE)
			sum += sender_at(e, subflow_at(e, k)->sender)->cc.cwnd_bytes;
	sum *= 2;
	if (sum < KEEP_MIN_BYTES)
		sum = KEEP_MIN_BYTES;
	/* Nobody takes more than a quarter of what is left. */
	free_bytes = (uint64_t)(e->chunks.n_records - e->chunks.n_used) * KEPT_CHUNK_BYTES / 4;
	if (sum > free_bytes)
		sum = free_bytes;
	return sum > KEEP_MAX_BYTES ? KEEP_MAX_BYTES : (uint32_t)sum;
}

uint16_t to_net_window(struct engine *e, const struct conn *c)
{
	struct multi *m = multi_of(e, c);
	uint32_t edge = seq_min(c->told_guest_edge_seq, c->una_seq + keep_bytes(e, c));
	uint32_t room;

	m->told_seq = seq_max(m->told_seq, edge);
	room = (m->told_seq - c->una_seq) >> c->peer_wscale;
	return room > UINT16_MAX ? UINT16_MAX : (uint16_t)room;
}

bool to_net_waits(struct engine *e, const struct conn *c)
{
	const struct multi *m = multi_of(e, c);

	if (m->again != NONE || seq_lt(m->nxt_seq, m->end_seq))
		return true;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->sender == NONE)
			continue;
		for (uint32_t i = sender_at(e, s->sender)->head; i != NONE;
		     i = txseg_at(e, i)->next)
			if (txseg_at(e, i)->lost)
				return true;
	}
	return false;
}

static void remember_ts(struct multi *m, uint32_t seq, uint32_t tsval)
{
	if (m->n_tsmarks && m->tsmark[m->n_tsmarks - 1].tsval == tsval)
		return;
	if (m->n_tsmarks == TSMARKS) {
		/* Thin out: every second one tells about as much. */
		for (unsigned i = 0; i < TSMARKS / 2; i++)
			m->tsmark[i] = m->tsmark[2 * i];
		m->n_tsmarks = TSMARKS / 2;
	}
	m->tsmark[m->n_tsmarks++] = (struct tsmark){seq, tsval};
}

/* TSecr for the guest: what it really sent with the byte that is acknowledged. */
static void echo_ts(struct multi *m, uint32_t una_seq)
{
	unsigned i = 0;

	while (i < m->n_tsmarks && seq_lt(m->tsmark[i].seq, una_seq))
		i++;
	if (i == 0)
		return;
	m->ts_echo = m->tsmark[i - 1].tsval;
	/* The last one may still hold for bytes to come. */
	memmove(m->tsmark, m->tsmark + i - 1, (m->n_tsmarks - i + 1u) * sizeof(m->tsmark[0]));
	m->n_tsmarks = (uint8_t)(m->n_tsmarks - i + 1u);
}

/*
 * What the guest sent before the gate kept bytes and sends again: kept now, and given to whoever
 * is alive, because its own subflow may be dead.
 */
static bool take_old(struct step *st, struct conn *c, uint32_t seq, const uint8_t *data,
		     uint32_t bytes)
{
	struct multi *m = multi_of(st->e, c);

	return kept_write(st->e, &m->tx, seq, data, bytes) &&
	       spans_add(st->e, &m->again, seq, seq + bytes);
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
	if (!kept_write(st->e, &m->tx, seq, data, end - seq))
		return REASON_DROP_NO_PAYLOAD_MEMORY;
	if (seq == m->end_seq) {
		c->from_guest_bytes += end - seq;
		if (st->o.has_timestamps)
			remember_ts(m, seq, st->o.tsval);
		m->end_seq = spans_advance(st->e, &m->early, end);
	} else if (spans_add(st->e, &m->early, seq, end)) {
		multi_ack_guest(st, c); /* a duplicate: something is missing */
	}
	c->max_seq = seq_max(c->max_seq, m->end_seq);
	return REASON_DATA_TO_NET;
}

enum reason to_net_take(struct step *st, struct conn *c)
{
	struct multi *m = multi_of(st->e, c);
	const struct packet *p = &st->p;
	uint32_t seq = p->seq, end = p->seq + p->payload_bytes;
	const uint8_t *data = p->payload;
	enum reason reason = REASON_ACK_TO_NET;

	if (p->payload_bytes > 0 && seq_le(end, c->una_seq)) {
		multi_ack_guest(st, c);
		return REASON_KEEPALIVE;
	}
	if (seq_lt(seq, c->una_seq) && p->payload_bytes > 0) {
		data += c->una_seq - seq;
		seq = c->una_seq;
	}
	if (p->payload_bytes > 0 && seq_lt(seq, m->hand_seq)) {
		uint32_t n = seq_min(end, m->hand_seq) - seq;

		if (!take_old(st, c, seq, data, n))
			return REASON_DROP_NO_PAYLOAD_MEMORY;
		data += n;
		seq += n;
		reason = REASON_DATA_TO_NET;
	}
	if (seq_lt(seq, end))
		reason = take_new(st, c, seq, data, end - seq);
	if ((p->flags & TCP_FIN) && !c->guest_fin && end == m->end_seq) {
		c->guest_fin = true;
		c->fin_seq = end;
		c->max_seq = end + 1;
		reason = REASON_FIN_TO_NET;
	} else if (p->payload_bytes == 0 && p->seq == c->una_seq - 1) {
		multi_ack_guest(st, c); /* a keepalive: the gate may answer, it promises nothing */
		reason = REASON_KEEPALIVE;
	}
	return reason;
}

void to_net_acked(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t data_una = c->una_seq - c->guest_fin_acked;
	uint32_t keep = data_una;

	m->nxt_seq = seq_max(m->nxt_seq, data_una);
	spans_trim(e, &m->again, data_una);
	echo_ts(m, c->una_seq);
	/* A subflow that still misses bytes must be able to send them again (I4). */
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		keep = sender_oldest_seq(e, subflow_at(e, k), keep);
	kept_trim(e, &m->tx, keep);
}

static void describe(struct engine *e, const struct subflow *s, struct sched_subflow *d,
		     uint32_t room)
{
	const struct engine_path_cfg *path = &e->cfg.path[s->path];
	const struct sender *x = sender_at(e, s->sender);

	*d = (struct sched_subflow){.usable = s->state == SUBFLOW_ESTABLISHED && !x->stale &&
					      !x->tlp_out && e->path_usable[s->path],
				    .backup = s->backup,
				    .srtt_us = x->srtt_us,
				    .rttvar_us = x->rttvar_us,
				    .in_flight_bytes = x->in_flight_bytes,
				    /* What recovery and pacing allow is the window that counts. */
				    .cwnd_bytes = x->in_flight_bytes + room,
				    .mss_bytes = s->mss,
				    .price_milli = (uint32_t)(path->price * 1000)};
}

/* Fills the scheduler's view; `who` maps its numbers to subflows. */
static void view(struct step *st, struct conn *c, struct sched_input *in, uint32_t *who)
{
	struct engine *e = st->e;
	bool any = false;

	in->n = 0;
	for (uint32_t k = c->subflow; k != NONE && in->n < SCHED_SUBFLOWS_MAX;
	     k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->sender == NONE)
			continue;
		describe(e, s, &in->s[in->n], sender_room(st, s, sender_at(e, s->sender)));
		any |= in->s[in->n].usable;
		who[in->n++] = k;
	}
	/* All are suspect: then those must do that were not given up. */
	for (unsigned i = 0; i < in->n && !any; i++) {
		const struct subflow *s = subflow_at(e, who[i]);

		in->s[i].usable = s->state == SUBFLOW_ESTABLISHED &&
				  !sender_at(e, s->sender)->stale && e->path_usable[s->path];
	}
}

/* One piece on one subflow. False when nothing could be sent. */
static bool push_piece(struct step *st, struct conn *c, uint32_t seq, uint32_t bytes)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	const struct sched_ops *ops = scheduler_at(e->cfg.scheduler);
	uint32_t who[SCHED_SUBFLOWS_MAX] = {0};
	uint32_t granted = c->told_guest_edge_seq - seq;
	struct sched_input in = {
		.unsent_bytes = bytes, .window_bytes = granted, .last = m->last_to};
	struct sched_pick pick;

	view(st, c, &in, who);
	pick = ops->pick(&m->sched, &in);
	if (pick.subflow < 0 || pick.bytes == 0)
		return false;
	if (bytes > pick.bytes)
		bytes = pick.bytes;
	if (bytes > PIECE_MAX_BYTES)
		bytes = PIECE_MAX_BYTES;
	if (!sender_send(st, c, subflow_at(e, who[pick.subflow]), seq, bytes))
		return false;
	m->last_to = pick.subflow;
	for (unsigned i = 0; i < in.n; i++)
		if (pick.also_mask & 1u << i && (int)i != pick.subflow)
			sender_send(st, c, subflow_at(e, who[i]), seq, bytes);
	if (seq_lt(seq, m->nxt_seq))
		spans_trim(e, &m->again, seq + bytes);
	else
		m->nxt_seq = seq + bytes;
	return true;
}

/* DATA_FIN on every living subflow, once all data was sent. */
static void push_fin(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	struct dss d = emit_data_ack(c);

	d.has_map = d.dsn64 = d.data_fin = true;
	d.dsn = dsn_of_guest(c, c->fin_seq);
	d.map_len = 1;
	d.has_csum = c->checksum;
	d.csum = from_guest_checksum(d.dsn, 0, 1, NULL, 0);
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);
		struct options_writer w;
		struct headers h;

		if (s->state != SUBFLOW_ESTABLISHED)
			continue;
		multi_begin_net(st, c, s, &h, &w);
		h.seq = s->snd_nxt;
		h.flags = TCP_ACK;
		dss_encode(&w, &d);
		emit_net(st, c, s, &h, &w, NULL, 0, REASON_FIN_TO_NET);
	}
	m->fin_out = true;
	m->fin_at_us = st->tick->now_us + ((uint64_t)FIN_AGAIN_US << (m->n_fin < 6 ? m->n_fin : 6));
	if (m->n_fin < UINT8_MAX)
		m->n_fin++;
}

void to_net_timeout(struct step *st, struct conn *c)
{
	struct multi *m = multi_of(st->e, c);

	if (m->fin_at_us == 0 || st->tick->now_us < m->fin_at_us)
		return;
	m->fin_at_us = 0;
	if (!c->guest_fin_acked)
		push_fin(st, c);
}

void multi_push(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t start, end, edge;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		if (subflow_at(e, k)->sender != NONE)
			sender_retransmit(st, c, subflow_at(e, k));
	while (spans_first(e, m->again, &start, &end) && emit_room(st, 8))
		if (!push_piece(st, c, start, end - start))
			break;
	while (m->again == NONE && seq_lt(m->nxt_seq, m->end_seq) && emit_room(st, 8)) {
		edge = seq_min(m->end_seq, c->told_guest_edge_seq);
		if (!seq_lt(m->nxt_seq, edge) || !push_piece(st, c, m->nxt_seq, edge - m->nxt_seq))
			break;
	}
	if (c->guest_fin && !m->fin_out && m->nxt_seq == c->fin_seq)
		push_fin(st, c);
}

/* Queues what the subflow has not delivered for the others. */
static void queue_again(struct step *st, struct conn *c, const struct subflow *s)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t una = c->una_seq - c->guest_fin_acked;

	for (uint32_t i = sender_at(e, s->sender)->head; i != NONE; i = txseg_at(e, i)->next) {
		const struct txseg *t = txseg_at(e, i);
		uint32_t start = seq_max(t->seq, una);

		if (!t->foreign && !t->sacked && seq_lt(start, t->seq + t->bytes))
			spans_add(e, &m->again, start, t->seq + t->bytes);
	}
}

static bool others(struct engine *e, const struct conn *c, const struct subflow * not )
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s != not &&s->state == SUBFLOW_ESTABLISHED && s->sender != NONE &&
		    !sender_at(e, s->sender)->stale && e->path_usable[s->path])
			return true;
	}
	return false;
}

void multi_suspect(struct step *st, struct conn *c, struct subflow *s)
{
	if (others(st->e, c, s))
		queue_again(st, c, s);
}

void multi_lost(struct step *st, struct conn *c, struct subflow *s)
{
	if (s->sender == NONE)
		return;
	queue_again(st, c, s);
	sender_free(st->e, s);
}
