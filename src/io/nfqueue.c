// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nfqueue.c - see nfq.h. libnetfilter_queue's message helpers on a libmnl socket.
 *
 * NFQA_CFG_F_GSO lets super-segments come whole. Overflow of the socket is packet loss
 * (NETLINK_NO_ENOBUFS); failing open instead would let unmodified packets overtake rewritten ones.
 */
#include "io/nfqueue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "io/netlink.h"

#define BUFFER_BYTES (72U << 10)
#define HUGE_PAGE_BYTES (2UL << 20)
#define CACHE_LINE_BYTES 64U
#define LARGE_BYTES 8192U
#define COPY_RANGE_BYTES 0xffffU
#define QUEUE_PACKETS 8192U
#define SOCKET_BYTES (32 << 20)
#define VERDICT_BYTES 4096U

struct nfqueue {
	struct mnl_socket *socket;
	int fd;
	uint16_t number;
	bool drop_pending;
	uint32_t drop_id;
	uint64_t failures;
	struct mmsghdr msgs[NFQUEUE_BATCH];
	struct iovec iov[NFQUEUE_BATCH];
	char *buffers;        /* NFQUEUE_BATCH of BUFFER_BYTES */
	unsigned shift_bytes; /* at which messages begin in them */
	_Alignas(struct nlmsghdr) char verdict[VERDICT_BYTES];
};

/* Sends a configuration message and waits for its acknowledgement. 0 or -errno. */
static int configure(struct nfqueue *q, struct nlmsghdr *msg)
{
	_Alignas(struct nlmsghdr) char answer[8192];
	ssize_t n;

	msg->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(q->socket, msg, msg->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(q->socket, answer, sizeof(answer));
	if (n < 0)
		return -errno;
	if (mnl_cb_run(answer, (size_t)n, 0, mnl_socket_get_portid(q->socket), NULL, NULL) < 0)
		return netlink_failure();
	return 0;
}

static struct nlmsghdr *config_message(struct nfqueue *q)
{
	return nfq_nlmsg_put(q->verdict, NFQNL_MSG_CONFIG, q->number);
}

static int bind_queue(struct nfqueue *q)
{
	struct nlmsghdr *msg = config_message(q);

	nfq_nlmsg_cfg_put_cmd(msg, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	return configure(q, msg);
}

static int set_parameters(struct nfqueue *q)
{
	struct nlmsghdr *msg = config_message(q);

	nfq_nlmsg_cfg_put_params(msg, NFQNL_COPY_PACKET, COPY_RANGE_BYTES);
	nfq_nlmsg_cfg_put_qmaxlen(msg, QUEUE_PACKETS);
	mnl_attr_put_u32(msg, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_GSO));
	mnl_attr_put_u32(msg, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO));
	return configure(q, msg);
}

