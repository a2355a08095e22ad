// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log.c - see log.h. One write per line, so that lines of several processes do not mix.
 */
#include "io/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_BYTES 1024

/* The numbers are syslog's. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6 };

static void write_line(enum log_level level, const char *fmt, va_list args)
{
	char line[LINE_BYTES];
	int n = 0;

	if (!isatty(STDERR_FILENO))
		n = snprintf(line, sizeof(line), "<%d>", (int)level);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, args);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nobody is left to be told */
}

#define LOG_FUNCTION(name, level)             \
	void name(const char *fmt, ...)       \
	{                                     \
		va_list args;                 \
                                              \
		va_start(args, fmt);          \
		write_line(level, fmt, args); \
		va_end(args);                 \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
