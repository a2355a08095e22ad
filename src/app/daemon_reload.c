// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon_reload.c - SIGHUP: may the file as it is now be taken over?
 *
 * A reload is what happens after a crash, on purpose: this process leaves everything as it is and
 * begins anew with the new file, adopting the connections from the state file (I9). So nothing has
 * to be changed in flight; and what could not be adopted is refused here, before anything is lost.
 */
#include <string.h>

#include "app/daemon_state.h"
#include "io/log.h"

/* Of whom no interface exists, so that a start with this file would fail; null: of neither. */
static const char *nowhere(const struct config *cfg)
{
	unsigned n_paths = 0, n_guests = 0;

	for (unsigned i = 0; i < cfg->n_paths; i++)
		n_paths += if_nametoindex(cfg->path[i].interface) != 0;
	for (unsigned i = 0; i < cfg->n_guests; i++)
		n_guests += if_nametoindex(cfg->guests[i]) != 0;
	return !n_paths ? "paths'" : !n_guests ? "guests'" : NULL;
}

bool daemon_reloadable(const struct daemon *d)
{
	static struct config cfg;
	struct engine_cfg engine;
	char err[512];

	if (!d->file)
		return false;
	if (config_read(&cfg, d->file, err, sizeof(err)) < 0) {
		log_error("reload: %s; going on as before", err);
		return false;
	}
	config_engine(&cfg, &engine);
	if (!d->cfg->state[0] || strcmp(d->cfg->state, cfg.state) != 0)
		log_error("reload: without the same state file the connections would be lost; "
			  "going on as before");
	else if (engine_region_bytes(&engine) != d->region_bytes)
		log_error("reload: memory_mb, max_connections or multipath's mode need another "
			  "layout of memory: end and start mpgate; going on as before");
	else if (cfg.manage_host != d->cfg->manage_host)
		log_error("reload: manage_host has changed: end and start mpgate; going on as "
			  "before");
	else if (nowhere(&cfg))
		log_error("reload: none of the %s interfaces exists; going on as before",
			  nowhere(&cfg));
	else
		return true;
	return false;
}
