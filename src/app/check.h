/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.h - inside `mpgate check`: findings, one line each, "ok|warn|FAIL what: sentence; how to
 * mend it".
 */
#ifndef MPGATE_APP_CHECK_H
#define MPGATE_APP_CHECK_H

#include "app/host.h"

enum check_level { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct check {
	const struct config *cfg;
	struct host host;
	bool root;
	bool no_redirect; /* the kernel cannot redirect by BPF: packets are routed */
	unsigned n_warn, n_fail;
};

/* Prints one finding. */
void check_say(struct check *c, enum check_level level, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define CHECK_WORDS_MAX 24

/*
 * Runs a command without a shell (argv is null-terminated, CHECK_WORDS_MAX words at most). Its exit
 * status, 127 when there is no such command, -1 when it could not be run; what it said on both
 * outputs is in `out`.
 */
int check_run(const char *const *argv, char *out, unsigned out_bytes);

/* The number in a file of /proc/sys; false when it has none. */
bool check_number(long *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Who may run it, and what the kernel can do: tried out in a network namespace of its own. */
void check_kernel(struct check *c);

/* Interfaces, addresses, gateways, tables of this host. */
void check_paths(struct check *c);

/* A packet through each device, with the rules up for a moment; only if nothing failed so far. */
void check_probe(struct check *c);

/* Forwarding, rp_filter, ports, memory, the queue, the control socket. */
void check_settings(struct check *c);

#endif
