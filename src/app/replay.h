/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay.h - the engine driven by packets with timestamps instead of a host: what `mpgate replay`
 * does with captures and tests do with packets of their own. The outcome is a function of the
 * configuration, the seed and the packets (I8).
 *
 * The host is imitated as it is set up (claimed.h): what the engine claims is stolen, handshakes of
 * a guest's connections are met in place, all else is let go without a visit to the engine. A SYN
 * from the net with an MPTCP option is met twice: stolen, for it may be an MP_JOIN, and then in
 * place on its way to the guest. Addresses are never translated.
 */
#ifndef MPGATE_APP_REPLAY_H
#define MPGATE_APP_REPLAY_H

#include "engine.h"

struct replay;

/* How far behind the last packet deadlines are still kept. */
#define REPLAY_TAIL_US 10000000

enum replay_fate {
	REPLAY_FED,       /* the engine gave a verdict */
	REPLAY_KERNEL,    /* ours, but would not visit the engine */
	REPLAY_OTHER_WAY, /* sent by the gate: the capture holds both directions */
	REPLAY_UNRELATED, /* of no connection whose beginning the guest's capture holds */
	REPLAY_FATES
};

/* What comes out; any may be null. */
struct replay_hooks {
	void *ctx;
	/* A real packet leaves: checksums complete, cut to the path's size. */
	void (*on_packet)(void *ctx, uint64_t now_us, enum engine_side to, unsigned index,
			  const uint8_t *data, uint32_t len_bytes);
	/* The verdict on a packet of ours; null `r`: REPLAY_KERNEL. */
	void (*on_verdict)(void *ctx, uint64_t now_us, const struct engine_pkt *pkt,
			   const struct engine_result *r);
	void (*on_event)(void *ctx, uint64_t now_us, const struct engine_event *event);
};

/* Where packets come from, in the order of their time. */
struct replay_source {
	enum engine_side side;
	unsigned path;
	/* 1 with a packet that lives until the next call, 0 at the end, -1 on an error. */
	int (*next)(void *ctx, uint64_t *time_us, const uint8_t **data, uint32_t *len_bytes);
	void *ctx;
};

/* `cfg` as config_engine() made it; its seed is replaced. Null when there is no memory. */
struct replay *replay_new(const struct engine_cfg *cfg, uint64_t seed,
			  const struct replay_hooks *hooks);
void replay_del(struct replay *r);

/*
 * First pass, the guests' packets before those of the paths: who opened which connection, by
 * which path it is answered, and with which key the gate of the capture did it: the engine gets
 * the same key, so that the peer's acknowledgements fit. Where captures hold both directions, who
 * opened it is told by where its SYN was first.
 */
void replay_learn(struct replay *r, uint64_t time_us, enum engine_side side, unsigned path,
		  const uint8_t *data, uint32_t len_bytes);

/* Second pass, in the order of time; deadlines that pass are kept first. */
enum replay_fate replay_feed(struct replay *r, uint64_t time_us, enum engine_side side,
			     unsigned path, const uint8_t *data, uint32_t len_bytes);

/* Keeps the deadlines of the time behind the last packet. False: the engine did not come to rest.
 */
bool replay_finish(struct replay *r);

/*
 * Feeds the sources' packets merged by time (ties: in the order of the sources), then finishes.
 * Fates are counted in `fates`. 0, or -1 when a source failed.
 */
int replay_merge(struct replay *r, const struct replay_source *sources, unsigned n,
		 uint64_t fates[REPLAY_FATES]);

const struct engine *replay_engine(const struct replay *r);
uint64_t replay_now_us(const struct replay *r);

/* ---- replay_packet.c: packets as bytes ---- */

struct replay_packet {
	struct flow_tuple tuple; /* family 0: not even the addresses could be read */
	bool tcp;                /* ports and flags are good */
	bool partial;            /* the checksum holds only the pseudo-header's sum */
	bool options, mptcp;     /* there are any; one of that kind */
	uint8_t ip_bytes;
	uint8_t flags;
	uint32_t seq;
	/* The sender's, of an MP_CAPABLE (version 1) with both keys or on a SYN/ACK; else 0. */
	uint64_t key;
	/* Of an ICMP "packet too big": the packet meant, as it was sent; family 0: it is none. */
	struct flow_tuple about;
};

void replay_packet_read(struct replay_packet *p, const uint8_t *data, uint32_t len_bytes);

/* Completes a partial checksum in place. */
void replay_checksum(uint8_t *data, uint32_t len_bytes, unsigned ip_bytes);

typedef void (*replay_emit_fn)(void *ctx, const uint8_t *data, uint32_t len_bytes);

/* The real packets of an output, as the kernel's segmentation would cut them. */
void replay_segment(const struct engine_out *out, replay_emit_fn emit, void *ctx);

#endif
