/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sender.c - see sender.h.
 */
#include "engine/sender.h"

#include <assert.h>

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/multi.h"
#include "engine/receive.h"
#include "engine/scoreboard.h"
#include "engine/kept.h"

#define RTO_INITIAL_US 1000000u
#define RTO_MIN_US 200000u /* Linux; RFC 6298 says 1 s, every stack says less */
#define RTO_MAX_US 60000000u
/* While other subflows carry the data, a dead path is probed this often: it may have healed. */
#define RTO_PROBE_MAX_US 1000000u
#define TLP_MIN_US 10000u
#define DELAYED_ACK_US 25000u /* the peer may wait that long with a lone segment's ACK */
#define PACE_QUANTUM_US 1000u

static const struct cc_ops *ops_of(const struct engine *e)
{
	const struct cc_ops *ops = congestion_at(e->cfg.congestion);

	assert(ops);
	return ops;
}

static void group_of(struct engine *e, const struct conn *c, const struct subflow *self,
		     struct cc_group *g)
{
	g->n = g->self = 0;
	for (uint32_t i = c->subflow; i != NONE && g->n < CC_SUBFLOWS_MAX;
	     i = subflow_at(e, i)->next) {
		const struct subflow *s = subflow_at(e, i);

		if (s->sender == NONE)
			continue;
		if (s == self)
			g->self = g->n;
		g->member[g->n].cc = &sender_at(e, s->sender)->cc;
		g->member[g->n].srtt_us = sender_at(e, s->sender)->srtt_us;
		g->member[g->n].mss_bytes = s->mss;
		g->member[g->n].established = s->state == SUBFLOW_ESTABLISHED;
		g->n++;
	}
}

static void rtt_sample(struct sender *x, uint32_t rtt_us)
{
	uint32_t off;

	if (x->srtt_us == 0) {
		x->srtt_us = rtt_us;
		x->rttvar_us = rtt_us / 2;
		x->min_rtt_us = rtt_us;
	} else {
		off = x->srtt_us > rtt_us ? x->srtt_us - rtt_us : rtt_us - x->srtt_us;
		x->rttvar_us += off / 4 - x->rttvar_us / 4;
		x->srtt_us += rtt_us / 8 - x->srtt_us / 8;
		if (rtt_us < x->min_rtt_us)
			x->min_rtt_us = rtt_us;
	}
	x->rto_us = x->srtt_us + 4 * x->rttvar_us;
	if (x->rto_us < RTO_MIN_US)
		x->rto_us = RTO_MIN_US;
	if (x->rto_us > RTO_MAX_US)
		x->rto_us = RTO_MAX_US;
}

bool sender_new(struct step *st, struct conn *c, struct subflow *s)
{
	struct engine *e = st->e;
	uint32_t i = pool_new(&e->senders, e);
	uint64_t now_us = st->tick->now_us;
	struct sender *x;
	struct txseg *t;

	if (i == NONE)
		return false;
	x = sender_at(e, i);
	memset(x, 0, sizeof(*x));
	x->head = x->tail = NONE;
	x->rto_us = RTO_INITIAL_US;
	x->heard_us = x->last_sent_us = x->first_sent_us = x->delivered_us = now_us;
	s->sender = i;
	ops_of(e)->init(&x->cc, s->mss, now_us);
	if (s->syn_rtt_us)
		rtt_sample(x, s->syn_rtt_us);
	if (seq_lt(s->snd_una, s->snd_nxt)) {
		t = scoreboard_add(e, x);
		if (!t)
			return true; /* then these bytes are simply not counted */
		t->ssn = s->snd_una;
		t->seq = c->una_seq;
		t->bytes = s->snd_nxt - s->snd_una;
		t->foreign = true;
		t->n_sent = 1;
		t->sent_us = now_us;
		x->in_flight_bytes = t->bytes;
		if (x->cc.cwnd_bytes < t->bytes)
			x->cc.cwnd_bytes = t->bytes;
	}
	return true;
}

void sender_free(struct engine *e, struct subflow *s)
{
	if (s->sender == NONE)
		return;
	scoreboard_free(e, sender_at(e, s->sender));
	pool_free(&e->senders, e, s->sender);
	s->sender = NONE;
}

