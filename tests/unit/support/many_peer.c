/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * many_peer.c - see many.h: the receiving end, one subflow on each link.
 */
#include "many_peer.h"

#include <stdlib.h>

#include "engine/crypto.h"

#define DELAYED_ACK_US 40000
#define PEER_NONCE 0x600df00d

/* Adds [start, end); how many bytes of it were there already. */
static uint64_t ranges_put(struct many *m, struct many_ranges *rs, uint64_t start, uint64_t end)
{
	unsigned i = 0, k;
	uint64_t twice = 0;

	while (i < rs->n && rs->r[i].end < start)
		i++;
	for (k = i; k < rs->n && rs->r[k].start <= end; k++) {
		uint64_t a = rs->r[k].start > start ? rs->r[k].start : start;
		uint64_t b = rs->r[k].end < end ? rs->r[k].end : end;

		twice += b > a ? b - a : 0;
	}
	if (k > i) {
		start = rs->r[i].start < start ? rs->r[i].start : start;
		end = rs->r[k - 1].end > end ? rs->r[k - 1].end : end;
	} else if (rs->n == MANY_RANGES_MAX) {
		m->r.violations++;
		return 0;
	}
	memmove(&rs->r[i + 1], &rs->r[k], (rs->n - k) * sizeof(rs->r[0]));
	rs->n = rs->n - (k - i) + 1;
	rs->r[i] = (struct many_range){start, end};
	return twice;
}

static uint64_t ranges_take(struct many_ranges *rs, uint64_t next)
{
	while (rs->n && rs->r[0].start <= next) {
		next = rs->r[0].end > next ? rs->r[0].end : next;
		memmove(&rs->r[0], &rs->r[1], --rs->n * sizeof(rs->r[0]));
	}
	return next;
}

void many_peer_init(struct many *m)
{
	struct many_sub *s = &m->peer.sub[0];

	m->peer.data_una = 101;
	m->peer.told_edge = 101 + m->setup->window_bytes;
	s->used = s->ready = true;
	s->tuple = flow_tuple_reverse(&m->w.net);
	s->irs = m->w.guest_isn;
	s->iss = m->w.peer_isn;
	s->rcv_nxt = 101;
	s->timestamps = m->w.timestamps;
	s->ts_recent = 100;
}

static void emit(struct many *m, unsigned link, struct many_sub *s, uint8_t flags,
		 struct options_writer *w)
{
	uint64_t edge = m->peer.data_una + m->setup->window_bytes;
	struct headers h = {.tuple = s->tuple,
			    .seq = s->iss + !(flags & TCP_SYN),
			    .ack = s->irs + (uint32_t)s->rcv_nxt,
			    .flags = flags,
			    .window = (uint16_t)(m->setup->window_bytes >> PEER_WSCALE),
			    .ttl = 64};
	struct many_packet *p = malloc(sizeof(*p) + ENGINE_HEADER_MAX);
	uint8_t ip;

	m->peer.told_edge = edge > m->peer.told_edge ? edge : m->peer.told_edge;
	options_pad(w);
	h.options = w->buf;
	h.options_bytes = w->len_bytes;
	p->len = headers_encode(p->data, &h, 0, &ip);
	p->at_us = m->now_us + m->setup->link[link].rtt_ms * 500;
	if (m->down[link])
		free(p);
	else
		many_queue_add(&m->from_peer[link], p);
}

static void put_ts(struct many *m, const struct many_sub *s, struct options_writer *w)
{
	if (s->timestamps)
		options_put_timestamps(w, 9000 + (uint32_t)(m->now_us / 1000), s->ts_recent);
}

static void acknowledge(struct many *m, unsigned link)
{
	struct many_sub *s = &m->peer.sub[link];
	struct options_writer w = {0};
	struct sack_block b = {0, 0};

	put_ts(m, s, &w);
	if (s->twice[1])
		b = (struct sack_block){s->irs + (uint32_t)s->twice[0],
					s->irs + (uint32_t)s->twice[1]};
	for (unsigned i = 0; i < s->early.n && b.start == b.end; i++)
		if (s->newest >= s->early.r[i].start && s->newest < s->early.r[i].end)
			b = (struct sack_block){s->irs + (uint32_t)s->early.r[i].start,
						s->irs + (uint32_t)s->early.r[i].end};
	if (b.start != b.end)
		options_put_sack(&w, &b, 1);
	put_peer_ack(&m->w, &w, (uint32_t)m->peer.data_una);
	s->twice[0] = s->twice[1] = 0;
	s->unacked = 0;
	s->ack_at_us = 0;
	emit(m, link, s, TCP_ACK, &w);
}

static void join(struct many *m, unsigned link, const struct packet *p, const struct options *o)
{
	struct many_sub *s = &m->peer.sub[link];
	struct options_writer w = {0};
	struct mp_join j = {.form = MP_JOIN_SYNACK, .address_id = 0, .nonce = PEER_NONCE + link};
	uint8_t hmac[32], wscale[] = {TCPOPT_NOP, TCPOPT_WSCALE, 3, PEER_WSCALE};
	uint8_t sack[] = {TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERMITTED, 2};

	*s = (struct many_sub){.used = true,
			       .tuple = flow_tuple_reverse(&p->tuple),
			       .irs = p->seq,
			       .iss = 7000000 + link,
			       .rcv_nxt = 1,
			       .nonce_local = o->mp.join.nonce,
			       .timestamps = o->has_timestamps && m->w.timestamps,
			       .ts_recent = o->tsval};
	crypto_join_hmac(PEER_KEY, m->w.key_local, PEER_NONCE + link, o->mp.join.nonce, hmac);
	memcpy(j.hmac, hmac, 8);
	options_put_mss(&w, 1460);
	if (s->timestamps)
		put_ts(m, s, &w);
	else
		options_put(&w, sack, sizeof(sack));
	options_put(&w, wscale, sizeof(wscale));
	mp_join_encode(&w, &j);
	emit(m, link, s, TCP_SYN | TCP_ACK, &w);
}

