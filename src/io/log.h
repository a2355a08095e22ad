/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - messages of the daemon on standard error, with the "<N>" level prefixes that journald
 * and syslog understand. A terminal gets them without the prefix.
 */
#ifndef MPGATE_IO_LOG_H
#define MPGATE_IO_LOG_H

/* The numbers are syslog's. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG };

/* Messages above `level` are left out. Before this call: everything but debug is shown. */
void log_init(enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
