// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnl.c - see rtnl.h: what the kernel tells. Every question opens its own socket: they are rare.
 */
#include "io/rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>

#include "io/rtnl_message.h"

#define ADDRESS_UNFIT (IFA_F_TENTATIVE | IFA_F_DEPRECATED | IFA_F_TEMPORARY | IFA_F_DADFAILED)

static void address_get(struct ip_addr *to, uint8_t family, const struct nlattr *attr)
{
	memset(to, 0, sizeof(*to));
	if (mnl_attr_get_payload_len(attr) == rtnl_address_bytes(family))
		memcpy(to->b, mnl_attr_get_payload(attr), rtnl_address_bytes(family));
}

struct teller {
	rtnl_fn fn;
	void *data;
};

static void tell_link(const struct nlmsghdr *msg, const struct teller *t)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(msg);
	struct rtnl_change c = {.kind = RTNL_LINK, .gone = msg->nlmsg_type == RTM_DELLINK};
	struct nlattr *attr;

	/* Bridges and IPv6 tell of links in messages of their own, which mean something else. */
	if (!rtnl_has_body(msg, sizeof(*info)) || info->ifi_family != AF_UNSPEC)
		return;
	c.ifindex = c.link.index = (unsigned)info->ifi_index;
	c.link.admin_up = info->ifi_flags & IFF_UP;
	c.link.up = c.link.admin_up && (info->ifi_flags & IFF_RUNNING);
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == IFLA_MTU)
			c.link.mtu_bytes = rtnl_number(attr);
		else if (mnl_attr_get_type(attr) == IFLA_IFNAME)
			rtnl_name(c.link.name, sizeof(c.link.name), attr);
		else if (mnl_attr_get_type(attr) == IFLA_MASTER)
			c.master = rtnl_number(attr);
	}
	t->fn(&c, t->data);
}

static void tell_address(const struct nlmsghdr *msg, const struct teller *t)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(msg);
	struct rtnl_change c = {.kind = RTNL_ADDRESS, .gone = msg->nlmsg_type == RTM_DELADDR};
	struct nlattr *attr;
	uint32_t flags;

	if (!rtnl_has_body(msg, sizeof(*info)) ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6))
		return;
	flags = info->ifa_flags;
	c.ifindex = info->ifa_index;
	c.address.family = info->ifa_family == AF_INET ? FLOW_IPV4 : FLOW_IPV6;
	c.address.prefix_bits = info->ifa_prefixlen;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == IFA_FLAGS)
			flags = rtnl_number(attr);
		/* On point-to-point links IFA_ADDRESS is the other end's and IFA_LOCAL comes
		 * behind. */
		if (type == IFA_LOCAL ||
		    (type == IFA_ADDRESS && ip_addr_is_zero(&c.address.address)))
			address_get(&c.address.address, c.address.family, attr);
	}
	c.address.fit = info->ifa_scope == RT_SCOPE_UNIVERSE && !(flags & ADDRESS_UNFIT);
	t->fn(&c, t->data);
}

/* The gateway among the attributes of a route or of one of its next hops. */
static void gateway_get(struct rtnl_route *route, const struct nlattr *attr)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);

	if (mnl_attr_get_type(attr) == RTA_GATEWAY) {
		address_get(&route->gateway, route->family, attr);
	} else if (mnl_attr_get_type(attr) == RTA_VIA &&
		   mnl_attr_get_payload_len(attr) == sizeof(*via) + sizeof(route->gateway.b) &&
		   via->rtvia_family == AF_INET6) {
		route->via6 = true;
		memcpy(route->gateway.b, via->rtvia_addr, sizeof(route->gateway.b));
	}
}

