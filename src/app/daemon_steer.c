// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon_steer.c - what the engine claims, told to the kernel: the table of the program at the
 * interfaces' ingress. A claim is there before anything leaves that could be answered.
 */
#include "app/daemon_state.h"

#include <errno.h>
#include <string.h>

#include "app/claimed.h"
#include "io/log.h"

/* Entries are 64 bytes of kernel memory, taken as they are needed. */
static uint32_t tuples(const struct config *cfg)
{
	return cfg->max_connections * 4 + 1024;
}

static void end_tracking(const struct flow_tuple *guest, void *data)
{
	ctnl_over(data, guest); /* that there is no entry is the rule on many hosts */
}

static enum steer_side side_of(unsigned from)
{
	return from == ENGINE_GUEST ? STEER_GUEST : STEER_NET;
}

static int tell_table(struct daemon *d, const struct engine_claim *claim)
{
	unsigned state = claimed_state((enum engine_claim_kind)claim->kind);

	if (!state)
		return steer_rm(d->steer, &claim->tuple);
	return steer_put(d->steer, side_of(claim->from), &claim->tuple, (enum steer_state)state);
}

void daemon_claims(struct daemon *d)
{
	unsigned n;

	while ((n = engine_claims(d->engine, d->claim)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			int err = tell_table(d, &d->claim[i]);

			/* Over, and taken out by a SYN meanwhile: the tuple is another's. */
			if (err == -ENOENT)
				continue;
			daemon_conntrack_claim(d, &d->claim[i]);
			if (!err)
				continue;
			d->counter[DAEMON_CLAIM_FAILED].value++;
			if (!d->claim_told)
				log_error("the kernel's table of our connections: %s (further "
					  "failures are only counted)",
					  strerror(-err));
			d->claim_told = true;
		}
	}
}

void daemon_orphan(struct daemon *d, enum engine_side from, const struct engine_result *r)
{
	unsigned state = claimed_orphaned(r);

	if (state)
		steer_put(d->steer, side_of(from), &r->ask, (enum steer_state)state);
}

int daemon_steer_attach(struct daemon *d, const char *interface, unsigned index,
			enum steer_side side)
{
	int priority = index ? steer_attach(d->steer, index, side) : 1;

	if (priority < 0)
		log_error("%s: the program that finds our connections cannot be put before it: %s; "
			  "what comes in there stays plain. It takes CONFIG_NET_CLS_BPF and "
			  "CONFIG_NET_SCH_INGRESS",
			  interface, strerror(-priority));
	else if (priority > 1)
		log_warning("%s: other filters come first at its ingress, ours has priority %d: "
			    "what they accept never comes to us; give them a larger one (`tc "
			    "filter show dev %s ingress`)",
			    interface, priority, interface);
	return priority < 0 ? priority : 0;
}

/* Whether it is one of the file's interfaces, and of which side. */
static bool configured(const struct daemon *d, unsigned index, enum steer_side *side)
{
	for (unsigned i = 0; i < d->cfg->n_guests; i++) {
		*side = STEER_GUEST;
		if (index && d->host.guests[i].index == index)
			return true;
	}
	for (unsigned i = 0; i < d->cfg->n_paths; i++) {
		*side = STEER_NET;
		if (index && d->host.path[i].link.index == index)
			return true;
	}
	return false;
}

/*
 * Where the host lets its bridges ask iptables (br_netfilter), raw PREROUTING sees a packet at the
 * bridge's port, and not again when the bridge passes it on to the host: so it has to bear its mark
 * there already. Elsewhere it is looked up twice, with the same result.
 */
void daemon_steer_link(struct daemon *d, const struct rtnl_change *change)
{
	enum steer_side side;

	if (change->kind != RTNL_LINK || change->gone || configured(d, change->ifindex, &side))
		return;
	if (configured(d, change->master, &side))
		daemon_steer_attach(d, change->link.name, change->ifindex, side);
	else
		steer_detach(change->ifindex); /* a port no more */
}

static void on_link(const struct rtnl_change *change, void *data)
{
	struct daemon *d = data;

	if (change->master)
		daemon_steer_link(d, change);
}

void daemon_steer_ports(struct daemon *d)
{
	int err = rtnl_links(on_link, d);

	if (err)
		log_error("asking the kernel for the ports of bridges: %s", strerror(-err));
}

int daemon_steer_open(struct daemon *d, char *err, unsigned err_bytes)
{
	int error = 0;

	d->steer = steer_open(tuples(d->cfg), err, err_bytes);
	if (!d->steer)
		return -1;
	daemon_claims(d); /* of the connections that were taken over */
	for (unsigned i = 0; i < d->cfg->n_guests && !error; i++)
		error = daemon_steer_attach(d, d->cfg->guests[i], d->host.guests[i].index,
					    STEER_GUEST);
	for (unsigned i = 0; i < d->cfg->n_paths && !error; i++)
		error = daemon_steer_attach(d, d->cfg->path[i].interface,
					    d->host.path[i].link.index, STEER_NET);
	daemon_steer_ports(d);
	if (error)
		snprintf(err, err_bytes, "BPF at the interfaces' ingress: %s; see `mpgate check`",
			 strerror(-error));
	return error ? -1 : 0;
}

void daemon_steer_close(struct daemon *d)
{
	bool stays = d->reload || !d->steer;
	int err = stays ? 0 : steer_remove(end_tracking, &d->conntrack);

	if (err)
		log_error("withdrawing the BPF programs: %s", strerror(-err));
	steer_close(d->steer);
	d->steer = NULL;
}
