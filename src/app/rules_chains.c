// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_chains.c - our chains in iptables and ip6tables.
 *
 * Theory of operation
 *
 * The handshake walks the host's own road. Mangle FORWARD sees both interfaces and marks (packet
 * mark GUEST) a guest's SYN that leaves by a path and the SYN/ACK, or the RST, that answers it;
 * mangle POSTROUTING queues what is so marked, after the host's firewall has let it pass and
 * before source translation. A guest's SYN that leaves elsewhere makes its connection plain at
 * once.
 *
 * A remote client's SYN to a guest takes the same road, if it carries an MPTCP option (without one
 * its connection is plain at once), and so does the SYN/ACK that answers it. Until its third ACK
 * the connection bears both marks, which means neither.
 *
 * All that follows is met in mangle PREROUTING: from the guests' interfaces, TCP that is neither
 * plain nor meant for the host itself; from the paths' interfaces only what is marked converted,
 * what conntrack does not know (any more), the port range of the gate's own subflows, and ICMP's
 * "packet too big" about these.
 *
 * The daemon answers by NF_REPEAT with the packet mark DECIDED and its decision in the bits PLAIN
 * or CONVERTED: the packet walks the same chain again, our first rule saves the decision to the
 * connection, removes our bits from the packet and returns to the host's rules. Connections
 * marked plain never visit the daemon again.
 *
 * When the daemon is dead, --queue-bypass lets go what is new, unknown or plain. What belongs to a
 * converted connection waits (is dropped): it must not reach the peer without its mapping.
 *
 * Each table's chains are replaced in one transaction, so a restart leaves no gap.
 */
#include "app/rules.h"
#include "app/rules_build.h"

#define SYN "-p tcp --tcp-flags SYN,ACK,RST,FIN SYN"
#define SYNACK "-p tcp --tcp-flags SYN,ACK,RST,FIN SYN,ACK"
/* Kind 30 is MPTCP (RFC 8684 section 3): MP_CAPABLE or MP_JOIN. */
#define MPTCP_SYN SYN " --tcp-option 30"
#define HAS_SYN "-p tcp --tcp-flags SYN SYN"
#define HAS_RST "-p tcp --tcp-flags RST RST"
/* One rule that all other segments of plain connections have to pass, instead of two. */
#define SYN_OR_RST "-p tcp ! --tcp-flags SYN,RST NONE"
#define JOINED "-p tcp ! --tcp-flags SYN,ACK,RST,FIN SYN --tcp-option 30"
#define OWN_PORTS "-p tcp ! --tcp-flags SYN,ACK,RST,FIN SYN"
#define TOO_BIG "-p icmp --icmp-type fragmentation-needed"
#define TOO_BIG6 "-p ipv6-icmp --icmpv6-type packet-too-big"

/* `match6` stands for `match` in ip6tables, where they differ. */
struct jump {
	const char *table, *at, *from, *match, *chain, *match6;
};

/*
 * In mangle ours come last: a bypassed NFQUEUE skips the rest of the host's chain, which so is
 * nothing. In raw and filter ours come first: what they say of our own devices is not to be
 * overruled.
 */
static const struct jump jumps[] = {
	{"raw", "-I", "PREROUTING", "-i mpg-+", "MPGATE-RAW", NULL},
	{"filter", "-I", "FORWARD", "-i mpg-+", "MPGATE-ACCEPT", NULL},
	{"mangle", "-A", "FORWARD", SYN_OR_RST, "MPGATE-FWD", NULL},
	{"mangle", "-A", "POSTROUTING", SYN_OR_RST, "MPGATE-POST", NULL},
	{"mangle", "-A", "PREROUTING", "-p tcp", "MPGATE-PRE", NULL},
	{"mangle", "-A", "PREROUTING", TOO_BIG, "MPGATE-ICMP", TOO_BIG6},
};

struct chain {
	const char *table, *name;
};

