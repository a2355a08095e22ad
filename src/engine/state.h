/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.h - the records of the engine: connections, subflows, mappings, and the region they live
 * in. Records name each other by index, never by pointer (I9).
 */
#ifndef MPGATE_ENGINE_STATE_H
#define MPGATE_ENGINE_STATE_H

#include "base/heap.h"
#include "base/pool.h"
#include "base/ranges.h"
#include "engine.h"
#include "engine/address_state.h"
#include "engine/multi_state.h"
#include "wire/options.h"
#include "wire/packet.h"

#define NONE POOL_NONE

/* What Linux reserves in its MSS for the DSS of every data segment. */
#define MPTCP_ROOM_BYTES 28
#define SYNS_WITH_MP_CAPABLE 2
#define BLACKHOLE_SLOTS 1024
#define ENDPOINT_SLOTS 256

enum conn_state {
	CONN_FREE,
	/*
	 * The guest's SYN went on with MP_CAPABLE. Nothing of the connection is ours yet: all
	 * segments walk the host's road. Left by the SYN/ACK (ASKED or freed), by a new SYN, by
	 * time.
	 */
	CONN_SYN_SENT,
	/*
	 * Responder: the client's SYN went to the guest without MP_CAPABLE. All segments walk the
	 * host's road. Left by the guest's SYN/ACK (ASKED or freed), by a RST, by time.
	 */
	CONN_SYN_RECEIVED,
	/*
	 * Responder: the SYN/ACK went to the client with our key. Still the guest's and the
	 * client's own connection. Left by the third ACK (ESTABLISHED if it repeats our key, else
	 * freed and plain), by whatever the guest sends without it, by time.
	 */
	CONN_SYNACK_SENT,
	/* Between ENGINE_ASK and engine_translation(): never outlives one packet. */
	CONN_ASKED,
	/*
	 * The guest was shown the SYN/ACK; the connection is ours. `confirmed` is false until the
	 * peer's first DSS: until then MP_CAPABLE is repeated and fallback costs nothing.
	 */
	CONN_ESTABLISHED,
	/*
	 * No MPTCP any more, but the sequence numbers of the two legs differ by constants: still
	 * rewritten. (Where they do not differ, the connection leaves the engine altogether.)
	 */
	CONN_FALLBACK,
	/* Over; kept for a moment to answer what is sent again. */
	CONN_CLOSED,
};

/* What routers go by, as the last segment of a side had it: the gate's own segments look alike. */
struct look {
	uint32_t flow_label : 20, dscp : 6;
};

struct conn {
	uint32_t pool_link; /* the pool's while free */
	uint32_t hash_guest, hash_token;
	uint8_t state;  /* enum conn_state */
	uint8_t reason; /* of the last change of mode */
	uint8_t guest_if, path;
	uint8_t syn_count;
	uint8_t guest_wscale, peer_wscale;
	uint8_t no_dss_count; /* acknowledgements in a row that had no DSS */

	bool confirmed : 1;  /* the peer's first DSS was seen (RFC 8684 section 3.1) */
	bool checksum : 1;   /* DSS checksums, both ways */
	bool no_join : 1;    /* the peer's C flag */
	bool dsn64_seen : 1; /* answer with 64-bit DATA_ACKs */
	bool timestamps : 1, sack : 1;
	bool responder : 1;   /* the peer opened the connection */
	bool peer_scales : 1; /* responder: the SYN had a window scale */
	bool syn_plain : 1;   /* this SYN went without MP_CAPABLE after retries */
	bool guest_fin : 1, guest_fin_acked : 1; /* FIN = DATA_FIN; acked = DATA_ACKed */
	bool peer_fin : 1, peer_fin_acked : 1;   /* DATA_FIN; acked by the guest */
	bool third_ack : 1;                      /* an MP_CAPABLE with both keys went to the peer */
	bool failing : 1;         /* our MP_FAIL is out: the peer falls back when it hears of it */
	bool infinite : 1;        /* the peer's MP_FAIL: our data goes under an infinite mapping */
	bool announced : 1;       /* the event was put out */
	bool reset : 1;           /* CLOSED by a RST: answer with RST */
	bool peer_tcprst : 1;     /* the peer's, with MP_TCPRST: no middlebox made it */
	bool initial_removed : 1; /* the peer has taken back the address that it began with */
	bool promoted : 1;        /* may have more subflows (promotion.h) */
	bool unseen : 1;          /* half open while nobody was here: the guest may have more */
	bool asking : 1;          /* an ADD_ADDR waits for its echo: */
	uint8_t asked_slot : 5;   /* of which address (announce.c), */
	uint8_t asked : 3;        /* how often it went, */
	uint8_t claimed : 3;      /* enum engine_claim_kind: what the host was told */

