/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pcap_replay.c - replay: packets read, completed and cut as bytes; sources merged in the
 * order of time; which packets are fed; and a connection through the engine, with the key that the
 * capture knows.
 */
#include "app/replay.h"
#include "unit.h"

#define TCP_BYTES 20

struct seen {
	unsigned n_packets, n_to_guest, n_events;
	uint64_t last_us;
	uint64_t digest;
	uint8_t last[2048];
	uint32_t last_bytes;
	char fates[64]; /* a letter per verdict: side and verdict */
	unsigned n_fates;
};

static struct seen seen;

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* The one's complement sum of an IPv4 TCP packet with its pseudo-header: 0xffff when good. */
static unsigned tcp_sum(const uint8_t *p, uint32_t n, uint32_t from)
{
	uint64_t s = from == 20 ? 6 + (n - 20) : 0;

	for (uint32_t i = from == 20 ? 12 : 0; i < (from ? n : 20); i += 2)
		s += i + 1 < n ? be16(p + i) : (unsigned)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (unsigned)s;
}

/* An IPv4 packet 10.0.0.2:1000 > 192.0.2.1:80 (or the reverse) with a partial checksum. */
static uint32_t packet(uint8_t *p, bool reverse, uint8_t flags, uint32_t seq, uint32_t ack,
		       const char *options_hex, uint32_t payload_bytes)
{
	static const uint8_t guest[4] = {10, 0, 0, 2}, peer[4] = {192, 0, 2, 1};
	uint8_t *tcp = p + 20;
	unsigned n_options = unit_hex(tcp + TCP_BYTES, 40, options_hex);
	uint32_t n = 20 + TCP_BYTES + n_options + payload_bytes;
	uint64_t s = 6 + n - 20;

	memset(p, 0, 40);
	p[0] = 0x45;
	p[2] = (uint8_t)(n >> 8);
	p[3] = (uint8_t)n;
	p[8] = 64;
	p[9] = 6;
	memcpy(p + 12, reverse ? peer : guest, 4);
	memcpy(p + 16, reverse ? guest : peer, 4);
	put32(tcp, reverse ? 80U << 16 | 1000 : 1000U << 16 | 80);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	tcp[12] = (uint8_t)((TCP_BYTES + n_options) / 4 << 4);
	tcp[13] = flags;
	tcp[14] = 0x40;
	unit_hex(tcp + TCP_BYTES, 40, options_hex);
	memset(tcp + TCP_BYTES + n_options, 'd', payload_bytes);
	for (unsigned i = 12; i < 20; i += 2)
		s += be16(p + i);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	tcp[16] = (uint8_t)(s >> 8);
	tcp[17] = (uint8_t)s;
	s = 0xffff - tcp_sum(p, n, 0);
	p[10] = (uint8_t)(s >> 8);
	p[11] = (uint8_t)s;
	return n;
}

static void on_packet(void *ctx, uint64_t now_us, enum engine_side to, unsigned index,
		      const uint8_t *data, uint32_t len_bytes)
{
	(void)ctx;
	(void)index;
	CU_ASSERT_TRUE(now_us >= seen.last_us);
	CHECK_EQ(seen.n_packets, tcp_sum(data, len_bytes, 20), 0xffff);
	seen.last_us = now_us;
	seen.n_packets++;
	seen.n_to_guest += to == ENGINE_GUEST;
	seen.last_bytes = len_bytes < sizeof(seen.last) ? len_bytes : sizeof(seen.last);
	memcpy(seen.last, data, seen.last_bytes);
	for (uint32_t i = 0; i < len_bytes; i++)
		seen.digest = (seen.digest ^ data[i]) * 0x100000001b3U;
}

static void on_verdict(void *ctx, uint64_t now_us, const struct engine_pkt *pkt,
		       const struct engine_result *r)
{
	(void)ctx;
	(void)now_us;
	if (seen.n_fates + 3 > sizeof(seen.fates))
		return;
	seen.fates[seen.n_fates++] = pkt->from == ENGINE_GUEST ? 'g' : 'n';
	seen.fates[seen.n_fates++] = r ? "aRSDA"[r->verdict] : 'k';
}

static void on_event(void *ctx, uint64_t now_us, const struct engine_event *event)
{
	(void)ctx;
	(void)now_us;
	(void)event;
	seen.n_events++;
}

