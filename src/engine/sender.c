/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sender.c - see sender.h.
 */
#include "engine/sender.h"

#include <assert.h>

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/mapping.h"
#include "engine/multi.h"
#include "engine/pmtu.h"
#include "engine/receive.h"
#include "engine/scoreboard.h"
#include "engine/verify.h"

#define RTO_INITIAL_US 1000000u
#define RTO_MAX_US 60000000u
/* While other subflows carry the data, a dead path is probed this often: it may have healed. */
#define RTO_PROBE_MAX_US 1000000u
#define TLP_MIN_US 10000u
#define DELAYED_ACK_US 50000u /* the peer may wait that long with a lone segment's ACK */
#define REO_GRAIN_US 100u
#define SILENCE_SLACK_US 30000u
#define BLACK_HOLE_SENDS 3
#define BLACK_HOLE_US 600000000ull
#define DSS_BYTES 24 /* of ours with data, at most; with a DATA_ACK of four octets 20 */

static const struct cc_ops *ops_of(const struct engine *e)
{
	const struct cc_ops *ops = congestion_at(e->cfg.congestion);

	assert(ops);
	return ops;
}

/* What is in flight when the sender takes over becomes foreign, a txseg for each mapping. */
static void take_over(struct step *st, struct conn *c, struct subflow *s, struct sender *x)
{
	struct engine *e = st->e;
	uint32_t seq = seq_max(c->una_seq, s->snd_una - s->delta_freed);
	uint32_t max_seq = c->max_seq - c->guest_fin;
	struct mapping_view v;
	uint32_t ssn, until;
	struct txseg *t;

	if (!seq_lt(s->snd_una, s->snd_nxt))
		return;
	if (s->remapped) {
		/* Then one does not follow from the other: only counted. */
		t = scoreboard_add(e, x);
		if (!t)
			return;
		*t = (struct txseg){.next = NONE,
				    .ssn = s->snd_una,
				    .seq = c->una_seq,
				    .bytes = s->snd_nxt - s->snd_una};
	}
	for (; !s->remapped && seq_lt(seq, max_seq); seq = until) {
		bool mapped = mapping_find(e, s, seq, &v, &ssn, &until);

		if (mapped) {
			until = v.seq + v.len_bytes;
			ssn = v.ssn + (seq - v.seq);
		}
		/* Only the FIN behind it told of it: it has no place on the subflow yet. */
		if (!mapped && seq_le(s->snd_nxt, ssn))
			break;
		until = seq_min(until, max_seq);
		t = scoreboard_add(e, x);
		if (!t)
			break; /* then these bytes are simply not counted */
		*t = (struct txseg){.next = NONE, .ssn = ssn, .seq = seq, .bytes = until - seq};
		/* What the guest sent and the gate never saw is not in flight. */
		t->lost = !mapped;
		if (mapped) {
			t->map_ssn = v.ssn;
			t->map_seq = v.seq;
			t->map_len_bytes = v.len_bytes;
			t->map_fin = v.data_fin;
			t->map_csum = v.csum;
		}
	}
	for (uint32_t i = x->head; i != NONE; i = txseg_at(e, i)->next) {
		t = txseg_at(e, i);
		t->foreign = true;
		t->n_sent = 1;
		t->sent_us = st->tick->now_us;
		x->in_flight_bytes += t->lost ? 0 : t->bytes;
	}
	/* The path carries that much already, and the guest's window counts segments of its own. */
	if (x->cc.cwnd_bytes < x->in_flight_bytes + 2u * s->mss)
		x->cc.cwnd_bytes = x->in_flight_bytes + 2u * s->mss;
}

bool sender_carries(struct engine *e, const struct subflow *s)
{
	return s->sender != NONE && e->path_usable[s->path] && !sender_at(e, s->sender)->stale;
}

bool sender_alive(struct engine *e, const struct subflow *s)
{
	return s->state == SUBFLOW_ESTABLISHED && sender_carries(e, s);
}

uint32_t sender_least_rtt_us(struct engine *e, const struct conn *c)
{
	uint32_t least_us = 0;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);
		const struct sender *x = s->sender == NONE ? NULL : sender_at(e, s->sender);

		if (x && x->srtt_us && (least_us == 0 || x->min_rtt_us < least_us))
			least_us = x->min_rtt_us;
	}
	return least_us;
}

