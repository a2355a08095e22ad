/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_scenario.h - everything that a seed decides, in one place, so that a failing run can be
 * read.
 */
#ifndef MPGATE_SIM_SCENARIO_H
#define MPGATE_SIM_SCENARIO_H

#include "engine.h"
#include "sim_tcp.h"

#define SIM_FLOWS_MAX 6
#define SIM_PATHS_MAX 4
#define SIM_UPLINKS_MAX (2 * SIM_PATHS_MAX)

/* Seeds from here on have several subflows. */
#define SIM_MULTI_SEEDS 1000000u
/* ... and from here on also faults that the engine does not survive in all places yet. */
#define SIM_HARD_SEEDS 2000000u
/* From here on the guests are asked; and from here on there is a gate at both ends. */
#define SIM_RESPONDER_SEEDS 3000000u
#define SIM_BOTH_SEEDS 4000000u
/* Middleboxes on several subflows, in all roles. */
#define SIM_BOX_SEEDS 5000000u
/*
 * In each of the last three the upper half of the million has the hard faults as well; from several
 * subflows on, the upper halves have gates that wake up late, and more kinds of middleboxes.
 */
#define SIM_HARD_HALF 500000u

/* Who has a gate: the end that opens the connections, the one that is asked, or both. */
enum role { ROLE_INITIATOR, ROLE_RESPONDER, ROLE_BOTH };

enum peer_scheduler { PEER_LOWEST_RTT, PEER_ROUND_ROBIN, PEER_RANDOM };
enum app_start { START_NOW, START_AFTER_OTHER };
enum app_close { CLOSE_WHEN_SENT, CLOSE_WHEN_BOTH };

/* What an application at one end does. */
struct app_script {
	uint64_t total_bytes;
	uint32_t write_bytes; /* at once */
	uint64_t write_gap_us;
	uint8_t start, close;
	uint64_t abort_at_bytes; /* of what it wrote; UINT64_MAX: never */
	uint32_t buffer_bytes;   /* receive buffer */
	uint32_t read_bytes;     /* at once; 0: all, always */
	uint64_t read_gap_us;
	uint64_t stall_at_bytes, stall_us; /* stops reading for a while; 0: does not */
};

struct flow_script {
	uint64_t start_us;
	uint16_t guest_port, peer_port;
	bool reuses; /* the tuple of the flow before it, after that is over */
	struct tcp_traits guest, peer;
	struct app_script guest_app, peer_app;
	/* the peer as an MPTCP endpoint */
	bool peer_discards; /* some data that it acknowledged on the subflow (section 3.3.5) */
	bool peer_refuses;  /* RST to the SYN */
	bool peer_mptcp, peer_checksum, peer_ack32, peer_fin_rides, peer_ack_every;
	uint64_t peer_key;
	uint8_t peer_scheduler;    /* enum peer_scheduler */
	uint8_t peer_subflows_max; /* more are refused */
	uint8_t peer_refuses_join_percent,
		peer_refuses_third_percent; /* of those that are allowed */
	uint8_t peer_resets_percent;        /* of subflows, some time after they joined */
	uint8_t peer_announces;             /* words about its addresses and priorities */
	uint8_t peer_joins;                 /* where it asks: so many times at most */
	bool peer_rejoins;                  /* ... whenever it has fewer than two subflows */
};

struct link_script {
	uint64_t rate_bps, delay_us;
	uint32_t queue_bytes;
	uint64_t loss_mask;  /* bit n % 64 set: the n-th packet is lost; 0: none */
	uint64_t loss_until; /* packets, after which the link is clean (0: never) */
	uint8_t duplicate_percent, corrupt_percent, reorder_percent;
	uint64_t reorder_us;
	uint32_t mtu_bytes;
	bool icmp;  /* the router says so when a packet is too big */
	bool super; /* carries super-segments (as veth does) */
	uint64_t dark_from_us, dark_until_us;
};

enum strip {
	STRIP_NOTHING,
	STRIP_SYN,
	STRIP_SYNACK,
	STRIP_THIRD_ACK,
	STRIP_LATER,
	STRIP_JOIN, /* MP_JOIN, on whatever carries it */
};

/* Middleboxes on a path: the same for both directions unless said otherwise. */
struct box_script {
	bool used;
	uint8_t strip;         /* enum strip */
	uint64_t strip_after;  /* packets, for STRIP_LATER */
	bool strip_one_way[2]; /* [0] to net only, [1] from net only */
	bool blank;            /* stripping leaves NOPs instead of shortening */
	bool blank_by_eol;     /* ... or EOL behind what is left */
	uint8_t split_percent, join_percent;
	bool join_any;           /* also segments whose options differ */
	uint32_t seq_shift[2];   /* added to what goes to the net, and from the net */
	uint64_t alter_nth;      /* packet with data whose payload is changed; 0: none */
	uint8_t proxy_percent;   /* data to the net that the box acknowledges on its own */
	uint8_t alter_direction; /* 0 to net, 1 from net */
	uint64_t rebind_after;   /* packets, then sources get other ports; 0: never */
	bool no_holes;           /* lets nothing pass behind a missing segment */
};

