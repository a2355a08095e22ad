/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.h - the contract of the pure engine.
 *
 * Time, random numbers, packets and path events come in as arguments; packets and events go out
 * through arrays that the caller owns. The engine makes no system call, reads no clock, allocates
 * nothing after engine_init() and keeps all of a connection's state in the one region that the
 * caller hands over (I7, I8, I9).
 *
 * Packets begin at the IP header (IPv4 or IPv6). Every packet gets exactly one verdict and one
 * reason.
 */
#ifndef MPGATE_ENGINE_H
#define MPGATE_ENGINE_H

#include <stddef.h>

#include "flow.h"
#include "reason.h"

#define ENGINE_PATHS_MAX 16
#define ENGINE_POLICY_MAX 64
#define ENGINE_SUBFLOWS_MAX 8
#define ENGINE_HEADER_MAX 100 /* IPv6 40 + TCP 20 + options 40 */
#define ENGINE_NAME_MAX 11    /* a path's name: "mpg-" and it make an interface name */
#define ENGINE_NO_PATH 0xff
#define ENGINE_NO_CONN UINT32_MAX

struct engine;
typedef uint32_t conn_ref;

enum engine_side { ENGINE_GUEST, ENGINE_NET };

/*
 * Where the packet was met. In place: a SYN or SYN/ACK on the host's own road (security FORWARD),
 * which goes on with other bytes. Steal: anything else (raw PREROUTING), which is dropped there
 * and re-emitted from `engine_out`. Unwanted: a SYN from the net that the host is about to deliver
 * to itself, where no socket of its awaits one (security INPUT).
 */
enum engine_hook { ENGINE_IN_PLACE, ENGINE_STEAL, ENGINE_UNWANTED };

struct engine_pkt {
	const uint8_t *data;
	uint32_t len_bytes;
	uint8_t from;        /* enum engine_side: the side that sent it */
	uint8_t hook;        /* enum engine_hook */
	uint8_t path;        /* from the net: arrived there; a guest's, in place: leaves there */
	uint8_t guest_if;    /* index into the configuration's guests; 0 when not known */
	bool csum_trusted;   /* the kernel vouches for the TCP checksum, or it is partial */
	bool mark_converted; /* claimed as converted, maybe by a process before us */
	bool mark_half;      /* ... or half */
};

enum engine_verdict {
	ENGINE_ACCEPT,  /* let go unchanged */
	ENGINE_REPLACE, /* let go with the bytes of `replacement` (handshakes; no payload) */
	ENGINE_STOLEN,  /* drop; what goes on instead, if anything, is in the outputs */
	ENGINE_DROP,    /* drop; the reason says why */
	ENGINE_ASK,     /* undecided: ask the host for the translation of `ask`, then call
			   engine_translation(), whose result is the verdict */
};

struct engine_result {
	uint8_t verdict; /* enum engine_verdict */
	uint8_t reason;  /* enum reason */
	uint8_t replacement_bytes;
	conn_ref conn; /* ENGINE_NO_CONN when the packet belongs to none */
	/*
	 * ENGINE_ASK: the connection as the guest names it, guest first. ENGINE_DROP of what the
	 * host took for claimed, and is nobody's: the packet's tuple, sender first. Else all zero.
	 */
	struct flow_tuple ask;
	uint8_t replacement[ENGINE_HEADER_MAX]; /* whole packet, checksums complete */
};

/*
 * A packet to emit: `hdr`, then `payload`. The TCP checksum field holds the pseudo-header's sum
 * (not inverted), to be completed over everything from `ip_bytes` on; an IPv4 header checksum is
 * complete. More than gso_size_bytes of payload must be cut into such pieces by the emitter (or
 * by the kernel: virtio_net_hdr).
 */
struct engine_out {
	uint8_t side;  /* enum engine_side: towards which */
	uint8_t index; /* path index, or index of the guests' interface */
	uint8_t ip_bytes;
	uint8_t hdr_bytes; /* IP and TCP headers with options */
	uint16_t gso_size_bytes;
	uint8_t reason; /* enum reason */
	bool whole;     /* no TCP inside (ICMP): checksums are complete, never to be cut */
	uint32_t payload_bytes;
	conn_ref conn;
	const uint8_t *payload; /* lives until the next call of the engine */
	uint8_t hdr[ENGINE_HEADER_MAX];
};

enum engine_event_kind {
	ENGINE_EVENT_CONVERTED, /* the connection is Multipath TCP */
	ENGINE_EVENT_PLAIN,     /* it stays plain; reason */
	ENGINE_EVENT_FALLBACK,  /* it was Multipath TCP and fell back; reason */
	ENGINE_EVENT_CLOSED,    /* its record is gone; reason */
	ENGINE_EVENT_SUBFLOW,   /* a subflow changed its state; reason */
	ENGINE_EVENT_PROMOTED,  /* it may have more subflows from now on; reason */
};