static const struct replay_hooks hooks = {
	.on_packet = on_packet, .on_verdict = on_verdict, .on_event = on_event};

static struct replay *fresh(uint64_t seed)
{
	static const struct engine_cfg cfg = {
		.max_connections = 16, .memory_bytes = 1 << 20, .n_paths = 2};

	memset(&seen, 0, sizeof(seen));
	return replay_new(&cfg, seed, &hooks);
}

static void test_read(void)
{
	static const uint8_t not_tcp[20] = {0x45, [3] = 20, [8] = 64, 17};
	uint8_t p[256];
	struct replay_packet r;
	uint32_t n = packet(p, false, 0x12, 7, 8,
			    "0101 1e14 0181 0102030405060708 1112131415161718 0101", 3);

	replay_packet_read(&r, p, n);
	CU_ASSERT_TRUE(r.tcp && r.partial);
	CU_ASSERT_EQUAL(r.tuple.src_port, 1000);
	CU_ASSERT_EQUAL(r.tuple.dst_port, 80);
	CU_ASSERT_EQUAL(r.seq, 7);
	CU_ASSERT_EQUAL(r.flags, 0x12);
	CU_ASSERT_EQUAL(r.key, 0x0102030405060708);
	replay_checksum(p, n, 20);
	CU_ASSERT_EQUAL(tcp_sum(p, n, 20), 0xffff);
	replay_packet_read(&r, p, n);
	CU_ASSERT_FALSE(r.partial);
	/* A SYN/ACK's; version 0, a single key elsewhere, and an option that overruns are no key.
	 */
	CU_ASSERT_TRUE(r.mptcp);
	n = packet(p, false, 0x12, 7, 8, "1e0c 0181 0102030405060708", 0);
	replay_packet_read(&r, p, n);
	CU_ASSERT_EQUAL(r.key, 0x0102030405060708);
	n = packet(p, false, 0x10, 7, 8, "0101 1e14 0081 0102030405060708 1112131415161718", 0);
	replay_packet_read(&r, p, n);
	CU_ASSERT_EQUAL(r.key, 0);
	n = packet(p, false, 0x10, 7, 8, "1e0c 0181 0102030405060708", 0);
	replay_packet_read(&r, p, n);
	CU_ASSERT_EQUAL(r.key, 0);
	n = packet(p, false, 0x10, 7, 8, "1e28 0181 0102030405060708 11121314", 0);
	replay_packet_read(&r, p, n);
	CU_ASSERT_EQUAL(r.key, 0);
	/* Whatever is cut off: no ports; below 20 bytes not even addresses. */
	for (uint32_t cut = 0; cut < 40; cut++) {
		replay_packet_read(&r, p, cut);
		CHECK_ROW(cut, !r.tcp);
		CHECK_EQ(cut, r.tuple.family, cut < 20 ? 0 : FLOW_IPV4);
	}
	replay_packet_read(&r, not_tcp, sizeof(not_tcp));
	CU_ASSERT_FALSE(r.tcp);
}

struct pieces {
	unsigned n;
	uint32_t next_seq, bytes;
	uint8_t flags[16];
	unsigned ip_id[16];
};

static void on_piece(void *ctx, const uint8_t *data, uint32_t len_bytes)
{
	struct pieces *s = ctx;
	uint32_t seq = be16(data + 24) << 16 | be16(data + 26);

	CHECK_EQ(s->n, be16(data + 2), len_bytes);
	CHECK_EQ(s->n, tcp_sum(data, len_bytes, 20), 0xffff);
	CHECK_EQ(s->n, tcp_sum(data, len_bytes, 0), 0xffff);
	CHECK_EQ(s->n, seq, s->next_seq);
	s->flags[s->n] = data[33];
	s->ip_id[s->n++] = be16(data + 4);
	s->bytes += len_bytes - 40;
	s->next_seq += len_bytes - 40;
}