/* What happens to an uplink: links lose everything at once, the engine hears of it later. */
enum path_change {
	PATH_DOWN,
	PATH_UP,
	PATH_READDRESSED,
	PATH_DEAD,
	PATH_DEAD_TO_NET, /* in this direction alone */
	PATH_DEAD_FROM_NET,
	PATH_ALIVE,
};

#define PATH_EVENTS_MAX 12

struct path_event {
	uint64_t at_us, lag_us;
	uint8_t path, change; /* uplink; enum path_change; dead and alive are never told */
};

struct control_script {
	uint32_t max_connections;
	uint64_t memory_bytes;
	unsigned cap_pkt;
	bool policy;     /* the operator wants the first connection's port plain */
	unsigned forged; /* segments, spread over the first seconds */
	bool random_repeats, csum_trusted, checksum, masquerade;
	uint64_t adopt_us[3], adopt_gap_us; /* the engine's process is replaced; 0: not */
	uint64_t jump_at_us, jump_us;       /* the clock leaps */
	uint64_t late_us;                   /* the gate wakes up so much too late at most */
	/* several subflows */
	uint8_t mode, ndiffports, max_subflows, congestion, scheduler;
	bool on_congestion;
	uint64_t after_bytes, after_us;
	unsigned n_events;
	struct path_event event[PATH_EVENTS_MAX]; /* ascending */
};

struct scenario {
	uint64_t seed;
	uint8_t family;
	uint8_t role;   /* enum role */
	bool multi;     /* several subflows */
	bool hard;      /* with paths that go, scarce memory, new processes, forged segments */
	bool published; /* who is asked stands behind an address of its gate's */
	bool lwip;      /* is what the guest runs, not the model */
	unsigned n_flows, n_paths;
	unsigned n_far_paths; /* of the second gate */
	struct flow_script flow[SIM_FLOWS_MAX];
	struct link_script guest_link[2];
	struct link_script link[SIM_UPLINKS_MAX][2];
	struct box_script box[SIM_UPLINKS_MAX];
	struct control_script control;
	bool clean;    /* no fault of any kind */
	bool slow;     /* receivers discard */
	bool measured; /* clean, and completion time is compared with the ideal */
	bool lossy;    /* packets are lost, damaged or late */
	bool boxes;    /* middleboxes meddle */
	bool stalls;   /* ... so that the far end may wait for ever */
	bool forgets;  /* ... so that who asks for nothing may wait for ever */
	bool breaks;   /* ... so that a reset in mid-stream is lawful */
	/*
	 * Only one side loses sight of MPTCP, and no word of the other reaches the far end: it maps
	 * old data again further on, and plain TCP cannot tell. Native Linux delivers it too.
	 */
	bool repeats;
	bool proxies;       /* one that acknowledges on its own: after a fallback it is believed */
	bool alters;        /* payload is changed: the streams cannot be compared */
	bool alters_joined; /* ... only on joined subflows, under checksums: nobody may see it */
	bool scarce;        /* pools or outputs are nearly full */
	bool aborts;        /* an application resets */
	bool spoils_joins;  /* a middlebox does */
	bool strips_joined; /* ... removes options on joined subflows, or acknowledges there */
	bool refuses;       /* the peer may have no second subflow */
	bool path_faults;   /* uplinks go: when all data is through, a FIN may not be */
	bool breaks_subflows; /* a subflow may be reset, not the connection */
};

void scenario_make(struct scenario *sc, uint64_t seed);

/* The uplinks of both gates, one behind the other; SIM_UPLINKS_MAX behind the last. */
unsigned scenario_uplink(const struct scenario *sc, unsigned i);

uint64_t scenario_rtt_us(const struct scenario *sc); /* of the longest path */

/* By when everything must be over: from sizes, rates, delays and faults. */
uint64_t scenario_limit_us(const struct scenario *sc);

/* sim_multi.c: a scenario with several subflows, before faults. */
void multi_make(struct scenario *sc);
void multi_print(const struct scenario *sc);

/* What all links together need for the one transfer of a measured scenario, headers counted. */
uint64_t multi_ideal_us(const struct scenario *sc);

/* Plain words on stderr. */
void scenario_print(const struct scenario *sc);

#endif