struct engine_event {
	uint8_t kind;   /* enum engine_event_kind */
	uint8_t reason; /* enum reason */
	uint8_t path;   /* ENGINE_NO_PATH when none is meant */
	conn_ref conn;
	struct flow_tuple guest; /* guest first */
};

/*
 * Packets that are the engine's: what comes from that side with this tuple, sender first, is to be
 * stolen (handshakes are met in place all the same).
 */
enum engine_claim_kind {
	ENGINE_CLAIM_RELEASED,  /* not any more: plain TCP, or the tuple is another's */
	ENGINE_CLAIM_ENDED,     /* not any more: the connection is over, without a moment of OVER */
	ENGINE_CLAIM_HALF,      /* shown to the engine; passes where there is none */
	ENGINE_CLAIM_CONVERTED, /* waits where there is no engine */
	ENGINE_CLAIM_OWN,       /* likewise, and SYN/ACKs are stolen as well: the gate's subflow */
	ENGINE_CLAIM_OVER,      /* likewise; ends when a SYN shows that the tuple is used again */
	ENGINE_CLAIM_FORGOTTEN, /* likewise, of a subflow that was OWN: its SYN/ACK is stolen too */
};

struct engine_claim {
	uint8_t from; /* enum engine_side */
	uint8_t kind; /* enum engine_claim_kind */
	struct flow_tuple tuple;
};

#define ENGINE_CLAIMS_MAX 128

/* Everything one call may put out. The caller sets the arrays and capacities, and zeroes the n. */
struct engine_outs {
	struct engine_out *pkt;
	unsigned n_pkt, cap_pkt;
	struct engine_event *event;
	unsigned n_event, cap_event; /* events beyond the capacity are counted, not kept */
};

/* Random numbers: the engine takes from the end; the caller fills up before each call. */
#define ENGINE_RANDOM_WORDS 16
struct engine_random {
	uint64_t word[ENGINE_RANDOM_WORDS];
	unsigned n;
};

struct engine_tick {
	uint64_t now_us; /* monotonic, never 0 */
	struct engine_random *random;
};

struct engine_path_cfg {
	char name[ENGINE_NAME_MAX + 1];
	bool backup;
	bool routed;        /* the kernel forwards what leaves here, and counts it as a hop */
	uint16_t mtu_bytes; /* 0: not known, 1500 is assumed */
	double price;
	struct ip_addr addr4, addr6; /* zero: none */
};

enum engine_use { ENGINE_AUTO, ENGINE_ALWAYS, ENGINE_NEVER };

enum engine_mode { ENGINE_FULLMESH, ENGINE_NDIFFPORTS, ENGINE_SINGLE };

/*
 * Who is told of the paths' addresses: peers that opened their connection themselves (they join),
 * all, or none.
 */
enum engine_announce { ENGINE_ANNOUNCE_RESPONDER, ENGINE_ANNOUNCE_ALWAYS, ENGINE_ANNOUNCE_NEVER };

/* Index of the controller or scheduler of that name, -1 when there is none. */
int engine_congestion(const char *name);
int engine_scheduler(const char *name);

/* A rule matches when all that it names does: 0 bits of prefix and 0 ports name everything. */
struct engine_policy {
	uint8_t use; /* enum engine_use */
	uint8_t guest_family, guest_prefix_bits;
	uint8_t peer_family, peer_prefix_bits;
	uint16_t peer_port_min, peer_port_max;
	struct ip_addr guest, peer;
};

struct engine_cfg {
	uint32_t max_connections;
	uint64_t memory_bytes; /* bound of the region */
	uint64_t seed[2];      /* keys the hash tables; from the kernel's random source */
	bool checksum;         /* ask for DSS checksums */
	uint8_t n_paths;
	uint8_t n_policies;
	uint8_t max_subflows;
	uint8_t congestion, scheduler; /* indices, as engine_congestion() and _scheduler() say */
	uint8_t mode;                  /* enum engine_mode */
	uint8_t ndiffports;
	bool guests_routed; /* likewise what leaves towards the guests */
	bool on_congestion;
	uint64_t after_bytes, after_us; /* when to open more subflows (auto); 0: at once, never */
	uint64_t after_bytes_per_s;     /* likewise, by rate; 0: never */
	uint8_t announce;               /* enum engine_announce */
	double backup_price;      /* so many times as dear as the cheapest: backup; 0: never */
	uint64_t rejoin_us;       /* how long a connection without subflows waits; 0: 60 s */
	uint16_t guest_mtu_bytes; /* smallest MTU of the guests' interfaces, 0: 1500 */
	uint16_t port_min, port_max;
	uint64_t syn_timeout_us;  /* 0 in each of these: the default */
	uint64_t idle_timeout_us; /* 5 days, as nf_conntrack */
	uint64_t blackhole_us;    /* 1 hour, doubling */
	struct engine_path_cfg path[ENGINE_PATHS_MAX];
	struct engine_policy policy[ENGINE_POLICY_MAX];
};

