// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_peer_send.c - what the peer sends: mappings (RFC 8684 section 3.3.1), DATA_ACK, DATA_FIN
 * (3.3.3), window (3.3.1), retransmission at data level (3.3.6), as Linux does them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sim_flow.h"
#include "sim_link.h"
#include "sim_peer.h"
#include "sim_tcp_send.h"

#define MAP_MAX 65535u
#define DATA_RTO_MIN_US 200000u
#define LINGER_US (30ull * 1000000)

static struct peer_sub *sub_of(struct tcp *t)
{
	return t->owner;
}

bool peer_multipath(const struct peer *p)
{
	return p->mptcp && !p->fallback;
}

static uint64_t dsn_of(const struct peer *p, uint64_t off)
{
	return p->idsn_local + 1 + off;
}

static uint32_t peer_end(struct tcp *t)
{
	return sub_of(t)->map_end;
}

/* ---- options ---- */

static void put_data_ack(const struct peer *p, struct mp *m)
{
	m->dss = true;
	m->has_ack = true;
	m->ack64 = p->remote64 && !p->f->script->peer_ack32;
	m->data_ack = p->idsn_remote + 1 + p->rcv + p->eof;
}

static void put_map(const struct peer *p, struct mp *m, const struct tcp *t,
		    const struct peer_map *x)
{
	m->has_map = m->dsn64 = true;
	m->dsn = dsn_of(p, x->off);
	m->ssn = x->seq - t->iss;
	m->map_len = (uint16_t)(x->len + x->fin);
	m->data_fin = x->fin;
	m->has_csum = p->csum;
	m->csum = x->csum;
}

static void put_bare_fin(const struct peer *p, struct mp *m)
{
	m->has_map = m->dsn64 = m->data_fin = true;
	m->dsn = dsn_of(p, p->nxt);
	m->ssn = 0;
	m->map_len = 1;
	m->has_csum = p->csum;
	m->csum = mp_checksum(m->dsn, 0, 1, 0);
}

static const struct peer_map *map_at(const struct peer_sub *s, uint32_t seq)
{
	unsigned low = s->first_map, high = s->n_map;

	while (low + 1 < high) {
		unsigned mid = (low + high) / 2;

		if (before(seq, s->map[mid].seq))
			high = mid;
		else
			low = mid;
	}
	return &s->map[low];
}

static uint32_t peer_fill(struct tcp *t, struct seg *g, uint32_t n, uint8_t *buf)
{
	struct peer_sub *s = sub_of(t);
	struct peer *p = s->p;
	const struct peer_map *x;
	uint32_t skip;

	if (peer_multipath(p) && t->state == TCP_OPEN && p->key_remote)
		put_data_ack(p, &g->mp);
	if (p->fail_wanted && n == 0) {
		g->mp.fail = true;
		g->mp.fail_dsn = p->fail_dsn;
		p->fail_wanted = false;
	}
	if (n == 0 && peer_capable_due(p, s, g->seq) && !p->fin_sent) {
		peer_put_capable(p, &g->mp, NULL);
		return 0;
	}
	if (n == 0) {
		if (peer_multipath(p) && p->fin_sent && !p->fin_acked && g->mp.dss && !g->mp.fail)
			put_bare_fin(p, &g->mp);
		return 0;
	}
	x = map_at(s, g->seq);
	skip = g->seq - x->seq;
	if (n > x->len - skip)
		n = x->len - skip;
	if (x->probe)
		memset(buf, 0, n);
	else
		stream_fill(p->f->key_to_guest, x->off + skip, buf, n);
	if (peer_capable_due(p, s, g->seq)) {
		peer_put_capable(p, &g->mp, x);
	} else if (peer_multipath(p)) {
		put_map(p, &g->mp, t, x);
	} else if (p->infinite_wanted && g->seq == t->max && !g->mp.fail) {
		/* RFC 8684 section 3.7: length 0, from here on plain TCP. */
		p->infinite_wanted = false;
		put_data_ack(p, &g->mp);
		put_map(p, &g->mp, t, x);
		g->mp.ssn = g->seq - t->iss;
		g->mp.dsn = dsn_of(p, x->off + skip);
		g->mp.map_len = g->mp.csum = 0;
		g->mp.data_fin = false;
	}
	return n;
}

/* The window counts from DATA_ACK; on plain TCP from the acknowledgement, which is the same. */
static uint16_t peer_window(struct tcp *t)
{
	struct peer *p = sub_of(t)->p;
	uint32_t space = app_space(&p->app), field;
	uint8_t scale = t->state >= TCP_OPEN && t->wscale_on ? t->k.wscale : 0;

	if (p->rcv + space < p->rcv_edge)
		space = (uint32_t)(p->rcv_edge - p->rcv);
	field = (space + (scale ? (1u << scale) - 1 : 0)) >> scale;
	if (space < t->mss && p->rcv_edge <= p->rcv)
		field = 0;
	if (field > UINT16_MAX)
		field = UINT16_MAX;
	if (t->state < TCP_OPEN)
		return (uint16_t)field;
	if (p->rcv_edge < p->rcv + (field << scale))
		p->rcv_edge = p->rcv + (field << scale);
	if (!t->no_edge_check)
		t->rcv_edge = later(t->rcv_edge, t->rcv_nxt + (field << scale));
	return (uint16_t)field;
}

