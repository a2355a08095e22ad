// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probe.c - see probe.h.
 */
#include "io/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define RST 4

static void put16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
	put16(to, (uint16_t)(value >> 16));
	put16(to + 2, (uint16_t)value);
}

static uint32_t sum(uint32_t start, const uint8_t *bytes, unsigned n)
{
	for (unsigned i = 0; i + 1 < n; i += 2)
		start += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return start;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

void probe_packet(const struct probe *probe, struct engine_out *out)
{
	const struct flow_tuple *t = &probe->tuple;
	bool v4 = t->family == FLOW_IPV4;
	unsigned ip_bytes = v4 ? IPV4_BYTES : IPV6_BYTES, address_bytes = v4 ? 4 : 16;
	uint8_t *ip = out->hdr, *tcp = out->hdr + ip_bytes;
	uint32_t pseudo;

	memset(out, 0, sizeof(*out));
	out->side = ENGINE_NET;
	out->ip_bytes = (uint8_t)ip_bytes;
	out->hdr_bytes = (uint8_t)(ip_bytes + TCP_BYTES);
	if (v4) {
		ip[0] = 0x45;
		put16(ip + 2, IPV4_BYTES + TCP_BYTES);
		ip[8] = probe->hops;
		ip[9] = IPPROTO_TCP;
		memcpy(ip + 12, t->src.b, 4);
		memcpy(ip + 16, t->dst.b, 4);
		put16(ip + 10, (uint16_t)~fold(sum(0, ip, IPV4_BYTES)));
	} else {
		ip[0] = 0x60;
		put16(ip + 4, TCP_BYTES);
		ip[6] = IPPROTO_TCP;
		ip[7] = probe->hops;
		memcpy(ip + 8, t->src.b, 16);
		memcpy(ip + 24, t->dst.b, 16);
	}
	put16(tcp, t->src_port);
	put16(tcp + 2, t->dst_port);
	put32(tcp + 4, probe->magic[0]);
	put32(tcp + 8, probe->magic[1]);
	tcp[12] = TCP_BYTES / 4 << 4;
	tcp[13] = RST;
	/* The sum of the pseudo-header; the kernel completes it. */
	pseudo = sum(IPPROTO_TCP + TCP_BYTES, t->src.b, address_bytes);
	put16(tcp + 16, fold(sum(pseudo, t->dst.b, address_bytes)));
}

int probe_listen(unsigned ifindex)
{
	struct sockaddr_ll where = {.sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = (int)ifindex};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&where, sizeof(where)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* Whether these bytes are the probe, and if it is unchanged. */
static bool is_probe(const struct probe *probe, const uint8_t *p, size_t n, bool *same)
{
	const struct flow_tuple *t = &probe->tuple;
	bool v4 = t->family == FLOW_IPV4;
	size_t ip_bytes = v4 ? IPV4_BYTES : IPV6_BYTES, address_bytes = v4 ? 4 : 16;
	const uint8_t *src = p + (v4 ? 12 : 8), *tcp = p + ip_bytes;
	uint8_t wanted[8], ports[4];

	if (n < ip_bytes + TCP_BYTES || p[0] >> 4 != (v4 ? 4 : 6) || (v4 && (p[0] & 0xf) != 5))
		return false;
	put32(wanted, probe->magic[0]);
	put32(wanted + 4, probe->magic[1]);
	put16(ports, t->src_port);
	put16(ports + 2, t->dst_port);
	*same = memcmp(src, t->src.b, address_bytes) == 0 &&
		memcmp(src + address_bytes, t->dst.b, address_bytes) == 0 &&
		memcmp(tcp, ports, sizeof(ports)) == 0;
	return memcmp(tcp + 4, wanted, sizeof(wanted)) == 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum probe_result probe_await(int fd, const struct probe *probe, int timeout_ms)
{
	int64_t until = now_ms() + timeout_ms, left;
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	while ((left = until - now_ms()) > 0 && poll(&wait, 1, (int)left) >= 0) {
		struct sockaddr_ll from = {0};
		socklen_t from_bytes = sizeof(from);
		uint8_t packet[128];
		ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from,
				     &from_bytes);
		bool same;

		if (n > 0 && from.sll_pkttype == PACKET_OUTGOING &&
		    is_probe(probe, packet, (size_t)n, &same))
			return same ? PROBE_LEFT : PROBE_CHANGED;
	}
	return PROBE_LOST;
}
