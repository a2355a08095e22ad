/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pcap.c - capture files: every link type that is understood, the one that is not, packets
 * that are padded, cut, or no IP, damaged files, and what the writer wrote.
 */
#include <pcap/pcap.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/pcap.h"
#include "unit.h"

static char file[] = "/tmp/test_pcap.XXXXXX";
static char err[512];

/* An IPv4 header that says 24 bytes, with four bytes behind it. */
static const uint8_t ipv4[24] = {0x45, 0, 0, 24, 0,  1, 0, 0, 64,   17,   0,    0,
				 10,   0, 0, 1,  10, 0, 0, 2, 0xaa, 0xbb, 0xcc, 0xdd};

/* An IPv6 header that says 4 bytes of payload. */
static const uint8_t ipv6[44] = {0x60, 0,        0,           0,        0,    4,    17,   64,
				 0xfd, [23] = 1, [24] = 0xfd, [39] = 2, 0xaa, 0xbb, 0xcc, 0xdd};

/* Writes one record of `head` and `body`, of which `missing` last bytes are cut by the snaplen. */
static void make(int link, const char *head_hex, const uint8_t *body, uint32_t body_bytes,
		 uint32_t pad, uint32_t missing)
{
	pcap_t *pcap = pcap_open_dead(link, 65535);
	pcap_dumper_t *dump = pcap_dump_open(pcap, file);
	struct pcap_pkthdr h = {.ts = {.tv_sec = 1000, .tv_usec = 7}};
	uint8_t buf[256] = {0};
	unsigned n = unit_hex(buf, sizeof(buf), head_hex);

	CU_ASSERT_PTR_NOT_NULL_FATAL(dump);
	memcpy(buf + n, body, body_bytes);
	h.len = n + body_bytes + pad;
	h.caplen = h.len - missing;
	pcap_dump((u_char *)dump, &h, buf);
	pcap_dump_close(dump);
	pcap_close(pcap);
}

#define MACS "020000000001020000000002"

