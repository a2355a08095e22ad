# SPDX-License-Identifier: GPL-2.0-or-later
"""The path manager against the kernel: joins, refusals, addresses that come and go, priorities,
paths that vanish. The server's counters say what really arrived."""
import signal
import time

from lib import inbound, move
from lib.case import case, expect
from lib.topo import ADDR

EXTRA = 'multipath {{ after_bytes = {after} on_congestion = false {more} }}\n'
OTHER = {4: "10.77.9.77", 6: "fd77:9::77"}
PREFIX = {4: 24, 6: 64}
NODAD = {4: "", 6: "nodad"}
MB = 1 << 20
WITHIN_S = 1.0


def two_paths(after=50000, more="", **kwargs):
    return {"path_b": True, "extra": EXTRA.format(after=after, more=more), **kwargs}


def join_case(name, families=(4, 6), gate=None, **topology):
    """A case with two uplinks, once for each family, in namespaces of its own."""
    def register(function):
        for family in families:
            @case(f"join:{name}:v{family}", gate=gate or two_paths(), fresh=True, **topology)
            def run(ctx, family=family):
                function(ctx, family)
        return function
    return register


class Transfer:
    """Both ways `first` bytes, silence for the test to act in, and from end() on the rest."""

    def __init__(self, ctx, family=4, first="1M", rest="2M", server_family=None, client=""):
        total = f"{int(first[:-1]) + int(rest[:-1])}{first[-1]}"
        both = f"--send {total} --idle-at {first} {move.UNTIL_GO_ON}"
        self.ctx, self.began = ctx, time.monotonic()
        self.counters = move.ServerCounters(ctx.server)
        self.server = ctx.serve(both, server_family or family)
        self.client = ctx.background(f"{both} {client}", family)
        size = int(first[:-1]) << {"k": 10, "M": 20}[first[-1]]
        ctx.wait("the first part", lambda: self.moved(size), 10)

    def conn(self):
        """What the daemon shows of the connection."""
        all_ = [c for c in self.ctx.daemon.connections() if c["state"] != "closed"]
        return all_[0] if all_ else None

    def moved(self, size):
        c = self.conn()
        return c and c["from_guest_bytes"] >= size and c["to_guest_bytes"] >= size

    def expect_joins(self, grown, n):
        """So many at the server; more only where a subflow was given up for silence, because the
        machine paused."""
        silent = self.ctx.daemon.counters().get("subflow_silent", 0)
        joins = grown.get("MPJoinAckRx", 0)
        expect(n <= joins <= n + silent, f"{joins} joins, not {n}, {silent} silent: {grown}")

    def subflows(self, state="established", leaving="none"):
        c = self.conn()
        return [s for s in c["subflows"] if s["state"] == state and s["leaving"] == leaving] \
            if c else []

    def paths(self):
        return sorted(s["path"] for s in self.subflows())

    def wait_paths(self, *paths, timeout_s=5):
        """Until exactly these carry the connection; how long it took."""
        began = time.monotonic()
        self.ctx.wait(f"subflows on {paths}, there are {self.paths()}",
                      lambda: self.paths() == sorted(paths), timeout_s)
        return time.monotonic() - began

    def grown(self):
        return self.counters.growth()

    def wait_counter(self, name, least=1, timeout_s=5):
        self.ctx.wait(f"{name} {least} at the server: {self.grown()}",
                      lambda: self.grown().get(name, 0) >= least, timeout_s)

    def end(self, allow=(), clean=True):
        """Both programs to their end, data compared, the server's counters checked."""
        move.go_on(self.client)
        self.server.go_on()
        one, two = move.finish(self.client, 60), self.server.result(30)
        move.same_data(one, two, 1, clean)
        return self.counters.check_mptcp(1, allow=allow, resets=True)


def link(ctx, dev, up):
    """A link set up again has lost its routes and its IPv6 address; what the operator's network
    scripts would do, then."""
    which = "b" if dev == "up-b" else "a"
    metric = 20 if which == "b" else 10
    script = f"ip link set {dev} {'up' if up else 'down'}\n"
    if up:
        script += f"ip addr replace {ADDR[6][dev]}/64 nodad dev {dev}\n"
        for family in (4, 6):
            script += (f"ip -{family} route replace default via {ADDR[family][which]} dev {dev} "
                       f"metric {metric}\n")
    ctx.gate_ns.sh(script)


