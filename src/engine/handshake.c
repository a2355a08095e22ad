/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handshake.c - the MP_CAPABLE handshake of the initiator (RFC 8684 section 3.1) and the first
 * stages of fallback (section 3.7).
 *
 * The guest's SYN keeps its initial sequence number and the SYN/ACK keeps the peer's: the initial
 * subflow is, number for number, the guest's own connection, so a peer without MPTCP costs
 * nothing: the connection is marked plain and runs in the kernel.
 */
#include "engine/handshake.h"

#include "base/seq.h"
#include "engine/claims.h"
#include "engine/conn.h"
#include "engine/crypto.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/join_accept.h"
#include "engine/policy.h"
#include "engine/responder.h"

#define TOKEN_TRIES 4

static struct engine_result plain(struct step *st, enum reason reason)
{
	struct conn *c = conn_find(st->e, &st->p.tuple);

	if (c)
		conn_free(st, c, reason);
	event(st, ENGINE_EVENT_PLAIN, NULL, reason);
	return verdict(ENGINE_ACCEPT, reason, ENGINE_NO_CONN);
}

uint16_t handshake_mss(const struct step *st)
{
	if (st->o.has_mss)
		return st->o.mss;
	return st->p.tuple.family == FLOW_IPV4 ? MSS_DEFAULT_IPV4 : MSS_DEFAULT_IPV6;
}

void handshake_replace(struct step *st, const struct options_writer *w, struct engine_result *r)
{
	struct headers h;
	uint8_t ip_bytes;
	unsigned n;

	headers_from_packet(&h, &st->p);
	h.options = w->buf;
	h.options_bytes = w->len_bytes;
	n = headers_encode(r->replacement, &h, 0, &ip_bytes);
	headers_checksum_complete(r->replacement, n, ip_bytes, NULL, 0);
	r->replacement_bytes = (uint8_t)n;
	r->verdict = ENGINE_REPLACE;
}

enum reason handshake_plain_options(const struct step *st)
{
	const struct options *o = &st->o;

	if (o->has_md5)
		return REASON_PLAIN_MD5;
	if (o->has_ao)
		return REASON_PLAIN_AO;
	if (o->has_fastopen || st->p.payload_bytes > 0)
		return REASON_PLAIN_TFO;
	return REASON_NONE;
}

/* Why this SYN must stay plain; REASON_NONE when it need not. */
static enum reason syn_check(struct step *st)
{
	enum reason reason = handshake_plain_options(st);

	if (st->o.overrun)
		return REASON_DROP_BAD_OPTION;
	if (st->o.mp.any)
		return REASON_PLAIN_GUEST_MPTCP;
	if (reason != REASON_NONE)
		return reason;
	if (st->in->path >= st->e->cfg.n_paths)
		return REASON_PLAIN_NO_PATH;
	if (policy_use(st->e, &st->p.tuple, false) == ENGINE_NEVER)
		return REASON_PLAIN_POLICY;
	if (blackhole_check(st->e, &st->p.tuple, st->in->path, st->tick->now_us))
		return REASON_PLAIN_BLACKHOLE;
	return REASON_NONE;
}

enum reason handshake_key(struct step *st, struct conn *c)
{
	for (int i = 0; i < TOKEN_TRIES; i++) {
		struct engine_random *r = st->tick->random;
		uint64_t idsn;

		if (r->n == 0)
			return REASON_PLAIN_NO_RANDOM;
		c->key_local = r->word[--r->n];
		crypto_key_derive(c->key_local, &c->token_local, &idsn);
		if (c->key_local == 0 || c->token_local == 0 ||
		    conn_find_token(st->e, c->token_local))
			continue;
		conn_add_token(st->e, c);
		c->una_dsn = idsn + 1;
		return REASON_NONE;
	}
	return REASON_FALLBACK_TOKEN;
}

