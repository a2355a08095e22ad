/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join.c - see join.h.
 *
 * SYN, SYN/ACK with the peer's HMAC, ACK with ours; then nothing else goes on the subflow until the
 * peer has acknowledged that ACK, which is sent again until it has (the fourth-ACK rule). Whatever
 * goes wrong costs the subflow alone and is told to the path manager, which tries again later or,
 * when the peer said so, never.
 *
 * The fourth ACK says that the peer's TCP has the subflow, not that its connection has: Linux (6.12
 * and 6.18, mptcp_finish_join) takes it into the connection later when a program reads or writes at
 * that moment, and then resets what the subflow had already learned of its mapping to what comes
 * next in the connection (mptcp_subflow_joined): data that came in between is put in a wrong place
 * of the stream. So nothing goes on the subflow before SETTLE_US after our ACK, unless the peer
 * shows that it uses the subflow.
 */
#include "engine/join.h"

#include "base/seq.h"
#include "base/siphash.h"
#include "engine/addresses.h"
#include "engine/announce.h"
#include "engine/conn.h"
#include "engine/crypto.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/join_accept.h"
#include "engine/multi.h"
#include "engine/path_manager.h"
#include "engine/pmtu.h"
#include "engine/policy.h"
#include "engine/receive.h"

#define JOIN_RTO_US 500000ull
#define JOIN_TRIES 4
/* A path that fell silent without going down: its return is noticed by nothing else. */
#define SILENT_RTO_US 1000000ull
#define SILENT_TRIES 120
#define SETTLE_US 10000u
#define PORT_TRIES 64
#define STALE_US 20000u /* after the RST for a connection of the peer's past */
#define WINDOW_MAX 65535
#define MSS_MIN 128 /* less would be all options */

static bool random_word(struct step *st, uint64_t *word)
{
	struct engine_random *r = st->tick->random;

	if (r->n == 0)
		return false;
	*word = r->word[--r->n];
	return true;
}

/*
 * A port of our range that the path's address does not use towards this peer: one behind the other
 * from a secret place on (RFC 6056 section 3.3.3), so that one comes again as late as can be. The
 * peer may remember the connection before.
 */
static bool choose_port(struct step *st, struct flow_tuple *t)
{
	const struct engine_cfg *cfg = &st->e->cfg;
	uint32_t n = (uint32_t)cfg->port_max - cfg->port_min + 1;
	uint64_t from = siphash(cfg->seed, t, sizeof(*t)) % n;

	for (unsigned i = 0; i < PORT_TRIES; i++) {
		t->src_port = (uint16_t)(cfg->port_min + (from + st->e->port_count++) % n);
		if (!subflow_find(st->e, t))
			return true;
	}
	return false;
}

static bool fell_silent(const struct conn *c, const struct subflow *s)
{
	return c->silent_paths >> s->path & 1;
}

static uint64_t syn_again_us(const struct conn *c, const struct subflow *s)
{
	uint64_t us = JOIN_RTO_US << (s->n_syn < JOIN_TRIES ? s->n_syn - 1 : JOIN_TRIES - 1);

	return fell_silent(c, s) && us > SILENT_RTO_US ? SILENT_RTO_US : us;
}

static void send_syn(struct step *st, struct conn *c, struct subflow *s)
{
	static const uint8_t sack_permitted[] = {TCPOPT_SACK_PERMITTED, 2};
	uint8_t wscale[] = {TCPOPT_NOP, TCPOPT_WSCALE, 3, c->guest_wscale};
	uint16_t ip = s->net.family == FLOW_IPV4 ? 20 : 40;
	struct mp_join j = {.form = MP_JOIN_SYN,
			    .backup = s->backup_local,
			    .address_id = s->address_id_local,
			    .token = c->token_peer,
			    .nonce = s->nonce_local};
	struct headers h = {.tuple = s->net,
			    .seq = s->iss,
			    .flags = TCP_SYN,
			    .window = WINDOW_MAX,
			    .dont_fragment = true};
	struct options_writer w = {0};

	options_put_mss(&w, (uint16_t)(pmtu_bytes(st->e, s) - ip - 20));
	options_put(&w, sack_permitted, sizeof(sack_permitted));
	options_put(&w, "\x08\x0a", 2);
	options_put(&w,
		    (const uint8_t[]){(uint8_t)(s->tsval >> 24), (uint8_t)(s->tsval >> 16),
				      (uint8_t)(s->tsval >> 8), (uint8_t)s->tsval, 0, 0, 0, 0},
		    8);
	options_put(&w, wscale, sizeof(wscale));
	mp_join_encode(&w, &j);
	s->n_syn++;
	s->rto_at_us = st->tick->now_us + syn_again_us(c, s);
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_JOIN_SUBFLOW);
}

