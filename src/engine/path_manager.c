/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * path_manager.c - see path_manager.h.
 *
 * Theory (from the thesis: TCP or MPTCP by the duration and intensity of the traffic). Most
 * connections are short and small: a second subflow would only cost them. So a connection stays on
 * one until it has moved `after_bytes`, or lived for `after_us` with data on its way, unless a rule
 * says `always`. Then each usable path without a subflow of this connection gets one (fullmesh), or
 * the first path gets more of them (ndiffports). What failed is tried again after a while, longer
 * each time.
 */
#include "engine/path_manager.h"

#include "engine/conn.h"
#include "engine/join.h"
#include "engine/policy.h"

#define AGAIN_US 2000000ull
#define AGAIN_REFUSED_US 30000000ull

static bool promoted(const struct engine *e, const struct conn *c, uint64_t now_us)
{
	const struct engine_cfg *cfg = &e->cfg;

	if (c->policy == ENGINE_ALWAYS || c->multi != NONE)
		return true;
	if (c->from_guest_bytes + c->to_guest_bytes >= cfg->after_bytes)
		return true;
	return cfg->after_us && now_us - c->created_us >= cfg->after_us;
}

static unsigned subflows_on(struct engine *e, const struct conn *c, uint8_t path)
{
	unsigned n = 0;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		n += subflow_at(e, k)->path == path;
	return n;
}

static bool has_address(const struct engine *e, const struct conn *c, uint8_t path)
{
	const struct engine_path_cfg *p = &e->cfg.path[path];

	return !ip_addr_is_zero(c->guest.family == FLOW_IPV4 ? &p->addr4 : &p->addr6);
}

static unsigned wanted(const struct engine *e, const struct conn *c, uint8_t path)
{
	if (e->cfg.mode == ENGINE_NDIFFPORTS)
		return path == c->path ? e->cfg.ndiffports : 0;
	return e->cfg.mode == ENGINE_FULLMESH;
}

void path_manager_check(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	uint64_t now_us = st->tick->now_us;
	unsigned max = e->cfg.max_subflows < ENGINE_SUBFLOWS_MAX ? e->cfg.max_subflows
								 : ENGINE_SUBFLOWS_MAX;

	if (now_us < c->join_at_us)
		return;
	if (c->join_at_us)
		c->join_at_us = now_us + AGAIN_US;
	if (c->state != CONN_ESTABLISHED || !c->confirmed || c->responder || c->no_join ||
	    c->guest_fin || c->peer_fin || e->cfg.mode == ENGINE_SINGLE || !promoted(e, c, now_us))
		return;
	for (uint8_t path = 0; path < e->cfg.n_paths; path++) {
		if (!e->path_usable[path] || !has_address(e, c, path))
			continue;
		while (c->n_subflows < max && subflows_on(e, c, path) < wanted(e, c, path))
			if (!join_start(st, c, path))
				break;
	}
	/* Whatever is missing then is looked for again, not at every segment. */
	c->join_at_us = now_us + (c->joins_refused ? AGAIN_REFUSED_US : AGAIN_US);
	conn_deadline(st, c);
}

void path_manager_path(struct engine *e, unsigned path)
{
	for (uint32_t i = 0; i < e->conns.n_touched; i++) {
		struct conn *c = conn_at(e, i);

		if (c->state != CONN_ESTABLISHED)
			continue;
		c->joins_refused = 0;
		if (c->multi == NONE && subflows_on(e, c, (uint8_t)path) == 0) {
			c->join_at_us = 0;
			continue;
		}
		/* Due at once: conn_timeout() sees the path's state. */
		c->join_at_us = c->join_at_us ? 1 : 0;
		deadline_set(e, c, 1);
	}
}
