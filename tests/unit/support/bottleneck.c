/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bottleneck.c - links and model senders in virtual time; see bottleneck.h.
 */
#include "bottleneck.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#define RTO_MIN_US 200000U
#define RTO_MAX_US 60000000U
#define NEVER UINT64_MAX

static uint64_t next_random(struct bottleneck *b)
{
	uint64_t z = b->random += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

struct bottleneck *bn_new(uint64_t seed)
{
	struct bottleneck *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	b->random = seed;
	return b;
}

void bn_free(struct bottleneck *b)
{
	for (unsigned i = 0; i < b->n_flows; i++)
		free(b->flow[i]);
	free(b);
}

unsigned bn_link(struct bottleneck *b, unsigned mbit, uint32_t rtt_ms, uint32_t queue_ms,
		 uint32_t loss_ppm)
{
	struct bn_link *l = &b->link[b->n_links];

	l->rate_bytes_per_s = mbit * 125000ULL;
	l->delay_us = rtt_ms * 500;
	l->queue_bytes = (uint32_t)(l->rate_bytes_per_s * queue_ms / 1000);
	l->loss_ppm = loss_ppm;
	l->jitter_us = 100;
	return b->n_links++;
}

struct bn_flow *bn_flow(struct bottleneck *b, unsigned conn, unsigned link, const char *name,
			uint64_t start_us)
{
	struct bn_flow *f = calloc(1, sizeof(*f));

	if (!f || b->n_flows == BN_FLOWS_MAX || !congestion_find(name))
		abort();
	f->ops = congestion_find(name);
	f->conn = f->group = conn;
	f->link = link;
	f->mss_bytes = 1448;
	f->ack_segments = 2;
	f->ack_wait_us = 1000;
	f->start_us = start_us;
	f->backlog_bytes = BN_ENDLESS;
	f->timer_us = NEVER;
	b->flow[b->n_flows++] = f;
	return f;
}

static struct bn_packet *packet(struct bn_flow *f, uint32_t number)
{
	return &f->ring[number & (BN_RING - 1)];
}

static uint32_t in_flight(const struct bn_flow *f)
{
	return (f->tail - f->head) * f->mss_bytes;
}

static void group_of(const struct bottleneck *b, const struct bn_flow *f, struct cc_group *g)
{
	memset(g, 0, sizeof(*g));
	for (unsigned i = 0; i < b->n_flows; i++) {
		const struct bn_flow *o = b->flow[i];

		if (o->group != f->group)
			continue;
		if (o == f)
			g->self = g->n;
		g->member[g->n].cc = &o->cc;
		g->member[g->n].srtt_us = o->srtt_us;
		g->member[g->n].mss_bytes = o->mss_bytes;
		g->member[g->n++].established = o->established;
	}
}

/* Through the link: the time of the packet's arrival at the receiver, 0 when it is lost. */
static uint64_t transmit(struct bottleneck *b, struct bn_link *l, uint32_t bytes)
{
	uint64_t now_ns = b->now_us * 1000, queued;

	if (l->down)
		return 0;
	if (l->busy_until_ns < now_ns)
		l->busy_until_ns = now_ns;
	queued = (l->busy_until_ns - now_ns) * (l->rate_bytes_per_s / 1000) / 1000000;
	if (queued + bytes > l->queue_bytes + 1500ULL) {
		l->dropped++;
		return 0;
	}
	l->busy_until_ns += bytes * 1000000000ULL / l->rate_bytes_per_s;
	l->passed_bytes += bytes;
	if (next_random(b) % 1000000 < l->loss_ppm) {
		l->lost++;
		return 0;
	}
	return l->busy_until_ns / 1000 + l->delay_us;
}

static uint64_t rto_us(const struct bn_flow *f)
{
	uint64_t rto = f->srtt_us ? f->srtt_us + 4ULL * f->rttvar_us : 1000000;

	rto = (rto > RTO_MIN_US ? rto : RTO_MIN_US) << f->backoff;
	return rto < RTO_MAX_US ? rto : RTO_MAX_US;
}

/* The first silence is a probe's (about two RTTs), the second is a timeout. */
static void set_timer(struct bottleneck *b, struct bn_flow *f)
{
	uint64_t wait = rto_us(f);

	if (!f->probed && !f->backoff && f->srtt_us && 2ULL * f->srtt_us + 2000 < wait)
		wait = 2ULL * f->srtt_us + 2000;
	f->timer_us = f->tail != f->head ? b->now_us + wait : NEVER;
}

static void send_packet(struct bottleneck *b, struct bn_flow *f)
{
	struct bn_link *l = &b->link[f->link];
	struct bn_packet *p = packet(f, f->tail);
	uint64_t at;

	if (f->tail == f->head)
		f->first_sent_us = f->delivered_at_us = b->now_us;
	*p = (struct bn_packet){.sent_us = b->now_us,
				.delivered_bytes = f->delivered_bytes,
				.delivered_at_us = f->delivered_at_us,
				.first_sent_us = f->first_sent_us,
				.app_limited = f->app_limited_until_bytes > f->delivered_bytes};
	at = transmit(b, l, f->mss_bytes + BN_HEADER_BYTES);
	if (at) {
		at += l->delay_us + next_random(b) % (l->jitter_us + 1);
		if (at < f->last_ack_at_us)
			at = f->last_ack_at_us;
		p->ack_at_us = f->last_ack_at_us = at;
	}
	f->tail++;
	f->sent_packets++;
	f->last_send_us = b->now_us;
	if (f->backlog_bytes != BN_ENDLESS)
		f->backlog_bytes -= f->mss_bytes;
}

unsigned bn_room(const struct bottleneck *b, const struct bn_flow *f)
{
	uint32_t flight = in_flight(f), room;

	if (!f->established || (f->cc.pacing_bytes_per_s && f->next_send_us > b->now_us))
		return 0;
	room = f->cc.cwnd_bytes > flight ? (f->cc.cwnd_bytes - flight) / f->mss_bytes : 0;
	return room < BN_RING - (f->tail - f->head) ? room : BN_RING - (f->tail - f->head);
}

/* Behind a burst: the wait that it costs. */
void bn_pace(struct bottleneck *b, struct bn_flow *f, uint32_t sent_bytes)
{
	if (f->cc.pacing_bytes_per_s && sent_bytes)
		f->next_send_us = b->now_us + sent_bytes * 1000000ULL / f->cc.pacing_bytes_per_s;
}

void bn_send(struct bottleneck *b, struct bn_flow *f, uint32_t piece)
{
	bool was_idle = f->tail == f->head;

	if (was_idle && f->last_send_us && b->now_us > f->last_send_us)
		f->ops->on_idle(&f->cc, b->now_us - f->last_send_us, (uint32_t)rto_us(f),
				f->mss_bytes, b->now_us);
	send_packet(b, f);
	packet(f, f->tail - 1)->piece = piece;
	if (was_idle || f->timer_us == NEVER)
		set_timer(b, f);
}

/* Sends what window, pacing and backlog allow, a burst at a time when paced. */
static void send_more(struct bottleneck *b, struct bn_flow *f)
{
	uint32_t sent = 0, burst = congestion_burst_bytes(&f->cc, f->mss_bytes);

	if (f->stream) {
		stream_send(b, f->stream);
		return;
	}
	while (sent < burst && f->backlog_bytes >= f->mss_bytes && bn_room(b, f)) {
		bn_send(b, f, 0);
		sent += f->mss_bytes;
	}
	if (f->backlog_bytes < f->mss_bytes && in_flight(f) + f->mss_bytes <= f->cc.cwnd_bytes)
		f->app_limited_until_bytes = f->delivered_bytes + in_flight(f) + 1;
	bn_pace(b, f, sent);
}

static void take_rtt(struct bn_flow *f, uint32_t rtt_us)
{
	uint32_t diff = rtt_us > f->srtt_us ? rtt_us - f->srtt_us : f->srtt_us - rtt_us;

	if (f->srtt_us == 0) {
		f->srtt_us = rtt_us;
		f->rttvar_us = rtt_us / 2;
		return;
	}
	f->rttvar_us = (3 * f->rttvar_us + diff) / 4;
	f->srtt_us = (7 * f->srtt_us + rtt_us) / 8;
}

static void resend_later(struct bn_flow *f)
{
	f->lost_packets++;
	if (f->stream)
		stream_lost(f->stream, f, packet(f, f->head)->piece);
	if (f->backlog_bytes != BN_ENDLESS)
		f->backlog_bytes += f->mss_bytes;
}

/* The rate sample of the newest packet acknowledged. */
static void rate_sample(struct bottleneck *b, struct bn_flow *f, const struct bn_packet *p,
			struct cc_ack *ack)
{
	uint64_t send_us = p->sent_us - p->first_sent_us, ack_us = b->now_us - p->delivered_at_us;

	f->first_sent_us = p->sent_us;
	ack->app_limited = p->app_limited;
	ack->delivered_bytes = f->delivered_bytes;
	ack->prior_delivered_bytes = p->delivered_bytes;
	ack->interval_us = send_us > ack_us ? send_us : ack_us;
	ack->rtt_us = (uint32_t)(b->now_us - p->sent_us);
}

/* `fresh`: a packet that was sent after the last recovery began is lost. */
static void tell_controller(struct bottleneck *b, struct bn_flow *f, struct cc_ack *ack, bool fresh)
{
	struct cc_group g;

	take_rtt(f, ack->rtt_us);
	group_of(b, f, &g);
	if (f->in_recovery && (int32_t)(f->head - f->recovery_end) > 0) {
		f->in_recovery = false;
		f->ops->on_recovery_exit(&f->cc, b->now_us);
	}
	if (fresh && !f->in_recovery) {
		f->in_recovery = true;
		f->recovery_end = f->tail;
		f->losses++;
		ack->in_recovery = true;
		f->ops->on_loss(&f->cc, ack, &g);
	}
	ack->in_recovery = f->in_recovery;
	f->ops->on_ack(&f->cc, ack, &g);
}

/* All that arrived until now is acknowledged at once; what went before it and did not, is lost. */
static void take_ack(struct bottleneck *b, struct bn_flow *f)
{
	struct cc_ack ack = {.now_us = b->now_us, .prior_in_flight_bytes = in_flight(f)};
	struct bn_packet newest;
	uint32_t last = f->scan;
	bool fresh = false;

	for (uint32_t i = f->scan; i != f->tail; i++)
		if (packet(f, i)->ack_at_us && packet(f, i)->ack_at_us <= b->now_us)
			last = i;
		else if (packet(f, i)->ack_at_us)
			break;
	newest = *packet(f, last);
	for (; f->head != last + 1; f->head++) {
		if (packet(f, f->head)->ack_at_us) {
			ack.acked_bytes += f->mss_bytes;
			if (f->stream)
				stream_acked(f->stream, packet(f, f->head)->piece);
			continue;
		}
		ack.lost_bytes += f->mss_bytes;
		fresh |= (int32_t)(f->head - f->recovery_end) >= 0;
		resend_later(f);
	}
	f->scan = f->head;
	f->delivered_bytes += ack.acked_bytes;
	f->delivered_at_us = b->now_us;
	ack.in_flight_bytes = in_flight(f);
	rate_sample(b, f, &newest, &ack);
	f->backoff = 0;
	f->probed = false;
	tell_controller(b, f, &ack, fresh);
	set_timer(b, f);
}

static void on_timer(struct bottleneck *b, struct bn_flow *f)
{
	struct cc_group g;

	if (!f->probed && !f->backoff && f->tail - f->head < BN_RING) {
		uint32_t piece = packet(f, f->tail - 1)->piece;

		f->probed = true;
		if (f->backlog_bytes < f->mss_bytes)
			f->backlog_bytes = f->mss_bytes;
		send_packet(b, f);
		packet(f, f->tail - 1)->piece = piece;
		set_timer(b, f);
		return;
	}
	group_of(b, f, &g);
	f->ops->on_rto(&f->cc, in_flight(f), &g, b->now_us);
	f->timeouts++;
	for (; f->head != f->tail; f->head++)
		resend_later(f);
	f->scan = f->head;
	f->in_recovery = true;
	f->recovery_end = f->tail;
	f->backoff += f->backoff < 6;
	f->probed = true;
	f->next_send_us = 0;
	f->timer_us = NEVER;
}

/* When the receiver's next ACK arrives, by its rule of so many segments or so long. */
static uint64_t next_ack_us(struct bn_flow *f)
{
	uint64_t first = 0;
	uint32_t n = 0;

	while (f->scan != f->tail && packet(f, f->scan)->ack_at_us == 0)
		f->scan++;
	for (uint32_t i = f->scan; i != f->tail; i++) {
		uint64_t at = packet(f, i)->ack_at_us;

		if (at == 0) /* a hole is told at once */
			return first ? first : NEVER;
		if (!first)
			first = at;
		if (at > first + f->ack_wait_us)
			break;
		if (++n >= f->ack_segments || f->scan != f->head)
			return at;
	}
	return first ? first + f->ack_wait_us : NEVER;
}

static uint64_t next_event_us(struct bottleneck *b, struct bn_flow *f)
{
	uint64_t at, ack_us;

	if (!f->established)
		return f->start_us;
	ack_us = next_ack_us(f);
	at = f->timer_us < ack_us ? f->timer_us : ack_us;
	if (f->cc.pacing_bytes_per_s && f->next_send_us > b->now_us && f->next_send_us < at &&
	    in_flight(f) + f->mss_bytes <= f->cc.cwnd_bytes &&
	    (f->stream ? stream_pending(f->stream) : f->backlog_bytes >= f->mss_bytes))
		at = f->next_send_us;
	return at;
}

static void run_flow(struct bottleneck *b, struct bn_flow *f)
{
	if (!f->established) {
		f->ops->init(&f->cc, f->mss_bytes, b->now_us);
		f->established = true;
		take_rtt(f, 2 * b->link[f->link].delay_us); /* of the handshake */
	}
	if (next_ack_us(f) <= b->now_us)
		take_ack(b, f);
	else if (f->timer_us <= b->now_us)
		on_timer(b, f);
	send_more(b, f);
}

void bn_run(struct bottleneck *b, uint64_t until_us)
{
	/* A backlog may have been filled since the last run. */
	for (unsigned i = 0; i < b->n_flows; i++)
		if (b->flow[i]->established)
			send_more(b, b->flow[i]);
	for (;;) {
		struct bn_flow *next = NULL;
		uint64_t at = NEVER;

		for (unsigned i = 0; i < b->n_flows; i++) {
			uint64_t t = next_event_us(b, b->flow[i]);

			if (t < at) {
				at = t;
				next = b->flow[i];
			}
		}
		if (!next || at > until_us)
			break;
		if (at > b->now_us)
			b->now_us = at;
		run_flow(b, next);
	}
	b->now_us = until_us;
}

uint64_t bn_capacity(const struct bottleneck *b, unsigned link, uint64_t us)
{
	return b->link[link].rate_bytes_per_s * us / 1000000 * 1448 / (1448 + BN_HEADER_BYTES);
}
