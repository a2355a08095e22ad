/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * path_manager.c - see path_manager.h.
 *
 * Theory. What is wanted is a set of pairs (path, address of the peer). Once promotion.h lets the
 * connection have more than one subflow: every usable path with every address of its family, the
 * peer's first address first (fullmesh), or one pair N times (ndiffports). Before that, and with
 * `single`, nothing is wanted, except that a connection whose only subflow lost its path wants one
 * somewhere else.
 *
 * P1  A subflow whose path is down, whose address is gone or was taken back by the peer is
 *     `leaving`. It does not count, and it ends as soon as another is established; the last one
 *     stays while its address does: its path may come back and TCP goes on as if nothing had been.
 * P2  Without any subflow the connection waits for paths (break before make) until alone_at_us.
 * P3  A pair that failed is left alone for 2 s, doubling; one that the peer forbade (MP_TCPRST
 *     without T), or where options were taken away three times, until its path comes anew or no
 *     subflow is left.
 * P4  join_at_us says when there is work; every event that makes work sets it to 0.
 */
#include "engine/path_manager.h"

#include "engine/addresses.h"
#include "engine/announce.h"
#include "engine/conn.h"
#include "engine/emit.h"
#include "engine/join.h"
#include "engine/kept.h"
#include "engine/multi.h"
#include "engine/promotion.h"

#define CHUNKS_MIN 8 /* of 16 KB */
#define HAND_OVER_BYTES 32768u
#define AGAIN_US 100000ull /* for want of records or room in the output */
#define NO_MEMORY_US 1000000ull

unsigned path_manager_max_subflows(const struct engine *e)
{
	return e->cfg.max_subflows < ENGINE_SUBFLOWS_MAX ? e->cfg.max_subflows
							 : ENGINE_SUBFLOWS_MAX;
}

static bool living(const struct engine *e, const struct subflow *s)
{
	return s->state == SUBFLOW_ESTABLISHED && !s->leaving && e->path_usable[s->path];
}

struct subflow *path_manager_living(struct engine *e, const struct conn *c)
{
	struct subflow *any = NULL;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);

		if (!living(e, s))
			continue;
		if (s->sender == NONE || !sender_at(e, s->sender)->stale)
			return s;
		any = s;
	}
	return any;
}

/* The address that the subflow used is no longer the path's or no longer reachable there. */
static void tell_removed(struct step *st, struct conn *c, const struct subflow *s)
{
	if (s->leaving == REASON_SUBFLOW_PATH_DOWN || s->leaving == REASON_SUBFLOW_ADDRESS_LOST)
		announce_removal(st, c, s->address_id_local);
	/* The path may be back at once, with the same id: said only once. */
	if (s->leaving == REASON_SUBFLOW_SILENT)
		announce_removal_once(st, c, s->address_id_local);
}

/* The peer sends no more there: our half ends when all that we sent has arrived. */
static void end_half(struct step *st, struct conn *c, struct subflow *s)
{
	if (s->state == SUBFLOW_ESTABLISHED &&
	    (s->sender == NONE || sender_at(st->e, s->sender)->head == NONE))
		subflow_send_fin(st, c, s);
}

static void end(struct step *st, struct conn *c, struct subflow *s)
{
	enum reason reason = (enum reason)s->leaving;

	if (reason == REASON_SUBFLOW_CLOSED_BY_PEER) {
		end_half(st, c, s);
		return;
	}
	tell_removed(st, c, s);
	/* Where there is a path, the peer's end of the subflow is told by RST. */
	if (reason != REASON_SUBFLOW_ADDRESS_LOST && st->e->path_usable[s->path])
		subflow_abort(st, c, s, MP_TCPRST_UNSPECIFIED, reason);
	else
		subflow_end(st, c, s, reason);
	if (c->multi != NONE)
		multi_push(st, c);
}

/* P1. */
static void retire(struct step *st, struct conn *c)
{
	struct engine *e = st->e;

	for (uint32_t k = c->subflow, next; k != NONE; k = next) {
		struct subflow *s = subflow_at(e, k);
		bool established = s->state == SUBFLOW_ESTABLISHED || s->state == SUBFLOW_FIN_SENT;

		next = s->next;
		if (!s->leaving || (established && !path_manager_living(e, c) &&
				    s->leaving != REASON_SUBFLOW_ADDRESS_LOST))
			continue;
		if (!emit_room(st, 4))
			return;
		end(st, c, s);
	}
}

static bool has_address(const struct engine *e, uint8_t path, uint8_t family)
{
	const struct engine_path_cfg *p = &e->cfg.path[path];

	return e->path_usable[path] &&
	       !ip_addr_is_zero(family == FLOW_IPV4 ? &p->addr4 : &p->addr6);
}

