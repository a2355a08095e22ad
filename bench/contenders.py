# SPDX-License-Identifier: GPL-2.0-or-later
"""Who competes over the emulated links: each knows how to begin, where its client runs, and how to
leave the gate's namespace as it was.
"""
import os
import subprocess
import time

from lib import move, ns
from lib.topo import ADDR

TABLE = 1100            # of native's own routes, one per link
HAPROXY = """
global
    maxconn 4000
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend guests
    bind {gate}:{port}
    default_backend server
backend server
    server one {server}:{port}
"""


class Contender:
    name, text = None, None
    mptcp = False       # the client's own socket

    def __init__(self, bench):
        self.ctx = bench.ctx
        self.bench = bench

    def begin(self):
        pass

    def end(self):
        pass

    def where(self):
        return self.ctx.guest

    def host(self):
        return ADDR[4]["server"]

    def link_is_back(self, link):
        """After the host has given it its routes again."""


class Plain(Contender):
    name, text = "plain", "plain TCP, best link"


class Native(Contender):
    """The kernel's own MPTCP with the client in the gate's place."""
    name, text = "native", "kernel MPTCP in the gate's place"
    mptcp = True

    def begin(self):
        self.ctx.gate_ns.sh("ip mptcp limits set subflow 8 add_addr_accepted 8")
        for n, link in enumerate(self.ctx.topo.uplinks()):
            own = ADDR[4][f"up-{link}"]
            self.ctx.gate_ns.sh(f"ip rule add pref {TABLE + n} from {own} lookup {TABLE + n}")
            self.link_is_back(link)
            if n:       # the first is where the connection itself begins
                self.ctx.gate_ns.sh(f"ip mptcp endpoint add {own} dev up-{link} subflow")

    def link_is_back(self, link):
        n = self.ctx.topo.uplinks().index(link)
        self.ctx.gate_ns.sh(f"ip route replace default via {ADDR[4][link]} dev up-{link} "
                            f"table {TABLE + n}")

    def end(self):
        self.ctx.gate_ns.sh("ip mptcp endpoint flush")
        for n in range(len(self.ctx.topo.uplinks())):
            self.ctx.gate_ns.sh(f"ip rule del pref {TABLE + n}")
            self.ctx.gate_ns.sh(f"ip route flush table {TABLE + n}", check=False)

    def where(self):
        return self.ctx.gate_ns


class Relay(Native):
    """HAProxy on the gate: it ends the guest's TCP and begins its own MPTCP."""
    name, text = "relay", "HAProxy under mptcpize"
    mptcp = False
    process = None

    def begin(self):
        super().begin()
        config = f"{self.bench.options.out}/{ns.PREFIX}haproxy.conf"
        with open(config, "w", encoding="ascii") as f:
            f.write(HAPROXY.format(gate=ADDR[4]["guest0"], server=ADDR[4]["server"],
                                   port=move.PORT))
        self.process = self.ctx.gate_ns.start(
            ["mptcpize", "run", "/usr/sbin/haproxy", "-db", "-f", config],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.ctx.wait("HAProxy listens",
                      lambda: f":{move.PORT}" in self.ctx.gate_ns.sh("ss -Hltn"))
        os.unlink(config)

    def end(self):
        ns.processes.stop(self.process, sig=9)
        super().end()

    def where(self):
        return self.ctx.guest

    def host(self):
        return ADDR[4]["guest0"]


class Mpgate(Contender):
    name, text = "mpgate", "mpgate, as it comes"
    extra = ""

    def begin(self):
        self.ctx.new_daemon(extra=self.extra, memory_mb=256).start()
        time.sleep(0.2)         # its paths are probed

    def end(self):
        daemon, self.ctx.daemon = self.ctx.daemon, None
        if daemon:
            self.bench.note_daemon(daemon)
            daemon.stop()


class MpgateBbr(Mpgate):
    name, text = "mpgate-bbr", 'mpgate, congestion = "bbr"'
    extra = 'congestion = "bbr"\n'


ALL = {c.name: c for c in (Plain, Native, Relay, Mpgate, MpgateBbr)}