def link_bytes(ctx, dev):
    said = ctx.gate_ns.sh(f"cat /proc/net/dev | grep {dev}:").replace(":", " ").split()
    return int(said[1]) + int(said[9])


def reasons(ctx, *names):
    counters = ctx.daemon.counters()
    missing = [n for n in names if not counters.get(n)]
    expect(not missing, f"not counted: {missing} in {counters}")
    return counters


@join_case("fullmesh")
def fullmesh(ctx, family):
    """One join over the other path; both carry data; no HMAC failed."""
    t = Transfer(ctx, family)
    t.wait_paths("a", "b")
    grown = t.end()
    t.expect_joins(grown, 1)
    expect(not grown.get("MPJoinAckHMacFailure"), f"{grown}")
    reasons(ctx, "promoted_bytes", "join_established")


join_case("fullmesh:masquerade", masquerade=True)(fullmesh)


@join_case("ndiffports", gate=two_paths(more='mode = "ndiffports 3"'))
def ndiffports(ctx, family):
    t = Transfer(ctx, family)
    t.wait_paths("a", "a", "a")
    ports = {s["tuple"]["src_port"] for s in t.subflows()}
    expect(len(ports) == 3, f"ports {ports}")
    t.expect_joins(t.end(), 2)


@join_case("single", gate=two_paths(more='mode = "single"'))
def single(ctx, family):
    t = Transfer(ctx, family)
    expect(t.paths() == ["a"], f"{t.paths()}")
    expect(not t.end().get("MPJoinSynRx"), "a join in single mode")


@join_case("announced-by-server")
def announced(ctx, family):
    """The server signals a second address: confirmed, and joined over both paths."""
    ctx.server.sh(f"ip addr add {OTHER[family]}/{PREFIX[family]} {NODAD[family]} dev eth0\n"
                  f"ip mptcp endpoint add {OTHER[family]} dev eth0 signal")
    t = Transfer(ctx, family)
    t.wait_paths("a", "a", "b", "b")
    t.wait_counter("EchoAdd")
    # taken back: its subflows end, the others live
    ctx.server.sh("ip mptcp endpoint del id 1")
    t.wait_paths("a", "b")
    t.expect_joins(t.end(), 3)
    reasons(ctx, "add_addr_accepted", "remove_addr_received")


@join_case("announced-with-port")
def announced_port(ctx, family):
    if family == 6:     # Linux has no room for it beside timestamps
        ctx.server.sh("sysctl -qw net.ipv4.tcp_timestamps=0")
    ctx.server.sh(f"ip addr add {OTHER[family]}/{PREFIX[family]} {NODAD[family]} dev eth0\n"
                  f"ip mptcp endpoint add {OTHER[family]} dev eth0 port 7055 signal")
    t = Transfer(ctx, family)
    t.wait_paths("a", "a", "b", "b")
    ports = sorted(s["tuple"]["dst_port"] for s in t.subflows())
    expect(ports == [7001, 7001, 7055, 7055], f"{ports}")
    grown = t.end()
    expect(grown.get("EchoAdd") == 1 and grown.get("MPJoinPortAckRx") == 2, f"{grown}")


@join_case("announced-other-family")
def announced_other(ctx, family):
    """An IPv4 connection gets IPv6 subflows and the reverse."""
    other = 10 - family
    ctx.server.sh(f"ip mptcp endpoint add {ADDR[other]['server']} dev eth0 signal")
    t = Transfer(ctx, family, server_family=6)  # a listener of both
    t.wait_paths("a", "a", "b", "b")
    text = str([s["tuple"]["dst"] for s in t.subflows()])
    expect(ADDR[4]["server"] in text and ADDR[6]["server"] in text, text)
    t.end()


@join_case("not-to-the-initial-address", families=(4,))
def no_join(ctx, family):
    """The C flag: only the announced address is joined."""
    ctx.server.sh(f"sysctl -qw net.mptcp.allow_join_initial_addr_port=0\n"
                  f"ip addr add {OTHER[family]}/{PREFIX[family]} {NODAD[family]} dev eth0\n"
                  f"ip mptcp endpoint add {OTHER[family]} dev eth0 port 7055 signal")
    t = Transfer(ctx, family)
    t.wait_paths("a", "a", "b")
    dst = sorted(s["tuple"]["dst"] for s in t.subflows())
    expect(dst == sorted([OTHER[family]] * 2 + [ADDR[family]["server"]]), f"{dst}")
    t.end()


