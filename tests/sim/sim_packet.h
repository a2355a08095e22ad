/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_packet.h - packets as the simulated hosts write and read them (RFC 9293, 7323, 2018, 8684).
 *
 * Written from the RFCs and sharing nothing with src/wire, so that an error there is seen here.
 */
#ifndef MPGATE_SIM_PACKET_H
#define MPGATE_SIM_PACKET_H

#include "flow.h"

#define F_FIN 0x01
#define F_SYN 0x02
#define F_RST 0x04
#define F_PSH 0x08
#define F_ACK 0x10
#define F_URG 0x20

#define SACK_MAX 4
#define PACKET_MAX 65535u

/* A packet on its way: bytes from the IP header on. */
struct pkt {
	struct pkt *next;
	uint64_t at_us; /* of arrival at the link's far end */
	uint32_t len_bytes;
	uint16_t gso_bytes; /* of payload in each segment of a super-segment; 0: it is none */
	bool corrupted;     /* by a link: no checksum may be trusted */
	bool forged;        /* sent by neither end */
	uint8_t data[];
};

enum join_form { JOIN_NONE, JOIN_SYN, JOIN_SYN_ACK, JOIN_ACK };

#define HMAC_BYTES 20 /* what the longest form of MP_JOIN carries of it */
#define REMOVED_MAX 8

/* The MPTCP options of one segment, RFC 8684 section 3. */
struct mp {
	bool capable, dss, fastclose, fail, tcprst, other; /* which there are */
	bool prio, add_addr;
	uint8_t n_removed; /* REMOVE_ADDR: so many ids */
	uint8_t join;      /* enum join_form */
	uint8_t n_options;
	/* MP_CAPABLE */
	uint8_t version, capable_flags, n_keys;
	bool has_data_len, has_capable_csum;
	uint64_t key[2];
	uint16_t data_len;
	/* DSS */
	bool has_ack, ack64, has_map, dsn64, data_fin, has_csum;
	uint64_t data_ack, dsn;
	uint32_t ssn;
	uint16_t map_len;
	uint16_t csum; /* of either; as a number read in network order */
	uint64_t fastclose_key, fail_dsn;
	uint8_t tcprst_flags, tcprst_reason;
	/* MP_JOIN and MP_PRIO */
	bool backup;
	uint8_t join_id;
	uint32_t token, nonce;
	uint8_t hmac[HMAC_BYTES]; /* SYN/ACK: 8 of them */
	/* ADD_ADDR, REMOVE_ADDR */
	bool echo;
	uint8_t addr_id, addr_family, removed[REMOVED_MAX];
	uint16_t addr_port; /* 0: none */
	struct ip_addr addr;
	uint8_t addr_hmac[8];
};

struct block {
	uint32_t start, end;
};

struct seg {
	struct flow_tuple tuple; /* sender first */
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	const uint8_t *payload;
	uint32_t len_bytes; /* of payload */
	bool has_mss, has_wscale, sack_permitted, has_ts;
	uint8_t wscale, n_sack;
	uint16_t mss;
	uint32_t tsval, tsecr;
	struct block sack[SACK_MAX];
	struct mp mp;
	/* what reading found */
	uint8_t ip_bytes, hdr_bytes, opt_bytes;
	bool csum_ok;
	const char *bad; /* what is wrong with the packet; null: nothing */
};

static inline bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline uint32_t later(uint32_t a, uint32_t b)
{
	return before(a, b) ? b : a;
}

/* Of the timestamps of one sender the latest; some segments have none (ADD_ADDR leaves no room). */
static inline uint32_t later_tsval(uint32_t tsval, const struct seg *s)
{
	return s->has_ts ? later(tsval, s->tsval) : tsval;
}

static inline uint32_t earlier(uint32_t a, uint32_t b)
{
	return before(a, b) ? a : b;
}

/* Sum over bytes for RFC 1071, as 16-bit numbers in network order; not folded. */
uint64_t sum_add(uint64_t sum, const uint8_t *data, uint32_t n);
uint16_t sum_fold(uint64_t sum);

/* DSS checksum of RFC 8684 section 3.3.1, as a number in network order. */
uint16_t mp_checksum(uint64_t dsn, uint32_t ssn, uint16_t len, uint64_t payload_sum);

/*
 * Reads a packet; false (with s->bad) when it is none of TCP over IPv4 or IPv6 as we know it. Of
 * the head alone: without the checksum.
 */
bool seg_parse(struct seg *s, const uint8_t *data, uint32_t len_bytes);
bool seg_head(struct seg *s, const uint8_t *data, uint32_t len_bytes);

/* Writes the packet with all checksums complete. Options beyond 40 bytes are an error of ours. */
struct pkt *seg_build(const struct seg *s);

struct pkt *pkt_new(const uint8_t *data, uint32_t len_bytes);
struct pkt *pkt_copy(const struct pkt *p);

/* Makes both checksums right again after a change; IPv4 total length included. */
void pkt_fix(struct pkt *p);

/* Token and initial data sequence number of a key (RFC 8684 section 3.1). */
void key_derive(uint64_t key, uint32_t *token, uint64_t *idsn);

/*
 * HMAC-SHA256 of an MP_JOIN (section 3.2): keys and nonces of the one who sends it come first, 32
 * bytes. Of ADD_ADDR (section 3.4.1): the rightmost 8 bytes.
 */
void join_hmac(uint64_t key, uint64_t key_other, uint32_t nonce, uint32_t nonce_other,
	       uint8_t out[32]);
void addr_hmac(uint64_t key, uint64_t key_other, const struct mp *m, uint8_t out[8]);

/* The RST by which a host answers a segment of no connection (RFC 9293 section 3.10.7.1). */
struct seg seg_refusal(const struct seg *s);

/* One line that names the segment, for messages. */
const char *seg_text(const struct seg *s);

#endif
