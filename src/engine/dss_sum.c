/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dss_sum.c - see dss_sum.h.
 */
#include "engine/dss_sum.h"

#include "base/csum.h"

uint64_t dss_sum_header(uint64_t dsn, uint32_t ssn, uint16_t len)
{
	uint8_t pseudo[16] = {0};

	for (int i = 0; i < 8; i++)
		pseudo[i] = (uint8_t)(dsn >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		pseudo[8 + i] = (uint8_t)(ssn >> (24 - 8 * i));
	pseudo[12] = (uint8_t)(len >> 8);
	pseudo[13] = (uint8_t)len;
	return csum_add(0, pseudo, sizeof(pseudo));
}

uint64_t dss_sum_bytes(uint32_t at, const uint8_t *data, uint32_t bytes)
{
	uint16_t part = csum_fold(csum_add(0, data, bytes));

	return at & 1 ? (uint16_t)(part << 8 | part >> 8) : part;
}
