# SPDX-License-Identifier: GPL-2.0-or-later
"""Remote MPTCP clients reach plain guests: the far end's kernel opens, the guest's plain server
answers."""
import subprocess
import time

from lib import inbound, move
from lib.case import both_families, case, expect
from lib.multi import all_carry
from lib.ns import Failure
from lib.topo import ADDR, FORBIDDEN_PORT

PAUSE = "--idle-at 20000 --idle-ms 600"     # else all is over before a join


def data(ctx, family):
    for size in ("1", "1k", "100k", "10M"):
        inbound.converted(ctx, f"--send {size}", "", family)
        inbound.converted(ctx, "", f"--send {size}", family)
        inbound.converted(ctx, f"--send {size}", f"--send {size}", family)
    inbound.converted(ctx, "--send 1000", "--send 1000", family, connections=50)
    roles = {c["role"] for c in ctx.daemon.connections()}
    expect(roles <= {"responder"}, f"roles {roles}")


for gso_ in (True, False):
    both_families(f"responder:data:{'gso' if gso_ else 'nogso'}", gso=gso_)(data)


# ---- how they begin and end ----

@both_families("responder:ends")
def ends(ctx, family):
    """The server first; half close by either; silence between; not one byte of data."""
    for client, server in (
            ("--send 50k --send-after 1", "--send 100k"),
            ("--send 100 --send-after 5", "--send 10 --send-after 0 --chunk 1 --nodelay"),
            ("--send 100k", "--send 1M --send-after-eof"),
            ("--send 1M --send-after-eof", "--send 100k"),
            ("--send 1000", "--send 1000 --idle-at 500 --idle-ms 1200 --send-after-eof"),
            ("--fin-after-eof", ""), ("", "--fin-after-eof"), ("", "")):
        inbound.converted(ctx, client, server, family)


@both_families("responder:resets")
def resets(ctx, family):
    """Either end resets; the other hears of it at once."""
    for client, server, sender in (
            ("--send 10M --reset-after-sent 200000", "--fin-after-eof", "client"),
            ("--fin-after-eof", "--send 10M --reset-after-sent 300000", "server"),
            ("--send 10M", "--reset-after-received 300000", "server"),
            ("--reset-after-received 300000", "--send 10M", "client")):
        counters = inbound.ClientCounters(ctx.server)
        program = inbound.serve(ctx, server, family)
        one = inbound.connect(ctx, client, family)
        two = program.result()
        grown = counters.growth()
        other = two if sender == "client" else one
        expect(other["errors"] and set(other["errors"]) <= {"ECONNRESET", "EPIPE"},
               f"{sender} reset: {one} {two}")
        expect(one["seconds"] < 5 and two["seconds"] < 5, f"took long: {one} {two}")
        expect(grown.get("MPFastcloseRx" if sender == "server" else "MPFastcloseTx"), f"{grown}")


@both_families("responder:refused")
def refused(ctx, family):
    """Nobody listens: refused at once, and nothing is remembered. A silent guest: nothing either.
    """
    tries = [inbound.connect(ctx, "--send 1", family, port=7998) for _ in range(3)]
    expect(all(one["errors"] == {"ECONNREFUSED": 1} for one in tries), f"{tries}")
    expect(sorted(one["seconds"] for one in tries)[1] < 0.9, f"took long: {tries}")
    ctx.wait("a refused connection is forgotten", lambda: not [
        c for c in ctx.daemon.connections() if c["guest"]["src_port"] == 7998])
    tool = "iptables" if family == 4 else "ip6tables"
    ctx.guest.sh(f"{tool} -A INPUT -p tcp --dport 7001 -j DROP")
    one = inbound.connect(ctx, "--send 1 --timeout 2", family)
    expect(one["errors"] == {"timeout": 1}, f"{one}")
    ctx.guest.sh(f"{tool} -D INPUT -p tcp --dport 7001 -j DROP")
    inbound.converted(ctx, "--send 1000", "--send 1000", family)


@both_families("responder:syn-cookies")
def cookies(ctx, family):
    """The guest keeps no state before the third ACK."""
    ctx.guest.sh("sysctl -qw net.ipv4.tcp_syncookies=2")
    before = ctx.guest.counters().get("TcpExt.SyncookiesRecv", 0)
    inbound.converted(ctx, "--send 100k", "--send 100k", family, connections=10)
    inbound.converted(ctx, "--send 1000 --send-after 1", "--send 1000", family)
    ctx.guest.sh("sysctl -qw net.ipv4.tcp_syncookies=1")
    grown = ctx.guest.counters().get("TcpExt.SyncookiesRecv", 0) - before
    expect(grown >= 11, f"{grown} cookies came back to the guest")


