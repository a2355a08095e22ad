/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules_chains.c - our chains in iptables and ip6tables.
 *
 * Theory of operation
 *
 * The handshake walks the host's own road. Security FORWARD, which comes after the host's filters
 * and before source translation and knows both interfaces, queues what may begin or refuse a
 * connection over a path: SYN and SYN/ACK of guests, SYN/ACK and RST that answer them, SYNs with an
 * MPTCP option towards guests.
 *
 * Security INPUT shows the daemon SYNs with an MPTCP option that come to the host itself, where no
 * socket listens: a join there is refused as RFC 8684 section 3.2 says.
 *
 * All that follows is met in raw PREROUTING, before conntrack: packets that the program at the
 * interfaces' ingress (src/bpf) has marked, because the daemon claims their tuples. Without such
 * a mark nothing is ours: a plain segment passes two rules that do not match, and nothing here
 * makes the kernel track a connection.
 *
 * The daemon answers by NF_REPEAT with the mark DECIDED: the packet walks the same chain again,
 * our first rule removes our bits and returns to the host's rules.
 *
 * When the daemon is dead, --queue-bypass lets go what is new or undecided. What belongs to a
 * converted connection waits (is dropped): it must not reach the peer without its mapping.
 *
 * Each table's chains are replaced in one transaction, so a restart leaves no gap.
 */
#include "app/rules.h"
#include "app/rules_build.h"

/* Kind 30 is MPTCP (RFC 8684 section 3): MP_CAPABLE or MP_JOIN. */
#define MPTCP_SYN "-p tcp --tcp-flags SYN,ACK,RST,FIN SYN --tcp-option 30"
#define SYN_OR_SYNACK "-p tcp --tcp-flags SYN,RST,FIN SYN"
#define SYNACK "-p tcp --tcp-flags SYN,ACK,RST,FIN SYN,ACK"
#define REFUSAL "-p tcp --tcp-flags SYN,ACK,RST,FIN RST,ACK"
/* One rule that all other segments have to pass, instead of several. */
#define SYN_OR_RST "-p tcp ! --tcp-flags SYN,RST NONE"
#define QUEUE "-j NFQUEUE --queue-num %u"
#define BYPASS QUEUE " --queue-bypass"

struct jump {
	const char *table, *at, *from, *match, *chain;
	bool routed; /* only where packets of our devices are routed */
};

/*
 * Ours come last: a bypassed NFQUEUE skips the rest of the host's chain, which so is nothing. What
 * concerns our own devices comes first: it is not to be overruled.
 */
static const struct jump jumps[] = {
	{"raw", "-I", "PREROUTING", "-i mpg-+", "MPGATE-RAW", true},
	{"filter", "-I", "FORWARD", "-i mpg-+", "MPGATE-ACCEPT", true},
	{"raw", "-A", "PREROUTING", "-m mark ! --mark 0x0/0xf0000000", "MPGATE-PRE", false},
	{"security", "-A", "FORWARD", SYN_OR_RST, "MPGATE-FWD", false},
	{"security", "-A", "INPUT", MPTCP_SYN, "MPGATE-IN", false},
};
_Static_assert(STEER_ALL == 0xf0000000U, "as the jump says");

struct chain {
	const char *table, *name;
	bool routed;
};

static const struct chain chains[] = {
	{"raw", "MPGATE-RAW", true},        {"filter", "MPGATE-ACCEPT", true},
	{"raw", "MPGATE-PRE", false},       {"raw", "MPGATE-SET", false},
	{"security", "MPGATE-FWD", false},  {"security", "MPGATE-FWDG", false},
	{"security", "MPGATE-FWDN", false}, {"security", "MPGATE-NET", false},
	{"security", "MPGATE-IN", false},   {"security", "MPGATE-SET", false},
};

