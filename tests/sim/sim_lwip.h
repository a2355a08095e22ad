/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_lwip.h - lwIP as Debian ships it, driven as a host without an operating system.
 *
 * The library is built for threads (NO_SYS is 0), but its TCP is asked here by the raw API alone,
 * from the one thread there is, and its thread is never started. What it would take from outside
 * is given by us: sim_lwip.c defines tcp_timer_needed() and tcp_next_iss() itself, which the
 * library calls through its PLT, so no timer of its own runs and sequence numbers begin where the
 * seed says. Its timers are two functions to be called every 250 and 500 ms. The state is the
 * library's, so there is one such host at a time.
 *
 * Nothing of lwIP's headers is seen outside: its names are those of our own TCP and of flow.h.
 */
#ifndef MPGATE_SIM_LWIP_H
#define MPGATE_SIM_LWIP_H

#include <stdbool.h>
#include <stdint.h>

#define LWIP_TICK_MS 250

struct tcp_pcb;
struct lwip_conn;

struct lwip_host {
	void *world;
	bool ipv6;
	const uint8_t *addr; /* 4 or 16 bytes */
	uint16_t mtu_bytes;
	void (*emit)(void *world, const uint8_t *packet, uint32_t n);
};

/* Called from within any function below. */
struct lwip_calls {
	void (*opened)(void *owner);
	void (*received)(void *owner, const uint8_t *data, uint32_t n); /* n = 0: the end */
};

enum lwip_state { LWIP_LISTENS, LWIP_SYN, LWIP_OPEN, LWIP_OVER, LWIP_RESET };

/* One connection; over or reset it has no pcb any more. */
struct lwip_conn {
	struct tcp_pcb *pcb;
	const struct lwip_calls *calls;
	void *owner;
	uint8_t state; /* enum lwip_state */
	bool fin_sent, fin_received;
	/* one that listens */
	struct tcp_pcb *listener;
	struct lwip_conn *next;
	uint16_t port;
	uint32_t iss;
};

struct lwip_seqs {
	uint32_t una, nxt, rcv_nxt;
};

struct lwip_script {
	const uint8_t *peer; /* 4 or 16 bytes */
	uint16_t port, peer_port;
	uint32_t iss;
	bool nodelay;
	uint32_t keepalive_ms; /* 0: none */
};

void lwip_up(const struct lwip_host *h);
void lwip_down(void); /* everything that is left goes without a word */

void lwip_packet(const uint8_t *packet, uint32_t n);
bool lwip_ticks(void); /* a connection needs the timer */
void lwip_tick(void);  /* 250 ms have passed */

void lwip_connect(struct lwip_conn *c, const struct lwip_script *s);
void lwip_listen(struct lwip_conn *c, const struct lwip_script *s); /* for one connection */
uint32_t lwip_room(const struct lwip_conn *c); /* bytes that can be written now */
bool lwip_write(struct lwip_conn *c, const uint8_t *data, uint32_t n);
void lwip_output(struct lwip_conn *c);
void lwip_read(struct lwip_conn *c, uint32_t n); /* so much was taken: the window opens */
bool lwip_fin(struct lwip_conn *c);              /* false: no memory, again later */
void lwip_abort(struct lwip_conn *c);
void lwip_update(struct lwip_conn *c); /* notices that it is over */
struct lwip_seqs lwip_seqs(const struct lwip_conn *c);

#endif
