// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_multi.c - scenarios with several subflows: what the operator configured, what the peer
 * allows, and what goes wrong with paths.
 */
#include <inttypes.h>
#include <stdio.h>

#include "sim.h"
#include "sim_faults.h"

#define KB 1024u
#define MS 1000u
#define START_US 1000000u
#define STEP_US 100u

static uint64_t pick_size(struct rng *r)
{
	switch (rng_range(r, 0, 5)) {
	case 0:
		return rng_range(r, 0, 2 * KB);
	case 1:
	case 2:
		return rng_range(r, 1, 200 * KB);
	case 3:
	case 4:
		return rng_range(r, 1, 1000 * KB);
	default:
		return rng_range(r, 1, 4000 * KB);
	}
}

static void make_flow(struct scenario *sc, struct rng *r, struct flow_script *f)
{
	static const uint32_t buffers[] = {16, 64, 256, 1024, 4096};
	struct app_script *a[] = {&f->guest_app, &f->peer_app};

	(void)sc;
	for (int i = 0; i < 2; i++) {
		a[i]->total_bytes = pick_size(r);
		a[i]->buffer_bytes = buffers[rng_range(r, 0, 4)] * KB;
		if (a[i]->total_bytes > 300 && a[i]->write_bytes < 100)
			a[i]->write_bytes = 1 << 30;
	}
	f->peer_mptcp = true;
	f->peer_discards = false;
	f->peer_scheduler = (uint8_t)rng_range(r, 0, 2);
	f->peer_subflows_max = 16;
}

/* Any uplink of either gate. */
static unsigned any_uplink(const struct scenario *sc, struct rng *r)
{
	return scenario_uplink(sc, (unsigned)rng_range(r, 0, sc->n_paths + sc->n_far_paths - 1));
}

/* Uplinks go and come back, or die without a word; one of each gate stays (liveness needs it). */
static void path_faults(struct scenario *sc, struct rng *r)
{
	struct control_script *k = &sc->control;
	uint64_t at_us = START_US + rng_range(r, 0, 1000) * MS;
	unsigned n = (unsigned)rng_range(r, 1, 3),
		 spared = (unsigned)rng_range(r, 0, sc->n_paths - 1), far = SIM_UPLINKS_MAX;

	if (k->n_events)
		return;
	if (sc->n_far_paths)
		far = scenario_uplink(sc,
				      sc->n_paths + (unsigned)rng_range(r, 0, sc->n_far_paths - 1));
	sc->lossy = sc->breaks_subflows = sc->path_faults = true;
	/* A peer that has said its last word need not let anybody join. */
	for (unsigned i = 0; i < sc->n_flows; i++) {
		sc->flow[i].guest_app.close = sc->flow[i].peer_app.close = CLOSE_WHEN_BOTH;
		sc->flow[i].peer_rejoins = true;
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t path = (uint8_t)any_uplink(sc, r);
		bool silent = rng_chance(r, 30), back = rng_chance(r, 70);
		/* Most seeds are as they were. */
		uint8_t dead = sc->seed % 8 == 0   ? PATH_DEAD_TO_NET
			       : sc->seed % 8 == 1 ? PATH_DEAD_FROM_NET
						   : PATH_DEAD;

		if (path == spared || path == far)
			continue;
		if (rng_chance(r, 25)) {
			k->event[k->n_events++] = (struct path_event){
				at_us, rng_range(r, 0, 50) * MS, path, PATH_READDRESSED};
			at_us += rng_range(r, 10, 2000) * MS;
			continue;
		}
		k->event[k->n_events++] = (struct path_event){at_us, rng_range(r, 0, 50) * MS, path,
							      silent ? dead : PATH_DOWN};
		at_us += rng_range(r, 10, 3000) * MS;
		if (back)
			k->event[k->n_events++] =
				(struct path_event){at_us, rng_range(r, 0, 50) * MS, path,
						    silent ? PATH_ALIVE : PATH_UP};
		at_us += rng_range(r, 10, 2000) * MS;
	}
}

/* The peer refuses joins or ends subflows, by RST. */
static void peer_faults(struct scenario *sc, struct rng *r)
{
	sc->breaks_subflows = true;
	sc->refuses = true;
	for (unsigned i = 0; i < sc->n_flows; i++) {
		struct flow_script *f = &sc->flow[i];

		switch (rng_range(r, 0, 3)) {
		case 0:
			f->peer_subflows_max = (uint8_t)rng_range(r, 1, 3);
			break;
		case 1:
			f->peer_refuses_join_percent = (uint8_t)rng_range(r, 20, 100);
			break;
		case 2:
			f->peer_refuses_third_percent = (uint8_t)rng_range(r, 20, 100);
			break;
		default:
			f->peer_resets_percent = (uint8_t)rng_range(r, 20, 100);
			break;
		}
	}
}

