/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_netlink.c - any bytes as what the kernel says over netlink: to rtnl's questions and in its
 * monitor, in nftables', to ctnl's questions, and as NFQUEUE's messages.
 *
 * Input: a byte that chooses the reader (see `readers`); its top bit lets the last answer time
 * out, bit 4 makes the monitor nftables'. Then datagrams, each with its length in two bytes before
 * it. libmnl's socket calls are replaced here by ones that read from the input; whatever lies
 * behind a datagram in the reader's buffer is poisoned. A message whose sequence number and port
 * are zero is taken as an answer.
 */
#include <errno.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/ctnl.h"
#include "io/nfqueue.h"
#include "io/nftables.h"
#include "io/rtnl.h"

#define REQUIRE(condition)                \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

#define NFQUEUE_BUFFER_BYTES (72U << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;
static bool time_out;
static bool opening; /* NFQUEUE's settings are acknowledged, the input is for later */

struct poisoned {
	char *p;
	size_t bytes;
};

static struct poisoned poisoned[NFQUEUE_BATCH];
static unsigned n_poisoned;

static void heal(void)
{
	while (n_poisoned > 0) {
		n_poisoned--;
		__asan_unpoison_memory_region(poisoned[n_poisoned].p, poisoned[n_poisoned].bytes);
	}
}

/* The next datagram into `buf`; -1 when there is none left. */
static ssize_t next_datagram(char *buf, size_t cap)
{
	size_t n;

	if (left < 2)
		return -1;
	n = (size_t)input[0] << 8 | input[1];
	input += 2;
	left -= 2;
	n = n < left ? n : left;
	n = n < cap ? n : cap;
	memcpy(buf, input, n);
	input += n;
	left -= n;
	/* libmnl rounds a message's end up to the next attribute's beginning. */
	if (n_poisoned < NFQUEUE_BATCH && MNL_ALIGN(n) < cap) {
		poisoned[n_poisoned++] = (struct poisoned){buf + MNL_ALIGN(n), cap - MNL_ALIGN(n)};
		__asan_poison_memory_region(buf + MNL_ALIGN(n), cap - MNL_ALIGN(n));
	}
	return (ssize_t)n;
}

/* ---- in place of the library's ---- */

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	(void)bus;
	(void)flags;
	return (struct mnl_socket *)(void *)&left;
}

int mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid)
{
	(void)nl;
	(void)groups;
	(void)pid;
	return 0;
}

int mnl_socket_close(struct mnl_socket *nl)
{
	(void)nl;
	heal(); /* the reader's buffer is about to go */
	return 0;
}

int mnl_socket_get_fd(const struct mnl_socket *nl)
{
	(void)nl;
	return -1;
}

int mnl_socket_setsockopt(const struct mnl_socket *nl, int type, void *buf, socklen_t len)
{
	(void)nl;
	(void)type;
	(void)buf;
	(void)len;
	return 0;
}

unsigned int mnl_socket_get_portid(const struct mnl_socket *nl)
{
	(void)nl;
	return 1;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *req, size_t bytes)
{
	const struct nlmsghdr *msg = req;

	(void)nl;
	REQUIRE(bytes >= sizeof(*msg) && msg->nlmsg_len == bytes);
	return (ssize_t)bytes;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf, size_t bytes)
{
	struct nlmsghdr *msg = buf;
	ssize_t n;

	(void)nl;
	heal();
	n = opening ? -1 : next_datagram(buf, bytes);
	if (n >= 0)
		return n;
	if (!opening && time_out) {
		errno = EAGAIN;
		return -1;
	}
	memset(buf, 0, NLMSG_HDRLEN + sizeof(struct nlmsgerr));
	msg->nlmsg_len = NLMSG_HDRLEN + sizeof(struct nlmsgerr);
	msg->nlmsg_type = NLMSG_ERROR; /* of error 0: the acknowledgement */
	return (ssize_t)msg->nlmsg_len;
}

ssize_t recv(int fd, void *buf, size_t bytes, int flags)
{
	ssize_t n;

	(void)fd;
	(void)flags;
	heal();
	n = next_datagram(buf, bytes);
	if (n < 0)
		errno = time_out ? ENOBUFS : EAGAIN;
	time_out = false;
	return n;
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n_msgs, int flags,
	     struct timespec *patience)
{
	unsigned n = 0;

