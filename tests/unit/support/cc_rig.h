/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cc_rig.h - a connection of a few subflows with the same congestion controller, driven by single
 * acknowledgements and losses; no link, no time of its own.
 */
#ifndef MPGATE_TESTS_CC_RIG_H
#define MPGATE_TESTS_CC_RIG_H

#include "engine/congestion.h"

#include <string.h>

#define MSS 1448U
#define RTT_US 20000U

/* A connection of up to four subflows, all with the same controller. */
struct rig {
	const struct cc_ops *ops;
	struct cc cc[4];
	struct cc_group g;
	uint64_t now_us, delivered_bytes;
};

static inline void rig_init(struct rig *r, const char *name, unsigned n)
{
	memset(r, 0, sizeof(*r));
	r->ops = congestion_find(name);
	r->now_us = 1000000;
	r->g.n = n;
	for (unsigned i = 0; i < n; i++) {
		r->ops->init(&r->cc[i], MSS, r->now_us);
		r->g.member[i].cc = &r->cc[i];
		r->g.member[i].srtt_us = RTT_US;
		r->g.member[i].mss_bytes = MSS;
		r->g.member[i].established = true;
	}
}

static inline struct cc_ack rig_full_ack(struct rig *r, unsigned i, uint32_t acked)
{
	r->g.self = i;
	r->delivered_bytes += acked;
	return (struct cc_ack){
		.now_us = r->now_us,
		.acked_bytes = acked,
		.rtt_us = r->g.member[i].srtt_us,
		.prior_in_flight_bytes = r->cc[i].cwnd_bytes,
		.in_flight_bytes = r->cc[i].cwnd_bytes > acked ? r->cc[i].cwnd_bytes - acked : 0,
		.delivered_bytes = r->delivered_bytes,
		.prior_delivered_bytes = r->delivered_bytes - acked,
		.interval_us = r->g.member[i].srtt_us};
}

/* An ACK of bytes that were sent while the window was full. */
static inline void rig_ack(struct rig *r, unsigned i, uint32_t acked)
{
	struct cc_ack a = rig_full_ack(r, i, acked);

	r->ops->on_ack(&r->cc[i], &a, &r->g);
}

static inline void rig_lose(struct rig *r, unsigned i)
{
	struct cc_ack a = rig_full_ack(r, i, MSS);

	a.lost_bytes = MSS;
	a.in_recovery = true;
	r->ops->on_loss(&r->cc[i], &a, &r->g);
}

/* In congestion avoidance with such a window. */
static inline void rig_avoiding(struct rig *r, unsigned i, uint32_t cwnd, uint32_t srtt_us)
{
	r->cc[i].cwnd_bytes = cwnd;
	r->cc[i].ssthresh_bytes = cwnd < 2 * MSS ? cwnd : 2 * MSS;
	r->g.member[i].srtt_us = srtt_us;
}

#endif
