/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_tcp.h - one TCP connection (RFC 9293, 5681, 6298, 6675 in the small): what the guest model
 * is made of and what each subflow of the peer model is made of.
 *
 * Theory. The sender knows bytes only by sequence number and asks its owner to fill them in, so
 * every retransmission may be cut otherwise than the first sending, as real stacks do it. The
 * receiver hands segments over in order, with their options, and keeps what comes early as whole
 * segments if it keeps it at all.
 *
 * No function has a name of liblwip's (tcp_init, tcp_input, tcp_output, tcp_rst): the other guest
 * is linked with that, and would be given ours.
 */
#ifndef MPGATE_SIM_TCP_H
#define MPGATE_SIM_TCP_H

#include "sim_packet.h"

#define SACKED_MAX 64
#define NEVER UINT64_MAX

struct sim;
struct tcp;

/* A segment that came before its turn. */
struct early {
	struct early *next;
	struct seg s;
	uint8_t payload[];
};

struct tcp_ops {
	/* End of the data that may be sent at all now (limits of the other side included). */
	uint32_t (*end)(struct tcp *t);
	/*
	 * Fills at most `n` bytes at s->seq into buf and adds options; returns how many. `n` is 0
	 * for a segment without data.
	 */
	uint32_t (*fill)(struct tcp *t, struct seg *s, uint32_t n, uint8_t *buf);
	uint16_t (*window)(struct tcp *t); /* field to announce */
	/* In order: n bytes of the segment, from byte `skip` on. May be called with n = 0. */
	void (*deliver)(struct tcp *t, const struct seg *s, uint32_t skip, uint32_t n);
	void (*emit)(struct tcp *t, struct pkt *p);
};

enum tcp_state { TCP_IDLE, TCP_SYN_SENT, TCP_SYN_RECEIVED, TCP_OPEN, TCP_RESET };
enum probe_style { PROBE_OLD, PROBE_BYTE, PROBE_NONE };

/* What kind of host it is; chosen by seed. */
struct tcp_traits {
	bool ts, sack, keep_early, nodelay, fin_alone, clear_sacked_on_rto, mtu_probing;
	bool has_wscale, garbage_keepalive, third_with_data, urgent;
	uint8_t wscale;
	uint8_t probe;          /* enum probe_style */
	uint16_t mss_told;      /* in our SYN */
	uint16_t mss_max;       /* bytes of payload and options that our own interface lets out */
	uint16_t mss_reserve;   /* for options that come with all data */
	uint32_t super_bytes;   /* largest segment at once */
	uint32_t cwnd_segments; /* initial */
	uint64_t delack_us, keepalive_us;
	uint32_t isn, ts_base;
};

struct tcp {
	struct sim *w;
	void *owner;
	const struct tcp_ops *ops;
	struct tcp_traits k;
	uint8_t state; /* enum tcp_state */
	struct flow_tuple tuple;
	bool ts, sack, wscale_on;
	uint8_t peer_wscale;
	uint16_t mss; /* payload of a segment */

	/* sender */
	uint32_t iss, una, nxt, max, edge;
	bool fin_wanted, fin_sent, fin_acked;
	uint32_t fin_seq;
	uint32_t cwnd, ssthresh, dupacks;
	bool recovering;
	uint32_t recover, rtx_nxt;
	struct block sacked[SACKED_MAX];
	unsigned n_sacked;
	uint64_t min_rtt_us, rtt_us; /* of all, the last one; 0: none yet */
	uint64_t srtt_us, rttvar_us, rto_at_us, probe_at_us, timed_at_us, heard_us, keepalive_at_us;
	uint32_t timed_seq, backoff, probes, keepalives;
	uint64_t retransmits;

	/* receiver */
	uint32_t irs, rcv_nxt, rcv_edge, ts_recent, ack_told;
	bool no_edge_check; /* the window belongs to the data level */
	bool fin_received, early_fin;
	struct early *early; /* kept segments, ascending */
	uint32_t early_seq;  /* of the one that came last */
	unsigned unacked, quick;
	uint64_t ack_at_us;
};

void tcp_setup(struct tcp *t, struct sim *w, void *owner, const struct tcp_ops *ops,
	       const struct tcp_traits *k);
void tcp_fini(struct tcp *t);

/* What both SYNs say; call when the other's SYN is known. */
void tcp_negotiate(struct tcp *t, const struct seg *syn);

/* Starts a segment at nxt with ack, window and timestamps; the caller adds and emits. */
void tcp_begin(struct tcp *t, struct seg *s);
void tcp_emit(struct tcp *t, struct seg *s, uint16_t gso_bytes);

void tcp_syn(struct tcp *t, bool ack, const struct mp *m); /* SYN or SYN/ACK */
void tcp_ack(struct tcp *t);                               /* a pure acknowledgement now */
void tcp_reset(struct tcp *t, const struct mp *m);
void tcp_push(struct tcp *t);                                  /* whatever may be sent */
void tcp_mtu(struct tcp *t, uint32_t mtu_bytes, uint32_t seq); /* ICMP says so */

/* A segment in state OPEN; ACK field checked by the caller to lie within what was sent. */
void tcp_segment(struct tcp *t, const struct seg *s);

uint64_t tcp_next_us(const struct tcp *t);
void tcp_run(struct tcp *t);

/* Both FINs sent, received and acknowledged. */
bool tcp_finished(const struct tcp *t);

/* receiver, called by tcp_segment() */
void tcp_receive(struct tcp *t, const struct seg *s);

#endif
