/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * subflow.c - see conn.h: the life of a subflow's record.
 */
#include "base/seq.h"
#include "engine/addresses.h"
#include "engine/announce.h"
#include "engine/claims.h"
#include "engine/conn.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/mapping.h"
#include "engine/multi.h"
#include "engine/pmtu.h"
#include "engine/spans.h"

struct subflow *subflow_new(struct step *st, struct conn *c, const struct flow_tuple *net,
			    uint8_t path)
{
	struct engine *e = st->e;
	uint32_t i = pool_new(&e->subflows, e);
	uint32_t *last = &c->subflow;
	struct subflow *s;

	if (i == NONE)
		return NULL;
	s = subflow_at(e, i);
	memset(s, 0, sizeof(*s));
	s->conn = conn_index(e, c);
	/* At the end: while there is but one established subflow it is the first. */
	while (*last != NONE)
		last = &subflow_at(e, *last)->next;
	*last = i;
	s->next = NONE;
	c->n_subflows++;
	s->path = path;
	s->net = *net;
	s->map_head = s->map_tail = s->sender = s->early = NONE;
	s->n_shifts = 1;
	subflow_add(e, s);
	claims_subflow_add(e, c, s);
	return s;
}

struct subflow *subflow_initial(struct step *st, struct conn *c, const struct flow_tuple *net)
{
	struct subflow *s = subflow_find(st->e, net);
	uint32_t ip = net->family == FLOW_IPV4 ? 20 : 40, mss;

	/* The tuple was used before: that connection is over, or the host would not reuse it. */
	if (s) {
		count(st->e, REASON_CLOSED_REUSED);
		conn_free(st, conn_at(st->e, s->conn), REASON_CLOSED_REUSED);
	}
	s = subflow_new(st, c, net, c->path);
	if (!s)
		return NULL;
	s->state = SUBFLOW_ESTABLISHED;
	s->initial = true;
	s->sack = c->sack;
	s->backup = s->backup_local = announce_backup(st->e, c->path);
	s->iss = c->guest_isn;
	s->snd_una = s->snd_nxt = s->iss + 1;
	s->irs = c->peer_isn;
	s->rcv_nxt = s->acked_ssn = s->irs + 1;
	s->shift[0] = (struct shift){s->rcv_nxt, 0};
	s->tsval = c->synack_tsecr;
	s->ts_recent = c->synack_tsval;
	s->timestamps = c->timestamps;
	s->peer_wscale = c->peer_wscale;
	s->peer_mss = c->peer_mss;
	mss = pmtu_bytes(st->e, s) - ip - 20;
	if (mss > c->peer_mss)
		mss = c->peer_mss;
	s->mss = (uint16_t)(mss - (s->timestamps ? 12 : 0) - MPTCP_ROOM_BYTES);
	s->syn_rtt_us = c->syn_rtt_us;
	c->peer_addr = net->dst;
	c->local_addr = net->src;
	c->local_port = net->src_port;
	c->peer_port = net->dst_port;
	return s;
}

void subflow_free(struct engine *e, struct conn *c, struct subflow *s)
{
	uint32_t me = subflow_index(e, s);
	uint32_t *at = &c->subflow;

	while (*at != me)
		at = &subflow_at(e, *at)->next;
	*at = s->next;
	c->n_subflows--;
	e->n_half_joins -= s->state == SUBFLOW_JOIN_RECEIVED;
	e->n_own_joins -= s->state == SUBFLOW_JOIN_SYN || s->state == SUBFLOW_JOIN_ACK;
	mapping_free_all(e, s);
	spans_free(e, &s->early);
	subflow_rm(e, s);
	claims_subflow_rm(e, c, s);
	s->state = SUBFLOW_FREE;
	pool_free(&e->subflows, e, me);
}

void subflow_event(struct step *st, const struct conn *c, const struct subflow *s,
		   enum reason reason)
{
	unsigned n = st->outs->n_event;

	count(st->e, reason);
	event(st, ENGINE_EVENT_SUBFLOW, c, reason);
	if (st->outs->n_event != n)
		st->outs->event[n].path = s->path;
}

enum reason subflow_tcprst_reason(const struct mp_tcprst *r)
{
	static const uint8_t reasons[] = {
		[MP_TCPRST_UNSPECIFIED] = REASON_TCPRST_UNSPECIFIED,
		[MP_TCPRST_MPTCP] = REASON_TCPRST_MPTCP,
		[MP_TCPRST_RESOURCES] = REASON_TCPRST_RESOURCES,
		[MP_TCPRST_PROHIBITED] = REASON_TCPRST_PROHIBITED,
		[MP_TCPRST_OUTSTANDING] = REASON_TCPRST_OUTSTANDING,
		[MP_TCPRST_PERFORMANCE] = REASON_TCPRST_PERFORMANCE,
		[MP_TCPRST_MIDDLEBOX] = REASON_TCPRST_MIDDLEBOX,
	};

