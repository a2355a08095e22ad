/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_kernel.c - what the kernel and the installed tools can do. Everything is tried out in a
 * network namespace that a child process makes and that vanishes with it, so the host sees none
 * of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/check.h"
#include "app/rules.h"
#include "io/bpf.h"
#include "io/ctnl.h"
#include "io/nfqueue.h"
#include "io/tun.h"

#define CAP_NET_ADMIN 12
#define CAP_NET_RAW 13
#define CAP_SYS_ADMIN 21

static bool capable(unsigned bit)
{
	unsigned long long caps = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (f)
		fclose(f);
	return caps >> bit & 1;
}

static void rights(struct check *c)
{
	c->root = geteuid() == 0 && capable(CAP_NET_ADMIN);
	if (geteuid() != 0)
		check_say(c, CHECK_FAIL, "root",
			  "user %u may not set up devices and rules; run as root",
			  (unsigned)geteuid());
	else if (!capable(CAP_NET_ADMIN))
		check_say(c, CHECK_FAIL, "root",
			  "CAP_NET_ADMIN is missing; give it to the container or service");
	else
		check_say(c, CHECK_OK, "root", "devices, queues and rules are allowed");
}

static void tun(struct check *c, struct tun *t)
{
	char err[256];

	t->fd = -1;
	if (access("/dev/net/tun", F_OK) < 0) {
		check_say(c, CHECK_FAIL, "tun",
			  "/dev/net/tun does not exist; `modprobe tun`, or give the device to the "
			  "container");
		return;
	}
	if (tun_open(t, "mpg-check", err, sizeof(err)) < 0) {
		check_say(c, CHECK_FAIL, "tun", "%s; is /dev/net/tun the real device?", err);
		return;
	}
	check_say(c, CHECK_OK, "tun", "devices can be made");
}

static void redirect(struct check *c, const struct tun *t)
{
	int error;

	if (t->fd < 0)
		return;
	error = bpf_redirect(t->index, if_nametoindex("lo"), 1);
	c->no_redirect = error != 0;
	if (error)
		check_say(c, CHECK_WARN, "redirect",
			  "packets cannot be redirected by BPF (%s), so they are routed, which is "
			  "slower; a kernel with CONFIG_NET_CLS_BPF and bpf_redirect_neigh (5.10) "
			  "does better",
			  strerror(-error));
	else
		check_say(c, CHECK_OK, "redirect",
			  "packets go straight from device to interface (BPF)");
}

static void queue(struct check *c)
{
	char err[256];
	struct nfqueue *q = nfqueue_open(c->cfg->queue, err, sizeof(err));

	if (!q) {
		check_say(c, CHECK_FAIL, "nfqueue",
			  "%s; load the module nfnetlink_queue or use a kernel that has it", err);
		return;
	}
	nfqueue_close(q);
	check_say(c, CHECK_OK, "nfqueue", "the kernel has packet queues");
}

static void conntrack(struct check *c)
{
	static const struct flow_tuple nobody = {.family = FLOW_IPV4,
						 .src_port = 1,
						 .dst_port = 1,
						 .src = {{192, 0, 2, 1}},
						 .dst = {{192, 0, 2, 2}}};
	struct flow_tuple net;
	struct netlink nl;
	int error = netlink_open(&nl, NETLINK_NETFILTER);

	if (!error) {
		error = ctnl_translation(&nl, &nobody, &net);
		netlink_close(&nl);
	}
	if (error != -ENOENT)
		check_say(c, CHECK_FAIL, "conntrack",
			  "connection tracking cannot be asked (%s); load the module "
			  "nf_conntrack_netlink or use a kernel that has it",
			  strerror(-error));
	else
		check_say(c, CHECK_OK, "conntrack", "connection tracking answers");
}

/* The rule as words: one of each kind that ours are made of. */
struct feature {
	const char *name, *module, *table, *rule;
};

