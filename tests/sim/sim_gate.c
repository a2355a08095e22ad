// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_gate.c - see sim_gate.h.
 */
#include "sim_gate.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/claimed.h"
#include "sim_flow.h"
#include "sim_icmp.h"
#include "sim_link.h"
#include "sim_options.h"

#define TIMEOUT_ROUNDS_MAX 64
/*
 * A timer that finds nothing to do is set again for when there may be: so many that come to
 * nothing, nothing having come in between, in so short a time, are a circle.
 */
#define IDLE_TIMEOUTS_MAX 12
#define IDLE_TIMEOUTS_US 20000

unsigned gate_uplink(const struct gate *g, unsigned path)
{
	return g->index * SIM_PATHS_MAX + path;
}

struct link *gate_link(const struct gate *g, unsigned path)
{
	return g->w->link[gate_uplink(g, path)][0];
}

struct ip_addr gate_path_addr(const struct gate *g, unsigned path)
{
	uint8_t generation = g->w->uplink[gate_uplink(g, path)].generation;
	uint8_t host = (uint8_t)(1 + path + 16 * generation);
	struct ip_addr a = {.b = {192, 0, (uint8_t)(2 + g->index), host}};

	if (g->w->sc.family == FLOW_IPV6)
		a = (struct ip_addr){.b = {0xfd, (uint8_t)(1 + g->index), [15] = host}};
	return a;
}

/* ---- the process ---- */

/*
 * Fresh memory full of garbage, of which only the pages that are written cost anything: a private
 * mapping of a file.
 */
static void *region_new(const struct gate *g)
{
	static struct garbage {
		int fd;
		size_t bytes;
	} files[UINT8_MAX + 1];
	struct garbage *f = &files[g->w->garbage];
	uint8_t block[4096];
	void *region;

	if (!f->bytes)
		f->fd = memfd_create("region", MFD_CLOEXEC);
	memset(block, g->w->garbage, sizeof(block));
	while (f->bytes < g->region_bytes) {
		ssize_t n = pwrite(f->fd, block, sizeof(block), (off_t)f->bytes);

		assert(n == (ssize_t)sizeof(block));
		f->bytes += (size_t)n;
	}
	region = mmap(NULL, g->region_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, f->fd, 0);
	assert(region != MAP_FAILED);
	return region;
}

static void region_free(const struct gate *g, void *region)
{
	if (region)
		munmap(region, g->region_bytes);
}

static void configure(struct gate *g)
{
	const struct scenario *sc = &g->w->sc;
	const struct control_script *k = &sc->control;
	struct rng r = rng_split(sc->seed, g->index ? 9 : 3);
	const uint64_t first = rng_next(&r), second = rng_next(&r);

	g->cfg = (struct engine_cfg){.max_connections = k->max_connections,
				     .memory_bytes = k->memory_bytes,
				     .seed = {first, second},
				     .checksum = k->checksum,
				     .n_paths = (uint8_t)g->n_paths,
				     .mode = k->mode,
				     .ndiffports = k->ndiffports,
				     .max_subflows = k->max_subflows,
				     .congestion = k->congestion,
				     .scheduler = k->scheduler,
				     .after_bytes = k->after_bytes,
				     .after_us = k->after_us,
				     .on_congestion = k->on_congestion,
				     .port_min = 61000,
				     .port_max = 65000,
				     .idle_timeout_us = 300ull * 1000000};
	for (unsigned i = 0; i < g->n_paths; i++) {
		struct engine_path_cfg *p = &g->cfg.path[i];

		p->name[0] = (char)('a' + i);
		p->price = 1.0;
		p->mtu_bytes = 1500;
		*(sc->family == FLOW_IPV4 ? &p->addr4 : &p->addr6) = gate_path_addr(g, i);
	}
	if (k->policy) {
		g->cfg.n_policies = 1;
		g->cfg.policy[0] = (struct engine_policy){
			.use = ENGINE_NEVER, .peer_port_min = 8000, .peer_port_max = 8000};
	}
	if (k->memory_bytes == 0)
		for (g->cfg.memory_bytes = 1 << 16; !engine_region_bytes(&g->cfg);)
			g->cfg.memory_bytes += 512;
}