bool join_memory(struct engine *e, const struct conn *c)
{
	uint32_t own = 0, others;

	for (uint32_t k = c->subflow; k != NONE; k = subflow_at(e, k)->next)
		own += subflow_joins(subflow_at(e, k)) && !subflow_at(e, k)->passive;
	/* Of others each may be the first: two senders, and a record for the connection. */
	others = e->n_own_joins - own;
	if (c->multi == NONE && e->multis.n_used + others >= e->multis.n_records)
		return false;
	return e->senders.n_used + e->n_half_joins + 2 * others + own + 2 <= e->senders.n_records;
}

bool join_start(struct step *st, struct conn *c, uint8_t path, const struct peer_address *to)
{
	const struct engine_path_cfg *p = &st->e->cfg.path[path];
	struct flow_tuple net = {.family = to->family,
				 .src = to->family == FLOW_IPV4 ? p->addr4 : p->addr6,
				 .dst = to->addr,
				 .dst_port = to->port};
	struct subflow *s;
	uint64_t one, two;

	if (!emit_room(st, 1) || !random_word(st, &one) || !random_word(st, &two) ||
	    !choose_port(st, &net))
		return false;
	s = subflow_new(st, c, &net, path);
	if (!s)
		return false;
	s->state = SUBFLOW_JOIN_SYN;
	st->e->n_own_joins++;
	s->backup = s->backup_local = announce_backup(st->e, path);
	s->address_id_local = announce_id(st->e, path, to->family);
	s->address_id_peer = to->id;
	s->iss = (uint32_t)one;
	s->nonce_local = (uint32_t)two;
	s->tsval = (uint32_t)(two >> 32);
	s->ts_since_us = st->tick->now_us;
	s->timestamps = true;
	s->snd_una = s->iss;
	s->snd_nxt = s->iss + 1;
	send_syn(st, c, s);
	return true;
}

bool join_refused_before(const struct step *st, const struct conn *c)
{
	return blackhole_check(st->e, &c->guest, ENGINE_NO_PATH, st->tick->now_us);
}

/* `forever`: the peer does not want this pair of addresses. */
static void end(struct step *st, struct conn *c, struct subflow *s, bool forever,
		enum reason reason)
{
	blackhole_add(st->e, &c->guest, ENGINE_NO_PATH, st->tick->now_us);
	addresses_failed(st, c, s->path, addresses_peer_id(st->e, c, &s->net), forever);
	c->join_at_us = 0;
	subflow_end(st, c, s, reason);
}

static void send_ack(struct step *st, struct conn *c, struct subflow *s)
{
	struct mp_join j = {.form = MP_JOIN_ACK};
	struct options_writer w;
	struct headers h = {.tuple = s->net,
			    .seq = s->snd_nxt,
			    .ack = s->rcv_nxt,
			    .flags = TCP_ACK,
			    .window = emit_window_net(st->e, c),
			    .dont_fragment = true};
	uint8_t hmac[32];

	crypto_join_hmac(c->key_local, c->key_peer, s->nonce_local, s->nonce_peer, hmac);
	memcpy(j.hmac, hmac, sizeof(j.hmac));
	w.len_bytes = 0;
	if (s->timestamps)
		options_put_timestamps(
			&w, s->tsval + (uint32_t)((st->tick->now_us - s->ts_since_us) / 1000),
			s->ts_recent);
	mp_join_encode(&w, &j);
	s->rto_at_us = st->tick->now_us + (JOIN_RTO_US << s->n_rto);
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_JOIN_SUBFLOW);
}

bool join_stripped(struct step *st, struct conn *c, const struct subflow *s)
{
	bool given_up = !c->responder &&
			addresses_stripped(st, c, s->path, addresses_peer_id(st->e, c, &s->net));

	if (given_up)
		subflow_event(st, c, s, REASON_JOIN_GIVEN_UP);
	return given_up;
}

/* Resets the subflow with a reason for the peer (RFC 8684 section 3.6). */
static enum reason refuse(struct step *st, struct conn *c, struct subflow *s,
			  enum mp_tcprst_reason why, enum reason reason)
{
	bool transient = why == MP_TCPRST_RESOURCES;

	emit_rst_back(st, &(struct mp_tcprst){.transient = transient, .reason = (uint8_t)why},
		      REASON_JOIN_SUBFLOW);
	end(st, c, s, why == MP_TCPRST_MIDDLEBOX && join_stripped(st, c, s), reason);
	return REASON_JOIN_SUBFLOW;
}

static enum reason synack(struct step *st, struct conn *c, struct subflow *s)
{
	const struct options *o = &st->o;
	const struct mp_join *j = &o->mp.join;
	uint16_t ip = s->net.family == FLOW_IPV4 ? 20 : 40;
	uint32_t mss = o->has_mss ? o->mss : 536, path = pmtu_bytes(st->e, s) - ip - 20;
	uint8_t hmac[32];

