/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_match.c - the small languages inside configuration values: port ranges and the `match`
 * of a policy.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/config_keys.h"

#define WORD_BYTES 64

static bool port_read(const char *text, char **end, unsigned *port)
{
	unsigned long n;

	if (*text < '0' || *text > '9')
		return false;
	n = strtoul(text, end, 10);
	*port = (unsigned)n;
	return n <= 65535;
}

bool config_ports(const char *text, bool single, unsigned lowest, uint16_t *min, uint16_t *max)
{
	unsigned lo, hi;
	char *end;

	if (!port_read(text, &end, &lo))
		return false;
	hi = lo;
	if (*end == '-') {
		if (!port_read(end + 1, &end, &hi))
			return false;
	} else if (!single) {
		return false;
	}
	if (*end || lo < lowest || hi < lo)
		return false;
	*min = (uint16_t)lo;
	*max = (uint16_t)hi;
	return true;
}

/* Clears what lies behind the prefix; true when something was set there. */
static bool prefix_trim(struct ip_addr *a, unsigned bits)
{
	bool trimmed = false;

	for (unsigned i = 0; i < sizeof(a->b); i++) {
		unsigned keep = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
		uint8_t mask = (uint8_t)(0xff00 >> keep);

		trimmed = trimmed || (a->b[i] & (uint8_t)~mask);
		a->b[i] &= mask;
	}
	return trimmed;
}

/* "ADDR" or "ADDR/BITS"; null or what is wrong with it. */
static const char *prefix_read(const char *text, uint8_t *family, uint8_t *bits,
			       struct ip_addr *addr)
{
	char host[WORD_BYTES];
	const char *slash = strchr(text, '/');
	size_t host_bytes = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long n, most;
	char *end;

	memset(addr, 0, sizeof(*addr));
	if (host_bytes >= sizeof(host))
		return "is not an address";
	memcpy(host, text, host_bytes);
	host[host_bytes] = '\0';
	if (inet_pton(AF_INET, host, addr->b) == 1)
		*family = FLOW_IPV4;
	else if (inet_pton(AF_INET6, host, addr->b) == 1)
		*family = FLOW_IPV6;
	else
		return "is not an address";
	most = *family == FLOW_IPV4 ? 32 : 128;
	n = most;
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return "has a bad prefix length";
		n = strtoul(slash + 1, &end, 10);
		if (*end || n > most)
			return "has a bad prefix length";
	}
	*bits = (uint8_t)n;
	return prefix_trim(addr, (unsigned)n) ? "has bits set behind its prefix" : NULL;
}

/* Takes the next word of *text; false at the end. A word too long is cut: nothing matches it. */
static bool word_next(const char **text, char word[WORD_BYTES])
{
	size_t n;

	*text += strspn(*text, " \t");
	n = strcspn(*text, " \t");
	if (n == 0)
		return false;
	snprintf(word, WORD_BYTES, "%.*s", (int)(n < WORD_BYTES ? n : WORD_BYTES - 1), *text);
	*text += n;
	return true;
}

/* One word with an argument. 0, or -1 with the error said. */
static int term_read(struct engine_policy *p, const char *word, const char *arg, char *err,
		     unsigned err_bytes)
{
	const char *wrong = NULL;

	if (strcmp(word, "dport") == 0) {
		if (!config_ports(arg, true, 1, &p->peer_port_min, &p->peer_port_max))
			wrong = "is no port or range of ports";
	} else if (strcmp(word, "guest") == 0) {
		wrong = prefix_read(arg, &p->guest_family, &p->guest_prefix_bits, &p->guest);
	} else {
		wrong = prefix_read(arg, &p->peer_family, &p->peer_prefix_bits, &p->peer);
	}
	if (!wrong)
		return 0;
	snprintf(err, err_bytes, "\"%s %s\" %s; write %s", word, arg, wrong,
		 strcmp(word, "dport") == 0 ? "\"dport 80\" or \"dport 8000-8099\""
					    : "an address or prefix like 10.0.0.0/8 or fd00::/64");
	return -1;
}

int config_match(struct engine_policy *p, const char *match, char *err, unsigned err_bytes)
{
	static const char *const words[] = {"tcp", "dport", "guest", "to"};
	char word[WORD_BYTES], arg[WORD_BYTES];
	unsigned seen = 0;

	while (word_next(&match, word)) {
		unsigned i = 0;

		while (i < 4 && strcmp(word, words[i]) != 0)
			i++;
		if (i == 4) {
			snprintf(err, err_bytes,
				 "\"%s\" is no word of a match; use tcp, dport, guest or to", word);
			return -1;
		}
		if (seen & 1U << i) {
			snprintf(err, err_bytes,
				 "\"%s\" stands there twice; write a policy for each", word);
			return -1;
		}
		seen |= 1U << i;
		if (i == 0)
			continue;
		if (!word_next(&match, arg)) {
			snprintf(err, err_bytes, "\"%s\" lacks its argument; write \"%s %s\"", word,
				 word, i == 1 ? "22" : "10.0.0.0/8");
			return -1;
		}
		if (term_read(p, word, arg, err, err_bytes) < 0)
			return -1;
	}
	if (!seen) {
		snprintf(err, err_bytes, "it is empty; write \"tcp\" to match every connection");
		return -1;
	}
	if (p->guest_family && p->peer_family && p->guest_family != p->peer_family) {
		snprintf(err, err_bytes,
			 "it can never match: one address is IPv4, the other IPv6; write a policy "
			 "for each");
		return -1;
	}
	return 0;
}
