// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop.c - see loop.h.
 */
#include "io/loop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 16

int loop_init(struct loop *loop)
{
	loop->n = 0;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll < 0 ? -errno : 0;
}

void loop_fini(struct loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}

int loop_add(struct loop *loop, int fd, loop_fn fn, void *data)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = loop->n};

	if (loop->n == LOOP_FDS_MAX)
		return -ENOSPC;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	loop->watch[loop->n].fn = fn;
	loop->watch[loop->n].data = data;
	loop->n++;
	return 0;
}

int loop_wait(struct loop *loop, uint64_t timeout_us)
{
	struct epoll_event events[EVENTS];
	struct timespec wait = {
		.tv_sec = (time_t)(timeout_us / 1000000),
		.tv_nsec = (long)(timeout_us % 1000000 * 1000),
	};
	int n = epoll_pwait2(loop->epoll, events, EVENTS, timeout_us == UINT64_MAX ? NULL : &wait,
			     NULL);

	/* Linux before 5.11 waits in milliseconds only: late by one, never early for ever. */
	if (n < 0 && errno == ENOSYS)
		n = epoll_wait(loop->epoll, events, EVENTS,
			       timeout_us > 60000000 ? 60000 : (int)((timeout_us + 999) / 1000));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		unsigned k = events[i].data.u32;

		loop->watch[k].fn(loop->watch[k].data);
	}
	return 0;
}

uint64_t loop_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int loop_signals(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int loop_signal_read(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}
