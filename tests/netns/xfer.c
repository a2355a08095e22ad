/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfer.c - the data mover of the namespace tests: opens or accepts TCP or MPTCP connections, moves
 * seeded data both ways, and prints what came of it as one line of JSON. It prints "ready" first
 * when it listens. The exit code is 0 when all connections ended; the harness judges the rest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "program.h"
#include "xfer.h"

#define CONNS_MAX 4096

static struct xfer_conn conns[CONNS_MAX];
static unsigned conns_high; /* none in use from here on */
static volatile sig_atomic_t go_on;

uint64_t xfer_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void on_go_on(int number)
{
	(void)number;
	go_on = 1;
}

bool xfer_goes_on(void)
{
	return go_on;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	switch (*end) {
	case 'G':
		return n << 30;
	case 'M':
		return n << 20;
	case 'k':
		return n << 10;
	case '\0':
		return n;
	}
	fprintf(stderr, "xfer: not a number: %s\n", text);
	exit(2);
}

static void address(const char *host, uint64_t port, struct sockaddr_storage *to, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*len = sizeof(*in);
	} else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		*len = sizeof(*in6);
	} else {
		fprintf(stderr, "xfer: not an address: %s\n", host);
		exit(2);
	}
}

int xfer_socket(const struct xfer_opts *o)
{
	int fd, one = 1;

	fd = socket(o->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK,
		    o->mptcp ? IPPROTO_MPTCP : IPPROTO_TCP);
	if (fd < 0)
		program_fail("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		program_fail("SO_REUSEADDR");
	/* the machine's default may be one that paces; where cubic is missing the default stays */
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	if (o->rcvbuf_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &o->rcvbuf_bytes, sizeof(int));
	if (o->sndbuf_bytes)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &o->sndbuf_bytes, sizeof(int));
	return fd;
}

/* The kernel keeps a sequence number that was set before connect(). */
static void choose_isn(int fd, uint32_t isn)
{
	int on = 1, off = 0, queue = TCP_SEND_QUEUE;

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &isn, sizeof(isn)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)))
		program_fail("TCP_REPAIR");
}

static void watch(int epoll, struct xfer_conn *c, const struct xfer_opts *o, uint64_t *wake_us)
{
	struct epoll_event event = {.data.ptr = c};

	event.events = conn_wants(c, o, wake_us);
	if (event.events == c->events)
		return;
	c->events = event.events;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) && errno == ENOENT)
		epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static struct xfer_conn *start(int fd, const struct xfer_opts *o)
{
	unsigned i;

	for (i = 0; i < CONNS_MAX; i++) {
		if (conns[i].state == XFER_FREE) {
			conn_start(&conns[i], fd, o);
			if (i >= conns_high)
				conns_high = i + 1;
			return &conns[i];
		}
	}
	fprintf(stderr, "xfer: more than %d connections at once\n", CONNS_MAX);
	exit(2);
}

static void accept_all(int listener, const struct xfer_opts *o, struct xfer_result *r)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		start(fd, o);
		r->moves++;
	}
}

static bool open_one(const struct xfer_opts *o, struct xfer_result *r)
{
	int fd = xfer_socket(o), one = 1, rc, patience_ms = 1000;
	struct xfer_conn *c;

	if (o->bind_len && bind(fd, (const struct sockaddr *)&o->bind, o->bind_len))
		program_fail("bind");
	if (o->isn)
		choose_isn(fd, o->isn);
	if (o->fast_open && setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)))
		program_fail("TCP_FASTOPEN_CONNECT");
	/* the same port again, while the last packet of the connection before is under way */
	while ((rc = connect(fd, (const struct sockaddr *)&o->addr, o->addr_len)) &&
	       errno == EADDRNOTAVAIL && patience_ms--)
		usleep(1000);
	c = start(fd, o);
	if (rc && errno != EINPROGRESS) {
		conn_end(c, strerrorname_np(errno), r);
		return false;
	}
	return true;
}

static unsigned each_conn(int epoll, const struct xfer_opts *o, struct xfer_result *r,
			  uint64_t *wake_us)
{
	unsigned i, open = 0;

	for (i = 0; i < conns_high; i++) {
		struct xfer_conn *c = &conns[i];

		if (c->state == XFER_FREE)
			continue;
		if (c->state == XFER_OPEN && conn_is_due(c) && conn_run(c, 0, o, r))
			continue;
		watch(epoll, c, o, wake_us);
		open++;
	}
	return open;
}

