/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfer_conn.c - one connection of the data mover: sends its pattern, checks the peer's, ends as
 * the options say.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "mptcp_socket.h"
#include "xfer.h"

static uint8_t block[XFER_BLOCK_BYTES], expected[XFER_BLOCK_BYTES];

static uint64_t word_at(uint64_t seed, uint64_t index)
{
	uint64_t z = (index + 1) * 0x9e3779b97f4a7c15 + seed * 0xd1342543de82ef95;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	return z ^ (z >> 31);
}

void pattern_fill(uint8_t *to, uint64_t seed, uint64_t offset, unsigned n_bytes)
{
	while (n_bytes) {
		uint64_t word = word_at(seed, offset / 8);

		if (offset % 8 == 0 && n_bytes >= 8) {
			memcpy(to, &word, 8);
			to += 8;
			offset += 8;
			n_bytes -= 8;
			continue;
		}
		*to++ = word >> (offset++ % 8 * 8);
		n_bytes--;
	}
}

/* Each direction has its own pattern. */
static uint64_t own_seed(const struct xfer_opts *o)
{
	return o->seed * 2 + o->server;
}

void conn_start(struct xfer_conn *c, int fd, const struct xfer_opts *o)
{
	int one = 1, two = 2;

	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->state = o->server ? XFER_OPEN : XFER_CONNECTING;
	c->bad_offset = XFER_NEVER;
	c->start_us = xfer_now_us();
	sha256_init(&c->sent_sha);
	sha256_init(&c->received_sha);
	if (o->nodelay || o->echo)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (o->keepalive) {
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &two, sizeof(two));
	}
	if (o->server)
		c->was_mptcp = mptcp_socket_speaks(fd);
}

static void count_error(struct xfer_result *r, const char *name)
{
	unsigned i;

	for (i = 0; i < r->n_errors; i++) {
		if (strcmp(r->error[i].name, name) == 0)
			break;
	}
	if (i == XFER_ERRORS_MAX)
		return;
	if (i == r->n_errors)
		snprintf(r->error[r->n_errors++].name, sizeof(r->error[i].name), "%s", name);
	r->error[i].count++;
}

static void count_digests(struct xfer_conn *c, struct xfer_result *r)
{
	uint8_t sent[SHA256_DIGEST_SIZE], received[SHA256_DIGEST_SIZE];

	sha256_digest(&c->sent_sha, sizeof(sent), sent);
	sha256_digest(&c->received_sha, sizeof(received), received);
	if (r->have_digest && (memcmp(sent, r->sent_sha, sizeof(sent)) ||
			       memcmp(received, r->received_sha, sizeof(received))))
		r->digests_differ = true;
	r->have_digest = true;
	memcpy(r->sent_sha, sent, sizeof(sent));
	memcpy(r->received_sha, received, sizeof(received));
}

void conn_end(struct xfer_conn *c, const char *error, struct xfer_result *r)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	r->mptcp_start += c->was_mptcp;
	r->mptcp_end += mptcp_socket_speaks(c->fd);
	if (!getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		r->retransmits += info.tcpi_total_retrans;
	close(c->fd);
	c->state = XFER_FREE;
	r->done++;
	r->moves++;
	if (error)
		count_error(r, error);
	else
		r->clean++;
	r->sent += c->sent;
	r->received += c->received;
	if (c->bad_offset < r->bad_offset)
		r->bad_offset = c->bad_offset;
	count_digests(c, r);
	r->end_us = xfer_now_us();
	if (!error)
		times_connection(r->end_us - c->start_us);
}

static bool end_by_errno(struct xfer_conn *c, struct xfer_result *r)
{
	const char *name = strerrorname_np(errno);

	conn_end(c, name ? name : "?", r);
	return true;
}

static uint64_t idle_until_us(const struct xfer_conn *c)
{
	return xfer_goes_on() ? 0 : c->idle_until_us;
}

static bool may_send(const struct xfer_conn *c, const struct xfer_opts *o)
{
	if (o->echo)
		return c->echo_due > 0;
	return c->sent < o->send_bytes && c->received >= o->send_after_bytes &&
	       (c->eof || !o->send_after_eof) && xfer_now_us() >= idle_until_us(c);
}

static bool fin_due(const struct xfer_conn *c, const struct xfer_opts *o)
{
	if (c->fin_sent)
		return false;
	if (o->echo)
		return c->eof && !c->echo_due;
	return c->sent == o->send_bytes && c->received >= o->send_after_bytes &&
	       (c->eof || !(o->fin_after_eof || o->send_after_eof)) &&
	       o->reset_after_received == XFER_NEVER && xfer_now_us() >= idle_until_us(c);
}

uint32_t conn_wants(const struct xfer_conn *c, const struct xfer_opts *o, uint64_t *wake_us)
{
	uint64_t now_us = xfer_now_us();
	uint32_t events = 0;

	if (c->state == XFER_CONNECTING)
		return EPOLLOUT;
	if (c->pause_until_us > now_us)
		*wake_us = c->pause_until_us < *wake_us ? c->pause_until_us : *wake_us;
	else if (!c->eof)
		events |= EPOLLIN;
	if (idle_until_us(c) > now_us)
		*wake_us = c->idle_until_us < *wake_us ? c->idle_until_us : *wake_us;
	else if (may_send(c, o))
		events |= EPOLLOUT;
	return events;
}

