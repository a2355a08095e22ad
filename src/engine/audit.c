/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * audit.c - whether the engine's records agree with each other, and whether something is always
 * going to happen.
 */
#include "base/heap.h"
#include "base/seq.h"
#include "engine/conn.h"
#include "engine/kept.h"
#include "engine/multi.h"
#include "engine/responder.h"
#include "engine/state.h"

/* What of the pools hangs on the connections; compared with what the pools gave out. */
struct tally {
	uint32_t conns, subflows, mappings, multis, senders, txsegs, spans, partials, chunks,
		addresses, shared;
	uint32_t half_open, half_joins, own_joins, checked;
	/* of what is set aside, still to be had: kept.h S3, verify.h V4, mapping.h M5 */
	uint32_t due_chunks, due_partials, due_mappings;
};

static uint32_t length(const struct engine *e, const struct pool *p, uint32_t i, uint32_t *total)
{
	uint32_t n = 0;

	/* The records of every listed pool begin with the pool's link and their own. */
	for (; i != NONE && n <= p->n_used; n++)
		i = ((const uint32_t *)pool_at(p, e, i))[1];
	*total += n;
	return n;
}

static bool tally_partials(const struct engine *e, const struct sender *x, struct tally *t)
{
	const struct partial *p;

	if (length(e, &e->partials, x->partials, &t->partials) > e->partials.n_used)
		return false;
	for (uint32_t i = x->partials; i != NONE; i = p->next) {
		p = pool_at(&e->partials, e, i);
		if (length(e, &e->chunks, p->kept.head, &t->chunks) != p->kept.n_chunks)
			return false;
	}
	return true;
}

static bool tally_subflows(const struct engine *e, const struct conn *c, uint32_t conn,
			   struct tally *t)
{
	uint32_t n = 0;

	for (uint32_t k = c->subflow; k != NONE;) {
		const struct subflow *s = pool_at(&e->subflows, e, k);
		const struct sender *x;

		if (k >= e->subflows.n_touched || s->conn != conn || ++n > e->subflows.n_used)
			return false;
		t->half_joins += s->state == SUBFLOW_JOIN_RECEIVED;
		t->own_joins += s->state == SUBFLOW_JOIN_SYN || s->state == SUBFLOW_JOIN_ACK;
		length(e, &e->mappings, s->map_head, &t->mappings);
		length(e, &e->spans, s->early, &t->spans);
		if (s->sender != NONE) {
			x = pool_at(&e->senders, e, s->sender);
			t->senders++;
			length(e, &e->txsegs, x->head, &t->txsegs);
			if (!tally_partials(e, x, t))
				return false;
		}
		k = s->next;
	}
	t->subflows += n;
	return n == c->n_subflows;
}

static uint32_t less(uint32_t due, uint32_t has)
{
	return due > has ? due - has : 0;
}

/* What the connection may still take although nobody else could; `t` counts what its partials have.
 */
static void tally_due(const struct engine *e, const struct conn *c, uint32_t partials,
		      uint32_t partial_chunks, struct tally *t)
{
	const struct subflow *s = c->subflow == NONE ? NULL : pool_at(&e->subflows, e, c->subflow);
	const struct mapping *first;
	const struct multi *m;

	if (c->multi == NONE) {
		first = s && s->map_head != NONE ? pool_at(&e->mappings, e, s->map_head) : NULL;
		t->due_mappings += !first || seq_lt(c->una_seq, first->seq);
		return;
	}
	m = pool_at(&e->multis, e, c->multi);
	t->due_chunks += less(1, m->tx.n_chunks) + less(1, m->rx.n_chunks);
	if (!m->checked)
		return;
	t->due_chunks += less(KEPT_MAPPING_CHUNKS, partial_chunks);
	t->due_partials += less(1, partials);
}

static bool left(const struct pool *p, uint32_t due)
{
	return p->n_records - p->n_used >= due;
}

static void tally_addresses(const struct engine *e, const struct conn *c, struct tally *t)
{
	const struct addresses *a =
		c->addresses == NONE ? NULL : pool_at(&e->addresses, e, c->addresses);

	t->addresses += a && a->shared == 0;
	t->shared += a && a->shared > 0;
}

