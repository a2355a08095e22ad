// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim_lwip.c - see sim_lwip.h.
 */
#include "sim_lwip.h"

#include <assert.h>
#include <lwip/inet_chksum.h>
#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <string.h>

#define WRITE_MAX 16384u
#define READ_MAX 0xffffu

static struct lwip_host host;
static struct netif interface;
static uint32_t next_iss;
static struct lwip_conn *listening;
static unsigned n_ticks;
static uint16_t n_sent;

/* ---- what the library calls ---- */

void tcp_timer_needed(void)
{
}

static void on_gone(void *arg, err_t err);

/* Also where a connection that was listened for has its record: nothing else is told of that. */
u32_t tcp_next_iss(struct tcp_pcb *pcb)
{
	if (pcb->state != SYN_RCVD)
		return next_iss;
	for (struct lwip_conn *c = listening; c; c = c->next) {
		if (c->port != pcb->local_port || c->pcb)
			continue;
		c->pcb = pcb;
		c->state = LWIP_SYN;
		tcp_err(pcb, on_gone);
		return c->iss;
	}
	return next_iss;
}

/* Identifications go on from run to run inside the library: ours begin anew with each. */
static void identify(uint8_t *packet)
{
	uint16_t sum;

	packet[4] = (uint8_t)(n_sent >> 8);
	packet[5] = (uint8_t)n_sent;
	n_sent++;
	packet[10] = packet[11] = 0;
	sum = inet_chksum(packet, 20);
	memcpy(packet + 10, &sum, sizeof(sum));
}

/*
 * A segment that the persist timer splits at the window keeps its FIN in both parts:
 * tcp_split_unsent_seg() means to take it off the first, but TCPH_SET_FLAG() only adds. With such a
 * FIN in mid-stream any connection breaks, so it comes off here. FIN stands on the last data (its
 * sequence number is snd_lbb then) or alone.
 */
static void take_false_fin(uint8_t *packet, unsigned n)
{
	uint8_t *tcp = packet + (host.ipv6 ? 40 : 4 * (packet[0] & 15));
	unsigned bytes = (unsigned)(packet + n - tcp) - 4u * (tcp[12] >> 4);
	uint32_t seq, csum;

	if (!(tcp[13] & TCP_FIN) || bytes == 0)
		return;
	memcpy(&seq, tcp + 4, sizeof(seq));
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (pcb->local_port != (tcp[0] << 8 | tcp[1]) ||
		    pcb->remote_port != (tcp[2] << 8 | tcp[3]) ||
		    lwip_ntohl(seq) + bytes == pcb->snd_lbb)
			continue;
		csum = (uint32_t)(tcp[16] << 8 | tcp[17]) + TCP_FIN; /* RFC 1624 */
		csum += csum >> 16;
		tcp[13] &= (uint8_t)~TCP_FIN;
		tcp[16] = (uint8_t)(csum >> 8);
		tcp[17] = (uint8_t)csum;
	}
}

static err_t output(struct pbuf *p)
{
	assert(!p->next); /* LWIP_NETIF_TX_SINGLE_PBUF */
	take_false_fin(p->payload, p->len);
	if (!host.ipv6)
		identify(p->payload);
	host.emit(host.world, p->payload, p->len);
	return ERR_OK;
}

static err_t output4(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	(void)n;
	(void)to;
	return output(p);
}

static err_t output6(struct netif *n, struct pbuf *p, const ip6_addr_t *to)
{
	(void)n;
	(void)to;
	return output(p);
}

static err_t interface_init(struct netif *n)
{
	n->output = output4;
	n->output_ip6 = output6;
	n->mtu = n->mtu6 = host.mtu_bytes;
	return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct lwip_conn *c = arg;

	(void)pcb;
	assert(err == ERR_OK);
	c->state = LWIP_OPEN;
	c->calls->opened(c->owner);
	return ERR_OK;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct lwip_conn *c = arg;

	(void)pcb;
	assert(err == ERR_OK);
	for (struct pbuf *q = p; q; q = q->next)
		if (q->len)
			c->calls->received(c->owner, q->payload, q->len);
	if (p) {
		pbuf_free(p);
		return ERR_OK;
	}
	c->fin_received = true;
	c->calls->received(c->owner, NULL, 0);
	return ERR_OK;
}

static err_t on_accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct lwip_conn *c = arg;

	if (err != ERR_OK || c->pcb != pcb)
		return ERR_ABRT;
	/* A repeated SYN makes lwIP forget its own MTU: it would send fragments. */
	pcb->mss = LWIP_MIN(pcb->mss, tcp_eff_send_mss(pcb->mss, &pcb->local_ip, &pcb->remote_ip));
	tcp_recv(pcb, on_received);
	c->state = LWIP_OPEN;
	c->calls->opened(c->owner);
	return ERR_OK;
}

/* The library has freed the record, or is about to. */
static void on_gone(void *arg, err_t err)
{
	struct lwip_conn *c = arg;

	c->pcb = NULL;
	c->state = err == ERR_CLSD ? LWIP_OVER : LWIP_RESET;
}

/* ---- the host ---- */

static ip_addr_t address(const uint8_t *addr)
{
	ip_addr_t a = {0};

	if (host.ipv6) {
		IP_SET_TYPE_VAL(a, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(&a)->addr, addr, 16);
	} else {
		IP_SET_TYPE_VAL(a, IPADDR_TYPE_V4);
		memcpy(&ip_2_ip4(&a)->addr, addr, 4);
	}
	return a;
}

