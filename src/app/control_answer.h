/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_answer.h - inside the control socket: what an answer is made from, and the two forms it
 * is made in, text (control_text.c) and JSON (json.c). Each function writes one item into `buf`
 * and returns its length; an item always fits into CONTROL_ITEM_MAX bytes.
 */
#ifndef MPGATE_APP_CONTROL_ANSWER_H
#define MPGATE_APP_CONTROL_ANSWER_H

#include "app/control.h"
#include "app/host.h"

#define CONTROL_ITEM_MAX 16384

/* What the answers are made from: all of it only looked at. */
struct control_view {
	const struct engine *engine;
	const struct config *cfg;
	const struct host *host; /* may be null */
	const struct control_extra *extra;
	unsigned n_extra;
	uint64_t now_us;
};

struct control_counter {
	const char *name, *sentence;
	uint64_t count;
};

/* The i-th counter: the engine's reasons first, then the daemon's own; false behind the last. */
bool control_counter(const struct control_view *v, unsigned i, struct control_counter *c);

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" of both ends, sender first: "A > B". */
#define CONTROL_TUPLE_BYTES 120
void control_tuple(char text[CONTROL_TUPLE_BYTES], const struct flow_tuple *t);
void control_address(char *text, unsigned bytes, uint8_t family, const struct ip_addr *a);

/* One item each. JSON objects stand without the comma between them. */
unsigned control_text_connection(const struct control_view *v, const struct engine_conn_info *info,
				 char *buf, unsigned room);
unsigned control_text_path(const struct control_view *v, unsigned path, char *buf, unsigned room);
unsigned control_text_counter(const struct control_counter *c, char *buf, unsigned room);

unsigned json_connection(const struct control_view *v, const struct engine_conn_info *info,
			 char *buf, unsigned room);
unsigned json_path(const struct control_view *v, unsigned path, char *buf, unsigned room);
unsigned json_counter(const struct control_counter *c, char *buf, unsigned room);

/* The whole of it, in the Prometheus text format, phase by phase; 0 behind the last phase. */
unsigned metrics_phase(const struct control_view *v, unsigned phase, char *buf, unsigned room);

#endif
