/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * program.c - see program.h.
 */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>

volatile sig_atomic_t program_stop;

static void on_signal(int number)
{
	(void)number;
	program_stop = 1;
}

void program_stops_by_signal(void)
{
	const struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

void program_fail(const char *what)
{
	perror(what);
	exit(2);
}
