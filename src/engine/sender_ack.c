/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sender_ack.c - see sender.h: what an acknowledgement tells, and what follows from it for the
 * congestion controller.
 */
#include <assert.h>

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/scoreboard.h"
#include "engine/sender.h"

#define RTO_MIN_US 200000u /* above the RTT, as Linux; RFC 6298 says 1 s in all */
#define RTO_MAX_US 60000000u
#define RATE_RTTS 8

static const struct cc_ops *ops_of(const struct engine *e)
{
	const struct cc_ops *ops = congestion_at(e->cfg.congestion);

	assert(ops);
	return ops;
}

void sender_group(struct engine *e, const struct conn *c, const struct subflow *self,
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

void sender_rtt(struct sender *x, uint32_t rtt_us)
{
	uint32_t off;

	x->rtt_us = rtt_us;
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
	x->rto_us = x->srtt_us + (4 * x->rttvar_us > RTO_MIN_US ? 4 * x->rttvar_us : RTO_MIN_US);
	if (x->rto_us > RTO_MAX_US)
		x->rto_us = RTO_MAX_US;
}

void sender_episode(const struct subflow *s, struct sender *x)
{
	x->recover_ssn = s->snd_nxt;
	x->again_bytes = 0;
	x->undoable = true;
	x->tlp_at_us = 0;
	x->tlp_out = false;
}

static void recovery_begin(struct step *st, struct conn *c, struct subflow *s, struct sender *x,
			   const struct cc_ack *a)
{
	struct cc_group g;

	sender_episode(s, x);
	x->in_recovery = true;
	x->prr_delivered_bytes = x->prr_out_bytes = 0;
	x->prr_from_bytes = a->prior_in_flight_bytes ? a->prior_in_flight_bytes : s->mss;
	sender_group(st->e, c, s, &g);
	ops_of(st->e)->on_loss(&x->cc, a, &g);
}

static void episode_end(struct step *st, struct sender *x)
{
	if (x->in_recovery)
		ops_of(st->e)->on_recovery_exit(&x->cc, st->tick->now_us);
	x->in_recovery = x->in_loss = x->undoable = false;
	x->again_bytes = 0;
}

/*
 * Was the loss none? The acknowledgement that first covers something sent again answers the first
 * sending (timestamps: Eifel, RFC 3522), or all that was sent again had arrived before (DSACK, RFC
 * 3708). Then the window is as before, and what counted as lost is in flight.
 */
static void undo(struct step *st, struct sender *x)
{
	ops_of(st->e)->on_undo(&x->cc);
	scoreboard_undo(st->e, x);
	x->reordering = true;
	x->n_rto = 0;
	episode_end(st, x);
}

static bool eifel(const struct step *st, const struct subflow *s, const struct sender *x)
{
	return s->timestamps && st->o.has_timestamps && st->o.tsecr != 0 &&
	       seq_lt(st->o.tsecr, x->again_tsval);
}

/* Bytes that the first SACK block reports as received twice (RFC 2883); 0: it does not. */
static uint32_t dsack_bytes(const struct step *st)
{
	const struct sack_block *b = st->o.sack;

	if (st->o.n_sack == 0)
		return 0;
	if (seq_le(b[0].end, st->p.ack))
		return b[0].end - b[0].start;
	if (st->o.n_sack > 1 && seq_le(b[1].start, b[0].start) && seq_le(b[0].end, b[1].end))
		return b[0].end - b[0].start;
	return 0;
}

static void check_undo(struct step *st, const struct subflow *s, struct sender *x, bool advanced)
{
	uint32_t twice = dsack_bytes(st);

	if (!x->undoable || x->again_bytes == 0)
		return;
	if (twice && twice >= x->again_bytes) {
		undo(st, x);
	} else if (twice) {
		x->again_bytes -= twice;
	} else if (advanced) {
		if (eifel(st, s, x))
			undo(st, x);
		else if (s->timestamps)
			x->undoable = false;
	}
}

/*
 * The probe's answer (RFC 8985 section 7.4.2): when more was acknowledged than the probe and no
 * DSACK said that it came twice, it repaired a loss, and that counts.
 */
static bool tlp_repaired(const struct step *st, const struct subflow *s, struct sender *x,
			 bool advanced)
{
	bool beyond = seq_lt(x->tlp_end_ssn, st->p.ack);

	if (!x->tlp_out || seq_lt(st->p.ack, x->tlp_end_ssn))
		return false;
	if (dsack_bytes(st) || (!beyond && !advanced) ||
	    (advanced && s->timestamps && st->o.has_timestamps && st->o.tsecr &&
	     seq_lt(st->o.tsecr, x->tlp_tsval))) {
		x->tlp_out = false; /* the original arrived */
		return false;
	}
	x->tlp_out = !beyond;
	return beyond;
}

/* The most that was delivered over an RTT, for some RTTs; too little to send proves nothing. */
static void note_rate(struct sender *x, const struct cc_ack *a)
{
	uint64_t rate;

	if (a->interval_us == 0 || a->interval_us < x->min_rtt_us)
		return;
	rate = (a->delivered_bytes - a->prior_delivered_bytes) * 1000000 / a->interval_us;
	if (a->app_limited && rate < x->rate_bytes_per_s[0])
		return;
	if (a->now_us >= x->rate_until_us) {
		x->rate_bytes_per_s[1] = x->rate_bytes_per_s[0];
		x->rate_bytes_per_s[0] = 0;
		x->rate_until_us = a->now_us + RATE_RTTS * x->srtt_us;
	}
	if (rate > x->rate_bytes_per_s[0])
		x->rate_bytes_per_s[0] = rate;
}

uint32_t sender_expect_us(const struct sender *x)
{
	uint64_t rate = x->rate_bytes_per_s[0] > x->rate_bytes_per_s[1] ? x->rate_bytes_per_s[0]
									: x->rate_bytes_per_s[1];
	uint64_t us;

	if (rate == 0 || x->srtt_us == 0)
		return x->srtt_us;
	us = x->in_flight_bytes * 1000000ull / rate;
	/* While the window doubles and finds no queue, what was delivered says nothing. */
	if (us < x->min_rtt_us ||
	    (congestion_slow_start(&x->cc) && x->rtt_us < x->min_rtt_us + x->min_rtt_us / 8 + 1000))
		us = x->min_rtt_us;
	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void sender_congestion(struct step *st, struct conn *c, struct subflow *s, struct sender *x,
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
			   .app_limited = n->app_limited};
	struct cc_group g;

	if (n->sent_us && n->prior_delivered_us)
		a.interval_us = send_us > ack_us ? send_us : ack_us;
	if (n->sent_us)
		x->first_sent_us = n->sent_us;
	note_rate(x, &a);
	if ((x->in_recovery || x->in_loss) && seq_le(x->recover_ssn, s->snd_una))
		episode_end(st, x);
	if (n->lost_bytes && !x->in_recovery && !x->in_loss)
		recovery_begin(st, c, s, x, &a);
	a.in_recovery = x->in_recovery;
	if (x->in_recovery)
		x->prr_delivered_bytes += n->acked_bytes;
	sender_group(st->e, c, s, &g);
	ops_of(st->e)->on_ack(&x->cc, &a, &g);
	if (!ops_of(st->e)->model)
		sender_pace_acked(x, n->acked_bytes);
}

/*
 * Timestamps tell also the round trip of what was sent twice (RFC 7323 section 4). Not those of the
 * guest, before the gate had a clock of its own: that one begins where the guest's last one stood,
 * however long ago that was.
 */
static uint32_t timestamp_rtt_us(const struct step *st, const struct subflow *s)
{
	uint32_t ms = emit_tsval(st, s) - st->o.tsecr;

	if (s->initial && seq_le(st->o.tsecr, s->tsval))
		return 0;
	if (!s->timestamps || !st->o.has_timestamps || st->o.tsecr == 0 || ms > RTO_MAX_US / 1000)
		return 0;
	return ms ? ms * 1000 : 1000;
}

void sender_on_ack(struct step *st, struct conn *c, struct subflow *s)
{
	struct sender *x = sender_at(st->e, s->sender);
	struct scoreboard_news n = {0};
	uint32_t prior_bytes = x->in_flight_bytes;
	bool advanced = seq_lt(s->snd_una, st->p.ack);

	scoreboard_ack(st->e, x, st->p.ack, st->tick->now_us, &n);
	if (advanced)
		s->snd_una = st->p.ack;
	if (st->o.n_sack)
		scoreboard_sack(st->e, x, st->o.sack, st->o.n_sack, st->tick->now_us, &n);
	if (n.again)
		n.rtt_us = 0;
	if (n.acked_bytes && n.rtt_us == 0 && advanced)
		n.rtt_us = timestamp_rtt_us(st, s);
	if (n.rtt_us)
		sender_rtt(x, n.rtt_us);
	if (n.acked_bytes) {
		x->n_rto = 0;
		x->stale = x->suspect = false;
	}
	check_undo(st, s, x, advanced);
	x->reo_at_us = scoreboard_detect(st->e, x, st->tick->now_us, &n);
	if (tlp_repaired(st, s, x, advanced) && n.lost_bytes == 0 && !x->in_recovery && !x->in_loss)
		n.lost_bytes = s->mss;
	if (n.acked_bytes || n.lost_bytes) {
		sender_congestion(st, c, s, x, &n, prior_bytes);
		/* All has arrived: no acknowledgement will come that could end the episode. */
		if (x->head == NONE)
			episode_end(st, x);
		sender_arm(st, c, s, true);
	}
}
