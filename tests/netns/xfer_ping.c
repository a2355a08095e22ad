/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfer_ping.c - round trips of one byte over one connection, and their percentiles.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "xfer.h"

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int xfer_ping(const struct xfer_opts *o)
{
	uint32_t *rtt_us = calloc(o->pings, sizeof(*rtt_us));
	const struct timeval limit = {.tv_sec = o->timeout_s};
	int fd = xfer_socket(o);
	unsigned i, bad = 0, one = 1;

	if (!rtt_us || fd < 0)
		return 1;
	fcntl(fd, F_SETFL, 0); /* blocking */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&o->addr, o->addr_len)) {
		perror("connect");
		return 1;
	}
	for (i = 0; i < o->pings; i++) {
		uint64_t start_us = xfer_now_us();
		uint8_t out = i * 7 + 3, back = 0;

		if (send(fd, &out, 1, MSG_NOSIGNAL) != 1 || recv(fd, &back, 1, 0) != 1) {
			perror("ping");
			return 1;
		}
		bad += out != back;
		rtt_us[i] = xfer_now_us() - start_us;
	}
	close(fd);
	qsort(rtt_us, o->pings, sizeof(*rtt_us), compare);
	printf("{\"pings\": %u, \"bad\": %u, \"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, "
	       "\"max_us\": %u}\n",
	       o->pings, bad, rtt_us[o->pings / 2], rtt_us[o->pings * 9ull / 10],
	       rtt_us[o->pings * 99ull / 100], rtt_us[o->pings - 1]);
	free(rtt_us);
	return bad != 0;
}
