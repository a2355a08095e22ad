/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_ports.c - the kernel's list of reserved ports, read and written.
 */
#include "app/ports.h"
#include "unit.h"

static bool reserved[PORTS_ALL];

static void test_round(void)
{
	static const struct {
		const char *in, *out;
		unsigned n;
	} rows[] = {
		{"\n", "\n", 0},
		{"", "\n", 0},
		{"61000-65000\n", "61000-65000\n", 4001},
		{"1,5-7,65535\n", "1,5-7,65535\n", 5},
		{"5,6,7,9", "5-7,9\n", 4},
		{"0\n", "0\n", 1},
	};
	char text[256];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned n = 0;

		CHECK_ROW(i, ports_parse(rows[i].in, reserved));
		for (unsigned k = 0; k < PORTS_ALL; k++)
			n += reserved[k];
		CHECK_ROW(i, n == rows[i].n);
		CHECK_ROW(i, ports_text(reserved, text, sizeof(text)) == strlen(rows[i].out));
		CHECK_ROW(i, strcmp(text, rows[i].out) == 0);
	}
}

static void test_bad(void)
{
	static const char *const rows[] = {"x", "5-", "7-5", "1;2", "65536", "1-70000", "-3"};
	char text[8];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_ROW(i, !ports_parse(rows[i], reserved));
	CU_ASSERT_TRUE(ports_parse("10000-20000,30000", reserved));
	CU_ASSERT_EQUAL(ports_text(reserved, text, sizeof(text)), 0);
}

static const struct unit_test tests[] = {
	{"there and back", test_round},
	{"what is no such list", test_bad},
};

UNIT_MAIN("ports", tests)
