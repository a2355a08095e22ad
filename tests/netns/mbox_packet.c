/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mbox_packet.c - what the misbehaving middlebox does to one packet.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "mbox.h"

#define OPTION_SACK 5
#define OPTION_MPTCP 30

/* Connections are told apart by the client's port alone: tests use few. */
struct seen {
	bool synack, ack3;
	unsigned capable_syns;
	uint32_t server_shift;
	uint64_t client_bytes, server_bytes;
};

struct view {
	uint8_t *ip;
	unsigned len_bytes, ip_bytes, tcp_bytes, payload_bytes;
	struct tcphdr *tcp;
	uint8_t *options, *payload;
	bool from_client;
};

static struct seen seen[65536];

static bool look(uint8_t *ip, unsigned len_bytes, const struct mbox_opts *o, struct view *v)
{
	v->ip = ip;
	v->len_bytes = len_bytes;
	if (len_bytes < 40)
		return false;
	if (ip[0] >> 4 == 4)
		v->ip_bytes = (ip[0] & 15) * 4;
	else
		v->ip_bytes = 40;
	if (ip[ip[0] >> 4 == 4 ? 9 : 6] != IPPROTO_TCP || len_bytes < v->ip_bytes + 20)
		return false;
	v->tcp = (struct tcphdr *)(void *)(ip + v->ip_bytes);
	v->tcp_bytes = v->tcp->doff * 4;
	if (v->tcp_bytes < 20 || v->ip_bytes + v->tcp_bytes > len_bytes)
		return false;
	v->options = (uint8_t *)v->tcp + 20;
	v->payload = (uint8_t *)v->tcp + v->tcp_bytes;
	v->payload_bytes = len_bytes - v->ip_bytes - v->tcp_bytes;
	v->from_client = ntohs(v->tcp->dest) == o->port;
	return v->from_client || ntohs(v->tcp->source) == o->port;
}

static uint32_t sum(const uint8_t *data, unsigned n, uint32_t total)
{
	for (; n > 1; n -= 2, data += 2)
		total += data[0] << 8 | data[1];
	return n ? total + (data[0] << 8) : total;
}

static void mend_checksum(const struct view *v)
{
	unsigned n = v->len_bytes - v->ip_bytes, addr = v->ip[0] >> 4 == 4 ? 12 : 8;
	uint32_t total = IPPROTO_TCP + n;

	v->tcp->check = 0;
	total = sum(v->ip + addr, addr == 12 ? 8 : 32, total);
	total = sum((const uint8_t *)v->tcp, n, total);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	v->tcp->check = htons(~total & 0xffff);
}

/* The first option of that kind, or null. */
static uint8_t *option_find(const struct view *v, uint8_t kind)
{
	unsigned i = 0, n = v->tcp_bytes - 20;

	while (i < n && v->options[i] != TCPOPT_EOL) {
		if (v->options[i] == TCPOPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= n || v->options[i + 1] < 2 || i + v->options[i + 1] > n)
			return NULL;
		if (v->options[i] == kind)
			return v->options + i;
		i += v->options[i + 1];
	}
	return NULL;
}

static bool strip(const struct view *v)
{
	bool did = false;
	uint8_t *option;

	while ((option = option_find(v, OPTION_MPTCP))) {
		memset(option, TCPOPT_NOP, option[1]);
		did = true;
	}
	return did;
}

static unsigned position(const struct view *v, struct seen *s)
{
	if (v->tcp->syn && !v->tcp->ack) {
		unsigned syns = s->capable_syns;

		memset(s, 0, sizeof(*s));
		s->capable_syns = syns;
		return MBOX_SYN;
	}
	if (v->tcp->syn) {
		s->synack = true;
		return MBOX_SYNACK;
	}
	if (v->from_client && s->synack && !s->ack3) {
		s->ack3 = true;
		return MBOX_ACK3 | (v->payload_bytes ? MBOX_CLIENT_DATA : 0);
	}
	if (v->from_client)
		return v->payload_bytes ? MBOX_CLIENT_DATA : MBOX_CLIENT_ACK;
	return v->payload_bytes ? MBOX_SERVER_DATA : MBOX_SERVER_ACK;
}

static void add32(void *at, uint32_t n)
{
	uint32_t value;

	memcpy(&value, at, 4);
	value = htonl(ntohl(value) + n);
	memcpy(at, &value, 4);
}

/* As a firewall does that hides initial sequence numbers. */
static void shift(const struct view *v, uint32_t own, uint32_t other)
{
	uint8_t *sack = option_find(v, OPTION_SACK);
	unsigned i;

	add32(&v->tcp->seq, own);
	if (v->tcp->ack)
		add32(&v->tcp->ack_seq, -other);
	for (i = 2; sack && i + 4 <= sack[1]; i += 4)
		add32(sack + i, -other);
}

static bool corrupt(const struct view *v, const struct mbox_opts *o, uint64_t offset)
{
	if (o->corrupt_at_bytes == MBOX_NEVER || v->from_client == o->corrupt_from_server)
		return false;
	if (o->corrupt_at_bytes < offset || o->corrupt_at_bytes >= offset + v->payload_bytes)
		return false;
	v->payload[o->corrupt_at_bytes - offset] ^= 0x55;
	return true;
}

static bool chance(unsigned ppm, uint64_t *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return ppm && (*state >> 33) % 1000000 < ppm;
}

enum mbox_verdict mbox_packet(uint8_t *ip, unsigned len_bytes, const struct mbox_opts *o,
			      struct mbox_counts *n)
{
	static uint64_t random_state;
	struct view v;
	struct seen *s;
	unsigned where;
	uint64_t *bytes;
	bool changed = false;

	n->packets++;
	if (!look(ip, len_bytes, o, &v))
		return MBOX_PASS;
	if (!random_state)
		random_state = o->seed;
	s = &seen[ntohs(v.from_client ? v.tcp->source : v.tcp->dest)];
	where = position(&v, s);
	if (where == MBOX_SYN && option_find(&v, OPTION_MPTCP)) {
		n->capable_syns++;
		if (s->capable_syns++ < o->drop_capable_syns) {
			n->dropped++;
			return MBOX_DROP;
		}
	}
	if (chance(o->loss_ppm, &random_state)) {
		n->dropped++;
		return MBOX_DROP;
	}
	bytes = v.from_client ? &s->client_bytes : &s->server_bytes;
	if ((o->strip & where || s->client_bytes + s->server_bytes >= o->strip_after_bytes) &&
	    strip(&v)) {
		n->stripped++;
		changed = true;
	}
	if (corrupt(&v, o, *bytes)) {
		n->corrupted++;
		changed = true;
	}
	*bytes += v.payload_bytes;
	if (where == MBOX_SYNACK && o->server_isn)
		s->server_shift = o->server_isn - ntohl(v.tcp->seq);
	if (o->seq_shift || s->server_shift) {
		shift(&v, v.from_client ? o->seq_shift : s->server_shift,
		      v.from_client ? s->server_shift : o->seq_shift);
		changed = true;
	}
	if (changed)
		mend_checksum(&v);
	return changed ? MBOX_CHANGED : MBOX_PASS;
}
