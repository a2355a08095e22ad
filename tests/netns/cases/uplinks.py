# SPDX-License-Identifier: GPL-2.0-or-later
"""The uplinks as the kernel tells of them: links that go down and up, addresses and gateways that
change, interfaces that vanish, return or get another name, routes by the thousand, messages that
are lost; what follows for the paths' tables and for the subflows."""
import os
import signal
import subprocess
import time

from lib.case import case, expect
from lib.topo import ADDR
from lib.uplinks import (AT_ONCE, WITHIN_S, Moving, both_joined, paths, rules, said, shape,
                         subflows, table, uplinks)


@uplinks("link-down-and-up")
def down_and_up(ctx):
    """Set down: no subflow there any more, and the log and `show paths` say why; set up: back
    within a second. The table is withdrawn by the kernel and put back by us."""
    moving = Moving(ctx)
    both_joined(ctx)
    for _ in range(2):
        before = table(ctx, 20001)
        expect("default via 10.77.12.1 dev up-b" in before, f"table of b: {before}")
        start = time.monotonic()
        ctx.gate_ns.sh("ip link set up-b down")
        ctx.wait("path b not usable", lambda: not paths(ctx)["b"]["usable"], WITHIN_S)
        seen = time.monotonic() - start
        expect(paths(ctx)["b"]["state"] == "link down", f"{paths(ctx)['b']}")
        ctx.wait("the subflow on b gone", lambda: not subflows(ctx, "b"), WITHIN_S)
        ctx.gate_ns.sh("ip link set up-b up")
        start = time.monotonic()
        ctx.wait("a subflow on b again", lambda: subflows(ctx, "b"), 2)
        ctx.note(f"down seen after {seen * 1000:.0f} ms, joined again after "
                 f"{(time.monotonic() - start) * 1000:.0f} ms")
        ctx.wait("the table again", lambda: table(ctx, 20001) == before, WITHIN_S)
    expect(said(ctx, "path b: down because up-b was set down"), ctx.daemon.log_tail())
    expect(said(ctx, "path b: up, up-b has carrier"), ctx.daemon.log_tail())
    ctx.net.sh("ip link set dev b down")
    ctx.wait("carrier lost", lambda: paths(ctx)["b"]["state"] == "no carrier", 2)
    ctx.net.sh("ip link set dev b up")
    ctx.wait("carrier back", lambda: paths(ctx)["b"]["usable"], 2)
    expect(said(ctx, "path b: down because up-b lost its carrier"), ctx.daemon.log_tail())
    moving.result()


@case("uplinks:route-comes-late", fresh=True,
      gate={"path_b": True, "extra": AT_ONCE})
def route_late(ctx):
    """A link returns with its address, its route comes seconds later: joined when that is there,
    not when the SYN that went nowhere would be sent again."""
    moving = Moving(ctx)
    both_joined(ctx)
    ctx.gate_ns.sh("ip link set up-b down")
    ctx.wait("the subflow on b gone", lambda: not subflows(ctx, "b"), WITHIN_S)
    ctx.gate_ns.sh("ip link set up-b up")
    # SYNs at 0, 0.5, 1.5 and 3.5 s go nowhere; the fifth would be sent after ten
    time.sleep(4)
    expect(not subflows(ctx, "b"), "joined without a route")
    ctx.gate_ns.sh("ip route add default via 10.77.12.1 dev up-b metric 20")
    start = time.monotonic()
    ctx.wait("a subflow on b again", lambda: subflows(ctx, "b"), 2)
    ctx.note(f"joined {(time.monotonic() - start) * 1000:.0f} ms after the route came")
    moving.result()


