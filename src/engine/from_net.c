/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * from_net.c - what the peer sends on a subflow becomes plain TCP for the guest (RFC 8684 sections
 * 3.1, 3.3, 3.5, 3.7).
 *
 * The guest sees only what counts for the data: an acknowledgement is the peer's DATA_ACK, never
 * the subflow's own (I1); a sequence number comes from the mapping; FIN is DATA_FIN.
 */
#include "engine/from_net.h"

#include "base/csum.h"
#include "base/seq.h"
#include "engine/addresses.h"
#include "engine/conn.h"
#include "engine/dss_sum.h"
#include "engine/emit.h"
#include "engine/join.h"
#include "engine/mapping.h"
#include "engine/multi.h"
#include "engine/path_manager.h"
#include "engine/promotion.h"
#include "engine/receive.h"
#include "engine/responder.h"

#define BEHIND_BYTES (1u << 20)
#define WINDOW_SLACK_BYTES (1u << 20) /* Linux sends a little beyond the announced edge */
#define DATA_PLAUSIBLE (1ull << 30)

static struct engine_result stolen(struct step *st, const struct conn *c, enum reason reason)
{
	return verdict(ENGINE_STOLEN, reason, conn_index(st->e, c));
}

static struct engine_result drop(struct step *st, const struct conn *c, enum reason reason)
{
	return verdict(ENGINE_DROP, reason, conn_index(st->e, c));
}

static struct engine_result reset(struct step *st, struct conn *c, enum reason reason)
{
	conn_reset(st, c, reason);
	return stolen(st, c, REASON_RST_TO_GUEST);
}

static struct engine_result fall(struct step *st, struct conn *c, enum reason reason)
{
	/* A DATA_FIN has a number for the guest and none on the subflow: no way back to TCP. */
	if (c->guest_fin_acked || c->peer_fin)
		return reset(st, c, REASON_CLOSED_NO_FALLBACK);
	/* Acknowledgements of a proxy, and a peer that may go on mapping: as unmapped data. */
	if (reason == REASON_FALLBACK_FIRST_ACK && c->confirmed && c->to_guest_bytes)
		return reset(st, c, REASON_CLOSED_NO_FALLBACK);
	conn_fallback(st, c, reason);
	return fallback_packet(st, c);
}

bool from_net_plausible(const struct conn *c, const struct subflow *s, const struct packet *p)
{
	uint32_t ahead = p->seq - s->rcv_nxt;
	uint32_t edge = receive_ssn(s, c->told_peer_edge_seq) - s->rcv_nxt;
	uint32_t behind = BEHIND_BYTES;

	if ((int32_t)edge < 0)
		edge = 0;
	if (behind < edge)
		behind = edge;
	/* What the guest lacks comes again, however much came behind it. */
	if (seq_lt(s->acked_ssn, s->rcv_nxt) && behind < s->rcv_nxt - s->acked_ssn)
		behind = s->rcv_nxt - s->acked_ssn;
	/* RFC 5961 section 5: an acknowledgement not older than a window either. */
	if (seq_lt(p->ack, s->snd_una) && (p->flags & TCP_ACK) &&
	    s->snd_una - p->ack > BEHIND_BYTES + (c->told_guest_edge_seq - c->una_seq))
		return false;
	return (int32_t)ahead < 0 ? 0u - ahead <= behind : ahead <= edge + WINDOW_SLACK_BYTES;
}

void from_net_take_data_ack(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	const struct dss *d = &st->o.mp.dss;
	uint64_t ack = c->una_dsn;

	if (st->o.mp.has_dss && d->has_ack) {
		ack = d->ack64 ? d->data_ack : dsn_expand((uint32_t)d->data_ack, c->una_dsn);
		if (dsn_lt(dsn_of_guest(c, c->max_seq), ack)) {
			count(st->e, REASON_DROP_DATA_ACK_BEYOND);
			ack = c->una_dsn;
		}
	}
	/*
	 * Of what was mapped twice the peer may have the first as data and lack the second: it
	 * stays the guest's, who alone can fill its place on the subflow.
	 */
	if (c->multi == NONE && s->remapped && dsn_lt(c->una_dsn, ack))
		ack = dsn_of_guest(
			c,
			seq_max(mapping_acked(st->e, s, c->una_seq + (uint32_t)(ack - c->una_dsn)),
				c->una_seq));
	if (dsn_lt(c->una_dsn, ack)) {
		c->una_seq += (uint32_t)(ack - c->una_dsn);
		c->una_dsn = ack;
		for (uint32_t k = c->subflow; k != NONE; k = subflow_at(st->e, k)->next)
			mapping_free_acked(st->e, subflow_at(st->e, k), c->una_seq);
		if (c->guest_fin && c->una_seq == c->fin_seq + 1)
			c->guest_fin_acked = true;
	}
	/* The window counts from this segment's DATA_ACK (section 3.3.1); the edge only grows. */
	if (!dsn_lt(ack, c->una_dsn))
		c->told_guest_edge_seq =
			seq_max(c->told_guest_edge_seq,
				c->una_seq + ((uint32_t)p->window << s->peer_wscale));
}