	uint16_t guest_mss, peer_mss;
	uint16_t silent_paths; /* bit i: path i fell silent and is asked by joins */
	uint16_t syn_window;   /* responder: of the peer's SYN */
	uint16_t policy;
	uint16_t asked_tick;  /* and when: ticks of 1024 us */
	uint32_t subflow;     /* first of the list */
	uint32_t multi;       /* NONE while there is one subflow */
	uint32_t addresses;   /* record of struct addresses; NONE: no need for one (addresses.h) */
	uint64_t join_at_us;  /* when path_manager_check() has work again; 0: at the next segment */
	uint64_t alone_at_us; /* no subflow is left: when to give up; 0: there is one */
	uint64_t syn_us;
	uint32_t syn_rtt_us;
	struct look look[2];   /* by enum engine_side: who sent it */
	uint32_t told;         /* bit i: the peer knows our address i (announce.c) */
	uint64_t fail_at_us;   /* no MP_FAIL of ours before */
	uint64_t no_dss_at_us; /* when no_dss_count began */
	uint8_t n_subflows;
	uint8_t ttl[2];            /* of the same segments, on arrival; by enum engine_side */
	uint8_t congestion;        /* enum reason: what was seen of it on the path, or 0 */
	struct flow_tuple guest;   /* guest first */
	struct ip_addr peer_addr;  /* as the gate reaches it */
	struct ip_addr local_addr; /* of the initial subflow: address id 0 */
	uint16_t local_port;
	uint16_t peer_port;

	uint64_t key_local, key_peer;
	uint32_t token_local, token_peer;
	uint32_t guest_isn, peer_isn; /* as the guest sees them */
	/* TSval of the peer's and of the guest's SYN; CLOSED: the last of the guest's leg */
	uint32_t synack_tsval, synack_tsecr;

	/* guest -> peer. una: DATA_ACKed; max: highest guest sequence seen, FIN included */
	uint64_t una_dsn;
	uint32_t una_seq, max_seq, fin_seq;
	uint32_t told_guest_edge_seq; /* right edge told to the guest, in guest sequence */

	/* peer -> guest, in the peer's sequence as the guest sees it */
	uint64_t acked_dsn; /* acknowledged by the guest */
	uint32_t acked_seq, sent_seq, peer_fin_seq;
	uint32_t told_peer_edge_seq; /* right edge the guest granted */

	uint64_t created_us, active_us;
	uint64_t from_guest_bytes, to_guest_bytes;
	/* start of the interval over which the rate is taken; CLOSED: when the guest asked last */
	uint64_t rate_at_us, rate_bytes;
};

enum subflow_state {
	SUBFLOW_FREE,
	SUBFLOW_ESTABLISHED,
	SUBFLOW_JOIN_SYN, /* our MP_JOIN SYN is out; sent again by our timer */
	/* The MP_JOIN ACK is out: no data before the peer's fourth ACK (RFC 8684 section 3.2). */
	SUBFLOW_JOIN_ACK,
	/*
	 * The peer's MP_JOIN SYN was answered; its ACK with the HMAC is awaited. Nothing goes on
	 * it, nothing is believed. Left by that ACK (ESTABLISHED or freed), by a RST, by our timer.
	 */
	SUBFLOW_JOIN_RECEIVED,
	SUBFLOW_FIN_SENT, /* ours; retransmitted by our timer until acknowledged */
	SUBFLOW_CLOSED,
};

/* A mapping that the peer announced; the last few are kept for segments that come without. */
struct peer_map {
	uint64_t dsn;
	uint32_t ssn;       /* absolute: the sequence number of its first byte */
	uint16_t len_bytes; /* of data, DATA_FIN not counted */
	uint16_t csum;
	uint32_t covered_bytes; /* summed up so far */
	uint32_t sum;           /* folded partial sum of those */
	bool data_fin, check;   /* check: verify when covered */
};

#define PEER_MAPS 4

/* From `ssn` on (until the next one begins): ssn = guest-side sequence + delta. */
struct shift {
	uint32_t ssn, delta;
};

#define SHIFTS_MAX 8