static const struct feature features[] = {
	{"NFQUEUE", "xt_NFQUEUE", "mangle", "-p tcp -j NFQUEUE --queue-num 61 --queue-bypass"},
	{"CONNMARK", "xt_connmark", "mangle", "-j CONNMARK --save-mark --nfmask 0x1 --ctmask 0x1"},
	{"connmark", "xt_connmark", "mangle", "-m connmark --mark 0x1/0x1 -j RETURN"},
	{"MARK", "xt_mark", "mangle", "-j MARK --set-xmark 0x1/0x1"},
	{"mark", "xt_mark", "mangle", "-m mark --mark 0x1/0x1 -j RETURN"},
	{"conntrack", "xt_conntrack", "mangle", "-m conntrack --ctstate INVALID -j RETURN"},
	{"addrtype", "xt_addrtype", "mangle", "-m addrtype --dst-type LOCAL -j RETURN"},
	{"CT", "xt_CT", "raw", "-j CT --notrack"},
};

/* Splits at single spaces; `words` is changed. */
static int run_words(char *words, char *out, unsigned out_bytes)
{
	const char *argv[CHECK_WORDS_MAX + 1] = {NULL};
	char *rest = words, *word;
	unsigned n = 0;

	while (n < CHECK_WORDS_MAX && (word = strsep(&rest, " ")))
		argv[n++] = word;
	return check_run(argv, out, out_bytes);
}

static void iptables(struct check *c, const char *tool, const char *what_for)
{
	char words[256], out[512];
	const char *const version[] = {tool, "--version", NULL};
	unsigned bad = 0;

	if (check_run(version, out, sizeof(out)) != 0) {
		check_say(c, CHECK_FAIL, tool,
			  "there is no such command, %s; `apt install iptables`", what_for);
		return;
	}
	out[strcspn(out, "\n")] = '\0';
	snprintf(words, sizeof(words), "%.200s", out);
	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		const struct feature *f = &features[i];
		char line[256];

		snprintf(line, sizeof(line), "%s -w -t %s -A PREROUTING %s", tool, f->table,
			 f->rule);
		if (run_words(line, out, sizeof(out)) == 0)
			continue;
		out[strcspn(out, "\n")] = '\0';
		check_say(c, CHECK_FAIL, tool,
			  "%s in table %s is refused (%s); load the module %s or use a kernel that "
			  "has it",
			  f->name, f->table, out, f->module);
		bad++;
	}
	if (!bad)
		check_say(c, CHECK_OK, tool, "%s has all that the rules need", words);
}

/* The very rules, where they harm no one. */
static void rules(struct check *c)
{
	static const char *const ip[] = {"ip", "-V", NULL};
	char err[512];

	if (check_run(ip, err, sizeof(err)) != 0)
		check_say(c, CHECK_FAIL, "ip", "there is no such command; `apt install iproute2`");
	if (rules_up(c->cfg, NULL, err, sizeof(err)) < 0)
		check_say(c, CHECK_FAIL, "rules",
			  "they cannot be set up: %s; mend what is said above, or the kernel", err);
	else
		check_say(c, CHECK_OK, "rules", "all of them can be set up");
}

static void child(struct check *c)
{
	struct tun t;

	if (unshare(CLONE_NEWNET) < 0) {
		check_say(c, CHECK_WARN, "kernel",
			  "not tried out: a network namespace is not allowed here (%s); give check "
			  "CAP_SYS_ADMIN if you can",
			  strerror(errno));
		return;
	}
	tun(c, &t);
	redirect(c, &t);
	queue(c);
	conntrack(c);
	iptables(c, "iptables", "and IPv4 is handled by it");
	if (access("/proc/sys/net/ipv6", F_OK) == 0)
		iptables(c, "ip6tables", "and IPv6 is handled by it");
	rules(c);
}

void check_kernel(struct check *c)
{
	int status = 0;
	pid_t pid;

	rights(c);
	if (!c->root) {
		check_say(c, CHECK_WARN, "kernel",
			  "not tried out, which takes root; run check as root");
		return;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		child(c);
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		check_say(c, CHECK_FAIL, "kernel",
			  "trying it out ended badly; run check again and report this");
}
