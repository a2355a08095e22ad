/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.c - the facade: the region, a packet's way through the steps, deadlines.
 *
 * Theory of operation. A connection begins in place: its SYN and SYN/ACK pass on the host's own
 * road and only their options change (handshake.c; where a remote client opens it, responder.c).
 * From then on its segments are stolen and re-emitted: from_guest.c gives the guest's bytes a data
 * sequence mapping and remembers its boundaries (mapping.c); from_net.c takes the peer's mappings
 * apart (receive.c) and shows the guest plain TCP; conn.c ends connections, fallback.c lets go of
 * those that cannot be Multipath TCP. policy.c says which may.
 *
 * Invariants (numbers of the design): I1, I2 live in emit_data_ack(), emit_window_*() and
 * take_ack() of both directions: nothing but the far end's own word moves them. I7: every record
 * comes from a pool that was sized at the start. I8: no clock, no addresses, no hash order in any
 * output. I9: the region holds indices and offsets only.
 */
#include <assert.h>

#include "base/siphash.h"
#include "engine/adopt.h"
#include "engine/claims.h"
#include "engine/conn.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/from_guest.h"
#include "engine/from_net.h"
#include "engine/handshake.h"
#include "engine/join_accept.h"
#include "engine/path_manager.h"
#include "engine/pmtu.h"
#include "engine/responder.h"
#include "engine/stranger.h"

#define MAGIC 0x6d70676174653036ull /* "mpgate06" */
#define MAPPINGS_PER_CONN_MIN 2
#define MAPPINGS_MIN 4096
#define ALIGN 64

/* What an idle connection on a single path costs: its records, its places in tables and heap. */
_Static_assert(sizeof(struct conn) + sizeof(struct subflow) + sizeof(struct heap_entry) + 4 * 4 +
			       MAPPINGS_PER_CONN_MIN * sizeof(struct mapping) <=
		       1024,
	       "an idle connection costs more than a kilobyte");

/* Mappings share what memory the bound leaves, up to this many for each connection. */
#define MAPPINGS_PER_CONN_MAX 64

void count(struct engine *e, enum reason reason)
{
	e->counter[reason]++;
}

void event(struct step *st, enum engine_event_kind kind, const struct conn *c, enum reason reason)
{
	struct engine_outs *outs = st->outs;
	struct engine_event *ev;

	if (outs->n_event >= outs->cap_event)
		return;
	ev = &outs->event[outs->n_event++];
	*ev = (struct engine_event){.kind = (uint8_t)kind,
				    .reason = (uint8_t)reason,
				    .path = c ? c->path : ENGINE_NO_PATH,
				    .conn = c ? conn_index(st->e, c) : ENGINE_NO_CONN};
	if (c)
		ev->guest = c->guest;
	else if (st->in)
		ev->guest = st->in->from == ENGINE_GUEST ? st->p.tuple
							 : flow_tuple_reverse(&st->p.tuple);
}

static uint64_t take(uint64_t *at, uint64_t bytes)
{
	uint64_t offset = *at;

	*at = (*at + bytes + ALIGN - 1) / ALIGN * ALIGN;
	return offset;
}

static void place(struct pool *p, uint64_t *at, uint32_t record_bytes, uint64_t n)
{
	pool_init(p, take(at, n * record_bytes), record_bytes, (uint32_t)n);
}

