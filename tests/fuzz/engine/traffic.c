// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * traffic.c - see fuzz_world.h: what no random bytes find in the middle of connections that work:
 * losses with SACK, mappings of several segments, joins of other ways, paths that change.
 */
#include "base/csum.h"
#include "engine/crypto.h"
#include "engine/fuzz_world.h"

/* A segment of the peer on the subflow: next in order, everything acknowledged, nothing more. */
static void peer_begin(const struct subflow *s, struct headers *h, struct options_writer *w)
{
	*h = (struct headers){.tuple = flow_tuple_reverse(&s->net),
			      .seq = s->rcv_nxt,
			      .ack = s->snd_nxt,
			      .flags = TCP_ACK,
			      .window = 8192};
	w->len_bytes = 0;
	if (s->timestamps)
		options_put_timestamps(w, s->ts_recent + 1, s->tsval);
}

/* ---- a guest that connects ---- */

static void guest_segment(unsigned which, uint8_t flags, uint32_t bytes)
{
	const struct conn *c = conn_of(which);
	struct headers h = {.tuple = tuple_of(which, false),
			    .seq = c ? c->max_seq : GUEST_ISN,
			    .ack = flags & TCP_SYN ? 0 : PEER_ISN + 1,
			    .flags = flags,
			    .window = 8192};
	struct options_writer w = {0};

	if (flags & TCP_SYN) {
		h.seq = GUEST_ISN;
		options_put_mss(&w, 1460);
	}
	if (z.timestamps)
		options_put_timestamps(&w, 1, 1);
	put_segment(which, ENGINE_GUEST, flags & TCP_SYN ? ENGINE_IN_PLACE : ENGINE_STEAL, &h, &w,
		    bytes, 0);
}

static void peer_synack(unsigned which, unsigned wrong)
{
	struct flow_tuple t = tuple_of(which, false);
	struct headers h = {.tuple = flow_tuple_reverse(&t),
			    .seq = PEER_ISN,
			    .ack = GUEST_ISN + 1,
			    .flags = TCP_SYN | TCP_ACK,
			    .window = 8192};
	struct mp_capable k = {.version = 1,
			       .flags = (uint8_t)(MP_CAPABLE_HMAC_SHA256 |
						  (wrong & 4 ? MP_CAPABLE_CHECKSUM : 0) |
						  (wrong & 8 ? MP_CAPABLE_NO_JOIN : 0)),
			       .n_keys = 1,
			       .sender_key = PEER_KEY};
	struct options_writer w = {0};

	options_put_mss(&w, 1460);
	if (z.timestamps)
		options_put_timestamps(&w, 1, 1);
	if (wrong & 16)
		options_put(&w, (uint8_t[]){TCPOPT_SACK_PERMITTED, 2, TCPOPT_NOP, TCPOPT_NOP}, 4);
	mp_capable_encode(&w, &k);
	put_segment(which, ENGINE_NET, ENGINE_IN_PLACE, &h, &w, 0, 0);
}

/* Up to the peer's first DSS. */
static void opens(unsigned which, unsigned wrong)
{
	const struct conn *c;
	const struct subflow *s;
	struct options_writer w;
	struct headers h;

	guest_segment(which, TCP_SYN, 0);
	peer_synack(which, wrong);
	guest_segment(which, TCP_ACK, 0);
	if (wrong & 1)
		return;
	guest_segment(which, TCP_ACK | TCP_PSH, 500);
	c = conn_of(which);
	s = subflow_of(c, 0);
	if (!s || wrong & 2)
		return;
	peer_begin(s, &h, &w);
	dss_encode(&w, &(struct dss){.has_ack = true,
				     .ack64 = true,
				     .data_ack = c->una_dsn + (c->max_seq - c->una_seq)});
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, 0, 0);
}

/* ---- losses ---- */

/* The peer has what we sent but for some of it. */
static void peer_sack(unsigned which, const struct subflow *s, const struct conn *c, unsigned how)
{
	struct sack_block b[2];
	uint32_t out = s->snd_nxt - s->snd_una, from = take(1) * 100, n = 1;
	struct dss d = {.has_ack = true, .data_ack = c->una_dsn};
	struct options_writer w;
	struct headers h;

	peer_begin(s, &h, &w);
	h.ack = s->snd_una;
	if (how & 1) /* a part of it in order */
		h.ack += out / 3;
	b[0].start = s->snd_una + (out ? from % out : 0);
	b[0].end = how & 2 ? s->snd_nxt : b[0].start + 100;
	if (how & 4) { /* twice there: RFC 2883 */
		b[1] = b[0];
		b[0].start = h.ack - 100;
		b[0].end = h.ack;
		n = 2;
	}
	options_put_sack(&w, b, n);
	dss_encode(&w, &d);
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, 0, 0);
}

