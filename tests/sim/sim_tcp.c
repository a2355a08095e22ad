// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_tcp.c - see sim_tcp.h: segments, acknowledgements that arrive, timers.
 */
#include "sim_tcp.h"

#include <stdlib.h>

#include "sim.h"
#include "sim_tcp_send.h"

#define RTO_MIN_US 200000u
#define RTO_FIRST_US 1000000u
#define RTO_MAX_US 20000000u
#define RTO_TRIES 200
#define QUICK_ACKS 8
#define DELAY_SLACK_US 5000

void tcp_setup(struct tcp *t, struct sim *w, void *owner, const struct tcp_ops *ops,
	       const struct tcp_traits *k)
{
	memset(t, 0, sizeof(*t));
	t->w = w;
	t->owner = owner;
	t->ops = ops;
	t->k = *k;
	t->iss = k->isn;
	t->una = t->nxt = t->max = t->edge = t->iss;
	t->rto_at_us = t->probe_at_us = t->ack_at_us = t->keepalive_at_us = NEVER;
	t->quick = QUICK_ACKS;
	t->ssthresh = UINT32_MAX / 2;
	t->heard_us = w->now_us;
}

void tcp_fini(struct tcp *t)
{
	while (t->early) {
		struct early *e = t->early;

		t->early = e->next;
		free(e);
	}
}

void tcp_negotiate(struct tcp *t, const struct seg *syn)
{
	uint32_t mss = syn->has_mss ? syn->mss : syn->tuple.family == FLOW_IPV4 ? 536 : 1220;

	t->irs = syn->seq;
	t->rcv_nxt = t->rcv_edge = t->ack_told = syn->seq + 1;
	t->ts = t->k.ts && syn->has_ts;
	t->sack = t->k.sack && syn->sack_permitted;
	t->wscale_on = t->k.has_wscale && syn->has_wscale;
	t->peer_wscale = t->wscale_on ? syn->wscale : 0;
	t->ts_recent = syn->tsval;
	if (mss > t->k.mss_max)
		mss = t->k.mss_max;
	t->mss = (uint16_t)(mss - (t->ts ? 12 : 0) - t->k.mss_reserve);
	t->cwnd = t->k.cwnd_segments * t->mss;
	if (t->k.super_bytes < t->mss)
		t->k.super_bytes = t->mss;
	t->edge = t->iss + 1 + syn->window;
}

static uint32_t ts_now(const struct tcp *t)
{
	return t->k.ts_base + (uint32_t)(t->w->now_us / 1000);
}

void tcp_begin(struct tcp *t, struct seg *s)
{
	memset(s, 0, sizeof(*s));
	s->tuple = t->tuple;
	s->seq = t->max;
	s->ack = t->rcv_nxt;
	s->flags = F_ACK;
	s->window = t->ops->window(t);
	if (t->ts) {
		s->has_ts = true;
		s->tsval = ts_now(t);
		s->tsecr = t->ts_recent;
	}
}

void tcp_emit(struct tcp *t, struct seg *s, uint16_t gso_bytes)
{
	struct pkt *p = seg_build(s);

	if (s->len_bytes > gso_bytes && gso_bytes)
		p->gso_bytes = gso_bytes;
	if (s->flags & F_ACK) {
		t->ack_told = s->ack;
		t->unacked = 0;
		t->ack_at_us = NEVER;
	}
	t->ops->emit(t, p);
}

void tcp_syn(struct tcp *t, bool ack, const struct mp *m)
{
	struct seg s;

	memset(&s, 0, sizeof(s));
	s.tuple = t->tuple;
	s.seq = t->iss;
	s.ack = t->rcv_nxt;
	s.flags = (uint8_t)(F_SYN | (ack ? F_ACK : 0));
	s.has_mss = true;
	s.mss = t->k.mss_told;
	s.has_ts = ack ? t->ts : t->k.ts;
	s.tsval = ts_now(t);
	s.tsecr = ack ? t->ts_recent : 0;
	s.sack_permitted = ack ? t->sack : t->k.sack;
	s.has_wscale = ack ? t->wscale_on : t->k.has_wscale;
	s.wscale = t->k.wscale;
	s.window = t->ops->window(t);
	if (m)
		s.mp = *m;
	t->una = t->iss;
	t->nxt = t->max = t->iss + 1;
	t->state = ack ? TCP_SYN_RECEIVED : TCP_SYN_SENT;
	t->rto_at_us = t->w->now_us + ((uint64_t)RTO_FIRST_US << t->backoff);
	tcp_emit(t, &s, 0);
}

