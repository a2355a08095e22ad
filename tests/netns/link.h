/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.h - one direction of an emulated link: a tail-drop queue of bytes before a line of some
 * rate, then a delay; seeded loss, a largest packet, and a switch that makes it silently dead.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stdint.h>

#define LINK_FRAMES_MAX 32768 /* under way in one direction, power of two */

struct link_settings {
	uint64_t rate_bps;    /* bits a second of whole frames; 0: no limit */
	uint64_t delay_ns;    /* one way, after the last bit has left the queue */
	uint64_t queue_bytes; /* waiting, the frame on the line not counted; 0: no limit */
	uint32_t loss_ppm;    /* of the frames that enter, by a seeded generator */
	uint32_t mtu_bytes;   /* larger IP packets vanish (no ICMP: a black hole); 0: no limit */
	bool dead;            /* swallows everything, says nothing */
};

struct link_counters {
	uint64_t frames, bytes; /* delivered */
	uint64_t lost, queue_full, too_big, dead;
	uint64_t queue_max_bytes;
};

struct link_frame {
	uint64_t leaves_ns; /* its last bit has left the queue */
	uint32_t slot;      /* the caller's name for the frame's bytes */
	uint32_t len_bytes; /* with its Ethernet header */
};

struct link_dir {
	struct link_settings set;
	struct link_counters count;
	uint64_t random;
	uint64_t line_free_ns; /* when the last frame accepted will have left */
	uint32_t head, tail;   /* of the frames under way, counting on */
	struct link_frame frames[LINK_FRAMES_MAX];
};

void link_init(struct link_dir *d, uint64_t seed);
/* A frame arrives; false when it does not survive, and then the slot is the caller's again. */
bool link_enter(struct link_dir *d, uint32_t slot, uint32_t len_bytes, uint64_t now_ns);
/* The frame that is delivered next, or null when there is none. */
const struct link_frame *link_first(const struct link_dir *d);
/* When; only while link_first() is not null. */
uint64_t link_due_ns(const struct link_dir *d);
void link_deliver(struct link_dir *d);
/* The first frame is lost under way: the link has died. */
void link_drop(struct link_dir *d);
/* New settings, which hold for the frames that still wait in the queue, too. */
void link_change(struct link_dir *d, const struct link_settings *set, uint64_t now_ns);

#endif