/* The guest says which of the peer's segments it lacks. */
static void guest_sack(unsigned which, const struct conn *c, unsigned how)
{
	uint32_t out = c->sent_seq - c->acked_seq;
	struct sack_block b = {c->acked_seq + (out ? take(1) * 100 % out : 0), c->sent_seq};
	struct headers h = {.tuple = tuple_of(which, false),
			    .seq = c->max_seq,
			    .ack = c->acked_seq + (how & 1 ? out / 3 : 0),
			    .flags = TCP_ACK,
			    .window = how & 2 ? 0 : 8192};
	struct options_writer w = {0};

	if (c->timestamps)
		options_put_timestamps(&w, take(1), 1);
	if (how & 4)
		options_put_sack(&w, &b, 1);
	put_segment(which, ENGINE_GUEST, ENGINE_STEAL, &h, &w, 0, 0);
}

/* ---- the peer's data, otherwise than one mapping per segment ---- */

static uint64_t next_dsn(const struct conn *c)
{
	uint32_t next = c->sent_seq;

	if (c->multi != NONE)
		next = ((const struct multi *)pool_at(&z.e->multis, z.e, c->multi))->rx_nxt_seq;
	return c->acked_dsn + (next - c->acked_seq);
}

/* The checksum over the pseudo header of RFC 8684 section 3.3.1, and data of zeros. */
static uint16_t dss_csum_zeros(const struct dss *d)
{
	uint8_t head[16] = {0};

	for (unsigned i = 0; i < 8; i++)
		head[i] = (uint8_t)(d->dsn >> (56 - 8 * i));
	for (unsigned i = 0; i < 4; i++)
		head[8 + i] = (uint8_t)(d->ssn >> (24 - 8 * i));
	head[12] = (uint8_t)(d->map_len >> 8);
	head[13] = (uint8_t)d->map_len;
	return (uint16_t)~csum_fold(csum_add(0, head, sizeof(head)));
}

/*
 * A mapping longer than its first segment; the rest comes in order, the last part first, or not;
 * or the whole of it behind a hole that is filled later.
 */
static void peer_mapping(unsigned which, unsigned nth, unsigned how)
{
	const struct conn *c = conn_of(which);
	const struct subflow *s = subflow_of(c, nth);
	uint32_t part = 200 + take(1) * 8, n = 2 + (how & 3), seq = s->rcv_nxt, hole = 0;
	struct dss d = {.has_ack = true,
			.has_map = true,
			.dsn64 = how & 4,
			.data_ack = c->una_dsn,
			.dsn = next_dsn(c),
			.map_len = (uint16_t)(n * part),
			.has_csum = c->checksum};

	if (how & 8)
		hole = 1000;
	seq += hole;
	d.dsn += hole;
	d.ssn = seq - s->irs;
	d.csum = dss_csum_zeros(&d);
	d.csum ^= (how & 16) != 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = how & 32 ? n - 1 - i : i;
		struct options_writer w;
		struct headers h;

		s = subflow_of(conn_of(which), nth);
		if (!s || (how & 64 && i + 1 == n))
			return;
		peer_begin(s, &h, &w);
		h.seq = seq + at * part;
		h.flags |= TCP_PSH;
		if (i == 0 || how & 128)
			dss_encode(&w, &d);
		put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, part, 0);
	}
}

/* ---- words ---- */