static void syn_remember(struct step *st, struct conn *c)
{
	const struct options *o = &st->o;

	c->syn_count = 1;
	c->syn_us = st->tick->now_us;
	c->policy = policy_use(st->e, &st->p.tuple, false);
	c->path = st->in->path;
	c->checksum = st->e->cfg.checksum;
	c->guest_isn = st->p.seq;
	c->una_seq = c->max_seq = st->p.seq + 1;
	c->guest_wscale = o->has_wscale ? o->wscale : 0;
	c->timestamps = o->has_timestamps;
	c->sack = o->has_sack_permitted;
	c->guest_mss = st->p.tuple.family == FLOW_IPV4 ? MSS_DEFAULT_IPV4 : MSS_DEFAULT_IPV6;
	if (o->has_mss && o->mss >= MSS_MIN)
		c->guest_mss = o->mss;
}

/*
 * A SYN sent again. The third goes without MP_CAPABLE, as Linux does it: something on the way may
 * swallow SYNs that carry it.
 */
static struct engine_result syn_again(struct step *st, struct conn *c, struct engine_result *r,
				      const struct options_writer *w)
{
	if (c->state == CONN_ESTABLISHED || ++c->syn_count <= SYNS_WITH_MP_CAPABLE) {
		handshake_replace(st, w, r);
		return *r;
	}
	c->syn_plain = true;
	return verdict(ENGINE_ACCEPT, REASON_PLAIN_SYN_RETRIES, r->conn);
}

/*
 * A guest that lost its state, or somebody who forges its address. The acknowledgement tells them
 * apart: the real one answers with a RST and then its SYN is a new connection's.
 */
static struct engine_result challenge(struct step *st, struct conn *c)
{
	emit_ack_guest(st, c, conn_subflow(st->e, c));
	return verdict(ENGINE_DROP, REASON_DROP_SYN_CHALLENGED, conn_index(st->e, c));
}

static struct engine_result guest_syn(struct step *st)
{
	struct engine *e = st->e;
	struct conn *c = conn_find(e, &st->p.tuple);
	struct engine_result r = verdict(ENGINE_REPLACE, REASON_SYN_MP_CAPABLE, ENGINE_NO_CONN);
	struct options_writer w = {0};
	struct mp_capable mpc = {.version = 1,
				 .flags = MP_CAPABLE_HMAC_SHA256 |
					  (e->cfg.checksum ? MP_CAPABLE_CHECKSUM : 0)};
	enum reason reason = syn_check(st);
	/* For the guest: its next connection, of a copy of it, may begin with the same number. */
	bool over = c && c->guest_fin_acked && c->peer_fin_acked;

	if (reason == REASON_DROP_BAD_OPTION)
		return verdict(ENGINE_DROP, reason, ENGINE_NO_CONN);
	if (st->o.mp.any)
		join_accept_guest_speaks(e);
	/* What stands already is not for a new rule to end, and less for a forged SYN. */
	if (reason != REASON_NONE && c && c->state == CONN_ESTABLISHED && !over)
		return challenge(st, c);
	if (reason != REASON_NONE)
		return plain(st, reason);
	if (!options_copy(&w, st->p.options, st->p.options_bytes, NULL))
		return plain(st, REASON_PLAIN_NO_ROOM);
	options_pad(&w);
	if (!mp_capable_encode(&w, &mpc))
		return plain(st, REASON_PLAIN_NO_ROOM);
	options_pad(&w);
	if (c && (c->state == CONN_SYN_SENT || c->state == CONN_ESTABLISHED) &&
	    c->guest_isn == st->p.seq && !over) {
		r.conn = conn_index(e, c);
		return syn_again(st, c, &r, &w);
	}
	if (c && c->state == CONN_ESTABLISHED && !over)
		return challenge(st, c);
	if (c)
		conn_free(st, c, REASON_CLOSED_REUSED);
	c = conn_new(st, &st->p.tuple);
	if (!c)
		return plain(st, REASON_PLAIN_TABLE_FULL);
	reason = handshake_key(st, c);
	if (reason != REASON_NONE)
		return plain(st, reason);
	syn_remember(st, c);
	r.conn = conn_index(e, c);
	handshake_replace(st, &w, &r);
	return r;
}

