/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * announce.c - see announce.h.
 *
 * Nothing of this is acknowledged by TCP. ADD_ADDR has its echo: one address at a time, again after
 * a second, twice as long each time, five times at most. REMOVE_ADDR and MP_PRIO have no answer:
 * they go twice, which costs 12 bytes and harms nobody (both only state how things are).
 *
 * None of it needs the connection's record of addresses, which is as large as the connection: of
 * many that begin at once each would have one, and a page once touched stays the process's. What is
 * asked at present, how often and when fits into struct conn (conn.asking), and of what the peer
 * has confirmed, or does not answer to, one bit per address is left (conn.told), which means: known
 * under the address's present id. So before an id changes both become a record (announce_unfold()),
 * until the peer has been told of the change. What the peer said of its own addresses is kept once
 * for all connections that heard the same.
 */
#include "engine/announce.h"

#include "engine/addresses.h"
#include "engine/conn.h"
#include "engine/crypto.h"
#include "engine/emit.h"
#include "engine/path_manager.h"

#define ANNOUNCE_FIRST_US 1000000ull
#define ANNOUNCE_TRIES 5
#define UNANSWERED_TWICE 2
#define TWICE_US 500000ull
#define HOLD_US 200000ull
#define GENERATIONS 7 /* so many times 32 ids fit into a byte */
#define TICK_SHIFT 10 /* conn.asked_tick: 67 s until it wraps */

_Static_assert(OWN_ADDRESSES_MAX <= 32, "conn.told and conn.asked_slot have no more");

static const struct ip_addr *address(const struct engine *e, uint8_t path, uint8_t family)
{
	const struct engine_path_cfg *p = &e->cfg.path[path];

	return family == FLOW_IPV4 ? &p->addr4 : &p->addr6;
}

static uint8_t slot_id(const struct engine *e, unsigned slot)
{
	return (uint8_t)(1 + e->address_generation[slot] % GENERATIONS * OWN_ADDRESSES_MAX + slot);
}

uint8_t announce_id(const struct engine *e, uint8_t path, uint8_t family)
{
	return slot_id(e, 2u * path + (family == FLOW_IPV6));
}

bool announce_backup(const struct engine *e, uint8_t path)
{
	double cheapest = e->cfg.path[path].price;

	if (e->cfg.path[path].backup)
		return true;
	for (unsigned i = 0; i < e->cfg.n_paths; i++)
		if (e->path_usable[i] && !e->cfg.path[i].backup && e->cfg.path[i].price < cheapest)
			cheapest = e->cfg.path[i].price;
	return e->cfg.backup_price > 0 && cheapest < e->cfg.path[path].price &&
	       e->cfg.path[path].price >= cheapest * e->cfg.backup_price;
}

static bool send(struct step *st, struct conn *c, struct subflow *s, struct options_writer *option,
		 bool bare, enum reason reason)
{
	struct dss d = emit_data_ack(c);
	struct options_writer w;
	struct headers h;

	emit_begin_net(st, s, false, &h, &w);
	h.seq = s->snd_nxt;
	h.ack = emit_own_ack_ssn(st, c, s);
	h.flags = TCP_ACK;
	h.window = emit_window_net(st->e, c);
	/* ADD_ADDR of IPv6 with a port and timestamps are more than 40 bytes. */
	if (option->len_bytes > options_room(&w))
		w.len_bytes = 0;
	options_put(&w, option->buf, option->len_bytes);
	/*
	 * The first segment behind the handshake must have DSS, or the peer falls back (section
	 * 3.1), and a guest that only listens may not have caused one yet. The window counts from
	 * the DATA_ACK as well. An ADD_ADDR of IPv6 leaves no room for it beside timestamps: one
	 * goes before, unless the peer has acknowledged what came with DSS.
	 */
	if (!bare && !dss_encode(&w, &d) && c->una_seq == c->guest_isn + 1 &&
	    !emit_own_ack(st, c, s, s->snd_nxt, 0, REASON_ACK_TO_NET))
		return false;
	return emit_net(st, c, s, &h, &w, NULL, 0, reason);
}

