/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stranger.c - see stranger.h.
 */
#include "engine/stranger.h"

#include "engine/claims.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/join_accept.h"

/* For a subflow of the gate that is gone. */
static bool ours(struct step *st)
{
	struct flow_tuple net = flow_tuple_reverse(&st->p.tuple);

	return st->in->from == ENGINE_NET &&
	       (join_accept_own_place(st->e, &net) || join_accept_stray(st));
}

/* It names itself as the other end of a connection of ours would. */
static bool wrong_side(struct step *st)
{
	struct flow_tuple reverse = flow_tuple_reverse(&st->p.tuple);
	const struct conn *c;

	if (st->in->from == ENGINE_GUEST)
		return subflow_find(st->e, &reverse) != NULL;
	c = conn_find(st->e, &st->p.tuple);
	return c && c->state == CONN_ESTABLISHED;
}

static struct engine_result nobodys(struct step *st, const struct mp_tcprst *why,
				    enum reason reason)
{
	struct engine_result r = verdict(ENGINE_DROP, reason, ENGINE_NO_CONN);

	emit_rst_back(st, why, reason);
	/* Nobody's any more: a SYN may have the tuple (but not from a connection that lives on). */
	if (st->in->mark_converted && !claims_begun(st->e, &st->p.tuple))
		r.ask = st->p.tuple;
	return r;
}

struct engine_result stranger(struct step *st)
{
	const struct mp_tcprst gone = {.reason = MP_TCPRST_MPTCP};

	if (wrong_side(st))
		return verdict(ENGINE_DROP, REASON_DROP_WRONG_SIDE, ENGINE_NO_CONN);
	/* Half when it was queued: meanwhile something before it made the connection plain (R1). */
	if (st->in->mark_half)
		return verdict(ENGINE_ACCEPT, REASON_PLAIN_UNKNOWN, ENGINE_NO_CONN);
	if (st->in->from == ENGINE_NET)
		options_decode(&st->o, st->p.options, st->p.options_bytes, st->p.flags & TCP_SYN,
			       st->p.flags & TCP_ACK, st->p.payload_bytes > 0);
	/* The host's kernel is not asked: it knows nothing of the port (I6). */
	if (ours(st) || (st->in->mark_converted && claims_forgotten(st->e, &st->p.tuple)))
		return nobodys(st, &gone, REASON_DROP_NO_SUBFLOW);
	/* A SYN/ACK may be a new connection's, unless the old one lives on elsewhere. */
	if (st->in->mark_converted &&
	    (!(st->p.flags & TCP_SYN) ||
	     ((st->p.flags & TCP_ACK) && claims_begun(st->e, &st->p.tuple))))
		return nobodys(st, st->o.mp.any ? &gone : NULL, REASON_DROP_ORPHAN);
	return verdict(ENGINE_ACCEPT, REASON_PLAIN_UNKNOWN, ENGINE_NO_CONN);
}
