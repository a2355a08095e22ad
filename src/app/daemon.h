/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.h - `mpgate run`: the engine between NFQUEUE and the TUN devices.
 */
#ifndef MPGATE_APP_DAEMON_H
#define MPGATE_APP_DAEMON_H

#include "config.h"

/*
 * Runs until SIGTERM or SIGINT, then withdraws everything. Messages go to the log. 0 after such
 * an end, 1 when it could not start or had to give up.
 */
int daemon_run(const struct config *cfg);

#endif