static void arm(struct step *st, const struct conn *c, struct sender *x)
{
	uint64_t now_us = st->tick->now_us,
		 rto_us = (uint64_t)x->rto_us << (x->n_rto < 8 ? x->n_rto : 8);
	uint64_t pto_us = 2ull * x->srtt_us;

	x->tlp_at_us = 0;
	if (x->in_flight_bytes == 0 && x->head == NONE) {
		x->rto_at_us = 0;
		return;
	}
	if (rto_us > RTO_MAX_US)
		rto_us = RTO_MAX_US;
	if (c->n_subflows > 1 && rto_us > RTO_PROBE_MAX_US)
		rto_us = RTO_PROBE_MAX_US;
	x->rto_at_us = now_us + rto_us;
	/* A probe for a lost tail, unless recovery is under way anyway (RFC 8985 section 7.2). */
	if (x->srtt_us == 0 || x->in_recovery || x->n_rto > 0 || x->tlp_out)
		return;
	if (x->head == x->tail)
		pto_us += DELAYED_ACK_US;
	if (pto_us < TLP_MIN_US)
		pto_us = TLP_MIN_US;
	if (now_us + pto_us < x->rto_at_us)
		x->tlp_at_us = now_us + pto_us;
}

static void recovery_begin(struct step *st, struct conn *c, struct subflow *s, struct sender *x,
			   const struct cc_ack *a)
{
	struct cc_group g;

	x->in_recovery = true;
	x->recover_ssn = s->snd_nxt;
	x->prr_delivered_bytes = x->prr_out_bytes = 0;
	x->prr_from_bytes = a->prior_in_flight_bytes ? a->prior_in_flight_bytes : s->mss;
	group_of(st->e, c, s, &g);
	ops_of(st->e)->on_loss(&x->cc, a, &g);
	x->tlp_at_us = 0;
}

static void ack_congestion(struct step *st, struct conn *c, struct subflow *s, struct sender *x,
			   const struct scoreboard_news *n, uint32_t prior_bytes)
{
	uint64_t send_us = n->sent_us - n->first_sent_us;
	uint64_t ack_us = x->delivered_us - n->prior_delivered_us;
	struct cc_ack a = {.now_us = st->tick->now_us,
			   .acked_bytes = n->acked_bytes,
			   .lost_bytes = n->lost_bytes,
			   .rtt_us = n->rtt_us,
			   .in_flight_bytes = x->in_flight_bytes,
			   .prior_in_flight_bytes = prior_bytes,
			   .delivered_bytes = x->delivered_bytes,
			   .prior_delivered_bytes = n->prior_delivered_bytes,
			   .app_limited = n->app_limited || !x->cwnd_limited};
	struct cc_group g;

	if (n->sent_us && n->prior_delivered_us)
		a.interval_us = send_us > ack_us ? send_us : ack_us;
	if (x->in_recovery && seq_le(x->recover_ssn, s->snd_una)) {
		x->in_recovery = false;
		ops_of(st->e)->on_recovery_exit(&x->cc, st->tick->now_us);
	}
	if (n->lost_bytes && !x->in_recovery && x->n_rto == 0)
		recovery_begin(st, c, s, x, &a);
	a.in_recovery = x->in_recovery;
	if (x->in_recovery)
		x->prr_delivered_bytes += n->acked_bytes;
	group_of(st->e, c, s, &g);
	ops_of(st->e)->on_ack(&x->cc, &a, &g);
}

void sender_on_ack(struct step *st, struct conn *c, struct subflow *s)
{
	struct sender *x = sender_at(st->e, s->sender);
	struct scoreboard_news n = {0};
	uint32_t prior_bytes = x->in_flight_bytes;

	x->heard_us = st->tick->now_us;
	scoreboard_ack(st->e, x, st->p.ack, st->tick->now_us, &n);
	if (seq_lt(s->snd_una, st->p.ack))
		s->snd_una = st->p.ack;
	if (st->o.n_sack)
		scoreboard_sack(st->e, x, st->o.sack, st->o.n_sack, st->tick->now_us, &n);
	if (n.rtt_us)
		rtt_sample(x, n.rtt_us);
	if (n.acked_bytes) {
		x->n_rto = 0;
		x->tlp_out = false;
		x->stale = false;
	}
	x->reo_at_us = scoreboard_detect(st->e, x, st->tick->now_us, &n);
	if (n.acked_bytes || n.lost_bytes) {
		ack_congestion(st, c, s, x, &n, prior_bytes);
		arm(st, c, x);
	}
}