/* As many connections refer to shared records as these say. */
static bool shared_agree(const struct engine *e, struct tally *t)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < SHARED_SLOTS; i++) {
		const struct addresses *a;

		if (e->shared[i] == 0)
			continue;
		a = pool_at(&e->addresses, e, e->shared[i] - 1);
		n += a->shared;
		t->addresses++;
	}
	return n == t->shared;
}

bool engine_audit(const struct engine *e)
{
	struct tally t = {0};

	for (uint32_t i = 0; i < e->conns.n_touched; i++) {
		const struct conn *c = pool_at(&e->conns, e, i);
		const uint32_t partials = t.partials, partial_chunks = t.chunks;
		const struct multi *m;

		if (c->state == CONN_FREE)
			continue;
		t.conns++;
		tally_addresses(e, c, &t);
		t.half_open += responder_half_open(c);
		if (!tally_subflows(e, c, i, &t))
			return false;
		tally_due(e, c, t.partials - partials, t.chunks - partial_chunks, &t);
		if (c->multi == NONE)
			continue;
		m = pool_at(&e->multis, e, c->multi);
		t.multis++;
		t.checked += m->checked;
		length(e, &e->spans, m->early, &t.spans);
		length(e, &e->spans, m->again, &t.spans);
		length(e, &e->spans, m->spans, &t.spans);
		length(e, &e->spans, m->guest.sacked, &t.spans);
		length(e, &e->spans, m->guest.ahead, &t.spans);
		if (length(e, &e->chunks, m->tx.head, &t.chunks) != m->tx.n_chunks ||
		    length(e, &e->chunks, m->rx.head, &t.chunks) != m->rx.n_chunks)
			return false;
	}
	return shared_agree(e, &t) && t.conns == e->conns.n_used && t.checked == e->n_checked &&
	       t.subflows == e->subflows.n_used && t.mappings == e->mappings.n_used &&
	       t.multis == e->multis.n_used && t.senders == e->senders.n_used &&
	       t.txsegs == e->txsegs.n_used && t.spans == e->spans.n_used &&
	       t.partials == e->partials.n_used && t.addresses == e->addresses.n_used &&
	       t.chunks == e->chunks.n_used && t.half_open == e->n_half_open &&
	       t.half_joins == e->n_half_joins && t.own_joins == e->n_own_joins &&
	       left(&e->chunks, t.due_chunks) && left(&e->partials, t.due_partials) &&
	       left(&e->mappings, t.due_mappings);
}

/* Whoever owes an answer is asked again some day: each kind of waiting has its timer. */
static const char *timer_missing(const struct engine *e, const struct conn *c,
				 const struct multi *m)
{
	uint32_t k = c->subflow, una = c->una_seq - c->guest_fin_acked;

	while (k != NONE) {
		const struct subflow *s = pool_at(&e->subflows, e, k);
		const struct sender *x =
			s->sender == NONE ? NULL : pool_at(&e->senders, e, s->sender);

		if (s->ack_pending && s->ack_at_us == 0)
			return "a subflow's delayed acknowledgement";
		if (x && x->head != NONE && x->rto_at_us == 0)
			return "what a subflow has outstanding";
		k = s->next;
	}
	if (c->acked_seq != c->sent_seq && m->guest.rto_at_us == 0)
		return "what the guest has not acknowledged";
	/* What was sent before the hand-over the guest sends again. */
	if (seq_le(m->hand_seq, una) && una != m->end_seq && m->data_at_us == 0)
		return "what the peer has not acknowledged as data";
	if (c->guest_fin && !c->guest_fin_acked && m->nxt_seq == c->fin_seq && m->fin_at_us == 0)
		return "the DATA_FIN";
	return NULL;
}

const char *engine_audit_timers(const struct engine *e, uint64_t now_us)
{
	for (uint32_t i = 0; i < e->conns.n_touched; i++) {
		const struct conn *c = pool_at(&e->conns, e, i);
		const char *missing;
		uint64_t at_us;

		if (c->state != CONN_ESTABLISHED || c->multi == NONE)
			continue;
		missing = timer_missing(e, c, pool_at(&e->multis, e, c->multi));
		if (missing)
			return missing;
		at_us = multi_deadline_us((struct engine *)(uintptr_t)e, c, now_us);
		if (deadline_us(e, i) > at_us && deadline_us(e, i) > now_us + CONN_STEP_US)
			return "what is due before the connection's deadline";
	}
	return NULL;
}
