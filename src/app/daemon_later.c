// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon_later.c - what no packet waits for: lines for the log, random numbers in stock, and
 * conntrack's tellings. They have their turn when the queue has been silent for a moment.
 */
#include "app/daemon_state.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>

#include "io/log.h"

#define TOLD_PER_SECOND DAEMON_UNTOLD
#define SILENCE_US 1000
#define AT_ONCE_WORDS 32 /* getrandom() is never short or interrupted up to 256 bytes */
#define LOW_WORDS (DAEMON_RANDOM_WORDS / 2)

_Static_assert(AT_ONCE_WORDS <= DAEMON_RANDOM_WORDS, "there is room");

static void later(struct daemon *d, uint64_t now_us)
{
	d->later_at_us = now_us + SILENCE_US;
}

/* ---- random numbers ---- */

static void stock(struct daemon *d, unsigned words)
{
	ssize_t n = getrandom(d->random_pool + d->n_random, words * sizeof(uint64_t), 0);

	/* A part is taken as it is; the engine counts what it cannot do without. */
	if (n > 0)
		d->n_random += (unsigned)n / sizeof(uint64_t);
}

void daemon_random(struct daemon *d)
{
	while (d->random.n < ENGINE_RANDOM_WORDS) {
		if (d->n_random == 0)
			stock(d, AT_ONCE_WORDS);
		if (d->n_random == 0)
			return;
		d->random.word[d->random.n++] = d->random_pool[--d->n_random];
	}
}

/* ---- events ---- */

static void tuple_text(const struct flow_tuple *t, char *text, size_t bytes)
{
	int af = t->family == FLOW_IPV4 ? AF_INET : AF_INET6;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	inet_ntop(af, t->src.b, src, sizeof(src));
	inet_ntop(af, t->dst.b, dst, sizeof(dst));
	snprintf(text, bytes, af == AF_INET ? "%s:%u > %s:%u" : "[%s]:%u > [%s]:%u", src,
		 t->src_port, dst, t->dst_port);
}

static void tell(const struct daemon *d, const struct engine_event *ev)
{
	static const char *const words[] = {
		[ENGINE_EVENT_CONVERTED] = "is Multipath TCP",
		[ENGINE_EVENT_PLAIN] = "stays plain",
		[ENGINE_EVENT_FALLBACK] = "fell back to TCP",
		[ENGINE_EVENT_CLOSED] = "closed",
		[ENGINE_EVENT_SUBFLOW] = "subflow changed",
		[ENGINE_EVENT_PROMOTED] = "may have more subflows",
	};
	const char *path = ev->path < d->cfg->n_paths ? d->cfg->path[ev->path].name : "no path";
	char tuple[2 * INET6_ADDRSTRLEN + 32];

	tuple_text(&ev->guest, tuple, sizeof(tuple));
	log_info("%s (%s) %s: %s", tuple, path, words[ev->kind], reason_sentence(ev->reason));
}

static void tell_all(struct daemon *d)
{
	for (unsigned i = 0; i < d->n_untold; i++)
		tell(d, &d->untold[i]);
	d->n_untold = 0;
}

/* True when the log may take one more line in this second. */
static bool may_tell(struct daemon *d, uint64_t now_us)
{
	if (d->tell_second != now_us / 1000000) {
		d->tell_second = now_us / 1000000;
		d->told = 0;
	}
	if (d->told++ < TOLD_PER_SECOND)
		return true;
	d->counter[DAEMON_EVENTS_UNTOLD].value++;
	return false;
}

void daemon_events(struct daemon *d, uint64_t now_us)
{
	for (unsigned i = 0; i < d->outs.n_event && i < d->outs.cap_event; i++) {
		if (!may_tell(d, now_us))
			continue;
		if (d->n_untold == DAEMON_UNTOLD)
			tell_all(d);
		d->untold[d->n_untold++] = d->outs.event[i];
		later(d, now_us);
	}
}

/* ---- when ---- */

void daemon_later(struct daemon *d, uint64_t now_us)
{
	daemon_conntrack_tell(d, now_us);
	if (d->later_at_us > now_us) {
		if (d->n_random < LOW_WORDS && d->later_at_us == UINT64_MAX)
			later(d, now_us);
		return;
	}
	d->later_at_us = UINT64_MAX;
	tell_all(d);
	if (d->n_random < LOW_WORDS)
		stock(d, DAEMON_RANDOM_WORDS - d->n_random);
}

uint64_t daemon_later_us(const struct daemon *d)
{
	uint64_t at_us = daemon_conntrack_due_us(d);

	return d->later_at_us < at_us ? d->later_at_us : at_us;
}

void daemon_later_all(struct daemon *d)
{
	tell_all(d);
	while (d->n_telling)
		daemon_conntrack_tell(d, UINT64_MAX);
}
