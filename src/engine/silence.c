/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * silence.c - see silence.h.
 */
#include "engine/silence.h"

#define SILENT_US 120000u /* and two round trips */
#define SILENT_LOOK_US 20000u
/* After a closed window, or after nobody was here, the peer's subflows wait for their timers. */
#define RESUME_US 1000000u

void silence_hole(struct step *st, struct multi *m)
{
	m->hole_us = st->tick->now_us;
	m->hole_at_us = m->hole_us + SILENT_US;
}

void silence_arrival(struct step *st, struct multi *m)
{
	uint64_t now_us = st->tick->now_us;

	if (m->came_us && m->came_us + SILENT_US <= now_us)
		m->resumed_us = now_us;
	m->came_us = now_us;
}

/*
 * Has the subflow brought nothing since then, although it did before? While its path brings
 * something for others, what it carries stands in a queue there.
 */
static bool silent(struct step *st, const struct subflow *s, uint64_t since_us)
{
	uint64_t us =
		SILENT_US + (s->sender == NONE ? 0 : 2ull * sender_at(st->e, s->sender)->srtt_us);
	uint64_t now_us = st->tick->now_us;

	return s->data_us && s->early == NONE && s->data_us + us <= now_us &&
	       since_us + us <= now_us && st->e->path_heard_us[s->path] + us <= now_us;
}

/*
 * Something is missing in the middle, others go on, and one subflow has become silent: what it
 * carries may take the peer many timeouts to send elsewhere, but a REMOVE_ADDR makes it do so at
 * once. The path is asked by joins from then on. Not when somebody has a hole of its own: then a
 * loss is being repaired.
 */
void silence_look(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct multi *m = multi_at(e, c->multi);
	struct subflow *found = NULL;
	bool others = false;

	m->hole_at_us = st->tick->now_us + SILENT_LOOK_US;
	if (m->resumed_us && m->resumed_us + RESUME_US > st->tick->now_us)
		return;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);

		if (s->state != SUBFLOW_ESTABLISHED || s->leaving)
			continue;
		if (s->early != NONE)
			return;
		if (silent(st, s, m->hole_us)) {
			if (found)
				return;
			found = s;
		} else {
			others |= s->data_us && s->data_us + SILENT_US / 2 > st->tick->now_us;
		}
	}
	/* Of a responder's paths it is the peer that asks again. */
	if (!found || !others || c->responder)
		return;
	found->leaving = REASON_SUBFLOW_SILENT;
	c->silent_paths |= (uint16_t)(1u << found->path);
	c->join_at_us = 0; /* path_manager_check() does the rest */
	m->hole_at_us = st->tick->now_us + SILENT_US;
}