	if (st->p.ack != s->iss + 1 || st->o.overrun)
		return REASON_DROP_STATE;
	if (s->state != SUBFLOW_JOIN_SYN) {
		uint64_t at_us = s->rto_at_us;

		if (st->p.seq != s->irs)
			return REASON_DROP_STATE;
		send_ack(st, c, s); /* the peer did not get our ACK */
		if (s->fourth_ack)
			s->rto_at_us = at_us;
		return REASON_JOIN_SUBFLOW;
	}
	if (!o->mp.has_join || j->form != MP_JOIN_SYNACK)
		return refuse(st, c, s, MP_TCPRST_MIDDLEBOX, REASON_JOIN_STRIPPED);
	crypto_join_hmac(c->key_peer, c->key_local, j->nonce, s->nonce_local, hmac);
	if (!crypto_equal(hmac, j->hmac, 8))
		return refuse(st, c, s, MP_TCPRST_MPTCP, REASON_JOIN_HMAC);
	if (mss < MSS_MIN)
		return refuse(st, c, s, MP_TCPRST_PERFORMANCE, REASON_JOIN_MSS);
	s->nonce_peer = j->nonce;
	s->address_id_peer = j->address_id;
	s->backup_peer = j->backup;
	s->backup = s->backup_local || s->backup_peer;
	s->sack = o->has_sack_permitted;
	s->irs = st->p.seq;
	s->rcv_nxt = s->acked_ssn = s->irs + 1;
	s->shift[0] = (struct shift){s->rcv_nxt, 0};
	s->snd_una = s->iss + 1;
	s->timestamps = o->has_timestamps;
	s->ts_recent = o->tsval;
	s->peer_wscale = o->has_wscale ? o->wscale : 0;
	s->peer_mss = (uint16_t)mss;
	s->mss =
		(uint16_t)((mss < path ? mss : path) - (s->timestamps ? 12 : 0) - MPTCP_ROOM_BYTES);
	s->syn_rtt_us = s->n_syn == 1 ? (uint32_t)(st->tick->now_us - s->ts_since_us) : 0;
	s->state = SUBFLOW_JOIN_ACK;
	send_ack(st, c, s);
	return REASON_JOIN_SUBFLOW;
}

/*
 * The peer, or something that speaks for it, refuses. RFC 9293 section 3.10.7.3: only what
 * acknowledges our SYN is believed; later, only what stands at the very next number.
 */
static enum reason refused(struct step *st, struct conn *c, struct subflow *s)
{
	const struct mptcp *m = &st->o.mp;
	enum reason reason = REASON_JOIN_REFUSED;
	bool syn = s->state == SUBFLOW_JOIN_SYN;
	bool forever = m->has_tcprst && !m->tcprst.transient;

	if (syn ? !(st->p.flags & TCP_ACK) || st->p.ack != s->snd_nxt : st->p.seq != s->rcv_nxt)
		return REASON_DROP_STATE;
	if (m->has_tcprst)
		reason = subflow_tcprst_reason(&m->tcprst);
	/* The token is unknown, and there is no subflow by which the connection could live on. */
	if (syn && reason == REASON_TCPRST_MPTCP && c->alone_at_us) {
		conn_reset(st, c, REASON_CLOSED_BY_PEER_RST);
		return REASON_RST_TO_GUEST;
	}
	end(st, c, s, forever, reason);
	return REASON_JOIN_SUBFLOW;
}

/* The peer may believe in it, and what it sends there would wait. */
static void reset(struct step *st, struct conn *c, struct subflow *s, enum mp_tcprst_reason why,
		  enum reason reason)
{
	addresses_failed(st, c, s->path, addresses_peer_id(st->e, c, &s->net), false);
	subflow_abort(st, c, s, why, reason);
}

/* The peer sends on it what it sends on no subflow that its connection does not have yet. */
static bool in_use(const struct step *st)
{
	const struct mptcp *m = &st->o.mp;

	return st->p.payload_bytes > 0 || (st->p.flags & TCP_FIN) || m->has_add_addr ||
	       m->has_remove_addr || m->has_prio || (m->has_dss && m->dss.has_map);
}

/* The fourth ACK: our HMAC was good. Is the subflow to be given time? */
static bool settles(struct step *st, struct subflow *s)
{
	uint64_t sent_us = s->rto_at_us - (JOIN_RTO_US << s->n_rto);
	uint32_t rtt_us = (uint32_t)(st->tick->now_us - sent_us);

	if (!s->fourth_ack) {
		/* The shorter round trip counts: the SYN may have waited for an address. */
		if (s->n_rto == 0 && (s->syn_rtt_us == 0 || rtt_us < s->syn_rtt_us))
			s->syn_rtt_us = rtt_us;
		s->fourth_ack = true;
		s->rto_at_us = sent_us + SETTLE_US;
	}
	return st->tick->now_us < s->rto_at_us && !in_use(st);
}