void announce_echo(struct step *st, struct conn *c, struct subflow *s, const struct add_addr *a)
{
	struct options_writer w = {0};
	struct add_addr echo = *a;

	echo.echo = true;
	add_addr_encode(&w, &echo);
	/* ADD_ADDR proves as much as DSS; where nothing was ever acknowledged it says no more. */
	send(st, c, s, &w, c->acked_seq == c->peer_isn + 1, REASON_ADD_ADDR_REPEATED);
}

bool announce_due(const struct engine *e, const struct conn *c)
{
	return e->cfg.mode != ENGINE_SINGLE &&
	       (e->cfg.announce == ENGINE_ANNOUNCE_ALWAYS ||
		(e->cfg.announce == ENGINE_ANNOUNCE_RESPONDER && c->responder));
}

/*
 * A responder's addresses are joined at the port of the connection. Where the gate initiates, that
 * would be the guest's source port: a port of ours is named instead, one that the rules bring here.
 */
static uint16_t port(const struct engine *e, const struct conn *c)
{
	return c->responder ? 0 : e->cfg.port_min;
}

static bool add_send(struct step *st, struct conn *c, struct subflow *s, unsigned slot)
{
	uint8_t path = (uint8_t)(slot / 2), family = slot % 2 ? FLOW_IPV6 : FLOW_IPV4;
	struct options_writer w = {0};
	struct add_addr a = {.family = family,
			     .address_id = slot_id(st->e, slot),
			     .port = port(st->e, c),
			     .addr = *address(st->e, path, family)};

	crypto_add_addr_hmac(c->key_local, c->key_peer, a.address_id, family, &a.addr, a.port,
			     a.hmac);
	add_addr_encode(&w, &a);
	return send(st, c, s, &w, false, REASON_ADD_ADDR_SENT);
}

/*
 * The id under which the slot's address should be known now; 0: it should not. One address of each
 * path is enough, of the family in which the peer came if the path has it: a peer that has both
 * families would join to both, and have two subflows over one line.
 */
static uint8_t should(const struct engine *e, const struct conn *c, unsigned slot)
{
	uint8_t path = (uint8_t)(slot / 2), family = slot % 2 ? FLOW_IPV6 : FLOW_IPV4;
	const struct ip_addr *a = address(e, path, family);

	if (path >= e->cfg.n_paths || !e->path_usable[path] || ip_addr_is_zero(a))
		return 0;
	if (family != c->guest.family && !ip_addr_is_zero(address(e, path, c->guest.family)))
		return 0;
	/* The peer knows the one it began with. */
	if (family == c->guest.family && ip_addr_equal(a, &c->local_addr))
		return 0;
	return slot_id(e, slot);
}

static bool lives_under(struct engine *e, const struct conn *c, uint8_t id)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		if (subflow_at(e, k)->address_id_local == id && !subflow_at(e, k)->leaving)
			return true;
	return false;
}

/*
 * The path that the connection began on: a join to its own address would be a second subflow over
 * the same line.
 */
static bool carried(struct engine *e, const struct conn *c, unsigned slot)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s->initial && s->path == slot / 2 && !s->leaving)
			return true;
	}
	return false;
}

void announce_unfold(struct engine *e, struct conn *c)
{
	struct addresses *a = c->told || c->asking ? addresses_of(e, c) : NULL;

	for (unsigned i = 0; a && i < OWN_ADDRESSES_MAX; i++) {
		bool told = c->told >> i & 1;

		if (told || (c->asking && c->asked_slot == i))
			a->own[i] = (struct own_address){.id = slot_id(e, i), .known = told};
	}
	/* For want of a record: the peer finds out when it joins there. */
	c->told = 0;
	c->asking = false;
}

