/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmtu.c - see pmtu.h.
 *
 * Super-segments are cut by the subflow's MTU whatever the guest believes, so the guest need not
 * know; it is told because only it can send again at once what the router threw away. With DSS
 * checksums it is not: the peer takes a mapping only whole, so what was one segment of the guest's
 * must stay one when it comes again.
 */
#include "engine/pmtu.h"

#include "base/seq.h"
#include "engine/conn.h"
#include "engine/flow_table.h"
#include "engine/mapping.h"
#include "engine/sender.h"
#include "wire/icmp.h"

#define MTU_DEFAULT 1500
#define MTU_MIN_IPV4 576 /* what every host must take (RFC 791); less would be an attack */
#define MTU_MIN_IPV6 1280
#define FORGET_US (600ull * 1000000) /* RFC 1191 section 6.3: try larger after ten minutes */

uint32_t pmtu_bytes(const struct engine *e, const struct subflow *s)
{
	uint32_t path = e->cfg.path[s->path].mtu_bytes;

	if (path == 0)
		path = MTU_DEFAULT;
	return s->mtu_bytes && s->mtu_bytes < path ? s->mtu_bytes : path;
}

uint32_t pmtu_payload_bytes(const struct subflow *s, uint32_t mtu_bytes)
{
	uint32_t headers = s->net.family == FLOW_IPV4 ? 40 : 60;

	return mtu_bytes - headers - (s->timestamps ? 12 : 0) - MPTCP_ROOM_BYTES;
}

/* The guest's sequence number of what the subflow sent at ssn. */
static uint32_t guest_seq(struct engine *e, const struct subflow *s, uint32_t ssn)
{
	for (uint32_t i = s->map_head; i != NONE; i = mapping_at(e, i)->next) {
		const struct mapping *m = mapping_at(e, i);

		if (ssn - m->ssn < (uint32_t)m->len_bytes * m->count)
			return m->seq + (ssn - m->ssn);
	}
	return ssn - s->delta_freed;
}

static bool tell_guest(struct step *st, const struct conn *c, const struct subflow *s,
		       struct icmp_too_big *m)
{
	struct engine_out *out;

	if (st->outs->n_pkt >= st->outs->cap_pkt)
		return false;
	out = &st->outs->pkt[st->outs->n_pkt++];
	m->seq = guest_seq(st->e, s, m->seq);
	m->about = c->guest;
	m->mtu_bytes = s->mtu_bytes - MPTCP_ROOM_BYTES;
	*out = (struct engine_out){.side = ENGINE_GUEST,
				   .index = c->guest_if,
				   .whole = true,
				   .reason = REASON_ICMP_TO_GUEST,
				   .conn = conn_index(st->e, c)};
	out->hdr_bytes = (uint8_t)icmp_too_big_encode(out->hdr, m);
	return true;
}

struct engine_result pmtu_packet(struct step *st)
{
	struct engine_result pass = verdict(ENGINE_ACCEPT, REASON_PLAIN_NOT_TCP, ENGINE_NO_CONN);
	struct icmp_too_big m;
	struct subflow *s;
	struct conn *c;
	uint32_t least;

	if (st->in->from != ENGINE_NET || !icmp_too_big_decode(&m, st->in->data, st->in->len_bytes))
		return pass;
	s = subflow_find(st->e, &m.about);
	if (!s)
		return pass;
	c = conn_at(st->e, s->conn);
	pass.conn = s->conn;
	/* RFC 5927 section 7.2: about something in flight, or it is not believed. */
	if (c->state != CONN_ESTABLISHED || seq_lt(m.seq, s->snd_una) ||
	    !seq_lt(m.seq, s->snd_nxt)) {
		pass.verdict = ENGINE_DROP;
		pass.reason = REASON_DROP_STATE;
		return pass;
	}
	least = m.family == FLOW_IPV4 ? MTU_MIN_IPV4 : MTU_MIN_IPV6;
	s->mtu_bytes = (uint16_t)(m.mtu_bytes < least   ? least
				  : m.mtu_bytes > 65535 ? 65535
							: m.mtu_bytes);
	s->mtu_until_us = st->tick->now_us + FORGET_US;
	if (s->sender != NONE)
		sender_too_big(st, c, s);
	/* What only the guest can send again it must know of. */
	if (!c->checksum &&
	    (s->sender == NONE || scoreboard_foreign(st->e, sender_at(st->e, s->sender))))
		tell_guest(st, c, s, &m);
	if (c->multi != NONE)
		conn_deadline(st, c);
	pass.verdict = ENGINE_STOLEN;
	pass.reason = REASON_ICMP_TO_GUEST;
	return pass;
}