static int compare_us(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void gate_init(struct gate *g, struct sim *w, unsigned index, struct flow *flow)
{
	memset(g, 0, sizeof(*g));
	g->w = w;
	g->index = index;
	g->n_paths = index ? w->sc.n_far_paths : w->sc.n_paths;
	g->flow = flow;
	g->rng = rng_split(w->sc.seed, index ? 8 : 4);
	g->late_rng = rng_split(w->sc.seed, 13);
	g->pkt = calloc(w->sc.control.cap_pkt, sizeof(*g->pkt));
	for (int i = 0; i < 3; i++)
		g->adopt_us[i] = w->sc.control.adopt_us[i] ? w->sc.control.adopt_us[i] : NEVER;
	qsort(g->adopt_us, 3, sizeof(g->adopt_us[0]), compare_us);
	if (w->ideal)
		return;
	configure(g);
	memset(g->usable, true, sizeof(g->usable));
	g->region_bytes = engine_region_bytes(&g->cfg);
	assert(g->region_bytes);
	g->region = region_new(g);
	g->e = engine_init(g->region, g->region_bytes, &g->cfg);
	g->claimed = claimed_new();
	assert(g->e && g->claimed);
}

void gate_fini(struct gate *g)
{
	claimed_del(g->claimed);
	region_free(g, g->region);
	free(g->pkt);
}

void gate_adopt(struct gate *g)
{
	void *old = g->region;

	/* Elsewhere in memory: nothing in the region may depend on where it is. */
	g->region = region_new(g);
	memcpy(g->region, old, g->region_bytes);
	region_free(g, old);
	g->e = engine_adopt(g->region, g->region_bytes, &g->cfg, g->w->now_us);
	if (!g->e) {
		sim_fail(g->w, "I9: the region was not adopted");
		return;
	}
	/* A daemon that starts tells the engine of all paths. */
	for (unsigned i = 0; i < g->n_paths && g->w->sc.multi; i++)
		engine_path_set(g->e, i, g->usable[i], &g->cfg.path[i]);
	gate_claims(g);
}

void gate_claims(struct gate *g)
{
	claimed_fetch(g->claimed, g->e);
}

struct engine_tick gate_tick(struct gate *g)
{
	while (g->random.n < ENGINE_RANDOM_WORDS) {
		uint64_t word = rng_next(&g->rng);

		g->random.word[g->random.n++] = g->w->sc.control.random_repeats ? word % 2 : word;
	}
	g->outs = (struct engine_outs){.pkt = g->pkt,
				       .cap_pkt = g->w->sc.control.cap_pkt,
				       .event = g->event,
				       .cap_event = 64};
	return (struct engine_tick){.now_us = g->w->now_us, .random = &g->random};
}

/* ---- addresses ---- */

/* The kernel's NAT, by the difference (RFC 1624): a damaged checksum stays damaged. */
void gate_translate(struct pkt *p, const struct flow_tuple *t)
{
	uint32_t ip = t->family == FLOW_IPV4 ? 20 : 40, n = ip == 20 ? 4 : 16;
	uint8_t *tcp = p->data + ip, *addr = p->data + (n == 4 ? 12 : 8);
	uint64_t sum = (uint16_t)~get16(tcp + 16);

	sum += (uint16_t)~sum_fold(sum_add(sum_add(0, addr, 2 * n), tcp, 4));
	memcpy(addr, t->src.b, n);
	memcpy(addr + n, t->dst.b, n);
	put16(tcp, t->src_port);
	put16(tcp + 2, t->dst_port);
	sum = sum_add(sum_add(sum, addr, 2 * n), tcp, 4);
	put16(tcp + 16, (uint16_t)~sum_fold(sum));
	if (n == 4) {
		put16(p->data + 10, 0);
		put16(p->data + 10, (uint16_t)~sum_fold(sum_add(0, p->data, ip)));
	}
}

struct flow *gate_flow_of_net(struct gate *g, const struct flow_tuple *gate_first)
{
	for (unsigned i = g->w->sc.n_flows; i-- > 0;)
		if (g->ct[i].known && flow_tuple_equal(&g->ct[i].net, gate_first))
			return &g->flow[i];
	return NULL;
}

void gate_forward_to_guest(struct gate *g, struct flow *f, struct pkt *p)
{
	struct flow_tuple t = flow_tuple_reverse(&f->tuple);

	gate_translate(p, &t);
	link_send(g->guest_link[1], p);
}

/* ---- what comes out of the engine ---- */

/* A host lets nothing go from an address that it has no more; a guest's own is always good. */
bool gate_is_here(const struct gate *g, unsigned path, const struct flow_tuple *t)
{
	struct ip_addr addr = gate_path_addr(g, path), guest = g->flow[0].tuple.src;

	return ip_addr_equal(&t->src, &addr) || ip_addr_equal(&t->src, &guest);
}

static bool from_here(const struct gate *g, unsigned path, const struct pkt *p)
{
	struct seg s;

	seg_head(&s, p->data, p->len_bytes);
	return gate_is_here(g, path, &s.tuple);
}

static void emit_one(struct gate *g, const struct engine_out *out)
{
	struct pkt *p = pkt_new(NULL, out->hdr_bytes + out->payload_bytes);
	uint8_t *csum = p->data + out->ip_bytes + 16;
	uint16_t partial;

	memcpy(p->data, out->hdr, out->hdr_bytes);
	if (out->whole) {
		check_icmp(g, out, p);
		link_send(g->guest_link[1], p);
		return;
	}
	if (out->payload_bytes)
		memcpy(p->data + out->hdr_bytes, out->payload, out->payload_bytes);
	partial = get16(csum);
	put16(csum, 0);
	put16(csum, (uint16_t)~sum_fold(partial + sum_add(0, p->data + out->ip_bytes,
							  p->len_bytes - out->ip_bytes)));
	if (out->payload_bytes > out->gso_size_bytes && out->gso_size_bytes)
		p->gso_bytes = out->gso_size_bytes;
	check_out(g, out, p);
	if (out->side == ENGINE_NET && !from_here(g, out->index, p))
		free(p);
	else if (out->side == ENGINE_NET)
		link_send(gate_link(g, out->index), p);
	else
		link_send(g->guest_link[1], p);
}

/* For readers of the log, once in 20 ms: what the engine thinks of its subflows. */
static void show(struct gate *g)
{
	static uint64_t last_us;
	struct engine_conn_info info;

	if (!g->w->verbose || (g->w->now_us >= last_us && g->w->now_us < last_us + 20000))
		return;
	last_us = g->w->now_us;
	for (conn_ref i = 0; i < g->cfg.max_connections; i++) {
		if (!engine_conn_info(g->e, i, g->w->now_us, &info))
			continue;
		for (unsigned k = 0; k < info.n_subflows; k++) {
			const struct engine_subflow_info *s = &info.subflow[k];

			sim_log(g->w,
				"  # conn %u %s path %u %s cwnd %u srtt %u min %u sent again "
				"%" PRIu64,
				i, info.mode, s->path, s->state, s->cwnd_bytes, s->srtt_us,
				s->min_rtt_us, s->retransmits);
		}
	}
}

void gate_take_outs(struct gate *g)
{
	if (g->outs.n_pkt > g->outs.cap_pkt || g->outs.n_event > g->outs.cap_event) {
		sim_fail(g->w, "I7: the engine wrote beyond its output arrays");
		return;
	}
	gate_claims(g);
	for (unsigned i = 0; i < g->outs.n_event; i++)
		check_event(g, &g->event[i]);
	for (unsigned i = 0; i < g->outs.n_pkt && !g->w->failed; i++)
		emit_one(g, &g->pkt[i]);
	check_engine(g);
	show(g);
}

/* ---- the clock ---- */

uint64_t gate_next_us(const struct gate *g)
{
	uint64_t us;

	if (!g->e)
		return NEVER;
	if (g->dead)
		return g->dead_until_us;
	us = engine_deadline_us(g->e);
	us = us == NEVER ? us : us + g->late_us;
	return us < g->adopt_us[0] ? us : g->adopt_us[0];
}

/* The process ends; at once, or after a while, another one takes over. */
static void replace_process(struct gate *g)
{
	g->adopt_us[0] = g->adopt_us[1];
	g->adopt_us[1] = g->adopt_us[2];
	g->adopt_us[2] = NEVER;
	g->dead = g->w->sc.control.adopt_gap_us != 0;
	g->dead_until_us = g->w->now_us + g->w->sc.control.adopt_gap_us;
	sim_log(g->w, "the engine's process ends");
	if (!g->dead)
		gate_adopt(g);
}

/* Timers that do nothing, one behind the other: what is overdue would be asked for ever. */
static void check_circles(struct gate *g)
{
	bool alone = g->n_calls == g->idle_calls + 1;

	g->idle_calls = g->n_calls;
	if (g->outs.n_pkt || g->outs.n_event || !alone) {
		g->n_idle = 0;
		return;
	}
	if (g->n_idle++ == 0)
		g->idle_us = g->w->now_us;
	if (g->n_idle <= IDLE_TIMEOUTS_MAX * g->w->sc.n_flows)
		return;
	if (g->w->now_us - g->idle_us < IDLE_TIMEOUTS_US)
		sim_fail(g->w, "timers turn in circles: %u did nothing within %" PRIu64 " us",
			 g->n_idle, g->w->now_us - g->idle_us);
	g->n_idle = 0;
}

void gate_run(struct gate *g)
{
	if (g->dead) {
		g->dead = false;
		gate_adopt(g);
		return;
	}
	if (g->adopt_us[0] <= g->w->now_us) {
		replace_process(g);
		return;
	}
	for (int i = 0; engine_deadline_us(g->e) <= g->w->now_us && !g->w->failed; i++) {
		struct engine_tick t = gate_tick(g);

		engine_timeout(g->e, &t, &g->outs);
		gate_take_outs(g);
		check_circles(g);
		if (i == TIMEOUT_ROUNDS_MAX)
			sim_fail(g->w, "the engine's deadline stays in the past");
	}
	if (g->w->sc.control.late_us)
		g->late_us = rng_range(&g->late_rng, 0, g->w->sc.control.late_us);
}

void gate_path_told(struct gate *g, unsigned path)
{
	struct engine_path_cfg *p = &g->cfg.path[path];
	bool usable = !g->w->uplink[gate_uplink(g, path)].down;

	*(g->w->sc.family == FLOW_IPV4 ? &p->addr4 : &p->addr6) = gate_path_addr(g, path);
	g->usable[path] = usable;
	sim_log(g->w, "the engine hears that path %u is %s", path, usable ? "up" : "down");
	if (!g->e || g->dead)
		return;
	engine_path_set(g->e, path, usable, p);
	gate_claims(g);
}

void gate_check_empty(struct gate *g)
{
	if (!g->e)
		return;
	if (engine_connections(g->e) != 0)
		sim_fail(g->w, "I7: %u connections are left at the end", engine_connections(g->e));
	if (!engine_audit(g->e))
		sim_fail(g->w, "I7: a record leaked");
	if (claimed_count(g->claimed) != 0)
		sim_fail(g->w, "I6: %u tuples are claimed at the end", claimed_count(g->claimed));
}
