/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.h - capture files: IP packets out of any of the usual link types, and new files of raw IP
 * packets.
 */
#ifndef MPGATE_IO_PCAP_H
#define MPGATE_IO_PCAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct pcap_packet {
	uint64_t time_us;    /* of the capture's clock */
	const uint8_t *data; /* IP header; lives until the next call */
	uint32_t len_bytes;  /* without padding of the link */
	bool cut;            /* the capture holds only the packet's beginning */
};

struct pcap_reader;
struct pcap_writer;

/*
 * Opens a pcap or pcapng file with link type EN10MB (VLAN tags are skipped), RAW, LINUX_SLL or
 * LINUX_SLL2. Null with a sentence in `err`.
 */
struct pcap_reader *pcap_reader_open(const char *file, char *err, unsigned err_bytes);

/* The same from an open stream, which belongs to the reader then, also when it fails. */
struct pcap_reader *pcap_reader_stream(FILE *f, const char *name, char *err, unsigned err_bytes);

/*
 * The next IP packet; others are passed over and counted. 1, 0 at the end, or -1 with a sentence
 * in `err`: the file is damaged or ends in the middle of a packet.
 */
int pcap_reader_next(struct pcap_reader *r, struct pcap_packet *p, char *err, unsigned err_bytes);
uint64_t pcap_reader_not_ip(const struct pcap_reader *r);
void pcap_reader_close(struct pcap_reader *r);

/* A new file of link type RAW; one that exists is replaced. Null with a sentence in `err`. */
struct pcap_writer *pcap_writer_open(const char *file, char *err, unsigned err_bytes);
void pcap_writer_add(struct pcap_writer *w, uint64_t time_us, const uint8_t *data,
		     uint32_t len_bytes);
/* 0, or -1 with a sentence when anything of it could not be written. */
int pcap_writer_close(struct pcap_writer *w, char *err, unsigned err_bytes);

#endif