struct subflow {
	uint32_t pool_link;
	uint32_t hash_net;
	uint32_t conn, next;
	uint8_t state; /* enum subflow_state */
	uint8_t path;
	bool backup;           /* either of the two: */
	bool backup_local : 1; /* what we told the peer */
	bool backup_peer : 1;  /* what the peer told us (MP_JOIN, MP_PRIO) */
	/*
	 * enum reason: why it is to end. It ends when another is established; the last one is kept
	 * while it may yet recover.
	 */
	uint8_t leaving;
	uint8_t prio_due;      /* MP_PRIO is to be sent so many times */
	bool fin_received : 1; /* the peer's FIN is part of rcv_nxt */
	bool fin_acked : 1;    /* ours */
	bool passive : 1;      /* the peer began it: its port is one of the peer's choice */
	bool sack : 1;         /* permitted by both SYNs */
	bool scales : 1;       /* passive: the peer's SYN had a window scale */
	bool initial : 1;      /* made by MP_CAPABLE: it shares its numbers with the guest's leg */
	bool remapped : 1;     /* to_net: some data was mapped a second time, ssn - seq grew */
	bool shifted : 1;      /* from_net: likewise */
	struct flow_tuple net; /* gate first */

	/* to_net */
	uint32_t iss, snd_una, snd_nxt;
	uint32_t delta_freed;        /* ssn - guest sequence of the last mapping that was freed */
	uint32_t map_head, map_tail; /* sent mappings, ascending */
	uint32_t again_seq;          /* last guest sequence sent again although the peer had it */
	uint8_t n_rto;
	uint8_t n_again;    /* how often in a row */
	uint16_t mtu_bytes; /* a router's word; 0: none */
	uint64_t mtu_until_us;
	uint64_t rto_at_us;

	/* from_net */
	uint32_t irs, rcv_nxt;
	uint32_t acked_ssn; /* highest acknowledgement told */
	struct ranges ooo;
	/* several subflows: spans instead of ooo; what came last; what came twice, still to be told
	 */
	uint32_t early, newest_ssn, twice_ssn, twice_end;
	uint64_t data_us; /* when data came last; 0: never. After the end: when the peer asked */
	struct shift shift[SHIFTS_MAX];
	struct peer_map map[PEER_MAPS];

	uint32_t tsval, ts_recent; /* last sent to, last got from the peer */
	uint64_t ts_since_us;      /* several subflows: tsval counts milliseconds from here */
	uint32_t sender;           /* several subflows: record of struct sender, else NONE */
	uint32_t nonce_local, nonce_peer;
	uint8_t address_id_local, address_id_peer;
	uint8_t peer_wscale;
	uint8_t n_syn;
	uint32_t syn_rtt_us;
	uint16_t peer_mss;
	uint16_t mss; /* largest payload with timestamps and a full DSS, by the peer's MSS */
	uint8_t n_shifts, n_maps, next_map;
	bool ack_pending : 1; /* received something not yet acknowledged on this subflow */
	bool timestamps : 1;
	bool fourth_ack : 1; /* JOIN_ACK: it came, the peer is given time (join.c) */
	uint64_t ack_at_us;
	uint64_t to_net_bytes, from_net_bytes, retransmits;
	/* one subflow: round trip times of the guest's data, one sample at a time (RFC 6298) */
	uint32_t srtt_us, min_rtt_us, rtt_ssn;
	uint64_t rtt_at_us; /* when rtt_ssn was reached; 0: nothing is being timed */
};

/*
 * `count` mappings of `len_bytes` each that were sent one behind the other (a run keeps bulk
 * senders without segmentation offload cheap); with checksums count is 1.
 */
struct mapping {
	uint32_t pool_link;
	uint32_t next;
	uint32_t seq, ssn;
	uint16_t len_bytes;
	uint16_t count;
	uint16_t csum;
	bool data_fin; /* one number more than len_bytes */
};

struct blackhole {
	uint64_t tag; /* hash of destination and path; 0: empty */
	uint64_t until_us;
	uint32_t times;
};

/* Where peers reached guests' services: see join_accept.c. */
struct endpoint {
	uint64_t tag; /* hash of address and port; 0: empty */
	uint64_t until_us;
};

/* Where an MP_JOIN that was let go was meant to go, before the host translated: join_accept.c. */
struct passed {
	uint64_t tag; /* hash of who asks, and of what; 0: empty */
	struct ip_addr addr;
	uint16_t port;
};

#define PASSED_SLOTS 128
#define FORGOTTEN_SLOTS 1024
#define SHARED_SLOTS 256
#define BEGUN_SLOTS 64

/* Where a connection began whose first subflow is gone. */
struct begun {
	struct flow_tuple net; /* gate first */
	uint32_t conn;
};

