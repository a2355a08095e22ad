/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfer.h - the data mover of the namespace tests: what one run shall do, and what came of it.
 */
#ifndef XFER_H
#define XFER_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define XFER_BLOCK_BYTES (256 * 1024)
#define XFER_NEVER UINT64_MAX
#define XFER_ERRORS_MAX 16

struct xfer_opts {
	bool server;
	bool mptcp;
	bool echo;           /* server: every byte goes back */
	bool pattern;        /* what is sent and received is the pattern, compared byte by byte */
	bool digest;         /* and its SHA-256 is taken; slow: 100 to 200 MB a second */
	bool send_after_eof; /* nothing is sent before the peer's end of data */
	bool fin_after_eof;  /* the own end of data waits for the peer's */
	bool keepalive;      /* after 1 s of silence, each second */
	bool nodelay;
	bool times;     /* say when data came */
	bool fast_open; /* client: data in the SYN, when the kernel has a cookie */
	struct sockaddr_storage addr, bind;
	socklen_t addr_len, bind_len;
	uint64_t seed;
	uint64_t send_bytes;
	uint64_t send_after_bytes;                       /* nothing is sent before so many came */
	uint64_t reset_after_sent, reset_after_received; /* XFER_NEVER: no reset */
	uint64_t pause_at_bytes;                         /* the reader stops there for pause_ms */
	uint64_t idle_at_bytes;   /* the sender stops there for idle_ms, or until SIGUSR1 */
	uint64_t urgent_at_bytes; /* the byte there is sent as urgent */
	unsigned pause_ms, idle_ms;
	unsigned chunk_bytes; /* of one write */
	unsigned rcvbuf_bytes, sndbuf_bytes;
	unsigned connections, concurrency;
	unsigned pings;     /* client: round trips of one byte instead of a transfer */
	unsigned timeout_s; /* without any progress */
	uint32_t isn;       /* client: initial sequence number; 0: the kernel's choice */
};

enum xfer_state { XFER_FREE, XFER_CONNECTING, XFER_OPEN };

struct xfer_conn {
	int fd;
	enum xfer_state state;
	uint32_t events; /* that epoll watches now */
	bool was_mptcp;  /* at its start */
	bool ran, fin_sent, eof;
	uint64_t sent, received;
	uint64_t start_us;
	uint64_t pause_until_us, idle_until_us;
	uint64_t bad_offset; /* of what came; XFER_NEVER: none */
	uint64_t echo_due;
	struct sha256_ctx sent_sha, received_sha;
};

struct xfer_result {
	unsigned done, clean; /* clean: both ends of data seen */
	unsigned mptcp_start, mptcp_end;
	uint64_t sent, received, bad_offset;
	unsigned retransmits;
	unsigned n_errors;
	struct {
		char name[24];
		unsigned count;
	} error[XFER_ERRORS_MAX];
	bool have_digest, digests_differ; /* between the connections of one run */
	uint8_t sent_sha[SHA256_DIGEST_SIZE], received_sha[SHA256_DIGEST_SIZE];
	uint64_t start_us, end_us, first_byte_us;
	uint64_t moves; /* grows with all that is progress */
};

/* Bytes `offset` and following of the endless pattern that `seed` names. */
void pattern_fill(uint8_t *to, uint64_t seed, uint64_t offset, unsigned n_bytes);

uint64_t xfer_now_us(void);
/* SIGUSR1 came: who stopped at idle_at_bytes goes on. */
bool xfer_goes_on(void);
int xfer_socket(const struct xfer_opts *o);

void conn_start(struct xfer_conn *c, int fd, const struct xfer_opts *o);
/* Moves what can be moved; true when the connection is over, and then counted and closed. */
bool conn_run(struct xfer_conn *c, uint32_t ready, const struct xfer_opts *o,
	      struct xfer_result *r);
/* True when conn_run() has something to do that epoll does not tell. */
bool conn_is_due(const struct xfer_conn *c);
/* What epoll shall watch now, and in *wake_us when to look again without it. */
uint32_t conn_wants(const struct xfer_conn *c, const struct xfer_opts *o, uint64_t *wake_us);
void conn_end(struct xfer_conn *c, const char *error, struct xfer_result *r);

/* When data came and how long connections lasted; printed as more fields of the result. */
void times_received(unsigned n_bytes);
void times_connection(uint64_t us);
void times_print(void);

int xfer_ping(const struct xfer_opts *o);

#endif