/* Bytes of the region that this configuration needs; 0 when memory_bytes is too small for it. */
size_t engine_region_bytes(const struct engine_cfg *cfg);

/* A fresh engine in `region` (aligned to 64 bytes, `bytes` as engine_region_bytes() says). */
struct engine *engine_init(void *region, size_t bytes, const struct engine_cfg *cfg);

/*
 * Takes over the region of a process that died (I9): checks it, rebuilds the lookup tables. Null
 * when it was made by another version or configuration or is damaged; then nothing was changed.
 */
struct engine *engine_adopt(void *region, size_t bytes, const struct engine_cfg *cfg,
			    uint64_t now_us);

struct engine_result engine_packet(struct engine *e, const struct engine_pkt *pkt,
				   struct engine_tick *tick, struct engine_outs *outs);

/*
 * The answer to ENGINE_ASK. `net` is the connection on the wire towards the net, the gate's side
 * first; null when the host does not know it (the connection then stays plain). Must follow the
 * asking call at once.
 */
struct engine_result engine_translation(struct engine *e, conn_ref conn,
					const struct flow_tuple *net, struct engine_tick *tick,
					struct engine_outs *outs);

/*
 * What has changed about the claims, in this order, into an array of ENGINE_CLAIMS_MAX; their
 * number. To be called until there are none, after every call that may have changed some and
 * before the outputs are emitted: an answer must not arrive before its claim (what is emitted to a
 * guest may go first: the guest's tuple is claimed already). After adoption all claims come anew.
 */
unsigned engine_claims(struct engine *e, struct engine_claim *claims);

/* Whether there are any. */
bool engine_claims_wait(const struct engine *e);

/* When engine_timeout() is due; UINT64_MAX: never. */
uint64_t engine_deadline_us(const struct engine *e);

/* Does what is due at now_us; stops early when the outputs are nearly full (deadline says so). */
void engine_timeout(struct engine *e, struct engine_tick *tick, struct engine_outs *outs);

/*
 * A regular end: every converted connection is reset at both ends, as many as the outputs hold.
 * True while some are left: emit, then call again. Without the engine the kernel would show each
 * end what is not meant for it.
 */
bool engine_shutdown(struct engine *e, struct engine_tick *tick, struct engine_outs *outs);

/* A path's address, MTU or state changed (link, address or route event). */
void engine_path_set(struct engine *e, unsigned path, bool usable,
		     const struct engine_path_cfg *cfg);

/* ---- looking in; never changes anything ---- */

struct engine_subflow_info {
	uint8_t path;
	bool backup;                    /* by either end's word */
	bool backup_local, backup_peer; /* ours; the peer's */
	const char *state;
	enum reason leaving; /* why it is to end, REASON_NONE: it is not */
	uint8_t address_id, peer_address_id;
	struct flow_tuple tuple; /* gate first */
	uint32_t cwnd_bytes, srtt_us, min_rtt_us;
	uint64_t to_net_bytes, from_net_bytes, retransmits;
};

struct engine_conn_info {
	struct flow_tuple guest; /* guest first */
	const char *role;        /* "initiator", "responder" */
	const char *mode;        /* "plain", "single", "multi", "fallback" */
	const char *state;
	uint8_t reason; /* enum reason */
	bool checksum;
	uint64_t age_us, idle_us;
	uint64_t from_guest_bytes, to_guest_bytes;
	uint8_t n_subflows;
	struct engine_subflow_info subflow[ENGINE_SUBFLOWS_MAX];
};

struct engine_path_info {
	bool usable;
	uint32_t subflows;
	uint64_t to_net_bytes, from_net_bytes, to_net_pkts, from_net_pkts;
};

/* References run from 0 to max_connections - 1; false where no connection stands. */
bool engine_conn_info(const struct engine *e, conn_ref conn, uint64_t now_us,
		      struct engine_conn_info *info);
void engine_path_info(const struct engine *e, unsigned path, struct engine_path_info *info);
uint64_t engine_counter(const struct engine *e, enum reason reason);
uint32_t engine_connections(const struct engine *e); /* now in use */

/* Records of one kind: what connections and their data are kept in (I7). */
struct engine_pool_info {
	const char *name;
	uint32_t used, max;
};

/* The `i`th kind; false behind the last. */
bool engine_pool_info(const struct engine *e, unsigned i, struct engine_pool_info *info);

/* True when every record is either free or reachable, and the lists agree; for tests. */
bool engine_audit(const struct engine *e);

/*
 * With several subflows everything that is waited for has a timer, and the connection's deadline is
 * not behind any of them. Null, or what has none; between two calls of the engine, for tests.
 */
const char *engine_audit_timers(const struct engine *e, uint64_t now_us);

#endif
