// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnl_message.c - see rtnl_message.h; and the socket of changes, with its filter in the kernel.
 */
#include "io/rtnl_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/rtnl.h"

#define MONITOR_BYTES (1 << 20)
#define DUMP_TRIES 5

uint8_t rtnl_af(uint8_t family)
{
	return family == FLOW_IPV4 ? AF_INET : AF_INET6;
}

unsigned rtnl_address_bytes(uint8_t family)
{
	return family == FLOW_IPV4 ? 4 : 16;
}

struct nlmsghdr *rtnl_message(char *buf, uint16_t type, uint16_t flags, const void *header,
			      size_t bytes)
{
	struct nlmsghdr *msg;

	memset(buf, 0, RTNL_MESSAGE_BYTES); /* what lies between attributes is sent as well */
	msg = mnl_nlmsg_put_header(buf);
	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(mnl_nlmsg_put_extra_header(msg, bytes), header, bytes);
	return msg;
}

bool rtnl_has_body(const struct nlmsghdr *msg, size_t bytes)
{
	return mnl_nlmsg_get_payload_len(msg) >= bytes;
}

uint32_t rtnl_number(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

void rtnl_name(char *to, size_t cap, const struct nlattr *attr)
{
	size_t n = mnl_attr_get_payload_len(attr);

	n = n < cap ? n : cap - 1;
	memcpy(to, mnl_attr_get_payload(attr), n);
	to[n] = '\0';
}

int rtnl_ask(struct nlmsghdr *msg, mnl_cb_t cb, void *data)
{
	struct netlink nl;
	int err = netlink_open(&nl, NETLINK_ROUTE), one = 1;

	if (err)
		return err;
	/* Without it, before Linux 4.20, the kernel tells more than was asked. */
	mnl_socket_setsockopt(nl.socket, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	/* A dump during which something changed is not to be relied on: EINTR, once more. */
	for (int i = 0; i < DUMP_TRIES; i++) {
		err = netlink_ask(&nl, msg, cb, data);
		if (err != -EINTR)
			break;
	}
	netlink_close(&nl);
	return err;
}

/* What the kernel, an administrator, DHCP or a router's advertisement made. */
static const uint8_t protocols[] = {RTPROT_KERNEL, RTPROT_BOOT, RTPROT_STATIC, RTPROT_RA,
				    RTPROT_DHCP};

bool rtnl_protocol_matters(uint8_t protocol)
{
	for (size_t i = 0; i < sizeof(protocols); i++)
		if (protocols[i] == protocol)
			return true;
	return false;
}

/*
 * Of a routing daemon's thousands of routes the process must not even wake up: the kernel lets
 * through only default routes and those of the protocols above, of the main table. Netlink is in
 * the host's byte order, the filter loads in the network's.
 */
static int filter(int fd)
{
	enum { TYPE = offsetof(struct nlmsghdr, nlmsg_type), BODY = NLMSG_HDRLEN };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 12),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, BODY + offsetof(struct rtmsg, rtm_table)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RT_TABLE_MAIN, 0, 11),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, BODY + offsetof(struct rtmsg, rtm_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTN_UNICAST, 0, 9),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, BODY + offsetof(struct rtmsg, rtm_dst_len)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 6, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, BODY + offsetof(struct rtmsg, rtm_protocol)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_KERNEL, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_BOOT, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_STATIC, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_RA, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_DHCP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

int rtnl_monitor_open(void)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE), err;
	int bytes = MONITOR_BYTES;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	err = filter(fd);
	if (!err && bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