static const char *const tables[] = {"raw", "filter", "security"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *tool(uint8_t family)
{
	return family == FLOW_IPV4 ? "iptables" : "ip6tables";
}

/* Begins a transaction that replaces our chains of `table`. */
static void begin(struct rules_list *list, uint8_t family, const char *table, bool routed,
		  const char *why)
{
	rules_list_add(list, "%s-restore -w --noflush", tool(family));
	rules_list_why(list, "%s", why);
	rules_list_input(list, "*%s", table);
	for (size_t i = 0; i < COUNT(chains); i++) {
		if (strcmp(chains[i].table, table) == 0 && (routed || !chains[i].routed))
			rules_list_input(list, ":%s - [0:0]", chains[i].name);
	}
}

static void commit(struct rules_list *list)
{
	rules_list_input(list, "COMMIT");
}

static void own_devices(struct rules_list *list, const struct config *cfg, const char *chain,
			const char *target)
{
	for (unsigned i = 0; i < cfg->n_paths; i++)
		rules_list_input(list, "-A %s -i mpg-%s %s", chain, cfg->path[i].name, target);
	for (unsigned i = 0; i < cfg->n_guests; i++)
		rules_list_input(list, "-A %s -i mpg-g%u %s", chain, i, target);
}

/* What the daemon has let go passes its chain once more. */
static void decided(struct rules_list *list, const char *chain)
{
	rules_list_input(list, "-A %s -m mark --mark 0x%x/0x%x -g MPGATE-SET", chain, STEER_DECIDED,
			 STEER_DECIDED);
}

static void chain_set(struct rules_list *list)
{
	rules_list_input(list, "-A MPGATE-SET -j MARK --set-xmark 0x0/0x%x", STEER_ALL);
}

/* By what the program at the interfaces' ingress says. */
static void chain_prerouting(struct rules_list *list, const struct config *cfg)
{
	decided(list, "MPGATE-PRE");
	rules_list_input(list, "-A MPGATE-PRE -m mark --mark 0x%x/0x%x " QUEUE, STEER_CONVERTED,
			 STEER_KIND, cfg->queue);
	rules_list_input(list, "-A MPGATE-PRE -m mark --mark 0x%x/0x%x " BYPASS, STEER_HALF,
			 STEER_KIND, cfg->queue);
	/*
	 * Shown are SYNs from the net, for MP_JOIN looks like MP_CAPABLE here, and "packet too big"
	 * about a connection of ours.
	 */
	rules_list_input(list, "-A MPGATE-PRE -p tcp ! --tcp-option 30 -g MPGATE-SET");
	rules_list_input(list, "-A MPGATE-PRE " BYPASS, cfg->queue);
	/*
	 * Never reached. That it stands here makes the kernel reassemble fragments before this
	 * table, which on other hosts is a part of connection tracking.
	 */
	rules_list_input(list, "-A MPGATE-PRE -m socket -j RETURN");
}

/* Handshakes between a guests' interface and a path's. */
static void chain_forward(struct rules_list *list, const struct config *cfg)
{
	decided(list, "MPGATE-FWD");
	for (unsigned i = 0; i < cfg->n_guests; i++) {
		rules_list_input(list, "-A MPGATE-FWD -i %s " SYN_OR_SYNACK " -g MPGATE-FWDG",
				 cfg->guests[i]);
		rules_list_input(list, "-A MPGATE-FWD -o %s -g MPGATE-FWDN", cfg->guests[i]);
	}
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		rules_list_input(list, "-A MPGATE-FWDG -o %s " BYPASS, cfg->path[i].interface,
				 cfg->queue);
		rules_list_input(list, "-A MPGATE-FWDN -i %s -g MPGATE-NET",
				 cfg->path[i].interface);
	}
	rules_list_input(list, "-A MPGATE-NET " SYNACK " " BYPASS, cfg->queue);
	rules_list_input(list, "-A MPGATE-NET " REFUSAL " " BYPASS, cfg->queue);
	rules_list_input(list, "-A MPGATE-NET " MPTCP_SYN " " BYPASS, cfg->queue);
}

/*
 * A SYN that has come to the host itself. What listens there, it may be another user of Multipath
 * TCP, answers; where nothing does, the daemon refuses what is a join.
 */
static void chain_input(struct rules_list *list, const struct config *cfg)
{
	decided(list, "MPGATE-IN");
	rules_list_input(list, "-A MPGATE-IN -m socket --nowildcard -j RETURN");
	for (unsigned i = 0; i < cfg->n_paths; i++)
		rules_list_input(list, "-A MPGATE-IN -i %s " BYPASS, cfg->path[i].interface,
				 cfg->queue);
}

void rules_chains(struct rules_list *list, const struct config *cfg, uint8_t family, bool routed)
{
	begin(list, family, "raw", routed,
	      "what visits the daemon, by the marks of the program at the interfaces' ingress; the "
	      "rules are told in rules/README.md");
	chain_set(list);
	chain_prerouting(list, cfg);
	if (routed)
		own_devices(list, cfg, "MPGATE-RAW", "-j CT --notrack");
	commit(list);
	begin(list, family, "security", routed,
	      "handshakes, when the host's firewall has let them pass");
	chain_set(list);
	chain_forward(list, cfg);
	chain_input(list, cfg);
	commit(list);
	if (!routed)
		return;
	begin(list, family, "filter", routed,
	      "what the gate re-emits is not filtered: the host's firewall has passed its "
	      "handshake");
	own_devices(list, cfg, "MPGATE-ACCEPT", "-j ACCEPT");
	commit(list);
}

void rules_jumps(struct rules_list *list, uint8_t family, bool routed)
{
	const char *t = tool(family), *why = "one jump into each, where the host's own rules stand";

	for (size_t i = 0; i < COUNT(jumps); i++) {
		const struct jump *j = &jumps[i];

		if (j->routed && !routed)
			continue;
		rules_list_add(list, "%s -w -t %s %s %s %s -j %s", t, j->table, j->at, j->from,
			       j->match, j->chain);
		rules_list_unless(list, "%s -w -t %s -C %s %s -j %s", t, j->table, j->from,
				  j->match, j->chain);
		if (why)
			rules_list_why(list, "%s", why);
		why = NULL;
	}
}

void rules_chains_remove(struct rules_list *list, uint8_t family)
{
	const char *t = tool(family);

	for (size_t i = COUNT(jumps); i-- > 0;) {
		const struct jump *j = &jumps[i];

		rules_list_add(list, "%s -w -t %s -D %s %s -j %s", t, j->table, j->from, j->match,
			       j->chain);
		rules_list_repeat(list);
	}
	/* Declaring a chain empties it, or makes it: so all of them exist when they are removed. */
	for (size_t i = 0; i < COUNT(tables); i++) {
		begin(list, family, tables[i], true,
		      "our chains of this table, whichever are there");
		for (size_t k = 0; k < COUNT(chains); k++) {
			if (strcmp(chains[k].table, tables[i]) == 0)
				rules_list_input(list, "-X %s", chains[k].name);
		}
		commit(list);
		rules_list_may_fail(list);
	}
}