static void take_ack(struct step *st, struct conn *c, struct subflow *s)
{
	if (seq_lt(s->snd_una, st->p.ack))
		s->snd_una = st->p.ack;
	subflow_fin_acked(st, c, s);
	from_net_take_data_ack(st, c, s);
}

/* Starts a segment for the guest; the caller adds sequence number and FIN. */
static void begin(struct step *st, struct conn *c, struct subflow *s, struct headers *h,
		  struct options_writer *w)
{
	emit_begin_guest(st, c, true, h, w);
	h->ack = c->una_seq;
	h->window = emit_window_guest(c);
	h->flags &= (uint8_t) ~(TCP_FIN | TCP_URG);
	/* After a remapping one constant no longer translates a block: better none. */
	if (st->o.n_sack && c->sack && !s->remapped)
		emit_sack(st, w, s->snd_nxt, 0u - s->delta_freed, h->ack, 0);
}

static bool piece_to_guest(struct step *st, struct conn *c, struct subflow *s, uint32_t seq,
			   const uint8_t *payload, uint32_t bytes, bool last, bool fin)
{
	struct options_writer w;
	struct headers h;

	begin(st, c, s, &h, &w);
	h.seq = seq;
	if (!last)
		h.flags &= (uint8_t)~TCP_PSH;
	if (fin) {
		h.flags |= TCP_FIN;
		c->peer_fin = true;
		c->peer_fin_seq = seq + bytes;
	}
	c->sent_seq = seq_max(c->sent_seq, seq + bytes + fin);
	return emit_guest(st, c, &h, &w, payload, bytes,
			  bytes == 0 && fin ? REASON_FIN_TO_GUEST : REASON_DATA_TO_GUEST);
}

/*
 * Adds a piece to its mapping's checksum. False when the mapping is complete and wrong. Pieces
 * that overlap what came before cannot be summed: then the mapping is not checked (on one path
 * the data goes on as TCP would deliver it, and the next mapping tells).
 */
static bool checksum_piece(struct subflow *s, struct peer_map *m, uint32_t ssn,
			   const uint8_t *payload, uint32_t bytes)
{
	uint64_t sum;

	if (!m->check)
		return true;
	if (receive_overlaps(s, ssn, ssn + bytes)) {
		m->check = m->covered_bytes > 0 ? false : m->check;
		return true;
	}
	m->sum += (uint32_t)dss_sum_bytes(ssn - m->ssn, payload, bytes);
	m->covered_bytes += bytes;
	if (m->covered_bytes != m->len_bytes)
		return true;
	m->check = false;
	sum = m->sum + (uint64_t)m->csum +
	      dss_sum_header(m->dsn, m->ssn - s->irs, (uint16_t)(m->len_bytes + m->data_fin));
	return csum_fold(sum) == 0xffff;
}

/* Data that no mapping covers: the end of a segment, something old, or a fault. */
static enum reason unmapped(const struct subflow *s, const struct packet *p, uint32_t ssn)
{
	if (ssn != p->seq)
		return REASON_DATA_TO_GUEST;
	if (seq_le(p->seq + p->payload_bytes, s->rcv_nxt))
		return REASON_DROP_STATE;
	return REASON_FALLBACK_UNMAPPED;
}