/* How many subflows there are in all, and from this path to this address. */
static unsigned subflows(struct engine *e, const struct conn *c, unsigned path,
			 const struct peer_address *to, unsigned *all)
{
	unsigned n = 0;

	*all = 0;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->leaving)
			continue;
		++*all;
		/* One that the peer began has a port of its choice. */
		n += s->path == path && s->net.family == to->family &&
		     ip_addr_equal(&s->net.dst, &to->addr) &&
		     (s->net.dst_port == to->port || s->passive);
	}
	return n;
}

/* Starts what is missing of `wanted` subflows of the pair. False: no more can be started now. */
static bool fill(struct step *st, struct conn *c, uint8_t path, const struct peer_address *to,
		 unsigned wanted, unsigned most, uint64_t *next_us)
{
	struct engine *e = st->e;
	uint64_t again_us = addresses_again_us(e, c, path, to->id);
	unsigned all, n = subflows(e, c, path, to, &all);

	for (; n < wanted && all < most; n++, all++) {
		if (st->tick->now_us < again_us) {
			if (again_us < *next_us)
				*next_us = again_us;
			return true;
		}
		if (!join_memory(e, c)) {
			*next_us = st->tick->now_us + NO_MEMORY_US;
			return false;
		}
		if (!join_start(st, c, path, to)) {
			*next_us = st->tick->now_us + AGAIN_US;
			return false;
		}
	}
	return all < most;
}

static void mesh(struct step *st, struct conn *c, unsigned most, uint64_t *next_us)
{
	struct peer_address to;

	/* First each path once, then the peer's other addresses. */
	for (unsigned i = 0; addresses_target(st->e, c, i, &to); i++)
		for (uint8_t path = 0; path < st->e->cfg.n_paths; path++)
			if (has_address(st->e, path, to.family) &&
			    !fill(st, c, path, &to, 1, most, next_us))
				return;
}

/* All on one path: the connection's own, or while that is down another. */
static void one_path(struct step *st, struct conn *c, unsigned wanted, uint64_t *next_us)
{
	struct engine *e = st->e;
	struct peer_address to;

	for (unsigned i = 0; addresses_target(e, c, i, &to); i++) {
		for (unsigned n = 0; n < e->cfg.n_paths; n++) {
			uint8_t path = (uint8_t)((c->path + n) % e->cfg.n_paths);

			if (!has_address(e, path, to.family))
				continue;
			fill(st, c, path, &to, wanted, wanted, next_us);
			return;
		}
	}
}

/*
 * A guest that sends much goes on in slow start while the join is made: its subflow gets the gate's
 * own sender now, and the guest only DATA_ACKs at a pace that does not end its slow start
 * (ack_guest.h). Otherwise it would meet the first path's queue meanwhile and then crawl. What is
 * short is left as the guest sends it. Not towards a peer that refused the last join: there a
 * single subflow costs less.
 */
static void hand_over(struct step *st, struct conn *c)
{
	bool joining = false;

	if (c->multi != NONE || c->n_subflows < 2 || c->from_guest_bytes < HAND_OVER_BYTES ||
	    c->from_guest_bytes <= c->to_guest_bytes || c->guest_fin || c->peer_fin || c->failing ||
	    c->infinite || kept_available(st->e) < CHUNKS_MIN)
		return;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(st->e, k)->next)
		joining |= subflow_joins(subflow_at(st->e, k)) && !subflow_at(st->e, k)->passive;
	if (joining && !join_refused_before(st, c) && multi_new(st, c))
		conn_deadline(st, c);
}

static void joins(struct step *st, struct conn *c, uint64_t *next_us)
{
	const struct engine_cfg *cfg = &st->e->cfg;
	unsigned most = path_manager_max_subflows(st->e), all;

	if (cfg->mode == ENGINE_SINGLE || c->responder || (c->guest_fin && c->peer_fin) ||
	    c->failing || c->infinite)
		return;
	/* What several subflows need to keep payload: with less a connection fares better on one.
	 */
	if (c->multi == NONE && kept_available(st->e) < CHUNKS_MIN)
		return;
	subflows(st->e, c, 0, &(struct peer_address){0}, &all);
	if (all == 0)
		mesh(st, c, most, next_us); /* P1, P2: anywhere */
	if (c->guest_fin || c->peer_fin || !promotion_check(st, c))
		return;
	if (cfg->mode == ENGINE_FULLMESH)
		mesh(st, c, most, next_us);
	else
		one_path(st, c, cfg->ndiffports < most ? cfg->ndiffports : most, next_us);
}

