// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_world.c - see sim.h: the clock, the nodes, the end of a run.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_capture.h"
#include "sim_flow.h"
#include "sim_forge.h"
#include "sim_gate.h"
#include "sim_link.h"

#define STREAM_PERIOD 65521u
#define EVENTS_MAX 3000000u
#define START_US 1000000u
#define LINGER_US (900ull * 1000000)

/* ---- the streams ---- */

static uint8_t stream_bytes[2 * STREAM_PERIOD + 8];

static const uint8_t *stream_at(uint64_t key, uint64_t off)
{
	if (stream_bytes[8] == 0 && stream_bytes[9] == 0) {
		struct rng r = {0x6d70676174650000ull};

		for (uint32_t i = 0; i < STREAM_PERIOD; i++)
			stream_bytes[i] = stream_bytes[i + STREAM_PERIOD] = (uint8_t)rng_next(&r);
	}
	return stream_bytes + (key + off) % STREAM_PERIOD;
}

void stream_fill(uint64_t key, uint64_t off, uint8_t *buf, uint32_t n)
{
	while (n > 0) {
		uint32_t part = n < STREAM_PERIOD ? n : STREAM_PERIOD;

		memcpy(buf, stream_at(key, off), part);
		buf += part;
		off += part;
		n -= part;
	}
}

bool stream_equal(uint64_t key, uint64_t off, const uint8_t *buf, uint32_t n)
{
	while (n > 0) {
		uint32_t part = n < STREAM_PERIOD ? n : STREAM_PERIOD;

		if (memcmp(buf, stream_at(key, off), part) != 0)
			return false;
		buf += part;
		off += part;
		n -= part;
	}
	return true;
}

/* ---- messages ---- */

void sim_fail(struct sim *w, const char *format, ...)
{
	va_list args;

	if (w->failed)
		return;
	w->failed = true;
	va_start(args, format);
	vsnprintf(w->failure, sizeof(w->failure), format, args);
	va_end(args);
	sim_log(w, "FAILED: %s", w->failure);
}