static void set_socket(struct nfqueue *q)
{
	int bytes = SOCKET_BYTES, one = 1;

	if (setsockopt(q->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(q->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(q->fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one));
}

static void place_buffers(struct nfqueue *q)
{
	for (unsigned i = 0; i < NFQUEUE_BATCH; i++) {
		q->iov[i].iov_base = q->buffers + (size_t)i * BUFFER_BYTES + q->shift_bytes;
		q->iov[i].iov_len = BUFFER_BYTES - q->shift_bytes;
	}
}

/* One huge page, if there is one: few entries of the TLB serve all copying. */
static int set_buffers(struct nfqueue *q)
{
	_Static_assert(NFQUEUE_BATCH * BUFFER_BYTES <= HUGE_PAGE_BYTES, "one page");
	q->buffers = aligned_alloc(HUGE_PAGE_BYTES, HUGE_PAGE_BYTES);
	if (!q->buffers)
		return -ENOMEM;
	madvise(q->buffers, HUGE_PAGE_BYTES, MADV_HUGEPAGE);
	memset(q->buffers, 0, HUGE_PAGE_BYTES); /* resident now, not at some later packet */
	place_buffers(q);
	for (unsigned i = 0; i < NFQUEUE_BATCH; i++) {
		q->msgs[i].msg_hdr.msg_iov = &q->iov[i];
		q->msgs[i].msg_hdr.msg_iovlen = 1;
	}
	return 0;
}

/*
 * The kernel's copies in and out are faster from and to a cache line's beginning. All that stands
 * before the payload has the same size in most large packets, so the next are received that much
 * further on.
 */
static void align(struct nfqueue *q, const struct nfqueue_packet *p)
{
	unsigned header_bytes, beyond;

	if (p->len_bytes < LARGE_BYTES)
		return;
	header_bytes = p->data[0] >> 4 == 4 ? (p->data[0] & 0xfU) * 4 : 40;
	header_bytes += (p->data[header_bytes + 12] >> 4) * 4U;
	beyond = (unsigned)((uintptr_t)(p->data + header_bytes) % CACHE_LINE_BYTES);
	if (beyond == 0)
		return;
	q->shift_bytes = (q->shift_bytes + CACHE_LINE_BYTES - beyond) % CACHE_LINE_BYTES;
	place_buffers(q);
}

static void explain(int error, uint16_t number, char *err, unsigned err_bytes)
{
	if (error == -EBUSY || error == -EPERM)
		snprintf(err, err_bytes, "NFQUEUE %u: %s", number,
			 error == -EBUSY ? "another process has it (another mpgate?); end that one "
					   "or set `queue` to another number"
					 : "not permitted, or another process has it; mpgate needs "
					   "root (CAP_NET_ADMIN) and a queue number of its own");
	else
		snprintf(err, err_bytes,
			 "NFQUEUE %u: %s; is the kernel built with NETFILTER_NETLINK_QUEUE?",
			 number, strerror(-error));
}

struct nfqueue *nfqueue_open(uint16_t number, char *err, unsigned err_bytes)
{
	struct nfqueue *q = calloc(1, sizeof(*q));
	int error = -ENOMEM;

	if (!q)
		goto fail;
	q->number = number;
	error = set_buffers(q);
	if (error)
		goto fail;
	q->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!q->socket || mnl_socket_bind(q->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		error = -errno;
		goto fail;
	}
	q->fd = mnl_socket_get_fd(q->socket);
	error = bind_queue(q);
	if (!error)
		error = set_parameters(q);
	if (error)
		goto fail;
	set_socket(q);
	return q;
fail:
	explain(error, number, err, err_bytes);
	nfqueue_close(q);
	return NULL;
}

void nfqueue_close(struct nfqueue *q)
{
	if (!q)
		return;
	if (q->socket)
		mnl_socket_close(q->socket);
	free(q->buffers);
	free(q);
}

int nfqueue_fd(const struct nfqueue *q)
{
	return q->fd;
}

uint64_t nfqueue_failures(const struct nfqueue *q)
{
	return q->failures;
}

static uint32_t attr_be32(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) == 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

/* False when the message is no packet. */
static bool decode(const struct nlmsghdr *msg, struct nfqueue_packet *p)
{
	struct nlattr *attr[NFQA_MAX + 1] = {NULL};
	const struct nfqnl_msg_packet_hdr *header;

	if (NFNL_MSG_TYPE(msg->nlmsg_type) != NFQNL_MSG_PACKET || nfq_nlmsg_parse(msg, attr) < 0 ||
	    !attr[NFQA_PACKET_HDR] ||
	    mnl_attr_get_payload_len(attr[NFQA_PACKET_HDR]) < sizeof(*header))
		return false;
	header = mnl_attr_get_payload(attr[NFQA_PACKET_HDR]);
	p->id = ntohl(header->packet_id);
	p->hook = header->hook;
	p->mark = attr_be32(attr[NFQA_MARK]);
	p->indev = attr_be32(attr[NFQA_IFINDEX_INDEV]);
	p->outdev = attr_be32(attr[NFQA_IFINDEX_OUTDEV]);
	p->csum_trusted = attr[NFQA_SKB_INFO] &&
			  !(attr_be32(attr[NFQA_SKB_INFO]) & NFQA_SKB_CSUM_NOTVERIFIED);
	p->data = NULL;
	p->len_bytes = 0;
	/* NFQA_CAP_LEN tells the real length when the copy range has cut the packet. */
	if (attr[NFQA_PAYLOAD] && !attr[NFQA_CAP_LEN]) {
		p->data = mnl_attr_get_payload(attr[NFQA_PAYLOAD]);
		p->len_bytes = mnl_attr_get_payload_len(attr[NFQA_PAYLOAD]);
	}
	return true;
}

int nfqueue_receive(struct nfqueue *q, struct nfqueue_packet *packets)
{
	int n = recvmmsg(q->fd, q->msgs, NFQUEUE_BATCH, MSG_DONTWAIT | MSG_WAITFORONE, NULL);
	int n_packets = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		const struct nlmsghdr *msg = q->iov[i].iov_base;

		if (netlink_whole(msg, q->msgs[i].msg_len) && decode(msg, &packets[n_packets]))
			n_packets++;
	}
	if (n_packets > 0)
		align(q, &packets[0]);
	return n_packets;
}

static void send_verdict(struct nfqueue *q, const struct nlmsghdr *msg)
{
	if (mnl_socket_sendto(q->socket, msg, msg->nlmsg_len) < 0)
		q->failures++;
}

void nfqueue_drop(struct nfqueue *q, const struct nfqueue_packet *packet)
{
	q->drop_pending = true;
	q->drop_id = packet->id;
}

/*
 * A verdict other than drop leaves at once. So whatever is still queued up to the id of the last
 * drop are drops, and one message about that id speaks for all of them.
 */
void nfqueue_repeat(struct nfqueue *q, const struct nfqueue_packet *packet, uint32_t mark,
		    const uint8_t *bytes, size_t n_bytes)
{
	struct nlmsghdr *msg = nfq_nlmsg_put(q->verdict, NFQNL_MSG_VERDICT, q->number);

	nfq_nlmsg_verdict_put(msg, (int)packet->id, NF_REPEAT);
	nfq_nlmsg_verdict_put_mark(msg, mark);
	if (bytes && n_bytes <= VERDICT_BYTES - 256)
		nfq_nlmsg_verdict_put_pkt(msg, bytes, (uint32_t)n_bytes);
	send_verdict(q, msg);
}

void nfqueue_flush(struct nfqueue *q)
{
	struct nlmsghdr *msg;

	if (!q->drop_pending)
		return;
	q->drop_pending = false;
	msg = nfq_nlmsg_put(q->verdict, NFQNL_MSG_VERDICT_BATCH, q->number);
	nfq_nlmsg_verdict_put(msg, (int)q->drop_id, NF_DROP);
	send_verdict(q, msg);
}
