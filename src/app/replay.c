/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay.c - `mpgate replay`: captures in, captures and a list of events out, byte for byte the
 * same for the same configuration, captures and seed.
 */
#include "app/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "app/cli.h"
#include "app/control_answer.h"
#include "io/pcap.h"

#define SOURCES_MAX (1 + ENGINE_PATHS_MAX)
#define ERR_BYTES 512

struct capture {
	const char *file;
	enum engine_side side;
	unsigned path;
	struct pcap_reader *reader;
	uint64_t n_cut;
	char *err;
};

struct job {
	const char *config, *dir;
	const char *path_arg[ENGINE_PATHS_MAX]; /* NAME=FILE */
	unsigned n_path_args;
	uint64_t seed;
	struct config cfg;
	unsigned n_captures;
	struct capture capture[SOURCES_MAX]; /* the guest's first */
	struct pcap_writer *guest, *path[ENGINE_PATHS_MAX];
	FILE *events;
	uint64_t n_to_guest, n_to_net;
	char err[ERR_BYTES];
};

enum { OPTION_GUEST = 256, OPTION_PATH, OPTION_OUT, OPTION_SEED };

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct job *j = state->input;
	char *end;

	switch (key) {
	case 'c':
		j->config = arg;
		return 0;
	case OPTION_GUEST:
		if (j->capture[0].file)
			argp_error(state, "--guest is given twice");
		j->capture[0].file = arg;
		return 0;
	case OPTION_PATH:
		if (!strchr(arg, '='))
			argp_error(state, "--path %s: write --path NAME=FILE", arg);
		if (j->n_path_args == ENGINE_PATHS_MAX)
			argp_error(state, "more than %d paths", ENGINE_PATHS_MAX);
		j->path_arg[j->n_path_args++] = arg;
		return 0;
	case OPTION_OUT:
		j->dir = arg;
		return 0;
	case OPTION_SEED:
		j->seed = strtoull(arg, &end, 0);
		if (*end || end == arg || *arg == '-')
			argp_error(state, "--seed %s: write a whole number", arg);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many", arg);
		return EINVAL;
	case ARGP_KEY_END:
		if (!j->capture[0].file || !j->dir)
			argp_error(state, "%s is missing", j->dir ? "--guest" : "--out");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"config", 'c', "FILE", 0, "The configuration file (default " CLI_CONFIG ")", 0},
	{"guest", OPTION_GUEST, "IN.pcap", 0, "Capture of the guests' side", 0},
	{"path", OPTION_PATH, "NAME=IN.pcap", 0, "Capture of a path's side; may be repeated", 0},
	{"out", OPTION_OUT, "DIR", 0, "Where guest.pcap, NAME.pcap and events.txt are written", 0},
	{"seed", OPTION_SEED, "N", 0, "Seed of the random numbers (default 1)", 0},
	{0}};

static const struct argp argp = {
	.options = options,
	.parser = on_option,
	.doc = "Runs the engine over captures, by their clock, and writes what it sends to each "
	       "side. Captures may hold both directions. The output depends on the "
	       "configuration, the captures and the seed alone."};

/* ---- what comes out ---- */

static const char *side_name(const struct job *j, enum engine_side side, unsigned path)
{
	return side == ENGINE_GUEST    ? "guest"
	       : path < j->cfg.n_paths ? j->cfg.path[path].name
				       : "-";
}

static void stamp(const struct job *j, uint64_t now_us)
{
	fprintf(j->events, "%llu.%06llu ", (unsigned long long)(now_us / 1000000),
		(unsigned long long)(now_us % 1000000));
}

static void on_packet(void *ctx, uint64_t now_us, enum engine_side to, unsigned index,
		      const uint8_t *data, uint32_t len_bytes)
{
	struct job *j = ctx;

	if (to == ENGINE_GUEST) {
		j->n_to_guest++;
		pcap_writer_add(j->guest, now_us, data, len_bytes);
	} else if (index < j->cfg.n_paths) {
		j->n_to_net++;
		pcap_writer_add(j->path[index], now_us, data, len_bytes);
	}
}

static void on_verdict(void *ctx, uint64_t now_us, const struct engine_pkt *pkt,
		       const struct engine_result *r)
{
	static const char *const verdicts[] = {
		[ENGINE_ACCEPT] = "accept", [ENGINE_REPLACE] = "replace",
		[ENGINE_STOLEN] = "stolen", [ENGINE_DROP] = "drop",
		[ENGINE_ASK] = "ask",
	};
	const struct job *j = ctx;

	stamp(j, now_us);
	fprintf(j->events, "%s %s %s\n", side_name(j, pkt->from, pkt->path),
		r ? verdicts[r->verdict] : "kernel", r ? reason_name(r->reason) : "-");
}

