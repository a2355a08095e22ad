/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctnl.h - what the host's connection tracking knows of a connection (ctnetlink): its translated
 * addresses, and its mark.
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

/* The connection's mark. 0; -ENOENT when conntrack has no such connection; -errno. */
int ctnl_mark_of(struct netlink *nl, const struct flow_tuple *guest, uint32_t *mark);

/* Sets the bits of `mask` in the connection's mark to those of `mark`. 0 or -errno. */
int ctnl_mark(struct netlink *nl, const struct flow_tuple *guest, uint32_t mark, uint32_t mask);

/*
 * Conntrack is not to judge this connection's sequence numbers (IP_CT_TCP_FLAG_BE_LIBERAL). It
 * sees the guest on one side and the peer's subflow on the other, whose acknowledgements differ,
 * so it would call some segments invalid, and an invalid one carries no mark and is not
 * translated back. 0 or -errno.
 */
int ctnl_liberal(struct netlink *nl, const struct flow_tuple *guest);

#endif
