/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fallback.c - connections that stopped being Multipath TCP (RFC 8684 section 3.7).
 *
 * The initial subflow keeps the guest's and the peer's own sequence numbers, so a connection that
 * falls back usually needs no rewriting at all and leaves for the kernel. Only where data was
 * mapped a second time do the legs differ, each direction by one constant from then on.
 */
#include "base/seq.h"
#include "engine/claims.h"
#include "engine/conn.h"
#include "engine/emit.h"
#include "engine/mapping.h"
#include "engine/receive.h"

/*
 * Options are removed when so many acknowledgements of data in a row have no DSS, and for so long
 * that it is not a proxy being quicker than the peer.
 */
#define NO_DSS_MAX 3
#define NO_DSS_US 500000
#define MP_FAIL_AGAIN_US 50000 /* or a round trip: what is in flight cannot know yet */

bool fallback_no_dss(uint8_t *count, uint64_t *since_us, uint64_t now_us, uint32_t rtt_us)
{
	if (*count == 0)
		*since_us = now_us;
	if (*count < NO_DSS_MAX)
		++*count;
	return *count == NO_DSS_MAX && now_us - *since_us >= NO_DSS_US + 2ull * rtt_us;
}

enum reason fallback_check(struct step *st, struct conn *c)
{
	const struct mptcp *m = &st->o.mp;
	const struct packet *p = &st->p;

	if (m->has_dss && m->dss.has_map && m->dss.map_len == 0)
		return REASON_FALLBACK_INFINITE;
	if (m->has_dss || m->has_add_addr) {
		c->confirmed |= m->has_add_addr || m->dss.has_ack;
		c->no_dss_count = 0;
		return REASON_NONE;
	}
	if (c->failing || c->infinite)
		return c->failing ? REASON_FALLBACK_CHECKSUM : REASON_FALLBACK_MP_FAIL;
	/*
	 * REMOVE_ADDR and MP_PRIO may come without DSS: nothing removes options there. As first
	 * words that we hear (what was before them got lost): nobody says them who has fallen back.
	 */
	if (m->has_fail || m->has_remove_addr || m->has_prio)
		return REASON_NONE;
	/* A responder has seen the keys in the third ACK; this one acknowledges nothing new. */
	if (!c->confirmed && c->responder && p->payload_bytes == 0 &&
	    seq_le(p->ack, conn_subflow(st->e, c)->snd_una))
		return REASON_NONE;
	/* Whatever its number: what stood before may be lost. Nothing was delivered yet. */
	if (!c->confirmed && !(p->flags & TCP_SYN))
		return p->payload_bytes ? REASON_FALLBACK_FIRST_DATA : REASON_FALLBACK_FIRST_ACK;
	if (p->payload_bytes > 0 || c->una_seq == c->max_seq)
		return REASON_NONE;
	return fallback_no_dss(&c->no_dss_count, &c->no_dss_at_us, st->tick->now_us, c->syn_rtt_us)
		       ? REASON_FALLBACK_FIRST_ACK
		       : REASON_NONE;
}

void fallback_mp_fail(struct step *st, struct conn *c, struct subflow *s, uint64_t dsn)
{
	uint64_t again_us = 2ull * c->syn_rtt_us;
	struct options_writer w;
	struct headers h;

	if (st->tick->now_us < c->fail_at_us)
		return;
	if (again_us < MP_FAIL_AGAIN_US)
		again_us = MP_FAIL_AGAIN_US;
	c->fail_at_us = st->tick->now_us + again_us;
	subflow_stay_single(st, c);
	emit_begin_net(st, s, false, &h, &w);
	h.seq = s->snd_nxt;
	h.ack = receive_ack(s, acked_data_seq(c), true);
	h.flags = TCP_ACK;
	h.window = emit_window_net(st->e, c);
	mp_fail_encode(&w, dsn);
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_FALLBACK_CHECKSUM);
}

void fallback_peer_fails(struct step *st, struct conn *c, struct subflow *s)
{
	if (!c->infinite && !c->failing)
		count(st->e, REASON_FALLBACK_MP_FAIL);
	if (!c->failing) {
		c->reason = REASON_FALLBACK_MP_FAIL;
		fallback_mp_fail(st, c, s, c->acked_dsn);
	}
	c->infinite = true;
	subflow_stay_single(st, c);
}

void conn_fallback(struct step *st, struct conn *c, enum reason reason)
{
	struct subflow *s = conn_subflow(st->e, c);

	subflow_stay_single(st, c);
	c->state = CONN_FALLBACK;
	claims_conn(st->e, c);
	event(st, ENGINE_EVENT_FALLBACK, c, reason);
	if (c->reason != reason) /* an MP_FAIL was counted when it came */
		count(st->e, reason);
	c->reason = (uint8_t)reason;
	if (s && !s->remapped && !s->shifted)
		deadline_set(st->e, c, st->tick->now_us + LINGER_PLAIN_US);
}

static void copy_options(struct step *st, struct options_writer *w, uint32_t sack_delta)
{
	static const uint8_t without[] = {TCPOPT_SACK, TCPOPT_MPTCP, 0};

	w->len_bytes = 0;
	options_copy(w, st->p.options, st->p.options_bytes, without);
	options_pad(w);
	emit_sack(st, w, st->p.ack + (1u << 30), sack_delta, st->p.ack + sack_delta, 0);
}

struct engine_result fallback_packet(struct step *st, struct conn *c)
{
	struct subflow *s = conn_subflow(st->e, c);
	uint32_t to_net, from_net;
	struct options_writer w;
	struct headers h;
	bool from_guest = st->in->from == ENGINE_GUEST;

	if (!s || (!s->remapped && !s->shifted))
		return verdict(ENGINE_ACCEPT, REASON_FALLBACK_PLAIN, conn_index(st->e, c));
	to_net = s->snd_nxt - mapping_end(st->e, c, s);
	from_net = s->shift[s->n_shifts - 1].delta;
	headers_from_packet(&h, &st->p);
	if (from_guest) {
		h.tuple = s->net;
		h.seq += to_net;
		h.ack += from_net;
		copy_options(st, &w, from_net);
		emit_net(st, c, s, &h, &w, st->p.payload, st->p.payload_bytes,
			 REASON_FALLBACK_SEGMENT);
	} else {
		h.tuple = flow_tuple_reverse(&c->guest);
		h.seq -= from_net;
		h.ack -= to_net;
		copy_options(st, &w, 0u - to_net);
		emit_guest(st, c, &h, &w, st->p.payload, st->p.payload_bytes,
			   REASON_FALLBACK_SEGMENT);
	}
	if (st->p.flags & TCP_RST)
		conn_close(st, c, true,
			   from_guest ? REASON_CLOSED_BY_GUEST_RST : REASON_CLOSED_BY_PEER_RST);
	return verdict(ENGINE_STOLEN, REASON_FALLBACK_SEGMENT, conn_index(st->e, c));
}
