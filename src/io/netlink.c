// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netlink.c - see netlink.h.
 */
#include "io/netlink.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#define ANSWER_BYTES 32768

int netlink_open(struct netlink *nl, int bus)
{
	struct timeval patience = {.tv_sec = 5};

	nl->seq = (uint32_t)time(NULL);
	nl->socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!nl->socket)
		return -errno;
	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int err = -errno;

		netlink_close(nl);
		return err;
	}
	/* The kernel answers within the call; this only keeps a lost answer from hanging us. */
	setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl->socket)
		mnl_socket_close(nl->socket);
	nl->socket = NULL;
}

int netlink_failure(void)
{
	return errno > 0 ? -errno : -EPROTO;
}

bool netlink_whole(const void *buf, size_t bytes)
{
	const struct nlmsghdr *msg = buf;

	while (bytes >= sizeof(*msg) && msg->nlmsg_len >= sizeof(*msg) && msg->nlmsg_len <= bytes) {
		size_t step = MNL_ALIGN(msg->nlmsg_len);

		if (step >= bytes)
			return true;
		bytes -= step;
		msg = (const struct nlmsghdr *)(const void *)((const char *)msg + step);
	}
	return false;
}

ssize_t netlink_heard(int fd, void *buf, size_t bytes)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_bytes = sizeof(from);
		ssize_t n =
			recvfrom(fd, buf, bytes, MSG_TRUNC, (struct sockaddr *)&from, &from_bytes);

		if (n < 0 && errno == ENOBUFS)
			return -ENOBUFS;
		if (n == 0 || (n < 0 && errno != EINTR))
			return 0;
		/* The kernel's own word only: its port is 0. */
		if (n < 0 || from.nl_pid != 0)
			continue;
		return (size_t)n <= bytes && netlink_whole(buf, (size_t)n) ? n : -EBADMSG;
	}
}

int netlink_ask(struct netlink *nl, struct nlmsghdr *msg, mnl_cb_t cb, void *data)
{
	_Alignas(struct nlmsghdr) static _Thread_local char answer[ANSWER_BYTES];
	unsigned portid = mnl_socket_get_portid(nl->socket);
	uint32_t seq = ++nl->seq;
	ssize_t n;
	int more;

	msg->nlmsg_seq = seq;
	if (mnl_socket_sendto(nl->socket, msg, msg->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl->socket, answer, sizeof(answer));
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (!netlink_whole(answer, (size_t)n))
			return -EBADMSG;
		more = mnl_cb_run(answer, (size_t)n, seq, portid, cb, data);
		/* A late answer to a question that timed out. */
		if (more < 0 && errno == EPROTO)
			more = MNL_CB_OK;
	} while (more > MNL_CB_STOP);
	return more < 0 ? netlink_failure() : 0;
}
