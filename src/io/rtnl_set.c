// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnl_set.c - see rtnl.h: the routes and routing rules that we add.
 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "io/rtnl.h"
#include "io/rtnl_message.h"

static void put_address(struct nlmsghdr *msg, uint16_t type, uint8_t family,
			const struct ip_addr *address)
{
	mnl_attr_put(msg, type, rtnl_address_bytes(family), address->b);
}

/* ---- rules ---- */

static struct nlmsghdr *rule_message(char *buf, uint16_t type, uint16_t flags,
				     const struct rtnl_rule *r, uint8_t protocol)
{
	bool from = !ip_addr_is_zero(&r->from);
	struct fib_rule_hdr header = {
		.family = rtnl_af(r->family),
		.src_len = from ? (uint8_t)(8 * rtnl_address_bytes(r->family)) : 0,
		.action = r->nop ? FR_ACT_NOP : FR_ACT_TO_TBL,
	};
	struct nlmsghdr *msg = rtnl_message(buf, type, NLM_F_ACK | flags, &header, sizeof(header));

	mnl_attr_put_u32(msg, FRA_PRIORITY, r->preference);
	mnl_attr_put_u8(msg, FRA_PROTOCOL, protocol);
	if (!r->nop)
		mnl_attr_put_u32(msg, FRA_TABLE, r->table);
	if (from)
		put_address(msg, FRA_SRC, r->family, &r->from);
	if (r->mask) {
		mnl_attr_put_u32(msg, FRA_FWMARK, r->mark);
		mnl_attr_put_u32(msg, FRA_FWMASK, r->mask);
	}
	if (r->iif[0])
		mnl_attr_put_strz(msg, FRA_IIFNAME, r->iif);
	if (r->oif[0])
		mnl_attr_put_strz(msg, FRA_OIFNAME, r->oif);
	if (r->suppress_default)
		mnl_attr_put_u32(msg, FRA_SUPPRESS_PREFIXLEN, 0);
	if (r->port_max) {
		struct fib_rule_port_range range = {r->port_min, r->port_max};

		mnl_attr_put_u8(msg, FRA_IP_PROTO, IPPROTO_TCP);
		mnl_attr_put(msg, FRA_SPORT_RANGE, sizeof(range), &range);
	}
	return msg;
}

int rtnl_rule_add(struct netlink *nl, const struct rtnl_rule *rule, uint8_t protocol)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	int err = netlink_ask(
		nl, rule_message(buf, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule, protocol), NULL,
		NULL);

	return err == -EEXIST ? 0 : err;
}

int rtnl_rule_del(struct netlink *nl, const struct rtnl_rule *rule, uint8_t protocol)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	int err = netlink_ask(nl, rule_message(buf, RTM_DELRULE, 0, rule, protocol), NULL, NULL);

	return err == -ENOENT ? 0 : err;
}

/* What of a rule tells ours apart and matters to whoever reads them. */
struct rule_read {
	struct rtnl_rule rule;
	uint8_t protocol;
};

static bool rule_read(const struct nlmsghdr *msg, struct rule_read *read)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(msg);
	struct rtnl_rule *r = &read->rule;
	struct nlattr *attr;

	memset(read, 0, sizeof(*read));
	if (msg->nlmsg_type != RTM_NEWRULE || !rtnl_has_body(msg, sizeof(*header)))
		return false;
	r->family = header->family == AF_INET ? FLOW_IPV4 : FLOW_IPV6;
	r->table = header->table;
	r->nop = header->action == FR_ACT_NOP;
	mnl_attr_for_each(attr, msg, sizeof(*header))
	{
		const struct fib_rule_port_range *range = mnl_attr_get_payload(attr);

		switch (mnl_attr_get_type(attr)) {
		case FRA_PRIORITY:
			r->preference = rtnl_number(attr);
			break;
		case FRA_PROTOCOL:
			if (mnl_attr_get_payload_len(attr) == 1)
				read->protocol = mnl_attr_get_u8(attr);
			break;
		case FRA_TABLE:
			r->table = rtnl_number(attr);
			break;
		case FRA_IIFNAME:
			rtnl_name(r->iif, sizeof(r->iif), attr);
			break;
		case FRA_SPORT_RANGE:
			if (mnl_attr_get_payload_len(attr) == sizeof(*range)) {
				r->port_min = range->start;
				r->port_max = range->end;
			}
			break;
		default:
			break;
		}
	}
	return true;
}

