/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multi_packet.c - a segment's way while its connection has several subflows.
 */
#include "base/seq.h"
#include "engine/ack_guest.h"
#include "engine/addresses.h"
#include "engine/conn.h"
#include "engine/data_ack.h"
#include "engine/emit.h"
#include "engine/from_guest.h"
#include "engine/from_net.h"
#include "engine/guest_ts.h"
#include "engine/join.h"
#include "engine/mapping.h"
#include "engine/multi.h"
#include "engine/path_manager.h"
#include "engine/receive.h"
#include "engine/sender.h"
#include "engine/to_guest.h"
#include "engine/to_net.h"

static struct engine_result done(struct step *st, struct conn *c, enum reason reason)
{
	bool dropped = reason == REASON_DROP_NO_PAYLOAD_MEMORY ||
		       reason == REASON_DROP_OUTPUT_FULL || reason == REASON_DROP_OUT_OF_WINDOW ||
		       reason == REASON_DROP_ACK_BEYOND || reason == REASON_DROP_STATE ||
		       reason == REASON_DROP_FORGED_FASTCLOSE || reason == REASON_DROP_BAD_FLAGS;
	conn_ref ref = conn_index(st->e, c);

	if (c->state == CONN_ESTABLISHED)
		conn_deadline(st, c);
	return verdict(dropped ? ENGINE_DROP : ENGINE_STOLEN, reason, ref);
}

struct engine_result multi_from_guest(struct step *st, struct conn *c)
{
	struct multi *m = multi_at(st->e, c->multi);
	uint32_t old_acked = c->acked_seq, old_edge = c->told_peer_edge_seq;
	enum reason reason;

	m->guest_us = st->tick->now_us;
	if (!from_guest_take_ack(c, &st->p))
		return done(st, c, REASON_DROP_ACK_BEYOND);
	if (st->o.has_timestamps && c->una_seq == c->max_seq)
		guest_ts_quiet(st->e, c, st->o.tsval, st->tick->now_us);
	reason = to_net_take(st, c);
	if (reason == REASON_CLOSED_SPLIT) {
		conn_reset(st, c, reason);
		return done(st, c, REASON_RST_TO_GUEST);
	}
	multi_push(st, c);
	to_guest_acked(st, c, old_acked, old_edge);
	conn_close_check(st, c);
	path_manager_check(st, c);
	return done(st, c, reason);
}

/* After a subflow ended: what it carried goes elsewhere. */
static void settle(struct step *st, struct conn *c)
{
	if (c->multi != NONE)
		multi_push(st, c);
	path_manager_check(st, c);
}

/* A RST of one subflow, or MP_FASTCLOSE for the connection (RFC 8684 sections 3.5, 3.6). */
static struct engine_result net_rst(struct step *st, struct conn *c, struct subflow *s)
{
	enum reason reason = REASON_SUBFLOW_RESET;

	if (st->o.mp.has_fastclose) {
		if (st->o.mp.fastclose_key != c->key_local)
			return done(st, c, REASON_DROP_FORGED_FASTCLOSE);
		conn_reset(st, c, REASON_CLOSED_BY_PEER_FASTCLOSE);
		return done(st, c, REASON_RST_TO_GUEST);
	}
	if (st->p.seq != s->rcv_nxt && st->p.seq != s->acked_ssn)
		return done(st, c, REASON_DROP_OUT_OF_WINDOW);
	if (st->o.mp.has_tcprst)
		reason = subflow_tcprst_reason(&st->o.mp.tcprst);
	addresses_failed(st, c, s->path, addresses_peer_id(st->e, c, &s->net),
			 st->o.mp.has_tcprst && !st->o.mp.tcprst.transient);
	subflow_end(st, c, s, reason);
	settle(st, c);
	return done(st, c, REASON_SUBFLOW_OWN);
}

/* What breaks a subflow but not the connection: it is reset, its data goes elsewhere. */
static struct engine_result broken(struct step *st, struct conn *c, struct subflow *s)
{
	addresses_failed(st, c, s->path, addresses_peer_id(st->e, c, &s->net),
			 join_stripped(st, c, s));
	subflow_abort(st, c, s, MP_TCPRST_MIDDLEBOX, REASON_SUBFLOW_RESET);
	settle(st, c);
	return done(st, c, REASON_SUBFLOW_OWN);
}

static bool others_answer(struct engine *e, const struct conn *c, const struct subflow *but)
{
	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next) {
		const struct subflow *s = subflow_at(e, k);

		if (s != but && !s->leaving && sender_alive(e, s))
			return true;
	}
	return false;
}

/*
 * A middlebox removes the peer's options: what is sent here is never DATA_ACKed, and goes again
 * and again (RFC 8684 section 3.7). Better on another subflow. One that acknowledges of its own
 * accord only comes before the peer.
 */
static bool stripped(struct step *st, const struct conn *c, const struct subflow *s)
{
	struct sender *x = s->sender == NONE ? NULL : sender_at(st->e, s->sender);

	if (!x)
		return false;
	if (st->o.mp.any)
		x->n_no_dss = 0;
	if (st->o.mp.any || st->p.payload_bytes > 0 || !seq_lt(s->snd_una, st->p.ack))
		return false;
	return fallback_no_dss(&x->n_no_dss, &x->no_dss_at_us, st->tick->now_us, x->srtt_us) &&
	       others_answer(st->e, c, s);
}

/* While the guest still owes what it sent before the hand-over, it needs to see SACK blocks. */
static void pass_dup_ack(struct step *st, struct conn *c, const struct subflow *s)
{
	struct multi *m = multi_at(st->e, c->multi);
	struct options_writer w;
	struct headers h;

	multi_begin_guest(st, c, &h, &w);
	if (c->sack && !s->remapped)
		emit_sack(st, &w, m->hand_seq + s->delta_freed, 0u - s->delta_freed, h.ack, 0);
	emit_guest(st, c, &h, &w, NULL, 0, REASON_ACK_TO_GUEST);
}

