/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_keys.h - inside the configuration reader: the reader's state, the table of keys, and the
 * functions that turn one value into one field. Nothing outside of src/app/config*.c needs this;
 * tests and fuzzers use config_read_text().
 */
#ifndef MPGATE_APP_CONFIG_KEYS_H
#define MPGATE_APP_CONFIG_KEYS_H

#include "config.h"

enum config_section { CONFIG_TOP, CONFIG_PATH, CONFIG_MULTIPATH, CONFIG_POLICY, CONFIG_SECTIONS };

struct config_policy_stage {
	struct engine_policy policy;
	bool has_use, has_match;
};

struct config_reader {
	struct config *cfg;
	const char *file;
	const char *text;
	char *err;
	unsigned err_bytes;
	bool failed;                     /* `err` is written: the first error stands */
	uint32_t seen[CONFIG_SECTIONS];  /* bit per key of the table, for "given twice" */
	struct config_path path;         /* the section being read */
	struct config_policy_stage rule; /* likewise */
	unsigned n_multipath;
	unsigned list_values; /* of the only list, `guests` */
	bool list_closed;
};

struct config_key {
	const char *name;
	enum config_section section;
	bool list;
	/* Sets the field from `value`; -1 with config_fail() said. */
	int (*set)(struct config_reader *r, const struct config_key *key, int line,
		   const char *value);
	size_t offset; /* of the field in the section's struct */
	unsigned field_bytes;
	uint64_t min, max;        /* numbers */
	const char *const *words; /* null-terminated: words that are allowed */
};

extern const struct config_key config_keys[];
extern const unsigned config_n_keys;

/* Null when the section has no such key. */
const struct config_key *config_key_find(enum config_section section, const char *name);

/*
 * Says "FILE:LINE: ..." (line 0: "FILE: ...") unless something was said before; always -1.
 * Unprintable characters become '?'.
 */
int config_fail(struct config_reader *r, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The grammar of `match`: any of "tcp", "dport N", "dport N-M", "guest ADDR[/BITS]", "to
 * ADDR[/BITS]", each at most once. 0, or -1 with "what; how to mend it" in `err`.
 */
int config_match(struct engine_policy *policy, const char *match, char *err, unsigned err_bytes);

/* Reads "N-M" or (if `single` allows) "N"; ports from `lowest` on. */
bool config_ports(const char *text, bool single, unsigned lowest, uint16_t *min, uint16_t *max);

/* The line on which the n-th (from 0) `name` of the top level stands; 0: there is none. */
int config_section_line(const char *text, const char *name, unsigned n);

/* The line of a "string", "comment" or "section" that is never closed; 0: all are. */
int config_unclosed_line(const char *text, const char **what);

/* config_read() for a text in memory; `file` is only its name. */
int config_read_text(struct config *cfg, const char *file, const char *text, char *err,
		     unsigned err_bytes);

#endif
