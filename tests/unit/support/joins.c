/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * joins.c - see joins.h.
 */
#include "joins.h"

#include "engine/crypto.h"

void joins_init(struct world *w, uint8_t family)
{
	world_init(w, family);
	w->cfg.n_paths = 2;
	w->cfg.memory_bytes = 8 << 20;
	w->cfg.port_min = 61000;
	w->cfg.port_max = 61999;
	w->cfg.path[1] = (struct engine_path_cfg){.name = "b", .mtu_bytes = 1500, .price = 1.0};
	for (unsigned i = 0; i < 2; i++) {
		w->cfg.path[i].addr4 = (struct ip_addr){.b = {10, 0, (uint8_t)(i + 1), 1}};
		w->cfg.path[i].addr6 = (struct ip_addr){.b = {0xfd, 0, (uint8_t)(i + 1), 1}};
	}
	/* As MASQUERADE has it. */
	w->net.src = family == FLOW_IPV4 ? w->cfg.path[0].addr4 : w->cfg.path[0].addr6;
}

bool joins_open(struct world *w, struct join *first)
{
	world_start(w);
	world_open(w);
	return joins_find(w, first, 1) == 1;
}

static void take(struct world *w, struct join *j)
{
	*j = (struct join){.net = w->p.tuple,
			   .iss = w->p.seq,
			   .nonce = w->o.mp.join.nonce,
			   .token = w->o.mp.join.token,
			   .id = w->o.mp.join.address_id,
			   .backup = w->o.mp.join.backup};
}

unsigned joins_find(struct world *w, struct join *j, unsigned most)
{
	unsigned n = 0;

	for (unsigned i = 0; out(w, i) && n < most; i++)
		if (is_syn(w))
			take(w, &j[n++]);
	return n;
}

void join_sends(struct world *w, const struct join *j, const struct seg *s)
{
	const struct flow_tuple net = w->net;
	const uint32_t guest_isn = w->guest_isn, peer_isn = w->peer_isn;

	w->net = j->net;
	w->guest_isn = j->iss;
	w->peer_isn = JOIN_ISN;
	net_sends(w, ENGINE_STEAL, s);
	w->net = net;
	w->guest_isn = guest_isn;
	w->peer_isn = peer_isn;
}

void join_synack(struct world *w, const struct join *j, uint8_t id, bool backup, int hmac_bit)
{
	static const uint8_t sack[] = {TCPOPT_SACK_PERMITTED, 2};
	const uint8_t wscale[] = {TCPOPT_NOP, TCPOPT_WSCALE, 3, PEER_WSCALE};
	struct seg s = {.flags = TCP_SYN | TCP_ACK, .ack = 1, .window = 64240};
	struct mp_join m = {
		.form = MP_JOIN_SYNACK, .address_id = id, .backup = backup, .nonce = JOIN_NONCE};
	uint8_t hmac[32];

	crypto_join_hmac(PEER_KEY, w->key_local, JOIN_NONCE, j->nonce, hmac);
	memcpy(m.hmac, hmac, 8);
	if (hmac_bit >= 0)
		m.hmac[hmac_bit / 8] ^= (uint8_t)(1 << hmac_bit % 8);
	options_put_mss(&s.w, 1460);
	if (w->sack)
		options_put(&s.w, sack, sizeof(sack));
	options_put(&s.w, "\x08\x0a\0\0\x1f\x40\0\0\0\x01", 10);
	options_put(&s.w, wscale, sizeof(wscale));
	mp_join_encode(&s.w, &m);
	join_sends(w, j, &s);
}

void join_complete(struct world *w, const struct join *j)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000};

	join_synack(w, j, 0, false, -1);
	options_put_timestamps(&s.w, 8001, 1);
	join_sends(w, j, &s);
	world_pass(w, JOIN_SETTLE_US);
}

bool joins_open_two(struct world *w, uint8_t family, struct join *j)
{
	joins_init(w, family);
	if (!joins_open(w, j))
		return false;
	join_complete(w, j);
	return living(w) == 2;
}

int join_out(struct world *w, const struct join *j, bool (*holds)(const struct world *w))
{
	for (unsigned i = 0; i < w->outs.n_pkt; i++)
		if (w->pkt[i].side == ENGINE_NET && out(w, i) &&
		    flow_tuple_equal(&w->p.tuple, j ? &j->net : &w->net) && holds(w))
			return (int)i;
	return -1;
}

bool is_rst(const struct world *w)
{
	return w->p.flags & TCP_RST;
}

bool is_fin(const struct world *w)
{
	return w->p.flags & TCP_FIN;
}

bool is_syn(const struct world *w)
{
	return (w->p.flags & TCP_SYN) && w->o.mp.has_join && w->o.mp.join.form == MP_JOIN_SYN;
}

bool is_join_ack(const struct world *w)
{
	return w->p.flags == TCP_ACK && w->o.mp.has_join && w->o.mp.join.form == MP_JOIN_ACK;
}

bool is_add_addr(const struct world *w)
{
	return w->o.mp.has_add_addr;
}

bool is_remove_addr(const struct world *w)
{
	return w->o.mp.has_remove_addr;
}

bool is_prio(const struct world *w)
{
	return w->o.mp.has_prio;
}

bool is_any(const struct world *w)
{
	(void)w;
	return true;
}

void peer_signals(struct world *w, const struct options_writer *o)
{
	struct seg s = {.flags = TCP_ACK, .seq = 1, .ack = 101, .window = 1000, .w = *o};

	net_sends(w, ENGINE_STEAL, &s);
}

void peer_adds(struct world *w, const struct add_addr *a, bool good)
{
	struct options_writer o = {0};
	struct add_addr x = *a;

	crypto_add_addr_hmac(PEER_KEY, w->key_local, x.address_id, x.family, &x.addr, x.port,
			     x.hmac);
	x.hmac[7] ^= !good;
	add_addr_encode(&o, &x);
	peer_signals(w, &o);
}

unsigned living(struct world *w)
{
	struct engine_conn_info info;
	unsigned n = 0;

	if (!engine_conn_info(w->e, 0, w->tick.now_us, &info))
		return 0;
	for (unsigned i = 0; i < info.n_subflows; i++)
		n += strcmp(info.subflow[i].state, "established") == 0 &&
		     info.subflow[i].leaving == REASON_NONE;
	return n;
}
