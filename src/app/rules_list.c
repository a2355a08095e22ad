// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_list.c - see rules_list.h.
 */
#include "app/rules_list.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 64
#define REPEAT_MAX 64
#define SAID_BYTES 512
#define COMMAND_MISSING 127 /* exit status, as shells have it */

void rules_list_fini(struct rules_list *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		free(list->command[i].words);
		free(list->command[i].unless);
		free(list->command[i].input);
		free(list->command[i].why);
	}
	free(list->command);
	memset(list, 0, sizeof(*list));
}

static char *format(struct rules_list *list, const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0) {
		list->no_memory = true;
		return NULL;
	}
	return text;
}

static struct rules_command *last(struct rules_list *list)
{
	return list->n && !list->no_memory ? &list->command[list->n - 1] : NULL;
}

void rules_list_add(struct rules_list *list, const char *fmt, ...)
{
	va_list args;

	if (list->n == list->cap) {
		unsigned cap = list->cap ? 2 * list->cap : 32;
		struct rules_command *grown = realloc(list->command, cap * sizeof(*grown));

		if (!grown) {
			list->no_memory = true;
			return;
		}
		list->command = grown;
		list->cap = cap;
	}
	memset(&list->command[list->n], 0, sizeof(*list->command));
	va_start(args, fmt);
	list->command[list->n].words = format(list, fmt, args);
	va_end(args);
	if (!list->no_memory)
		list->n++;
}

void rules_list_unless(struct rules_list *list, const char *fmt, ...)
{
	struct rules_command *c = last(list);
	va_list args;

	if (!c)
		return;
	va_start(args, fmt);
	c->unless = format(list, fmt, args);
	va_end(args);
}

void rules_list_why(struct rules_list *list, const char *fmt, ...)
{
	struct rules_command *c = last(list);
	va_list args;

	if (!c)
		return;
	va_start(args, fmt);
	c->why = format(list, fmt, args);
	va_end(args);
}

void rules_list_may_fail(struct rules_list *list)
{
	struct rules_command *c = last(list);

	if (c)
		c->may_fail = true;
}

void rules_list_repeat(struct rules_list *list)
{
	struct rules_command *c = last(list);

	if (c)
		c->may_fail = c->repeat = true;
}

void rules_list_input(struct rules_list *list, const char *fmt, ...)
{
	struct rules_command *c = last(list);
	size_t old, more;
	char *line, *grown;
	va_list args;

	if (!c)
		return;
	va_start(args, fmt);
	line = format(list, fmt, args);
	va_end(args);
	if (!line)
		return;
	old = c->input ? strlen(c->input) : 0;
	more = strlen(line);
	grown = realloc(c->input, old + more + 2);
	if (grown) {
		memcpy(grown + old, line, more);
		memcpy(grown + old + more, "\n", 2);
		c->input = grown;
	} else {
		list->no_memory = true;
	}
	free(line);
}

void rules_list_print(const struct rules_list *list, FILE *out)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct rules_command *c = &list->command[i];

		if (c->why)
			fprintf(out, "%s# %s\n", i ? "\n" : "", c->why);
		if (c->repeat)
			fprintf(out, "while %s 2>/dev/null; do :; done", c->words);
		else if (c->unless)
			fprintf(out, "%s 2>/dev/null ||\n\t%s", c->unless, c->words);
		else
			fprintf(out, "%s%s", c->words, c->may_fail ? " 2>/dev/null || :" : "");
		if (c->input)
			fprintf(out, " <<'END'\n%sEND", c->input);
		fputc('\n', out);
	}
}

/* ---- execution ---- */