	(void)fd;
	(void)flags;
	(void)patience;
	heal();
	for (; n < n_msgs; n++) {
		const struct iovec *iov = msgs[n].msg_hdr.msg_iov;
		ssize_t bytes = next_datagram(iov->iov_base, iov->iov_len);

		if (bytes < 0)
			break;
		msgs[n].msg_len = (unsigned)bytes;
	}
	errno = EAGAIN;
	return n > 0 ? (int)n : -1;
}

/* ---- the readers ---- */

static struct flow_tuple tuple_of(uint8_t family)
{
	struct flow_tuple t = {.family = family, .src_port = 1000, .dst_port = 80};

	t.src.b[0] = 10;
	t.dst.b[0] = 11;
	return t;
}

static void change(const struct rtnl_change *c, void *data)
{
	(void)data;
	REQUIRE(c->kind <= RTNL_LOST);
	if (c->kind == RTNL_LINK)
		REQUIRE(memchr(c->link.name, 0, sizeof(c->link.name)) != NULL);
	if (c->kind == RTNL_ADDRESS)
		REQUIRE(c->address.family == FLOW_IPV4 || c->address.family == FLOW_IPV6);
	if (c->kind == RTNL_ROUTE)
		REQUIRE(c->route.family == FLOW_IPV4 || c->route.family == FLOW_IPV6);
}

static void rule(const struct rtnl_rule *r, void *data)
{
	(void)data;
	REQUIRE(r->family == FLOW_IPV4 || r->family == FLOW_IPV6);
	REQUIRE(memchr(r->iif, 0, sizeof(r->iif)) && memchr(r->oif, 0, sizeof(r->oif)));
}

static void read_link(uint8_t family)
{
	rtnl_link("lo", change, &family);
}

static void read_addresses(uint8_t family)
{
	rtnl_addresses(1, change, &family);
}

static void read_routes(uint8_t family)
{
	rtnl_routes(1, family, change, &family);
}

static void read_monitor(uint8_t family)
{
	rtnl_monitor_read(-1, change, &family);
	heal();
}

static void read_nftables(void)
{
	nftables_deleted(-1, true);
	heal();
}

static void read_rules(uint8_t family)
{
	bool taken;

	rtnl_rules(family, 99, rule, &family);
	rtnl_table_taken(family, 100, 99, &taken);
}

static void read_leavings(uint8_t family)
{
	rtnl_remove(family, 99);
}

static void read_translation(uint8_t family)
{
	struct netlink nl = {.socket = mnl_socket_open2(NETLINK_NETFILTER, 0)};
	struct flow_tuple guest = tuple_of(family), net;

	if (ctnl_translation(&nl, &guest, &net) == 0)
		REQUIRE(net.family == family);
	ctnl_keep(&nl, &guest);
	heal();
}

static void read_queue(uint8_t family)
{
	struct nfqueue_packet packets[NFQUEUE_BATCH];
	static struct nfqueue *q;
	char err[256];
	int n;

	(void)family;
	if (!q) {
		opening = true;
		q = nfqueue_open(1, err, sizeof(err));
		opening = false;
		REQUIRE(q);
	}
	n = nfqueue_receive(q, packets);
	REQUIRE(n >= 0 && n <= NFQUEUE_BATCH);
	for (int i = 0; i < n; i++) {
		const struct nfqueue_packet *p = &packets[i];
		volatile uint8_t last;

		REQUIRE(p->len_bytes < NFQUEUE_BUFFER_BYTES);
		if (p->len_bytes > 0)
			last = p->data[p->len_bytes - 1];
		(void)last;
		if (i & 1)
			nfqueue_drop(q, p);
		else
			nfqueue_repeat(q, p, p->mark, p->data, p->len_bytes);
	}
	nfqueue_flush(q);
	heal();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(uint8_t family) = {
		read_link,  read_addresses, read_routes,      read_monitor,
		read_rules, read_leavings,  read_translation, read_queue,
	};

	if (size == 0)
		return 0;
	input = data + 1;
	left = size - 1;
	time_out = data[0] & 0x80;
	if ((data[0] & 0x17) == 0x13)
		read_nftables();
	else
		readers[data[0] & 7](data[0] & 0x20 ? FLOW_IPV6 : FLOW_IPV4);
	return 0;
}
