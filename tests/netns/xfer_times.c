/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfer_times.c - when data came, of all connections of a run together: the longer gaps between two
 * arrivals, the bytes of each twentieth of a second, and how long each connection lasted.
 */
#include <stdio.h>
#include <stdlib.h>

#include "xfer.h"

#define BIN_US 50000
#define BINS_MAX 2400
#define CONNS_MAX 8192
#define GAP_US 20000 /* shorter ones are no news */
#define GAPS_MAX 64

static struct {
	uint64_t start_us, us;
} gap[GAPS_MAX];
static unsigned n_gaps;
static uint64_t first_us, last_us;
static uint32_t bin[BINS_MAX], conn_us[CONNS_MAX];
static unsigned n_conns;

void times_received(unsigned n_bytes)
{
	uint64_t now_us = xfer_now_us();

	if (!first_us)
		first_us = last_us = now_us;
	if (now_us - last_us > GAP_US && n_gaps < GAPS_MAX) {
		gap[n_gaps].start_us = last_us;
		gap[n_gaps++].us = now_us - last_us;
	}
	last_us = now_us;
	if ((now_us - first_us) / BIN_US < BINS_MAX)
		bin[(now_us - first_us) / BIN_US] += n_bytes;
}

void times_connection(uint64_t us)
{
	if (n_conns < CONNS_MAX)
		conn_us[n_conns++] = us;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Times are of CLOCK_MONOTONIC, the same for all namespaces. */
void times_print(void)
{
	unsigned n = (last_us - first_us) / BIN_US + 1, i;

	qsort(conn_us, n_conns, sizeof(*conn_us), compare);
	if (n_conns)
		printf(", \"connection_p50_us\": %u, \"connection_p90_us\": %u",
		       conn_us[n_conns / 2], conn_us[n_conns * 9ull / 10]);
	printf(", \"first_at\": %.6f, \"gaps\": [", first_us / 1e6);
	for (i = 0; i < n_gaps; i++)
		printf("%s[%.6f, %.6f]", i ? ", " : "", gap[i].start_us / 1e6, gap[i].us / 1e6);
	printf("], \"bin_seconds\": %.3f, \"bins\": [", BIN_US / 1e6);
	for (i = 0; first_us && i < n && i < BINS_MAX; i++)
		printf("%s%u", i ? "," : "", bin[i]);
	printf("]");
}
