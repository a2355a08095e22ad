# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that are called from outside: what a client made by hand is answered (RFC 8684 sections
3.1, 3.2, 3.4), clients of both families, joins to services that nobody called yet."""
import hashlib
import hmac
import os
import struct
import subprocess
import time

from lib import forge, inbound, move
from lib.case import both_families, case, expect
from lib.topo import ADDR
from lib.wire import ACK, RST, SYN

from .abuse import STRANGER, count_of, packed, wait_count
from .join import PREFIX, link, reload
from .responder import publish, second_address

MPTCP_ERROR, RESOURCES, PROHIBITED, PERFORMANCE = 1, 2, 3, 5
PATHS = {"path_b": True}


class HandMade:
    """An MPTCP client that speaks one segment at a time, from an address that nobody has."""

    def __init__(self, ctx, family, port=40001):
        # nobody is to be asked for this neighbour
        ctx.net.sh(f"ip neigh replace {STRANGER[family]} lladdr 02:00:00:00:00:01 dev s "
                   "nud permanent")
        self.ctx, self.port = ctx, port
        self.attacker = forge.Attacker(ctx.net, "a")
        self.me, self.guest = (packed(family, a) for a in (STRANGER[family],
                                                           ADDR[family]["guest"]))
        self.key, self.nonce, self.refusals = os.urandom(8), 100, {}
        since = self.say(port, 7001, 1000, 0, SYN, forge.option(0, 1, b"\x01"))
        self.synack = self.answer(port, since)
        self.gate_key = next(raw[4:12] for raw in self.synack.mptcp if raw[2] >> 4 == 0)
        self.token = forge.token_of(self.synack)

    def say(self, sport, dport, seq, ack, flags, options=b"", payload=b""):
        since = self.attacker.mark()
        self.attacker.say(self.me, self.guest, sport, dport, seq, ack, flags, options, payload)
        return since

    def answer(self, sport, since, holds=lambda s: True, timeout_s=3):
        return self.attacker.wait(f"an answer to port {sport}",
                                  lambda s: s.dport == sport and s.dst == self.me and holds(s),
                                  timeout_s, since)

    def third_ack(self, payload=b""):
        body = b"\x01" + self.key + self.gate_key
        if payload:
            body += struct.pack(">H", len(payload))
        return self.say(self.port, 7001, 1001, self.synack.seq + 1, ACK,
                        forge.option(0, 1, body), payload)

    def proof(self, ours, nonces, digest_bytes):
        """Of whom `ours` names first, over both nonces."""
        keys = self.key + self.gate_key if ours else self.gate_key + self.key
        return hmac.new(keys, struct.pack(">II", *nonces), hashlib.sha256).digest()[:digest_bytes]

    def join(self, sport, dport=7001, token=None, options=b""):
        """The answer to an MP_JOIN SYN."""
        self.nonce += 1
        return self.answer(sport, self.say(sport, dport, 5000, 0, SYN, options + forge.join_syn(
            self.token if token is None else token, self.nonce)))

    def refused(self, reason, why, *args, **kwargs):
        """The join is refused with that MP_TCPRST, and counted as `why`."""
        rst = self.join(*args, **kwargs)
        expect(rst.flags & RST and forge.tcprst_reason(rst) == reason,
               f"{why}: {hex(rst.flags)} {rst.mptcp}")
        expect(rst.ack == 5001, f"{why}: acknowledges {rst.ack}")
        self.refusals[why] = self.refusals.get(why, 0) + 1
        counters = self.ctx.daemon.counters()
        expect(counters.get(why, 0) == self.refusals[why], f"{why}: {counters}")

    def join_ack(self, sport, synack, digest):
        return self.say(sport, 7001, 5001, synack.seq + 1, ACK, forge.join_ack(digest))

    def addresses(self, since):
        """ADD_ADDRs heard: [(when, option)]"""
        self.attacker.listen()
        return [(s.time, raw) for s in self.attacker.heard[since:] for raw in s.mptcp
                if raw[2] >> 4 == 3 and s.dport == self.port]


@both_families("called:refused-joins", fresh=True,
               gate={"extra": "multipath { max_subflows = 2 }\n"})
def refused_joins(ctx, family):
    """Each reason to refuse a join has its MP_TCPRST (section 3.6), and none leaves a record."""
    server = inbound.serve(ctx, "--timeout 30", family)
    one = HandMade(ctx, family)
    one.refused(MPTCP_ERROR, "join_not_open", 50001)        # before the third ACK
    one.third_ack()
    wait_count(ctx, "third_ack_converted")
    one.refused(MPTCP_ERROR, "join_token", 50002, token=one.token ^ 1)
    one.refused(PROHIBITED, "join_prohibited", 50003, dport=7999)
    one.refused(PERFORMANCE, "join_prohibited", 50004, options=b"\x02\x04\x00\x40")
    synack = one.join(50005)
    since = one.join_ack(50005, synack, forge.some_hmac())
    rst = one.answer(50005, since)
    expect(rst.flags & RST and forge.tcprst_reason(rst) == MPTCP_ERROR, f"HMAC: {rst.mptcp}")
    expect(count_of(ctx, "join_ack_hmac") == 1, f"{ctx.daemon.counters()}")
    # half open, it holds the only place
    synack = one.join(50006)
    raw = next(o for o in synack.mptcp if o[2] >> 4 == 1)
    theirs, = struct.unpack_from(">I", raw, 12)
    expect(raw[4:12] == one.proof(False, (theirs, one.nonce), 8), "the HMAC of the SYN/ACK")
    mine = one.nonce
    one.refused(RESOURCES, "join_limit", 50007)
    since = one.join_ack(50006, synack, one.proof(True, (mine, theirs), 20))
    one.answer(50006, since, lambda s: not s.flags & (SYN | RST))   # the fourth ACK
    # both are asked who lives, and neither answers: when it is tried again one gives its place
    one.refused(RESOURCES, "join_limit", 50008)
    subflows = [s for c in ctx.daemon.connections() for s in c["subflows"]]
    expect(len(subflows) == 2, f"{subflows}")
    time.sleep(1.2)
    one.join(50008)
    wait_count(ctx, "subflow_unheard")
    subflows = [s for c in ctx.daemon.connections() for s in c["subflows"]]
    expect(len(subflows) == 2, f"{subflows}")
    server.process.terminate()


@both_families("called:announced", fresh=True, gate=PATHS)
def announced(ctx, family):
    """ADD_ADDR is authenticated and repeated until it is confirmed, later each time; the path goes,
    REMOVE_ADDR; it returns, and has another id."""
    server = inbound.serve(ctx, "--no-pattern --timeout 60", family)
    one = HandMade(ctx, family)
    since = one.third_ack(b"hello")
    ctx.wait("three announcements", lambda: len(one.addresses(since)) >= 3, 15)
    heard = one.addresses(since)
    expect(len({raw for _, raw in heard}) == 1, f"not the same: {heard}")
    raw = heard[0][1]
    address = packed(family, ADDR[family]["up-b"])
    digest = hmac.new(one.gate_key + one.key, raw[3:4] + address + b"\0\0", hashlib.sha256).digest()
    expect(raw[2] & 1 == 0 and raw[4:-8] == address and raw[-8:] == digest[-8:], f"{raw}")
    gaps = [b - a for (a, _), (b, _) in zip(heard, heard[1:])]
    expect(gaps[0] > 0.5 and gaps[1] > 1.3 * gaps[0], f"repeated after {gaps} s")
    one.say(one.port, 7001, 1006, one.synack.seq + 1, ACK,
            forge.option(3, 1, raw[3:4] + address))
    wait_count(ctx, "add_addr_echoed")
    since = one.attacker.mark()
    link(ctx, "up-b", False)
    removal = one.answer(one.port, since, lambda s: any(o[2] >> 4 == 4 for o in s.mptcp))
    gone = next(o for o in removal.mptcp if o[2] >> 4 == 4)
    expect(gone[3:] == raw[3:4], f"{gone} takes back another than {raw}")
    link(ctx, "up-b", True)

    def again():    # the other family's may be there first
        return [o for _, o in one.addresses(since) if o[4:-8] == address]

    ctx.wait("announced again", again, 10)
    expect(again()[0][3] != raw[3], f"{raw}, then {again()}")
    server.process.terminate()


class Called:
    """A kernel's client that pauses in mid-transfer, its addresses its own business."""

    def __init__(self, ctx, family, host=None, port=7001, beside=False):
        both = f"--send 4M --idle-at 100k {move.UNTIL_GO_ON}"
        self.ctx = ctx
        # beside others nobody can tell whose counts they are
        self.counters = None if beside else inbound.ClientCounters(ctx.server)
        self.server = inbound.serve(ctx, both, family, port)
        self.client = ctx.server.start(
            [f"{ctx.tools}/xfer", "client", "--mptcp", "--port", str(port), "--host",
             host or ADDR[family]["guest"]] + both.split(), stdout=subprocess.PIPE, text=True)

    def on(self, path):
        return [s for c in self.ctx.daemon.connections() for s in c["subflows"]
                if s["path"] == path and s["state"] == "established"]

    def end(self):
        move.go_on(self.client)
        self.server.go_on()
        one, two = move.finish(self.client, 60), self.server.result(30)
        move.same_data(one, two)
        expect(one["mptcp_end"] == 1, f"not MPTCP any more: {one}")


