/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * responder.c - see responder.h.
 *
 * Theory. The client's SYN goes to the guest without MP_CAPABLE, the guest's SYN/ACK to the client
 * with MP_CAPABLE and a key of ours; both keep their sequence numbers, so until the third ACK the
 * connection is the guest's and the client's own, and whoever drops out of this dance (a client
 * that falls back, a middlebox that strips options, a record of ours that expired) leaves a plain
 * TCP connection behind that needs nothing. Only the third ACK, which repeats our key, makes it
 * ours: what was never proved is never converted.
 *
 * R1  Until the third ACK the claim is HALF: the daemon sees the packets, but none waits for it
 *     (with the daemon dead they pass, and the connection is plain, unless the client heard nothing
 *     without options and asks again: then the guest may have bytes that nobody here knows of).
 * R2  Records in SYN_RECEIVED or SYNACK_SENT are at most 1/HALF_OPEN_SHARE of all, and live
 *     HALF_OPEN_US beyond the last SYN or SYN/ACK. A flood of SYNs fills this share and no more;
 *     at the bound new connections stay plain, with their SYN untouched, and are counted.
 * R3  The guest may use SYN cookies: nothing here depends on its state, and a SYN/ACK with another
 *     sequence number replaces the one before.
 */
#include "engine/responder.h"

#include "base/seq.h"
#include "engine/claims.h"
#include "engine/conn.h"
#include "engine/crypto.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/from_net.h"
#include "engine/handshake.h"
#include "engine/path_manager.h"
#include "engine/join_accept.h"
#include "engine/policy.h"

#define HALF_OPEN_SHARE 8
#define HALF_OPEN_MIN 16
#define HALF_OPEN_US (10ull * 1000000)
#define UNHEARD_US 180000ull

static bool half_open_room(const struct engine *e)
{
	uint32_t most = e->cfg.max_connections / HALF_OPEN_SHARE;

	return e->n_half_open < (most < HALF_OPEN_MIN ? HALF_OPEN_MIN : most);
}

bool responder_half_open(const struct conn *c)
{
	return c->state == CONN_SYN_RECEIVED || c->state == CONN_SYNACK_SENT ||
	       (c->state == CONN_ASKED && c->responder);
}

void responder_settled(struct engine *e, const struct conn *c)
{
	if (responder_half_open(c))
		e->n_half_open--;
}

/* Plain from here on, the packet untouched. */
static struct engine_result plain(struct step *st, struct conn *c, enum reason reason)
{
	event(st, ENGINE_EVENT_PLAIN, c, reason);
	if (c)
		conn_free(st, c, reason);
	return verdict(ENGINE_ACCEPT, reason, ENGINE_NO_CONN);
}

/*
 * An MP_CAPABLE that we can answer. Version 0 is not ours; one above 1 is answered with version 1
 * (section 3.1: the highest that both know). Of the algorithms only H is known, others may be
 * offered beside it; B is an extension that nobody defined.
 */
static bool capable_answerable(const struct mptcp *m)
{
	const struct mp_capable *k = &m->capable;

	return m->has_capable && !m->invalid && !m->duplicate && k->version >= 1 &&
	       k->n_keys == 0 && !(k->flags & MP_CAPABLE_EXTENSIBILITY) &&
	       (k->flags & MP_CAPABLE_HMAC_SHA256);
}

static enum reason syn_check(struct step *st, const struct flow_tuple *guest)
{
	enum reason reason = handshake_plain_options(st);

	if (reason != REASON_NONE)
		return reason;
	if (!capable_answerable(&st->o.mp))
		return REASON_PLAIN_PEER_CAPABLE;
	if (policy_use(st->e, guest, true) == ENGINE_NEVER)
		return REASON_PLAIN_POLICY;
	if (!half_open_room(st->e))
		return REASON_PLAIN_HALF_OPEN;
	return REASON_NONE;
}

static void syn_remember(struct step *st, struct conn *c)
{
	const struct mp_capable *k = &st->o.mp.capable;

	c->responder = true;
	c->state = CONN_SYN_RECEIVED;
	claims_conn(st->e, c);
	c->syn_count = 1;
	c->syn_us = st->tick->now_us;
	c->policy = policy_use(st->e, &c->guest, true);
	c->path = st->in->path;
	c->guest_if = st->in->guest_if;
	c->checksum = st->e->cfg.checksum || (k->flags & MP_CAPABLE_CHECKSUM);
	c->no_join = k->flags & MP_CAPABLE_NO_JOIN;
	c->peer_isn = st->p.seq;
	c->acked_seq = c->sent_seq = st->p.seq + 1;
	c->syn_window = st->p.window;
	c->peer_mss = handshake_mss(st);
	c->peer_wscale = st->o.has_wscale ? st->o.wscale : 0;
	c->peer_scales = st->o.has_wscale;
	c->timestamps = st->o.has_timestamps;
	c->sack = st->o.has_sack_permitted;
	c->synack_tsval = st->o.tsval;
}

