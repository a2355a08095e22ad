/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recgate.c - a gate that records: the daemon as it is, with the engine's calls watched and the
 * random source replaced at link time (--wrap; see CMakeLists.txt). Nothing of this is in the
 * product: there, getrandom() is the only source there is.
 *
 * What the engine is shown is written to DIR/guest.pcap and DIR/PATH.pcap, what it puts out to
 * DIR/live/. The engine lives by a clock that begins at 1 s with the first packet, never stands
 * still between two packets, and keeps deadlines when they are due, as replay does it: then
 * `mpgate replay` with the same seed must put out the same bytes as the live run did.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "app/daemon.h"
#include "app/replay.h"
#include "config.h"
#include "io/loop.h"
#include "io/pcap.h"

#define FIRST_US 1000000
#define ERR_BYTES 512
#define SEED_BYTES sizeof(((struct engine_cfg *)0)->seed)

struct recorder {
	struct config cfg;
	const char *dir;
	uint64_t random_state;
	uint64_t zero_us; /* of the monotonic clock where the engine's is 0; 0: no packet yet */
	uint64_t now_us;  /* the engine's */
	struct engine_pkt asked;
	struct pcap_writer *seen[1 + ENGINE_PATHS_MAX]; /* the guests', then each path's */
	struct pcap_writer *live[1 + ENGINE_PATHS_MAX];
};

static struct recorder recorder;

struct engine_result __real_engine_packet(struct engine *e, const struct engine_pkt *pkt,
					  struct engine_tick *tick, struct engine_outs *outs);
struct engine_result __wrap_engine_packet(struct engine *e, const struct engine_pkt *pkt,
					  struct engine_tick *tick, struct engine_outs *outs);
struct engine_result __real_engine_translation(struct engine *e, conn_ref conn,
					       const struct flow_tuple *net,
					       struct engine_tick *tick, struct engine_outs *outs);
struct engine_result __wrap_engine_translation(struct engine *e, conn_ref conn,
					       const struct flow_tuple *net,
					       struct engine_tick *tick, struct engine_outs *outs);
uint64_t __real_engine_deadline_us(const struct engine *e);
uint64_t __wrap_engine_deadline_us(const struct engine *e);
void __real_engine_timeout(struct engine *e, struct engine_tick *tick, struct engine_outs *outs);
void __wrap_engine_timeout(struct engine *e, struct engine_tick *tick, struct engine_outs *outs);
bool __real_engine_conn_info(const struct engine *e, conn_ref conn, uint64_t now_us,
			     struct engine_conn_info *info);
bool __wrap_engine_conn_info(const struct engine *e, conn_ref conn, uint64_t now_us,
			     struct engine_conn_info *info);
ssize_t __wrap_getrandom(void *to, size_t bytes, unsigned flags);

/* ---- the random source: splitmix64, in the order in which replay takes its numbers ---- */

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

ssize_t __wrap_getrandom(void *to, size_t bytes, unsigned flags)
{
	size_t n = bytes / sizeof(uint64_t);
	char *at = to;

	(void)flags;
	/* The seed of the hash tables is read forwards, the daemon's pool from its end. */
	for (size_t i = 0; i < n; i++) {
		size_t k = bytes == SEED_BYTES ? i : n - 1 - i;
		uint64_t word = splitmix64(&recorder.random_state);

		memcpy(at + k * sizeof(word), &word, sizeof(word));
	}
	return (ssize_t)(n * sizeof(uint64_t));
}

/* ---- captures ---- */

static void fail(const char *why)
{
	fprintf(stderr, "recgate: %s\n", why);
	exit(1);
}

static void open_writers(struct pcap_writer **to, const char *sub)
{
	char file[4096], err[ERR_BYTES];

	for (unsigned i = 0; i <= recorder.cfg.n_paths; i++) {
		snprintf(file, sizeof(file), "%s/%s%s.pcap", recorder.dir, sub,
			 i ? recorder.cfg.path[i - 1].name : "guest");
		to[i] = pcap_writer_open(file, err, sizeof(err));
		if (!to[i])
			fail(err);
	}
}

