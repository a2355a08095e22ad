/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - messages of the daemon on standard error, with the "<N>" level prefixes that journald
 * and syslog understand. A terminal gets them without the prefix.
 */
#ifndef MPGATE_IO_LOG_H
#define MPGATE_IO_LOG_H

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
