/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports.h - the local ports of the gate's own subflows, kept from the host's own connections by
 * net.ipv4.ip_local_reserved_ports.
 *
 * What others have reserved there stays reserved when we go: which ports we added is remembered in
 * routing rules that match nothing (one for each range), which live exactly as long as the setting
 * does, a killed daemon's too.
 */
#ifndef MPGATE_APP_PORTS_H
#define MPGATE_APP_PORTS_H

#include "app/rules_list.h"
#include "config.h"

#define PORTS_ALL 65536

/* Reads the kernel's list "1,5-7" into `reserved`; false when it is no such list. */
bool ports_parse(const char *text, bool reserved[PORTS_ALL]);

/* Writes it. The length, or 0 when it does not fit. */
unsigned ports_text(const bool reserved[PORTS_ALL], char *text, unsigned bytes);

/* What the kernel keeps from its own connections. 0 or -errno. */
int ports_read(bool reserved[PORTS_ALL]);

/* Reserves the configured range, as far as it is not yet. A failure goes to the log. */
void ports_reserve(const struct config *cfg);

/* Takes back what we, or one before us, have reserved. */
void ports_release(void);

/* The reservation as commands. */
void ports_print(struct rules_list *list, const struct config *cfg);

#endif
