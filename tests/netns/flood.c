/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flood.c - sends SYNs over IPv4 at a given rate: MP_JOINs with random tokens, MP_JOINs with a
 * given token, MP_CAPABLEs, or plain ones of the same size. What comes back is not looked at.
 *
 * usage: flood SOURCE DESTINATION PORT KIND RATE COUNT [TOKEN]
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define OPTION_BYTES 12
#define BATCH 32

struct segment {
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t option[OPTION_BYTES];
} __attribute__((packed));

enum kind { JOIN, TOKEN, CAPABLE, PLAIN, KINDS };
static const char *const kind_names[KINDS] = {"join", "token", "capable", "plain"};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static uint32_t ones_sum(const void *data, size_t n, uint32_t sum)
{
	const uint8_t *at = data;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += at[i] << 8 | at[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

static uint64_t random_word(void)
{
	static uint64_t state = 1;
	uint64_t z = state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	return z ^ z >> 27;
}

static void fill(struct segment *s, enum kind kind, uint32_t token)
{
	uint64_t one = random_word(), two = random_word();

	s->tcp.source = htons(1024 + one % 64000);
	s->tcp.seq = (uint32_t)two;
	s->tcp.check = 0;
	memset(s->option, 1, sizeof(s->option));
	if (kind == JOIN || kind == TOKEN) {
		memcpy(s->option, "\x1e\x0c\x10\x01", 4);
		memcpy(s->option + 4, &two, 8); /* the token, and the nonce */
		if (kind == TOKEN)
			memcpy(s->option + 4, &token, 4);
	} else if (kind == CAPABLE) {
		memcpy(s->option, "\x1e\x04\x01\x01", 4);
	}
	s->tcp.check = fold(ones_sum(&s->ip.saddr, 8,
				     ones_sum(&s->tcp, sizeof(s->tcp) + OPTION_BYTES,
					      6 + sizeof(s->tcp) + OPTION_BYTES)));
}

static void run(int fd, struct segment *segment, enum kind kind, uint32_t token, uint64_t rate,
		uint64_t total)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = segment[0].ip.daddr};
	struct iovec iov[BATCH];
	struct mmsghdr message[BATCH] = {0};
	uint64_t begun_us = now_us(), sent = 0;

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){&segment[i], sizeof(segment[i])};
		message[i].msg_hdr = (struct msghdr){.msg_name = &to,
						     .msg_namelen = sizeof(to),
						     .msg_iov = &iov[i],
						     .msg_iovlen = 1};
	}
	while (sent < total) {
		uint64_t due = (now_us() - begun_us) * rate / 1000000 + 1;
		unsigned n = 0;

		if (due > total)
			due = total;
		for (; n < BATCH && sent + n < due; n++)
			fill(&segment[n], kind, token);
		if (n == 0) {
			nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
			continue;
		}
		if (sendmmsg(fd, message, n, 0) < 0) {
			perror("sendmmsg");
			exit(1);
		}
		sent += n;
	}
	printf("{\"sent\": %llu, \"seconds\": %.3f}\n", (unsigned long long)sent,
	       (now_us() - begun_us) / 1e6);
}

int main(int argc, char **argv)
{
	static struct segment segment[BATCH];
	enum kind kind = JOIN;
	uint32_t token;
	int fd;

	while (argc >= 7 && kind < KINDS && strcmp(argv[4], kind_names[kind]) != 0)
		kind++;
	if (argc < 7 || kind == KINDS) {
		fprintf(stderr, "usage: flood SOURCE DESTINATION PORT KIND RATE COUNT [TOKEN]\n");
		return 2;
	}
	for (int i = 0; i < BATCH; i++) {
		segment[i].ip = (struct iphdr){.version = 4,
					       .ihl = 5,
					       .tot_len = htons(sizeof(segment[i])),
					       .ttl = 64,
					       .protocol = IPPROTO_TCP,
					       .saddr = inet_addr(argv[1]),
					       .daddr = inet_addr(argv[2])};
		segment[i].tcp = (struct tcphdr){.dest = htons(atoi(argv[3])),
						 .doff = (sizeof(struct tcphdr) + OPTION_BYTES) / 4,
						 .syn = 1,
						 .window = htons(1000)};
	}
	token = htonl(argc > 7 ? strtoul(argv[7], NULL, 0) : 0);
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0) {
		perror("socket");
		return 1;
	}
	run(fd, segment, kind, token, strtoull(argv[5], NULL, 0), strtoull(argv[6], NULL, 0));
	return 0;
}