struct engine {
	uint64_t magic;
	uint64_t region_bytes;
	uint64_t cfg_hash;
	struct engine_cfg cfg;
	struct pool conns, subflows, mappings;
	struct pool multis, senders, txsegs, spans, partials, chunks, addresses;
	/* offsets from the region's start */
	uint64_t guest_buckets, token_buckets, net_buckets; /* uint32_t[bucket_mask + 1] */
	uint64_t heap_entries, heap_where;
	uint32_t bucket_mask;
	uint32_t heap_n;
	uint32_t n_half_open;  /* records of responder.c that wait for a third ACK */
	uint32_t n_half_joins; /* subflows in JOIN_RECEIVED */
	uint32_t n_own_joins;  /* subflows in JOIN_SYN and JOIN_ACK */
	uint32_t n_checked;    /* records of struct multi whose connection has checksums */
	uint32_t port_count;   /* joins so far: where the choice of a port goes on */
	uint64_t counter[REASON_COUNT];
	uint64_t path_pkts[ENGINE_PATHS_MAX][2], path_bytes[ENGINE_PATHS_MAX][2];
	uint64_t path_heard_us[ENGINE_PATHS_MAX]; /* when a subflow's segment came there last */
	bool path_usable[ENGINE_PATHS_MAX];
	/* Two for each path, IPv4 and IPv6: grows when the address is lost, and so is its id. */
	uint8_t address_generation[OWN_ADDRESSES_MAX];
	struct blackhole blackhole[BLACKHOLE_SLOTS];
	struct endpoint endpoint[ENDPOINT_SLOTS];
	struct passed passed[PASSED_SLOTS];
	bool guests_speak; /* some guest was seen to speak MPTCP itself */
	/* Shared records of addresses, by the hash of what they hold; index + 1, 0: empty. */
	uint32_t shared[SHARED_SLOTS];
	struct engine_result pending; /* of an asked SYN/ACK */
	/*
	 * Tuples of subflows that the peer or the gate joined and that are no more, gate first:
	 * still claimed, until newer ones take their places.
	 */
	struct flow_tuple forgotten[FORGOTTEN_SLOTS];
	uint32_t n_forgotten; /* in all, so far */
	/* The last of these: what comes there is no sign that the host's table is out of date. */
	struct begun begun[BEGUN_SLOTS];
	uint32_t n_begun; /* in all, so far */
	struct engine_claim claim[ENGINE_CLAIMS_MAX];
	uint32_t n_claims, claims_cursor; /* cursor: the next record to be claimed anew */
	bool claims_renew, claims_fetched;
};

/* One call's arguments and what was decoded, handed through the steps of a packet's way. */
struct step {
	struct engine *e;
	struct engine_tick *tick;
	struct engine_outs *outs;
	const struct engine_pkt *in;
	struct packet p;
	struct options o;
};

#include "engine/state_at.h"

/* The 64-bit data sequence number of a guest's sequence number near the window. */
static inline uint64_t dsn_of_guest(const struct conn *c, uint32_t seq)
{
	return c->una_dsn + (uint64_t)(int64_t)(int32_t)(seq - c->una_seq);
}

/* The sequence number under which the guest sees the peer's data sequence number. */
static inline uint32_t seq_of_peer_dsn(const struct conn *c, uint64_t dsn)
{
	return c->acked_seq + (uint32_t)(dsn - c->acked_dsn);
}

static inline uint64_t dsn_of_peer_seq(const struct conn *c, uint32_t seq)
{
	return c->acked_dsn + (uint64_t)(int64_t)(int32_t)(seq - c->acked_seq);
}

/* What the guest acknowledged of the peer's data: a DATA_FIN has no place on a subflow. */
static inline uint32_t acked_data_seq(const struct conn *c)
{
	return c->acked_seq - c->peer_fin_acked;
}

/* The handshake of a join is not over: it carries nothing. */
static inline bool subflow_joins(const struct subflow *s)
{
	return s->state == SUBFLOW_JOIN_SYN || s->state == SUBFLOW_JOIN_ACK ||
	       s->state == SUBFLOW_JOIN_RECEIVED;
}

static inline struct engine_result verdict(enum engine_verdict v, enum reason reason, conn_ref conn)
{
	return (struct engine_result){
		.verdict = (uint8_t)v, .reason = (uint8_t)reason, .conn = conn};
}

/* engine.c */
void count(struct engine *e, enum reason reason);
void event(struct step *st, enum engine_event_kind kind, const struct conn *c, enum reason reason);

/* deadline.c; UINT64_MAX: none */
void deadlines_init(struct engine *e);
void deadline_set(struct engine *e, const struct conn *c, uint64_t at_us);
uint64_t deadline_us(const struct engine *e, uint32_t conn);
uint32_t deadline_first(const struct engine *e); /* index of the connection due next, or NONE */
uint64_t deadline_first_us(const struct engine *e);

#endif