void path_manager_check(struct step *st, struct conn *c)
{
	uint64_t next_us = UINT64_MAX;

	/* A client's third ACK proves that it knows both keys: its gate may announce at once. */
	if (c->state != CONN_ESTABLISHED || !(c->confirmed || c->responder))
		return;
	if (st->tick->now_us < c->join_at_us && (c->promoted || !promotion_check(st, c))) {
		hand_over(st, c);
		return;
	}
	retire(st, c);
	if (c->state != CONN_ESTABLISHED)
		return;
	announce_check(st, c, &next_us);
	joins(st, c, &next_us);
	hand_over(st, c);
	/* A subflow that is to end and could not yet. */
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(st->e, k)->next)
		if (subflow_at(st->e, k)->leaving && path_manager_living(st->e, c) &&
		    st->tick->now_us + AGAIN_US < next_us)
			next_us = st->tick->now_us + AGAIN_US;
	c->join_at_us = next_us;
	conn_deadline(st, c);
}

/*
 * What was sent before may have gone nowhere for want of a route: an unanswered SYN, or what a
 * timer backs off for, goes again at once.
 */
static void ask_again(struct engine *e, struct subflow *s)
{
	struct sender *x = s->sender == NONE ? NULL : sender_at(e, s->sender);

	if (s->state == SUBFLOW_JOIN_SYN) {
		s->n_syn = 1;
		s->rto_at_us = 1;
	} else if (x && x->n_rto > 0 && x->rto_at_us) {
		x->n_rto = 0;
		x->rto_at_us = 1;
	}
}

/* What the change means for the connection's subflows. True when it means anything. */
static bool note(struct engine *e, struct conn *c, unsigned path, const struct engine_path_cfg *old)
{
	const struct engine_path_cfg *now = &e->cfg.path[path];
	bool any = false;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);
		bool v4 = s->net.family == FLOW_IPV4, backup = announce_backup(e, s->path);
		const struct ip_addr *was = v4 ? &old->addr4 : &old->addr6;

		if (s->backup_local != backup) {
			s->backup_local = backup;
			s->backup = s->backup_local || s->backup_peer;
			s->prio_due = 2;
			any = true;
		}
		if (s->path != path)
			continue;
		any = true;
		/*
		 * The address that the connection began with, a guest's own or what the host
		 * translates to, moves with the path's only if it was that. A link that is down may
		 * come back with its address.
		 */
		if (!e->path_usable[path])
			s->leaving = s->leaving ? s->leaving : REASON_SUBFLOW_PATH_DOWN;
		else if (!ip_addr_equal(&s->net.src, v4 ? &now->addr4 : &now->addr6) &&
			 (ip_addr_equal(&s->net.src, was) ||
			  !ip_addr_equal(&s->net.src, &c->local_addr)))
			s->leaving = REASON_SUBFLOW_ADDRESS_LOST;
		else if (e->path_usable[path] && s->leaving == REASON_SUBFLOW_PATH_DOWN &&
			 !c->promoted)
			s->leaving = REASON_NONE; /* plain TCP would not ask for more */
		/* Nothing must go from an address that the host has no more. */
		if (e->path_usable[path] && s->leaving != REASON_SUBFLOW_ADDRESS_LOST)
			ask_again(e, s);
	}
	return any;
}

void path_manager_path(struct engine *e, unsigned path, bool was_usable,
		       const struct engine_path_cfg *old)
{
	const struct engine_path_cfg *now = &e->cfg.path[path];
	bool down = was_usable && !e->path_usable[path];
	bool moved4 = !ip_addr_equal(&old->addr4, &now->addr4);
	bool moved6 = !ip_addr_equal(&old->addr6, &now->addr6);

	if (e->cfg.mode == ENGINE_SINGLE)
		return;
	for (uint32_t i = 0; i < e->conns.n_touched; i++)
		if (conn_at(e, i)->state == CONN_ESTABLISHED)
			announce_unfold(e, conn_at(e, i));
	e->address_generation[2 * path] += (down || moved4) && !ip_addr_is_zero(&old->addr4);
	e->address_generation[2 * path + 1] += (down || moved6) && !ip_addr_is_zero(&old->addr6);
	for (uint32_t i = 0; i < e->conns.n_touched; i++) {
		struct conn *c = conn_at(e, i);

		if (c->state != CONN_ESTABLISHED)
			continue;
		if (!down)
			addresses_forgive(e, c, (uint8_t)path);
		if (!note(e, c, path, old) && !c->promoted && c->addresses == NONE &&
		    !c->alone_at_us && !announce_due(e, c))
			continue;
		c->join_at_us = 0;
		deadline_set(e, c, 1);
	}
}
