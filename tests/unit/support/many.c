/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * many.c - see many.h.
 */
#include "many.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/seq.h"
#include "engine/crypto.h"
#include "engine/state.h"
#include "many_peer.h"

#define GUEST_DELAY_US 50
#define GUEST_MSS 1420u
#define GUEST_SUPER 42600u
#define GUEST_RTO_US 300000u
#define FIRST 101u /* what world_open() has sent */

static void fresh(struct world *w)
{
	w->outs = (struct engine_outs){.pkt = w->pkt,
				       .cap_pkt = WORLD_OUT_MAX,
				       .event = w->event,
				       .cap_event = WORLD_OUT_MAX};
	for (; w->random.n < ENGINE_RANDOM_WORDS; w->random.n++)
		w->random.word[w->random.n] =
			0x1234567890abcdefull * (w->tick.now_us + w->random.n + 1);
}

void many_queue_add(struct many_queue *q, struct many_packet *p)
{
	struct many_packet **at = q->tail ? &q->tail->next : &q->head;

	p->next = NULL;
	*at = p;
	q->tail = p;
}

static struct many_packet *queue_take(struct many_queue *q)
{
	struct many_packet *p = q->head;

	q->head = p->next;
	if (!q->head)
		q->tail = NULL;
	return p;
}

uint32_t many_random(struct many *m)
{
	m->random = m->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(m->random >> 33);
}

/* One segment onto a link towards the net. */
static void link_send(struct many *m, unsigned i, const uint8_t *data, uint32_t len)
{
	const struct many_link *l = &m->setup->link[i];
	struct many_packet *p;
	uint64_t now = m->now_us * 1000, busy = m->busy_ns[i] > now ? m->busy_ns[i] : now;
	uint64_t ns = len * 8000ull / l->mbit;

	if (m->down[i] || busy - now > l->queue_ms * 1000000ull)
		return;
	m->busy_ns[i] = busy + ns;
	if (l->loss_ppm && many_random(m) % 1000000 < l->loss_ppm)
		return;
	p = malloc(sizeof(*p) + len);
	p->at_us = (busy + ns) / 1000 + l->rtt_ms * 500;
	p->len = len;
	memcpy(p->data, data, len);
	many_queue_add(&m->to_peer[i], p);
}

/* Cuts as the kernel does. */
static void cut(struct many *m, const struct engine_out *o)
{
	static uint8_t buf[2048];
	uint32_t at = 0, ip = o->ip_bytes;

	do {
		uint32_t n = o->payload_bytes - at;
		uint32_t seq, total;

		if (n > o->gso_size_bytes)
			n = o->gso_size_bytes;
		total = o->hdr_bytes + n;
		memcpy(buf, o->hdr, o->hdr_bytes);
		if (n)
			memcpy(buf + o->hdr_bytes, o->payload + at, n);
		buf[2] = (uint8_t)(total >> 8);
		buf[3] = (uint8_t)total;
		seq = ((uint32_t)buf[ip + 4] << 24 | (uint32_t)buf[ip + 5] << 16 |
		       (uint32_t)buf[ip + 6] << 8 | buf[ip + 7]) +
		      at;
		for (int k = 0; k < 4; k++)
			buf[ip + 4 + k] = (uint8_t)(seq >> (24 - 8 * k));
		if (total > 1500)
			m->r.violations++;
		link_send(m, o->index, buf, total);
		at += n;
	} while (at < o->payload_bytes);
}

static void outputs(struct many *m)
{
	struct world *w = &m->w;

	for (unsigned i = 0; i < w->outs.n_pkt; i++) {
		const struct engine_out *o = &w->pkt[i];
		struct many_packet *p;

		if (o->side == ENGINE_NET) {
			cut(m, o);
			continue;
		}
		p = malloc(sizeof(*p) + o->hdr_bytes);
		p->at_us = m->now_us + GUEST_DELAY_US;
		p->len = o->hdr_bytes;
		memcpy(p->data, o->hdr, o->hdr_bytes);
		p->data[2] = (uint8_t)(p->len >> 8);
		p->data[3] = (uint8_t)p->len;
		many_queue_add(&m->to_guest, p);
	}
	if (w->e->chunks.n_used > m->r.most_chunks)
		m->r.most_chunks = w->e->chunks.n_used;
}

