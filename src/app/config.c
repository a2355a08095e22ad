/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.c - reads and checks the configuration file. libconfuse parses the syntax; every value
 * comes as text to its function in config_keys.c while the parser stands on its line, so that
 * each error names the line and one way to mend it.
 */
#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config_keys.h"

#define FILE_BYTES_MAX (1U << 20)

/* libconfuse's callbacks carry no pointer of ours. */
static struct config_reader *reading;

static const char *const section_names[CONFIG_SECTIONS] = {"root", "path", "multipath", "policy"};

int config_fail(struct config_reader *r, int line, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (r->failed)
		return -1;
	r->failed = true;
	if (line > 0)
		n = snprintf(r->err, r->err_bytes, "%s:%d: ", r->file, line);
	else
		n = snprintf(r->err, r->err_bytes, "%s: ", r->file);
	va_start(ap, fmt);
	if (n >= 0 && (unsigned)n < r->err_bytes)
		vsnprintf(r->err + n, r->err_bytes - (unsigned)n, fmt, ap);
	va_end(ap);
	for (char *c = r->err; r->err_bytes && *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	return -1;
}

/* What libconfuse itself complains about, with the cure that it does not tell. */
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const struct {
		const char *what, *cure;
	} cures[] = {
		{"no such option", "mpgate.conf(5) lists the keys of each section"},
		{"found duplicate title", "give every path a name of its own"},
		{"missing equal sign", "write KEY = VALUE, or SECTION { ... } for a section"},
		{"missing opening brace for option", "write a list as { \"a\", \"b\" }"},
		{"missing opening brace for section", "write path \"NAME\" { ... }"},
		{"missing title for section", "write path \"NAME\" { ... }"},
		{"unexpected closing brace", "check that every { has its }"},
		{"attempt to append", "use = instead of +="},
		{"unexpected token", "write KEY = VALUE; strings stand in quotes"},
	};
	const char *cure = "mpgate.conf(5) shows the syntax";
	char what[256];

	vsnprintf(what, sizeof(what), fmt, ap);
	/* Where it was opened helps more: unclosed_check() finds that. */
	if (strncmp(what, "premature", 9) == 0 || strncmp(what, "unterminated", 12) == 0)
		return;
	for (unsigned i = 0; i < sizeof(cures) / sizeof(cures[0]); i++)
		if (strncmp(what, cures[i].what, strlen(cures[i].what)) == 0)
			cure = cures[i].cure;
	config_fail(reading, cfg->line, "%s; %s", what, cure);
}

static enum config_section section_of(const cfg_t *cfg)
{
	for (unsigned i = CONFIG_PATH; i < CONFIG_SECTIONS; i++)
		if (strcmp(cfg->name, section_names[i]) == 0)
			return i;
	return CONFIG_TOP;
}

/*
 * libconfuse calls for every value of a list and once more at its end. A shorter list than before,
 * or values behind the end that do not add to it, are a second assignment.
 */
static int on_list(struct config_reader *r, const struct config_key *key, cfg_t *cfg,
		   cfg_opt_t *opt)
{
	unsigned n = cfg_opt_size(opt);

	if (n < r->list_values || (n == r->list_values && r->list_closed))
		return config_fail(r, cfg->line, "%s is given twice; keep one of them", key->name);
	r->list_closed = n == r->list_values;
	if (r->list_closed)
		return 0;
	r->list_values = n;
	return key->set(r, key, cfg->line, cfg_opt_getnstr(opt, n - 1));
}