/* The payload, cut where mappings end. */
static enum reason data_to_guest(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	uint32_t ssn = p->seq, end = p->seq + p->payload_bytes;
	const uint8_t *payload = p->payload;
	bool bad = false;

	while (ssn != end) {
		struct peer_map *m = receive_map_find(s, ssn);
		uint32_t n, seq;
		uint64_t dsn;
		bool good;

		if (!m)
			return unmapped(s, p, ssn);
		n = seq_min(end, m->ssn + m->len_bytes) - ssn;
		dsn = m->dsn + (ssn - m->ssn);
		if (dsn - c->acked_dsn + DATA_PLAUSIBLE > 2 * DATA_PLAUSIBLE)
			return REASON_DROP_OUT_OF_WINDOW;
		if (!emit_room(st, 2))
			return REASON_DROP_OUTPUT_FULL;
		seq = seq_of_peer_dsn(c, dsn);
		good = checksum_piece(s, m, ssn, payload, n);
		receive_shift(s, ssn, n, ssn - seq);
		receive_bytes(s, ssn, ssn + n, false);
		piece_to_guest(st, c, s, seq, payload, n, ssn + n == end,
			       m->data_fin && ssn + n == m->ssn + m->len_bytes);
		if (!good || (c->failing && ssn == p->seq))
			fallback_mp_fail(st, c, s, m->dsn);
		bad |= !good;
		ssn += n;
		payload += n;
	}
	return bad ? REASON_FALLBACK_CHECKSUM : REASON_DATA_TO_GUEST;
}

/* A DATA_FIN without data: FIN to the guest, unless it has acknowledged that already. */
static enum reason data_fin_alone(struct step *st, struct conn *c, struct subflow *s, uint64_t dsn)
{
	if (dsn - c->acked_dsn + DATA_PLAUSIBLE > 2 * DATA_PLAUSIBLE)
		return REASON_DROP_OUT_OF_WINDOW;
	if (c->peer_fin_acked)
		return REASON_SIGNAL_ONLY;
	piece_to_guest(st, c, s, seq_of_peer_dsn(c, dsn), NULL, 0, true, true);
	return REASON_FIN_TO_GUEST;
}

/* An acknowledgement without data. `una`, `edge`: what the guest knew before this segment. */
static enum reason ack_to_guest(struct step *st, struct conn *c, struct subflow *s, uint32_t una,
				uint32_t edge, bool subflow_advanced, bool probe)
{
	const struct mptcp *m = &st->o.mp;
	bool news = c->una_seq != una || c->told_guest_edge_seq != edge ||
		    (st->o.n_sack && !s->remapped);
	bool signal = m->has_add_addr || m->has_remove_addr || m->has_prio || m->has_join ||
		      m->has_capable || (m->has_dss && m->dss.has_map);
	struct options_writer w;
	struct headers h;

	/*
	 * Not even a larger window: the guest has nothing more to send, and if its socket is gone
	 * already it would answer with RST.
	 */
	if (c->guest_fin_acked && c->peer_fin_acked && c->una_seq == una)
		return REASON_SUBFLOW_OWN;
	if (!news && signal)
		return REASON_SIGNAL_ONLY;
	/* An ADD_ADDR that left no room for timestamps: the guest would have to ignore it. */
	if (m->has_add_addr && c->timestamps && !st->o.has_timestamps)
		return REASON_SIGNAL_ONLY;
	if (!news && subflow_advanced)
		return REASON_ACK_HELD;
	begin(st, c, s, &h, &w);
	h.seq = probe ? c->acked_seq - 1 : c->sent_seq;
	emit_guest(st, c, &h, &w, NULL, 0, REASON_ACK_TO_GUEST);
	return REASON_ACK_TO_GUEST;
}

/*
 * MP_FASTCLOSE with our key, on a RST or an ACK (section 3.5), or a bare RST of the only subflow:
 * the guest gets a RST where it expects one.
 */
static struct engine_result net_rst(struct step *st, struct conn *c, struct subflow *s)
{
	bool fastclose = st->o.mp.has_fastclose;
	struct options_writer w = {0};
	struct headers h;

	if (fastclose && st->o.mp.fastclose_key != c->key_local)
		return drop(st, c, REASON_DROP_FORGED_FASTCLOSE);
	/* RFC 5961 section 3.2: only the very next number resets; others are asked again. */
	if (!fastclose && st->p.seq != s->rcv_nxt && st->p.seq != s->acked_ssn) {
		if (st->p.seq - s->acked_ssn < (1u << 30))
			emit_own_ack(st, c, s, s->snd_nxt, 0, REASON_SUBFLOW_OWN);
		return drop(st, c, REASON_DROP_OUT_OF_WINDOW);
	}
	c->peer_tcprst = !fastclose && st->o.mp.has_tcprst;
	emit_begin_guest(st, c, false, &h, &w);
	h.seq = c->acked_seq;
	h.ack = c->una_seq;
	h.flags = TCP_RST | TCP_ACK;
	emit_guest(st, c, &h, &w, NULL, 0, REASON_RST_TO_GUEST);
	if (!(st->p.flags & TCP_RST))
		emit_rst_back(st, NULL, REASON_SUBFLOW_OWN);
	conn_close(st, c, true,
		   fastclose ? REASON_CLOSED_BY_PEER_FASTCLOSE : REASON_CLOSED_BY_PEER_RST);
	return stolen(st, c, REASON_RST_TO_GUEST);
}