static void engine_in(struct many *m, enum engine_side from, unsigned path, struct many_packet *p)
{
	struct engine_pkt in = {.data = p->data,
				.len_bytes = p->len,
				.from = (uint8_t)from,
				.hook = ENGINE_STEAL,
				.path = (uint8_t)path,
				.csum_trusted = true};
	struct world *w = &m->w;

	fresh(w);
	w->tick.now_us = m->now_us;
	engine_packet(w->e, &in, &w->tick, &w->outs);
	outputs(m);
	free(p);
}

/* ---- the guest ---- */

static void guest_segment(struct many *m, uint32_t seq, uint32_t bytes)
{
	struct options_writer o = {0};
	struct headers h = {.tuple = m->w.guest,
			    .seq = m->w.guest_isn + seq,
			    .ack = m->w.peer_isn + 1,
			    .flags = TCP_ACK,
			    .window = 1000,
			    .ttl = 64};
	struct many_packet *p = malloc(sizeof(*p) + ENGINE_HEADER_MAX + bytes);
	uint8_t ip;

	if (m->w.timestamps)
		options_put_timestamps(&o, 100 + (uint32_t)(m->now_us / 1000), m->ts_recent);
	h.options = o.buf;
	h.options_bytes = o.len_bytes;
	p->len = headers_encode(p->data, &h, bytes, &ip);
	for (uint32_t i = 0; i < bytes; i++)
		p->data[p->len + i] = many_byte(seq + i);
	p->len += bytes;
	p->at_us = m->now_us + GUEST_DELAY_US;
	many_queue_add(&m->from_guest, p);
}

static void guest_push(struct many *m)
{
	uint32_t end = FIRST + (uint32_t)m->setup->bytes, edge = m->guest_edge;

	edge = seq_min(edge, m->guest_una + m->guest_cwnd);
	edge = seq_min(edge, end);
	while (seq_lt(m->guest_nxt, edge)) {
		uint32_t n = edge - m->guest_nxt;

		if (n > GUEST_SUPER)
			n = GUEST_SUPER;
		if (n > GUEST_MSS)
			n -= n % GUEST_MSS;
		else if (n < GUEST_MSS && m->guest_nxt + n != end)
			return;
		if (seq_lt(m->guest_nxt, m->guest_max))
			m->r.guest_retransmits++;
		guest_segment(m, m->guest_nxt, n);
		m->guest_nxt += n;
		m->guest_max = seq_max(m->guest_max, m->guest_nxt);
		if (m->guest_rto_us == 0)
			m->guest_rto_us = m->now_us + GUEST_RTO_US;
	}
}

static void guest_grow(struct many *m, uint32_t acked)
{
	const struct many_setup *s = m->setup;

	if (s->guest_ssthresh && m->guest_cwnd >= s->guest_ssthresh)
		m->guest_cwnd += acked / 20;
	else
		m->guest_cwnd += acked;
	if (s->guest_window_max && m->guest_cwnd > s->guest_window_max)
		m->guest_cwnd = s->guest_window_max;
	if (m->guest_cwnd > 1u << 28)
		m->guest_cwnd = 1u << 28;
}

/* A SACK block: the hole below it is sent again, once, as fast as blocks tell of it. */
static void guest_repair(struct many *m, uint32_t start, uint32_t end)
{
	if (seq_lt(m->guest_una, start) && m->sacked_end == 0)
		m->sacked_end = m->repaired = m->guest_una;
	if (m->sacked_end == 0 || seq_le(end, m->sacked_end))
		return;
	for (m->repaired = seq_max(m->repaired, m->sacked_end); seq_lt(m->repaired, start);
	     m->repaired += GUEST_MSS) {
		uint32_t n = start - m->repaired < GUEST_MSS ? start - m->repaired : GUEST_MSS;

		guest_segment(m, m->repaired, n);
		m->r.guest_retransmits++;
	}
	m->sacked_end = end;
}