/* A value was read: the last of the option's values is the new one. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	struct config_reader *r = reading;
	enum config_section section = section_of(cfg);
	const struct config_key *key = config_key_find(section, opt->name);
	uint32_t bit = 1U << (key - config_keys);

	if (key->list)
		return on_list(r, key, cfg, opt);
	if (r->seen[section] & bit)
		return config_fail(r, cfg->line, "%s is given twice; keep one of them", key->name);
	r->seen[section] |= bit;
	return key->set(r, key, cfg->line, cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1));
}

static int path_name_check(struct config_reader *r, int line, const char *name)
{
	size_t n = strlen(name);
	bool odd = !isalnum((unsigned char)name[0]);

	for (const char *c = name; *c; c++)
		odd = odd || !(isalnum((unsigned char)*c) || *c == '-' || *c == '_');
	if (odd)
		return config_fail(r, line,
				   "path name \"%s\" has odd characters; use letters, digits, - "
				   "and _, beginning with a letter or digit",
				   name);
	if (n > ENGINE_NAME_MAX)
		return config_fail(r, line,
				   "path name \"%s\" has %zu characters; use at most %d, because "
				   "the device mpg-NAME carries it",
				   name, n, ENGINE_NAME_MAX);
	if (name[0] == 'g' && n > 1 && strspn(name + 1, "0123456789") == n - 1)
		return config_fail(r, line,
				   "path name \"%s\" is kept for the devices towards the guests; "
				   "choose another",
				   name);
	return 0;
}

/* A path's section is closed: its keys are in r->path. */
static int on_path(cfg_t *cfg, cfg_opt_t *opt)
{
	struct config_reader *r = reading;
	const char *name = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));
	int line = config_section_line(r->text, "path", r->cfg->n_paths);

	if (!line)
		line = cfg->line;
	if (path_name_check(r, line, name ? name : "") < 0)
		return -1;
	if (!r->path.interface[0])
		return config_fail(r, line, "path \"%s\" has no interface; add interface = \"...\"",
				   name);
	if (r->cfg->n_paths == ENGINE_PATHS_MAX)
		return config_fail(r, line, "more than %d paths; remove some", ENGINE_PATHS_MAX);
	snprintf(r->path.name, sizeof(r->path.name), "%.*s", ENGINE_NAME_MAX, name);
	r->path.line = line;
	r->cfg->path[r->cfg->n_paths++] = r->path;
	r->path = (struct config_path){.price = 1.0};
	r->seen[CONFIG_PATH] = 0;
	return 0;
}

static int on_multipath(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)opt;
	if (reading->n_multipath++)
		return config_fail(reading, cfg->line,
				   "multipath stands there twice; keep one section");
	return 0;
}

static int on_policy(cfg_t *cfg, cfg_opt_t *opt)
{
	struct config_reader *r = reading;
	int line = config_section_line(r->text, "policy", r->cfg->n_policies);

	(void)opt;
	if (!line)
		line = cfg->line;
	if (!r->rule.has_match)
		return config_fail(r, line,
				   "policy has no match; add match = \"tcp\" or a narrower one");
	if (!r->rule.has_use)
		return config_fail(
			r, line, "policy has no use; add use = \"auto\", \"always\" or \"never\"");
	if (r->cfg->n_policies == ENGINE_POLICY_MAX)
		return config_fail(r, line, "more than %d policies; merge some with prefixes",
				   ENGINE_POLICY_MAX);
	r->cfg->policy[r->cfg->n_policies++] = r->rule.policy;
	memset(&r->rule, 0, sizeof(r->rule));
	r->seen[CONFIG_POLICY] = 0;
	return 0;
}

/* Not a path: stands for "beside the control socket" until that is known. */
#define STATE_BESIDE_CONTROL "?"

static void default_state(struct config *cfg)
{
	if (strcmp(cfg->state, STATE_BESIDE_CONTROL) == 0 &&
	    snprintf(cfg->state, sizeof(cfg->state), "%s.state", cfg->control) >=
		    (int)sizeof(cfg->state))
		cfg->state[0] = '\0';
}

static void defaults(struct config *cfg)
{
	*cfg = (struct config){
		.control = "/run/mpgate.sock",
		.state = STATE_BESIDE_CONTROL,
		.manage_host = true,
		.emit = "straight",
		.queue = 61,
		.port_min = 61000,
		.port_max = 65000,
		/*
		 * Just below an initial window of ten segments: the second path is there one round
		 * trip earlier than with 32 KB (doc/choices.md).
		 */
		.multipath = {.mode = CONFIG_FULLMESH,
			      .ndiffports = 2,
			      .after_bytes = 14000,
			      .on_congestion = true,
			      .max_subflows = ENGINE_SUBFLOWS_MAX,
			      .announce = "responder",
			      .rejoin_s = 60},
		/*
		 * Not lowest-rtt: with a peer's window below the slow path's product it falls to a
		 * quarter of the fast path alone (100/20 Mbit/s, 10/60 ms, 128 KB), blest never
		 * below it (tests/unit/test_engine_scheduler_streams.c).
		 */
		.scheduler = "blest",
		.congestion = "lia",
		.memory_mb = 256,
		.max_connections = 65536,
	};
}

/* Every value is text to libconfuse: conversions and their messages are ours. */
static void options_fill(cfg_opt_t *opts, enum config_section section)
{
	unsigned n = 0;

	for (unsigned i = 0; i < config_n_keys; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->section != section)
			continue;
		if (key->list)
			opts[n] = (cfg_opt_t)CFG_STR_LIST(key->name, 0, CFGF_NODEFAULT);
		else
			opts[n] = (cfg_opt_t)CFG_STR(key->name, 0, CFGF_NODEFAULT);
		opts[n++].validcb = on_value;
	}
	opts[n] = (cfg_opt_t)CFG_END();
}

