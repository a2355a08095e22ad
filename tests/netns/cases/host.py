# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate as a guest in the host's house (I6): NAT, firewalls, the host's own traffic, and what is
refused at the start."""
import re
import subprocess
import time

from lib import host, move
from lib.case import case, check_mapped, expect
from lib.topo import ADDR, FORBIDDEN_PORT

FIREWALLS = (None, "iptables", "nft")


class Held:
    """A connection of which each end has sent 1000 bytes that have arrived, and waits for end()."""

    def __init__(self, ctx, family=4, options="", mptcp=True):
        self.ctx = ctx
        both = f"--send 2000 --idle-at 1000 {move.UNTIL_GO_ON}"
        self.server = ctx.serve(both, family, mptcp)
        self.client = ctx.background(f"{both} {options}", family)
        ctx.wait("the first half", self.paused)

    def paused(self):
        said = self.ctx.guest.sh("ss -Htin state established 'dport = :7001'")
        return all(re.search(rf"\b{way}:100[01]\b", said)
                   for way in ("bytes_acked", "bytes_received"))

    def end(self):
        """The rest, and what the server says of it."""
        move.go_on(self.client)
        self.server.go_on()
        one, two = move.finish(self.client, 30), self.server.result()
        move.same_data(one, two)
        return two


def behind(masquerade, firewall):
    name = f"host:{'masquerade' if masquerade else 'routed'}:{firewall or 'open'}"

    @case(name, masquerade=masquerade, firewall=firewall)
    def house(ctx):
        """Converted, from the right address; the forbidden port stays forbidden."""
        for family in (4, 6):
            capture = ctx.capture(label=f"-{family}")
            ctx.converted("--send 1M", "--send 1M", family)
            ctx.converted("--send 100", "--send 100", family, connections=20)
            capture.stop()
            found = check_mapped(capture.path, 21)
            expected = ADDR[family]["up-a" if masquerade else "guest"]
            expect({text(c.key[0]) for c in found} == {text_of(expected)},
                   f"seen from {[text(c.key[0]) for c in found]}")
            if firewall:
                forbidden(ctx, family)
            plain(ctx, family)
            reset_reaches(ctx, family)

    @case(name + ":nogso", masquerade=masquerade, firewall=firewall, gso=False)
    def house_nogso(ctx):
        for family in (4, 6):
            ctx.converted("--send 3M", "--send 3M", family)


def text(address):
    return address.hex()


def text_of(address):
    import socket
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).hex()


def forbidden(ctx, family):
    server = ctx.serve("--timeout 1", family, port=FORBIDDEN_PORT)
    one = ctx.client("--send 1 --timeout 1", family, port=FORBIDDEN_PORT)
    two = server.result()
    expect(one["errors"] == {"timeout": 1} and two["received"] == 0,
           f"the forbidden port is open: {one} {two}")


def plain(ctx, family):
    """A server without MPTCP, through the same house."""
    ctx.plain("--send 300k", "--send 300k", family, server_mptcp=False)


def reset_reaches(ctx, family):
    server = ctx.serve("--reset-after-received 1000", family)
    one = ctx.client("--send 1M", family)
    server.result()
    expect(set(one["errors"]) <= {"ECONNRESET", "EPIPE"} and one["errors"], f"{one}")


for masquerade_ in (False, True):
    for firewall_ in FIREWALLS:
        behind(masquerade_, firewall_)


@case("host:masquerade:loss", masquerade=True, firewall="iptables")
def masquerade_loss(ctx):
    for t in ("iptables", "ip6tables"):
        ctx.net.sh(f"{t} -A FORWARD -p tcp -m statistic --mode random --probability 0.02 -j DROP")
    for family in (4, 6):
        ctx.converted("--send 3M", "--send 3M", family, timeout_s=60)
    for t in ("iptables", "ip6tables"):
        ctx.net.sh(f"{t} -F FORWARD")


@case("host:conntrack-forgets", masquerade=True, fresh=True)
def conntrack_forgets(ctx):
    """A converted connection does not depend on the host's conntrack any more: the kernel deletes
    MASQUERADE entries when an uplink goes down."""
    for family in (4, 6):
        held = Held(ctx, family)
        ctx.gate_ns.sh(f"conntrack -F -f {'ipv4' if family == 4 else 'ipv6'} 2>/dev/null")
        two = held.end()
        expect(two["mptcp_end"] == 1, f"{two}")


@case("host:own-traffic", firewall="iptables")
def own(ctx):
    """What is not between a guest and the net is none of our business: the host's own connections,
    guest to host, ICMP, UDP."""
    ctx.gate_ns.sh("for t in iptables ip6tables; do $t -I INPUT -p tcp --dport 7005 -j ACCEPT;"
                   "$t -I INPUT -p icmp -j ACCEPT; $t -I FORWARD -p udp -j ACCEPT;"
                   "$t -I FORWARD -p icmp -j ACCEPT; done")
    move.settle(ctx.guest, ctx.server)
    before = ctx.daemon.queued_packets()
    for family in (4, 6):
        addr = ADDR[family]
        server = ctx.serve("--send 100k", family)               # host to server
        one = move.client(ctx.gate_ns, ctx.tools, family, "--send 100k")
        move.same_data(one, server.result())
        server = move.Server(ctx.gate_ns, ctx.tools, family, "--send 100k", False, 7005)
        one = move.client(ctx.guest, ctx.tools, family, "--send 100k", port=7005,
                          host=addr["guest0"])                  # guest to host
        move.same_data(one, server.result())
        ctx.guest.sh(f"ping -q -c 2 -i 0.2 -W 1 {addr['server']}")
        ctx.guest.sh(f"ping -q -c 2 -i 0.2 -W 1 -s 4000 {addr['server']}")
    queued = ctx.daemon.queued_packets() - before
    expect(queued == 0, f"{queued} packets visited the daemon")


@case("host:guest-of-another-interface-cannot-pretend", fresh=True)
def pretend(ctx):
    """Packets that claim the server's address from the guests' side, and the reverse, do no harm
    to a connection that lives."""
    held = Held(ctx, options=f"--bind {ADDR[4]['guest']} --bind-port 40500")
    script = f"""
