/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join.c - see join.h.
 */
#include "engine/join.h"

#include "base/seq.h"
#include "engine/conn.h"
#include "engine/crypto.h"
#include "engine/emit.h"
#include "engine/flow_table.h"
#include "engine/multi.h"
#include "engine/pmtu.h"
#include "engine/receive.h"

#define JOIN_RTO_US 500000ull
#define JOIN_TRIES 4
#define PORT_TRIES 16
#define WINDOW_MAX 65535

static bool random_word(struct step *st, uint64_t *word)
{
	struct engine_random *r = st->tick->random;

	if (r->n == 0)
		return false;
	*word = r->word[--r->n];
	return true;
}

/* A port of our range that the path's address does not use towards this peer. */
static bool choose_port(struct step *st, struct flow_tuple *t, uint64_t seed)
{
	const struct engine_cfg *cfg = &st->e->cfg;
	uint32_t n = (uint32_t)cfg->port_max - cfg->port_min + 1;

	for (unsigned i = 0; i < PORT_TRIES; i++) {
		t->src_port = (uint16_t)(cfg->port_min + (seed + i * 7919u) % n);
		if (!subflow_find(st->e, t))
			return true;
	}
	return false;
}

static void send_syn(struct step *st, struct conn *c, struct subflow *s)
{
	static const uint8_t sack_permitted[] = {TCPOPT_SACK_PERMITTED, 2};
	uint8_t wscale[] = {TCPOPT_NOP, TCPOPT_WSCALE, 3, c->guest_wscale};
	uint16_t ip = s->net.family == FLOW_IPV4 ? 20 : 40;
	struct mp_join j = {.form = MP_JOIN_SYN,
			    .backup = s->backup,
			    .address_id = s->address_id_local,
			    .token = c->token_peer,
			    .nonce = s->nonce_local};
	struct headers h = {.tuple = s->net,
			    .seq = s->iss,
			    .flags = TCP_SYN,
			    .window = WINDOW_MAX,
			    .ttl = 64,
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
	s->rto_at_us = st->tick->now_us + (JOIN_RTO_US << (s->n_syn - 1));
	emit_net(st, c, s, &h, &w, NULL, 0, REASON_JOIN_SUBFLOW);
}

bool join_start(struct step *st, struct conn *c, uint8_t path)
{
	const struct engine_path_cfg *p = &st->e->cfg.path[path];
	struct flow_tuple net = {.family = c->guest.family,
				 .src = c->guest.family == FLOW_IPV4 ? p->addr4 : p->addr6,
				 .dst = c->peer_addr,
				 .dst_port = c->peer_port};
	struct subflow *s;
	uint64_t one, two;

	if (!emit_room(st, 1) || !random_word(st, &one) || !random_word(st, &two) ||
	    !choose_port(st, &net, one >> 32))
		return false;
	s = subflow_new(st, c, &net, path);
	if (!s)
		return false;
	s->state = SUBFLOW_JOIN_SYN;
	s->backup = p->backup;
	s->address_id_local = ++c->next_address_id;
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

static void end(struct step *st, struct conn *c, struct subflow *s, enum reason reason)
{
	if (c->joins_refused < UINT8_MAX)
		c->joins_refused++;
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
			    .window = emit_window_net(c),
			    .ttl = 64,
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

static void refuse(struct step *st, struct conn *c, struct subflow *s, enum reason reason)
{
	emit_rst_back(st, REASON_JOIN_SUBFLOW);
	end(st, c, s, reason);
}

static enum reason synack(struct step *st, struct conn *c, struct subflow *s)
{
	const struct options *o = &st->o;
	const struct mp_join *j = &o->mp.join;
	uint16_t ip = s->net.family == FLOW_IPV4 ? 20 : 40;
	uint32_t mss = o->has_mss ? o->mss : 536, path = pmtu_bytes(st->e, s) - ip - 20;
	uint8_t hmac[32];

	if (st->p.ack != s->iss + 1)
		return REASON_DROP_STATE;
	if (s->state != SUBFLOW_JOIN_SYN) {
		send_ack(st, c, s); /* the peer did not get our ACK */
		return REASON_JOIN_SUBFLOW;
	}
	if (!o->mp.has_join || j->form != MP_JOIN_SYNACK) {
		refuse(st, c, s, REASON_JOIN_REFUSED);
		return REASON_JOIN_REFUSED;
	}
	crypto_join_hmac(c->key_peer, c->key_local, j->nonce, s->nonce_local, hmac);
	if (!crypto_equal(hmac, j->hmac, 8)) {
		refuse(st, c, s, REASON_JOIN_HMAC);
		return REASON_JOIN_HMAC;
	}
	s->nonce_peer = j->nonce;
	s->address_id_peer = j->address_id;
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

struct engine_result join_packet(struct step *st, struct conn *c, struct subflow *s)
{
	const struct packet *p = &st->p;
	enum reason reason = REASON_DROP_STATE;
	conn_ref ref = conn_index(st->e, c);
	bool joined = false;

	if (p->flags & TCP_RST) {
		if (p->ack == s->snd_nxt || p->seq == s->rcv_nxt) {
			end(st, c, s, REASON_JOIN_REFUSED);
			reason = REASON_JOIN_REFUSED;
		}
	} else if ((p->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		reason = synack(st, c, s);
	} else if (s->state == SUBFLOW_JOIN_ACK && (p->flags & TCP_ACK) && p->ack == s->snd_nxt &&
		   p->seq - s->rcv_nxt < 1u << 30) {
		/* The fourth ACK: our HMAC was good. */
		s->state = SUBFLOW_ESTABLISHED;
		s->rto_at_us = 0;
		s->n_rto = 0;
		c->alone_at_us = 0;
		joined = c->multi == NONE ? multi_new(st, c) : multi_add(st, c, s);
		reason = REASON_JOIN_ESTABLISHED;
		if (joined) {
			event(st, ENGINE_EVENT_SUBFLOW, c, reason);
			if (p->payload_bytes || st->o.mp.has_dss)
				return multi_from_net(st, c, s);
		} else {
			refuse(st, c, s, REASON_DROP_NO_PAYLOAD_MEMORY);
		}
	}
	conn_deadline(st, c);
	return verdict(reason == REASON_DROP_STATE ? ENGINE_DROP : ENGINE_STOLEN, ENGINE_MARK_NONE,
		       reason, ref);
}

void join_timeout(struct step *st, struct conn *c, struct subflow *s)
{
	if (s->state == SUBFLOW_JOIN_SYN && s->n_syn < JOIN_TRIES) {
		send_syn(st, c, s);
	} else if (s->state == SUBFLOW_JOIN_ACK && s->n_rto < JOIN_TRIES) {
		s->n_rto++;
		send_ack(st, c, s);
	} else {
		end(st, c, s, REASON_JOIN_TIMEOUT);
	}
}
