// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_tcp_recv.c - the receiver of sim_tcp.h: order, early segments, delayed acknowledgements.
 */
#include <stdlib.h>

#include "sim.h"
#include "sim_tcp.h"

static uint32_t seg_end(const struct seg *s)
{
	return s->seq + s->len_bytes + !!(s->flags & F_FIN);
}

/* Keeps a segment that came early; overlaps are kept too and trimmed on delivery. */
static void keep(struct tcp *t, const struct seg *s)
{
	struct early **at = &t->early, *e;

	t->early_seq = s->seq;
	for (; *at && !before(s->seq, (*at)->s.seq); at = &(*at)->next)
		if ((*at)->s.seq == s->seq && (*at)->s.len_bytes >= s->len_bytes)
			return;
	e = malloc(sizeof(*e) + s->len_bytes);
	e->s = *s;
	memcpy(e->payload, s->payload, s->len_bytes);
	e->s.payload = e->payload;
	e->next = *at;
	*at = e;
}

static void deliver(struct tcp *t, const struct seg *s)
{
	uint32_t skip = t->rcv_nxt - s->seq;

	if (skip > s->len_bytes)
		skip = s->len_bytes;
	t->rcv_nxt = s->seq + s->len_bytes;
	t->ops->deliver(t, s, skip, s->len_bytes - skip);
	if (s->flags & F_FIN) {
		t->fin_received = true;
		t->rcv_nxt++;
	}
}

static void drain(struct tcp *t)
{
	while (t->early && !t->fin_received) {
		struct early *e = t->early;

		if (before(t->rcv_nxt, e->s.seq))
			return;
		t->early = e->next;
		if (before(t->rcv_nxt, seg_end(&e->s)))
			deliver(t, &e->s);
		free(e);
	}
}

static void later_ack(struct tcp *t, const struct seg *s)
{
	t->unacked += 1 + s->len_bytes / (t->mss + 1u);
	if (t->quick > 0 || t->unacked >= 2 || t->k.delack_us == 0) {
		if (t->quick)
			t->quick--;
		tcp_ack(t);
		return;
	}
	if (t->ack_at_us == NEVER)
		t->ack_at_us = t->w->now_us + t->k.delack_us;
}

void tcp_receive(struct tcp *t, const struct seg *s)
{
	struct seg cut = *s;
	bool had_early;

	if (seg_end(s) == s->seq) {
		t->ops->deliver(t, s, 0, 0);
		if (t->state == TCP_OPEN && before(s->seq, t->rcv_nxt))
			tcp_ack(t);
		return;
	}
	if (!before(t->rcv_nxt, seg_end(s)) || t->fin_received) {
		tcp_ack(t);
		return;
	}
	if (!t->no_edge_check && before(t->rcv_edge, s->seq + s->len_bytes)) {
		cut.len_bytes = before(s->seq, t->rcv_edge) ? t->rcv_edge - s->seq : 0;
		cut.flags &= (uint8_t)~F_FIN;
		if (!before(t->rcv_nxt, seg_end(&cut))) {
			tcp_ack(t);
			return;
		}
	}
	if (before(t->rcv_nxt, s->seq)) {
		if (t->k.keep_early)
			keep(t, &cut);
		tcp_ack(t);
		return;
	}
	had_early = t->early != NULL;
	deliver(t, &cut);
	drain(t);
	if (t->state != TCP_OPEN)
		return;
	if (had_early || t->fin_received || cut.len_bytes != s->len_bytes)
		tcp_ack(t);
	else
		later_ack(t, s);
}