/* A super-segment across the wrap of the sequence numbers, cut as the kernel does. */
static void test_segment(void)
{
	uint8_t p[8192];
	struct engine_out out = {.ip_bytes = 20,
				 .hdr_bytes = 40,
				 .gso_size_bytes = 1000,
				 .payload_bytes = 3500,
				 .payload = p + 40};
	struct pieces s = {.next_seq = 0xfffffa00};

	packet(p, false, 0x99, 0xfffffa00, 5, "", 3500); /* CWR, ACK, PSH, FIN */
	memcpy(out.hdr, p, 40);
	replay_segment(&out, on_piece, &s);
	CU_ASSERT_EQUAL(s.n, 4);
	CU_ASSERT_EQUAL(s.bytes, 3500);
	CU_ASSERT_EQUAL(s.flags[0], 0x90);
	CU_ASSERT_EQUAL(s.flags[1], 0x10);
	CU_ASSERT_EQUAL(s.flags[3], 0x19);
	CU_ASSERT_EQUAL(s.ip_id[3], s.ip_id[0] + 3);
	/* One that fits is not cut. */
	memset(&s, 0, sizeof(s));
	s.next_seq = 9;
	packet(p, false, 0x18, 9, 5, "", 1000);
	memcpy(out.hdr, p, 40);
	out.payload_bytes = 1000;
	replay_segment(&out, on_piece, &s);
	CU_ASSERT_EQUAL(s.n, 1);
	CU_ASSERT_EQUAL(s.flags[0], 0x18);
}

struct list {
	unsigned at, n;
	struct {
		uint64_t time_us;
		uint8_t data[128];
		uint32_t n;
	} p[8];
};

static int list_next(void *ctx, uint64_t *time_us, const uint8_t **data, uint32_t *len_bytes)
{
	struct list *l = ctx;

	if (l->at == l->n)
		return 0;
	*time_us = l->p[l->at].time_us;
	*data = l->p[l->at].data;
	*len_bytes = l->p[l->at++].n;
	return 1;
}

static void list_add(struct list *l, uint64_t time_us, bool reverse, uint8_t flags, uint32_t seq,
		     uint32_t ack, const char *options, uint32_t payload_bytes)
{
	l->p[l->n].time_us = time_us;
	l->p[l->n].n = packet(l->p[l->n].data, reverse, flags, seq, ack, options, payload_bytes);
	l->n++;
}

#define MSS "020405b4"
#define MP_CAPABLE_SYNACK "1e0c 0101 a1a2a3a4a5a6a7a8"
#define MP_CAPABLE_ACK "1e14 0101 0102030405060708 a1a2a3a4a5a6a7a8"

/* The guest's capture and the second path's, both with both directions. */
static void session(struct list *guest, struct list *net, const char *synack)
{
	memset(guest, 0, sizeof(*guest));
	memset(net, 0, sizeof(*net));
	list_add(guest, 1000000, false, 0x02, 100, 0, MSS, 0);
	list_add(guest, 1000300, true, 0x12, 500, 101, MSS, 0); /* what the gate told it */
	list_add(guest, 1000400, false, 0x10, 101, 501, "", 0);
	list_add(guest, 1000500, false, 0x18, 101, 501, "", 10);
	list_add(net, 1000100, false, 0x02, 100, 0, MSS, 0); /* what the gate sent */
	list_add(net, 1000200, true, 0x12, 500, 101, synack, 0);
	list_add(net, 1000400, false, 0x10, 101, 501, MP_CAPABLE_ACK, 0);
}

static void run(struct replay *r, struct list *guest, struct list *net,
		uint64_t fates[REPLAY_FATES])
{
	const struct replay_source source[] = {
		{.side = ENGINE_GUEST, .next = list_next, .ctx = guest},
		{.side = ENGINE_NET, .path = 1, .next = list_next, .ctx = net}};

	for (unsigned i = 0; i < guest->n; i++)
		replay_learn(r, guest->p[i].time_us, ENGINE_GUEST, 0, guest->p[i].data,
			     guest->p[i].n);
	for (unsigned i = 0; i < net->n; i++)
		replay_learn(r, net->p[i].time_us, ENGINE_NET, 1, net->p[i].data, net->p[i].n);
	memset(fates, 0, REPLAY_FATES * sizeof(*fates));
	CU_ASSERT_EQUAL(replay_merge(r, source, 2, fates), 0);
	CU_ASSERT_TRUE(engine_audit(replay_engine(r)));
}