/* The peer's MP_CAPABLE in the SYN/ACK: version 1, H alone of the algorithms, B not set. */
static bool capable_valid(const struct mptcp *m)
{
	const struct mp_capable *k = &m->capable;

	return m->has_capable && !m->invalid && !m->duplicate && k->version == 1 &&
	       k->n_keys == 1 && k->sender_key != 0 && !(k->flags & MP_CAPABLE_EXTENSIBILITY) &&
	       (k->flags & 0x1f) == MP_CAPABLE_HMAC_SHA256;
}

static void synack_remember(struct step *st, struct conn *c)
{
	const struct mp_capable *k = &st->o.mp.capable;
	uint64_t idsn;

	crypto_key_derive(k->sender_key, &c->token_peer, &idsn);
	c->key_peer = k->sender_key;
	c->acked_dsn = idsn + 1;
	c->checksum |= !!(k->flags & MP_CAPABLE_CHECKSUM);
	c->no_join = k->flags & MP_CAPABLE_NO_JOIN;
	c->peer_isn = st->p.seq;
	c->acked_seq = c->sent_seq = st->p.seq + 1;
	c->peer_wscale = st->o.has_wscale ? st->o.wscale : 0;
	if (!st->o.has_wscale)
		c->guest_wscale = 0; /* RFC 7323 section 2.2: both or none */
	c->timestamps &= st->o.has_timestamps;
	c->sack &= st->o.has_sack_permitted;
	c->peer_mss = handshake_mss(st);
	if (c->syn_count == 1)
		c->syn_rtt_us = (uint32_t)(st->tick->now_us - c->syn_us);
	c->synack_tsval = st->o.tsval;
	c->synack_tsecr = st->o.tsecr;
	/* Windows in SYNs are never scaled. */
	c->told_guest_edge_seq = c->una_seq + st->p.window;
	c->told_peer_edge_seq = c->acked_seq;
	c->guest_if = st->in->guest_if;
}

bool handshake_strip(struct step *st, bool lower, struct engine_result *r)
{
	static const uint8_t without[] = {TCPOPT_MPTCP, 0};
	struct options_writer w = {0};
	uint16_t mss = handshake_mss(st);

	if (!st->o.has_mss && lower && !options_put_mss(&w, mss))
		return false;
	if (!options_copy(&w, st->p.options, st->p.options_bytes, without))
		return false;
	if (lower && mss < MSS_MIN + MPTCP_ROOM_BYTES)
		return false;
	if (lower)
		options_set_mss(&w, (uint16_t)(mss - MPTCP_ROOM_BYTES));
	options_pad(&w);
	handshake_replace(st, &w, r);
	return true;
}

static struct engine_result synack_plain(struct step *st, struct conn *c, enum reason reason)
{
	struct engine_result r = verdict(ENGINE_ACCEPT, reason, ENGINE_NO_CONN);

	if (c->syn_plain)
		blackhole_add(st->e, &c->guest, c->path, st->tick->now_us);
	event(st, ENGINE_EVENT_PLAIN, c, reason);
	conn_free(st, c, reason);
	if (st->o.mp.any)
		handshake_strip(st, false, &r);
	return r;
}

static struct engine_result net_synack(struct step *st)
{
	struct engine *e = st->e;
	struct flow_tuple guest = flow_tuple_reverse(&st->p.tuple);
	struct conn *c = conn_find(e, &guest);
	struct engine_result r;

