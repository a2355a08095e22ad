// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * steer.bpf.c - the program at the ingress of the guests' and the paths' interfaces: it marks what
 * the daemon must see, by the tuples that the daemon has put into the table, and leaves all else
 * alone. So a plain connection is found nowhere and goes on at plain speed, and nobody needs
 * conntrack to tell the two apart.
 *
 * It never decides about a packet (TC_ACT_UNSPEC: the host's own filters go on), and works on
 * devices with and without a link layer header: offsets count from the network header. Packets
 * with a VLAN tag are for another interface.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer_table.h"

#define IPV4 4
#define IPV6 6
#define FRAGMENT_OFFSET 0x1fff
#define FRAGMENT_OFFSET6 0xfff8
#define NEXT_TCP 6
#define NEXT_FRAGMENT 44
#define NEXT_ICMP6 58
#define ICMP_UNREACHABLE 3
#define ICMP_TOO_BIG 4
#define ICMP6_TOO_BIG 2
#define ICMP_HEADER_BYTES 8
#define NO_OPTIONS 0x50 /* data offset */
#define HEADERS_BYTES 160

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct steer_key);
	__type(value, struct steer_value);
} mpgate_tuples SEC(".maps");

/* The head of a TCP header, as far as it matters. */
struct tcp_head {
	__be16 src_port, dst_port;
	__be32 seq, ack;
	__u8 offset, flags;
} __attribute__((packed));

struct fragment_head {
	__u8 next, reserved;
	__be16 offset;
	__be32 id;
};

/* `at`: from the network header. Headers beyond the linear part of a packet are brought there. */
static __always_inline int load(struct __sk_buff *skb, __u32 at, void *to, __u32 bytes)
{
	__u32 pull = HEADERS_BYTES;

	if (bpf_skb_load_bytes_relative(skb, at, to, bytes, BPF_HDR_START_NET) == 0)
		return 0;
	if (pull > skb->len)
		pull = skb->len;
	bpf_skb_pull_data(skb, pull);
	return bpf_skb_load_bytes_relative(skb, at, to, bytes, BPF_HDR_START_NET);
}

/*
 * Addresses of the IP header at `at` into the key; the next protocol, and where it begins. Of a
 * fragmented packet the first fragment is looked at: it lends its mark to the whole one. -1: none.
 */
static __always_inline int network(struct __sk_buff *skb, __u8 version, __u32 *at,
				   struct steer_key *key)
{
	if (version == IPV4) {
		struct iphdr ip;

		if (load(skb, *at, &ip, sizeof(ip)) || ip.version != IPV4 || ip.ihl < 5 ||
		    (ip.frag_off & bpf_htons(FRAGMENT_OFFSET)))
			return -1;
		__builtin_memcpy(key->src, &ip.saddr, 4);
		__builtin_memcpy(key->dst, &ip.daddr, 4);
		*at += ip.ihl * 4U;
		key->family = IPV4;
		return ip.protocol;
	} else {
		struct ipv6hdr ip;

		if (load(skb, *at, &ip, sizeof(ip)) || ip.version != IPV6)
			return -1;
		__builtin_memcpy(key->src, &ip.saddr, 16);
		__builtin_memcpy(key->dst, &ip.daddr, 16);
		*at += sizeof(ip);
		key->family = IPV6;
		if (ip.nexthdr == NEXT_FRAGMENT) {
			struct fragment_head f;

			if (load(skb, *at, &f, sizeof(f)) ||
			    (f.offset & bpf_htons(FRAGMENT_OFFSET6)))
				return -1;
			*at += sizeof(f);
			return f.next;
		}
		return ip.nexthdr;
	}
}

static __always_inline __u32 tcp(struct __sk_buff *skb, __u32 at, __u8 side, struct steer_key *key)
{
	const struct steer_value *value;
	struct tcp_head t;
	bool again;
	__u32 mark;

	if (load(skb, at, &t, sizeof(t)))
		return 0;
	key->src_port = t.src_port;
	key->dst_port = t.dst_port;
	value = bpf_map_lookup_elem(&mpgate_tuples, key);
	mark = steer_mark(value ? value->state : 0, side, t.flags, t.offset > NO_OPTIONS, &again);
	if (again)
		bpf_map_delete_elem(&mpgate_tuples, key);
	return mark;
}

/* "Packet too big" about what left for one of the tuples: they stand there as it would come in. */
static __always_inline __u32 too_big(struct __sk_buff *skb, __u8 version, __u32 at)
{
	struct steer_key sent = {}, key = {};
	__u8 icmp[2], type = version == IPV4 ? ICMP_UNREACHABLE : ICMP6_TOO_BIG;
	__be16 ports[2];

	if (load(skb, at, icmp, sizeof(icmp)) || icmp[0] != type ||
	    (version == IPV4 && icmp[1] != ICMP_TOO_BIG))
		return 0;
	at += ICMP_HEADER_BYTES;
	if (network(skb, version, &at, &sent) != NEXT_TCP || load(skb, at, ports, sizeof(ports)))
		return 0;
	key.family = sent.family;
	key.src_port = ports[1];
	key.dst_port = ports[0];
	__builtin_memcpy(key.src, sent.dst, sizeof(key.src));
	__builtin_memcpy(key.dst, sent.src, sizeof(key.dst));
	return bpf_map_lookup_elem(&mpgate_tuples, &key) ? STEER_SHOWN : 0;
}

static __always_inline int steer(struct __sk_buff *skb, __u8 side)
{
	struct steer_key key = {};
	__u32 at = 0, mark = 0;
	__u8 version;
	int next;

	if (skb->vlan_present)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		version = IPV4;
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		version = IPV6;
	else
		return TC_ACT_UNSPEC;
	next = network(skb, version, &at, &key);
	if (next == NEXT_TCP)
		mark = tcp(skb, at, side, &key);
	else if (side == STEER_NET && next == (version == IPV4 ? IPPROTO_ICMP : NEXT_ICMP6))
		mark = too_big(skb, version, at);
	if (mark || (skb->mark & STEER_ALL))
		skb->mark = (skb->mark & ~STEER_ALL) | mark;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int mpgate_guest(struct __sk_buff *skb)
{
	return steer(skb, STEER_GUEST);
}

SEC("tc")
int mpgate_net(struct __sk_buff *skb)
{
	return steer(skb, STEER_NET);
}

char steer_license[] SEC("license") = "GPL";
