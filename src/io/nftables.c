// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nftables.c - see nftables.h.
 */
#include "io/nftables.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/netlink.h"

/* Rules, chains and tables all bear the table's name in the same attribute. */
_Static_assert((int)NFTA_TABLE_NAME == (int)NFTA_RULE_TABLE &&
		       (int)NFTA_CHAIN_TABLE == (int)NFTA_RULE_TABLE,
	       "one attribute for the table's name");

int nftables_watch(void)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	int group = NFNLGRP_NFTABLES, err;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

struct listener {
	bool filter; /* that table too */
	bool deleted;
};

static int on_attribute(const struct nlattr *attr, void *data)
{
	struct listener *l = data;
	const char *table = mnl_attr_get_str(attr);

	if (mnl_attr_get_type(attr) == NFTA_RULE_TABLE &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
		l->deleted |= strcmp(table, "raw") == 0 || strcmp(table, "security") == 0 ||
			      (l->filter && strcmp(table, "filter") == 0);
	return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *msg, void *data)
{
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(msg);
	unsigned kind = msg->nlmsg_type & 0xff;

	if (mnl_nlmsg_get_payload_len(msg) >= sizeof(*head) &&
	    msg->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES &&
	    (kind == NFT_MSG_DELRULE || kind == NFT_MSG_DELCHAIN || kind == NFT_MSG_DELTABLE) &&
	    (head->nfgen_family == NFPROTO_IPV4 || head->nfgen_family == NFPROTO_IPV6))
		mnl_attr_parse(msg, sizeof(*head), on_attribute, data);
	return MNL_CB_OK;
}

bool nftables_deleted(int fd, bool filter)
{
	_Alignas(struct nlmsghdr) char buf[32768];
	struct listener l = {.filter = filter};
	ssize_t n;

	while ((n = netlink_heard(fd, buf, sizeof(buf))) != 0)
		if (n < 0)
			l.deleted = true;
		else
			mnl_cb_run(buf, (size_t)n, 0, 0, on_message, &l);
	return l.deleted;
}
