/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.c - see to_net.h and multi.h: what goes next, on which subflow. In this order: what a
 * subflow lost, on itself; what a silent subflow carries, on the others; what nobody carries any
 * more; new data; and when the window is shut by what a slow path carries, that on a fast one.
 */
#include "base/seq.h"
#include "engine/emit.h"
#include "engine/from_guest.h"
#include "engine/multi.h"
#include "engine/sched_common.h"
#include "engine/scoreboard.h"
#include "engine/sender.h"
#include "engine/spans.h"
#include "engine/to_net.h"

#define PIECE_MAX_BYTES 62000u
#define FIN_AGAIN_US 300000u
#define ENDLESS_BYTES (1u << 30)

/* What is to be placed, besides [seq, seq + bytes). */
struct piece_kind {
	uint32_t not_on;       /* index of the subflow that carries it already, or NONE */
	uint32_t only_on;      /* index of the only subflow that may, or NONE */
	uint32_t window_bytes; /* left, from seq on */
	uint32_t unsent_bytes;
	bool window_grows;
	bool tail;
};

static struct multi *multi_of(struct engine *e, const struct conn *c)
{
	return multi_at(e, c->multi);
}

static void describe(struct step *st, const struct subflow *s, struct sched_subflow *d)
{
	struct engine *e = st->e;
	const struct sender *x = sender_at(e, s->sender);
	uint32_t room = sender_room(s, x), pace = sender_pace_bytes(st, s, x);

	*d = (struct sched_subflow){.usable = sender_alive(e, s) && !x->suspect && !s->leaving,
				    .unused = x->delivered_bytes == 0 && x->head == NONE,
				    .slow_start = congestion_slow_start(&x->cc),
				    .backup = s->backup,
				    .srtt_us = x->srtt_us,
				    .rttvar_us = x->rttvar_us,
				    .min_rtt_us = x->min_rtt_us,
				    .expect_us = sender_expect_us(x),
				    .carried_bytes = x->delivered_bytes,
				    .in_flight_bytes = x->in_flight_bytes,
				    /* What recovery allows is the window that counts. */
				    .cwnd_bytes = x->in_flight_bytes + room,
				    .held_bytes = room > pace ? room - pace : 0,
				    .mss_bytes = s->mss,
				    .price_milli = (uint32_t)(e->cfg.path[s->path].price * 1000)};
}

/* Fills the scheduler's view; `who` maps its numbers to subflows. */
static void view(struct step *st, struct conn *c, const struct piece_kind *k,
		 struct sched_input *in, uint32_t *who)
{
	struct engine *e = st->e;
	bool any = false;

	in->n = 0;
	for (uint32_t i = c->subflow; i != NONE && in->n < SCHED_SUBFLOWS_MAX;
	     i = subflow_at(e, i)->next) {
		const struct subflow *s = subflow_at(e, i);

		if (s->sender == NONE || i == k->not_on || (k->only_on != NONE && i != k->only_on))
			continue;
		describe(st, s, &in->s[in->n]);
		any |= in->s[in->n].usable;
		who[in->n++] = i;
	}
	/* All are suspect: then those must do that were not given up. */
	for (unsigned i = 0; i < in->n && !any; i++)
		in->s[i].usable = sender_alive(e, subflow_at(e, who[i]));
}

/* No acknowledgement is on its way that could change the scheduler's mind: it must not wait. */
static bool nothing_in_flight(const struct sched_input *in)
{
	for (unsigned i = 0; i < in->n; i++)
		if (in->s[i].in_flight_bytes)
			return false;
	return true;
}

static struct sched_pick any_room(const struct sched_input *in)
{
	for (unsigned i = 0; i < in->n; i++)
		if (in->s[i].usable &&
		    in->s[i].cwnd_bytes >= in->s[i].held_bytes + in->s[i].mss_bytes)
			return (struct sched_pick){.subflow = (int)i, .bytes = in->s[i].mss_bytes};
	return (struct sched_pick){.subflow = -1};
}

