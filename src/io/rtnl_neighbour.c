// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnl_neighbour.c - see rtnl.h: who has been heard on a link.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "io/rtnl.h"
#include "io/rtnl_message.h"

#define HEARD (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

struct question {
	unsigned ifindex;
	uint8_t family;
	const struct ip_addr *whom; /* null: anybody */
	struct ip_addr *found;
	bool heard, silent;
};

static int on_neighbour(const struct nlmsghdr *msg, void *data)
{
	const struct ndmsg *info = mnl_nlmsg_get_payload(msg);
	struct question *q = data;
	struct ip_addr address = {{0}};
	struct nlattr *attr;

	if (msg->nlmsg_type != RTM_NEWNEIGH || info->ndm_ifindex != (int)q->ifindex ||
	    info->ndm_family != rtnl_af(q->family) || info->ndm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == NDA_DST &&
		    mnl_attr_get_payload_len(attr) == rtnl_address_bytes(q->family))
			memcpy(address.b, mnl_attr_get_payload(attr),
			       rtnl_address_bytes(q->family));
	}
	if (q->whom && !ip_addr_equal(q->whom, &address))
		return MNL_CB_OK;
	/* A link-local address tells nothing of the guests' own. */
	if (!q->whom && q->family == FLOW_IPV6 && address.b[0] == 0xfe)
		return MNL_CB_OK;
	if (info->ndm_state & HEARD) {
		q->heard = true;
		if (q->found)
			*q->found = address;
	} else if (info->ndm_state & (NUD_INCOMPLETE | NUD_FAILED)) {
		q->silent = true;
	}
	return MNL_CB_OK;
}

static int ask(struct question *q)
{
	_Alignas(struct nlmsghdr) char buf[RTNL_MESSAGE_BYTES];
	struct ndmsg info = {.ndm_family = rtnl_af(q->family)};
	struct nlmsghdr *msg = rtnl_message(buf, RTM_GETNEIGH, NLM_F_DUMP, &info, sizeof(info));

	mnl_attr_put_u32(msg, NDA_IFINDEX, q->ifindex);
	return rtnl_ask(msg, on_neighbour, q);
}

int rtnl_silent(unsigned ifindex, uint8_t family, const struct ip_addr *whom, bool *silent)
{
	struct question q = {.ifindex = ifindex, .family = family, .whom = whom};
	int err = ask(&q);

	*silent = q.silent && !q.heard;
	return err;
}

int rtnl_heard(unsigned ifindex, uint8_t family, struct ip_addr *found)
{
	struct question q = {.ifindex = ifindex, .family = family, .found = found};

	memset(found, 0, sizeof(*found));
	return ask(&q);
}
