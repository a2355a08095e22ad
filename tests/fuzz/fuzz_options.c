/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_options.c - any bytes as TCP options: every MPTCP option that decodes is written and read
 * again and says the same, and no writer exceeds 40 bytes.
 *
 * Input: flags (1 SYN, 2 ACK, 4 payload), fill of the writer, a kind to leave out, options.
 */
#include <stddef.h>
#include <stdint.h>

#include "wire/options.h"

#define REQUIRE(condition)                \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

#define HEAD_BYTES 3

enum { SYN = 1, ACK = 2, DATA = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct options *o, const uint8_t *data, unsigned n, unsigned flags)
{
	options_decode(o, data, n, flags & SYN, flags & ACK, flags & DATA);
	REQUIRE(o->n_sack <= OPTIONS_SACK_MAX && o->wscale <= 14);
	REQUIRE(o->mp.remove_addr.n <= REMOVE_ADDR_MAX && o->mp.capable.n_keys <= 2);
	REQUIRE(o->mp.any || !(o->mp.invalid || o->mp.unknown || o->mp.duplicate));
}

/*
 * `written` by the encoder from `m`: decoded it is the one option and nothing else, and its
 * fields (`bytes` at `offset` of struct mptcp) are the same. decode() clears its result, so
 * fields that the form does not have are zero on both sides.
 */
static void check_option(const struct mptcp *m, bool written, const struct options_writer *w,
			 unsigned flags, size_t offset, size_t bytes)
{
	struct options again;
	const char *a = (const char *)m + offset, *b = (const char *)&again.mp + offset;

	REQUIRE(written);
	REQUIRE(w->len_bytes <= OPTIONS_MAX && w->len_bytes % 4 == 0);
	decode(&again, w->buf, w->len_bytes, flags);
	REQUIRE(!again.overrun && !again.mp.invalid && !again.mp.unknown && !again.mp.duplicate);
	REQUIRE(again.mp.any);
	REQUIRE(memcmp(a, b, bytes) == 0);
}

#define CHECK_OPTION(field, encode_call)                                           \
	do {                                                                       \
		struct options_writer w = {0};                                     \
		bool written = (encode_call);                                      \
		check_option(m, written, &w, flags, offsetof(struct mptcp, field), \
			     sizeof(m->field));                                    \
	} while (0)

static void check_mptcp(const struct mptcp *m, unsigned flags)
{
	if (m->has_capable)
		CHECK_OPTION(capable, mp_capable_encode(&w, &m->capable));
	if (m->has_join)
		CHECK_OPTION(join, mp_join_encode(&w, &m->join));
	if (m->has_dss) {
		struct options_writer dss = {0};

		CHECK_OPTION(dss, dss_encode(&w, &m->dss));
		REQUIRE(dss_encode(&dss, &m->dss) && dss.len_bytes == dss_bytes(&m->dss));
	}
	if (m->has_add_addr)
		CHECK_OPTION(add_addr, add_addr_encode(&w, &m->add_addr));
	if (m->has_remove_addr)
		CHECK_OPTION(remove_addr, remove_addr_encode(&w, &m->remove_addr));
	if (m->has_prio)
		CHECK_OPTION(prio, mp_prio_encode(&w, &m->prio));
	if (m->has_fail)
		CHECK_OPTION(fail_dsn, mp_fail_encode(&w, m->fail_dsn));
	if (m->has_fastclose)
		CHECK_OPTION(fastclose_key, mp_fastclose_encode(&w, m->fastclose_key));
	if (m->has_tcprst)
		CHECK_OPTION(tcprst, mp_tcprst_encode(&w, &m->tcprst));
}

