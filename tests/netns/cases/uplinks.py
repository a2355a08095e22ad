# SPDX-License-Identifier: GPL-2.0-or-later
"""The uplinks as the kernel tells of them: links that go down and up, addresses and gateways that
change, interfaces that vanish, return or get another name, routes by the thousand, messages that
are lost; what follows for the paths' tables and for the subflows."""
import json
import os
import signal
import subprocess
import threading
import time

from lib import host, move
from lib.case import case, expect
from lib.topo import ADDR

PATH_B = 'path "b" { interface = "up-b" gateway = "10.77.12.1" gateway6 = "fd77:12::1" }\n'
AT_ONCE = 'multipath { after_bytes = 0 }\n'
WITHIN_S = 1.0      # subflows follow within a second
PORTS = (61000, 65000)


def background(ctx, options, family=4):
    return subprocess.Popen(
        ctx.guest.prefix() + [f"{ctx.tools}/xfer", "client", "--host", ADDR[family]["server"],
                              "--port", "7001"] + options.split(),
        stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)


def paths(ctx):
    return {p["name"]: p for p in json.loads(ctx.daemon.show("paths", "--json"))["paths"]}


def subflows(ctx, path):
    """Of the youngest connection, established ones on that path."""
    found = sorted((c for c in ctx.daemon.connections() if c["state"] == "established"),
                   key=lambda c: c["age"])
    return [s for s in found[0]["subflows"]
            if s["path"] == path and s["state"] in ("established", "stale")] if found else []


def table(ctx, number, family=4):
    return ctx.gate_ns.sh(f"ip -{family} route show table {number} 2>/dev/null", check=False)


def rules(ctx, family=4):
    return [line for line in ctx.gate_ns.sh(f"ip -{family} -N rule show").splitlines()
            if "proto 77" in line]


def said(ctx, words):
    return words in ctx.daemon.log_tail(1000)


class Moving:
    """A transfer that lasts, both ways, slow enough to do things meanwhile."""

    def __init__(self, ctx, family=4, seconds=60, size="60M"):
        self.ctx = ctx
        shape(ctx)
        self.server = ctx.serve(f"--send {size} --timeout {seconds}", family)
        self.client = background(ctx, f"--send {size} --timeout {seconds}", family)

    def result(self):
        one = move.parse(self.client.communicate(timeout=90)[0])
        two = self.server.result()
        move.same_data(one, two)
        expect(two["mptcp_end"] == 1, f"no MPTCP at the end: {two}")
        return one, two

    def stop(self):
        self.client.terminate()
        self.client.wait()
        self.server.stop()


def shape(ctx):
    for where, devices in ((ctx.gate_ns, ("up-a", "up-b")), (ctx.net, ("a", "b"))):
        for dev in devices:
            where.sh(f"tc qdisc replace dev {dev} root tbf rate 40mbit burst 64k latency 30ms",
                     check=False)


def uplinks(name, extra="", **kwargs):
    return case("uplinks:" + name, fresh=True, needs_gate=kwargs.pop("needs_gate", True),
                gate={"extra": PATH_B + AT_ONCE + extra}, **kwargs)


def both_joined(ctx, what="both paths joined"):
    ctx.wait(what, lambda: subflows(ctx, "a") and subflows(ctx, "b"))


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
    ctx.net.sh("ip link set b down")
    ctx.wait("carrier lost", lambda: paths(ctx)["b"]["state"] == "no carrier", 2)
    ctx.net.sh("ip link set b up")
    ctx.wait("carrier back", lambda: paths(ctx)["b"]["usable"], 2)
    expect(said(ctx, "path b: down because up-b lost its carrier"), ctx.daemon.log_tail())
    moving.result()


@uplinks("address-changes")
def address(ctx):
    """Another address on the uplink: rules and subflows follow; without one the path has none."""
    moving = Moving(ctx)
    both_joined(ctx)
    old, new = ADDR[4]["up-b"], "10.77.12.77"
    ctx.gate_ns.sh(f"ip addr add {new}/24 dev up-b; ip addr del {old}/24 dev up-b")
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
                   "ip link set zzz name up-b\n"
                   "ip link set up-b up")
    ctx.net.sh(f"ip addr add {ADDR[4]['b']}/24 dev b; ip link set b up")
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
    expect(said(ctx, "more than 64 routes"), ctx.daemon.log_tail())
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