/* One piece on one subflow: how many bytes, 0 when nothing could be sent. */
static uint32_t place(struct step *st, struct conn *c, uint32_t seq, uint32_t bytes,
		      const struct piece_kind *k)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t who[SCHED_SUBFLOWS_MAX] = {0};
	struct sched_input in = {.unsent_bytes = k->unsent_bytes,
				 .window_bytes = k->window_bytes,
				 .window_grows = k->window_grows,
				 .last = m->last_to,
				 .tail = k->tail};
	struct sched_pick pick;

	if (!emit_room(st, TO_NET_OUTS_MIN))
		return 0;
	view(st, c, k, &in, who);
	pick = scheduler_at(e->cfg.scheduler)->pick(&m->sched, &in);
	if (pick.subflow < 0 && nothing_in_flight(&in))
		pick = any_room(&in);
	if (pick.subflow < 0)
		return 0;
	bytes = bytes < pick.bytes ? bytes : pick.bytes;
	bytes = bytes < PIECE_MAX_BYTES ? bytes : PIECE_MAX_BYTES;
	if (bytes == 0 || !sender_send(st, c, subflow_at(e, who[pick.subflow]), seq, bytes))
		return 0;
	if (k->not_on == NONE)
		m->last_to = pick.subflow;
	for (unsigned i = 0; i < in.n; i++)
		if (pick.also_mask & 1u << i && (int)i != pick.subflow)
			sender_send(st, c, subflow_at(e, who[i]), seq, bytes);
	return bytes;
}

/* What has been sent before: the guest's and the peer's windows have let it through already. */
static struct piece_kind kind_again(uint32_t not_on, uint32_t bytes)
{
	return (struct piece_kind){.not_on = not_on,
				   .only_on = NONE,
				   .window_bytes = ENDLESS_BYTES,
				   .unsent_bytes = bytes,
				   .tail = true};
}

/* The txseg is sent on another subflow as well, as far as there is room. */
static bool place_again(struct step *st, struct conn *c, uint32_t on, struct txseg *t)
{
	struct engine *e = st->e;
	struct sender *x = sender_at(e, subflow_at(e, on)->sender);
	uint32_t una = c->una_seq - c->guest_fin_acked, seq = seq_max(t->seq, una);
	uint32_t end = t->seq + t->bytes, start, sent;
	struct piece_kind k = kind_again(on, end - seq);

	sent = place(st, c, seq, end - seq, &k);
	if (sent == 0)
		return false;
	start = seq_max(scoreboard_start(e, c, x, t), una);
	if (seq_lt(start, seq))
		spans_add(e, &multi_of(e, c)->again, start, seq);
	if (seq_lt(seq + sent, end))
		scoreboard_cut(e, x, t, seq + sent - t->seq);
	t->reinjected = true;
	return true;
}

/*
 * The first thing that the subflow carries alone and that the peer still needs. What is SACKed
 * counts: behind a hole of a dead subflow it never reaches the peer's connection.
 */
static struct txseg *first_alone(struct engine *e, const struct conn *c, const struct subflow *s)
{
	uint32_t una = c->una_seq - c->guest_fin_acked;

	for (uint32_t i = sender_at(e, s->sender)->head; i != NONE; i = txseg_at(e, i)->next) {
		struct txseg *t = txseg_at(e, i);

		if (!t->foreign && !t->reinjected && seq_lt(una, t->seq + t->bytes))
			return t;
	}
	return NULL;
}

static bool others(struct engine *e, const struct conn *c, const struct subflow * not )
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s != not &&sender_alive(e, s) && !s->leaving &&
		    !sender_at(e, s->sender)->suspect)
			return true;
	}
	return false;
}