static void one_fault(struct scenario *sc, struct rng *r)
{
	switch (rng_range(r, 0, sc->hard ? 9 : 4)) {
	case 0:
	case 1:
	case 2:
		faults_link(sc, r, any_uplink(sc, r));
		break;
	case 3:
		if (sc->role == ROLE_BOTH)
			faults_guest_link(sc, r);
		else
			peer_faults(sc, r);
		break;
	case 4:
		faults_app(sc, r);
		break;
	case 5:
		faults_guest_link(sc, r);
		break;
	case 6:
		faults_control(sc, r);
		break;
	default:
		path_faults(sc, r);
		break;
	}
}

/* Something happens to the uplink at some time. */
static bool goes(const struct scenario *sc, unsigned path)
{
	for (unsigned e = 0; e < sc->control.n_events; e++)
		if (sc->control.event[e].path == path)
			return true;
	return false;
}

/* A box that changes payload on paths that only joined subflows take (RFC 8684 section 3.7). */
static void altering_boxes(struct scenario *sc, struct rng *r)
{
	bool stays = false;

	sc->alters_joined = sc->breaks_subflows = sc->lossy = sc->control.checksum = true;
	sc->clean = false;
	sc->control.mode = ENGINE_FULLMESH;
	sc->n_flows = 1; /* which begins on path 0 */
	for (unsigned i = 1; i < sc->n_paths; i++) {
		struct box_script *b = &sc->box[i];

		if (sc->n_paths > 2 && rng_chance(r, 30))
			continue;
		b->used = true;
		b->alter_nth = rng_range(r, 1, 30);
		b->alter_direction = (uint8_t)rng_range(r, 0, 1);
		b->split_percent = rng_chance(r, 50) ? (uint8_t)rng_range(r, 5, 60) : 0;
	}
	/* Who was refused for a wrong checksum joins no more: some other path must stay. */
	for (unsigned i = 0; i < sc->n_paths; i++)
		stays |= !sc->box[i].used && !goes(sc, i);
	sc->stalls |= !stays;
}

/* On a path that only joined subflows take: the connection begins elsewhere, and goes on there. */
static void strips_joined(struct scenario *sc)
{
	sc->n_flows = 1;
	sc->strips_joined = sc->breaks_subflows = sc->lossy = true;
	sc->stalls |= sc->path_faults;
}

/* Do all uplinks of its gate but that one go at some time? */
static bool others_go(const struct scenario *sc, unsigned path)
{
	unsigned n = sc->n_paths + sc->n_far_paths;

	for (unsigned i = path < sc->n_paths ? 0 : sc->n_paths;
	     i < (path < sc->n_paths ? sc->n_paths : n); i++) {
		unsigned other = scenario_uplink(sc, i);

		if (other != path && !goes(sc, other))
			return false;
	}
	return true;
}

/*
 * Boxes that meddle with one path of several. Those that only cut, join, renumber or hold back must
 * make no difference; the others cost what joins there.
 */
static void joined_boxes(struct scenario *sc, struct rng *r)
{
	unsigned path = (unsigned)rng_range(r, 1, sc->n_paths - 1), any = any_uplink(sc, r);
	struct box_script *b = &sc->box[any];

	sc->clean = false;
	switch (rng_range(r, 0, sc->seed % SIM_MULTI_SEEDS < SIM_HARD_HALF ? 5 : 9)) {
	case 6:
	case 7:
		b = &sc->box[path];
		b->strip = STRIP_LATER;
		b->strip_after = rng_range(r, 3, 200);
		b->blank = rng_chance(r, 40);
		if (rng_chance(r, 40))
			b->strip_one_way[rng_range(r, 0, 1)] = true;
		strips_joined(sc);
		break;
	case 8:
	case 9:
		b = &sc->box[path];
		b->proxy_percent = (uint8_t)rng_range(r, 5, 50);
		strips_joined(sc);
		break;
	case 0:
		b->split_percent = (uint8_t)rng_range(r, 5, 60);
		break;
	case 1:
		b->join_percent = (uint8_t)rng_range(r, 5, 60);
		break;
	case 2:
		b->seq_shift[0] = (uint32_t)rng_next(r);
		b->seq_shift[1] = (uint32_t)rng_next(r);
		break;
	case 3:
		b->no_holes = true;
		break;
	case 4:
		b->strip = STRIP_JOIN;
		b->blank = rng_chance(r, 40);
		sc->spoils_joins = sc->breaks_subflows = true;
		/* Nobody may join where alone there is a way. */
		sc->stalls |= others_go(sc, any);
		break;
	default:
		/* The connection itself begins elsewhere, and its own ports are who asks. */
		if (sc->role == ROLE_RESPONDER)
			break;
		sc->n_flows = 1;
		b = &sc->box[path];
		b->rebind_after = rng_range(r, 5, 500);
		sc->breaks_subflows = sc->lossy = true;
		/*
		 * Who only hears has no way to know; any TCP ends there. Nor has who speaks to a
		 * guest behind a gate, whose host answers to nothing that it does not know.
		 */
		sc->forgets |= others_go(sc, path);
		sc->stalls |= sc->forgets && sc->role == ROLE_BOTH;
		break;
	}
	b->used = true;
}

