/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * from_guest.c - what a guest sends becomes MPTCP (RFC 8684 sections 3.1, 3.3, 3.5).
 *
 * One subflow: the guest's own TCP recovers losses and controls congestion; this step gives its
 * bytes a mapping, its acknowledgement the form of a DATA_ACK, its FIN that of a DATA_FIN and its
 * RST that of an MP_FASTCLOSE. Urgent data is sent inline: MPTCP has no urgent pointer, and RFC
 * 6093 tells applications to expect no better.
 */
#include "engine/from_guest.h"

#include "base/csum.h"
#include "base/seq.h"
#include "engine/announce.h"
#include "engine/conn.h"
#include "engine/dss_sum.h"
#include "engine/emit.h"
#include "engine/multi.h"
#include "engine/path_manager.h"
#include "engine/promotion.h"
#include "engine/piece.h"
#include "engine/receive.h"

#define OLD_BYTES (1u << 20)
#define WINDOW_SLACK_BYTES 65536

static struct engine_result stolen(struct step *st, const struct conn *c, enum reason reason)
{
	return verdict(ENGINE_STOLEN, reason, conn_index(st->e, c));
}

static struct engine_result drop(struct step *st, const struct conn *c, enum reason reason)
{
	return verdict(ENGINE_DROP, reason, conn_index(st->e, c));
}

bool from_guest_take_ack(struct conn *c, const struct packet *p)
{
	uint32_t ack = p->ack, edge = ack + ((uint32_t)p->window << c->guest_wscale);

	if (seq_lt(c->sent_seq, ack)) {
		/* What passed by while nobody was here has no mapping, until the peer repeats it.
		 */
		if (!c->unseen || seq_lt(c->told_peer_edge_seq + OLD_BYTES, ack))
			return false;
		ack = c->sent_seq;
	}
	if (seq_lt(c->acked_seq, ack)) {
		c->acked_dsn += ack - c->acked_seq;
		c->acked_seq = ack;
	}
	if (c->peer_fin && c->acked_seq == c->peer_fin_seq + 1)
		c->peer_fin_acked = true;
	c->told_peer_edge_seq = seq_max(c->told_peer_edge_seq, edge);
	return true;
}

uint16_t from_guest_checksum(uint64_t dsn, uint32_t ssn, uint16_t len, const uint8_t *payload,
			     uint32_t bytes)
{
	return (uint16_t)~csum_fold(csum_add(dss_sum_header(dsn, ssn, len), payload, bytes));
}

/* A guest's D-SACK of a repeated FIN names a number that no subflow has. */
static uint32_t sack_limit(const struct conn *c)
{
	return c->peer_fin ? c->peer_fin_seq : c->sent_seq;
}

static struct mp_capable capable_ack(const struct conn *c)
{
	return (struct mp_capable){.version = 1,
				   .flags = MP_CAPABLE_HMAC_SHA256 |
					    (c->checksum ? MP_CAPABLE_CHECKSUM : 0),
				   .n_keys = 2,
				   .sender_key = c->key_local,
				   .receiver_key = c->key_peer};
}

static bool piece_to_net(struct step *st, struct conn *c, struct subflow *s, const struct piece *x,
			 bool last)
{
	struct options_writer w;
	struct headers h;
	struct mp_capable k;
	struct dss d;

	emit_begin_net(st, s, true, &h, &w);
	h.seq = x->ssn;
	h.ack = receive_ack(s, acked_data_seq(c), true);
	h.window = emit_window_net(st->e, c);
	h.flags &= (uint8_t) ~(TCP_FIN | TCP_URG | (last ? 0 : TCP_PSH));
	if (piece_capable_again(c, s, x->map.ssn)) {
		c->third_ack = true;
		k = capable_ack(c);
		k.has_data_len = true;
		k.data_len = x->map.len_bytes;
		k.has_csum = c->checksum;
		k.csum = x->map.csum;
		mp_capable_encode(&w, &k);
	} else {
		d = emit_data_ack(c);
		d.has_map = d.dsn64 = true;
		d.dsn = dsn_of_guest(c, x->map.seq);
		d.ssn = x->map.ssn - s->iss;
		d.map_len = (uint16_t)(x->map.len_bytes + x->map.data_fin);
		d.data_fin = x->map.data_fin;
		d.has_csum = c->checksum;
		d.csum = x->map.csum;
		if (c->infinite) { /* section 3.7: length 0, checksum 0 */
			d.map_len = d.csum = 0;
			d.data_fin = false;
		}
		if (!dss_encode(&w, &d)) {
			/* The guest's own options are too many: timestamps alone must do. */
			w.len_bytes = 0;
			if (st->o.has_timestamps)
				options_put_timestamps(&w, st->o.tsval, st->o.tsecr);
			dss_encode(&w, &d);
		}
	}
	if (st->o.n_sack && s->n_shifts == 1)
		emit_sack(st, &w, sack_limit(c), receive_ssn(s, 0), h.ack, 0);
	return emit_net(st, c, s, &h, &w, x->payload, x->bytes, REASON_DATA_TO_NET);
}