/* Is the slot's address to be announced, now or again? */
static bool missing(struct engine *e, const struct conn *c, const struct addresses *a, unsigned i)
{
	const struct own_address none = {0}, *own = a ? &a->own[i] : &none;

	if (c->asking && c->asked_slot == i)
		return false;
	return should(e, c, i) != 0 && !(c->told >> i & 1) && !own->known &&
	       (own->id != 0 || !carried(e, c, i));
}

/* OWN_ADDRESSES_MAX: none. */
static unsigned first_missing(struct engine *e, const struct conn *c, const struct addresses *a)
{
	for (unsigned i = 0; i < 2u * e->cfg.n_paths; i++)
		if (missing(e, c, a, i))
			return i;
	return OWN_ADDRESSES_MAX;
}

/*
 * Of a record that holds nothing but what the peer knows, or does not answer to, bits are left; and
 * what we know of the peer is shared with those that know the same.
 */
static void fold(struct engine *e, struct conn *c)
{
	struct addresses *a = addresses_own(e, c);
	uint32_t told = 0;

	if (!a || a->n_failures || a->n_removals)
		return;
	for (unsigned i = 0; i < 2u * e->cfg.n_paths; i++) {
		uint8_t id = a->own[i].id;

		if ((announce_due(e, c) && missing(e, c, a, i)) ||
		    (id != 0 && id != should(e, c, i)))
			return;
		told |= (uint32_t)(id != 0) << i;
	}
	c->told |= told;
	memset(a->own, 0, sizeof(a->own));
	if (a->n_peer == 0)
		addresses_free(e, c);
	else
		addresses_share(e, c);
}

/*
 * A client that hears of addresses between its third ACK and the answer to its first data is slow
 * to act on them: Linux joins 60 ms later, or 11 ms after that answer. So nothing is announced to
 * it before either end's data went the other way. The time is for connections that begin idle.
 */
bool announce_held(const struct conn *c)
{
	return c->responder && c->multi == NONE && c->acked_seq == c->peer_isn + 1 &&
	       c->max_seq == c->guest_isn + 1;
}

/* How long what was asked still has to be answered; if there was no room to ask: to try again. */
static uint64_t asked_us(const struct step *st, const struct conn *c)
{
	uint16_t ticks = (uint16_t)((st->tick->now_us >> TICK_SHIFT) - c->asked_tick);
	uint64_t wait = (c->asked ? ANNOUNCE_FIRST_US << (c->asked - 1) : TWICE_US) >> TICK_SHIFT;

	return ticks < wait ? (wait - ticks) << TICK_SHIFT : 0;
}

static void ask(struct step *st, struct conn *c, struct subflow *s)
{
	c->asked_tick = (uint16_t)(st->tick->now_us >> TICK_SHIFT);
	if (!add_send(st, c, s, c->asked_slot))
		return;
	c->asked++;
	subflow_event(st, c, s, REASON_ADD_ADDR_SENT);
}

/* What was announced and is no more. */
static void withdraw(struct step *st, struct conn *c, struct addresses *a)
{
	for (unsigned i = 0; i < 2u * st->e->cfg.n_paths; i++) {
		uint8_t id = a->own[i].id;

		/* A subflow that outlived a short outage still stands for the old id. */
		if (id == 0 || id == should(st->e, c, i) || lives_under(st->e, c, id))
			continue;
		announce_removal(st, c, id);
		a->own[i] = (struct own_address){0};
	}
}

/* The next of our addresses that the peer does not know, and what it did not answer: again. */
static void next(struct step *st, struct conn *c, struct subflow *s, struct addresses *a)
{
	bool again = c->asking && asked_us(st, c) == 0;
	unsigned slot;

	if (again && c->asked == ANNOUNCE_TRIES) {
		count(st->e, REASON_ADD_ADDR_UNANSWERED);
		c->told |= 1u << c->asked_slot;
		c->asking = again = false;
	}
	slot = c->asking ? OWN_ADDRESSES_MAX : first_missing(st->e, c, a);
	if (slot != OWN_ADDRESSES_MAX) {
		if (a)
			a->own[slot] = (struct own_address){0};
		c->asking = again = true;
		c->asked_slot = (uint8_t)(slot & (OWN_ADDRESSES_MAX - 1));
		c->asked = 0;
	}
	if (again)
		ask(st, c, s);
}