/* Runs until so many connections are over, a signal comes, or nothing moves for the timeout. */
static void run(int listener, const struct xfer_opts *o, struct xfer_result *r)
{
	struct epoll_event events[64], event = {.events = EPOLLIN};
	int epoll = epoll_create1(0), n;
	sigset_t none;
	unsigned opened = 0, open = 0, i;
	uint64_t moved_us = xfer_now_us(), moves = 0;

	sigemptyset(&none); /* SIGUSR1 is blocked elsewhere: it must not come before the wait */
	if (listener >= 0)
		epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	while (!program_stop && r->done < o->connections) {
		uint64_t wake_us = moved_us + o->timeout_s * 1000000ull, now_us;

		for (; listener < 0 && open < o->concurrency && opened < o->connections; opened++)
			open += open_one(o, r);
		open = each_conn(epoll, o, r, &wake_us);
		if (r->done >= o->connections ||
		    (listener < 0 && open < o->concurrency && opened < o->connections))
			continue;
		now_us = xfer_now_us();
		n = epoll_pwait(epoll, events, 64,
				wake_us > now_us ? (int)((wake_us - now_us) / 1000 + 1) : 0, &none);
		for (i = 0; (int)i < n; i++) {
			struct xfer_conn *c = events[i].data.ptr;

			if (!c)
				accept_all(listener, o, r);
			else if (c->state != XFER_FREE)
				conn_run(c, events[i].events, o, r);
		}
		if (r->moves != moves)
			moved_us = xfer_now_us();
		else if (xfer_now_us() - moved_us >= o->timeout_s * 1000000ull)
			break;
		else if (n > 0)
			usleep(500); /* an event that nothing can be done about */
		moves = r->moves;
	}
	for (i = 0; i < conns_high; i++) {
		if (conns[i].state != XFER_FREE)
			conn_end(&conns[i], program_stop ? "stopped" : "timeout", r);
	}
	close(epoll);
}

static void print_hex(const char *name, const uint8_t *digest)
{
	unsigned i;

	printf(", \"%s\": \"", name);
	for (i = 0; i < SHA256_DIGEST_SIZE; i++)
		printf("%02x", digest[i]);
	printf("\"");
}

static void print(const struct xfer_result *r, const struct xfer_opts *o)
{
	unsigned i;

	printf("{\"done\": %u, \"clean\": %u, \"mptcp_start\": %u, \"mptcp_end\": %u, "
	       "\"sent\": %llu, \"received\": %llu, \"retransmits\": %u, \"errors\": {",
	       r->done, r->clean, r->mptcp_start, r->mptcp_end, (unsigned long long)r->sent,
	       (unsigned long long)r->received, r->retransmits);
	for (i = 0; i < r->n_errors; i++)
		printf("%s\"%s\": %u", i ? ", " : "", r->error[i].name, r->error[i].count);
	printf("}, \"seconds\": %.6f, \"receive_seconds\": %.6f", (r->end_us - r->start_us) / 1e6,
	       r->first_byte_us ? (r->end_us - r->first_byte_us) / 1e6 : 0.0);
	if (o->pattern)
		printf(", \"bad_offset\": %lld, \"digests_differ\": %s",
		       r->bad_offset == XFER_NEVER ? -1ll : (long long)r->bad_offset,
		       r->digests_differ ? "true" : "false");
	if (o->digest) {
		print_hex("sent_sha256", r->sent_sha);
		print_hex("received_sha256", r->received_sha);
	}
	if (o->times)
		times_print();
	printf("}\n");
}

/* clang-format off */
enum { HOST = 1, PORT, BIND, BIND_PORT, MPTCP, SEND, SEND_AFTER, SEND_AFTER_EOF, FIN_AFTER_EOF,
	RESET_SENT, RESET_RECEIVED, PAUSE_AT, PAUSE_MS, IDLE_AT, IDLE_MS, URGENT_AT, CHUNK, RCVBUF,
	SNDBUF, CONNECTIONS, CONCURRENCY, PINGS, TIMEOUT, ECHO_BACK, KEEPALIVE, NODELAY, NO_DIGEST,
	NO_PATTERN, TIMES,
	SEED, ISN, FAST_OPEN };
static const struct option options[] = {
	{"host", 1, 0, HOST}, {"port", 1, 0, PORT}, {"bind", 1, 0, BIND},
	{"bind-port", 1, 0, BIND_PORT}, {"mptcp", 0, 0, MPTCP}, {"send", 1, 0, SEND},
	{"send-after", 1, 0, SEND_AFTER}, {"send-after-eof", 0, 0, SEND_AFTER_EOF},
	{"fin-after-eof", 0, 0, FIN_AFTER_EOF}, {"reset-after-sent", 1, 0, RESET_SENT},
	{"reset-after-received", 1, 0, RESET_RECEIVED}, {"pause-at", 1, 0, PAUSE_AT},
	{"pause-ms", 1, 0, PAUSE_MS}, {"idle-at", 1, 0, IDLE_AT}, {"idle-ms", 1, 0, IDLE_MS},
	{"urgent-at", 1, 0, URGENT_AT}, {"chunk", 1, 0, CHUNK}, {"rcvbuf", 1, 0, RCVBUF},
	{"sndbuf", 1, 0, SNDBUF}, {"connections", 1, 0, CONNECTIONS},
	{"concurrency", 1, 0, CONCURRENCY}, {"pings", 1, 0, PINGS}, {"timeout", 1, 0, TIMEOUT},
	{"echo", 0, 0, ECHO_BACK}, {"keepalive", 0, 0, KEEPALIVE}, {"nodelay", 0, 0, NODELAY},
	{"no-digest", 0, 0, NO_DIGEST}, {"no-pattern", 0, 0, NO_PATTERN}, {"times", 0, 0, TIMES},
	{"seed", 1, 0, SEED}, {"isn", 1, 0, ISN},
	{"fast-open", 0, 0, FAST_OPEN}, {0, 0, 0, 0}};