/* False when something waits for room. */
static bool reinject(struct step *st, struct conn *c)
{
	struct engine *e = st->e;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);
		struct txseg *t;

		if (s->sender == NONE || !sender_at(e, s->sender)->suspect || !others(e, c, s))
			continue;
		while ((t = first_alone(e, c, s)) != NULL)
			if (!place_again(st, c, k, t))
				return false;
	}
	return true;
}

/* Is there a path with room that brings the piece much sooner than it could come by itself? */
static bool faster(struct step *st, const struct conn *c, const struct sender *slow)
{
	struct engine *e = st->e;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		const struct sender *x;

		if (!sender_alive(e, s) || s->backup)
			continue;
		x = sender_at(e, s->sender);
		if (x != slow && !x->suspect && 2ull * x->srtt_us < slow->srtt_us &&
		    sender_room(s, x) >= s->mss)
			return true;
	}
	return false;
}

/*
 * What a slow path lost is repaired sooner by a path of less than half its round trip; otherwise
 * all that was sent behind it waits for the slow one's repair.
 */
static void repair_faster(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	uint32_t una = c->una_seq - c->guest_fin_acked;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		const struct sender *x = s->sender == NONE ? NULL : sender_at(e, s->sender);

		if (!x || x->lost_bytes == 0 || !faster(st, c, x))
			continue;
		for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
			struct txseg *t = txseg_at(e, i);

			if (t->lost && !t->foreign && !t->reinjected &&
			    seq_lt(una, t->seq + t->bytes) && !place_again(st, c, k, t))
				break;
		}
	}
}

/*
 * The data's own timer fired again, and all that was sent is acknowledged on its subflow: something
 * there takes the DATA_ACKs away, or acknowledges in the peer's place. Each living subflow in its
 * turn, whatever the scheduler thinks of it.
 */
static uint32_t whose_turn(struct engine *e, const struct conn *c, const struct multi *m)
{
	uint32_t n = 0, nth;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		n += sender_alive(e, subflow_at(e, k));
	if (m->n_data < 2 || n < 2)
		return NONE;
	nth = m->n_data % n;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		if (sender_alive(e, subflow_at(e, k)) && nth-- == 0)
			return k;
	return NONE;
}

/* What no subflow carries any more: those that ended, and what the peer threw away. */
static bool push_orphans(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t start, end, sent;

	while (spans_first(e, m->again, &start, &end)) {
		struct piece_kind k = kind_again(NONE, end - start);

		k.only_on = whose_turn(e, c, m);
		sent = place(st, c, start, end - start, &k);
		if (sent == 0)
			return false;
		spans_trim(e, &m->again, start + sent);
	}
	return true;
}

static void push_new(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t edge = seq_min(c->told_guest_edge_seq, c->una_seq + to_net_keep_bytes(e, c));
	uint32_t end = seq_min(m->end_seq, c->told_guest_edge_seq), sent;
	/*
	 * The guest could send more within the window it was told and does not: what it has sent is
	 * all that its own congestion window allows before the next DATA_ACK.
	 */
	bool limited = seq_lt(m->end_seq, m->told_seq - (m->told_seq - c->una_seq) / 8);

	while (seq_lt(m->nxt_seq, end)) {
		struct piece_kind k = {.not_on = NONE,
				       .only_on = NONE,
				       .window_bytes =
					       seq_lt(m->nxt_seq, edge) ? edge - m->nxt_seq : 0,
				       .unsent_bytes = m->end_seq - m->nxt_seq,
				       .tail = c->guest_fin};

		if (limited && k.unsent_bytes < k.window_bytes) {
			k.window_bytes = k.unsent_bytes;
			k.window_grows = true;
		}
		sent = place(st, c, m->nxt_seq, end - m->nxt_seq, &k);
		if (sent == 0)
			return;
		m->nxt_seq += sent;
	}
}

/* The subflow that carries what the peer waits for first, if one does. */
static struct txseg *first_missing(struct engine *e, const struct conn *c, uint32_t *on)
{
	uint32_t una = c->una_seq - c->guest_fin_acked;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		const struct sender *x = s->sender == NONE ? NULL : sender_at(e, s->sender);