static bool open(const struct conn *c)
{
	return c->state == CONN_ESTABLISHED && !(c->guest_fin_acked && c->peer_fin_acked);
}

/*
 * RFC 5961 section 4, in the guest's place. Another subflow's numbers mean nothing there: where the
 * first one is gone, nobody can be asked.
 */
static struct engine_result challenge(struct step *st, struct conn *c)
{
	struct subflow *s = conn_subflow(st->e, c);

	if (s && s->initial)
		emit_own_ack(st, c, s, s->snd_nxt, 0, REASON_DROP_SYN_CHALLENGED);
	return verdict(ENGINE_DROP, REASON_DROP_SYN_CHALLENGED, conn_index(st->e, c));
}

struct engine_result responder_syn(struct step *st, struct conn *c)
{
	struct engine *e = st->e;
	struct flow_tuple guest = flow_tuple_reverse(&st->p.tuple);
	struct engine_result r = verdict(ENGINE_REPLACE, REASON_SYN_STRIPPED, ENGINE_NO_CONN);
	bool again = c && responder_half_open(c) && c->peer_isn == st->p.seq;
	enum reason reason;

	if (st->o.overrun)
		return verdict(ENGINE_DROP, REASON_DROP_BAD_OPTION, ENGINE_NO_CONN);
	if (st->o.mp.has_join) /* nobody took it on its way here: the guest's own, if anybody's */
		return join_accept_to_guest(st);
	if (c && open(c))
		return challenge(st, c);
	if (c && c->state == CONN_FALLBACK) /* theirs alone: the guest judges */
		return verdict(ENGINE_ACCEPT, REASON_FALLBACK_PLAIN, conn_index(e, c));
	/* What is there of the tuple is over, or will never be. A SYN again may be a plain one. */
	if (c && !(again && st->o.mp.has_capable)) {
		conn_free(st, c, again ? REASON_PLAIN_SYN_RETRIES : REASON_CLOSED_REUSED);
		c = NULL;
	}
	if (!st->o.mp.any)
		return verdict(ENGINE_ACCEPT, REASON_PLAIN_UNKNOWN, ENGINE_NO_CONN);
	if (!c) {
		reason = syn_check(st, &guest);
		if (reason != REASON_NONE)
			return plain(st, NULL, reason);
	}
	if (!handshake_strip(st, true, &r))
		return plain(st, c, REASON_PLAIN_NO_MSS_ROOM);
	if (!c) {
		c = conn_new(st, &guest);
		if (!c)
			return plain(st, NULL, REASON_PLAIN_TABLE_FULL);
		syn_remember(st, c);
		e->n_half_open++;
	} else if (c->syn_count < UINT8_MAX) {
		c->syn_count++;
	}
	deadline_set(e, c, st->tick->now_us + HALF_OPEN_US);
	r.conn = conn_index(e, c);
	return r;
}

/* The path of the gate's address; else that by which the host's routing sends the SYN/ACK. */
static uint8_t path_of(const struct step *st, const struct conn *c, const struct flow_tuple *net)
{
	const struct engine_cfg *cfg = &st->e->cfg;

	for (uint8_t i = 0; i < cfg->n_paths; i++) {
		const struct engine_path_cfg *p = &cfg->path[i];

		if (ip_addr_equal(net->family == FLOW_IPV4 ? &p->addr4 : &p->addr6, &net->src))
			return i;
	}
	return c->path;
}

static void synack_remember(struct step *st, struct conn *c)
{
	c->guest_isn = st->p.seq;
	c->una_seq = c->max_seq = st->p.seq + 1;
	c->guest_wscale = st->o.has_wscale ? st->o.wscale : 0;
	if (!st->o.has_wscale || !c->peer_scales)
		c->guest_wscale = c->peer_wscale = 0; /* RFC 7323 section 2.2: both or none */
	c->timestamps &= st->o.has_timestamps;
	c->sack &= st->o.has_sack_permitted;
	c->guest_mss = handshake_mss(st);
	if (c->guest_mss < MSS_MIN)
		c->guest_mss =
			st->p.tuple.family == FLOW_IPV4 ? MSS_DEFAULT_IPV4 : MSS_DEFAULT_IPV6;
	c->synack_tsecr = st->o.tsval;
	/* Windows in SYNs are never scaled. */
	c->told_guest_edge_seq = c->una_seq + c->syn_window;
	c->told_peer_edge_seq = c->acked_seq + st->p.window;
	c->syn_us = st->tick->now_us;
}

