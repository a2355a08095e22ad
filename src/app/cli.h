/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.h - the command line: a table of commands, each with its own options and help.
 *
 * Exit codes are the same for all: 0 good, 1 failed, 2 used wrongly.
 */
#ifndef MPGATE_APP_CLI_H
#define MPGATE_APP_CLI_H

#include <argp.h>

#include "config.h"

#define CLI_CONFIG "/etc/mpgate.conf"

enum cli_exit { CLI_GOOD = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_command {
	const char *name;
	const char *summary; /* one line of the help */
	/* argv[0] is "mpgate NAME". */
	int (*run)(int argc, char **argv);
};

/* Finds the command, runs it, and returns its exit code; --help and --version are answered. */
int cli_run(const struct cli_command *commands, int argc, char **argv);

/* Reads the file, or says on standard error what is wrong; false then. */
bool cli_config(struct config *cfg, const char *file);

/* Parses with argp: true, or false with *code set when the command is over (usage error). */
bool cli_parse(const struct argp *argp, int argc, char **argv, void *input, int *code);

/* "mpgate: " and the sentence on standard error; the exit code 1. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The commands that live in the library. */
int check_main(int argc, char **argv);
int show_main(int argc, char **argv);
int metrics_main(int argc, char **argv);
int replay_main(int argc, char **argv);

#endif
