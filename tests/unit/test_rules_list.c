/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_rules_list.c - lists of commands: what is run, what is skipped, what stops the list, and
 * what it is said to have failed of. The commands are the system's own small ones.
 */
#include <stdlib.h>
#include <unistd.h>

#include "app/rules_list.h"
#include "unit.h"

static char dir[] = "/tmp/test_rules_list.XXXXXX";
static char err[1024];

static int run(struct rules_list *list)
{
	int result;

	err[0] = '\0';
	result = rules_list_run(list, err, sizeof(err));
	rules_list_fini(list);
	return result;
}

static bool made(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return unlink(path) == 0;
}

static void test_order(void)
{
	struct rules_list list = {0};

	rules_list_add(&list, "touch %s/first", dir);
	rules_list_add(&list, "mv %s/first %s/second", dir, dir);
	CU_ASSERT_EQUAL(run(&list), 0);
	CU_ASSERT_TRUE(made("second"));
	CU_ASSERT_STRING_EQUAL(err, "");
}

static void test_failure(void)
{
	struct rules_list list = {0};

	rules_list_add(&list, "ls %s/nothing", dir);
	rules_list_add(&list, "touch %s/never", dir);
	CU_ASSERT_EQUAL(run(&list), -1);
	CU_ASSERT_FALSE(made("never"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "`ls /tmp/test_rules_list."));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "No such file or directory"));
}

static void test_may_fail(void)
{
	struct rules_list list = {0};

	rules_list_add(&list, "false");
	rules_list_may_fail(&list);
	rules_list_add(&list, "touch %s/after", dir);
	CU_ASSERT_EQUAL(run(&list), 0);
	CU_ASSERT_TRUE(made("after"));
}

/* A command that is not installed is told even where failing is allowed. */
static void test_missing(void)
{
	struct rules_list list = {0};

	rules_list_add(&list, "no-such-command-here");
	rules_list_may_fail(&list);
	CU_ASSERT_EQUAL(run(&list), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "command not found"));
}

static void test_unless(void)
{
	struct rules_list list = {0};

	rules_list_add(&list, "touch %s/needed", dir);
	rules_list_unless(&list, "false");
	rules_list_add(&list, "touch %s/superfluous", dir);
	rules_list_unless(&list, "true");
	CU_ASSERT_EQUAL(run(&list), 0);
	CU_ASSERT_TRUE(made("needed"));
	CU_ASSERT_FALSE(made("superfluous"));
}

/* Nothing is executed but what says whether it is needed. */
static void test_needless(void)
{
	struct rules_list list = {0};

	CU_ASSERT_TRUE(rules_list_needless(&list));
	rules_list_add(&list, "touch %s/first", dir);
	rules_list_unless(&list, "true");
	CU_ASSERT_TRUE(rules_list_needless(&list));
	rules_list_add(&list, "touch %s/second", dir);
	CU_ASSERT_FALSE(rules_list_needless(&list));
	rules_list_unless(&list, "false");
	CU_ASSERT_FALSE(rules_list_needless(&list));
	CU_ASSERT_FALSE(made("first"));
	CU_ASSERT_FALSE(made("second"));
	rules_list_fini(&list);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "w");
	fputs(text, out);
	fclose(out);
}

/* A script that succeeds as often as its counter says, then fails. */
static void test_repeat(void)
{
	struct rules_list list = {0};
	char left[8] = "", path[128];
	FILE *in;

	write_file("script", "n=$(cat $0.n)\necho $((n - 1)) >$0.n\n[ $n -gt 0 ]\n");
	write_file("script.n", "3\n");
	rules_list_add(&list, "sh %s/script", dir);
	rules_list_repeat(&list);
	rules_list_add(&list, "touch %s/after", dir);
	CU_ASSERT_EQUAL(run(&list), 0);
	CU_ASSERT_TRUE(made("after"));
	snprintf(path, sizeof(path), "%s/script.n", dir);
	in = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL(fgets(left, sizeof(left), in));
	fclose(in);
	CU_ASSERT_STRING_EQUAL(left, "-1\n");

	/* One that never fails is not run for ever. */
	write_file("script.n", "1000\n");
	rules_list_add(&list, "sh %s/script", dir);
	rules_list_repeat(&list);
	CU_ASSERT_EQUAL(run(&list), 0);
	made("script.n");
	made("script");
}

/* More than a pipe holds, and a command that does not read it at all. */
static void test_input(void)
{
	struct rules_list list = {0};

	rules_list_add(&list, "grep -q -x last");
	for (unsigned i = 0; i < 20000; i++)
		rules_list_input(&list, "line %u of a long input", i);
	rules_list_input(&list, "last");
	rules_list_add(&list, "true");
	for (unsigned i = 0; i < 20000; i++)
		rules_list_input(&list, "line %u of a long input", i);
	CU_ASSERT_EQUAL(run(&list), 0);

	rules_list_add(&list, "grep -q -x last");
	rules_list_input(&list, "first");
	CU_ASSERT_EQUAL(run(&list), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "no reason given"));
}

/* What a command says is cut, not waited for. */
static void test_talkative(void)
{
	struct rules_list list = {0};

	rules_list_add(&list, "dd if=/dev/zero of=/dev/stderr bs=1M count=2 status=none");
	rules_list_add(&list, "touch %s/end", dir);
	CU_ASSERT_EQUAL(run(&list), 0);
	CU_ASSERT_TRUE(made("end"));
}

static void test_print(void)
{
	struct rules_list list = {0};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	rules_list_add(&list, "one -a");
	rules_list_why(&list, "the first");
	rules_list_add(&list, "two");
	rules_list_unless(&list, "three");
	rules_list_add(&list, "four");
	rules_list_input(&list, "line");
	rules_list_add(&list, "five");
	rules_list_may_fail(&list);
	rules_list_add(&list, "six");
	rules_list_repeat(&list);
	rules_list_print(&list, out);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, "# the first\none -a\n"
				     "three 2>/dev/null ||\n\ttwo\n"
				     "four <<'END'\nline\nEND\n"
				     "five 2>/dev/null || :\n"
				     "while six 2>/dev/null; do :; done\n");
	free(text);
	rules_list_fini(&list);
}

static const struct unit_test tests[] = {
	{"in order", test_order},
	{"a failure ends the list and is quoted", test_failure},
	{"may fail", test_may_fail},
	{"command not found", test_missing},
	{"unless", test_unless},
	{"repeat", test_repeat},
	{"needless", test_needless},
	{"standard input", test_input},
	{"standard error", test_talkative},
	{"as a shell script", test_print},
};

int main(void)
{
	int result;

	if (!mkdtemp(dir))
		return 2;
	result = unit_main("rules_list", tests, sizeof(tests) / sizeof(tests[0]));
	rmdir(dir);
	return result;
}
