/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_text.c - the answers of the control socket as lines for people.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "app/control_answer.h"

void control_address(char *text, unsigned bytes, uint8_t family, const struct ip_addr *a)
{
	if (!inet_ntop(family == FLOW_IPV6 ? AF_INET6 : AF_INET, a->b, text, bytes))
		snprintf(text, bytes, "?");
}

void control_tuple(char text[CONTROL_TUPLE_BYTES], const struct flow_tuple *t)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	bool v6 = t->family == FLOW_IPV6;

	control_address(src, sizeof(src), t->family, &t->src);
	control_address(dst, sizeof(dst), t->family, &t->dst);
	snprintf(text, CONTROL_TUPLE_BYTES, v6 ? "[%s]:%u > [%s]:%u" : "%s:%u > %s:%u", src,
		 t->src_port, dst, t->dst_port);
}

static unsigned cut(int n, unsigned room)
{
	return n < 0 ? 0 : (unsigned)n < room ? (unsigned)n : room - 1;
}

unsigned control_text_connection(const struct control_view *v, const struct engine_conn_info *info,
				 char *buf, unsigned room)
{
	char tuple[CONTROL_TUPLE_BYTES];
	bool reason = info->reason != REASON_NONE;
	unsigned n;

	control_tuple(tuple, &info->guest);
	n = cut(snprintf(buf, room,
			 "%s %s %s %s, age %.1f s, from guest %llu B, to guest %llu B%s%s%s\n",
			 tuple, info->role, info->mode, info->state, (double)info->age_us / 1e6,
			 (unsigned long long)info->from_guest_bytes,
			 (unsigned long long)info->to_guest_bytes, reason ? ", " : "",
			 reason ? reason_name(info->reason) : "",
			 info->checksum ? ", with DSS checksums" : ""),
		room);
	for (unsigned i = 0; i < info->n_subflows && i < ENGINE_SUBFLOWS_MAX; i++) {
		const struct engine_subflow_info *s = &info->subflow[i];

		control_tuple(tuple, &s->tuple);
		n += cut(snprintf(buf + n, room - n,
				  "  %s: %s %s%s, cwnd %u B, srtt %.3f ms, to net %llu B, from net "
				  "%llu B, %llu retransmits\n",
				  s->path < v->cfg->n_paths ? v->cfg->path[s->path].name : "-",
				  tuple, s->state, s->backup ? " backup" : "", s->cwnd_bytes,
				  s->srtt_us / 1e3, (unsigned long long)s->to_net_bytes,
				  (unsigned long long)s->from_net_bytes,
				  (unsigned long long)s->retransmits),
			 room - n);
	}
	return n;
}

/* ": ADDRESS through GATEWAY" for each family that has an address. */
static unsigned text_host(const struct host_path *p, char *buf, unsigned room)
{
	unsigned n = 0;

	for (unsigned k = 0; k < 2; k++) {
		uint8_t family = k ? FLOW_IPV6 : FLOW_IPV4;
		const struct ip_addr *a = k ? &p->address6 : &p->address4;
		const struct ip_addr *via = k ? &p->gateway6 : &p->gateway4;
		char address[INET6_ADDRSTRLEN], gateway[INET6_ADDRSTRLEN] = "the link itself";

		if (ip_addr_is_zero(a))
			continue;
		control_address(address, sizeof(address), family, a);
		if (!ip_addr_is_zero(via))
			control_address(gateway, sizeof(gateway), family, via);
		else if (!host_has_way(p, family))
			snprintf(gateway, sizeof(gateway), "no gateway");
		n += cut(snprintf(buf + n, room - n, ", %s through %s", address, gateway),
			 room - n);
	}
	n += cut(snprintf(buf + n, room - n, ", MTU %u, table %u", p->link.mtu_bytes, p->table),
		 room - n);
	return n;
}

unsigned control_text_path(const struct control_view *v, unsigned path, char *buf, unsigned room)
{
	const struct config_path *p = &v->cfg->path[path];
	const struct host_path *host = v->host ? &v->host->path[path] : NULL;
	struct engine_path_info info;
	unsigned n;

	engine_path_info(v->engine, path, &info);
	n = cut(snprintf(buf, room, "%s on %s: %s%s%s%s", p->name, p->interface,
			 info.usable ? "usable" : "not usable",
			 host && strcmp(host_path_state(host), "up") != 0 ? ", " : "",
			 host && strcmp(host_path_state(host), "up") != 0 ? host_path_state(host)
									  : "",
			 p->backup ? ", backup" : ""),
		room);
	if (host)
		n += text_host(host, buf + n, room - n);
	n += cut(snprintf(buf + n, room - n,
			  ", price %g, %u subflows, to net %llu B in %llu packets, "
			  "from net %llu B in %llu packets\n",
			  p->price, info.subflows, (unsigned long long)info.to_net_bytes,
			  (unsigned long long)info.to_net_pkts,
			  (unsigned long long)info.from_net_bytes,
			  (unsigned long long)info.from_net_pkts),
		 room - n);
	return n;
}

unsigned control_text_counter(const struct control_counter *c, char *buf, unsigned room)
{
	return cut(snprintf(buf, room, "%12llu %-24s %s\n", (unsigned long long)c->count, c->name,
			    c->sentence),
		   room);
}