struct rules_question {
	rtnl_rule_fn fn;
	void *data;
	uint8_t protocol;
};

static int on_rule(const struct nlmsghdr *msg, void *data)
{
	const struct rules_question *q = data;
	struct rule_read read;

	if (rule_read(msg, &read) && read.protocol == q->protocol)
		q->fn(&read.rule, q->data);
	return MNL_CB_OK;
}

static struct nlmsghdr *rules_dump(char *buf, uint8_t family)
{
	struct fib_rule_hdr header = {.family = rtnl_af(family)};

	return rtnl_message(buf, RTM_GETRULE, NLM_F_DUMP, &header, sizeof(header));
}

int rtnl_rules(uint8_t family, uint8_t protocol, rtnl_rule_fn fn, void *data)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct rules_question q = {fn, data, protocol};

	return rtnl_ask(rules_dump(buf, family), on_rule, &q);
}

/* ---- routes ---- */

static struct nlmsghdr *route_message(char *buf, uint16_t type, uint16_t flags,
				      const struct rtnl_route *r, uint32_t table, uint8_t protocol)
{
	bool gateway = !ip_addr_is_zero(&r->gateway);
	struct rtmsg header = {
		.rtm_family = rtnl_af(r->family),
		.rtm_dst_len = r->prefix_bits,
		.rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
		.rtm_protocol = protocol,
		.rtm_scope = type == RTM_DELROUTE                 ? RT_SCOPE_NOWHERE
			     : !gateway && r->family == FLOW_IPV4 ? RT_SCOPE_LINK
								  : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct nlmsghdr *msg;

	if (type == RTM_NEWROUTE && r->on_link)
		header.rtm_flags |= RTNH_F_ONLINK;
	msg = rtnl_message(buf, type, NLM_F_ACK | flags, &header, sizeof(header));
	mnl_attr_put_u32(msg, RTA_TABLE, table);
	if (r->prefix_bits)
		put_address(msg, RTA_DST, r->family, &r->dst);
	if (r->metric)
		mnl_attr_put_u32(msg, RTA_PRIORITY, r->metric);
	return msg;
}

int rtnl_route_put(struct netlink *nl, const struct rtnl_route *route, unsigned ifindex,
		   uint32_t table, uint8_t protocol)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct nlmsghdr *msg = route_message(buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route,
					     table, protocol);

	mnl_attr_put_u32(msg, RTA_OIF, ifindex);
	if (route->via6) {
		const struct rtvia head = {.rtvia_family = AF_INET6};
		uint8_t via[sizeof(head) + sizeof(route->gateway.b)];

		memcpy(via, &head, sizeof(head));
		memcpy(via + sizeof(head), route->gateway.b, sizeof(route->gateway.b));
		mnl_attr_put(msg, RTA_VIA, sizeof(via), via);
	} else if (!ip_addr_is_zero(&route->gateway)) {
		put_address(msg, RTA_GATEWAY, route->family, &route->gateway);
	}
	return netlink_ask(nl, msg, NULL, NULL);
}

int rtnl_route_del(struct netlink *nl, const struct rtnl_route *route, uint32_t table,
		   uint8_t protocol)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	int err = netlink_ask(nl, route_message(buf, RTM_DELROUTE, 0, route, table, protocol), NULL,
			      NULL);

	return err == -ESRCH || err == -ENOENT ? 0 : err;
}

/* ---- removal of all ---- */

/* Copies of messages that the kernel told, to be sent back as deletions. */
struct pile {
	char *bytes;
	size_t n, cap;
	uint8_t protocol;
	bool no_memory;
};

static void pile_add(struct pile *pile, const struct nlmsghdr *msg)
{
	size_t need = pile->n + MNL_ALIGN(msg->nlmsg_len);

	if (need > pile->cap) {
		size_t cap = 2 * need + 4096;
		char *grown = realloc(pile->bytes, cap);

		if (!grown) {
			pile->no_memory = true;
			return;
		}
		pile->bytes = grown;
		pile->cap = cap;
	}
	memcpy(pile->bytes + pile->n, msg, msg->nlmsg_len);
	pile->n = need;
}

