// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_peer_join.c - subflows that join (RFC 8684 section 3.2), at the end that is asked.
 */
#include "sim_flow.h"
#include "sim_peer.h"

#define REASON_MPTCP 1
#define REASON_RESOURCES 2
#define REASON_PROHIBITED 3

static struct peer *owner_of(struct sim *w, uint32_t token)
{
	uint32_t t;
	uint64_t idsn;

	for (unsigned i = w->sc.n_flows; i-- > 0;) {
		struct peer *p = &w->flow[i].peer;

		if (p->n_sub == 0 || !peer_multipath(p))
			continue;
		key_derive(p->key_local, &t, &idsn);
		if (t == token)
			return p;
	}
	return NULL;
}

/* In use: more than PEER_SUBFLOWS_MAX never are, so a record can be found for each. */
static unsigned living(const struct peer *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_sub; i++)
		n += p->sub[i].t.state != TCP_RESET;
	return n;
}

void peer_join_answer(struct peer *p, struct peer_sub *s)
{
	struct mp m = {.join = JOIN_SYN_ACK, .nonce = s->nonce_local};
	uint8_t hmac[32];

	join_hmac(p->key_local, p->key_remote, s->nonce_local, s->nonce_remote, hmac);
	memcpy(m.hmac, hmac, sizeof(m.hmac));
	s->t.backoff = s->syn_acks++;
	tcp_syn(&s->t, true, &m);
}

void peer_join(struct sim *w, unsigned path, const struct seg *g)
{
	struct peer *p = owner_of(w, g->mp.token);
	const struct flow_script *script = p ? p->f->script : NULL;
	struct tcp_traits k;
	struct peer_sub *s;

	if (!p || p->reset || !p->open || p->linger_at_us != NEVER) {
		if (!p)
			sim_log(w, "a join with a token of nobody");
		peer_stray_reset(w, path, g, REASON_MPTCP);
		return;
	}
	if (living(p) >= script->peer_subflows_max ||
	    rng_chance(&p->rng, script->peer_refuses_join_percent)) {
		peer_stray_reset(w, path, g, REASON_PROHIBITED);
		return;
	}
	if (!peer_joinable(p, &g->tuple))
		sim_fail(w, "I4: a join to an address that nobody announced: %s", seg_text(g));
	k = script->peer;
	k.mss_reserve = 28;
	k.isn = (uint32_t)rng_next(&p->rng);
	k.ts_base = (uint32_t)rng_next(&p->rng);
	s = peer_sub_new(p, path, g, &k);
	s->joined = true;
	s->backup = g->mp.backup;
	s->id_remote = g->mp.join_id;
	s->nonce_remote = g->mp.nonce;
	s->nonce_local = (uint32_t)rng_next(&p->rng);
	s->refused = rng_chance(&p->rng, script->peer_refuses_third_percent);
	if (rng_chance(&p->rng, script->peer_resets_percent))
		s->reset_at_us = w->now_us + rng_range(&p->rng, 1, 3000) * 1000;
	peer_join_answer(p, s);
}

/* RFC 8684 section 3.4.2: subflows to that address end; what they carry goes over the others. */
void peer_removed(struct peer *p, const struct mp *m)
{
	for (unsigned i = 0; i < m->n_removed; i++)
		for (unsigned k = 0; k < p->n_sub; k++) {
			struct peer_sub *s = &p->sub[k];

			if (s->id_remote == m->removed[i] && s->t.state != TCP_RESET)
				peer_sub_reset(p, s, 0);
		}
}

void peer_join_third(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	uint8_t want[32];

	join_hmac(p->key_remote, p->key_local, s->nonce_remote, s->nonce_local, want);
	if (g->mp.join != JOIN_ACK || memcmp(want, g->mp.hmac, HMAC_BYTES) != 0) {
		if (!p->w->sc.boxes && !p->w->sc.spoils_joins && !p->w->sc.strips_joined)
			sim_fail(p->w, "I4: the third ACK of a join has %s: %s",
				 g->mp.join == JOIN_ACK ? "a wrong HMAC" : "no MP_JOIN",
				 seg_text(g));
		peer_sub_reset(p, s, REASON_MPTCP);
		return;
	}
	if (g->len_bytes)
		sim_fail(p->w, "I4: data on the third ACK of a join: %s", seg_text(g));
	if (s->refused) {
		peer_sub_reset(p, s, REASON_RESOURCES);
		return;
	}
	s->t.state = TCP_OPEN;
	s->t.una = g->ack;
	s->t.rto_at_us = NEVER;
	s->t.backoff = 0;
	p->alone_at_us = NEVER;
	tcp_ack(&s->t); /* the fourth: it may send now */
}
