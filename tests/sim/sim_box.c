// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_box.c - the middleboxes of a path: options removed, segments split and joined, sequence
 * numbers shifted, payload changed. They see packets before the link loses or delays them.
 */
#include <stdlib.h>

#include "sim_gate.h"
#include "sim_link.h"
#include "sim_options.h"

#define KIND_MPTCP 30
#define HOLD_US 300

#define PASSED_MAX 64
#define REBOUND_BIT 0x0800

/* How far a sender's numbers have come. */
struct passed {
	struct flow_tuple tuple;
	uint32_t next;
};

struct box {
	struct sim *w;
	const struct box_script *script;
	struct rng rng;
	uint64_t n_packets[2], n_data[2], altered;
	struct passed passed[PASSED_MAX]; /* for no_holes */
	uint16_t rebound[PASSED_MAX];     /* ports as they were */
	unsigned n_passed, n_rebound;
};

struct box *box_new(struct sim *w, const struct box_script *script)
{
	struct box *b = calloc(1, sizeof(*b));

	b->w = w;
	b->script = script;
	b->rng = rng_split(w->sc.seed, 90);
	return b;
}

void box_free(struct box *b)
{
	free(b);
}

uint64_t box_altered(const struct box *b)
{
	return b ? b->altered : 0;
}

/* ---- options ---- */

/* The header stays as long as it was: NOPs in their place, or EOL and zeros behind the others. */
static void blank_options(struct pkt *p, const struct seg *s, bool by_eol)
{
	uint8_t *o = p->data + s->hdr_bytes - s->opt_bytes;
	uint32_t at = 0, kept = 0;

	while (at < s->opt_bytes && o[at] != 0) {
		uint32_t n = o[at] == 1 ? 1 : o[at + 1];

		if (o[at] == KIND_MPTCP) {
			memset(o + at, 1, n);
		} else if (by_eol) {
			memmove(o + kept, o + at, n);
			kept += n;
		}
		at += n;
	}
	if (by_eol)
		memset(o + kept, 0, s->opt_bytes - kept);
	pkt_fix(p);
}

static struct pkt *without_mptcp(struct box *b, struct pkt *p, struct seg *s)
{
	struct pkt *q;

	if (b->script->blank) {
		blank_options(p, s, b->script->blank_by_eol);
		return p;
	}
	memset(&s->mp, 0, sizeof(s->mp));
	q = seg_build(s);
	q->gso_bytes = p->gso_bytes;
	free(p);
	return q;
}

static bool strips(const struct box *b, const struct seg *s, bool to_net)
{
	const struct box_script *k = b->script;
	bool syn = s->flags & F_SYN, ack = s->flags & F_ACK;

	switch (k->strip) {
	case STRIP_SYN:
		return to_net && syn;
	case STRIP_SYNACK:
		return !to_net && syn && ack;
	case STRIP_THIRD_ACK:
		return to_net && !syn && s->mp.capable;
	case STRIP_JOIN:
		return s->mp.join != JOIN_NONE;
	case STRIP_LATER:
		return !syn && b->n_packets[!to_net] > k->strip_after && !k->strip_one_way[to_net];
	default:
		return false;
	}
}

/* ---- numbers and bytes ---- */

static void shift(struct box *b, struct pkt *p, const struct seg *s, bool to_net)
{
	const uint32_t *by = b->script->seq_shift;
	uint8_t *tcp = p->data + s->ip_bytes, *o = tcp + 20;
	uint32_t at = 0;

	put32(tcp + 4, s->seq + by[!to_net]);
	if (s->flags & F_ACK)
		put32(tcp + 8, s->ack - by[to_net]);
	while (at < s->opt_bytes && o[at] != 0) {
		uint32_t n = o[at] == 1 ? 1 : o[at + 1];

		for (uint32_t i = 2; o[at] == 5 && i + 4 <= n; i += 4)
			put32(o + at + i, get32(o + at + i) - by[to_net]);
		at += n;
	}
	pkt_fix(p);
}

static void alter(struct box *b, struct pkt *p, const struct seg *s, bool to_net)
{
	const struct box_script *k = b->script;

	if (!k->alter_nth || k->alter_direction != !to_net || s->len_bytes == 0)
		return;
	if (++b->n_data[!to_net] != k->alter_nth)
		return;
	p->data[s->hdr_bytes + rng_range(&b->rng, 0, s->len_bytes - 1)] ^= 0x20;
	pkt_fix(p);
	b->altered++;
}

