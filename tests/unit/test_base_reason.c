/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_base_reason.c - every reason has a name of its own and a sentence; names are what scripts
 * and dashboards depend on.
 */
#include <ctype.h>

#include "reason.h"
#include "unit.h"

static void test_names(void)
{
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		const char *name = reason_name((enum reason)i);

		CHECK_ROW(i, strlen(name) > 1);
		for (const char *c = name; *c; c++)
			CHECK_ROW(i, islower((unsigned char)*c) || isdigit((unsigned char)*c) ||
					     *c == '_');
		for (unsigned j = 0; j < i; j++)
			CHECK_ROW(i, strcmp(name, reason_name((enum reason)j)) != 0);
	}
}

static void test_sentences(void)
{
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		const char *sentence = reason_sentence((enum reason)i);
		size_t len = strlen(sentence);

		CHECK_ROW(i, len > 10);
		CHECK_ROW(i, isalpha((unsigned char)sentence[0]));
		CHECK_ROW(i, sentence[len - 1] == '.');
		/* Quotes, backslashes and line ends would need escaping in the metrics. */
		CHECK_ROW(i, strpbrk(sentence, "\"\\\n") == NULL);
	}
}

static void test_literal(void)
{
	CU_ASSERT_EQUAL(REASON_NONE, 0);
	CU_ASSERT_STRING_EQUAL(reason_name(REASON_NONE), "none");
	CU_ASSERT_STRING_EQUAL(reason_name(REASON_SYN_MP_CAPABLE), "syn_mp_capable");
	CU_ASSERT_STRING_EQUAL(reason_sentence(REASON_PLAIN_NOT_TCP), "Not TCP: let go.");
}

static void test_no_reason(void)
{
	CU_ASSERT_STRING_EQUAL(reason_name(REASON_COUNT), "?");
	CU_ASSERT_STRING_EQUAL(reason_sentence(REASON_COUNT), "?");
	CU_ASSERT_STRING_EQUAL(reason_name((enum reason)255), "?");
	CU_ASSERT_STRING_EQUAL(reason_name((enum reason) - 1), "?");
	CU_ASSERT_STRING_EQUAL(reason_sentence((enum reason) - 1), "?");
}

static const struct unit_test tests[] = {
	{"names", test_names},
	{"sentences", test_sentences},
	{"literal", test_literal},
	{"no reason", test_no_reason},
};

UNIT_MAIN("base/reason", tests)
