// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_guest.c - the guest: plain TCP that knows nothing of the gate, at either end of a connection.
 */
#include <stdlib.h>

#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_guest_lwip.h"
#include "sim_icmp.h"
#include "sim_link.h"

#define SYN_TRIES 7

static struct flow *flow_of(struct tcp *t)
{
	return t->owner;
}

static uint32_t guest_end(struct tcp *t)
{
	const struct app *a = &flow_of(t)->guest.app;

	t->fin_wanted = a->closed;
	return t->iss + 1 + (uint32_t)a->written;
}

static uint32_t guest_fill(struct tcp *t, struct seg *s, uint32_t n, uint8_t *buf)
{
	if (n)
		stream_fill(flow_of(t)->key_to_peer, s->seq - t->iss - 1, buf, n);
	return n;
}

/* A window never shrinks: what was told is kept, rounded up if need be (RFC 7323 section 2.4). */
static uint16_t guest_window(struct tcp *t)
{
	uint32_t space = app_space(&flow_of(t)->guest.app), field;
	uint8_t scale = t->state >= TCP_OPEN && t->wscale_on ? t->k.wscale : 0;

	if (t->state >= TCP_OPEN && before(t->rcv_nxt + space, t->rcv_edge))
		space = t->rcv_edge - t->rcv_nxt;
	field = (space + (scale ? (1u << scale) - 1 : 0)) >> scale;
	if (space < t->mss && space < t->k.super_bytes && !before(t->rcv_nxt, t->rcv_edge))
		field = 0; /* RFC 9293 section 3.8.6.2.2: no silly window */
	if (field > UINT16_MAX)
		field = UINT16_MAX;
	if (t->state >= TCP_OPEN)
		t->rcv_edge = later(t->rcv_edge, t->rcv_nxt + (field << scale));
	return (uint16_t)field;
}

static void guest_deliver(struct tcp *t, const struct seg *s, uint32_t skip, uint32_t n)
{
	struct flow *f = flow_of(t);

	if (n)
		app_receive(&f->guest.app, s->payload + skip, n, "the guest");
	if (s->flags & F_FIN)
		app_eof(&f->guest.app, "the guest");
}

static void guest_emit(struct tcp *t, struct pkt *p)
{
	link_send(flow_of(t)->gate->guest_link[0], p);
}

static const struct tcp_ops guest_ops = {
	.end = guest_end,
	.fill = guest_fill,
	.window = guest_window,
	.deliver = guest_deliver,
	.emit = guest_emit,
};

void guest_init(struct flow *f)
{
	struct guest *g = &f->guest;

	tcp_setup(&g->t, f->w, f, &guest_ops, &f->script->guest);
	g->t.tuple = f->tuple;
	app_init(&g->app, f->w, &f->script->guest_app, &f->script->peer_app, f->key_to_peer,
		 f->key_to_guest);
	if (f->w->sc.lwip)
		guest_lwip_init(f);
}

void guest_fini(struct flow *f)
{
	if (f->w->sc.lwip)
		guest_lwip_fini(f);
	tcp_fini(&f->guest.t);
}

static void stray_reset(struct gate *g, const struct seg *s)
{
	struct seg r = seg_refusal(s);

	if (s->flags & F_RST)
		return;
	link_send(g->guest_link[0], seg_build(&r));
}

static void guest_syn(struct flow *f)
{
	struct guest *g = &f->guest;

	if (g->syns++ >= SYN_TRIES) {
		g->t.state = TCP_RESET;
		return;
	}
	g->t.backoff = g->syns - 1;
	tcp_syn(&g->t, f->passive, NULL);
}

static void guest_syn_sent(struct flow *f, const struct seg *s)
{
	struct guest *g = &f->guest;
	struct tcp *t = &g->t;

	if (s->flags & F_RST) {
		if ((s->flags & F_ACK) && s->ack == t->nxt)
			t->state = TCP_RESET;
		return;
	}
	/* RFC 9293 section 3.10.7.3: whoever still has the connection before this one learns it. */
	if ((s->flags & F_ACK) && s->ack != t->iss + 1) {
		stray_reset(f->gate, s);
		return;
	}
	if (!(s->flags & F_SYN) || !(s->flags & F_ACK))
		return;
	tcp_negotiate(t, s);
	t->una = s->ack;
	t->state = TCP_OPEN;
	t->rto_at_us = NEVER;
	t->backoff = 0;
	app_open(&g->app);
	app_run(&g->app);
	if (!t->k.third_with_data || g->app.written == 0)
		tcp_ack(t);
	tcp_push(t);
}

/* The third acknowledgement of a connection that the guest was asked for. */
static bool guest_third(struct flow *f, const struct seg *s)
{
	struct guest *g = &f->guest;
	struct tcp *t = &g->t;

	if (!(s->flags & F_ACK) || s->ack != t->iss + 1 || (s->flags & (F_SYN | F_RST)))
		return false;
	t->una = s->ack;
	t->edge = s->ack + ((uint32_t)s->window << t->peer_wscale);
	t->state = TCP_OPEN;
	t->rto_at_us = NEVER;
	t->backoff = 0;
	app_open(&g->app);
	return true;
}

