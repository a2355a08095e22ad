// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_faults.c - see sim_faults.h.
 */
#include "sim_faults.h"

void faults_make(struct scenario *sc)
{
	(void)sc;
}

uint64_t faults_limit_us(const struct scenario *sc, uint64_t clean_us, uint64_t bytes)
{
	(void)sc;
	return clean_us + bytes;
}

void faults_print(const struct scenario *sc)
{
	(void)sc;
}