import socket, struct
def sum16(b):
    b += b"\\0" * (len(b) % 2)
    s = sum(struct.unpack(">%dH" % (len(b) // 2), b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for src, sport, dst, dport in (("{ADDR[4]['server']}", 7001, "{ADDR[4]['guest']}", 40500),
                               ("{ADDR[4]['guest']}", 40500, "{ADDR[4]['server']}", 7001)):
    for flags in (4, 20, 17, 16, 2, 18):
        for i in range(50):
            s, d = socket.inet_aton(src), socket.inet_aton(dst)
            tcp = struct.pack(">HHIIBBHHH", sport, dport, i * 90000000 & 0xffffffff,
                              i * 70000000 & 0xffffffff, 80, flags, 1000, 0, 0)
            c = sum16(s + d + struct.pack(">BBH", 0, 6, len(tcp)) + tcp)
            tcp = tcp[:16] + struct.pack(">H", c) + tcp[18:]
            ip = struct.pack(">BBHHHBBH", 69, 0, 40, i, 0, 64, 6, 0) + s + d
            raw.sendto(ip + tcp, (dst if "{{0}}" == "x" else "{ADDR[4]['server']}", 0))
"""
    ctx.guest.sh(f"python3 -c '{script}' 2>/dev/null || true")
    held.end()


@case("start:amid-connections", needs_gate=False, fresh=True, masquerade=True)
def amid(ctx):
    """Connections that began before the daemon go on as they were, also when it goes again."""
    daemon = ctx.new_daemon()
    server = ctx.serve("--send 60M")
    client = ctx.background(f"--send 2000 --idle-at 1000 {move.UNTIL_GO_ON}")
    ctx.wait("the connection", lambda: ctx.guest.sh("ss -Htn state established"))
    daemon.start()
    time.sleep(0.3)
    daemon.stop()
    move.go_on(client)
    one = move.finish(client, 40)
    two = server.result()
    move.same_data(one, two)
    expect(two["mptcp_start"] == 0, "MPTCP?")


@case("start:twice-is-refused", fresh=True)
def twice(ctx):
    """A second daemon on the same queue or socket says so and harms nothing."""
    done = subprocess.run(ctx.daemon.argv("run", "-c", ctx.daemon.config), capture_output=True,
                          text=True, timeout=30, stdin=subprocess.DEVNULL)
    expect(done.returncode != 0 and done.stderr.strip(), f"{done}")
    ctx.note(done.stderr.strip().splitlines()[-1][:80])
    ctx.converted("--send 100k", "--send 100k")


def refused(ctx, argv, words, change=None):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL)
    said = (done.stdout + done.stderr).strip()
    expect(done.returncode != 0, f"{argv[-4:]}: exit 0: {said}")
    expect("Sanitizer" not in said and done.returncode in range(1, 128), f"{done}")
    for word in words:
        expect(word in said, f"'{word}' is not said: {said}")
    return said


@case("start:refusals", needs_gate=False, fresh=True)
def refusals(ctx):
    """No root, missing interface, missing file: a clear word and nothing left behind."""
    daemon = ctx.new_daemon()
    before = host.snapshot(ctx.gate_ns)
    refused(ctx, daemon.argv("run", "-c", "/nonexistent.conf"), ["/nonexistent.conf"])
    refused(ctx, daemon.argv("run"), [])
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    refused(ctx, ctx.gate_ns.prefix() + user + [daemon.program, "run", "-c", daemon.config],
            ["root"])
    other = ctx.new_daemon(extra='path "c" { interface = "nosuch0" }')
    other.start()       # a path may come later: run says so and goes on
    expect("nosuch0" in other.log_tail(), f"no word of nosuch0: {other.log_tail()}")
    other.stop()
    refused(ctx, other.argv("check", "-c", other.config), ["nosuch0"])
    other = ctx.new_daemon(extra="sheduler = 3")
    with open(other.config, encoding="utf-8") as f:
        line = 1 + f.read().splitlines().index("sheduler = 3")
    refused(ctx, other.argv("run", "-c", other.config), [f".conf:{line}: ", "sheduler"])
    host.same(before, host.snapshot(ctx.gate_ns))


@case("start:check", needs_gate=False, fresh=True)
def check(ctx):
    """check says yes where run works, changes nothing, and no where it would not."""
    daemon = ctx.new_daemon(path_b=True)
    before = host.snapshot(ctx.gate_ns)
    ctx.gate_ns.sh(f"ip netns exec {ctx.gate_ns.name} {daemon.program} check -c {daemon.config}")
    host.same(before, host.snapshot(ctx.gate_ns))
    daemon.start()
    ctx.converted("--send 10k", "--send 10k")
    daemon.stop()
    ctx.gate_ns.sh("sysctl -qw net.ipv4.ip_forward=0")
    before = host.snapshot(ctx.gate_ns)
    refused(ctx, daemon.argv("check", "-c", daemon.config), ["forward"])
    host.same(before, host.snapshot(ctx.gate_ns))


def tracked(ctx, state=""):
    """What conntrack knows of connections to the server's port."""
    out = ctx.gate_ns.sh("conntrack -L -p tcp 2>/dev/null", check=False)
    return [line for line in out.splitlines() if "dport=7001" in line and state in line]


@case("host:not-tracked", fresh=True)
def not_tracked(ctx):
    """A host that does not track connections goes on so: nothing of ours asks for it."""
    for family in (4, 6):
        ctx.converted("--send 100k", "--send 100k", family)
        ctx.plain("--send 100k", "--send 100k", family, server_mptcp=False)
    count = ctx.gate_ns.sh("cat /proc/sys/net/netfilter/nf_conntrack_count").strip()
    expect(count == "0", f"conntrack has {count} entries")


@case("host:tracked-while-it-lives", masquerade=True, fresh=True)
def tracked_while_it_lives(ctx):
    """To conntrack a converted connection shows its handshake only: its entry, and with it the
    translated port, must last as long as the connection, and not for days after."""
    held = Held(ctx)
    ctx.wait("an entry for days", lambda: [True] == [
        int(line.split()[2]) > 400000 for line in tracked(ctx, "ESTABLISHED")])
    held.end()
    ctx.wait("the entry's end", lambda: not tracked(ctx, "ESTABLISHED"))
    lines = tracked(ctx)
    expect(all(int(line.split()[2]) <= 120 for line in lines), f"conntrack: {lines}")


@case("host:tc-shared", needs_gate=False, fresh=True)
def tc_shared(ctx):
    """An administrator's clsact and filters stay what they are; what mpgate brought goes."""
    ctx.gate_ns.sh("tc qdisc add dev up-a clsact; tc qdisc add dev up-b clsact; "
                   "tc filter add dev up-a ingress prio 7 protocol ip u32 match u32 0 0 "
                   "flowid 1:1")
    daemon = ctx.new_daemon(path_b=True)
    before = host.snapshot(ctx.gate_ns)
    daemon.start()
    ctx.gate_ns.sh("tc filter add dev guest0 egress prio 9 protocol ip u32 match u32 0 0 "
                   "flowid 1:1")
    ctx.converted("--send 100k", "--send 100k")
    daemon.stop()
    ctx.gate_ns.sh("tc filter show dev guest0 egress | grep -q u32")
    ctx.gate_ns.sh("tc qdisc del dev guest0 clsact")
    host.same(before, host.snapshot(ctx.gate_ns))