bool conn_is_due(const struct xfer_conn *c)
{
	uint64_t now_us = xfer_now_us();

	return !c->ran || (c->pause_until_us && now_us >= c->pause_until_us && !c->eof) ||
	       (c->idle_until_us && now_us >= idle_until_us(c) && !c->fin_sent);
}

/* Bytes of the next write: stops at the places where something else is to happen. */
static unsigned next_write(const struct xfer_conn *c, const struct xfer_opts *o)
{
	uint64_t n = o->echo ? c->echo_due : o->send_bytes - c->sent;
	const uint64_t stop[] = {o->urgent_at_bytes, o->idle_at_bytes, o->reset_after_sent};
	unsigned i;

	if (n > o->chunk_bytes)
		n = o->chunk_bytes;
	for (i = 0; i < sizeof(stop) / sizeof(stop[0]); i++) {
		if (stop[i] > c->sent && stop[i] - c->sent < n)
			n = stop[i] - c->sent;
	}
	return c->sent == o->urgent_at_bytes ? 1 : n;
}

/* 1: something went, 0: the socket takes no more now, -1: errno. */
static int send_some(struct xfer_conn *c, const struct xfer_opts *o)
{
	unsigned n = next_write(c, o);
	bool urgent = c->sent == o->urgent_at_bytes;
	ssize_t done;

	if (o->pattern && !o->echo)
		pattern_fill(block, own_seed(o), c->sent, n);
	done = send(c->fd, block, n, MSG_NOSIGNAL | MSG_DONTWAIT | (urgent ? MSG_OOB : 0));
	if (done < 0)
		return errno == EAGAIN ? 0 : -1;
	if (o->digest)
		sha256_update(&c->sent_sha, done, block);
	c->sent += done;
	if (o->echo)
		c->echo_due -= done;
	if (c->sent == o->idle_at_bytes)
		c->idle_until_us = xfer_now_us() + o->idle_ms * 1000ull;
	return 1;
}

static int receive_some(struct xfer_conn *c, const struct xfer_opts *o, struct xfer_result *r)
{
	ssize_t n = recv(c->fd, block, o->echo ? o->chunk_bytes : sizeof(block), MSG_DONTWAIT);
	ssize_t i;

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		c->eof = true;
		return 1;
	}
	if (o->times)
		times_received(n);
	if (!r->first_byte_us)
		r->first_byte_us = xfer_now_us();
	if (o->digest)
		sha256_update(&c->received_sha, n, block);
	if (o->pattern) {
		pattern_fill(expected, own_seed(o) ^ 1, c->received, n);
		for (i = 0; c->bad_offset == XFER_NEVER && memcmp(block, expected, n) && i < n;
		     i++) {
			if (block[i] != expected[i])
				c->bad_offset = c->received + i;
		}
	}
	if (c->received < o->pause_at_bytes && c->received + n >= o->pause_at_bytes)
		c->pause_until_us = xfer_now_us() + o->pause_ms * 1000ull;
	c->received += n;
	c->echo_due += o->echo ? n : 0;
	return 1;
}

static bool reset_due(const struct xfer_conn *c, const struct xfer_opts *o)
{
	return c->sent >= o->reset_after_sent || c->received >= o->reset_after_received;
}

static bool reset(struct xfer_conn *c, struct xfer_result *r)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_end(c, "reset-sent", r);
	return true;
}

static bool connected(struct xfer_conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		errno = error;
		return false;
	}
	c->state = XFER_OPEN;
	c->was_mptcp = mptcp_socket_speaks(c->fd);
	return true;
}

bool conn_run(struct xfer_conn *c, uint32_t ready, const struct xfer_opts *o, struct xfer_result *r)
{
	unsigned round;
	int did = 1;

	if (c->state == XFER_CONNECTING) {
		if (!(ready & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return false;
		if (!connected(c))
			return end_by_errno(c, r);
	}
	c->ran = true;
	/* a few rounds, so that one connection does not starve the others */
	for (round = 0; round < 8 && did; round++) {
		did = 0;
		if (!c->eof && xfer_now_us() >= c->pause_until_us) {
			did = receive_some(c, o, r);
			if (did < 0)
				return end_by_errno(c, r);
			if (c->bad_offset != XFER_NEVER) {
				conn_end(c, "wrong-data", r); /* more of it tells nothing more */
				return true;
			}
		}
		if (reset_due(c, o))
			return reset(c, r);
		if (may_send(c, o)) {
			int sent = send_some(c, o);

			if (sent < 0)
				return end_by_errno(c, r);
			did |= sent;
		}
		r->moves += did;
		if (reset_due(c, o))
			return reset(c, r);
		if (fin_due(c, o)) {
			/* on a connection that was reset it fails, and the next read says why */
			shutdown(c->fd, SHUT_WR);
			c->fin_sent = true;
			did = 1;
		}
		if (c->fin_sent && c->eof) {
			conn_end(c, NULL, r);
			return true;
		}
	}
	return false;
}