static void guest_receive(struct many *m, struct many_packet *p)
{
	struct packet k;
	struct options o;
	uint32_t ack, edge;

	if (packet_decode(&k, p->data, p->len) != PACKET_OK) {
		m->r.violations++;
		free(p);
		return;
	}
	options_decode(&o, k.options, k.options_bytes, false, true, false);
	ack = k.ack - m->w.guest_isn;
	edge = ack + ((uint32_t)k.window << PEER_WSCALE);
	/* I1, and the timestamps must be the guest's own. */
	if (seq_lt(m->guest_max, ack) || seq_lt((uint32_t)m->peer.data_una, ack) ||
	    (k.flags & TCP_RST))
		m->r.violations++;
	if (o.has_timestamps && seq_lt(100 + (uint32_t)(m->now_us / 1000), o.tsecr))
		m->r.violations++;
	if (seq_lt(m->guest_una, ack)) {
		guest_grow(m, ack - m->guest_una);
		m->guest_una = ack;
		m->guest_nxt = seq_max(m->guest_nxt, ack);
		m->guest_rto_us = m->guest_una == m->guest_max ? 0 : m->now_us + GUEST_RTO_US;
	}
	m->guest_edge = seq_max(m->guest_edge, edge);
	for (unsigned i = 0; i < o.n_sack; i++)
		guest_repair(m, o.sack[i].start - m->w.guest_isn, o.sack[i].end - m->w.guest_isn);
	free(p);
	guest_push(m);
}

/* ---- the world ---- */

static uint64_t next_us(struct many *m)
{
	uint64_t at = engine_deadline_us(m->w.e), peer = many_peer_next_us(m);

	for (unsigned i = 0; i < m->setup->n_links; i++) {
		if (m->to_peer[i].head && m->to_peer[i].head->at_us < at)
			at = m->to_peer[i].head->at_us;
		if (m->from_peer[i].head && m->from_peer[i].head->at_us < at)
			at = m->from_peer[i].head->at_us;
	}
	if (m->to_guest.head && m->to_guest.head->at_us < at)
		at = m->to_guest.head->at_us;
	if (m->from_guest.head && m->from_guest.head->at_us < at)
		at = m->from_guest.head->at_us;
	if (m->guest_rto_us && m->guest_rto_us < at)
		at = m->guest_rto_us;
	if (m->n_event < m->setup->n_events && m->start_us + m->setup->event[m->n_event].at_us < at)
		at = m->start_us + m->setup->event[m->n_event].at_us;
	at = peer < at ? peer : at;
	return at > m->now_us ? at : m->now_us;
}

static bool due(const struct many *m, const struct many_queue *q)
{
	return q->head && q->head->at_us <= m->now_us;
}

static void happen(struct many *m)
{
	const struct many_event *ev = &m->setup->event[m->n_event++];

	m->down[ev->link] = ev->down;
	m->r.first_after_us[ev->link] = 0;
	if (ev->told) {
		m->w.tick.now_us = m->now_us;
		engine_path_set(m->w.e, ev->link, !ev->down, NULL);
	}
}

static void trace(struct many *m)
{
	static uint64_t last;
	struct engine *e = m->w.e;

	if (!getenv("MANY_TRACE") || m->now_us / 10000 == last)
		return;
	last = m->now_us / 10000;
	printf("%6u ms una %u guest nxt %u cwnd %u edge %u |",
	       (unsigned)((m->now_us - m->start_us) / 1000), (unsigned)m->peer.data_una,
	       m->guest_nxt, m->guest_cwnd, m->guest_edge - m->guest_una);
	for (uint32_t k = conn_at(e, 0)->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);
		struct sender *x;

		if (s->sender == NONE)
			continue;
		x = sender_at(e, s->sender);
		printf(" p%u cwnd %u ssth %u fl %u lost %u srtt %u%s%s%s%s out %u |", s->path,
		       x->cc.cwnd_bytes, x->cc.ssthresh_bytes > 1u << 30 ? 0 : x->cc.ssthresh_bytes,
		       x->in_flight_bytes, x->lost_bytes, x->srtt_us, x->in_recovery ? " rec" : "",
		       x->in_loss ? " loss" : "", x->suspect ? " susp" : "",
		       x->stale ? " stale" : "", s->snd_nxt - s->snd_una);
	}
	printf("\n");
}

