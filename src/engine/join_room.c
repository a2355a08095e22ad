/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join_room.c - see join_room.h.
 *
 * Theory (J1 of join_accept.c).
 *
 * R1  Half-open joins are at most HALF_PER_CONN of a connection that the guest opened (the gate
 *     itself joins there), as many as it may have subflows of one that the peer opened, and
 *     1/HALF_SHARE of the connections that may be. Who has overheard a token can hold these places,
 *     which takes some SYNs a second; the connection then has no more subflows than it has already,
 *     and lives on those. A join that waited for STALE_US gives its place to a new one, so a lawful
 *     peer's next try has a chance beside a slow attacker, and its first one as soon as he is gone.
 * R2  Where there are as many subflows as may be, some may be dead without our knowing: the peer
 *     is somewhere else now, or a NAT before it has forgotten their ports, and who only receives
 *     sends nothing that would go unanswered. One that has said nothing since its data began to
 *     go unanswered (DEAD_RTOS) gives its place at once. Else all are asked by what a living peer
 *     answers, a keepalive (RFC 9293 section 3.8.4), and the join is refused for now (T). When it
 *     comes again, after STALE_US, one that has not answered gives its place; when all have, there
 *     is no room. Whoever knows the token has so one keepalive on each subflow in STALE_US at
 *     most, and the last subflow stays.
 */
#include "engine/join_room.h"

#include "engine/conn.h"
#include "engine/emit.h"
#include "engine/join.h"
#include "engine/multi.h"
#include "engine/path_manager.h"

#define HALF_PER_CONN 4
#define HALF_SHARE 16
#define HALF_MIN 16
#define STALE_US 1000000ull /* without an answer: longer than round trips are */
#define DEAD_RTOS 2

/* How many of the connection's joins are half open, and the oldest of them. */
static unsigned half_open(struct engine *e, const struct conn *c, struct subflow **oldest)
{
	unsigned n = 0;

	*oldest = NULL;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);

		if (s->state != SUBFLOW_JOIN_RECEIVED)
			continue;
		n++;
		if (!*oldest || s->ts_since_us < (*oldest)->ts_since_us)
			*oldest = s;
	}
	return n;
}

/* R2; `asked`: who did not answer has had time to. */
static struct subflow *dead(struct engine *e, const struct conn *c, bool asked)
{
	unsigned n_others = 0;
	struct subflow *found = NULL;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);
		const struct sender *x = s->sender == NONE ? NULL : sender_at(e, s->sender);

		if (s->state != SUBFLOW_ESTABLISHED)
			continue;
		if (!found && x && ((x->mute && x->n_rto >= DEAD_RTOS) || (asked && x->unheard)))
			found = s;
		else
			n_others++;
	}
	return n_others ? found : NULL;
}

static void ask(struct step *st, struct conn *c)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(st->e, k)->next) {
		struct subflow *s = subflow_at(st->e, k);

		/* The RST has its room. */
		if (s->state != SUBFLOW_ESTABLISHED || s->sender == NONE || !emit_room(st, 2))
			continue;
		sender_at(st->e, s->sender)->unheard = true;
		emit_own_ack(st, c, s, s->snd_nxt - 1, 0, REASON_SUBFLOW_OWN);
	}
}

/* R2: the answer to one more than there may be. */
static enum reason full(struct step *st, struct conn *c, enum mp_tcprst_reason *why,
			struct subflow **goes)
{
	struct multi *m = c->multi == NONE ? NULL : multi_at(st->e, c->multi);
	bool asked = m && m->asked_us, waits = asked && st->tick->now_us < m->asked_us + STALE_US;

	*goes = m ? dead(st->e, c, asked && !waits) : NULL;
	if (*goes)
		return REASON_NONE;
	*why = m && (!asked || waits) ? MP_TCPRST_RESOURCES : MP_TCPRST_PROHIBITED;
	if (m && !waits)
		m->asked_us = asked ? 0 : st->tick->now_us;
	if (m && !asked)
		ask(st, c);
	return REASON_JOIN_LIMIT;
}

enum reason join_room_check(struct step *st, struct conn *c, enum mp_tcprst_reason *why,
			    struct subflow **goes)
{
	struct engine *e = st->e;
	uint32_t most = e->cfg.max_connections / HALF_SHARE;
	unsigned max = path_manager_max_subflows(e);
	unsigned half = half_open(e, c, goes);
	enum reason reason;

	*why = MP_TCPRST_RESOURCES;
	if (c->n_subflows - half >= max) {
		reason = full(st, c, why, goes);
		if (reason != REASON_NONE)
			return reason;
	} else if (c->n_subflows < max && (c->responder || half < HALF_PER_CONN)) {
		*goes = NULL;
	} else if (st->tick->now_us < (*goes)->ts_since_us + STALE_US) {
		return REASON_JOIN_LIMIT;
	}
	if (!join_memory(e, c) || e->n_half_joins >= (most < HALF_MIN ? HALF_MIN : most))
		return REASON_JOIN_LIMIT;
	return REASON_NONE;
}

void join_room_give_up(struct step *st, struct conn *c, struct subflow *s)
{
	count(st->e, REASON_JOIN_TIMEOUT);
	subflow_free(st->e, c, s);
}

void join_room_make(struct step *st, struct conn *c, struct subflow *goes)
{
	if (goes->state == SUBFLOW_JOIN_RECEIVED) {
		join_room_give_up(st, c, goes);
		return;
	}
	subflow_abort(st, c, goes, MP_TCPRST_UNSPECIFIED, REASON_SUBFLOW_UNHEARD);
	multi_push(st, c);
}
