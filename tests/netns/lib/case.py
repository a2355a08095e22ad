# SPDX-License-Identifier: GPL-2.0-or-later
"""What a case is, and what it is given to work with."""
import os
import subprocess
import time

from . import move, topo, wire
from .gate import Gate
from .ns import Failure
from .topo import ADDR

cases = []

BUSY = 3        # cases run side by side, and beside whatever else the machine does


class Skip(Exception):
    """The case cannot run here; the text says why."""


class Case:
    def __init__(self, name, function, needs_gate, gate, fresh, topology):
        self.name, self.function = name, function
        self.needs_gate, self.gate = needs_gate, gate
        self.fresh, self.topology = fresh, topology

    def place(self):
        """Cases of the same place may run one after the other in the same namespaces."""
        return (sorted(self.topology.items()), self.needs_gate, sorted(self.gate.items()))


def case(name, needs_gate=True, gate=None, fresh=False, **topology):
    """Registers a function of one argument, the Ctx. `fresh`: shares its namespaces with none."""
    def register(function):
        if any(c.name == name for c in cases):
            raise ValueError(f"two cases named {name}")
        cases.append(Case(name, function, needs_gate, gate or {}, fresh, topology))
        return function
    return register


def both_families(name, **topology):
    """Registers it twice; the function gets the Ctx and 4 or 6."""
    def register(function):
        for family in (4, 6):
            case(f"{name}:v{family}", **topology)(lambda ctx, f=family: function(ctx, f))
        return function
    return register


def expect(condition, text):
    if not condition:
        raise Failure(text() if callable(text) else text)


def expect_failure(function, words):
    """An oracle that must find something wrong here."""
    try:
        function()
    except Failure as e:
        if words not in str(e):
            raise Failure(f"the oracle complained, but not of '{words}': {e}") from e
        return
    raise Failure(f"the oracle found nothing wrong; '{words}' expected")


class Ctx:
    """The namespaces, the daemon if the case needs one, and short ways to move data."""

    def __init__(self, case_, options):
        self.options = options
        self.tools = getattr(options, "tools", None) or f"{options.build}/tests/netns"
        self.topo = topo.Topology(tools=self.tools, **case_.topology)
        for side in topo.SIDES:
            setattr(self, side, getattr(self.topo, side))
        self.gate_ns = self.topo.gate
        self.links = self.topo.emulator
        self.daemon = None
        if case_.needs_gate:
            self.new_daemon(**case_.gate).start()
        self.name = case_.name
        self.captures = []
        self.notes = []

    def new_daemon(self, **kwargs):
        """Not started yet; the case's own from now on."""
        if self.topo.specs:
            kwargs.setdefault("paths", " ".join(self.topo.specs))
        program = f"{self.options.build}/mpgate"
        if not os.path.exists(program):
            raise Skip("mpgate is not built")
        self.daemon = Gate(self.gate_ns, program, self.options.out, **kwargs)
        return self.daemon

    def plain_port(self, port):
        """A small plain exchange on another port."""
        server = self.serve("--send 1000", port=port)
        one = self.client("--send 1000", port=port)
        move.same_data(one, server.result())

    def note(self, text):
        self.notes.append(text)

    def remove(self):
        for capture in self.captures:
            capture.process.kill()
        if self.daemon:
            self.daemon.discard()
        self.topo.remove()

    def capture(self, where="net", interface="a", snaplen=200, label="", expression="tcp"):
        name = self.name.replace(":", "_").replace("/", "_").replace(" ", "_")
        path = f"{self.options.out}/{name}{label}.pcap"
        capture = move.Capture(getattr(self, where), interface, path, snaplen, expression)
        self.captures.append(capture)
        return capture

    def stop_captures(self):
        for capture in self.captures:
            if capture.process.poll() is None:
                capture.stop()

    def forget_captures(self, keep):
        self.stop_captures()
        for capture in self.captures:
            if not keep and os.path.exists(capture.path):
                os.unlink(capture.path)
        self.captures = []

    def serve(self, options="", family=4, mptcp=True, port=move.PORT):
        return move.Server(self.server, self.tools, family, options, mptcp, port)

    def client(self, options="", family=4, mptcp=False, port=move.PORT, timeout_s=120):
        return move.client(self.guest, self.tools, family, options, mptcp, port,
                           timeout_s=timeout_s)

    def background(self, options="", family=4):
        """A client that runs while the test does something; move.finish() waits for its end."""
        return self.guest.start([f"{self.tools}/xfer", "client", "--host", ADDR[family]["server"],
                                 "--port", str(move.PORT)] + options.split(),
                                stdout=subprocess.PIPE, text=True)

    def exchange(self, client_options, server_options, family=4, connections=1,
                 server_mptcp=True, client_mptcp=False, clean=True, timeout_s=120):
        """Both programs to their end; their data compared."""
        server = self.serve(f"--connections {connections} {server_options}", family,
                            server_mptcp)
        one = self.client(f"--connections {connections} {client_options}", family, client_mptcp,
                          timeout_s=timeout_s)
        two = server.result(30)
        move.same_data(one, two, connections, clean)
        return one, two

    def converted(self, client_options, server_options, family=4, connections=1, timeout_s=120,
                  allow=(), **kwargs):
        """An exchange that must be Multipath TCP at the server, all of it, to its end."""
        counters = move.ServerCounters(self.server)
        one, two = self.exchange(client_options, server_options, family, connections,
                                 timeout_s=timeout_s, **kwargs)
        expect(two["mptcp_start"] == connections and two["mptcp_end"] == connections,
               f"the server's sockets: MPTCP at {two['mptcp_start']} starts and "
               f"{two['mptcp_end']} ends of {connections}")
        counters.check_mptcp(connections, allow=allow)
        return one, two

    def plain(self, client_options, server_options, family=4, connections=1, **kwargs):
        """An exchange that must be plain TCP from one end to the other."""
        counters = move.ServerCounters(self.server)
        one, two = self.exchange(client_options, server_options, family, connections, **kwargs)
        expect(two["mptcp_start"] == 0, "MPTCP where plain TCP was expected")
        counters.check_plain()
        return one, two

    def wait(self, what, condition, timeout_s=5):
        """`timeout_s` on a machine that does nothing else; when it takes longer, that is said, and
        when it takes BUSY times as long it is a failure."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() > began + BUSY * timeout_s:
                raise Failure(f"{what}: not within {BUSY} times {timeout_s} s")
            time.sleep(0.05)
        took = time.monotonic() - began
        if took > timeout_s:
            self.note(f"slow: {what} after {took:.1f} s, not {timeout_s}")


check_mapped, check_honest = wire.check_mapped, wire.check_honest
