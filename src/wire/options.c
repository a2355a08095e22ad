/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.c - TCP options in one pass (RFC 9293 section 3.2), and the writer.
 *
 * An option of a known kind with a wrong length counts as absent, as Linux does it. Fast Open,
 * MD5 and AO count whatever their length: their presence alone keeps a connection plain.
 */
#include "wire/bytes.h"
#include "wire/options.h"

#define FASTOPEN_MAGIC 0xf989 /* RFC 7413 appendix A: before kind 34 was assigned */
#define WSCALE_MAX 14

#define MSS_BYTES 4
#define WSCALE_BYTES 3
#define SACK_PERMITTED_BYTES 2
#define TIMESTAMPS_BYTES 10
#define SACK_BLOCK_BYTES 8

/*
 * Length of the option (not EOL, not NOP) at `opt` with `left` bytes to the end; 0 when its
 * length byte is missing, below 2 or leads beyond the end.
 */
static inline unsigned option_bytes(const uint8_t *opt, unsigned left)
{
	if (left < 2 || opt[1] < 2 || opt[1] > left)
		return 0;
	return opt[1];
}

static void timestamps_decode(struct options *o, const uint8_t *opt)
{
	if (o->has_timestamps)
		return;
	o->has_timestamps = true;
	o->tsval = get32(opt + 2);
	o->tsecr = get32(opt + 6);
}

static void sack_decode(struct options *o, const uint8_t *opt, unsigned len)
{
	unsigned n = (len - 2) / SACK_BLOCK_BYTES;

	if (o->n_sack > 0 || len != 2 + n * SACK_BLOCK_BYTES || n > OPTIONS_SACK_MAX)
		return;
	o->n_sack = (uint8_t)n;
	for (unsigned i = 0; i < n; i++, opt += SACK_BLOCK_BYTES)
		o->sack[i] = (struct sack_block){get32(opt + 2), get32(opt + 6)};
}

/* The kinds that are seen once per connection. The first of a kind wins. */
static void rare_decode(struct options *o, const uint8_t *opt, unsigned len)
{
	switch (opt[0]) {
	case TCPOPT_MSS:
		if (len == MSS_BYTES && !o->has_mss) {
			o->has_mss = true;
			o->mss = get16(opt + 2);
		}
		break;
	case TCPOPT_WSCALE:
		if (len == WSCALE_BYTES && !o->has_wscale) {
			o->has_wscale = true;
			o->wscale = opt[2] > WSCALE_MAX ? WSCALE_MAX : opt[2];
		}
		break;
	case TCPOPT_SACK_PERMITTED:
		if (len == SACK_PERMITTED_BYTES)
			o->has_sack_permitted = true;
		break;
	case TCPOPT_FASTOPEN:
		o->has_fastopen = true;
		break;
	case TCPOPT_EXPERIMENTAL:
		if (len >= 4 && get16(opt + 2) == FASTOPEN_MAGIC)
			o->has_fastopen = true;
		break;
	case TCPOPT_MD5:
		o->has_md5 = true;
		break;
	case TCPOPT_AO:
		o->has_ao = true;
		break;
	default:
		break;
	}
}

void options_decode(struct options *o, const uint8_t *data, unsigned len_bytes, bool syn, bool ack,
		    bool has_payload)
{
	const uint8_t *opt = data, *end = data + len_bytes;

	memset(o, 0, sizeof(*o));
	while (opt < end && opt[0] != TCPOPT_EOL) {
		unsigned len;

		if (opt[0] == TCPOPT_NOP) {
			opt++;
			continue;
		}
		len = option_bytes(opt, (unsigned)(end - opt));
		if (len == 0) {
			o->overrun = true;
			return;
		}
		switch (opt[0]) {
		case TCPOPT_TIMESTAMPS:
			if (len == TIMESTAMPS_BYTES)
				timestamps_decode(o, opt);
			break;
		case TCPOPT_MPTCP:
			if (len >= 3)
				mptcp_decode(&o->mp, opt, len, syn, ack, has_payload);
			else
				o->mp.any = o->mp.invalid = true;
			break;
		case TCPOPT_SACK:
			sack_decode(o, opt, len);
			break;
		default:
			rare_decode(o, opt, len);
			break;
		}
		opt += len;
	}
}