/*
 * A proxy that acknowledges data as soon as it sees it, without knowing MPTCP. The gate must not
 * believe that for the peer (I1).
 */
static void proxy(struct box *b, struct link *l, const struct seg *s)
{
	struct seg a = {.tuple = flow_tuple_reverse(&s->tuple),
			.seq = s->ack,
			.ack = s->seq + s->len_bytes,
			.flags = F_ACK,
			.window = 1000,
			.has_ts = s->has_ts,
			.tsval = s->tsecr,
			.tsecr = s->tsval};
	struct pkt *p;

	/* Before the peer's first DSS such an acknowledgement would only mean plain TCP. */
	if (!l->to_net || s->len_bytes == 0 || b->n_packets[0] < 12 || b->w->sc.n_flows > 1 ||
	    !rng_chance(&b->rng, b->script->proxy_percent))
		return;
	p = seg_build(&a);
	link_put(b->w->link[l->index - 1][1], p);
}

static bool is_rebound(const struct box *b, uint16_t port)
{
	for (unsigned i = 0; i < b->n_rebound; i++)
		if (b->rebound[i] == port)
			return true;
	return false;
}

/*
 * NAT that forgets: what was there before has another source port from then on, and what comes for
 * the old one has nobody to go to. False: the packet is gone.
 */
static bool rebind(struct box *b, struct pkt *p, const struct seg *s, bool to_net)
{
	uint16_t port = to_net ? s->tuple.src_port : s->tuple.dst_port;
	uint8_t *at = p->data + s->ip_bytes + (to_net ? 0 : 2);
	bool later = b->n_packets[0] + b->n_packets[1] > b->script->rebind_after;

	if (to_net && !later && !is_rebound(b, port) && b->n_rebound < PASSED_MAX)
		b->rebound[b->n_rebound++] = port;
	if (!later || (to_net && !is_rebound(b, port)))
		return true;
	if (!to_net && is_rebound(b, port))
		return false;
	if (!to_net && !is_rebound(b, port ^ REBOUND_BIT))
		return true;
	put16(at, port ^ REBOUND_BIT);
	pkt_fix(p);
	return true;
}

/* A firewall that wants to see every byte in its turn. False: dropped. */
static bool in_turn(struct box *b, const struct seg *s)
{
	struct passed *x = NULL;
	uint32_t end = s->seq + s->len_bytes + !!(s->flags & (F_SYN | F_FIN));

	for (unsigned i = 0; i < b->n_passed && !x; i++)
		if (flow_tuple_equal(&b->passed[i].tuple, &s->tuple))
			x = &b->passed[i];
	if (!x && b->n_passed < PASSED_MAX) {
		x = &b->passed[b->n_passed++];
		*x = (struct passed){s->tuple, end};
	}
	if (!x)
		return true;
	if (s->flags & F_SYN)
		x->next = end;
	if (before(x->next, s->seq) && s->len_bytes)
		return false;
	x->next = later(x->next, end);
	return true;
}

/* ---- cutting and joining ---- */

static bool plain_data(const struct seg *s, const struct pkt *p)
{
	return s->len_bytes > 1 && !(s->flags & (F_SYN | F_RST)) && !p->gso_bytes;
}

/* Two segments with the same options, as resegmenting hardware makes them. */
static struct pkt *split(struct box *b, struct pkt *p, const struct seg *s)
{
	uint32_t at = (uint32_t)rng_range(&b->rng, 1, s->len_bytes - 1);
	struct pkt *first = pkt_new(p->data, s->hdr_bytes + at);
	struct pkt *second = pkt_new(p->data, p->len_bytes - at);

	memcpy(second->data + s->hdr_bytes, s->payload + at, s->len_bytes - at);
	first->data[s->ip_bytes + 13] &= (uint8_t) ~(F_FIN | F_PSH);
	put32(second->data + s->ip_bytes + 4, s->seq + at);
	pkt_fix(first);
	pkt_fix(second);
	free(p);
	first->next = second;
	return first;
}

/* Joined as receive offload does it: same options byte for byte, or any if the box is rude. */
static struct pkt *join(struct box *b, struct pkt *p, struct pkt *q)
{
	struct seg s, t;
	struct pkt *both;