static int unclosed_check(struct config_reader *r)
{
	const char *what;
	int line = config_unclosed_line(r->text, &what);

	if (!line)
		return 0;
	return config_fail(r, line, "this %s is never closed; add the missing %s", what,
			   what[0] == 'c'   ? "*/"
			   : what[1] == 't' ? "quote"
					    : "}");
}

static int parse(struct config_reader *r)
{
	cfg_opt_t path[16], multipath[16], policy[16], top[16 + CONFIG_SECTIONS], *end = top;
	cfg_t *cfg;
	int rc;

	options_fill(path, CONFIG_PATH);
	options_fill(multipath, CONFIG_MULTIPATH);
	options_fill(policy, CONFIG_POLICY);
	options_fill(top, CONFIG_TOP);
	while (end->name)
		end++;
	end[0] = (cfg_opt_t)CFG_SEC("path", path, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	end[0].validcb = on_path;
	end[1] = (cfg_opt_t)CFG_SEC("multipath", multipath, CFGF_NONE);
	end[1].validcb = on_multipath;
	end[2] = (cfg_opt_t)CFG_SEC("policy", policy, CFGF_MULTI);
	end[2].validcb = on_policy;
	end[3] = (cfg_opt_t)CFG_END();

	cfg = cfg_init(top, CFGF_NONE);
	if (!cfg)
		return config_fail(r, 0, "no memory to parse it; free some");
	cfg_set_error_function(cfg, on_error);
	reading = r;
	rc = cfg_parse_buf(cfg, r->text);
	reading = NULL;
	if (!r->failed && unclosed_check(r) == 0 && rc != CFG_SUCCESS)
		config_fail(r, cfg->line,
			    "the last entry is not complete; mpgate.conf(5) shows the syntax");
	cfg_free(cfg);
	return r->failed ? -1 : 0;
}

static bool addresses_differ(const struct ip_addr *a, const struct ip_addr *b)
{
	return !ip_addr_is_zero(a) && !ip_addr_is_zero(b) && !ip_addr_equal(a, b);
}

/* Paths may share an interface if the file itself tells their addresses apart. */
static int shared_check(struct config_reader *r)
{
	const struct config *cfg = r->cfg;

	for (unsigned i = 0; i < cfg->n_paths; i++) {
		for (unsigned k = 0; k < i; k++) {
			const struct config_path *a = &cfg->path[i], *b = &cfg->path[k];

			if (strcmp(a->interface, b->interface) != 0 ||
			    addresses_differ(&a->address4, &b->address4) ||
			    addresses_differ(&a->address6, &b->address6))
				continue;
			return config_fail(
				r, a->line,
				"interface \"%s\" is path \"%s\" already; give every path an "
				"interface of its own, or both of them an address of their own",
				a->interface, b->name);
		}
	}
	return 0;
}

/* The smallest memory_mb with which the engine takes the file's other settings. */
static unsigned memory_needed_mb(const struct config *cfg)
{
	unsigned too_little = cfg->memory_mb;
	unsigned enough = (unsigned)config_key_find(CONFIG_TOP, "memory_mb")->max;
	struct engine_cfg engine;

	config_engine(cfg, &engine);
	while (enough - too_little > 1) {
		unsigned between = too_little + (enough - too_little) / 2;

		engine.memory_bytes = (uint64_t)between << 20;
		if (engine_region_bytes(&engine))
			enough = between;
		else
			too_little = between;
	}
	return enough;
}

/* What only the whole file can tell. */
static int whole_check(struct config_reader *r)
{
	const struct config *cfg = r->cfg;
	struct engine_cfg engine;
	int line;

	if (!cfg->n_guests)
		return config_fail(r, 0,
				   "guests is missing; add guests = { \"virbr0\" } with the "
				   "interfaces behind which guests live");
	if (!cfg->n_paths)
		return config_fail(r, 0,
				   "no path; add path \"NAME\" { interface = \"...\" } for every "
				   "uplink");
	for (unsigned i = 0; i < cfg->n_paths; i++)
		for (unsigned k = 0; k < cfg->n_guests; k++)
			if (strcmp(cfg->path[i].interface, cfg->guests[k]) == 0)
				return config_fail(r, cfg->path[i].line,
						   "interface \"%s\" is among the guests too; "
						   "an interface leads to guests or is a path",
						   cfg->guests[k]);
	if (shared_check(r) < 0)
		return -1;
	config_engine(cfg, &engine);
	if (engine_region_bytes(&engine))
		return 0;
	line = config_section_line(r->text, "memory_mb", 0);
	if (!line)
		line = config_section_line(r->text, "max_connections", 0);
	return config_fail(r, line,
			   "memory_mb = %u is too small for max_connections = %u; write memory_mb "
			   "= %u or lower max_connections",
			   cfg->memory_mb, cfg->max_connections, memory_needed_mb(cfg));
}

int config_read_text(struct config *cfg, const char *file, const char *text, char *err,
		     unsigned err_bytes)
{
	struct config_reader r = {.cfg = cfg,
				  .file = file,
				  .text = text,
				  .err = err,
				  .err_bytes = err_bytes,
				  .path = {.price = 1.0}};

	if (err_bytes)
		err[0] = '\0';
	defaults(cfg);
	if (parse(&r) < 0 || whole_check(&r) < 0)
		return -1;
	default_state(cfg);
	return 0;
}

int config_read(struct config *cfg, const char *file, char *err, unsigned err_bytes)
{
	struct config_reader r = {.file = file, .err = err, .err_bytes = err_bytes};
	FILE *f = fopen(file, "re");
	char *text;
	size_t n;
	int rc;

	if (!f)
		return config_fail(&r, 0, "cannot open it: %s; name the file with -c FILE",
				   strerror(errno));
	text = malloc(FILE_BYTES_MAX + 1);
	n = text ? fread(text, 1, FILE_BYTES_MAX + 1, f) : 0;
	if (!text || ferror(f))
		rc = config_fail(&r, 0, "cannot read it: %s; name a plain file with -c FILE",
				 strerror(errno));
	else if (n > FILE_BYTES_MAX)
		rc = config_fail(&r, 0, "it is larger than %u bytes; is it the right file?",
				 FILE_BYTES_MAX);
	else if (memchr(text, 0, n))
		rc = config_fail(&r, 0, "it holds a zero byte; write it as plain text");
	else {
		text[n] = '\0';
		rc = config_read_text(cfg, file, text, err, err_bytes);
	}
	free(text);
	fclose(f);
	return rc;
}

void config_engine(const struct config *cfg, struct engine_cfg *out)
{
	*out = (struct engine_cfg){
		.max_connections = cfg->max_connections,
		.memory_bytes = (uint64_t)cfg->memory_mb << 20,
		.checksum = cfg->checksum,
		.n_paths = (uint8_t)cfg->n_paths,
		.n_policies = (uint8_t)cfg->n_policies,
		.max_subflows = cfg->multipath.mode == CONFIG_SINGLE
					? 1
					: (uint8_t)cfg->multipath.max_subflows,
		.port_min = cfg->port_min,
		.port_max = cfg->port_max,
		.congestion = (uint8_t)engine_congestion(cfg->congestion),
		.scheduler = (uint8_t)engine_scheduler(cfg->scheduler),
		.mode = cfg->multipath.mode == CONFIG_SINGLE       ? ENGINE_SINGLE
			: cfg->multipath.mode == CONFIG_NDIFFPORTS ? ENGINE_NDIFFPORTS
								   : ENGINE_FULLMESH,
		.ndiffports = (uint8_t)cfg->multipath.ndiffports,
		.on_congestion = cfg->multipath.on_congestion,
		.after_bytes = cfg->multipath.after_bytes,
		.after_us = (uint64_t)cfg->multipath.after_ms * 1000,
		.after_bytes_per_s = (uint64_t)cfg->multipath.after_mbit * 125000,
		.announce = strcmp(cfg->multipath.announce, "always") == 0 ? ENGINE_ANNOUNCE_ALWAYS
			    : strcmp(cfg->multipath.announce, "never") == 0
				    ? ENGINE_ANNOUNCE_NEVER
				    : ENGINE_ANNOUNCE_RESPONDER,
		.backup_price = cfg->multipath.backup_price,
		.rejoin_us = (uint64_t)cfg->multipath.rejoin_s * 1000000,
	};
	memcpy(out->policy, cfg->policy, sizeof(out->policy));
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		struct engine_path_cfg *p = &out->path[i];

		memcpy(p->name, cfg->path[i].name, sizeof(p->name));
		p->backup = cfg->path[i].backup;
		p->price = cfg->path[i].price;
		p->addr4 = cfg->path[i].address4;
		p->addr6 = cfg->path[i].address6;
	}
}
