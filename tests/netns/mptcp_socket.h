/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mptcp_socket.h - what the kernel says of a socket.
 */
#ifndef MPTCP_SOCKET_H
#define MPTCP_SOCKET_H

#include <stdbool.h>

/* Multipath TCP, and not fallen back to plain TCP. */
bool mptcp_socket_speaks(int fd);

#endif
