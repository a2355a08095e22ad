// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * steer.c - see steer.h. libbpf loads the object that the build has put into this program.
 *
 * The table of the process before is found through its filter: filter, program, table, each by the
 * other's number, which takes CAP_SYS_ADMIN. Without that right a new process
 * has only what it adopts of the engine's state.
 */
#include "io/steer.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/steer_filter.h"

#define TABLE "mpgate_tuples"

/* The object file of src/bpf. */
__asm__(".pushsection .rodata\n"
	".balign 16\n"
	".globl steer_object, steer_object_bytes\n"
	".hidden steer_object, steer_object_bytes\n"
	"steer_object: .incbin \"" MPGATE_STEER_OBJECT "\"\n"
	"steer_object_end: .balign 8\n"
	"steer_object_bytes: .quad steer_object_end - steer_object\n"
	".popsection\n");
extern const char steer_object[];
extern const uint64_t steer_object_bytes;

struct steer {
	struct bpf_object *object;
	int table, program[2];
};

static void set_key(struct steer_key *key, const struct flow_tuple *t)
{
	memset(key, 0, sizeof(*key));
	key->family = t->family;
	key->src_port = htons(t->src_port);
	key->dst_port = htons(t->dst_port);
	memcpy(key->src, t->src.b, sizeof(key->src));
	memcpy(key->dst, t->dst.b, sizeof(key->dst));
}

static void get_tuple(const struct steer_key *key, struct flow_tuple *t)
{
	memset(t, 0, sizeof(*t));
	t->family = key->family;
	t->src_port = ntohs(key->src_port);
	t->dst_port = ntohs(key->dst_port);
	memcpy(t->src.b, key->src, sizeof(key->src));
	memcpy(t->dst.b, key->dst, sizeof(key->dst));
}

static bool over(unsigned state)
{
	return state == STEER_IS_OVER || state == STEER_IS_FORGOTTEN;
}

int steer_put(struct steer *s, enum steer_side side, const struct flow_tuple *tuple,
	      enum steer_state state)
{
	const struct steer_value value = {.state = (uint16_t)state, .side = (uint16_t)side};
	struct steer_key key;

	set_key(&key, tuple);
	return bpf_map_update_elem(s->table, &key, &value, over(state) ? BPF_EXIST : BPF_ANY);
}

int steer_rm(struct steer *s, const struct flow_tuple *tuple)
{
	struct steer_key key;
	int err;

	set_key(&key, tuple);
	err = bpf_map_delete_elem(s->table, &key);
	return err == -ENOENT ? 0 : err;
}

/* ---- filters ---- */

int steer_attach(struct steer *s, unsigned ifindex, enum steer_side side)
{
	return steer_filter_put(ifindex, s->program[side]);
}

int steer_detach(unsigned ifindex)
{
	return steer_filter_rm(ifindex);
}

unsigned steer_priority(unsigned ifindex)
{
	return steer_filter_priority(ifindex);
}

/* ---- the table of a process before ---- */

static int table_of(uint32_t program_id)
{
	uint32_t ids[4] = {0};
	struct bpf_prog_info info = {.nr_map_ids = 4, .map_ids = (uintptr_t)ids};
	uint32_t bytes = sizeof(info);
	int program = bpf_prog_get_fd_by_id(program_id), found = -1;

	if (program < 0)
		return -1;
	if (bpf_obj_get_info_by_fd(program, &info, &bytes) < 0)
		info.nr_map_ids = 0;
	close(program);
	for (uint32_t i = 0; i < info.nr_map_ids && i < 4 && found < 0; i++) {
		struct bpf_map_info map = {0};

		bytes = sizeof(map);
		found = bpf_map_get_fd_by_id(ids[i]);
		if (found < 0 || (bpf_obj_get_info_by_fd(found, &map, &bytes) == 0 &&
				  strncmp(map.name, TABLE, sizeof(map.name)) == 0 &&
				  map.key_size == sizeof(struct steer_key) &&
				  map.value_size == sizeof(struct steer_value)))
			continue;
		close(found);
		found = -1;
	}
	return found;
}

