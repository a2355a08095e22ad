/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_mptcp_encode.c - MPTCP options written: literal bytes padded as Linux pads, the 40
 * bytes at every fill, and what is written reads back the same.
 */
#include "mptcp_text.h"

#define K1 "0102030405060708"
#define K2 "1112131415161718"
#define HMAC20 "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3"
#define V6 "20010db8000000000000000000000001"

enum { SYN = 1, ACK = 2, DATA = 4 };

/* Encodes everything that `m` has, one subtype only in these tests. */
static bool encode(struct options_writer *w, const struct mptcp *m)
{
	if (m->has_capable)
		return mp_capable_encode(w, &m->capable);
	if (m->has_join)
		return mp_join_encode(w, &m->join);
	if (m->has_dss)
		return dss_encode(w, &m->dss);
	if (m->has_add_addr)
		return add_addr_encode(w, &m->add_addr);
	if (m->has_remove_addr)
		return remove_addr_encode(w, &m->remove_addr);
	if (m->has_prio)
		return mp_prio_encode(w, &m->prio);
	if (m->has_fail)
		return mp_fail_encode(w, m->fail_dsn);
	if (m->has_fastclose)
		return mp_fastclose_encode(w, m->fastclose_key);
	return mp_tcprst_encode(w, &m->tcprst);
}

