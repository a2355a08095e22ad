/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched_common.c - what the schedulers share; see sched_common.h.
 *
 * Price: paths are taken in the order of their price. A dearer one joins when those cheaper than
 * it have no room, and the backlog is more than they carry in an RTT (the sum of their windows)
 * times its surcharge, at most once: price 1.5 beside 1.0 asks for half a window of backlog, 2.0
 * and above for a whole one. So what is short stays on the cheap paths, what is long gets all.
 */
#include "engine/sched_common.h"

#define WORTHWHILE_MAX 16384U

static bool has_bit(uint8_t set, unsigned i)
{
	return set >> i & 1;
}

uint32_t sched_srtt_us(const struct sched_subflow *s)
{
	return s->srtt_us ? s->srtt_us : UINT32_MAX;
}

uint32_t sched_expect_us(const struct sched_subflow *s)
{
	return s->expect_us ? s->expect_us : sched_srtt_us(s);
}

/* An eighth apart is alike: so much round trips differ by when the same thing is measured twice. */
bool sched_faster(const struct sched_subflow *a, const struct sched_subflow *b)
{
	uint64_t a_us = sched_expect_us(a);

	return a_us + a_us / 8 < sched_expect_us(b);
}

static uint32_t mss_of(const struct sched_subflow *s)
{
	return s->mss_bytes ? s->mss_bytes : 1;
}

/* What waits and what the peer's window lets through. */
static uint32_t sendable(const struct sched_input *in)
{
	return in->unsent_bytes < in->window_bytes ? (uint32_t)in->unsent_bytes : in->window_bytes;
}

/*
 * No silly windows: less than a segment goes only if it is all there is, or if nothing is in
 * flight that would open the window. On fast paths, where a window has many segments, a piece
 * waits for a thirty-second of it (16 KB at most): fewer and larger pieces, the pipe stays full.
 * Where pacing cuts the pieces they are as they should be.
 */
uint32_t sched_room_bytes(const struct sched_input *in, unsigned i)
{
	const struct sched_subflow *s = &in->s[i];
	uint32_t room = s->cwnd_bytes > s->in_flight_bytes ? s->cwnd_bytes - s->in_flight_bytes : 0;
	uint32_t worthwhile = s->held_bytes ? 0 : s->cwnd_bytes / 32;

	room = room > s->held_bytes ? room - s->held_bytes : 0;
	if (s->in_flight_bytes == 0 && s->held_bytes == 0)
		return room;
	worthwhile = worthwhile < WORTHWHILE_MAX ? worthwhile : WORTHWHILE_MAX;
	worthwhile = worthwhile > mss_of(s) ? worthwhile : mss_of(s);
	if (worthwhile > in->unsent_bytes)
		worthwhile = (uint32_t)in->unsent_bytes;
	return room >= worthwhile ? room : 0;
}

/* May subflow i be used at its price? Those of `set` that are cheaper come first. */
static bool affordable(const struct sched_input *in, uint8_t set, unsigned i)
{
	uint32_t price = in->s[i].price_milli, cheapest = price;
	uint64_t carry = 0, surcharge_milli;

	for (unsigned k = 0; k < in->n; k++) {
		if (!has_bit(set, k) || in->s[k].price_milli >= price)
			continue;
		if (sched_room_bytes(in, k))
			return false;
		carry += in->s[k].cwnd_bytes;
		cheapest = in->s[k].price_milli < cheapest ? in->s[k].price_milli : cheapest;
	}
	if (cheapest == price)
		return true;
	/* Free against not free is a surcharge without end. */
	surcharge_milli = cheapest ? ((uint64_t)price - cheapest) * 1000 / cheapest : 1000;
	if (surcharge_milli > 1000)
		surcharge_milli = 1000;
	return in->unsent_bytes > carry * surcharge_milli / 1000;
}

