/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * data_ack.c - see data_ack.h.
 */
#include "engine/data_ack.h"

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/multi.h"
#include "engine/to_guest.h"

#define SAME_ACKS_MAX 1 /* twice the same is no loss yet */
#define QUIET_US 20000u

/*
 * A peer without SACK takes the third acknowledgement in a row that says the same for a loss (RFC
 * 5681 section 3.2) if it has data in flight on the subflow. What tells nothing but a DATA_ACK says
 * the same. Has it none in flight any more?
 */
static bool quiet(const struct step *st, const struct subflow *s, const struct sender *x)
{
	return s->data_us + QUIET_US + 2ull * x->srtt_us <= st->tick->now_us;
}

static bool harmless(struct step *st, struct conn *c, struct subflow *s)
{
	const struct sender *x = s->sender == NONE ? NULL : sender_at(st->e, s->sender);

	if (s->state != SUBFLOW_ESTABLISHED || !x)
		return false;
	return s->sack || x->told_ack != to_guest_ack_ssn(st->e, c, s) ||
	       x->n_same_ack < SAME_ACKS_MAX || quiet(st, s, x);
}

static bool answers(struct engine *e, const struct subflow *s)
{
	return s->sender == NONE || !sender_at(e, s->sender)->stale;
}

/*
 * Nothing but a DATA_ACK or a window is to be told: on a subflow where that is not misunderstood,
 * and if there is one, where what was sent last was heard.
 */
void data_ack_tell(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct subflow *last = subflow_at(e, multi_at(e, c->multi)->last_from), *s = NULL;

	if (last->conn != conn_index(e, c) || last->state != SUBFLOW_ESTABLISHED)
		return;
	if (harmless(st, c, last) && answers(e, last))
		s = last;
	for (uint32_t k = c->subflow; k != NONE && !s; k = subflow_at(e, k)->next)
		if (!subflow_at(e, k)->leaving && answers(e, subflow_at(e, k)) &&
		    harmless(st, c, subflow_at(e, k)))
			s = subflow_at(e, k);
	if (!s && harmless(st, c, last))
		s = last;
	if (s) {
		multi_ack(st, c, s, 0);
		return;
	}
	/* With the next data's acknowledgement, or when none comes. */
	last->ack_pending = true;
	last->ack_at_us = st->tick->now_us + QUIET_US +
			  (last->sender == NONE ? 0 : sender_at(e, last->sender)->srtt_us);
}

/* All that the segment brings was acknowledged by the guest. */
static bool repeats(const struct step *st, const struct conn *c)
{
	const struct dss *d = &st->o.mp.dss;
	uint64_t dsn;

	if (st->p.payload_bytes == 0 || !st->o.mp.has_dss || !d->has_map)
		return false;
	dsn = d->dsn64 ? d->dsn : dsn_expand((uint32_t)d->dsn, c->acked_dsn);
	return (int64_t)(dsn + d->map_len - c->acked_dsn) <= 0;
}

void data_ack_again(struct step *st, struct conn *c, const struct subflow *s)
{
	struct engine *e = st->e;

	if (multi_at(e, c->multi)->resumed_us != st->tick->now_us || !repeats(st, c))
		return;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *t = subflow_at(e, k);

		if (t != s && !t->leaving && harmless(st, c, t) && emit_room(st, 1))
			multi_ack(st, c, t, 0);
	}
}
