/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_control.c - any bytes as requests on the control socket. Each byte 0xff of the input ends
 * a client and begins the next; each answer is whole or a refusal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct control control;
static struct config cfg;
static struct engine *engine;
static struct sockaddr_un addr = {.sun_family = AF_UNIX};
static uint64_t now_us = 1;

static void must(bool good)
{
	if (!good)
		abort();
}

static void dispatch(void)
{
	now_us += 1000;
	control_dispatch(&control, engine, &cfg, now_us);
}

static void finish(void)
{
	control_close(&control);
}

static void start(void)
{
	static const struct control_extra extra[] = {{"one", "One.", 1}};
	struct engine_cfg engine_cfg;
	char err[256];
	void *region;
	size_t bytes;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/fuzz_control.%d", (int)getpid());
	cfg.n_paths = 1;
	cfg.max_connections = 100;
	cfg.memory_mb = 4;
	memcpy(cfg.path[0].name, "a", 2);
	config_engine(&cfg, &engine_cfg);
	bytes = engine_region_bytes(&engine_cfg);
	region = aligned_alloc(64, (bytes + 63) / 64 * 64);
	must(region != NULL);
	engine = engine_init(region, bytes, &engine_cfg);
	must(engine && control_open(&control, addr.sun_path, err, sizeof(err)) == 0);
	atexit(finish);
	control.extra = extra;
	control.n_extra = 1;
}

static void client(const uint8_t *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	static char answer[1 << 20];
	size_t n = 0;

	must(fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0);
	dispatch();
	/* In two pieces, so that a line's end may come later than its beginning. */
	(void)!send(fd, data, size / 2, MSG_NOSIGNAL);
	dispatch();
	(void)!send(fd, data + size / 2, size - size / 2, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < 200; i++) {
		ssize_t got = recv(fd, answer + n, sizeof(answer) - n, 0);

		if (got == 0 || (got < 0 && errno != EAGAIN))
			break;
		n += got > 0 ? (size_t)got : 0;
		dispatch();
	}
	close(fd);
	dispatch();
	/* An answer to something, and then a whole one. */
	must(size > 0 ? n >= 2 && memcmp(answer + n - 2, "\n\n", 2) == 0 : n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end;

	if (!engine)
		start();
	for (; size > 0; data = end + 1) {
		end = memchr(data, 0xff, size);
		if (!end)
			end = data + size;
		client(data, (size_t)(end - data));
		size -= (size_t)(end - data);
		size -= size > 0;
	}
	return 0;
}
