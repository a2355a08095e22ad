// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_peer_check.c - what arrives at the peer on a subflow, taken apart under one pending mapping
 * at a time (RFC 8684 sections 3.3.1, 3.3.3, 3.3.5, 3.7).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sim_flow.h"
#include "sim_peer.h"

uint64_t peer_expand(uint64_t value, bool is64, uint64_t near)
{
	if (is64)
		return value;
	return near + (uint64_t)(int64_t)(int32_t)((uint32_t)value - (uint32_t)near);
}

/* What only a middlebox may cause; Linux too loses MP_CAPABLE to reordering of the third ACK. */
void peer_fall_back(struct peer *p, const char *why)
{
	const struct scenario *sc = &p->w->sc;
	bool early = p->rcv == 0 && !p->heard_dss;

	if (p->fallback)
		return;
	if (!sc->boxes && !(early && (sc->lossy || sc->scarce)))
		sim_fail(p->w, "I4: the peer falls back: %s", why);
	sim_log(p->w, "the peer falls back: %s", why);
	p->fallback = true;
	p->why_fallback = why;
	for (unsigned i = 0; i < p->n_sub; i++) {
		struct tcp *t = &p->sub[i].t;

		t->no_edge_check = false;
		t->edge = later(t->nxt, t->una);
		t->rcv_edge = t->rcv_nxt + (uint32_t)(p->rcv_edge - p->rcv);
	}
}

static void complain(struct peer *p, struct peer_sub *s, const struct seg *g, const char *what)
{
	/* What the guest sends when the gate has forgotten the connection passes as it is. */
	if (!p->w->sc.boxes && !(p->w->sc.strips_joined && s->joined) && !p->f->check.idled)
		sim_fail(p->w, "I4: %s: %s", what, seg_text(g));
	/* Section 3.7: with others there, only this subflow ends. */
	if (p->n_sub > 1) {
		peer_sub_reset(p, s, 6);
		return;
	}
	/*
	 * In mid-stream nobody can tell old bytes from new ones without options. Linux falls back
	 * here and may deliver bytes twice; a careful peer resets.
	 */
	if (p->rcv > 0 || p->nxt > 0)
		peer_abort(p);
	else
		peer_fall_back(p, what);
}

void peer_data_fin(struct peer *p, uint64_t off)
{
	if (p->eof_known && p->eof_off != off)
		sim_fail(p->w, "I3: DATA_FIN at %" PRIu64 ", earlier at %" PRIu64, off, p->eof_off);
	if (off != p->app.other_total)
		sim_fail(p->w, "I3: DATA_FIN at %" PRIu64 ", the guest sends %" PRIu64, off,
			 p->app.other_total);
	p->eof_known = true;
	p->eof_off = off;
	if (p->rcv == off && !p->eof) {
		p->eof = true;
		app_eof(&p->app, "the peer");
	}
}

/* Once for each of some places: as if there had been no memory for it just then. */
static bool discards(struct peer *p, uint64_t off)
{
	if (!p->f->script->peer_discards || off / 1400 % 23 != 7 ||
	    p->n_discarded == PEER_EARLY_MAX)
		return false;
	for (unsigned i = 0; i < p->n_discarded; i++)
		if (p->discarded[i] == off / 1400)
			return false;
	p->discarded[p->n_discarded++] = off / 1400;
	sim_log(p->w, "the peer discards data at %" PRIu64, off);
	return true;
}

/* What waited behind a hole that is filled now. */
static void release_early(struct peer *p)
{
	static uint8_t buf[4096];
	uint32_t n;

	while (p->early.n && p->early.r[0].start <= p->rcv) {
		while (p->rcv < p->early.r[0].end) {
			n = sizeof(buf);
			if (n > p->early.r[0].end - p->rcv)
				n = (uint32_t)(p->early.r[0].end - p->rcv);
			stream_fill(p->f->key_to_peer, p->rcv, buf, n);
			p->rcv += n;
			app_receive(&p->app, buf, n, "the peer");
		}
		stretches_rm(&p->early, 0);
	}
}