/* A SYN for it; or again, because the answer was lost. */
static void guest_asked(struct flow *f, const struct seg *s)
{
	struct guest *g = &f->guest;
	struct tcp *t = &g->t;

	if (s->flags & (F_ACK | F_RST)) {
		if (t->state == TCP_IDLE)
			stray_reset(f->gate, s);
		return;
	}
	if (t->state == TCP_SYN_RECEIVED && s->seq != t->irs)
		return;
	if (t->state == TCP_IDLE) {
		g->started = true;
		t->tuple = f->tuple;
		tcp_negotiate(t, s);
	}
	guest_syn(f);
}

static void guest_syn_received(struct flow *f, const struct seg *s)
{
	struct tcp *t = &f->guest.t;

	if (s->flags & F_SYN)
		guest_asked(f, s);
	else if ((s->flags & F_RST) && s->seq == t->rcv_nxt)
		t->state = TCP_RESET;
	else if (guest_third(f, s))
		tcp_segment(t, s);
}

static void guest_open(struct flow *f, const struct seg *s)
{
	struct tcp *t = &f->guest.t;

	if (s->flags & F_RST) {
		if (s->seq == t->rcv_nxt)
			t->state = TCP_RESET;
		else if (!before(s->seq, t->rcv_nxt) && before(s->seq, t->rcv_edge))
			tcp_ack(t); /* RFC 5961 */
		return;
	}
	if (s->flags & F_SYN) {
		tcp_ack(t);
		return;
	}
	if (!(s->flags & F_ACK))
		return;
	if (before(t->max, s->ack) && f->w->sc.control.forged) {
		tcp_ack(t);
		return;
	}
	if (before(t->max, s->ack)) {
		sim_fail(f->w, "the guest got an acknowledgement of what it never sent: %s",
			 seg_text(s));
		return;
	}
	tcp_segment(t, s);
}

void guest_receive(struct gate *g, struct pkt *p)
{
	struct seg s;
	struct flow *f;
	struct flow_tuple t;
	struct too_big m;

	if (g->w->sc.lwip) {
		guest_lwip_receive(g->w, p);
		free(p);
		return;
	}
	if (too_big_parse(&m, p->data, p->len_bytes)) {
		f = flow_find(g, &m.about);
		if (f)
			tcp_mtu(&f->guest.t, m.mtu_bytes, m.seq);
		free(p);
		return;
	}
	if (!seg_parse(&s, p->data, p->len_bytes) || !s.csum_ok) {
		free(p);
		return;
	}
	t = flow_tuple_reverse(&s.tuple);
	f = flow_find(g, &t);
	if (f && f->passive && f->guest.t.state == TCP_IDLE)
		guest_asked(f, &s);
	else if (!f || !f->guest.started)
		stray_reset(g, &s);
	else if (f->guest.t.state == TCP_SYN_RECEIVED)
		guest_syn_received(f, &s);
	else if (f->guest.t.state == TCP_SYN_SENT)
		guest_syn_sent(f, &s);
	else if (f->guest.t.state == TCP_OPEN)
		guest_open(f, &s);
	else
		stray_reset(g, &s);
	free(p);
}

bool guest_holds(const struct flow *f)
{
	return !guest_over(f) && f->guest.t.state != TCP_RESET;
}

static uint64_t start_us(const struct flow *f)
{
	if (f->passive)
		return NEVER;
	if (!f->script->reuses)
		return f->script->start_us;
	if (f->excused || guest_holds(&f[-1]))
		return NEVER;
	return f[-1].end_us ? f[-1].end_us + 1000 * 1000 : NEVER;
}

uint64_t guest_next_us(const struct flow *f)
{
	const struct guest *g = &f->guest;
	uint64_t us = g->started ? NEVER : start_us(f), app;

	if (f->w->sc.lwip) {
		app = guest_lwip_next_us(f);
		return us < app ? us : app;
	}
	if (!g->started || g->t.state == TCP_RESET)
		return us;
	us = tcp_next_us(&g->t);
	app = g->t.state == TCP_OPEN ? app_next_us(&g->app) : NEVER;
	return us < app ? us : app;
}

void guest_run(struct flow *f)
{
	struct guest *g = &f->guest;
	struct tcp *t = &g->t;
	bool was_shut = app_space(&g->app) < f->script->guest_app.buffer_bytes / 2;

	if (f->w->sc.lwip) {
		guest_lwip_run(f, !g->started && start_us(f) <= f->w->now_us);
		return;
	}
	if (!g->started) {
		g->started = true;
		guest_syn(f);
		return;
	}
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED) {
		if (t->rto_at_us <= f->w->now_us)
			guest_syn(f);
		return;
	}
	app_run(&g->app);
	if (t->state != TCP_OPEN)
		return;
	if (g->app.abort) {
		tcp_reset(t, NULL);
		return;
	}
	tcp_run(t);
	if (was_shut && !t->fin_received &&
	    app_space(&g->app) >= f->script->guest_app.buffer_bytes / 2)
		tcp_ack(t); /* the window is open again */
	tcp_push(t);
}

bool guest_over(const struct flow *f)
{
	return f->w->sc.lwip ? guest_lwip_over(f) : tcp_finished(&f->guest.t);
}
