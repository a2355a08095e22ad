# SPDX-License-Identifier: GPL-2.0-or-later
"""How packets get to the daemon and from it: the routed road, other filters at the interfaces, the
rights that the systemd unit gives, and what check says about all that."""
import os
import re

from lib import host, move
from lib.case import case, expect
from lib.multi import Transfer
from lib.topo import ADDR

from cases.check import NO_PROBE, checked, finds, look
from cases.host import reset_reaches
from cases.host_dies import killed_amid

UNIT = os.path.join(os.path.dirname(__file__), "../../../doc/mpgate.service.in")
MULTIPATH = 'multipath { mode = "fullmesh" after_bytes = 50000 on_congestion = false }\n'
ROUTED = 'emit = "routed"\n'


def accepted(ctx, tool):
    """Packets that the rules of the routed road let pass."""
    out = ctx.gate_ns.sh(f"{tool} -w -t filter -nvxL MPGATE-ACCEPT")
    return sum(int(n) for n in re.findall(r"^ *(\d+) +\d+ ACCEPT", out, re.M))


def routed(masquerade, firewall):
    @case(f"host:emit-routed:{'masquerade' if masquerade else 'routed'}:{firewall or 'open'}",
          needs_gate=False, fresh=True, masquerade=masquerade, firewall=firewall)
    def road(ctx):
        """What the daemon emits goes the host's own way, and comes there the same."""
        daemon = ctx.new_daemon(path_b=True, extra=ROUTED)
        code, said = look(ctx, daemon)
        expect(code == 0 and "packets are routed" in said, said)
        before = host.snapshot(ctx.gate_ns)
        daemon.start()
        for device in ("mpg-a", "mpg-g0"):
            expect(not ctx.gate_ns.sh(f"tc filter show dev {device} ingress"), "BPF on " + device)
        for family, tool in ((4, "iptables"), (6, "ip6tables")):
            ctx.converted("--send 1M", "--send 1M", family)
            ctx.converted("--send 100", "--send 100", family, connections=20)
            expect(accepted(ctx, tool) > 100, f"{tool}: {accepted(ctx, tool)} packets routed")
            reset_reaches(ctx, family)
        daemon.stop()
        host.same(before, host.snapshot(ctx.gate_ns))


for masquerade_ in (False, True):
    for firewall_ in (None, "iptables"):    # a table of nftables' own cannot be told to accept
        routed(masquerade_, firewall_)


@case("host:emit-routed:two-paths", links="a=100/10 b=100/10",
      gate={"extra": ROUTED + MULTIPATH})
def routed_paths(ctx):
    """Each subflow by its path's routing table."""
    for way in ("up", "down"):
        transfer = Transfer(ctx, way, "8M")
        transfer.result(joins=1)
        transfer.all_carry(1 << 20)


FOREIGN = ("tc qdisc add dev {0} clsact 2>/dev/null || true\n"
           "tc filter add dev {0} ingress prio 1 protocol ip u32 "
           "match ip protocol 17 0xff match ip dport 9 0xffff flowid 1:1\n")


@case("host:tc-first", needs_gate=False, fresh=True)
def tc_first(ctx):
    """Somebody else's filter has priority 1: ours comes behind it, says so, and goes again."""
    ctx.gate_ns.sh("".join(FOREIGN.format(dev) for dev in ("up-a", "guest0")))
    daemon = ctx.new_daemon(path_b=True)
    finds(ctx, daemon, "warn", "other filters come first at the ingress of up-a", *NO_PROBE)
    before = host.snapshot(ctx.gate_ns)
    for _ in range(2):
        daemon.start()
        expect("up-a: other filters come first" in daemon.log_tail(), daemon.log_tail())
        for family in (4, 6):
            ctx.converted("--send 100k", "--send 100k", family)
        daemon.stop()
        host.same(before, host.snapshot(ctx.gate_ns))
    daemon.start()
    daemon.kill()
    daemon.start()      # what a process before has left at that priority is replaced, not doubled
    shown = ctx.gate_ns.sh("tc filter show dev up-a ingress")
    expect(shown.count("handle 0x4d5000") == 1, shown)
    daemon.kill()
    ctx.gate_ns.sh(f"{daemon.program} rules down -c {daemon.config}")
    host.same(before, host.snapshot(ctx.gate_ns))


