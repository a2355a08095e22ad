/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics.c - counters and gauges in the Prometheus text format, each family in a phase of its
 * own. Names are stable once released.
 */
#include <stdarg.h>
#include <stdio.h>

#include "app/control_answer.h"

struct text {
	char *buf;
	unsigned n, room;
};

/* Appends a line; one that does not fit is left out whole. */
static void line(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->n, t->room - t->n, fmt, ap);
	va_end(ap);
	if (n > 0 && (unsigned)n < t->room - t->n)
		t->n += (unsigned)n;
}

/* Reasons and the daemon's own counters are one family each, told apart by a label. */
static void counters(const struct control_view *v, struct text *t, bool own)
{
	struct control_counter c;

	if (own && !v->n_extra)
		return;
	line(t, "# HELP mpgate_%s_total %s\n# TYPE mpgate_%s_total counter\n",
	     own ? "daemon" : "packets",
	     own ? "What the daemon counts, by name; mpgate show counters has a sentence for each."
		 : "Packets and connection events by reason; mpgate show counters has a sentence "
		   "for each.",
	     own ? "daemon" : "packets");
	for (unsigned i = own ? REASON_COUNT : 0; control_counter(v, i, &c); i++) {
		if (!own && i == REASON_COUNT)
			break;
		line(t, "mpgate_%s_total{%s=\"%s\"} %llu\n", own ? "daemon" : "packets",
		     own ? "name" : "reason", c.name, (unsigned long long)c.count);
	}
}

static void connections(const struct control_view *v, struct text *t)
{
	line(t,
	     "# HELP mpgate_connections Connections in use.\n"
	     "# TYPE mpgate_connections gauge\n"
	     "mpgate_connections %u\n"
	     "# HELP mpgate_connections_max Connections that there is room for.\n"
	     "# TYPE mpgate_connections_max gauge\n"
	     "mpgate_connections_max %u\n",
	     engine_connections(v->engine), v->cfg->max_connections);
}

static void pools(const struct control_view *v, struct text *t)
{
	struct engine_pool_info info;

	line(t, "# HELP mpgate_records Records in use, by kind: all memory of connections.\n"
		"# TYPE mpgate_records gauge\n");
	for (unsigned i = 0; engine_pool_info(v->engine, i, &info); i++)
		line(t, "mpgate_records{kind=\"%s\"} %u\n", info.name, info.used);
	line(t, "# HELP mpgate_records_max Records that there is room for.\n"
		"# TYPE mpgate_records_max gauge\n");
	for (unsigned i = 0; engine_pool_info(v->engine, i, &info); i++)
		line(t, "mpgate_records_max{kind=\"%s\"} %u\n", info.name, info.max);
}

struct path_family {
	const char *name, *help, *type;
	size_t offset;
	unsigned bytes;
};

#define MEMBER(m) offsetof(struct engine_path_info, m), sizeof(((struct engine_path_info *)0)->m)

static const struct path_family path_families[] = {
	{"usable", "Whether the path can carry packets.", "gauge", MEMBER(usable)},
	{"subflows", "Subflows on the path.", "gauge", MEMBER(subflows)},
	{"to_net_bytes_total", "Bytes of payload sent on the path.", "counter",
	 MEMBER(to_net_bytes)},
	{"from_net_bytes_total", "Bytes of payload received on the path.", "counter",
	 MEMBER(from_net_bytes)},
	{"to_net_packets_total", "Packets sent on the path.", "counter", MEMBER(to_net_pkts)},
	{"from_net_packets_total", "Packets received on the path.", "counter",
	 MEMBER(from_net_pkts)},
};

static uint64_t member(const struct engine_path_info *info, const struct path_family *f)
{
	const char *at = (const char *)info + f->offset;
	uint64_t wide;
	uint32_t narrow;

	if (f->bytes == sizeof(bool))
		return *(const bool *)at;
	if (f->bytes == sizeof(narrow)) {
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

static void paths(const struct control_view *v, struct text *t, const struct path_family *f)
{
	struct engine_path_info info;

	line(t, "# HELP mpgate_path_%s %s\n# TYPE mpgate_path_%s %s\n", f->name, f->help, f->name,
	     f->type);
	for (unsigned i = 0; i < v->cfg->n_paths; i++) {
		engine_path_info(v->engine, i, &info);
		line(t, "mpgate_path_%s{path=\"%s\"} %llu\n", f->name, v->cfg->path[i].name,
		     (unsigned long long)member(&info, f));
	}
}

unsigned metrics_phase(const struct control_view *v, unsigned phase, char *buf, unsigned room)
{
	struct text t = {.buf = buf, .room = room};
	unsigned n_families = sizeof(path_families) / sizeof(path_families[0]);

	if (phase == 0) {
		connections(v, &t);
		pools(v, &t);
	} else if (phase <= n_families) {
		paths(v, &t, &path_families[phase - 1]);
	} else if (phase == n_families + 1) {
		counters(v, &t, false);
	} else if (phase == n_families + 2) {
		counters(v, &t, true);
	}
	return t.n;
}

/* A name, its label and a number of 20 digits need less than this; so the family always fits. */
_Static_assert(REASON_COUNT * 80 + 256 < CONTROL_ITEM_MAX, "the reasons fit into one item");