uint32_t sender_room(const struct step *st, const struct subflow *s, const struct sender *x)
{
	uint32_t cwnd = x->cc.cwnd_bytes;
	uint64_t allowed;

	if (x->cc.pacing_bytes_per_s && st->tick->now_us < x->pace_at_us)
		return 0;
	if (x->in_recovery && x->cc.pacing_bytes_per_s == 0) {
		/* PRR (RFC 6937): down to ssthresh in proportion, then up to it. */
		if (x->in_flight_bytes > x->cc.ssthresh_bytes)
			allowed = ((uint64_t)x->prr_delivered_bytes * x->cc.ssthresh_bytes +
				   x->prr_from_bytes - 1) /
				  x->prr_from_bytes;
		else
			allowed = (uint64_t)x->prr_delivered_bytes + s->mss;
		if (allowed <= x->prr_out_bytes)
			return 0;
		allowed -= x->prr_out_bytes;
		if (x->in_flight_bytes <= x->cc.ssthresh_bytes &&
		    allowed > x->cc.ssthresh_bytes - x->in_flight_bytes + s->mss)
			allowed = x->cc.ssthresh_bytes - x->in_flight_bytes + s->mss;
		return (uint32_t)allowed;
	}
	return cwnd > x->in_flight_bytes ? cwnd - x->in_flight_bytes : 0;
}

static void paced(struct step *st, struct sender *x, uint32_t bytes)
{
	uint64_t now_us = st->tick->now_us;

	if (x->cc.pacing_bytes_per_s == 0)
		return;
	/* A quantum of burst, so that timers need not fire for every segment. */
	if (x->pace_at_us + PACE_QUANTUM_US < now_us)
		x->pace_at_us = now_us - PACE_QUANTUM_US;
	x->pace_at_us += bytes * 1000000ull / x->cc.pacing_bytes_per_s;
}

/* The headers and the mapping of one txseg; its bytes come from the stream in runs. */
static bool transmit(struct step *st, struct conn *c, struct subflow *s, struct sender *x,
		     struct txseg *t)
{
	struct multi *m = multi_at(st->e, c->multi);
	uint32_t at = 0, run;

	if (!emit_room(st, 2 + t->bytes / KEPT_CHUNK_BYTES))
		return false;
	while (at < t->bytes) {
		const uint8_t *payload = kept_read(st->e, &m->tx, t->seq + at, t->bytes - at, &run);
		struct dss d = emit_data_ack(c);
		struct options_writer w;
		struct headers h;

		multi_begin_net(st, c, s, &h, &w);
		h.seq = t->ssn + at;
		h.flags = TCP_ACK | (at + run == t->bytes ? TCP_PSH : 0);
		d.has_map = d.dsn64 = true;
		d.dsn = dsn_of_guest(c, t->map_seq);
		d.ssn = t->map_ssn - s->iss;
		d.map_len = t->map_len_bytes;
		d.has_csum = c->checksum;
		d.csum = t->map_csum;
		dss_encode(&w, &d);
		emit_net(st, c, s, &h, &w, payload, run, REASON_DATA_TO_NET);
		at += run;
	}
	multi_acked(s);
	t->n_sent++;
	t->sent_us = st->tick->now_us;
	t->prior_delivered_bytes = x->delivered_bytes;
	t->prior_delivered_us = x->delivered_us;
	if (x->in_flight_bytes == 0)
		x->first_sent_us = x->delivered_us = st->tick->now_us;
	t->first_sent_us = x->first_sent_us;
	x->first_sent_us = st->tick->now_us;
	x->in_flight_bytes += t->bytes;
	x->last_sent_us = st->tick->now_us;
	if (x->in_recovery)
		x->prr_out_bytes += t->bytes;
	x->cwnd_limited = x->in_flight_bytes + 2u * s->mss >= x->cc.cwnd_bytes;
	t->app_limited = !x->cwnd_limited;
	paced(st, x, t->bytes);
	return true;
}

bool sender_send(struct step *st, struct conn *c, struct subflow *s, uint32_t seq, uint32_t bytes)
{
	struct sender *x = sender_at(st->e, s->sender);
	uint64_t idle_us = st->tick->now_us - x->last_sent_us;
	struct txseg *t;

	assert(bytes > 0 && bytes < UINT16_MAX);
	if (!emit_room(st, 2 + bytes / KEPT_CHUNK_BYTES))
		return false;
	if (x->in_flight_bytes == 0 && idle_us > x->rto_us)
		ops_of(st->e)->on_idle(&x->cc, idle_us, x->rto_us, s->mss, st->tick->now_us);
	t = scoreboard_add(st->e, x);
	if (!t)
		return false;
	t->ssn = t->map_ssn = s->snd_nxt;
	t->seq = t->map_seq = seq;
	t->bytes = bytes;
	t->map_len_bytes = (uint16_t)bytes;
	if (c->checksum)
		t->map_csum = multi_checksum(st->e, c, s, t);
	s->snd_nxt += bytes;
	transmit(st, c, s, x, t);
	if (x->rto_at_us == 0 || x->n_rto == 0)
		arm(st, c, x);
	return true;
}