/* The guest's SYN/ACK with MP_CAPABLE behind its options; false when there is no room. */
static bool synack_extend(struct step *st, const struct conn *c, struct engine_result *r)
{
	struct mp_capable k = {.version = 1,
			       .flags = MP_CAPABLE_HMAC_SHA256 |
					(c->checksum ? MP_CAPABLE_CHECKSUM : 0),
			       .n_keys = 1,
			       .sender_key = c->key_local};
	struct options_writer w = {0};

	if (!options_copy(&w, st->p.options, st->p.options_bytes, NULL))
		return false;
	options_pad(&w);
	if (!mp_capable_encode(&w, &k))
		return false;
	options_pad(&w);
	handshake_replace(st, &w, r);
	return true;
}

static enum reason synack_check(struct step *st, const struct conn *c)
{
	if (st->o.overrun || st->o.mp.any || st->p.payload_bytes > 0)
		return REASON_PLAIN_GUEST_MPTCP;
	if (st->o.has_md5)
		return REASON_PLAIN_MD5;
	if (st->o.has_ao)
		return REASON_PLAIN_AO;
	if (st->in->path >= st->e->cfg.n_paths && c->path >= st->e->cfg.n_paths)
		return REASON_PLAIN_NO_PATH;
	return REASON_NONE;
}

struct engine_result responder_synack(struct step *st)
{
	struct engine *e = st->e;
	struct conn *c = conn_find(e, &st->p.tuple);
	struct engine_result r;
	enum reason reason;

	if (st->o.mp.any)
		join_accept_guest_speaks(e);
	if (c && c->responder && c->state == CONN_ESTABLISHED && st->p.seq == c->guest_isn) {
		/* The third ACK got lost between here and the guest. */
		emit_ack_guest(st, c, conn_subflow(e, c));
		return verdict(ENGINE_STOLEN, REASON_ACK_TO_GUEST, conn_index(e, c));
	}
	if (!c || !responder_half_open(c))
		return verdict(ENGINE_ACCEPT, REASON_PLAIN_UNKNOWN, ENGINE_NO_CONN);
	r = verdict(ENGINE_REPLACE, REASON_SYNACK_MP_CAPABLE, conn_index(e, c));
	if (st->p.ack != c->peer_isn + 1) {
		r.verdict = ENGINE_ACCEPT; /* of an older connection: the client answers with RST */
		return r;
	}
	reason = synack_check(st, c);
	if (reason == REASON_NONE && c->key_local == 0)
		reason = handshake_key(st, c);
	if (reason != REASON_NONE)
		return plain(st, c, reason);
	if (!synack_extend(st, c, &r))
		return plain(st, c, REASON_PLAIN_NO_ROOM);
	deadline_set(e, c, st->tick->now_us + HALF_OPEN_US);
	if (c->state == CONN_SYNACK_SENT && c->guest_isn == st->p.seq) {
		c->syn_count++;
		return r;
	}
	if (c->state == CONN_SYNACK_SENT)
		subflow_free(e, c, conn_subflow(e, c)); /* R3 */
	synack_remember(st, c);
	if (st->in->path < e->cfg.n_paths)
		c->path = st->in->path;
	c->state = CONN_ASKED;
	e->pending = r;
	r.verdict = ENGINE_ASK;
	r.ask = c->guest;
	return r;
}

struct engine_result responder_translated(struct step *st, struct conn *c,
					  const struct flow_tuple *net)
{
	struct engine_result r = st->e->pending;

	if (!net) {
		/* The client sees a SYN/ACK without MP_CAPABLE: plain. */
		return plain(st, c, REASON_FALLBACK_TRANSLATION);
	}
	c->path = path_of(st, c, net);
	if (!subflow_initial(st, c, net))
		return plain(st, c, REASON_PLAIN_TABLE_FULL);
	c->state = CONN_SYNACK_SENT;
	return r;
}

/* Both keys, the second ours. */
static bool keys_valid(const struct conn *c, const struct mptcp *m)
{
	const struct mp_capable *k = &m->capable;

	return m->has_capable && !m->invalid && !m->duplicate && k->version == 1 &&
	       !(k->flags & MP_CAPABLE_EXTENSIBILITY) && (k->flags & MP_CAPABLE_HMAC_SHA256) &&
	       k->n_keys == 2 && k->sender_key != 0 && k->receiver_key == c->key_local;
}

/*
 * Is it the third ACK, or first data, which says the same (section 3.1)? Linux copies MP_CAPABLE on
 * all segments that it cuts from one, and the first of them may be lost.
 */
static bool stands_first(const struct step *st, const struct subflow *s)
{
	const struct mp_capable *k = &st->o.mp.capable;
	uint32_t at = st->p.seq - (s->irs + 1);

	return at == 0 || (k->has_data_len && at < k->data_len);
}

