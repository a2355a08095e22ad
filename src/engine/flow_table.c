/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow_table.c - see flow_table.h.
 */
#include "engine/flow_table.h"

#include "base/siphash.h"

static uint32_t *bucket(struct engine *e, uint64_t table, const void *key, size_t len)
{
	uint32_t *buckets = (uint32_t *)(void *)((char *)e + table);

	return &buckets[siphash(e->cfg.seed, key, len) & e->bucket_mask];
}

static uint32_t *guest_bucket(struct engine *e, const struct flow_tuple *t)
{
	return bucket(e, e->guest_buckets, t, sizeof(*t));
}

static uint32_t *net_bucket(struct engine *e, const struct flow_tuple *t)
{
	return bucket(e, e->net_buckets, t, sizeof(*t));
}

static uint32_t *token_bucket(struct engine *e, uint32_t token)
{
	return bucket(e, e->token_buckets, &token, sizeof(token));
}

void flow_table_clear(struct engine *e)
{
	size_t bytes = ((size_t)e->bucket_mask + 1) * sizeof(uint32_t);

	memset((char *)e + e->guest_buckets, 0xff, bytes);
	memset((char *)e + e->net_buckets, 0xff, bytes);
	memset((char *)e + e->token_buckets, 0xff, bytes);
}

struct conn *conn_find(struct engine *e, const struct flow_tuple *guest)
{
	for (uint32_t i = *guest_bucket(e, guest); i != NONE; i = conn_at(e, i)->hash_guest)
		if (flow_tuple_equal(&conn_at(e, i)->guest, guest))
			return conn_at(e, i);
	return NULL;
}

struct conn *conn_find_token(struct engine *e, uint32_t token)
{
	for (uint32_t i = *token_bucket(e, token); i != NONE; i = conn_at(e, i)->hash_token)
		if (conn_at(e, i)->token_local == token)
			return conn_at(e, i);
	return NULL;
}

struct subflow *subflow_find(struct engine *e, const struct flow_tuple *net)
{
	for (uint32_t i = *net_bucket(e, net); i != NONE; i = subflow_at(e, i)->hash_net)
		if (flow_tuple_equal(&subflow_at(e, i)->net, net))
			return subflow_at(e, i);
	return NULL;
}

void conn_add(struct engine *e, struct conn *c)
{
	uint32_t *head = guest_bucket(e, &c->guest);

	c->hash_guest = *head;
	*head = conn_index(e, c);
}

void conn_add_token(struct engine *e, struct conn *c)
{
	uint32_t *head = token_bucket(e, c->token_local);

	c->hash_token = *head;
	*head = conn_index(e, c);
}

void conn_rm(struct engine *e, struct conn *c)
{
	uint32_t me = conn_index(e, c);

	for (uint32_t *at = guest_bucket(e, &c->guest); *at != NONE;
	     at = &conn_at(e, *at)->hash_guest)
		if (*at == me) {
			*at = c->hash_guest;
			break;
		}
	for (uint32_t *at = token_bucket(e, c->token_local); *at != NONE;
	     at = &conn_at(e, *at)->hash_token)
		if (*at == me) {
			*at = c->hash_token;
			break;
		}
}

void subflow_add(struct engine *e, struct subflow *s)
{
	uint32_t *head = net_bucket(e, &s->net);

	s->hash_net = *head;
	*head = subflow_index(e, s);
}

void subflow_rm(struct engine *e, struct subflow *s)
{
	uint32_t me = subflow_index(e, s);

	for (uint32_t *at = net_bucket(e, &s->net); *at != NONE; at = &subflow_at(e, *at)->hash_net)
		if (*at == me) {
			*at = s->hash_net;
			break;
		}
}
