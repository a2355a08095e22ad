/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nftables.h - hears when rules are taken out of the tables in which ours stand.
 *
 * Only the kernel's nftables tells; of changes by iptables-legacy nobody hears.
 */
#ifndef MPGATE_IO_NFTABLES_H
#define MPGATE_IO_NFTABLES_H

#include <stdbool.h>

/* A descriptor that is readable when the kernel's rules have changed; or -errno. */
int nftables_watch(void);

/*
 * Reads all that has been told, without waiting: true when a rule, chain or table was deleted of
 * iptables' or ip6tables' raw or security, or of `filter` if that is asked for (it is often changed
 * by others), or when messages were lost.
 */
bool nftables_deleted(int fd, bool filter);

#endif