def rights_of_the_unit():
    """The words that run a program with what the systemd unit allows."""
    with open(UNIT, encoding="utf-8") as f:
        words = re.search(r"^CapabilityBoundingSet=(.*)$", f.read(), re.M).group(1).split()
    allowed = ",".join("+" + word.removeprefix("CAP_").lower() for word in words)
    return ["setpriv", "--no-new-privs", f"--bounding-set=-all,{allowed}"]


@case("kill:under-systemd", needs_gate=False, fresh=True, masquerade=True)
def under_systemd(ctx):
    """With the unit's rights alone: check, run, an end; and after kill -9 the next process knows
    what the one before has converted even without a state file: the guest hears at once."""
    daemon = ctx.new_daemon(path_b=True)
    daemon.wrap = rights_of_the_unit()
    before = host.snapshot(ctx.gate_ns)
    code, said = look(ctx, daemon)
    expect(code == 0, said)
    daemon.start()
    for family in (4, 6):
        ctx.converted("--send 100k", "--send 100k", family)
    one, two = killed_amid(ctx, 4, daemon)
    expect(not one["errors"] and two["mptcp_end"] == 1, f"{one} {two}")
    expect("conntrack_failed" not in daemon.counters(), f"{daemon.counters()}")
    daemon.stop()
    host.same(before, host.snapshot(ctx.gate_ns))
    daemon = ctx.new_daemon(extra='state = ""')
    daemon.wrap = rights_of_the_unit()
    daemon.start()
    one, two = killed_amid(ctx, 4, daemon, server_waits_s=1)
    expect(one["errors"] and "timeout" not in one["errors"], f"the guest hangs: {one}")


@checked("rules-by-hand")
def by_hand(ctx):
    """manage_host = false: check knows whether somebody has set up the rules."""
    daemon = ctx.new_daemon()
    daemon.edit("manage_host = true", "manage_host = false")
    finds(ctx, daemon, "warn", "the rules are not up", *NO_PROBE)
    ctx.gate_ns.sh(f"{daemon.program} rules up -c {daemon.config}")
    code, said = look(ctx, daemon)
    expect(code == 0 and "manage_host: the rules are up" in said, said)
    daemon.start()
    for family in (4, 6):
        ctx.converted("--send 100k", "--send 100k", family)
    daemon.stop()
    ctx.gate_ns.sh(f"{daemon.program} rules down -c {daemon.config}")


@case("kill:conntrack-forgets", needs_gate=False, fresh=True, masquerade=True)
def forgets(ctx):
    """The daemon is dead, and the host's conntrack loses what it knew, as when an uplink goes down:
    nothing raw passes, with or without a translation, and the next process goes on."""
    daemon = ctx.new_daemon()
    daemon.start()

    def forget():
        ctx.gate_ns.sh("conntrack -F 2>/dev/null")

    one, two = killed_amid(ctx, 4, daemon, while_dead=forget)
    move.same_data(one, two)
    expect(two["mptcp_end"] == 1, f"not MPTCP any more: {two}")


@case("host:rp-filter-strict", links="a=100/10 b=100/10", needs_gate=False, fresh=True)
def strict(ctx):
    """Reverse path filters do not mind: what is ours is taken before they look, and emitted behind
    them."""
    ctx.gate_ns.sh("for f in all default guest0 up-a up-b; do "
                   "sysctl -qw net.ipv4.conf.$f.rp_filter=1; done")
    daemon = ctx.new_daemon(extra=MULTIPATH)
    code, said = look(ctx, daemon)
    expect(code == 0, said)
    daemon.start()
    for way in ("up", "down"):
        transfer = Transfer(ctx, way, "8M")
        transfer.result(joins=1)
        transfer.all_carry(1 << 20)
    daemon.stop()
    daemon = ctx.new_daemon(extra=MULTIPATH + ROUTED)   # here they are in the way: check knows
    finds(ctx, daemon, "FAIL", "strict on all interfaces", *NO_PROBE)


