/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_merge.c - several sources of packets become one, in the order of time.
 */
#include "app/replay.h"

#define SOURCES_MAX (1 + ENGINE_PATHS_MAX)

struct head {
	uint64_t time_us;
	const uint8_t *data;
	uint32_t len_bytes;
	bool more;
};

static int advance(const struct replay_source *s, struct head *h)
{
	int rc = s->next(s->ctx, &h->time_us, &h->data, &h->len_bytes);

	h->more = rc > 0;
	return rc < 0 ? -1 : 0;
}

int replay_merge(struct replay *r, const struct replay_source *sources, unsigned n,
		 uint64_t fates[REPLAY_FATES])
{
	struct head head[SOURCES_MAX] = {{0}};

	if (n > SOURCES_MAX)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (advance(&sources[i], &head[i]) < 0)
			return -1;
	for (;;) {
		unsigned first = n;

		for (unsigned i = 0; i < n; i++)
			if (head[i].more && (first == n || head[i].time_us < head[first].time_us))
				first = i;
		if (first == n)
			break;
		fates[replay_feed(r, head[first].time_us, sources[first].side, sources[first].path,
				  head[first].data, head[first].len_bytes)]++;
		if (advance(&sources[first], &head[first]) < 0)
			return -1;
	}
	return replay_finish(r) ? 0 : -1;
}
