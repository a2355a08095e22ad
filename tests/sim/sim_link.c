// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_link.c - see sim_link.h.
 */
#include "sim_link.h"

#include <stdlib.h>

#include "sim_icmp.h"
#include "sim_options.h"

#define MASK_BITS 64
#define PAUSE_US 2000000

void link_init(struct link *l, struct sim *w, unsigned index, bool to_net,
	       const struct link_script *script)
{
	memset(l, 0, sizeof(*l));
	l->w = w;
	l->script = script;
	l->index = index;
	l->to_net = to_net;
	l->guests = index == 0 || index > SIM_UPLINKS_MAX;
	if (l->guests) {
		l->near = to_net ? PLACE_GUEST : PLACE_GATE_GUEST;
		l->far = to_net ? PLACE_GATE_GUEST : PLACE_GUEST;
	} else {
		l->near = to_net ? PLACE_GATE_NET : PLACE_PEER;
		l->far = to_net ? PLACE_PEER : PLACE_GATE_NET;
	}
	l->held_until_us = NEVER;
	l->rng = rng_split(w->sc.seed, 100 + 2 * index + to_net);
}

void link_fini(struct link *l)
{
	free(l->held);
	while (l->head) {
		struct pkt *p = l->head;

		l->head = p->next;
		free(p);
	}
}

struct pkt *pkt_cut(struct pkt *p)
{
	struct pkt *head = NULL, **tail = &head;
	uint32_t ip, hdr, left, at, n;

	if (!p->gso_bytes)
		return p;
	ip = p->data[0] >> 4 == 4 ? 20 : 40;
	hdr = ip + (p->data[ip + 12] >> 4) * 4u;
	left = p->len_bytes - hdr;
	for (at = 0; left > 0; at += n, left -= n) {
		struct pkt *q;
		uint8_t *tcp;

		n = left < p->gso_bytes ? left : p->gso_bytes;
		q = pkt_new(p->data, hdr + n);
		memcpy(q->data + hdr, p->data + hdr + at, n);
		tcp = q->data + ip;
		put32(tcp + 4, get32(tcp + 4) + at);
		if (left > n)
			tcp[13] &= (uint8_t) ~(F_FIN | F_PSH);
		pkt_fix(q);
		*tail = q;
		tail = &q->next;
	}
	free(p);
	return head;
}

static void enqueue(struct link *l, struct pkt *p, uint64_t at_us)
{
	struct pkt **at = l->head && l->tail->at_us <= at_us ? &l->tail->next : &l->head;

	while (*at && (*at)->at_us <= at_us)
		at = &(*at)->next;
	p->at_us = at_us;
	p->next = *at;
	*at = p;
	if (!p->next)
		l->tail = p;
}

/* The router's answer travels back on the same path. */
static void complain(struct link *l, const struct pkt *p)
{
	struct too_big m = {.mtu_bytes = l->script->mtu_bytes};
	struct seg s;

	if (!l->script->icmp || !l->to_net || !seg_head(&s, p->data, p->len_bytes))
		return;
	m.about = s.tuple;
	m.seq = s.seq;
	link_put(l->w->link[l->index - 1][1], too_big_build(&m));
}

static bool lost(struct link *l, const struct pkt *p)
{
	const struct link_script *s = l->script;
	uint64_t now_us = l->w->now_us, nth, wait_us;

	/* Where a sender repeats the same 64 segments, the same ones would be lost for ever. */
	if (l->put_us && l->put_us + PAUSE_US < now_us)
		l->n_packets++;
	l->put_us = now_us;
	nth = l->n_packets++;

	if (now_us >= s->dark_from_us && now_us < s->dark_until_us)
		return true;
	if (!l->guests && l->w->uplink[l->index - 1].loses[!l->to_net])
		return true;
	if (s->mtu_bytes && p->len_bytes > s->mtu_bytes && !p->gso_bytes) {
		complain(l, p);
		return true;
	}
	if (s->loss_mask >> (nth % MASK_BITS) & 1 && (!s->loss_until || nth < s->loss_until))
		return true;
	wait_us = l->busy_until_us > now_us ? l->busy_until_us - now_us : 0;
	return s->queue_bytes && wait_us * s->rate_bps / 8000000 > s->queue_bytes;
}

static void damage(struct link *l, struct pkt *p)
{
	uint32_t ip = p->data[0] >> 4 == 4 ? 20 : 40;
	uint32_t at = (uint32_t)rng_range(&l->rng, ip, p->len_bytes - 1);

	p->data[at] ^= (uint8_t)(1u << rng_range(&l->rng, 0, 7));
	p->corrupted = true;
}

static void put_one(struct link *l, struct pkt *p)
{
	const struct link_script *s = l->script;
	uint64_t start, at_us;

	if (lost(l, p)) {
		free(p);
		return;
	}
	start = l->busy_until_us > l->w->now_us ? l->busy_until_us : l->w->now_us;
	l->busy_until_us = start + (uint64_t)p->len_bytes * 8000000 / s->rate_bps;
	l->sent_bytes += p->len_bytes;
	at_us = l->busy_until_us + s->delay_us;
	if (s->reorder_percent && rng_chance(&l->rng, s->reorder_percent))
		at_us += rng_range(&l->rng, 1, s->reorder_us);
	if (s->duplicate_percent && rng_chance(&l->rng, s->duplicate_percent))
		enqueue(l, pkt_copy(p), at_us + rng_range(&l->rng, 0, 2000));
	if (s->corrupt_percent && !p->gso_bytes && rng_chance(&l->rng, s->corrupt_percent))
		damage(l, p);
	enqueue(l, p, at_us);
}

void link_put(struct link *l, struct pkt *p)
{
	struct pkt *next;

	if (!l->script->super)
		p = pkt_cut(p);
	for (; p; p = next) {
		next = p->next;
		p->next = NULL;
		sim_trace(l->w, l->near, l->index, l->to_net, p);
		put_one(l, p);
	}
}

void link_send(struct link *l, struct pkt *p)
{
	if (l->box)
		box_pass(l->box, l, p);
	else
		link_put(l, p);
}

uint64_t link_next_us(const struct link *l)
{
	uint64_t us = l->head ? l->head->at_us : NEVER;

	return us < l->held_until_us ? us : l->held_until_us;
}

void link_run(struct link *l)
{
	struct pkt *p = l->head;

	if (l->held_until_us <= l->w->now_us) {
		box_flush(l);
		return;
	}
	l->head = p->next;
	p->next = NULL;
	sim_trace(l->w, l->far, l->index, l->to_net, p);
	l->deliver(l, p);
}
