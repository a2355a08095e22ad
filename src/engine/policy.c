/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.c - see policy.h.
 */
#include "engine/policy.h"

#include "base/siphash.h"

#define BLACKHOLE_DEFAULT_US (3600ull * 1000000)
#define BLACKHOLE_DOUBLINGS_MAX 6

static bool prefix_match(uint8_t family, const struct ip_addr *addr, uint8_t want_family,
			 const struct ip_addr *prefix, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (want_family == 0)
		return true;
	if (family != want_family || memcmp(addr->b, prefix->b, bytes) != 0)
		return false;
	return rest == 0 || ((addr->b[bytes] ^ prefix->b[bytes]) >> (8 - rest)) == 0;
}

enum engine_use policy_use(const struct engine *e, const struct flow_tuple *t, bool responder)
{
	uint16_t called = responder ? t->src_port : t->dst_port;

	for (unsigned i = 0; i < e->cfg.n_policies; i++) {
		const struct engine_policy *r = &e->cfg.policy[i];

		if (r->peer_port_max != 0 &&
		    (called < r->peer_port_min || called > r->peer_port_max))
			continue;
		if (prefix_match(t->family, &t->src, r->guest_family, &r->guest,
				 r->guest_prefix_bits) &&
		    prefix_match(t->family, &t->dst, r->peer_family, &r->peer, r->peer_prefix_bits))
			return (enum engine_use)r->use;
	}
	return ENGINE_AUTO;
}

static uint64_t tag_of(const struct engine *e, const struct flow_tuple *t, uint8_t path)
{
	struct {
		struct ip_addr dst;
		uint8_t family, path;
		uint8_t zero[6];
	} key = {.dst = t->dst, .family = t->family, .path = path};
	uint64_t tag = siphash(e->cfg.seed, &key, sizeof(key));

	return tag ? tag : 1;
}

void blackhole_add(struct engine *e, const struct flow_tuple *t, uint8_t path, uint64_t now_us)
{
	uint64_t tag = tag_of(e, t, path);
	struct blackhole *b = &e->blackhole[tag % BLACKHOLE_SLOTS];
	uint64_t base = e->cfg.blackhole_us ? e->cfg.blackhole_us : BLACKHOLE_DEFAULT_US;

	if (b->tag != tag)
		*b = (struct blackhole){.tag = tag};
	else if (b->times < BLACKHOLE_DOUBLINGS_MAX)
		b->times++;
	b->until_us = now_us + (base << b->times);
}

bool blackhole_check(const struct engine *e, const struct flow_tuple *t, uint8_t path,
		     uint64_t now_us)
{
	uint64_t tag = tag_of(e, t, path);
	const struct blackhole *b = &e->blackhole[tag % BLACKHOLE_SLOTS];

	return b->tag == tag && now_us < b->until_us;
}

void blackhole_rm(struct engine *e, const struct flow_tuple *t, uint8_t path)
{
	uint64_t tag = tag_of(e, t, path);
	struct blackhole *b = &e->blackhole[tag % BLACKHOLE_SLOTS];

	if (b->tag == tag)
		*b = (struct blackhole){0};
}
