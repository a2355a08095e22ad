// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon_packets.c - a packet's way: out of the queue, through the engine, verdict and TUN.
 *
 * Nothing is allocated here, and apart from one read and one verdict for a batch of stolen packets
 * the only system call per packet is the writev() that emits it.
 */
#include "app/daemon_state.h"

#include <linux/netfilter.h>
#include <string.h>

#include "io/log.h"

#define BATCHES 8       /* per wake-up, then the others get their turn */
#define FLUSH_BATCHES 4 /* whose drops one message tells the kernel */

static void count(struct daemon *d, enum daemon_counter which)
{
	d->counter[which].value++;
}

/* ---- what the engine needs with every call ---- */

static struct engine_tick tick(struct daemon *d, uint64_t now_us)
{
	daemon_random(d);
	d->outs.n_pkt = 0;
	d->outs.n_event = 0;
	return (struct engine_tick){.now_us = now_us, .random = &d->random};
}

/* ---- what comes out of it ---- */

static void emit_one(struct daemon *d, const struct engine_out *out)
{
	const struct tun *tun =
		out->side == ENGINE_NET ? &d->path_tun[out->index] : &d->guest_tun[out->index];
	int err = tun_write(tun, out);

	if (!err)
		return;
	count(d, DAEMON_EMIT_FAILED);
	if (!d->emit_told)
		log_warning("%s: emitting a packet: %s (further ones are only counted)", tun->name,
			    strerror(-err));
	d->emit_told = true;
}

static void emit_side(struct daemon *d, enum engine_side side)
{
	for (unsigned i = 0; i < d->outs.n_pkt; i++)
		if (d->outs.pkt[i].side == side)
			emit_one(d, &d->outs.pkt[i]);
}

static void emit(struct daemon *d)
{
	for (unsigned i = 0; i < d->outs.n_pkt; i++)
		emit_one(d, &d->outs.pkt[i]);
}

/*
 * A claim must be there before the net can answer: a join's before its SYN. The guest's tuple is
 * ours already when something is emitted to it, so the guest need not wait for the kernel's table.
 */
static void emit_stolen(struct daemon *d)
{
	if (!engine_claims_wait(d->engine)) {
		emit(d);
		return;
	}
	emit_side(d, ENGINE_GUEST);
	daemon_claims(d);
	emit_side(d, ENGINE_NET);
}

void daemon_shutdown(struct daemon *d, uint64_t now_us)
{
	bool more = true;

	while (more) {
		struct engine_tick t = tick(d, now_us);

		more = engine_shutdown(d->engine, &t, &d->outs);
		daemon_claims(d);
		emit(d);
		daemon_events(d, now_us);
	}
}

void daemon_timeouts(struct daemon *d, uint64_t now_us)
{
	/* The engine stops when its outputs are nearly full; its deadline then is still due. */
	for (int i = 0; i < 64 && engine_deadline_us(d->engine) <= now_us; i++) {
		struct engine_tick t = tick(d, now_us);

		engine_timeout(d->engine, &t, &d->outs);
		daemon_claims(d);
		emit(d);
		daemon_events(d, now_us);
	}
}

/* ---- what goes in ---- */

static bool find_guest(const struct daemon *d, uint32_t index, uint8_t *guest)
{
	for (unsigned i = 0; i < d->cfg->n_guests; i++) {
		if (index != 0 && d->host.guests[i].index == index) {
			*guest = (uint8_t)i;
			return true;
		}
	}
	return false;
}

static bool find_path(const struct daemon *d, uint32_t index, uint8_t *path)
{
	for (unsigned i = 0; i < d->cfg->n_paths; i++) {
		if (index != 0 && d->host.path[i].link.index == index) {
			*path = (uint8_t)i;
			return true;
		}
	}
	return false;
}

