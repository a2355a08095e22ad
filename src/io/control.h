/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h - one-line requests over a UNIX stream socket: the listening end, which never blocks,
 * and the asking end. What the requests mean is the caller's.
 *
 * An answer is lines; one empty line ends it, so that the asker knows that nothing is missing.
 */
#ifndef MPGATE_IO_CONTROL_H
#define MPGATE_IO_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONTROL_LINE_MAX 128        /* of a request, with its end */
#define CONTROL_CLIENTS_MAX 8       /* at one time */
#define CONTROL_PIECE_MAX 32768     /* room that is always there for one piece of an answer */
#define CONTROL_PATIENCE_US 2000000 /* without progress for so long: gives way to a newcomer */

struct control_server;

/* A request and how far its answer has come; the last two are the answerer's, zero at first. */
struct control_request {
	char line[CONTROL_LINE_MAX];
	uint32_t phase;
	uint32_t cursor;
};

/*
 * Writes the next piece into `buf`, which has `room` >= CONTROL_PIECE_MAX bytes, and returns how
 * many bytes; sets *done behind the last. May return 0 without being done: called again soon.
 */
typedef unsigned (*control_answer_fn)(void *ctx, struct control_request *request, char *buf,
				      unsigned room, bool *done);

/* Null with a sentence in `err`. A dead process's socket is replaced, a living one's is not. */
struct control_server *control_server_open(const char *path, char *err, unsigned err_bytes);

/* Readable when control_server_dispatch() has something to do. */
int control_server_fd(const struct control_server *s);

/* Serves everybody who is ready with at most one piece each. */
void control_server_dispatch(struct control_server *s, control_answer_fn answer, void *ctx,
			     uint64_t now_us);

/* Removes the socket, unless the name belongs to somebody else by now. */
void control_server_close(struct control_server *s);

/* True when somebody listens on the socket `path`. */
bool control_alive(const char *path);

/*
 * Sends one request and copies the answer to `out`. 0, or -1 with a sentence in `err`: nobody
 * there, not allowed, refused by the daemon, cut off in the middle.
 */
int control_ask(const char *path, const char *request, FILE *out, char *err, unsigned err_bytes);

#endif