/* Bytes of the stream, in the order of the subflow; on one subflow that is the data's order. */
static void data(struct peer_sub *s, uint64_t off, const uint8_t *bytes, uint32_t n,
		 const struct seg *g)
{
	struct peer *p = s->p;
	uint64_t skip;

	if ((int64_t)off < 0) {
		complain(p, s, g, "data below the initial data sequence number");
		return;
	}
	if (!p->w->sc.alters && !stream_equal(p->f->key_to_peer, off, bytes, n))
		sim_fail(p->w, "I3: other bytes than the guest's at %" PRIu64 ": %s", off,
			 seg_text(g));
	if (discards(p, off))
		return;
	if (off > p->rcv) {
		stretches_add(&p->early, p->w->sc.multi ? STRETCHES_MAX : PEER_EARLY_MAX, off,
			      off + n);
		if (p->n_sub == 1 && !p->n_discarded)
			complain(p, s, g, "a hole in the data on the only subflow");
		return;
	}
	skip = p->rcv - off;
	if (skip >= n)
		return;
	p->rcv += n - skip;
	app_receive(&p->app, bytes + skip, n - (uint32_t)skip, "the peer");
	release_early(p);
	if (p->eof_known)
		peer_data_fin(p, p->eof_off);
}

/* The mapping that the segment brings; false when it brings none. */
static bool map_of(struct peer *p, struct peer_sub *s, const struct seg *g, struct peer_pending *x)
{
	const struct mp *m = &g->mp;

	memset(x, 0, sizeof(*x));
	x->has_csum = p->csum;
	x->csum = m->csum;
	x->valid = true;
	if (m->capable && m->has_data_len) {
		x->seq = s->t.irs + 1;
		x->len = m->data_len;
		if (m->has_capable_csum != p->csum)
			complain(p, s, g, "MP_CAPABLE with data: checksum");
		return true;
	}
	if (!m->dss || !m->has_map)
		return false;
	if (m->map_len == 0) {
		x->infinite = true;
		return true;
	}
	if (m->has_csum != p->csum)
		complain(p, s, g,
			 "DSS checksum where there must be none, or none where one must be");
	p->remote64 |= m->dsn64;
	x->off = peer_expand(m->dsn, m->dsn64, p->idsn_remote + 1 + p->rcv) - p->idsn_remote - 1;
	x->fin = m->data_fin;
	x->len = m->map_len - m->data_fin;
	x->seq = s->t.irs + m->ssn;
	return true;
}

static void bare_fin(struct peer_sub *s, const struct seg *g, const struct peer_pending *x)
{
	struct peer *p = s->p;

	if (g->mp.ssn != 0)
		complain(p, s, g, "a bare DATA_FIN whose SSN is not 0");
	if (p->csum && g->mp.csum != mp_checksum(g->mp.dsn, 0, 1, 0))
		complain(p, s, g, "the checksum of a bare DATA_FIN");
	peer_data_fin(p, x->off);
}

/* Takes a mapping in; the segment's bytes begin at `seq`. False: it cannot be. */
static bool take_map(struct peer *p, struct peer_sub *s, const struct seg *g, uint32_t seq,
		     const struct peer_pending *x)
{
	struct peer_pending *in = &s->in;
	uint8_t *buf = in->buf;

	if (x->infinite) {
		if (!p->failed)
			complain(p, s, g, "an infinite mapping without MP_FAIL");
		if (!p->fail_answered && !p->w->sc.lossy && !p->w->sc.scarce)
			sim_fail(p->w, "RFC 8684 section 3.7: MP_FAIL was not answered: %s",
				 seg_text(g));
		if (in->valid && p->csum)
			data(s, in->off, in->buf, in->done, g);
		in->valid = false;
		peer_fall_back(p, "an infinite mapping");
		return false;
	}
	if (in->valid) {
		if (in->seq == x->seq && in->len == x->len && in->off == x->off &&
		    in->fin == x->fin && in->csum == x->csum)
			return true;
		complain(p, s, g, "a mapping that contradicts the pending one");
		return false;
	}
	if (before(seq, x->seq) || !before(seq, x->seq + x->len)) {
		complain(p, s, g, "a mapping that does not hold its segment's data");
		return false;
	}
	*in = *x;
	in->buf = buf;
	in->done = seq - x->seq;
	if (in->done && p->csum)
		complain(p, s, g, "a mapping with checksum whose start never came");
	return true;
}

