/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules_list.h - a list of commands that is executed without a shell or printed as a shell script.
 */
#ifndef MPGATE_APP_RULES_LIST_H
#define MPGATE_APP_RULES_LIST_H

#include <stdbool.h>
#include <stdio.h>

struct rules_command {
	char *words;  /* separated by single spaces; no quoting */
	char *unless; /* another command; when it succeeds this one is not needed. Or null */
	char *input;  /* standard input, or null */
	char *why;    /* printed as a comment, or null */
	bool may_fail;
	bool repeat; /* until it fails */
};

struct rules_list {
	struct rules_command *command;
	unsigned n, cap;
	bool no_memory; /* sticky: what was added since is lost */
};

void rules_list_fini(struct rules_list *list);

/* Adds a command; the functions below then complete the last one. */
void rules_list_add(struct rules_list *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void rules_list_unless(struct rules_list *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void rules_list_why(struct rules_list *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void rules_list_may_fail(struct rules_list *list);
void rules_list_repeat(struct rules_list *list);

/* One line more of standard input. */
void rules_list_input(struct rules_list *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void rules_list_print(const struct rules_list *list, FILE *out);

/* Whether none of the commands is needed: each has an `unless`, and that succeeds. */
bool rules_list_needless(const struct rules_list *list);

/* Stops at the first failure: -1 with a message in `err` that quotes what the command said. */
int rules_list_run(const struct rules_list *list, char *err, unsigned err_bytes);

#endif