/*
 * The third ACK itself goes on in place, without MP_CAPABLE and without its data; in its own place
 * even where it was taken from later data.
 */
static struct engine_result ack_in_place(struct step *st, const struct conn *c)
{
	static const uint8_t without[] = {TCPOPT_MPTCP, 0};
	struct engine_result r =
		verdict(ENGINE_REPLACE, REASON_THIRD_ACK_CONVERTED, conn_index(st->e, c));
	struct options_writer w = {0};
	uint32_t seq = st->p.seq;
	uint8_t flags = st->p.flags;

	options_copy(&w, st->p.options, st->p.options_bytes, without);
	options_pad(&w);
	st->p.flags &= (uint8_t) ~(TCP_PSH | TCP_FIN | TCP_URG);
	st->p.seq = c->peer_isn + 1;
	handshake_replace(st, &w, &r);
	st->p.flags = flags;
	st->p.seq = seq;
	return r;
}

static void convert(struct step *st, struct conn *c, struct subflow *s)
{
	uint64_t idsn;

	responder_settled(st->e, c);
	c->state = CONN_ESTABLISHED;
	claims_conn(st->e, c);
	c->third_ack = true;
	c->key_peer = st->o.mp.capable.sender_key;
	crypto_key_derive(c->key_peer, &c->token_peer, &idsn);
	c->acked_dsn = idsn + 1;
	c->told_guest_edge_seq = seq_max(c->told_guest_edge_seq,
					 c->una_seq + ((uint32_t)st->p.window << c->peer_wscale));
	if (st->o.has_timestamps)
		s->ts_recent = st->o.tsval;
	if (c->syn_count == 1)
		s->syn_rtt_us = c->syn_rtt_us = (uint32_t)(st->tick->now_us - c->syn_us);
	join_accept_endpoint(st->e, &s->net, st->tick->now_us);
	conn_deadline(st, c);
}

struct engine_result responder_third_ack(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	struct engine_result r;

	if (st->o.overrun)
		return verdict(ENGINE_DROP, REASON_DROP_BAD_OPTION, conn_index(st->e, c));
	if (p->flags & TCP_RST) {
		if (p->seq == s->rcv_nxt)
			conn_free(st, c, REASON_CLOSED_REFUSED);
		return verdict(ENGINE_ACCEPT, REASON_CLOSED_REFUSED, ENGINE_NO_CONN);
	}
	if ((p->flags & TCP_SYN) || !(p->flags & TCP_ACK) || p->ack != s->iss + 1)
		return verdict(ENGINE_ACCEPT, REASON_PLAIN_UNKNOWN, conn_index(st->e, c));
	if (p->seq != s->irs + 1 && !(keys_valid(c, &st->o.mp) && stands_first(st, s)))
		/* Later data overtook the third ACK: the client sends it again. */
		return verdict(st->o.mp.any ? ENGINE_DROP : ENGINE_ACCEPT,
			       st->o.mp.any ? REASON_DROP_STATE : REASON_PLAIN_UNKNOWN,
			       conn_index(st->e, c));
	if (!keys_valid(c, &st->o.mp))
		return plain(st, c, REASON_FALLBACK_THIRD_ACK);
	convert(st, c, s);
	r = ack_in_place(st, c);
	if (p->payload_bytes > 0 || (p->flags & TCP_FIN))
		from_net(st, c, s);
	else
		path_manager_check(st, c);
	return r;
}

/*
 * Something removes our options, and the client hears it from our first segment: what it sends from
 * then on has none. All this is over within a round trip; later, unmapped data may be old data that
 * a client maps again, where something removes its options (Linux does so after 200 ms without a
 * DATA_ACK), and must not be taken for new.
 */
bool responder_unheard(const struct step *st, const struct conn *c, const struct subflow *s)
{
	return c->responder && !st->o.mp.any && c->una_seq == c->guest_isn + 1 && !s->shifted &&
	       !s->remapped && c->n_subflows == 1 &&
	       st->tick->now_us < c->syn_us + c->syn_rtt_us + UNHEARD_US;
}

void responder_first_data(struct step *st, struct conn *c, const struct subflow *s)
{
	const struct mp_capable *k = &st->o.mp.capable;
	struct dss *d = &st->o.mp.dss;

	if (!c->responder || !s->initial || st->o.mp.has_dss || !keys_valid(c, &st->o.mp) ||
	    !stands_first(st, s))
		return;
	st->o.mp.has_dss = true;
	*d = (struct dss){0};
	if (!k->has_data_len)
		return;
	c->confirmed = true;
	*d = (struct dss){.has_map = true,
			  .dsn64 = true,
			  .dsn = dsn_of_peer_seq(c, c->peer_isn + 1),
			  .ssn = 1,
			  .map_len = k->data_len,
			  .has_csum = k->has_csum,
			  .csum = k->csum};
}