static void peer_words(unsigned which, const struct subflow *s, const struct conn *c, unsigned how)
{
	struct options_writer w;
	struct headers h;
	struct add_addr a = {.echo = true, .family = FLOW_IPV4};

	peer_begin(s, &h, &w);
	switch (how & 7) {
	case 0:
		h.flags = TCP_RST | TCP_ACK;
		mp_tcprst_encode(&w, &(struct mp_tcprst){.transient = how & 8,
							 .reason = (uint8_t)(how >> 4 & 7)});
		break;
	case 1: /* it has heard of an address of ours */
		a.address_id = (uint8_t)take(1);
		add_addr_encode(&w, &a);
		break;
	case 2: /* a keepalive */
		h.seq--;
		break;
	case 3:
		h.flags |= TCP_FIN;
		break;
	case 4: /* without MPTCP: a box took it away */
		h.ack = s->snd_una + (s->snd_nxt - s->snd_una) / 2;
		break;
	case 5: /* the MP_JOIN ACK again, or a SYN/ACK */
		h.seq = s->irs + !(how & 8);
		h.flags |= how & 8 ? TCP_SYN : 0;
		mp_join_encode(&w, &(struct mp_join){.form = how & 8 ? MP_JOIN_SYNACK : MP_JOIN_ACK,
						     .nonce = s->nonce_peer});
		break;
	case 6:
		h.window = (uint16_t)(how >> 3);
		dss_encode(&w, &(struct dss){.has_ack = true, .data_ack = c->una_dsn});
		break;
	default:
		dss_encode(&w, &(struct dss){.has_ack = true,
					     .data_ack = c->una_dsn,
					     .has_map = true,
					     .dsn = next_dsn(c),
					     .map_len = 1,
					     .has_csum = c->checksum,
					     .data_fin = true});
		break;
	}
	put_segment(which, ENGINE_NET, ENGINE_STEAL, &h, &w, 0, 0);
}

/* ---- joins that are not for a connection of ours, or may not be ---- */

static void join_elsewhere(unsigned which, unsigned how)
{
	struct flow_tuple t = tuple_of(which, false);
	struct mp_join j = {
		.form = MP_JOIN_SYN, .token = how & 8 ? 0 : 77u + (how >> 4), .nonce = how >> 5};
	struct headers h = {.tuple = flow_tuple_reverse(&t),
			    .seq = 0x30000000u,
			    .flags = TCP_SYN,
			    .window = 8192};
	static const uint8_t hooks[] = {ENGINE_STEAL, ENGINE_IN_PLACE, ENGINE_UNWANTED,
					ENGINE_STEAL};
	struct options_writer w = {0};
	uint8_t from = ENGINE_NET;

	h.tuple.src_port = (uint16_t)(7000 + (how >> 4));
	if ((how & 3) == 3) { /* a guest that speaks MPTCP itself */
		h.tuple = flow_tuple_reverse(&h.tuple);
		from = ENGINE_GUEST;
	}
	options_put_mss(&w, how & 4 ? 100 : 1460);
	mp_join_encode(&w, &j);
	put_segment(which, from, from == ENGINE_GUEST ? ENGINE_IN_PLACE : hooks[how & 3], &h, &w, 0,
		    0);
}

/* ---- paths ---- */

static void path_changes(unsigned how)
{
	unsigned path = how % z.cfg.n_paths;
	struct engine_path_cfg p = z.cfg.path[path];

	if (how & 4)
		p.mtu_bytes = (uint16_t)(how & 8 ? 1280 : 9000);
	if (how & 16)
		p.addr4.b[2]++;
	if (how & 32)
		p.addr6.b[14]++;
	if (how & 64)
		p.price = how & 8 ? 1.0 : 5.0;
	p.backup = how & 8 && how & 16;
	z.cfg.path[path] = p;
	engine_path_set(z.e, path, !(how & 128), &p);
}

void host_more(unsigned which)
{
	unsigned what = take(1), nth = what >> 4, how = take(1);
	const struct conn *c = conn_of(which);
	const struct subflow *s = subflow_of(c, nth);

	switch (what & 15) {
	case 0:
		opens(which, how);
		return;
	case 1:
		join_elsewhere(which, how);
		return;
	case 2:
		path_changes(how);
		return;
	case 3: /* a few round trips, not the hours of op 12 */
		z.now_us += how * 1000;
		world_timeouts();
		return;
	case 4:
		if (c)
			guest_sack(which, c, how);
		return;
	case 5:
		if (c)
			guest_segment(which, how & 1 ? TCP_ACK | TCP_FIN : TCP_ACK | TCP_PSH,
				      how * 32);
		return;
	default:
		break;
	}
	if (!s || s->state == SUBFLOW_JOIN_SYN || s->state == SUBFLOW_JOIN_RECEIVED)
		return;
	if ((what & 15) < 9)
		peer_sack(which, s, c, how);
	else if ((what & 15) < 12)
		peer_mapping(which, nth, how);
	else
		peer_words(which, s, c, how);
}