@both_families("responder:loss", gso=False)
def loss(ctx, family):
    """5 % in both directions: SYN, SYN/ACK, third ACK and first data get lost as well."""
    tool = "iptables" if family == 4 else "ip6tables"
    drop = "FORWARD -p tcp -m statistic --mode random --probability 0.05 -j DROP"
    ctx.server.sh("sysctl -qw net.mptcp.syn_retrans_before_tcp_fallback=6 || true")
    ctx.net.sh(f"{tool} -A {drop}")
    inbound.converted(ctx, "--send 20k --concurrency 20", "--send 20k", family, connections=60,
                      allow=("MPCapableSYNTXDrop",))
    inbound.converted(ctx, "--send 1M", "--send 1M", family)
    ctx.net.sh(f"{tool} -D {drop}")


# ---- who stays plain ----

@case("responder:plain")
def plain(ctx):
    """Clients without MPTCP: the daemon sees the guest's SYN/ACK and nothing else."""
    for family in (4, 6):
        move.settle(ctx.guest, ctx.server)
        before = ctx.daemon.queued_packets()
        inbound.plain(ctx, "--send 1M", "--send 1M", family, 10, mptcp=False)
        queued = ctx.daemon.queued_packets() - before
        # on a busy machine a SYN/ACK is said again now and then
        expect(queued <= 15, f"{queued} packets of 10 plain connections visited the daemon")


@case("responder:policy", gate={"extra": 'policy { match = "tcp dport 7004"  use = "never" }\n'})
def policy(ctx):
    """The port of a rule is the one that is called: here the guest's."""
    for family in (4, 6):
        inbound.plain(ctx, "--send 100k", "--send 100k", family, port=7004)
        inbound.converted(ctx, "--send 100k", "--send 100k", family)


BOTH = "--send 300k"
# What is removed, who speaks first, whether the client's socket is plain from the start.
STRIPS = (("syn", BOTH, BOTH, True), ("synack", BOTH, BOTH, True),
          ("syn", f"{BOTH} --send-after 1", BOTH, True), ("ack3", BOTH, BOTH, False),
          ("ack3", f"{BOTH} --send-after 1", BOTH, False), ("client", BOTH, BOTH, False),
          ("server", BOTH, BOTH, False), ("client-data", BOTH, f"{BOTH} --send-after 1", False),
          ("server-data", f"{BOTH} --send-after 1", BOTH, False))


@both_families("responder:strip", gso=False)
def stripped(ctx, family):
    """A middlebox removes MPTCP options: data arrives whole, as Multipath TCP or not, and the
    next connection without it is converted."""
    for what, client, server, at_once in STRIPS:
        box = move.Middlebox(ctx.net, ctx.tools, f"--strip {what}")
        program = inbound.serve(ctx, server, family)
        one = inbound.connect(ctx, client, family)
        two = program.result()
        counts = box.counts()
        try:
            move.same_data(one, two)
        except Failure as e:
            raise Failure(f"without the options of {what}, {client}, {server}: {e}") from e
        expect(counts["stripped"] > 0, f"{what}: nothing was stripped")
        expect(not at_once or one["mptcp_end"] == 0, f"{what}: {one}")
        inbound.converted(ctx, "--send 10k", "--send 10k", family)


# ---- the host's house ----

def publish(ctx, family, port=7001, to_port=7001, devices="up-a up-b"):
    """The host publishes a guest's service on its own addresses, as operators do."""
    tool, guest = ("iptables" if family == 4 else "ip6tables"), ADDR[family]["guest"]
    target = f"{guest}:{to_port}" if family == 4 else f"[{guest}]:{to_port}"
    ctx.gate_ns.sh(
        f"for dev in {devices}; do {tool} -t nat -A PREROUTING -i $dev -p tcp --dport {port} "
        f"-j DNAT --to-destination {target}; done")


ALLOW = {
    None: "true",
    "iptables": "for t in iptables ip6tables; do $t -A FORWARD -o guest0 -p tcp --dport 7001 "
                "-m conntrack --ctstate NEW -j ACCEPT; done",
    "nft": "nft add rule inet house forward oifname guest0 tcp dport 7001 ct state new accept",
}


def published(firewall, gso):
    @case(f"responder:dnat:{firewall or 'open'}:{'gso' if gso else 'nogso'}", masquerade=True,
          firewall=firewall, gso=gso, fresh=True)
    def dnat(ctx):
        """Published by DNAT, another port than the guest's; the firewall decides as without us."""
        ctx.gate_ns.sh(ALLOW[firewall])
        for family in (4, 6):
            gate = ADDR[family]["up-a"]
            publish(ctx, family, 8080)
            publish(ctx, family, FORBIDDEN_PORT, FORBIDDEN_PORT)
            inbound.converted(ctx, "--send 2M", "--send 2M", family, host=gate, port=8080,
                              to_port=7001)
            inbound.converted(ctx, "--send 100", "--send 100", family, 20, host=gate, port=8080,
                              to_port=7001)
            inbound.plain(ctx, "--send 100k", "--send 100k", family, 3, gate, False, 8080, 7001)
            if not firewall:
                continue
            one = inbound.connect(ctx, "--send 1 --timeout 1", family, FORBIDDEN_PORT, host=gate)
            expect(one["errors"] == {"timeout": 1}, f"the forbidden port is open: {one}")


