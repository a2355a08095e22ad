/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.c - capture files through libpcap, with the link headers taken off.
 */
#include "io/pcap.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <pcap/sll.h>
#include <stdlib.h>
#include <string.h>

#define ETHER_BYTES 14
#define VLAN_BYTES 4
#define VLAN_DEPTH_MAX 4
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define SNAPLEN_MAX 262144

struct pcap_reader {
	pcap_t *pcap;
	int link_type;
	uint64_t not_ip;
	char name[256];
};

struct pcap_writer {
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	bool failed;
	char name[256];
};

static bool link_known(int link_type)
{
	return link_type == DLT_EN10MB || link_type == DLT_RAW || link_type == DLT_LINUX_SLL ||
	       link_type == DLT_LINUX_SLL2 || link_type == DLT_IPV4 || link_type == DLT_IPV6;
}

struct pcap_reader *pcap_reader_stream(FILE *f, const char *name, char *err, unsigned err_bytes)
{
	char why[PCAP_ERRBUF_SIZE];
	struct pcap_reader *r = calloc(1, sizeof(*r));
	pcap_t *pcap = r ? pcap_fopen_offline(f, why) : NULL;

	if (!pcap) {
		snprintf(err, err_bytes, "%s: %s", name, r ? why : "no memory");
		fclose(f);
		free(r);
		return NULL;
	}
	r->pcap = pcap;
	r->link_type = pcap_datalink(pcap);
	snprintf(r->name, sizeof(r->name), "%s", name);
	if (!link_known(r->link_type)) {
		const char *type = pcap_datalink_val_to_name(r->link_type);

		snprintf(err, err_bytes,
			 "%s: link type %s (%d) is not understood; capture on an interface of "
			 "Ethernet or raw IP, or on \"any\"",
			 name, type ? type : "unknown", r->link_type);
		pcap_reader_close(r);
		return NULL;
	}
	return r;
}

struct pcap_reader *pcap_reader_open(const char *file, char *err, unsigned err_bytes)
{
	FILE *f = fopen(file, "re");

	if (f)
		return pcap_reader_stream(f, file, err, err_bytes);
	snprintf(err, err_bytes, "%s: %s", file, strerror(errno));
	return NULL;
}

void pcap_reader_close(struct pcap_reader *r)
{
	if (!r)
		return;
	pcap_close(r->pcap);
	free(r);
}

uint64_t pcap_reader_not_ip(const struct pcap_reader *r)
{
	return r->not_ip;
}

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Length of the link header, or -1 when what follows is not IP. */
static int link_bytes(int link_type, const uint8_t *data, uint32_t len)
{
	uint32_t at = ETHER_BYTES;
	unsigned type;

	switch (link_type) {
	case DLT_LINUX_SLL:
		type = len >= SLL_HDR_LEN ? be16(data + 14) : 0;
		at = SLL_HDR_LEN;
		break;
	case DLT_LINUX_SLL2:
		type = len >= SLL2_HDR_LEN ? be16(data) : 0;
		at = SLL2_HDR_LEN;
		break;
	case DLT_EN10MB:
		type = len >= at ? be16(data + 12) : 0;
		for (int i = 0; i < VLAN_DEPTH_MAX && len >= at + VLAN_BYTES &&
				(type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ);
		     i++) {
			type = be16(data + at + 2);
			at += VLAN_BYTES;
		}
		break;
	default:
		return 0;
	}
	return type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6 ? (int)at : -1;
}

/* Length of the packet as its IP header says, or UINT32_MAX where it says nothing sensible. */
static uint32_t ip_bytes(const uint8_t *data, uint32_t len)
{
	uint32_t said = 0;

	if (len >= 20 && data[0] >> 4 == 4)
		said = be16(data + 2);
	else if (len >= 40 && data[0] >> 4 == 6 && be16(data + 4) > 0)
		said = be16(data + 4) + 40;
	return said >= 20 ? said : UINT32_MAX;
}

int pcap_reader_next(struct pcap_reader *r, struct pcap_packet *p, char *err, unsigned err_bytes)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	uint32_t have, said;
	int rc, skip;

	while ((rc = pcap_next_ex(r->pcap, &h, &data)) == 1) {
		skip = link_bytes(r->link_type, data, h->caplen);
		if (skip < 0 || (uint32_t)skip >= h->caplen) {
			r->not_ip++;
			continue;
		}
		p->time_us = (uint64_t)h->ts.tv_sec * 1000000 + (uint64_t)h->ts.tv_usec;
		p->data = data + skip;
		have = h->caplen - (uint32_t)skip;
		said = ip_bytes(p->data, have);
		p->len_bytes = said < have ? said : have;
		/* What the capture left out may have been padding only. */
		p->cut = h->caplen < h->len && said > have;
		return 1;
	}
	if (rc == PCAP_ERROR_BREAK)
		return 0;
	snprintf(err, err_bytes, "%s: %s", r->name, pcap_geterr(r->pcap));
	return -1;
}

struct pcap_writer *pcap_writer_open(const char *file, char *err, unsigned err_bytes)
{
	struct pcap_writer *w = calloc(1, sizeof(*w));

	if (!w) {
		snprintf(err, err_bytes, "%s: no memory", file);
		return NULL;
	}
	w->pcap = pcap_open_dead(DLT_RAW, SNAPLEN_MAX);
	w->dumper = w->pcap ? pcap_dump_open(w->pcap, file) : NULL;
	snprintf(w->name, sizeof(w->name), "%s", file);
	if (w->dumper)
		return w;
	snprintf(err, err_bytes, "%s", w->pcap ? pcap_geterr(w->pcap) : "no memory");
	if (w->pcap)
		pcap_close(w->pcap);
	free(w);
	return NULL;
}

void pcap_writer_add(struct pcap_writer *w, uint64_t time_us, const uint8_t *data,
		     uint32_t len_bytes)
{
	struct pcap_pkthdr h = {.caplen = len_bytes, .len = len_bytes};

	h.ts.tv_sec = (time_t)(time_us / 1000000);
	h.ts.tv_usec = (suseconds_t)(time_us % 1000000);
	pcap_dump((u_char *)w->dumper, &h, data);
	w->failed = w->failed || ferror(pcap_dump_file(w->dumper));
}

int pcap_writer_close(struct pcap_writer *w, char *err, unsigned err_bytes)
{
	int rc;

	if (!w)
		return 0;
	rc = pcap_dump_flush(w->dumper) != 0 || w->failed ? -1 : 0;
	if (rc < 0)
		snprintf(err, err_bytes, "%s: cannot write: %s", w->name, strerror(errno));
	pcap_dump_close(w->dumper);
	pcap_close(w->pcap);
	free(w);
	return rc;
}
