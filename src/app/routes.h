/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * routes.h - the paths' routing tables and rules in the kernel, kept by rtnetlink: after a change
 * only what differs is sent, and no process is started.
 */
#ifndef MPGATE_APP_ROUTES_H
#define MPGATE_APP_ROUTES_H

#include "app/rules_build.h"

struct routes {
	struct netlink nl;
	bool v6;
	struct rules_plan plan[ENGINE_PATHS_MAX][2]; /* as installed */
	bool unsure[ENGINE_PATHS_MAX]; /* something failed: everything again next time */
};

/* 0 or -errno. */
int routes_open(struct routes *r);
void routes_close(struct routes *r);

/*
 * Installs what the path needs now and removes what it needs no more. `lost`: the kernel may have
 * dropped routes of it. 0, or -1 with a sentence in `err`; then the rest was done all the same,
 * and r->unsure[path] is set.
 */
int routes_renew(struct routes *r, const struct config *cfg, const struct host *host, unsigned path,
		 bool lost, char *err, unsigned err_bytes);

/* Everything of ours goes, whoever installed it. 0, or -1 with a sentence in `err`. */
int routes_remove(char *err, unsigned err_bytes);

#endif
