/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * promotion.c - see promotion.h.
 */
#include "engine/promotion.h"

#include "base/seq.h"
#include "engine/conn.h"

/* Before that, a loss is repaired sooner than another subflow could help. */
#define CONGESTION_MIN_BYTES 65536
#define WINDOW_MIN_BYTES 65536u /* a smaller one is the receiver's wish, not a path's limit */
#define DELAY_SLACK_US 10000u   /* delayed acknowledgements and timer granularity */
#define RATE_INTERVAL_US 250000u

static uint64_t moved_bytes(const struct conn *c)
{
	return c->from_guest_bytes + c->to_guest_bytes;
}

/* Over intervals of a quarter of a second or whatever time passes between segments. */
static bool fast(const struct engine_cfg *cfg, struct conn *c, uint64_t now_us)
{
	uint64_t us = now_us - c->rate_at_us, bytes = moved_bytes(c) - c->rate_bytes;

	if (cfg->after_bytes_per_s == 0 || us < RATE_INTERVAL_US)
		return false;
	c->rate_at_us = now_us;
	c->rate_bytes = moved_bytes(c);
	/* The first interval has no beginning. */
	return us != now_us && bytes * 1000000 / us >= cfg->after_bytes_per_s;
}

static enum reason why(const struct engine_cfg *cfg, struct conn *c, uint64_t now_us, bool data)
{
	if (c->policy == ENGINE_ALWAYS)
		return REASON_PROMOTED_POLICY;
	if (moved_bytes(c) >= cfg->after_bytes)
		return REASON_PROMOTED_BYTES;
	if (data && cfg->after_us && now_us - c->created_us >= cfg->after_us)
		return REASON_PROMOTED_TIME;
	if (cfg->on_congestion && c->congestion &&
	    (moved_bytes(c) >= CONGESTION_MIN_BYTES || c->congestion == REASON_PROMOTED_SILENCE))
		return (enum reason)c->congestion;
	if (fast(cfg, c, now_us))
		return REASON_PROMOTED_RATE;
	return REASON_NONE;
}

bool promotion_check(struct step *st, struct conn *c)
{
	enum reason reason;

	if (c->promoted)
		return true;
	if (st->e->cfg.mode == ENGINE_SINGLE || !c->confirmed)
		return false;
	reason = why(&st->e->cfg, c, st->tick->now_us, st->p.payload_bytes > 0);
	if (reason == REASON_NONE)
		return false;
	c->promoted = true;
	count(st->e, reason);
	/* With one path there is rarely anything to gain: not worth a line in the log. */
	if (st->e->cfg.n_paths > 1 || st->e->cfg.mode == ENGINE_NDIFFPORTS)
		event(st, ENGINE_EVENT_PROMOTED, c, reason);
	return true;
}

static void saw(struct conn *c, enum reason reason)
{
	if (c->congestion == REASON_NONE)
		c->congestion = (uint8_t)reason;
}

/*
 * The guest's timer fired twice for the same bytes: the path may be dead, and others may live. The
 * place that is not being timed (Karn) remembers what was sent again before.
 */
static void sent_again(const struct step *st, struct conn *c, struct subflow *s)
{
	saw(c, REASON_PROMOTED_LOSS);
	if (seq_lt(c->una_seq, st->p.seq))
		return;
	if (s->rtt_at_us == 0 && s->rtt_ssn == s->snd_una)
		c->congestion = REASON_PROMOTED_SILENCE;
	s->rtt_ssn = s->snd_una;
}

void promotion_from_guest(struct step *st, struct conn *c, struct subflow *s, uint64_t retransmits)
{
	uint32_t window = c->told_guest_edge_seq - c->una_seq;

	if (s->retransmits != retransmits) {
		sent_again(st, c, s);
		s->rtt_at_us = 0; /* Karn: which of the two was acknowledged? */
		return;
	}
	/* Full windows, either way. */
	if (window >= WINDOW_MIN_BYTES &&
	    seq_le(c->told_guest_edge_seq, c->max_seq + c->guest_mss) &&
	    seq_le(c->max_seq, c->told_guest_edge_seq))
		saw(c, REASON_PROMOTED_WINDOW);
	if (s->rtt_at_us == 0 && st->p.payload_bytes > 0) {
		s->rtt_ssn = s->snd_nxt;
		s->rtt_at_us = st->tick->now_us;
	}
	/* The guest misses something of what went to it: the path lost or reordered it. */
	for (unsigned i = 0; i < st->o.n_sack; i++)
		if (seq_lt(c->acked_seq, st->o.sack[i].start))
			saw(c, REASON_PROMOTED_LOSS);
}

static void rtt_sample(struct conn *c, struct subflow *s, uint32_t rtt_us)
{
	if (s->min_rtt_us == 0 || rtt_us < s->min_rtt_us)
		s->min_rtt_us = rtt_us;
	s->srtt_us = s->srtt_us ? s->srtt_us - s->srtt_us / 8 + rtt_us / 8 : rtt_us;
	if (s->srtt_us > 2 * s->min_rtt_us + DELAY_SLACK_US)
		saw(c, REASON_PROMOTED_DELAY);
}

void promotion_from_net(struct step *st, struct conn *c, struct subflow *s)
{
	uint32_t window = c->told_peer_edge_seq - c->acked_seq;

	if (s->rtt_at_us && seq_le(s->rtt_ssn, s->snd_una)) {
		rtt_sample(c, s, (uint32_t)(st->tick->now_us - s->rtt_at_us));
		s->rtt_at_us = 0;
	}
	for (unsigned i = 0; i < st->o.n_sack; i++)
		if (seq_lt(s->snd_una, st->o.sack[i].start))
			saw(c, REASON_PROMOTED_LOSS);
	if (s->ooo.n)
		saw(c, REASON_PROMOTED_LOSS);
	if (st->p.payload_bytes && window >= WINDOW_MIN_BYTES &&
	    seq_le(c->told_peer_edge_seq, c->sent_seq + c->guest_mss))
		saw(c, REASON_PROMOTED_WINDOW);
}
