/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * show.c - `mpgate show` and `mpgate metrics`: ask the daemon over its control socket and print
 * what it says.
 */
#include <stdio.h>
#include <stdlib.h>

#include "app/cli.h"
#include "io/control.h"

struct show_input {
	const char *what;
	const char *control;
	bool json;
};

enum { OPTION_CONTROL = 256, OPTION_JSON };

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	static const char *const lists[] = {"connections", "paths", "counters"};
	struct show_input *in = state->input;

	switch (key) {
	case OPTION_CONTROL:
		in->control = arg;
		return 0;
	case OPTION_JSON:
		in->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0 || strcmp(in->what, "metrics") == 0)
			argp_error(state, "\"%s\" is one argument too many", arg);
		in->what = NULL;
		for (unsigned i = 0; i < 3; i++)
			if (strcmp(arg, lists[i]) == 0)
				in->what = lists[i];
		if (!in->what)
			argp_error(state,
				   "\"%s\" cannot be shown; connections, paths and "
				   "counters can",
				   arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

#define OPTION_CONTROL_ENTRY                                                        \
	{                                                                           \
		"control", OPTION_CONTROL, "SOCKET", 0,                             \
			"The daemon's control socket (default /run/mpgate.sock)", 0 \
	}

static int ask(const struct show_input *in)
{
	char request[64], err[512];

	snprintf(request, sizeof(request), "%s%s", in->what, in->json ? " json" : "");
	if (control_ask(in->control, request, stdout, err, sizeof(err)) < 0)
		return cli_fail("%s", err);
	return CLI_GOOD;
}

int show_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		OPTION_CONTROL_ENTRY,
		{"json", OPTION_JSON, NULL, 0, "One JSON document instead of text", 0},
		{0}};
	static const struct argp argp = {
		.options = options,
		.parser = on_option,
		.args_doc = "[connections|paths|counters]",
		.doc = "Shows what the running daemon knows: its connections (the default), its "
		       "paths, or how often each reason for a verdict occurred."};
	struct show_input in = {.what = "connections", .control = "/run/mpgate.sock"};
	int code;

	return cli_parse(&argp, argc, argv, &in, &code) ? ask(&in) : code;
}

int metrics_main(int argc, char **argv)
{
	static const struct argp_option options[] = {OPTION_CONTROL_ENTRY, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = on_option,
		.doc = "Prints the running daemon's counters and gauges in the Prometheus text "
		       "format."};
	struct show_input in = {.what = "metrics", .control = "/run/mpgate.sock"};
	int code;

	return cli_parse(&argp, argc, argv, &in, &code) ? ask(&in) : code;
}
