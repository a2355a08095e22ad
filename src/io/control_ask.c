/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_ask.c - the asking end of the control socket: one request, one answer, and an error
 * when the answer is not whole.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/control.h"

#define ANSWER_SECONDS 10

/* A connected descriptor or -errno. */
static int connect_to(const char *path, int flags)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

bool control_alive(const char *path)
{
	int fd = connect_to(path, SOCK_NONBLOCK);

	if (fd >= 0)
		close(fd);
	/* A full backlog (EAGAIN) is a sign of life too, and EACCES of somebody else's. */
	return fd >= 0 || fd == -EAGAIN || fd == -EACCES || fd == -EPERM;
}

static void connect_error(const char *path, int rc, char *err, unsigned err_bytes)
{
	const char *cure = "name the daemon's socket with --control";

	if (rc == -ENOENT || rc == -ECONNREFUSED)
		cure = "no mpgate runs there: start `mpgate run`, or name its socket with "
		       "--control";
	else if (rc == -EACCES || rc == -EPERM)
		cure = "only root may ask";
	snprintf(err, err_bytes, "%s: %s; %s", path, strerror(-rc), cure);
}

/* How the answer ends is known only at its end: the last bytes are held back until then. */
struct tail {
	char buf[16384 + 1];
	size_t n;
	bool any;
};

/* Copies what has come, all but the last newline of an ending. */
static int answer_copy(int fd, struct tail *t, FILE *out)
{
	for (;;) {
		size_t keep;
		ssize_t n = recv(fd, t->buf + t->n, sizeof(t->buf) - 1 - t->n, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ECONNRESET ? 0 : -errno;
		if (n == 0)
			return 0;
		t->n += (size_t)n;
		t->buf[t->n] = '\0';
		/* A refusal is short, comes at once, and does not belong into `out`. */
		if (!t->any && strncmp(t->buf, "error: ", t->n < 7 ? t->n : 7) == 0 &&
		    t->n < sizeof(t->buf) - 1)
			continue;
		keep = t->n < 2 ? t->n : 2;
		fwrite(t->buf, 1, t->n - keep, out);
		memmove(t->buf, t->buf + t->n - keep, keep);
		t->n = keep;
		t->any = true;
	}
}

int control_ask(const char *path, const char *request, FILE *out, char *err, unsigned err_bytes)
{
	static const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	static struct tail t;
	char line[CONTROL_LINE_MAX];
	int fd = connect_to(path, 0), rc, n = snprintf(line, sizeof(line), "%s\n", request);

	t.n = 0;
	t.any = false;
	if (fd < 0) {
		connect_error(path, fd, err, err_bytes);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* The daemon may already have said why it does not listen: so read in any case. */
	(void)!send(fd, line, (size_t)n, MSG_NOSIGNAL);
	rc = answer_copy(fd, &t, out);
	close(fd);
	if (rc == -EAGAIN) {
		snprintf(err, err_bytes, "%s: no answer within %d s; is the daemon stopped?", path,
			 ANSWER_SECONDS);
		return -1;
	}
	if (rc < 0) {
		snprintf(err, err_bytes, "%s: %s", path, strerror(-rc));
		return -1;
	}
	if (!t.any && t.n > 7 && strncmp(t.buf, "error: ", 7) == 0) {
		snprintf(err, err_bytes, "%s: %.*s", path, (int)strcspn(t.buf + 7, "\n"),
			 t.buf + 7);
		return -1;
	}
	if (t.n < 2 || memcmp(t.buf + t.n - 2, "\n\n", 2) != 0) {
		snprintf(err, err_bytes, "%s: the answer was cut off; try again", path);
		return -1;
	}
	fwrite(t.buf, 1, t.n - 1, out);
	if (fflush(out) != 0) {
		snprintf(err, err_bytes, "cannot write the answer: %s", strerror(errno));
		return -1;
	}
	return 0;
}