/* Data that is complete on its subflow reaches the data level. */
static void data(struct many *m, uint64_t at, uint32_t bytes)
{
	struct many_peer *p = &m->peer;
	uint64_t una = p->data_una, old;

	if (at + bytes > p->told_edge)
		m->r.violations++; /* I2 */
	if (m->setup->forget_bytes && !p->forgot && at >= m->setup->forget_at) {
		p->forgot = at >= m->setup->forget_at + m->setup->forget_bytes;
		return;
	}
	old = at + bytes <= una ? bytes : at < una ? una - at : 0;
	m->r.duplicates += old;
	if (old == bytes)
		return;
	m->r.duplicates += ranges_put(m, &p->early, at + old, at + bytes);
	p->data_una = ranges_take(&p->early, una);
	if (p->data_una == una)
		return;
	if (m->now_us - m->progress_us > m->r.longest_gap_us) {
		m->r.longest_gap_us = m->now_us - m->progress_us;
		m->r.gap_at_us = m->progress_us - m->start_us;
	}
	m->progress_us = m->now_us;
}

static void deliver(struct many *m, struct many_sub *s)
{
	struct many_early **at = &s->waiting;

	while (*at) {
		struct many_early *x = *at;

		if (x->end > s->rcv_nxt) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		data(m, x->dsn, (uint32_t)(x->end - x->start));
		free(x);
	}
}

static void check_bytes(struct many *m, unsigned link, uint64_t at, const struct packet *p)
{
	m->r.carried[link] += p->payload_bytes;
	m->r.last_us[link] = m->now_us;
	if (m->r.first_after_us[link] == 0)
		m->r.first_after_us[link] = m->now_us - m->start_us;
	for (uint32_t i = 0; i < p->payload_bytes; i++)
		if (p->payload[i] != many_byte(at + i)) {
			m->r.violations++;
			return;
		}
}

static void segment(struct many *m, unsigned link, const struct packet *p, const struct options *o)
{
	struct many_sub *s = &m->peer.sub[link];
	const struct dss *d = &o->mp.dss;
	uint64_t start = (uint32_t)(p->seq - s->irs), end = start + p->payload_bytes, dsn, twice;
	bool early = start > s->rcv_nxt;

	if (!o->mp.has_dss || !d->has_map || start < d->ssn ||
	    end > (uint64_t)d->ssn + d->map_len || d->has_csum != m->setup->checksum) {
		m->r.violations++;
		return;
	}
	dsn = (uint32_t)(d->dsn - m->w.idsn_local) + (start - d->ssn);
	if (o->has_timestamps && start <= s->rcv_nxt)
		s->ts_recent = o->tsval;
	twice = end <= s->rcv_nxt
			? p->payload_bytes
			: ranges_put(m, &s->early, start > s->rcv_nxt ? start : s->rcv_nxt, end);
	if (twice == p->payload_bytes) {
		s->twice[0] = start;
		s->twice[1] = end;
	} else {
		struct many_early *x = malloc(sizeof(*x));

		*x = (struct many_early){s->waiting, start, end, dsn};
		s->waiting = x;
	}
	check_bytes(m, link, dsn, p);
	s->newest = start;
	s->rcv_nxt = ranges_take(&s->early, s->rcv_nxt);
	deliver(m, s);
	if (early || s->early.n || twice || ++s->unacked >= 2)
		acknowledge(m, link);
	else if (s->ack_at_us == 0)
		s->ack_at_us = m->now_us + DELAYED_ACK_US;
}

void many_peer_receive(struct many *m, unsigned link, struct many_packet *p)
{
	struct many_sub *s = &m->peer.sub[link];
	struct options o;
	struct packet k;

	if (packet_decode(&k, p->data, p->len) != PACKET_OK) {
		m->r.violations++;
		free(p);
		return;
	}
	options_decode(&o, k.options, k.options_bytes, k.flags & TCP_SYN, k.flags & TCP_ACK,
		       k.payload_bytes > 0);
	if (k.flags & TCP_SYN)
		join(m, link, &k, &o);
	else if (k.flags & TCP_RST)
		s->used = false;
	else if (s->used && o.mp.has_join && !s->ready) {
		s->ready = true;
		acknowledge(m, link);
	} else if (s->used && k.payload_bytes) {
		segment(m, link, &k, &o);
	} else if (s->used && (uint32_t)(k.seq - s->irs) < s->rcv_nxt) {
		acknowledge(m, link); /* below the window: answered */
	}
	free(p);
}

void many_peer_fini(struct many *m)
{
	for (unsigned i = 0; i < MANY_LINKS_MAX; i++)
		while (m->peer.sub[i].waiting) {
			struct many_early *x = m->peer.sub[i].waiting;

			m->peer.sub[i].waiting = x->next;
			free(x);
		}
}

uint64_t many_peer_next_us(const struct many *m)
{
	uint64_t at = UINT64_MAX;

	for (unsigned i = 0; i < m->setup->n_links; i++)
		if (m->peer.sub[i].ack_at_us && m->peer.sub[i].ack_at_us < at)
			at = m->peer.sub[i].ack_at_us;
	return at;
}

void many_peer_run(struct many *m)
{
	for (unsigned i = 0; i < m->setup->n_links; i++)
		if (m->peer.sub[i].ack_at_us && m->peer.sub[i].ack_at_us <= m->now_us)
			acknowledge(m, i);
}
