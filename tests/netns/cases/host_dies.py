# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left when the daemon goes, and what happens when it dies and another one comes (I6, I9).
"""
import signal
import time

from lib import host, move, wire
from lib.case import case, expect, expect_failure
from lib.topo import ADDR

from .host import FIREWALLS, Held, forbidden



def withdrawn(masquerade, firewall):
    @case(f"exit:withdraws:{'masquerade' if masquerade else 'routed'}:{firewall or 'open'}",
          needs_gate=False, fresh=True, masquerade=masquerade, firewall=firewall)
    def withdraw(ctx):
        """SIGTERM: rules, routes, links and settings are as before; twice, and after traffic."""
        daemon = ctx.new_daemon(path_b=True)
        before = host.snapshot(ctx.gate_ns)
        for _ in range(2):
            daemon.start()
            expect_failure(lambda: host.same(before, host.snapshot(ctx.gate_ns)), "not as before")
            ctx.converted("--send 100k", "--send 100k", 4)
            ctx.converted("--send 100k", "--send 100k", 6)
            daemon.stop()
            host.same(before, host.snapshot(ctx.gate_ns))
            ctx.plain("--send 10k", "--send 10k", 4)
            ctx.plain("--send 10k", "--send 10k", 6)


for masquerade_ in (False, True):
    for firewall_ in FIREWALLS:
        withdrawn(masquerade_, firewall_)


@case("exit:sigint-too", needs_gate=False, fresh=True)
def sigint(ctx):
    daemon = ctx.new_daemon()
    before = host.snapshot(ctx.gate_ns)
    daemon.start()
    daemon.process.send_signal(signal.SIGINT)
    daemon.process.wait(15)
    host.same(before, host.snapshot(ctx.gate_ns))


def killed(masquerade, firewall):
    @case(f"kill:new-connections-are-plain:{'masquerade' if masquerade else 'routed'}:"
          f"{firewall or 'open'}", needs_gate=False, fresh=True, masquerade=masquerade,
          firewall=firewall)
    def kill(ctx):
        """kill -9: new connections work at once as plain TCP; the next start cleans up and
        converts again; SIGTERM then leaves nothing."""
        daemon = ctx.new_daemon()
        before = host.snapshot(ctx.gate_ns)
        daemon.start()
        ctx.converted("--send 10k", "--send 10k")
        daemon.kill()
        for family in (4, 6):
            one, _ = ctx.plain("--send 1M", "--send 1M", family)
            expect(one["seconds"] < 3, f"took {one['seconds']} s")
            ctx.plain("--send 100", "--send 100", family, connections=20)
            if firewall:
                forbidden(ctx, family)
        daemon.start()
        for family in (4, 6):
            ctx.converted("--send 100k", "--send 100k", family)
        daemon.stop()
        host.same(before, host.snapshot(ctx.gate_ns))


for masquerade_ in (False, True):
    for firewall_ in FIREWALLS:
        killed(masquerade_, firewall_)


@case("kill:rules-down-cleans", needs_gate=False, fresh=True, masquerade=True,
      firewall="iptables")
def rules_down(ctx):
    daemon = ctx.new_daemon(path_b=True)
    before = host.snapshot(ctx.gate_ns)
    daemon.start()
    daemon.kill()
    ctx.gate_ns.sh(f"{daemon.program} rules down -c {daemon.config}")
    host.same(before, host.snapshot(ctx.gate_ns))
    ctx.gate_ns.sh(f"{daemon.program} rules down -c {daemon.config}")    # nothing to do: no error
    host.same(before, host.snapshot(ctx.gate_ns))


def raw_segments(path):
    """Of the converted connection: segments from the guest's side without MPTCP."""
    out = []
    for stamp, ip, length in wire.read_pcap(path):
        s = wire.Segment.parse(stamp, ip, length)
        if s and s.dport == 7001 and not s.mptcp:
            out.append(f"flags {s.flags} len {s.len}")
    return out


def wait_both_ways(ctx, daemon):
    ctx.wait("a transfer both ways", lambda: any(
        min(c["from_guest_bytes"], c["to_guest_bytes"]) > 100000 and c["state"] == "established"
        for c in daemon.connections()))


def killed_amid(ctx, family, daemon, while_dead=lambda: None, server_waits_s=60):
    """kill -9 in mid-transfer, both ways; nothing raw passes; a new start. Both results."""
    both = "--timeout 15 --send 25M --chunk 4000"
    with move.Slowed(ctx.net):
        server, client = ctx.serve(both, family), ctx.background(both, family)
        wait_both_ways(ctx, daemon)
        dies_and_returns(ctx, family, daemon, while_dead)
        return move.finish(client, 60), server.result(server_waits_s)


def dies_and_returns(ctx, family, daemon, while_dead):
    daemon.kill()
    time.sleep(0.05)
    capture = ctx.capture(label=f"-{family}")
    while_dead()
    ctx.plain_port(7003)
    time.sleep(1)
    leaked = raw_segments(capture.stop())
    expect(not leaked, f"{len(leaked)} raw segments reached the net: {leaked[:5]}")
    daemon.start()


