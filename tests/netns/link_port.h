/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link_port.h - one end of an emulated link: a packet socket on an interface that has no other
 * use. Frames are kept in slots of one pool, with the virtio header that the kernel wants.
 */
#ifndef LINK_PORT_H
#define LINK_PORT_H

#include <stdbool.h>
#include <stdint.h>

#define PORT_BATCH 64
#define PORT_FRAME_BYTES 9216 /* a jumbo frame */

struct port {
	int fd;
	uint64_t overrun;  /* frames that the kernel dropped: the emulator was too slow */
	uint64_t too_long; /* frames that fit no slot: a sender did not segment */
	uint64_t refused;  /* frames that the kernel did not take */
};

struct port_frame {
	uint32_t slot;
	uint32_t len_bytes;  /* with the Ethernet header, without the virtio header */
	uint64_t arrived_ns; /* of CLOCK_MONOTONIC */
};

/* The pool of slots; call first. */
void port_pool_init(void);
void port_slot_put(uint32_t slot);

uint64_t port_now_ns(void);
/* Exits with a message when the interface cannot be used. */
void port_open(struct port *p, const char *interface);
/* So many frames, at most PORT_BATCH; their slots are the caller's. */
unsigned port_receive(struct port *p, struct port_frame *frames);
/* At most PORT_BATCH frames; their slots go back to the pool. */
void port_send(struct port *p, const struct port_frame *frames, unsigned n);
/* Adds what the kernel dropped since the last call. */
void port_statistics(struct port *p);

#endif
