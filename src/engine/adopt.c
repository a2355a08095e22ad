/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * adopt.c - see adopt.h.
 */
#include "engine/adopt.h"

#include "engine/announce.h"

struct moves {
	uint8_t to[ENGINE_PATHS_MAX]; /* new index by the old one */
	bool any;
};

static uint8_t find(const struct engine_cfg *cfg, const char *name)
{
	for (uint8_t i = 0; i < cfg->n_paths; i++)
		if (strcmp(cfg->path[i].name, name) == 0)
			return i;
	return ADOPT_GONE;
}

static bool plan(const struct engine *e, const struct engine_cfg *cfg, struct moves *m)
{
	bool gone = false;

	m->any = false;
	for (uint8_t i = 0; i < ENGINE_PATHS_MAX; i++) {
		/* Behind them stands what was gone already at an adoption before. */
		m->to[i] = i < e->cfg.n_paths ? find(cfg, e->cfg.path[i].name) : ADOPT_GONE;
		gone |= i < e->cfg.n_paths && m->to[i] == ADOPT_GONE;
		m->any |= i < e->cfg.n_paths && m->to[i] != i;
	}
	return !gone || cfg->n_paths <= ADOPT_GONE;
}

static uint8_t moved(const struct moves *m, uint8_t path)
{
	return path < ENGINE_PATHS_MAX ? m->to[path] : path;
}

static void move_addresses(const struct engine *e, struct addresses *a, const struct moves *m)
{
	struct own_address own[OWN_ADDRESSES_MAX];

	memcpy(own, a->own, sizeof(own));
	memset(a->own, 0, sizeof(a->own));
	for (unsigned i = 0; i < e->cfg.n_paths; i++)
		memcpy(&a->own[2 * m->to[i]], &own[2 * i], 2 * sizeof(own[0]));
	for (unsigned i = 0; i < a->n_failures; i++)
		a->failure[i].path = moved(m, a->failure[i].path);
}

static void move_records(struct engine *e, const struct moves *m)
{
	for (uint32_t i = 0; i < e->conns.n_touched; i++) {
		struct conn *c = conn_at(e, i);

		if (c->state == CONN_FREE)
			continue;
		c->path = moved(m, c->path);
		for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
			subflow_at(e, k)->path = moved(m, subflow_at(e, k)->path);
		announce_unfold(e, c);
		if (c->addresses != NONE)
			move_addresses(e, addresses_at(e, c->addresses), m);
	}
}

/*
 * An address id stands for a path's index and generation. Ids that living subflows still bear must
 * not come to mean another path's address: every path that moved begins a new generation.
 */
static void move_paths(struct engine *e, const struct moves *m,
		       struct engine_path_cfg old[ENGINE_PATHS_MAX])
{
	uint64_t pkts[ENGINE_PATHS_MAX][2], bytes[ENGINE_PATHS_MAX][2], heard_us[ENGINE_PATHS_MAX];
	bool usable[ENGINE_PATHS_MAX];
	uint8_t newest = 0;

	memcpy(pkts, e->path_pkts, sizeof(pkts));
	memcpy(bytes, e->path_bytes, sizeof(bytes));
	memcpy(usable, e->path_usable, sizeof(usable));
	memcpy(heard_us, e->path_heard_us, sizeof(heard_us));
	memset(e->path_pkts, 0, sizeof(pkts));
	memset(e->path_bytes, 0, sizeof(bytes));
	memset(e->path_heard_us, 0, sizeof(heard_us));
	memset(e->path_usable, 0, sizeof(usable));
	for (unsigned i = 0; i < OWN_ADDRESSES_MAX; i++)
		if (e->address_generation[i] > newest)
			newest = e->address_generation[i];
	for (unsigned i = 0; i < e->cfg.n_paths; i++) {
		unsigned to = m->to[i];

		old[to] = e->cfg.path[i];
		e->path_usable[to] = usable[i];
		e->path_heard_us[to] = heard_us[i];
		memcpy(e->path_pkts[to], pkts[i], sizeof(pkts[i]));
		memcpy(e->path_bytes[to], bytes[i], sizeof(bytes[i]));
	}
	for (unsigned i = 0; m->any && i < OWN_ADDRESSES_MAX; i++)
		e->address_generation[i] = (uint8_t)(newest + 1);
}

bool adopt_paths(struct engine *e, const struct engine_cfg *cfg,
		 struct engine_path_cfg old[ENGINE_PATHS_MAX])
{
	struct moves m;

	if (!plan(e, cfg, &m))
		return false;
	memcpy(old, cfg->path, sizeof(cfg->path));
	move_records(e, &m);
	move_paths(e, &m, old);
	return true;
}