bool options_put(struct options_writer *w, const void *data, unsigned len_bytes)
{
	if (len_bytes > options_room(w))
		return false;
	if (len_bytes > 0)
		memcpy(w->buf + w->len_bytes, data, len_bytes);
	w->len_bytes = (uint8_t)(w->len_bytes + len_bytes);
	return true;
}

bool options_put_nops(struct options_writer *w, unsigned n)
{
	if (n > options_room(w))
		return false;
	memset(w->buf + w->len_bytes, TCPOPT_NOP, n);
	w->len_bytes = (uint8_t)(w->len_bytes + n);
	return true;
}

bool options_put_mss(struct options_writer *w, uint16_t mss)
{
	uint8_t opt[MSS_BYTES] = {TCPOPT_MSS, MSS_BYTES};

	put16(opt + 2, mss);
	return options_put(w, opt, sizeof(opt));
}

bool options_put_timestamps(struct options_writer *w, uint32_t tsval, uint32_t tsecr)
{
	uint8_t opt[2 + TIMESTAMPS_BYTES] = {TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMPS,
					     TIMESTAMPS_BYTES};

	put32(put32(opt + 4, tsval), tsecr);
	return options_put(w, opt, sizeof(opt));
}

bool options_put_sack(struct options_writer *w, const struct sack_block *b, unsigned n)
{
	uint8_t opt[4 + OPTIONS_SACK_MAX * SACK_BLOCK_BYTES] = {TCPOPT_NOP, TCPOPT_NOP,
								TCPOPT_SACK};
	uint8_t *p = opt + 4;

	if (n == 0)
		return true;
	if (n > OPTIONS_SACK_MAX)
		return false;
	opt[3] = (uint8_t)(2 + n * SACK_BLOCK_BYTES);
	for (unsigned i = 0; i < n; i++)
		p = put32(put32(p, b[i].start), b[i].end);
	return options_put(w, opt, (unsigned)(p - opt));
}

static bool listed(const uint8_t *without, uint8_t kind)
{
	if (!without)
		return false;
	while (*without != 0 && *without != kind)
		without++;
	return *without != 0;
}

bool options_copy(struct options_writer *w, const uint8_t *data, unsigned len_bytes,
		  const uint8_t *without)
{
	unsigned at = 0, from = 0; /* NOPs stand from `from` up to `at` */
	bool all = true;

	while (at < len_bytes && data[at] != TCPOPT_EOL) {
		unsigned len;

		if (data[at] == TCPOPT_NOP) {
			at++;
			continue;
		}
		len = option_bytes(data + at, len_bytes - at);
		if (len == 0)
			return all;
		if (!listed(without, data[at]))
			all &= options_put(w, data + from, at + len - from);
		at += len;
		from = at;
	}
	return options_put(w, data + from, at - from) && all;
}

bool options_set_mss(struct options_writer *w, uint16_t mss)
{
	unsigned at = 0;

	while (at < w->len_bytes && w->buf[at] != TCPOPT_EOL) {
		unsigned len;

		if (w->buf[at] == TCPOPT_NOP) {
			at++;
			continue;
		}
		len = option_bytes(w->buf + at, w->len_bytes - at);
		if (len == 0)
			break;
		if (w->buf[at] == TCPOPT_MSS && len == MSS_BYTES) {
			put16(w->buf + at + 2, mss);
			return true;
		}
		at += len;
	}
	return false;
}

void options_pad(struct options_writer *w)
{
	options_put_nops(w, -(unsigned)w->len_bytes % 4);
}
