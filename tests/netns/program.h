/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * program.h - how the programs beside the namespace tests end: at a signal they report what they
 * have, at a failing system call they say which.
 */
#ifndef MPGATE_TESTS_NETNS_PROGRAM_H
#define MPGATE_TESTS_NETNS_PROGRAM_H

#include <signal.h>

extern volatile sig_atomic_t program_stop;

/* From here on SIGTERM and SIGINT set program_stop; system calls return EINTR. */
void program_stops_by_signal(void);

/* Says `what` and errno, and ends the program. */
_Noreturn void program_fail(const char *what);

#endif