	seg_head(&s, p->data, p->len_bytes);
	seg_head(&t, q->data, q->len_bytes);
	if (!plain_data(&s, p) || !plain_data(&t, q) || (s.flags & F_FIN) ||
	    !flow_tuple_equal(&s.tuple, &t.tuple) || s.seq + s.len_bytes != t.seq ||
	    s.opt_bytes != t.opt_bytes || p->len_bytes + t.len_bytes > 60000)
		return NULL;
	if (!b->script->join_any &&
	    memcmp(s.payload - s.opt_bytes, t.payload - t.opt_bytes, s.opt_bytes) != 0)
		return NULL;
	both = pkt_new(NULL, p->len_bytes + t.len_bytes);
	memcpy(both->data, p->data, p->len_bytes);
	memcpy(both->data + p->len_bytes, t.payload, t.len_bytes);
	both->data[s.ip_bytes + 13] |= t.flags;
	put32(both->data + s.ip_bytes + 8, t.ack);
	put16(both->data + s.ip_bytes + 14, t.window);
	pkt_fix(both);
	/* What is too long for the link is cut again there, all pieces with the joined options. */
	both->gso_bytes = (uint16_t)(s.len_bytes > t.len_bytes ? s.len_bytes : t.len_bytes);
	free(p);
	free(q);
	return both;
}

static void put_all(struct link *l, struct pkt *p)
{
	struct pkt *next;

	for (; p; p = next) {
		next = p->next;
		p->next = NULL;
		link_put(l, p);
	}
}

void box_flush(struct link *l)
{
	struct pkt *p = l->held;

	l->held = NULL;
	l->held_until_us = NEVER;
	put_all(l, p);
}

static void out(struct box *b, struct link *l, struct pkt *p)
{
	struct pkt *both;

	if (l->held) {
		both = join(b, l->held, p);
		if (both) {
			l->held = NULL;
			l->held_until_us = NEVER;
			put_all(l, both);
			return;
		}
		box_flush(l);
	}
	if (b->script->join_percent && rng_chance(&b->rng, b->script->join_percent)) {
		l->held = p;
		l->held_until_us = b->w->now_us + HOLD_US;
		return;
	}
	put_all(l, p);
}

/*
 * A box that meddles with joined subflows alone: should a connection begin on its path, because
 * the first path was away, what it began on is left as it is.
 */
static bool spares(const struct box *b, const struct seg *s)
{
	const struct scenario *sc = &b->w->sc;
	const struct flow_tuple back = flow_tuple_reverse(&s->tuple);

	if (!sc->alters_joined && !sc->strips_joined && !b->script->rebind_after)
		return false;
	for (unsigned i = 0; i < sc->n_flows; i++) {
		const struct conntrack *ct = &b->w->gate[0]->ct[i];

		if (ct->known &&
		    (flow_tuple_equal(&ct->net, &s->tuple) || flow_tuple_equal(&ct->net, &back)))
			return true;
	}
	return false;
}

void box_pass(struct box *b, struct link *l, struct pkt *p)
{
	struct pkt *next;
	struct seg s;

	/* A box works on segments as they are on the wire. */
	if (!l->script->super)
		p = pkt_cut(p);
	for (; p; p = next) {
		next = p->next;
		p->next = NULL;
		b->n_packets[!l->to_net]++;
		/* What a link before it has damaged it must not make good by a new checksum. */
		if (!seg_head(&s, p->data, p->len_bytes) || p->corrupted || spares(b, &s)) {
			put_all(l, p);
			continue;
		}
		/* No firewall believes a SYN/ACK that acknowledges nothing. */
		if ((b->script->no_holes && !p->forged && !in_turn(b, &s)) ||
		    (b->script->rebind_after && !rebind(b, p, &s, l->to_net))) {
			free(p);
			continue;
		}
		seg_head(&s, p->data, p->len_bytes);
		alter(b, p, &s, l->to_net);
		if (b->script->proxy_percent)
			proxy(b, l, &s);
		if (b->script->seq_shift[0] | b->script->seq_shift[1])
			shift(b, p, &s, l->to_net);
		seg_head(&s, p->data, p->len_bytes);
		if (s.mp.n_options && strips(b, &s, l->to_net))
			p = without_mptcp(b, p, &s);
		seg_head(&s, p->data, p->len_bytes);
		if (plain_data(&s, p) && b->script->split_percent &&
		    rng_chance(&b->rng, b->script->split_percent)) {
			box_flush(l);
			put_all(l, split(b, p, &s));
		} else {
			out(b, l, p);
		}
	}
}