BRIDGES = """
ip link add virbr0 type bridge; ip link set virbr0 up
ip -4 addr flush dev guest0; ip -6 addr flush dev guest0 scope global
ip addr add {0}/24 dev virbr0; ip addr add {1}/64 nodad dev virbr0
ip link set guest0 master virbr0
for f in iptables ip6tables; do
    echo {2} > /proc/sys/net/bridge/bridge-nf-call-$f 2>/dev/null || true
done
"""


def bridged(filtered):
    @case(f"host:bridge:{'filtered' if filtered else 'plain'}", needs_gate=False, fresh=True,
          masquerade=True, firewall="iptables")
    def bridge(ctx):
        """Guests behind a bridge, as libvirt makes it; where br_netfilter shows bridged packets to
        iptables (Docker asks for it), raw PREROUTING sees them at the port, before the bridge.
        A guest that is plugged in later counts as well."""
        ctx.gate_ns.sh(BRIDGES.format(ADDR[4]["guest0"], ADDR[6]["guest0"], int(filtered)))
        for t in ("iptables", "ip6tables"):
            ctx.gate_ns.sh(f"{t} -I FORWARD -i virbr0 -p tcp --dport 7001 -j ACCEPT")
        before = host.snapshot(ctx.gate_ns)
        daemon = ctx.new_daemon(path_b=True, guests="virbr0")
        for plugged in ("before", "later"):
            if plugged == "later":
                ctx.gate_ns.sh("ip link set guest0 nomaster")
            daemon.start()
            ctx.gate_ns.sh("ip link set guest0 master virbr0")
            ctx.wait("the port's filter", lambda: "mpgate_guest" in ctx.gate_ns.sh(
                "tc filter show dev guest0 ingress"))
            for family in (4, 6):
                ctx.converted("--send 1M", "--send 1M", family)
                ctx.converted("--send 100", "--send 100", family, connections=20)
            unknown = {k: v for k, v in daemon.counters().items() if k == "drop_ack_beyond"}
            expect(not unknown, f"the daemon did not see all: {unknown}")
            daemon.stop()
            host.same(before, host.snapshot(ctx.gate_ns))


for filtered_ in (True, False):
    bridged(filtered_)


@case("host:bridge:uplink", needs_gate=False, fresh=True)
def bridge_uplink(ctx):
    """The path's interface is a bridge, and its card a port."""
    ctx.gate_ns.sh("ip link add br0 type bridge; ip link set br0 up\n"
                   f"for f in iptables ip6tables; do echo 1 > "
                   "/proc/sys/net/bridge/bridge-nf-call-$f 2>/dev/null || true; done\n"
                   "ip -4 addr flush dev up-a; ip -6 addr flush dev up-a scope global\n"
                   f"ip addr add {ADDR[4]['up-a']}/24 dev br0\n"
                   f"ip addr add {ADDR[6]['up-a']}/64 nodad dev br0\n"
                   "ip link set up-a master br0\n"
                   f"ip route add default via {ADDR[4]['a']} dev br0 metric 1\n"
                   f"ip -6 route add default via {ADDR[6]['a']} dev br0 metric 1")
    before = host.snapshot(ctx.gate_ns)
    daemon = ctx.new_daemon(interfaces={"a": "br0"})
    daemon.start()
    for family in (4, 6):
        ctx.converted("--send 1M", "--send 1M", family)
    daemon.stop()
    host.same(before, host.snapshot(ctx.gate_ns))