void sim_log_line(struct sim *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%10.6f ", (double)w->now_us / 1e6);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

#define LANES 4

static uint64_t mix(uint64_t h, const void *data, uint32_t n)
{
	const uint8_t *b = data;
	uint64_t word, lane[LANES] = {h, 1, 2, 3};

	/* Side by side: one multiplication need not wait for the other. */
	for (; n >= LANES * 8; n -= LANES * 8, b += LANES * 8) {
		for (unsigned i = 0; i < LANES; i++) {
			memcpy(&word, b + 8ul * i, 8);
			lane[i] = (lane[i] ^ word) * 0x9fb21c651e98df25ull;
			lane[i] ^= lane[i] >> 29;
		}
	}
	h = lane[0];
	for (unsigned i = 1; i < LANES; i++)
		h = (h ^ lane[i]) * 0x9fb21c651e98df25ull;
	for (; n >= 8; n -= 8, b += 8) {
		memcpy(&word, b, 8);
		h = (h ^ word) * 0x9fb21c651e98df25ull;
		h ^= h >> 29;
	}
	for (; n > 0; n--, b++)
		h = (h ^ *b) * 0x100000001b3ull;
	return h;
}

void sim_trace(struct sim *w, enum place at, unsigned link, bool to_net, const struct pkt *p)
{
	static const char *const name[] = {"guest", "gate/guest", "gate/net", "peer"};
	uint64_t head[] = {w->now_us, at, link, p->len_bytes};
	struct seg s;

	w->hash = mix(mix(w->hash, head, sizeof(head)), p->data, p->len_bytes);
	if (w->capture)
		capture_packet(w->capture, w->now_us, at, link, p);
	if (!w->verbose)
		return;
	seg_parse(&s, p->data, p->len_bytes);
	sim_log(w, "%s %u %s %s%s", name[at], link, to_net ? "->" : "<-", seg_text(&s),
		s.csum_ok ? "" : " (damaged)");
}

/* ---- nodes ---- */

struct flow *flow_find(struct sim *w, const struct flow_tuple *t)
{
	struct flow *found = NULL;

	for (unsigned i = 0; i < w->sc.n_flows; i++)
		if (flow_tuple_equal(&w->flow[i].tuple, t) && (w->flow[i].guest.started || !found))
			found = &w->flow[i];
	return found;
}

static void to_gate(struct link *l, struct pkt *p)
{
	gate_from_guest(l->w->gate, p);
}

static void to_guest(struct link *l, struct pkt *p)
{
	if (l->w->hosts_off)
		free(p);
	else
		guest_receive(l->w, p);
}

static void to_peer(struct link *l, struct pkt *p)
{
	if (l->w->hosts_off)
		free(p);
	else
		peer_receive(l->w, l->index - 1, p);
}

static void from_peer(struct link *l, struct pkt *p)
{
	gate_from_net(l->w->gate, l->index - 1, p);
}

static struct link *link_new(struct sim *w, unsigned index, bool to_net,
			     const struct link_script *script,
			     void (*deliver)(struct link *l, struct pkt *p))
{
	struct link *l = malloc(sizeof(*l));

	link_init(l, w, index, to_net, script);
	l->deliver = deliver;
	return l;
}

static void flow_init(struct sim *w, unsigned i)
{
	struct flow *f = &w->flow[i];
	const struct flow_script *s = &w->sc.flow[i];
	struct rng r = rng_split(w->sc.seed, 50 + i);

	f->w = w;
	f->index = i;
	f->script = s;
	f->key_to_peer = rng_next(&r);
	f->key_to_guest = rng_next(&r);
	f->tuple.family = w->sc.family;
	f->tuple.src_port = s->guest_port;
	f->tuple.dst_port = s->peer_port;
	f->tuple.src = (struct ip_addr){.b = {10, 0, 0, 2}};
	f->tuple.dst = (struct ip_addr){.b = {198, 51, 100, 7}};
	if (w->sc.family == FLOW_IPV6) {
		f->tuple.src = (struct ip_addr){.b = {0xfd, 0, [15] = 2}};
		f->tuple.dst = (struct ip_addr){.b = {0xfd, 9, [15] = 7}};
	}
	guest_init(f);
	peer_init(f);
}

static void world_init(struct sim *w)
{
	w->now_us = START_US;
	paths_init(w);
	w->capture = w->pcap_dir ? capture_new(w->pcap_dir) : NULL;
	w->flow = calloc(w->sc.n_flows, sizeof(*w->flow));
	w->gate = malloc(sizeof(*w->gate));
	for (unsigned i = 0; i < w->sc.n_flows; i++)
		flow_init(w, i);
	gate_init(w->gate, w);
	w->guest_link[0] = link_new(w, 0, true, &w->sc.guest_link[0], to_gate);
	w->guest_link[1] = link_new(w, 0, false, &w->sc.guest_link[1], to_guest);
	for (unsigned i = 0; i < w->sc.n_paths; i++) {
		w->box[i] = w->sc.box[i].used ? box_new(w, &w->sc.box[i]) : NULL;
		w->link[i][0] = link_new(w, i + 1, true, &w->sc.link[i][0], to_peer);
		w->link[i][1] = link_new(w, i + 1, false, &w->sc.link[i][1], from_peer);
		w->link[i][0]->box = w->link[i][1]->box = w->box[i];
	}
}

static void link_end(struct link *l)
{
	link_fini(l);
	free(l);
}

static void world_fini(struct sim *w)
{
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		guest_fini(&w->flow[i]);
		peer_fini(&w->flow[i].peer);
		check_fini(&w->flow[i].check);
	}
	for (int i = 0; i < 2; i++) {
		link_end(w->guest_link[i]);
		for (unsigned k = 0; k < w->sc.n_paths; k++)
			link_end(w->link[k][i]);
	}
	for (unsigned i = 0; i < w->sc.n_paths; i++)
		box_free(w->box[i]);
	gate_fini(w->gate);
	free(w->gate);
	free(w->flow);
	capture_free(w->capture);
	w->capture = NULL;
}

/* ---- the clock ---- */

/* What is next; runs it when `run`. Ties go to the node that stands first here. */
static uint64_t step(struct sim *w, bool run)
{
	uint64_t best = NEVER, us;
	struct link *link = NULL, *l;
	struct flow *guest = NULL, *peer = NULL;
	bool gate = false, paths = false;

	for (unsigned i = 0; i < 2 * (w->sc.n_paths + 1); i++) {
		l = i < 2 ? w->guest_link[i] : w->link[i / 2 - 1][i % 2];
		us = link_next_us(l);
		if (us < best) {
			best = us;
			link = l;
		}
	}
	us = gate_next_us(w->gate);
	if (us < best) {
		best = us;
		gate = true;
	}
	us = paths_next_us(w);
	if (us < best) {
		best = us;
		paths = true;
	}
	for (unsigned i = 0; i < w->sc.n_flows && !w->hosts_off; i++) {
		us = guest_next_us(&w->flow[i]);
		if (us < best) {
			best = us;
			guest = &w->flow[i];
			peer = NULL;
		}
		us = peer_next_us(&w->flow[i].peer);
		if (us < best) {
			best = us;
			peer = &w->flow[i];
			guest = NULL;
		}
	}
	if (!run || best == NEVER)
		return best;
	if (best > w->now_us)
		w->now_us = best;
	if (guest)
		guest_run(guest);
	else if (peer)
		peer_run(&peer->peer);
	else if (paths)
		paths_run(w);
	else if (gate)
		gate_run(w->gate);
	else
		link_run(link);
	return best;
}