bool sender_new(struct step *st, struct conn *c, struct subflow *s)
{
	struct engine *e = st->e;
	uint32_t i = pool_new(&e->senders, e);
	uint64_t now_us = st->tick->now_us;
	struct sender *x;
	uint32_t rtt_us;

	if (i == NONE)
		return false;
	x = sender_at(e, i);
	memset(x, 0, sizeof(*x));
	x->head = x->tail = NONE;
	x->rto_us = RTO_INITIAL_US;
	x->last_sent_us = x->first_sent_us = x->delivered_us = now_us;
	s->sender = i;
	verify_begin(e, c, s);
	s->mss += (uint16_t)(MPTCP_ROOM_BYTES - DSS_BYTES + (c->dsn64_seen ? 0 : 4));
	ops_of(e)->init(&x->cc, s->mss, now_us);
	/* The SYN may have waited for a neighbour's address, the data in a queue. */
	rtt_us = s->srtt_us && s->srtt_us < s->syn_rtt_us ? s->srtt_us : s->syn_rtt_us;
	if (rtt_us || s->srtt_us)
		sender_rtt(x, rtt_us ? rtt_us : s->srtt_us);
	take_over(st, c, s, x);
	/* What the guest sent may be lost as a whole: nobody else would notice. */
	sender_arm(st, c, s, true);
	return true;
}

void sender_free(struct engine *e, struct subflow *s)
{
	if (s->sender == NONE)
		return;
	verify_end(e, s);
	scoreboard_free(e, sender_at(e, s->sender));
	pool_free(&e->senders, e, s->sender);
	s->sender = NONE;
}

void sender_dsn64(struct engine *e, const struct conn *c)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		if (subflow_at(e, k)->sender != NONE)
			subflow_at(e, k)->mss -= 4;
}

/*
 * Silence: nothing was delivered for two round trips although something is on its way. The path
 * may be dead; a timeout would say so much later.
 */
static uint64_t silence_us(struct engine *e, const struct sender *x)
{
	uint64_t from_us = x->delivered_us, sent_us = txseg_at(e, x->head)->sent_us;
	uint64_t slack_us = 4ull * x->rttvar_us;

	if (slack_us < SILENCE_SLACK_US)
		slack_us = SILENCE_SLACK_US;
	return (from_us > sent_us ? from_us : sent_us) + 2ull * x->srtt_us + slack_us;
}

void sender_arm(struct step *st, const struct conn *c, struct subflow *s, bool acked)
{
	struct sender *x = sender_at(st->e, s->sender);
	uint64_t now_us = st->tick->now_us,
		 rto_us = (uint64_t)x->rto_us << (x->n_rto < 8 ? x->n_rto : 8);
	uint64_t pto_us = 2ull * x->srtt_us;

	x->tlp_at_us = x->suspect_at_us = 0;
	if (x->head == NONE) {
		x->rto_at_us = 0;
		return;
	}
	if (rto_us > RTO_MAX_US)
		rto_us = RTO_MAX_US;
	if (c->n_subflows > 1 && rto_us > RTO_PROBE_MAX_US)
		rto_us = RTO_PROBE_MAX_US;
	/* Sending starts the timer, only an answer starts it anew (RFC 6298 section 5). */
	if (acked || x->rto_at_us == 0)
		x->rto_at_us = now_us + rto_us;
	if (x->srtt_us && !x->suspect && c->n_subflows > 1)
		x->suspect_at_us = silence_us(st->e, x);
	/* A probe for a lost tail, unless recovery is under way anyway (RFC 8985 section 7.2). */
	if (x->srtt_us == 0 || x->in_recovery || x->in_loss || x->tlp_out)
		return;
	if (x->head == x->tail)
		pto_us += DELAYED_ACK_US;
	if (pto_us < TLP_MIN_US)
		pto_us = TLP_MIN_US;
	if (now_us + pto_us < x->rto_at_us)
		x->tlp_at_us = now_us + pto_us;
}

void sender_idle(struct step *st, const struct subflow *s, struct sender *x)
{
	uint64_t idle_us = st->tick->now_us - x->last_sent_us;

	if (x->head == NONE && idle_us > x->rto_us)
		ops_of(st->e)->on_idle(&x->cc, idle_us, x->rto_us, s->mss, st->tick->now_us);
}

uint64_t sender_deadline_us(const struct sender *x)
{
	const uint64_t at[] = {x->rto_at_us, x->tlp_at_us, x->reo_at_us, x->suspect_at_us};
	uint64_t at_us = UINT64_MAX;

	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		if (at[i] && at[i] < at_us)
			at_us = at[i];
	return at_us;
}

