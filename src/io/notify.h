/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notify.h - tells systemd how the daemon fares, when it was started by systemd.
 */
#ifndef MPGATE_IO_NOTIFY_H
#define MPGATE_IO_NOTIFY_H

/* Sends `state` ("READY=1", "STOPPING=1" ...) to $NOTIFY_SOCKET; does nothing without one. */
void notify_state(const char *state);

#endif
