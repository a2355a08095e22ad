# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cases about uplinks share: two paths, a transfer that lasts, looking at paths, subflows,
tables and rules."""
import json

from . import move
from .case import case, expect
from .topo import ADDR

PATH_B = 'path "b" { interface = "up-b" gateway = "10.77.12.1" gateway6 = "fd77:12::1" }\n'
AT_ONCE = 'multipath { after_bytes = 0 }\n'
WITHIN_S = 1.0      # subflows follow within a second
PORTS = (61000, 65000)


def paths(ctx):
    return {p["name"]: p for p in json.loads(ctx.daemon.show("paths", "--json"))["paths"]}


def subflows(ctx, path):
    """Of the youngest connection, established ones on that path."""
    found = sorted((c for c in ctx.daemon.connections() if c["state"] == "established"),
                   key=lambda c: c["age"])
    return [s for s in found[0]["subflows"]
            if s["path"] == path and s["state"] in ("established", "stale")] if found else []


def table(ctx, number, family=4):
    return ctx.gate_ns.sh(f"ip -{family} route show table {number} 2>/dev/null", check=False)


def rules(ctx, family=4):
    return [line for line in ctx.gate_ns.sh(f"ip -{family} -N rule show").splitlines()
            if "proto 77" in line]


def said(ctx, words):
    return words in ctx.daemon.log_tail(1000)


class Moving:
    """A transfer that lasts, both ways: for 16 seconds at least, in which to do things."""

    def __init__(self, ctx, family=4, seconds=60, size="80M"):
        self.ctx = ctx
        shape(ctx, "20mbit")
        self.server = ctx.serve(f"--send {size} --timeout {seconds}", family)
        self.client = ctx.background(f"--send {size} --timeout {seconds}", family)

    def result(self):
        shape(self.ctx, None)       # what is left of it may go at once
        one = move.finish(self.client, 90)
        two = self.server.result()
        move.same_data(one, two)
        expect(two["mptcp_end"] == 1, f"no MPTCP at the end: {two}")
        return one, two

    def stop(self):
        self.client.terminate()
        self.client.wait()
        self.server.stop()


def shape(ctx, rate="40mbit"):
    """The uplinks pass no more than that; None: as much as they can."""
    for where, devices in ((ctx.gate_ns, ("up-a", "up-b")), (ctx.net, ("a", "b"))):
        for dev in devices:
            where.sh(f"tc qdisc replace dev {dev} root tbf rate {rate} burst 64k latency 30ms"
                     if rate else f"tc qdisc del dev {dev} root", check=False)


def uplinks(name, extra="", **kwargs):
    return case("uplinks:" + name, fresh=True, needs_gate=kwargs.pop("needs_gate", True),
                gate={"extra": PATH_B + AT_ONCE + extra}, **kwargs)


def both_joined(ctx, what="both paths joined"):
    ctx.wait(what, lambda: subflows(ctx, "a") and subflows(ctx, "b"))