static void make_faults(struct scenario *sc)
{
	struct rng r = rng_split(sc->seed, 7);

	if (rng_chance(&r, 25))
		return;
	sc->clean = false;
	for (uint64_t n = rng_range(&r, 1, 3); n > 0; n--)
		one_fault(sc, &r);
	/* With no second subflow to be had, or no memory for one, the only path must not go. */
	sc->stalls |= (sc->refuses || sc->control.memory_bytes == 0) && sc->path_faults;
}

/*
 * One long transfer over clean links whose queues never overflow: nothing but rates, delays and
 * slow start decides how long it takes, and all links together must carry it.
 */
static void make_measured(struct scenario *sc, struct rng *r)
{
	static const uint8_t mbits[] = {10, 20, 50, 100};
	struct flow_script *f = &sc->flow[0];
	struct tcp_traits *k[] = {&f->guest, &f->peer};
	struct app_script *a[] = {&f->guest_app, &f->peer_app};
	unsigned sender = (unsigned)rng_range(r, 0, 1);
	uint64_t sum_bps = 0, bytes;

	sc->measured = true;
	sc->n_flows = 1;
	sc->control.checksum = f->peer_checksum = false;
	sc->control.mode = ENGINE_FULLMESH;
	sc->control.max_subflows = 8;
	sc->control.scheduler = (uint8_t)rng_range(r, 0, 1);
	sc->control.after_bytes = 0;
	sc->control.memory_bytes = 64u << 20;
	f->peer_scheduler = PEER_LOWEST_RTT;
	for (unsigned i = 0; i < sc->n_paths; i++) {
		sc->link[i][0] = (struct link_script){
			.rate_bps = mbits[rng_range(r, 0, 3)] * 1000000ull,
			.delay_us = rng_range(r, 1, 30) * MS,
		};
		sc->link[i][1] = sc->link[i][0];
		sum_bps += sc->link[i][0].rate_bps;
	}
	/* Long enough for slow start not to count. */
	bytes = sum_bps / 8000000 * 30 * scenario_rtt_us(sc);
	for (unsigned i = 0; i < 2; i++) {
		k[i]->nodelay = k[i]->sack = k[i]->keep_early = k[i]->has_wscale = true;
		k[i]->ts = true;
		k[i]->wscale = 8;
		k[i]->delack_us = k[i]->keepalive_us = 0;
		k[i]->mss_told = k[i]->mss_max = sc->family == FLOW_IPV4 ? 1460 : 1440;
		k[i]->super_bytes = 65000;
		k[i]->cwnd_segments = 10;
		*a[i] = (struct app_script){.total_bytes = i == sender ? bytes : 0,
					    .write_bytes = 1 << 30,
					    .close = CLOSE_WHEN_BOTH,
					    .abort_at_bytes = UINT64_MAX,
					    .buffer_bytes = 8u << 20};
	}
}

/*
 * Handshake, joins and slow start as good as they can be: the first path's data leaves one round
 * trip after the SYN, that of the others two round trips of their own after the second one of the
 * first (a DATA_ACK confirms the connection; SYN, SYN/ACK, third and fourth ACK, and 10 ms at least
 * before the gate sends on it, see settles() in join.c). Then the window
 * doubles every round trip, from ten segments up to what the link carries. Where ten segments are
 * more than a link holds (RFC 6928 asks for no less), they stand before it as a queue, doubled by
 * when the first round trip tells of it; what was put there last must leave it. So must what the
 * first path takes while another one settles.
 */