static void test_converted(void)
{
	struct list guest, net;
	struct replay *r = fresh(1);
	struct engine_path_info info;
	uint64_t fates[REPLAY_FATES], digest;

	session(&guest, &net, MSS MP_CAPABLE_SYNACK);
	run(r, &guest, &net, fates);
	CU_ASSERT_STRING_EQUAL(seen.fates, "gRnRgSgS");
	CU_ASSERT_EQUAL(fates[REPLAY_FED], 4);
	CU_ASSERT_EQUAL(fates[REPLAY_OTHER_WAY], 3);
	CU_ASSERT_EQUAL(engine_connections(replay_engine(r)), 1);
	engine_path_info(replay_engine(r), 1, &info);
	CU_ASSERT_EQUAL(info.subflows, 1); /* the path whose capture holds the answer */
	digest = seen.digest;
	replay_del(r);
	/* Another seed: the key comes from the capture, so the very bytes are the same. */
	r = fresh(2);
	session(&guest, &net, MSS MP_CAPABLE_SYNACK);
	run(r, &guest, &net, fates);
	CU_ASSERT_EQUAL(seen.digest, digest);
	replay_del(r);
	/* Without it in the capture the seed decides. */
	r = fresh(2);
	session(&guest, &net, MSS MP_CAPABLE_SYNACK);
	net.n = 2;
	run(r, &guest, &net, fates);
	CU_ASSERT_STRING_EQUAL(seen.fates, "gRnRgSgS");
	CU_ASSERT_NOT_EQUAL(seen.digest, digest);
	replay_del(r);
}

#define TWO_KEYS " 0101 a1a2a3a4a5a6a7a8 0102030405060708"

/* A remote client opens; the gate's key is that of the SYN/ACK in the path's capture. */
static void inbound(struct list *guest, struct list *net, const char *syn)
{
	memset(guest, 0, sizeof(*guest));
	memset(net, 0, sizeof(*net));
	list_add(guest, 1000100, true, 0x02, 500, 0, MSS, 0); /* what the gate told it */
	list_add(guest, 1000200, false, 0x12, 100, 501, MSS, 0);
	list_add(guest, 1000500, false, 0x18, 101, 511, "", 10);
	list_add(net, 1000000, true, 0x02, 500, 0, syn, 0);
	list_add(net, 1000200, false, 0x12, 100, 501, MSS "1e0c 0101 0102030405060708", 0);
	list_add(net, 1000300, true, 0x10, 501, 101, "1e14" TWO_KEYS, 0);
	list_add(net, 1000400, true, 0x18, 501, 101, "1e16" TWO_KEYS "000a 0101", 10);
}

static void test_responder(void)
{
	struct list guest, net;
	struct replay *r = fresh(1);
	uint64_t fates[REPLAY_FATES], digest;

	inbound(&guest, &net, MSS "1e04 0101");
	run(r, &guest, &net, fates);
	CU_ASSERT_STRING_EQUAL(seen.fates, "nRgRnRnSgS");
	CU_ASSERT_EQUAL(fates[REPLAY_FED], 5);
	CU_ASSERT_EQUAL(fates[REPLAY_OTHER_WAY], 2);
	CU_ASSERT_EQUAL(engine_counter(replay_engine(r), REASON_THIRD_ACK_CONVERTED), 1);
	digest = seen.digest;
	replay_del(r);
	/* Without the SYN/ACK of the gate that was: another key, which the third ACK does not fit.
	 */
	r = fresh(1);
	net.at = guest.at = 0;
	net.p[1] = net.p[0];
	run(r, &guest, &net, fates);
	CU_ASSERT_NOT_EQUAL(seen.digest, digest);
	CU_ASSERT_EQUAL(engine_counter(replay_engine(r), REASON_THIRD_ACK_CONVERTED), 0);
	replay_del(r);
	/* A SYN without an MPTCP option: of that connection only the guest's answer is shown. */
	r = fresh(1);
	inbound(&guest, &net, MSS);
	run(r, &guest, &net, fates);
	CU_ASSERT_STRING_EQUAL(seen.fates, "nkganknkgk");
	CU_ASSERT_EQUAL(fates[REPLAY_FED], 1);
	replay_del(r);
	/* A join with a token of nobody's is let go, and refused when it comes to the guest. */
	r = fresh(1);
	inbound(&guest, &net, MSS "1e0c 1000 00112233 44556677");
	net.n = 1;
	run(r, &guest, &net, fates);
	CU_ASSERT_EQUAL(engine_counter(replay_engine(r), REASON_JOIN_PASSED), 1);
	CU_ASSERT_EQUAL(engine_counter(replay_engine(r), REASON_JOIN_TOKEN), 1);
	CU_ASSERT_TRUE(strncmp(seen.fates, "nD", 2) == 0);
	replay_del(r);
}