static void read_options(int argc, char **argv, struct xfer_opts *o)
{
	const char *host = "0.0.0.0", *bind_host = NULL;
	uint64_t port = 7001, bind_port = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case HOST: host = optarg; break;
		case PORT: port = number(optarg); break;
		case BIND: bind_host = optarg; break;
		case BIND_PORT: bind_port = number(optarg); break;
		case MPTCP: o->mptcp = true; break;
		case SEND: o->send_bytes = number(optarg); break;
		case SEND_AFTER: o->send_after_bytes = number(optarg); break;
		case SEND_AFTER_EOF: o->send_after_eof = true; break;
		case FIN_AFTER_EOF: o->fin_after_eof = true; break;
		case RESET_SENT: o->reset_after_sent = number(optarg); break;
		case RESET_RECEIVED: o->reset_after_received = number(optarg); break;
		case PAUSE_AT: o->pause_at_bytes = number(optarg); break;
		case PAUSE_MS: o->pause_ms = number(optarg); break;
		case IDLE_AT: o->idle_at_bytes = number(optarg); break;
		case IDLE_MS: o->idle_ms = number(optarg); break;
		case URGENT_AT: o->urgent_at_bytes = number(optarg); break;
		case CHUNK: o->chunk_bytes = number(optarg); break;
		case RCVBUF: o->rcvbuf_bytes = number(optarg); break;
		case SNDBUF: o->sndbuf_bytes = number(optarg); break;
		case CONNECTIONS: o->connections = number(optarg); break;
		case CONCURRENCY: o->concurrency = number(optarg); break;
		case PINGS: o->pings = number(optarg); break;
		case TIMEOUT: o->timeout_s = number(optarg); break;
		case ECHO_BACK: o->echo = true; o->pattern = o->digest = false; break;
		case KEEPALIVE: o->keepalive = true; break;
		case NODELAY: o->nodelay = true; break;
		case NO_DIGEST: o->digest = false; break;
		case NO_PATTERN: o->pattern = o->digest = false; break;
		case TIMES: o->times = true; break;
		case FAST_OPEN: o->fast_open = true; break;
		case ISN: o->isn = number(optarg); break;
		case SEED: o->seed = number(optarg); break;
		default: exit(2);
		}
	}
	address(host, port, &o->addr, &o->addr_len);
	if (bind_host)
		address(bind_host, bind_port, &o->bind, &o->bind_len);
	if (!o->chunk_bytes || o->chunk_bytes > XFER_BLOCK_BYTES)
		o->chunk_bytes = XFER_BLOCK_BYTES;
}
/* clang-format on */

int main(int argc, char **argv)
{
	struct xfer_opts o = {.pattern = true,
			      .digest = true,
			      .seed = 1,
			      .connections = 1,
			      .concurrency = 1,
			      .timeout_s = 8,
			      .reset_after_sent = XFER_NEVER,
			      .reset_after_received = XFER_NEVER,
			      .pause_at_bytes = XFER_NEVER,
			      .idle_at_bytes = XFER_NEVER,
			      .urgent_at_bytes = XFER_NEVER};
	struct xfer_result r = {.bad_offset = XFER_NEVER};
	int listener = -1, qlen = 16;
	sigset_t usr1;

	if (argc < 2 || (strcmp(argv[1], "server") && strcmp(argv[1], "client"))) {
		fprintf(stderr, "usage: xfer server|client [OPTIONS]; see options[] in xfer.c\n");
		return 2;
	}
	o.server = strcmp(argv[1], "server") == 0;
	read_options(argc - 1, argv + 1, &o);
	program_stops_by_signal();
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	signal(SIGUSR1, on_go_on);
	if (o.pings)
		return xfer_ping(&o);
	if (o.server) {
		listener = xfer_socket(&o);
		if (bind(listener, (const struct sockaddr *)&o.addr, o.addr_len) ||
		    (!o.mptcp &&
		     setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &qlen, sizeof(qlen))) ||
		    listen(listener, CONNS_MAX))
			program_fail("listen");
		printf("ready\n");
		fflush(stdout);
	}
	r.start_us = xfer_now_us();
	run(listener, &o, &r);
	print(&r, &o);
	return r.done < o.connections && !program_stop;
}
