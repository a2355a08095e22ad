/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.c - the link emulator of the namespace tests, the bench and the demo: joins pairs of
 * interfaces by lines of some rate, delay, queue and loss, for kernels without netem.
 *
 *   link [--control FIFO] [--seed N] NAME:GATE_DEV:NET_DEV ...
 *
 * A command is a line; it is read from the FIFO, which is made if missing, and answered on
 * standard output by "ok", by a line of JSON, or by "error: ..." (so is the start by "ready"):
 *
 *   NAME[.to_net|.to_gate] rate MBIT | delay MS | queue BYTES | loss PERCENT | mtu BYTES
 *   NAME[.to_net|.to_gate] dead | up          silently; what is under way is lost
 *   NAME flap DEAD_MS UP_MS                   until the next "dead" or "up"
 *   counters
 *
 * Several settings may stand in one line: "a rate 100 delay 5 queue 250000 loss 0.1".
 * On SIGTERM the counters are printed once more.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "link.h"
#include "link_port.h"
#include "program.h"

#define LINKS_MAX 8
#define LINE_BYTES 512
#define NAME_BYTES 16
/* Never awake more often: what arrives meanwhile carries the kernel's time stamp. */
#define TICK_NS 100000ull
#define FOREVER_NS UINT64_MAX

enum { TO_NET, TO_GATE };

struct link {
	char name[NAME_BYTES];
	struct port port[2];    /* frames that come in by port[d] go direction d */
	struct link_dir dir[2]; /* TO_NET, TO_GATE */
	uint64_t flap_ns[2];    /* dead so long, up so long; 0: does not flap */
	uint64_t flap_next_ns;
};

static struct link *links[LINKS_MAX];
static unsigned n_links;
static uint64_t late_max_ns;

static void print_counters(void)
{
	static const char *const ways[] = {"to_net", "to_gate"};
	unsigned i, d;

	printf("{\"late_max_us\": %llu", (unsigned long long)late_max_ns / 1000);
	for (i = 0; i < n_links; i++) {
		printf(", \"%s\": {", links[i]->name);
		for (d = 0; d < 2; d++) {
			const struct link_counters *n = &links[i]->dir[d].count;
			struct port *p = &links[i]->port[d];

			port_statistics(p);
			printf("%s\"%s\": {\"frames\": %llu, \"bytes\": %llu, \"lost\": %llu, "
			       "\"queue_full\": %llu, \"too_big\": %llu, \"dead\": %llu, "
			       "\"queue_max_bytes\": %llu, \"overrun\": %llu, "
			       "\"unsegmented\": %llu}",
			       d ? ", " : "", ways[d], (unsigned long long)n->frames,
			       (unsigned long long)n->bytes, (unsigned long long)n->lost,
			       (unsigned long long)n->queue_full, (unsigned long long)n->too_big,
			       (unsigned long long)n->dead, (unsigned long long)n->queue_max_bytes,
			       (unsigned long long)p->overrun, (unsigned long long)p->too_long);
		}
		printf("}");
	}
	printf("}\n");
	fflush(stdout);
}

static void change(struct link_dir *d, const struct link_settings *set, uint64_t now_ns)
{
	const struct link_frame *f;

	link_change(d, set, now_ns);
	while (set->dead && (f = link_first(d))) {
		port_slot_put(f->slot);
		link_drop(d);
	}
}

static void set_dead(struct link *l, bool dead, uint64_t now_ns)
{
	unsigned d;

	for (d = 0; d < 2; d++) {
		struct link_settings set = l->dir[d].set;

		set.dead = dead;
		change(&l->dir[d], &set, now_ns);
	}
}

static bool number(double *to)
{
	const char *text = strtok(NULL, " \t");
	char *end;

	if (!text)
		return false;
	*to = strtod(text, &end);
	return !*end && *to >= 0;
}

static bool set_one(struct link_settings *set, const char *what, double n)
{
	if (strcmp(what, "rate") == 0)
		set->rate_bps = (uint64_t)(n * 1e6);
	else if (strcmp(what, "delay") == 0)
		set->delay_ns = (uint64_t)(n * 1e6);
	else if (strcmp(what, "queue") == 0)
		set->queue_bytes = (uint64_t)n;
	else if (strcmp(what, "loss") == 0)
		set->loss_ppm = (uint32_t)(n * 1e4);
	else if (strcmp(what, "mtu") == 0)
		set->mtu_bytes = (uint32_t)n;
	else
		return false;
	return true;
}

