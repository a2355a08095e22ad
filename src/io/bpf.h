/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf.h - the straight road out of a TUN device: a program of a few instructions on its ingress
 * that sends every packet out of another interface, with the kernel's own route and neighbour
 * lookup, past conntrack and the host's firewall. Needs no compiler and no libbpf.
 */
#ifndef MPGATE_IO_BPF_H
#define MPGATE_IO_BPF_H

#include <stdint.h>

/*
 * From now on what enters the kernel through interface `from` leaves by interface `to`, carrying
 * the packet mark `mark` for the route lookup. Replaces an earlier redirection. 0 or -errno:
 * then packets take the routed road.
 */
int bpf_redirect(unsigned from, unsigned to, uint32_t mark);

/* Whether the kernel takes such a program at all: 0 or -errno. */
int bpf_check(void);

#endif