for firewall_ in (None, "iptables", "nft"):
    for gso_ in (True, False):
        published(firewall_, gso_)


@case("responder:host-service", fresh=True)
def host_service(ctx):
    """The host's own MPTCP service, joins included, next to a guest's on the same port number:
    neither notices the other."""
    ctx.gate_ns.sh("ip mptcp limits set subflow 8 add_addr_accepted 8")
    for family in (4, 6):
        second_address(ctx, family)
        counters = inbound.ClientCounters(ctx.server)
        server = move.Server(ctx.gate_ns, ctx.tools, family, f"--send 1M {PAUSE}", True, 7001,
                             ADDR[family]["up-a"])
        one = inbound.connect(ctx, f"--send 1M {PAUSE}", family, host=ADDR[family]["up-a"])
        two = server.result()
        move.same_data(one, two)
        # between two kernels, and these count that now and then
        counters.check_client(1, joins=1, allow=("NoDSSInWindow",))
        inbound.converted(ctx, f"--send 1M {PAUSE}", f"--send 1M {PAUSE}", family, joins=1)
    grown = ctx.daemon.counters()
    expect(grown.get("join_passed", 0) >= 2 and grown.get("join_accepted", 0) >= 2, f"{grown}")


@case("responder:routed:firewall", firewall="iptables", fresh=True)
def routed_firewall(ctx):
    """A default-drop firewall that lets nobody in from outside: nothing is opened by the gate."""
    for family in (4, 6):
        server = inbound.serve(ctx, "--timeout 1", family)
        one = inbound.connect(ctx, "--send 1 --timeout 1", family)
        two = server.result()
        expect(one["errors"] == {"timeout": 1} and two["received"] == 0, f"{one} {two}")
    ctx.gate_ns.sh(ALLOW["iptables"])
    for family in (4, 6):
        inbound.converted(ctx, "--send 1M", "--send 1M", family)


# ---- joins ----

def second_address(ctx, family):
    """The client joins from its other address as well, whichever it began with."""
    first, second = ADDR[family]["server"], ADDR[family]["server2"]
    ctx.server.sh(f"ip mptcp endpoint flush\n"
                  f"ip mptcp endpoint add {first} dev eth0 subflow\n"
                  f"ip mptcp endpoint add {second} dev eth0 subflow")


def joins(ctx, family, **kwargs):
    """The client opens a second subflow to where it reached the guest."""
    second_address(ctx, family)
    for client, server in ((f"--send 20M {PAUSE}", "--fin-after-eof"),
                           ("--fin-after-eof", f"--send 20M {PAUSE}"),
                           (f"--send 20M {PAUSE}", f"--send 20M {PAUSE}")):
        one, _ = inbound.converted(ctx, client, server, family, joins=1, **kwargs)
        ctx.note(f"{one['seconds']:.1f} s")
    grown = ctx.daemon.counters()
    expect(grown.get("join_accepted", 0) >= 3, f"{grown}")


for gso_ in (True, False):
    both_families(f"responder:join:{'gso' if gso_ else 'nogso'}", gso=gso_)(joins)


@both_families("responder:join:dnat", masquerade=True, fresh=True)
def joins_dnat(ctx, family):
    """To a published guest: the join goes to the host's own address and the published port."""
    publish(ctx, family, 8080)
    joins(ctx, family, host=ADDR[family]["up-a"], port=8080, to_port=7001)


# ---- the daemon dies ----

def background(ctx, options, family=4, host=None, port=7001):
    return ctx.server.start([f"{ctx.tools}/xfer", "client", "--mptcp", "--host",
                             host or ADDR[family]["guest"], "--port", str(port)] +
                            options.split(), stdout=subprocess.PIPE, text=True)


def wait_subflows(ctx, n):
    """Until the connection has so many that are established, and moves data both ways."""
    ctx.wait(f"{n} subflows of a transfer", lambda: any(
        min(c["from_guest_bytes"], c["to_guest_bytes"]) > 100000 and
        [s["state"] for s in c["subflows"]].count("established") >= n
        for c in ctx.daemon.connections()))


