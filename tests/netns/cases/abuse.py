# SPDX-License-Identifier: GPL-2.0-or-later
"""Floods and forgeries from the net: counted, bounded, and nobody else notices."""
import socket
import subprocess
import time

from lib import forge, inbound, move
from lib.case import both_families, case, expect
from lib.topo import ADDR
from lib.wire import ACK, RST, SYN

RATE = 20000        # of a flood, SYNs a second


def flood(ctx, kind, count, port=7001, rate=RATE, source="10.77.9.66", token=0):
    return ctx.server.start([f"{ctx.tools}/flood", source, ADDR[4]["guest"], str(port), kind,
                             str(rate), str(count), str(token)], stdout=subprocess.DEVNULL)


def memory_flat(ctx, before_kb):
    now_kb = ctx.daemon.resident_kb()
    expect(now_kb - before_kb < 4096 or ctx.daemon.sanitized(), f"{before_kb} KB, then {now_kb} KB")


def seconds(ctx):
    one, _ = inbound.converted(ctx, "--fin-after-eof --no-digest", "--send 100M --no-digest",
                               allow=("MPRstRx",))
    return one["seconds"]


@case("abuse:joins", fresh=True)
def joins(ctx):
    """Joins with unknown tokens, during a transfer: each is answered by one RST, nothing is kept,
    the transfer goes on. What it costs is measured by bench/flood."""
    alone = seconds(ctx)
    before = ctx.daemon.resident_kb()
    process = flood(ctx, "join", 20000)
    beside = seconds(ctx)
    process.wait(60)
    grown = ctx.daemon.counters()
    refused, lost = grown.get("join_token", 0), ctx.daemon.queue_overruns()
    ctx.note(f"{refused} joins refused; 100 MB in {alone:.1f} s alone, {beside:.1f} s beside them")
    expect(refused >= max(19000 - lost, 5000), f"{lost} overran the queue: {grown}")
    memory_flat(ctx, before)
    inbound.converted(ctx, "--send 1M", "--send 1M")


@case("abuse:syns", fresh=True)
def syns(ctx):
    """SYNs with MP_CAPABLE and no third ACK, more than may be half open: new ones go plain, and as
    soon as the flood is over Multipath TCP is back. The lawful ones come when the queue is empty
    again: a guest that is flooded drops requests within a second or two, and to one whose SYN/ACK
    was under way for longer its kernel answers by RST, with or without MPTCP at the client."""
    inbound.converted(ctx, "--send 1000", "--send 1000")
    before = ctx.daemon.resident_kb()
    server = inbound.serve(ctx, "--connections 20 --send 1000 --timeout 60")
    flood(ctx, "capable", 5000).wait(60)
    ctx.wait("the daemon has seen all of them", lambda: not ctx.daemon.queue_waiting(), 30)
    half = [c for c in ctx.daemon.connections() if c["state"] in ("syn-received", "synack-sent")]
    expect(len(half) <= 4096 // 8, f"{len(half)} half-open records")
    one = inbound.connect(ctx, "--connections 20 --send 1000")
    move.same_data(one, server.result(), 20)
    ctx.note(f"{len(half)} half open; {one['mptcp_end']} of 20 were MPTCP meanwhile")
    grown = ctx.daemon.counters()
    expect(grown.get("plain_half_open", 0) > 3000, f"{grown}")
    memory_flat(ctx, before)
    ctx.wait("half-open records are gone", lambda: not [
        c for c in ctx.daemon.connections() if c["state"] in ("syn-received", "synack-sent")], 20)
    inbound.converted(ctx, "--send 1000", "--send 1000", connections=20)


# ---- forgeries ----

STRANGER = {4: "10.77.9.66", 6: "fd77:9::66"}     # of the server's net; nobody has it
MPTCP_ERROR = 1                                    # the reason in an MP_TCPRST


def packed(family, text):
    return socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, text)


class Held:
    """A connection from outside that pauses in mid-transfer; whoever attacks sits on the way, at
    the router's interface towards the gate or the server."""

    def __init__(self, ctx, family, interface="a", gate_opens=False):
        both = f"--send 200k --idle-at 100k {move.UNTIL_GO_ON}"
        self.ctx, self.family = ctx, family
        self.attacker = forge.Attacker(ctx.net, interface)
        if gate_opens:
            self.server = ctx.serve(both, family)
            client, argv = ctx.guest, [ADDR[family]["server"]]
        else:
            self.server = inbound.serve(ctx, both, family)
            client, argv = ctx.server, [ADDR[family]["guest"], "--mptcp"]
        self.client = client.start([f"{ctx.tools}/xfer", "client", "--port", "7001", "--host"] +
                                   argv + both.split(), stdout=subprocess.PIPE, text=True)
        ctx.wait("the first half", self.paused, 5)
        time.sleep(0.2)

    def conn(self):
        return next((c for c in self.ctx.daemon.connections() if c["state"] == "established"),
                    None)

    def established(self):
        return [s["state"] for s in self.conn()["subflows"]].count("established")

    def paused(self):
        c = self.conn()
        return c and min(c["from_guest_bytes"], c["to_guest_bytes"]) >= 100 << 10

    def last(self, from_server):
        """What that end sent last on the first subflow."""
        t = self.conn()["subflows"][0]["tuple"]
        ends = [(packed(self.family, t[end]), t[f"{end}_port"]) for end in ("src", "dst")]
        want = sum(reversed(ends) if from_server else ends, ())
        return self.attacker.last(lambda s: s.key() == want and not s.flags & (SYN | RST))

    def end(self):
        """All of it must have been delivered, by Multipath TCP, as if nothing had been."""
        move.go_on(self.client)
        self.server.go_on()
        one, two = move.finish(self.client, 30), self.server.result(30)
        move.same_data(one, two)
        expect(max(one["mptcp_end"], two["mptcp_end"]) == 1, f"not MPTCP any more: {one} {two}")
        self.attacker.stop()


