// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctnl.c - see ctnl.h.
 */
#include "io/ctnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define MESSAGE_BYTES 512
#define ESTABLISHED_S (5 * 86400) /* the kernel's own defaults */
#define TIME_WAIT_S 120

static struct nlmsghdr *message(char *buf, uint8_t type, uint16_t flags,
				const struct flow_tuple *tuple)
{
	bool v4 = tuple->family == FLOW_IPV4;
	size_t bytes = v4 ? 4 : 16;
	struct nlattr *whole, *part;
	struct nfgenmsg *header;
	struct nlmsghdr *msg;

	memset(buf, 0, MESSAGE_BYTES); /* what lies between attributes is sent as well */
	msg = mnl_nlmsg_put_header(buf);
	header = mnl_nlmsg_put_extra_header(msg, sizeof(*header));
	msg->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	msg->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nfgen_family = v4 ? AF_INET : AF_INET6;
	header->version = NFNETLINK_V0;

	whole = mnl_attr_nest_start(msg, CTA_TUPLE_ORIG);
	part = mnl_attr_nest_start(msg, CTA_TUPLE_IP);
	mnl_attr_put(msg, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, bytes, tuple->src.b);
	mnl_attr_put(msg, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, bytes, tuple->dst.b);
	mnl_attr_nest_end(msg, part);
	part = mnl_attr_nest_start(msg, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(msg, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(msg, CTA_PROTO_SRC_PORT, htons(tuple->src_port));
	mnl_attr_put_u16(msg, CTA_PROTO_DST_PORT, htons(tuple->dst_port));
	mnl_attr_nest_end(msg, part);
	mnl_attr_nest_end(msg, whole);
	return msg;
}

static void decode_addresses(const struct nlattr *part, struct flow_tuple *tuple)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, part)
	{
		uint16_t type = mnl_attr_get_type(attr), bytes = mnl_attr_get_payload_len(attr);
		bool v4 = type == CTA_IP_V4_SRC || type == CTA_IP_V4_DST;
		bool src = type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC;

		if (bytes != (v4 ? 4 : 16))
			continue;
		tuple->family = v4 ? FLOW_IPV4 : FLOW_IPV6;
		memcpy(src ? tuple->src.b : tuple->dst.b, mnl_attr_get_payload(attr), bytes);
	}
}

static void decode_ports(const struct nlattr *part, struct flow_tuple *tuple)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, part)
	{
		if (mnl_attr_get_payload_len(attr) != 2)
			continue;
		if (mnl_attr_get_type(attr) == CTA_PROTO_SRC_PORT)
			tuple->src_port = ntohs(mnl_attr_get_u16(attr));
		else if (mnl_attr_get_type(attr) == CTA_PROTO_DST_PORT)
			tuple->dst_port = ntohs(mnl_attr_get_u16(attr));
	}
}

static void decode_tuple(const struct nlattr *whole, struct flow_tuple *tuple)
{
	struct nlattr *part;

	memset(tuple, 0, sizeof(*tuple));
	mnl_attr_for_each_nested(part, whole)
	{
		if (mnl_attr_get_type(part) == CTA_TUPLE_IP)
			decode_addresses(part, tuple);
		else if (mnl_attr_get_type(part) == CTA_TUPLE_PROTO)
			decode_ports(part, tuple);
	}
}

struct answer {
	struct flow_tuple orig, reply;
};

static int on_entry(const struct nlmsghdr *msg, void *data)
{
	struct answer *answer = data;
	struct nlattr *attr;

	mnl_attr_for_each(attr, msg, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == CTA_TUPLE_ORIG)
			decode_tuple(attr, &answer->orig);
		else if (mnl_attr_get_type(attr) == CTA_TUPLE_REPLY)
			decode_tuple(attr, &answer->reply);
	}
	return MNL_CB_STOP;
}

int ctnl_translation(struct netlink *nl, const struct flow_tuple *guest, struct flow_tuple *net)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_BYTES];
	struct answer answer;
	int err;

	memset(&answer, 0, sizeof(answer));
	err = netlink_ask(nl, message(buf, IPCTNL_MSG_CT_GET, 0, guest), on_entry, &answer);
	if (err)
		return err;
	/*
	 * The kernel finds an entry by the tuple of either direction. The peer opened this one: the
	 * guest names it like the answers, and on the wire stands what came.
	 */
	if (flow_tuple_equal(&answer.reply, guest) && answer.orig.family == guest->family) {
		*net = flow_tuple_reverse(&answer.orig);
		return 0;
	}
	/* One whose destination is translated is not what was asked. */
	if (!flow_tuple_equal(&answer.orig, guest) || answer.reply.family != guest->family ||
	    !ip_addr_equal(&answer.reply.src, &guest->dst) ||
	    answer.reply.src_port != guest->dst_port)
		return -ENOENT;
	*net = flow_tuple_reverse(&answer.reply);
	return 0;
}

static int set_state(struct netlink *nl, const struct flow_tuple *guest, uint8_t state,
		     uint32_t timeout_s)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_BYTES];
	struct nlmsghdr *msg = message(buf, IPCTNL_MSG_CT_NEW, NLM_F_ACK, guest);
	const struct nf_ct_tcp_flags liberal = {
		.flags = IP_CT_TCP_FLAG_BE_LIBERAL,
		.mask = IP_CT_TCP_FLAG_BE_LIBERAL,
	};
	struct nlattr *whole, *tcp;

	mnl_attr_put_u32(msg, CTA_TIMEOUT, htonl(timeout_s));
	whole = mnl_attr_nest_start(msg, CTA_PROTOINFO);
	tcp = mnl_attr_nest_start(msg, CTA_PROTOINFO_TCP);
	mnl_attr_put_u8(msg, CTA_PROTOINFO_TCP_STATE, state);
	mnl_attr_put(msg, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(liberal), &liberal);
	mnl_attr_put(msg, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(liberal), &liberal);
	mnl_attr_nest_end(msg, tcp);
	mnl_attr_nest_end(msg, whole);
	return netlink_ask(nl, msg, NULL, NULL);
}

int ctnl_keep(struct netlink *nl, const struct flow_tuple *guest)
{
	return set_state(nl, guest, TCP_CONNTRACK_ESTABLISHED, ESTABLISHED_S);
}

int ctnl_over(struct netlink *nl, const struct flow_tuple *guest)
{
	return set_state(nl, guest, TCP_CONNTRACK_TIME_WAIT, TIME_WAIT_S);
}