static void map_complete(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	struct peer_pending *in = &s->in;
	uint64_t dsn = p->idsn_remote + 1 + in->off;
	uint16_t want;

	in->valid = false;
	if (p->csum) {
		want = mp_checksum(dsn, in->seq - s->t.irs, (uint16_t)(in->len + in->fin),
				   sum_add(0, in->buf, in->len));
		if (want != in->csum) {
			if (p->w->sc.alters_joined && p->n_sub > 1) {
				peer_sub_reset(p, s, 6);
				return;
			}
			if (!p->w->sc.alters)
				sim_fail(p->w, "I4: DSS checksum %04x, computed %04x: %s", in->csum,
					 want, seg_text(g));
			/* Until an infinite mapping comes it is Multipath TCP, as with Linux. */
			sim_log(p->w, "the peer sees a wrong DSS checksum");
			p->fail_wanted = p->failed = true;
			p->fail_dsn = dsn;
		}
		data(s, in->off, in->buf, in->len, g);
	}
	if (in->fin)
		peer_data_fin(p, in->off + in->len);
}

static void plain(struct peer *p, const struct seg *g, const uint8_t *bytes, uint32_t n)
{
	p->rcv += n;
	if (n)
		app_receive(&p->app, bytes, n, "the peer");
	if (g->flags & F_FIN) {
		p->eof = true;
		app_eof(&p->app, "the peer");
	}
}

/* A subflow's FIN: lawful when both DATA_FINs have been acknowledged, or the other way round. */
static void sub_fin(struct peer *p, struct peer_sub *s, const struct seg *g)
{
	if (p->n_sub > 1) /* this subflow ends, the connection does not */
		s->t.fin_wanted = true;
	else if (!p->eof)
		complain(p, s, g, "FIN on the only subflow before a DATA_FIN");
}

void peer_deliver(struct tcp *t, const struct seg *g, uint32_t skip, uint32_t n)
{
	struct peer_sub *s = t->owner;
	struct peer *p = s->p;
	const uint8_t *bytes = g->payload + skip;
	uint32_t seq = g->seq + skip, part;
	struct peer_pending x;
	bool has_map;

	if (p->reset)
		return;
	if (!p->mptcp || p->fallback) {
		plain(p, g, bytes, n);
		return;
	}
	has_map = map_of(p, s, g, &x);
	if (has_map && !x.infinite && x.fin && x.len == 0) {
		bare_fin(s, g, &x);
		has_map = false;
		if (n)
			complain(p, s, g, "data beside a bare DATA_FIN");
	}
	while (n > 0 && !p->fallback && !p->reset && t->state == TCP_OPEN) {
		if (has_map && !take_map(p, s, g, seq, &x))
			break;
		if (!s->in.valid) {
			complain(p, s, g, "data without a mapping");
			break;
		}
		part = s->in.len - s->in.done;
		part = part < n ? part : n;
		if (p->csum) {
			s->in.buf = s->in.buf ? s->in.buf : malloc(65536);
			memcpy(s->in.buf + s->in.done, bytes, part);
		} else {
			data(s, s->in.off + s->in.done, bytes, part, g);
		}
		s->in.done += part;
		if (s->in.done == s->in.len) {
			map_complete(p, s, g);
			has_map = false;
		}
		seq += part;
		bytes += part;
		n -= part;
	}
	if (p->reset || t->state != TCP_OPEN)
		return;
	if (p->fallback)
		plain(p, g, bytes, n);
	else if (g->flags & F_FIN)
		sub_fin(p, s, g);
}