static void close_writers(struct pcap_writer **to)
{
	char err[ERR_BYTES];

	for (unsigned i = 0; i <= recorder.cfg.n_paths; i++)
		if (pcap_writer_close(to[i], err, sizeof(err)) < 0)
			fail(err);
}

/* Where a packet to `side` is written; null: it goes by no path that we know. */
static struct pcap_writer *writer(struct pcap_writer **of, enum engine_side side, unsigned path)
{
	if (side == ENGINE_GUEST)
		return of[0];
	return path < recorder.cfg.n_paths ? of[1 + path] : NULL;
}

static void add(struct pcap_writer *w, const uint8_t *data, uint32_t len_bytes)
{
	if (w)
		pcap_writer_add(w, recorder.now_us, data, len_bytes);
}

static void on_segment(void *ctx, const uint8_t *data, uint32_t len_bytes)
{
	add(ctx, data, len_bytes);
}

static void add_outs(const struct engine_outs *outs, unsigned from)
{
	for (unsigned i = from; i < outs->n_pkt; i++) {
		const struct engine_out *out = &outs->pkt[i];

		replay_segment(out, on_segment,
			       writer(recorder.live, (enum engine_side)out->side, out->index));
	}
}

/* The packet itself, or what replaces it, on its way to the other side. */
static void add_result(const struct engine_pkt *in, const struct engine_result *r)
{
	static uint8_t copy[ENGINE_HEADER_MAX + 65536];
	enum engine_side to = in->from == ENGINE_GUEST ? ENGINE_NET : ENGINE_GUEST;
	struct pcap_writer *w = writer(recorder.live, to, in->path);
	struct replay_packet p;

	if (r->verdict == ENGINE_REPLACE)
		add(w, r->replacement, r->replacement_bytes);
	if (r->verdict != ENGINE_ACCEPT || in->len_bytes > sizeof(copy))
		return;
	memcpy(copy, in->data, in->len_bytes);
	replay_packet_read(&p, copy, in->len_bytes);
	if (p.partial)
		replay_checksum(copy, in->len_bytes, p.ip_bytes);
	add(w, copy, in->len_bytes);
}

/* ---- the engine's calls ---- */

static void add_seen(const struct engine_pkt *pkt)
{
	add(writer(recorder.seen, (enum engine_side)pkt->from, pkt->path), pkt->data,
	    pkt->len_bytes);
}

/* What is due up to `until_us`, each at its own time, as replay keeps deadlines. */
static void keep_deadlines(struct engine *e, struct engine_tick *tick, struct engine_outs *outs,
			   uint64_t until_us)
{
	uint64_t at_us;

	while ((at_us = __real_engine_deadline_us(e)) <= until_us) {
		unsigned from = outs->n_pkt;

		if (at_us > recorder.now_us)
			recorder.now_us = at_us;
		tick->now_us = recorder.now_us;
		__real_engine_timeout(e, tick, outs);
		add_outs(outs, from);
		if (outs->n_pkt + ENGINE_SUBFLOWS_MAX > outs->cap_pkt)
			return;
	}
}

/*
 * A SYN from the net that may be an MP_JOIN meets the engine twice: before it is routed, and, where
 * the engine let it go, in place. It is one packet of the capture, as it was met last, and of one
 * moment.
 */
enum visit { ONLY, FIRST, SECOND };

static enum visit visit_of(const struct engine_pkt *pkt)
{
	struct replay_packet p;

	replay_packet_read(&p, pkt->data, pkt->len_bytes);
	if (pkt->from != ENGINE_NET || !p.tcp || !p.mptcp || (p.flags & 0x17) != 0x02)
		return ONLY;
	return pkt->hook == ENGINE_STEAL ? FIRST : SECOND;
}