def lives_on(join, masquerade):
    @case(f"responder:kill:{'join' if join else 'single'}:{'dnat' if masquerade else 'routed'}",
          needs_gate=False, fresh=True, masquerade=masquerade)
    def live(ctx):
        """kill -9 in mid-transfer; the next process takes over, and not a byte is lost."""
        daemon = ctx.new_daemon()
        daemon.start()
        for family in (4, 6):
            host = ADDR[family]["up-a" if masquerade else "guest"]
            if masquerade:
                publish(ctx, family)
            if join:
                second_address(ctx, family)
            both = "--timeout 15 --send 25M --chunk 4000"
            with move.Slowed(ctx.net):
                server = inbound.serve(ctx, both, family)
                client = background(ctx, both, family, host)
                wait_subflows(ctx, 1 + join)
                daemon.kill()
                time.sleep(0.5)
                daemon.start()
                one, two = move.finish(client, 60), server.result()
            move.same_data(one, two)
            expect(one["mptcp_end"] == 1, f"not MPTCP any more: {one}")
            if join:
                gone = daemon.counters().get("subflow_reset", 0)
                expect(gone == 0, f"{gone} subflows were reset")


for join_ in (False, True):
    for masquerade_ in (False, True):
        lives_on(join_, masquerade_)


# ---- several uplinks ----

MULTIPATH = 'multipath { mode = "fullmesh" after_bytes = 50000 on_congestion = false }\n'


def many_paths(ctx, family, masquerade):
    """The gate announces its uplinks' addresses, the client joins there: both lines carry their
    share, both ways."""
    host, port = ADDR[family]["up-a" if masquerade else "guest"], 8080 if masquerade else 7001
    if masquerade:
        publish(ctx, family, 8080)
    for client, server in (("--send 20M", "--fin-after-eof"), ("--fin-after-eof", "--send 20M")):
        before = ctx.links.check()
        one, two = inbound.converted(ctx, client, server, family, host=host, port=port,
                                     to_port=7001, joins=1, allow=("MPRstRx",))
        after = ctx.links.check()
        way = "to_gate" if two["received"] else "to_net"
        carried = {n: after[n][way]["bytes"] - before[n][way]["bytes"] for n in "ab"}
        receiver = two if two["received"] else one
        mbit_s = receiver["received"] * 8 / receiver["receive_seconds"] / 1e6
        ctx.note(f"{mbit_s:.0f} Mbit/s")
        all_carry(ctx, carried, mbit_s, 3 << 20)


for masquerade_ in (False, True):
    both_families(f"responder:many-paths:{'dnat' if masquerade_ else 'routed'}",
                  masquerade=masquerade_, fresh=True, links="a=100/10 b=100/10",
                  gate={"extra": MULTIPATH})(
        lambda ctx, family, m=masquerade_: many_paths(ctx, family, m))


@both_families("responder:1000-short")
def short(ctx, family):
    """A request and an answer each, over a few at a time; beside plain TCP. None is refused, none
    leaves a record behind."""
    client = "--send 100 --fin-after-eof --concurrency 20"
    server = "--send 1000 --send-after 100"
    bare, _ = inbound.plain(ctx, client, server, family, 1000, mptcp=False)
    one, _ = inbound.converted(ctx, client, server, family, 1000)
    ctx.note(f"{1000 / one['seconds']:.0f} a second, plain TCP {1000 / bare['seconds']:.0f}")
    ctx.wait("all are closed", lambda: not [
        c for c in ctx.daemon.connections() if c["state"] != "closed"])


@case("responder:path-returns", fresh=True, gate={"path_b": True})
def path_returns(ctx):
    """The client joins at an announced address and confirms it, which leaves no record; that path
    loses its carrier and the client is told; it returns, and is announced and joined again."""
    heard = inbound.ClientCounters(ctx.server)
    both = f"--send 200k --idle-at 100k {move.UNTIL_GO_ON}"
    server = inbound.serve(ctx, both)
    client = background(ctx, both)

    def on_b():
        return [s for c in ctx.daemon.connections() for s in c["subflows"]
                if s["path"] == "b" and s["state"] == "established"]

    for times in (1, 2):
        ctx.wait("a subflow on b", on_b)
        ctx.wait("ADD_ADDR heard", lambda n=times: heard.growth().get("AddAddr", 0) >= n)
        ctx.wait(f"no record of addresses: {ctx.daemon.records()}",
                 lambda: "addresses" not in ctx.daemon.records())
        if times == 2:
            break
        ctx.net.sh("ip link set dev b down")
        ctx.wait("REMOVE_ADDR heard", lambda: heard.growth().get("RmAddr", 0) >= 1)
        ctx.wait("no subflow on b", lambda: not on_b())
        ctx.net.sh("ip link set dev b up")
    move.go_on(client)
    server.go_on()
    one, two = move.finish(client, 60), server.result(30)
    move.same_data(one, two)