static void on_event(void *ctx, uint64_t now_us, const struct engine_event *ev)
{
	static const char *const kinds[] = {
		[ENGINE_EVENT_CONVERTED] = "converted", [ENGINE_EVENT_PLAIN] = "plain",
		[ENGINE_EVENT_FALLBACK] = "fallback",   [ENGINE_EVENT_CLOSED] = "closed",
		[ENGINE_EVENT_SUBFLOW] = "subflow",     [ENGINE_EVENT_PROMOTED] = "promoted",
	};
	const struct job *j = ctx;
	char tuple[CONTROL_TUPLE_BYTES] = "-";

	if (ev->guest.family)
		control_tuple(tuple, &ev->guest);
	stamp(j, now_us);
	fprintf(j->events, "event %s %s %s %s\n", kinds[ev->kind], reason_name(ev->reason),
		side_name(j, ENGINE_NET, ev->path), tuple);
}

/* Refuses to write over a capture that is being read. */
static struct pcap_writer *output_open(struct job *j, const char *name)
{
	char file[4096];
	struct stat out, in;

	snprintf(file, sizeof(file), "%s/%s.pcap", j->dir, name);
	for (unsigned i = 0; i < j->n_captures && stat(file, &out) == 0; i++) {
		if (stat(j->capture[i].file, &in) < 0 || in.st_dev != out.st_dev ||
		    in.st_ino != out.st_ino)
			continue;
		snprintf(j->err, sizeof(j->err),
			 "%.400s is a capture to be read; write to another directory with --out",
			 file);
		return NULL;
	}
	return pcap_writer_open(file, j->err, sizeof(j->err));
}

static int outputs_open(struct job *j)
{
	char file[4096];

	if (mkdir(j->dir, 0777) < 0 && errno != EEXIST) {
		snprintf(j->err, sizeof(j->err), "%s: %s", j->dir, strerror(errno));
		return -1;
	}
	j->guest = output_open(j, "guest");
	for (unsigned i = 0; j->guest && i < j->cfg.n_paths; i++) {
		j->path[i] = output_open(j, j->cfg.path[i].name);
		if (!j->path[i])
			return -1;
	}
	if (!j->guest)
		return -1;
	snprintf(file, sizeof(file), "%s/events.txt", j->dir);
	j->events = fopen(file, "we");
	if (!j->events) {
		snprintf(j->err, sizeof(j->err), "%.400s: %s", file, strerror(errno));
		return -1;
	}
	return 0;
}

/* Also after a failure: what is open is closed. */
static int outputs_close(struct job *j)
{
	int rc = pcap_writer_close(j->guest, j->err, sizeof(j->err));

	for (unsigned i = 0; i < j->cfg.n_paths; i++)
		if (pcap_writer_close(j->path[i], j->err, sizeof(j->err)) < 0)
			rc = -1;
	if (j->events && (ferror(j->events) | fclose(j->events)) != 0) {
		snprintf(j->err, sizeof(j->err), "%s/events.txt: cannot write: %s", j->dir,
			 strerror(errno));
		rc = -1;
	}
	return rc;
}

/* ---- what goes in ---- */

static int captures_name(struct job *j)
{
	j->capture[0].side = ENGINE_GUEST;
	j->n_captures = 1;
	for (unsigned i = 0; i < j->cfg.n_paths; i++) {
		if (strcmp(j->cfg.path[i].name, "guest") != 0)
			continue;
		snprintf(j->err, sizeof(j->err),
			 "path \"guest\" and the guests would share guest.pcap; rename the path in "
			 "a copy of %.400s",
			 j->config);
		return -1;
	}
	for (unsigned i = 0; i < j->n_path_args; i++) {
		const char *arg = j->path_arg[i], *file = strchr(arg, '=') + 1;
		struct capture *c = &j->capture[j->n_captures++];

		c->file = file;
		c->side = ENGINE_NET;
		for (c->path = 0; c->path < j->cfg.n_paths; c->path++)
			if (strlen(j->cfg.path[c->path].name) == (size_t)(file - 1 - arg) &&
			    strncmp(j->cfg.path[c->path].name, arg, (size_t)(file - 1 - arg)) == 0)
				break;
		if (c->path == j->cfg.n_paths) {
			snprintf(j->err, sizeof(j->err), "--path %s: %s has no path of that name",
				 arg, j->config);
			return -1;
		}
		for (unsigned k = 1; k + 1 < j->n_captures; k++) {
			if (j->capture[k].path != c->path)
				continue;
			snprintf(j->err, sizeof(j->err), "--path %s: the path is given twice", arg);
			return -1;
		}
	}
	return 0;
}

