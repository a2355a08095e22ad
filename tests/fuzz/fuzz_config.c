/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_config.c - any text as a configuration file: it is read or refused with a message that
 * begins with the file's name, and what was read keeps the promises of config.h.
 */
#include <stdlib.h>
#include <string.h>

#include "app/config_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config cfg;
	char err[256], *text = malloc(size + 1);
	struct engine_cfg engine;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (config_read_text(&cfg, "file", text, err, sizeof(err)) < 0) {
		must(strncmp(err, "file:", 5) == 0 && strlen(err) > 7);
	} else {
		must(cfg.n_guests >= 1 && cfg.n_guests <= CONFIG_GUESTS_MAX);
		must(cfg.n_paths >= 1 && cfg.n_paths <= ENGINE_PATHS_MAX);
		must(cfg.n_policies <= ENGINE_POLICY_MAX);
		must(cfg.port_min <= cfg.port_max && cfg.port_min >= 1024);
		must(cfg.control[0] == '/');
		for (unsigned i = 0; i < cfg.n_paths; i++) {
			must(cfg.path[i].name[0] && strlen(cfg.path[i].name) <= 11);
			must(cfg.path[i].interface[0] && cfg.path[i].line > 0);
			must(cfg.path[i].price >= 0);
		}
		config_engine(&cfg, &engine);
		must(engine_region_bytes(&engine) > 0);
	}
	free(text);
	return 0;
}