static void test_links(void)
{
	static const struct {
		int link;
		const char *head;
		bool v6;
		uint32_t pad;
	} rows[] = {
		{DLT_EN10MB, MACS "0800", false, 0},
		{DLT_EN10MB, MACS "0800", false, 22}, /* padded to 60 bytes */
		{DLT_EN10MB, MACS "86dd", true, 2},
		{DLT_EN10MB, MACS "8100 0005 0800", false, 0},
		{DLT_EN10MB, MACS "88a8 0005 8100 0006 86dd", true, 0},
		{DLT_RAW, "", false, 0},
		{DLT_RAW, "", true, 0},
		{DLT_LINUX_SLL, "0000 0001 0006 020000000001 0000 0800", false, 0},
		{DLT_LINUX_SLL2, "86dd 0000 00000002 0001 00 06 0200000000010000", true, 0},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint8_t *body = rows[i].v6 ? ipv6 : ipv4;
		uint32_t n = rows[i].v6 ? sizeof(ipv6) : sizeof(ipv4);
		struct pcap_packet p = {0};
		struct pcap_reader *r;

		make(rows[i].link, rows[i].head, body, n, rows[i].pad, 0);
		r = pcap_reader_open(file, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CHECK_EQ(i, pcap_reader_next(r, &p, err, sizeof(err)), 1);
		CHECK_EQ(i, p.len_bytes, n);
		CHECK_EQ(i, p.time_us, 1000000007);
		CHECK_ROW(i, !p.cut);
		CHECK_ROW(i, p.data && memcmp(p.data, body, n) == 0);
		CHECK_EQ(i, pcap_reader_next(r, &p, err, sizeof(err)), 0);
		CHECK_EQ(i, pcap_reader_not_ip(r), 0);
		pcap_reader_close(r);
	}
}

static void test_not_ip(void)
{
	static const struct {
		int link;
		const char *head;
		uint32_t missing;
	} rows[] = {
		{DLT_EN10MB, MACS "0806", 0},     /* ARP */
		{DLT_EN10MB, MACS "0800", 24},    /* nothing behind the link header */
		{DLT_EN10MB, MACS "0800", 30},    /* cut within the link header */
		{DLT_EN10MB, MACS "8100 00", 24}, /* within the tag */
		{DLT_LINUX_SLL, "0000 0001 0006 020000000001 0000 0806", 0},
		{DLT_LINUX_SLL2, "86dd 0000", 24}, /* within its header */
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pcap_packet p;
		struct pcap_reader *r;

		make(rows[i].link, rows[i].head, ipv4, sizeof(ipv4), 0, rows[i].missing);
		r = pcap_reader_open(file, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CHECK_EQ(i, pcap_reader_next(r, &p, err, sizeof(err)), 0);
		CHECK_EQ(i, pcap_reader_not_ip(r), 1);
		pcap_reader_close(r);
	}
}

/* Cut packets say so; those whose missing bytes were padding are whole. */
static void test_cut(void)
{
	static const struct {
		uint32_t pad, missing, len;
		bool cut;
	} rows[] = {{0, 1, 23, true}, {10, 10, 24, false}, {10, 5, 24, false}, {0, 20, 4, true}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pcap_packet p = {0};
		struct pcap_reader *r;

		make(DLT_EN10MB, MACS "0800", ipv4, sizeof(ipv4), rows[i].pad, rows[i].missing);
		r = pcap_reader_open(file, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CHECK_EQ(i, pcap_reader_next(r, &p, err, sizeof(err)), 1);
		CHECK_EQ(i, p.len_bytes, rows[i].len);
		CHECK_EQ(i, p.cut, rows[i].cut);
		pcap_reader_close(r);
	}
}

static void test_bad_files(void)
{
	struct pcap_packet p;
	struct pcap_reader *r;
	char want[256];

	CU_ASSERT_PTR_NULL(pcap_reader_open("/nonexistent", err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "/nonexistent: No such file or directory");
	CU_ASSERT_EQUAL(truncate(file, 0), 0);
	CU_ASSERT_PTR_NULL(pcap_reader_open(file, err, sizeof(err)));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "truncated"));
	make(DLT_IEEE802_11, "", ipv4, sizeof(ipv4), 0, 0);
	CU_ASSERT_PTR_NULL(pcap_reader_open(file, err, sizeof(err)));
	snprintf(want, sizeof(want),
		 "%s: link type IEEE802_11 (105) is not understood; capture on an interface of "
		 "Ethernet or raw IP, or on \"any\"",
		 file);
	CU_ASSERT_STRING_EQUAL(err, want);
	/* The file ends within the packet, then within its record header. */
	for (unsigned cut = 1; cut <= 30; cut += 29) {
		make(DLT_RAW, "", ipv4, sizeof(ipv4), 0, 0);
		CU_ASSERT_EQUAL(truncate(file, 24 + 16 + 24 - (off_t)cut), 0);
		r = pcap_reader_open(file, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		err[0] = '\0';
		CHECK_EQ(cut, pcap_reader_next(r, &p, err, sizeof(err)), -1);
		CHECK_ROW(cut, strstr(err, "truncated dump file") != NULL);
		CHECK_ROW(cut, strncmp(err, file, strlen(file)) == 0);
		pcap_reader_close(r);
	}
}

static void test_writer(void)
{
	struct pcap_writer *w = pcap_writer_open(file, err, sizeof(err));
	struct pcap_packet p;
	struct pcap_reader *r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	pcap_writer_add(w, 5000000000001, ipv4, sizeof(ipv4));
	pcap_writer_add(w, 5000000000002, ipv6, sizeof(ipv6));
	CU_ASSERT_EQUAL(pcap_writer_close(w, err, sizeof(err)), 0);
	r = pcap_reader_open(file, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	/* The format's seconds have 32 bits: 5000000 s fit. */
	CU_ASSERT_EQUAL(pcap_reader_next(r, &p, err, sizeof(err)), 1);
	CU_ASSERT_EQUAL(p.time_us, 5000000000001);
	CU_ASSERT_EQUAL(memcmp(p.data, ipv4, sizeof(ipv4)), 0);
	CU_ASSERT_EQUAL(pcap_reader_next(r, &p, err, sizeof(err)), 1);
	CU_ASSERT_EQUAL(p.time_us, 5000000000002);
	CU_ASSERT_EQUAL(p.len_bytes, sizeof(ipv6));
	CU_ASSERT_EQUAL(pcap_reader_next(r, &p, err, sizeof(err)), 0);
	pcap_reader_close(r);
	CU_ASSERT_PTR_NULL(pcap_writer_open("/nonexistent/x", err, sizeof(err)));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "No such file or directory"));
	/* A full disk is noticed at the latest at the end. */
	w = pcap_writer_open("/dev/full", err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	for (unsigned i = 0; i < 1000; i++)
		pcap_writer_add(w, 1, ipv4, sizeof(ipv4));
	CU_ASSERT_EQUAL(pcap_writer_close(w, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "/dev/full: cannot write"));
	CU_ASSERT_EQUAL(pcap_writer_close(NULL, err, sizeof(err)), 0);
}

static const struct unit_test tests[] = {
	{"link types", test_links},    {"not IP", test_not_ip}, {"cut packets", test_cut},
	{"bad files", test_bad_files}, {"writer", test_writer},
};

int main(void)
{
	int fd = mkstemp(file), rc;

	if (fd < 0)
		return 1;
	close(fd);
	rc = unit_main("pcap", tests, sizeof(tests) / sizeof(tests[0]));
	unlink(file);
	return rc;
}