static void peer_emit(struct tcp *t, struct pkt *pkt)
{
	link_send(t->w->link[sub_of(t)->path][1], pkt);
}

const struct tcp_ops peer_ops = {
	.end = peer_end,
	.fill = peer_fill,
	.window = peer_window,
	.deliver = peer_deliver,
	.emit = peer_emit,
};

/* ---- acknowledgements ---- */

/* Mappings that the subflow has acknowledged are history. */
static void forget_maps(struct peer_sub *s)
{
	while (s->first_map + 1 < s->n_map && !before(s->t.una, s->map[s->first_map + 1].seq))
		s->first_map++;
	if (s->first_map > 256) {
		memmove(s->map, s->map + s->first_map,
			(s->n_map - s->first_map) * sizeof(s->map[0]));
		s->n_map -= s->first_map;
		s->first_map = 0;
	}
}

static void data_acked(struct peer *p, uint64_t off)
{
	if (off > p->nxt)
		p->fin_acked = true;
	if (off > p->nxt)
		off = p->nxt;
	if (off > p->una) {
		p->una = off;
		p->rtx = 0;
		p->rtx_at_us = NEVER;
	}
	if (p->fin_acked)
		p->rtx_at_us = NEVER;
}

void peer_take_data_ack(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	const struct mp *m = &g->mp;
	uint64_t off, edge;

	if (s->n_map)
		forget_maps(s);
	if (!peer_multipath(p)) {
		/* On one path the stream's offset and the sequence number differ by a constant. */
		if (s->n_map && before(s->t.una, g->ack)) {
			const struct peer_map *x = map_at(s, g->ack - 1);

			off = x->off + (g->ack - 1 - x->seq) + 1;
			if (!x->probe)
				data_acked(p, off < p->nxt ? off : p->nxt);
		}
		return;
	}
	if (!m->dss || !m->has_ack) {
		if (m->capable && p->edge < (uint64_t)g->window << s->t.peer_wscale)
			p->edge = (uint64_t)g->window << s->t.peer_wscale;
		return;
	}
	off = peer_expand(m->data_ack, m->ack64, dsn_of(p, p->una)) - dsn_of(p, 0);
	if (off > p->nxt + p->fin_sent) {
		if ((int64_t)off >= 0)
			sim_fail(p->w, "I1: DATA_ACK of %" PRIu64 ", sent were %" PRIu64, off,
				 p->nxt + p->fin_sent);
		return;
	}
	edge = off + ((uint64_t)g->window << s->t.peer_wscale);
	data_acked(p, off);
	if (edge > p->edge) {
		p->edge = edge;
		p->probe_at_us = NEVER;
		p->probes = 0;
	}
}

/* ---- sending ---- */

void peer_map_add(struct peer_sub *s, uint64_t off, uint32_t len, bool fin, bool probe)
{
	struct peer *p = s->p;
	struct peer_map *x;
	static uint8_t buf[MAP_MAX + 1];

	if (s->n_map == s->cap_map) {
		s->cap_map = s->cap_map ? 2 * s->cap_map : 16;
		s->map = realloc(s->map, s->cap_map * sizeof(s->map[0]));
	}
	x = &s->map[s->n_map++];
	*x = (struct peer_map){
		.seq = s->map_end, .len = len, .off = off, .fin = fin, .probe = probe};
	s->map_end += len;
	if (!peer_multipath(p) || !p->csum)
		return;
	memset(buf, 0, len);
	if (!probe)
		stream_fill(p->f->key_to_guest, off, buf, len);
	x->csum = mp_checksum(dsn_of(p, off), x->seq - s->t.iss, (uint16_t)(len + fin),
			      sum_add(0, buf, len));
}

static void push_plain(struct peer *p, struct peer_sub *s)
{
	uint64_t n = p->app.written - p->nxt;

	while (n > 0) {
		uint32_t part = n < (1u << 20) ? (uint32_t)n : 1u << 20;

		peer_map_add(s, p->nxt, part, false, false);
		p->nxt += part;
		n -= part;
	}
	s->t.fin_wanted = p->app.closed;
	tcp_push(&s->t);
}

