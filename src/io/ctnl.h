/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctnl.h - what the host's connection tracking knows of a connection (ctnetlink): its translated
 * addresses, and how long they last.
 */
#ifndef MPGATE_IO_CTNL_H
#define MPGATE_IO_CTNL_H

#include "flow.h"
#include "io/netlink.h"

/* All block for the moment that the kernel takes; none is called per packet. */

/*
 * The TCP connection that the guest names `guest` (itself first), as it is seen on the wire
 * towards the net, the gate's side first. 0; -ENOENT when conntrack has no such connection in
 * this direction; -errno.
 */
int ctnl_translation(struct netlink *nl, const struct flow_tuple *guest, struct flow_tuple *net);

/*
 * Conntrack has seen no more of it than the handshake: it is to take the connection for
 * established, for five days without a segment, and not to judge sequence numbers when it sees some
 * again, because the connection fell back to plain TCP: what it calls invalid is not translated.
 * 0; -ENOENT when it has no such connection; -errno.
 */
int ctnl_keep(struct netlink *nl, const struct flow_tuple *guest);

/*
 * It is over: as if conntrack had seen its end, the entry goes in two minutes, or with a new SYN.
 * 0; -ENOENT when conntrack has no such connection; -errno.
 */
int ctnl_over(struct netlink *nl, const struct flow_tuple *guest);

#endif
