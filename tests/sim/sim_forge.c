// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_forge.c - somebody off the path who guesses: segments of a connection's own tuple with
 * numbers that he cannot know (RFC 5961). No healthy connection may be harmed by them.
 */
#include <stdlib.h>

#include "sim_flow.h"
#include "sim_forge.h"
#include "sim_gate.h"
#include "sim_peer.h"

/* A number that nobody can take for one in flight, nor for an old one. */
static uint32_t far(struct rng *r, uint32_t seq)
{
	return seq + (uint32_t)rng_range(r, (1u << 30) + (1u << 24), 3u * (1u << 30) - (1u << 24));
}

static void forge_options(struct rng *r, struct seg *s)
{
	switch (rng_range(r, 0, 3)) {
	case 0:
		s->mp = (struct mp){.fastclose = true, .fastclose_key = rng_next(r)};
		break;
	case 1:
		s->mp = (struct mp){.dss = true,
				    .has_ack = true,
				    .ack64 = true,
				    .has_map = true,
				    .dsn64 = true,
				    .data_ack = rng_next(r),
				    .dsn = rng_next(r),
				    .ssn = (uint32_t)rng_next(r),
				    .map_len = (uint16_t)rng_next(r)};
		break;
	case 2:
		s->mp = (struct mp){.fail = true, .fail_dsn = rng_next(r)};
		break;
	default:
		break;
	}
}

/* Nothing wrong but the DATA_ACK: of what was never sent (RFC 8684 section 3.3.2: ignored). */
static void beyond(struct rng *r, const struct flow *f, struct seg *s)
{
	s->flags = F_ACK;
	s->seq = f->check.sub[0].irs + check_sub_next(&f->check.sub[0]);
	s->ack = f->check.sub[0].iss + 1;
	s->window = 0;
	s->len_bytes = 0;
	s->has_ts = f->check.ts;
	s->tsval = f->check.peer_tsval;
	s->tsecr = f->check.guest_tsval;
	s->mp = (struct mp){.dss = true,
			    .has_ack = true,
			    .ack64 = true,
			    .data_ack = f->check.idsn_gate + 1 + (uint64_t)f->check.guest_sent +
					rng_range(r, 10, 1u << 30)};
}

/* How far one of the ends has come on the first subflow; false: it is not open. */
struct numbers {
	uint32_t max, rcv_nxt;
};

static bool numbers_of(const struct flow *f, bool guest, struct numbers *n)
{
	const struct tcp *t = guest ? &f->guest.t : &f->peer.sub[0].t;
	const struct check_sub *b;

	if (!guest && f->far) {
		b = &f->far->check.sub[0];
		*n = (struct numbers){b->iss + b->max, b->irs + check_sub_next(b)};
		return f->far->check.converted && f->far->guest.t.state == TCP_OPEN;
	}
	*n = (struct numbers){t->max, t->rcv_nxt};
	return t->state == TCP_OPEN && (guest || f->peer.n_sub);
}

void forge(struct sim *w, struct rng *r)
{
	static const uint8_t flags[] = {F_RST,         F_RST | F_ACK, F_ACK,         F_ACK | F_PSH,
					F_FIN | F_ACK, F_SYN,         F_SYN | F_ACK, 0};
	static const uint8_t junk[64];
	struct flow *f = &w->flow[rng_range(r, 0, w->sc.n_flows - 1)];
	struct conntrack *ct = &w->gate[0]->ct[f->index];
	bool from_guest = rng_chance(r, 50);
	struct seg s = {.has_ts = rng_chance(r, 50)};
	struct numbers n;
	struct pkt *p;

	/* While it closes, a SYN may be the guest's next connection. */
	if (f->check.fallback || f->check.plain || f->peer.fallback)
		return;
	if (!f->check.converted || !f->check.confirmed || !numbers_of(f, from_guest, &n) ||
	    f->guest.t.fin_sent)
		return;
	s.tuple = from_guest ? f->tuple : flow_tuple_reverse(&ct->net);
	s.flags = flags[rng_range(r, 0, sizeof(flags) - 1)];
	s.seq = far(r, n.max);
	s.ack = rng_chance(r, 50) ? far(r, n.rcv_nxt) : n.rcv_nxt;
	s.window = (uint16_t)rng_next(r);
	s.tsval = (uint32_t)rng_next(r);
	s.payload = junk;
	s.len_bytes = s.flags & (F_SYN | F_RST) ? 0 : (uint32_t)rng_range(r, 0, 64);
	if (!from_guest)
		forge_options(r, &s);
	/* Who sees the connection knows everything; others have one number wrong at least. */
	if (!(s.flags & (F_SYN | F_RST)) && rng_chance(r, 30)) {
		s.seq = n.max;
		s.ack = n.rcv_nxt + (uint32_t)rng_range(r, 1u << 24, (1u << 31) - (1u << 24));
	}
	if (!from_guest && f->check.confirmed && rng_chance(r, 15))
		beyond(r, f, &s);
	p = seg_build(&s);
	p->forged = true;
	sim_trace(w, from_guest ? PLACE_GATE_GUEST : PLACE_GATE_NET, from_guest ? 0 : 1 + ct->path,
		  from_guest, p);
	if (from_guest)
		gate_from_guest(w->gate[0], p);
	else
		gate_from_net(w->gate[0], ct->path, p);
}
