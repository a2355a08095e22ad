/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.h - waiting for descriptors and for one deadline (epoll).
 */
#ifndef MPGATE_IO_LOOP_H
#define MPGATE_IO_LOOP_H

#include <stdint.h>

#define LOOP_FDS_MAX 64

typedef void (*loop_fn)(void *data);

struct loop {
	int epoll;
	unsigned n;
	struct {
		loop_fn fn;
		void *data;
	} watch[LOOP_FDS_MAX];
};

/* 0 or -errno. */
int loop_init(struct loop *loop);
void loop_fini(struct loop *loop);

/* Calls fn(data) from loop_wait() whenever fd is readable. 0 or -errno. */
int loop_add(struct loop *loop, int fd, loop_fn fn, void *data);

/* One wait, at most `timeout_us` (UINT64_MAX: for ever), and the calls that follow. 0 or -errno. */
int loop_wait(struct loop *loop, uint64_t timeout_us);

/* Microseconds of the monotonic clock. */
uint64_t loop_now_us(void);

/*
 * A descriptor that is readable when one of SIGTERM, SIGINT, SIGHUP came; SIGPIPE is ignored from
 * here on. Or -errno.
 */
int loop_signals(void);

/* The next signal there, 0: none. */
int loop_signal_read(int fd);

#endif
