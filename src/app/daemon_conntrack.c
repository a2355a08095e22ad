// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon_conntrack.c - the host's connection tracking, where it tracks: what the daemon asks it,
 * and what it is told about connections that it does not see any more.
 *
 * To conntrack a converted connection shows nothing more than its handshake, so its entry is made a
 * lasting one, and ends with the connection: a translated port is neither free too early nor kept
 * for days. Without that word it would last for a minute (SYN_RECV), so the word has time: it is
 * given when no packet waits, and of a connection that is over by then only its end is told. A
 * question has an answer at once, for an address to send from is needed; where conntrack has never
 * known a connection of ours it is told nothing.
 */
#include "app/daemon_state.h"

#include <errno.h>
#include <string.h>

#define PATIENCE_US 20000
#define TOLD_AT_ONCE 8 /* then packets have their turn */

static void count(struct daemon *d, int err)
{
	if (err && err != -ENOENT)
		d->counter[DAEMON_CONNTRACK_FAILED].value++;
}

static void tell(struct daemon *d, unsigned i)
{
	const struct daemon_telling *one = &d->telling[i];

	count(d, one->over ? ctnl_over(&d->conntrack, &one->guest)
			   : ctnl_keep(&d->conntrack, &one->guest));
}

static void forget(struct daemon *d, unsigned i)
{
	d->n_telling--;
	memmove(&d->telling[i], &d->telling[i + 1], (d->n_telling - i) * sizeof(d->telling[0]));
}

void daemon_conntrack_tell(struct daemon *d, uint64_t until_us)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_telling && n < TOLD_AT_ONCE;) {
		if (d->telling[i].at_us > until_us) {
			i++;
			continue;
		}
		tell(d, i);
		forget(d, i);
		n++;
	}
}

uint64_t daemon_conntrack_due_us(const struct daemon *d)
{
	uint64_t due_us = UINT64_MAX;

	for (unsigned i = 0; i < d->n_telling; i++)
		if (d->telling[i].at_us < due_us)
			due_us = d->telling[i].at_us;
	return due_us;
}

void daemon_conntrack_claim(struct daemon *d, const struct engine_claim *claim)
{
	bool over = claim->kind == ENGINE_CLAIM_ENDED || claim->kind == ENGINE_CLAIM_OVER;
	bool converted = claim->kind == ENGINE_CLAIM_CONVERTED;
	unsigned i = 0;

	if (claim->from != ENGINE_GUEST || !d->tracks)
		return;
	while (i < d->n_telling && !flow_tuple_equal(&d->telling[i].guest, &claim->tuple))
		i++;
	if (i < d->n_telling) {
		/* Fallen back: conntrack is to see what comes next, in mid-stream. */
		if (!over && !converted)
			tell(d, i);
		forget(d, i);
	}
	if (!over && !converted)
		return;
	if (d->n_telling == DAEMON_TELLINGS)
		daemon_conntrack_tell(d, UINT64_MAX);
	d->telling[d->n_telling++] = (struct daemon_telling){
		.guest = claim->tuple,
		.over = over,
		.at_us = loop_now_us() + (over ? 0 : PATIENCE_US),
	};
}

int daemon_conntrack_ask(struct daemon *d, const struct flow_tuple *guest, struct flow_tuple *net)
{
	int err = ctnl_translation(&d->conntrack, guest, net);

	d->tracks |= err == 0;
	/* A host that tracks nothing translates nothing. */
	if (err == -ENOENT) {
		*net = *guest;
		err = 0;
	}
	count(d, err);
	return err;
}
