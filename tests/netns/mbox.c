/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mbox.c - a middlebox for the namespace tests: sits on an NFQUEUE of the router and strips,
 * drops, corrupts or shifts what passes. Prints "ready", and on SIGTERM its counts as JSON, so
 * that a test can prove that it did what it was asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbox.h"
#include "program.h"

#define BUFFER_BYTES (128 * 1024)

struct mbox {
	struct mnl_socket *socket;
	uint16_t queue;
	struct mbox_opts opts;
	struct mbox_counts counts;
};

static struct nlmsghdr *message(char *buffer, int type, uint16_t queue)
{
	return nfq_nlmsg_put(buffer, type, queue);
}

static void send_message(struct mbox *m, struct nlmsghdr *nlh)
{
	if (mnl_socket_sendto(m->socket, nlh, nlh->nlmsg_len) < 0)
		program_fail("netlink");
}

static void bind_queue(struct mbox *m)
{
	static char buffer[BUFFER_BYTES];
	struct nlmsghdr *nlh;
	int one = 1, size = 16 << 20;

	m->socket = mnl_socket_open(NETLINK_NETFILTER);
	if (!m->socket || mnl_socket_bind(m->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		program_fail("netlink socket");
	mnl_socket_setsockopt(m->socket, NETLINK_NO_ENOBUFS, &one, sizeof(one));
	setsockopt(mnl_socket_get_fd(m->socket), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	nlh = message(buffer, NFQNL_MSG_CONFIG, m->queue);
	nfq_nlmsg_cfg_put_cmd(nlh, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	send_message(m, nlh);
	nlh = message(buffer, NFQNL_MSG_CONFIG, m->queue);
	nfq_nlmsg_cfg_put_params(nlh, NFQNL_COPY_PACKET, 0xffff);
	nfq_nlmsg_cfg_put_qmaxlen(nlh, 16384);
	send_message(m, nlh);
}

static int on_packet(const struct nlmsghdr *nlh, void *data)
{
	static char buffer[BUFFER_BYTES];
	struct nlattr *attr[NFQA_MAX + 1] = {0};
	struct mbox *m = data;
	struct nfqnl_msg_packet_hdr *header;
	enum mbox_verdict verdict;
	struct nlmsghdr *answer;
	uint8_t *packet;
	uint16_t len;

	if (nfq_nlmsg_parse(nlh, attr) < 0 || !attr[NFQA_PACKET_HDR] || !attr[NFQA_PAYLOAD])
		return MNL_CB_OK;
	header = mnl_attr_get_payload(attr[NFQA_PACKET_HDR]);
	packet = mnl_attr_get_payload(attr[NFQA_PAYLOAD]);
	len = mnl_attr_get_payload_len(attr[NFQA_PAYLOAD]);
	verdict = mbox_packet(packet, len, &m->opts, &m->counts);
	answer = message(buffer, NFQNL_MSG_VERDICT, m->queue);
	nfq_nlmsg_verdict_put(answer, ntohl(header->packet_id),
			      verdict == MBOX_DROP ? NF_DROP : NF_ACCEPT);
	if (verdict == MBOX_CHANGED)
		nfq_nlmsg_verdict_put_pkt(answer, packet, len);
	send_message(m, answer);
	return MNL_CB_OK;
}

static unsigned position(const char *name)
{
	static const struct {
		const char *name;
		unsigned bits;
	} positions[] = {
		{"syn", MBOX_SYN},
		{"synack", MBOX_SYNACK},
		{"ack3", MBOX_ACK3},
		{"client-data", MBOX_CLIENT_DATA},
		{"client-ack", MBOX_CLIENT_ACK},
		{"server-data", MBOX_SERVER_DATA},
		{"server-ack", MBOX_SERVER_ACK},
		{"client", MBOX_ACK3 | MBOX_CLIENT_DATA | MBOX_CLIENT_ACK},
		{"server", MBOX_SERVER_DATA | MBOX_SERVER_ACK},
	};
	unsigned i;

	for (i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
		if (strcmp(name, positions[i].name) == 0)
			return positions[i].bits;
	}
	fprintf(stderr, "mbox: no position %s\n", name);
	exit(2);
}

/* clang-format off */
static void read_options(int argc, char **argv, struct mbox *m)
{
	static const struct option options[] = {
		{"queue", 1, 0, 'q'}, {"port", 1, 0, 'p'}, {"strip", 1, 0, 's'},
		{"strip-after", 1, 0, 'a'}, {"corrupt-at", 1, 0, 'c'},
		{"corrupt-from-server", 0, 0, 'C'}, {"drop-capable-syns", 1, 0, 'd'},
		{"loss-ppm", 1, 0, 'l'}, {"seq-shift", 1, 0, 'h'}, {"seed", 1, 0, 'e'},
		{"server-isn", 1, 0, 'i'},
		{0, 0, 0, 0}};
	struct mbox_opts *o = &m->opts;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'q': m->queue = strtoul(optarg, NULL, 0); break;
		case 'p': o->port = strtoul(optarg, NULL, 0); break;
		case 's': o->strip |= position(optarg); break;
		case 'a': o->strip_after_bytes = strtoull(optarg, NULL, 0); break;
		case 'c': o->corrupt_at_bytes = strtoull(optarg, NULL, 0); break;
		case 'C': o->corrupt_from_server = true; break;
		case 'd': o->drop_capable_syns = strtoul(optarg, NULL, 0); break;
		case 'l': o->loss_ppm = strtoul(optarg, NULL, 0); break;
		case 'h': o->seq_shift = strtoul(optarg, NULL, 0); break;
		case 'i': o->server_isn = strtoul(optarg, NULL, 0); break;
		case 'e': o->seed = strtoull(optarg, NULL, 0); break;
		default: exit(2);
		}
	}
}
/* clang-format on */

int main(int argc, char **argv)
{
	static char buffer[BUFFER_BYTES];
	static struct mbox m = {.opts = {.port = 7001,
					 .strip_after_bytes = MBOX_NEVER,
					 .corrupt_at_bytes = MBOX_NEVER,
					 .seed = 1}};

	read_options(argc, argv, &m);
	program_stops_by_signal();
	bind_queue(&m);
	printf("ready\n");
	fflush(stdout);
	while (!program_stop) {
		ssize_t n = mnl_socket_recvfrom(m.socket, buffer, sizeof(buffer));

		if (n < 0 && errno != EINTR)
			program_fail("receive");
		if (n > 0)
			mnl_cb_run(buffer, n, 0, mnl_socket_get_portid(m.socket), on_packet, &m);
	}
	printf("{\"packets\": %u, \"stripped\": %u, \"corrupted\": %u, \"dropped\": %u, "
	       "\"capable_syns\": %u}\n",
	       m.counts.packets, m.counts.stripped, m.counts.corrupted, m.counts.dropped,
	       m.counts.capable_syns);
	return 0;
}