void lwip_up(const struct lwip_host *h)
{
	static bool initialised;
	ip4_addr_t none = {0};
	ip_addr_t own;

	if (!initialised)
		lwip_init();
	initialised = true;
	host = *h;
	n_ticks = 0;
	n_sent = 1;
	tcp_ticks = 0;
	memset(&interface, 0, sizeof(interface));
	own = address(host.addr);
	netif_add(&interface, host.ipv6 ? &none : ip_2_ip4(&own), &none, &none, NULL,
		  interface_init, ip_input);
	if (host.ipv6) {
		netif_ip6_addr_set(&interface, 0, ip_2_ip6(&own));
		netif_ip6_addr_set_state(&interface, 0, IP6_ADDR_PREFERRED);
	}
	netif_set_default(&interface);
	netif_set_link_up(&interface);
	netif_set_up(&interface);
}

/* Those in TIME_WAIT, of all ports or of one. */
static void forget_old(uint16_t port)
{
	struct tcp_pcb *next;

	for (struct tcp_pcb *p = tcp_tw_pcbs; p; p = next) {
		next = p->next;
		if (!port || p->local_port == port)
			tcp_abandon(p, 0);
	}
}

void lwip_down(void)
{
	while (tcp_active_pcbs) {
		tcp_err(tcp_active_pcbs, NULL);
		tcp_abandon(tcp_active_pcbs, 0);
	}
	forget_old(0);
	for (; listening; listening = listening->next)
		tcp_close(listening->listener);
	netif_set_down(&interface);
	netif_remove(&interface);
}

void lwip_packet(const uint8_t *packet, uint32_t n)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);

	assert(p && n <= UINT16_MAX);
	pbuf_take(p, packet, (u16_t)n);
	interface.input(p, &interface);
}

bool lwip_ticks(void)
{
	return tcp_active_pcbs != NULL;
}

void lwip_tick(void)
{
	tcp_fasttmr();
	if (++n_ticks % 2 == 0)
		tcp_slowtmr();
}

/* ---- a connection ---- */

static void set_options(struct tcp_pcb *pcb, const struct lwip_script *s)
{
	if (s->nodelay)
		tcp_nagle_disable(pcb);
	if (!s->keepalive_ms)
		return;
	ip_set_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = pcb->keep_intvl = s->keepalive_ms;
}

void lwip_connect(struct lwip_conn *c, const struct lwip_script *s)
{
	ip_addr_t own = address(host.addr), peer = address(s->peer);
	err_t err;

	forget_old(s->port);
	next_iss = s->iss;
	c->state = LWIP_SYN;
	c->pcb = tcp_new_ip_type(host.ipv6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
	assert(c->pcb);
	tcp_arg(c->pcb, c);
	tcp_recv(c->pcb, on_received);
	tcp_err(c->pcb, on_gone);
	set_options(c->pcb, s);
	err = tcp_bind(c->pcb, &own, s->port);
	assert(err == ERR_OK);
	err = tcp_connect(c->pcb, &peer, s->peer_port, on_connected);
	assert(err == ERR_OK);
}

void lwip_listen(struct lwip_conn *c, const struct lwip_script *s)
{
	ip_addr_t own = address(host.addr);
	struct tcp_pcb *pcb = tcp_new_ip_type(host.ipv6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
	err_t err;

	assert(pcb);
	c->state = LWIP_LISTENS;
	c->port = s->port;
	c->iss = s->iss;
	set_options(pcb, s);
	err = tcp_bind(pcb, &own, s->port);
	assert(err == ERR_OK);
	c->listener = tcp_listen(pcb);
	assert(c->listener);
	tcp_arg(c->listener, c);
	tcp_accept(c->listener, on_accepted);
	c->next = listening;
	listening = c;
}

uint32_t lwip_room(const struct lwip_conn *c)
{
	uint32_t room;

	if (!c->pcb || c->state != LWIP_OPEN || c->pcb->snd_queuelen >= TCP_SND_QUEUELEN)
		return 0;
	room = tcp_sndbuf(c->pcb);
	return room < WRITE_MAX ? room : WRITE_MAX;
}

bool lwip_write(struct lwip_conn *c, const uint8_t *data, uint32_t n)
{
	return tcp_write(c->pcb, data, (u16_t)n, TCP_WRITE_FLAG_COPY) == ERR_OK;
}

void lwip_output(struct lwip_conn *c)
{
	if (c->pcb)
		tcp_output(c->pcb);
}

void lwip_read(struct lwip_conn *c, uint32_t n)
{
	uint32_t part;

	for (; c->pcb && n > 0; n -= part) {
		part = n < READ_MAX ? n : READ_MAX;
		tcp_recved(c->pcb, (u16_t)part);
	}
}

bool lwip_fin(struct lwip_conn *c)
{
	if (!c->pcb || c->fin_sent)
		return true;
	c->fin_sent = tcp_shutdown(c->pcb, 0, 1) == ERR_OK;
	return c->fin_sent;
}

void lwip_abort(struct lwip_conn *c)
{
	if (c->pcb)
		tcp_abort(c->pcb);
}

void lwip_update(struct lwip_conn *c)
{
	if (!c->pcb || c->pcb->state != TIME_WAIT)
		return;
	tcp_arg(c->pcb, NULL);
	tcp_err(c->pcb, NULL);
	c->pcb = NULL;
	c->state = LWIP_OVER;
}

struct lwip_seqs lwip_seqs(const struct lwip_conn *c)
{
	const struct tcp_pcb *p = c->pcb;

	return (struct lwip_seqs){.una = p->lastack, .nxt = p->snd_nxt, .rcv_nxt = p->rcv_nxt};
}
