/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join_accept.c - see join_accept.h.
 *
 * Theory. Either end may open subflows, so this serves both roles. The token in the SYN names the
 * connection, the HMAC in the third ACK proves that the sender knows both keys; until then the
 * subflow is a record that carries nothing and that a few things bound:
 *
 * J1  Half-open joins are bounded, of a connection and in all (join_room.c); a token must be known
 *     to make one. Beyond that, and for every other reason to refuse, the answer is one RST with
 *     MP_TCPRST, and nothing is remembered.
 * J2  A token that is not ours may be one of the host's own kernel, which has MPTCP connections of
 *     its own, or of a guest that speaks MPTCP itself: only they can tell, so the SYN is let go
 *     untouched. It is refused at once where nobody else can be meant: at an address and port
 *     where a connection to a guest was converted before (`endpoint`: the host routes or translates
 *     it to the guest), or in the port range of the gate's own subflows. Elsewhere it walks the
 *     host's road, past its firewall and translation; where that ends at the host itself and no
 *     socket awaits a SYN, it is refused there (join_accept_unwanted()), so that an address that
 *     was announced answers as it should. Where it ends at a guest it is refused as well, from
 *     the address that was asked (`passed`), as long as no guest has been seen to speak MPTCP: a
 *     guest's own connection must not lose its joins, and its other addresses are not known.
 * J3  HMACs are compared in constant time; sequence numbers and nonces are random.
 */
#include "engine/join_accept.h"

#include "base/seq.h"
#include "base/siphash.h"
#include "engine/announce.h"
#include "engine/conn.h"
#include "engine/crypto.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/join.h"
#include "engine/join_room.h"
#include "engine/multi.h"
#include "engine/path_manager.h"
#include "engine/pmtu.h"

#define SYNACK_RTO_US 1000000ull
#define SYNACK_TRIES 3
#define MSS_LEAST 128 /* less would be all options */
#define ENDPOINT_US (3600ull * 1000000)
#define ENDPOINT_WAYS 4 /* places whose tags meet stand beside one another */

static struct engine_result pass(enum reason reason)
{
	return verdict(ENGINE_ACCEPT, reason, ENGINE_NO_CONN);
}

static struct engine_result refuse(struct step *st, enum mp_tcprst_reason why, enum reason reason)
{
	bool transient = why == MP_TCPRST_RESOURCES;

	emit_rst_back(st, &(struct mp_tcprst){.transient = transient, .reason = (uint8_t)why},
		      reason);
	return verdict(ENGINE_DROP, reason, ENGINE_NO_CONN);
}

/* ---- where a join can be meant for nobody else ---- */

static uint64_t endpoint_tag(const struct engine *e, const struct ip_addr *addr, uint16_t port)
{
	struct {
		struct ip_addr addr;
		uint16_t port;
		uint8_t zero[6];
	} key = {.addr = *addr, .port = port};
	uint64_t tag = siphash(e->cfg.seed, &key, sizeof(key));

	return tag ? tag : 1;
}

/* Where the place stands, or where it is to be written: what ends first makes room. */
static struct endpoint *endpoint_slot(struct engine *e, uint64_t tag)
{
	struct endpoint *best = NULL;

	for (unsigned i = 0; i < ENDPOINT_WAYS; i++) {
		struct endpoint *x = &e->endpoint[(tag + i) % ENDPOINT_SLOTS];

		if (x->tag == tag)
			return x;
		if (!best || x->until_us < best->until_us)
			best = x;
	}
	return best;
}

void join_accept_endpoint(struct engine *e, const struct flow_tuple *net, uint64_t now_us)
{
	uint64_t tag = endpoint_tag(e, &net->src, net->src_port);

	*endpoint_slot(e, tag) = (struct endpoint){tag, now_us + ENDPOINT_US};
}

static bool path_address(const struct engine *e, const struct flow_tuple *t, uint8_t *path)
{
	for (uint8_t i = 0; i < e->cfg.n_paths; i++) {
		const struct engine_path_cfg *p = &e->cfg.path[i];

		if (!ip_addr_equal(&t->src, t->family == FLOW_IPV4 ? &p->addr4 : &p->addr6))
			continue;
		*path = i;
		return true;
	}
	return false;
}

static bool port_ours(const struct engine *e, uint16_t port)
{
	return e->cfg.port_max && port >= e->cfg.port_min && port <= e->cfg.port_max;
}

bool join_accept_own_place(const struct engine *e, const struct flow_tuple *net)
{
	uint8_t path;

	return port_ours(e, net->src_port) && path_address(e, net, &path);
}

