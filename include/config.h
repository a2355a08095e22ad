/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.h - the configuration file as the program holds it after reading and checking.
 */
#ifndef MPGATE_CONFIG_H
#define MPGATE_CONFIG_H

#include <net/if.h>

#include "engine.h"

#define CONFIG_GUESTS_MAX 16

enum config_multipath_mode { CONFIG_FULLMESH, CONFIG_NDIFFPORTS, CONFIG_SINGLE };

struct config_path {
	char name[ENGINE_NAME_MAX + 1];
	char interface[IFNAMSIZ];
	struct ip_addr address4, address6; /* zero: found by rtnetlink */
	struct ip_addr gateway4, gateway6; /* zero: found by rtnetlink, or on link */
	uint32_t table;                    /* 0: chosen by us */
	bool backup;
	double price;
	int line; /* of the file, for messages */
};

struct config {
	unsigned n_guests, n_paths;
	char guests[CONFIG_GUESTS_MAX][IFNAMSIZ];
	struct config_path path[ENGINE_PATHS_MAX];
	char control[108];
	char state[108]; /* file of the engine's region; empty: anonymous memory */
	bool manage_host;
	char emit[12]; /* "straight", "routed": by BPF past the host's routing and rules, or not */
	bool checksum;
	uint16_t queue; /* NFQUEUE number */
	uint16_t port_min, port_max;
	struct {
		int mode; /* enum config_multipath_mode */
		unsigned ndiffports;
		uint64_t after_bytes;
		uint32_t after_ms;
		uint32_t after_mbit; /* per second; 0: never */
		bool on_congestion;
		unsigned max_subflows;
		char announce[12]; /* "responder", "always", "never" */
		double backup_price;
		uint32_t rejoin_s;
	} multipath;
	char scheduler[16];
	char congestion[16];
	unsigned memory_mb;
	uint32_t max_connections;
	unsigned n_policies;
	struct engine_policy policy[ENGINE_POLICY_MAX];
};

/*
 * Reads and checks FILE. 0, or -1 with a message in `err` that begins "FILE:LINE: " (FILE alone
 * when no line is meant) and says how to mend it.
 */
int config_read(struct config *cfg, const char *file, char *err, unsigned err_bytes);

/* What the engine needs of it; addresses, MTUs and the seed are the caller's to fill in. */
void config_engine(const struct config *cfg, struct engine_cfg *out);

#endif
