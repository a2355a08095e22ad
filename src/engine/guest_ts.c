/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_ts.c - see guest_ts.h.
 */
#include "engine/guest_ts.h"

#include "base/seq.h"
#include "engine/sender.h"

void guest_ts_data(struct multi *m, uint32_t seq, uint32_t tsval)
{
	if (m->n_tsmarks && m->tsmark[m->n_tsmarks - 1].tsval == tsval)
		return;
	if (m->n_tsmarks == TSMARKS) {
		/* Thin out: every second one tells about as much. */
		for (unsigned i = 0; i < TSMARKS / 2; i++)
			m->tsmark[i] = m->tsmark[2 * i];
		m->n_tsmarks = TSMARKS / 2;
	}
	m->tsmark[m->n_tsmarks++] = (struct tsmark){seq, tsval};
}

void guest_ts_acked(struct multi *m, uint32_t una_seq)
{
	unsigned i = 0;

	while (i < m->n_tsmarks && seq_lt(m->tsmark[i].seq, una_seq))
		i++;
	if (i == 0)
		return;
	m->ts_echo = seq_max(m->ts_echo, m->tsmark[i - 1].tsval);
	/* The last one may still hold for bytes to come. */
	memmove(m->tsmark, m->tsmark + i - 1, (m->n_tsmarks - i + 1u) * sizeof(m->tsmark[0]));
	m->n_tsmarks = (uint8_t)(m->n_tsmarks - i + 1u);
}

void guest_ts_quiet(struct engine *e, const struct conn *c, uint32_t tsval, uint64_t now_us)
{
	struct multi *m = multi_at(e, c->multi);
	struct quiet_ts *last = m->n_quiet ? &m->quiet[m->n_quiet - 1] : NULL;

	/* So close that all of them reach back further than a round trip. */
	if (last && now_us - last->at_us < sender_least_rtt_us(e, c) / (QUIET_TS / 2))
		return;
	if (m->n_quiet == QUIET_TS)
		memmove(m->quiet, m->quiet + 1, --m->n_quiet * sizeof(m->quiet[0]));
	m->quiet[m->n_quiet++] = (struct quiet_ts){now_us, tsval};
}

uint32_t guest_ts_echo(struct engine *e, const struct conn *c, uint64_t now_us)
{
	struct multi *m = multi_at(e, c->multi);
	uint32_t rtt_us = m->n_quiet ? sender_least_rtt_us(e, c) : 0;
	unsigned n = 0;

	while (n < m->n_quiet && m->quiet[n].at_us + rtt_us <= now_us)
		n++;
	if (n > 0) {
		m->ts_echo = seq_max(m->ts_echo, m->quiet[n - 1].tsval);
		m->n_quiet = (uint8_t)(m->n_quiet - n);
		memmove(m->quiet, m->quiet + n, m->n_quiet * sizeof(m->quiet[0]));
	}
	return m->ts_echo;
}
