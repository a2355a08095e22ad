// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_capture.c - see sim_capture.h. The format is pcap's classic one, link type RAW (IP).
 */
#include "sim_capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LINKTYPE_RAW 101

struct capture {
	const char *dir;
	FILE *file[PLACE_PEER + 1][ENGINE_PATHS_MAX + 1];
};

struct capture *capture_new(const char *dir)
{
	struct capture *c = calloc(1, sizeof(*c));

	c->dir = dir;
	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		perror(dir);
	return c;
}

void capture_free(struct capture *c)
{
	if (!c)
		return;
	for (int at = 0; at <= PLACE_PEER; at++)
		for (int i = 0; i <= ENGINE_PATHS_MAX; i++)
			if (c->file[at][i])
				fclose(c->file[at][i]);
	free(c);
}

static FILE *file_new(struct capture *c, enum place at, unsigned link)
{
	static const char *const side[] = {"guest", "gate", "gate", "peer"};
	static const uint32_t head[] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 262144, LINKTYPE_RAW};
	char name[512];
	FILE *f;

	if (link == 0)
		snprintf(name, sizeof(name), "%s/guests-%s.pcap", c->dir, side[at]);
	else
		snprintf(name, sizeof(name), "%s/path%u-%s.pcap", c->dir, link, side[at]);
	f = fopen(name, "wb");
	if (!f) {
		perror(name);
		exit(2);
	}
	fwrite(head, sizeof(head), 1, f);
	return f;
}

void capture_packet(struct capture *c, uint64_t now_us, enum place at, unsigned link,
		    const struct pkt *p)
{
	uint32_t head[] = {(uint32_t)(now_us / 1000000), (uint32_t)(now_us % 1000000), p->len_bytes,
			   p->len_bytes};

	if (!c->file[at][link])
		c->file[at][link] = file_new(c, at, link);
	fwrite(head, sizeof(head), 1, c->file[at][link]);
	fwrite(p->data, p->len_bytes, 1, c->file[at][link]);
}