		for (uint32_t i = x ? x->head : NONE; i != NONE; i = txseg_at(e, i)->next) {
			struct txseg *t = txseg_at(e, i);

			if (seq_le(scoreboard_start(e, c, x, t), una) &&
			    seq_lt(una, t->seq + t->bytes) && !t->foreign && !t->sacked) {
				*on = k;
				return t;
			}
		}
	}
	return NULL;
}

/*
 * Nothing new may go, the peer waits for what a slow path carries, and a fast one has room: that
 * piece goes on the fast one too. If it is the peer's window that is shut, the slow path had too
 * much (Raiciu et al., "How hard can it be?", NSDI 2012: opportunistic retransmission and
 * penalisation); if it is the end of the data, it comes sooner.
 */
static void unblock(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	bool shut = seq_lt(m->nxt_seq, m->end_seq);
	uint32_t on = NONE;
	struct txseg *t;
	struct sender *x;

	if (shut && seq_lt(m->nxt_seq + PIECE_MAX_BYTES, c->told_guest_edge_seq))
		return;
	t = first_missing(e, c, &on);
	if (!t || t->reinjected)
		return;
	x = sender_at(e, subflow_at(e, on)->sender);
	if (!faster(st, c, x) || !place_again(st, c, on, t))
		return;
	if (shut && x->cc.cwnd_bytes > 4u * subflow_at(e, on)->mss &&
	    !congestion_slow_start(&x->cc) && !congestion_at(e->cfg.congestion)->model &&
	    st->tick->now_us - x->penalised_us > x->srtt_us) {
		x->penalised_us = st->tick->now_us;
		x->cc.cwnd_bytes /= 2;
		x->cc.ssthresh_bytes = x->cc.cwnd_bytes;
	}
}

/*
 * Rate samples of a sender that had nothing to send say little about its path. Who has not got room
 * for a piece that the schedulers find worthwhile is full.
 */
static void note_idle(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct sched_input in = {.n = 1, .unsent_bytes = ENDLESS_BYTES};

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		struct sender *x;

		if (s->sender == NONE)
			continue;
		x = sender_at(e, s->sender);
		describe(st, s, &in.s[0]);
		if (x->lost_bytes == 0 && sched_room_bytes(&in, 0))
			x->app_limited_bytes = x->delivered_bytes + x->in_flight_bytes + 1;
	}
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

void multi_push(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);

	repair_faster(st, c);
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		if (subflow_at(e, k)->sender != NONE)
			sender_retransmit(st, c, subflow_at(e, k));
	if (reinject(st, c) && push_orphans(st, c)) {
		push_new(st, c);
		unblock(st, c);
	}
	note_idle(st, c);
	if (c->guest_fin && !m->fin_out && m->nxt_seq == c->fin_seq)
		push_fin(st, c);
	to_net_arm(st, c);
}

void push_timeout(struct step *st, struct conn *c)
{
	struct multi *m = multi_of(st->e, c);

	if (m->fin_at_us == 0 || st->tick->now_us < m->fin_at_us)
		return;
	m->fin_at_us = 0;
	if (!c->guest_fin_acked)
		push_fin(st, c);
}

void multi_lost(struct step *st, struct conn *c, struct subflow *s)
{
	struct engine *e = st->e;
	struct multi *m = multi_of(e, c);
	uint32_t una = c->una_seq - c->guest_fin_acked;
	const struct sender *x;

	if (s->sender == NONE)
		return;
	x = sender_at(e, s->sender);
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		const struct txseg *t = txseg_at(e, i);
		uint32_t start = seq_max(scoreboard_start(e, c, x, t), una);

		/* What it delivered on its own level may never have reached the data level. */
		if (!t->foreign && seq_lt(start, t->seq + t->bytes))
			spans_add(e, &m->again, start, t->seq + t->bytes);
	}
	sender_free(e, s);
}