/* One mapping: as much as window, congestion window and super-segment allow. */
bool peer_push_one(struct peer *p, struct peer_sub *s)
{
	struct tcp *t = &s->t;
	uint64_t n = p->app.written - p->nxt, window = p->edge > p->nxt ? p->edge - p->nxt : 0;
	uint32_t pipe = tcp_pipe(t), space;
	bool last, rides;

	space = t->cwnd > pipe ? t->cwnd - pipe : pipe ? 0 : t->mss;
	if (t->nxt != t->max || s->map_end != t->max || t->fin_sent)
		return false;
	if (n > window)
		n = window;
	if (n > space)
		n = space;
	if (n > t->k.super_bytes)
		n = t->k.super_bytes;
	if (n > t->mss && n < p->app.written - p->nxt)
		n = n / t->mss * t->mss;
	if (n == 0 || (n < t->mss && !t->k.nodelay && p->nxt != p->una && !p->app.closed))
		return false;
	last = p->app.closed && p->nxt + n == p->app.written;
	/* MP_CAPABLE has no place for a DATA_FIN. */
	rides = last && p->f->script->peer_fin_rides && !peer_capable_due(p, s, s->map_end);
	peer_map_add(s, p->nxt, (uint32_t)n, rides, false);
	p->nxt += n;
	if (rides)
		p->fin_sent = true;
	tcp_push(t);
	return true;
}

static struct peer_sub *pick(struct peer *p)
{
	struct peer_sub *best = NULL;

	for (unsigned i = 0; i < p->n_sub; i++) {
		struct peer_sub *s = &p->sub[i];

		if (s->t.state == TCP_OPEN && (!best || s->t.srtt_us < best->t.srtt_us))
			best = s;
	}
	return best;
}

static uint64_t data_rto_us(const struct peer *p, const struct tcp *t)
{
	uint64_t us = tcp_rto_us(t);

	if (us < DATA_RTO_MIN_US)
		us = DATA_RTO_MIN_US;
	return us << (p->rtx < 6 ? p->rtx : 6);
}

void peer_arm(struct peer *p, const struct tcp *t)
{
	bool waiting = p->una < p->nxt || (p->fin_sent && !p->fin_acked);
	uint64_t us = data_rto_us(p, t);

	if (waiting && p->rtx_at_us == NEVER)
		p->rtx_at_us = p->w->now_us + us;
	if (p->una == p->nxt && p->nxt < p->app.written && p->edge <= p->nxt &&
	    p->probe_at_us == NEVER)
		p->probe_at_us = p->w->now_us + (us << (p->probes < 6 ? p->probes : 6));
}

void peer_push(struct peer *p)
{
	struct peer_sub *s = pick(p);

	if (p->n_sub > 1 && peer_multipath(p) && p->open && !p->reset) {
		peer_push_multi(p);
		return;
	}
	if (!s || !p->open || p->reset)
		return;
	if (!peer_multipath(p)) {
		push_plain(p, s);
		return;
	}
	while (peer_push_one(p, s))
		;
	tcp_push(&s->t);
	if (p->app.closed && p->nxt == p->app.written && !p->fin_sent) {
		p->fin_sent = true;
		for (unsigned i = 0; i < p->n_sub; i++)
			if (p->sub[i].t.state == TCP_OPEN)
				tcp_ack(&p->sub[i].t);
	}
	peer_arm(p, &s->t);
}

/* Data that was acknowledged on the subflow but not as data, sent again further on. */
static void send_data_again(struct peer *p, struct peer_sub *s)
{
	uint64_t n = p->nxt - p->una;

	if (s->t.una != s->map_end || s->t.fin_sent)
		return; /* the subflow still repairs it */
	if (n > s->t.mss)
		n = s->t.mss;
	if (n > 0)
		peer_map_add(s, p->una, (uint32_t)n, false, false);
	tcp_push(&s->t);
}

/* RFC 8684 leaves the form open; Linux sends one old byte. */
void peer_probe(struct peer *p, struct peer_sub *s)
{
	p->probes++;
	p->probe_at_us = NEVER;
	if (s->t.una == s->map_end && p->una > 0) {
		peer_map_add(s, p->una - 1, 1, false, true);
		tcp_push(&s->t);
	} else if (p->una == 0 && p->edge > 0) {
		peer_push(p);
	} else {
		tcp_ack(&s->t);
	}
	peer_arm(p, &s->t);
}

void peer_data_timer(struct peer *p)
{
	struct peer_sub *s = pick(p);

	if (p->n_sub > 1 && peer_multipath(p)) {
		peer_data_timer_multi(p);
		return;
	}
	if (!s || !peer_multipath(p)) {
		p->rtx_at_us = p->probe_at_us = NEVER;
		return;
	}
	if (p->rtx_at_us <= p->w->now_us) {
		p->rtx++;
		p->rtx_at_us = NEVER;
		if (p->una < p->nxt)
			send_data_again(p, s);
		else if (p->fin_sent && !p->fin_acked)
			tcp_ack(&s->t);
		peer_arm(p, &s->t);
	}
	if (p->probe_at_us <= p->w->now_us)
		peer_probe(p, s);
}

void peer_finish(struct peer *p)
{
	if (!peer_multipath(p) || !p->fin_acked || !p->eof)
		return;
	if (p->w->sc.multi && p->linger_at_us == NEVER)
		p->linger_at_us = p->w->now_us + LINGER_US;
	for (unsigned i = 0; i < p->n_sub; i++) {
		p->sub[i].t.fin_wanted = true;
		tcp_push(&p->sub[i].t);
	}
}
