// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_scenario.c - see sim_scenario.h: hosts, connections and clean links; sim_faults.c adds what
 * goes wrong.
 */
#include "sim_scenario.h"

#include <inttypes.h>
#include <stdio.h>

#include "sim.h"
#include "sim_faults.h"

#define KB 1024u
#define MS 1000u
#define MTU 1500u

static uint32_t pick32(struct rng *r, const uint32_t *list, unsigned n)
{
	return list[rng_range(r, 0, n - 1)];
}

#define PICK(r, ...)                               \
	pick32(r, (const uint32_t[]){__VA_ARGS__}, \
	       sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static uint32_t pick_isn(struct rng *r)
{
	return rng_chance(r, 30) ? 0u - (uint32_t)rng_range(r, 1, 200000) : (uint32_t)rng_next(r);
}

static void make_host(struct rng *r, struct tcp_traits *k, uint8_t family)
{
	uint32_t headers = family == FLOW_IPV4 ? 40 : 60;
	uint32_t mtu = rng_chance(r, 85) ? MTU : PICK(r, 1280, 1400, 576, 9000);

	if (family == FLOW_IPV6 && mtu < 1280)
		mtu = 1280;
	*k = (struct tcp_traits){
		.ts = rng_chance(r, 70),
		.sack = rng_chance(r, 75),
		.keep_early = rng_chance(r, 90),
		.nodelay = rng_chance(r, 50),
		.fin_alone = rng_chance(r, 40),
		.clear_sacked_on_rto = rng_chance(r, 50),
		.has_wscale = rng_chance(r, 80),
		.garbage_keepalive = rng_chance(r, 50),
		.third_with_data = rng_chance(r, 15),
		.urgent = rng_chance(r, 8),
		.wscale = (uint8_t)rng_range(r, 0, 10),
		.probe = rng_chance(r, 60) ? PROBE_OLD : PROBE_BYTE,
		.mss_told = (uint16_t)(mtu - headers),
		.mss_max = (uint16_t)(MTU - headers),
		.super_bytes = rng_chance(r, 50)   ? 65000
			       : rng_chance(r, 50) ? 1
						   : 16000,
		.cwnd_segments = PICK(r, 2, 4, 10, 10, 30),
		.delack_us = PICK(r, 0, 10, 40, 40, 200) * MS,
		.isn = pick_isn(r),
		.ts_base = (uint32_t)rng_next(r),
	};
	if (mtu < MTU)
		k->mss_max = k->mss_told;
	if (rng_chance(r, 15))
		k->keepalive_us = rng_range(r, 500, 3000) * MS;
}

static uint64_t pick_size(struct rng *r)
{
	switch (rng_range(r, 0, 7)) {
	case 0:
		return 0;
	case 1:
		return rng_range(r, 1, 100);
	case 2:
	case 3:
		return rng_range(r, 1, 20 * KB);
	case 4:
	case 5:
		return rng_range(r, 1, 200 * KB);
	default:
		return rng_range(r, 1, 600 * KB);
	}
}

static void make_app(struct rng *r, struct app_script *a)
{
	*a = (struct app_script){
		.total_bytes = pick_size(r),
		.write_bytes = 1 << 30,
		.start = rng_chance(r, 70) ? START_NOW : START_AFTER_OTHER,
		.close = rng_chance(r, 60) ? CLOSE_WHEN_SENT : CLOSE_WHEN_BOTH,
		.abort_at_bytes = UINT64_MAX,
		.buffer_bytes = PICK(r, 4, 16, 64, 64, 256, 1024) * KB,
	};
	if (rng_chance(r, 15) && a->total_bytes < 300) {
		a->write_bytes = 1;
		a->write_gap_us = PICK(r, 0, 1, 50) * MS;
	} else if (rng_chance(r, 30)) {
		a->write_bytes = (uint32_t)rng_range(r, 100, 50000);
		a->write_gap_us =
			a->total_bytes < 100 * KB ? PICK(r, 0, 5, 500) * MS : PICK(r, 0, 5) * MS;
	}
	if (rng_chance(r, 15)) {
		a->read_bytes = (uint32_t)rng_range(r, 1000, 30000);
		a->read_gap_us = PICK(r, 1, 10, 100) * MS;
	}
}

/* A reader that stops, long enough for window probes. */
static void make_stall(struct rng *r, struct app_script *a, const struct app_script *other)
{
	if (other->total_bytes < 1000 || !rng_chance(r, 12))
		return;
	a->stall_at_bytes = rng_range(r, 1, other->total_bytes / 2);
	a->stall_us = rng_range(r, 300, 5000) * MS;
	a->buffer_bytes = PICK(r, 4, 16, 64) * KB;
}

static void make_flow(struct scenario *sc, unsigned i)
{
	struct rng r = rng_split(sc->seed, 10 + i);
	struct flow_script *f = &sc->flow[i];

	f->start_us = 1000000 + rng_range(&r, 0, 300) * MS * i;
	f->guest_port = (uint16_t)(40000 + i);
	f->peer_port = (uint16_t)(8000 + i);
	make_host(&r, &f->guest, sc->family);
	make_host(&r, &f->peer, sc->family);
	make_app(&r, &f->guest_app);
	make_app(&r, &f->peer_app);
	make_stall(&r, &f->guest_app, &f->peer_app);
	make_stall(&r, &f->peer_app, &f->guest_app);
	/* Somebody must begin. */
	if (f->guest_app.start == START_AFTER_OTHER && f->peer_app.start == START_AFTER_OTHER)
		f->guest_app.start = START_NOW;
	f->peer.keepalive_us = 0;
	f->peer.urgent = false;
	f->peer_mptcp = rng_chance(&r, 92);
	f->peer_checksum = rng_chance(&r, 20);
	f->peer_ack32 = rng_chance(&r, 15);
	f->peer_fin_rides = rng_chance(&r, 60);
	f->peer_discards = rng_chance(&r, 6);
	f->peer_key = rng_next(&r) | 1;
	if (f->peer.super_bytes < 2000)
		f->peer.super_bytes = 1;
}

static void make_link(struct rng *r, struct link_script *l, bool guests)
{
	*l = (struct link_script){
		.rate_bps = guests ? 10000000000ull : PICK(r, 2, 10, 50, 100, 1000) * 1000000ull,
		.delay_us = guests ? PICK(r, 10, 50, 500) : PICK(r, 1, 10, 30, 100) * MS,
		.super = guests || rng_chance(r, 30),
	};
}

/* Nothing but links, windows and slow start decides how long it takes. */
static void make_measured(struct scenario *sc, struct rng *r)
{
	sc->measured = true;
	/* A mapping with checksum waits until it is whole; acknowledgements grow by a fifth. */
	sc->control.checksum = false;
	for (unsigned i = 0; i < sc->n_paths; i++) {
		sc->link[i][0].super = false;
		if (sc->link[i][0].rate_bps < 10000000)
			sc->link[i][0].rate_bps = 10000000;
		sc->link[i][1] = sc->link[i][0];
	}
	for (unsigned i = 0; i < sc->n_flows; i++) {
		struct flow_script *f = &sc->flow[i];
		struct tcp_traits *k[] = {&f->guest, &f->peer};
		struct app_script *a[] = {&f->guest_app, &f->peer_app};

		f->peer_checksum = f->peer_discards = false;
		for (int n = 0; n < 2; n++) {
			k[n]->nodelay = k[n]->sack = k[n]->keep_early = true;
			k[n]->delack_us = 0;
			a[n]->write_bytes = 1 << 30;
			a[n]->write_gap_us = a[n]->read_bytes = 0;
			a[n]->stall_at_bytes = 0;
			a[n]->buffer_bytes = PICK(r, 64, 256, 1024) * KB;
		}
		if (sc->n_flows == 1 && rng_chance(r, 10))
			a[rng_range(r, 0, 1)]->total_bytes = rng_range(r, 2, 8) << 20;
	}
}

/*
 * What was discarded is mapped again behind all that was sent. Where a loss stands before that,
 * only the guest could fill it, which waits for this very data: without the bytes nobody can help.
 */
static void no_discards(struct scenario *sc)
{
	for (unsigned i = 0; i < sc->n_flows; i++) {
		struct flow_script *f = &sc->flow[i];

		if (sc->boxes || sc->lossy || sc->scarce || sc->control.checksum ||
		    f->peer_checksum)
			f->peer_discards = false;
		sc->slow |= f->peer_discards;
	}
}

/*
 * A guest on lwIP finds no packet size by itself, asks nothing of ICMP, and its window of 64 KB and
 * timers of 500 ms are what decides how long it takes.
 */
static void pick_guest(struct scenario *sc)
{
	struct rng r = rng_split(sc->seed, 9);

	/* There is one such stack: where guests stand at both ends, none is. */
	sc->lwip = rng_chance(&r, 25) && !sc->measured && sc->role != ROLE_BOTH;
	for (unsigned i = 0; i < sc->n_flows; i++)
		sc->lwip &= sc->role == ROLE_INITIATOR || !sc->flow[i].reuses;
	for (unsigned i = 0; i < sc->n_paths; i++)
		for (int k = 0; k < 2; k++)
			sc->lwip &= sc->link[i][k].mtu_bytes == 0;
}

unsigned scenario_uplink(const struct scenario *sc, unsigned i)
{
	if (i < sc->n_paths)
		return i;
	return i < sc->n_paths + sc->n_far_paths ? SIM_PATHS_MAX + i - sc->n_paths
						 : SIM_UPLINKS_MAX;
}

/* Who has a gate, and the uplinks of the second one. */
static void make_role(struct scenario *sc)
{
	struct rng r = rng_split(sc->seed, 11);

	sc->role = sc->seed >= SIM_BOX_SEEDS         ? (uint8_t)(sc->seed % 3)
		   : sc->seed >= SIM_BOTH_SEEDS      ? ROLE_BOTH
		   : sc->seed >= SIM_RESPONDER_SEEDS ? ROLE_RESPONDER
						     : ROLE_INITIATOR;
	if (sc->role == ROLE_INITIATOR)
		return;
	sc->published = rng_chance(&r, 50);
	if (sc->role == ROLE_BOTH)
		sc->n_far_paths = (unsigned)rng_range(&r, 1, 3);
	for (unsigned i = 0; i < sc->n_far_paths; i++) {
		struct link_script *l = sc->link[SIM_PATHS_MAX + i];

		make_link(&r, &l[0], false);
		l[1] = l[0];
		if (rng_chance(&r, 30))
			make_link(&r, &l[1], false);
	}
	for (unsigned i = 0; i < sc->n_flows && sc->role == ROLE_RESPONDER; i++) {
		uint16_t port = sc->flow[i].guest_port;

		sc->flow[i].guest_port = sc->flow[i].peer_port;
		sc->flow[i].peer_port = port;
		sc->flow[i].peer_joins = (uint8_t)rng_range(&r, 0, 5);
	}
}

/* A process waits for the processor; what has arrived meanwhile comes before what is due. */
static void make_late(struct scenario *sc)
{
	struct rng r = rng_split(sc->seed, 12);

	if (sc->seed % SIM_MULTI_SEEDS >= SIM_HARD_HALF && !sc->measured)
		sc->control.late_us = PICK(&r, 0, 300, 1000, 3000);
}

static void make(struct scenario *sc, uint64_t seed)
{
	struct rng r = rng_split(seed, 1);
	uint64_t guest_delay;
	bool reuse = false;

	*sc = (struct scenario){
		.seed = seed, .n_paths = 1, .n_flows = 1, .multi = seed >= SIM_MULTI_SEEDS};
	sc->family = rng_chance(&r, 70) ? FLOW_IPV4 : FLOW_IPV6;
	if (rng_chance(&r, 20))
		sc->n_paths = 2;
	if (sc->multi)
		sc->n_paths = rng_chance(&r, 60) ? 2 : (unsigned)rng_range(&r, 3, SIM_PATHS_MAX);
	if (rng_chance(&r, 20))
		sc->n_flows = (unsigned)rng_range(&r, 2, 4);
	make_link(&r, &sc->guest_link[0], true);
	guest_delay = sc->guest_link[0].delay_us;
	sc->guest_link[1] = sc->guest_link[0];
	sc->guest_link[1].delay_us = guest_delay;
	for (unsigned i = 0; i < sc->n_paths; i++) {
		make_link(&r, &sc->link[i][0], false);
		sc->link[i][1] = sc->link[i][0];
		if (rng_chance(&r, 30))
			make_link(&r, &sc->link[i][1], false);
	}
	sc->control = (struct control_script){.max_connections = 16,
					      .memory_bytes = 1 << 20,
					      .cap_pkt = 256,
					      .mode = ENGINE_SINGLE,
					      .max_subflows = 8,
					      .csum_trusted = rng_chance(&r, 50),
					      .checksum = rng_chance(&r, 15),
					      .masquerade = rng_chance(&r, 50)};
	for (unsigned i = 0; i < sc->n_flows; i++)
		make_flow(sc, i);
	sc->clean = true;
	make_role(sc);
	sc->hard = seed >= SIM_HARD_SEEDS && (!sc->role || seed % SIM_MULTI_SEEDS >= SIM_HARD_HALF);
	if (sc->multi) {
		multi_make(sc);
		make_late(sc);
		return;
	}
	sc->control.policy = rng_chance(&r, 3);
	faults_make(sc);
	no_discards(sc);
	for (unsigned i = 0; i < sc->n_flows; i++)
		reuse |= sc->flow[i].reuses;
	if (sc->clean && !reuse && sc->n_flows == 1 && rng_chance(&r, 60))
		make_measured(sc, &r);
}

void scenario_make(struct scenario *sc, uint64_t seed)
{
	make(sc, seed);
	for (unsigned i = 0; i < SIM_UPLINKS_MAX && seed % 8 == 0; i++)
		sc->box[i].blank_by_eol = sc->box[i].blank;
	pick_guest(sc);
}

/* ---- bounds ---- */

static uint64_t app_us(const struct app_script *a, const struct app_script *other)
{
	uint64_t us = 0;

	us += (a->total_bytes / a->write_bytes + 1) * a->write_gap_us + 3 * a->stall_us;
	if (a->read_bytes)
		us += (other->total_bytes / a->read_bytes + 1) * a->read_gap_us;
	return us;
}

uint64_t scenario_rtt_us(const struct scenario *sc)
{
	uint64_t rtt = 0, far = 0, one;

	for (unsigned i = 0; i < sc->n_paths; i++) {
		one = sc->link[i][0].delay_us + sc->link[i][1].delay_us;
		rtt = one > rtt ? one : rtt;
	}
	for (unsigned i = 0; i < sc->n_far_paths; i++) {
		const struct link_script *l = sc->link[SIM_PATHS_MAX + i];

		far = l[0].delay_us + l[1].delay_us > far ? l[0].delay_us + l[1].delay_us : far;
	}
	return rtt + far + sc->guest_link[0].delay_us + sc->guest_link[1].delay_us;
}

uint64_t scenario_limit_us(const struct scenario *sc)
{
	uint64_t us = 15ull * 1000000, bytes = 0, rtt, slowest = UINT64_MAX;

	for (unsigned i = 0; i < sc->n_flows; i++) {
		const struct flow_script *f = &sc->flow[i];

		bytes += f->guest_app.total_bytes + f->peer_app.total_bytes;
		us += f->start_us + 2 * app_us(&f->guest_app, &f->peer_app) +
		      2 * app_us(&f->peer_app, &f->guest_app);
	}
	for (unsigned i = 0, u; (u = scenario_uplink(sc, i)) < SIM_UPLINKS_MAX; i++)
		for (int k = 0; k < 2; k++)
			if (sc->link[u][k].rate_bps < slowest)
				slowest = sc->link[u][k].rate_bps;
	rtt = scenario_rtt_us(sc) + 200000;
	us += 2 * bytes * 8000000 / slowest;
	us += (bytes / 4000 + 20) * rtt;
	if (sc->slow)
		us += (bytes / 32000 + 4) * 6 * 1000000 + 60 * 1000000ull;
	if (!sc->clean)
		us = faults_limit_us(sc, us, bytes);
	/* A timeout begins at three seconds, in steps of half a one. */
	return sc->lwip ? 3 * us + 120 * 1000000ull : us;
}

/* ---- in words ---- */

static void print_host(const char *who, const struct tcp_traits *k, const struct app_script *a)
{
	fprintf(stderr,
		"# %s: %" PRIu64 " bytes, writes %u every %" PRIu64
		" us, start %u close %u buffer %u "
		"read %u/%" PRIu64 "us stall %" PRIu64 "/%" PRIu64 " abort %" PRId64
		"; %s%s%s%s%swscale %d mss %u super %u "
		"probe %u isn %u delack %" PRIu64 " keepalive %" PRIu64 "\n",
		who, a->total_bytes, a->write_bytes, a->write_gap_us, a->start, a->close,
		a->buffer_bytes, a->read_bytes, a->read_gap_us, a->stall_at_bytes, a->stall_us,
		(int64_t)a->abort_at_bytes, k->ts ? "ts " : "", k->sack ? "sack " : "",
		k->keep_early ? "early " : "", k->nodelay ? "nodelay " : "",
		k->fin_alone ? "fin-alone " : "", k->has_wscale ? k->wscale : -1, k->mss_told,
		k->super_bytes, k->probe, k->isn, k->delack_us, k->keepalive_us);
}

void scenario_print(const struct scenario *sc)
{
	fprintf(stderr,
		"# seed %" PRIu64 ": %s%s%s%s%s%s%s%sIPv%u, %u flows, %u+%u paths, cap %u%s%s\n",
		sc->seed,
		sc->role == ROLE_RESPONDER ? "responder "
		: sc->role == ROLE_BOTH    ? "two gates "
					   : "",
		sc->measured ? "measured "
		: sc->clean  ? "clean "
			     : "",
		sc->lossy ? "lossy " : "", sc->boxes ? "boxes " : "", sc->alters ? "alters " : "",
		sc->scarce ? "scarce " : "", sc->aborts ? "aborts " : "", sc->lwip ? "lwip " : "",
		sc->family, sc->n_flows, sc->n_paths, sc->n_far_paths, sc->control.cap_pkt,
		sc->control.masquerade ? " masquerade" : "", sc->published ? " published" : "");
	for (unsigned i = 0; i < sc->n_flows; i++) {
		const struct flow_script *f = &sc->flow[i];

		fprintf(stderr, "# flow %u:%s%s%s%s%s from %" PRIu64 " us\n", i,
			f->peer_mptcp ? " mptcp" : " plain", f->peer_checksum ? " csum" : "",
			f->peer_ack32 ? " ack32" : "", f->peer_discards ? " discards" : "",
			f->reuses ? " reuses" : "", f->start_us);
		print_host("guest", &f->guest, &f->guest_app);
		print_host("peer", &f->peer, &f->peer_app);
	}
	for (unsigned i = 0, u; (u = scenario_uplink(sc, i)) < SIM_UPLINKS_MAX; i++)
		for (int k = 0; k < 2; k++) {
			const struct link_script *l = &sc->link[u][k];

			fprintf(stderr,
				"# path %u %s: %" PRIu64 " bit/s, %" PRIu64
				" us, queue %u, loss %016" PRIx64 "/%" PRIu64
				", dup %u%% damage %u%% reorder %u%% mtu %u dark %" PRIu64
				"..%" PRIu64 "%s\n",
				u, k ? "from net" : "to net", l->rate_bps, l->delay_us,
				l->queue_bytes, l->loss_mask, l->loss_until, l->duplicate_percent,
				l->corrupt_percent, l->reorder_percent, l->mtu_bytes,
				l->dark_from_us, l->dark_until_us, l->super ? " super" : "");
		}
	faults_print(sc);
	if (sc->multi)
		multi_print(sc);
}
