# SPDX-License-Identifier: GPL-2.0-or-later
"""Floods and forgeries from the net: counted, bounded, and nobody else notices."""
import subprocess
import time

from lib import inbound, move
from lib.case import case, expect
from lib.topo import ADDR

# Sends TCP segments with options as they are given, as fast as it goes.
FLOOD = """
import random, socket, struct, sys
src, dst, port, count, kind = sys.argv[1:6]
s, d = socket.inet_aton(src), socket.inet_aton(dst)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
def add(b):
    t = sum(struct.unpack(">%dH" % (len(b) // 2), b))
    while t >> 16: t = (t & 0xffff) + (t >> 16)
    return ~t & 0xffff
for i in range(int(count)):
    if kind == "join":
        option = b"\\x1e\\x0c\\x10\\x01" + random.randbytes(8)
    elif kind == "plain":
        option = b"\\x01" * 12
    else:
        option = b"\\x1e\\x04\\x01\\x01"
    head = struct.pack(">HHIIBBHHH", 1024 + random.randrange(60000), int(port),
                       random.getrandbits(32), 0, (20 + len(option)) << 2, 2, 1000, 0, 0)
    tcp = head + option
    c = add(s + d + struct.pack(">BBH", 0, 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack(">H", c) + tcp[18:]
    raw.sendto(struct.pack(">BBHHHBBH", 69, 0, 20 + len(tcp), i & 0xffff, 0, 64, 6, 0) + s + d
               + tcp, (dst, 0))
"""


def flood(ctx, kind, count, source="10.77.9.66", port=7001):
    return subprocess.Popen(
        ctx.server.prefix() + ["python3", "-c", FLOOD.replace("\\\\", "\\"), source,
                               ADDR[4]["guest"], str(port), str(count), kind],
        stdin=subprocess.DEVNULL)


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
    the transfer goes on. Beside it a flood of plain SYNs to a closed port, which costs the machine
    about the same but does not visit the daemon."""
    alone = seconds(ctx)
    process = flood(ctx, "plain", 20000, port=7997)
    plain = seconds(ctx)
    process.kill()
    process.wait()
    before = ctx.daemon.resident_kb()
    process = flood(ctx, "join", 20000)
    began = time.monotonic()
    beside = seconds(ctx)
    process.wait(60)
    took = time.monotonic() - began
    grown = ctx.daemon.counters()
    refused = grown.get("join_token", 0)
    ctx.note(f"{refused} joins refused in {took:.1f} s; 100 MB in {alone:.1f} s alone, "
             f"{plain:.1f} s beside plain SYNs, {beside:.1f} s beside them")
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