@both_families("called:dual-stack", fresh=True, gate=PATHS)
def dual_stack(ctx, family):
    """The other path has no address of the family by which the client came: it joins by the other
    family, and both carry data."""
    other = 10 - family
    ctx.gate_ns.sh(f"ip addr del {ADDR[family]['up-b']}/{PREFIX[family]} dev up-b")
    guest = ADDR[family]["guest"]
    # a socket of both families: one of IPv4 alone is not joined to IPv6
    t = Called(ctx, family, host=f"::ffff:{guest}" if family == 4 else guest)
    ctx.wait("a subflow of the other family", lambda: t.on("b"), 10)
    ends = {s["tuple"]["src"] for s in t.on("a") + t.on("b")}
    expect(ends == {guest, ADDR[other]["up-b"]}, f"{ends}")
    t.end()
    moved = [s["to_net_bytes"] + s["from_net_bytes"]
             for c in ctx.daemon.connections() for s in c["subflows"]]
    expect(len(moved) == 2 and min(moved) > 1000, f"bytes by subflow: {moved}")
    t.counters.check_client(1, joins=1)


@case("called:priority", fresh=True, gate=PATHS)
def priority(ctx):
    """backup in the file: MP_PRIO reaches the client that joined there, both ways."""
    t = Called(ctx, 4)
    ctx.wait("a subflow on b", lambda: t.on("b"), 10)
    for old, new, backup in (('interface = "up-b"', 'interface = "up-b" backup = true', True),
                             (" backup = true", "", False)):
        before = t.counters.growth().get("MPPrioRx", 0)
        reload(ctx, old, new)
        ctx.wait("MP_PRIO at the client",
                 lambda n=before: t.counters.growth().get("MPPrioRx", 0) > n)
        expect([s["backup_local"] for s in t.on("b")] == [backup], f"{t.on('b')}")
    t.end()