	if (!c)
		return verdict(ENGINE_ACCEPT, REASON_PLAIN_UNKNOWN, ENGINE_NO_CONN);
	r = verdict(ENGINE_ACCEPT, REASON_DROP_STATE, conn_index(e, c));
	if (st->p.ack != c->guest_isn + 1)
		return r; /* of an older connection: the guest answers with RST */
	if (c->state == CONN_ESTABLISHED) {
		if (st->p.seq == c->peer_isn && handshake_strip(st, true, &r))
			r.reason = REASON_SYNACK_CONVERTED;
		return r;
	}
	if (c->state != CONN_SYN_SENT)
		return r;
	if (c->syn_plain)
		return synack_plain(st, c, REASON_PLAIN_SYN_RETRIES);
	if (st->o.overrun || (st->o.mp.any && !capable_valid(&st->o.mp)))
		return synack_plain(st, c, REASON_FALLBACK_SYNACK_INVALID);
	if (!st->o.mp.any)
		return synack_plain(st, c, REASON_FALLBACK_SYNACK);
	if (!handshake_strip(st, true, &r))
		return synack_plain(st, c, REASON_PLAIN_NO_MSS_ROOM);
	synack_remember(st, c);
	blackhole_rm(e, &c->guest, c->path);
	c->state = CONN_ASKED;
	r.reason = REASON_SYNACK_CONVERTED;
	e->pending = r;
	r.verdict = ENGINE_ASK;
	r.ask = c->guest;
	return r;
}

struct engine_result handshake_translated(struct step *st, struct conn *c,
					  const struct flow_tuple *net)
{
	struct engine_result r = st->e->pending;
	struct subflow *s;

	if (c->responder)
		return responder_translated(st, c, net);
	s = net ? subflow_initial(st, c, net) : NULL;

	if (!s) {
		/* The peer sees an ACK without MP_CAPABLE and falls back as well. */
		r.reason = net ? REASON_PLAIN_TABLE_FULL : REASON_FALLBACK_TRANSLATION;
		event(st, ENGINE_EVENT_PLAIN, c, (enum reason)r.reason);
		conn_free(st, c, (enum reason)r.reason);
		r.conn = ENGINE_NO_CONN;
		return r;
	}
	c->state = CONN_ESTABLISHED;
	claims_conn(st->e, c);
	return r;
}

/* The peer refuses the connection, or somebody pretends so: the guest's TCP judges. */
static struct engine_result net_rst(struct step *st, struct conn *c)
{
	if (!c || c->state != CONN_SYN_SENT || st->p.ack != c->guest_isn + 1)
		return verdict(ENGINE_ACCEPT, REASON_PLAIN_UNKNOWN, ENGINE_NO_CONN);
	conn_free(st, c, REASON_CLOSED_REFUSED);
	return verdict(ENGINE_ACCEPT, REASON_CLOSED_REFUSED, ENGINE_NO_CONN);
}

struct engine_result handshake_packet(struct step *st)
{
	uint8_t flags = st->p.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	struct flow_tuple reverse = flow_tuple_reverse(&st->p.tuple);
	struct conn *c;

	if (flags == TCP_SYN && st->in->from == ENGINE_GUEST)
		return guest_syn(st);
	if (flags == (TCP_SYN | TCP_ACK) && st->in->from == ENGINE_NET)
		return net_synack(st);
	if (flags == (TCP_RST | TCP_ACK) && st->in->from == ENGINE_NET)
		return net_rst(st, conn_find(st->e, &reverse));
	if (!(flags & TCP_SYN) || (flags & (TCP_RST | TCP_FIN)))
		return verdict(ENGINE_DROP, REASON_DROP_BAD_FLAGS, ENGINE_NO_CONN);
	if (st->in->from == ENGINE_GUEST)
		return responder_synack(st);
	c = conn_find(st->e, &reverse);
	if (c && c->state == CONN_SYN_SENT) {
		conn_free(st, c, REASON_PLAIN_SIMULTANEOUS_OPEN);
		return verdict(ENGINE_ACCEPT, REASON_PLAIN_SIMULTANEOUS_OPEN, ENGINE_NO_CONN);
	}
	return responder_syn(st, c);
}
