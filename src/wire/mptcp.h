/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mptcp.h - the MPTCP options of RFC 8684 section 3, decoded and encoded, one pair per subtype;
 * the version 0 forms of RFC 6824 are recognised.
 *
 * A wrong length makes the option `invalid`, never a guess. Keys, tokens, HMACs and nonces are
 * kept as numbers in host order or as bytes, as the field says.
 */
#ifndef MPGATE_WIRE_MPTCP_H
#define MPGATE_WIRE_MPTCP_H

#include "flow.h"

struct options_writer;

enum mptcp_subtype {
	MPTCP_CAPABLE = 0,
	MPTCP_JOIN = 1,
	MPTCP_DSS = 2,
	MPTCP_ADD_ADDR = 3,
	MPTCP_REMOVE_ADDR = 4,
	MPTCP_PRIO = 5,
	MPTCP_FAIL = 6,
	MPTCP_FASTCLOSE = 7,
	MPTCP_TCPRST = 8,
	MPTCP_EXPERIMENTAL = 15,
};

enum mp_capable_flag {
	MP_CAPABLE_CHECKSUM = 0x80,      /* A */
	MP_CAPABLE_EXTENSIBILITY = 0x40, /* B: must be 0 */
	MP_CAPABLE_NO_JOIN = 0x20,       /* C: no joins to this address and port */
	MP_CAPABLE_HMAC_SHA256 = 0x01,   /* H */
};

/* Total length 4: SYN. 12: SYN/ACK (version 0: SYN too). 20: ACK. 22, 24: with first data. */
struct mp_capable {
	uint8_t version;
	uint8_t flags;
	uint8_t n_keys; /* 0, 1 or 2 */
	bool has_data_len, has_csum;
	uint16_t data_len;
	uint16_t csum; /* memory order */
	uint64_t sender_key, receiver_key;
};

enum mp_join_form { MP_JOIN_NONE, MP_JOIN_SYN, MP_JOIN_SYNACK, MP_JOIN_ACK };

struct mp_join {
	uint8_t form; /* by length: 12, 16, 24 */
	bool backup;
	uint8_t address_id;
	uint32_t token;   /* SYN */
	uint32_t nonce;   /* SYN, SYN/ACK */
	uint8_t hmac[20]; /* SYN/ACK: 8 bytes; ACK: 20 */
};

struct dss {
	bool has_ack, ack64, has_map, dsn64, has_csum, data_fin;
	uint16_t map_len;  /* with DATA_FIN counted; 0: infinite mapping */
	uint16_t csum;     /* memory order */
	uint32_t ssn;      /* relative to the subflow's ISN */
	uint64_t data_ack; /* low 32 bits only when !ack64 */
	uint64_t dsn;      /* low 32 bits only when !dsn64 */
};

struct add_addr {
	bool echo;
	uint8_t family; /* FLOW_IPV4, FLOW_IPV6 */
	uint8_t address_id;
	uint16_t port; /* 0: absent */
	struct ip_addr addr;
	uint8_t hmac[8]; /* absent in an echo */
};

#define REMOVE_ADDR_MAX 8
struct remove_addr {
	uint8_t n;
	uint8_t address_id[REMOVE_ADDR_MAX];
};

struct mp_prio {
	bool backup;
	bool has_address_id; /* version 0 */
	uint8_t address_id;
};

/* RFC 8684 section 3.6. */
enum mp_tcprst_reason {
	MP_TCPRST_UNSPECIFIED = 0,
	MP_TCPRST_MPTCP = 1,
	MP_TCPRST_RESOURCES = 2,
	MP_TCPRST_PROHIBITED = 3,
	MP_TCPRST_OUTSTANDING = 4,
	MP_TCPRST_PERFORMANCE = 5,
	MP_TCPRST_MIDDLEBOX = 6,
};

struct mp_tcprst {
	bool transient; /* T: the same may work later */
	uint8_t reason;
};

/* Every MPTCP option of one segment. A second one of the same subtype makes `duplicate`. */
struct mptcp {
	bool any;     /* some option of kind 30 */
	bool invalid; /* one with an impossible length or form */
	bool unknown; /* one with a subtype that RFC 8684 does not define */
	bool duplicate;
	bool has_capable, has_join, has_dss, has_add_addr, has_remove_addr, has_prio, has_fail,
		has_fastclose, has_tcprst;
	struct mp_capable capable;
	struct mp_join join;
	struct dss dss;
	struct add_addr add_addr;
	struct remove_addr remove_addr;
	struct mp_prio prio;
	uint64_t fail_dsn;
	uint64_t fastclose_key;
	struct mp_tcprst tcprst;
};

/*
 * Decodes one option of kind 30 (from its kind byte, `len` as its length byte says, at least 3).
 * The flags SYN and ACK and the presence of payload tell the forms apart.
 */
void mptcp_decode(struct mptcp *m, const uint8_t *opt, unsigned len, bool syn, bool ack,
		  bool has_payload);

/*
 * Encoders: append to the writer, padded with NOP behind as Linux pads (DSS 26 + 2, MP_CAPABLE
 * with data 22 + 2, MP_PRIO 3 + 1); false and nothing written when it does not fit.
 */
bool mp_capable_encode(struct options_writer *w, const struct mp_capable *c);
bool mp_join_encode(struct options_writer *w, const struct mp_join *j);
bool dss_encode(struct options_writer *w, const struct dss *d);
bool add_addr_encode(struct options_writer *w, const struct add_addr *a);
bool remove_addr_encode(struct options_writer *w, const struct remove_addr *r);
bool mp_prio_encode(struct options_writer *w, const struct mp_prio *p);
bool mp_fail_encode(struct options_writer *w, uint64_t dsn);
bool mp_fastclose_encode(struct options_writer *w, uint64_t receiver_key);
bool mp_tcprst_encode(struct options_writer *w, const struct mp_tcprst *r);

/* Length that dss_encode() will write, padding included. */
unsigned dss_bytes(const struct dss *d);

#endif
