/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reason.h - why a packet or a connection got the verdict it got.
 *
 * One list makes the enum, the stable names that `mpgate show counters` and `mpgate metrics`
 * print, and the sentences a user reads. Names are stable once released: add, never rename.
 */
#ifndef MPGATE_REASON_H
#define MPGATE_REASON_H

#include <stdint.h>

/* X(SYMBOL, "stable_name", "sentence") */
#define MPGATE_REASONS(X)                                                                          \
	/* the good roads */                                                                       \
	X(NONE, "none", "No reason was recorded.")                                                 \
	X(SYN_MP_CAPABLE, "syn_mp_capable",                                                        \
	  "A guest's SYN went on with MP_CAPABLE added (RFC 8684 section 3.1).")                   \
	X(SYNACK_CONVERTED, "synack_converted",                                                    \
	  "The peer answered with MP_CAPABLE: the connection is Multipath TCP from here on.")      \
	X(SYN_STRIPPED, "syn_stripped",                                                            \
	  "A remote client's SYN went to the guest without its MP_CAPABLE.")                       \
	X(SYNACK_MP_CAPABLE, "synack_mp_capable",                                                  \
	  "A guest's SYN/ACK went to the remote client with MP_CAPABLE added.")                    \
	X(THIRD_ACK_CONVERTED, "third_ack_converted",                                              \
	  "A remote client's third ACK carried both keys: Multipath TCP from here on.")            \
	X(DATA_TO_NET, "data_to_net", "A guest's data went on under a data sequence mapping.")     \
	X(ACK_TO_NET, "ack_to_net", "A guest's acknowledgement went on as DATA_ACK.")              \
	X(DATA_TO_GUEST, "data_to_guest", "The peer's data went to the guest as plain TCP.")       \
	X(ACK_TO_GUEST, "ack_to_guest", "The peer's DATA_ACK went to the guest as plain TCP.")     \
	X(FIN_TO_NET, "fin_to_net", "A guest's FIN went on as DATA_FIN (RFC 8684 section 3.3.3).") \
	X(FIN_TO_GUEST, "fin_to_guest", "The peer's DATA_FIN went to the guest as FIN.")           \
	X(RST_TO_NET, "rst_to_net",                                                                \
	  "A guest's RST went on as MP_FASTCLOSE (RFC 8684 section 3.5).")                         \
	X(RST_TO_GUEST, "rst_to_guest", "The peer reset the connection: the guest got a RST.")     \
	X(SUBFLOW_OWN, "subflow_own",                                                              \
	  "A segment that concerns only the subflow was answered by the gate itself.")             \
	X(SIGNAL_ONLY, "signal_only",                                                              \
	  "An acknowledgement that carried only MPTCP signalling was consumed.")                   \
	X(ACK_HELD, "ack_held",                                                                    \
	  "An acknowledgement without new DATA_ACK was held back: the guest may not know yet.")    \
	X(KEEPALIVE, "keepalive", "A keepalive or window probe went on without its old byte.")     \
	/* plain from the start */                                                                 \
	X(PLAIN_POLICY, "plain_policy",                                                            \
	  "A policy rule says that this connection stays plain TCP.")                              \
	X(PLAIN_TABLE_FULL, "plain_table_full",                                                    \
	  "max_connections are in use: a new connection stays plain TCP.")                         \
	X(PLAIN_NO_RANDOM, "plain_no_random", "No random numbers were at hand for a key.")         \
	X(PLAIN_BLACKHOLE, "plain_blackhole",                                                      \
	  "SYNs with MP_CAPABLE vanished on the way to this destination before: plain for a "      \
	  "while.")                                                                                \
	X(PLAIN_SYN_RETRIES, "plain_syn_retries",                                                  \
	  "Two SYNs with MP_CAPABLE got no answer: this one goes without.")                        \
	X(PLAIN_NO_ROOM, "plain_no_room",                                                          \
	  "The SYN's options leave no room for MP_CAPABLE within 40 bytes.")                       \
	X(PLAIN_TFO, "plain_tfo", "The SYN uses TCP Fast Open or carries data: plain.")            \
	X(PLAIN_MD5, "plain_md5", "The connection uses TCP MD5 signatures: plain.")                \
	X(PLAIN_AO, "plain_ao", "The connection uses the TCP Authentication Option: plain.")       \
	X(PLAIN_GUEST_MPTCP, "plain_guest_mptcp",                                                  \
	  "The guest itself speaks MPTCP: the gate steps aside.")                                  \
	X(PLAIN_SIMULTANEOUS_OPEN, "plain_simultaneous_open",                                      \
	  "Both ends sent a SYN (RFC 9293 section 3.5): plain.")                                   \
	X(PLAIN_UNKNOWN, "plain_unknown",                                                          \
	  "The segment belongs to a connection that began before or outside of mpgate: plain.")    \
	X(PLAIN_NOT_TCP, "plain_not_tcp", "Not TCP: let go.")                                      \
	X(PLAIN_FRAGMENT, "plain_fragment", "An IP fragment: let go.")                             \
	X(PLAIN_EXTENSION_HEADER, "plain_extension_header",                                        \
	  "IPv6 extension headers or IPv4 options stand before TCP: let go.")                      \
	X(PLAIN_NO_PATH, "plain_no_path",                                                          \
	  "The SYN leaves by an interface that is no path: plain.")                                \
	X(PLAIN_NO_MSS_ROOM, "plain_no_mss_room",                                                  \
	  "The peer's MSS is too small to leave room for MPTCP options: plain.")                   \
	X(PLAIN_PEER_CAPABLE, "plain_peer_capable",                                                \
	  "A remote client's SYN asks for Multipath TCP in a way that cannot be answered "         \
	  "(version 0, unknown flags): plain.")                                                    \
	X(PLAIN_HALF_OPEN, "plain_half_open",                                                      \
	  "Too many connections of remote clients wait for their third ACK: a new one stays "      \
	  "plain TCP.")                                                                            \
	/* fallback to TCP, RFC 8684 section 3.7 */                                                \
	X(FALLBACK_SYNACK, "fallback_synack",                                                      \
	  "The SYN/ACK carried no MP_CAPABLE: the peer does not speak MPTCP, or something on the " \
	  "path removed the option.")                                                              \
	X(FALLBACK_SYNACK_INVALID, "fallback_synack_invalid",                                      \
	  "The SYN/ACK carried an MP_CAPABLE that is not valid (version, length, flags or key).")  \
	X(FALLBACK_TOKEN, "fallback_token", "The token of a key is in use already or zero.")       \
	X(FALLBACK_TRANSLATION, "fallback_translation",                                            \
	  "The host's connection tracking could not tell the translated addresses.")               \
	X(FALLBACK_THIRD_ACK, "fallback_third_ack",                                                \
	  "A remote client's third ACK had no MP_CAPABLE with both keys: plain TCP.")              \
	X(FALLBACK_FIRST_ACK, "fallback_first_ack",                                                \
	  "The peer's first acknowledgement had no DSS: options are removed behind the "           \
	  "handshake.")                                                                            \
	X(FALLBACK_FIRST_DATA, "fallback_first_data", "The peer's first data had no mapping.")     \
	X(FALLBACK_UNMAPPED, "fallback_unmapped",                                                  \
	  "Data arrived without a mapping in mid-stream: something on the path removes options.")  \
	X(FALLBACK_INFINITE, "fallback_infinite", "The peer sent an infinite mapping.")            \
	X(FALLBACK_MP_FAIL, "fallback_mp_fail", "The peer sent MP_FAIL: it saw a bad checksum.")   \
	X(FALLBACK_CHECKSUM, "fallback_checksum",                                                  \
	  "A DSS checksum was wrong: something on the path changes the data.")                     \
	X(FALLBACK_MAPPING, "fallback_mapping", "The peer's mapping contradicts the connection.")  \
	X(FALLBACK_PLAIN, "fallback_plain",                                                        \
	  "A segment of a connection that fell back went on unchanged: the kernel takes over.")    \
	X(FALLBACK_SEGMENT, "fallback_segment",                                                    \
	  "A segment of a connection that fell back, rewritten.")                                  \
	X(TTL_EXPIRED, "ttl_expired",                                                              \
	  "The time to live ends here: left to the kernel, which drops it and says so (RFC 1812 "  \
	  "section 5.3.1).")                                                                       \
	/* drops */                                                                                \
	X(DROP_TRUNCATED, "drop_truncated", "The packet is shorter than its headers say.")         \
	X(DROP_BAD_HEADER, "drop_bad_header", "A header length is impossible.")                    \
	X(DROP_BAD_CHECKSUM, "drop_bad_checksum", "The TCP or IP checksum is wrong.")              \
	X(DROP_BAD_OPTION, "drop_bad_option", "TCP options overrun their field.")                  \
	X(DROP_BAD_FLAGS, "drop_bad_flags", "The TCP flags make no sense together.")               \
	X(DROP_ACK_BEYOND, "drop_ack_beyond",                                                      \
	  "The segment acknowledges data that was never sent (RFC 9293 section 3.10.7.4).")        \
	X(DROP_DATA_ACK_BEYOND, "drop_data_ack_beyond",                                            \
	  "The DATA_ACK acknowledges data that was never sent.")                                   \
	X(DROP_SYN_CHALLENGED, "drop_syn_challenged",                                              \
	  "A SYN on a living connection: answered as RFC 5961 section 4 has it.")                  \
	X(DROP_OUT_OF_WINDOW, "drop_out_of_window",                                                \
	  "The sequence number is far outside of the window.")                                     \
	X(DROP_FORGED_FASTCLOSE, "drop_forged_fastclose", "MP_FASTCLOSE with a wrong key.")        \
	X(DROP_STATE, "drop_state", "The segment does not fit the connection's state.")            \
	X(DROP_NO_MAPPING_MEMORY, "drop_no_mapping_memory",                                        \
	  "No record was free to remember a mapping: the guest will send again.")                  \
	X(DROP_NO_PAYLOAD_MEMORY, "drop_no_payload_memory",                                        \
	  "No memory was free to keep payload: the sender will send again.")                       \
	X(DATA_DISCARDED, "data_discarded",                                                        \
	  "No memory was free for data that came out of order: it was acknowledged on its "        \
	  "subflow only, the peer's data level sends it again.")                                   \
	X(JOIN_SUBFLOW, "join_subflow",                                                            \
	  "A segment of an MP_JOIN handshake (RFC 8684 section 3.2).")                             \
	X(JOIN_ESTABLISHED, "join_established", "Another subflow joined the connection.")          \
	X(JOIN_ACCEPTED, "join_accepted", "A subflow that the peer opened joined the connection.") \
	X(JOIN_WITHDRAWN, "join_withdrawn", "The peer gave up a subflow that it was opening.")     \
	X(JOIN_TOKEN, "join_token",                                                                \
	  "An MP_JOIN with a token of no connection: refused (RFC 8684 section 3.2).")             \
	X(JOIN_ACK_HMAC, "join_ack_hmac",                                                          \
	  "The HMAC of an MP_JOIN's third ACK was wrong: refused.")                                \
	X(JOIN_NOT_OPEN, "join_not_open",                                                          \
	  "An MP_JOIN for a connection that is not open yet, or not any more: refused.")           \
	X(JOIN_LIMIT, "join_limit",                                                                \
	  "An MP_JOIN beyond the subflows of a connection, or the joins under way, that may be: "  \
	  "refused.")                                                                              \
	X(JOIN_PROHIBITED, "join_prohibited",                                                      \
	  "An MP_JOIN to where its connection cannot be reached: refused.")                        \
	X(JOIN_PASSED, "join_passed",                                                              \
	  "An MP_JOIN whose token is not ours: the host's or a guest's own, let go.")              \
	X(SYN_PASSED, "syn_passed",                                                                \
	  "A SYN met before the host's routing: let go, behind it it is looked at again.")         \
	X(JOIN_REFUSED, "join_refused", "The peer refused an MP_JOIN of ours.")                    \
	X(JOIN_HMAC, "join_hmac", "The HMAC of an MP_JOIN SYN/ACK was wrong: refused.")            \
	X(JOIN_TIMEOUT, "join_timeout", "An MP_JOIN of ours got no answer.")                       \
	X(JOIN_STRIPPED, "join_stripped",                                                          \
	  "The SYN/ACK of a join carried no MP_JOIN: something on the path removes options.")      \
	X(JOIN_GIVEN_UP, "join_given_up",                                                          \
	  "MPTCP's options were taken away from three subflows between the same addresses: no "    \
	  "more joins there until the path comes anew.")                                           \
	X(JOIN_MSS, "join_mss", "The peer's MSS on a joining subflow leaves no room for options.") \
	X(JOIN_MEMORY, "join_memory", "A subflow joined, but no memory was free for its sender.")  \
	X(JOIN_UNWANTED, "join_unwanted", "A join was given up: the connection was closing.")      \
	X(TCPRST_UNSPECIFIED, "tcprst_unspecified",                                                \
	  "The peer reset a subflow and gave no reason (MP_TCPRST 0, RFC 8684 section 3.6).")      \
	X(TCPRST_MPTCP, "tcprst_mptcp",                                                            \
	  "The peer reset a subflow for an error of MPTCP: unknown token, bad HMAC, or data "      \
	  "before its time (MP_TCPRST 1).")                                                        \
	X(TCPRST_RESOURCES, "tcprst_resources",                                                    \
	  "The peer reset a subflow for lack of resources (MP_TCPRST 2).")                         \
	X(TCPRST_PROHIBITED, "tcprst_prohibited",                                                  \
	  "The peer's policy or limits forbid this subflow (MP_TCPRST 3).")                        \
	X(TCPRST_OUTSTANDING, "tcprst_outstanding",                                                \
	  "The peer reset a subflow on which too much data was outstanding (MP_TCPRST 4).")        \
	X(TCPRST_PERFORMANCE, "tcprst_performance",                                                \
	  "The peer reset a subflow that performs too badly (MP_TCPRST 5).")                       \
	X(TCPRST_MIDDLEBOX, "tcprst_middlebox",                                                    \
	  "The peer reset a subflow on which a middlebox interferes (MP_TCPRST 6).")               \
	X(TCPRST_OTHER, "tcprst_other",                                                            \
	  "The peer reset a subflow for a reason that RFC 8684 does not define.")                  \
	X(PROMOTED_BYTES, "promoted_bytes",                                                        \
	  "A connection moved after_bytes: it may have more subflows.")                            \
	X(PROMOTED_TIME, "promoted_time",                                                          \
	  "A connection lived for after_ms: it may have more subflows.")                           \
	X(PROMOTED_RATE, "promoted_rate",                                                          \
	  "A connection ran faster than after_mbit: it may have more subflows.")                   \
	X(PROMOTED_LOSS, "promoted_loss",                                                          \
	  "A connection lost segments on its path: it may have more subflows.")                    \
	X(PROMOTED_SILENCE, "promoted_silence",                                                    \
	  "A connection's path gives no answer any more: it may have more subflows.")              \
	X(PROMOTED_DELAY, "promoted_delay",                                                        \
	  "A connection's round trip time grew: its path is full, it may have more subflows.")     \
	X(PROMOTED_WINDOW, "promoted_window",                                                      \
	  "A connection filled its window: it may have more subflows.")                            \
	X(PROMOTED_POLICY, "promoted_policy",                                                      \
	  "A rule says always: the connection may have more subflows from its beginning.")         \
	X(ADD_ADDR_SENT, "add_addr_sent",                                                          \
	  "A path's address was announced to the peer (RFC 8684 section 3.4.1).")                  \
	X(ADD_ADDR_ECHOED, "add_addr_echoed", "The peer confirmed an announced address.")          \
	X(ADD_ADDR_UNANSWERED, "add_addr_unanswered",                                              \
	  "The peer never confirmed an announced address.")                                        \
	X(ADD_ADDR_ACCEPTED, "add_addr_accepted",                                                  \
	  "The peer announced an address: it is joined as well.")                                  \
	X(ADD_ADDR_REPEATED, "add_addr_repeated",                                                  \
	  "The peer announced an address again: confirmed again.")                                 \
	X(ADD_ADDR_HMAC, "add_addr_hmac", "The HMAC of an ADD_ADDR was wrong: ignored.")           \
	X(ADD_ADDR_REFUSED, "add_addr_refused",                                                    \
	  "The peer announced an address that is not joined: no host's, one of ours, or too "      \
	  "many.")                                                                                 \
	X(REMOVE_ADDR_SENT, "remove_addr_sent",                                                    \
	  "The peer was told that an address of ours is gone (RFC 8684 section 3.4.2).")           \
	X(REMOVE_ADDR_RECEIVED, "remove_addr_received",                                            \
	  "The peer said that an address of its is gone.")                                         \
	X(PRIO_SENT, "prio_sent",                                                                  \
	  "The peer was told a subflow's new priority (MP_PRIO, RFC 8684 section 3.3.8).")         \
	X(PRIO_RECEIVED, "prio_received", "The peer changed a subflow's priority (MP_PRIO).")      \
	X(SUBFLOW_ADDRESS_LOST, "subflow_address_lost",                                            \
	  "A subflow ended because its path has another address now.")                             \
	X(SUBFLOW_ADDRESS_REMOVED, "subflow_address_removed",                                      \
	  "A subflow ended because the peer removed its address.")                                 \
	X(SUBFLOW_CLOSED_BY_PEER, "subflow_closed_by_peer",                                        \
	  "The peer closed a subflow; the connection lives on others.")                            \
	X(SUBFLOW_CHECKSUM, "subflow_checksum",                                                    \
	  "A DSS checksum was wrong on one of several subflows: it was reset with MP_FAIL, its "   \
	  "data comes on others (RFC 8684 section 3.7).")                                          \
	X(SUBFLOW_RESET, "subflow_reset", "A subflow was reset; the connection lives on others.")  \
	X(SUBFLOW_PATH_DOWN, "subflow_path_down", "A subflow ended because its path went down.")   \
	X(SUBFLOW_SILENT, "subflow_silent",                                                        \
	  "A subflow ended because it was silent while all waited for what it carried.")           \
	X(SUBFLOW_UNHEARD, "subflow_unheard",                                                      \
	  "A subflow that did not answer gave its place to one that the peer opened.")             \
	X(SUBFLOW_SPLIT, "subflow_split",                                                          \
	  "With DSS checksums the guest repeats only a part of what it had sent as one segment, "  \
	  "which the peer cannot acknowledge: another subflow carries it.")                        \
	X(SUBFLOW_LOST, "subflow_lost", "The last subflow is gone: waiting for a path to rejoin.") \
	X(DROP_OUTPUT_FULL, "drop_output_full",                                                    \
	  "The caller's output array was full: the sender will send again.")                       \
	X(DROP_ORPHAN, "drop_orphan",                                                              \
	  "A converted connection or subflow that is not known (any more): it was reset.")         \
	X(DROP_NO_SUBFLOW, "drop_no_subflow",                                                      \
	  "A segment for a port of the gate's own, where no subflow is (any more): reset.")        \
	X(DROP_WRONG_SIDE, "drop_wrong_side",                                                      \
	  "A packet from one side claims an address of the other.")                                \
	X(DROP_JOIN_REFUSED, "drop_join_refused", "An MP_JOIN that nothing here can accept.")      \
	/* ends */                                                                                 \
	X(CLOSED_NORMALLY, "closed_normally", "Both directions closed and were acknowledged.")     \
	X(CLOSED_BY_GUEST_RST, "closed_by_guest_rst", "The guest reset the connection.")           \
	X(CLOSED_BY_PEER_RST, "closed_by_peer_rst", "The peer reset the connection.")              \
	X(CLOSED_BY_PEER_FASTCLOSE, "closed_by_peer_fastclose",                                    \
	  "The peer reset the connection with MP_FASTCLOSE.")                                      \
	X(CLOSED_ALONE, "closed_alone",                                                            \
	  "No path came back in time after the last subflow was gone: the connection was reset.")  \
	X(CLOSED_SYN_TIMEOUT, "closed_syn_timeout", "The SYN was never answered.")                 \
	X(CLOSED_REFUSED, "closed_refused", "The SYN was answered with RST.")                      \
	X(CLOSED_UNMAPPED, "closed_unmapped",                                                      \
	  "Data without a mapping, in mid-stream: nobody can tell old bytes from new ones, so "    \
	  "the "                                                                                   \
	  "connection was reset.")                                                                 \
	X(CLOSED_ALTERED, "closed_altered",                                                        \
	  "Something on the path changed data that the guest already had, or went on changing it " \
	  "on the only subflow left: the connection was reset.")                                   \
	X(CLOSED_SPLIT, "closed_split",                                                            \
	  "With DSS checksums the guest sent again and again only a part of what it had sent as "  \
	  "one segment, and no other subflow could be had to carry it: the connection was reset.") \
	X(CLOSED_NO_FALLBACK, "closed_no_fallback",                                                \
	  "Options vanished after a FIN had become DATA_FIN: the connection was reset.")           \
	X(CLOSED_SHUTDOWN, "closed_shutdown",                                                      \
	  "mpgate ended: a converted connection cannot go on without it.")                         \
	X(CLOSED_IDLE, "closed_idle", "Nothing was heard for the idle time.")                      \
	X(CLOSED_GUEST_GONE, "closed_guest_gone",                                                  \
	  "The guest acknowledged nothing for a quarter of an hour, or sent nothing for half of "  \
	  "one while its data was under way.")                                                     \
	X(CLOSED_REUSED, "closed_reused", "The guest opened a new connection on the same ports.")  \
	X(CLOSED_FIN_TIMEOUT, "closed_fin_timeout", "The subflow's FIN was never acknowledged.")   \
	X(CLOSED_OFFLOADED, "closed_offloaded",                                                    \
	  "The connection runs in the kernel as plain TCP from here on.")                          \
	X(ICMP_TO_GUEST, "icmp_to_guest", "An ICMP error about the path's MTU was taken in.")

enum reason {
#define X(symbol, name, sentence) REASON_##symbol,
	MPGATE_REASONS(X)
#undef X
		REASON_COUNT
};

const char *reason_name(enum reason reason);     /* "?" for what is no reason */
const char *reason_sentence(enum reason reason); /* likewise */

#endif