static const struct chain chains[] = {
	{"raw", "MPGATE-RAW"},     {"filter", "MPGATE-ACCEPT"}, {"mangle", "MPGATE-FWD"},
	{"mangle", "MPGATE-FWDG"}, {"mangle", "MPGATE-FWDN"},   {"mangle", "MPGATE-POST"},
	{"mangle", "MPGATE-PRE"},  {"mangle", "MPGATE-GUEST"},  {"mangle", "MPGATE-NET"},
	{"mangle", "MPGATE-OWN"},  {"mangle", "MPGATE-SET"},    {"mangle", "MPGATE-ICMP"},
	{"mangle", "MPGATE-FWDI"}, {"mangle", "MPGATE-HALF"},
};

static const char *const tables[] = {"raw", "filter", "mangle"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *tool(uint8_t family)
{
	return family == FLOW_IPV4 ? "iptables" : "ip6tables";
}

static const char *match_of(const struct jump *j, uint8_t family)
{
	return family == FLOW_IPV6 && j->match6 ? j->match6 : j->match;
}

/* Begins a transaction that replaces our chains of `table`. */
static void begin(struct rules_list *list, uint8_t family, const char *table, const char *why)
{
	rules_list_add(list, "%s-restore -w --noflush", tool(family));
	rules_list_why(list, "%s", why);
	rules_list_input(list, "*%s", table);
	for (size_t i = 0; i < COUNT(chains); i++) {
		if (strcmp(chains[i].table, table) == 0)
			rules_list_input(list, ":%s - [0:0]", chains[i].name);
	}
}

static void commit(struct rules_list *list)
{
	rules_list_input(list, "COMMIT");
}

static void own_devices(struct rules_list *list, const struct config *cfg, uint8_t family,
			const char *table, const char *chain, const char *target, const char *why)
{
	begin(list, family, table, why);
	for (unsigned i = 0; i < cfg->n_paths; i++)
		rules_list_input(list, "-A %s -i mpg-%s %s", chain, cfg->path[i].name, target);
	for (unsigned i = 0; i < cfg->n_guests; i++)
		rules_list_input(list, "-A %s -i mpg-g%u %s", chain, i, target);
	commit(list);
}

/* What goes by a path, or comes by it (`-o`, `-i`), is marked for mangle POSTROUTING. */
static void mark_by_path(struct rules_list *list, const struct config *cfg, const char *chain,
			 const char *match)
{
	for (unsigned i = 0; i < cfg->n_paths; i++)
		rules_list_input(list, "-A %s %s %s -j MARK --set-xmark 0x%x/0x%x", chain, match,
				 cfg->path[i].interface, RULES_MARK_GUEST, RULES_MARK_GUEST);
}

/*
 * The handshake that a remote client begins. Its SYN says whether it asks for Multipath TCP; if
 * not, the connection is plain at once. The guest's SYN/ACK is looked at only when it did.
 */
static void chain_forward_inbound(struct rules_list *list, const struct config *cfg)
{
	for (unsigned i = 0; i < cfg->n_guests; i++) {
		rules_list_input(list, "-A MPGATE-FWD " SYN " -o %s -g MPGATE-FWDI",
				 cfg->guests[i]);
		for (unsigned k = 0; k < cfg->n_paths; k++)
			rules_list_input(list,
					 "-A MPGATE-FWD " SYNACK
					 " -i %s -o %s -m connmark --mark 0x%x/0x%x -j MARK "
					 "--set-xmark 0x%x/0x%x",
					 cfg->guests[i], cfg->path[k].interface, RULES_MARK_HALF,
					 RULES_MARK_CONN, RULES_MARK_GUEST, RULES_MARK_GUEST);
	}
	mark_by_path(list, cfg, "MPGATE-FWDI", MPTCP_SYN " -i");
	rules_list_input(list,
			 "-A MPGATE-FWDI -m mark --mark 0x0/0x%x -m connmark --mark 0x0/0x%x -j "
			 "CONNMARK --set-xmark 0x%x/0x%x",
			 RULES_MARK_GUEST, RULES_MARK_CONN, RULES_MARK_PLAIN, RULES_MARK_CONN);
}

/* Marks the handshakes that concern us; see the theory of operation. */
static void chain_forward(struct rules_list *list, const struct config *cfg)
{
	for (unsigned i = 0; i < cfg->n_guests; i++) {
		rules_list_input(list, "-A MPGATE-FWD " SYN " -i %s -g MPGATE-FWDG",
				 cfg->guests[i]);
		rules_list_input(list, "-A MPGATE-FWD " SYNACK " -o %s -g MPGATE-FWDN",
				 cfg->guests[i]);
		/* A refusal: of a connection about which nothing is decided yet. */
		rules_list_input(list,
				 "-A MPGATE-FWD " HAS_RST " -o %s -m connmark --mark 0x0/0x%x -g "
				 "MPGATE-FWDN",
				 cfg->guests[i], RULES_MARK_CONN);
	}
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		const char *interface = cfg->path[i].interface;

		rules_list_input(list, "-A MPGATE-FWDG -o %s -j MARK --set-xmark 0x%x/0x%x",
				 interface, RULES_MARK_GUEST, RULES_MARK_GUEST);
		rules_list_input(list, "-A MPGATE-FWDG -o %s -j RETURN", interface);
	}
	mark_by_path(list, cfg, "MPGATE-FWDN", "-i");
	rules_list_input(list,
			 "-A MPGATE-FWDG -m connmark --mark 0x0/0x%x -j CONNMARK --set-xmark "
			 "0x%x/0x%x",
			 RULES_MARK_CONN, RULES_MARK_PLAIN, RULES_MARK_CONN);
}

