// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tun.c - see tun.h.
 */
#include "io/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define TCP_CHECKSUM_OFFSET 16
#define TCP_FLAGS_OFFSET 13
#define TCP_CWR 0x80
#define CPUS_MAX 1024

struct setting {
	const char *family, *name, *value;
};

/*
 * What the routed road needs of the device (redirected packets do not come by here): sources that
 * are the gate's own addresses, packets for which the device is not the way back, forwarding.
 * And silence: no address, no router solicitation, no duplicate address detection.
 */
static const struct setting settings[] = {
	{"ipv4", "accept_local", "1"}, {"ipv4", "rp_filter", "0"},
	{"ipv4", "forwarding", "1"},   {"ipv4", "send_redirects", "0"},
	{"ipv6", "accept_ra", "0"},    {"ipv6", "addr_gen_mode", "1"},
	{"ipv6", "accept_dad", "0"},   {"ipv6", "forwarding", "1"},
};

/* A setting that this kernel does not have is none that could be wrong. */
static int set(const char *device, const struct setting *s)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", s->family, device, s->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = write(fd, s->value, strlen(s->value));
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? (int)n : 0;
}

static int bring_up(const char *name)
{
	struct ifreq req = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	/* Super-segments are taken whatever the MTU; it bounds what the routed road lets through.
	 */
	req.ifr_mtu = 65535;
	if (ioctl(fd, SIOCSIFMTU, &req) < 0)
		err = -errno;
	req.ifr_flags = IFF_UP | IFF_NOARP;
	if (!err && ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int create(struct tun *tun, const char *name, const char **step)
{
	struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	int header_bytes = sizeof(struct virtio_net_hdr), err;

	*step = "open /dev/net/tun";
	tun->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun->fd < 0)
		return -errno;
	*step = "create";
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(tun->fd, TUNSETIFF, &req) < 0)
		return -errno;
	*step = "set the header's size";
	if (ioctl(tun->fd, TUNSETVNETHDRSZ, &header_bytes) < 0)
		return -errno;
	snprintf(tun->name, sizeof(tun->name), "%s", name);
	tun->index = if_nametoindex(name);
	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		*step = settings[i].name;
		err = set(name, &settings[i]);
		if (err)
			return err;
	}
	*step = "bring up";
	return bring_up(name);
}

int tun_open(struct tun *tun, const char *name, char *err, unsigned err_bytes)
{
	const char *step, *hint = "";
	int error;

	memset(tun, 0, sizeof(*tun));
	tun->fd = -1;
	error = create(tun, name, &step);
	if (!error)
		return 0;
	if (error == -EBUSY)
		hint = ": the name is in use, by another mpgate or by a device of the host's";
	else if (error == -ENOENT || error == -ENODEV)
		hint = ": the kernel lacks TUN; try `modprobe tun`";
	else if (error == -EPERM || error == -EACCES)
		hint = ": mpgate needs root (CAP_NET_ADMIN)";
	snprintf(err, err_bytes, "TUN device %s, %s: %s%s", name, step, strerror(-error), hint);
	tun_close(tun);
	return error;
}

void tun_close(struct tun *tun)
{
	if (tun->fd >= 0)
		close(tun->fd);
	tun->fd = -1;
}

/* writev() takes pointers to what it does not change. */
static void *readable(const void *p)
{
	void *q;

	memcpy(&q, &p, sizeof(q));
	return q;
}

int tun_write(const struct tun *tun, const struct engine_out *out)
{
	struct virtio_net_hdr header = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	struct iovec iov[3] = {
		{&header, sizeof(header)},
		{readable(out->hdr), out->hdr_bytes},
		{readable(out->payload), out->payload_bytes},
	};

	if (!out->whole) {
		header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.csum_start = out->ip_bytes;
		header.csum_offset = TCP_CHECKSUM_OFFSET;
		if (out->payload_bytes > out->gso_size_bytes && out->gso_size_bytes > 0) {
			header.gso_type = out->hdr[0] >> 4 == FLOW_IPV4 ? VIRTIO_NET_HDR_GSO_TCPV4
									: VIRTIO_NET_HDR_GSO_TCPV6;
			/* CWR belongs on the first piece only (RFC 3168 section 6.1.2). */
			if (out->hdr[out->ip_bytes + TCP_FLAGS_OFFSET] & TCP_CWR)
				header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
			header.gso_size = out->gso_size_bytes;
			header.hdr_len = out->hdr_bytes;
		}
	}
	if (writev(tun->fd, iov, out->payload_bytes ? 3 : 2) < 0)
		return -errno;
	return 0;
}

int tun_spread(const struct tun *tun, unsigned but, unsigned n_cpus)
{
	char path[128], mask[CPUS_MAX / 4 + CPUS_MAX / 32 + 1];
	unsigned words = (n_cpus + 31) / 32;
	size_t n = 0;
	int fd, err = 0;

	if (tun->fd < 0 || n_cpus < 2 || n_cpus > CPUS_MAX)
		return 0;
	/* Words of 32 bits, the highest first. */
	for (unsigned w = words; w-- > 0;) {
		unsigned bits = n_cpus - w * 32;
		uint32_t word = bits >= 32 ? UINT32_MAX : (1U << bits) - 1;

		if (but / 32 == w)
			word &= ~(1U << but % 32);
		n += (size_t)snprintf(mask + n, sizeof(mask) - n, w ? "%08x," : "%08x", word);
	}
	snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-0/rps_cpus", tun->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, mask, n) < 0)
		err = -errno;
	close(fd);
	return err;
}

void tun_drain(const struct tun *tun)
{
	char packet[2048];

	while (read(tun->fd, packet, sizeof(packet)) > 0)
		;
}
