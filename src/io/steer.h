/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * steer.h - the program at the ingress of the guests' and the paths' interfaces (src/bpf), and the
 * table by which it knows what is ours.
 *
 * Filter and table outlive the process: what is converted then waits for the next one, which finds
 * them again. They end by steer_remove(), or with the interface.
 */
#ifndef MPGATE_IO_STEER_H
#define MPGATE_IO_STEER_H

#include "flow.h"
#include "steer_table.h"

struct steer;

/*
 * A table for so many tuples, with what a process before us has left in its own, if it can be
 * found, and the programs that look into it. Null with the reason and what to do in `err`.
 */
struct steer *steer_open(uint32_t tuples, char *err, unsigned err_bytes);

/* Filters stay where they are. */
void steer_close(struct steer *s);

/*
 * Puts the program before what comes in there, instead of an older one. 1 or -errno; more than 1
 * when filters of others stand before it: what they accept, it does not see.
 */
int steer_attach(struct steer *s, unsigned ifindex, enum steer_side side);

/* Takes it away again, if it is there. 0 or -errno. */
int steer_detach(unsigned ifindex);

/* The priority that steer_attach() has found there, or would find. */
unsigned steer_priority(unsigned ifindex);

/*
 * What is to happen to the packets that come in on this side with this tuple, sender first. IS_OVER
 * and IS_FORGOTTEN change what is there; they add nothing, which is -ENOENT. 0 or -errno.
 */
int steer_put(struct steer *s, enum steer_side side, const struct flow_tuple *tuple,
	      enum steer_state state);

/* 0 also when it is not there. -errno. */
int steer_rm(struct steer *s, const struct flow_tuple *tuple);

/*
 * Takes our filters off all interfaces, and clsact where it came with them and nobody else uses
 * it; then calls for every tuple of the guests' side that was there and is not over (`fn` may be
 * null). 0, or the first -errno; what could be removed is.
 */
typedef void (*steer_fn)(const struct flow_tuple *tuple, void *data);
int steer_remove(steer_fn fn, void *data);

#endif
