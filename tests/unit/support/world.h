/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world.h - one engine and one connection through it, driven packet by packet by a test: the test
 * plays the guest and the peer and looks at every packet that comes out.
 */
#ifndef MPGATE_TESTS_WORLD_H
#define MPGATE_TESTS_WORLD_H

#include "engine.h"
#include "wire/options.h"
#include "wire/packet.h"

#define WORLD_OUT_MAX 64
#define GUEST_ISN 1000u
#define PEER_ISN 500000u
#define PEER_KEY 0xfbe3d8021ba58b54ull
#define PEER_WSCALE 10
#define GUEST_WSCALE 7

struct world {
	struct engine *e;
	void *region;
	struct engine_cfg cfg;
	struct engine_random random;
	struct engine_tick tick;
	struct engine_outs outs;
	bool mark_half;   /* what is sent was claimed as half */
	uint32_t peer_us; /* its answers in world_open() come so much later */
	unsigned cap_pkt; /* outputs at most; 0: WORLD_OUT_MAX */
	struct engine_out pkt[WORLD_OUT_MAX];
	struct engine_event event[WORLD_OUT_MAX];
	struct engine_result r;
	uint8_t claim;           /* as world_claim() knows it */
	struct flow_tuple guest; /* guest first */
	struct flow_tuple net;   /* gate first: as translated */
	uint32_t guest_isn, peer_isn;
	bool timestamps, sack;            /* of both SYNs */
	uint32_t guest_tsval, peer_tsecr; /* of the SYN, and what the SYN/ACK makes of it */
	bool peer_checksum, peer_no_join; /* flags A and C of its MP_CAPABLE */
	/* what out(), replaced() decoded last */
	struct packet p;
	struct options o;
	uint8_t bytes[70000], whole[70000];
	uint64_t key_local, idsn_local, idsn_peer; /* after world_open() */
};

/* `family` FLOW_IPV4 or FLOW_IPV6; the configuration may be changed before world_start(). */
void world_init(struct world *w, uint8_t family);
void world_start(struct world *w);
void world_fini(struct world *w);

/* A segment: seq and ack are relative to the ISNs (1 is the first byte). */
struct seg {
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t window;
	uint32_t payload_bytes;
	uint8_t ttl; /* 0: 64 */
	uint8_t tos;
	uint32_t flow_label;
	uint8_t payload_first; /* payload byte i is payload_first + i */
	struct options_writer w;
};

/* Sends it at the given hook; the outputs of earlier calls are gone. */
void guest_sends(struct world *w, enum engine_hook hook, const struct seg *s);
void net_sends(struct world *w, enum engine_hook hook, const struct seg *s);

/* The same with raw bytes of a whole packet. */
void raw_sends(struct world *w, enum engine_side from, enum engine_hook hook, const void *data,
	       uint32_t len_bytes, bool csum_trusted);

/* Records in use of the engine's pool of that name; UINT32_MAX: there is no such pool. */
uint32_t world_pool_used(const struct world *w, const char *name);

/* Decodes output i into w->p and w->o (payload included); false when there is none. */
bool out(struct world *w, unsigned i);

/* Decodes the replacement of an in-place verdict. */
bool replaced(struct world *w);

/* SYN and SYN/ACK up to a converted connection; the third ACK is the test's. */
void world_handshake(struct world *w);

/* ... and third ACK, 100 bytes of data, its DATA_ACK: fully established, both at 101 and 1. */
void world_open(struct world *w);

/* Lets time pass and runs what is due. */
void world_pass(struct world *w, uint64_t us);

/* What the engine claims of the guest's tuple; from the first call on, call it for every tuple. */
enum engine_claim_kind world_claim(struct world *w);

/* Data acknowledgement / mapping of the peer as an option. */
void put_peer_ack(struct world *w, struct options_writer *o, uint32_t data_acked);
void put_peer_map(struct world *w, struct options_writer *o, uint32_t data_acked, uint32_t data_at,
		  uint32_t ssn, uint16_t len, bool fin);

#endif