/*
 * RFC 2018 section 4: first the block of the segment that came last, since beside other options
 * there may be room for one only; then the upper ones, as they are newer than the lower ones.
 */
static void newest_first(struct seg *s, uint32_t seq)
{
	struct block b;

	for (unsigned i = 0; i < s->n_sack / 2; i++) {
		b = s->sack[i];
		s->sack[i] = s->sack[s->n_sack - 1 - i];
		s->sack[s->n_sack - 1 - i] = b;
	}
	for (unsigned i = 1; i < s->n_sack; i++) {
		if (before(seq, s->sack[i].start) || !before(seq, s->sack[i].end))
			continue;
		b = s->sack[i];
		memmove(s->sack + 1, s->sack, i * sizeof(b));
		s->sack[0] = b;
	}
}

/* SACK blocks of what came early. */
static void early_blocks(const struct tcp *t, struct seg *s)
{
	for (const struct early *e = t->early; e; e = e->next) {
		uint32_t end = e->s.seq + e->s.len_bytes;

		if (e->s.len_bytes == 0) /* a FIN alone */
			continue;

		if (s->n_sack && !before(s->sack[s->n_sack - 1].end, e->s.seq)) {
			s->sack[s->n_sack - 1].end = later(s->sack[s->n_sack - 1].end, end);
			continue;
		}
		if (s->n_sack == SACK_MAX)
			memmove(s->sack, s->sack + 1, --s->n_sack * sizeof(s->sack[0]));
		s->sack[s->n_sack++] = (struct block){e->s.seq, end};
	}
	newest_first(s, t->early_seq);
}

void tcp_ack(struct tcp *t)
{
	struct seg s;

	tcp_begin(t, &s);
	if (t->sack)
		early_blocks(t, &s);
	t->ops->fill(t, &s, 0, NULL);
	tcp_emit(t, &s, 0);
}

void tcp_reset(struct tcp *t, const struct mp *m)
{
	struct seg s;

	tcp_begin(t, &s);
	s.seq = t->nxt;
	s.flags = F_RST | F_ACK;
	s.has_ts = false;
	if (m)
		s.mp = *m;
	tcp_emit(t, &s, 0);
	t->state = TCP_RESET;
}

/* ---- acknowledgements ---- */

uint64_t tcp_rto_us(const struct tcp *t)
{
	/* As Linux bounds it: the variance never counts for less than 200 ms. */
	uint64_t var_us = 4 * t->rttvar_us > RTO_MIN_US ? 4 * t->rttvar_us : RTO_MIN_US;
	uint64_t us = t->srtt_us ? t->srtt_us + var_us : RTO_FIRST_US;

	us <<= t->backoff < 10 ? t->backoff : 10;
	return us < RTO_MAX_US ? us : RTO_MAX_US;
}

static void rtt_sample(struct tcp *t, uint64_t us)
{
	uint64_t diff;

	if (us == 0)
		us = 1;
	t->rtt_us = us;
	if (t->min_rtt_us == 0 || us < t->min_rtt_us)
		t->min_rtt_us = us;
	if (t->srtt_us == 0) {
		t->srtt_us = us;
		t->rttvar_us = us / 2;
		return;
	}
	diff = us > t->srtt_us ? us - t->srtt_us : t->srtt_us - us;
	t->rttvar_us = (3 * t->rttvar_us + diff) / 4;
	t->srtt_us = (7 * t->srtt_us + us) / 8;
}

static void take_rtt(struct tcp *t, const struct seg *s)
{
	if (t->ts && s->has_ts && s->tsecr) {
		rtt_sample(t, (uint64_t)(ts_now(t) - s->tsecr) * 1000);
	} else if (!t->ts && t->timed_at_us && !before(s->ack, t->timed_seq)) {
		rtt_sample(t, t->w->now_us - t->timed_at_us);
		t->timed_at_us = 0;
	}
}

