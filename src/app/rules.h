/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.h - what mpgate sets up on its host: chains of iptables and ip6tables, routing rules and
 * the tables of the paths. One list of commands is executed by `up`, printed by `print`.
 */
#ifndef MPGATE_APP_RULES_H
#define MPGATE_APP_RULES_H

#include <stdio.h>

#include "config.h"

/*
 * Marks, in the packet and (the first two) in the connection. RULES_MARK_GUEST and
 * RULES_MARK_DECIDED live only between two of our own rules.
 */
#define RULES_MARK_PLAIN 0x10000000U
#define RULES_MARK_CONVERTED 0x20000000U
/* Both: a remote client asked for Multipath TCP, its third ACK will decide. */
#define RULES_MARK_HALF (RULES_MARK_PLAIN | RULES_MARK_CONVERTED)
#define RULES_MARK_CONN (RULES_MARK_PLAIN | RULES_MARK_CONVERTED)
#define RULES_MARK_DECIDED 0x40000000U /* the daemon has spoken: save the two bits, let go */
#define RULES_MARK_GUEST 0x80000000U   /* handshake over a path; or a guest's invalid segment */
#define RULES_MARK_ALL 0xf0000000U

struct host;

/*
 * Installs everything, replacing what a predecessor may have left. Interfaces need not exist yet.
 * `host` null: looked at first. 0, or -1 with a message in `err`; what was installed before the
 * failure is withdrawn.
 */
int rules_up(const struct config *cfg, const struct host *host, char *err, unsigned err_bytes);

/* Withdraws everything of ours, also where only a part is present. 0, or -1 with a message. */
int rules_down(char *err, unsigned err_bytes);

/* The commands of `up` as a shell script that says what each is for. 0 or -1 with a message. */
int rules_print(const struct config *cfg, FILE *out, char *err, unsigned err_bytes);

/* Whether this kernel has IPv6. */
bool rules_have_v6(void);

#endif
