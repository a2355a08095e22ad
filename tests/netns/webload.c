/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * webload.c - opens so many HTTP connections a second for some seconds, one request each, whether
 * or not the ones before are answered; prints what came of them as one line of JSON.
 *
 * An answer counts when it is "200", as long as its Content-Length says, ended by FIN, and the same
 * as all the others.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "mptcp_socket.h"
#include "program.h"

#define HEAD_BYTES 2048 /* of an answer, at most */
#define ERRORS_MAX 16
#define CHECK_MS 100 /* for those that take too long */

enum state { IDLE, CONNECTING, READING, OVER };

struct request {
	enum state state;
	int fd;
	uint64_t start_us;
	uint64_t body_bytes, body_hash;
	unsigned head_bytes;
	char head[HEAD_BYTES];
};

static struct sockaddr_storage addr;
static socklen_t addr_len;
static bool mptcp;
static unsigned rate = 100, seconds = 10, timeout_s = 10;
static const char *path = "/";

static struct request *request;
static unsigned n_requests, n_opened, n_over;
static unsigned first_open; /* all before are over */
static uint32_t *took_us;
static unsigned n_answered, n_mptcp, n_wrong;
static uint64_t common_hash;
static struct {
	const char *name;
	unsigned count;
} error[ERRORS_MAX];

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void note_error(const char *name)
{
	for (unsigned i = 0; i < ERRORS_MAX; i++) {
		if (error[i].name && strcmp(error[i].name, name) != 0)
			continue;
		error[i].name = name;
		error[i].count++;
		return;
	}
}

static void end(struct request *r, const char *error_name)
{
	if (error_name)
		note_error(error_name);
	else
		took_us[n_answered++] = (uint32_t)(now_us() - r->start_us);
	if (mptcp_socket_speaks(r->fd))
		n_mptcp++;
	close(r->fd);
	r->state = OVER;
	n_over++;
}

static void ask(struct request *r)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "GET %s HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n", path);

	if (send(r->fd, text, n, MSG_NOSIGNAL) != n)
		end(r, strerrorname_np(errno));
	else
		r->state = READING;
}

/* FNV-1a. */
static void body(struct request *r, const char *data, size_t n)
{
	r->body_bytes += n;
	for (size_t i = 0; i < n; i++)
		r->body_hash = (r->body_hash ^ (uint8_t)data[i]) * 0x100000001b3ull;
}

static void take(struct request *r, const char *data, size_t n)
{
	size_t head = r->head_bytes, room = HEAD_BYTES - 1 - head;
	const char *end_of_head = head ? strstr(r->head, "\r\n\r\n") : NULL;

	if (end_of_head) {
		body(r, data, n);
		return;
	}
	if (n < room)
		room = n;
	memcpy(r->head + head, data, room);
	r->head_bytes += room;
	r->head[r->head_bytes] = '\0';
	end_of_head = strstr(r->head, "\r\n\r\n");
	if (end_of_head) {
		size_t head_n = end_of_head + 4 - r->head;

		body(r, data + (head_n - head), n - (head_n - head));
	}
}

static bool is_right(const struct request *r)
{
	const char *length = strstr(r->head, "Content-Length: ");

	if (strncmp(r->head, "HTTP/1.1 200 ", 13) != 0 || !length ||
	    strtoull(length + 16, NULL, 10) != r->body_bytes)
		return false;
	if (!common_hash)
		common_hash = r->body_hash;
	return common_hash == r->body_hash;
}

static void read_answer(struct request *r)
{
	static char buffer[65536];
	ssize_t n;

	while ((n = recv(r->fd, buffer, sizeof(buffer), 0)) > 0)
		take(r, buffer, n);
	if (n == 0 && !is_right(r)) {
		n_wrong++;
		end(r, "wrong answer");
	} else if (n == 0) {
		end(r, NULL);
	} else if (errno != EAGAIN) {
		end(r, strerrorname_np(errno));
	}
}

static void run(struct request *r)
{
	int code = 0;
	socklen_t len = sizeof(code);

	if (r->state == CONNECTING) {
		getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &code, &len);
		if (code)
			end(r, strerrorname_np(code));
		else
			ask(r);
	}
	if (r->state == READING)
		read_answer(r);
}