static void succeeded(struct step *st, struct conn *c, struct subflow *s)
{
	s->state = SUBFLOW_ESTABLISHED;
	s->fourth_ack = false;
	c->active_us = st->tick->now_us; /* its HMAC was good: the peer is there */
	st->e->n_own_joins--;
	blackhole_rm(st->e, &c->guest, ENGINE_NO_PATH);
	c->silent_paths &= (uint16_t) ~(1u << s->path);
	s->rto_at_us = 0;
	s->n_rto = 0;
}

/* False: there is no subflow all the same. */
static bool established(struct step *st, struct conn *c, struct subflow *s)
{
	uint64_t alone_at_us = c->alone_at_us;

	succeeded(st, c, s);
	c->alone_at_us = 0;
	if (!(c->multi == NONE ? multi_new(st, c) : multi_add(st, c, s))) {
		c->alone_at_us = alone_at_us;
		blackhole_add(st->e, &c->guest, ENGINE_NO_PATH, st->tick->now_us);
		c->join_at_us = 0;
		reset(st, c, s, MP_TCPRST_RESOURCES, REASON_JOIN_MEMORY);
		return false;
	}
	subflow_event(st, c, s, REASON_JOIN_ESTABLISHED);
	/* Those that only waited for this one may go; what they carried goes here. */
	c->join_at_us = 0;
	return true;
}

void join_close(struct step *st, struct conn *c, struct subflow *s)
{
	if (!s->fourth_ack) {
		subflow_abort(st, c, s, MP_TCPRST_UNSPECIFIED, REASON_JOIN_UNWANTED);
		return;
	}
	succeeded(st, c, s);
	subflow_event(st, c, s, REASON_JOIN_ESTABLISHED);
	subflow_send_fin(st, c, s);
}

struct engine_result join_packet(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	enum reason reason = REASON_DROP_STATE;
	conn_ref ref = conn_index(st->e, c);

	if (s->state == SUBFLOW_JOIN_RECEIVED)
		return join_accept_packet(st, c, s);

	if (p->flags & TCP_RST) {
		reason = refused(st, c, s);
	} else if (s->state == SUBFLOW_JOIN_SYN && (p->flags & TCP_ACK) && p->ack != s->snd_nxt) {
		/*
		 * The peer believes in an older connection of these ports (RFC 9293 section
		 * 3.10.7.3): the RST makes it forget that one, then our SYN may come again.
		 */
		emit_rst_back(st, NULL, REASON_JOIN_SUBFLOW);
		if (s->n_syn == 1)
			s->rto_at_us = st->tick->now_us + STALE_US;
		reason = REASON_JOIN_SUBFLOW;
	} else if ((p->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		reason = synack(st, c, s);
	} else if (s->state == SUBFLOW_JOIN_ACK && (p->flags & TCP_ACK) && p->ack == s->snd_nxt &&
		   p->seq - s->rcv_nxt < 1u << 30) {
		reason = REASON_JOIN_SUBFLOW;
		if (!settles(st, s) && established(st, c, s)) {
			/* Before anything that may end it: its address may be gone already. */
			if (p->payload_bytes || st->o.mp.any)
				return multi_from_net(st, c, s);
			path_manager_check(st, c);
			multi_push(st, c);
		}
	}
	if (c->state == CONN_ESTABLISHED)
		conn_deadline(st, c);
	return verdict(reason == REASON_DROP_STATE ? ENGINE_DROP : ENGINE_STOLEN, reason, ref);
}

void join_timeout(struct step *st, struct conn *c, struct subflow *s)
{
	unsigned tries = fell_silent(c, s) ? SILENT_TRIES : JOIN_TRIES;

	if (s->state == SUBFLOW_JOIN_RECEIVED) {
		join_accept_timeout(st, c, s);
	} else if (s->state == SUBFLOW_JOIN_SYN && s->n_syn < tries) {
		send_syn(st, c, s);
	} else if (s->fourth_ack) {
		established(st, c, s);
	} else if (s->state == SUBFLOW_JOIN_ACK && s->n_rto < JOIN_TRIES) {
		s->n_rto++;
		send_ack(st, c, s);
	} else if (s->state == SUBFLOW_JOIN_ACK) {
		reset(st, c, s, MP_TCPRST_PERFORMANCE, REASON_JOIN_TIMEOUT);
	} else {
		end(st, c, s, false, REASON_JOIN_TIMEOUT);
	}
}