/* One change for each next hop. */
static void tell_nexthops(struct rtnl_change *c, const struct nlattr *attr, const struct teller *t)
{
	struct rtnexthop *hop = mnl_attr_get_payload(attr);
	int left = mnl_attr_get_payload_len(attr);

	while (left >= (int)sizeof(*hop) && RTNH_OK(hop, left)) {
		const struct nlattr *a = (const struct nlattr *)(void *)RTNH_DATA(hop);
		int bytes = hop->rtnh_len - (int)sizeof(*hop);

		memset(&c->route.gateway, 0, sizeof(c->route.gateway));
		c->route.via6 = false;
		c->route.on_link = hop->rtnh_flags & RTNH_F_ONLINK;
		c->ifindex = (unsigned)hop->rtnh_ifindex;
		while (mnl_attr_ok(a, bytes)) {
			gateway_get(&c->route, a);
			bytes -= (int)MNL_ALIGN(a->nla_len);
			a = mnl_attr_next(a);
		}
		t->fn(c, t->data);
		c->replaces = false; /* the first of them has done so */
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

static void tell_route(const struct nlmsghdr *msg, const struct teller *t)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(msg);
	struct rtnl_change c = {.kind = RTNL_ROUTE,
				.gone = msg->nlmsg_type == RTM_DELROUTE,
				.replaces = msg->nlmsg_type == RTM_NEWROUTE &&
					    (msg->nlmsg_flags & NLM_F_REPLACE)};
	struct nlattr *attr, *nexthops = NULL;
	uint32_t table;

	if (!rtnl_has_body(msg, sizeof(*info)) ||
	    (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) ||
	    info->rtm_type != RTN_UNICAST || (info->rtm_flags & RTM_F_CLONED))
		return;
	if (info->rtm_dst_len > 0 && !rtnl_protocol_matters(info->rtm_protocol))
		return;
	table = info->rtm_table;
	c.route.family = info->rtm_family == AF_INET ? FLOW_IPV4 : FLOW_IPV6;
	c.route.prefix_bits = info->rtm_dst_len;
	c.route.on_link = info->rtm_flags & RTNH_F_ONLINK;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_TABLE:
			table = rtnl_number(attr);
			break;
		case RTA_OIF:
			c.ifindex = rtnl_number(attr);
			break;
		case RTA_DST:
			address_get(&c.route.dst, c.route.family, attr);
			break;
		case RTA_PRIORITY:
			c.route.metric = rtnl_number(attr);
			break;
		case RTA_MULTIPATH:
			nexthops = attr;
			break;
		default:
			gateway_get(&c.route, attr);
			break;
		}
	}
	if (table != RT_TABLE_MAIN)
		return;
	if (nexthops)
		tell_nexthops(&c, nexthops, t);
	else
		t->fn(&c, t->data);
}

static int on_message(const struct nlmsghdr *msg, void *data)
{
	const struct teller *t = data;

	switch (msg->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		tell_link(msg, t);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		tell_address(msg, t);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		tell_route(msg, t);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* ---- questions ---- */

int rtnl_link(const char *name, rtnl_fn fn, void *data)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
	struct nlmsghdr *msg = rtnl_message(buf, RTM_GETLINK, NLM_F_ACK, &info, sizeof(info));
	struct teller t = {fn, data};
	int err;

	mnl_attr_put_strz(msg, IFLA_IFNAME, name);
	mnl_attr_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = rtnl_ask(msg, on_message, &t);
	return err == -ENODEV ? 0 : err;
}

int rtnl_links(rtnl_fn fn, void *data)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
	struct nlmsghdr *msg = rtnl_message(buf, RTM_GETLINK, NLM_F_DUMP, &info, sizeof(info));
	struct teller t = {fn, data};

	mnl_attr_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return rtnl_ask(msg, on_message, &t);
}

/* Kernels before 4.20 do not filter what they tell. */
struct filter {
	struct teller t;
	unsigned ifindex;
};

static void filtered(const struct rtnl_change *change, void *data)
{
	const struct filter *f = data;

	if (change->ifindex == f->ifindex)
		f->t.fn(change, f->t.data);
}

int rtnl_addresses(unsigned ifindex, rtnl_fn fn, void *data)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct filter f = {{fn, data}, ifindex};
	struct teller t = {filtered, &f};
	struct ifaddrmsg info = {.ifa_family = AF_UNSPEC, .ifa_index = ifindex};

	return rtnl_ask(rtnl_message(buf, RTM_GETADDR, NLM_F_DUMP, &info, sizeof(info)), on_message,
			&t);
}

int rtnl_routes(unsigned ifindex, uint8_t family, rtnl_fn fn, void *data)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct filter f = {{fn, data}, ifindex};
	struct teller t = {filtered, &f};
	struct rtmsg info = {
		.rtm_family = rtnl_af(family), .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST};
	struct nlmsghdr *msg = rtnl_message(buf, RTM_GETROUTE, NLM_F_DUMP, &info, sizeof(info));
	int err;

	mnl_attr_put_u32(msg, RTA_TABLE, RT_TABLE_MAIN);
	mnl_attr_put_u32(msg, RTA_OIF, ifindex);
	err = rtnl_ask(msg, on_message, &t);
	return err == -ENOENT ? 0 : err; /* no such table: no routes */
}

/* ---- what changes ---- */

void rtnl_monitor_read(int fd, rtnl_fn fn, void *data)
{
	static const struct rtnl_change lost = {.kind = RTNL_LOST};
	_Alignas(struct nlmsghdr) char buf[32768];
	struct teller t = {fn, data};
	ssize_t n;

	while ((n = netlink_heard(fd, buf, sizeof(buf))) != 0)
		if (n == -ENOBUFS)
			fn(&lost, data);
		else if (n > 0)
			mnl_cb_run(buf, (size_t)n, 0, 0, on_message, &t);
}
