/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packets.h - literal packets for the tests, from the IP header on. The IPv4 ones are from the
 * wire between two Linux hosts that speak MPTCP, their checksums are real.
 */
#ifndef MPGATE_TESTS_PACKETS_H
#define MPGATE_TESTS_PACKETS_H

/* SYN with MP_CAPABLE, no payload. */
#define PACKET_SYN4                                \
	"45000040aeca40003f066e470a4e01020a4e0909" \
	"d7a41b59582f1cbd00000000b002faf0b97e0000" \
	"020405b40402080a0d69d08a000000000103030a1e040101"

/* PSH ACK with MP_CAPABLE and 100 bytes. */
#define PACKET_DATA4                                                                           \
	"450000b0aecc40003f066dd50a4e01020a4e0909"                                             \
	"d7a41b59582f1cbec6b45861e018003f48a00000"                                             \
	"0101080a0d69d09a29b576091e1601010fbc23aa6af35ac6fbe3d8021ba58b5400640101"             \
	"00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9e0e7eef5fc030a111"    \
	"81f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b222930373" \
	"e454c535a61686f767d848b9299a0a7aeb5"

/* IPv6: hop limit 61, class b8, label abcde; PSH ACK ECE, timestamps, 11 bytes (odd). */
#define PACKET_DATA6                                                                       \
	"6b8abcde002b063d20010db800010000000000000000001020010db8000200000000000000000020" \
	"9c4001bbfffffff80102030480581234ddf60000"                                         \
	"0101080a0d69d09a29b57609"                                                         \
	"68656c6c6f2c2069707636"

#endif
