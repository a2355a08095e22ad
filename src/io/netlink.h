/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink.h - one question and its answer over libmnl, and what the kernel tells unasked; shared by
 * rtnl, bpf, ctnl and nftables.
 */
#ifndef MPGATE_IO_NETLINK_H
#define MPGATE_IO_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>

struct netlink {
	struct mnl_socket *socket;
	uint32_t seq;
};

/* Opens a socket of the netlink family `bus` (NETLINK_ROUTE ...). 0 or -errno. */
int netlink_open(struct netlink *nl, int bus);
void netlink_close(struct netlink *nl);

/*
 * Sends `msg` (its sequence number is set here) and gives every answer to `cb` until the dump's
 * end, the acknowledgement, an error, or MNL_CB_STOP of `cb`. The flags must ask for one of them,
 * NLM_F_DUMP or NLM_F_ACK, unless `cb` stops. 0 or -errno.
 */
int netlink_ask(struct netlink *nl, struct nlmsghdr *msg, mnl_cb_t cb, void *data);

/* libmnl's failure, in errno, as a negative number: -EPROTO for an errno that no kernel sends. */
int netlink_failure(void);

/* Whether the `bytes` at `buf` are whole messages; libmnl does not mind lengths of 2 GB and more.
 */
bool netlink_whole(const void *buf, size_t bytes);

/*
 * What the kernel itself has told next on a socket that belongs to a group, without waiting: bytes
 * at `buf`, for mnl_cb_run(); 0 when there is no more; -ENOBUFS when some was lost, -EBADMSG when
 * this is not whole.
 */
ssize_t netlink_heard(int fd, void *buf, size_t bytes);

#endif
