/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * claimed.c - see claimed.h.
 */
#include "app/claimed.h"

#include <stdlib.h>
#include <uthash.h>

#define ALL_FLAGS (STEER_SYN | STEER_ACK | STEER_RST | STEER_FIN)

struct entry {
	struct flow_tuple tuple;
	unsigned state; /* enum steer_state */
	UT_hash_handle hh;
};

struct claimed {
	struct entry *table;
	struct engine_claim claim[ENGINE_CLAIMS_MAX];
};

unsigned claimed_state(enum engine_claim_kind kind)
{
	static const enum steer_state states[] = {
		[ENGINE_CLAIM_HALF] = STEER_IS_HALF,
		[ENGINE_CLAIM_CONVERTED] = STEER_IS_CONVERTED,
		[ENGINE_CLAIM_OWN] = STEER_IS_OWN,
		[ENGINE_CLAIM_OVER] = STEER_IS_OVER,
		[ENGINE_CLAIM_FORGOTTEN] = STEER_IS_FORGOTTEN,
	};

	if (kind == ENGINE_CLAIM_RELEASED || kind == ENGINE_CLAIM_ENDED)
		return 0;
	return states[kind];
}

struct claimed *claimed_new(void)
{
	return calloc(1, sizeof(struct claimed));
}

static struct entry *find(const struct claimed *c, const struct flow_tuple *tuple)
{
	struct entry *e;

	HASH_FIND(hh, c->table, tuple, sizeof(*tuple), e);
	return e;
}

static void rm(struct claimed *c, struct entry *e)
{
	if (!e || !c->table)
		return;
	HASH_DEL(c->table, e);
	free(e);
}

void claimed_del(struct claimed *c)
{
	if (!c)
		return;
	while (c->table)
		rm(c, c->table);
	free(c);
}

static void put(struct claimed *c, const struct flow_tuple *tuple, unsigned state)
{
	struct entry *e = find(c, tuple);

	/* Over, and taken out by a SYN meanwhile: the tuple is another's. */
	if (!e && (state == STEER_IS_OVER || state == STEER_IS_FORGOTTEN))
		return;
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			abort(); /* the end of a tool, not of a daemon */
		e->tuple = *tuple;
		HASH_ADD(hh, c->table, tuple, sizeof(e->tuple), e);
	}
	e->state = state;
}

void claimed_fetch(struct claimed *c, struct engine *e)
{
	unsigned n;

	while ((n = engine_claims(e, c->claim)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			const struct engine_claim *claim = &c->claim[i];
			unsigned state = claimed_state((enum engine_claim_kind)claim->kind);

			if (state)
				put(c, &claim->tuple, state);
			else
				rm(c, find(c, &claim->tuple));
		}
	}
}

unsigned claimed_orphaned(const struct engine_result *r)
{
	if (r->verdict != ENGINE_DROP || r->ask.family == 0)
		return 0;
	return r->reason == REASON_DROP_NO_SUBFLOW ? STEER_IS_FORGOTTEN : STEER_IS_OVER;
}

void claimed_orphan(struct claimed *c, const struct engine_result *r)
{
	unsigned state = claimed_orphaned(r);

	if (state)
		put(c, &r->ask, state);
}

unsigned claimed_find(const struct claimed *c, const struct flow_tuple *tuple)
{
	const struct entry *e = find(c, tuple);

	return e ? e->state : 0;
}

unsigned claimed_count(const struct claimed *c)
{
	unsigned n = 0;

	for (const struct entry *e = c->table; e; e = e->hh.next)
		n += e->state != STEER_IS_FORGOTTEN;
	return n;
}

uint32_t claimed_ingress(struct claimed *c, const struct claimed_segment *s)
{
	struct entry *e = find(c, &s->tuple);
	bool again;
	uint32_t mark =
		steer_mark((uint16_t)(e ? e->state : 0), s->side, s->flags, s->options, &again);

	if (again)
		rm(c, e);
	return mark;
}

uint32_t claimed_too_big(const struct claimed *c, const struct flow_tuple *sent)
{
	struct flow_tuple answer = flow_tuple_reverse(sent);

	return claimed_find(c, &answer) ? STEER_SHOWN : 0;
}

bool claimed_stolen(uint32_t mark, bool tcp, bool mptcp)
{
	return mark && (mark != STEER_SHOWN || !tcp || mptcp);
}

bool claimed_forwarded(const struct claimed_segment *s)
{
	unsigned flags = s->flags & ALL_FLAGS;

	if (s->side == STEER_GUEST)
		return (flags & ~(unsigned)STEER_ACK) == STEER_SYN;
	return flags == (STEER_SYN | STEER_ACK) || flags == (STEER_RST | STEER_ACK) ||
	       (flags == STEER_SYN && s->mptcp);
}
