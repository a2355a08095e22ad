// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnl.c - see rtnl.h. Every question opens its own socket: they are rare.
 */
#include "io/rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/netlink.h"

#define ADDRESS_UNFIT (IFA_F_TENTATIVE | IFA_F_DEPRECATED | IFA_F_TEMPORARY | IFA_F_DADFAILED)

static uint8_t af_of(uint8_t family)
{
	return family == FLOW_IPV4 ? AF_INET : AF_INET6;
}

static unsigned address_bytes(uint8_t family)
{
	return family == FLOW_IPV4 ? 4 : 16;
}

static void address_get(struct ip_addr *to, uint8_t family, const struct nlattr *attr)
{
	memset(to, 0, sizeof(*to));
	if (mnl_attr_get_payload_len(attr) == address_bytes(family))
		memcpy(to->b, mnl_attr_get_payload(attr), address_bytes(family));
}

/* Sends a question of `bytes` of family header `header`; -errno or 0. */
static int ask(uint16_t type, uint16_t flags, const void *header, size_t bytes, mnl_cb_t cb,
	       void *data)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct netlink nl;
	int err;

	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(mnl_nlmsg_put_extra_header(msg, bytes), header, bytes);
	err = netlink_open(&nl, NETLINK_ROUTE);
	if (err)
		return err;
	err = netlink_ask(&nl, msg, cb, data);
	netlink_close(&nl);
	return err;
}

static int on_link(const struct nlmsghdr *msg, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(msg);
	struct rtnl_link *link = data;
	struct nlattr *attr;

	if (msg->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	link->up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING);
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == IFLA_MTU)
			link->mtu_bytes = mnl_attr_get_u32(attr);
	}
	return MNL_CB_OK;
}

int rtnl_link(const char *name, struct rtnl_link *link)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
	int err;

	memset(link, 0, sizeof(*link));
	link->index = if_nametoindex(name);
	if (link->index == 0)
		return errno == ENODEV ? 0 : -errno;
	info.ifi_index = (int)link->index;
	err = ask(RTM_GETLINK, NLM_F_ACK, &info, sizeof(info), on_link, link);
	if (err == -ENODEV)
		memset(link, 0, sizeof(*link));
	return err == -ENODEV ? 0 : err;
}

struct address_question {
	unsigned ifindex;
	uint8_t family;
	struct ip_addr *found;
};

static int on_address(const struct nlmsghdr *msg, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(msg);
	struct address_question *q = data;
	struct ip_addr address = {{0}};
	uint32_t flags = info->ifa_flags;
	struct nlattr *attr;

	if (msg->nlmsg_type != RTM_NEWADDR || info->ifa_index != q->ifindex ||
	    info->ifa_family != af_of(q->family) || info->ifa_scope != RT_SCOPE_UNIVERSE)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == IFA_FLAGS)
			flags = mnl_attr_get_u32(attr);
		/* On point-to-point links IFA_ADDRESS is the other end's and IFA_LOCAL comes first.
		 */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && ip_addr_is_zero(&address)))
			address_get(&address, q->family, attr);
	}
	if (!(flags & ADDRESS_UNFIT) && ip_addr_is_zero(q->found))
		*q->found = address;
	return MNL_CB_OK;
}

int rtnl_address(unsigned ifindex, uint8_t family, struct ip_addr *address)
{
	struct ifaddrmsg info = {.ifa_family = af_of(family)};
	struct address_question q = {.ifindex = ifindex, .family = family, .found = address};

	memset(address, 0, sizeof(*address));
	return ask(RTM_GETADDR, NLM_F_DUMP, &info, sizeof(info), on_address, &q);
}

struct route_question {
	unsigned ifindex;
	uint8_t family;
	struct rtnl_route *routes;
	unsigned cap, n;
};

/* One next hop of a route: `oif` and where it points; a route through another interface is none. */
static void route_add(struct route_question *q, const struct rtnl_route *route, unsigned oif)
{
	if (oif == q->ifindex && q->n < q->cap)
		q->routes[q->n++] = *route;
}

