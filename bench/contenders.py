# SPDX-License-Identifier: GPL-2.0-or-later
"""Who competes over the emulated links: each knows how to begin, where its client runs, and how to
leave the gate's namespace as it was.
"""
import os
import subprocess
import time

from lib import move, ns
from lib.gate import Gate
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
frontend clients
    bind :{port}
    default_backend server
backend server
    server one {there}:{port}
"""


class Contender:
    name, text = None, None

    def __init__(self, bench):
        self.ctx = bench.ctx
        self.bench = bench
        self.role = bench.role

    def begin(self):
        pass

    def end(self):
        pass

    def client(self):
        """(namespace, does its socket speak MPTCP)"""
        return self.role.client(), self.role.client_speaks

    def server(self):
        return self.role.server(), self.role.server_speaks

    def host(self):
        """Whom the client calls."""
        return self.role.host()

    def link_is_back(self, link):
        """After the host has given it its routes again."""


class Plain(Contender):
    name, text = "plain", "plain TCP, best link"

    def client(self):
        return self.role.client(), False


class Native(Contender):
    """The kernel's own MPTCP with one end in the gate's place."""
    name, text = "native", "kernel MPTCP in the gate's place"

    def begin(self):
        self.ctx.gate_ns.sh("ip mptcp limits set subflow 8 add_addr_accepted 8")
        for n, link in enumerate(self.ctx.topo.uplinks()):
            own = ADDR[4][f"up-{link}"]
            self.ctx.gate_ns.sh(f"ip rule add pref {TABLE + n} from {own} lookup {TABLE + n}")
            self.link_is_back(link)
            if n:       # the first is where the connection itself begins
                self.ctx.gate_ns.sh(f"ip mptcp endpoint add {own} dev up-{link} "
                                    f"{self.role.native_endpoint()}")

    def link_is_back(self, link):
        n = self.ctx.topo.uplinks().index(link)
        self.ctx.gate_ns.sh(f"ip route replace default via {ADDR[4][link]} dev up-{link} "
                            f"table {TABLE + n}")

    def end(self):
        self.ctx.gate_ns.sh("ip mptcp endpoint flush")
        for n in range(len(self.ctx.topo.uplinks())):
            self.ctx.gate_ns.sh(f"ip rule del pref {TABLE + n}")
            self.ctx.gate_ns.sh(f"ip route flush table {TABLE + n}", check=False)

    def client(self):
        return self.role.native_client(), True

    def server(self):
        return self.role.native_server(), True

    def host(self):
        return self.role.native_host()


class Relay(Native):
    """HAProxy on the gate: it ends the guest's TCP and begins its own MPTCP, or the reverse; where
    two gates stand, two of them."""
    name, text = "relay", "HAProxy under mptcpize"

    def __init__(self, bench):
        super().__init__(bench)
        self.processes = []

    def relay(self, where, there):
        config = f"{self.bench.options.out}/{where.name}-haproxy.conf"
        with open(config, "w", encoding="ascii") as f:
            f.write(HAPROXY.format(there=there, port=move.PORT))
        self.processes.append(where.start(
            ["mptcpize", "run", "/usr/sbin/haproxy", "-db", "-f", config],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.ctx.wait("HAProxy listens",
                      lambda: f":{move.PORT}" in where.sh("ss -Hltn"))
        os.unlink(config)

    def begin(self):
        super().begin()
        first, last = self.ctx.topo.uplinks()[0], self.role.host()
        if self.role.second_gate:
            self.relay(self.ctx.net, last)
            last = ADDR[4][first]
        self.relay(self.ctx.gate_ns, last)

    def end(self):
        for process in self.processes:
            ns.processes.stop(process, sig=9)
        super().end()

    def client(self):
        return self.role.client(), self.role.client_speaks

    def server(self):
        return self.role.server(), self.role.server_speaks

    def host(self):
        return ADDR[4]["guest0"] if not self.role.client_speaks else self.role.native_host()


class Mpgate(Contender):
    name, text = "mpgate", "mpgate, as it comes"
    extra = ""
    other = None

    def begin(self):
        self.ctx.new_daemon(extra=self.extra, memory_mb=256).start()
        if self.role.second_gate:
            links = self.ctx.topo.uplinks()
            self.other = Gate(self.ctx.net, self.ctx.daemon.program, self.bench.options.out,
                              name="gate2", guests="s", extra=self.extra, memory_mb=256,
                              connections=65536,    # of which an eighth may be half open
                              paths=" ".join(f"far-{link}" for link in links),
                              interfaces={f"far-{link}": link for link in links}).start()
        time.sleep(0.2)         # its paths are probed

    def end(self):
        daemon, self.ctx.daemon = self.ctx.daemon, None
        if daemon:
            self.bench.note_daemon(daemon)
            daemon.stop()
        if self.other:
            self.other.stop()


class MpgateBbr(Mpgate):
    name, text = "mpgate-bbr", 'mpgate, congestion = "bbr"'
    extra = 'congestion = "bbr"\n'


ALL = {c.name: c for c in (Plain, Native, Relay, Mpgate, MpgateBbr)}


def add_variant(name, extra):
    """mpgate with more text in its file; returns the name."""
    extra = extra.replace("\\n", "\n")
    ALL[name] = type(name, (Mpgate,), {"name": name, "extra": extra + "\n",
                                       "text": "mpgate, " + extra.replace("\n", "  ")})
    return name
