/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * silence.c - see silence.h.
 */
#include "engine/silence.h"

/*
 * And two round trips. Where data came regularly, a multiple of the longest gap is enough.
 */
#define SILENT_US 120000u
#define SILENT_MIN_US 80000u
#define SILENT_GAPS 8
#define GAPS_US 1000000u /* the longest gap is of so long, and of as much before */
#define SILENT_LOOK_US 20000u
/* After a closed window, or after nobody was here, the peer's subflows wait for their timers. */
#define RESUME_US 1000000u

void silence_hole(struct step *st, struct multi *m)
{
	m->hole_us = st->tick->now_us;
	m->hole_at_us = m->hole_us + SILENT_MIN_US;
}

static void note_gap(struct sender *x, uint64_t gap_us, uint64_t now_us)
{
	if (now_us >= x->gap_until_us) {
		x->gap_us[1] = x->gap_us[0];
		x->gap_us[0] = 0;
		x->gap_until_us = now_us + GAPS_US;
	}
	if (gap_us > x->gap_us[0])
		x->gap_us[0] = gap_us < UINT32_MAX ? (uint32_t)gap_us : UINT32_MAX;
}

void silence_arrival(struct step *st, struct multi *m, struct subflow *s)
{
	uint64_t now_us = st->tick->now_us;

	if (s->sender != NONE && s->data_us)
		note_gap(sender_at(st->e, s->sender), now_us - s->data_us, now_us);
	s->data_us = now_us;
	if (m->came_us && m->came_us + SILENT_US <= now_us)
		m->resumed_us = now_us;
	m->came_us = now_us;
}

static uint64_t patience_us(const struct sender *x)
{
	uint64_t us;

	if (!x)
		return SILENT_US;
	us = SILENT_GAPS * (uint64_t)(x->gap_us[0] > x->gap_us[1] ? x->gap_us[0] : x->gap_us[1]);
	if (us > SILENT_US || x->gap_until_us == 0)
		us = SILENT_US;
	return (us > SILENT_MIN_US ? us : SILENT_MIN_US) + 2ull * x->srtt_us;
}

/*
 * When the subflow counts as silent if it brings nothing any more; it did before. While its path
 * brings something for others, what it carries stands in a queue there.
 */
static uint64_t silent_at_us(struct engine *e, const struct subflow *s, uint64_t since_us)
{
	const struct sender *x = s->sender == NONE ? NULL : sender_at(e, s->sender);

	if (s->data_us == 0)
		return UINT64_MAX;
	since_us = s->data_us > since_us ? s->data_us : since_us;
	if (e->path_heard_us[s->path] > since_us)
		since_us = e->path_heard_us[s->path];
	return since_us + patience_us(x);
}

/*
 * The first that a subflow is to bring may be what is missing: on a longer path it comes later than
 * what the others were given after it. It has so long from the hole on; then it counts as unused.
 */
static uint64_t first_until_us(struct engine *e, const struct multi *m, const struct subflow *s)
{
	const struct sender *x = s->sender == NONE ? NULL : sender_at(e, s->sender);

	return m->hole_us + SILENT_US + (x ? 2ull * x->srtt_us : 0);
}

/*
 * One that is in use and far away: what was given to it before the hole showed is on its way for
 * about a round trip, or waits for one at the peer behind a window full.
 */
static bool may_bring(struct engine *e, const struct multi *m, const struct subflow *s,
		      uint64_t now_us)
{
	return s->data_us && s->sender != NONE &&
	       m->hole_us + 2ull * sender_at(e, s->sender)->srtt_us > now_us;
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
	uint64_t now_us = st->tick->now_us, next_us = now_us + SILENT_LOOK_US, at_us;
	bool others = false, expected = false;

	m->hole_at_us = next_us;
	if (m->resumed_us && m->resumed_us + RESUME_US > now_us)
		return;
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		struct subflow *s = subflow_at(e, k);

		if (s->state != SUBFLOW_ESTABLISHED || s->leaving)
			continue;
		if (s->early != NONE)
			return;
		at_us = silent_at_us(e, s, m->hole_us);
		if (at_us <= now_us) {
			if (found)
				return;
			found = s;
		} else {
			others |= s->data_us && s->data_us + SILENT_US / 2 > now_us;
			expected |= may_bring(e, m, s, now_us);
			next_us = at_us < next_us ? at_us : next_us;
		}
		expected |= !s->backup && s->data_us == 0 && first_until_us(e, m, s) > now_us;
	}
	m->hole_at_us = next_us;
	/* Of a responder's paths it is the peer that asks again. */
	if (!found || !others || expected || c->responder)
		return;
	found->leaving = REASON_SUBFLOW_SILENT;
	c->silent_paths |= (uint16_t)(1u << found->path);
	c->join_at_us = 0; /* path_manager_check() does the rest */
	m->hole_at_us = now_us + SILENT_US;
}
