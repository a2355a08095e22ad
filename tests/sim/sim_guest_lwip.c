// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_guest_lwip.c - the other guest: lwIP between the application and the guests' link.
 *
 * A small stack of an independent author: no SACK, no timestamps, a window of 64 KB with a scale
 * of one, timers in steps of 250 and 500 ms, no "don't fragment". sim_lwip.c is the stack.
 */
#include "sim_flow.h"
#include "sim_gate.h"
#include "sim_guest_lwip.h"
#include "sim_link.h"

#define MTU 1500u
#define CHUNK_BYTES 16384u

/* Of the one host that there is. */
static uint64_t tick_at_us;

static void emit(void *world, const uint8_t *packet, uint32_t n)
{
	struct sim *w = world;

	link_send(w->gate[0]->guest_link[0], pkt_new(packet, n));
}

/* What others look at is kept where the model has it. */
static void mirror(struct guest *g)
{
	static const uint8_t state[] = {TCP_IDLE, TCP_SYN_SENT, TCP_OPEN, TCP_OPEN, TCP_RESET};
	struct lwip_conn *c = &g->lwip;
	struct tcp *t = &g->t;

	lwip_update(c);
	t->state = state[c->state];
	t->fin_sent = c->fin_sent;
	t->fin_received = c->fin_received;
	t->fin_acked = c->state == LWIP_OVER;
	if (c->pcb) {
		struct lwip_seqs s = lwip_seqs(c);

		t->una = s.una;
		t->nxt = t->max = s.nxt;
		t->rcv_nxt = s.rcv_nxt;
	}
}

static void push(struct flow *f)
{
	struct guest *g = &f->guest;
	uint8_t buf[CHUNK_BYTES];

	while (g->pushed_bytes < g->app.written) {
		uint64_t left = g->app.written - g->pushed_bytes;
		uint32_t n = lwip_room(&g->lwip);

		n = left < n ? (uint32_t)left : n;
		if (n == 0)
			break;
		stream_fill(f->key_to_peer, g->pushed_bytes, buf, n);
		if (!lwip_write(&g->lwip, buf, n))
			break;
		g->pushed_bytes += n;
	}
	lwip_output(&g->lwip);
	if (g->app.closed && g->pushed_bytes == g->app.written)
		lwip_fin(&g->lwip);
}

/* Between application and stack, both ways. */
static void serve(struct flow *f)
{
	struct guest *g = &f->guest;

	g->started |= f->passive && g->lwip.state != LWIP_LISTENS;
	if (!g->started)
		return;
	if (g->lwip.state != LWIP_SYN)
		app_run(&g->app);
	if (g->app.abort)
		lwip_abort(&g->lwip);
	if (g->lwip.state == LWIP_OPEN) {
		lwip_read(&g->lwip, (uint32_t)(g->app.read - g->freed_bytes));
		g->freed_bytes = g->app.read;
		push(f);
	}
	mirror(g);
}

static void serve_all(struct sim *w)
{
	for (unsigned i = 0; i < w->sc.n_flows; i++)
		serve(&w->flow[i]);
	if (!lwip_ticks())
		tick_at_us = NEVER;
	else if (tick_at_us == NEVER)
		tick_at_us = w->now_us + LWIP_TICK_MS * 1000;
}

static void opened(void *owner)
{
	struct flow *f = owner;

	app_open(&f->guest.app);
}

static void received(void *owner, const uint8_t *data, uint32_t n)
{
	struct flow *f = owner;

	if (n)
		app_receive(&f->guest.app, data, n, "the guest");
	else
		app_eof(&f->guest.app, "the guest");
}

static void begin(struct flow *f)
{
	static const struct lwip_calls calls = {.opened = opened, .received = received};
	struct lwip_script s = {.peer = f->tuple.dst.b,
				.port = f->tuple.src_port,
				.peer_port = f->tuple.dst_port,
				.iss = f->script->guest.isn,
				.nodelay = f->script->guest.nodelay,
				.keepalive_ms = (uint32_t)(f->script->guest.keepalive_us / 1000)};

	f->guest.t.iss = s.iss;
	f->guest.lwip = (struct lwip_conn){.calls = &calls, .owner = f};
	if (f->passive)
		lwip_listen(&f->guest.lwip, &s);
	else
		lwip_connect(&f->guest.lwip, &s);
}

void guest_lwip_init(struct flow *f)
{
	struct lwip_host h = {.world = f->w,
			      .ipv6 = f->tuple.family == FLOW_IPV6,
			      .addr = f->tuple.src.b,
			      .mtu_bytes = MTU,
			      .emit = emit};

	if (f->index == 0) {
		tick_at_us = NEVER;
		lwip_up(&h);
	}
	if (f->passive)
		begin(f);
}

void guest_lwip_fini(struct flow *f)
{
	if (f->index == 0)
		lwip_down();
}

void guest_lwip_receive(struct sim *w, const struct pkt *p)
{
	lwip_packet(p->data, p->len_bytes);
	serve_all(w);
}

uint64_t guest_lwip_next_us(const struct flow *f)
{
	const struct guest *g = &f->guest;
	uint64_t app = g->t.state == TCP_OPEN ? app_next_us(&g->app) : NEVER;

	return f->index == 0 && tick_at_us < app ? tick_at_us : app;
}

void guest_lwip_run(struct flow *f, bool starts)
{
	if (starts) {
		f->guest.started = true;
		begin(f);
	}
	if (f->index == 0 && tick_at_us <= f->w->now_us) {
		lwip_tick();
		tick_at_us = f->w->now_us + LWIP_TICK_MS * 1000;
	}
	serve_all(f->w);
}

bool guest_lwip_over(const struct flow *f)
{
	return f->guest.lwip.state == LWIP_OVER;
}