@join_case("refused-by-limits", families=(4,))
def limits(ctx, family):
    """limits subflows 0: the refusal comes on the third ACK, and is not asked for again."""
    ctx.server.sh("ip mptcp limits set subflow 0 add_addr_accepted 0")
    t = Transfer(ctx, family)
    t.wait_counter("MPJoinSynRx")
    time.sleep(2.5)
    expect(t.paths() == ["a"], f"{t.paths()}")
    grown = t.end()
    expect(grown.get("MPJoinSynRx") == 1, f"asked again: {grown}")
    reasons(ctx, "tcprst_prohibited")


@join_case("dropped-then-not", families=(4,))
def dropped(ctx, family):
    """SYNs of joins vanish on one path; when they no longer do, it joins."""
    ctx.net.sh("iptables -I FORWARD -i b -p tcp --syn -j DROP")
    t = Transfer(ctx, family)
    time.sleep(1.2)
    expect(t.paths() == ["a"], f"{t.paths()}")
    ctx.net.sh("iptables -D FORWARD -i b -p tcp --syn -j DROP")
    t.wait_paths("a", "b", timeout_s=10)
    t.end()


@join_case("refused-by-firewall", families=(4,))
def firewall(ctx, family):
    """A bare RST: tried again after a while."""
    ctx.net.sh("iptables -I FORWARD -i b -p tcp --syn -j REJECT --reject-with tcp-reset")
    t = Transfer(ctx, family)
    ctx.wait("the refusal", lambda: ctx.daemon.counters().get("join_refused"))
    ctx.net.sh("iptables -D FORWARD -i b -p tcp --syn -j REJECT --reject-with tcp-reset")
    t.wait_paths("a", "b", timeout_s=8)
    t.end()


@join_case("backup-by-configuration", families=(4,), gate={
    "path_b": True, "options": {"b": "backup = true"}, "extra": EXTRA.format(after=50000, more="")})
def backup(ctx, family):
    """The B flag of MP_JOIN: nothing goes over the backup path, either way. Where the machine
    pauses, the other one is given up for a moment, and the backup is used: not every time."""
    over_b = []
    while len(over_b) < 4 and min(over_b, default=MB) > 100000:
        before = link_bytes(ctx, "up-b")
        t = Transfer(ctx, family)
        t.wait_paths("a", "b")
        for b in t.subflows():
            expect([b[k] for k in ("backup", "backup_local", "backup_peer")] ==
                   [b["path"] == "b"] * 2 + [False], f"{b}")
        t.end()
        over_b.append(link_bytes(ctx, "up-b") - before)
    expect(over_b[-1] <= 100000, f"bytes over b of 6 MB: {over_b}")


@join_case("priority-by-server", families=(4,))
def priority(ctx, family):
    """MP_PRIO of the server's kernel (it sends one) makes a subflow backup, and takes that back."""
    ctx.server.sh(f"ip addr add {OTHER[family]}/{PREFIX[family]} {NODAD[family]} dev eth0\n"
                  f"ip mptcp endpoint add {OTHER[family]} dev eth0 signal")
    t = Transfer(ctx, family)
    t.wait_paths("a", "a", "b", "b")
    ctx.server.sh("ip mptcp endpoint change id 1 backup")
    ctx.wait("backup", lambda: any(s["backup_peer"] for s in t.subflows()))
    ctx.server.sh("ip mptcp endpoint change id 1 nobackup")
    ctx.wait("no backup", lambda: not [s for s in t.subflows() if s["backup_peer"]])
    t.end()
    reasons(ctx, "prio_received")


