/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_captures.c - option fields as they were seen between Linux hosts that speak MPTCP
 * (some from a hand-made client), with what an independent dissector (tshark) reads in them; DSS
 * checksums, which it does not show, were read by hand.
 */
#include "mptcp_text.h"

enum { SYN = 1, ACK = 2, DATA = 4 };

struct row {
	unsigned flags;
	const char *hex, *want;
};

static const struct row rows[] = {
	/* 0, SYN */
	{SYN, "020405b40402080a0d69d08a000000000103030a1e040101",
	 "mss=1460 ws=10 sackok ts=225038474,0 capable v1 flags=01"},
	/* 1, SYN/ACK */
	{SYN | ACK, "020405b40402080a29b576090d69d08a0103030a1e0c0101fbe3d8021ba58b54",
	 "mss=1460 ws=10 sackok ts=699758089,225038474 capable v1 flags=01 "
	 "from=fbe3d8021ba58b54"},
	/* 2, third ACK */
	{ACK, "0101080a0d69d09429b576091e1401010fbc23aa6af35ac6fbe3d8021ba58b54",
	 "ts=225038484,699758089 capable v1 flags=01 from=0fbc23aa6af35ac6 to=fbe3d8021ba58b54"},
	/* 3, first data */
	{ACK | DATA, "0101080a0d69d09a29b576091e1601010fbc23aa6af35ac6fbe3d8021ba58b5400640101",
	 "ts=225038490,699758089 capable v1 flags=01 from=0fbc23aa6af35ac6 "
	 "to=fbe3d8021ba58b54 len=100"},
	/* 4, DATA_ACK */
	{ACK, "0101080a29b576190d69d09a1e0c20037ee3a71329d545e3",
	 "ts=699758105,225038490 dss ack64=7ee3a71329d545e3"},
	/* 5, data and DATA_ACK */
	{ACK | DATA,
	 "0101080a29b576190d69d09a1e1a200f7ee3a71329d545e37207a235b1b00f4e0000000103e80101",
	 "ts=699758105,225038490 dss ack64=7ee3a71329d545e3 dsn64=7207a235b1b00f4e ssn=1 "
	 "len=1000"},
	/* 6, DATA_FIN alone */
	{ACK, "0101080a0d69d0a429b576191e1a201f7207a235b1b013367ee3a71329d545e30000000000010101",
	 "ts=225038500,699758105 dss ack64=7207a235b1b01336 dsn64=7ee3a71329d545e3 ssn=0 "
	 "len=1 fin"},
	/* 7, a subflow's FIN */
	{ACK, "0101080a0d69d0af29b576241e0c20037207a235b1b01337",
	 "ts=225038511,699758116 dss ack64=7207a235b1b01337"},
	/* 8, join */
	{SYN, "020405b40402080a09739804000000000103030a1e0c100169e68e2a295c7b73",
	 "mss=1460 ws=10 sackok ts=158570500,0 join syn id=1 token=69e68e2a nonce=295c7b73"},
	/* 9 */
	{SYN | ACK, "020405b40402080a6b04e1a0097398040103030a1e101000b60b7d10ce630f3b4815c16d",
	 "mss=1460 ws=10 sackok ts=1795482016,158570500 join synack id=0 nonce=4815c16d "
	 "hmac=b60b7d10ce630f3b"},
	/* 10 */
	{ACK, "0101080a0973980e6b04e1a01e1810008818b36217ae25448f31f7ca7af34489fdb5b536",
	 "ts=158570510,1795482016 join ack hmac=8818b36217ae25448f31f7ca7af34489fdb5b536"},
	/* 11, a mapping longer than its segment */
	{ACK | DATA,
	 "0101080af8fe36c8c544444d1e1a200fc17719dca90cf115a235f6ed912610620000006575300101",
	 "ts=4177409736,3309585485 dss ack64=c17719dca90cf115 dsn64=a235f6ed91261062 ssn=101 "
	 "len=30000"},
	/* 12, timestamps alone */
	{ACK, "0101080a097398ab6b04e23d", "ts=158570667,1795482173"},
	/* 13, join as backup */
	{SYN, "020405b40402080a650e3c40000000000103030a1e0c1101d41c8dc678528429",
	 "mss=1460 ws=10 sackok ts=1695431744,0 join syn id=1 backup token=d41c8dc6 "
	 "nonce=78528429"},
	/* 14, ADD_ADDR */
	{ACK, "0101080a38f4b535b0ee2ab51e1030010a4e090a94a63b72c257b635",
	 "ts=955561269,2968398517 add id=1 addr=0a4e090a hmac=94a63b72c257b635"},
	/* 15, its echo */
	{ACK, "0101080ab0ee2abf38f4b5351e0831010a4e090a",
	 "ts=2968398527,955561269 add-echo id=1 addr=0a4e090a"},
	/* 16, with port */
	{ACK, "0101080aa23837bc0654d95e1e1230010a4e090a1e61af92f4581a57b6b60101",
	 "ts=2721593276,106223966 add id=1 addr=0a4e090a port=7777 hmac=af92f4581a57b6b6"},
	/* 17 */
	{ACK, "0101080a0654d968a23837bc1e0a31010a4e090a1e610101",
	 "ts=106223976,2721593276 add-echo id=1 addr=0a4e090a port=7777"},
	/* 18, a 32-bit DATA_ACK */
	{ACK | DATA, "0101080ab0ee2ad338f4b5351e16200dc97621eb5292147ffd85ed100000000100640101",
	 "ts=2968398547,955561269 dss ack32=c97621eb dsn64=5292147ffd85ed10 ssn=1 len=100"},
	/* 19 */
	{ACK, "0101080abeb1c206a1b3bd751e16201dc8f37647b5b6916d47ce9e170000000000010101",
	 "ts=3199320582,2712911221 dss ack32=c8f37647 dsn64=b5b6916d47ce9e17 ssn=0 len=1 fin"},
	/* 20, MP_PRIO */
	{ACK, "0101080a59ca3feb39687d641e0c2003a5f91a0860f1443e1e035101",
	 "ts=1506426859,963149156 dss ack64=a5f91a0860f1443e prio=1"},
	/* 21, REMOVE_ADDR */
	{ACK, "0101080a0755d3600d40c8f21e0c2003fd0bab0b94c3248a1e044005",
	 "ts=123065184,222349554 dss ack64=fd0bab0b94c3248a remove=05"},
	/* 22, of the first address */
	{ACK, "0101080a0a705b584dd7dcbb1e0c20035a104773f7baae4a1e044000",
	 "ts=175135576,1305992379 dss ack64=5a104773f7baae4a remove=00"},
	/* 23, first data with checksum */
	{ACK | DATA, "0101080ac50a8c7639321fe81e180181a53215e1cdcee9e0f6a2067408d8437500652714",
	 "ts=3305802870,959586280 capable v1 flags=81 from=a53215e1cdcee9e0 "
	 "to=f6a2067408d84375 len=101 csum=2714"},
	/* 24 */
	{ACK | DATA, "0101080a2295e05f9c08d5e91e1801818bc3069ec2b96adeb4636bc8baeff1d50065e44c",
	 "ts=580247647,2617824745 capable v1 flags=81 from=8bc3069ec2b96ade "
	 "to=b4636bc8baeff1d5 len=101 csum=e44c"},
	/* 25, MP_FASTCLOSE */
	{ACK, "0101080ad9e18beeb99e47b31e0c70003ee01abb3422b5501e048000",
	 "ts=3655437294,3114158003 fastclose=3ee01abb3422b550 rst=0"},
	/* 26, MP_CAPABLE replaced by NOPs */
	{SYN, "020405b40402080a13a8f8b9000000000103030a1e040101",
	 "mss=1460 ws=10 sackok ts=329840825,0 capable v1 flags=01"},
	/* 27, plain TCP */
	{ACK | DATA, "0101080a13a8f8c8d99d3df7", "ts=329840840,3650960887"},
	/* 28, a refusal, T not set */
	{0, "1e048003", "rst=3"},
	/* 29 */
	{ACK, "0101080a7c7667b3946098961e048000", "ts=2088134579,2489358486 rst=0"},
	/* 30, the server speaks first */
	{ACK | DATA, "0101080a51c11e23f110111c1e16200db9ec3758f99f458978298a8c00000001000b0101",
	 "ts=1371610659,4044362012 dss ack32=b9ec3758 dsn64=f99f458978298a8c ssn=1 len=11"},
	/* 31, a super-segment */
	{ACK | DATA,
	 "0101080a223b5f04356d81b41e1a200fcedaab5c00fb058b480669648d078b01000146e9ff280101",
	 "ts=574316292,896369076 dss ack64=cedaab5c00fb058b dsn64=480669648d078b01 ssn=83689 "
	 "len=65320"},
	/* 32, all in 32 bits */
	{ACK | DATA, "0101080a000003ecde16af801e122005a6f5608b6813840f0000006500c80101",
	 "ts=1004,3726028672 dss ack32=a6f5608b dsn32=6813840f ssn=101 len=200"},
	/* 33 */
	{ACK, "0101080ade16afbd000003ec1e082001681384d7", "ts=3726028733,1004 dss ack32=681384d7"},
	/* 34 */
	{ACK | DATA, "0101080ade16afef000003ec1e16200d681384d7607b8d97a6f5608b000000010bb80101",
	 "ts=3726028783,1004 dss ack32=681384d7 dsn64=607b8d97a6f5608b ssn=1 len=3000"},
	/* 35, SACK beside DATA_ACK */
	{ACK, "0101080ad2c0a112000003ee0101050ad6186c5dd61870451e0c20039b3b0e7f6cb3ab3d",
	 "ts=3535839506,1006 sack=3591924829-3591925829 dss ack64=9b3b0e7f6cb3ab3d"},
	/* 36, a mapping without DATA_ACK */
	{ACK | DATA, "0101080a000003eceace034e1e12200ccbcc90246bd4ebc50000000b00640101",
	 "ts=1004,3939369806 dss dsn64=cbcc90246bd4ebc5 ssn=11 len=100"},
	/* 37, unknown token */
	{ACK, "1e048001", "rst=1"},
	/* 38, a join with a false HMAC */
	{ACK, "0101080a000003eac5ac67821e1810000000000000000000000000000000000000000000",
	 "ts=1002,3316410242 join ack hmac=0000000000000000000000000000000000000000"},
	/* 39, DATA_FIN on a FIN */
	{ACK, "0101080a000003ec02ad00221e1a201fcca885440bb811504080656889047e480000000000010101",
	 "ts=1004,44892194 dss ack64=cca885440bb81150 dsn64=4080656889047e48 ssn=0 len=1 fin"},
	/* 40, checksum asked for */
	{SYN, "020405b40402080ac50a8c65000000000103030a1e040181",
	 "mss=1460 ws=10 sackok ts=3305802853,0 capable v1 flags=81"},
	/* 41, data with checksum */
	{ACK | DATA,
	 "0101080a39321ffec50a8c761e1c200f11c45dd65a363da60de569a5b4f962f00000000100645ab3",
	 "ts=959586302,3305802870 dss ack64=11c45dd65a363da6 dsn64=0de569a5b4f962f0 ssn=1 "
	 "len=100 csum=5ab3"},
	/* 42, DATA_FIN with checksum */
	{ACK, "0101080ac50a8d253932209c1e1c201f0de569a5b4f9b17411c45dd65a368bc7000000000001aa66",
	 "ts=3305803045,959586460 dss ack64=0de569a5b4f9b174 dsn64=11c45dd65a368bc7 ssn=0 "
	 "len=1 fin csum=aa66"},
	/* 43, MP_PRIO back */
	{ACK, "0101080a59ca3feb39687d641e0c2003a5f91a0860f157c61e035001",
	 "ts=1506426859,963149156 dss ack64=a5f91a0860f157c6 prio=0"},
	/* 44, the SYN/ACK stripped */
	{SYN | ACK, "020405b40402080a1d7e0b33e86539b90103030a1e0c010129a6c6713c8c4d63",
	 "mss=1460 ws=10 sackok ts=494799667,3898948025 capable v1 flags=01 "
	 "from=29a6c6713c8c4d63"},
	/* 45, no joins to this address */
	{SYN | ACK, "020405b40402080a6d6fa9bef0027dc50103030a1e0c01211732cf7c21b7988f",
	 "mss=1460 ws=10 sackok ts=1836034494,4026695109 capable v1 flags=21 "
	 "from=1732cf7c21b7988f"},
	/* 46, only the server asks for checksums */
	{SYN | ACK, "020405b40402080a3cbdd176c366fef60103030a1e0c01815c3a35b49c606248",
	 "mss=1460 ws=10 sackok ts=1019072886,3278307062 capable v1 flags=81 "
	 "from=5c3a35b49c606248"},
};