static void enter_recovery(struct tcp *t)
{
	uint32_t half = tcp_pipe(t) / 2;

	sim_log(t->w, "port %u: recovery from %u", t->tuple.src_port, t->una);
	t->recovering = true;
	t->recover = t->max;
	t->rtx_nxt = t->una;
	t->ssthresh = half > 2u * t->mss ? half : 2u * t->mss;
	t->cwnd = t->ssthresh;
	t->timed_at_us = 0;
}

/*
 * Where the time of several subflows is measured their sender is no worse than Linux's: its window
 * does not grow while half of it is not used (tcp_is_cwnd_limited()), nor where the last round
 * trip, not their mean, tells of a queue (HyStart). Otherwise it fills queues that have no end with
 * the whole of the receiver's window. A single one is held against plain TCP, which has no such
 * limit: it sends as that does. (It would starve where data goes both ways: its acknowledgements
 * wait behind the other end's data, and a window that may not grow is soon too small for that.)
 */
static bool measured_full(const struct tcp *t, uint32_t bytes)
{
	return 2 * (uint64_t)(t->nxt - t->una + bytes) < t->cwnd ||
	       (t->cwnd >= 16u * t->mss &&
		t->rtt_us > t->min_rtt_us + t->min_rtt_us / 2 + DELAY_SLACK_US);
}

static void grow(struct tcp *t, uint32_t bytes)
{
	if (t->recovering)
		return;
	if (t->w->sc.measured && t->w->sc.multi && t->no_edge_check && measured_full(t, bytes))
		return;
	/*
	 * Links whose queues have no end would let the window grow for ever: what HyStart sees. It
	 * looks from 16 segments on: a delayed acknowledgement for each one is no queue.
	 */
	if (t->w->sc.multi && t->no_edge_check && t->cwnd >= 16u * t->mss &&
	    t->srtt_us > 2 * t->min_rtt_us + DELAY_SLACK_US)
		return;
	if (t->cwnd < t->ssthresh)
		t->cwnd += bytes;
	else
		t->cwnd += (uint32_t)((uint64_t)t->mss * bytes / t->cwnd) + 1;
	if (t->cwnd > 4u << 20)
		t->cwnd = 4u << 20;
}

static void new_ack(struct tcp *t, const struct seg *s)
{
	uint32_t bytes = s->ack - t->una;

	take_rtt(t, s);
	t->una = s->ack;
	t->nxt = later(t->nxt, t->una);
	t->backoff = 0;
	t->dupacks = 0;
	tcp_sacked_trim(t);
	if (t->fin_sent && before(t->fin_seq, t->una))
		t->fin_acked = true;
	if (t->recovering && !before(t->una, t->recover)) {
		t->recovering = false;
		t->cwnd = t->ssthresh;
	} else if (t->recovering) {
		t->rtx_nxt = t->sack ? later(t->rtx_nxt, t->una) : t->una;
	}
	grow(t, bytes);
	t->rto_at_us = t->una == t->max ? NEVER : t->w->now_us + tcp_rto_us(t);
}

static void take_ack(struct tcp *t, const struct seg *s)
{
	uint32_t edge = s->ack + ((uint32_t)s->window << t->peer_wscale);
	bool same = edge == t->edge || t->no_edge_check;

	if (before(s->ack, t->una))
		return;
	if (t->sack)
		tcp_sacked_add(t, s);
	if (before(t->una, s->ack)) {
		new_ack(t, s);
	} else if (s->len_bytes == 0 && !(s->flags & F_FIN) && t->una != t->max && same &&
		   (!t->sack || s->n_sack || !t->no_edge_check)) {
		/* With MPTCP an ACK may be for its DATA_ACK alone: RFC 6675 wants SACK blocks. */
		t->dupacks++;
	}
	if (before(t->edge, edge)) {
		t->edge = edge;
		t->probe_at_us = NEVER;
		t->probes = 0;
	}
	if (!t->recovering && t->una != t->max &&
	    (t->dupacks >= 3 || tcp_sacked_bytes(t) > 2u * t->mss) && !before(t->nxt, t->max))
		enter_recovery(t);
}

