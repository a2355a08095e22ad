/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.c - see conn.h.
 */
#include "engine/conn.h"

#include "base/seq.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/mapping.h"

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
	c->subflow = NONE;
	c->hash_guest = c->hash_token = NONE;
	c->guest = *guest;
	c->created_us = c->active_us = st->tick->now_us;
	conn_add(e, c);
	deadline_set(e, c, st->tick->now_us + syn_us);
	return c;
}

static void subflow_free(struct engine *e, struct subflow *s)
{
	mapping_free_all(e, s);
	subflow_rm(e, s);
	s->state = SUBFLOW_FREE;
	pool_free(&e->subflows, e, subflow_index(e, s));
}

void conn_free(struct step *st, struct conn *c, enum reason reason)
{
	struct engine *e = st->e;

	if (c->state != CONN_CLOSED && c->state != CONN_SYN_SENT)
		event(st, ENGINE_EVENT_CLOSED, c, reason);
	while (c->subflow != NONE) {
		struct subflow *s = subflow_at(e, c->subflow);

		c->subflow = s->next;
		subflow_free(e, s);
	}
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

void conn_close(struct step *st, struct conn *c, bool reset, enum reason reason)
{
	event(st, ENGINE_EVENT_CLOSED, c, reason);
	count(st->e, reason);
	c->state = CONN_CLOSED;
	c->reason = (uint8_t)reason;
	c->reset = reset;
	deadline_set(st->e, c, st->tick->now_us + (reset ? LINGER_RESET_US : LINGER_US));
}

void conn_reset(struct step *st, struct conn *c, enum reason reason)
{
	struct subflow *s = conn_subflow(st->e, c);
	struct options_writer w = {0};
	struct headers h;

	emit_begin_guest(st, c, false, &h, &w);
	h.seq = c->acked_seq;
	h.ack = c->una_seq;
	h.flags = TCP_RST | TCP_ACK;
	emit_guest(st, c, &h, &w, NULL, 0, REASON_RST_TO_GUEST);
	if (s)
		emit_own_ack(st, c, s, s->snd_nxt, TCP_RST, REASON_RST_TO_NET);
	conn_close(st, c, true, reason);
}

struct subflow *conn_subflow(struct engine *e, const struct conn *c)
{
	return c->subflow == NONE ? NULL : subflow_at(e, c->subflow);
}

struct subflow *subflow_new(struct step *st, struct conn *c, const struct flow_tuple *net)
{
	struct engine *e = st->e;
	struct subflow *s = subflow_find(e, net);
	uint32_t i;

	/* The tuple was used before: that connection is over, or the host would not reuse it. */
	if (s)
		expire(st, conn_at(e, s->conn), REASON_CLOSED_REUSED);
	i = pool_new(&e->subflows, e);
	if (i == NONE)
		return NULL;
	s = subflow_at(e, i);
	memset(s, 0, sizeof(*s));
	s->state = SUBFLOW_ESTABLISHED;
	s->conn = conn_index(e, c);
	s->next = c->subflow;
	c->subflow = i;
	s->path = c->path;
	s->net = *net;
	s->map_head = s->map_tail = NONE;
	s->iss = c->guest_isn;
	s->snd_una = s->snd_nxt = s->iss + 1;
	s->irs = c->peer_isn;
	s->rcv_nxt = s->acked_ssn = s->irs + 1;
	s->shift[0] = (struct shift){s->rcv_nxt, 0};
	s->n_shifts = 1;
	s->tsval = c->synack_tsecr;
	s->ts_recent = c->synack_tsval;
	subflow_add(e, s);
	deadline_set(e, c, st->tick->now_us + idle_us(e));
	return s;
}

static void send_fin(struct step *st, struct conn *c, struct subflow *s)
{
	uint32_t ssn = s->snd_nxt;

	if (!emit_room(st, 1)) {
		deadline_set(st->e, c, st->tick->now_us + 1);
		return;
	}
	if (s->state == SUBFLOW_FIN_SENT)
		ssn--;
	else
		s->snd_nxt++;
	s->state = SUBFLOW_FIN_SENT;
	emit_own_ack(st, c, s, ssn, TCP_FIN, REASON_SUBFLOW_OWN);
	s->rto_at_us = st->tick->now_us + (RTO_FIRST_US << s->n_rto);
	deadline_set(st->e, c, s->rto_at_us);
}

void conn_close_check(struct step *st, struct conn *c)
{
	struct subflow *s = conn_subflow(st->e, c);

	if (!s || c->state != CONN_ESTABLISHED || !c->guest_fin_acked || !c->peer_fin_acked)
		return;
	if (s->state == SUBFLOW_ESTABLISHED)
		send_fin(st, c, s);
	if (s->fin_acked && s->fin_received) {
		s->state = SUBFLOW_CLOSED;
		conn_close(st, c, false, REASON_CLOSED_NORMALLY);
	}
}

void conn_timeout(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct subflow *s = conn_subflow(e, c);
	uint64_t now_us = st->tick->now_us;

	switch ((enum conn_state)c->state) {
	case CONN_SYN_SENT:
	case CONN_ASKED:
		expire(st, c, REASON_CLOSED_SYN_TIMEOUT);
		return;
	case CONN_CLOSED:
		conn_free(st, c, (enum reason)c->reason);
		return;
	case CONN_ESTABLISHED:
		if (s && s->state == SUBFLOW_ESTABLISHED) {
			conn_close_check(st, c); /* a FIN may have found no room before */
			if (s->state == SUBFLOW_FIN_SENT)
				return;
		}
		if (s && s->state == SUBFLOW_FIN_SENT && !s->fin_acked) {
			if (++s->n_rto > RTO_TRIES)
				conn_close(st, c, false, REASON_CLOSED_FIN_TIMEOUT);
			else
				send_fin(st, c, s);
			return;
		}
		if (s && s->state == SUBFLOW_FIN_SENT) {
			/* Ours is acknowledged, the peer's FIN never came. */
			conn_close(st, c, false, REASON_CLOSED_FIN_TIMEOUT);
			return;
		}
		break;
	case CONN_FALLBACK:
		if (s && !s->remapped && !s->shifted) {
			expire(st, c, REASON_CLOSED_OFFLOADED);
			return;
		}
		break;
	case CONN_FREE:
		return;
	}
	if (c->active_us + idle_us(e) <= now_us)
		expire(st, c, REASON_CLOSED_IDLE);
	else
		deadline_set(e, c, c->active_us + idle_us(e));
}
