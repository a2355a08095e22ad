/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfqueue.h - packets out of the kernel's NFQUEUE, and verdicts back.
 *
 * Use: nfqueue_open(), then whenever the descriptor is readable nfqueue_receive() a batch, one of
 * nfqueue_drop() and nfqueue_repeat() for every packet of it in their order, and nfqueue_flush()
 * after a few batches. Nothing is allocated after nfqueue_open().
 */
#ifndef MPGATE_IO_NFQUEUE_H
#define MPGATE_IO_NFQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So few that large packets' buffers stay in the processor's own cache between the two copies. */
#define NFQUEUE_BATCH 6

struct nfqueue;

/* `data` lives until the next nfqueue_receive(). */
struct nfqueue_packet {
	const uint8_t *data; /* from the IP header on; null: damaged or cut off, drop it */
	uint32_t len_bytes;
	uint32_t id;
	uint32_t mark;
	uint32_t indev, outdev; /* interface indices, 0: none */
	uint8_t hook;           /* NF_INET_PRE_ROUTING ... */
	bool csum_trusted;      /* verified by the kernel, or partial and therefore ours */
};

/*
 * Takes the queue `number` for this process. Null with a message in `err`, which tells the case
 * that another process has it.
 */
struct nfqueue *nfqueue_open(uint16_t number, char *err, unsigned err_bytes);
void nfqueue_close(struct nfqueue *q);
int nfqueue_fd(const struct nfqueue *q);

/*
 * What is there, at most NFQUEUE_BATCH, without waiting; their number (0: nothing), or -errno.
 * -ENOBUFS never comes: packets that the socket had no room for are lost as on any wire.
 */
int nfqueue_receive(struct nfqueue *q, struct nfqueue_packet *packets);

/* Drops are collected: one message for all of them, at nfqueue_flush(). */
void nfqueue_drop(struct nfqueue *q, const struct nfqueue_packet *packet);

/* Through the chain of the same table once more, with this mark; with other bytes when `bytes` is
 * not null.
 */
void nfqueue_repeat(struct nfqueue *q, const struct nfqueue_packet *packet, uint32_t mark,
		    const uint8_t *bytes, size_t n_bytes);

void nfqueue_flush(struct nfqueue *q);

/* Verdicts that the kernel refused to take, since the start. */
uint64_t nfqueue_failures(const struct nfqueue *q);

#endif
