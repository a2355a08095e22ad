/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * emit.c - see emit.h.
 */
#include "engine/emit.h"

#include "base/seq.h"
#include "engine/multi.h"
#include "engine/to_guest.h"
#include "engine/pmtu.h"
#include "engine/receive.h"
#include "engine/to_guest.h"

#define OWN_TTL 64

bool emit_room(const struct step *st, unsigned n)
{
	return st->outs->n_pkt + n <= st->outs->cap_pkt;
}

static const uint8_t without_sack_mptcp[] = {TCPOPT_SACK, TCPOPT_MPTCP, 0};

static void begin(struct step *st, bool from_packet, struct headers *h, struct options_writer *w)
{
	w->len_bytes = 0;
	if (!from_packet) {
		*h = (struct headers){.dont_fragment = true};
		return;
	}
	headers_from_packet(h, &st->p);
	/* Nothing but timestamps is usual; a full field leaves room for what must be added. */
	if (st->o.has_timestamps && st->p.options_bytes > 12 && st->o.n_sack == 0)
		options_put_timestamps(w, st->o.tsval, st->o.tsecr);
	else
		options_copy(w, st->p.options, st->p.options_bytes, without_sack_mptcp);
	options_pad(w);
}

uint32_t emit_tsval(const struct step *st, const struct subflow *s)
{
	if (s->ts_since_us == 0)
		return s->tsval; /* the guest's own clock */
	return s->tsval + (uint32_t)((st->tick->now_us - s->ts_since_us) / 1000);
}

uint32_t emit_own_ack_ssn(struct step *st, struct conn *c, struct subflow *s)
{
	struct engine *e = st->e;

	if (c->multi != NONE)
		return to_guest_ack_ssn(e, c, s);
	return s->initial && s->ts_since_us == 0 ? receive_ack(s, acked_data_seq(c), true)
						 : s->rcv_nxt;
}

void emit_begin_net(struct step *st, const struct subflow *s, bool from_packet, struct headers *h,
		    struct options_writer *w)
{
	begin(st, from_packet, h, w);
	if (!from_packet && s->timestamps)
		options_put_timestamps(w, emit_tsval(st, s), s->ts_recent);
	h->tuple = s->net;
}

void emit_begin_guest(struct step *st, const struct conn *c, bool from_packet, struct headers *h,
		      struct options_writer *w)
{
	begin(st, from_packet, h, w);
	h->tuple = flow_tuple_reverse(&c->guest);
}

void emit_sack(const struct step *st, struct options_writer *w, uint32_t limit, uint32_t delta,
	       uint32_t ack, unsigned reserve)
{
	struct sack_block b[OPTIONS_SACK_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < st->o.n_sack; i++) {
		uint32_t start = st->o.sack[i].start, end = seq_min(st->o.sack[i].end, limit);
		bool twice = seq_le(end, st->p.ack) && seq_lt(ack, end + delta);

		if (!twice && seq_lt(start, end) && 4 + 8 * (n + 1) + reserve <= options_room(w))
			b[n++] = (struct sack_block){start + delta, end + delta};
	}
	if (n > 0)
		options_put_sack(w, b, n);
}

void emit_look(struct conn *c, enum engine_side side, const struct packet *p)
{
	c->ttl[side] = p->ttl;
	c->look[side].dscp = p->tos >> 2;
	c->look[side].flow_label = p->flow_label & 0xfffff;
}

/*
 * The gate is a router: what it passes on has one hop less to go (RFC 1812 section 5.3.1), unless
 * the kernel sees to that. Segments of its own (ttl 0 so far) look like those around them.
 */
static void dress(struct headers *h, const struct conn *c, enum engine_side side, bool routed)
{
	if (h->ttl == 0) {
		h->ttl = c->ttl[side] ? c->ttl[side] : OWN_TTL;
		h->tos = (uint8_t)(c->look[side].dscp << 2);
		h->flow_label = c->look[side].flow_label;
	}
	if (!routed)
		h->ttl--;
}

static struct engine_out *put(struct step *st, struct headers *h, struct options_writer *w,
			      const uint8_t *payload, uint32_t payload_bytes, enum reason reason)
{
	struct engine_out *out;
	unsigned n;

	if (!emit_room(st, 1)) {
		count(st->e, REASON_DROP_OUTPUT_FULL);
		return NULL;
	}
	out = &st->outs->pkt[st->outs->n_pkt];
	options_pad(w);
	h->options = w->buf;
	h->options_bytes = w->len_bytes;
	n = headers_encode(out->hdr, h, payload_bytes, &out->ip_bytes);
	if (n == 0) {
		count(st->e, REASON_DROP_BAD_HEADER);
		return NULL;
	}
	out->hdr_bytes = (uint8_t)n;
	out->payload = payload_bytes ? payload : NULL;
	out->payload_bytes = payload_bytes;
	out->reason = (uint8_t)reason;
	out->whole = false;
	st->outs->n_pkt++;
	return out;
}

bool emit_net(struct step *st, struct conn *c, struct subflow *s, struct headers *h,
	      struct options_writer *w, const uint8_t *payload, uint32_t payload_bytes,
	      enum reason reason)
{
	struct engine_out *out;