@uplinks("address-changes")
def address(ctx):
    """Another address on the uplink: rules and subflows follow; without one the path has none."""
    moving = Moving(ctx)
    both_joined(ctx)
    old, new = ADDR[4]["up-b"], "10.77.12.77"
    ctx.gate_ns.sh(f"ip addr del {old}/24 dev up-b; ip addr add {new}/24 dev up-b")
    ctx.wait("a subflow from the new address",
             lambda: any(s["tuple"]["src"] == new for s in subflows(ctx, "b")), 2)
    expect(not [s for s in subflows(ctx, "b") if s["tuple"]["src"] == old],
           f"{subflows(ctx, 'b')}")
    left = [r for r in rules(ctx) if old in r]
    expect(not left, f"rules of the old address: {left}")
    expect([r for r in rules(ctx) if new in r], f"no rule for {new}: {rules(ctx)}")
    expect(paths(ctx)["b"]["address4"] == new, f"{paths(ctx)['b']}")
    expect(said(ctx, f"path b: the address of up-b changed from {old} to {new}") or
           said(ctx, f"path b: address {old} was removed from up-b"), ctx.daemon.log_tail())
    ctx.gate_ns.sh(f"ip addr del {new}/24 dev up-b")
    ctx.wait("no subflow on b", lambda: not subflows(ctx, "b"), WITHIN_S)
    expect(said(ctx, f"path b: address {new} was removed from up-b"), ctx.daemon.log_tail())
    ctx.gate_ns.sh(f"ip addr add {old}/24 dev up-b")
    ctx.wait("a subflow on b again", lambda: subflows(ctx, "b"), 2)
    moving.result()


@uplinks("interface-replaced")
def replaced(ctx):
    """The interface vanishes; another one, with another index, takes its name and place."""
    moving = Moving(ctx)
    both_joined(ctx)
    ctx.gate_ns.sh("ip link del up-b")
    ctx.wait("path b gone", lambda: paths(ctx)["b"]["state"] == "no such interface", WITHIN_S)
    ctx.wait("no subflow on b", lambda: not subflows(ctx, "b"), WITHIN_S)
    expect(said(ctx, "path b: down because up-b is gone"), ctx.daemon.log_tail())
    # made under another name and renamed: its addresses are not announced again
    ctx.gate_ns.sh(f"ip link add zzz type veth peer name b netns {ctx.net.name}\n"
                   f"ip addr add {ADDR[4]['up-b']}/24 dev zzz\n"
                   "ip link set zzz name up-b")
    shape(ctx, "20mbit")
    ctx.gate_ns.sh("ip link set up-b up")
    ctx.net.sh(f"ip addr add {ADDR[4]['b']}/24 dev b; ip link set dev b up")
    ctx.wait("a subflow on b again", lambda: subflows(ctx, "b"), 3)
    moving.result()


@uplinks("renamed")
def renamed(ctx):
    """A path's interface is known by its name: another name, and it is gone."""
    ctx.gate_ns.sh("ip link set up-b down; ip link set up-b name other0; ip link set other0 up")
    ctx.wait("path b gone", lambda: paths(ctx)["b"]["state"] == "no such interface", WITHIN_S)
    ctx.converted("--send 1M", "--send 1M")
    ctx.gate_ns.sh("ip link set other0 down; ip link set other0 name up-b; ip link set up-b up")
    ctx.wait("path b back", lambda: paths(ctx)["b"]["state"] == "up", WITHIN_S)
    expect("default via 10.77.12.1 dev up-b" in table(ctx, 20001), table(ctx, 20001))


@case("uplinks:gateway-changes", fresh=True, gate={"path_b": True})
def gateway(ctx):
    """Nothing configured: the table follows the main table's default route and connected ones."""
    def has(words, number=20001, family=4):
        return lambda: words in table(ctx, number, family)
    expect(has("default via 10.77.12.1 dev up-b")(), table(ctx, 20001))
    ctx.gate_ns.sh("ip route replace default via 10.77.12.9 dev up-b metric 20")
    ctx.wait("the new gateway", has("default via 10.77.12.9 dev up-b"), WITHIN_S)
    expect("10.77.12.1 " not in table(ctx, 20001), table(ctx, 20001))
    expect(said(ctx, "path b: IPv4 goes out through 10.77.12.9"), ctx.daemon.log_tail())
    ctx.gate_ns.sh("ip route del default dev up-b")
    ctx.wait("no default route", lambda: "default" not in table(ctx, 20001), WITHIN_S)
    expect(paths(ctx)["b"]["gateway4"] is None, f"{paths(ctx)['b']}")
    expect(said(ctx, "no way out by up-b for IPv4 any more"), ctx.daemon.log_tail())
    # the other uplink's default takes the place of a's: replaced without a word about a
    ctx.gate_ns.sh("ip route replace default via 10.77.12.1 dev up-b metric 10")
    ctx.wait("b's again", has("default via 10.77.12.1 dev up-b"), WITHIN_S)
    ctx.wait("a's is gone", lambda: "default" not in table(ctx, 20000), WITHIN_S)
    ctx.gate_ns.sh("ip route add 172.20.0.0/16 via 10.77.12.5 dev up-b proto static")
    ctx.wait("a route by another router", has("172.20.0.0/16 via 10.77.12.5"), WITHIN_S)
    ctx.gate_ns.sh("ip -6 route replace default via fd77:12::5 dev up-b metric 20")
    ctx.wait("IPv6's", has("default via fd77:12::5 dev up-b", family=6), WITHIN_S)


