/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_guest_lwip.h - what sim_guest.c hands on where the scenario's guest is lwIP.
 */
#ifndef MPGATE_SIM_GUEST_LWIP_H
#define MPGATE_SIM_GUEST_LWIP_H

#include "sim_flow.h"

void guest_lwip_init(struct flow *f); /* the first flow's brings the host up */
void guest_lwip_fini(struct flow *f);
void guest_lwip_receive(struct sim *w, const struct pkt *p);
uint64_t guest_lwip_next_us(const struct flow *f); /* of one that has begun, or of the host */
void guest_lwip_run(struct flow *f, bool starts);
bool guest_lwip_over(const struct flow *f);

#endif
