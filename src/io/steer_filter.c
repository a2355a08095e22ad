// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * steer_filter.c - see steer_filter.h.
 *
 * A filter of ours is known by its kind and handle; of its two handles one says that clsact came
 * with it. It is to stand first: what another filter accepts before it is never seen here. Filters
 * of one priority have one kind and one protocol, so where somebody else's stand at priority 1 it
 * gets the first one that is free.
 */
#include "io/steer_filter.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "io/netlink.h"

#define HANDLE_GUEST_OF_QDISC 0x4d500001U /* clsact was there before */
#define HANDLE_OWN_QDISC 0x4d500002U
#define PRIORITIES_MAX 64 /* that are looked at */
#define MESSAGE_BYTES 256

/* What stands at one of clsact's two places. */
struct seen {
	bool any, ours;
	bool taken[PRIORITIES_MAX + 1]; /* by filters among which ours cannot be */
	struct steer_filter own;
};

static void on_option(struct seen *seen, const struct nlattr *options)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, options)
	{
		if (mnl_attr_get_type(attr) == TCA_BPF_ID &&
		    mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
			seen->own.program_id = mnl_attr_get_u32(attr);
	}
}

static int on_filter(const struct nlmsghdr *msg, void *data)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(msg);
	const struct nlattr *options = NULL;
	struct seen *seen = data;
	struct nlattr *attr;
	bool bpf = false;
	unsigned priority;

	if (msg->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(msg) < sizeof(*tc))
		return MNL_CB_OK;
	seen->any = true;
	mnl_attr_for_each(attr, msg, sizeof(*tc))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == TCA_KIND)
			bpf = mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
			      strcmp(mnl_attr_get_str(attr), "bpf") == 0;
		else if (type == TCA_OPTIONS)
			options = attr;
		else if (type == TCA_CHAIN && mnl_attr_get_payload_len(attr) == sizeof(uint32_t) &&
			 mnl_attr_get_u32(attr) != 0)
			return MNL_CB_OK; /* reached only from another filter */
	}
	priority = tc->tcm_info >> 16;
	if (priority <= PRIORITIES_MAX && (!bpf || (tc->tcm_info & 0xffff) != htons(ETH_P_ALL)))
		seen->taken[priority] = true;
	if (bpf && options &&
	    (tc->tcm_handle == HANDLE_GUEST_OF_QDISC || tc->tcm_handle == HANDLE_OWN_QDISC)) {
		seen->ours = true;
		seen->own.handle = tc->tcm_handle;
		seen->own.priority = priority;
		on_option(seen, options);
	}
	return MNL_CB_OK;
}

/* 0 or -errno. */
static int look(unsigned ifindex, uint32_t point, struct seen *seen)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_BYTES] = {0};
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(msg, sizeof(*tc));
	struct netlink nl;
	int err;

	memset(seen, 0, sizeof(*seen));
	msg->nlmsg_type = RTM_GETTFILTER;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, point);
	err = netlink_open(&nl, NETLINK_ROUTE);
	if (err)
		return err;
	err = netlink_ask(&nl, msg, on_filter, seen);
	netlink_close(&nl);
	return err;
}

static struct bpf_tc_hook hook_of(unsigned ifindex)
{
	return (struct bpf_tc_hook){.sz = sizeof(struct bpf_tc_hook),
				    .ifindex = (int)ifindex,
				    .attach_point = BPF_TC_INGRESS};
}

bool steer_filter_find(unsigned ifindex, struct steer_filter *found)
{
	struct seen seen;

	look(ifindex, TC_H_MIN_INGRESS, &seen);
	*found = seen.own;
	return seen.ours;
}

/* Where ours stands, or would. */
static unsigned place(const struct seen *seen)
{
	unsigned priority = 1;

	if (seen->ours)
		return seen->own.priority;
	while (priority < PRIORITIES_MAX && seen->taken[priority])
		priority++;
	return priority;
}

unsigned steer_filter_priority(unsigned ifindex)
{
	struct seen seen;

	look(ifindex, TC_H_MIN_INGRESS, &seen);
	return place(&seen);
}

int steer_filter_put(unsigned ifindex, int program)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct bpf_tc_opts opts = {.sz = sizeof(opts), .flags = BPF_TC_F_REPLACE};
	struct seen seen;
	int err = look(ifindex, TC_H_MIN_INGRESS, &seen);

	if (err)
		return err;
	opts.handle = seen.own.handle;
	if (!seen.ours) {
		err = bpf_tc_hook_create(&hook);
		opts.handle = err == -EEXIST ? HANDLE_GUEST_OF_QDISC : HANDLE_OWN_QDISC;
	}
	if (err && err != -EEXIST)
		return err;
	opts.priority = place(&seen);
	opts.prog_fd = program;
	err = bpf_tc_attach(&hook, &opts);
	return err ? err : (int)opts.priority;
}

/* Whether somebody has filters there; true when it cannot be told. */
static bool in_use(unsigned ifindex)
{
	struct seen in, out;

	return look(ifindex, TC_H_MIN_INGRESS, &in) || look(ifindex, TC_H_MIN_EGRESS, &out) ||
	       in.any || out.any;
}

int steer_filter_rm(unsigned ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct bpf_tc_opts opts = {.sz = sizeof(opts)};
	struct steer_filter own;
	int err;

	if (!steer_filter_find(ifindex, &own))
		return 0;
	opts.handle = own.handle;
	opts.priority = own.priority;
	err = bpf_tc_detach(&hook, &opts);
	if (err || own.handle != HANDLE_OWN_QDISC || in_use(ifindex))
		return err;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS; /* clsact itself */
	return bpf_tc_hook_destroy(&hook);
}