/* What mangle POSTROUTING and PREROUTING begin with: the daemon's decision, if it has spoken. */
static void decided(struct rules_list *list, const char *chain)
{
	rules_list_input(list, "-A %s -m mark --mark 0x%x/0x%x -g MPGATE-SET", chain,
			 RULES_MARK_DECIDED, RULES_MARK_DECIDED);
}

static void chain_postrouting(struct rules_list *list, const struct config *cfg)
{
	decided(list, "MPGATE-POST");
	rules_list_input(list, "-A MPGATE-POST -m mark ! --mark 0x%x/0x%x -j RETURN",
			 RULES_MARK_GUEST, RULES_MARK_GUEST);
	rules_list_input(list, "-A MPGATE-POST -j MARK --set-xmark 0x0/0x%x", RULES_MARK_GUEST);
	rules_list_input(list, "-A MPGATE-POST -m connmark --mark 0x%x/0x%x -j RETURN",
			 RULES_MARK_PLAIN, RULES_MARK_CONN);
	rules_list_input(list, "-A MPGATE-POST -m connmark --mark 0x%x/0x%x -g MPGATE-OWN",
			 RULES_MARK_CONVERTED, RULES_MARK_CONN);
	rules_list_input(list, "-A MPGATE-POST -j NFQUEUE --queue-num %u --queue-bypass",
			 cfg->queue);
}

static void chain_prerouting(struct rules_list *list, const struct config *cfg)
{
	decided(list, "MPGATE-PRE");
	rules_list_input(list, "-A MPGATE-PRE -m connmark --mark 0x%x/0x%x -j RETURN",
			 RULES_MARK_PLAIN, RULES_MARK_CONN);
	for (unsigned i = 0; i < cfg->n_guests; i++)
		rules_list_input(list, "-A MPGATE-PRE -i %s -g MPGATE-GUEST", cfg->guests[i]);
	for (unsigned i = 0; i < cfg->n_paths; i++)
		rules_list_input(list, "-A MPGATE-PRE -i %s -g MPGATE-NET", cfg->path[i].interface);

	rules_list_input(list, "-A MPGATE-GUEST " HAS_SYN " -j RETURN");
	rules_list_input(list, "-A MPGATE-GUEST -m connmark --mark 0x%x/0x%x -g MPGATE-OWN",
			 RULES_MARK_CONVERTED, RULES_MARK_CONN);
	rules_list_input(list, "-A MPGATE-GUEST -m addrtype --dst-type LOCAL -j RETURN");
	/*
	 * Invalid to conntrack is what a guest sends again after the peer's subflow, but not its
	 * data, was acknowledged: a converted connection's, so it waits like all of those.
	 */
	rules_list_input(list,
			 "-A MPGATE-GUEST -m conntrack --ctstate INVALID -j MARK --set-xmark "
			 "0x%x/0x%x",
			 RULES_MARK_GUEST, RULES_MARK_GUEST);
	rules_list_input(list,
			 "-A MPGATE-GUEST -m conntrack --ctstate INVALID -j NFQUEUE --queue-num %u",
			 cfg->queue);
	rules_list_input(list, "-A MPGATE-GUEST -j NFQUEUE --queue-num %u --queue-bypass",
			 cfg->queue);
}