ADVERTISE = """
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"b")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
prefix = socket.inet_pton(socket.AF_INET6, "2001:db8:77::")
options = struct.pack(">BBBBIII", 3, 4, 64, 0xc0, 600, int(sys.argv[2]), 0) + prefix
s.sendto(struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, int(sys.argv[1]), 0, 0) + options,
         ("ff02::1", 0, 0, socket.if_nametoindex("b")))
"""


@case("uplinks:router-advertisement", fresh=True, gate={"path_b": True})
def advertisement(ctx):
    """A router advertises itself and a prefix: gateway and address are the path's; it withdraws
    itself: they are not."""
    ctx.gate_ns.sh("ip -6 route del default dev up-b; ip -6 addr del fd77:12::2/64 dev up-b\n"
                   "sysctl -qw net.ipv6.conf.up-b.accept_ra=2 net.ipv6.conf.up-b.addr_gen_mode=0 "
                   "net.ipv6.conf.up-b.autoconf=1")
    ctx.wait("no IPv6 on b", lambda: paths(ctx)["b"]["address6"] is None, WITHIN_S)
    where = ctx.net.prefix() + ["python3", "-c", ADVERTISE]
    subprocess.run(where + ["60", "600"], check=True, stdin=subprocess.DEVNULL)
    ctx.wait("its address", lambda: (paths(ctx)["b"]["address6"] or "").startswith("2001:db8:77:"),
             3)
    ctx.wait("its gateway", lambda: (paths(ctx)["b"]["gateway6"] or "").startswith("fe80:"), 3)
    expect("default via fe80:" in table(ctx, 20001, 6), table(ctx, 20001, 6))
    subprocess.run(where + ["0", "0"], check=True, stdin=subprocess.DEVNULL)
    ctx.wait("the gateway withdrawn", lambda: paths(ctx)["b"]["gateway6"] is None, 3)
    ctx.wait("the address deprecated", lambda: paths(ctx)["b"]["address6"] is None, 3)
    expect("default" not in table(ctx, 20001, 6), table(ctx, 20001, 6))


@case("uplinks:thousands-of-routes", fresh=True, gate={"path_b": True})
def thousands(ctx):
    """A routing daemon's changes do not even wake us up; of an administrator's many routes the
    table gets a bounded number; the path goes on."""
    batch = "\n".join(f"route add 20.{i // 256}.{i % 256}.0/24 via 10.77.11.1 dev up-a proto bird"
                      for i in range(20000))
    before = ctx.daemon.cpu_seconds()
    wakes = wake_ups(ctx)
    for what in (batch, batch.replace("route add", "route del")):
        subprocess.run(ctx.gate_ns.prefix() + ["ip", "-batch", "-"], input=what, text=True,
                       check=True)
    used = ctx.daemon.cpu_seconds() - before
    ctx.note(f"{used:.2f} s of processor time, {wake_ups(ctx) - wakes} wake-ups for 40000 changes")
    expect(wake_ups(ctx) - wakes < 100, f"woken up {wake_ups(ctx) - wakes} times")
    batch = "\n".join(f"route add 30.{i // 256}.{i % 256}.0/24 via 10.77.11.1 dev up-a proto static"
                      for i in range(5000))
    subprocess.run(ctx.gate_ns.prefix() + ["ip", "-batch", "-"], input=batch, text=True, check=True)
    ctx.wait("the bound in the log", lambda: said(ctx, "more than 64 routes"))
    lines = table(ctx, 20000).splitlines()
    expect(len(lines) <= 64 and [x for x in lines if x.startswith("default")], f"{len(lines)}")
    # with all of them there: an address that goes makes it ask again, for that interface's only
    start = time.monotonic()
    ctx.gate_ns.sh("ip addr add 10.77.12.80/24 dev up-b; ip addr del 10.77.12.80/24 dev up-b\n"
                   "ip link set up-b down")
    ctx.wait("path b down", lambda: not paths(ctx)["b"]["usable"], WITHIN_S)
    ctx.note(f"down after {(time.monotonic() - start) * 1000:.0f} ms beside 5000 routes")
    ctx.converted("--send 100k", "--send 100k")


