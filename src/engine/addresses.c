/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addresses.c - see addresses.h.
 */
#include "engine/addresses.h"

#include "base/siphash.h"
#include "engine/announce.h"
#include "engine/conn.h"
#include "engine/crypto.h"
#include "engine/emit.h"

#define FAILED_FIRST_US 2000000ull
#define FAILED_DOUBLINGS_MAX 7 /* four minutes and a bit */
#define STRIPPED_MAX 3
#define FAILED_FORGET_US (3600ull * 1000000)

struct addresses *addresses_own(struct engine *e, const struct conn *c)
{
	struct addresses *a = c->addresses == NONE ? NULL : addresses_at(e, c->addresses);

	return a && a->shared == 0 ? a : NULL;
}

static uint32_t *shared_slot(struct engine *e, const struct addresses *a)
{
	uint64_t tag = siphash(e->cfg.seed, a->peer, a->n_peer * sizeof(a->peer[0]));

	return &e->shared[tag % SHARED_SLOTS];
}

struct addresses *addresses_of(struct engine *e, struct conn *c)
{
	struct addresses *a = c->addresses == NONE ? NULL : addresses_at(e, c->addresses), *old = a;
	uint32_t i;

	/* The last that shares it. */
	if (a && a->shared == 1) {
		*shared_slot(e, a) = 0;
		a->shared = 0;
	}
	if (a && a->shared == 0)
		return a;
	i = pool_new(&e->addresses, e);
	if (i == NONE)
		return NULL;
	a = addresses_at(e, i);
	memset(a, 0, sizeof(*a));
	if (old) {
		*a = *old;
		a->shared = 0;
	}
	addresses_free(e, c);
	c->addresses = i;
	return a;
}

void addresses_free(struct engine *e, struct conn *c)
{
	struct addresses *a = c->addresses == NONE ? NULL : addresses_at(e, c->addresses);

	if (a && a->shared > 1) {
		a->shared--;
	} else if (a) {
		if (a->shared)
			*shared_slot(e, a) = 0;
		pool_free(&e->addresses, e, c->addresses);
	}
	c->addresses = NONE;
}

void addresses_share(struct engine *e, struct conn *c)
{
	struct addresses *a = addresses_own(e, c), *other;
	uint32_t *slot = shared_slot(e, a), i;

	if (*slot == 0) {
		*slot = c->addresses + 1;
		a->shared = 1;
		return;
	}
	i = *slot - 1;
	other = addresses_at(e, i);
	/* Where another set has the place this one stays alone. */
	if (other->n_peer != a->n_peer ||
	    memcmp(other->peer, a->peer, a->n_peer * sizeof(a->peer[0])) != 0)
		return;
	addresses_free(e, c);
	other->shared++;
	c->addresses = i;
}

/* Something that a host can have, and that is not ours: nobody may make us join ourselves. */
static bool joinable(const struct engine *e, const struct conn *c, uint8_t family,
		     const struct ip_addr *a)
{
	const uint8_t *b = a->b;

	if (ip_addr_is_zero(a))
		return false;
	if (family == FLOW_IPV4 && (b[0] == 0 || b[0] == 127 || b[0] >= 224))
		return false;
	if (family == FLOW_IPV6) {
		static const uint8_t loopback[16] = {[15] = 1};

		if (b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) ||
		    memcmp(b, loopback, sizeof(loopback)) == 0)
			return false;
	}
	if (family == c->guest.family &&
	    (ip_addr_equal(a, &c->guest.src) || ip_addr_equal(a, &c->local_addr)))
		return false;
	for (unsigned i = 0; i < e->cfg.n_paths; i++)
		if (ip_addr_equal(a, family == FLOW_IPV4 ? &e->cfg.path[i].addr4
							 : &e->cfg.path[i].addr6))
			return false;
	return true;
}

static bool in_use(struct engine *e, const struct conn *c, const struct peer_address *p)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		if (subflow_at(e, k)->net.family == p->family &&
		    ip_addr_equal(&subflow_at(e, k)->net.dst, &p->addr) &&
		    subflow_at(e, k)->address_id_peer == p->id)
			return true;
	return false;
}