uint8_t sched_candidates(const struct sched_input *in, bool priced)
{
	uint8_t active = 0, backup = 0, set, allowed = 0;

	for (unsigned i = 0; i < in->n; i++)
		if (in->s[i].usable)
			*(in->s[i].backup ? &backup : &active) |= (uint8_t)(1U << i);
	set = active ? active : backup;
	if (!priced)
		return set;
	for (unsigned i = 0; i < in->n; i++)
		if (has_bit(set, i) && affordable(in, set, i))
			allowed |= (uint8_t)(1U << i);
	return allowed;
}

/* Does what is sent on a arrive before what is sent on b? Alike, the emptier one is taken. */
static bool sooner(const struct sched_subflow *a, const struct sched_subflow *b)
{
	if (sched_faster(a, b))
		return true;
	if (sched_faster(b, a))
		return false;
	return (uint64_t)a->in_flight_bytes * b->cwnd_bytes <
	       (uint64_t)b->in_flight_bytes * a->cwnd_bytes;
}

int sched_fastest(const struct sched_input *in, uint8_t set)
{
	int best = -1;

	for (unsigned i = 0; i < in->n; i++) {
		if (!has_bit(set, i) || !sched_room_bytes(in, i))
			continue;
		if (best < 0 || sooner(&in->s[i], &in->s[best]))
			best = (int)i;
	}
	return best;
}

static bool nothing_in_flight(const struct sched_input *in)
{
	for (unsigned i = 0; i < in->n; i++)
		if (in->s[i].in_flight_bytes)
			return false;
	return true;
}

struct sched_pick sched_piece(const struct sched_input *in, int i)
{
	const struct sched_pick none = {.subflow = -1};
	uint32_t bytes = sendable(in), mss, room;

	if (i < 0 || bytes == 0)
		return none;
	mss = mss_of(&in->s[i]);
	/* The peer's window opens with the next ACK, if there is something to acknowledge. */
	if (bytes < mss && bytes < in->unsent_bytes && !nothing_in_flight(in))
		return none;
	room = sched_room_bytes(in, (unsigned)i);
	bytes = bytes < room ? bytes : room;
	bytes = bytes < SCHED_PIECE_MAX ? bytes : SCHED_PIECE_MAX;
	if (bytes > mss && bytes < in->unsent_bytes)
		bytes -= bytes % mss;
	if (bytes == 0)
		return none;
	return (struct sched_pick){.subflow = i, .bytes = bytes};
}

uint64_t sched_could_send(const struct sched_subflow *s, uint64_t rtts_q8)
{
	uint64_t growth, r = rtts_q8 < 1U << 24 ? rtts_q8 : 1U << 24;

	if (s->slow_start && r >= 256)
		return 2ULL * s->cwnd_bytes * ((1ULL << (r / 256 < 24 ? r / 256 : 24)) - 1);
	growth = r > 256 ? (uint64_t)s->mss_bytes * (r - 256) / 512 : 0;
	return (s->cwnd_bytes + growth) * r / 256;
}

/*
 * A piece on the slow path is acknowledged after its RTT. Until then a faster path may send, less
 * an RTT of its own for the last ACK and its variation: waiting must be a clear win.
 */
bool sched_tail_waits(const struct sched_input *in, uint8_t set, unsigned i)
{
	uint32_t slow_us = sched_expect_us(&in->s[i]);
	uint64_t sent = 0;

	/* Who waits must be woken by an acknowledgement. */
	if (!in->tail || in->s[i].srtt_us == 0 || nothing_in_flight(in))
		return false;
	for (unsigned k = 0; k < in->n; k++) {
		const struct sched_subflow *s = &in->s[k];
		uint64_t lost_us = (uint64_t)sched_expect_us(s) + s->rttvar_us;

		if (has_bit(set, k) && s->srtt_us != 0 && lost_us < slow_us)
			sent += sched_could_send(s, (slow_us - lost_us) * 256 / s->srtt_us);
	}
	return sent > in->unsent_bytes;
}
