# SPDX-License-Identifier: GPL-2.0-or-later
"""Floods and forgeries from the net: counted, bounded, and nobody else notices."""
import subprocess

from lib import inbound, move
from lib.case import case, expect
from lib.topo import ADDR

RATE = 20000        # of a flood, SYNs a second


def flood(ctx, kind, count, port=7001, rate=RATE, source="10.77.9.66", token=0):
    return ctx.server.start([f"{ctx.tools}/flood", source, ADDR[4]["guest"], str(port), kind,
                             str(rate), str(count), str(token)], stdout=subprocess.DEVNULL)


def memory_flat(ctx, before_kb):
    now_kb = ctx.daemon.resident_kb()
    expect(now_kb - before_kb < 4096, f"{before_kb} KB, then {now_kb} KB")


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
    refused = grown.get("join_token", 0)
    ctx.note(f"{refused} joins refused; 100 MB in {alone:.1f} s alone, {beside:.1f} s beside them")
    expect(refused >= 19000, f"{grown}")
    memory_flat(ctx, before)
    inbound.converted(ctx, "--send 1M", "--send 1M")


@case("abuse:syns", fresh=True)
def syns(ctx):
    """SYNs with MP_CAPABLE and no third ACK, more than may be half open: new ones go plain, and as
    soon as the flood is over Multipath TCP is back."""
    inbound.converted(ctx, "--send 1000", "--send 1000")
    before = ctx.daemon.resident_kb()
    server = inbound.serve(ctx, "--connections 20 --send 1000")
    flood(ctx, "capable", 5000).wait(60)
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
