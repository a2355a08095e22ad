/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unit.h - what the unit tests share: checks that name the table row, bytes from hex, a fixed
 * random sequence, and the main function's body.
 */
#ifndef MPGATE_TESTS_UNIT_H
#define MPGATE_TESTS_UNIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <CUnit/Basic.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

/* As CU_ASSERT, but the failure says which row of the table it was. */
#define CHECK_ROW(row, condition) \
	unit_check((condition), (unsigned)(row), #condition, __LINE__, __FILE__)

/* Equal numbers; the failure shows both. */
#define CHECK_EQ(row, got, want) \
	unit_check_eq((uint64_t)(got), (uint64_t)(want), (unsigned)(row), #got, __LINE__, __FILE__)

static inline void unit_check(bool ok, unsigned row, const char *text, int line, const char *file)
{
	char buf[512];

	snprintf(buf, sizeof(buf), "row %u: %s", row, text);
	CU_assertImplementation(ok, (unsigned)line, buf, file, "", CU_FALSE);
}

static inline void unit_check_eq(uint64_t got, uint64_t want, unsigned row, const char *text,
				 int line, const char *file)
{
	char buf[512];

	snprintf(buf, sizeof(buf), "row %u: %s is 0x%llx, not 0x%llx", row, text,
		 (unsigned long long)got, (unsigned long long)want);
	CU_assertImplementation(got == want, (unsigned)line, buf, file, "", CU_FALSE);
}

/* Bytes of `hex` (blanks are skipped) into `out`; their number, or a failed check. */
static inline unsigned unit_hex(uint8_t *out, unsigned cap, const char *hex)
{
	unsigned n = 0, used = 0, v = 0;

	for (; *hex; hex++) {
		const char *digits = "0123456789abcdef", *d;

		if (*hex == ' ')
			continue;
		d = strchr(digits, *hex);
		if (!d || n / 2 >= cap) {
			CU_FAIL("bad hex in a test");
			return 0;
		}
		v = v << 4 | (unsigned)(d - digits);
		if (++n % 2 == 0) {
			out[used++] = (uint8_t)v;
			v = 0;
		}
	}
	CU_ASSERT(n % 2 == 0);
	return used;
}

/* A fixed sequence (splitmix64): the same run every time. */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

static inline int unit_main(const char *suite, const struct unit_test *tests, unsigned n)
{
	CU_pSuite s;
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite(suite, NULL, NULL);
	for (unsigned i = 0; i < n; i++)
		if (!s || !CU_add_test(s, tests[i].name, tests[i].run))
			return 2;
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	/* A suite that ran nothing has proved nothing. */
	failures = CU_get_number_of_failures() + (CU_get_number_of_asserts() == 0);
	CU_cleanup_registry();
	return failures ? 1 : 0;
}

#define UNIT_MAIN(suite, tests)                                                     \
	int main(void)                                                              \
	{                                                                           \
		return unit_main(suite, tests, sizeof(tests) / sizeof((tests)[0])); \
	}

#endif