static const char *flap(struct link *l, uint64_t now_ns)
{
	double dead_ms, up_ms;

	if (!number(&dead_ms) || !number(&up_ms) || dead_ms < 1 || up_ms < 1)
		return "flap DEAD_MS UP_MS";
	l->flap_ns[0] = (uint64_t)(dead_ms * 1e6);
	l->flap_ns[1] = (uint64_t)(up_ms * 1e6);
	set_dead(l, true, now_ns);
	l->flap_next_ns = now_ns + l->flap_ns[0];
	return NULL;
}

static const char *command_link(struct link *l, const char *way, uint64_t now_ns)
{
	struct link_settings set[2] = {l->dir[0].set, l->dir[1].set};
	const char *what;
	unsigned d, from = 0, to = 1;

	if (way && strcmp(way, "to_net") == 0)
		to = TO_NET;
	else if (way && strcmp(way, "to_gate") == 0)
		from = TO_GATE;
	else if (way)
		return "no such direction";
	while ((what = strtok(NULL, " \t"))) {
		double n = 0;

		if (strcmp(what, "flap") == 0)
			return flap(l, now_ns);
		if (strcmp(what, "dead") == 0 || strcmp(what, "up") == 0) {
			l->flap_ns[0] = l->flap_ns[1] = 0;
			for (d = from; d <= to; d++)
				set[d].dead = *what == 'd';
			continue;
		}
		if (!number(&n))
			return "a number is missing";
		for (d = from; d <= to; d++) {
			if (!set_one(&set[d], what, n))
				return "no such setting";
		}
	}
	for (d = from; d <= to; d++)
		change(&l->dir[d], &set[d], now_ns);
	return NULL;
}

static void command(char *line)
{
	char *first = strtok(line, " \t"), *way;
	const char *wrong = "no such link";
	unsigned i;

	if (!first)
		return;
	if (strcmp(first, "counters") == 0) {
		print_counters();
		return;
	}
	way = strchr(first, '.');
	if (way)
		*way++ = '\0';
	for (i = 0; i < n_links; i++) {
		if (strcmp(first, links[i]->name) == 0)
			wrong = command_link(links[i], way, port_now_ns());
	}
	printf(wrong ? "error: %s\n" : "ok\n", wrong);
	fflush(stdout);
}

static void read_commands(int fd)
{
	static char buffer[LINE_BYTES];
	static unsigned used;
	ssize_t n = read(fd, buffer + used, sizeof(buffer) - 1 - used);
	char *end;

	if (n <= 0)
		return;
	used += n;
	buffer[used] = '\0';
	while ((end = strchr(buffer, '\n'))) {
		unsigned len = end - buffer + 1;

		*end = '\0';
		command(buffer);
		memmove(buffer, buffer + len, used - len + 1);
		used -= len;
	}
	if (used == sizeof(buffer) - 1)
		used = 0;
}

static void receive_all(struct link *l, unsigned d)
{
	struct port_frame frames[PORT_BATCH];
	unsigned n, i;

	do {
		n = port_receive(&l->port[d], frames);
		for (i = 0; i < n; i++) {
			if (!link_enter(&l->dir[d], frames[i].slot, frames[i].len_bytes,
					frames[i].arrived_ns))
				port_slot_put(frames[i].slot);
		}
	} while (n == PORT_BATCH);
}

/* Returns when the next frame is due. */
static uint64_t deliver_due(struct link *l, unsigned d)
{
	struct port_frame frames[PORT_BATCH];
	struct link_dir *dir = &l->dir[d];
	const struct link_frame *f;
	unsigned n = 0;
	uint64_t now_ns = port_now_ns();

	while ((f = link_first(dir)) && link_due_ns(dir) <= now_ns) {
		if (now_ns - link_due_ns(dir) > late_max_ns)
			late_max_ns = now_ns - link_due_ns(dir);
		frames[n].slot = f->slot;
		frames[n++].len_bytes = f->len_bytes;
		link_deliver(dir);
		if (n == PORT_BATCH) {
			port_send(&l->port[!d], frames, n);
			n = 0;
			now_ns = port_now_ns();
		}
	}
	if (n)
		port_send(&l->port[!d], frames, n);
	return f ? link_due_ns(dir) : FOREVER_NS;
}

