/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.h - what mpgate sets up on its host: chains of iptables and ip6tables, routing rules and
 * the tables of the paths. The chains are one list of commands, executed by `up` and printed by
 * `print`; routes and routing rules are sent by rtnetlink (routes.h), and printed as commands.
 */
#ifndef MPGATE_APP_RULES_H
#define MPGATE_APP_RULES_H

#include <stdio.h>

#include "config.h"
#include "steer_table.h"

struct host;

/*
 * Installs everything, replacing what a predecessor may have left. Interfaces need not exist yet.
 * `host` null: looked at first. `routed`: what leaves by a device of ours may have to be routed by
 * the kernel (io/bpf.h). 0, or -1 with a message in `err`; what was installed before the failure is
 * withdrawn.
 */
int rules_up(const struct config *cfg, const struct host *host, bool routed, char *err,
	     unsigned err_bytes);

/* Whether the jumps into our chains, or our routing rules, are there: somebody may remove them. */
bool rules_jumps_there(bool routed);
bool rules_routes_there(void);

/*
 * Whether a daemon lives that has our devices, this one or another: they vanish with it.
 */
bool rules_daemon_there(void);

/* The chains alone. 0, or -1 with a message. */
int rules_chains_up(const struct config *cfg, bool routed, char *err, unsigned err_bytes);

/*
 * Withdraws everything of ours, also where only a part is present. The programs at the interfaces'
 * ingress are withdrawn too, unless a daemon lives: they are its, and without them it would
 * convert what it could not find again. 0, or -1 with a message.
 */
int rules_down(char *err, unsigned err_bytes);

/* The commands of `up` as a shell script that says what each is for. 0 or -1 with a message. */
int rules_print(const struct config *cfg, bool routed, FILE *out, char *err, unsigned err_bytes);

/* Whether the file says that what we emit is to be routed. */
bool rules_ask_routed(const struct config *cfg);

/* Whether this kernel has IPv6. */
bool rules_have_v6(void);

#endif