@both_families("called:no-memory", fresh=True, gate={"connections": 8})
def no_memory(ctx, family):
    """Records for two connections on several paths (an eighth of all, and one): the join of a third
    is refused with the word that there is no room now. That one goes on on a single path, to its
    end, and when the others are over there is room."""
    second_address(ctx, family)
    ears = forge.Attacker(ctx.net, "a")
    called = []
    for port in (7001, 7002, 7003):
        since = ears.mark()
        called.append(Called(ctx, family, port=port, beside=True))
        if port != 7003:
            ctx.wait(f"two subflows at port {port}", lambda: len(called[-1].on("a")) ==
                     2 * len(called), 10)
    rst = ears.wait("the refusal", lambda s: s.flags & RST and s.sport == 7003, since=since)
    expect(forge.tcprst_reason(rst) == RESOURCES and count_of(ctx, "join_limit") >= 1,
           f"{rst.mptcp} {ctx.daemon.counters()}")
    expect(len(called[0].on("a")) == 5, f"{called[0].on('a')}")
    for one in reversed(called):
        one.end()
    ctx.wait("records are free", lambda: not called[0].on("a"), 20)
    more = Called(ctx, family)
    ctx.wait("two subflows", lambda: len(more.on("a")) == 2, 10)
    more.end()