@join_case("path-down-and-up")
def path_down(ctx, family):
    """The second path goes and returns: REMOVE_ADDR, and a new subflow within a second."""
    t = Transfer(ctx, family)
    t.wait_paths("a", "b")
    link(ctx, "up-b", False)
    t.wait_paths("a", timeout_s=WITHIN_S)
    t.wait_counter("RmAddr", timeout_s=WITHIN_S)
    link(ctx, "up-b", True)
    ctx.note(f"back after {t.wait_paths('a', 'b', timeout_s=WITHIN_S):.2f} s")
    t.end()
    reasons(ctx, "remove_addr_sent", "subflow_path_down")


join_case("path-down-and-up:masquerade", masquerade=True)(path_down)


@join_case("initial-path-down")
def initial_down(ctx, family):
    """The path of the initial subflow goes: REMOVE_ADDR of id 0; it returns as a join."""
    t = Transfer(ctx, family)
    t.wait_paths("a", "b")
    link(ctx, "up-a", False)
    t.wait_paths("b", timeout_s=WITHIN_S)
    t.wait_counter("RmAddr", timeout_s=WITHIN_S)
    link(ctx, "up-a", True)
    ctx.note(f"back after {t.wait_paths('a', 'b', timeout_s=WITHIN_S):.2f} s")
    t.expect_joins(t.end(), 2)


join_case("initial-path-down:masquerade", masquerade=True)(initial_down)


@join_case("only-path-down")
def only_down(ctx, family):
    """A connection too small for a second subflow moves to the other path when its own goes."""
    t = Transfer(ctx, family, "20k", "100k")
    expect(t.paths() == ["a"], f"{t.paths()}")
    link(ctx, "up-a", False)
    ctx.note(f"moved after {t.wait_paths('b', timeout_s=WITHIN_S):.2f} s")
    t.end()


join_case("only-path-down:masquerade", masquerade=True)(only_down)


@join_case("break-before-make", masquerade=True)
def break_before_make(ctx, family):
    """All paths and their addresses vanish; one returns."""
    t = Transfer(ctx, family)
    t.wait_paths("a", "b")
    for dev in ("up-a", "up-b"):
        ctx.gate_ns.sh(f"ip addr flush dev {dev}")
        link(ctx, dev, False)
    ctx.wait("no path", lambda: t.paths() == [])
    time.sleep(1)
    ctx.gate_ns.sh(f"ip addr add {ADDR[4]['up-b']}/24 dev up-b")
    link(ctx, "up-b", True)
    ctx.note(f"back after {t.wait_paths('b', timeout_s=WITHIN_S):.2f} s")
    t.end()
    reasons(ctx, "subflow_address_lost")


@join_case("readdressed", masquerade=True)
def readdressed(ctx, family):
    """The second path gets another address: its subflow is replaced, the old one removed."""
    new = {4: "10.77.12.99", 6: "fd77:12::99"}[family]
    t = Transfer(ctx, family)
    t.wait_paths("a", "b")
    ctx.gate_ns.sh(f"ip addr del {ADDR[family]['up-b']}/{PREFIX[family]} dev up-b\n"
                   f"ip addr add {new}/{PREFIX[family]} dev up-b\n"
                   f"ip -{family} route replace default via {ADDR[family]['b']} dev up-b metric 20")
    ctx.wait("the new address", lambda: new in str([s["tuple"]["src"] for s in t.subflows()]), 2)
    t.wait_paths("a", "b")
    t.wait_counter("RmAddr")
    t.end()


@join_case("announcing-always", gate=two_paths(more='announce = "always"'))
def announcing(ctx, family):
    """The gate's paths are announced to a server that confirms them and joins none."""
    ctx.server.sh("ip mptcp limits set subflow 8 add_addr_accepted 0")
    t = Transfer(ctx, family)
    t.wait_paths("a", "b")
    ctx.wait("confirmed", lambda: ctx.daemon.counters().get("add_addr_echoed") == 1)
    link(ctx, "up-b", False)
    t.wait_paths("a", timeout_s=WITHIN_S)
    t.wait_counter("RmAddr")
    grown = t.end()
    # one family of the path that does not carry the initial subflow, heard once
    expect(grown.get("AddAddr") == 1 and grown.get("EchoAddTx") == 1, f"{grown}")
    sent = ctx.daemon.counters()["add_addr_sent"]
    expect(sent == 1, f"{sent} announcements")