static void chain_net(struct rules_list *list, const struct config *cfg)
{
	/*
	 * The gate's own subflows leave untracked, so conntrack takes their answers for new or
	 * invalid; a guest's translated connection in the same range is established. They wait for
	 * the daemon: the host's own stack would answer RST. A SYN is none of theirs.
	 */
	rules_list_input(list,
			 "-A MPGATE-NET " OWN_PORTS
			 " --dport %u:%u -m addrtype --dst-type LOCAL -m "
			 "conntrack --ctstate NEW,INVALID,UNTRACKED -j NFQUEUE --queue-num %u",
			 cfg->port_min, cfg->port_max, cfg->queue);
	/*
	 * Subflows that the peer opened go to ports of its choice; they carry an MPTCP option, and
	 * conntrack does not know them. The host's own MPTCP connections it does.
	 */
	rules_list_input(list,
			 "-A MPGATE-NET " JOINED
			 " -m conntrack --ctstate NEW,INVALID,UNTRACKED -j NFQUEUE --queue-num %u",
			 cfg->queue);
	/*
	 * MP_JOIN looks like MP_CAPABLE here; what is not for a connection of ours is let go: to a
	 * guest it goes the way of a handshake, to the host itself it is none of our business.
	 */
	rules_list_input(list,
			 "-A MPGATE-NET " MPTCP_SYN " -j NFQUEUE --queue-num %u --queue-bypass",
			 cfg->queue);
	rules_list_input(list, "-A MPGATE-NET " HAS_SYN " -j RETURN");
	rules_list_input(list, "-A MPGATE-NET -m connmark --mark 0x%x/0x%x -g MPGATE-HALF",
			 RULES_MARK_HALF, RULES_MARK_CONN);
	rules_list_input(list, "-A MPGATE-NET -m connmark --mark 0x%x/0x%x -g MPGATE-OWN",
			 RULES_MARK_CONVERTED, RULES_MARK_CONN);
	/*
	 * In mid-connection, and new or invalid to conntrack: it may have lost a converted one. The
	 * kernel deletes what MASQUERADE translated when the uplink goes down.
	 */
	rules_list_input(list,
			 "-A MPGATE-NET -m conntrack --ctstate INVALID -m addrtype ! --dst-type "
			 "LOCAL -j NFQUEUE --queue-num %u",
			 cfg->queue);
	rules_list_input(list,
			 "-A MPGATE-NET -m conntrack --ctstate NEW,INVALID -j NFQUEUE --queue-num "
			 "%u --queue-bypass",
			 cfg->queue);
}

/*
 * "Packet too big": conntrack relates it to the guest's connection, or, where a subflow is the
 * gate's own, knows nothing of it.
 */
static void chain_icmp(struct rules_list *list, const struct config *cfg)
{
	decided(list, "MPGATE-ICMP");
	for (unsigned i = 0; i < cfg->n_paths; i++) {
		const char *interface = cfg->path[i].interface;

		rules_list_input(list,
				 "-A MPGATE-ICMP -i %s -m connmark --mark 0x%x/0x%x -j NFQUEUE "
				 "--queue-num %u --queue-bypass",
				 interface, RULES_MARK_CONVERTED, RULES_MARK_CONN, cfg->queue);
		rules_list_input(list,
				 "-A MPGATE-ICMP -i %s -m conntrack --ctstate INVALID -j NFQUEUE "
				 "--queue-num %u --queue-bypass",
				 interface, cfg->queue);
	}
}

