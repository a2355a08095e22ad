/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_writer.c - the options' writer: literal bytes, the budget of 40 at every fill, and
 * copying with kinds left out.
 */
#include "unit.h"
#include "wire/options.h"

static const struct sack_block blocks[5] = {{0x01020304, 0x05060708},
					    {0x11121314, 0x15161718},
					    {0x21222324, 0x25262728},
					    {0x31323334, 0x35363738},
					    {0x41424344, 0x45464748}};

static bool put_mss(struct options_writer *w)
{
	return options_put_mss(w, 1460);
}

static bool put_timestamps(struct options_writer *w)
{
	return options_put_timestamps(w, 0x01020304, 0xf5f6f7f8);
}

static bool put_sack0(struct options_writer *w)
{
	return options_put_sack(w, blocks, 0);
}

static bool put_sack1(struct options_writer *w)
{
	return options_put_sack(w, blocks, 1);
}

static bool put_sack3(struct options_writer *w)
{
	return options_put_sack(w, blocks, 3);
}

static bool put_sack4(struct options_writer *w)
{
	return options_put_sack(w, blocks, 4);
}

static bool put_nops0(struct options_writer *w)
{
	return options_put_nops(w, 0);
}

static bool put_nops3(struct options_writer *w)
{
	return options_put_nops(w, 3);
}

static bool put_nops40(struct options_writer *w)
{
	return options_put_nops(w, 40);
}

static bool put_bytes(struct options_writer *w)
{
	return options_put(w, "\3\3\7", 3);
}

static bool put_nothing(struct options_writer *w)
{
	return options_put(w, NULL, 0);
}

static const struct {
	bool (*put)(struct options_writer *w);
	const char *hex;
} writers[] = {
	/* 0 */ {put_mss, "020405b4"},
	/* 1 */ {put_timestamps, "0101080a01020304f5f6f7f8"},
	/* 2 */ {put_sack0, ""},
	/* 3 */ {put_sack1, "0101050a0102030405060708"},
	/* 4 */ {put_sack3, "0101051a 0102030405060708 1112131415161718 2122232425262728"},
	/* 5 */
	{put_sack4, "01010522 0102030405060708 1112131415161718 2122232425262728 3132333435363738"},
	/* 6 */ {put_nops0, ""},
	/* 7 */ {put_nops3, "010101"},
	/* 8 */
	{put_nops40, "01010101010101010101 01010101010101010101 01010101010101010101 "
		     "01010101010101010101"},
	/* 9 */ {put_bytes, "030307"},
	/* 10 */ {put_nothing, ""},
};

/* At every fill: all of it or nothing, and never a byte beyond. */
static void test_budget(void)
{
	for (unsigned i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
		uint8_t want[OPTIONS_MAX];
		unsigned n = unit_hex(want, sizeof(want), writers[i].hex);

		for (unsigned fill = 0; fill <= OPTIONS_MAX; fill++) {
			struct {
				struct options_writer w;
				uint8_t guard[8];
			} s;
			bool fits = fill + n <= OPTIONS_MAX;
			unsigned row = 100 * i + fill;

			memset(&s, 0xcc, sizeof(s));
			s.w.len_bytes = (uint8_t)fill;
			CHECK_EQ(row, options_room(&s.w), OPTIONS_MAX - fill);
			CHECK_EQ(row, writers[i].put(&s.w), fits);
			CHECK_EQ(row, s.w.len_bytes, fits ? fill + n : fill);
			for (unsigned k = 0; k < OPTIONS_MAX; k++)
				CHECK_EQ(row, s.w.buf[k],
					 fits && k >= fill && k < fill + n ? want[k - fill] : 0xcc);
			for (unsigned k = 0; k < sizeof(s.guard); k++)
				CHECK_EQ(row, s.guard[k], 0xcc);
		}
	}
}