static uint64_t serve(struct link *l)
{
	uint64_t wake_ns = FOREVER_NS, due_ns;
	unsigned d;

	if (l->flap_ns[0] && port_now_ns() >= l->flap_next_ns) {
		bool dead = !l->dir[0].set.dead;

		set_dead(l, dead, port_now_ns());
		l->flap_next_ns += l->flap_ns[dead ? 0 : 1];
	}
	if (l->flap_ns[0])
		wake_ns = l->flap_next_ns;
	for (d = 0; d < 2; d++) {
		receive_all(l, d);
		due_ns = deliver_due(l, d);
		if (due_ns < wake_ns)
			wake_ns = due_ns;
	}
	return wake_ns;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000ull),
				 .tv_nsec = (long)(ns % 1000000000ull)};
}

static void run(int epoll, int control)
{
	struct epoll_event events[2 * LINKS_MAX + 1];
	uint64_t wake_ns = FOREVER_NS, awake_ns = 0, now_ns;
	struct timespec t;
	unsigned i;
	int n, k;

	while (!program_stop) {
		now_ns = port_now_ns();
		t = timespec_of(wake_ns > now_ns ? wake_ns - now_ns : 0);
		n = epoll_pwait2(epoll, events, 2 * LINKS_MAX + 1,
				 wake_ns == FOREVER_NS ? NULL : &t, NULL);
		if (port_now_ns() < awake_ns + TICK_NS) {
			t = timespec_of(awake_ns + TICK_NS);
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		}
		awake_ns = port_now_ns();
		for (k = 0; k < n; k++) {
			if (events[k].data.fd == control)
				read_commands(control);
		}
		wake_ns = FOREVER_NS;
		for (i = 0; i < n_links; i++) {
			uint64_t due_ns = serve(links[i]);

			if (due_ns < wake_ns)
				wake_ns = due_ns;
		}
	}
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		program_fail("link: epoll");
}

static void add_link(const char *text, uint64_t seed, int epoll)
{
	char name[NAME_BYTES], one[NAME_BYTES], two[NAME_BYTES];
	struct link *l = calloc(1, sizeof(*l));
	unsigned d;

	if (!l || n_links == LINKS_MAX ||
	    sscanf(text, "%15[^:]:%15[^:]:%15[^:]", name, one, two) != 3) {
		fprintf(stderr, "link: not NAME:GATE_DEV:NET_DEV, or too many: %s\n", text);
		exit(2);
	}
	memcpy(l->name, name, sizeof(name));
	port_open(&l->port[TO_NET], one);
	port_open(&l->port[TO_GATE], two);
	for (d = 0; d < 2; d++) {
		link_init(&l->dir[d], seed * LINKS_MAX * 2 + n_links * 2 + d);
		watch(epoll, l->port[d].fd);
	}
	links[n_links++] = l;
}

static int open_control(const char *path)
{
	int fd;

	if (mkfifo(path, 0600) && errno != EEXIST)
		program_fail(path);
	fd = open(path, O_RDWR | O_NONBLOCK); /* a writer of our own: it never ends */
	if (fd < 0)
		program_fail(path);
	return fd;
}

/* Before all that it stands between, else its lateness would be measured. */
static void hurry(void)
{
	const struct sched_param first = {.sched_priority = 10};

	sched_setscheduler(0, SCHED_FIFO, &first);
	prctl(PR_SET_TIMERSLACK, 1);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"control", 1, 0, 'c'}, {"seed", 1, 0, 's'}, {0, 0, 0, 0}};
	int epoll = epoll_create1(0), control = -1, c;
	uint64_t seed = 1;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			control = open_control(optarg);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	port_pool_init();
	if (control >= 0)
		watch(epoll, control);
	for (; optind < argc; optind++)
		add_link(argv[optind], seed, epoll);
	program_stops_by_signal();
	hurry();
	printf("ready\n");
	fflush(stdout);
	run(epoll, control);
	print_counters();
	return 0;
}
