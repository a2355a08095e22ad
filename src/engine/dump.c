/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dump.c - looking into the engine: connections, paths, counters.
 */
#include "engine/responder.h"
#include "engine/state.h"

static const char *const conn_state_name[] = {
	[CONN_FREE] = "free",
	[CONN_SYN_SENT] = "syn-sent",
	[CONN_SYN_RECEIVED] = "syn-received",
	[CONN_SYNACK_SENT] = "synack-sent",
	[CONN_ASKED] = "asked",
	[CONN_ESTABLISHED] = "established",
	[CONN_FALLBACK] = "fallback",
	[CONN_CLOSED] = "closed",
};
_Static_assert(sizeof(conn_state_name) / sizeof(conn_state_name[0]) == CONN_CLOSED + 1,
	       "every state has a name");

static const char *const subflow_state_name[] = {
	[SUBFLOW_FREE] = "free",
	[SUBFLOW_ESTABLISHED] = "established",
	[SUBFLOW_JOIN_SYN] = "join-syn-sent",
	[SUBFLOW_JOIN_ACK] = "join-ack-sent",
	[SUBFLOW_JOIN_RECEIVED] = "join-received",
	[SUBFLOW_FIN_SENT] = "fin-sent",
	[SUBFLOW_CLOSED] = "closed",
};
_Static_assert(sizeof(subflow_state_name) / sizeof(subflow_state_name[0]) == SUBFLOW_CLOSED + 1,
	       "every state has a name");

static void subflow_info(const struct engine *e, const struct subflow *s,
			 struct engine_subflow_info *info)
{
	*info = (struct engine_subflow_info){.path = s->path,
					     .backup = s->backup,
					     .backup_local = s->backup_local,
					     .backup_peer = s->backup_peer,
					     .leaving = (enum reason)s->leaving,
					     .address_id = s->address_id_local,
					     .peer_address_id = s->address_id_peer,
					     .min_rtt_us = s->min_rtt_us,
					     .state = subflow_state_name[s->state],
					     .tuple = s->net,
					     .srtt_us = s->srtt_us ? s->srtt_us : s->syn_rtt_us,
					     .to_net_bytes = s->to_net_bytes,
					     .from_net_bytes = s->from_net_bytes,
					     .retransmits = s->retransmits};
	if (s->sender != NONE) {
		const struct sender *x = pool_at(&e->senders, e, s->sender);

		info->cwnd_bytes = x->cc.cwnd_bytes;
		info->srtt_us = x->srtt_us;
		info->min_rtt_us = x->min_rtt_us;
		if (x->stale && s->state == SUBFLOW_ESTABLISHED)
			info->state = "stale";
	}
}

bool engine_conn_info(const struct engine *e, conn_ref conn, uint64_t now_us,
		      struct engine_conn_info *info)
{
	const struct conn *c;

	if (conn >= e->conns.n_touched)
		return false;
	c = pool_at(&e->conns, e, conn);
	if (c->state == CONN_FREE)
		return false;
	*info = (struct engine_conn_info){.guest = c->guest,
					  .role = c->responder ? "responder" : "initiator",
					  .mode = "single",
					  .state = conn_state_name[c->state],
					  .reason = c->reason,
					  .checksum = c->checksum,
					  .age_us = now_us - c->created_us,
					  .idle_us = now_us - c->active_us,
					  .from_guest_bytes = c->from_guest_bytes,
					  .to_guest_bytes = c->to_guest_bytes};
	if (c->multi != NONE)
		info->mode = "multi";
	else if (c->state == CONN_FALLBACK)
		info->mode = "fallback";
	else if (c->state == CONN_SYN_SENT && c->syn_plain)
		info->mode = "plain";
	for (uint32_t i = c->subflow; i != NONE && info->n_subflows < ENGINE_SUBFLOWS_MAX;) {
		const struct subflow *s = pool_at(&e->subflows, e, i);

		subflow_info(e, s, &info->subflow[info->n_subflows++]);
		i = s->next;
	}
	/* What several subflows needed is gone with the end. */
	if (c->state == CONN_CLOSED && info->n_subflows > 1)
		info->mode = "multi";
	return true;
}

void engine_path_info(const struct engine *e, unsigned path, struct engine_path_info *info)
{
	*info = (struct engine_path_info){.usable = e->path_usable[path],
					  .to_net_bytes = e->path_bytes[path][ENGINE_NET],
					  .from_net_bytes = e->path_bytes[path][ENGINE_GUEST],
					  .to_net_pkts = e->path_pkts[path][ENGINE_NET],
					  .from_net_pkts = e->path_pkts[path][ENGINE_GUEST]};
	for (uint32_t i = 0; i < e->subflows.n_touched; i++) {
		const struct subflow *s = pool_at(&e->subflows, e, i);

		info->subflows += s->state != SUBFLOW_FREE && s->path == path;
	}
}

uint64_t engine_counter(const struct engine *e, enum reason reason)
{
	return e->counter[reason];
}

uint32_t engine_connections(const struct engine *e)
{
	return e->conns.n_used;
}

bool engine_pool_info(const struct engine *e, unsigned i, struct engine_pool_info *info)
{
	const struct {
		const char *name;
		const struct pool *pool;
	} kinds[] = {{"connections", &e->conns},   {"subflows", &e->subflows},
		     {"mappings", &e->mappings},   {"multipath", &e->multis},
		     {"senders", &e->senders},     {"segments", &e->txsegs},
		     {"spans", &e->spans},         {"payload", &e->chunks},
		     {"addresses", &e->addresses}, {"partials", &e->partials}};

	if (i >= sizeof(kinds) / sizeof(kinds[0]))
		return false;
	*info = (struct engine_pool_info){kinds[i].name, kinds[i].pool->n_used,
					  kinds[i].pool->n_records};
	return true;
}
