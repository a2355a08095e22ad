/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_check.h - the invariants, checked at the gate's edges after every event.
 *
 * The checker knows what both hosts really did (their models are in its hands) and what the gate
 * was really told (it reads along); every packet that the engine emits is held against both. I1:
 * acknowledgements; I2: windows; I3: bytes; I4: what a strict firewall and a strict MPTCP peer
 * would demand of a subflow; I7: records.
 */
#ifndef MPGATE_SIM_CHECK_H
#define MPGATE_SIM_CHECK_H

#include "engine.h"
#include "sim_packet.h"
#include "sim_stretches.h"

struct sim;
struct gate;
struct flow;

/* A mapping seen on a subflow: bytes ssn... are bytes off... of the guest's stream. */
struct seen_map {
	uint32_t ssn, len;
	uint64_t off;
	uint16_t csum;
	bool fin;
};

#define CHECK_SUBS_MAX 64

/* The first subflow is OPEN from the start; those that join go through the others. */
enum check_state { CHECK_OPEN, CHECK_SYN, CHECK_ACK, CHECK_GONE };

struct check_sub {
	struct flow_tuple tuple; /* gate first; of those that joined */
	unsigned path;
	uint8_t state;                   /* enum check_state */
	bool ts, sack, backup, fin_came; /* FIN or RST of the peer */
	bool rst_came;                   /* its RST; what was under way longer is answered by one */
	bool passive, answered;          /* the peer opened it; our SYN/ACK is out */
	bool hmac_sent, told;
	bool removed; /* the peer has taken back the address at its end */
	uint64_t removed_us, open_us, answered_us;
	uint8_t peer_wscale, id_gate, id_peer;
	uint16_t peer_mss;
	uint32_t nonce_gate, nonce_peer, tsval, peer_tsval;
	uint32_t iss, irs;
	uint32_t max; /* relative: first number not yet sent */
	uint32_t ack; /* told */
	bool fin;
	uint32_t fin_at;
	struct seen_map *map;
	unsigned n_map, cap_map;
	struct stretches rx; /* received, relative to irs */
	bool rx_full;        /* some was not noted */
	uint64_t data_us;    /* when data came last; 0: never */
	uint64_t heard_us;   /* when anything did */
};

struct check {
	/* what is known of the connection */
	bool converted, plain, fallback, closed, broken, gave_up, idled, keys;
	bool ts, sack, csum, confirmed;
	unsigned capable_syns;       /* before an answer */
	bool responder, peer_scales; /* who opened it; its SYN had a window scale */
	uint8_t guest_wscale, peer_wscale;
	uint16_t guest_mss;
	uint32_t path_mtu; /* as a router said; 0: nobody did */
	uint32_t guest_isn, peer_isn;
	uint64_t key_gate, key_peer, idsn_gate, idsn_peer;
	struct check_sub sub[CHECK_SUBS_MAX];
	unsigned n_sub;
	bool multi;           /* some subflow is in use: the fourth ACK alone changes nothing */
	uint64_t removed_ids; /* of the peer's addresses, heard by the gate; bit by id */
	uint64_t answered_us; /* by the last SYN/ACK with MP_CAPABLE */
	bool unseen;          /* nobody was here while something went to the guest */
	bool split; /* the guest will not finish a mapping: its subflow may be ended for that */
	/* A join has begun, or none is left: from now on the gate may have clocks of its own. */
	bool own_clock;

	/* what the gate was told: stream offsets */
	int64_t guest_acked, guest_edge, guest_sent;
	int64_t peer_acked, peer_edge, peer_sent;
	bool guest_fin, peer_fin, guest_reset, peer_reset;
	uint32_t guest_tsval, peer_tsval;

	/* what the gate told */
	int64_t to_guest_ack, to_guest_edge, to_net_ack, to_net_edge;
	uint32_t to_guest_tsval;
	bool to_guest_told;
	uint64_t checked;
};

/* Before the engine sees a packet; `b`: the subflow that it came on, null from a guest. */
void check_in(struct gate *g, struct flow *f, struct check_sub *b, const struct pkt *p,
	      enum engine_side from, enum engine_hook hook);
/* A packet of the connection that passes by the engine. */
void check_unclaimed(struct gate *g, const struct flow *f, uint8_t flags);
/* Its verdict; with a replacement that too. `f` may be null: nobody's. */
void check_verdict(struct gate *g, struct flow *f, const struct check_sub *b, const struct pkt *p,
		   enum engine_side from, enum engine_hook hook, const struct engine_result *r);
/* Each packet it emits, checksum completed. */
void check_out(struct gate *g, const struct engine_out *out, const struct pkt *p);
void check_icmp(struct gate *g, const struct engine_out *out, const struct pkt *p);
void check_event(struct gate *g, const struct engine_event *ev);
/* After each call. */
void check_engine(struct gate *g);
void check_fini(struct check *c);

/* Shared by the files of the checker. */
void check_replacement(struct sim *w, const struct seg *was, const struct seg *is, unsigned room);
struct check_sub *check_sub_new(struct gate *g, struct flow *f);

/* sim_check_asked.c: connections and subflows that somebody outside opens. */
void check_asked_syn(struct flow *f, const struct seg *s);    /* comes in: of the client */
void check_asked_answer(struct flow *f, const struct seg *s); /* ... SYN/ACK of the guest */
void check_asked_keys(struct flow *f, const struct seg *s);   /* ... third ACK */
void check_asked_replaced(struct gate *g, struct flow *f, const struct seg *was,
			  enum engine_side from, const struct engine_result *r);
/* The subflow of what conntrack does not know; an MP_JOIN of the peer begins one. */
struct check_sub *check_join_asked(struct gate *g, const struct flow_tuple *t, unsigned path,
				   const struct seg *s, struct flow **f);
void check_asked_in(struct flow *f, struct check_sub *b, const struct seg *s);
/* What goes out on it; true when it is established and all else must be checked. */
bool check_asked_out(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s);

/* sim_check_join.c: subflows that join; tuples have the gate first. */
struct check_sub *check_sub_find(struct gate *g, const struct flow_tuple *t, struct flow **f);
struct check_sub *check_join_new(struct gate *g, const struct engine_out *out, const struct seg *s,
				 struct flow **f);
void check_join_in(struct flow *f, struct check_sub *b, const struct seg *s);
void check_join_out(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s);
bool check_living(const struct check *c, const struct check_sub *but); /* another subflow */
/* REMOVE_ADDR of the peer (RFC 8684 section 3.4.2), and what the gate sends on `b` after it. */
void check_removed_in(struct flow *f, uint8_t id);
void check_removed_out(struct gate *g, struct flow *f, const struct check_sub *b,
		       const struct seg *s);

/* sim_check_net.c, sim_check_guest.c */
void check_to_net(struct gate *g, struct flow *f, struct check_sub *b, const struct seg *s);
void check_to_guest(struct gate *g, struct flow *f, const struct seg *s);

/* The first number of the subflow that never came, relative to its initial one. */
static inline uint32_t check_sub_next(const struct check_sub *b)
{
	return (uint32_t)stretches_next(&b->rx, 1);
}

#endif