struct engine_result __wrap_engine_packet(struct engine *e, const struct engine_pkt *pkt,
					  struct engine_tick *tick, struct engine_outs *outs)
{
	enum visit visit = visit_of(pkt);
	struct engine_result r;
	unsigned from;
	uint64_t at_us;

	if (visit == SECOND) {
		tick->now_us = recorder.now_us;
		from = outs->n_pkt;
		add_seen(pkt);
		r = __real_engine_packet(e, pkt, tick, outs);
		recorder.asked = *pkt;
		add_result(pkt, &r);
		add_outs(outs, from);
		return r;
	}
	if (recorder.zero_us == 0)
		recorder.zero_us = tick->now_us - FIRST_US;
	at_us = tick->now_us - recorder.zero_us;
	if (at_us <= recorder.now_us)
		at_us = recorder.now_us + 1;
	keep_deadlines(e, tick, outs, at_us);
	if (at_us > recorder.now_us)
		recorder.now_us = at_us;
	tick->now_us = recorder.now_us;
	from = outs->n_pkt;
	if (visit == ONLY)
		add_seen(pkt);
	r = __real_engine_packet(e, pkt, tick, outs);
	recorder.asked = *pkt;
	if (visit == FIRST && r.verdict != ENGINE_ACCEPT)
		add_seen(pkt);
	if (visit == ONLY || r.verdict != ENGINE_ACCEPT)
		add_result(pkt, &r);
	add_outs(outs, from);
	return r;
}

struct engine_result __wrap_engine_translation(struct engine *e, conn_ref conn,
					       const struct flow_tuple *net,
					       struct engine_tick *tick, struct engine_outs *outs)
{
	struct engine_result r;

	tick->now_us = recorder.now_us;
	r = __real_engine_translation(e, conn, net, tick, outs);
	add_result(&recorder.asked, &r);
	add_outs(outs, 0);
	return r;
}

uint64_t __wrap_engine_deadline_us(const struct engine *e)
{
	uint64_t at_us = __real_engine_deadline_us(e);

	return at_us == UINT64_MAX ? at_us : at_us + recorder.zero_us;
}

void __wrap_engine_timeout(struct engine *e, struct engine_tick *tick, struct engine_outs *outs)
{
	keep_deadlines(e, tick, outs, tick->now_us - recorder.zero_us);
}

bool __wrap_engine_conn_info(const struct engine *e, conn_ref conn, uint64_t now_us,
			     struct engine_conn_info *info)
{
	return __real_engine_conn_info(e, conn, now_us - recorder.zero_us, info);
}

/* Microseconds to add to the engine's time to get the wall clock's. */
static void write_clock(void)
{
	char file[4096];
	struct timespec wall;
	uint64_t mono_us;
	FILE *f;

	clock_gettime(CLOCK_REALTIME, &wall);
	mono_us = loop_now_us();
	snprintf(file, sizeof(file), "%s/clock", recorder.dir);
	f = fopen(file, "we");
	if (!f)
		fail("cannot write the clock's file");
	fprintf(f, "%llu\n",
		(unsigned long long)wall.tv_sec * 1000000 +
			(unsigned long long)wall.tv_nsec / 1000 - mono_us + recorder.zero_us);
	fclose(f);
}

int main(int argc, char **argv)
{
	char file[4096], err[ERR_BYTES];
	int rc;

	if (argc != 4) {
		fprintf(stderr, "usage: recgate mpgate.conf DIR SEED\n");
		return 2;
	}
	recorder.dir = argv[2];
	recorder.random_state = strtoull(argv[3], NULL, 0);
	if (config_read(&recorder.cfg, argv[1], err, sizeof(err)) < 0)
		fail(err);
	snprintf(file, sizeof(file), "%s/live", recorder.dir);
	mkdir(file, 0777);
	open_writers(recorder.seen, "");
	open_writers(recorder.live, "live/");
	rc = daemon_run(&recorder.cfg, NULL);
	close_writers(recorder.seen);
	close_writers(recorder.live);
	write_clock();
	return rc;
}
