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
#define LINGER_US (2400ull * 1000000)

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
	/* At the link's far end the payload is what it was at the near one, or damaged. */
	bool near = (at % 2 == 0) == to_net;
	uint32_t hashed =
		near || p->len_bytes < ENGINE_HEADER_MAX ? p->len_bytes : ENGINE_HEADER_MAX;
	struct seg s;

	w->hash = mix(mix(w->hash, head, sizeof(head)), p->data, hashed);
	if (w->capture)
		capture_packet(w->capture, w->now_us, at, link, p);
	if (!w->verbose)
		return;
	seg_parse(&s, p->data, p->len_bytes);
	sim_log(w, "%s %u %s %s%s", name[at], link, to_net ? "->" : "<-", seg_text(&s),
		s.csum_ok ? "" : " (damaged)");
}

/* ---- the clock ---- */

static void world_init(struct sim *w)
{
	w->now_us = START_US;
	paths_init(w);
	w->capture = w->pcap_dir ? capture_new(w->pcap_dir) : NULL;
	nodes_init(w);
}

static void world_fini(struct sim *w)
{
	nodes_fini(w);
	capture_free(w->capture);
	w->capture = NULL;
}

/* The node that is next; ties go to the one that is looked at first. */
struct next {
	uint64_t us;
	struct link *link;
	struct gate *gate;
	struct flow *guest, *peer;
	bool paths;
};

static bool sooner(struct next *n, uint64_t us)
{
	if (us >= n->us)
		return false;
	*n = (struct next){.us = us};
	return true;
}

static void next_host(struct sim *w, struct next *n)
{
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		if (sooner(n, guest_next_us(&w->flow[i])))
			n->guest = &w->flow[i];
		if (w->mirror && sooner(n, guest_next_us(&w->mirror[i])))
			n->guest = &w->mirror[i];
		if (!w->mirror && sooner(n, peer_next_us(&w->flow[i].peer)))
			n->peer = &w->flow[i];
	}
}

static struct next next(struct sim *w)
{
	struct next n = {.us = NEVER};

	for (unsigned i = 0; i < w->n_links; i++)
		if (sooner(&n, link_next_us(w->all[i])))
			n.link = w->all[i];
	for (unsigned k = 0; k < 2 && w->gate[k]; k++)
		if (sooner(&n, gate_next_us(w->gate[k])))
			n.gate = w->gate[k];
	if (sooner(&n, paths_next_us(w)))
		n.paths = true;
	if (!w->hosts_off)
		next_host(w, &n);
	return n;
}

/* False, and nothing is done: what is next is later than `until_us`. */
static bool step(struct sim *w, uint64_t until_us)
{
	struct next n = next(w);

	if (n.us > until_us || n.us == NEVER)
		return false;
	if (n.us > w->now_us)
		w->now_us = n.us;
	if (n.guest)
		guest_run(n.guest);
	else if (n.peer)
		peer_run(&n.peer->peer);
	else if (n.paths)
		paths_run(w);
	else if (n.gate)
		gate_run(n.gate);
	else
		link_run(n.link);
	return true;
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
	if (f->passive && peer && !f->guest.started)
		return w->sc.lossy;
	if (!guest && !peer)
		return false;
	return w->sc.lossy || w->sc.scarce || w->sc.boxes;
}

/* With a gate at each end: a RST that was lost is not sent again. */
static bool both_reset_over(const struct flow *f)
{
	const struct sim *w = f->w;
	const struct tcp *near = &f->guest.t, *far = &f->far->guest.t;
	bool any = near->state == TCP_RESET || far->state == TCP_RESET;

	if ((w->sc.path_faults || (w->sc.lossy && (f->check.gave_up || f->far->check.gave_up))) &&
	    app_complete(&f->guest.app) && app_complete(&f->far->guest.app))
		return true;
	return any && (w->sc.lossy || w->sc.scarce);
}

static bool flow_over(const struct flow *f)
{
	if (f->far)
		return f->guest.started &&
		       ((guest_over(f) && guest_over(f->far)) || both_reset_over(f));
	return (f->guest.started || (f->passive && f->peer.reset)) &&
	       ((guest_over(f) && peer_over(&f->peer)) || reset_over(f));
}

/*
 * The tuple's last connection is over for its peer, and the RST that says so was lost: a guest with
 * nothing more to say does not hear of it.
 */
static bool tuple_taken(const struct flow *f)
{
	return f->script->reuses && !f->passive && !f->guest.started && f[-1].end_us &&
	       guest_holds(&f[-1]);
}