static void test_impossible(void)
{
	struct options_writer w = {0};

	CU_ASSERT(!options_put_sack(&w, blocks, 5));
	CU_ASSERT(!options_put_nops(&w, 41));
	CU_ASSERT(!options_put_nops(&w, UINT32_MAX));
	CU_ASSERT(!options_put(&w, blocks, UINT32_MAX));
	CHECK_EQ(0, w.len_bytes, 0);
}

static void test_pad(void)
{
	for (unsigned fill = 0; fill <= OPTIONS_MAX; fill++) {
		struct options_writer w;
		unsigned padded = fill + (4 - fill % 4) % 4;

		memset(&w, 0xcc, sizeof(w));
		w.len_bytes = (uint8_t)fill;
		options_pad(&w);
		CHECK_EQ(fill, w.len_bytes, padded);
		for (unsigned k = 0; k < OPTIONS_MAX; k++)
			CHECK_EQ(fill, w.buf[k], k >= fill && k < padded ? 1 : 0xcc);
	}
}

static const struct {
	unsigned fill; /* bytes (0xcc) that stand there before */
	const char *from;
	const char *without; /* hex, 0-terminated; null: null */
	bool ok;
	const char *to;
} copies[] = {
	/* 0 */ {0, "", NULL, true, ""},
	/* 1 */ {0, "020405b4", NULL, true, "020405b4"},
	/* 2, in order and verbatim */
	{0, "030307 01 0402 020405b4 ff03aa", NULL, true, "030307 01 0402 020405b4 ff03aa"},
	/* 3, an empty list */ {0, "020405b4 0402", "00", true, "020405b4 0402"},
	/* 4, one left out */ {0, "020405b4 0402 030307", "0400", true, "020405b4 030307"},
	/* 5, all left out */ {0, "020405b4 0402 030307", "03020400", true, ""},
	/* 6, the NOPs directly before it go too */
	{0, "020405b4 0101 080a0102030405060708 030307", "0800", true, "020405b4 030307"},
	/* 7, those before one that stays stay */
	{0, "0101 080a0102030405060708 01 030307", "0300", true, "0101 080a0102030405060708"},
	/* 8, those behind it belong to the next */
	{0, "1e04 0101 0101 0402", "1e00", true, "0101 0402"},
	/* 9, those at the end stay */ {0, "030307 01", NULL, true, "030307 01"},
	/* 10, also behind one that went */ {0, "020405b4 030307 01", "0300", true, "020405b4 01"},
	/* 11, EOL and what follows */ {0, "020405b4 00 030307", NULL, true, "020405b4"},
	/* 12 */ {0, "00", NULL, true, ""},
	/* 13, NOPs before EOL */ {0, "0101 00", NULL, true, "0101"},
	/* 14, an overrun and its NOPs are left out */
	{0, "020405b4 0101 080a01020304", NULL, true, "020405b4"},
	/* 15 */ {0, "020405b4 08", NULL, true, "020405b4"},
	/* 16 */ {0, "020405b4 0800", NULL, true, "020405b4"},
	/* 17, twice the same */ {0, "1e04 0101 020405b4 1e04 0202", "1e00", true, "020405b4"},
	/* 18, just fits */ {36, "020405b4", NULL, true, "020405b4"},
	/* 19, does not */ {37, "020405b4", NULL, false, ""},
	/* 20, what fits is written, also behind */
	{34, "020405b4 030307 0402", NULL, false, "020405b4 0402"},
	/* 21, NOPs and option are one */ {37, "0101 0402", NULL, false, ""},
	/* 22 */ {40, "0402", NULL, false, ""},
	/* 23, left out, it need not fit */ {40, "0402", "0400", true, ""},
	/* 24, trailing NOPs count */ {38, "0402 01", NULL, false, "0402"},
	/* 25, all 40 */
	{0, "0101080a0102030405060708 1e1c201f0102030405060708010203040506070800000001000affff",
	 NULL, true,
	 "0101080a0102030405060708 1e1c201f0102030405060708010203040506070800000001000affff"},
};

