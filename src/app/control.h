/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h - the daemon's end of the control socket: what `mpgate show` and `mpgate metrics` ask.
 *
 * A request is one line, "connections", "paths", "counters" or "metrics", the first three also
 * with " json" behind. The answer is text or one JSON document, then one empty line, then the
 * daemon closes; a refused request is answered with a line that begins "error: ".
 *
 * Nothing here ever blocks or grows: a few clients at most, one bounded buffer each, long lists
 * are made piece by piece as the client reads them, and who does not read loses its place to a
 * newcomer.
 */
#ifndef MPGATE_APP_CONTROL_H
#define MPGATE_APP_CONTROL_H

#include "config.h"

/* A counter of the daemon's own, shown behind the engine's. */
struct control_extra {
	const char *name;     /* stable, as in reason.h: [a-z0-9_]+ */
	const char *sentence; /* for people */
	uint64_t value;
};

struct control_server;
struct host;

struct control {
	struct control_server *server; /* null: not open */
	const struct control_extra *extra;
	unsigned n_extra;
	const struct host *host; /* what `paths` says of addresses and gateways; may be null */
};

/*
 * Listens on the UNIX socket `path` (mode 0600). A socket left behind by a dead process is
 * replaced; one that somebody answers on is an error. 0, or -1 with a sentence in `err`. Extras
 * may be set afterwards: the caller keeps the array and changes the values at will.
 */
int control_open(struct control *c, const char *path, char *err, unsigned err_bytes);

/* One descriptor for all (an epoll): readable means that control_dispatch() has work. */
int control_fd(const struct control *c);

/* Does a bounded piece of what is due; call again whenever the descriptor is readable. */
void control_dispatch(struct control *c, const struct engine *e, const struct config *cfg,
		      uint64_t now_us);

/* Drops the clients and removes the socket. Harmless when not open. */
void control_close(struct control *c);

#endif
