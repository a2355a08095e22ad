/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_faults.h - the mix of faults that a seed picks.
 */
#ifndef MPGATE_SIM_FAULTS_H
#define MPGATE_SIM_FAULTS_H

#include "sim_rng.h"
#include "sim_scenario.h"

void faults_make(struct scenario *sc);
/* The bound on time, when things go wrong: `clean_us` is what a clean run may take. */
uint64_t faults_limit_us(const struct scenario *sc, uint64_t clean_us, uint64_t bytes);
void faults_print(const struct scenario *sc);

/* One fault of a kind. */
void faults_link(struct scenario *sc, struct rng *r, unsigned path);
void faults_guest_link(struct scenario *sc, struct rng *r);
void faults_box(struct scenario *sc, struct rng *r);
void faults_app(struct scenario *sc, struct rng *r);
void faults_control(struct scenario *sc, struct rng *r);

#endif