static int on_our_rule(const struct nlmsghdr *msg, void *data)
{
	struct pile *pile = data;
	struct rule_read read;

	if (rule_read(msg, &read) && read.protocol == pile->protocol)
		pile_add(pile, msg);
	return MNL_CB_OK;
}

static int on_our_route(const struct nlmsghdr *msg, void *data)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(msg);
	struct pile *pile = data;

	if (msg->nlmsg_type == RTM_NEWROUTE && rtnl_has_body(msg, sizeof(*info)) &&
	    info->rtm_protocol == pile->protocol && !(info->rtm_flags & RTM_F_CLONED))
		pile_add(pile, msg);
	return MNL_CB_OK;
}

static int pile_delete(struct pile *pile, uint16_t type)
{
	struct netlink nl;
	int err = pile->no_memory ? -ENOMEM : netlink_open(&nl, NETLINK_ROUTE);

	if (err) {
		free(pile->bytes);
		return err;
	}
	for (size_t at = 0; at < pile->n;) {
		struct nlmsghdr *msg = (struct nlmsghdr *)(void *)(pile->bytes + at);
		int one;

		at += MNL_ALIGN(msg->nlmsg_len);
		msg->nlmsg_type = type;
		msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		one = netlink_ask(&nl, msg, NULL, NULL);
		/* Somebody else, or a link that went down, may have been faster. */
		if (one && one != -ENOENT && one != -ESRCH)
			err = one;
	}
	netlink_close(&nl);
	free(pile->bytes);
	return err;
}

int rtnl_remove(uint8_t family, uint8_t protocol)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct rtmsg info = {.rtm_family = rtnl_af(family), .rtm_protocol = protocol};
	struct pile rules = {.protocol = protocol}, routes = {.protocol = protocol};
	int err, err2;

	err = rtnl_ask(rules_dump(buf, family), on_our_rule, &rules);
	err2 = pile_delete(&rules, RTM_DELRULE);
	err = err ? err : err2;
	err2 = rtnl_ask(rtnl_message(buf, RTM_GETROUTE, NLM_F_DUMP, &info, sizeof(info)),
			on_our_route, &routes);
	err = err ? err : err2;
	err2 = pile_delete(&routes, RTM_DELROUTE);
	return err ? err : err2;
}

struct table_question {
	uint32_t table;
	uint8_t protocol;
	bool taken;
};

static int on_any_rule(const struct nlmsghdr *msg, void *data)
{
	struct table_question *q = data;
	struct rule_read read;

	if (rule_read(msg, &read) && read.protocol != q->protocol && read.rule.table == q->table)
		q->taken = true;
	return MNL_CB_OK;
}

static int on_any_route(const struct nlmsghdr *msg, void *data)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(msg);
	struct table_question *q = data;
	struct nlattr *attr;
	uint32_t table;

	if (msg->nlmsg_type != RTM_NEWROUTE || !rtnl_has_body(msg, sizeof(*info)) ||
	    (info->rtm_flags & RTM_F_CLONED))
		return MNL_CB_OK;
	table = info->rtm_table;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == RTA_TABLE)
			table = rtnl_number(attr);
	}
	q->taken |= table == q->table && info->rtm_protocol != q->protocol;
	return MNL_CB_OK;
}

int rtnl_table_taken(uint8_t family, uint32_t table, uint8_t protocol, bool *taken)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct rtmsg info = {.rtm_family = rtnl_af(family),
			     .rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC};
	struct table_question q = {.table = table, .protocol = protocol};
	struct nlmsghdr *msg;
	int err = rtnl_ask(rules_dump(buf, family), on_any_rule, &q);

	if (!err) {
		msg = rtnl_message(buf, RTM_GETROUTE, NLM_F_DUMP, &info, sizeof(info));
		mnl_attr_put_u32(msg, RTA_TABLE, table);
		err = rtnl_ask(msg, on_any_route, &q);
		err = err == -ENOENT ? 0 : err; /* no such table */
	}
	*taken = q.taken;
	return err;
}