@join_case("announced-port-joined", gate=two_paths(more='announce = "always"'))
def announced_port_joined(ctx, family):
    """The gate opened the connection and announces its other path with a port of its own: the
    server's kernel joins there. It does not (6.12, 6.18: mptcp_subflow_create_socket(), counted in
    MPJoinSynTxCreatSkErr) while its program has not accept()ed the connection, and forgets the
    address that it has echoed. The gate announces when the client's first data was acknowledged, so
    the client waits for the server's first."""
    if family == 6:     # no room for it beside timestamps
        ctx.server.sh("sysctl -qw net.ipv4.tcp_timestamps=0")
    t = Transfer(ctx, family, client="--send-after 1")
    ctx.wait("the server's join", lambda: any(s["tuple"]["src_port"] == 61000
                                              for s in t.subflows()))
    grown = t.end()
    expect(grown.get("MPJoinPortSynAckRx", 0) >= 1, f"{grown}")
    reasons(ctx, "join_accepted")


@join_case("announcing-to-clients")
def announcing_responder(ctx, family):
    """A remote client that opened its connection to the guest hears of the other path."""
    ctx.server.sh("ip mptcp limits set subflow 8 add_addr_accepted 0")
    _, grown = announced_to_client(ctx, family)
    expect(grown.get("AddAddr") == 1 and grown.get("EchoAddTx") == 1, f"{grown}")
    counters = reasons(ctx, "add_addr_echoed")
    expect(counters["add_addr_sent"] == 1 and counters["add_addr_echoed"] == 1, f"{counters}")


def announced_to_client(ctx, family):
    counters = inbound.ClientCounters(ctx.server)
    options = "--send 200k --idle-at 100k --idle-ms 1500"
    server = inbound.serve(ctx, options, family)
    one = inbound.connect(ctx, options, family)
    move.same_data(one, server.result(30))
    return one, counters.check_client(1)


def reload(ctx, old, new):
    """The configuration's text changed, and SIGHUP."""
    ctx.daemon.edit(old, new)
    ctx.daemon.process.send_signal(signal.SIGHUP)


@join_case("priority-by-reload", families=(4,), masquerade=True)
def priority_reload(ctx, family):
    """backup and backup_price in the file: MP_PRIO goes to the server, both ways."""
    t = Transfer(ctx, family)
    t.wait_paths("a", "b")
    for old, new, backup, prios in (
            ('interface = "up-b"', 'interface = "up-b" backup = true', True, 1),
            (' backup = true', ' price = 4.0', False, 3),
            ('multipath {', 'multipath { backup_price = 4.0', True, 5)):
        reload(ctx, old, new)
        t.wait_counter("MPPrioRx", prios)
        ctx.wait("the priority", lambda want=backup: [s["backup_local"] for s in t.subflows()
                                                      if s["path"] == "b"] == [want])
    t.end()


@join_case("many", families=(4,))
def many(ctx, family):
    """100 connections: each joins; the second path goes and returns under all of them."""
    counters = move.ServerCounters(ctx.server)
    both = ("--send 300k --idle-at 150k --connections 100 --concurrency 100 " +
            move.UNTIL_GO_ON)
    server = ctx.serve(both, family)
    client = ctx.background(both, family)

    def joined():
        return sum(s["path"] == "b" and s["state"] == "established" and s["leaving"] == "none"
                   for c in ctx.daemon.connections() for s in c["subflows"])

    ctx.wait("100 joins", lambda: joined() == 100, 10)
    link(ctx, "up-b", False)
    ctx.wait("none on b", lambda: joined() == 0, WITHIN_S)
    link(ctx, "up-b", True)
    began = time.monotonic()
    ctx.wait("100 joins again", lambda: joined() == 100, WITHIN_S)
    ctx.note(f"back after {time.monotonic() - began:.2f} s")
    move.go_on(client)
    server.go_on()
    move.same_data(move.finish(client, 60), server.result(30), 100)
    grown = counters.check_mptcp(100, resets=True)
    # REMOVE_ADDR is not acknowledged: it goes twice
    silent = ctx.daemon.counters().get("subflow_silent", 0)
    expect(200 <= grown.get("MPJoinAckRx", 0) <= 200 + silent and
           100 <= grown.get("RmAddr", 0) <= 200, f"{silent} silent: {grown}")
    expect(not grown.get("MPJoinAckHMacFailure"), f"{grown}")