void tcp_segment(struct tcp *t, const struct seg *s)
{
	/* RFC 7323 section 5.3: an older timestamp is an older segment. */
	if (t->ts && s->has_ts && before(s->tsval, t->ts_recent) && !(s->flags & F_RST)) {
		tcp_ack(t);
		return;
	}
	t->heard_us = t->w->now_us;
	t->keepalives = 0;
	if (t->k.keepalive_us)
		t->keepalive_at_us = t->heard_us + t->k.keepalive_us;
	if (s->has_ts && !before(t->ack_told, s->seq))
		t->ts_recent = later(t->ts_recent, s->tsval);
	take_ack(t, s);
	tcp_receive(t, s);
	tcp_push(t);
}

void tcp_mtu(struct tcp *t, uint32_t mtu, uint32_t seq)
{
	uint32_t mss = mtu - (t->tuple.family == FLOW_IPV4 ? 40 : 60) - (t->ts ? 12 : 0);

	if (before(seq, t->una) || !before(seq, t->max) || mss >= t->mss || t->state != TCP_OPEN)
		return;
	sim_log(t->w, "port %u: segments of %u", t->tuple.src_port, mss);
	t->mss = (uint16_t)mss;
	t->nxt = t->una;
	t->recovering = false;
	tcp_push(t);
}

/* ---- timers ---- */

static void on_rto(struct tcp *t)
{
	uint32_t half = tcp_pipe(t) / 2;

	sim_log(t->w, "port %u: timeout at %u", t->tuple.src_port, t->una);
	t->backoff++;
	if (t->backoff > RTO_TRIES) {
		t->rto_at_us = NEVER;
		return;
	}
	t->ssthresh = half > 2u * t->mss ? half : 2u * t->mss;
	t->cwnd = t->mss;
	t->recovering = false;
	t->dupacks = 0;
	t->nxt = t->una;
	t->timed_at_us = 0;
	/* RFC 2018 section 5.1: the first goes again in any case; the other end has reneged. */
	if (t->k.clear_sacked_on_rto || (t->n_sacked && !before(t->una, t->sacked[0].start)))
		t->n_sacked = 0;
	/* RFC 8899 in the small: a path that swallows large packets. */
	if (t->k.mtu_probing && t->backoff >= 2 && t->mss > 500) {
		t->mss = 500;
		t->k.super_bytes = 500;
	}
	t->rto_at_us = t->w->now_us + tcp_rto_us(t);
	tcp_push(t);
}

static void keepalive(struct tcp *t)
{
	static const uint8_t garbage = 0xda;
	struct seg s;

	t->keepalive_at_us = t->w->now_us + t->k.keepalive_us;
	if (t->una != t->max)
		return;
	t->keepalives++;
	tcp_begin(t, &s);
	s.seq = t->una - 1;
	if (t->k.garbage_keepalive) {
		s.payload = &garbage;
		s.len_bytes = 1;
	} else {
		t->ops->fill(t, &s, 0, NULL);
	}
	tcp_emit(t, &s, 0);
}

uint64_t tcp_next_us(const struct tcp *t)
{
	uint64_t us = t->rto_at_us;

	if (t->state == TCP_IDLE || t->state == TCP_RESET)
		return NEVER;
	us = t->probe_at_us < us ? t->probe_at_us : us;
	us = t->ack_at_us < us ? t->ack_at_us : us;
	if (t->state == TCP_OPEN && !t->fin_received && !t->fin_sent)
		us = t->keepalive_at_us < us ? t->keepalive_at_us : us;
	return us;
}

void tcp_run(struct tcp *t)
{
	uint64_t now_us = t->w->now_us;

	if (t->state != TCP_OPEN)
		return;
	if (t->ack_at_us <= now_us)
		tcp_ack(t);
	if (t->rto_at_us <= now_us)
		on_rto(t);
	if (t->probe_at_us <= now_us)
		tcp_probe(t);
	if (t->keepalive_at_us <= now_us && !t->fin_received && !t->fin_sent)
		keepalive(t);
}

bool tcp_finished(const struct tcp *t)
{
	return t->state == TCP_RESET || (t->fin_acked && t->fin_received);
}