static void adds(struct step *st, struct conn *c, struct subflow *s, uint64_t *next_us)
{
	struct addresses *a = addresses_own(st->e, c);
	uint64_t at_us = c->syn_us + HOLD_US;

	if (!announce_held(c) || st->tick->now_us >= at_us) {
		if (a)
			withdraw(st, c, a);
		next(st, c, s, a);
		if (!c->asking)
			return;
		at_us = st->tick->now_us + asked_us(st, c);
	} else if (!c->asking && first_missing(st->e, c, a) == OWN_ADDRESSES_MAX) {
		return;
	}
	if (at_us < *next_us)
		*next_us = at_us;
}

void announce_echoed(struct step *st, struct conn *c, struct subflow *s)
{
	if (c->asking && st->o.mp.add_addr.address_id == slot_id(st->e, c->asked_slot)) {
		c->asking = false;
		c->told |= 1u << c->asked_slot;
		c->join_at_us = 0;
		subflow_event(st, c, s, REASON_ADD_ADDR_ECHOED);
	}
}

void announce_removal(struct step *st, struct conn *c, uint8_t id)
{
	struct addresses *a = addresses_of(st->e, c);

	if (!a)
		return;
	for (unsigned i = 0; i < a->n_removals; i++)
		if (a->removal[i] == id)
			return;
	/* The oldest were sent most likely. */
	if (a->n_removals == REMOVALS_MAX)
		memmove(a->removal, a->removal + 1, --a->n_removals);
	a->removal[a->n_removals++] = id;
	a->n_removals_sent = 0;
	a->remove_at_us = 0;
}

void announce_removal_once(struct step *st, struct conn *c, uint8_t id)
{
	struct addresses *a;

	announce_removal(st, c, id);
	a = addresses_own(st->e, c);
	if (a)
		a->n_removals_sent = UNANSWERED_TWICE - 1;
}

static void removals(struct step *st, struct conn *c, struct subflow *s, uint64_t *next_us)
{
	struct addresses *a = addresses_own(st->e, c);
	struct options_writer w = {0};
	struct remove_addr r = {0};

	if (!a || a->n_removals == 0)
		return;
	if (st->tick->now_us >= a->remove_at_us) {
		r.n = a->n_removals;
		memcpy(r.address_id, a->removal, r.n);
		remove_addr_encode(&w, &r);
		a->remove_at_us = st->tick->now_us + TWICE_US;
		if (send(st, c, s, &w, false, REASON_REMOVE_ADDR_SENT)) {
			subflow_event(st, c, s, REASON_REMOVE_ADDR_SENT);
			if (++a->n_removals_sent == UNANSWERED_TWICE)
				a->n_removals = 0;
		}
	}
	if (a->n_removals && a->remove_at_us < *next_us)
		*next_us = a->remove_at_us;
}

static void prios(struct step *st, struct conn *c, uint64_t *next_us)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(st->e, k)->next) {
		struct subflow *s = subflow_at(st->e, k);
		struct options_writer w = {0};
		struct mp_prio p = {.backup = s->backup_local};

		if (s->prio_due == 0 || s->state != SUBFLOW_ESTABLISHED)
			continue;
		mp_prio_encode(&w, &p);
		if (send(st, c, s, &w, false, REASON_PRIO_SENT)) {
			s->prio_due--;
			subflow_event(st, c, s, REASON_PRIO_SENT);
		}
		if (s->prio_due && st->tick->now_us + TWICE_US < *next_us)
			*next_us = st->tick->now_us + TWICE_US;
	}
}

void announce_check(struct step *st, struct conn *c, uint64_t *next_us)
{
	struct subflow *s = path_manager_living(st->e, c);

	prios(st, c, next_us);
	if (!s)
		return;
	if (announce_due(st->e, c))
		adds(st, c, s, next_us);
	removals(st, c, s, next_us);
	fold(st->e, c);
}
