/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fallback.c - connections that stopped being Multipath TCP (RFC 8684 section 3.7).
 *
 * The initial subflow keeps the guest's and the peer's own sequence numbers, so a connection that
 * falls back usually needs no rewriting at all and leaves for the kernel. Only where data was
 * mapped a second time do the legs differ, each direction by one constant from then on.
 */
#include "base/seq.h"
#include "engine/conn.h"
#include "engine/emit.h"
#include "engine/from_net.h"
#include "engine/receive.h"

void conn_fallback(struct step *st, struct conn *c, enum reason reason)
{
	struct subflow *s = conn_subflow(st->e, c);

	c->state = CONN_FALLBACK;
	c->reason = (uint8_t)reason;
	event(st, ENGINE_EVENT_FALLBACK, c, reason);
	count(st->e, reason);
	if (s && !s->remapped && !s->shifted)
		deadline_set(st->e, c, st->tick->now_us + LINGER_PLAIN_US);
}

static void copy_options(struct step *st, struct options_writer *w, uint32_t sack_delta)
{
	static const uint8_t without[] = {TCPOPT_SACK, TCPOPT_MPTCP, 0};

	w->len_bytes = 0;
	options_copy(w, st->p.options, st->p.options_bytes, without);
	options_pad(w);
	emit_sack(st, w, st->p.ack + (1u << 30), sack_delta, 0);
}

/*
 * Our MP_FAIL may have got lost: as long as the peer still maps, it is told again, and of what it
 * sends only what stands in its place goes on - old data mapped further on does not.
 */
static bool still_maps(struct step *st, struct conn *c, struct subflow *s)
{
	const struct mptcp *m = &st->o.mp;
	uint64_t dsn = m->dss.dsn64 ? m->dss.dsn : dsn_expand((uint32_t)m->dss.dsn, c->acked_dsn);
	uint32_t seq = seq_of_peer_dsn(c, dsn) + (st->p.seq - s->irs - m->dss.ssn);

	if (!m->has_dss || !m->dss.has_map || m->dss.map_len == 0 || m->has_fail) {
		c->failing = st->p.payload_bytes == 0 && !m->has_fail;
		return false;
	}
	from_net_mp_fail(st, c, s, dsn);
	return seq != st->p.seq;
}

struct engine_result fallback_packet(struct step *st, struct conn *c)
{
	struct subflow *s = conn_subflow(st->e, c);
	uint32_t to_net, from_net;
	struct options_writer w;
	struct headers h;
	bool from_guest = st->in->from == ENGINE_GUEST;

	if (c->failing && s && !from_guest && still_maps(st, c, s))
		return verdict(ENGINE_DROP, ENGINE_MARK_NONE, REASON_DROP_STATE,
			       conn_index(st->e, c));
	if (!s || (!s->remapped && !s->shifted))
		return verdict(ENGINE_ACCEPT, c->failing ? ENGINE_MARK_NONE : ENGINE_MARK_PLAIN,
			       REASON_FALLBACK_PLAIN, conn_index(st->e, c));
	to_net = s->snd_nxt - (c->max_seq - c->guest_fin);
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
	return verdict(ENGINE_STOLEN, ENGINE_MARK_NONE, REASON_FALLBACK_SEGMENT,
		       conn_index(st->e, c));
}
