/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.c - `mpgate check`: would `mpgate run` work with this file on this host, and if not, how is
 * it mended? Nothing of the host stays changed.
 */
#include "app/check.h"

#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/cli.h"

#define NO_PROBE 1000 /* an option without a letter */

extern char **environ;

void check_say(struct check *c, enum check_level level, const char *what, const char *fmt, ...)
{
	static const char *const names[] = {"ok", "warn", "FAIL"};
	va_list ap;

	c->n_warn += level == CHECK_WARN;
	c->n_fail += level == CHECK_FAIL;
	printf("%-4s %s: ", names[level], what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

int check_run(const char *const *argv, char *out, unsigned out_bytes)
{
	posix_spawn_file_actions_t actions;
	unsigned n = 0;
	int pipes[2], error, status;
	char waste[256] = "", *words[CHECK_WORDS_MAX + 1] = {NULL};
	ssize_t got;
	pid_t pid;

	out[0] = '\0';
	if (!argv[0] || pipe(pipes) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 2);
	posix_spawn_file_actions_addclose(&actions, pipes[0]);
	posix_spawn_file_actions_addclose(&actions, pipes[1]);
	/* The command does not write to its arguments; only the old prototype says it might. */
	for (unsigned i = 0; i < CHECK_WORDS_MAX && argv[i]; i++)
		memcpy(&words[i], &argv[i], sizeof(words[i]));
	error = posix_spawnp(&pid, argv[0], &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	while (!error && (got = read(pipes[0], n + 1 < out_bytes ? out + n : waste,
				     n + 1 < out_bytes ? out_bytes - 1 - n : sizeof(waste))) > 0)
		n += n + 1 < out_bytes ? (unsigned)got : 0;
	close(pipes[0]);
	if (error)
		return error == ENOENT || error == EACCES ? 127 : -1;
	out[n] = '\0';
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

bool check_number(long *n, const char *fmt, ...)
{
	char file[128];
	va_list ap;
	bool good;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(file, sizeof(file), fmt, ap);
	va_end(ap);
	f = fopen(file, "re");
	good = f && fscanf(f, "%ld", n) == 1;
	if (f)
		fclose(f);
	return good;
}

/* Where the rules' commands are found also with a user's PATH. */
static void path_widen(void)
{
	const char *inherited = getenv("PATH");
	char path[4096];

	snprintf(path, sizeof(path), "%s%s/usr/sbin:/usr/bin:/sbin:/bin",
		 inherited ? inherited : "", inherited && *inherited ? ":" : "");
	setenv("PATH", path, 1);
	setenv("LC_ALL", "C", 1);
}

static int check(struct check *c, bool probe)
{
	int error;

	path_widen();
	check_kernel(c);
	error = host_look(c->cfg, &c->host);
	if (error)
		check_say(c, CHECK_FAIL, "rtnetlink",
			  "the kernel does not tell its interfaces (%s); run on a kernel with "
			  "rtnetlink",
			  strerror(-error));
	else
		check_paths(c);
	check_settings(c);
	if (probe)
		check_probe(c);
	if (c->n_fail)
		printf("mpgate run would not work: %u to mend, %u to look at\n", c->n_fail,
		       c->n_warn);
	else
		printf("mpgate run would work; %u to look at\n", c->n_warn);
	return c->n_fail ? CLI_FAILED : CLI_GOOD;
}

struct check_input {
	const char *file;
	bool probe;
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct check_input *in = state->input;

	switch (key) {
	case 'c':
		in->file = arg;
		return 0;
	case NO_PROBE:
		in->probe = false;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int check_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"config", 'c', "FILE", 0, "The configuration file (default " CLI_CONFIG ")", 0},
		{"no-probe", NO_PROBE, NULL, 0, "Send nothing and set up nothing on the host", 0},
		{0}};
	static const struct argp argp = {
		.options = options,
		.parser = on_option,
		.doc = "Looks whether the file is good and the host is fit for `mpgate run'. Each "
		       "finding is a line: ok, warn or FAIL, what it is about, and how to mend it. "
		       "The exit code is 0 only if run would work. Nothing stays changed: for a "
		       "moment devices, rules and routes are set up, so that a packet through "
		       "each device proves that it leaves."};
	static struct config cfg;
	struct check *c;
	struct check_input in = {.file = CLI_CONFIG, .probe = true};
	char err[512];
	int code;

	if (!cli_parse(&argp, argc, argv, &in, &code))
		return code;
	/* Shared with the child that tries out the kernel. */
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c == MAP_FAILED)
		return cli_fail("no memory: %s", strerror(errno));
	c->cfg = &cfg;
	if (config_read(&cfg, in.file, err, sizeof(err)) < 0) {
		check_say(c, CHECK_FAIL, "file", "%s", err);
		return CLI_FAILED;
	}
	check_say(c, CHECK_OK, "file", "%s is good", in.file);
	return check(c, in.probe);
}
