/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_capture.h - one pcap file per link and side, in virtual time.
 */
#ifndef MPGATE_SIM_CAPTURE_H
#define MPGATE_SIM_CAPTURE_H

#include "sim.h"

struct capture;

struct capture *capture_new(const char *dir);
void capture_free(struct capture *c);
void capture_packet(struct capture *c, uint64_t now_us, enum place at, unsigned link,
		    const struct pkt *p);

#endif