/* Remembers the address; the reason says what became of it. */
static enum reason remember(struct engine *e, struct conn *c, const struct add_addr *a)
{
	struct addresses *all = c->addresses == NONE ? NULL : addresses_at(e, c->addresses);
	struct peer_address p = {
		.id = a->address_id, .family = a->family, .port = a->port, .addr = a->addr};
	unsigned n = all ? all->n_peer : 0, at = 0;

	/* Id 0 is known: it cannot mean another address. */
	if (p.id == 0 || !joinable(e, c, p.family, &p.addr))
		return REASON_ADD_ADDR_REFUSED;
	while (at < n && all->peer[at].id != p.id)
		at++;
	if (at < n && memcmp(&all->peer[at], &p, sizeof(p)) == 0)
		return REASON_ADD_ADDR_REPEATED;
	/* An id whose address has subflows cannot move: REMOVE_ADDR must come first. */
	if (at == PEER_ADDRESSES_MAX || (at < n && in_use(e, c, &all->peer[at])))
		return REASON_ADD_ADDR_REFUSED;
	all = addresses_of(e, c);
	if (!all)
		return REASON_ADD_ADDR_REFUSED;
	all->n_peer += at == n;
	all->peer[at] = p;
	return REASON_ADD_ADDR_ACCEPTED;
}

static void on_add(struct step *st, struct conn *c, struct subflow *s)
{
	const struct add_addr *a = &st->o.mp.add_addr;
	enum reason reason = REASON_ADD_ADDR_HMAC;
	uint8_t hmac[8];

	crypto_add_addr_hmac(c->key_peer, c->key_local, a->address_id, a->family, &a->addr, a->port,
			     hmac);
	if (crypto_equal(hmac, a->hmac, sizeof(hmac))) {
		reason = remember(st->e, c, a);
		/* Refused ones too: the echo says that it was heard, no more. */
		announce_echo(st, c, s, a);
	}
	if (reason != REASON_ADD_ADDR_ACCEPTED) {
		count(st->e, reason);
		return;
	}
	subflow_event(st, c, s, reason);
	c->join_at_us = 0;
}

static void on_remove(struct step *st, struct conn *c)
{
	const struct remove_addr *r = &st->o.mp.remove_addr;
	struct engine *e = st->e;
	struct addresses *a = c->addresses == NONE ? NULL : addresses_of(e, c);

	/* Rather none at all than one that is gone. */
	if (!a)
		addresses_free(e, c);
	count(e, REASON_REMOVE_ADDR_RECEIVED);
	for (unsigned i = 0; i < r->n; i++) {
		uint8_t id = r->address_id[i];

		if (id == 0)
			c->initial_removed = true;
		for (unsigned k = 0; a && k < a->n_peer; k++)
			if (a->peer[k].id == id)
				a->peer[k] = a->peer[--a->n_peer];
		for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
			if (subflow_at(e, k)->address_id_peer == id && !subflow_at(e, k)->leaving)
				subflow_at(e, k)->leaving = REASON_SUBFLOW_ADDRESS_REMOVED;
	}
	c->join_at_us = 0;
}

static void on_prio(struct step *st, struct conn *c, struct subflow *s)
{
	const struct mp_prio *p = &st->o.mp.prio;
	struct engine *e = st->e;

	/* Version 1 speaks of the subflow at hand alone; the id is version 0's. */
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *t = subflow_at(e, k);

		if (p->has_address_id ? t->address_id_peer != p->address_id : t != s)
			continue;
		if (t->backup_peer == p->backup)
			continue;
		t->backup_peer = p->backup;
		t->backup = t->backup_local || t->backup_peer;
		subflow_event(st, c, t, REASON_PRIO_RECEIVED);
	}
}

void addresses_on_packet(struct step *st, struct conn *c, struct subflow *s)
{
	const struct mptcp *m = &st->o.mp;

	/* It speaks again over the path that had gone: nothing is lost. */
	if (s->leaving == REASON_SUBFLOW_PATH_DOWN && st->e->path_usable[s->path])
		s->leaving = REASON_NONE;
	if (m->has_prio)
		on_prio(st, c, s);
	if (m->has_add_addr && m->add_addr.echo)
		announce_echoed(st, c, s);
	else if (m->has_add_addr)
		on_add(st, c, s);
	if (m->has_remove_addr)
		on_remove(st, c);
}

