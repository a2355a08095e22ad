/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * claims.c - see claims.h. What changes is noted in a short list until the caller fetches it; if
 * it does not in time, everything is told once more (and what was released meanwhile stays: its
 * packets then are answered as those of no connection).
 */
#include "engine/claims.h"

#include "engine/flow_table.h"

/* Of one connection: the guest's, each subflow's, and where it began. */
#define OF_CONN_MAX (2 + ENGINE_SUBFLOWS_MAX)
#define ROOM (8 * OF_CONN_MAX) /* more than one packet or timer can need */

_Static_assert(ENGINE_CLAIM_FORGOTTEN < 8 && ENGINE_CLAIM_RELEASED == 0,
	       "conn.claimed has three bits");

static void all_anew(struct engine *e)
{
	e->claims_renew = true;
	e->claims_cursor = 0;
}

static void note(struct engine *e, enum engine_side from, const struct flow_tuple *own,
		 enum engine_claim_kind kind)
{
	struct engine_claim *claim = &e->claim[e->n_claims];

	if (e->n_claims == ENGINE_CLAIMS_MAX) {
		all_anew(e);
		return;
	}
	*claim = (struct engine_claim){.from = (uint8_t)from, .kind = (uint8_t)kind};
	/* A net tuple names the gate first, but the peer sends. */
	claim->tuple = from == ENGINE_GUEST ? *own : flow_tuple_reverse(own);
	e->n_claims++;
}

/* What the connection's state asks for. */
static enum engine_claim_kind wanted(struct engine *e, const struct conn *c)
{
	const struct subflow *s;

	switch ((enum conn_state)c->state) {
	case CONN_SYN_RECEIVED:
	case CONN_SYNACK_SENT:
		return ENGINE_CLAIM_HALF;
	case CONN_ASKED:
		return c->responder ? ENGINE_CLAIM_HALF : ENGINE_CLAIM_RELEASED;
	case CONN_ESTABLISHED:
		return ENGINE_CLAIM_CONVERTED;
	case CONN_FALLBACK: /* rewritten on, or left to the kernel */
		s = c->subflow == NONE ? NULL : subflow_at(e, c->subflow);
		return s && (s->remapped || s->shifted) ? ENGINE_CLAIM_CONVERTED
							: ENGINE_CLAIM_RELEASED;
	case CONN_CLOSED:
		return ENGINE_CLAIM_OVER;
	case CONN_FREE:
	case CONN_SYN_SENT:
		break;
	}
	return ENGINE_CLAIM_RELEASED;
}

static enum engine_claim_kind of_subflow(const struct subflow *s, enum engine_claim_kind conn)
{
	return conn == ENGINE_CLAIM_CONVERTED && !s->initial ? ENGINE_CLAIM_OWN : conn;
}

/*
 * Where the connection began. To the host that tuple stays the guest's: when the subflow is gone
 * and the connection is not, what still comes there must not go on to the guest.
 */
static struct flow_tuple beginning(const struct conn *c)
{
	return (struct flow_tuple){.family = c->guest.family,
				   .src_port = c->local_port,
				   .dst_port = c->peer_port,
				   .src = c->local_addr,
				   .dst = c->peer_addr};
}

static void note_all(struct engine *e, const struct conn *c, enum engine_claim_kind kind)
{
	struct flow_tuple first = beginning(c);

	note(e, ENGINE_GUEST, &c->guest, kind);
	if (c->local_port != 0 && kind != ENGINE_CLAIM_HALF)
		note(e, ENGINE_NET, &first, kind);
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (kind == ENGINE_CLAIM_HALF || !flow_tuple_equal(&s->net, &first))
			note(e, ENGINE_NET, &s->net, of_subflow(s, kind));
	}
}

void claims_conn(struct engine *e, struct conn *c)
{
	enum engine_claim_kind kind = wanted(e, c);

	if (kind == c->claimed)
		return;
	c->claimed = kind & 7;
	note_all(e, c, kind);
}

void claims_subflow_add(struct engine *e, const struct conn *c, const struct subflow *s)
{
	if (c->claimed != ENGINE_CLAIM_RELEASED)
		note(e, ENGINE_NET, &s->net, of_subflow(s, (enum engine_claim_kind)c->claimed));
}

/*
 * Of what comes later for a subflow that is gone the host knows nothing: to keep it from answering,
 * the last ones stay claimed. Their memory is bounded by number, not by time; a SYN of a new
 * connection ends a claim at any time.
 */
