/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_soak.h - many seeds on several processors, and the account of them.
 */
#ifndef MPGATE_SIM_SOAK_H
#define MPGATE_SIM_SOAK_H

#include "sim.h"

/*
 * Runs seed_of(0) .. seed_of(n - 1) in `jobs` processes, for so many minutes at most (0: to the
 * end), until SIGINT or SIGTERM; prints how many of which kind ran and failed. run_seed() says on
 * stdout what failed, and fills in the scenario. The number of failures.
 */
struct soak {
	uint64_t (*seed_of)(uint64_t i, void *ctx);
	bool (*run_seed)(uint64_t seed, struct scenario *sc, void *ctx);
	void *ctx;
	uint64_t n, minutes;
	unsigned jobs;
};
uint64_t soak_run(const struct soak *s);

#endif
