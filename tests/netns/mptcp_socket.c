/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mptcp_socket.c - see mptcp_socket.h.
 */
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "mptcp_socket.h"

#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif

bool mptcp_socket_speaks(int fd)
{
	struct mptcp_info info;
	socklen_t len = sizeof(info);
	int protocol = 0;
	socklen_t protocol_len = sizeof(protocol);

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &protocol_len) ||
	    protocol != IPPROTO_MPTCP)
		return false;
	memset(&info, 0, sizeof(info));
	return !getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &len) &&
	       !(info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK);
}