static void chains_small(struct rules_list *list, const struct config *cfg)
{
	/* The daemon is to see that the connection is converted, and none may slip by it. */
	rules_list_input(list, "-A MPGATE-OWN -j MARK --set-xmark 0x%x/0x%x", RULES_MARK_CONVERTED,
			 RULES_MARK_CONN);
	rules_list_input(list, "-A MPGATE-OWN -j NFQUEUE --queue-num %u", cfg->queue);

	/* A third ACK decides: nothing of the connection waits for the daemon until then. */
	rules_list_input(list, "-A MPGATE-HALF -j MARK --set-xmark 0x%x/0x%x", RULES_MARK_HALF,
			 RULES_MARK_CONN);
	rules_list_input(list, "-A MPGATE-HALF -j NFQUEUE --queue-num %u --queue-bypass",
			 cfg->queue);

	rules_list_input(list,
			 "-A MPGATE-SET -m mark ! --mark 0x0/0x%x -j CONNMARK --save-mark --nfmask "
			 "0x%x --ctmask 0x%x",
			 RULES_MARK_CONN, RULES_MARK_CONN, RULES_MARK_CONN);
	rules_list_input(list, "-A MPGATE-SET -j MARK --set-xmark 0x0/0x%x", RULES_MARK_ALL);
}

void rules_chains(struct rules_list *list, const struct config *cfg, uint8_t family)
{
	own_devices(list, cfg, family, "raw", "MPGATE-RAW", "-j CT --notrack",
		    "what the gate re-emits is not tracked: conntrack has seen it once already");
	own_devices(list, cfg, family, "filter", "MPGATE-ACCEPT", "-j ACCEPT",
		    "and is not filtered: the host's firewall has passed its handshake");
	begin(list, family, "mangle",
	      "what visits the daemon; the rules are told in rules/README.md");
	chain_forward(list, cfg);
	chain_forward_inbound(list, cfg);
	chain_postrouting(list, cfg);
	chain_prerouting(list, cfg);
	chain_net(list, cfg);
	chain_icmp(list, cfg);
	chains_small(list, cfg);
	commit(list);
}

void rules_jumps(struct rules_list *list, uint8_t family)
{
	const char *t = tool(family);

	for (size_t i = 0; i < COUNT(jumps); i++) {
		const struct jump *j = &jumps[i];

		rules_list_add(list, "%s -w -t %s %s %s %s -j %s", t, j->table, j->at, j->from,
			       match_of(j, family), j->chain);
		rules_list_unless(list, "%s -w -t %s -C %s %s -j %s", t, j->table, j->from,
				  match_of(j, family), j->chain);
		if (i == 0)
			rules_list_why(list,
				       "one jump into each, where the host's own rules stand");
	}
}

void rules_chains_remove(struct rules_list *list, uint8_t family)
{
	const char *t = tool(family);

	for (size_t i = COUNT(jumps); i-- > 0;) {
		const struct jump *j = &jumps[i];

		rules_list_add(list, "%s -w -t %s -D %s %s -j %s", t, j->table, j->from,
			       match_of(j, family), j->chain);
		rules_list_repeat(list);
	}
	/* Declaring a chain empties it, or makes it: so all of them exist when they are removed. */
	for (size_t i = 0; i < COUNT(tables); i++) {
		begin(list, family, tables[i], "our chains of this table, whichever are there");
		for (size_t k = 0; k < COUNT(chains); k++) {
			if (strcmp(chains[k].table, tables[i]) == 0)
				rules_list_input(list, "-X %s", chains[k].name);
		}
		commit(list);
		rules_list_may_fail(list);
	}
}