/* Where everything lies; false when memory_bytes cannot hold it. */
static bool layout(struct engine *e, const struct engine_cfg *cfg)
{
	uint64_t n = cfg->max_connections, at = 0, buckets = 1, left, maps;

	if (n == 0 || n > 1u << 24)
		return false;
	while (buckets < n)
		buckets *= 2;
	take(&at, sizeof(*e));
	e->bucket_mask = (uint32_t)(buckets - 1);
	e->guest_buckets = take(&at, buckets * 4);
	e->token_buckets = take(&at, buckets * 4);
	e->net_buckets = take(&at, buckets * 4);
	e->heap_entries = take(&at, n * sizeof(struct heap_entry));
	e->heap_where = take(&at, n * 4);
	pool_init(&e->conns, take(&at, n * sizeof(struct conn)), sizeof(struct conn), (uint32_t)n);
	/* One subflow each, and room for those that have several. */
	place(&e->subflows, &at, sizeof(struct subflow), n + n / 4 + ENGINE_SUBFLOWS_MAX);
	place(&e->multis, &at, sizeof(struct multi), n / 8 + 1);
	place(&e->senders, &at, sizeof(struct sender), n / 4 + ENGINE_SUBFLOWS_MAX);
	place(&e->addresses, &at, sizeof(struct addresses),
	      cfg->mode == ENGINE_SINGLE ? 0 : n / 8 + ENGINE_SUBFLOWS_MAX);
	left = cfg->memory_bytes > at ? cfg->memory_bytes - at : 0;
	/* Of what is left: payload 3/4, its bookkeeping 1/8, mappings of single subflows the rest.
	 */
	if (cfg->mode != ENGINE_SINGLE) {
		place(&e->chunks, &at, sizeof(struct chunk), left * 3 / 4 / sizeof(struct chunk));
		place(&e->txsegs, &at, sizeof(struct txseg), left / 16 / sizeof(struct txseg));
		place(&e->spans, &at, sizeof(struct span), left / 64 / sizeof(struct span));
		place(&e->partials, &at, sizeof(struct partial),
		      left / 128 / sizeof(struct partial));
		left = cfg->memory_bytes > at ? cfg->memory_bytes - at : 0;
	}
	maps = left / sizeof(struct mapping);
	if (maps > n * MAPPINGS_PER_CONN_MAX + MAPPINGS_MIN)
		maps = n * MAPPINGS_PER_CONN_MAX + MAPPINGS_MIN;
	if (maps < n * MAPPINGS_PER_CONN_MIN || maps < 64)
		return false;
	pool_init(&e->mappings, take(&at, maps * sizeof(struct mapping)), sizeof(struct mapping),
		  (uint32_t)maps);
	e->region_bytes = at;
	return true;
}

int engine_congestion(const char *name)
{
	for (unsigned i = 0; congestion_at(i); i++)
		if (strcmp(congestion_at(i)->name, name) == 0)
			return (int)i;
	return -1;
}

int engine_scheduler(const char *name)
{
	for (unsigned i = 0; scheduler_at(i); i++)
		if (strcmp(scheduler_at(i)->name, name) == 0)
			return (int)i;
	return -1;
}

size_t engine_region_bytes(const struct engine_cfg *cfg)
{
	struct engine e;

	return layout(&e, cfg) ? e.region_bytes : 0;
}

/* What must agree for a region to be adopted: sizes of records and pools. */
static uint64_t cfg_hash(const struct engine *e)
{
	uint64_t key[2] = {MAGIC, MAGIC};
	uint64_t words[] = {e->region_bytes,        sizeof(struct engine),
			    sizeof(struct conn),    sizeof(struct subflow),
			    sizeof(struct mapping), e->conns.n_records,
			    e->mappings.n_records,  e->chunks.n_records,
			    e->txsegs.n_records,    sizeof(struct multi),
			    sizeof(struct sender),  sizeof(struct addresses),
			    sizeof(struct partial), e->spans.n_records,
			    e->partials.n_records,  REASON_COUNT};

	return siphash(key, words, sizeof(words));
}

struct engine *engine_init(void *region, size_t bytes, const struct engine_cfg *cfg)
{
	struct engine *e = region;

	assert((uintptr_t)region % ALIGN == 0);
	if (bytes < engine_region_bytes(cfg) || engine_region_bytes(cfg) == 0)
		return NULL;
	memset(e, 0, sizeof(*e));
	e->cfg = *cfg;
	layout(e, cfg);
	for (unsigned i = 0; i < cfg->n_paths; i++)
		e->path_usable[i] = true;
	flow_table_clear(e);
	deadlines_init(e);
	memset(conn_at(e, 0), 0, e->conns.n_records * sizeof(struct conn));
	memset(subflow_at(e, 0), 0, e->subflows.n_records * sizeof(struct subflow));
	e->cfg_hash = cfg_hash(e);
	e->magic = MAGIC;
	return e;
}