def wake_ups(ctx):
    with open(f"/proc/{ctx.daemon.pid()}/status", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)


@uplinks("messages-lost")
def lost(ctx):
    """The daemon cannot listen while more happens than the socket holds: it asks for all again."""
    moving = Moving(ctx)
    both_joined(ctx)
    os.kill(ctx.daemon.pid(), signal.SIGSTOP)
    try:
        flap = "\n".join(f"addr {what} 10.99.{i // 200}.{i % 200}/32 dev up-a"
                         for i in range(3000) for what in ("add", "del"))
        subprocess.run(ctx.gate_ns.prefix() + ["ip", "-batch", "-"], input=flap, text=True,
                       check=True)
        ctx.gate_ns.sh("ip link set up-b down")
    finally:
        os.kill(ctx.daemon.pid(), signal.SIGCONT)
    ctx.wait("down is known all the same",
             lambda: paths(ctx)["b"]["state"] == "link down", 3)
    expect(said(ctx, "more changes to tell than we could hear"), ctx.daemon.log_tail())
    expect(paths(ctx)["a"]["address4"] == ADDR[4]["up-a"], f"{paths(ctx)['a']}")
    ctx.gate_ns.sh("ip link set up-b up")
    ctx.wait("a subflow on b again", lambda: subflows(ctx, "b"), 3)
    moving.result()


TWO_ON_ONE = """
path "c" { interface = "up-b" address = "10.77.12.2" gateway = "10.77.12.1" }
path "d" { interface = "up-b" address = "10.77.13.2" gateway = "10.77.13.1" }
multipath { after_bytes = 0 }
"""


@case("uplinks:two-on-one-interface", needs_gate=False, fresh=True)
def two_on_one(ctx):
    """Two paths by one interface, each with its address and gateway: told apart by the address."""
    ctx.gate_ns.sh("ip addr add 10.77.13.2/24 dev up-b")
    ctx.net.sh(f"ip link add d1 link b type macvlan mode bridge\n"
               "ip addr add 10.77.13.1/24 dev d1; ip link set d1 up\n"
               "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.rp_filter=0 "
               "net.ipv4.conf.d1.rp_filter=0")
    ctx.new_daemon(extra=TWO_ON_ONE).start()
    gateways = {dev: ctx.net.sh(f"ip -o link show {dev}").split("link/ether ")[1].split()[0]
                for dev in ("b", "d1")}
    moving = Moving(ctx)
    ctx.wait("joined by c and d", lambda: subflows(ctx, "c") and subflows(ctx, "d"))
    expect(subflows(ctx, "c")[0]["tuple"]["src"] == "10.77.12.2", f"{subflows(ctx, 'c')}")
    expect(subflows(ctx, "d")[0]["tuple"]["src"] == "10.77.13.2", f"{subflows(ctx, 'd')}")
    for source, dev in (("10.77.12.2", "b"), ("10.77.13.2", "d1")):
        out = ctx.gate_ns.sh(f"timeout 5 tcpdump -nei up-b -c 20 src {source} and tcp "
                             "2>/dev/null", check=False)
        frames = [line for line in out.splitlines() if source in line]
        expect(frames and all(f"> {gateways[dev]}" in line for line in frames),
               f"from {source}, not all to {gateways[dev]}: {frames[:3]}")
    moving.result()
