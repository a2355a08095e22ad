// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_app.c - see sim_app.h.
 */
#include "sim_app.h"

#include <inttypes.h>

void app_init(struct app *a, struct sim *w, const struct app_script *script,
	      const struct app_script *other, uint64_t send_key, uint64_t read_key)
{
	memset(a, 0, sizeof(*a));
	a->w = w;
	a->script = script;
	a->other_total = other->total_bytes;
	a->send_key = send_key;
	a->read_key = read_key;
	a->write_at_us = a->read_at_us = NEVER;
}

static bool may_start(const struct app *a)
{
	return a->script->start == START_NOW || a->received >= a->other_total || a->eof;
}

static void wake(struct app *a)
{
	if (a->open && !a->closed && a->write_at_us == NEVER && may_start(a))
		a->write_at_us = a->w->now_us;
}

void app_open(struct app *a)
{
	a->open = true;
	wake(a);
}

static void note_done(struct app *a)
{
	if (!a->done_at_us && app_complete(a))
		a->done_at_us = a->w->now_us;
}

void app_receive(struct app *a, const uint8_t *data, uint32_t n, const char *who)
{
	if (a->w->sc.repeats && a->received + n > a->other_total)
		n = (uint32_t)(a->other_total - a->received);
	if (!a->w->sc.alters && !a->w->sc.repeats &&
	    !stream_equal(a->read_key, a->received, data, n))
		sim_fail(a->w, "I3: %s got other bytes than were sent, at %" PRIu64 " (%u bytes)",
			 who, a->received, n);
	a->received += n;
	if (a->received > a->other_total)
		sim_fail(a->w, "I3: %s got %" PRIu64 " bytes, %" PRIu64 " were sent", who,
			 a->received, a->other_total);
	if (a->script->stall_at_bytes && !a->stalled && a->received >= a->script->stall_at_bytes) {
		a->stalled = true;
		a->read_at_us = a->w->now_us + a->script->stall_us;
	} else if (a->read_at_us == NEVER && a->script->read_bytes == 0) {
		a->read = a->received;
	} else if (a->read_at_us == NEVER) {
		a->read_at_us = a->w->now_us + a->script->read_gap_us;
	}
	note_done(a);
	wake(a);
}

void app_eof(struct app *a, const char *who)
{
	if (a->eof)
		return;
	a->eof = true;
	if (a->received != a->other_total)
		sim_fail(a->w, "I3: %s saw the end after %" PRIu64 " of %" PRIu64 " bytes", who,
			 a->received, a->other_total);
	note_done(a);
	wake(a);
}

uint32_t app_space(const struct app *a)
{
	uint64_t used = a->received - a->read;

	return used < a->script->buffer_bytes ? a->script->buffer_bytes - (uint32_t)used : 0;
}

uint64_t app_next_us(const struct app *a)
{
	if (a->abort)
		return a->w->now_us;
	return a->write_at_us < a->read_at_us ? a->write_at_us : a->read_at_us;
}

static void write_some(struct app *a)
{
	const struct app_script *s = a->script;
	uint64_t left = s->total_bytes - a->written;

	a->write_at_us = NEVER;
	if (left > s->write_bytes) {
		a->written += s->write_bytes;
		a->write_at_us = a->w->now_us + s->write_gap_us;
	} else {
		a->written += left;
	}
	if (a->written >= s->abort_at_bytes) {
		a->abort = true;
		a->write_at_us = NEVER;
	}
}

void app_run(struct app *a)
{
	if (a->write_at_us <= a->w->now_us)
		write_some(a);
	if (a->read_at_us <= a->w->now_us) {
		a->read += a->script->read_bytes ? a->script->read_bytes : a->received;
		a->read_at_us = a->w->now_us + a->script->read_gap_us;
		if (a->read >= a->received) {
			a->read = a->received;
			a->read_at_us = NEVER;
		}
	}
	if (a->open && a->written == a->script->total_bytes && may_start(a) &&
	    (a->script->close == CLOSE_WHEN_SENT || a->eof || a->received >= a->other_total))
		a->closed = true;
	note_done(a);
}

bool app_complete(const struct app *a)
{
	return a->written == a->script->total_bytes && a->received >= a->other_total && a->eof;
}