/* J2. `t`: gate first. */
static bool nobody_elses(const struct step *st, const struct flow_tuple *t)
{
	uint64_t tag = endpoint_tag(st->e, &t->src, t->src_port);
	const struct endpoint *x = endpoint_slot(st->e, tag);

	return (x->tag == tag && st->tick->now_us < x->until_us) || join_accept_own_place(st->e, t);
}

bool join_accept_stray(struct step *st)
{
	struct flow_tuple t = flow_tuple_reverse(&st->p.tuple);

	return !(st->p.flags & TCP_SYN) && st->o.mp.any && nobody_elses(st, &t);
}

/* ---- what is let go ---- */

/* The host's translation changes the destination alone before it comes to a guest. */
static uint64_t passed_tag(const struct step *st)
{
	struct {
		struct ip_addr src;
		uint32_t seq, token, nonce;
		uint16_t port;
		uint8_t zero[2];
	} key = {.src = st->p.tuple.src,
		 .seq = st->p.seq,
		 .token = st->o.mp.join.token,
		 .nonce = st->o.mp.join.nonce,
		 .port = st->p.tuple.src_port};
	uint64_t tag = siphash(st->e->cfg.seed, &key, sizeof(key));

	return tag ? tag : 1;
}

/* It may come to a guest: then this is where it was meant to go. */
static struct engine_result let_go(struct step *st)
{
	uint64_t tag = passed_tag(st);

	st->e->passed[tag % PASSED_SLOTS] =
		(struct passed){tag, st->p.tuple.dst, st->p.tuple.dst_port};
	return pass(REASON_JOIN_PASSED);
}

void join_accept_guest_speaks(struct engine *e)
{
	e->guests_speak = true;
}

struct engine_result join_accept_to_guest(struct step *st)
{
	uint64_t tag = passed_tag(st);
	struct passed *x = &st->e->passed[tag % PASSED_SLOTS];

	/* A token that is known was answered where it came in; not by a daemon that began since. */
	if (st->e->guests_speak || x->tag != tag || conn_find_token(st->e, st->o.mp.join.token))
		return pass(REASON_JOIN_PASSED);
	st->p.tuple.dst = x->addr;
	st->p.tuple.dst_port = x->port;
	return refuse(st, MP_TCPRST_MPTCP, REASON_JOIN_TOKEN);
}

/* ---- SYN and SYN/ACK ---- */

/*
 * Is the connection to be reached here? Where it began; on the address of any path at the port
 * where it began; and at the ports of our range, which are the gate's alone.
 */
static bool reachable(struct engine *e, const struct conn *c, const struct flow_tuple *t)
{
	uint8_t path;

	if (t->src_port == c->local_port && ip_addr_equal(&t->src, &c->local_addr))
		return true;
	return path_address(e, t, &path) &&
	       (t->src_port == c->local_port || port_ours(e, t->src_port));
}

/*
 * Why this join is refused; REASON_NONE when it is not, if need be without *goes (join_room.h).
 */
static enum reason check(struct step *st, struct conn *c, const struct flow_tuple *t,
			 enum mp_tcprst_reason *why, struct subflow **goes)
{
	*why = MP_TCPRST_MPTCP;
	/* Before both keys were confirmed there is nothing to join (section 3.2). */
	if (c->state != CONN_ESTABLISHED || !(c->responder || c->confirmed) ||
	    (c->guest_fin_acked && c->peer_fin_acked))
		return REASON_JOIN_NOT_OPEN;
	*why = MP_TCPRST_PROHIBITED;
	if (!reachable(st->e, c, t) || st->e->cfg.mode == ENGINE_SINGLE)
		return REASON_JOIN_PROHIBITED;
	*why = MP_TCPRST_PERFORMANCE;
	if (st->o.has_mss && st->o.mss < MSS_LEAST)
		return REASON_JOIN_PROHIBITED;
	*why = MP_TCPRST_RESOURCES;
	if (st->tick->random->n < 2)
		return REASON_JOIN_LIMIT;
	return join_room_check(st, c, why, goes);
}

