/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.c - the answers of the control socket as JSON. The keys are stable once released:
 * mpgate(8) lists them.
 */
#include <arpa/inet.h>
#include <jansson.h>

#include "app/control_answer.h"

/* A null object (no memory for it) and one that does not fit both become "null". */
static unsigned write_out(json_t *object, char *buf, unsigned room)
{
	static const char nothing[] = "null";
	size_t n = 0;

	if (object)
		n = json_dumpb(object, buf, room, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(object);
	if (n == 0 || n > room) {
		n = sizeof(nothing) - 1;
		memcpy(buf, nothing, n);
	}
	return (unsigned)n;
}

static json_t *tuple(const struct flow_tuple *t)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	control_address(src, sizeof(src), t->family, &t->src);
	control_address(dst, sizeof(dst), t->family, &t->dst);
	return json_pack("{s:s, s:i, s:s, s:i}", "src", src, "src_port", (int)t->src_port, "dst",
			 dst, "dst_port", (int)t->dst_port);
}

static json_t *subflow(const struct control_view *v, const struct engine_subflow_info *s)
{
	const char *path = s->path < v->cfg->n_paths ? v->cfg->path[s->path].name : NULL;

	return json_pack("{s:s?, s:o, s:s, s:s, s:b, s:b, s:b, s:i, s:i, s:I, s:I, s:I, s:I, s:I, "
			 "s:I}",
			 "path", path, "tuple", tuple(&s->tuple), "state", s->state, "leaving",
			 reason_name(s->leaving), "backup", (int)s->backup, "backup_local",
			 (int)s->backup_local, "backup_peer", (int)s->backup_peer, "address_id",
			 (int)s->address_id, "peer_address_id", (int)s->peer_address_id, "cwnd",
			 (json_int_t)s->cwnd_bytes, "srtt_us", (json_int_t)s->srtt_us, "min_rtt_us",
			 (json_int_t)s->min_rtt_us, "to_net_bytes", (json_int_t)s->to_net_bytes,
			 "from_net_bytes", (json_int_t)s->from_net_bytes, "retransmits",
			 (json_int_t)s->retransmits);
}

unsigned json_connection(const struct control_view *v, const struct engine_conn_info *info,
			 char *buf, unsigned room)
{
	json_t *subflows = json_array();

	for (unsigned i = 0; i < info->n_subflows && i < ENGINE_SUBFLOWS_MAX; i++)
		json_array_append_new(subflows, subflow(v, &info->subflow[i]));
	return write_out(json_pack("{s:o, s:s, s:s, s:s, s:s, s:b, s:f, s:f, s:I, s:I, s:o}",
				   "guest", tuple(&info->guest), "role", info->role, "mode",
				   info->mode, "state", info->state, "reason",
				   reason_name(info->reason), "checksum", (int)info->checksum,
				   "age", (double)info->age_us / 1e6, "idle",
				   (double)info->idle_us / 1e6, "from_guest_bytes",
				   (json_int_t)info->from_guest_bytes, "to_guest_bytes",
				   (json_int_t)info->to_guest_bytes, "subflows", subflows),
			 buf, room);
}

/* A null where there is none. */
static json_t *address(uint8_t family, const struct ip_addr *a)
{
	char text[INET6_ADDRSTRLEN];

	if (ip_addr_is_zero(a))
		return json_null();
	control_address(text, sizeof(text), family, a);
	return json_string(text);
}

static json_t *path_host(const struct host_path *p)
{
	return json_pack("{s:s, s:i, s:I, s:o, s:o, s:o, s:o}", "state", host_path_state(p), "mtu",
			 (int)p->link.mtu_bytes, "table", (json_int_t)p->table, "address4",
			 address(FLOW_IPV4, &p->address4), "address6",
			 address(FLOW_IPV6, &p->address6), "gateway4",
			 address(FLOW_IPV4, &p->gateway4), "gateway6",
			 address(FLOW_IPV6, &p->gateway6));
}

unsigned json_path(const struct control_view *v, unsigned path, char *buf, unsigned room)
{
	const struct config_path *p = &v->cfg->path[path];
	struct engine_path_info info;
	json_t *object, *host;

	engine_path_info(v->engine, path, &info);
	object = json_pack("{s:s, s:s, s:b, s:b, s:f, s:I, s:I, s:I, s:I, s:I}", "name", p->name,
			   "interface", p->interface, "usable", (int)info.usable, "backup",
			   (int)p->backup, "price", p->price, "subflows", (json_int_t)info.subflows,
			   "to_net_bytes", (json_int_t)info.to_net_bytes, "from_net_bytes",
			   (json_int_t)info.from_net_bytes, "to_net_packets",
			   (json_int_t)info.to_net_pkts, "from_net_packets",
			   (json_int_t)info.from_net_pkts);
	if (object && v->host) {
		host = path_host(&v->host->path[path]);
		json_object_update(object, host);
		json_decref(host);
	}
	return write_out(object, buf, room);
}

unsigned json_counter(const struct control_counter *c, char *buf, unsigned room)
{
	return write_out(json_pack("{s:s, s:s, s:I}", "name", c->name, "sentence", c->sentence,
				   "count", (json_int_t)c->count),
			 buf, room);
}