static bool all_over(struct sim *w)
{
	bool all = true;

	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		struct flow *f = &w->flow[i];

		if (flow_over(f) && !f->end_us)
			f->end_us = w->now_us;
		all &= f->end_us != 0 || f->excused || tuple_taken(f);
	}
	for (unsigned i = 0; all && i < w->sc.n_flows; i++)
		w->flow[i].excused |= tuple_taken(&w->flow[i]);
	return all;
}

/* A payload that a middlebox changed must not go unnoticed where checksums are agreed on. */
static void check_altered(struct sim *w)
{
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		const struct flow *f = &w->flow[i];
		const struct check *c = &f->check;

		/* What was changed and then lost is sent again as it was. */
		if (!w->sc.lossy && !w->sc.scarce && box_altered(w->box[w->gate[0]->ct[i].path]) &&
		    w->sc.n_flows == 1 && c->converted && c->csum && !c->fallback && !c->broken &&
		    !c->peer_reset && !c->guest_reset && !f->peer.fallback && f->peer.heard_dss &&
		    !f->peer.failed && !engine_counter(w->gate[0]->e, REASON_FALLBACK_CHECKSUM))
			sim_fail(w, "I3: changed payload went unnoticed");
	}
}

/* Who is stuck, and where. */
static void fail_liveness(struct sim *w, uint64_t limit_us)
{
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		const struct flow *f = &w->flow[i];
		const struct guest *g = &f->guest, *h = f->far ? &f->far->guest : NULL;
		const struct peer *p = &f->peer;
		char far[160];

		if (f->end_us)
			continue;
		if (h)
			snprintf(far, sizeof(far),
				 "guest state %u acked %u received %" PRIu64 " fin %d%d%d",
				 h->t.state, h->t.una - h->t.iss - 1, h->app.received,
				 h->t.fin_sent, h->t.fin_acked, h->t.fin_received);
		else
			snprintf(far, sizeof(far),
				 "%s state %u acked %" PRIu64 " received %" PRIu64
				 " fin %d%d%d tcp %d%d%d",
				 !p->mptcp     ? "plain"
				 : p->fallback ? "fallback"
					       : "mptcp",
				 p->sub[0].t.state, p->una, p->app.received, p->fin_sent,
				 p->fin_acked, p->eof, p->sub[0].t.fin_sent, p->sub[0].t.fin_acked,
				 p->sub[0].t.fin_received);
		sim_fail(w,
			 "liveness: flow %u is not over after %.1f virtual seconds: guest state %u "
			 "acked %u of %" PRIu64 " received %" PRIu64 " of %" PRIu64
			 " fin %d%d%d; far end %s",
			 i, (double)limit_us / 1e6, g->t.state, g->t.una - g->t.iss - 1,
			 f->script->guest_app.total_bytes, g->app.received,
			 f->script->peer_app.total_bytes, g->t.fin_sent, g->t.fin_acked,
			 g->t.fin_received, far);
	}
	sim_fail(w, "liveness: %" PRIu64 " events and no end", w->events);
}

/* Lawfully stuck: the NAT of the only path knows its ports no more, and who is behind has no need.
 */
static bool only_hear(const struct sim *w)
{
	bool all = w->sc.forgets;

	for (unsigned i = 0; i < w->sc.n_flows; i++)
		all &= w->flow[i].end_us || w->flow[i].guest.t.una == w->flow[i].guest.t.max;
	return all;
}

bool sim_run(struct sim *w)
{
	struct rng r = rng_split(w->sc.seed, 5);
	uint64_t limit_us, forge_at_us = START_US;
	unsigned forged = 0;

	world_init(w);
	limit_us = START_US + scenario_limit_us(&w->sc);
	while (!w->failed && !all_over(w)) {
		if (w->events++ > EVENTS_MAX || !step(w, limit_us)) {
			if (!w->sc.stalls && !only_hear(w))
				fail_liveness(w, limit_us);
			break;
		}
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
	w->hosts_off = w->sc.stalls || w->sc.forgets || w->sc.aborts || w->sc.path_faults;
	while (!w->failed && w->events++ <= EVENTS_MAX && step(w, limit_us))
		;
	for (unsigned k = 0; k < 2 && w->gate[k] && !w->failed; k++)
		gate_check_empty(w->gate[k]);
	if (!w->failed)
		check_altered(w);
	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		w->done_us = later_us(w->done_us, w->flow[i].guest.app.done_at_us);
		w->done_us = later_us(w->done_us, w->mirror ? w->mirror[i].guest.app.done_at_us
							    : w->flow[i].peer.app.done_at_us);
	}
	world_fini(w);
	return !w->failed;
}
