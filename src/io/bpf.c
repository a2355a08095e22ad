// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bpf.c - see bpf.h. The program is assembled here by hand; the filter is attached through
 * rtnetlink: a clsact qdisc, then a direct-action cls_bpf filter on its ingress. Both vanish with
 * the device.
 */
#include "io/bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/netlink.h"

#define FILTER_PRIORITY 1U
#define FILTER_HANDLE 1U
#define MESSAGE_BYTES 512

#define INSN(op, d, s, offset, value)                                                         \
	{                                                                                     \
		.code = (op), .dst_reg = (d), .src_reg = (s), .off = (offset), .imm = (value) \
	}
#define MOVE(to, from) INSN(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define MOVE_IMM(reg, value) INSN(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value)
#define CALL(helper) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/*
 * The program's descriptor or -errno. bpf_redirect_neigh() replaces a link layer header and drops
 * what has none, as packets from a TUN device; so an empty one is put before them. Where that
 * fails the packet goes on to be routed.
 */
static int load(unsigned to, uint32_t mark)
{
	const struct bpf_insn program[] = {
		MOVE(BPF_REG_6, BPF_REG_1),
		/* skb->mark = mark */
		MOVE_IMM(BPF_REG_2, (int32_t)mark),
		INSN(BPF_STX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_2,
		     (int16_t)offsetof(struct __sk_buff, mark), 0),
		/* if (bpf_skb_change_head(skb, ETH_HLEN, 0) != 0) return TC_ACT_OK */
		MOVE_IMM(BPF_REG_2, ETH_HLEN),
		MOVE_IMM(BPF_REG_3, 0),
		CALL(BPF_FUNC_skb_change_head),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0),
		MOVE_IMM(BPF_REG_0, TC_ACT_OK),
		EXIT,
		/* return bpf_redirect_neigh(to, NULL, 0, 0) */
		MOVE_IMM(BPF_REG_1, (int32_t)to),
		MOVE_IMM(BPF_REG_2, 0),
		MOVE_IMM(BPF_REG_3, 0),
		MOVE_IMM(BPF_REG_4, 0),
		CALL(BPF_FUNC_redirect_neigh),
		EXIT,
	};
	static const char license[] = "GPL";
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	attr.insns = (uintptr_t)program;
	attr.insn_cnt = sizeof(program) / sizeof(program[0]);
	attr.license = (uintptr_t)license;
	memcpy(attr.prog_name, "mpgate", sizeof("mpgate"));
	fd = syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
}

static struct nlmsghdr *tc_message(char *buf, uint16_t type, unsigned ifindex, uint32_t handle,
				   uint32_t parent, uint32_t info)
{
	struct nlmsghdr *msg;
	struct tcmsg *tc;

	memset(buf, 0, MESSAGE_BYTES); /* what lies between attributes is sent as well */
	msg = mnl_nlmsg_put_header(buf);
	tc = mnl_nlmsg_put_extra_header(msg, sizeof(*tc));
	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_handle = handle;
	tc->tcm_parent = parent;
	tc->tcm_info = info;
	return msg;
}

static int add_qdisc(struct netlink *nl, unsigned ifindex)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_BYTES];
	struct nlmsghdr *msg =
		tc_message(buf, RTM_NEWQDISC, ifindex, TC_H_MAKE(TC_H_CLSACT, 0), TC_H_CLSACT, 0);
	int err;

	mnl_attr_put_strz(msg, TCA_KIND, "clsact");
	err = netlink_ask(nl, msg, NULL, NULL);
	return err == -EEXIST ? 0 : err;
}

static int add_filter(struct netlink *nl, unsigned ifindex, int program)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_BYTES];
	struct nlmsghdr *msg = tc_message(buf, RTM_NEWTFILTER, ifindex, FILTER_HANDLE,
					  TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
					  TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL)));
	struct nlattr *options;

	mnl_attr_put_strz(msg, TCA_KIND, "bpf");
	options = mnl_attr_nest_start(msg, TCA_OPTIONS);
	mnl_attr_put_u32(msg, TCA_BPF_FD, (uint32_t)program);
	mnl_attr_put_strz(msg, TCA_BPF_NAME, "mpgate");
	mnl_attr_put_u32(msg, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(msg, options);
	return netlink_ask(nl, msg, NULL, NULL);
}

int bpf_redirect(unsigned from, unsigned to, uint32_t mark)
{
	struct netlink nl;
	int program = load(to, mark), err;

	if (program < 0)
		return program;
	err = netlink_open(&nl, NETLINK_ROUTE);
	if (!err) {
		err = add_qdisc(&nl, from);
		if (!err)
			err = add_filter(&nl, from, program);
		netlink_close(&nl);
	}
	close(program); /* the filter holds it */
	return err;
}

int bpf_check(void)
{
	int program = load(1, 0);

	if (program < 0)
		return program;
	close(program);
	return 0;
}
