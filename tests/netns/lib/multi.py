# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers over several emulated links, while things happen to the links, and what is asked of
each: the bytes, the server's counters, and what every link has carried."""
import json
import subprocess

from . import move
from .ns import Failure
from .topo import ADDR

# A subflow that is given up is reset.
ENDED_SUBFLOWS = ("MPRstTx", "MPRstRx")


def all_carry(ctx, carried, mbit_s, least_bytes):
    """Each link has carried at least so much. A link is not needed, and that is said, when the
    machine is too slow to fill the others."""
    used = [name for name, n in carried.items() if n >= least_bytes]
    if len(used) == len(carried):
        return
    text = f"bytes by link: {carried}, {mbit_s:.0f} Mbit/s"
    if mbit_s > 0.7 * sum(ctx.topo.specs[name].rate_mbit for name in used):
        raise Failure(text)
    ctx.note(f"too slow a machine: {text}")


class Transfer:
    """One connection (or many) through the daemon, the guest's end in the background."""

    def __init__(self, ctx, way, size, family=4, connections=1, options="",
                 any_family=False):
        self.ctx, self.way, self.connections = ctx, way, connections
        self.links_before = ctx.links.check()
        self.before = ctx.daemon.counters()
        self.counters = move.ServerCounters(ctx.server)
        common = f"--connections {connections} --timeout 30 {options} "
        sends, receives = common + f"--send {size}", common + "--fin-after-eof"
        if way == "both":
            receives += f" --send {size}"       # the client's end comes first
        # a listener on "::" hears IPv4 as well
        self.server = ctx.serve(sends if way == "down" else receives,
                                6 if any_family else family)
        argv = [f"{ctx.tools}/xfer", "client", "--host", ADDR[family]["server"], "--port",
                str(move.PORT), "--concurrency", str(connections)]
        self.process = ctx.guest.start(
            argv + (receives if way == "down" else sends).split(), stdout=subprocess.PIPE,
            text=True)

    def carried(self):
        """Bytes of frames by link, in the way of the data."""
        now, way = self.ctx.links.counters(), "to_net" if self.way == "up" else "to_gate"
        return {name: now[name][way]["bytes"] - self.links_before[name][way]["bytes"]
                for name in self.ctx.topo.specs}

    def wait_carried(self, n_bytes, links=None, timeout_s=15):
        """Until so many bytes have gone by all of these links together."""
        self.ctx.wait(f"{n_bytes} bytes over links {links or 'all'}: {self.carried()}",
                      lambda: sum(v for k, v in self.carried().items()
                                  if k in (links or self.carried())) >= n_bytes, timeout_s)

    def result(self, joins=None, allow=(), timeout_s=60):
        """Everything must be whole; `joins`: at least so many came to be."""
        one, two = move.finish(self.process, timeout_s), self.server.result()
        move.same_data(one, two, self.connections)
        grown = self.ctx.daemon.counters()
        # of many, on a machine that paused: asked again without MPTCP
        late = grown.get("plain_syn_retries", 0) - self.before.get("plain_syn_retries", 0)
        if two["mptcp_end"] != self.connections - min(late, self.connections // 20):
            raise Failure(f"not Multipath TCP to the end: {two}")
        silent = grown.get("subflow_silent", 0) - self.before.get("subflow_silent", 0)
        if silent:      # much is lost, or the machine paused: it was given up for a while
            self.ctx.note(f"{silent} times a subflow was silent")
            allow = tuple(allow) + ENDED_SUBFLOWS
        grown = self.counters.check_mptcp(two["mptcp_end"], allow=tuple(allow))
        if joins is not None and grown.get("MPJoinAckRx", 0) < joins:
            raise Failure(f"{grown.get('MPJoinAckRx', 0)} joins at the server, not {joins}: "
                          f"{grown}")
        self.ctx.links.check()
        got = two if self.way != "down" else one
        self.mbit_s = got["received"] * 8 / got["receive_seconds"] / 1e6
        self.ctx.note(f"{self.mbit_s:.0f} Mbit/s")
        return grown

    def all_carry(self, least_bytes):
        all_carry(self.ctx, self.carried(), self.mbit_s, least_bytes)


def paths(ctx):
    return {p["name"]: p for p in json.loads(ctx.daemon.show("paths", "--json"))["paths"]}


def wait_usable(ctx):
    ctx.wait("all paths usable", lambda: all(p["usable"] for p in paths(ctx).values()), 5)


def link_down(ctx, link):
    ctx.gate_ns.sh(f"ip link set dev up-{link} down")


def link_up(ctx, link):
    """As a network manager would: with its routes; IPv6 loses its address, too."""
    metric = 10 * (ctx.topo.uplinks().index(link) + 1)
    ctx.gate_ns.sh(f"ip link set dev up-{link} up\n"
                   f"ip addr replace {ADDR[6]['up-' + link]}/64 nodad dev up-{link}")
    for family in (4, 6):
        ctx.gate_ns.sh(f"ip -{family} route replace default via {ADDR[family][link]} "
                       f"dev up-{link} metric {metric}")