static void send_synack(struct step *st, struct conn *c, struct subflow *s)
{
	uint16_t ip = s->net.family == FLOW_IPV4 ? 20 : 40;
	uint32_t room = c->told_peer_edge_seq - c->acked_seq;
	uint8_t wscale[] = {TCPOPT_NOP, TCPOPT_WSCALE, 3, c->guest_wscale};
	struct mp_join j = {.form = MP_JOIN_SYNACK,
			    .backup = s->backup_local,
			    .address_id = s->address_id_local,
			    .nonce = s->nonce_local};
	struct headers h = {.tuple = s->net,
			    .seq = s->iss,
			    .ack = s->rcv_nxt,
			    .flags = TCP_SYN | TCP_ACK,
			    .window = (uint16_t)(room < UINT16_MAX ? room : UINT16_MAX),
			    .ttl = 64,
			    .dont_fragment = true};
	struct options_writer w = {0};
	uint8_t hmac[32];

	crypto_join_hmac(c->key_local, c->key_peer, s->nonce_local, s->nonce_peer, hmac);
	memcpy(j.hmac, hmac, 8);
	options_put_mss(&w, (uint16_t)(pmtu_bytes(st->e, s) - ip - 20));
	/* SACK-permitted stands where the two NOPs of the timestamps would, as Linux has it. */
	if (s->timestamps)
		options_put_timestamps(&w, emit_tsval(st, s), s->ts_recent);
	else if (s->sack)
		options_put_nops(&w, 2);
	if (s->sack) {
		w.buf[4] = TCPOPT_SACK_PERMITTED;
		w.buf[5] = 2;
		options_pad(&w);
	}
	if (s->scales)
		options_put(&w, wscale, sizeof(wscale));
	mp_join_encode(&w, &j);
	s->rto_at_us = st->tick->now_us + (SYNACK_RTO_US << s->n_syn);
	s->n_syn++;
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_JOIN_SUBFLOW);
}

static uint16_t payload_max(struct step *st, const struct subflow *s)
{
	uint32_t ip = s->net.family == FLOW_IPV4 ? 20 : 40;
	uint32_t mss = pmtu_bytes(st->e, s) - ip - 20;

	if (mss > s->peer_mss)
		mss = s->peer_mss;
	return (uint16_t)(mss - (s->timestamps ? 12 : 0) - MPTCP_ROOM_BYTES);
}

/* Address ids: 0 is the address where the connection began. */
static uint8_t address_id(const struct engine *e, const struct conn *c, const struct subflow *s)
{
	return ip_addr_equal(&s->net.src, &c->local_addr) ? 0
							  : announce_id(e, s->path, s->net.family);
}

static void remember(struct step *st, struct conn *c, struct subflow *s)
{
	struct engine_random *r = st->tick->random;
	const struct options *o = &st->o;
	uint64_t one = r->word[--r->n], two = r->word[--r->n];

	s->state = SUBFLOW_JOIN_RECEIVED;
	s->passive = true;
	s->iss = s->snd_una = (uint32_t)one;
	s->snd_nxt = s->iss + 1;
	s->nonce_local = (uint32_t)(one >> 32);
	s->tsval = (uint32_t)two;
	s->ts_since_us = st->tick->now_us;
	s->nonce_peer = o->mp.join.nonce;
	s->address_id_peer = o->mp.join.address_id;
	s->address_id_local = address_id(st->e, c, s);
	s->backup_peer = o->mp.join.backup;
	s->backup_local = announce_backup(st->e, s->path);
	s->backup = s->backup_local || s->backup_peer;
	s->irs = st->p.seq;
	s->rcv_nxt = s->acked_ssn = s->irs + 1;
	s->shift[0] = (struct shift){s->rcv_nxt, 0};
	s->timestamps = o->has_timestamps;
	s->ts_recent = o->tsval;
	s->sack = o->has_sack_permitted;
	s->scales = o->has_wscale;
	s->peer_wscale = o->has_wscale ? o->wscale : 0;
	s->peer_mss = o->has_mss ? o->mss : s->net.family == FLOW_IPV4 ? 536 : 1220;
	s->mss = payload_max(st, s);
	st->e->n_half_joins++;
}

/* A SYN on the tuple of a subflow: the same SYN again, or somebody who does not know of it. */
static struct engine_result again(struct step *st, struct subflow *s)
{
	struct conn *c = conn_at(st->e, s->conn);
	const struct mp_join *j = &st->o.mp.join;
	conn_ref ref = conn_index(st->e, c);

	if (s->state == SUBFLOW_JOIN_RECEIVED && s->irs == st->p.seq && st->o.mp.has_join &&
	    j->nonce == s->nonce_peer && j->token == c->token_local) {
		if (s->n_syn <= SYNACK_TRIES)
			send_synack(st, c, s);
		conn_deadline(st, c);
		return verdict(ENGINE_STOLEN, REASON_JOIN_SUBFLOW, ref);
	}
	/* RFC 5961 section 4. */
	if (s->state == SUBFLOW_ESTABLISHED && c->state == CONN_ESTABLISHED)
		emit_own_ack(st, c, s, s->snd_nxt, 0, REASON_DROP_SYN_CHALLENGED);
	return verdict(ENGINE_DROP, REASON_DROP_SYN_CHALLENGED, ref);
}

struct engine_result join_accept_syn(struct step *st)
{
	const struct mptcp *m = &st->o.mp;
	struct flow_tuple t = flow_tuple_reverse(&st->p.tuple);
	struct subflow *s = subflow_find(st->e, &t), *goes;
	enum mp_tcprst_reason why;
	enum reason reason;
	struct conn *c;
	uint8_t path = st->in->path;