@case("uplinks:tables", needs_gate=False, fresh=True)
def tables(ctx):
    """A table that is occupied is left alone: others are chosen, or check says so."""
    ctx.gate_ns.sh("ip route add 198.51.100.0/24 dev lo table 20001\n"
                   "ip -6 rule add from 2001:db8::/32 lookup 20100 pref 30000")
    before = host.snapshot(ctx.gate_ns)
    daemon = ctx.new_daemon(path_b=True)
    daemon.start()
    expect("default via 10.77.12.1" in table(ctx, 20201), f"{table(ctx, 20201)}")
    expect("default" not in table(ctx, 20001) + table(ctx, 20101), "an occupied table was used")
    ctx.converted("--send 100k", "--send 100k")
    daemon.stop()
    host.same(before, host.snapshot(ctx.gate_ns))
    other = ctx.new_daemon(extra='path "b" { interface = "up-b" table = 20001 }')
    done = subprocess.run(other.argv("check", "-c", other.config), capture_output=True, text=True,
                          timeout=20, stdin=subprocess.DEVNULL)
    expect(done.returncode == 1 and "routing table 20001 is used by others" in done.stdout,
           f"{done.returncode} {done.stdout}")


def reserved(ctx):
    return ctx.gate_ns.sh("cat /proc/sys/net/ipv4/ip_local_reserved_ports").strip()


@case("uplinks:ports-reserved", needs_gate=False, fresh=True)
def ports(ctx):
    """The subflows' ports are kept from the host, and given back, the operator's own are not."""
    daemon = ctx.new_daemon(path_b=True)
    for own, during in (("", "61000-65000"), ("8080,61500-61600", "8080,61000-65000"),
                        ("60000-65535", "60000-65535")):
        # an empty line empties the list
        ctx.gate_ns.sh(f"echo '{own}' > /proc/sys/net/ipv4/ip_local_reserved_ports")
        before = host.snapshot(ctx.gate_ns)
        daemon.start()
        expect(reserved(ctx) == during, f"of '{own}' became '{reserved(ctx)}'")
        daemon.kill()
        expect(reserved(ctx) == during, f"killed: '{reserved(ctx)}'")
        daemon.start()
        expect(reserved(ctx) == during, f"started again: '{reserved(ctx)}'")
        daemon.stop()
        expect(reserved(ctx) == own, f"given back: '{reserved(ctx)}' instead of '{own}'")
        host.same(before, host.snapshot(ctx.gate_ns))
        daemon.start()
        daemon.kill()
        ctx.gate_ns.sh(f"{daemon.program} rules down")
        expect(reserved(ctx) == own, f"rules down: '{reserved(ctx)}' instead of '{own}'")
        host.same(before, host.snapshot(ctx.gate_ns))


