/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link_dir.c - one direction of an emulated link, without clock and sockets. The queue is not
 * simulated frame by frame: what waits is known from when the line will be free.
 */
#include <string.h>

#include "link.h"

#define ETHERNET_BYTES 14
#define NS_PER_S 1000000000ull

void link_init(struct link_dir *d, uint64_t seed)
{
	memset(d, 0, sizeof(*d));
	d->random = seed * 0x9e3779b97f4a7c15 + 1;
}

static struct link_frame *frame_at(struct link_dir *d, uint32_t i)
{
	return &d->frames[i % LINK_FRAMES_MAX];
}

static bool is_lost(struct link_dir *d)
{
	d->random = d->random * 6364136223846793005 + 1442695040888963407;
	return (d->random >> 33) % 1000000 < d->set.loss_ppm;
}

static uint64_t line_ns(const struct link_settings *set, uint64_t n_bytes)
{
	return set->rate_bps ? n_bytes * 8 * NS_PER_S / set->rate_bps : 0;
}

static uint64_t waiting_bytes(const struct link_dir *d, uint64_t now_ns)
{
	if (d->line_free_ns <= now_ns)
		return 0;
	return (d->line_free_ns - now_ns) * (d->set.rate_bps / 8) / NS_PER_S;
}

bool link_enter(struct link_dir *d, uint32_t slot, uint32_t len_bytes, uint64_t now_ns)
{
	struct link_frame *f = frame_at(d, d->tail);
	uint64_t waiting = waiting_bytes(d, now_ns);

	if (d->set.dead) {
		d->count.dead++;
		return false;
	}
	if (d->set.mtu_bytes && len_bytes > d->set.mtu_bytes + ETHERNET_BYTES) {
		d->count.too_big++;
		return false;
	}
	if (is_lost(d)) {
		d->count.lost++;
		return false;
	}
	if ((d->set.queue_bytes && waiting && waiting + len_bytes > d->set.queue_bytes) ||
	    d->tail - d->head >= LINK_FRAMES_MAX) {
		d->count.queue_full++;
		return false;
	}
	if (waiting > d->count.queue_max_bytes)
		d->count.queue_max_bytes = waiting;
	if (d->line_free_ns < now_ns)
		d->line_free_ns = now_ns;
	d->line_free_ns += line_ns(&d->set, len_bytes);
	f->leaves_ns = d->line_free_ns;
	f->slot = slot;
	f->len_bytes = len_bytes;
	d->tail++;
	return true;
}

const struct link_frame *link_first(const struct link_dir *d)
{
	return d->head == d->tail ? NULL : &d->frames[d->head % LINK_FRAMES_MAX];
}

uint64_t link_due_ns(const struct link_dir *d)
{
	return d->frames[d->head % LINK_FRAMES_MAX].leaves_ns + d->set.delay_ns;
}

void link_deliver(struct link_dir *d)
{
	d->count.frames++;
	d->count.bytes += frame_at(d, d->head)->len_bytes;
	d->head++;
}

void link_drop(struct link_dir *d)
{
	d->count.dead++;
	d->head++;
}

void link_change(struct link_dir *d, const struct link_settings *set, uint64_t now_ns)
{
	uint64_t free_ns = now_ns;
	uint32_t i;

	for (i = d->head; set->rate_bps != d->set.rate_bps && i != d->tail; i++) {
		if (frame_at(d, i)->leaves_ns <= now_ns)
			continue;
		free_ns += line_ns(set, frame_at(d, i)->len_bytes);
		frame_at(d, i)->leaves_ns = free_ns;
		d->line_free_ns = free_ns;
	}
	d->set = *set;
}