/* A peer without MPTCP: from the SYN/ACK on, nothing visits the engine. */
static void test_plain(void)
{
	struct list guest, net;
	struct replay *r = fresh(1);
	uint64_t fates[REPLAY_FATES];

	session(&guest, &net, MSS);
	list_add(&net, 1000600, true, 0x10, 501, 111, "", 5);
	run(r, &guest, &net, fates);
	CU_ASSERT_STRING_EQUAL(seen.fates, "gRnagkgknk");
	CU_ASSERT_EQUAL(fates[REPLAY_FED], 2);
	CU_ASSERT_EQUAL(fates[REPLAY_KERNEL], 3);
	CU_ASSERT_EQUAL(seen.n_packets, 5);
	CU_ASSERT_EQUAL(seen.n_to_guest, 2);
	CU_ASSERT_EQUAL(engine_connections(replay_engine(r)), 0);
	replay_del(r);
}

/* Ties go to the first source; a clock that goes back stands still; strangers are left out. */
static void test_order(void)
{
	struct list guest, net;
	struct replay *r = fresh(1);
	uint64_t fates[REPLAY_FATES];
	uint8_t stranger[64];
	uint32_t n;

	session(&guest, &net, MSS MP_CAPABLE_SYNACK);
	for (unsigned i = 0; i < guest.n; i++)
		guest.p[i].time_us = 1000000;
	for (unsigned i = 0; i < net.n; i++)
		net.p[i].time_us = 1000000;
	run(r, &guest, &net, fates);
	/* All of the guest's first, then the net's SYN/ACK. */
	CU_ASSERT_EQUAL(seen.n_fates, 8);
	CU_ASSERT_TRUE(seen.fates[0] == 'g' && seen.fates[2] == 'g' && seen.fates[4] == 'g' &&
		       seen.fates[6] == 'n');
	n = packet(stranger, false, 0x10, 1, 1, "", 0);
	CU_ASSERT_TRUE(replay_feed(r, 5, ENGINE_GUEST, 0, stranger, n) <= REPLAY_KERNEL);
	CU_ASSERT_TRUE(replay_now_us(r) >= 1000000);
	stranger[15] = 99; /* another source address */
	CU_ASSERT_EQUAL(replay_feed(r, 5, ENGINE_GUEST, 0, stranger, n), REPLAY_UNRELATED);
	CU_ASSERT_EQUAL(replay_feed(r, 5, ENGINE_NET, 0, stranger, n), REPLAY_UNRELATED);
	/* Too short for anything, even to be forwarded. */
	CU_ASSERT_EQUAL(replay_feed(r, 5, ENGINE_GUEST, 0, stranger, 3), REPLAY_UNRELATED);
	CU_ASSERT_EQUAL(engine_counter(replay_engine(r), REASON_DROP_TRUNCATED), 0);
	replay_del(r);
}

static int failing_next(void *ctx, uint64_t *time_us, const uint8_t **data, uint32_t *len_bytes)
{
	(void)time_us;
	(void)data;
	(void)len_bytes;
	return *(int *)ctx;
}

static void test_sources(void)
{
	struct replay *r = fresh(1);
	uint64_t fates[REPLAY_FATES] = {0};
	int rc = -1;
	struct replay_source source = {.next = failing_next, .ctx = &rc};

	CU_ASSERT_EQUAL(replay_merge(r, &source, 1, fates), -1);
	rc = 0;
	CU_ASSERT_EQUAL(replay_merge(r, &source, 1, fates), 0);
	CU_ASSERT_EQUAL(replay_merge(r, NULL, 0, fates), 0);
	replay_del(r);
	replay_del(NULL);
}

static const struct unit_test tests[] = {
	{"packets", test_read},        {"cutting", test_segment}, {"converted", test_converted},
	{"responder", test_responder}, {"plain", test_plain},     {"order", test_order},
	{"sources", test_sources},
};

UNIT_MAIN("replay", tests)