static void open_next(int epoll)
{
	struct request *r = &request[n_opened++];
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = r};

	r->fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK,
		       mptcp ? IPPROTO_MPTCP : IPPROTO_TCP);
	if (r->fd < 0)
		program_fail("socket");
	r->start_us = now_us();
	r->state = CONNECTING;
	r->body_hash = 0xcbf29ce484222325ull;
	if (connect(r->fd, (const struct sockaddr *)&addr, addr_len) && errno != EINPROGRESS)
		end(r, strerrorname_np(errno));
	else if (epoll_ctl(epoll, EPOLL_CTL_ADD, r->fd, &event))
		program_fail("epoll_ctl");
}

static void give_up_old(void)
{
	uint64_t limit_us = now_us() - timeout_s * 1000000ull;

	while (first_open < n_opened && request[first_open].state == OVER)
		first_open++;
	for (unsigned i = first_open; i < n_opened && request[i].start_us < limit_us; i++)
		if (request[i].state != OVER)
			end(&request[i], "timeout");
}

static void run_all(void)
{
	struct epoll_event events[256];
	uint64_t begun_us = now_us(), checked_us = begun_us;
	int epoll = epoll_create1(0), n;

	while (n_over < n_requests) {
		uint64_t at_us = now_us();
		uint64_t due = (at_us - begun_us) * rate / 1000000 + 1;

		while (n_opened < n_requests && n_opened < due)
			open_next(epoll);
		n = epoll_wait(epoll, events, 256, n_opened < n_requests ? 1 : CHECK_MS);
		for (int i = 0; i < n; i++)
			run(events[i].data.ptr);
		if (at_us - checked_us > CHECK_MS * 1000) {
			checked_us = at_us;
			give_up_old();
		}
	}
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print(uint64_t run_us)
{
	qsort(took_us, n_answered, sizeof(*took_us), compare);
	printf("{\"opened\": %u, \"answered\": %u, \"mptcp\": %u, \"wrong\": %u, \"seconds\": "
	       "%.3f, \"errors\": {",
	       n_opened, n_answered, n_mptcp, n_wrong, run_us / 1e6);
	for (unsigned i = 0; i < ERRORS_MAX && error[i].name; i++)
		printf("%s\"%s\": %u", i ? ", " : "", error[i].name, error[i].count);
	printf("}, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
	       n_answered ? took_us[n_answered / 2] : 0,
	       n_answered ? took_us[n_answered * 99ull / 100] : 0,
	       n_answered ? took_us[n_answered - 1] : 0);
}

static void set_address(const char *host, unsigned port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		addr_len = sizeof(*in);
	} else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		addr_len = sizeof(*in6);
	} else {
		fprintf(stderr, "webload: not an address: %s\n", host);
		exit(2);
	}
}

static const struct option options[] = {
	{"host", 1, 0, 'h'},    {"port", 1, 0, 'p'}, {"rate", 1, 0, 'r'},  {"seconds", 1, 0, 's'},
	{"timeout", 1, 0, 't'}, {"path", 1, 0, 'u'}, {"mptcp", 0, 0, 'm'}, {0, 0, 0, 0},
};

int main(int argc, char **argv)
{
	struct rlimit files;
	const char *host = "127.0.0.1";
	unsigned port = 80;
	uint64_t begun_us;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			host = optarg;
			break;
		case 'p':
			port = atoi(optarg);
			break;
		case 'r':
			rate = atoi(optarg);
			break;
		case 's':
			seconds = atoi(optarg);
			break;
		case 't':
			timeout_s = atoi(optarg);
			break;
		case 'u':
			path = optarg;
			break;
		case 'm':
			mptcp = true;
			break;
		default:
			return 2;
		}
	}
	set_address(host, port);
	n_requests = rate * seconds;
	request = calloc(n_requests, sizeof(*request));
	took_us = calloc(n_requests, sizeof(*took_us));
	if (!request || !took_us)
		program_fail("calloc");
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	begun_us = now_us();
	run_all();
	print(now_us() - begun_us);
	return 0;
}