/* One after the other into a writer that is partly full: each wholly or not at all. */
static void check_room(const struct mptcp *m, unsigned fill)
{
	struct options_writer w = {0};
	bool overrun = false;

#define TRY(has, encode_call)                                                               \
	do {                                                                                \
		unsigned before = w.len_bytes;                                              \
		bool written = (has) && (encode_call);                                      \
		overrun |= w.len_bytes > OPTIONS_MAX || (w.len_bytes != before) != written; \
	} while (0)

	REQUIRE(options_put_nops(&w, fill));
	TRY(m->has_dss, dss_encode(&w, &m->dss));
	TRY(m->has_capable, mp_capable_encode(&w, &m->capable));
	TRY(m->has_join, mp_join_encode(&w, &m->join));
	TRY(m->has_add_addr, add_addr_encode(&w, &m->add_addr));
	TRY(m->has_remove_addr, remove_addr_encode(&w, &m->remove_addr));
	TRY(m->has_prio, mp_prio_encode(&w, &m->prio));
	TRY(m->has_fail, mp_fail_encode(&w, m->fail_dsn));
	TRY(m->has_fastclose, mp_fastclose_encode(&w, m->fastclose_key));
	TRY(m->has_tcprst, mp_tcprst_encode(&w, &m->tcprst));
#undef TRY
	REQUIRE(!overrun);
}

static void check_plain(const struct options *o)
{
	struct options_writer w = {0};
	struct options again;

	if (o->has_timestamps && o->n_sack < 4)
		REQUIRE(options_put_timestamps(&w, o->tsval, o->tsecr));
	REQUIRE(options_put_sack(&w, o->sack, o->n_sack));
	if (o->has_mss && options_room(&w) >= 4) {
		REQUIRE(options_put_mss(&w, 1));
		REQUIRE(options_set_mss(&w, o->mss));
	}
	decode(&again, w.buf, w.len_bytes, 0);
	REQUIRE(!again.overrun && !again.mp.any);
	REQUIRE(again.n_sack == o->n_sack);
	REQUIRE(memcmp(again.sack, o->sack, sizeof(o->sack)) == 0);
	REQUIRE(!again.has_mss || again.mss == o->mss);
	REQUIRE(!again.has_timestamps || (again.tsval == o->tsval && again.tsecr == o->tsecr));
}

static void check_copy(const uint8_t *data, unsigned n, unsigned fill, uint8_t kind)
{
	const uint8_t without[] = {TCPOPT_MPTCP, kind, 0};
	struct options_writer w = {0}, v = {0};
	struct options o;
	bool all;

	REQUIRE(options_put_nops(&w, fill));
	all = options_copy(&w, data, n, without);
	REQUIRE(w.len_bytes >= fill && w.len_bytes <= OPTIONS_MAX);
	REQUIRE(!all || w.len_bytes <= fill + n);
	decode(&o, w.buf, w.len_bytes, SYN);
	REQUIRE(!o.overrun && !o.mp.any);
	REQUIRE(kind != TCPOPT_TIMESTAMPS || !o.has_timestamps);
	REQUIRE(kind != TCPOPT_MSS || !o.has_mss);
	/* A copy of the copy is the copy. */
	REQUIRE(options_copy(&v, w.buf, w.len_bytes, without));
	REQUIRE(v.len_bytes == w.len_bytes && memcmp(v.buf, w.buf, w.len_bytes) == 0);
	options_pad(&w);
	REQUIRE(w.len_bytes <= OPTIONS_MAX && w.len_bytes % 4 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options o;
	unsigned n;

	/* No TCP header has more than 40; the decoder must not depend on it. */
	if (size < HEAD_BYTES || size > HEAD_BYTES + 256)
		return 0;
	n = (unsigned)size - HEAD_BYTES;
	decode(&o, data + HEAD_BYTES, n, data[0]);
	check_mptcp(&o.mp, data[0]);
	check_plain(&o);
	check_room(&o.mp, data[1] % (OPTIONS_MAX + 1));
	check_copy(data + HEAD_BYTES, n, data[1] % (OPTIONS_MAX + 1), data[2]);
	return 0;
}