static struct engine_result closed(struct step *st, struct conn *c, struct subflow *s)
{
	uint32_t end;

	if (st->p.flags & TCP_RST)
		return drop(st, c, REASON_DROP_STATE);
	if (c->reset || !s) {
		/*
		 * The peer's application hears only of MP_FASTCLOSE (RFC 8684 section 3.5); if the
		 * peer's own stack made the RST, a bare one does.
		 */
		if (s && !c->peer_tcprst)
			emit_own_ack(st, c, s, st->p.ack, TCP_RST, REASON_RST_TO_NET);
		else
			emit_rst_back(st, NULL, REASON_SUBFLOW_OWN);
		return stolen(st, c, REASON_SUBFLOW_OWN);
	}
	/* Its DATA_FIN again: the DATA_ACK was lost, and it waits for nothing else. */
	if (st->p.payload_bytes > 0 || (st->p.flags & TCP_FIN) ||
	    (st->o.mp.has_dss && st->o.mp.dss.data_fin)) {
		receive_bytes(s, st->p.seq, st->p.seq + st->p.payload_bytes, st->p.flags & TCP_FIN);
		emit_own_ack(st, c, s, s->snd_nxt, 0, REASON_SUBFLOW_OWN);
		end = st->p.seq + st->p.payload_bytes + !!(st->p.flags & TCP_FIN);
		if (s->fin_received && seq_le(end, s->rcv_nxt) && s->rcv_nxt - end <= BEHIND_BYTES)
			conn_linger(st, c, &s->data_us);
	}
	return stolen(st, c, REASON_SUBFLOW_OWN);
}

/* The peer's FIN on the subflow: acknowledged by the gate, for the guest DATA_FIN counts. */
static void subflow_fin(struct step *st, struct conn *c, struct subflow *s)
{
	uint32_t end = st->p.seq + st->p.payload_bytes;

	receive_bytes(s, end, end, true);
	if (!s->fin_received)
		return;
	if (!c->peer_fin)
		/* No DATA_FIN came and none can come: for the guest the stream ends here. */
		piece_to_guest(st, c, s, c->sent_seq, NULL, 0, true, true);
	emit_own_ack(st, c, s, s->snd_nxt, 0, REASON_SUBFLOW_OWN);
}

static struct engine_result established(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	const struct dss *d = &st->o.mp.dss;
	uint32_t una = c->una_seq, edge = c->told_guest_edge_seq;
	bool subflow_advanced = seq_lt(s->snd_una, p->ack);
	/* A keepalive stands below the window, so that the guest answers. */
	bool probe = p->seq == s->rcv_nxt - 1 && !s->fin_received;
	bool fin_alone = false, over = c->guest_fin_acked && c->peer_fin_acked;
	enum reason reason;
	uint64_t dsn = 0;

	take_ack(st, c, s);
	addresses_on_packet(st, c, s);
	if (st->o.has_timestamps)
		s->ts_recent = seq_max(s->ts_recent, st->o.tsval);
	s->from_net_bytes += p->payload_bytes;
	if (st->o.mp.has_dss && d->has_map) {
		/* Like Linux: by data in order, not by what was only announced. */
		if (p->seq == s->rcv_nxt && p->payload_bytes > 0)
			c->dsn64_seen |= d->dsn64;
		dsn = d->dsn64 ? d->dsn : dsn_expand((uint32_t)d->dsn, c->acked_dsn);
		fin_alone = d->data_fin && d->map_len == 1;
		if (!fin_alone)
			receive_map(s, d, dsn);
	}
	if ((p->payload_bytes > 0 || fin_alone) && over)
		/* The guest has all of it: our acknowledgement got lost. */
		reason = emit_own_ack(st, c, s, s->snd_nxt, 0, REASON_SUBFLOW_OWN)
				 ? REASON_SUBFLOW_OWN
				 : REASON_DROP_OUTPUT_FULL;
	else if (p->payload_bytes > 0)
		reason = data_to_guest(st, c, s);
	else if (fin_alone)
		reason = data_fin_alone(st, c, s, dsn);
	else
		reason = REASON_NONE;
	/*
	 * Not even on a single subflow can such data be believed to be new: a peer that hears no
	 * DATA_ACK maps old data again further on (Linux after 200 ms), and without options that
	 * looks the same. Section 3.7 allows fallback here; I3 does not.
	 */
	if (reason == REASON_FALLBACK_UNMAPPED && responder_unheard(st, c, s))
		return fall(st, c, reason);
	if (reason == REASON_FALLBACK_UNMAPPED)
		return reset(st, c, REASON_CLOSED_UNMAPPED);
	if (reason == REASON_FALLBACK_CHECKSUM) {
		c->failing = true;
		c->reason = REASON_FALLBACK_CHECKSUM;
	}
	if (st->o.mp.has_fail)
		fallback_peer_fails(st, c, s);
	if (p->flags & TCP_FIN)
		subflow_fin(st, c, s);
	if (reason == REASON_NONE || reason == REASON_SIGNAL_ONLY)
		reason = ack_to_guest(st, c, s, una, edge, subflow_advanced, probe);
	promotion_from_net(st, c, s);
	conn_close_check(st, c);
	path_manager_check(st, c);
	if (reason == REASON_DROP_OUT_OF_WINDOW || reason == REASON_DROP_OUTPUT_FULL ||
	    reason == REASON_DROP_STATE)
		return drop(st, c, reason);
	return stolen(st, c, reason);
}

