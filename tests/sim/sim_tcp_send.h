/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_tcp_send.h - the sender of sim_tcp.h: what is outstanding, what goes next.
 */
#ifndef MPGATE_SIM_TCP_SEND_H
#define MPGATE_SIM_TCP_SEND_H

#include "sim_tcp.h"

uint64_t tcp_rto_us(const struct tcp *t);
uint32_t tcp_pipe(const struct tcp *t); /* bytes thought to be on the way */
uint32_t tcp_sacked_bytes(const struct tcp *t);
void tcp_sacked_add(struct tcp *t, const struct seg *s);
void tcp_sacked_trim(struct tcp *t);
void tcp_probe(struct tcp *t); /* the window is closed: ask */

#endif