static void options_text(struct text *t, const struct options *o)
{
	struct text mptcp;

	t->n = 0;
	t->s[0] = 0;
	if (o->has_mss)
		text_add(t, " mss=%u", o->mss);
	if (o->has_wscale)
		text_add(t, " ws=%u", o->wscale);
	if (o->has_sack_permitted)
		text_add(t, " sackok");
	if (o->has_timestamps)
		text_add(t, " ts=%u,%u", o->tsval, o->tsecr);
	for (unsigned i = 0; i < o->n_sack; i++)
		text_add(t, " sack=%u-%u", o->sack[i].start, o->sack[i].end);
	if (o->has_fastopen || o->has_md5 || o->has_ao)
		text_add(t, " other");
	if (o->overrun)
		text_add(t, " overrun");
	mptcp_text(&mptcp, &o->mp);
	text_add(t, "%s", mptcp.s);
}

static void test_decode(void)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t buf[OPTIONS_MAX];
		unsigned n = unit_hex(buf, sizeof(buf), rows[i].hex), flags = rows[i].flags;
		struct options o;
		struct text t;

		options_decode(&o, buf, n, flags & SYN, flags & ACK, flags & DATA);
		options_text(&t, &o);
		CHECK_TEXT(i, t.s, rows[i].want);
	}
}