def lives_on(masquerade, gso):
    @case(f"kill:converted-live-on:{'masquerade' if masquerade else 'routed'}:"
          f"{'gso' if gso else 'nogso'}", needs_gate=False, fresh=True, masquerade=masquerade,
          gso=gso)
    def live(ctx):
        """I9: kill -9 in mid-transfer. Raw segments do not reach the peer meanwhile; the next
        process takes the connection over, and not a byte is lost."""
        daemon = ctx.new_daemon()
        daemon.start()
        for family in (4, 6):
            counters = move.ServerCounters(ctx.server)
            one, two = killed_amid(ctx, family, daemon)
            move.same_data(one, two)
            expect(two["mptcp_end"] == 1, f"not MPTCP any more: {two}")
            counters.check_mptcp(1)
            ctx.converted("--send 100k", "--send 100k", family)


for masquerade_ in (False, True):
    for gso_ in (True, False):
        lives_on(masquerade_, gso_)


@case("kill:without-state", needs_gate=False, fresh=True)
def without_state(ctx):
    """No state file: the next process resets what it does not know. The guest hears at once; the
    peer's subflow is gone, but without the key nobody can tell its application (MP_FASTCLOSE)."""
    daemon = ctx.new_daemon(extra='state = ""')
    daemon.start()
    one, two = killed_amid(ctx, 4, daemon, server_waits_s=1)
    for end in (one, two):
        expect(end["bad_offset"] == -1, f"{end}")
    expect(one["errors"] and "timeout" not in one["errors"], f"the guest hangs: {one}")
    ctx.converted("--send 100k", "--send 100k")


@case("kill:another-layout", needs_gate=False, fresh=True)
def another_layout(ctx):
    """A state file that the next process cannot use: the log says so, and nobody waits for ever."""
    daemon = ctx.new_daemon()
    daemon.start()
    one, _ = killed_amid(ctx, 4, daemon, lambda: daemon.edit("memory_mb = 64", "memory_mb = 65"),
                         server_waits_s=1)
    expect(one["errors"] and "timeout" not in one["errors"], f"the guest hangs: {one}")
    expect("holds another layout of memory" in daemon.log_tail(), daemon.log_tail())
    ctx.converted("--send 100k", "--send 100k")


@case("kill:port-used-again", needs_gate=False, fresh=True, masquerade=True)
def port_used_again(ctx):
    """The ports of a connection that lingers in the dead daemon's table serve a new one: as plain
    TCP, and the next process leaves it alone."""
    daemon = ctx.new_daemon()
    daemon.start()
    ports = f"--bind {ADDR[4]['guest']} --bind-port 40500"
    ctx.exchange(f"--send 10k {ports} --fin-after-eof", "--send 10k")    # the server waits, not we
    move.settle(ctx.guest, ctx.server)
    ctx.wait("it lingers", lambda: [c["state"] for c in daemon.connections()] == ["closed"])
    daemon.kill()
    held = Held(ctx, options=ports, mptcp=False)
    daemon.start()
    two = held.end()
    expect(two["mptcp_start"] == 0, f"MPTCP without a daemon: {two}")
    ctx.converted("--send 10k", "--send 10k")


@case("kill:many-live-on", needs_gate=False, fresh=True, masquerade=True)
def many_live_on(ctx):
    """100 connections in every state of theirs."""
    daemon = ctx.new_daemon()
    daemon.start()
    server = ctx.serve("--timeout 15 --send 150k --connections 400")
    client = ctx.background("--send 150k --timeout 15 --connections 400 --concurrency 100")
    for _ in range(2):
        time.sleep(0.25)
        daemon.kill()
        daemon.start()
    one, two = move.finish(client, 120), server.result()
    ctx.note(f"{two['mptcp_end']} of 400 were MPTCP")
    move.same_data(one, two, 400)


def goes_away(masquerade):
    @case(f"exit:amid-connections:{'masquerade' if masquerade else 'routed'}", needs_gate=False,
          fresh=True, masquerade=masquerade)
    def away(ctx):
        """SIGTERM in mid-transfer: the daemon will not be there any more, so its connections end,
        at both sides and at once, and no raw segment is taken for data."""
        daemon = ctx.new_daemon()
        before = host.snapshot(ctx.gate_ns)
        daemon.start()
        both = "--timeout 15 --send 40M --chunk 4000"
        with move.Slowed(ctx.net):
            server, client = ctx.serve(both), ctx.background(both)
            wait_both_ways(ctx, daemon)
            daemon.stop()
            one, two = move.finish(client, 30), server.result()
        for end in (one, two):
            expect(end["bad_offset"] == -1, f"wrong data: {one} {two}")
            expect("timeout" not in end["errors"], f"hangs: {one} {two}")
        ctx.note(f"ended {one['errors'] or 'cleanly'}/{two['errors'] or 'cleanly'}")
        host.same(before, host.snapshot(ctx.gate_ns))
        ctx.plain("--send 10k", "--send 10k")


for masquerade_ in (False, True):
    goes_away(masquerade_)
