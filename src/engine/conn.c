/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.c - see conn.h.
 */
#include "engine/conn.h"

#include "base/seq.h"
#include "engine/addresses.h"
#include "engine/announce.h"
#include "engine/claims.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/join.h"
#include "engine/multi.h"
#include "engine/path_manager.h"
#include "engine/responder.h"
#include "engine/to_net.h"

#define SYN_TIMEOUT_US (130ull * 1000000)
#define IDLE_TIMEOUT_US (5ull * 86400 * 1000000) /* as nf_conntrack */

static uint64_t idle_us(const struct engine *e)
{
	return e->cfg.idle_timeout_us ? e->cfg.idle_timeout_us : IDLE_TIMEOUT_US;
}

/* The record that is due next, if it only lingers. False when it does not. */
static bool reclaim(struct step *st)
{
	uint32_t i = deadline_first(st->e);
	struct conn *c = i == NONE ? NULL : conn_at(st->e, i);

	if (!c || c->state != CONN_CLOSED)
		return false;
	conn_free(st, c, (enum reason)c->reason);
	return true;
}

struct conn *conn_new(struct step *st, const struct flow_tuple *guest)
{
	struct engine *e = st->e;
	uint64_t syn_us = e->cfg.syn_timeout_us ? e->cfg.syn_timeout_us : SYN_TIMEOUT_US;
	uint32_t i = pool_new(&e->conns, e);
	struct conn *c;

	if (i == NONE && reclaim(st))
		i = pool_new(&e->conns, e);
	if (i == NONE)
		return NULL;
	c = conn_at(e, i);
	memset(c, 0, sizeof(*c));
	c->state = CONN_SYN_SENT;
	c->subflow = c->multi = c->addresses = NONE;
	c->hash_guest = c->hash_token = NONE;
	c->guest = *guest;
	c->created_us = c->active_us = st->tick->now_us;
	conn_add(e, c);
	deadline_set(e, c, st->tick->now_us + syn_us);
	return c;
}

void conn_free(struct step *st, struct conn *c, enum reason reason)
{
	struct engine *e = st->e;

	if (c->state != CONN_CLOSED && c->state != CONN_SYN_SENT && !responder_half_open(c))
		event(st, ENGINE_EVENT_CLOSED, c, reason);
	responder_settled(e, c);
	claims_end(e, c, reason == REASON_CLOSED_REUSED);
	multi_free(e, c);
	addresses_free(e, c);
	while (c->subflow != NONE)
		subflow_free(e, c, subflow_at(e, c->subflow));
	deadline_set(e, c, UINT64_MAX);
	conn_rm(e, c);
	c->state = CONN_FREE;
	pool_free(&e->conns, e, conn_index(e, c));
}

static void expire(struct step *st, struct conn *c, enum reason reason)
{
	count(st->e, reason);
	conn_free(st, c, reason);
}

/* What the guest repeats is answered later: by a clock that does not go back (RFC 7323 section 5).
 */
static void keep_clock(struct step *st, struct conn *c)
{
	const struct subflow *s = conn_subflow(st->e, c);
	uint32_t ts[2] = {s ? s->ts_recent : 0, s ? s->tsval : 0};

	if (c->multi != NONE)
		multi_guest_clock(st, c, ts);
	c->synack_tsval = ts[0];
	c->synack_tsecr = ts[1];
}

void conn_close(struct step *st, struct conn *c, bool reset, enum reason reason)
{
	event(st, ENGINE_EVENT_CLOSED, c, reason);
	count(st->e, reason);
	keep_clock(st, c);
	multi_free(st->e, c);
	addresses_free(st->e, c);
	c->state = CONN_CLOSED;
	c->reason = (uint8_t)reason;
	c->reset = reset;
	claims_conn(st->e, c);
	c->rate_at_us = st->tick->now_us;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(st->e, k)->next)
		subflow_at(st->e, k)->data_us = st->tick->now_us;
	deadline_set(st->e, c, st->tick->now_us + (reset ? LINGER_RESET_US : LINGER_US));
}

void conn_linger(struct step *st, struct conn *c, uint64_t *asked_us)
{
	uint64_t now_us = st->tick->now_us, for_us = LINGER_US + 2 * (now_us - *asked_us);

	if (for_us > LINGER_MAX_US || *asked_us > now_us)
		for_us = LINGER_MAX_US;
	*asked_us = now_us;
	/* The other side, or another subflow, may ask less often. */
	if (deadline_us(st->e, conn_index(st->e, c)) < now_us + for_us)
		deadline_set(st->e, c, now_us + for_us);
}

void conn_reset(struct step *st, struct conn *c, enum reason reason)
{
	struct options_writer w = {0};
	struct headers h;

	emit_begin_guest(st, c, false, &h, &w);
	h.seq = c->acked_seq;
	h.ack = c->una_seq;
	h.flags = TCP_RST | TCP_ACK;
	emit_guest(st, c, &h, &w, NULL, 0, REASON_RST_TO_GUEST);
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(st->e, k)->next)
		emit_own_ack(st, c, subflow_at(st->e, k), subflow_at(st->e, k)->snd_nxt, TCP_RST,
			     REASON_RST_TO_NET);
	conn_close(st, c, true, reason);
}

struct subflow *conn_subflow(struct engine *e, const struct conn *c)
{
	return c->subflow == NONE ? NULL : subflow_at(e, c->subflow);
}