def resets(ctx, devices):
    """Captures of RST segments from the gate's own ports."""
    return [ctx.gate_ns.start(["tcpdump", "-ni", dev, "-w", f"{ctx.options.out}/rst-{dev}.pcap",
                               "-U", "--immediate-mode", "-Z", "root",
                               "tcp[tcpflags] & tcp-rst != 0 and portrange 61000-65000 or "
                               "(ip6 and ip6[53] & 4 != 0 and portrange 61000-65000)"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for dev in devices]


def killed(masquerade, family):
    @case(f"uplinks:killed-with-subflows:{'masquerade' if masquerade else 'routed'}:ipv{family}",
          fresh=True, masquerade=masquerade, gate={"extra": PATH_B + AT_ONCE})
    def dead(ctx):
        """kill -9 with several subflows: their segments wait, the host's stack does not answer
        them, the next process goes on with all of them; the host's masquerading never touches
        what the gate sends itself."""
        moving = Moving(ctx, family, size="60M")
        both_joined(ctx)
        captures = resets(ctx, ("up-a", "up-b"))
        time.sleep(0.3)
        before = [s["tuple"] for s in subflows(ctx, "b")]
        ctx.daemon.kill()
        time.sleep(1)
        tracked = ctx.gate_ns.sh(f"conntrack -L -f ipv{family} -p tcp 2>/dev/null", check=False)
        tracked = [t for t in tracked.splitlines() if ADDR[family]["up-b"] in t]
        expect(not tracked, f"conntrack follows the gate's own subflows: {tracked}")
        ctx.daemon.start()
        time.sleep(0.5)
        expect([s["tuple"] for s in subflows(ctx, "b")] == before,
               f"{before} became {subflows(ctx, 'b')}")
        for t in before:
            expect(t["src"] == ADDR[family]["up-b"] and PORTS[0] <= t["src_port"] <= PORTS[1],
                   f"{t}")
        for capture, dev in zip(captures, ("up-a", "up-b")):
            capture.terminate()
            capture.wait()
            out = ctx.gate_ns.sh(f"tcpdump -nr {ctx.options.out}/rst-{dev}.pcap 2>/dev/null",
                                 check=False)
            expect(not out.strip(), f"RST on {dev}: {out[:400]}")
        seen = ctx.server.sh("ss -Htn state established sport = :7001")
        expect(f"{ADDR[family]['up-b']}" in seen, f"the server does not see b's address: {seen}")
        moving.result()


for masquerade_ in (False, True):
    for family_ in (4, 6):
        killed(masquerade_, family_)


class Reader(threading.Thread):
    """Longest pause between arrivals, in milliseconds, taken from a capture at the receiver."""

    def __init__(self, where, device, expression):
        super().__init__(daemon=True)
        self.process = where.start(["tcpdump", "-tt", "-ni", device, "-l", "--immediate-mode", "-s",
                                    "100", "-Z", "root", expression], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        self.stamps = []
        self.start()

    def run(self):
        for line in self.process.stdout:
            try:
                self.stamps.append(float(line.split()[0]))
            except (ValueError, IndexError):
                pass

    def longest(self, since, until):
        stamps = [since] + [t for t in self.stamps if since <= t <= until] + [until]
        return max(b - a for a, b in zip(stamps, stamps[1:])) * 1000

    def end(self):
        self.process.terminate()
        self.join(5)


def pulled(way, device):
    @case(f"uplinks:pulled:{way}:{device}", fresh=True, gate={"extra": PATH_B + AT_ONCE})
    def pull(ctx):
        """A link is set down in mid-transfer: the longest pause at the receiver."""
        shape(ctx)
        much, little = "--send 400M --timeout 60", "--send 1 --fin-after-eof --timeout 60"
        down = way == "download"
        server = ctx.serve(much if down else little)
        client = background(ctx, little if down else much)
        both_joined(ctx)
        end = "guest" if down else "server"
        reader = Reader(getattr(ctx, end), "eth0",
                        f"dst host {ADDR[4][end]} and tcp and greater 500")
        gaps = []
        for _ in range(3):
            time.sleep(1)
            start = time.time()
            ctx.gate_ns.sh(f"ip link set up-{device} down")
            time.sleep(1)
            gaps.append(reader.longest(start - 0.02, start + 0.98))
            ctx.gate_ns.sh(f"ip link set up-{device} up")
            if device == "a":
                ctx.gate_ns.sh("ip route add default via 10.77.11.1 dev up-a metric 10",
                               check=False)
            ctx.wait("joined again", lambda: subflows(ctx, device), 3)
        reader.end()
        client.terminate()
        client.wait()
        server.stop()
        ctx.note("longest pauses " + ", ".join(f"{g:.0f}" for g in gaps) + " ms")
        expect(sorted(gaps)[1] <= 400, f"pauses of {gaps} ms")


for way_ in ("download", "upload"):
    for device_ in ("a", "b"):
        pulled(way_, device_)


def edit(ctx, old, new):
    with open(ctx.daemon.config, encoding="utf-8") as f:
        text = f.read()
    expect(old in text, f"no '{old}' in {text}")
    with open(ctx.daemon.config, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))


def hang_up(ctx, words):
    """SIGHUP, and what the log must say of it."""
    before = ctx.daemon.log_tail(1000).count(words)
    ctx.daemon.process.send_signal(signal.SIGHUP)
    ctx.wait(f"'{words}' in the log",
             lambda: ctx.daemon.log_tail(1000).count(words) > before)


@uplinks("reload")
def reload_(ctx):
    """SIGHUP: the file as it is then, the connections as they were; a bad file changes nothing."""
    pid = ctx.daemon.pid()
    moving = Moving(ctx)
    both_joined(ctx)
    edit(ctx, 'interface = "up-b"', 'interface = "up-b" price = 7.5')
    hang_up(ctx, "took over 1 connections")
    ctx.wait("the new price", lambda: ctx.daemon.show("paths", check=False) and
             paths(ctx)["b"]["price"] == 7.5)
    expect(ctx.daemon.alive() and ctx.daemon.pid() == pid, "another process")
    edit(ctx, "memory_mb = 64", "memory_mb = 65")
    hang_up(ctx, "another layout of memory")
    edit(ctx, "memory_mb = 65", "memory = 64")
    hang_up(ctx, "no such option 'memory'")
    edit(ctx, "memory = 64", "memory_mb = 64")
    hang_up(ctx, "took over 1 connections")
    moving.result()
    ctx.converted("--send 100k", "--send 100k")