/* Tail loss probe: the last segment again (RFC 8985 section 7.3). */
static void probe(struct step *st, struct conn *c, struct subflow *s, struct sender *x)
{
	struct txseg *t = x->tail == NONE ? NULL : txseg_at(st->e, x->tail);

	x->tlp_at_us = 0;
	if (!t || t->sacked || t->foreign || t->lost)
		return;
	if (t->bytes > s->mss && !scoreboard_cut(st->e, x, t, t->bytes - s->mss))
		return;
	t = txseg_at(st->e, x->tail);
	x->in_flight_bytes -= t->bytes;
	if (!sender_transmit(st, c, s, t)) {
		x->in_flight_bytes += t->bytes;
		return;
	}
	s->retransmits++;
	x->tlp_out = true;
	x->tlp_end_ssn = s->snd_nxt;
	x->tlp_tsval = emit_tsval(st, s);
}

/*
 * The same thing again and again, and no router says why: maybe it is the size (RFC 4821 section
 * 7.7, RFC 8899 section 4.3). By how often the first one was sent, not by timeouts in a row: what
 * is smaller may pass all the time. Smaller in steps; after a while the path is believed again.
 */
static void black_hole(struct step *st, struct subflow *s, const struct sender *x)
{
	static const uint16_t steps[] = {1280, 1024, 576};
	const struct txseg *t = txseg_at(st->e, x->head);
	unsigned n = s->net.family == FLOW_IPV4 ? sizeof(steps) / sizeof(steps[0]) : 1;

	if (t->foreign || t->n_sent % BLACK_HOLE_SENDS)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (pmtu_bytes(st->e, s) <= steps[i] || pmtu_payload_bytes(s, steps[i]) >= t->bytes)
			continue;
		s->mtu_bytes = steps[i];
		s->mtu_until_us = st->tick->now_us + BLACK_HOLE_US;
		return;
	}
}

void sender_too_big(struct step *st, struct conn *c, struct subflow *s)
{
	struct sender *x = sender_at(st->e, s->sender);

	/* No congestion: it was the size (RFC 1191 section 6.4). */
	scoreboard_lose_larger(st->e, x, pmtu_payload_bytes(s, pmtu_bytes(st->e, s)));
	sender_retransmit(st, c, s);
	sender_arm(st, c, s, true);
}

static void rto(struct step *st, struct conn *c, struct subflow *s, struct sender *x)
{
	uint32_t prior_bytes = x->in_flight_bytes;
	struct cc_group g;

	if (x->n_rto < UINT8_MAX)
		x->n_rto++;
	x->stale = true;
	x->suspect = true;
	sender_group(st->e, c, s, &g);
	if (x->n_rto == 1) {
		x->mute = true;
		sender_episode(s, x);
		ops_of(st->e)->on_rto(&x->cc, prior_bytes, &g, st->tick->now_us);
	}
	if (x->head != NONE)
		black_hole(st, s, x);
	x->in_recovery = false;
	x->in_loss = true;
	scoreboard_lose_all(st->e, x);
	x->reo_at_us = x->pace_at_us = 0;
	sender_retransmit(st, c, s);
	sender_arm(st, c, s, true);
}

void sender_timeout(struct step *st, struct conn *c, struct subflow *s)
{
	struct sender *x = sender_at(st->e, s->sender);
	uint64_t now_us = st->tick->now_us;
	struct scoreboard_news n = {0};
	uint32_t prior = x->in_flight_bytes;

	if (x->reo_at_us && x->reo_at_us <= now_us) {
		/* What was sent some microseconds apart is not lost by a timer each. */
		x->reo_at_us = scoreboard_detect(st->e, x, now_us + REO_GRAIN_US, &n);
		if (n.lost_bytes)
			sender_congestion(st, c, s, x, &n, prior);
	}
	if (x->suspect_at_us && x->suspect_at_us <= now_us) {
		x->suspect_at_us = 0;
		x->suspect = true;
	}
	if (x->tlp_at_us && x->tlp_at_us <= now_us)
		probe(st, c, s, x);
	if (x->rto_at_us && x->rto_at_us <= now_us)
		rto(st, c, s, x);
}

void sender_path(struct step *st, struct subflow *s)
{
	struct sender *x = sender_at(st->e, s->sender);
	bool down = !st->e->path_usable[s->path];

	if (down == x->down)
		return;
	x->down = down;
	x->suspect |= down && x->head != NONE;
	/* Back again: asked at once, not when the timer's backoff would have it. */
	if (!down && x->head != NONE) {
		x->n_rto = 0;
		x->rto_at_us = st->tick->now_us;
	}
}