struct engine *engine_adopt(void *region, size_t bytes, const struct engine_cfg *cfg,
			    uint64_t now_us)
{
	struct engine *e = region, want;
	struct engine_path_cfg old[ENGINE_PATHS_MAX];
	uint64_t seed[2];

	memset(&want, 0, sizeof(want));
	want.cfg = *cfg;
	if (bytes < sizeof(*e) || !layout(&want, cfg) || bytes < want.region_bytes ||
	    e->magic != MAGIC || e->cfg_hash != cfg_hash(&want) ||
	    e->region_bytes != want.region_bytes || !engine_audit(e))
		return NULL;
	/* The old seed stays: blackhole tags were made with it. */
	memcpy(seed, e->cfg.seed, sizeof(seed));
	if (!adopt_paths(e, cfg, old))
		return NULL;
	e->cfg = *cfg;
	memcpy(e->cfg.seed, seed, sizeof(seed));
	flow_table_clear(e);
	for (uint32_t i = 0; i < e->conns.n_records; i++) {
		struct conn *c = conn_at(e, i);

		if (c->state == CONN_FREE)
			continue;
		conn_add(e, c);
		conn_add_token(e, c);
		c->unseen |= responder_half_open(c);
		for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
			subflow_add(e, subflow_at(e, k));
		if (c->active_us > now_us) /* the clock began anew: a reboot of the host */
			return NULL;
	}
	claims_adopted(e);
	/* Paths may have moved while nobody looked; those that the file lacks now are down. */
	for (unsigned i = 0; i < ENGINE_PATHS_MAX; i++) {
		bool was_usable = e->path_usable[i];

		e->path_usable[i] = was_usable && i < cfg->n_paths;
		if (i < cfg->n_paths || i == ADOPT_GONE)
			path_manager_path(e, i, was_usable, &old[i]);
	}
	return e;
}

static enum reason status_reason(enum packet_status status)
{
	switch (status) {
	case PACKET_TRUNCATED:
		return REASON_DROP_TRUNCATED;
	case PACKET_BAD_HEADER:
		return REASON_DROP_BAD_HEADER;
	case PACKET_NOT_TCP:
		return REASON_PLAIN_NOT_TCP;
	case PACKET_FRAGMENT:
		return REASON_PLAIN_FRAGMENT;
	case PACKET_EXTENSION_HEADER:
		return REASON_PLAIN_EXTENSION_HEADER;
	case PACKET_OK:
		break;
	}
	return REASON_NONE;
}

static bool checksum_ok(const struct step *st)
{
	return st->in->csum_trusted || packet_checksum_ok(&st->p);
}

static struct engine_result damaged(conn_ref ref)
{
	return verdict(ENGINE_DROP, REASON_DROP_BAD_CHECKSUM, ref);
}

/*
 * One hop less to go (RFC 1812 section 5.3.1): what has none left is dropped. Where the kernel
 * would surely forward it, it does that, and tells the sender by ICMP; where its own address is
 * meant it might answer for itself.
 */
static bool hops_left(struct step *st, const struct conn *c, const struct subflow *s,
		      struct engine_result *r)
{
	bool forwarded = !s || ip_addr_equal(&s->net.src, &c->guest.src);

	if (st->p.ttl > 1 || (s && !s->initial))
		return true;
	*r = verdict(forwarded ? ENGINE_ACCEPT : ENGINE_DROP, REASON_TTL_EXPIRED,
		     conn_index(st->e, c));
	return false;
}

/* What both sides' segments go through before their own steps; false with the reason in *r. */
static bool admit(struct step *st, struct conn *c, const struct subflow *s, struct engine_result *r)
{
	if (!checksum_ok(st)) {
		*r = damaged(conn_index(st->e, c));
		return false;
	}
	options_decode(&st->o, st->p.options, st->p.options_bytes, st->p.flags & TCP_SYN,
		       st->p.flags & TCP_ACK, st->p.payload_bytes > 0);
	/*
	 * What a box on a path acknowledges of its own accord is no sign that the peer lives: where
	 * it does so for ever, the gate's own repetitions would keep the connection; so would joins
	 * that whoever is there now refuses.
	 */
	if (!s || (!subflow_joins(s) && (c->multi == NONE || st->o.mp.any)))
		c->active_us = st->tick->now_us;
	return true;
}

static struct engine_result steal_from_guest(struct step *st)
{
	struct conn *c = conn_find(st->e, &st->p.tuple);
	struct engine_result r;

	if (!c)
		return checksum_ok(st) ? stranger(st) : damaged(ENGINE_NO_CONN);
	if (!admit(st, c, NULL, &r) || !hops_left(st, c, NULL, &r))
		return r;
	c->guest_if = st->in->guest_if;
	return from_guest(st, c);
}

static struct engine_result syn_from_net(struct step *st, struct subflow *s)
{
	struct conn *c = s ? conn_at(st->e, s->conn) : NULL;

	if (!checksum_ok(st))
		return damaged(ENGINE_NO_CONN);
	options_decode(&st->o, st->p.options, st->p.options_bytes, true, false,
		       st->p.payload_bytes > 0);
	/* A client that asks again, without MPTCP now; in place nobody would see it. */
	if (c && !st->o.mp.any && responder_half_open(c) && c->peer_isn == st->p.seq)
		conn_free(st, c, REASON_PLAIN_SYN_RETRIES);
	return join_accept_syn(st);
}

