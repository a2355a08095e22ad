/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - the program: its commands, and the two that are not more than a call.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/daemon.h"
#include "app/rules.h"
#include "io/bpf.h"

const char *argp_program_version = "mpgate " MPGATE_VERSION;

struct main_input {
	const char *file;
	const char *verb; /* of `rules`, empty at first; null for other commands */
};

static const struct argp_option file_options[] = {
	{"config", 'c', "FILE", 0, "The configuration file (default " CLI_CONFIG ")", 0}, {0}};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	static const char *const verbs[] = {"up", "down", "print"};
	struct main_input *in = state->input;

	switch (key) {
	case 'c':
		in->file = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (!in->verb || state->arg_num > 0) {
			argp_error(state, "\"%s\" is one argument too many", arg);
			return EINVAL;
		}
		for (unsigned i = 0; i < 3; i++)
			if (strcmp(arg, verbs[i]) == 0)
				in->verb = verbs[i];
		if (!in->verb[0])
			argp_error(state, "\"%s\" is neither up, down nor print", arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (in->verb)
			argp_error(state, "up, down or print is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int run_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = file_options,
		.parser = on_option,
		.doc = "Runs the daemon in the foreground. It sets up its rules and routes unless "
		       "the file says manage_host = false, and withdraws them on SIGTERM or "
		       "SIGINT. On SIGHUP it begins anew with the file as it is then and takes "
		       "over its connections."};
	static struct config cfg;
	struct main_input in = {.file = CLI_CONFIG};
	int code;

	if (!cli_parse(&argp, argc, argv, &in, &code))
		return code;
	if (!cli_config(&cfg, in.file))
		return CLI_FAILED;
	switch (daemon_run(&cfg, in.file)) {
	case DAEMON_ENDED:
		return CLI_GOOD;
	case DAEMON_RELOAD:
		/* The same program, also when another one has its name by now. */
		execl("/proc/self/exe", "mpgate", "run", "-c", in.file, NULL);
		return cli_fail("beginning anew: %s", strerror(errno));
	case DAEMON_FAILED:
		break;
	}
	return CLI_FAILED;
}

static int withdraw(char *err, unsigned err_bytes)
{
	int rc = rules_down(err, err_bytes);

	if (rules_daemon_there())
		fprintf(stderr, "mpgate: a daemon is still running (it has the device mpg-g0): it "
				"converts nothing until `mpgate rules up`, and converted "
				"connections may break\n");
	return rc;
}

static int rules_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = file_options,
		.parser = on_option,
		.args_doc = "up|down|print",
		.doc = "Sets up (up) or withdraws (down) mpgate's own chains, routing rules and "
		       "tables, or prints the commands that up would run (print)."};
	static struct config cfg;
	struct main_input in = {.file = CLI_CONFIG, .verb = ""};
	char err[512] = "";
	int code, rc;

	if (!cli_parse(&argp, argc, argv, &in, &code))
		return code;
	/* Withdrawing works without the file: it may be gone by then. */
	if (strcmp(in.verb, "down") == 0)
		rc = withdraw(err, sizeof(err));
	else if (!cli_config(&cfg, in.file))
		return CLI_FAILED;
	else if (strcmp(in.verb, "up") == 0)
		rc = rules_up(&cfg, NULL, rules_ask_routed(&cfg) || bpf_check() != 0, err,
			      sizeof(err));
	else
		rc = rules_print(&cfg, rules_ask_routed(&cfg) || bpf_check() == -EINVAL, stdout,
				 err, sizeof(err));
	return rc == 0 ? CLI_GOOD : cli_fail("%s", err);
}

int main(int argc, char **argv)
{
	static const struct cli_command commands[] = {
		{"run", "the daemon, in the foreground", run_main},
		{"check", "whether file and host are fit for run; how to mend them", check_main},
		{"rules", "sets up, withdraws or prints the host's rules", rules_main},
		{"show", "connections, paths or counters of the running daemon", show_main},
		{"metrics", "the running daemon's counters for Prometheus", metrics_main},
		{"replay", "runs the engine over captures", replay_main},
		{0}};

	return cli_run(commands, argc, argv);
}
