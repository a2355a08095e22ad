/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.h - one IPv4 or IPv6 packet with a TCP segment, decoded (RFC 791, 8200, 9293), its
 * checksums, and the headers of a new one. Super-segments up to 65535 bytes (IPv4: the total
 * length field rules; a total length of 0 is taken as "all there is", as big TCP writes it).
 */
#ifndef MPGATE_WIRE_PACKET_H
#define MPGATE_WIRE_PACKET_H

#include "flow.h"

enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

enum packet_status {
	PACKET_OK,
	PACKET_TRUNCATED,
	PACKET_BAD_HEADER, /* version, header length, data offset */
	PACKET_NOT_TCP,
	PACKET_FRAGMENT,
	PACKET_EXTENSION_HEADER, /* IPv6 extension headers or IPv4 options before TCP */
};

struct packet {
	const uint8_t *data;    /* IP header */
	const uint8_t *options; /* TCP options */
	const uint8_t *payload;
	struct flow_tuple tuple; /* sender first */
	uint32_t seq, ack;
	uint32_t payload_bytes;
	uint32_t total_bytes; /* IP header, TCP header and payload; trailing bytes are cut off */
	uint16_t window, urgent;
	uint16_t ip_id;   /* IPv4 */
	uint8_t ip_bytes; /* length of the IP header */
	uint8_t options_bytes;
	uint8_t flags; /* enum tcp_flag */
	uint8_t ttl, tos;
	bool dont_fragment;  /* IPv4 DF; true for IPv6 */
	uint32_t flow_label; /* IPv6 */
};

/*
 * Decodes; nothing is copied, `p` points into `data`. On any status but PACKET_OK the tuple's
 * addresses are set if they could be read (family != 0), everything else is undefined.
 */
enum packet_status packet_decode(struct packet *p, const uint8_t *data, uint32_t len_bytes);

/* Full check of the IPv4 header's (IPv6: none) and the TCP checksum. */
bool packet_checksum_ok(const struct packet *p);

/* What headers_encode() writes. Lengths and checksums are computed. */
struct headers {
	struct flow_tuple tuple;
	uint32_t seq, ack;
	uint16_t window;
	uint16_t ip_id;
	uint8_t flags;
	uint8_t ttl, tos;
	bool dont_fragment;
	uint32_t flow_label;
	const uint8_t *options; /* options_bytes is a multiple of 4, at most 40 */
	uint8_t options_bytes;
};

/* Copies what a rewritten segment keeps of the original: addresses, TTL, TOS, numbers, flags. */
void headers_from_packet(struct headers *h, const struct packet *p);

/*
 * Writes IP and TCP headers (no urgent pointer) for `payload_bytes` of payload into `buf` (at
 * least 100 bytes) and returns their length; *ip_bytes is the IP header's. The TCP checksum field
 * holds the folded pseudo-header sum, not inverted; the IPv4 header checksum is complete. If the
 * length does not fit into 16 bits, 0 is returned.
 */
unsigned headers_encode(uint8_t *buf, const struct headers *h, uint32_t payload_bytes,
			uint8_t *ip_bytes);

/*
 * Completes the TCP checksum of headers written by headers_encode() over the `payload_bytes` at
 * `payload` (null when 0).
 */
void headers_checksum_complete(uint8_t *buf, unsigned hdr_bytes, unsigned ip_bytes,
			       const uint8_t *payload, uint32_t payload_bytes);

#endif