/*
 * The guest's third ACK got lost before the gate: without one of its own the first thing that the
 * peer sees would be a DSS, and it would fall back.
 */
static void third_ack(struct step *st, struct conn *c, struct subflow *s)
{
	struct mp_capable k = capable_ack(c);
	struct options_writer w;
	struct headers h;

	emit_begin_net(st, s, true, &h, &w);
	h.seq = s->iss + 1;
	h.ack = receive_ack(s, acked_data_seq(c), true);
	h.window = emit_window_net(st->e, c);
	h.flags = TCP_ACK;
	mp_capable_encode(&w, &k);
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_ACK_TO_NET);
	c->third_ack = true;
}

/* The guest's payload, cut at the boundaries of mappings. */
static enum reason data_to_net(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	struct piece x = {.seq = p->seq, .payload = p->payload};
	uint32_t left = p->payload_bytes;
	bool fin = (p->flags & TCP_FIN) && !c->infinite;

	if (seq_lt(x.seq, c->una_seq)) {
		x.payload += c->una_seq - x.seq;
		left -= c->una_seq - x.seq;
		x.seq = c->una_seq;
	}
	if (!c->confirmed && !c->third_ack && x.seq != c->guest_isn + 1)
		third_ack(st, c, s);
	while (left > 0) {
		if (!emit_room(st, 1))
			return REASON_DROP_OUTPUT_FULL;
		if (!piece_place(st, c, s, &x, left, fin))
			return REASON_DROP_NO_MAPPING_MEMORY;
		if (x.stuck)
			return REASON_CLOSED_SPLIT;
		left -= x.bytes;
		if (seq_lt(c->max_seq, x.seq + x.bytes)) {
			c->from_guest_bytes += x.seq + x.bytes - c->max_seq;
			c->max_seq = x.seq + x.bytes;
		}
		piece_to_net(st, c, s, &x, left == 0);
		x.seq += x.bytes;
		x.payload += x.bytes;
	}
	return REASON_DATA_TO_NET;
}

/* Where on the subflow an acknowledgement stands that the guest sent at `seq`. */
static uint32_t ack_ssn(struct step *st, const struct conn *c, const struct subflow *s,
			uint32_t seq)
{
	struct mapping_view m;
	uint32_t ssn, until;

	if (seq_le(c->max_seq, seq))
		return s->snd_nxt;
	if (seq_lt(seq, c->una_seq))
		return s->snd_una - 1; /* a keepalive: below the window, to be answered */
	if (mapping_find(st->e, s, seq, &m, &ssn, &until))
		return m.ssn + (seq - m.seq);
	return seq_min(ssn, s->snd_nxt);
}

static enum reason ack_to_net(struct step *st, struct conn *c, struct subflow *s)
{
	struct dss d = emit_data_ack(c);
	struct options_writer w;
	struct headers h;
	struct mp_capable k = capable_ack(c);
	bool old = seq_lt(st->p.seq, c->una_seq);

	emit_begin_net(st, s, true, &h, &w);
	h.seq = ack_ssn(st, c, s, st->p.seq);
	h.ack = receive_ack(s, acked_data_seq(c), true);
	h.window = emit_window_net(st->e, c);
	h.flags &= (uint8_t) ~(TCP_FIN | TCP_URG | TCP_PSH);
	if (piece_capable_again(c, s, h.seq)) {
		c->third_ack = true;
		mp_capable_encode(&w, &k);
	} else {
		/* Behind several shifts one constant does not translate a block: better none. */
		if (c->sack && s->n_shifts == 1)
			emit_sack(st, &w, sack_limit(c), receive_ssn(s, 0), h.ack, dss_bytes(&d));
		dss_encode(&w, &d);
	}
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_ACK_TO_NET);
	return old ? REASON_KEEPALIVE : REASON_ACK_TO_NET;
}