	return r->reason < sizeof(reasons) ? (enum reason)reasons[r->reason] : REASON_TCPRST_OTHER;
}

/* Does another subflow carry data? One that is still joining does not. */
static bool others_carry(struct engine *e, const struct conn *c, const struct subflow *but)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s != but && (s->state == SUBFLOW_ESTABLISHED || s->state == SUBFLOW_FIN_SENT))
			return true;
	}
	return false;
}

/*
 * The last one is gone. Break before make: paths may come back (RFC 8684 section 3.4 leaves it
 * open for how long). A record for what the guest sends and awaits meanwhile is needed.
 */
static bool alone(struct step *st, struct conn *c)
{
	uint64_t wait_us = st->e->cfg.rejoin_us ? st->e->cfg.rejoin_us : ALONE_US;

	if (c->multi == NONE && (st->e->cfg.mode == ENGINE_SINGLE || !multi_new(st, c)))
		return false;
	if (c->alone_at_us == 0) {
		c->alone_at_us = st->tick->now_us + wait_us;
		event(st, ENGINE_EVENT_SUBFLOW, c, REASON_SUBFLOW_LOST);
		/* Whatever the peer refused before: there is nothing to lose. */
		addresses_forgive(st->e, c, ENGINE_NO_PATH);
	}
	return true;
}

void subflow_end(struct step *st, struct conn *c, struct subflow *s, enum reason reason)
{
	bool last = !others_carry(st->e, c, s);

	subflow_event(st, c, s, reason);
	if (last && c->state == CONN_ESTABLISHED && !alone(st, c)) {
		conn_reset(st, c, reason);
		return;
	}
	if (c->multi != NONE)
		multi_lost(st, c, s);
	subflow_free(st->e, c, s);
	c->join_at_us = 0;
}

static void send_rst(struct step *st, struct conn *c, struct subflow *s, struct options_writer *w,
		     const struct mp_tcprst *why)
{
	struct headers h = {.tuple = s->net,
			    .seq = s->snd_nxt,
			    .ack = s->rcv_nxt,
			    .flags = TCP_RST | TCP_ACK,
			    .dont_fragment = true};

	if (s->state == SUBFLOW_JOIN_SYN)
		h.flags = TCP_RST;
	mp_tcprst_encode(w, why);
	emit_net(st, c, s, &h, w, NULL, 0, REASON_SUBFLOW_RESET);
}

void subflow_abort(struct step *st, struct conn *c, struct subflow *s, enum mp_tcprst_reason why,
		   enum reason reason)
{
	const struct mp_tcprst r = {.transient = true, .reason = (uint8_t)why};
	struct options_writer w = {0};

	send_rst(st, c, s, &w, &r);
	subflow_end(st, c, s, reason);
}

void subflow_fail(struct step *st, struct conn *c, struct subflow *s, uint64_t dsn)
{
	const struct mp_tcprst r = {.reason = MP_TCPRST_MIDDLEBOX};
	struct options_writer w = {0};

	mp_fail_encode(&w, dsn);
	send_rst(st, c, s, &w, &r);
	subflow_end(st, c, s, REASON_SUBFLOW_CHECKSUM);
}

void subflow_stay_single(struct step *st, struct conn *c)
{
	c->no_join = true;
	for (uint32_t k = c->subflow, next; k != NONE; k = next) {
		struct subflow *s = subflow_at(st->e, k);

		next = s->next;
		if (s->state == SUBFLOW_JOIN_SYN || s->state == SUBFLOW_JOIN_ACK)
			subflow_abort(st, c, s, MP_TCPRST_UNSPECIFIED, REASON_JOIN_UNWANTED);
	}
}

void subflow_send_fin(struct step *st, struct conn *c, struct subflow *s)
{
	if (!emit_room(st, 1)) {
		deadline_set(st->e, c, st->tick->now_us + 1);
		return;
	}
	if (s->state != SUBFLOW_FIN_SENT) {
		s->snd_nxt++;
		s->n_rto = 0;
	}
	s->state = SUBFLOW_FIN_SENT;
	emit_own_ack(st, c, s, s->snd_nxt - 1, TCP_FIN, REASON_SUBFLOW_OWN);
	s->rto_at_us = st->tick->now_us + (RTO_FIRST_US << s->n_rto);
	conn_deadline(st, c);
}

void subflow_fin_acked(struct step *st, struct conn *c, struct subflow *s)
{
	if (s->state != SUBFLOW_FIN_SENT || s->snd_una != s->snd_nxt || s->fin_acked)
		return;
	s->fin_acked = true;
	s->rto_at_us = st->tick->now_us + LINGER_US;
	conn_deadline(st, c);
}
