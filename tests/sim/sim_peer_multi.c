// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_peer_multi.c - the peer sends on several subflows: a scheduler, and data that went out on a
 * subflow that fell silent or ended goes over the others again (RFC 8684 section 3.3.6).
 */
#include "sim_flow.h"
#include "sim_peer.h"
#include "sim_tcp_send.h"

#define AGAIN_BYTES 16384u

/* Open both ways, and not silent. */
bool peer_living(const struct peer *p, const struct peer_sub *s)
{
	(void)p;
	return s->t.state == TCP_OPEN && !s->t.fin_received && !s->t.fin_wanted &&
	       s->t.backoff == 0;
}

void peer_queue(struct peer *p, struct peer_sub *s)
{
	for (unsigned i = s->first_map; i < s->n_map; i++) {
		const struct peer_map *x = &s->map[i];
		uint64_t start = x->off, end = x->off + x->len;

		if (x->probe || end <= p->una)
			continue;
		if (before(x->seq, s->t.una) && s->t.una - x->seq < x->len)
			start += s->t.una - x->seq;
		if (start < p->una)
			start = p->una;
		if (start < end)
			stretches_add(&p->again, STRETCHES_MAX, start, end);
	}
}

/* Subflows whose timer fired while others live. */
static void queue_silent(struct peer *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->n_sub; i++)
		any |= peer_living(p, &p->sub[i]);
	for (unsigned i = 0; i < p->n_sub; i++) {
		struct peer_sub *s = &p->sub[i];

		if (s->t.state != TCP_OPEN || s->t.backoff == 0)
			s->queued = false;
		else if (any && !s->queued) {
			s->queued = true;
			peer_queue(p, s);
		}
	}
}

static bool has_room(const struct peer_sub *s)
{
	const struct tcp *t = &s->t;
	uint32_t pipe = tcp_pipe(t);

	return t->nxt == t->max && s->map_end == t->max && !t->fin_sent &&
	       (pipe == 0 || t->cwnd >= pipe + t->mss);
}

/* The subflow that carries the next piece; null: none can. */
static struct peer_sub *choose(struct peer *p)
{
	const uint8_t how = p->f->script->peer_scheduler;
	struct peer_sub *best = NULL;
	bool active = false;
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_sub; i++)
		active |= peer_living(p, &p->sub[i]) && !p->sub[i].backup;
	p->turn++;
	for (unsigned k = 0; k < p->n_sub; k++) {
		struct peer_sub *s = &p->sub[(k + p->turn) % p->n_sub];

		if (!peer_living(p, s) || (active && s->backup) || !has_room(s))
			continue;
		if (!best || (how == PEER_LOWEST_RTT && s->t.srtt_us < best->t.srtt_us) ||
		    (how == PEER_RANDOM && rng_range(&p->rng, 0, n) == 0))
			best = s;
		n++;
	}
	return best;
}

static void push_again(struct peer *p)
{
	struct peer_sub *s;

	while (p->again.n) {
		uint64_t start = p->again.r[0].start, n = p->again.r[0].end - start;

		if (start + n <= p->una) {
			stretches_rm(&p->again, 0);
			continue;
		}
		if (start < p->una) {
			n -= p->una - start;
			start = p->una;
		}
		s = choose(p);
		if (!s)
			return;
		n = n < s->t.mss ? n : s->t.mss;
		peer_map_add(s, start, (uint32_t)n, false, false);
		tcp_push(&s->t);
		if (start + n == p->again.r[0].end)
			stretches_rm(&p->again, 0);
		else
			p->again.r[0].start = start + n;
	}
}

static void ack_all(struct peer *p)
{
	for (unsigned i = 0; i < p->n_sub; i++)
		if (p->sub[i].t.state == TCP_OPEN)
			tcp_ack(&p->sub[i].t);
}

/* The subflow whose timer is the longest: the data's own timer is no shorter. */
static struct peer_sub *slowest(struct peer *p)
{
	struct peer_sub *s = NULL;

	for (unsigned i = 0; i < p->n_sub; i++)
		if (peer_living(p, &p->sub[i]) &&
		    (!s || tcp_rto_us(&s->t) < tcp_rto_us(&p->sub[i].t)))
			s = &p->sub[i];
	return s;
}

void peer_push_multi(struct peer *p)
{
	struct peer_sub *s;

	queue_silent(p);
	push_again(p);
	while (p->again.n == 0 && (s = choose(p)) != NULL && peer_push_one(p, s))
		;
	for (unsigned i = 0; i < p->n_sub; i++)
		tcp_push(&p->sub[i].t);
	if (p->app.closed && p->nxt == p->app.written && !p->fin_sent) {
		p->fin_sent = true;
		ack_all(p);
	}
	s = slowest(p);
	if (s)
		peer_arm(p, &s->t);
}

void peer_data_timer_multi(struct peer *p)
{
	struct peer_sub *s = slowest(p);
	uint64_t end;

	if (!s) { /* what the subflows do themselves is all that can be done */
		p->rtx_at_us = p->probe_at_us = NEVER;
		return;
	}
	if (p->rtx_at_us <= p->w->now_us) {
		p->rtx++;
		p->rtx_at_us = NEVER;
		end = p->una + AGAIN_BYTES < p->nxt ? p->una + AGAIN_BYTES : p->nxt;
		if (p->una < p->nxt)
			stretches_add(&p->again, STRETCHES_MAX, p->una, end);
		else if (p->fin_sent && !p->fin_acked)
			ack_all(p);
		peer_push_multi(p);
	}
	if (p->probe_at_us <= p->w->now_us)
		peer_probe(p, s);
}