	dress(h, c, ENGINE_GUEST, st->e->cfg.path[s->path].routed);
	/* A router may choose by addresses and label alone (RFC 6438): the paths must differ. */
	if (!s->initial && h->flow_label)
		h->flow_label ^= s->iss & 0xfffff;
	out = put(st, h, w, payload, payload_bytes, reason);
	if (!out)
		return false;
	if (s->mtu_until_us < st->tick->now_us)
		s->mtu_bytes = 0;
	out->side = ENGINE_NET;
	out->index = s->path;
	out->conn = conn_index(st->e, c);
	out->gso_size_bytes = (uint16_t)(pmtu_bytes(st->e, s) - out->hdr_bytes);
	/* RFC 9293 section 3.7.1: options count against the peer's MSS. */
	if (s->peer_mss > w->len_bytes && out->gso_size_bytes > s->peer_mss - w->len_bytes)
		out->gso_size_bytes = (uint16_t)(s->peer_mss - w->len_bytes);
	s->to_net_bytes += payload_bytes;
	st->e->path_pkts[s->path][ENGINE_NET]++;
	st->e->path_bytes[s->path][ENGINE_NET] += payload_bytes;
	return true;
}

bool emit_guest(struct step *st, struct conn *c, struct headers *h, struct options_writer *w,
		const uint8_t *payload, uint32_t payload_bytes, enum reason reason)
{
	struct engine_out *out;

	dress(h, c, ENGINE_NET, st->e->cfg.guests_routed);
	out = put(st, h, w, payload, payload_bytes, reason);
	if (!out)
		return false;
	out->side = ENGINE_GUEST;
	out->index = c->guest_if;
	out->conn = conn_index(st->e, c);
	out->gso_size_bytes = (uint16_t)(c->guest_mss - w->len_bytes);
	c->to_guest_bytes += payload_bytes;
	return true;
}

struct dss emit_data_ack(const struct conn *c)
{
	return (struct dss){.has_ack = true, .ack64 = c->dsn64_seen, .data_ack = c->acked_dsn};
}

static uint16_t window_field(uint32_t edge, uint32_t ack, uint8_t wscale)
{
	uint32_t room = seq_lt(ack, edge) ? (edge - ack) >> wscale : 0;

	return room > UINT16_MAX ? UINT16_MAX : (uint16_t)room;
}

uint16_t emit_window_net(struct engine *e, const struct conn *c)
{
	uint32_t edge = c->multi == NONE ? c->told_peer_edge_seq : to_guest_edge_seq(e, c);

	return window_field(edge, c->acked_seq, c->guest_wscale);
}

uint16_t emit_window_guest(const struct conn *c)
{
	return window_field(c->told_guest_edge_seq, c->una_seq, c->peer_wscale);
}

bool emit_own_ack(struct step *st, struct conn *c, struct subflow *s, uint32_t ssn, uint8_t flags,
		  enum reason reason)
{
	struct dss d = emit_data_ack(c);
	struct options_writer w;
	struct headers h;

	emit_begin_net(st, s, false, &h, &w);
	h.seq = ssn;
	h.ack = emit_own_ack_ssn(st, c, s);
	h.flags = TCP_ACK | flags;
	h.window = emit_window_net(st->e, c);
	if (flags & TCP_RST)
		mp_fastclose_encode(&w, c->key_peer);
	else
		dss_encode(&w, &d);
	return emit_net(st, c, s, &h, &w, NULL, 0, reason);
}

void emit_ack_guest(struct step *st, struct conn *c, const struct subflow *s)
{
	struct options_writer w;
	struct headers h;

	/* With several subflows the guest's leg has a clock of its own. */
	if (c->multi != NONE) {
		multi_ack_guest(st, c);
		return;
	}
	emit_begin_guest(st, c, false, &h, &w);
	if (c->timestamps && c->state == CONN_CLOSED)
		options_put_timestamps(&w, c->synack_tsval, c->synack_tsecr);
	else if (c->timestamps && s)
		options_put_timestamps(&w, s->ts_recent, s->tsval);
	h.seq = c->sent_seq;
	h.ack = c->una_seq;
	h.window = emit_window_guest(c);
	h.flags = TCP_ACK;
	emit_guest(st, c, &h, &w, NULL, 0, REASON_ACK_TO_GUEST);
}

void emit_rst_back(struct step *st, const struct mp_tcprst *why, enum reason reason)
{
	const struct packet *p = &st->p;
	struct options_writer w = {0};
	struct headers h = {.ttl = OWN_TTL, .dont_fragment = true};
	struct engine_out *out;

	if (p->flags & TCP_RST)
		return;
	h.tuple = flow_tuple_reverse(&p->tuple);
	if (p->flags & TCP_ACK) {
		h.flags = TCP_RST;
		h.seq = p->ack;
	} else {
		h.flags = TCP_RST | TCP_ACK;
		h.ack = p->seq + p->payload_bytes + !!(p->flags & TCP_FIN) + !!(p->flags & TCP_SYN);
	}
	if (why)
		mp_tcprst_encode(&w, why);
	out = put(st, &h, &w, NULL, 0, reason);
	if (!out)
		return;
	out->side = st->in->from;
	out->index = st->in->from == ENGINE_GUEST ? st->in->guest_if : st->in->path;
	out->conn = ENGINE_NO_CONN;
	out->gso_size_bytes = 0;
}
