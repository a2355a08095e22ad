// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_main.c - sim: runs seeds, each one twice (I8), and says how to replay what failed.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_soak.h"

#define LONG_ROW 1000 /* seeds: more than that are a soak */
#define AUDIT_EVERY 8
/* Options cost 2 % of the bytes; that may be one more round of slow start. */
#define IDEAL_FACTOR 1.1
#define IDEAL_SLACK_US 20000

static int usage(void)
{
	fprintf(stderr,
		"usage: sim [--seed S] [--seeds N] [--list FILE] [--pcap DIR] [--verbose]\n"
		"  --seed S     one seed, or the first of N\n"
		"  --seeds N    so many (1); from 1000000 on seeds have several subflows, from\n"
		"               3000000 the guests are asked, from 4000000 a gate is at both\n"
		"               ends, from 5000000 there are middleboxes; of those below 1000000\n"
		"               more than half are taken from there\n"
		"  --jobs N     so many processes (1); what ran and failed is told by kind\n"
		"  --minutes M  no longer than that\n"
		"  --list FILE  first the seeds that stand in the file, one per line\n"
		"  --pcap DIR   one capture per link and side\n"
		"  --verbose    every packet and verdict\n"
		"  --ideal      also for the same run without the engine\n");
	return 2;
}

struct options_main {
	const char *pcap, *list;
	bool verbose, show_ideal;
	uint64_t seed, count;
};

/* A run with everything that the seed decides; null when all held, else what did not. */
static const char *run_once(struct sim *w, uint64_t seed, const struct options_main *o,
			    uint8_t garbage, bool ideal)
{
	memset(w, 0, sizeof(*w));
	scenario_make(&w->sc, seed);
	w->garbage = garbage;
	w->ideal = ideal;
	w->audit_every = o->count > LONG_ROW && !o->verbose ? AUDIT_EVERY : 1;
	if (garbage == 0 && (!ideal || o->show_ideal)) {
		w->pcap_dir = o->pcap;
		w->verbose = o->verbose;
		if (o->verbose)
			scenario_print(&w->sc);
	}
	return sim_run(w) ? NULL : w->failure;
}

static const char *compare_with_ideal(const struct sim *w, uint64_t seed,
				      const struct options_main *o)
{
	static char text[600];
	struct sim plain;
	const char *why = run_once(&plain, seed, o, 0, true);
	double is, ought;
	uint64_t rtt;

	if (why) {
		snprintf(text, sizeof(text), "the model itself, without the engine: %s",
			 plain.failure);
		return text;
	}
	is = (double)(w->done_us - w->sc.flow[0].start_us);
	ought = (double)(plain.done_us - w->sc.flow[0].start_us);
	rtt = scenario_rtt_us(&w->sc);
	if (is <= IDEAL_FACTOR * ought + IDEAL_SLACK_US + (double)rtt)
		return NULL;
	snprintf(text, sizeof(text), "performance: done after %.3f s, plain TCP after %.3f s",
		 is / 1e6, ought / 1e6);
	return text;
}

static uint64_t running;

