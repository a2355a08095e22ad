/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_world.h - the engine under fuzz_engine.c: its configuration, time, packets in and checks of
 * what comes out; hosts that say what the input makes them say.
 */
#ifndef MPGATE_FUZZ_WORLD_H
#define MPGATE_FUZZ_WORLD_H

#include "engine/state.h"

#define REQUIRE(condition)                            \
	do {                                          \
		if (!(condition))                     \
			failed(#condition, __LINE__); \
	} while (0)

void failed(const char *condition, int line) __attribute__((noreturn));

#define CONNS 3
#define OUTS 24
#define GUEST_ISN 0xfffffff0u /* the first data wraps */
#define PEER_ISN 0x10u
#define PEER_KEY 0x0123456789abcdefull
#define PAYLOAD_MAX 9000

struct fuzz {
	const uint8_t *p;
	size_t left;
	struct engine *e;
	struct engine_cfg cfg;
	void *region;
	size_t region_bytes;
	struct engine_random random;
	uint64_t word;
	uint64_t now_us;
	struct engine_out pkt[OUTS];
	struct engine_event event[8];
	struct engine_outs outs;
	unsigned cap_pkt;
	bool timestamps, checksum, repeats;
	bool drained; /* somebody fetches what the engine claims */
	uint8_t packet[PAYLOAD_MAX + 200];
};

extern struct fuzz z;

unsigned take(unsigned n); /* so many bytes of the input; zeros behind its end */

/* A distance: small ones, segment sizes, powers of two, either sign. */
uint32_t distance(void);

/* The engine as two bytes of the input configure it, or four, and its end. */
void world_begin(void);
void world_end(void);
void world_timeouts(void);
void world_adopt(void);    /* its region, elsewhere */
void world_shutdown(void); /* a regular end of the process */

/* The connection that ports of number `which` name: as the guest says it, or on the wire. */
struct flow_tuple tuple_of(unsigned which, bool net);
const struct conn *conn_of(unsigned which); /* null: none */

/* The nth of its subflows, or the last one; null: none. */
const struct subflow *subflow_of(const struct conn *c, unsigned nth);

/* z.packet, n bytes of it, meets the engine. */
void put_packet(unsigned which, uint8_t from, uint8_t hook, uint32_t n);

/* A segment with these options and so much payload, all bytes `fill`. */
void put_segment(unsigned which, uint8_t from, uint8_t hook, struct headers *h,
		 struct options_writer *w, uint32_t payload_bytes, uint8_t fill);

/* hosts.c: what follows the protocol, or breaks it in one point that the input names. */
void host_joins_answered(unsigned which, unsigned nth); /* the SYN/ACK of an MP_JOIN of ours */
void host_connects(unsigned which);                     /* a remote client, up to its third ACK */
void host_joins(unsigned which, unsigned nth);          /* a subflow from outside */
void host_announces(unsigned which, unsigned nth);      /* ADD_ADDR, REMOVE_ADDR, MP_PRIO */
void host_talks(unsigned which, unsigned nth);          /* data and acknowledgements in order */

/* traffic.c: two bytes say what happens, to which of the subflows, and how. */
void host_more(unsigned which);

#endif