/*
 * The guest sends again what the peer has DATA_ACKed: its acknowledgement got lost on the way here,
 * or its timer was too quick. The gate repeats it; the peer hears only what is news.
 */
static struct engine_result sent_again(struct step *st, struct conn *c, struct subflow *s,
				       bool news)
{
	emit_ack_guest(st, c, s);
	if (news)
		ack_to_net(st, c, s);
	return stolen(st, c, REASON_ACK_TO_GUEST);
}

/* DATA_FIN alone: DSN of its own, SSN 0, length 1 (section 3.3.3). */
static enum reason fin_to_net(struct step *st, struct conn *c, struct subflow *s)
{
	struct dss d = emit_data_ack(c);
	struct options_writer w;
	struct headers h;

	if (!c->confirmed && !c->third_ack)
		third_ack(st, c, s);
	emit_begin_net(st, s, true, &h, &w);
	h.seq = s->snd_nxt;
	h.ack = receive_ack(s, acked_data_seq(c), true);
	h.window = emit_window_net(st->e, c);
	h.flags &= (uint8_t) ~(TCP_FIN | TCP_URG | TCP_PSH);
	d.has_map = d.dsn64 = d.data_fin = true;
	d.dsn = dsn_of_guest(c, c->fin_seq);
	d.map_len = 1;
	d.has_csum = c->checksum;
	d.csum = from_guest_checksum(d.dsn, 0, 1, NULL, 0);
	dss_encode(&w, &d);
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_FIN_TO_NET);
	return REASON_FIN_TO_NET;
}

static struct engine_result guest_rst(struct step *st, struct conn *c)
{
	/* Both ends have all: its socket is gone, and something late came to it. */
	if (c->guest_fin_acked && c->peer_fin_acked)
		return drop(st, c, REASON_DROP_STATE);
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(st->e, k)->next)
		emit_own_ack(st, c, subflow_at(st->e, k), subflow_at(st->e, k)->snd_nxt, TCP_RST,
			     REASON_RST_TO_NET);
	conn_close(st, c, true, REASON_CLOSED_BY_GUEST_RST);
	return stolen(st, c, REASON_RST_TO_NET);
}

/*
 * Answers for a connection that is over. Data or a FIN that comes again was acknowledged, and the
 * guest did not hear of it: as long as it asks (its timer backs off) it is to be answered.
 */
static struct engine_result closed(struct step *st, struct conn *c)
{
	if (st->p.flags & TCP_RST)
		return drop(st, c, REASON_DROP_STATE);
	if (c->reset) {
		emit_rst_back(st, NULL, REASON_RST_TO_GUEST);
		return stolen(st, c, REASON_RST_TO_GUEST);
	}
	if (!(st->p.flags & TCP_FIN) && st->p.payload_bytes == 0)
		return drop(st, c, REASON_SUBFLOW_OWN);
	emit_ack_guest(st, c, conn_subflow(st->e, c));
	conn_linger(st, c, &c->rate_at_us);
	return stolen(st, c, REASON_SUBFLOW_OWN);
}

/* At most a window (a megabyte at least) below where the connection stands. */
static bool near_below(uint32_t x, uint32_t base, uint32_t edge)
{
	uint32_t most = seq_lt(base + OLD_BYTES, edge) ? edge - base : OLD_BYTES;

	return !seq_lt(x, base) || base - x <= most;
}

/*
 * RFC 5961 in the gate's place: the guest's address alone does not make a segment the guest's (a
 * neighbour can forge it). A RST stands at what the guest sent or what was acknowledged to it; data
 * and acknowledgement within a window of where they should.
 */
static bool plausible(const struct conn *c, const struct packet *p)
{
	uint32_t end = p->seq + p->payload_bytes;

	if (p->flags & TCP_RST)
		return seq_le(c->una_seq, p->seq) && seq_le(p->seq, c->max_seq);
	return near_below(p->seq, c->una_seq, c->told_guest_edge_seq) &&
	       near_below(p->ack, c->acked_seq, c->told_peer_edge_seq) &&
	       seq_le(end, seq_max(c->told_guest_edge_seq, c->max_seq) + WINDOW_SLACK_BYTES);
}

