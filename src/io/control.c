/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.c - the listening end of the control socket. Everything is non-blocking and of fixed
 * size; a client that does not read only wastes its own place.
 */
#include "io/control.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BUF_BYTES (2U * CONTROL_PIECE_MAX)

struct client {
	int fd;     /* -1: free */
	bool asked; /* the line is complete, an answer is under way */
	bool done;  /* the answer's last byte is in `buf` */
	unsigned line_bytes;
	unsigned sent_bytes, buf_bytes; /* of `buf` */
	uint64_t progress_us;
	struct control_request request;
	char buf[BUF_BYTES];
};

struct control_server {
	int epoll, listener;
	dev_t dev;
	ino_t ino;
	struct sockaddr_un addr;
	struct client client[CONTROL_CLIENTS_MAX];
};

static int watch(struct control_server *s, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event ev = {.events = events, .data.ptr = ptr};

	return epoll_ctl(s->epoll, op, fd, &ev);
}

static void client_close(struct client *c)
{
	char rest[256];

	/* What is unread at close would reach the client as a reset instead of an end. */
	(void)!recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT);
	close(c->fd);
	c->fd = -1;
}

/* Gets the name free: 0 when nothing, or only a dead process's socket, stood there. */
static int name_free(const char *path, char *err, unsigned err_bytes)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0; /* bind() tells what else is wrong */
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, err_bytes,
			 "%s exists and is no socket; remove it or set another `control`", path);
		return -1;
	}
	if (control_alive(path)) {
		snprintf(err, err_bytes,
			 "%s: another mpgate answers there; stop it first, or set another "
			 "`control`",
			 path);
		return -1;
	}
	if (unlink(path) < 0) {
		snprintf(err, err_bytes, "%s: cannot remove the old socket: %s", path,
			 strerror(errno));
		return -1;
	}
	return 0;
}

static int listener_open(struct control_server *s, char *err, unsigned err_bytes)
{
	const char *path = s->addr.sun_path;
	struct stat st;

	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The socket's own mode becomes the file's: it is never open to others, not even briefly.
	 */
	if (s->listener < 0 || fchmod(s->listener, 0600) < 0 ||
	    bind(s->listener, (const struct sockaddr *)&s->addr, sizeof(s->addr)) < 0) {
		snprintf(err, err_bytes, "%s: cannot make the control socket: %s; %s", path,
			 strerror(errno),
			 errno == ENOENT ? "create its directory" : "set another `control`");
		return -1;
	}
	if (stat(path, &st) < 0 || listen(s->listener, CONTROL_CLIENTS_MAX) < 0 ||
	    watch(s, EPOLL_CTL_ADD, s->listener, EPOLLIN, NULL) < 0) {
		snprintf(err, err_bytes, "%s: cannot listen: %s", path, strerror(errno));
		unlink(path);
		return -1;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

struct control_server *control_server_open(const char *path, char *err, unsigned err_bytes)
{
	struct control_server *s;

	if (strlen(path) >= sizeof(s->addr.sun_path)) {
		snprintf(err, err_bytes, "%s: too long for a socket's name", path);
		return NULL;
	}
	if (name_free(path, err, err_bytes) < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s) {
		snprintf(err, err_bytes, "no memory for the control socket");
		return NULL;
	}
	s->addr.sun_family = AF_UNIX;
	memcpy(s->addr.sun_path, path, strlen(path) + 1);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		s->client[i].fd = -1;
	s->listener = -1;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		snprintf(err, err_bytes, "epoll: %s", strerror(errno));
	if (s->epoll < 0 || listener_open(s, err, err_bytes) < 0) {
		if (s->listener >= 0)
			close(s->listener);
		if (s->epoll >= 0)
			close(s->epoll);
		free(s);
		return NULL;
	}
	return s;
}

int control_server_fd(const struct control_server *s)
{
	return s->epoll;
}

/* A free place, if need be that of who has made no progress for the longest; null: none. */
static struct client *place_find(struct control_server *s, uint64_t now_us)
{
	struct client *oldest = &s->client[0];

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (s->client[i].fd < 0)
			return &s->client[i];
		if (s->client[i].progress_us < oldest->progress_us)
			oldest = &s->client[i];
	}
	if (now_us - oldest->progress_us < CONTROL_PATIENCE_US)
		return NULL;
	client_close(oldest);
	return oldest;
}

static void on_newcomer(struct control_server *s, uint64_t now_us)
{
	static const char busy[] = "error: too many clients at once; try again\n\n";
	int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c;

	if (fd < 0)
		return;
	c = place_find(s, now_us);
	if (!c) {
		(void)!send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		return;
	}
	memset(c, 0, offsetof(struct client, buf));
	c->fd = fd;
	c->progress_us = now_us;
	if (watch(s, EPOLL_CTL_ADD, fd, EPOLLIN, c) < 0)
		client_close(c);
}

/* Takes what has come of the request's line; from its end on, the client is only written to. */
static void on_request(struct control_server *s, struct client *c, uint64_t now_us)
{
	char *line = c->request.line, *end;
	ssize_t n = recv(c->fd, line + c->line_bytes, CONTROL_LINE_MAX - 1 - c->line_bytes,
			 MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n == 0 && !c->line_bytes)) {
		client_close(c);
		return;
	}
	c->progress_us = now_us;
	c->line_bytes += (unsigned)n;
	line[c->line_bytes] = '\0';
	end = memchr(line, '\n', c->line_bytes);
	/* The sender may also end the line by shutting down its side. */
	if (!end && n > 0 && c->line_bytes < CONTROL_LINE_MAX - 1)
		return;
	if (end)
		*end = '\0';
	c->asked = true;
	if (watch(s, EPOLL_CTL_MOD, c->fd, EPOLLOUT, c) < 0)
		client_close(c);
}

