/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_app.h - the application at either end: writes its stream, reads the other's, closes.
 */
#ifndef MPGATE_SIM_APP_H
#define MPGATE_SIM_APP_H

#include "sim.h"

struct app {
	struct sim *w;
	const struct app_script *script;
	uint64_t other_total;        /* bytes that the other end will send */
	uint64_t send_key, read_key; /* of the streams */
	uint64_t written, received, read;
	bool open, closed, eof, abort, stalled;
	uint64_t write_at_us, read_at_us, done_at_us;
};

void app_init(struct app *a, struct sim *w, const struct app_script *script,
	      const struct app_script *other, uint64_t send_key, uint64_t read_key);
void app_open(struct app *a); /* the connection stands */

/* In-order bytes of the other's stream. Compares them. */
void app_receive(struct app *a, const uint8_t *data, uint32_t n, const char *who);
void app_eof(struct app *a, const char *who);

uint32_t app_space(const struct app *a); /* of the receive buffer */
uint64_t app_next_us(const struct app *a);
void app_run(struct app *a);

/* All sent and all received, the end of it too (acknowledged is TCP's affair). */
bool app_complete(const struct app *a);

#endif