static struct engine_result established(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	uint32_t end = p->seq + p->payload_bytes;
	uint32_t old_ack = c->acked_seq, old_edge = c->told_peer_edge_seq;
	uint64_t retransmits = s->retransmits;
	bool fin = p->flags & TCP_FIN, again = c->guest_fin, held = announce_held(c);
	enum reason reason = REASON_NONE;

	if (c->guest_fin && p->payload_bytes > 0 && seq_lt(c->fin_seq, end))
		return drop(st, c, REASON_DROP_STATE); /* data behind its own FIN */
	if (!from_guest_take_ack(c, p))
		return drop(st, c, REASON_DROP_ACK_BEYOND);
	/*
	 * The gate's own clock begins here: not with what was overtaken. What the SYN/ACK echoed is
	 * the peer's word alone, and may be 0.
	 */
	if (st->o.has_timestamps)
		s->tsval =
			s->tsval == c->synack_tsecr ? st->o.tsval : seq_max(s->tsval, st->o.tsval);
	if (p->payload_bytes > 0 && seq_lt(c->una_seq, end))
		reason = data_to_net(st, c, s);
	else if (p->payload_bytes > 1 && !fin && seq_le(end, c->una_seq))
		return sent_again(st, c, s,
				  old_ack != c->acked_seq || old_edge != c->told_peer_edge_seq);
	if (reason == REASON_CLOSED_SPLIT) {
		conn_reset(st, c, reason);
		return stolen(st, c, REASON_RST_TO_GUEST);
	}
	if (reason != REASON_NONE && reason != REASON_DATA_TO_NET)
		return drop(st, c, reason);
	if (fin && seq_le(c->max_seq, end) && !c->guest_fin) {
		c->guest_fin = true;
		c->fin_seq = end;
		c->max_seq = end + 1;
	}
	/* A FIN sent again without an answer: the third ACK may have been lost as well. */
	if (reason == REASON_NONE && (!fin || (again && piece_capable_again(c, s, p->seq))))
		reason = ack_to_net(st, c, s);
	if (fin && c->guest_fin && !c->guest_fin_acked) {
		struct mapping_view m;
		uint32_t ssn, until;

		/* Not when it rode on the data just now. */
		if (p->payload_bytes == 0 || !mapping_find(st->e, s, end - 1, &m, &ssn, &until) ||
		    !m.data_fin)
			fin_to_net(st, c, s);
		reason = REASON_FIN_TO_NET;
	} else if (fin && reason == REASON_NONE) {
		/* It did not hear of our last acknowledgement, and the peer says no more. */
		if (c->guest_fin_acked && c->peer_fin_acked)
			emit_ack_guest(st, c, s);
		reason = ack_to_net(st, c, s);
	}
	promotion_from_guest(st, c, s, retransmits);
	conn_close_check(st, c);
	if (held && !announce_held(c))
		c->join_at_us = 0;
	path_manager_check(st, c);
	return stolen(st, c, reason);
}

struct engine_result from_guest(struct step *st, struct conn *c)
{
	struct subflow *s = conn_subflow(st->e, c);

	switch ((enum conn_state)c->state) {
	case CONN_SYN_SENT:
	case CONN_SYN_RECEIVED:
	case CONN_SYNACK_SENT:
	case CONN_ASKED:
		/*
		 * The SYN/ACK, or a third ACK with our key, did not pass here, so nothing was
		 * converted.
		 */
		conn_free(st, c, REASON_PLAIN_UNKNOWN);
		return verdict(ENGINE_ACCEPT, REASON_PLAIN_UNKNOWN, ENGINE_NO_CONN);
	case CONN_CLOSED:
		return closed(st, c);
	case CONN_FALLBACK:
		return fallback_packet(st, c);
	case CONN_ESTABLISHED:
	case CONN_FREE:
		break;
	}
	if (st->o.overrun)
		return drop(st, c, REASON_DROP_BAD_OPTION);
	if (!plausible(c, &st->p))
		return drop(st, c, REASON_DROP_OUT_OF_WINDOW);
	emit_look(c, ENGINE_GUEST, &st->p);
	if (st->p.flags & TCP_RST)
		return guest_rst(st, c);
	if ((st->p.flags & TCP_SYN) || !(st->p.flags & TCP_ACK))
		return drop(st, c, REASON_DROP_BAD_FLAGS);
	if (c->multi != NONE)
		return multi_from_guest(st, c);
	if (!s || subflow_joins(s))
		return drop(st, c, REASON_DROP_STATE);
	return established(st, c, s);
}
