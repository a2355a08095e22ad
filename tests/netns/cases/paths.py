# SPDX-License-Identifier: GPL-2.0-or-later
"""Several subflows at once over emulated links: each path carries its share."""
from lib import move
from lib.case import case, expect

MULTIPATH = 'multipath { mode = "fullmesh" after_bytes = 50000 on_congestion = false }\n'
TWO = "a=100/10 b=100/10"
EQUAL_TWO = {"links": TWO, "gate": {"extra": MULTIPATH}}


def link_bytes(before, after, way):
    """What each link has delivered meanwhile."""
    return {name: after[name][way]["bytes"] - before[name][way]["bytes"]
            for name in after if name != "late_max_us"}


def multipath(ctx, way, size, family=4, joins=1, allow=(), during=None):
    """One connection that must use all links; returns what the server's kernel counted."""
    before, counters = ctx.links.check(), move.ServerCounters(ctx.server)
    send = f"--send {size}"
    server = ctx.serve(send if way == "down" else "--fin-after-eof", family)
    one = ctx.client(send if way == "up" else "--fin-after-eof", family)
    two = server.result()
    move.same_data(one, two)
    grown = counters.check_mptcp(1, allow=allow)
    expect(joins is None or grown.get("MPJoinAckRx", 0) == joins,
           lambda: f"{grown.get('MPJoinAckRx', 0)} joins at the server, not {joins}: {grown}")
    after = ctx.links.check()
    receiver = two if way == "up" else one
    ctx.note(f"{receiver['received'] * 8 / receiver['receive_seconds'] / 1e6:.0f} Mbit/s")
    return link_bytes(before, after, "to_net" if way == "up" else "to_gate"), grown


for family_ in (4, 6):
    for way_ in ("up", "down"):
        @case(f"paths:two:v{family_}:{way_}", **EQUAL_TWO)
        def two_paths(ctx, family=family_, way=way_):
            """Both carry a good share of 20 MB."""
            carried, _ = multipath(ctx, way, "20M", family)
            expect(min(carried.values()) > 5 << 20, f"bytes by link: {carried}")
