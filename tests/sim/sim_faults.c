// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_faults.c - see sim_faults.h. A quarter of all runs is clean; each of the others has one to
 * three kinds of faults, since a run with everything in it shows nothing.
 */
#include "sim_faults.h"

#include <inttypes.h>
#include <stdio.h>

#include "sim_rng.h"

#define MS 1000u
#define SECOND 1000000ull
#define START_US SECOND

/* Readable masks: which of 64 packets, again and again, are lost. */
static uint64_t pick_mask(struct rng *r)
{
	uint64_t mask = 0;

	switch (rng_range(r, 0, 4)) {
	case 0: /* one in 64 */
		return 1ull << rng_range(r, 0, 63);
	case 1: /* a few */
		for (int i = 0; i < 4; i++)
			mask |= 1ull << rng_range(r, 0, 63);
		return mask;
	case 2: /* a burst */
		/* Of two in one expression nobody can say which is drawn first. */
		mask = (1ull << rng_range(r, 2, 12)) - 1;
		return mask << rng_range(r, 0, 50);
	case 3: /* the handshake */
		return rng_range(r, 1, 63);
	default: /* one in eight */
		for (int i = 0; i < 8; i++)
			mask |= 1ull << (8 * i + (int)rng_range(r, 0, 7));
		return mask;
	}
}

static void add_loss(struct rng *r, struct link_script *l)
{
	l->loss_mask = pick_mask(r);
	if (rng_chance(r, 50) || (l->loss_mask & 63))
		l->loss_until = rng_range(r, 1, 400);
}

void faults_link(struct scenario *sc, struct rng *r, unsigned path)
{
	struct link_script *l = &sc->link[path][rng_range(r, 0, 1)];

	sc->lossy = true;
	switch (rng_range(r, 0, 7)) {
	case 0:
	case 1:
		add_loss(r, l);
		break;
	case 2:
		l->reorder_percent = (uint8_t)rng_range(r, 1, 20);
		l->reorder_us = rng_range(r, 1, 30) * MS;
		break;
	case 3:
		l->duplicate_percent = (uint8_t)rng_range(r, 1, 20);
		break;
	case 4:
		l->corrupt_percent = (uint8_t)rng_range(r, 1, 8);
		break;
	case 5:
		l->queue_bytes = (uint32_t)rng_range(r, 10, 60) * 1024;
		break;
	case 6:
		l->dark_from_us = START_US + rng_range(r, 0, 500) * MS;
		l->dark_until_us = l->dark_from_us + rng_range(r, 50, 4000) * MS;
		if (rng_chance(r, 10)) { /* for ever: nothing can end well */
			l->dark_until_us = UINT64_MAX;
			sc->stalls = true;
		}
		break;
	default:
		l->mtu_bytes = (uint32_t)rng_range(r, 1300, 1490);
		l->icmp = rng_chance(r, 50);
		for (unsigned i = 0; i < sc->n_flows; i++)
			sc->flow[i].guest.mtu_probing = sc->flow[i].peer.mtu_probing = true;
		break;
	}
}

/* Between guest and gate: the gate never sees what is lost there. */
void faults_guest_link(struct scenario *sc, struct rng *r)
{
	struct link_script *l = &sc->guest_link[rng_range(r, 0, 1)];

	sc->lossy = true;
	if (rng_chance(r, 60)) {
		add_loss(r, l);
	} else if (rng_chance(r, 50)) {
		l->reorder_percent = (uint8_t)rng_range(r, 1, 10);
		l->reorder_us = rng_range(r, 1, 5) * MS;
	} else {
		l->duplicate_percent = (uint8_t)rng_range(r, 1, 10);
	}
}

void faults_box(struct scenario *sc, struct rng *r)
{
	struct box_script *b = &sc->box[rng_range(r, 0, sc->n_paths - 1)];

	sc->boxes = b->used = true;
	b->blank = rng_chance(r, 40);
	switch (rng_range(r, 0, 9)) {
	case 9:
		b->proxy_percent = (uint8_t)rng_range(r, 5, 50);
		sc->breaks = sc->stalls = sc->proxies = sc->repeats = true;
		break;
	case 0:
		b->strip = STRIP_SYN;
		break;
	case 1:
		b->strip = STRIP_SYNACK;
		break;
	case 2:
		b->strip = STRIP_THIRD_ACK;
		break;
	case 3:
		b->strip = STRIP_LATER;
		b->strip_after = rng_range(r, 1, 60);
		if (rng_chance(r, 40))
			b->strip_one_way[rng_range(r, 0, 1)] = true;
		sc->repeats = true;
		sc->breaks = sc->stalls = true;
		break;
	case 4:
		b->split_percent = (uint8_t)rng_range(r, 5, 60);
		break;
	case 5:
		b->join_percent = (uint8_t)rng_range(r, 5, 60);
		break;
	case 6:
		b->join_percent = (uint8_t)rng_range(r, 5, 60);
		b->join_any = true;
		sc->breaks = true;
		break;
	case 7:
		b->alter_nth = rng_range(r, 1, 40);
		b->alter_direction = rng_chance(r, 50);
		sc->control.checksum = rng_chance(r, 50);
		for (unsigned i = 0; i < sc->n_flows; i++)
			sc->flow[i].peer_checksum |= !sc->control.checksum;
		sc->alters = sc->breaks = true;
		break;
	default:
		b->seq_shift[0] = (uint32_t)rng_next(r);
		b->seq_shift[1] = (uint32_t)rng_next(r);
		break;
	}
}

