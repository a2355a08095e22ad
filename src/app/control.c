/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.c - understands the requests on the control socket and makes the answers item by item,
 * so that a list of any length never takes more than one piece of time and memory.
 */
#include "app/control.h"

#include "app/control_answer.h"
#include "io/control.h"

#define SCAN_MAX 1024 /* connection records looked at before the daemon's other work goes on */

enum list { LIST_CONNECTIONS, LIST_PATHS, LIST_COUNTERS, LIST_METRICS, LISTS };

static const char *const list_names[LISTS] = {"connections", "paths", "counters", "metrics"};

_Static_assert(CONTROL_PIECE_MAX >= 2 * CONTROL_ITEM_MAX, "an item fits behind a head");

/* What the phases of a request mean. */
enum phase { PHASE_NEW, PHASE_FIRST_ITEM, PHASE_ITEMS };

int control_open(struct control *c, const char *path, char *err, unsigned err_bytes)
{
	c->server = control_server_open(path, err, err_bytes);
	return c->server ? 0 : -1;
}

int control_fd(const struct control *c)
{
	return control_server_fd(c->server);
}

void control_close(struct control *c)
{
	control_server_close(c->server);
	c->server = NULL;
}

/* Splits the line; false when it is no request. */
static bool request_read(const char *line, enum list *list, bool *json)
{
	size_t n = strcspn(line, " \t\r");
	const char *more = line + n + strspn(line + n, " \t\r");
	size_t more_bytes = strcspn(more, " \t\r");

	for (*list = 0; *list < LISTS; (*list)++)
		if (strlen(list_names[*list]) == n && memcmp(line, list_names[*list], n) == 0)
			break;
	*json = more_bytes == 4 && memcmp(more, "json", 4) == 0;
	if (*list == LISTS || (*json && *list == LIST_METRICS))
		return false;
	more += *json ? more_bytes : 0;
	return more[strspn(more, " \t\r")] == '\0';
}

static unsigned refuse(const char *line, char *buf, unsigned room)
{
	char shown[64];
	unsigned i;

	for (i = 0; i < sizeof(shown) - 1 && line[i]; i++)
		shown[i] = line[i] < ' ' || line[i] > '~' ? '?' : line[i];
	shown[i] = '\0';
	return (unsigned)snprintf(buf, room,
				  "error: \"%s\" is no request; ask for connections, paths or "
				  "counters, with \" json\" behind if wanted, or metrics\n",
				  shown);
}

bool control_counter(const struct control_view *v, unsigned i, struct control_counter *c)
{
	if (i < REASON_COUNT) {
		c->name = reason_name(i);
		c->sentence = reason_sentence(i);
		c->count = engine_counter(v->engine, i);
		return true;
	}
	if (i - REASON_COUNT >= v->n_extra)
		return false;
	c->name = v->extra[i - REASON_COUNT].name;
	c->sentence = v->extra[i - REASON_COUNT].sentence;
	c->count = v->extra[i - REASON_COUNT].value;
	return true;
}

/*
 * Writes the item at the cursor. *bytes is 0 where nothing stands. False behind the last item.
 */
static bool item_write(const struct control_view *v, enum list list, bool json, unsigned cursor,
		       char *buf, unsigned room, unsigned *bytes)
{
	struct engine_conn_info info;
	struct control_counter counter;

	*bytes = 0;
	switch (list) {
	case LIST_CONNECTIONS:
		if (cursor >= v->cfg->max_connections)
			return false;
		if (engine_conn_info(v->engine, cursor, v->now_us, &info))
			*bytes = json ? json_connection(v, &info, buf, room)
				      : control_text_connection(v, &info, buf, room);
		return true;
	case LIST_PATHS:
		if (cursor >= v->cfg->n_paths)
			return false;
		*bytes = json ? json_path(v, cursor, buf, room)
			      : control_text_path(v, cursor, buf, room);
		return true;
	case LIST_COUNTERS:
		if (!control_counter(v, cursor, &counter))
			return false;
		*bytes = json ? json_counter(&counter, buf, room)
			      : control_text_counter(&counter, buf, room);
		return true;
	default:
		*bytes = metrics_phase(v, cursor, buf, room);
		return *bytes > 0;
	}
}

static unsigned head_write(const struct control_view *v, enum list list, bool json, char *buf,
			   unsigned room)
{
	if (json)
		return (unsigned)snprintf(buf, room, "{\"%s\":[\n", list_names[list]);
	if (list == LIST_CONNECTIONS)
		return (unsigned)snprintf(buf, room, "%u of %u connections\n",
					  engine_connections(v->engine), v->cfg->max_connections);
	return 0;
}

/* The io module's callback: fills the room with as many items as fit. */
static unsigned answer(void *ctx, struct control_request *req, char *buf, unsigned room, bool *done)
{
	const struct control_view *v = ctx;
	unsigned n = 0, bytes, scanned = 0;
	enum list list;
	bool json;

	if (!request_read(req->line, &list, &json)) {
		*done = true;
		return refuse(req->line, buf, room);
	}
	if (req->phase == PHASE_NEW) {
		n += head_write(v, list, json, buf, room);
		req->phase = PHASE_FIRST_ITEM;
	}
	while (room - n > CONTROL_ITEM_MAX + 8 && scanned++ < SCAN_MAX) {
		/* The comma is taken back if no item follows. */
		unsigned comma = json && req->phase == PHASE_ITEMS ? 2 : 0;

		memcpy(buf + n, ",\n", comma);
		if (!item_write(v, list, json, req->cursor, buf + n + comma, CONTROL_ITEM_MAX,
				&bytes)) {
			*done = true;
			break;
		}
		req->cursor++;
		if (!bytes)
			continue;
		n += comma + bytes;
		req->phase = PHASE_ITEMS;
	}
	if (*done && json)
		n += (unsigned)snprintf(buf + n, room - n, "\n]}\n");
	return n;
}

void control_dispatch(struct control *c, const struct engine *e, const struct config *cfg,
		      uint64_t now_us)
{
	struct control_view v = {.engine = e,
				 .cfg = cfg,
				 .host = c->host,
				 .extra = c->extra,
				 .n_extra = c->n_extra,
				 .now_us = now_us};

	control_server_dispatch(c->server, answer, &v, now_us);
}
