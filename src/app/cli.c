/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.c - finds the command of a command line and gives it the rest; what the commands share.
 */
#include "app/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct cli_input {
	const struct cli_command *commands;
	const struct cli_command *found;
	int at; /* index of the command's name in argv */
};

static char *help_filter(int key, const char *text, void *input)
{
	/* argp wants its own constant text back as one that is not. */
	union {
		const char *constant;
		char *text;
	} same = {text};
	const struct cli_input *in = input;
	char *out;
	size_t bytes;
	FILE *f;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return same.text;
	f = open_memstream(&out, &bytes);
	if (!f)
		return NULL;
	fprintf(f, "Commands:\n");
	for (const struct cli_command *c = in->commands; c->name; c++)
		fprintf(f, "  %-10s %s\n", c->name, c->summary);
	fprintf(f, "\n`mpgate COMMAND --help' tells more. mpgate(8), mpgate.conf(5).");
	fclose(f);
	return out;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct cli_input *in = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		for (const struct cli_command *c = in->commands; c->name; c++)
			if (strcmp(c->name, arg) == 0)
				in->found = c;
		if (!in->found)
			argp_error(state, "there is no command \"%s\"", arg);
		in->at = state->next - 1;
		state->next = state->argc; /* the rest is the command's own */
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a command is missing");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cli_run(const struct cli_command *commands, int argc, char **argv)
{
	struct cli_input in = {.commands = commands};
	/* The text behind \v is replaced by the table. */
	struct argp argp = {.parser = on_option,
			    .args_doc = "COMMAND [OPTION...]",
			    .doc = "mpgate - plain TCP of guests becomes Multipath TCP\v ",
			    .help_filter = help_filter};
	static char name[64];

	argp_err_exit_status = CLI_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &in) != 0 || !in.found)
		return CLI_USAGE;
	snprintf(name, sizeof(name), "mpgate %s", in.found->name);
	argv[in.at] = name;
	return in.found->run(argc - in.at, argv + in.at);
}

bool cli_parse(const struct argp *argp, int argc, char **argv, void *input, int *code)
{
	/* argp itself exits after a usage error; what it returns is a failure of ours. */
	if (argp_parse(argp, argc, argv, 0, NULL, input) == 0)
		return true;
	*code = CLI_USAGE;
	return false;
}

bool cli_config(struct config *cfg, const char *file)
{
	char err[512];

	if (config_read(cfg, file, err, sizeof(err)) == 0)
		return true;
	fprintf(stderr, "%s\n", err);
	return false;
}

int cli_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("mpgate: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_FAILED;
}
