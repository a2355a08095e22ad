/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tun.h - TUN devices through which packets are put back into the kernel. It cuts segments and
 * completes checksums (virtio-net header), so 64 KB cost one write.
 */
#ifndef MPGATE_IO_TUN_H
#define MPGATE_IO_TUN_H

#include <net/if.h>

#include "engine.h"

struct tun {
	int fd; /* non-blocking; -1: not open */
	unsigned index;
	char name[IFNAMSIZ];
};

/*
 * Creates the device, sets what it needs to accept packets from local and foreign addresses, and
 * brings it up. It lives as long as the descriptor. 0, or -errno with a message in `err`.
 */
int tun_open(struct tun *tun, const char *name, char *err, unsigned err_bytes);
void tun_close(struct tun *tun);

/* 0 or -errno. */
int tun_write(const struct tun *tun, const struct engine_out *out);

/*
 * What is written from now on is worked on by other processors than `but` (receive packet
 * steering), each flow by one: cutting, routing and the way out to the wire. On hosts with one
 * processor nothing changes. `n_cpus`: as the kernel numbers them. 0 or -errno.
 */
int tun_spread(const struct tun *tun, unsigned but, unsigned n_cpus);

/* Reads away what the kernel says through the device; nobody listens there. */
void tun_drain(const struct tun *tun);

#endif