/* In the child: never returns. */
static void become(char *words, int in, int said)
{
	char *argv[WORDS_MAX], *state = NULL, path[1024];
	const char *inherited = getenv("PATH");
	int n = 0, null = open("/dev/null", O_RDWR);
	sigset_t none;

	/* The daemon blocks signals and ignores SIGPIPE; that is no business of the command. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(in, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	snprintf(path, sizeof(path), "%s%s/usr/sbin:/sbin:/usr/bin:/bin",
		 inherited ? inherited : "", inherited ? ":" : "");
	setenv("PATH", path, 1);
	setenv("LC_ALL", "C", 1);
	for (char *w = strtok_r(words, " ", &state); w && n < WORDS_MAX - 1;
	     w = strtok_r(NULL, " ", &state))
		argv[n++] = w;
	argv[n] = NULL;
	if (n > 0)
		execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s",
		errno == ENOENT ? "command not found; is it installed?" : strerror(errno));
	_exit(COMMAND_MISSING);
}

/* Feeds `input` to the command and keeps the beginning of what it says; both without waiting. */
static void converse(int in, const char *input, int from, char *said)
{
	size_t left = input ? strlen(input) : 0, n_said = 0;
	char waste[256] = "";

	fcntl(in, F_SETFL, O_NONBLOCK);
	for (;;) {
		struct pollfd fds[2] = {{.fd = from, .events = POLLIN},
					{.fd = left ? in : -1, .events = POLLOUT}};
		ssize_t n;

		if (left == 0 && in >= 0) {
			close(in);
			in = -1;
		}
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents) {
			n = write(in, input, left);
			left = n > 0 ? left - (size_t)n : (errno == EAGAIN ? left : 0);
			input += n > 0 ? n : 0;
		}
		if (fds[0].revents) {
			bool room = n_said < SAID_BYTES - 1;

			n = read(from, room ? said + n_said : waste,
				 room ? SAID_BYTES - 1 - n_said : sizeof(waste));
			if (n <= 0)
				break;
			n_said += room ? (size_t)n : 0;
		}
	}
	if (in >= 0)
		close(in);
	said[n_said] = '\0';
	for (size_t i = 0; i < n_said; i++)
		said[i] = said[i] == '\n' ? (i + 1 == n_said ? '\0' : ' ') : said[i];
}

/* The command's exit status, or -1; what it said on standard error is in `said`. */
static int execute(const char *words, const char *input, char *said)
{
	int in[2], err[2], status = -1;
	char *copy = strdup(words);
	pid_t pid;

	said[0] = '\0';
	if (!copy || pipe2(in, O_CLOEXEC) < 0) {
		free(copy);
		return -1;
	}
	if (pipe2(err, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		free(copy);
		return -1;
	}
	pid = fork();
	if (pid == 0)
		become(copy, in[0], err[1]);
	close(in[0]);
	close(err[1]);
	if (pid > 0) {
		converse(in[1], input, err[0], said);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	} else {
		close(in[1]);
	}
	close(err[0]);
	free(copy);
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_all(const struct rules_list *list, char *err, unsigned err_bytes)
{
	char said[SAID_BYTES];

	for (unsigned i = 0; i < list->n; i++) {
		const struct rules_command *c = &list->command[i];
		int times = c->repeat ? REPEAT_MAX : 1, status;

		if (c->unless && execute(c->unless, NULL, said) == 0)
			continue;
		do {
			status = execute(c->words, c->input, said);
		} while (status == 0 && --times > 0);
		if (status == COMMAND_MISSING || (status != 0 && !c->may_fail)) {
			snprintf(err, err_bytes, "`%s` failed: %s", c->words,
				 said[0] ? said : "no reason given");
			return -1;
		}
	}
	return 0;
}

bool rules_list_needless(const struct rules_list *list)
{
	char said[SAID_BYTES];

	for (unsigned i = 0; i < list->n; i++) {
		const struct rules_command *c = &list->command[i];

		if (!c->unless || execute(c->unless, NULL, said) != 0)
			return false;
	}
	return !list->no_memory;
}

int rules_list_run(const struct rules_list *list, char *err, unsigned err_bytes)
{
	void (*before)(int);
	int result;

	if (list->no_memory) {
		snprintf(err, err_bytes, "out of memory");
		return -1;
	}
	/* A command that ends before it has read its input must not end us. */
	before = signal(SIGPIPE, SIG_IGN);
	result = run_all(list, err, err_bytes);
	signal(SIGPIPE, before);
	return result;
}