	/* MP_CAPABLE: looked at behind the host's firewall and translation. */
	if (st->o.overrun || !m->has_join || m->has_capable || m->invalid || m->duplicate)
		return pass(REASON_SYN_PASSED);
	if (s && conn_at(st->e, s->conn)->state != CONN_CLOSED)
		return again(st, s);
	c = conn_find_token(st->e, m->join.token);
	if (!c || m->join.token == 0)
		return nobody_elses(st, &t) ? refuse(st, MP_TCPRST_MPTCP, REASON_JOIN_TOKEN)
					    : let_go(st);
	reason = check(st, c, &t, &why, &goes);
	if (reason != REASON_NONE)
		return refuse(st, why, reason);
	if (goes)
		join_room_make(st, c, goes);
	if (s)
		conn_free(st, conn_at(st->e, s->conn), REASON_CLOSED_REUSED);
	path_address(st->e, &t, &path);
	s = path < st->e->cfg.n_paths ? subflow_new(st, c, &t, path) : NULL;
	if (!s)
		return refuse(st, MP_TCPRST_RESOURCES, REASON_JOIN_LIMIT);
	remember(st, c, s);
	send_synack(st, c, s);
	conn_deadline(st, c);
	return verdict(ENGINE_STOLEN, REASON_JOIN_SUBFLOW, conn_index(st->e, c));
}

struct engine_result join_accept_unwanted(struct step *st)
{
	if (st->o.overrun || !st->o.mp.has_join)
		return pass(REASON_SYN_PASSED);
	return refuse(st, MP_TCPRST_MPTCP, REASON_JOIN_TOKEN);
}

/* ---- third and fourth ACK ---- */

static enum reason refuse_ack(struct step *st, struct conn *c, struct subflow *s,
			      enum mp_tcprst_reason why, enum reason reason)
{
	refuse(st, why, reason);
	subflow_free(st->e, c, s);
	return reason;
}

static enum reason third_ack(struct step *st, struct conn *c, struct subflow *s)
{
	uint8_t hmac[32];
	bool room;

	crypto_join_hmac(c->key_peer, c->key_local, s->nonce_peer, s->nonce_local, hmac);
	if (!crypto_equal(hmac, st->o.mp.join.hmac, sizeof(st->o.mp.join.hmac)))
		return refuse_ack(st, c, s, MP_TCPRST_MPTCP, REASON_JOIN_ACK_HMAC);
	st->e->n_half_joins--;
	s->state = SUBFLOW_ESTABLISHED;
	s->snd_una = s->snd_nxt;
	s->rto_at_us = 0;
	if (st->o.has_timestamps)
		s->ts_recent = st->o.tsval;
	if (s->n_syn == 1)
		s->syn_rtt_us = (uint32_t)(st->tick->now_us - s->ts_since_us);
	room = c->multi == NONE ? multi_new(st, c) : multi_add(st, c, s);
	if (!room)
		return refuse_ack(st, c, s, MP_TCPRST_RESOURCES, REASON_JOIN_MEMORY);
	c->confirmed = true; /* the peer can only know our token and key from us */
	c->alone_at_us = 0;
	c->active_us = st->tick->now_us;
	subflow_event(st, c, s, REASON_JOIN_ACCEPTED);
	multi_ack(st, c, s, 0); /* the fourth ACK */
	/* Those that only waited for this one may go; what they carried goes here. */
	c->join_at_us = 0;
	path_manager_check(st, c);
	multi_push(st, c);
	return REASON_JOIN_ACCEPTED;
}

struct engine_result join_accept_packet(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	const struct mptcp *m = &st->o.mp;
	enum reason reason = REASON_DROP_STATE;

	if (p->flags & TCP_RST) {
		if (p->seq == s->rcv_nxt) {
			subflow_free(st->e, c, s);
			reason = REASON_JOIN_WITHDRAWN;
		}
	} else if (!(p->flags & TCP_SYN) && (p->flags & TCP_ACK) && p->ack == s->snd_nxt &&
		   p->seq == s->rcv_nxt && !st->o.overrun && m->has_join &&
		   m->join.form == MP_JOIN_ACK && !m->duplicate) {
		reason = third_ack(st, c, s);
	}
	/* Data that overtook the third ACK comes again: the peer awaits the fourth (section 3.2).
	 */
	conn_deadline(st, c);
	return verdict(reason == REASON_JOIN_ACCEPTED ? ENGINE_STOLEN : ENGINE_DROP, reason,
		       conn_index(st->e, c));
}

void join_accept_timeout(struct step *st, struct conn *c, struct subflow *s)
{
	if (s->n_syn < SYNACK_TRIES) {
		send_synack(st, c, s);
		return;
	}
	join_room_give_up(st, c, s);
}
