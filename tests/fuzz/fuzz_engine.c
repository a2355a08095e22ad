/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_engine.c - any bytes as timed packets on either side of open connections: the engine's
 * records stay in order, every packet has one verdict with a reason, what comes out can be read.
 *
 * Input: two or four bytes of configuration (see `world_begin`), then operations. A packet's
 * numbers are given relative to the connection's live state and its options come from a table, so
 * that most inputs get past the first checks; whole handshakes, joins and announcements, which no
 * fuzzer finds by itself because of their HMACs, are operations of their own (engine/hosts.c), and
 * so is what happens to connections with several subflows that work (engine/traffic.c).
 */
#include "engine/fuzz_world.h"
#include "wire/icmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_dss(struct options_writer *w, const struct conn *c, const struct subflow *s)
{
	unsigned f = take(1);
	struct dss d = {.has_ack = f & 1,
			.ack64 = f & 2,
			.has_map = f & 4,
			.dsn64 = f & 8,
			.data_fin = f & 16 && f & 4};

	d.has_csum = d.has_map && c->checksum != !!(f & 32);
	d.data_ack = c->una_dsn + (uint64_t)(int64_t)(int32_t)distance();
	d.dsn = c->acked_dsn + (uint64_t)(int64_t)(int32_t)distance();
	d.ssn = (s ? s->rcv_nxt - s->irs : 1) + distance();
	d.map_len = (uint16_t)(f & 64 ? take(2) : 1448);
	d.csum = (uint16_t)f;
	dss_encode(w, &d);
}

static void put_options(struct options_writer *w, const struct conn *c, const struct subflow *s)
{
	unsigned what = take(1);
	struct sack_block b;
	uint8_t raw[8];

	if (z.timestamps ^ !!(what & 1))
		options_put_timestamps(w, take(1), take(1));
	if (!c)
		return;
	if (what & 2) {
		b.start = c->una_seq + distance();
		b.end = b.start + distance();
		options_put_sack(w, &b, 1);
	}
	if (what & 4)
		put_dss(w, c, s);
	if (what & 8)
		mp_fastclose_encode(w, what & 16 ? c->key_local : c->key_peer);
	if (what & 32)
		mp_fail_encode(w, c->acked_dsn);
	if (what & 64)
		mp_capable_encode(w, &(struct mp_capable){.version = 1,
							  .flags = MP_CAPABLE_HMAC_SHA256,
							  .n_keys = (uint8_t)(take(1) % 3),
							  .sender_key = PEER_KEY});
	if (what & 128) {
		for (unsigned i = 0; i < sizeof(raw); i++)
			raw[i] = (uint8_t)take(1);
		options_put(w, raw, sizeof(raw));
	}
}

static void segment(unsigned which, unsigned nth, bool from_guest)
{
	static const uint8_t flags[] = {TCP_ACK,           TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN,
					TCP_RST,           TCP_RST | TCP_ACK, TCP_SYN,
					TCP_SYN | TCP_ACK, TCP_ACK | TCP_URG};
	const struct conn *c = conn_of(which);
	const struct subflow *s = subflow_of(c, nth);
	struct flow_tuple t = s && !from_guest ? s->net : tuple_of(which, !from_guest);
	struct options_writer w = {0};
	unsigned f = take(1), n = 0;
	struct headers h = {.window = (uint16_t)take(1)};
	uint8_t hook;

	h.flags = flags[f & 7];
	hook = h.flags & TCP_SYN ? ENGINE_IN_PLACE : ENGINE_STEAL;
	if (hook == ENGINE_IN_PLACE)
		t = tuple_of(which, false);
	h.tuple = from_guest ? t : flow_tuple_reverse(&t);
	h.seq = from_guest ? GUEST_ISN : PEER_ISN;
	h.ack = from_guest ? PEER_ISN : GUEST_ISN + 1;
	if (c && s && hook == ENGINE_STEAL) {
		h.seq = from_guest ? f & 8 ? c->una_seq : c->max_seq
			: f & 8    ? s->acked_ssn
				   : s->rcv_nxt;
		h.ack = from_guest ? f & 16 ? c->acked_seq : c->sent_seq
			: f & 16   ? s->snd_una
				   : s->snd_nxt;
	}
	if (f & 32)
		h.seq += distance();
	if (f & 64)
		h.ack += distance();
	if (f & 128)
		n = take(2) % PAYLOAD_MAX;
	h.window = (uint16_t)(h.window << 8 | h.window);
	put_options(&w, c, s);
	if (h.flags == (TCP_SYN | TCP_ACK) && w.len_bytes == 0)
		mp_capable_encode(&w, &(struct mp_capable){.version = 1,
							   .flags = MP_CAPABLE_HMAC_SHA256,
							   .n_keys = 1,
							   .sender_key = PEER_KEY});
	put_segment(which, from_guest ? ENGINE_GUEST : ENGINE_NET, hook, &h, &w, n,
		    (uint8_t)(f ^ h.seq));
}

/* ---- operations ---- */

static void raw_packet(void)
{
	unsigned head = take(1), n = take(1);

	for (unsigned i = 0; i < n; i++)
		z.packet[i] = (uint8_t)take(1);
	put_packet(head & 1, head >> 1 & 1, head >> 2 & 1, n);
}

static void too_big(unsigned which, unsigned nth)
{
	const struct subflow *s = subflow_of(conn_of(which), nth);
	struct icmp_too_big m = {.mtu_bytes = take(2), .about = tuple_of(which, true)};

	m.family = m.about.family;
	m.seq = (s ? s->snd_una : GUEST_ISN) + distance();
	put_packet(which, ENGINE_NET, ENGINE_STEAL, icmp_too_big_encode(z.packet, &m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	z.p = data;
	z.left = size > 4096 ? 4096 : size;
	world_begin();
	while (z.left > 0) {
		unsigned op = take(1), which = (op >> 4) % CONNS, nth = (op >> 4) / CONNS;

		switch (op & 15) {
		case 6:
			host_connects(which);
			break;
		case 7:
			host_joins(which, nth);
			break;
		case 8:
			host_announces(which, nth);
			break;
		case 9:
			host_talks(which, nth);
			break;
		case 10:
			host_joins_answered(which, nth);
			break;
		case 11:
			engine_path_set(z.e, nth % z.cfg.n_paths, op & 16, NULL);
			break;
		case 12:
			z.now_us += (uint64_t)take(2) * 10000;
			world_timeouts();
			break;
		case 13:
			if (nth == 0)
				world_adopt();
			else if (nth == 4)
				world_shutdown();
			else
				host_more(which);
			break;
		case 14:
			raw_packet();
			break;
		case 15:
			too_big(which, nth);
			break;
		default:
			segment(which, nth, op & 1);
			break;
		}
	}
	world_end();
	return 0;
}
