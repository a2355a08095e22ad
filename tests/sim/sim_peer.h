/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_peer.h - the far end: an MPTCP version 1 endpoint written from RFC 8684, or a plain TCP one.
 *
 * Theory. Offsets into the two streams stand for data sequence numbers: dsn = idsn + 1 + offset.
 * Each subflow is a struct tcp whose bytes are given out by mappings; the mapping travels with
 * every segment cut from it. What arrives is taken apart in subflow order with one pending
 * mapping at a time, as Linux does it, and anything that a strict endpoint may refuse is a
 * violation, unless a middlebox of this run may have caused it: then the peer falls back as the
 * RFC says.
 */
#ifndef MPGATE_SIM_PEER_H
#define MPGATE_SIM_PEER_H

#include "sim_app.h"
#include "sim_tcp.h"

#define PEER_SUBFLOWS_MAX 8
#define PEER_EARLY_MAX 64

struct flow;

/* Bytes [seq, seq + len) of a subflow are bytes off... of the stream. */
struct peer_map {
	uint32_t seq, len;
	uint64_t off;
	bool fin;   /* DATA_FIN follows them */
	bool probe; /* its byte is not of the stream */
	uint16_t csum;
};

/* The mapping in progress of what arrives. */
struct peer_pending {
	bool valid, fin, has_csum, infinite;
	uint64_t off;
	uint32_t seq, len, done;
	uint16_t csum;
	uint8_t *buf; /* with checksums data waits here */
};

struct peer_sub {
	struct tcp t;
	struct peer *p;
	bool used;
	unsigned path;
	struct peer_map *map;
	unsigned n_map, cap_map, first_map;
	uint32_t map_end; /* sequence number behind the last mapping */
	struct peer_pending in;
};

struct peer {
	struct sim *w;
	struct flow *f;
	struct app app;
	bool open, mptcp, fallback, csum, remote64, reset, heard_dss, capable_again;
	const char *why_fallback;
	uint64_t key_local, key_remote, idsn_local, idsn_remote;
	/* to the guest */
	uint64_t una, nxt, edge;
	bool fin_sent, fin_acked;
	uint64_t rtx_at_us, probe_at_us;
	unsigned rtx, probes;
	/* from the guest */
	uint64_t rcv, rcv_edge, eof_off;
	bool eof_known, eof;
	struct {
		uint64_t start, end;
	} early[PEER_EARLY_MAX]; /* data behind a hole, ascending; its bytes were compared */
	unsigned n_early, n_discarded;
	uint64_t discarded[PEER_EARLY_MAX];
	struct peer_sub sub[PEER_SUBFLOWS_MAX];
	unsigned n_sub;
	unsigned syn_acks;
	bool fail_wanted;           /* MP_FAIL goes with the next acknowledgement */
	bool failed, fail_answered; /* this end saw a wrong checksum; MP_FAIL came in answer */
	uint64_t fail_dsn;
	bool infinite_wanted; /* an infinite mapping goes with the next new data */
};

void peer_init(struct flow *f);
void peer_abort(struct peer *p); /* RST on all subflows, with MP_FASTCLOSE */
void peer_fini(struct peer *p);
void peer_receive(struct sim *w, unsigned path, struct pkt *p); /* frees p */
uint64_t peer_next_us(const struct peer *p);
void peer_run(struct peer *p);
bool peer_over(const struct peer *p);

/* sim_peer_send.c */
extern const struct tcp_ops peer_ops;
void peer_push(struct peer *p); /* maps and sends what may go */
void peer_take_data_ack(struct peer *p, struct peer_sub *s, const struct seg *g);
void peer_data_timer(struct peer *p);
void peer_finish(struct peer *p); /* FIN on the subflows when both directions are done */

/* sim_peer_check.c */
void peer_fall_back(struct peer *p, const char *why);
void peer_deliver(struct tcp *t, const struct seg *g, uint32_t skip, uint32_t n);
/* A bare DATA_FIN, or one that came with data. */
void peer_data_fin(struct peer *p, uint64_t off);
uint64_t peer_expand(uint64_t value, bool is64, uint64_t near);

#endif