def count_of(ctx, reason):
    return ctx.daemon.counters().get(reason, 0)


def wait_count(ctx, reason, least=1):
    ctx.wait(f"{reason} {least}, now {count_of(ctx, reason)}",
             lambda: count_of(ctx, reason) >= least)


def second_address(ctx, family):
    ctx.server.sh("ip mptcp endpoint flush")
    for end in ("server", "server2"):       # whichever it began with
        ctx.server.sh(f"ip mptcp endpoint add {ADDR[family][end]} dev eth0 subflow")


@both_families("abuse:join-hmac", fresh=True)
def join_hmac(ctx, family):
    """Joins with a token that was overheard: one with a wrong HMAC, one with the HMAC and the
    nonce that were overheard as well, and a flood of such SYNs. Refused with MP_TCPRST; half-open
    ones are few, and the connection and its lawful second subflow live."""
    second_address(ctx, family)
    held = Held(ctx, family)
    a, guest = held.attacker, packed(family, ADDR[family]["guest"])
    stranger = packed(family, STRANGER[family])
    lawful = a.wait("the lawful join", forge.join_of)
    token, nonce = forge.join_of(lawful)
    proof = a.wait("its third ACK", lambda s: s.key() == lawful.key() and any(
        o[2] >> 4 == 1 and len(o) == 24 for o in s.mptcp))
    replay = next(o for o in proof.mptcp if o[2] >> 4 == 1)
    for port, ack in ((50001, forge.join_ack(forge.some_hmac())), (50002, replay)):
        a.say(stranger, guest, port, 7001, 1000, 0, SYN, forge.join_syn(token, nonce))
        synack = a.wait("the SYN/ACK", lambda s, p=port: s.dport == p and s.flags & SYN)
        since = a.mark()
        a.say(stranger, guest, port, 7001, 1001, synack.seq + 1, ACK, ack)
        rst = a.wait("the refusal", lambda s, p=port: s.dport == p and s.flags & RST, since=since)
        expect(forge.tcprst_reason(rst) == MPTCP_ERROR, f"{rst.mptcp}")
    wait_count(ctx, "join_ack_hmac", 2)
    if family == 4:
        before = ctx.daemon.resident_kb()
        flood(ctx, "token", 5000, token=token).wait(60)
        half = [s for s in held.conn()["subflows"] if s["state"] != "established"]
        expect(len(half) <= 6, f"{len(half)} half-open joins")     # 8 subflows, 2 stand
        least = max(4900 - ctx.daemon.queue_overruns(), 1000)
        ctx.wait(f"join_limit {least}: {ctx.daemon.counters()}",
                 lambda: count_of(ctx, "join_limit") >= least)
        memory_flat(ctx, before)
    expect(held.established() == 2, f"{held.conn()['subflows']}")
    held.end()


@both_families("abuse:fastclose", fresh=True)
def fastclose(ctx, family):
    """MP_FASTCLOSE with a wrong key, on an ACK and on a RST that fits, from either end's address:
    the connection lives. The RST ends the subflow, as any that fits; a second one is there."""
    second_address(ctx, family)
    held = Held(ctx, family)
    ctx.wait("the second subflow", lambda: held.established() == 2)
    client = held.last(True)
    held.attacker.after(client, ACK, forge.fastclose(b"wrongkey"))
    wait_count(ctx, "drop_forged_fastclose")
    expect(held.established() == 2, f"{held.conn()}")
    held.attacker.after(client, RST | ACK, forge.fastclose(b"wrongkey"))
    wait_count(ctx, "drop_forged_fastclose", 2)
    held.end()


@both_families("abuse:add-addr", fresh=True, gate={"path_b": True, "extra": 'multipath { '
                                                  'after_bytes = 50000 on_congestion = false }\n'})
def add_addr(ctx, family):
    """The server's address announces another one, with a wrong HMAC: no echo, no join to it."""
    held = Held(ctx, family, interface="s", gate_opens=True)
    said = held.last(True)
    stranger = packed(family, STRANGER[family])
    held.attacker.after(said, ACK, forge.add_addr(stranger, 5, forge.some_hmac()))
    wait_count(ctx, "add_addr_hmac")
    time.sleep(0.5)
    held.attacker.listen()
    expect(not any(s.dst == stranger and s.mptcp for s in held.attacker.heard), "joined")
    expect(not count_of(ctx, "add_addr_accepted"), f"{ctx.daemon.counters()}")
    held.end()


def mac(where, interface):
    return bytes.fromhex(where.sh(f"ip -br link show dev {interface}").split()[2].replace(":", ""))


@both_families("abuse:wrong-side", fresh=True)
def wrong_side(ctx, family):
    """From the net a packet that claims to come from the guest, from the guest's side one that
    claims to come from the peer, each as that end would go on: data, RST, RST with ACK. Dropped;
    the connection does not notice."""
    held = Held(ctx, family)
    from_client, from_gate = held.last(True), held.last(False)
    guest = forge.Attacker(ctx.guest, "eth0")
    for who, s, to in ((held.attacker, from_gate, mac(ctx.gate_ns, "up-a")),
                       (guest, from_client, mac(ctx.gate_ns, "guest0"))):
        before = count_of(ctx, "drop_wrong_side")
        who.push(s, ACK, to, payload=b"x" * 100)
        who.push(s, RST, to)
        who.push(s, RST | ACK, to)
        ctx.wait(f"three drops: {ctx.daemon.counters()}",
                 lambda: count_of(ctx, "drop_wrong_side") == before + 3)
    guest.stop()
    held.end()