/* By whichever interface's filter; -1: there is none. */
static int table_find(void)
{
	struct if_nameindex *all = if_nameindex();
	struct steer_filter own;
	int table = -1;

	for (struct if_nameindex *i = all; i && i->if_index && table < 0; i++)
		if (steer_filter_find(i->if_index, &own))
			table = table_of(own.program_id);
	if_freenameindex(all);
	return table;
}

typedef void (*entry_fn)(const struct steer_key *key, const struct steer_value *value, void *data);

static void table_each(int table, entry_fn fn, void *data)
{
	struct steer_key key, next;
	struct steer_value value;
	const struct steer_key *at = NULL;

	while (bpf_map_get_next_key(table, at, &next) == 0) {
		key = next;
		at = &key;
		if (bpf_map_lookup_elem(table, &key, &value) == 0)
			fn(&key, &value, data);
	}
}

static void copy(const struct steer_key *key, const struct steer_value *value, void *data)
{
	const struct steer *s = data;

	/* When there is no room the connection's segments pass as they are: it ends. */
	bpf_map_update_elem(s->table, key, value, BPF_ANY);
}

/* ---- opening ---- */

static int load(struct steer *s, uint32_t tuples)
{
	static const char *const names[] = {
		[STEER_GUEST] = "mpgate_guest",
		[STEER_NET] = "mpgate_net",
	};
	struct bpf_map *map;
	int err;

	libbpf_set_print(NULL); /* what it would say on standard error, we say in our words */
	s->object = bpf_object__open_mem(steer_object, steer_object_bytes, NULL);
	if (!s->object)
		return -errno;
	map = bpf_object__find_map_by_name(s->object, TABLE);
	if (!map)
		return -ENOENT;
	err = bpf_map__set_max_entries(map, tuples);
	if (!err)
		err = bpf_object__load(s->object);
	if (err)
		return err;
	s->table = bpf_map__fd(map);
	for (int i = 0; i < 2; i++)
		s->program[i] =
			bpf_program__fd(bpf_object__find_program_by_name(s->object, names[i]));
	return 0;
}

struct steer *steer_open(uint32_t tuples, char *err, unsigned err_bytes)
{
	struct steer *s = calloc(1, sizeof(*s));
	int error = s ? load(s, tuples) : -ENOMEM, old;

	if (error) {
		snprintf(err, err_bytes,
			 "loading the BPF program that finds our connections: %s; it takes root "
			 "(CAP_BPF, CAP_NET_ADMIN) and a kernel with CONFIG_BPF_SYSCALL",
			 strerror(-error));
		steer_close(s);
		return NULL;
	}
	old = table_find();
	if (old >= 0) {
		table_each(old, copy, s);
		close(old);
	}
	return s;
}

void steer_close(struct steer *s)
{
	if (!s)
		return;
	bpf_object__close(s->object);
	free(s);
}

/* ---- the end ---- */

struct visit {
	steer_fn fn;
	void *data;
};

static void guests(const struct steer_key *key, const struct steer_value *value, void *data)
{
	const struct visit *visit = data;
	struct flow_tuple tuple;

	if (value->side != STEER_GUEST || over(value->state))
		return;
	get_tuple(key, &tuple);
	visit->fn(&tuple, visit->data);
}

int steer_remove(steer_fn fn, void *data)
{
	struct if_nameindex *all = if_nameindex();
	struct visit visit = {fn, data};
	int err = 0, table;

	libbpf_set_print(NULL);
	table = fn ? table_find() : -1;
	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		int failed = steer_filter_rm(i->if_index);

		err = err ? err : failed;
	}
	if_freenameindex(all);
	if (table >= 0) {
		table_each(table, guests, &visit);
		close(table);
	}
	return err;
}