void faults_control(struct scenario *sc, struct rng *r)
{
	struct control_script *k = &sc->control;

	switch (rng_range(r, 0, 8)) {
	case 7:
	case 8:
		k->forged = (unsigned)rng_range(r, 1, 60);
		break;
	case 0:
		k->max_connections = (uint32_t)rng_range(r, 1, 2);
		sc->scarce = true;
		break;
	case 1:
		k->memory_bytes = 0; /* the least that will do */
		sc->scarce = true;
		break;
	case 2:
		k->cap_pkt = (unsigned)rng_range(r, 2, 5);
		/* With several subflows an event may need one for each. */
		if (sc->multi)
			k->cap_pkt += 10;
		sc->scarce = true;
		break;
	case 3:
		k->random_repeats = true;
		sc->scarce = true;
		break;
	case 4:
		k->jump_at_us = START_US + rng_range(r, 0, 3000) * MS;
		k->jump_us = rng_range(r, 1, 100) * 100 * MS;
		sc->lossy = true; /* timers fire that need not */
		break;
	default:
		for (int i = 0; i < 3; i++)
			k->adopt_us[i] = START_US + rng_range(r, 0, 3000) * MS;
		if (rng_chance(r, 50)) {
			k->adopt_gap_us = rng_range(r, 1, 500) * MS;
			sc->scarce = sc->lossy = true;
		}
		break;
	}
}

void faults_app(struct scenario *sc, struct rng *r)
{
	struct flow_script *f = &sc->flow[rng_range(r, 0, sc->n_flows - 1)];
	struct app_script *a = rng_chance(r, 50) ? &f->guest_app : &f->peer_app;

	switch (rng_range(r, 0, 3)) {
	case 0:
		f->peer_refuses = true;
		sc->aborts = true;
		break;
	default:
		a->abort_at_bytes = rng_range(r, 0, a->total_bytes);
		sc->aborts = true;
		break;
	}
}

void faults_make(struct scenario *sc)
{
	struct rng r = rng_split(sc->seed, 2);
	unsigned n;

	if (rng_chance(&r, 20))
		for (unsigned i = 1; i < sc->n_flows; i++)
			if (rng_chance(&r, 50)) {
				sc->flow[i].reuses = true;
				sc->flow[i].guest_port = sc->flow[i - 1].guest_port;
				sc->flow[i].peer_port = sc->flow[i - 1].peer_port;
				if (rng_chance(&r, 30))
					sc->flow[i].guest.isn = sc->flow[i - 1].guest.isn;
			}
	if (rng_chance(&r, 25))
		return;
	sc->clean = false;
	n = (unsigned)rng_range(&r, 1, 3);
	for (unsigned i = 0; i < n; i++) {
		switch (rng_range(&r, 0, 9)) {
		case 0:
		case 1:
		case 2:
		case 3:
			faults_link(sc, &r, (unsigned)rng_range(&r, 0, sc->n_paths - 1));
			break;
		case 4:
			faults_guest_link(sc, &r);
			break;
		case 5:
		case 6:
			faults_box(sc, &r);
			break;
		case 7:
			faults_app(sc, &r);
			break;
		default:
			faults_control(sc, &r);
			break;
		}
	}
	/* The old connection must be over, and the gate must have seen the new one begin. */
	for (unsigned i = 0; i < sc->n_flows; i++)
		if (sc->stalls || sc->control.adopt_gap_us) {
			sc->flow[i].reuses = false;
			sc->flow[i].guest_port = (uint16_t)(40000 + i);
			sc->flow[i].peer_port = (uint16_t)(8000 + i);
		}
}

static unsigned bits(uint64_t mask)
{
	unsigned n = 0;

	for (; mask; mask &= mask - 1)
		n++;
	return n;
}