/* A failed assertion of the engine: the seed is what matters. */
static void on_crash(int sig)
{
	printf("seed %" PRIu64 ": crashed, signal %d\n  replay: ./run sim --seed %" PRIu64
	       " --verbose --pcap build/sim-%" PRIu64 "\n",
	       running, sig, running, running);
	fflush(stdout);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* All links together, with handshake, joins and slow start as good as they can be. */
static const char *compare_with_sum(const struct sim *w, const struct options_main *o)
{
	static char text[200];
	uint64_t rtt = scenario_rtt_us(&w->sc);
	double is = (double)(w->done_us - w->sc.flow[0].start_us);
	double ought = (double)multi_ideal_us(&w->sc);

	if (o->verbose)
		fprintf(stderr,
			"# %u paths, ideal %.3f s, took %.3f s, RTT %.3f s: %.2f of the ideal\n",
			w->sc.n_paths, ought / 1e6, is / 1e6, (double)rtt / 1e6, is / ought);
	if (is <= IDEAL_FACTOR * ought)
		return NULL;
	snprintf(text, sizeof(text),
		 "performance: done after %.3f s, the links together need %.3f s (RTT %.3f s)",
		 is / 1e6, ought / 1e6, (double)rtt / 1e6);
	return text;
}

static bool run_seed(uint64_t seed, struct scenario *sc, void *ctx)
{
	static struct sim first, again;
	const struct options_main *o = ctx;
	const char *why;

	running = seed;
	why = run_once(&first, seed, o, 0, false);
	*sc = first.sc;
	if (!why && run_once(&again, seed, o, 0xa5, false))
		why = again.failure;
	if (!why && first.hash != again.hash)
		why = "I8: the same seed gave other packets";
	if (!why && first.sc.measured && first.sc.multi)
		why = compare_with_sum(&first, o);
	else if (!why && first.sc.measured)
		why = compare_with_ideal(&first, seed, o);
	if (o->verbose)
		fprintf(stderr, "# %" PRIu64 " events, hash %016" PRIx64 ", done after %.3f s\n",
			first.events, first.hash, (double)first.done_us / 1e6);
	if (!why)
		return true;
	printf("seed %" PRIu64 ": %s\n  replay: ./run sim --seed %" PRIu64
	       " --verbose --pcap build/sim-%" PRIu64 "\n",
	       seed, why, seed, seed);
	fflush(stdout);
	return false;
}

static bool run_list(const char *file, struct options_main *o, unsigned *n, unsigned *bad)
{
	static struct scenario sc;
	char line[200], *end;
	FILE *f = fopen(file, "r");

	if (!f) {
		fprintf(stderr, "sim: %s: %s\n", file, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), f)) {
		uint64_t seed = strtoull(line, &end, 10);

		if (end == line)
			continue; /* a comment */
		++*n;
		*bad += !run_seed(seed, &sc, o);
	}
	fclose(f);
	return true;
}

/* Of a plain run's seeds half are taken from where there is more to it. */
static uint64_t kind_of(uint64_t i)
{
	static const uint32_t kind[] = {SIM_MULTI_SEEDS,     0, SIM_BOTH_SEEDS, 0,
					SIM_RESPONDER_SEEDS, 0, SIM_BOX_SEEDS,  SIM_HARD_SEEDS};

	return kind[i % 8];
}

static uint64_t seed_of(uint64_t i, void *ctx)
{
	const struct options_main *o = ctx;

	i += o->seed;
	return o->count > 1 && i < SIM_MULTI_SEEDS ? i + kind_of(i) : i;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"seed", required_argument, NULL, 's'},    {"seeds", required_argument, NULL, 'n'},
		{"list", required_argument, NULL, 'l'},    {"jobs", required_argument, NULL, 'j'},
		{"minutes", required_argument, NULL, 'm'}, {"pcap", required_argument, NULL, 'p'},
		{"verbose", no_argument, NULL, 'v'},       {"ideal", no_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
	};
	static struct scenario sc;
	struct options_main o = {.seed = 1, .count = 1};
	struct soak soak = {.seed_of = seed_of, .run_seed = run_seed, .ctx = &o};
	unsigned n = 0, bad = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 's':
			o.seed = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			o.count = strtoull(optarg, NULL, 10);
			break;
		case 'j':
			soak.jobs = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			soak.minutes = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			o.list = optarg;
			break;
		case 'p':
			o.pcap = optarg;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'i':
			o.show_ideal = true;
			break;
		case 'h':
			usage();
			return 0;
		default:
			return usage();
		}
	}
	/* Regions come and go with every run: the pages stay, or the kernel clears them anew. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	if (optind != argc)
		return usage();
	if (o.list && !run_list(o.list, &o, &n, &bad))
		return 2;
	soak.n = o.count;
	if (soak.jobs || soak.minutes) {
		soak.jobs = soak.jobs ? soak.jobs : 1;
		return bad + soak_run(&soak) ? 1 : 0;
	}
	for (uint64_t i = 0; i < o.count; i++, n++)
		bad += !run_seed(seed_of(i, &o), &sc, &o);
	printf("sim: %u seeds, %u failed\n", n, bad);
	return bad ? 1 : 0;
}