void sender_retransmit(struct step *st, struct conn *c, struct subflow *s)
{
	struct sender *x = sender_at(st->e, s->sender);
	const uint32_t mss = s->mss;
	struct txseg *t;

	assert(mss > 0);
	while ((t = scoreboard_first_lost(st->e, x)) != NULL) {
		uint32_t room = sender_room(st, s, x);

		/* One segment at least, or a timeout could starve. */
		if (room < mss && x->in_flight_bytes > 0)
			return;
		if (room < mss)
			room = mss;
		room -= room % mss;
		if (t->bytes > room && !scoreboard_cut(st->e, x, t, room))
			return;
		t->lost = false;
		if (!transmit(st, c, s, x, t)) {
			t->lost = true;
			return;
		}
		s->retransmits++;
	}
}

uint64_t sender_deadline_us(const struct sender *x)
{
	uint64_t at_us = UINT64_MAX;

	if (x->rto_at_us && x->rto_at_us < at_us)
		at_us = x->rto_at_us;
	if (x->tlp_at_us && x->tlp_at_us < at_us)
		at_us = x->tlp_at_us;
	if (x->reo_at_us && x->reo_at_us < at_us)
		at_us = x->reo_at_us;
	return at_us;
}

/* Tail loss probe: the last segment again (RFC 8985 section 7.3); silence makes the path suspect.
 */
static void probe(struct step *st, struct conn *c, struct subflow *s, struct sender *x)
{
	struct txseg *t = x->tail == NONE ? NULL : txseg_at(st->e, x->tail);

	x->tlp_at_us = 0;
	x->tlp_out = true;
	if (t && !t->sacked && !t->foreign && !t->lost) {
		uint32_t before = x->in_flight_bytes;

		if (t->bytes > s->mss && !scoreboard_cut(st->e, x, t, t->bytes - s->mss))
			return;
		t = txseg_at(st->e, x->tail);
		x->in_flight_bytes -= t->bytes;
		if (transmit(st, c, s, x, t))
			s->retransmits++;
		else
			x->in_flight_bytes = before;
	}
	multi_suspect(st, c, s);
}

static void rto(struct step *st, struct conn *c, struct subflow *s, struct sender *x)
{
	struct cc_group g;

	if (x->n_rto < UINT8_MAX)
		x->n_rto++;
	x->stale = true;
	x->in_recovery = false;
	group_of(st->e, c, s, &g);
	if (x->n_rto == 1)
		ops_of(st->e)->on_rto(&x->cc, x->in_flight_bytes, &g, st->tick->now_us);
	scoreboard_lose_all(st->e, x);
	x->reo_at_us = 0;
	x->pace_at_us = 0;
	sender_retransmit(st, c, s);
	arm(st, c, x);
	multi_suspect(st, c, s);
}

void sender_timeout(struct step *st, struct conn *c, struct subflow *s)
{
	struct sender *x = sender_at(st->e, s->sender);
	uint64_t now_us = st->tick->now_us;
	struct scoreboard_news n = {0};
	uint32_t prior = x->in_flight_bytes;

	if (x->reo_at_us && x->reo_at_us <= now_us) {
		x->reo_at_us = scoreboard_detect(st->e, x, now_us, &n);
		if (n.lost_bytes)
			ack_congestion(st, c, s, x, &n, prior);
	}
	if (x->tlp_at_us && x->tlp_at_us <= now_us)
		probe(st, c, s, x);
	if (x->rto_at_us && x->rto_at_us <= now_us)
		rto(st, c, s, x);
}

uint32_t sender_oldest_seq(struct engine *e, const struct subflow *s, uint32_t none)
{
	const struct sender *x;

	if (s->sender == NONE)
		return none;
	x = sender_at(e, s->sender);
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		const struct txseg *t = txseg_at(e, i);

		if (!t->foreign && seq_lt(t->seq, none))
			none = t->seq;
	}
	return none;
}