/* Makes the next piece when there is room for one, and sends what the socket takes. */
static void on_writable(struct client *c, control_answer_fn answer, void *ctx, uint64_t now_us)
{
	ssize_t n;

	if (!c->done && c->buf_bytes + CONTROL_PIECE_MAX + 1 <= BUF_BYTES) {
		c->buf_bytes += answer(ctx, &c->request, c->buf + c->buf_bytes,
				       BUF_BYTES - 1 - c->buf_bytes, &c->done);
		if (c->done)
			c->buf[c->buf_bytes++] = '\n';
	}
	if (c->buf_bytes > c->sent_bytes) {
		n = send(c->fd, c->buf + c->sent_bytes, c->buf_bytes - c->sent_bytes,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			client_close(c);
			return;
		}
		if (n > 0) {
			c->sent_bytes += (unsigned)n;
			c->progress_us = now_us;
		}
	} else if (!c->done) {
		c->progress_us = now_us; /* still searching: not the client's fault */
	}
	if (c->sent_bytes == c->buf_bytes)
		c->sent_bytes = c->buf_bytes = 0;
	if (c->done && c->buf_bytes == 0)
		client_close(c);
}

void control_server_dispatch(struct control_server *s, control_answer_fn answer, void *ctx,
			     uint64_t now_us)
{
	struct epoll_event ev[CONTROL_CLIENTS_MAX + 1];
	int n = epoll_wait(s->epoll, ev, CONTROL_CLIENTS_MAX + 1, 0);
	bool newcomer = false;

	for (int i = 0; i < n; i++) {
		struct client *c = ev[i].data.ptr;

		if (!c)
			newcomer = true;
		else if (ev[i].events & (c->asked ? EPOLLERR | EPOLLHUP : EPOLLERR))
			client_close(c);
		else if (!c->asked)
			on_request(s, c, now_us);
		else
			on_writable(c, answer, ctx, now_us);
	}
	/* Last, because a newcomer may take a place that an event above still speaks of. */
	if (newcomer)
		on_newcomer(s, now_us);
}

void control_server_close(struct control_server *s)
{
	struct stat st;

	if (!s)
		return;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (s->client[i].fd >= 0)
			client_close(&s->client[i]);
	if (stat(s->addr.sun_path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->addr.sun_path);
	close(s->listener);
	close(s->epoll);
	free(s);
}