/* Writes what the writer has functions for, in the order in which Linux sends it. */
static void encode(struct options_writer *w, const struct options *o)
{
	const struct mptcp *m = &o->mp;
	bool ok = true;

	if (o->has_timestamps)
		ok &= options_put_timestamps(w, o->tsval, o->tsecr);
	ok &= options_put_sack(w, o->sack, o->n_sack);
	if (m->has_capable)
		ok &= mp_capable_encode(w, &m->capable);
	if (m->has_join)
		ok &= mp_join_encode(w, &m->join);
	if (m->has_dss)
		ok &= dss_encode(w, &m->dss);
	if (m->has_add_addr)
		ok &= add_addr_encode(w, &m->add_addr);
	if (m->has_remove_addr)
		ok &= remove_addr_encode(w, &m->remove_addr);
	if (m->has_prio)
		ok &= mp_prio_encode(w, &m->prio);
	if (m->has_fastclose)
		ok &= mp_fastclose_encode(w, m->fastclose_key);
	if (m->has_tcprst)
		ok &= mp_tcprst_encode(w, &m->tcprst);
	CU_ASSERT(ok);
}

/* Our bytes are Linux's bytes. SYNs, whose order of options is their sender's, are copied. */
static void test_encode(void)
{
	static const uint8_t without[] = {TCPOPT_MPTCP, 0};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t buf[OPTIONS_MAX];
		unsigned n = unit_hex(buf, sizeof(buf), rows[i].hex), flags = rows[i].flags;
		struct options_writer w = {0};
		struct options o;

		options_decode(&o, buf, n, flags & SYN, flags & ACK, flags & DATA);
		if (flags & SYN) {
			CHECK_ROW(i, options_copy(&w, buf, n, without));
			o.has_timestamps = false;
		}
		encode(&w, &o);
		CHECK_EQ(i, w.len_bytes, n);
		CHECK_ROW(i, memcmp(w.buf, buf, n) == 0);
	}
}

static const struct unit_test tests[] = {
	{"decode", test_decode},
	{"encode", test_encode},
};

UNIT_MAIN("wire/captures", tests)
