# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gates: each with plain hosts behind it, and one behind the other."""
from lib import inbound, move
from lib.case import case, check_mapped, expect
from lib.gate import Gate
from lib.multi import all_carry


SINGLE = 'multipath { mode = "single" }\n'


def second_gate(ctx, **kwargs):
    """In the router's namespace."""
    gate = Gate(ctx.net, ctx.daemon.program, ctx.options.out, name="gate2", paths="x", **kwargs)
    return gate.start()


def plain_ends(ctx, family, client, server, connections=1):
    """Both applications' sockets are plain TCP: whatever lies between is the gates' work."""
    program = ctx.serve(f"--connections {connections} {server}", family, mptcp=False)
    one = ctx.client(f"--connections {connections} {client}", family)
    two = program.result()
    move.same_data(one, two, connections)


def gate_to_gate(gso, checksum):
    name = f"gates:both-ends:{'gso' if gso else 'nogso'}" + (":checksum" if checksum else "")
    extra = SINGLE + ("checksum = true\n" if checksum else "")

    @case(name, gso=gso, fresh=True, server_enabled=False, gate={"extra": extra})
    def both_ends(ctx):
        """guest - gate === gate - server, both plain: Multipath TCP between the gates."""
        other = second_gate(ctx, guests="s", interfaces={"x": "a"}, extra=SINGLE)
        try:
            for family in (4, 6):
                capture = ctx.capture("net", "a", label=f"-{family}")
                for client, server in (("--send 3M", "--send 3M"), ("--send 1", ""),
                                       ("", "--send 100k"), ("--send 100k --send-after 1",
                                                             "--send 100k"),
                                       ("--send 100k", "--send 100k --send-after-eof"), ("", "")):
                    plain_ends(ctx, family, client, server)
                plain_ends(ctx, family, "--send 1000 --concurrency 20", "--send 1000", 60)
                capture.stop()
                check_mapped(capture.path, 66)
            roles = [{c["role"] for c in g.connections()} for g in (ctx.daemon, other)]
            expect(roles[0] <= {"initiator"} and roles[1] <= {"responder"}, f"{roles}")
            resets(ctx)
        finally:
            other.stop()


def resets(ctx):
    """Either application's reset reaches the other through both gates, at once."""
    for client, server in (("--send 10M --reset-after-sent 200000", "--fin-after-eof"),
                           ("--fin-after-eof", "--send 10M --reset-after-sent 200000")):
        program = ctx.serve(server, mptcp=False)
        one = ctx.client(client)
        two = program.result()
        errors = {**one["errors"], **two["errors"]}
        expect("reset-sent" in errors and {"ECONNRESET", "EPIPE"} & set(errors), f"{one} {two}")
        expect(one["seconds"] < 5 and two["seconds"] < 5, f"took long: {one} {two}")


for gso_ in (True, False):
    for checksum_ in (True, False):
        gate_to_gate(gso_, checksum_)


MULTIPATH = ('multipath { mode = "fullmesh" after_bytes = 50000 on_congestion = false }\n')


@case("gates:many-paths", fresh=True, server_enabled=False, links="a=100/10 b=100/10",
      gate={"extra": MULTIPATH})
def many_paths(ctx):
    """Two uplinks of one gate, one of the other: both lines carry their share, both ways."""
    other = Gate(ctx.net, ctx.daemon.program, ctx.options.out, name="gate2", paths="x y",
                 guests="s", interfaces={"x": "a", "y": "b"}, extra=MULTIPATH).start()
    try:
        for family in (4, 6):
            for client, server in (("--send 20M", "--fin-after-eof"),
                                   ("--fin-after-eof", "--send 20M")):
                before = ctx.links.check()
                program = ctx.serve(server, family, mptcp=False)
                one = ctx.client(client, family)
                two = program.result()
                move.same_data(one, two)
                after = ctx.links.check()
                way = "to_net" if two["received"] else "to_gate"
                carried = {n: after[n][way]["bytes"] - before[n][way]["bytes"] for n in "ab"}
                mbit_s = 20 * 8.389 / max(one["seconds"], two["seconds"])
                ctx.note(f"{mbit_s:.0f} Mbit/s")
                all_carry(ctx, carried, mbit_s, 3 << 20)
    finally:
        other.stop()


@case("gates:chain", fresh=True)
def chain(ctx):
    """guest - gate - gate - server: the second sees that somebody speaks MPTCP already, and steps
    aside; the first converts as if it were alone."""
    other = second_gate(ctx, guests="a", interfaces={"x": "s"})
    try:
        for family in (4, 6):
            ctx.converted("--send 3M", "--send 3M", family)
            ctx.converted("--send 1000", "--send 1000", family, connections=20)
            # and from outside: the outer gate answers, the inner one sees plain TCP
            inbound.converted(ctx, "--send 3M", "--send 3M", family)
        grown = other.counters()
        expect(grown.get("plain_guest_mptcp", 0) >= 42, f"{grown}")
        expect(grown.get("third_ack_converted", 0) == 2, f"{grown}")
        expect(not ctx.daemon.counters().get("third_ack_converted"), f"{ctx.daemon.counters()}")
    finally:
        other.stop()


@case("gates:guest-speaks-mptcp", fresh=True)
def guest_speaks(ctx):
    """A guest whose own kernel speaks MPTCP: as client it is left alone and its connection is
    Multipath TCP end to end; as server it is served plain TCP by the gate."""
    ctx.guest.sh("sysctl -qw net.mptcp.enabled=1")
    for family in (4, 6):
        server = ctx.serve("--send 1M", family)
        one = ctx.client("--send 1M", family, mptcp=True)
        two = server.result()
        move.same_data(one, two)
        expect(one["mptcp_end"] == 1 and two["mptcp_end"] == 1, f"{one} {two}")
        server = inbound.serve(ctx, "--send 1M", family, mptcp=True)
        one = inbound.connect(ctx, "--send 1M", family)
        two = server.result()
        move.same_data(one, two)
        expect(one["mptcp_end"] == 1 and two["mptcp_end"] == 0, f"{one} {two}")
    grown = ctx.daemon.counters()
    expect(grown.get("plain_guest_mptcp", 0) == 2 and grown.get("third_ack_converted") == 2,
           f"{grown}")
