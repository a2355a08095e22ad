# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator sees of a connection over two paths: connections, paths, metrics, log."""
import json
import re
import time

from lib.case import expect
from lib.topo import ADDR
from lib.uplinks import PORTS, Moving, both_joined, paths, said, uplinks

CONNECTION = {"guest", "role", "mode", "state", "reason", "checksum", "age", "idle",
              "from_guest_bytes", "to_guest_bytes", "subflows"}
SUBFLOW = {"path", "tuple", "state", "backup", "cwnd", "srtt_us", "to_net_bytes", "from_net_bytes",
           "retransmits"}
TUPLE = {"src", "src_port", "dst", "dst_port"}
PATH = {"name", "interface", "usable", "backup", "price", "subflows", "to_net_bytes",
        "from_net_bytes", "to_net_packets", "from_net_packets", "state", "mtu", "table",
        "address4", "address6", "gateway4", "gateway6"}


def connection(ctx):
    found = [c for c in ctx.daemon.connections() if c["state"] == "established"]
    expect(len(found) == 1, f"{found}")
    return found[0]


def healthy(ctx):
    """Where the machine paused, a subflow is called stale for a moment."""
    seen = []
    ctx.wait("both subflows are established", lambda: seen.append(connection(ctx)) or
             [s["state"] for s in seen[-1]["subflows"]] == ["established"] * 2)
    return seen[-1]


def metrics(ctx):
    """{(name, labels): value}"""
    out = {}
    text = ctx.daemon.ns.sh(f"{ctx.daemon.program} metrics --control {ctx.daemon.control}")
    for line in text.splitlines():
        m = re.fullmatch(r"(\w+)(?:\{(.*)\})? (-?[\d.e+]+)", line)
        if not line.startswith("#") and line:
            expect(m, f"no metric: '{line}'")
            out[m.group(1), m.group(2)] = float(m.group(3))
    return out


@uplinks("shown")
def shown(ctx):
    """Figures per subflow and path that live, agree with each other, and with the link's rate."""
    moving = Moving(ctx)
    both_joined(ctx)
    time.sleep(1)
    first = healthy(ctx)
    one, gauges = paths(ctx), metrics(ctx)
    time.sleep(1)
    second, two = healthy(ctx), paths(ctx)
    for c in (first, second):
        expect(CONNECTION <= set(c) and c["mode"] == "multi" and c["role"] == "initiator" and
               len(c["subflows"]) == 2, f"{c}")
        expect(TUPLE == set(c["guest"]) and c["guest"]["dst"] == ADDR[4]["server"], f"{c['guest']}")
        for s in c["subflows"]:
            expect(SUBFLOW <= set(s) and s["path"] in ("a", "b") and s["state"] == "established",
                   f"{s}")
            expect(s["cwnd"] >= 1400 and 0 < s["srtt_us"] < 1000000, f"{s}")
    expect(0.5 < second["age"] - first["age"] < 10, f"ages {first['age']} {second['age']}")
    for direction in ("from_guest_bytes", "to_guest_bytes"):
        expect(second[direction] > first[direction] > 0, f"{direction} stands still")
    for before, after in zip(first["subflows"], second["subflows"]):
        expect(before["tuple"] == after["tuple"], "subflows change places")
        for direction in ("to_net_bytes", "from_net_bytes"):
            expect(after[direction] > before[direction], f"{direction} stands still: {after}")
    own = [s for s in second["subflows"] if s["path"] == "b"][0]["tuple"]
    expect(own["src"] == ADDR[4]["up-b"] and PORTS[0] <= own["src_port"] <= PORTS[1], f"{own}")
    for name in ("a", "b"):
        expect(PATH <= set(two[name]) and two[name]["state"] == "up" and two[name]["usable"] and
               two[name]["subflows"] == 1 and two[name]["mtu"] == 1500, f"{two[name]}")
        expect(two[name]["address4"] == ADDR[4][f"up-{name}"] and
               two[name]["gateway4"] == ADDR[4][name], f"{two[name]}")
        for figure in ("to_net_bytes", "from_net_bytes", "to_net_packets", "from_net_packets"):
            expect(two[name][figure] > one[name][figure], f"{figure} of {name} stands still")
            gauge = gauges[f"mpgate_path_{figure}_total", f'path="{name}"']
            expect(one[name][figure] <= gauge <= two[name][figure], f"{figure}: {gauge}")
        expect(gauges["mpgate_path_usable", f'path="{name}"'] == 1, "not usable?")
    text = ctx.daemon.show("connections")
    expect(re.search(r"a: .* established, cwnd \d+ B, srtt [\d.]+ ms", text) and
           re.search(r"b: .* established, cwnd \d+ B, srtt [\d.]+ ms", text), text)
    expect(re.search(r"b on up-b: usable, 10.77.12.2 through 10.77.12.1, .*table 20001",
                     ctx.daemon.show("paths")), ctx.daemon.show("paths"))
    ctx.gate_ns.sh("ip link set up-b down")
    ctx.wait("the end of it in the log", lambda: said(ctx, "because its path went down"))
    for words in ("is Multipath TCP", "A connection moved after_bytes: it may have more subflows",
                  "(b) subflow changed: Another subflow joined the connection",
                  "path b: down because up-b was set down",
                  "(b) subflow changed: A subflow ended because its path went down"):
        expect(said(ctx, words), f"not said: '{words}': {ctx.daemon.log_tail()}")
    expect(re.search(r"b on up-b: not usable, link down, .*MTU 1500", ctx.daemon.show("paths")),
           ctx.daemon.show("paths"))
    expect(json.loads(ctx.daemon.show("counters", "--json"))["counters"], "no counters")
    moving.result()