/*
 * The peer asks for room while the gate knows of none: the guest's word may be lost on its way
 * here, and it does not say it twice. Below what it expects: it answers (RFC 9293 section 3.8.6.1).
 */
static void ask_guest(struct step *st, struct conn *c)
{
	struct options_writer w;
	struct headers h;

	if (c->peer_fin || !seq_lt(c->told_peer_edge_seq, c->acked_seq + MULTI_SHUT_BYTES))
		return;
	multi_begin_guest(st, c, &h, &w);
	h.seq = c->acked_seq - 1;
	emit_guest(st, c, &h, &w, NULL, 0, REASON_ACK_TO_GUEST);
}

static void subflow_fin(struct step *st, struct conn *c, struct subflow *s)
{
	uint32_t end = st->p.seq + st->p.payload_bytes;

	receive_bytes(s, end, end, true);
	if (!s->fin_received)
		return;
	multi_ack(st, c, s, 0);
	if (!c->peer_fin && !s->leaving) {
		s->leaving = REASON_SUBFLOW_CLOSED_BY_PEER;
		c->join_at_us = 0;
	}
}

static struct engine_result established(struct step *st, struct conn *c, struct subflow *s)
{
	struct multi *m = multi_at(st->e, c->multi);
	uint32_t una = c->una_seq, edge = c->told_guest_edge_seq;
	/* A keepalive, or a gate without room (RFC 9293 sections 3.8.4, 3.8.6.1). */
	bool probe = st->p.payload_bytes == 0 && !(st->p.flags & TCP_FIN) &&
		     st->p.seq == s->rcv_nxt - 1 && !s->fin_received;
	/* The guest has all of it: our DATA_ACK got lost. */
	bool fin_again = c->peer_fin_acked && st->p.payload_bytes == 0 && st->o.mp.has_dss &&
			 st->o.mp.dss.data_fin;
	bool sent = false;
	enum reason reason;

	if (s->sender != NONE)
		sender_at(st->e, s->sender)->unheard = sender_at(st->e, s->sender)->mute = false;
	if (stripped(st, c, s))
		return broken(st, c, s);
	from_net_take_data_ack(st, c, s);
	addresses_on_packet(st, c, s);
	if (s->sender != NONE)
		sender_on_ack(st, c, s);
	else if (seq_lt(s->snd_una, st->p.ack))
		s->snd_una = st->p.ack;
	subflow_fin_acked(st, c, s);
	if (st->o.has_timestamps && seq_le(st->p.seq, s->acked_ssn))
		s->ts_recent = st->o.tsval;
	s->from_net_bytes += st->p.payload_bytes;
	if (c->una_seq != una)
		to_net_acked(st, c);
	reason = to_guest_take(st, c, s, &sent);
	if (reason == REASON_FALLBACK_UNMAPPED)
		return broken(st, c, s);
	/* The subflow is gone, or the connection. */
	if (reason == REASON_FALLBACK_CHECKSUM) {
		if (c->state == CONN_ESTABLISHED)
			settle(st, c);
		return done(st, c, reason);
	}
	if (st->p.flags & TCP_FIN)
		subflow_fin(st, c, s);
	if (probe || fin_again)
		multi_ack(st, c, s, 0);
	data_ack_again(st, c, s);
	/* Linux asks by a byte that the guest has. */
	if (!sent && (probe || st->p.payload_bytes > 0))
		ask_guest(st, c);
	multi_push(st, c);
	if (reason == REASON_NONE)
		reason = c->una_seq != una ? REASON_ACK_TO_GUEST : REASON_ACK_HELD;
	if (c->state == CONN_ESTABLISHED &&
	    !(c->guest_fin_acked && c->peer_fin_acked && c->una_seq == una)) {
		if (!sent && seq_lt(una, m->hand_seq) && s->initial && st->o.n_sack)
			pass_dup_ack(st, c, s);
		else if (!sent && (c->una_seq != una || c->told_guest_edge_seq != edge))
			ack_guest(st, c);
	}
	conn_close_check(st, c);
	path_manager_check(st, c);
	return done(st, c, reason);
}

struct engine_result multi_from_net(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	const struct mptcp *m = &st->o.mp;

	if (subflow_joins(s))
		return join_packet(st, c, s);
	if ((p->flags & TCP_RST) || (m->has_fastclose && (p->flags & TCP_ACK)))
		return net_rst(st, c, s);
	if ((p->flags & TCP_SYN) && (p->flags & TCP_ACK)) {
		multi_ack(st, c, s, 0); /* the peer repeats its part of the handshake */
		return done(st, c, REASON_JOIN_SUBFLOW);
	}
	if ((p->flags & TCP_SYN) || !(p->flags & TCP_ACK))
		return done(st, c, REASON_DROP_BAD_FLAGS);
	if (s->passive && m->has_join && p->payload_bytes == 0 && p->seq == s->irs + 1) {
		multi_ack(st, c, s, 0); /* the peer did not get the fourth ACK */
		return done(st, c, REASON_JOIN_SUBFLOW);
	}
	if (!from_net_plausible(c, s, p))
		return done(st, c, REASON_DROP_OUT_OF_WINDOW);
	if (s->initial || c->ttl[ENGINE_NET] == 0)
		emit_look(c, ENGINE_NET, p);
	if (seq_lt(s->snd_nxt, p->ack))
		return done(st, c, REASON_DROP_ACK_BEYOND);
	if (m->has_fail || (m->has_dss && m->dss.has_map && m->dss.map_len == 0))
		return broken(st, c, s);
	return established(st, c, s);
}