/* Which side it comes from and where it was met; false when by an interface we do not know. */
static bool place(const struct daemon *d, const struct nfqueue_packet *p, struct engine_pkt *pkt)
{
	pkt->path = ENGINE_NO_PATH;
	if (p->hook == NF_INET_PRE_ROUTING) {
		pkt->hook = ENGINE_STEAL;
		pkt->from = ENGINE_GUEST;
		if (find_guest(d, p->indev, &pkt->guest_if))
			return true;
		pkt->from = ENGINE_NET;
		return find_path(d, p->indev, &pkt->path);
	}
	if (p->hook == NF_INET_LOCAL_IN) {
		pkt->hook = ENGINE_UNWANTED;
		pkt->from = ENGINE_NET;
		return find_path(d, p->indev, &pkt->path);
	}
	pkt->hook = ENGINE_IN_PLACE;
	pkt->from = ENGINE_GUEST;
	if (find_path(d, p->outdev, &pkt->path)) {
		find_guest(d, p->indev, &pkt->guest_if);
		return true;
	}
	pkt->from = ENGINE_NET;
	find_path(d, p->indev, &pkt->path);
	return find_guest(d, p->outdev, &pkt->guest_if);
}

static struct engine_result ask_conntrack(struct daemon *d, const struct engine_result *r,
					  uint64_t now_us)
{
	struct flow_tuple net;
	int err = daemon_conntrack_ask(d, &r->ask, &net);
	struct engine_tick t;

	emit(d);
	daemon_events(d, now_us);
	t = tick(d, now_us);
	return engine_translation(d->engine, r->conn, err ? NULL : &net, &t, &d->outs);
}

/* The packet's own mark, and that it has been here. */
static uint32_t decided(uint32_t mark)
{
	return (mark & ~STEER_ALL) | STEER_DECIDED;
}

static void one_packet(struct daemon *d, const struct nfqueue_packet *p, uint64_t now_us)
{
	struct engine_pkt pkt = {
		.data = p->data,
		.len_bytes = p->len_bytes,
		.csum_trusted = p->csum_trusted,
		.mark_converted = (p->mark & STEER_KIND) == STEER_CONVERTED,
		.mark_half = (p->mark & STEER_KIND) == STEER_HALF,
	};
	struct engine_result r;
	struct engine_tick t;

	if (!p->data) {
		count(d, DAEMON_TRUNCATED);
		nfqueue_drop(d->queue, p);
		return;
	}
	if (!place(d, p, &pkt)) {
		count(d, DAEMON_STRANGE_INTERFACE);
		nfqueue_repeat(d->queue, p, decided(p->mark), NULL, 0);
		return;
	}
	t = tick(d, now_us);
	r = engine_packet(d->engine, &pkt, &t, &d->outs);
	if (r.verdict == ENGINE_ASK)
		r = ask_conntrack(d, &r, now_us);
	daemon_orphan(d, pkt.from, &r);
	if (r.verdict == ENGINE_ACCEPT || r.verdict == ENGINE_REPLACE) {
		daemon_claims(d);
		nfqueue_repeat(d->queue, p, decided(p->mark),
			       r.verdict == ENGINE_REPLACE ? r.replacement : NULL,
			       r.replacement_bytes);
		emit(d);
	} else {
		nfqueue_drop(d->queue, p);
		emit_stolen(d);
	}
	daemon_events(d, now_us);
}

void daemon_on_queue(void *data)
{
	struct daemon *d = data;
	int n = NFQUEUE_BATCH;

	for (int batch = 0; batch < BATCHES && n == NFQUEUE_BATCH; batch++) {
		uint64_t now_us = loop_now_us();

		n = nfqueue_receive(d->queue, d->packet);
		for (int i = 0; i < n; i++)
			one_packet(d, &d->packet[i], now_us);
		if (batch % FLUSH_BATCHES == FLUSH_BATCHES - 1)
			nfqueue_flush(d->queue);
	}
	nfqueue_flush(d->queue);
	d->counter[DAEMON_VERDICT_FAILED].value = nfqueue_failures(d->queue);
}
