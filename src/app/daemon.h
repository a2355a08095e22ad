/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.h - `mpgate run`: the engine between NFQUEUE and the TUN devices.
 */
#ifndef MPGATE_APP_DAEMON_H
#define MPGATE_APP_DAEMON_H

#include "config.h"

enum daemon_end {
	DAEMON_ENDED,  /* SIGTERM or SIGINT; everything is withdrawn */
	DAEMON_FAILED, /* it could not start or had to give up */
	/*
	 * SIGHUP: the file has changed. Rules, routes and the state file stay; a new process is to
	 * take over at once, as after a crash.
	 */
	DAEMON_RELOAD,
};

/*
 * Runs until a signal ends it. Messages go to the log. `file` is what `cfg` was read from, and read
 * again before a reload; null: SIGHUP does nothing.
 */
enum daemon_end daemon_run(const struct config *cfg, const char *file);

#endif