/* The next whole packet. A packet that the capture cut is left out and counted. */
static int capture_next(void *ctx, uint64_t *time_us, const uint8_t **data, uint32_t *len_bytes)
{
	struct capture *c = ctx;
	struct pcap_packet p;
	int rc;

	while ((rc = pcap_reader_next(c->reader, &p, c->err, ERR_BYTES)) == 1) {
		if (p.cut) {
			c->n_cut++;
			continue;
		}
		*time_us = p.time_us;
		*data = p.data;
		*len_bytes = p.len_bytes;
		return 1;
	}
	return rc;
}

static int captures_open(struct job *j)
{
	for (unsigned i = 0; i < j->n_captures; i++) {
		struct capture *c = &j->capture[i];

		c->err = j->err;
		c->n_cut = 0;
		c->reader = pcap_reader_open(c->file, j->err, sizeof(j->err));
		if (!c->reader)
			return -1;
	}
	return 0;
}

static void captures_close(struct job *j)
{
	for (unsigned i = 0; i < j->n_captures; i++) {
		pcap_reader_close(j->capture[i].reader);
		j->capture[i].reader = NULL;
	}
}

static int captures_learn(struct job *j, struct replay *r)
{
	const uint8_t *data;
	uint64_t time_us;
	uint32_t len_bytes;
	int rc;

	for (unsigned i = 0; i < j->n_captures; i++) {
		struct capture *c = &j->capture[i];

		while ((rc = capture_next(c, &time_us, &data, &len_bytes)) == 1)
			replay_learn(r, time_us, c->side, c->path, data, len_bytes);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- the whole ---- */

static void report(const struct job *j, const uint64_t fates[REPLAY_FATES])
{
	printf("%llu packets through the engine, %llu past it, %llu to the guests, %llu to the "
	       "net; "
	       "left out: %llu of the other direction, %llu of unknown connections\n",
	       (unsigned long long)fates[REPLAY_FED], (unsigned long long)fates[REPLAY_KERNEL],
	       (unsigned long long)j->n_to_guest, (unsigned long long)j->n_to_net,
	       (unsigned long long)fates[REPLAY_OTHER_WAY],
	       (unsigned long long)fates[REPLAY_UNRELATED]);
	for (unsigned i = 0; i < j->n_captures; i++) {
		const struct capture *c = &j->capture[i];

		if (c->n_cut)
			fprintf(stderr,
				"mpgate: %s: %llu packets are cut short and left out; capture "
				"with a larger snapshot length (tcpdump -s 0)\n",
				c->file, (unsigned long long)c->n_cut);
		if (pcap_reader_not_ip(c->reader))
			fprintf(stderr, "mpgate: %s: %llu packets are not IP and left out\n",
				c->file, (unsigned long long)pcap_reader_not_ip(c->reader));
	}
	if (!fates[REPLAY_FED] && !fates[REPLAY_KERNEL])
		fprintf(stderr,
			"mpgate: no packet was used: does %s hold the beginning (SYN) of a "
			"connection?\n",
			j->capture[0].file);
}

static int replay(struct job *j, struct replay *r)
{
	struct replay_source source[SOURCES_MAX];
	uint64_t fates[REPLAY_FATES] = {0};

	if (captures_open(j) < 0 || captures_learn(j, r) < 0)
		return -1;
	captures_close(j);
	if (captures_open(j) < 0 || outputs_open(j) < 0)
		return -1;
	for (unsigned i = 0; i < j->n_captures; i++)
		source[i] = (struct replay_source){.side = j->capture[i].side,
						   .path = j->capture[i].path,
						   .next = capture_next,
						   .ctx = &j->capture[i]};
	snprintf(j->err, sizeof(j->err), "the engine did not come to rest; please report this");
	if (replay_merge(r, source, j->n_captures, fates) < 0)
		return -1;
	report(j, fates);
	return 0;
}

int replay_main(int argc, char **argv)
{
	static struct job j = {.config = CLI_CONFIG, .seed = 1};
	const struct replay_hooks hooks = {
		.ctx = &j, .on_packet = on_packet, .on_verdict = on_verdict, .on_event = on_event};
	struct engine_cfg engine;
	struct replay *r;
	int code, rc;

	if (!cli_parse(&argp, argc, argv, &j, &code))
		return code;
	if (!cli_config(&j.cfg, j.config))
		return CLI_FAILED;
	if (captures_name(&j) < 0)
		return cli_fail("%s", j.err);
	config_engine(&j.cfg, &engine);
	r = replay_new(&engine, j.seed, &hooks);
	if (!r)
		return cli_fail("no memory for %u MB; lower memory_mb", j.cfg.memory_mb);
	rc = replay(&j, r);
	captures_close(&j);
	if (outputs_close(&j) < 0)
		rc = -1;
	replay_del(r);
	return rc == 0 ? CLI_GOOD : cli_fail("%s", j.err);
}