static void on_nexthops(struct route_question *q, struct rtnl_route *route,
			const struct nlattr *attr)
{
	struct rtnexthop *hop = mnl_attr_get_payload(attr);
	int left = mnl_attr_get_payload_len(attr);

	while (RTNH_OK(hop, left)) {
		const struct nlattr *a = (const struct nlattr *)(void *)RTNH_DATA(hop);
		int bytes = hop->rtnh_len - (int)sizeof(*hop);

		memset(&route->gateway, 0, sizeof(route->gateway));
		route->on_link = hop->rtnh_flags & RTNH_F_ONLINK;
		while (mnl_attr_ok(a, bytes)) {
			if (mnl_attr_get_type(a) == RTA_GATEWAY)
				address_get(&route->gateway, q->family, a);
			bytes -= (int)MNL_ALIGN(a->nla_len);
			a = mnl_attr_next(a);
		}
		route_add(q, route, (unsigned)hop->rtnh_ifindex);
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

static int on_route(const struct nlmsghdr *msg, void *data)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(msg);
	struct route_question *q = data;
	struct rtnl_route route = {.family = q->family, .prefix_bits = info->rtm_dst_len};
	struct nlattr *attr, *nexthops = NULL;
	uint32_t table = info->rtm_table;
	unsigned oif = 0;

	if (msg->nlmsg_type != RTM_NEWROUTE || info->rtm_family != af_of(q->family) ||
	    info->rtm_type != RTN_UNICAST || (info->rtm_flags & RTM_F_CLONED))
		return MNL_CB_OK;
	route.on_link = info->rtm_flags & RTNH_F_ONLINK;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_TABLE:
			table = mnl_attr_get_u32(attr);
			break;
		case RTA_OIF:
			oif = mnl_attr_get_u32(attr);
			break;
		case RTA_DST:
			address_get(&route.dst, q->family, attr);
			break;
		case RTA_GATEWAY:
			address_get(&route.gateway, q->family, attr);
			break;
		case RTA_PRIORITY:
			route.metric = mnl_attr_get_u32(attr);
			break;
		case RTA_MULTIPATH:
			nexthops = attr;
			break;
		default:
			break;
		}
	}
	if (table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	if (nexthops)
		on_nexthops(q, &route, nexthops);
	else
		route_add(q, &route, oif);
	return MNL_CB_OK;
}

int rtnl_routes(unsigned ifindex, uint8_t family, struct rtnl_route *routes, unsigned cap,
		unsigned *n)
{
	struct rtmsg info = {.rtm_family = af_of(family)};
	struct route_question q = {
		.ifindex = ifindex, .family = family, .routes = routes, .cap = cap};
	int err = ask(RTM_GETROUTE, NLM_F_DUMP, &info, sizeof(info), on_route, &q);

	*n = q.n;
	return err;
}

int rtnl_monitor_open(void)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

struct losses {
	const unsigned *ifindex;
	unsigned n;
	bool any;
};

static int on_change(const struct nlmsghdr *msg, void *data)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(msg);
	const struct ifaddrmsg *address = mnl_nlmsg_get_payload(msg);
	struct losses *losses = data;
	unsigned index = 0;

	if (msg->nlmsg_type == RTM_DELLINK ||
	    (msg->nlmsg_type == RTM_NEWLINK && !(link->ifi_flags & IFF_UP)))
		index = (unsigned)link->ifi_index;
	else if (msg->nlmsg_type == RTM_DELADDR)
		index = address->ifa_index;
	for (unsigned i = 0; i < losses->n; i++)
		losses->any |= index != 0 && losses->ifindex[i] == index;
	return MNL_CB_OK;
}

bool rtnl_monitor_drain(int fd, const unsigned *ifindex, unsigned n)
{
	_Alignas(struct nlmsghdr) char buf[32768];
	struct losses losses = {.ifindex = ifindex, .n = n};
	ssize_t bytes;

	for (;;) {
		bytes = recv(fd, buf, sizeof(buf), 0);
		if (bytes > 0)
			mnl_cb_run(buf, (size_t)bytes, 0, 0, on_change, &losses);
		else if (bytes < 0 && errno == ENOBUFS)
			losses.any = true;
		else
			return losses.any;
	}
}