/* The longest row of losses, the mask going round. */
static unsigned longest(uint64_t mask)
{
	unsigned run = 0, best = 0;

	if (mask == UINT64_MAX)
		return 64;
	for (unsigned i = 0; i < 128; i++) {
		run = mask >> (i % 64) & 1 ? run + 1 : 0;
		best = run > best ? run : best;
	}
	return best;
}

/* One link's faults in tenths of the clean time, and a sum for what waits for timers. */
static uint64_t link_limit_us(const struct link_script *l, uint64_t clean_us, uint64_t bytes)
{
	uint64_t lost = bits(l->loss_mask), us = 0;

	/* Each loss may cost a timeout; in a row they double. */
	us += lost * (bytes / 1000 + 20) / 64 * SECOND;
	us += lost ? 120 * SECOND : 0;
	if (lost) /* a timeout for each in a row, doubling up to 20 s, in every round of the mask */
		us += longest(l->loss_mask) * 20 * SECOND * (bytes / 64000 + 2);
	us += (l->reorder_percent + l->duplicate_percent) * clean_us / 20;
	us += l->corrupt_percent
		      ? (bytes / 1000 + 20) * l->corrupt_percent / 100 * SECOND + 60 * SECOND
		      : 0;
	us += l->queue_bytes ? 4 * clean_us + bytes / 5000 * SECOND : 0;
	us += l->mtu_bytes ? 4 * clean_us + 60 * SECOND : 0;
	if (l->dark_until_us && l->dark_until_us != UINT64_MAX)
		us += 8 * (l->dark_until_us - l->dark_from_us) + 30 * SECOND;
	return us;
}

uint64_t faults_limit_us(const struct scenario *sc, uint64_t clean_us, uint64_t bytes)
{
	const struct control_script *k = &sc->control;
	uint64_t us = 2 * clean_us + 60 * SECOND;

	for (int i = 0; i < 2; i++) {
		us += link_limit_us(&sc->guest_link[i], clean_us, bytes);
		for (unsigned n = 0, u; (u = scenario_uplink(sc, n)) < SIM_UPLINKS_MAX; n++)
			us += link_limit_us(&sc->link[u][i], clean_us, bytes);
	}
	if (sc->boxes)
		us += clean_us + 120 * SECOND;
	if (sc->scarce)
		us += 2 * clean_us + bytes / 2000 * SECOND + 120 * SECOND;
	return us + 2 * k->jump_us + 20 * k->adopt_gap_us;
}

void faults_print(const struct scenario *sc)
{
	const struct control_script *k = &sc->control;

	for (unsigned i = 0; i < SIM_UPLINKS_MAX; i++) {
		const struct box_script *b = &sc->box[i];

		if (b->used && (b->no_holes || b->rebind_after))
			fprintf(stderr, "# box on path %u: %s, rebinds after %" PRIu64 "\n", i,
				b->no_holes ? "no holes" : "holes", b->rebind_after);
		if (b->used)
			fprintf(stderr,
				"# box on path %u: strip %u after %" PRIu64 "%s%s%s, split %u%%, "
				"join %u%%%s, proxy %u%%, shift %u %u, alter %" PRIu64
				" direction %u\n",
				i, b->strip, b->strip_after,
				b->strip_one_way[0] ? " only to net" : "",
				b->strip_one_way[1] ? " only from net" : "",
				b->blank_by_eol ? " blank by EOL"
				: b->blank      ? " blank"
						: "",
				b->split_percent, b->join_percent, b->join_any ? " any" : "",
				b->proxy_percent, b->seq_shift[0], b->seq_shift[1], b->alter_nth,
				b->alter_direction);
	}
	for (int i = 0; i < 2; i++) {
		const struct link_script *l = &sc->guest_link[i];

		fprintf(stderr,
			"# guests' link %s: %" PRIu64 " us, loss %016" PRIx64 "/%" PRIu64
			", dup %u%% reorder %u%%\n",
			i ? "to guest" : "from guest", l->delay_us, l->loss_mask, l->loss_until,
			l->duplicate_percent, l->reorder_percent);
	}
	fprintf(stderr,
		"# control: forged %u, max %u, memory %" PRIu64 ", cap %u%s%s%s, adopt %" PRIu64
		" %" PRIu64 " %" PRIu64 " gap %" PRIu64 ", jump %" PRIu64 " at %" PRIu64
		", late %" PRIu64 "\n",
		k->forged, k->max_connections, k->memory_bytes, k->cap_pkt,
		k->checksum ? " checksum" : "", k->csum_trusted ? " trusted" : "",
		k->random_repeats ? " repeats" : "", k->adopt_us[0], k->adopt_us[1], k->adopt_us[2],
		k->adopt_gap_us, k->jump_us, k->jump_at_us, k->late_us);
}