static void forget(struct engine *e, const struct flow_tuple *net)
{
	struct flow_tuple *slot = &e->forgotten[e->n_forgotten++ % FORGOTTEN_SLOTS];

	if (slot->family != 0 && !flow_tuple_equal(slot, net) && !subflow_find(e, slot))
		note(e, ENGINE_NET, slot, ENGINE_CLAIM_RELEASED);
	*slot = *net;
	note(e, ENGINE_NET, net, ENGINE_CLAIM_FORGOTTEN);
}

bool claims_forgotten(const struct engine *e, const struct flow_tuple *peer)
{
	struct flow_tuple net = flow_tuple_reverse(peer);

	for (unsigned i = 0; i < FORGOTTEN_SLOTS && i < e->n_forgotten; i++)
		if (flow_tuple_equal(&e->forgotten[i], &net))
			return true;
	return false;
}

bool claims_begun(struct engine *e, const struct flow_tuple *peer)
{
	struct flow_tuple net = flow_tuple_reverse(peer);

	for (unsigned i = 0; i < BEGUN_SLOTS && i < e->n_begun; i++) {
		const struct begun *b = &e->begun[i];
		struct flow_tuple first = beginning(conn_at(e, b->conn));

		if (flow_tuple_equal(&b->net, &net) && flow_tuple_equal(&first, &net) &&
		    conn_at(e, b->conn)->claimed == ENGINE_CLAIM_CONVERTED)
			return true;
	}
	return false;
}

void claims_subflow_rm(struct engine *e, const struct conn *c, const struct subflow *s)
{
	struct flow_tuple first = beginning(c);
	bool began = flow_tuple_equal(&s->net, &first);

	if (c->claimed == ENGINE_CLAIM_CONVERTED && began)
		e->begun[e->n_begun++ % BEGUN_SLOTS] = (struct begun){first, conn_index(e, c)};
	if (c->claimed == ENGINE_CLAIM_RELEASED || (c->claimed != ENGINE_CLAIM_HALF && began))
		return;
	if (c->claimed == ENGINE_CLAIM_CONVERTED)
		forget(e, &s->net);
	else
		note(e, ENGINE_NET, &s->net, ENGINE_CLAIM_RELEASED);
}

void claims_end(struct engine *e, struct conn *c, bool reused)
{
	/* Half, it goes on without us; over, its tuple may be another's by now. */
	enum engine_claim_kind kind = c->claimed == ENGINE_CLAIM_CONVERTED && !reused
					      ? ENGINE_CLAIM_ENDED
					      : ENGINE_CLAIM_RELEASED;
	struct flow_tuple first = beginning(c);

	if (c->claimed == ENGINE_CLAIM_RELEASED)
		return;
	note(e, ENGINE_GUEST, &c->guest, kind);
	if (c->local_port != 0 && c->claimed != ENGINE_CLAIM_HALF)
		note(e, ENGINE_NET, &first, kind);
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (c->claimed == ENGINE_CLAIM_HALF)
			note(e, ENGINE_NET, &s->net, kind);
		else if (!flow_tuple_equal(&s->net, &first))
			forget(e, &s->net);
	}
	c->claimed = ENGINE_CLAIM_RELEASED;
}

void claims_adopted(struct engine *e)
{
	e->n_claims = 0;
	all_anew(e);
}

bool claims_full(const struct engine *e)
{
	return e->claims_fetched && e->n_claims > ENGINE_CLAIMS_MAX - ROOM;
}

/* All claims of as many connections as there is room for. */
static void renew(struct engine *e)
{
	while (e->claims_cursor < e->conns.n_touched &&
	       e->n_claims + OF_CONN_MAX <= ENGINE_CLAIMS_MAX) {
		struct conn *c = conn_at(e, e->claims_cursor++);

		c->claimed = wanted(e, c) & 7;
		if (c->claimed != ENGINE_CLAIM_RELEASED)
			note_all(e, c, wanted(e, c));
	}
	e->claims_renew = e->claims_cursor < e->conns.n_touched;
}

unsigned engine_claims(struct engine *e, struct engine_claim *claims)
{
	unsigned n;

	e->claims_fetched = true;
	if (e->claims_renew && e->n_claims == 0)
		renew(e);
	n = e->n_claims;
	memcpy(claims, e->claim, n * sizeof(*claims));
	e->n_claims = 0;
	return n;
}

bool engine_claims_wait(const struct engine *e)
{
	return e->n_claims > 0 || e->claims_renew;
}