static uint64_t later_us(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A RST that was lost is not sent again: the other end learns of it when it says something. */
static bool reset_over(const struct flow *f)
{
	const struct sim *w = f->w;
	bool guest = f->guest.t.state == TCP_RESET, peer = f->peer.reset;

	if (f->excused)
		return true;
	/* The gate sent its FIN eight times and each was lost: the data is through. */
	if (w->sc.lossy && f->check.gave_up && app_complete(&f->guest.app) &&
	    app_complete(&f->peer.app))
		return true;

	/* Nobody joins a connection that closes: with its only subflow the FIN may be lost. */
	if (w->sc.path_faults && f->guest.app.received == f->script->peer_app.total_bytes &&
	    f->peer.app.received == f->script->guest_app.total_bytes)
		return true;
	if (guest && (peer || f->peer.n_sub == 0))
		return true;
	if (!guest && !peer)
		return false;
	return w->sc.lossy || w->sc.scarce || w->sc.boxes;
}

static bool flow_over(const struct flow *f)
{
	return f->guest.started && ((guest_over(f) && peer_over(&f->peer)) || reset_over(f));
}

static bool all_over(struct sim *w)
{
	bool all = true;

	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		struct flow *f = &w->flow[i];

		if (flow_over(f) && !f->end_us)
			f->end_us = w->now_us;
		all &= f->end_us != 0 || f->excused;
	}
	return all;
}

/* A payload that a middlebox changed must not go unnoticed where checksums are agreed on. */
static void check_altered(struct sim *w)
{
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		const struct flow *f = &w->flow[i];
		const struct check *c = &f->check;

		/* What was changed and then lost is sent again as it was. */
		if (!w->sc.lossy && !w->sc.scarce && box_altered(w->box[w->gate->ct[i].path]) &&
		    w->sc.n_flows == 1 && c->converted && c->csum && !c->fallback && !c->broken &&
		    !c->peer_reset && !c->guest_reset && !f->peer.fallback && f->peer.heard_dss &&
		    !f->peer.failed && !engine_counter(w->gate->e, REASON_FALLBACK_CHECKSUM))
			sim_fail(w, "I3: changed payload went unnoticed");
	}
}

/* Who is stuck, and where. */
static void fail_liveness(struct sim *w, uint64_t limit_us)
{
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		const struct flow *f = &w->flow[i];
		const struct guest *g = &f->guest;
		const struct peer *p = &f->peer;

		if (f->end_us)
			continue;
		sim_fail(w,
			 "liveness: flow %u is not over after %.1f virtual seconds: guest state %u "
			 "acked %d of %" PRIu64 " received %" PRIu64
			 " fin %d%d%d; peer %s state %u "
			 "acked %" PRIu64 " of %" PRIu64 " received %" PRIu64
			 " fin %d%d%d tcp %d%d%d",
			 i, (double)limit_us / 1e6, g->t.state, (int)(g->t.una - g->t.iss - 1),
			 f->script->guest_app.total_bytes, g->app.received, g->t.fin_sent,
			 g->t.fin_acked, g->t.fin_received,
			 !p->mptcp     ? "plain"
			 : p->fallback ? "fallback"
				       : "mptcp",
			 p->sub[0].t.state, p->una, f->script->peer_app.total_bytes,
			 p->app.received, p->fin_sent, p->fin_acked, p->eof, p->sub[0].t.fin_sent,
			 p->sub[0].t.fin_acked, p->sub[0].t.fin_received);
	}
	sim_fail(w, "liveness: %" PRIu64 " events and no end", w->events);
}

bool sim_run(struct sim *w)
{
	struct rng r = rng_split(w->sc.seed, 5);
	uint64_t limit_us, forge_at_us = START_US;
	unsigned forged = 0;

	world_init(w);
	limit_us = START_US + scenario_limit_us(&w->sc);
	while (!w->failed && !all_over(w)) {
		if (step(w, false) > limit_us || w->events++ > EVENTS_MAX) {
			if (!w->sc.stalls)
				fail_liveness(w, limit_us);
			break;
		}
		step(w, true);
		if (forged < w->sc.control.forged && w->now_us >= forge_at_us) {
			forge(w, &r);
			forged++;
			forge_at_us = w->now_us + rng_range(&r, 1, 200) * 1000;
		}
		if (w->sc.control.jump_at_us && w->now_us >= w->sc.control.jump_at_us) {
			w->now_us += w->sc.control.jump_us;
			w->sc.control.jump_at_us = 0;
		}
	}
	/* Whatever still lingers must go by itself. */
	limit_us = w->now_us + LINGER_US;
	w->hosts_off = w->sc.stalls || w->sc.aborts || w->sc.path_faults;
	while (!w->failed && step(w, false) <= limit_us && w->events++ <= EVENTS_MAX)
		step(w, true);
	if (!w->failed)
		gate_check_empty(w->gate);
	if (!w->failed)
		check_altered(w);
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		w->done_us = later_us(w->done_us, w->flow[i].guest.app.done_at_us);
		w->done_us = later_us(w->done_us, w->flow[i].peer.app.done_at_us);
	}
	world_fini(w);
	return !w->failed;
}
