/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnl_message.h - inside rtnl: how its messages are begun and sent.
 */
#ifndef MPGATE_IO_RTNL_MESSAGE_H
#define MPGATE_IO_RTNL_MESSAGE_H

#include "flow.h"
#include "io/netlink.h"

#define RTNL_MESSAGE_BYTES 512

uint8_t rtnl_af(uint8_t family);
unsigned rtnl_address_bytes(uint8_t family);

/* A request of `type` in `buf` (RTNL_MESSAGE_BYTES) that begins with the `bytes` of `header`. */
struct nlmsghdr *rtnl_message(char *buf, uint16_t type, uint16_t flags, const void *header,
			      size_t bytes);

/*
 * What a message or an attribute says; the kernel is trusted to mean well, not to be of the version
 * that we know: short ones count as absent.
 */
bool rtnl_has_body(const struct nlmsghdr *msg, size_t bytes);
uint32_t rtnl_number(const struct nlattr *attr);                 /* 0: not 32 bits */
void rtnl_name(char *to, size_t cap, const struct nlattr *attr); /* terminated */

/* Asks on a socket of its own, where dumps are filtered by what the header says. 0 or -errno. */
int rtnl_ask(struct nlmsghdr *msg, mnl_cb_t cb, void *data);

/* Whether routes of that origin are wanted, also those that are no default routes. */
bool rtnl_protocol_matters(uint8_t protocol);

#endif
