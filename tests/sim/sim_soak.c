// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_soak.c - see sim_soak.h. Workers share one page: each takes the next seed that nobody has
 * taken. One that crashes has said which seed it was, and is replaced.
 */
#include "sim_soak.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 256

/* By where the seeds are taken from; the upper halves are harder. */
enum { BANDS = 6, HALVES = 2 };

static const char *const band_name[BANDS] = {
	"one subflow",     "several subflows",    "several, hard",
	"guest is called", "a gate at both ends", "middleboxes, several subflows"};

/* By what goes wrong; a seed may be of several. */
enum fault {
	FAULT_NONE,
	FAULT_LOSS,
	FAULT_BOX,
	FAULT_PATHS,
	FAULT_SCARCE,
	FAULT_ADOPTED,
	FAULT_FORGED,
	FAULT_ABORT,
	FAULT_LWIP,
	FAULTS
};

static const char *const fault_name[FAULTS] = {
	"clean",   "lossy links",     "middleboxes",    "paths go and come", "scarce memory",
	"adopted", "forged segments", "resets by apps", "lwIP as the guest"};

struct account {
	uint64_t ran, failed;
};

/* Shared by all processes. */
struct shared {
	uint64_t next;
	volatile sig_atomic_t stop;
	struct account band[BANDS][HALVES];
	struct account fault[FAULTS];
};

static struct shared *shared;

static void on_stop(int sig)
{
	(void)sig;
	shared->stop = 1;
}

static void add(struct account *a, bool good)
{
	__atomic_fetch_add(&a->ran, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&a->failed, !good, __ATOMIC_RELAXED);
}

static void account(const struct scenario *sc, bool good)
{
	const bool has[FAULTS] = {
		[FAULT_NONE] = sc->clean,
		[FAULT_LOSS] = sc->lossy,
		[FAULT_BOX] = sc->boxes || sc->alters_joined || sc->spoils_joins,
		[FAULT_PATHS] = sc->path_faults,
		[FAULT_SCARCE] = sc->scarce,
		[FAULT_ADOPTED] = sc->control.adopt_us[0] != 0,
		[FAULT_FORGED] = sc->control.forged != 0,
		[FAULT_ABORT] = sc->aborts,
		[FAULT_LWIP] = sc->lwip,
	};
	uint64_t band = sc->seed / SIM_MULTI_SEEDS;
	unsigned half = band && sc->seed % SIM_MULTI_SEEDS >= SIM_HARD_HALF;

	add(&shared->band[band < BANDS ? band : BANDS - 1][half], good);
	for (unsigned i = 0; i < FAULTS; i++)
		if (has[i])
			add(&shared->fault[i], good);
}

/* Static, since a crash leaves it behind. */
static void work(const struct soak *s)
{
	static struct scenario sc;
	uint64_t i;

	while (!shared->stop && (i = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED)) < s->n)
		account(&sc, s->run_seed(s->seed_of(i, s->ctx), &sc, s->ctx));
}

static pid_t worker(const struct soak *s)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	work(s);
	fflush(stdout);
	_exit(0);
}

static uint64_t print(const struct account *a, const char *name, const char *more)
{
	if (a->ran)
		printf("  %-30s%-6s %8" PRIu64 " seeds, %" PRIu64 " failed\n", name, more, a->ran,
		       a->failed);
	return a->failed;
}

static uint64_t report(uint64_t crashed, time_t began)
{
	uint64_t ran = crashed, failed = crashed;

	printf("# by kind\n");
	for (unsigned i = 0; i < BANDS; i++)
		for (unsigned k = 0; k < HALVES; k++) {
			ran += shared->band[i][k].ran;
			failed += print(&shared->band[i][k], band_name[i], k ? "hard" : "");
		}
	printf("# by what goes wrong (a seed may be of several)\n");
	for (unsigned i = 0; i < FAULTS; i++)
		print(&shared->fault[i], fault_name[i], "");
	printf("sim: %" PRIu64 " seeds, %" PRIu64 " failed (%" PRIu64 " crashed), %ld s\n", ran,
	       failed, crashed, (long)(time(NULL) - began));
	return failed;
}

uint64_t soak_run(const struct soak *s)
{
	unsigned jobs = s->jobs < JOBS_MAX ? s->jobs : JOBS_MAX, living = 0;
	uint64_t crashed = 0;
	time_t began = time(NULL);
	int status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED) {
		perror("sim");
		exit(2);
	}
	signal(SIGINT, on_stop);
	signal(SIGTERM, on_stop);
	signal(SIGALRM, on_stop);
	fflush(stdout);
	if (s->minutes)
		alarm((unsigned)s->minutes * 60);
	for (; living < jobs; living++)
		if (worker(s) < 0)
			break;
	while (living > 0) {
		pid_t pid = wait(&status);

		if (pid < 0)
			continue;
		living--;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		crashed++;
		living += !shared->stop && worker(s) > 0;
	}
	return report(crashed, began);
}