void conn_close_check(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	bool open = false;

	if (c->state != CONN_ESTABLISHED || !c->guest_fin_acked || !c->peer_fin_acked)
		return;
	for (uint32_t k = c->subflow, next; k != NONE; k = next) {
		struct subflow *s = subflow_at(e, k);

		next = s->next;
		if (subflow_joins(s))
			join_close(st, c, s);
		else if (s->state == SUBFLOW_ESTABLISHED)
			subflow_send_fin(st, c, s);
	}
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		open |= !subflow_at(e, k)->fin_acked || !subflow_at(e, k)->fin_received;
	if (!open)
		conn_close(st, c, false, REASON_CLOSED_NORMALLY);
}

/* Timers of the subflows: FIN again, MP_JOIN again. False: the connection ended. */
static bool subflows_timeout(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	uint64_t now_us = st->tick->now_us;

	for (uint32_t k = c->subflow, next; k != NONE; k = next) {
		struct subflow *s = subflow_at(e, k);

		next = s->next;
		if (s->rto_at_us == 0 || now_us < s->rto_at_us)
			continue;
		if (subflow_joins(s)) {
			join_timeout(st, c, s);
		} else if (s->leaving && (s->fin_acked || s->n_rto >= RTO_TRIES)) {
			subflow_end(st, c, s, (enum reason)s->leaving);
			if (c->state != CONN_ESTABLISHED)
				return false;
		} else if (s->fin_acked || ++s->n_rto > RTO_TRIES) {
			/* Ours is acknowledged and the peer's FIN never came, or nobody answers. */
			conn_close(st, c, false, REASON_CLOSED_FIN_TIMEOUT);
			return false;
		} else {
			subflow_send_fin(st, c, s);
		}
	}
	return true;
}

/*
 * What is due and could not be done now (the output is full) must not turn in circles. A packet
 * does not put off what is set already: packets that come one behind the other would for ever. Nor
 * does it stand for the timer that is due when it comes: not every packet lets what waits go.
 */
static uint64_t not_overdue_us(const struct step *st, const struct conn *c, uint64_t at_us)
{
	uint64_t now_us = st->tick->now_us, step_us = now_us + CONN_STEP_US;
	uint64_t set_us = deadline_us(st->e, conn_index(st->e, c));
	bool waits = c->multi != NONE && to_net_waits(st->e, c);
	bool overdue = at_us <= now_us;

	if (overdue || (waits && step_us < at_us && !emit_room(st, TO_NET_OUTS_MIN)))
		at_us = step_us;
	return st->in && set_us < at_us && (overdue || (waits && set_us <= now_us)) ? set_us
										    : at_us;
}

void conn_deadline(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	uint64_t at_us = c->active_us + idle_us(e), multi_us;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->rto_at_us && s->rto_at_us < at_us)
			at_us = s->rto_at_us;
	}
	multi_us = c->multi == NONE ? at_us : multi_deadline_us(e, c, st->tick->now_us);
	if (multi_us < at_us)
		at_us = multi_us;
	if (c->alone_at_us && c->alone_at_us < at_us)
		at_us = c->alone_at_us;
	if ((c->promoted || c->multi != NONE || c->addresses != NONE || c->asking ||
	     announce_held(c)) &&
	    c->join_at_us < at_us)
		at_us = c->join_at_us;
	deadline_set(e, c, not_overdue_us(st, c, at_us));
}

static void established_timeout(struct step *st, struct conn *c)
{
	uint64_t now_us = st->tick->now_us;

	conn_close_check(st, c); /* a FIN may have found no room before */
	if (c->state != CONN_ESTABLISHED || !subflows_timeout(st, c))
		return;
	if (c->alone_at_us && c->alone_at_us <= now_us) {
		conn_reset(st, c, REASON_CLOSED_ALONE);
		return;
	}
	/* Where gates stand at both ends, each would keep the other alive for ever. */
	if (c->multi != NONE && multi_guest_gone(st, c)) {
		conn_reset(st, c, REASON_CLOSED_GUEST_GONE);
		return;
	}
	if (c->multi != NONE)
		multi_timeout(st, c);
	path_manager_check(st, c);
	if (c->active_us + idle_us(st->e) <= now_us)
		expire(st, c, REASON_CLOSED_IDLE);
	else
		conn_deadline(st, c);
}

void conn_timeout(struct step *st, struct conn *c)
{
	struct subflow *s = conn_subflow(st->e, c);

	switch ((enum conn_state)c->state) {
	case CONN_SYN_SENT:
	case CONN_SYN_RECEIVED:
	case CONN_SYNACK_SENT:
	case CONN_ASKED:
		expire(st, c, REASON_CLOSED_SYN_TIMEOUT);
		return;
	case CONN_CLOSED:
		conn_free(st, c, (enum reason)c->reason);
		return;
	case CONN_ESTABLISHED:
		established_timeout(st, c);
		return;
	case CONN_FALLBACK:
		if (s && !s->remapped && !s->shifted)
			expire(st, c, REASON_CLOSED_OFFLOADED);
		else if (c->active_us + idle_us(st->e) <= st->tick->now_us)
			expire(st, c, REASON_CLOSED_IDLE);
		else
			deadline_set(st->e, c, c->active_us + idle_us(st->e));
		return;
	case CONN_FREE:
		return;
	}
}
