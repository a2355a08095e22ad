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
#include "io/steer.h"
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
	if (rules_ask_routed(c->cfg)) {
		c->no_redirect = true;
		check_say(c, CHECK_OK, "redirect", "packets are routed, as the file says");
		return;
	}
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

static void steer(struct check *c)
{
	char err[256];
	struct steer *s = steer_open(1, err, sizeof(err));
	int error;

	if (!s) {
		check_say(c, CHECK_FAIL, "bpf", "%s", err);
		return;
	}
	error = steer_attach(s, if_nametoindex("lo"), STEER_NET);
	steer_close(s);
	if (error < 0)
		check_say(c, CHECK_FAIL, "bpf",
			  "a program cannot be put before an interface's ingress (%s); load the "
			  "modules cls_bpf and sch_ingress or use a kernel with CONFIG_NET_CLS_BPF "
			  "and CONFIG_NET_SCH_INGRESS",
			  strerror(-error));
	else
		check_say(c, CHECK_OK, "bpf", "connections of ours can be found at the interfaces");
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
			  "connection tracking cannot be asked how it translates connections (%s); "
			  "load the module nf_conntrack_netlink or use a kernel that has it",
			  strerror(-error));
	else
		check_say(c, CHECK_OK, "conntrack", "connection tracking answers");
}

/* The rule as words: one of each kind that ours are made of. `chain`: its table before it. */
struct feature {
	const char *name, *module, *chain, *rule;
};

static const struct feature features[] = {
	{"NFQUEUE", "xt_NFQUEUE", "raw PREROUTING", "-j NFQUEUE --queue-num 61 --queue-bypass"},
	{"MARK", "xt_mark", "raw PREROUTING", "-j MARK --set-xmark 0x1/0x1"},
	{"mark", "xt_mark", "raw PREROUTING", "-m mark --mark 0x1/0x1 -j RETURN"},
	{"tcp", "xt_tcpudp", "raw PREROUTING", "-p tcp ! --tcp-option 30 -j RETURN"},
	{"socket", "xt_socket", "raw PREROUTING", "-m socket -j RETURN"},
	{"socket", "xt_socket", "security INPUT", "-m socket --nowildcard -j RETURN"},
	{"NFQUEUE", "xt_NFQUEUE", "security FORWARD", "-j NFQUEUE --queue-num 61 --queue-bypass"},
};

/* Where packets of our devices are routed. */
static const struct feature feature_routed = {"CT", "xt_CT", "raw PREROUTING", "-j CT --notrack"};

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

/* True when the rule is taken. */
static bool try_rule(struct check *c, const char *tool, const struct feature *f)
{
	char line[256], out[512];

	snprintf(line, sizeof(line), "%s -w -t %.*s -A%s %s", tool, (int)strcspn(f->chain, " "),
		 f->chain, strchr(f->chain, ' '), f->rule);
	if (run_words(line, out, sizeof(out)) == 0)
		return true;
	out[strcspn(out, "\n")] = '\0';
	check_say(c, CHECK_FAIL, tool,
		  "%s in %s is refused (%s); load the module %s or use a kernel that has it",
		  f->name, f->chain, out, f->module);
	return false;
}

static void iptables(struct check *c, const char *tool, const char *what_for)
{
	char words[256], out[512];
	const char *const version[] = {tool, "--version", NULL};
	bool good = true;

	if (check_run(version, out, sizeof(out)) != 0) {
		check_say(c, CHECK_FAIL, tool,
			  "there is no such command, %s; `apt install iptables`", what_for);
		return;
	}
	out[strcspn(out, "\n")] = '\0';
	snprintf(words, sizeof(words), "%.200s", out);
	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		good &= try_rule(c, tool, &features[i]);
	if (c->no_redirect)
		good &= try_rule(c, tool, &feature_routed);
	if (good)
		check_say(c, CHECK_OK, tool, "%s has all that the rules need", words);
}

/* The very rules, where they harm no one. */
static void rules(struct check *c)
{
	static const char *const ip[] = {"ip", "-V", NULL};
	char err[512];

	if (check_run(ip, err, sizeof(err)) != 0)
		check_say(c, CHECK_FAIL, "ip", "there is no such command; `apt install iproute2`");
	if (rules_up(c->cfg, NULL, c->no_redirect, err, sizeof(err)) < 0)
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
	steer(c);
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