static void test_copy(void)
{
	for (unsigned i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		uint8_t from[OPTIONS_MAX], to[OPTIONS_MAX], without[8];
		unsigned n_from = unit_hex(from, sizeof(from), copies[i].from);
		unsigned n_to = unit_hex(to, sizeof(to), copies[i].to);
		struct options_writer w;

		memset(&w, 0xcc, sizeof(w));
		w.len_bytes = (uint8_t)copies[i].fill;
		if (copies[i].without)
			unit_hex(without, sizeof(without), copies[i].without);
		CHECK_EQ(i, options_copy(&w, from, n_from, copies[i].without ? without : NULL),
			 copies[i].ok);
		CHECK_EQ(i, w.len_bytes, copies[i].fill + n_to);
		for (unsigned k = 0; k < OPTIONS_MAX; k++)
			CHECK_EQ(i, w.buf[k],
				 k >= copies[i].fill && k < copies[i].fill + n_to
					 ? to[k - copies[i].fill]
					 : 0xcc);
	}
}

static const struct {
	const char *before;
	bool ok;
	const char *after;
} mss[] = {
	/* 0 */ {"", false, ""},
	/* 1 */ {"020405b4", true, "0204058c"},
	/* 2 */ {"0402 0101 020405b4 01", true, "0402 0101 0204058c 01"},
	/* 3, none */ {"0402 030307", false, "0402 030307"},
	/* 4, of a wrong length */ {"020605b40000", false, "020605b40000"},
	/* 5, bytes of another that look like one */ {"ff06 020405b4", false, "ff06 020405b4"},
	/* 6, behind EOL */ {"00 020405b4", false, "00 020405b4"},
	/* 7, cut off */ {"0204 05", false, "0204 05"},
	/* 8, behind an overrun */ {"0809 020405b4", false, "0809 020405b4"},
};

static void test_set_mss(void)
{
	for (unsigned i = 0; i < sizeof(mss) / sizeof(mss[0]); i++) {
		struct options_writer w = {0};
		uint8_t after[OPTIONS_MAX];
		unsigned n = unit_hex(after, sizeof(after), mss[i].after);

		w.len_bytes = (uint8_t)unit_hex(w.buf, sizeof(w.buf), mss[i].before);
		CHECK_EQ(i, options_set_mss(&w, 1420), mss[i].ok);
		CHECK_EQ(i, w.len_bytes, n);
		CHECK_ROW(i, memcmp(w.buf, after, n) == 0);
	}
}

/* Any bytes, any fill: copying stays within the budget and its result decodes without overrun. */
static void test_copy_random(void)
{
	uint64_t state = 11;
	static const uint8_t without[] = {TCPOPT_MPTCP, TCPOPT_SACK, 0};

	for (unsigned row = 0; row < 50000; row++) {
		uint8_t from[OPTIONS_MAX];
		unsigned n = (unsigned)unit_random(&state) % (OPTIONS_MAX + 1);
		struct options_writer w = {0};
		struct options o;
		bool all;

		for (unsigned i = 0; i < n; i++)
			from[i] = (uint8_t)(unit_random(&state) % (row % 2 ? 36 : 8));
		options_put_nops(&w, (unsigned)unit_random(&state) % (OPTIONS_MAX + 1));
		all = options_copy(&w, from, n, without);
		CHECK_ROW(row, w.len_bytes <= OPTIONS_MAX);
		options_decode(&o, w.buf, w.len_bytes, false, true, false);
		CHECK_ROW(row, !o.overrun && !o.mp.any && o.n_sack == 0);
		if (all) {
			struct options p;

			options_decode(&p, from, n, false, true, false);
			CHECK_EQ(row, o.has_mss, p.has_mss);
			CHECK_EQ(row, o.mss, p.mss);
			CHECK_EQ(row, o.tsval, p.tsval);
			CHECK_EQ(row, o.wscale, p.wscale);
		}
	}
}

static const struct unit_test tests[] = {
	{"budget", test_budget}, {"impossible", test_impossible}, {"pad", test_pad},
	{"copy", test_copy},     {"set MSS", test_set_mss},       {"random", test_copy_random},
};

UNIT_MAIN("wire/writer", tests)