static struct engine_result steal_from_net(struct step *st)
{
	struct engine *e = st->e;
	struct flow_tuple reverse = flow_tuple_reverse(&st->p.tuple);
	struct subflow *s = subflow_find(e, &reverse);
	struct engine_result r;
	struct conn *c;

	if ((st->p.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN)
		return syn_from_net(st, s);
	if (!s)
		return checksum_ok(st) ? stranger(st) : damaged(ENGINE_NO_CONN);
	c = conn_at(e, s->conn);
	if (!admit(st, c, s, &r) || !hops_left(st, c, s, &r))
		return r;
	e->path_heard_us[s->path] = st->tick->now_us;
	e->path_pkts[s->path][ENGINE_GUEST]++;
	e->path_bytes[s->path][ENGINE_GUEST] += st->p.payload_bytes;
	return from_net(st, c, s);
}

struct engine_result engine_packet(struct engine *e, const struct engine_pkt *pkt,
				   struct engine_tick *tick, struct engine_outs *outs)
{
	struct step st = {.e = e, .tick = tick, .outs = outs, .in = pkt};
	enum packet_status status = packet_decode(&st.p, pkt->data, pkt->len_bytes);
	struct engine_result r;

	if (status == PACKET_TRUNCATED || status == PACKET_BAD_HEADER) {
		r = verdict(ENGINE_DROP, status_reason(status), ENGINE_NO_CONN);
	} else if (status == PACKET_NOT_TCP) {
		r = pmtu_packet(&st);
	} else if (status != PACKET_OK) {
		r = verdict(ENGINE_ACCEPT, status_reason(status), ENGINE_NO_CONN);
	} else if (pkt->hook != ENGINE_STEAL && !checksum_ok(&st)) {
		r = damaged(ENGINE_NO_CONN);
	} else if (pkt->hook != ENGINE_STEAL) {
		options_decode(&st.o, st.p.options, st.p.options_bytes, st.p.flags & TCP_SYN,
			       st.p.flags & TCP_ACK, st.p.payload_bytes > 0);
		r = pkt->hook == ENGINE_UNWANTED ? join_accept_unwanted(&st)
						 : handshake_packet(&st);
	} else {
		r = pkt->from == ENGINE_GUEST ? steal_from_guest(&st) : steal_from_net(&st);
	}
	if (r.verdict != ENGINE_ASK)
		count(e, (enum reason)r.reason);
	return r;
}

struct engine_result engine_translation(struct engine *e, conn_ref conn,
					const struct flow_tuple *net, struct engine_tick *tick,
					struct engine_outs *outs)
{
	struct step st = {.e = e, .tick = tick, .outs = outs};
	struct engine_result r;

	assert(conn < e->conns.n_records && conn_at(e, conn)->state == CONN_ASKED);
	r = handshake_translated(&st, conn_at(e, conn), net);
	count(e, (enum reason)r.reason);
	return r;
}

uint64_t engine_deadline_us(const struct engine *e)
{
	return deadline_first_us(e);
}

void engine_timeout(struct engine *e, struct engine_tick *tick, struct engine_outs *outs)
{
	struct step st = {.e = e, .tick = tick, .outs = outs};

	while (deadline_first_us(e) <= tick->now_us && emit_room(&st, 2) && !claims_full(e))
		conn_timeout(&st, conn_at(e, deadline_first(e)));
}

bool engine_shutdown(struct engine *e, struct engine_tick *tick, struct engine_outs *outs)
{
	struct step st = {.e = e, .tick = tick, .outs = outs};

	for (uint32_t i = 0; i < e->conns.n_touched; i++) {
		if (conn_at(e, i)->state != CONN_ESTABLISHED)
			continue;
		if (!emit_room(&st, 1 + ENGINE_SUBFLOWS_MAX) || claims_full(e))
			return true;
		conn_reset(&st, conn_at(e, i), REASON_CLOSED_SHUTDOWN);
	}
	return false;
}

void engine_path_set(struct engine *e, unsigned path, bool usable,
		     const struct engine_path_cfg *cfg)
{
	struct engine_path_cfg old = e->cfg.path[path];
	bool was_usable = e->path_usable[path];

	assert(path < e->cfg.n_paths);
	e->path_usable[path] = usable;
	if (cfg)
		e->cfg.path[path] = *cfg;
	path_manager_path(e, path, was_usable, &old);
}