static const struct {
	unsigned flags;
	const char *hex; /* option and padding */
} rows[] = {
	/* 0 */ {SYN, "1e04 0181"},
	/* 1 */ {SYN | ACK, "1e0c 0101" K1},
	/* 2 */ {ACK, "1e14 0101" K1 K2},
	/* 3 */ {ACK | DATA, "1e16 0101" K1 K2 "0064 0101"},
	/* 4 */ {ACK | DATA, "1e18 0181" K1 K2 "0064 1234"},
	/* 5, version 0 */ {SYN, "1e0c 0001" K1},
	/* 6 */ {ACK | DATA, "1e14 0001" K1 K2},
	/* 7 */ {SYN, "1e0c 1007 a1a2a3a4 b1b2b3b4"},
	/* 8 */ {SYN, "1e0c 1107 a1a2a3a4 b1b2b3b4"},
	/* 9 */ {SYN | ACK, "1e10 1103" K1 "b1b2b3b4"},
	/* 10 */ {ACK, "1e18 1000" HMAC20},
	/* 11 */ {ACK, "1e04 2000"},
	/* 12 */ {ACK, "1e08 2001 a1a2a3a4"},
	/* 13 */ {ACK, "1e0c 2003" K1},
	/* 14 */ {ACK, "1e0e 2004 a1a2a3a4 00000001 05b4 0101"},
	/* 15 */ {ACK, "1e12 200c" K1 "00000001 05b4 0101"},
	/* 16 */ {ACK, "1e12 2005 b1b2b3b4 a1a2a3a4 00000001 05b4 0101"},
	/* 17 */ {ACK, "1e16 2007" K2 "a1a2a3a4 00000001 05b4 0101"},
	/* 18 */ {ACK, "1e16 200d b1b2b3b4" K1 "00000001 05b4 0101"},
	/* 19 */ {ACK, "1e1a 200f" K2 K1 "00000001 05b4 0101"},
	/* 20 */ {ACK, "1e10 2004 a1a2a3a4 00000001 05b4 1234"},
	/* 21 */ {ACK, "1e14 200c" K1 "00000001 05b4 1234"},
	/* 22 */ {ACK, "1e14 2005 b1b2b3b4 a1a2a3a4 00000001 05b4 1234"},
	/* 23 */ {ACK, "1e18 2007" K2 "a1a2a3a4 00000001 05b4 1234"},
	/* 24 */ {ACK, "1e18 200d b1b2b3b4" K1 "00000001 05b4 1234"},
	/* 25 */ {ACK, "1e1c 200f" K2 K1 "00000001 05b4 1234"},
	/* 26 */ {ACK, "1e1a 201f" K2 K1 "00000000 0001 0101"},
	/* 27 */ {ACK, "1e0e 2004 a1a2a3a4 00000001 0000 0101"},
	/* 28 */ {ACK, "1e10 3005 0a4e090a" K1},
	/* 29 */ {ACK, "1e12 3005 0a4e090a 1e61" K1 "0101"},
	/* 30 */ {ACK, "1e1c 3005" V6 K1},
	/* 31 */ {ACK, "1e1e 3005" V6 "1e61" K1 "0101"},
	/* 32 */ {ACK, "1e08 3105 0a4e090a"},
	/* 33 */ {ACK, "1e0a 3105 0a4e090a 1e61 0101"},
	/* 34 */ {ACK, "1e14 3105" V6},
	/* 35 */ {ACK, "1e16 3105" V6 "1e61 0101"},
	/* 36 */ {ACK, "1e04 4005"},
	/* 37 */ {ACK, "1e05 4005 06 010101"},
	/* 38 */ {ACK, "1e06 4005 0607 0101"},
	/* 39 */ {ACK, "1e0b 4001 02030405060708 01"},
	/* 40 */ {ACK, "1e03 50 01"},
	/* 41 */ {ACK, "1e03 51 01"},
	/* 42 */ {ACK, "1e04 5109"},
	/* 43 */ {ACK, "1e0c 6000" K1},
	/* 44 */ {ACK, "1e0c 7000" K1},
	/* 45 */ {ACK, "1e04 8003"},
	/* 46 */ {ACK, "1e04 8103"},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static struct mptcp decoded(unsigned row, const uint8_t *bytes, unsigned n)
{
	unsigned flags = rows[row].flags;
	struct options o;

	options_decode(&o, bytes, n, flags & SYN, flags & ACK, flags & DATA);
	CHECK_ROW(row, !o.overrun);
	CHECK_ROW(row, o.mp.any && !o.mp.invalid && !o.mp.unknown && !o.mp.duplicate);
	return o.mp;
}

/* Bytes to fields to bytes: the same; and the fields say the same once more. */
static void test_identity(void)
{
	for (unsigned i = 0; i < N_ROWS; i++) {
		uint8_t want[OPTIONS_MAX];
		unsigned n = unit_hex(want, sizeof(want), rows[i].hex);
		struct mptcp m = decoded(i, want, n), again;
		struct options_writer w;
		struct text t, u;

		memset(&w, 0xcc, sizeof(w));
		w.len_bytes = 0;
		CHECK_ROW(i, encode(&w, &m));
		CHECK_EQ(i, w.len_bytes, n);
		CHECK_ROW(i, memcmp(w.buf, want, n) == 0);
		again = decoded(i, w.buf, w.len_bytes);
		mptcp_text(&t, &m);
		mptcp_text(&u, &again);
		CHECK_TEXT(i, u.s, t.s + 1);
		CHECK_ROW(i, t.n > 1);
	}
}

/* At every fill: all of it, padding included, or nothing. */
static void test_budget(void)
{
	for (unsigned i = 0; i < N_ROWS; i++) {
		uint8_t want[OPTIONS_MAX];
		unsigned n = unit_hex(want, sizeof(want), rows[i].hex);
		struct mptcp m = decoded(i, want, n);

		for (unsigned fill = 0; fill <= OPTIONS_MAX; fill++) {
			struct {
				struct options_writer w;
				uint8_t guard[8];
			} s;
			bool fits = fill + n <= OPTIONS_MAX;
			unsigned row = 100 * i + fill;

			memset(&s, 0xcc, sizeof(s));
			s.w.len_bytes = (uint8_t)fill;
			CHECK_EQ(row, encode(&s.w, &m), fits);
			CHECK_EQ(row, s.w.len_bytes, fits ? fill + n : fill);
			for (unsigned k = 0; k < OPTIONS_MAX; k++)
				CHECK_EQ(row, s.w.buf[k],
					 fits && k >= fill && k < fill + n ? want[k - fill] : 0xcc);
			for (unsigned k = 0; k < sizeof(s.guard); k++)
				CHECK_EQ(row, s.guard[k], 0xcc);
		}
	}
}

/* All 2^6 shapes of a DSS: dss_bytes() is what dss_encode() writes, and it reads back. */
static void test_dss_shapes(void)
{
	for (unsigned shape = 0; shape < 64; shape++) {
		struct dss d = {
			.has_ack = shape & 1,
			.ack64 = shape & 2,
			.has_map = shape & 4,
			.dsn64 = shape & 8,
			.has_csum = shape & 16,
			.data_fin = shape & 32,
			.map_len = 0x0f0e,
			.csum = 0x1234,
			.ssn = 0x01020304,
			.data_ack = 0xa1a2a3a4a5a6a7a8,
			.dsn = 0xb1b2b3b4b5b6b7b8,
		};
		struct options_writer w = {0};
		struct options o;

		if (!d.has_map && (d.has_csum || d.data_fin))
			continue;
		CHECK_ROW(shape, dss_encode(&w, &d));
		CHECK_EQ(shape, dss_bytes(&d), w.len_bytes);
		CHECK_EQ(shape, w.len_bytes % 4, 0);
		options_decode(&o, w.buf, w.len_bytes, false, true, true);
		CHECK_ROW(shape, o.mp.has_dss && !o.mp.invalid && !o.overrun);
		CHECK_EQ(shape, o.mp.dss.has_ack, d.has_ack);
		CHECK_EQ(shape, o.mp.dss.ack64, d.has_ack && d.ack64);
		CHECK_EQ(shape, o.mp.dss.has_map, d.has_map);
		CHECK_EQ(shape, o.mp.dss.dsn64, d.has_map && d.dsn64);
		CHECK_EQ(shape, o.mp.dss.has_csum, d.has_csum);
		CHECK_EQ(shape, o.mp.dss.data_fin, d.data_fin);
		CHECK_EQ(shape, o.mp.dss.map_len, d.has_map ? d.map_len : 0);
		CHECK_EQ(shape, o.mp.dss.ssn, d.has_map ? d.ssn : 0);
		CHECK_EQ(shape, o.mp.dss.csum, d.has_csum ? d.csum : 0);
		CHECK_EQ(shape, o.mp.dss.data_ack,
			 !d.has_ack ? 0
			 : d.ack64  ? d.data_ack
				    : (uint32_t)d.data_ack);
		CHECK_EQ(shape, o.mp.dss.dsn, !d.has_map ? 0 : d.dsn64 ? d.dsn : (uint32_t)d.dsn);
	}
}

static const struct {
	bool timestamps;
	unsigned n_sack;
	const char *dss; /* what has to fit beside them */
	bool fits;
} budgets[] = {
	/* 0, the fullest that Linux sends: 12 + 26 + 2 */
	{true, 0, "1e1a 200f" K2 K1 "00000001 05b4 0101", true},
	/* 1, with checksum the same 40 */
	{true, 0, "1e1c 200f" K2 K1 "00000001 05b4 1234", true},
	/* 2, no SACK beside it */ {true, 1, "1e1a 200f" K2 K1 "00000001 05b4 0101", false},
	/* 3, but without timestamps */
	{false, 1, "1e1a 200f" K2 K1 "00000001 05b4 0101", true},
	/* 4 */ {false, 2, "1e1a 200f" K2 K1 "00000001 05b4 0101", false},
	/* 5, a pure ACK: 64-bit DATA_ACK and one block */ {true, 1, "1e0c 2003" K1, true},
	/* 6 */ {true, 2, "1e0c 2003" K1, false},
	/* 7, 32 bits: two blocks */
	{true, 1, "1e08 2001 a1a2a3a4", true},
	/* 8, 12 + 20 + 8 */ {true, 2, "1e08 2001 a1a2a3a4", true},
	/* 9 */ {true, 3, "1e08 2001 a1a2a3a4", false},
	/* 10, without timestamps */ {false, 2, "1e0c 2003" K1, true},
	/* 11 */ {false, 3, "1e0c 2003" K1, true},
	/* 12 */ {false, 4, "1e0c 2003" K1, false},
	/* 13 */ {false, 3, "1e08 2001 a1a2a3a4", true},
	/* 14 */ {false, 4, "1e08 2001 a1a2a3a4", false},
};

/* What fits together within 40 bytes. */
static void test_together(void)
{
	static const struct sack_block b[4] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};

	for (unsigned i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
		uint8_t buf[OPTIONS_MAX];
		unsigned n = unit_hex(buf, sizeof(buf), budgets[i].dss);
		struct options_writer w = {0};
		struct options o;

		options_decode(&o, buf, n, false, true, true);
		if (budgets[i].timestamps)
			CHECK_ROW(i, options_put_timestamps(&w, 1, 2));
		CHECK_ROW(i, options_put_sack(&w, b, budgets[i].n_sack));
		CHECK_EQ(i, dss_bytes(&o.mp.dss) <= options_room(&w), budgets[i].fits);
		CHECK_EQ(i, dss_encode(&w, &o.mp.dss), budgets[i].fits);
	}
}

static const struct unit_test tests[] = {
	{"identity", test_identity},
	{"budget", test_budget},
	{"DSS shapes", test_dss_shapes},
	{"together", test_together},
};

UNIT_MAIN("wire/mptcp_encode", tests)