static void once(struct many *m)
{
	trace(m);
	if (m->n_event < m->setup->n_events &&
	    m->start_us + m->setup->event[m->n_event].at_us <= m->now_us)
		happen(m);
	while (due(m, &m->from_guest))
		engine_in(m, ENGINE_GUEST, 0, queue_take(&m->from_guest));
	for (unsigned i = 0; i < m->setup->n_links; i++) {
		while (due(m, &m->to_peer[i])) {
			struct many_packet *p = queue_take(&m->to_peer[i]);

			if (m->down[i])
				free(p);
			else
				many_peer_receive(m, i, p);
		}
		while (due(m, &m->from_peer[i])) {
			struct many_packet *p = queue_take(&m->from_peer[i]);

			if (m->down[i])
				free(p);
			else
				engine_in(m, ENGINE_NET, i, p);
		}
	}
	many_peer_run(m);
	if (engine_deadline_us(m->w.e) <= m->now_us) {
		fresh(&m->w);
		m->w.tick.now_us = m->now_us;
		engine_timeout(m->w.e, &m->w.tick, &m->w.outs);
		outputs(m);
	}
	while (due(m, &m->to_guest))
		guest_receive(m, queue_take(&m->to_guest));
	if (m->guest_rto_us && m->guest_rto_us <= m->now_us) {
		m->guest_rto_us = m->now_us + GUEST_RTO_US;
		m->guest_nxt = m->guest_una;
		m->guest_cwnd =
			m->guest_cwnd / 2 > 10 * GUEST_MSS ? m->guest_cwnd / 2 : 10 * GUEST_MSS;
		guest_push(m);
	}
}

static void begin(struct many *m, const struct many_setup *s)
{
	struct world *w = &m->w;

	m->setup = s;
	m->random = 1;
	world_init(w, FLOW_IPV4);
	w->timestamps = !s->no_timestamps;
	w->peer_checksum = s->checksum;
	w->cfg.n_paths = (uint8_t)s->n_links;
	w->cfg.memory_bytes = (uint64_t)(s->memory_mb ? s->memory_mb : 64) << 20;
	w->cfg.congestion = (uint8_t)engine_congestion(s->congestion ? s->congestion : "lia");
	w->cfg.scheduler = (uint8_t)engine_scheduler(s->scheduler ? s->scheduler : "blest");
	w->cfg.after_bytes = s->after_bytes;
	w->cfg.port_min = 61000;
	w->cfg.port_max = 65000;
	w->cfg.mode = ENGINE_FULLMESH;
	for (unsigned i = 0; i < s->n_links; i++) {
		w->cfg.path[i] = w->cfg.path[0];
		w->cfg.path[i].addr4 = (struct ip_addr){.b = {192, 0, 2, (uint8_t)(1 + i)}};
	}
	world_start(w);
	world_open(w);
	m->now_us = m->start_us = m->progress_us = w->tick.now_us;
	/* The handshake did not go over the links: what it would have measured. */
	conn_at(w->e, 0)->syn_rtt_us = s->link[0].rtt_ms * 1000;
	subflow_at(w->e, conn_at(w->e, 0)->subflow)->syn_rtt_us = s->link[0].rtt_ms * 1000;
	many_peer_init(m);
	m->guest_una = m->guest_nxt = m->guest_max = FIRST;
	m->guest_cwnd = 10 * GUEST_MSS;
	m->guest_edge = FIRST + (60u << PEER_WSCALE);
	outputs(m); /* what the promotion began with */
	guest_push(m);
}

static void drop_all(struct many_queue *q)
{
	while (q->head)
		free(queue_take(q));
}

struct many_result many_run(const struct many_setup *setup)
{
	struct many *m = calloc(1, sizeof(*m));
	struct many_result r;

	begin(m, setup);
	while (m->now_us - m->start_us < setup->until_us &&
	       m->peer.data_una - FIRST < setup->bytes) {
		m->now_us = next_us(m);
		once(m);
	}
	m->r.us = m->now_us - m->start_us;
	m->r.received = m->peer.data_una - FIRST;
	/* A second more: what is over gives its memory back. */
	while (next_us(m) - m->start_us < m->r.us + 1000000) {
		m->now_us = next_us(m);
		once(m);
	}
	m->r.left_chunks = m->w.e->chunks.n_used;
	m->r.left_txsegs = m->w.e->txsegs.n_used;
	m->r.left_spans = m->w.e->spans.n_used;
	for (uint32_t k = conn_at(m->w.e, 0)->subflow; k != NONE; k = subflow_at(m->w.e, k)->next)
		m->r.retransmits += subflow_at(m->w.e, k)->retransmits;
	r = m->r;
	for (unsigned i = 0; i < MANY_LINKS_MAX; i++) {
		drop_all(&m->to_peer[i]);
		drop_all(&m->from_peer[i]);
	}
	drop_all(&m->to_guest);
	drop_all(&m->from_guest);
	many_peer_fini(m);
	world_fini(&m->w);
	free(m);
	return r;
}

uint64_t many_capacity(const struct many_setup *setup, unsigned mask)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < setup->n_links; i++)
		if (mask & 1u << i)
			sum += setup->link[i].mbit * 125000ull * 1420 / 1500;
	return sum;
}