# ---- joins to a guest that nobody called ----

@both_families("called:nobody-yet", fresh=True)
def nobody_yet(ctx, family):
    """An unknown token, to a service that the host publishes and to a guest's own address: refused
    by the gate, and the guest hears nothing; the firewall decides as ever."""
    publish(ctx, family, 8080, devices="up-a")
    server = inbound.serve(ctx, "--timeout 30", family)
    outside, inside = forge.Attacker(ctx.net, "a"), forge.Attacker(ctx.guest, "eth0")
    me = packed(family, STRANGER[family])
    for n, (end, port) in enumerate((("up-a", 8080), ("guest", 7001))):
        there = packed(family, ADDR[family][end])
        outside.say(me, there, 50000 + n, port, 1000, 0, SYN, forge.join_syn(4711, n))
        rst = outside.wait("an answer", lambda s, n=n: s.dport == 50000 + n)
        expect(rst.flags & RST and forge.tcprst_reason(rst) == MPTCP_ERROR and rst.src == there and
               rst.sport == port, f"{end}: {hex(rst.flags)} {rst.mptcp}")
    expect(count_of(ctx, "join_token") == 2, f"{ctx.daemon.counters()}")
    tool = "iptables" if family == 4 else "ip6tables"
    ctx.gate_ns.sh(f"{tool} -A FORWARD -s {STRANGER[family]} -j DROP")
    outside.say(me, there, 50002, 7001, 1000, 0, SYN, forge.join_syn(4711, 9))
    time.sleep(0.5)
    inside.listen()
    expect(not [s for s in inside.heard if s.src == me], "the guest heard of it")
    expect(count_of(ctx, "join_token") == 2, "refused although the firewall forbids it")
    ctx.gate_ns.sh(f"{tool} -D FORWARD -s {STRANGER[family]} -j DROP")
    server.process.terminate()
    # the lawful one is served as ever, joins included
    second_address(ctx, family)
    inbound.converted(ctx, "--send 1M --idle-at 20000 --idle-ms 300", "--send 1M", family,
                      host=ADDR[family]["up-a"], port=8080, to_port=7001, joins=1)


@both_families("called:guest-speaks-mptcp", fresh=True,
               gate={"extra": 'policy { match = "tcp dport 7001"  use = "never" }\n'})
def guest_speaks(ctx, family):
    """The gate leaves a connection alone, and the guest's own kernel speaks MPTCP on it: joins to
    it are the guest's to answer, with tokens that it knows and with others."""
    ctx.guest.sh("sysctl -qw net.mptcp.enabled=1; ip mptcp limits set subflow 8")
    second_address(ctx, family)
    counters = inbound.ClientCounters(ctx.server)
    server = inbound.serve(ctx, "--send 1M", family, mptcp=True)
    one = inbound.connect(ctx, "--send 1M --idle-at 20000 --idle-ms 500", family)
    two = server.result()
    move.same_data(one, two)
    expect(one["mptcp_end"] == 1 and two["mptcp_end"] == 1, f"{one} {two}")
    # between two kernels, and these count that now and then
    counters.check_client(1, joins=1, allow=("NoDSSInWindow",))
    expect(not count_of(ctx, "join_token") and count_of(ctx, "join_passed") >= 1,
           f"{ctx.daemon.counters()}")
    before = ctx.guest.counters().get("MPTcpExt.MPJoinNoTokenFound", 0)
    server = inbound.serve(ctx, "--timeout 30", family, mptcp=True)
    outside = forge.Attacker(ctx.net, "a")
    outside.say(packed(family, STRANGER[family]), packed(family, ADDR[family]["guest"]), 50001,
                7001, 1000, 0, SYN, forge.join_syn(4711, 1))
    ctx.wait("the guest's kernel knows no such token", lambda: ctx.guest.counters().get(
        "MPTcpExt.MPJoinNoTokenFound", 0) > before)
    server.process.terminate()
