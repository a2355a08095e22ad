/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link_port.c - packet sockets and the pool of frames of the link emulator. The interfaces that
 * send into a link do not segment in hardware (`ethtool -K DEV tso off`), so a frame is one
 * segment; checksums may be left to do, the virtio header says so from one end to the other.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "link_port.h"
#include "program.h"

#define SLOTS 65536
#define HEADER_BYTES ((unsigned)sizeof(struct virtio_net_hdr))
#define SLOT_BYTES (PORT_FRAME_BYTES + HEADER_BYTES + 14)
#define SOCKET_BYTES (64 << 20)
#define CONTROL_BYTES 64
#define LATE_MAX_NS 200000000ull /* a time stamp older than that is a clock that was set */

/* A stack, so that the slots in use stay few and warm; untouched ones cost no memory. */
static uint8_t *slots;
static uint32_t free_slots[SLOTS], n_free;

void port_pool_init(void)
{
	slots = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slots == MAP_FAILED)
		program_fail("link: memory");
	while (n_free < SLOTS) {
		free_slots[n_free] = SLOTS - 1 - n_free;
		n_free++;
	}
}

void port_slot_put(uint32_t slot)
{
	free_slots[n_free++] = slot;
}

static uint8_t *slot_at(uint32_t slot)
{
	return slots + (size_t)slot * SLOT_BYTES;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

uint64_t port_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static void set(int fd, int level, int name, int value, const char *text)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		program_fail(text);
}

void port_open(struct port *p, const char *interface)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};

	memset(p, 0, sizeof(*p));
	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		program_fail("link: packet socket");
	address.sll_ifindex = (int)if_nametoindex(interface);
	if (!address.sll_ifindex)
		program_fail(interface);
	set(p->fd, SOL_PACKET, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
	set(p->fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS");
	set(p->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
	set(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
	set(p->fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BYTES, "SO_RCVBUFFORCE");
	set(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BYTES, "SO_SNDBUFFORCE");
	address.sll_protocol = htons(ETH_P_ALL);
	if (bind(p->fd, (struct sockaddr *)&address, sizeof(address)))
		program_fail(interface);
}

/* When the kernel had the frame, however late we come to fetch it. */
static uint64_t arrival_ns(struct msghdr *m, uint64_t now_ns, uint64_t real_ns)
{
	struct cmsghdr *c;
	struct timespec t;
	uint64_t stamp_ns;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		stamp_ns = t.tv_sec * 1000000000ull + t.tv_nsec;
		if (stamp_ns <= real_ns && real_ns - stamp_ns < LATE_MAX_NS)
			return now_ns - (real_ns - stamp_ns);
	}
	return now_ns;
}

unsigned port_receive(struct port *p, struct port_frame *frames)
{
	static char control[PORT_BATCH][CONTROL_BYTES];
	static struct mmsghdr m[PORT_BATCH];
	static struct iovec iov[PORT_BATCH];
	unsigned n = n_free < PORT_BATCH ? n_free : PORT_BATCH, i, kept = 0;
	uint64_t real_ns, now_ns;
	int got;

	for (i = 0; i < n; i++) {
		iov[i].iov_base = slot_at(free_slots[n_free - 1 - i]);
		iov[i].iov_len = SLOT_BYTES;
		m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i],
					       .msg_iovlen = 1,
					       .msg_control = control[i],
					       .msg_controllen = CONTROL_BYTES};
	}
	got = recvmmsg(p->fd, m, n, MSG_DONTWAIT, NULL);
	if (got <= 0)
		return 0;
	real_ns = clock_ns(CLOCK_REALTIME);
	now_ns = port_now_ns();
	for (i = 0; i < (unsigned)got; i++) {
		uint32_t slot = free_slots[n_free - 1 - i];

		if (m[i].msg_hdr.msg_flags & MSG_TRUNC || m[i].msg_len <= HEADER_BYTES) {
			p->too_long++;
			continue;
		}
		/* the slots that are kept come to the top of the stack */
		free_slots[n_free - 1 - i] = free_slots[n_free - 1 - kept];
		frames[kept].slot = slot;
		frames[kept].len_bytes = m[i].msg_len - HEADER_BYTES;
		frames[kept++].arrived_ns = arrival_ns(&m[i].msg_hdr, now_ns, real_ns);
	}
	n_free -= kept;
	return kept;
}

void port_send(struct port *p, const struct port_frame *frames, unsigned n)
{
	static struct mmsghdr m[PORT_BATCH];
	static struct iovec iov[PORT_BATCH];
	unsigned i, done = 0;

	for (i = 0; i < n; i++) {
		iov[i].iov_base = slot_at(frames[i].slot);
		iov[i].iov_len = frames[i].len_bytes + HEADER_BYTES;
		m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	while (done < n) {
		int sent = sendmmsg(p->fd, m + done, n - done, MSG_DONTWAIT);

		if (sent > 0) {
			done += sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		p->refused++; /* the interface is down, or its queue is full: so be it */
		done++;
	}
	for (i = n; i-- > 0;)
		port_slot_put(frames[i].slot);
}

void port_statistics(struct port *p)
{
	struct tpacket_stats s;
	socklen_t len = sizeof(s);

	if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0)
		p->overrun += s.tp_drops;
}