/*
 * Our MP_JOIN ACK is with the peer, which sends on that subflow at once; its answer is still on its
 * way, or will never come because the path went. What follows here then leaves a hole in the data
 * and none in the subflow. A single connection would show the hole to the guest, whose duplicate
 * acknowledgements would make the peer repair what was never lost, and for ever if the hole is.
 */
static bool other_in_use(const struct step *st, const struct conn *c, const struct subflow *s)
{
	const struct dss *d = &st->o.mp.dss;
	uint64_t dsn;

	if (!c->promoted || !st->o.mp.has_dss || !d->has_map || d->map_len == 0 ||
	    st->p.payload_bytes == 0 || st->p.seq != s->rcv_nxt)
		return false;
	dsn = d->dsn64 ? d->dsn : dsn_expand((uint32_t)d->dsn, c->acked_dsn);
	return seq_lt(c->sent_seq, seq_of_peer_dsn(c, dsn + (st->p.seq - (s->irs + d->ssn))));
}

struct engine_result from_net(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	enum reason reason;

	if (c->state == CONN_CLOSED)
		return closed(st, c, s);
	if (c->state == CONN_FALLBACK)
		return fallback_packet(st, c);
	if (c->state == CONN_SYNACK_SENT)
		return responder_third_ack(st, c, s);
	if (c->state != CONN_ESTABLISHED)
		return drop(st, c, REASON_DROP_STATE);
	if (st->o.overrun)
		return drop(st, c, REASON_DROP_BAD_OPTION);
	responder_first_data(st, c, s);
	/* An infinite mapping comes with data (section 3.7); on an acknowledgement it says nothing.
	 */
	if (st->o.mp.dss.map_len == 0 && p->payload_bytes == 0)
		st->o.mp.dss.has_map = false;
	if (c->multi != NONE)
		return multi_from_net(st, c, s);
	if (subflow_joins(s))
		return join_packet(st, c, s);
	if ((p->flags & TCP_RST) || (st->o.mp.has_fastclose && (p->flags & TCP_ACK)))
		return net_rst(st, c, s);
	if ((p->flags & TCP_SYN) || !(p->flags & TCP_ACK))
		return drop(st, c, REASON_DROP_BAD_FLAGS);
	if (!from_net_plausible(c, s, p))
		return drop(st, c, REASON_DROP_OUT_OF_WINDOW);
	emit_look(c, ENGINE_NET, p);
	if (seq_lt(s->snd_nxt, p->ack))
		return drop(st, c, REASON_DROP_ACK_BEYOND);
	reason = fallback_check(st, c);
	if (reason != REASON_NONE)
		return fall(st, c, reason);
	if (c->confirmed && !c->announced) {
		c->announced = true;
		event(st, ENGINE_EVENT_CONVERTED, c, REASON_SYNACK_CONVERTED);
	}
	if (other_in_use(st, c, s) && multi_new(st, c))
		return multi_from_net(st, c, s);
	return established(st, c, s);
}