uint64_t multi_ideal_us(const struct scenario *sc)
{
	const struct flow_script *f = &sc->flow[0];
	double left = (double)(f->guest_app.total_bytes + f->peer_app.total_bytes);
	double payload = sc->family == FLOW_IPV4 ? 1420 : 1400, guests, first, last = 0;
	double settles = f->guest_app.total_bytes > 0 ? 10 * MS : 0;
	double queue = 0;
	uint64_t us = 0;

	guests = (double)(sc->guest_link[0].delay_us + sc->guest_link[1].delay_us);
	first = (double)(sc->link[0][0].delay_us + sc->link[0][1].delay_us) + guests;
	for (unsigned i = 0; i < sc->n_paths; i++) {
		const struct link_script *l = sc->link[i];
		double rtt = (double)(l[0].delay_us + l[1].delay_us) + guests;
		double drains = 2 * 10 * 1500 * 8e6 / (double)l[0].rate_bps - rtt;

		drains = drains > 0 ? drains : 0;
		drains += settles > rtt ? settles - rtt : 0;
		queue = drains > queue ? drains : queue;
	}
	for (; left > 0; us += STEP_US) {
		for (unsigned i = 0; i < sc->n_paths; i++) {
			const struct link_script *l = sc->link[i];
			double rtt = (double)(l[0].delay_us + l[1].delay_us) + guests;
			double waits = rtt > settles ? 0 : settles - rtt;
			double from = i ? 2 * first + 2 * rtt + waits : first;
			double most = (double)l[0].rate_bps / 8e6 * payload / 1500, now;

			if ((double)us < from)
				continue;
			now = 10 * payload / rtt *
			      (double)(1ull << (unsigned)(((double)us - from) / rtt > 30
								  ? 30
								  : ((double)us - from) / rtt));
			left -= (now < most ? now : most) * STEP_US;
			last = rtt > last ? rtt : last;
		}
	}
	/* The last bytes are on their way, then the end of the data is acknowledged. */
	return us + (uint64_t)(last + queue);
}

void multi_make(struct scenario *sc)
{
	struct rng r = rng_split(sc->seed, 6);
	struct control_script *k = &sc->control;

	k->memory_bytes = 16u << 20;
	k->max_connections = 64;
	k->mode = rng_chance(&r, 85) ? ENGINE_FULLMESH : ENGINE_NDIFFPORTS;
	k->ndiffports = (uint8_t)rng_range(&r, 2, 4);
	k->max_subflows = (uint8_t)(rng_chance(&r, 80) ? 8 : rng_range(&r, 2, 4));
	k->congestion = (uint8_t)rng_range(&r, 0, 4);
	k->scheduler = (uint8_t)rng_range(&r, 0, 3);
	k->after_bytes = rng_chance(&r, 50) ? 0 : rng_range(&r, 1, 300 * KB);
	k->on_congestion = rng_chance(&r, 50);
	k->after_us = rng_chance(&r, 20) ? rng_range(&r, 10, 500) * MS : 0;
	for (unsigned i = 0; i < sc->n_flows; i++)
		make_flow(sc, &r, &sc->flow[i]);
	/* Older seeds are as they were. */
	for (unsigned i = 0; i < sc->n_flows && sc->seed % 4 == 2; i++)
		if (sc->role != ROLE_BOTH)
			sc->flow[i].peer_announces = (uint8_t)rng_range(&r, 0, 6);
	make_faults(sc);
	if (sc->seed >= SIM_BOX_SEEDS)
		joined_boxes(sc, &r);
	if (sc->role == ROLE_INITIATOR && sc->seed < SIM_BOX_SEEDS && sc->seed % 16 == 11)
		altering_boxes(sc, &r);
	if (sc->clean && sc->seed < SIM_BOX_SEEDS && sc->role == ROLE_INITIATOR &&
	    sc->seed % 8 == 0)
		make_measured(sc, &r);
}

void multi_print(const struct scenario *sc)
{
	static const char *const change[] = {
		"down", "up", "readdressed", "dead", "dead to the net", "dead from the net",
		"alive"};
	const struct control_script *k = &sc->control;

	fprintf(stderr,
		"# multi: mode %u/%u, max %u, congestion %u, scheduler %u, after %" PRIu64
		" bytes %" PRIu64 " us\n",
		k->mode, k->ndiffports, k->max_subflows, k->congestion, k->scheduler,
		k->after_bytes, k->after_us);
	for (unsigned i = 0; i < sc->n_flows; i++) {
		const struct flow_script *f = &sc->flow[i];

		fprintf(stderr,
			"# peer of flow %u: scheduler %u, max %u, refuses %u%% %u%%, resets %u%%\n",
			i, f->peer_scheduler, f->peer_subflows_max, f->peer_refuses_join_percent,
			f->peer_refuses_third_percent, f->peer_resets_percent);
	}
	for (unsigned i = 0; i < k->n_events; i++)
		fprintf(stderr, "# %" PRIu64 ": path %u %s, told after %" PRIu64 " us\n",
			k->event[i].at_us, k->event[i].path, change[k->event[i].change],
			k->event[i].lag_us);
}
