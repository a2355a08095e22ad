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
#include "sim_rng.h"
#include "sim_stretches.h"
#include "sim_tcp.h"

#define PEER_SUBFLOWS_MAX 64
#define PEER_EARLY_MAX 64
#define PEER_TARGETS_MAX 8

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
	bool joined;  /* by MP_JOIN */
	bool refused; /* will be, when its third ACK comes */
	bool backup;  /* as the gate wants it */
	bool queued;  /* what it carries goes over the others too */
	/* where the peer asks: SYNs and third ACKs sent, ids of both addresses */
	unsigned syns, thirds;
	uint8_t id_local;
	unsigned path, syn_acks;
	uint8_t id_remote; /* of the address at the gate's end; 0: where it began */
	uint32_t nonce_local, nonce_remote;
	uint64_t reset_at_us;
	struct peer_map *map;
	unsigned n_map, cap_map, first_map;
	uint32_t map_end; /* sequence number behind the last mapping */
	struct peer_pending in;
};

/* An address that may be joined. */
struct peer_target {
	struct ip_addr addr;
	uint16_t port; /* 0: that of the connection */
	uint8_t id;    /* 0: where the connection began */
	bool removed;
	unsigned path;
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
	struct stretches early; /* data behind a hole; its bytes were compared */
	struct stretches again; /* to be sent on another subflow as well */
	unsigned n_discarded, turn;
	/* as the one who asks */
	bool client, started, asked; /* asked: the SYN has MP_CAPABLE */
	struct peer_target target[PEER_TARGETS_MAX];
	unsigned n_targets, n_joins;
	uint64_t join_at_us;
	/* addresses that the peer announced as its own */
	struct peer_target own[PEER_TARGETS_MAX];
	unsigned n_own, n_announced;
	uint64_t announce_at_us;
	struct rng rng;
	uint64_t linger_at_us; /* the data is through: when the subflows are given up */
	uint64_t alone_at_us;  /* no subflow is left: when the connection is given up */
	uint64_t discarded[PEER_EARLY_MAX];
	struct peer_sub sub[PEER_SUBFLOWS_MAX];
	unsigned n_sub;
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

struct peer_sub *peer_sub_make(struct peer *p, unsigned path, const struct flow_tuple *t,
			       const struct tcp_traits *k);
struct peer_sub *peer_sub_new(struct peer *p, unsigned path, const struct seg *syn,
			      const struct tcp_traits *k);
void peer_stray_reset(struct sim *w, unsigned path, const struct seg *s, uint8_t why);
/* Ends one subflow; what it carried goes elsewhere. `why`: of MP_TCPRST (RFC 8684 section 3.6). */
void peer_sub_reset(struct peer *p, struct peer_sub *s, uint8_t why);
void peer_sub_gone(struct peer *p, struct peer_sub *s);

/* sim_peer_client.c */
void peer_connect(struct peer *p);
/* MP_CAPABLE with both keys is due on a segment at `seq`; and it, with the mapping of the data. */
bool peer_capable_due(const struct peer *p, const struct peer_sub *s, uint32_t seq);
void peer_put_capable(const struct peer *p, struct mp *m, const struct peer_map *x);
void peer_confirmed(struct peer *p); /* the other end has shown that it speaks MPTCP */
void peer_join_more(struct peer *p);
/* A segment before the subflow is open; true: it is now, and the segment is to be looked at. */
bool peer_client_input(struct peer *p, struct peer_sub *s, const struct seg *g);
void peer_client_timer(struct peer *p, struct peer_sub *s);

/* sim_peer_addr.c */
void peer_addresses(struct peer *p, struct peer_sub *s, const struct seg *g);
void peer_announce(struct peer *p);
bool peer_joinable(const struct peer *p, const struct flow_tuple *t); /* the gate first */

/* sim_peer_join.c */
void peer_removed(struct peer *p, const struct mp *m); /* REMOVE_ADDR */
void peer_join(struct sim *w, unsigned path, const struct seg *syn);
void peer_join_answer(struct peer *p, struct peer_sub *s); /* SYN/ACK, again and again */
void peer_join_third(struct peer *p, struct peer_sub *s, const struct seg *g);

/* sim_peer_multi.c */
void peer_push_multi(struct peer *p);
void peer_queue(struct peer *p, struct peer_sub *s); /* what it carries, for the others */
bool peer_living(const struct peer *p, const struct peer_sub *s);
void peer_data_timer_multi(struct peer *p);

/* sim_peer_send.c */
void peer_map_add(struct peer_sub *s, uint64_t off, uint32_t len, bool fin, bool probe);
bool peer_push_one(struct peer *p, struct peer_sub *s); /* one mapping of new data */
void peer_arm(struct peer *p, const struct tcp *t);
void peer_probe(struct peer *p, struct peer_sub *s); /* of the data's window */
bool peer_multipath(const struct peer *p);
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
