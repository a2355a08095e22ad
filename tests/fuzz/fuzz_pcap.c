/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_pcap.c - any bytes as capture files of the guests' side and of a path, and what is in them
 * through the whole of replay. The engine must stay in order, and the same input must give the
 * same output.
 */
#include <stdlib.h>
#include <string.h>

#include "app/replay.h"
#include "config.h"
#include "io/pcap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PACKETS_MAX 2000

static uint64_t digest; /* of all that came out */

static void must(bool good)
{
	if (!good)
		abort();
}

static void mix(const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n--)
		digest = (digest ^ *p++) * 0x100000001b3U;
}

static void on_packet(void *ctx, uint64_t now_us, enum engine_side to, unsigned index,
		      const uint8_t *data, uint32_t len_bytes)
{
	(void)ctx;
	mix(&now_us, sizeof(now_us));
	mix(&to, sizeof(to));
	mix(&index, sizeof(index));
	mix(data, len_bytes);
}

static struct pcap_reader *open_bytes(const uint8_t *data, size_t size)
{
	char err[512];
	FILE *f = fmemopen((void *)(uintptr_t)data, size, "r");

	return f ? pcap_reader_stream(f, "capture", err, sizeof(err)) : NULL;
}

static int next(void *ctx, uint64_t *time_us, const uint8_t **data, uint32_t *len_bytes)
{
	struct pcap_packet p;
	char err[512];
	int rc;

	do
		rc = pcap_reader_next(ctx, &p, err, sizeof(err));
	while (rc == 1 && p.cut);
	if (rc != 1)
		return 0;
	/* Far in the future, an engine's deadlines would be kept for years. */
	*time_us = p.time_us % 100000000;
	*data = p.data;
	*len_bytes = p.len_bytes;
	return 1;
}

static void learn(struct replay *r, enum engine_side side, const uint8_t *data, size_t size)
{
	struct pcap_reader *reader = open_bytes(data, size);
	const uint8_t *packet;
	uint64_t time_us;
	uint32_t n;

	for (unsigned i = 0; i < PACKETS_MAX && next(reader, &time_us, &packet, &n) == 1; i++)
		replay_learn(r, time_us, side, 0, packet, n);
	pcap_reader_close(reader);
}

struct input {
	const uint8_t *data;
	size_t size;
};

static void run(const struct engine_cfg *cfg, const struct input in[2])
{
	static const struct replay_hooks hooks = {.on_packet = on_packet};
	struct replay *r = replay_new(cfg, 7, &hooks);
	struct replay_source source[2] = {{.side = ENGINE_GUEST, .next = next},
					  {.side = ENGINE_NET, .next = next}};
	uint64_t fates[REPLAY_FATES] = {0};

	must(r != NULL);
	for (unsigned i = 0; i < 2; i++)
		learn(r, source[i].side, in[i].data, in[i].size);
	for (unsigned i = 0; i < 2; i++)
		source[i].ctx = open_bytes(in[i].data, in[i].size);
	must(replay_merge(r, source, 2, fates) == 0);
	must(engine_audit(replay_engine(r)));
	for (unsigned i = 0; i < 2; i++)
		pcap_reader_close(source[i].ctx);
	replay_del(r);
}

/* The input: two bytes that say how long the guests' capture is, that, and the path's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct engine_cfg cfg = {.max_connections = 16, .memory_bytes = 1 << 20, .n_paths = 1};
	struct input in[2];
	uint64_t first;

	if (size < 2)
		return 0;
	in[0].size = (size_t)data[0] << 8 | data[1];
	in[0].data = data + 2;
	if (in[0].size > size - 2)
		in[0].size = size - 2;
	in[1].data = in[0].data + in[0].size;
	in[1].size = size - 2 - in[0].size;
	for (unsigned i = 0; i < 2; i++) {
		struct pcap_reader *reader = in[i].size ? open_bytes(in[i].data, in[i].size) : NULL;

		if (!reader)
			return 0;
		pcap_reader_close(reader);
	}
	digest = 1;
	run(&cfg, in);
	first = digest;
	digest = 1;
	run(&cfg, in);
	must(digest == first);
	return 0;
}