static bool same_place(const struct conn *c, const struct peer_address *a,
		       const struct peer_address *b)
{
	return a->family == b->family && ip_addr_equal(&a->addr, &b->addr) &&
	       (a->port ? a->port : c->peer_port) == (b->port ? b->port : c->peer_port);
}

bool addresses_target(struct engine *e, const struct conn *c, unsigned i, struct peer_address *to)
{
	const struct addresses *a = c->addresses == NONE ? NULL : addresses_at(e, c->addresses);
	const struct peer_address initial = {
		.family = c->guest.family, .port = c->peer_port, .addr = c->peer_addr};
	bool with_initial = !c->no_join && !c->initial_removed;

	if (with_initial && i-- == 0) {
		*to = initial;
		return true;
	}
	for (unsigned k = 0; a && k < a->n_peer; k++) {
		/* The address it began with, once more under another id. */
		if (with_initial && same_place(c, &a->peer[k], &initial))
			continue;
		if (i-- == 0) {
			*to = a->peer[k];
			to->port = to->port ? to->port : c->peer_port;
			return true;
		}
	}
	return false;
}

uint8_t addresses_peer_id(struct engine *e, const struct conn *c, const struct flow_tuple *net)
{
	struct peer_address to;

	for (unsigned i = 0; addresses_target(e, c, i, &to); i++)
		if (to.family == net->family && ip_addr_equal(&to.addr, &net->dst) &&
		    to.port == net->dst_port)
			return to.id;
	return 0;
}

static struct join_failure *failure_find(struct addresses *a, uint8_t path, uint8_t peer_id)
{
	for (unsigned i = 0; i < a->n_failures; i++)
		if (a->failure[i].path == path && a->failure[i].peer_id == peer_id)
			return &a->failure[i];
	return NULL;
}

static struct join_failure *failure_of(struct step *st, struct conn *c, uint8_t path,
				       uint8_t peer_id)
{
	struct addresses *a = addresses_of(st->e, c);
	struct join_failure *f = a ? failure_find(a, path, peer_id) : NULL;

	/* Of long ago: it was good meanwhile. */
	if (f && st->tick->now_us > f->again_at_us &&
	    st->tick->now_us - f->again_at_us > FAILED_FORGET_US)
		f->n = f->n_stripped = 0;
	if (!a || f)
		return f;
	/* The oldest makes room: at worst it is tried once more. */
	if (a->n_failures == JOIN_FAILURES_MAX)
		memmove(a->failure, a->failure + 1, --a->n_failures * sizeof(a->failure[0]));
	f = &a->failure[a->n_failures++];
	*f = (struct join_failure){
		.again_at_us = st->tick->now_us, .path = path, .peer_id = peer_id};
	return f;
}

void addresses_failed(struct step *st, struct conn *c, uint8_t path, uint8_t peer_id, bool forever)
{
	struct join_failure *f = failure_of(st, c, path, peer_id);

	if (!f)
		return;
	f->again_at_us = forever ? UINT64_MAX : st->tick->now_us + (FAILED_FIRST_US << f->n);
	if (f->n < FAILED_DOUBLINGS_MAX)
		f->n++;
}

bool addresses_stripped(struct step *st, struct conn *c, uint8_t path, uint8_t peer_id)
{
	struct join_failure *f = failure_of(st, c, path, peer_id);

	return f && ++f->n_stripped >= STRIPPED_MAX;
}

uint64_t addresses_again_us(struct engine *e, const struct conn *c, uint8_t path, uint8_t peer_id)
{
	const struct join_failure *f = NULL;

	if (c->addresses != NONE)
		f = failure_find(addresses_at(e, c->addresses), path, peer_id);
	return f ? f->again_at_us : 0;
}

void addresses_forgive(struct engine *e, const struct conn *c, uint8_t path)
{
	struct addresses *a = addresses_own(e, c);
	unsigned n = 0;

	for (unsigned i = 0; a && i < a->n_failures; i++)
		if (path != ENGINE_NO_PATH && a->failure[i].path != path)
			a->failure[n++] = a->failure[i];
	if (a)
		a->n_failures = (uint8_t)n;
}
