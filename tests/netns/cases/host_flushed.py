# SPDX-License-Identifier: GPL-2.0-or-later
"""Our rules are taken away while the daemon runs: by others, or by `mpgate rules down`."""
from lib.case import case, expect
from lib.uplinks import said

from .host import Held

# As the head of a file that `nft -f` reads; as an old script that means the tables we stand in; and
# one that knows of a jump alone.
FLUSHES = (
    "nft flush ruleset",
    "for t in iptables ip6tables; do for k in raw security; do "
    "$t -t $k -F; $t -t $k -X; done; done",
    "ip6tables -t raw -F PREROUTING",
)
JUMPS = 6       # three of each family


def jumps(ctx):
    return sum(line.startswith(("-A PREROUTING", "-A FORWARD", "-A INPUT")) and "MPGATE-" in line
               for tool in ("iptables", "ip6tables")
               for line in ctx.gate_ns.sh(f"{tool}-save").splitlines())


def restored(ctx):
    return ctx.daemon.counters().get("rules_restored", 0)


@case("host:flushed", fresh=True)
def flushed(ctx):
    """They are set up again; a connection in which nothing moved meanwhile goes on."""
    expect(jumps(ctx) == JUMPS, f"{jumps(ctx)} jumps")
    for flush in FLUSHES:
        held, before = Held(ctx), restored(ctx)
        ctx.gate_ns.sh(flush)
        ctx.wait("our rules", lambda: restored(ctx) > before and jumps(ctx) == JUMPS)
        two = held.end()
        expect(two["mptcp_end"] == 1, f"{flush}: {two}")
        for family in (4, 6):
            ctx.converted("--send 100k", "--send 100k", family)
    expect(said(ctx, "somebody has removed our rules"), ctx.daemon.log_tail())
    ctx.gate_ns.sh("iptables -A FORWARD -p udp -j DROP; iptables -F FORWARD")     # of no interest
    count = restored(ctx)
    ctx.converted("--send 100k", "--send 100k")
    expect(restored(ctx) == count, "set up again, and they were there")


@case("host:withdrawn-by-hand", fresh=True)
def withdrawn(ctx):
    """`rules down` beside a running daemon is meant: it stays so, until `rules up`."""
    for _ in range(2):
        said_by_it = ctx.gate_ns.sh(f"{ctx.daemon.program} rules down 2>&1")
        expect("a daemon is still running" in said_by_it, said_by_it)
        ctx.wait("a word in the log", lambda: said(ctx, "the rules were withdrawn"))
        for family in (4, 6):
            ctx.plain("--send 100k", "--send 100k", family)
        expect(jumps(ctx) == 0 and restored(ctx) == 0, "they are set up again")
        ctx.gate_ns.sh(f"{ctx.daemon.program} rules up -c {ctx.daemon.config}")
        for family in (4, 6):
            ctx.converted("--send 100k", "--send 100k", family)
