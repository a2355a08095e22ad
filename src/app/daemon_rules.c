// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon_rules.c - our rules while the daemon runs: what others take away is set up again.
 *
 * Who reads a new firewall in often flushes the old one first (`nft -f` of a file that begins with
 * `flush ruleset`, as Debian's nftables.service does), and our chains with it. Without them new
 * connections stay plain, and the host itself would answer what comes for converted ones. `mpgate
 * rules down` is another matter: that is meant, and known by our routing rules, which it takes away
 * as well, and before the chains.
 */
#include "app/daemon_state.h"
#include "app/rules.h"

#include <string.h>

#include "io/log.h"
#include "io/nftables.h"

#define LOOK_US 1000000 /* at most as often: each look starts some commands, while packets wait */

static void on_nftables(void *data)
{
	struct daemon *d = data;
	uint64_t now_us;

	if (!nftables_deleted(d->nftables, d->rules_routed) || d->rules_look_at_us != UINT64_MAX)
		return;
	now_us = loop_now_us();
	d->rules_look_at_us = d->rules_looked_us + LOOK_US;
	if (d->rules_look_at_us < now_us)
		d->rules_look_at_us = now_us;
}

void daemon_rules_watch(struct daemon *d)
{
	int error;

	d->nftables = nftables_watch();
	error = d->nftables < 0 ? d->nftables : loop_add(&d->loop, d->nftables, on_nftables, d);
	/* A kernel that has iptables-legacy's tables alone tells nothing. */
	if (error)
		log_warning("nobody tells when others remove our rules: %s; send SIGHUP when the "
			    "host's firewall was flushed",
			    strerror(-error));
}

void daemon_rules_look(struct daemon *d)
{
	char err[256];

	d->rules_look_at_us = UINT64_MAX;
	if (rules_jumps_there(d->rules_routed)) {
		d->withdrawn_told = false;
	} else if (!rules_routes_there()) {
		if (!d->withdrawn_told)
			log_warning("the rules were withdrawn (`mpgate rules down`): nothing is "
				    "converted until `mpgate rules up` or a reload");
		d->withdrawn_told = true;
	} else if (rules_chains_up(d->cfg, d->rules_routed, err, sizeof(err)) < 0) {
		log_error("somebody has removed our rules, and they cannot be set up again: %s",
			  err);
	} else {
		d->counter[DAEMON_RULES_RESTORED].value++;
		log_warning("somebody has removed our rules (the host's firewall was flushed?): "
			    "they are set up again");
	}
	d->rules_looked_us = loop_now_us();
}
