// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_paths.c - uplinks that go, come back and move to another address; the engine hears of it by
 * engine_path_set(), later than it happens, as rtnetlink tells it.
 */
#include "sim_flow.h"
#include "sim_gate.h"

void paths_init(struct sim *w)
{
	for (unsigned i = 0; i < PATH_EVENTS_MAX; i++)
		w->tell_us[i] = NEVER;
}

uint64_t paths_next_us(const struct sim *w)
{
	const struct control_script *k = &w->sc.control;
	uint64_t us = w->n_events < k->n_events ? k->event[w->n_events].at_us : NEVER;

	for (unsigned i = 0; i < w->n_events; i++)
		us = w->tell_us[i] < us ? w->tell_us[i] : us;
	return us;
}

/* The end that asks: the only one that joins. */
static bool heard_dss(const struct flow *f)
{
	return f->far ? f->far->check.confirmed : f->peer.heard_dss;
}

/* Some subflow stands on a path that is there. */
static bool reached(const struct gate *g, const struct flow *f)
{
	const struct check *c = &g->flow[f->index].check;
	const struct conntrack *ct = &g->ct[f->index];

	for (unsigned i = 0; i < c->n_sub; i++) {
		const struct check_sub *b = &c->sub[i];
		unsigned path = i ? b->path : ct->path;

		if (b->state == CHECK_OPEN && !b->fin_came &&
		    !g->w->uplink[gate_uplink(g, path)].down &&
		    gate_is_here(g, path, i ? &b->tuple : &ct->net))
			return true;
	}
	return false;
}

/*
 * Lawfully stuck: the path that carries all that is known of the connection went before there was
 * a second subflow, and either the peer has no keys yet, or nothing tells the gate, or it was told
 * to use this path alone. Or nothing reaches who is asked any more: he joins nobody, and cannot say
 * where else he is.
 */
static void excuse(struct sim *w, unsigned uplink, bool told)
{
	struct gate *g = w->gate[uplink / SIM_PATHS_MAX];
	bool bound = w->sc.control.mode == ENGINE_NDIFFPORTS && w->sc.role != ROLE_RESPONDER;

	for (unsigned i = 0; i < w->sc.n_flows; i++) {
		struct flow *f = &w->flow[i];
		const struct conntrack *ct = &g->ct[i];
		bool first = ct->path == uplink % SIM_PATHS_MAX;
		bool alone = !f->check.multi || bound;

		/* Somebody's SYN was still on its way there. */
		if (!ct->known && f->passive && f->peer.started && f->peer.n_sub > 0 &&
		    f->peer.sub[0].path == uplink)
			f->excused = true;
		if (!ct->known || !(f->guest.started || f->peer.started))
			continue;
		if (g->flow[i].passive)
			f->excused |= !reached(g, f);
		else if (first &&
			 (!f->check.confirmed || !heard_dss(f) || (alone && !told) || bound))
			f->excused = true;
	}
}

static void happen(struct sim *w, unsigned n)
{
	const struct path_event *ev = &w->sc.control.event[n];
	struct uplink *u = &w->uplink[ev->path];
	bool told =
		ev->change == PATH_DOWN || ev->change == PATH_UP || ev->change == PATH_READDRESSED;

	sim_log(w, "path %u: change %u", ev->path, ev->change);
	if (ev->change == PATH_READDRESSED) {
		u->generation++;
	} else {
		bool both = ev->change == PATH_DOWN || ev->change == PATH_DEAD;

		u->loses[0] = both || ev->change == PATH_DEAD_TO_NET;
		u->loses[1] = both || ev->change == PATH_DEAD_FROM_NET;
		u->down = u->loses[0] || u->loses[1];
	}
	if (u->down)
		u->down_us = w->now_us;
	w->tell_us[n] = told ? w->now_us + ev->lag_us : NEVER;
	excuse(w, ev->path, told);
}

void paths_run(struct sim *w)
{
	const struct control_script *k = &w->sc.control;

	/* What was told first is of the earlier event: the messages keep their order. */
	for (unsigned i = 0; i < w->n_events; i++)
		if (w->tell_us[i] <= w->now_us) {
			struct uplink *u = &w->uplink[k->event[i].path];

			w->tell_us[i] = NEVER;
			u->told_us = u->down ? w->now_us : u->told_us;
			gate_path_told(w->gate[k->event[i].path / SIM_PATHS_MAX],
				       k->event[i].path % SIM_PATHS_MAX);
		}
	while (w->n_events < k->n_events && k->event[w->n_events].at_us <= w->now_us) {
		happen(w, w->n_events);
		w->n_events++;
	}
}
