# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated links between gate and net: tests/netns/link in a namespace of its own.

    gate up-a --- g-a [emulator] n-a --- a net
"""
import json
import os
import subprocess

from . import ns
from .ns import Failure

ANSWER_S = 20


class Spec:
    """What one link is like: "RATE/RTT[/LOSS][@FAMILY]", in Mbit/s, ms of the empty round trip, and
    percent. The queue holds what comes in one round trip, at least in 20 ms, each way.
    """

    def __init__(self, text):
        text, _, family = text.partition("@")
        self.families = (int(family),) if family else (4, 6)
        fields = [float(f) for f in text.split("/")] + [0.0]
        self.rate_mbit, self.rtt_ms, self.loss_percent = fields[:3]

    def queue_bytes(self):
        return int(self.rate_mbit * 1e6 / 8 * max(self.rtt_ms, 20) / 1000)

    def commands(self):
        return (f"rate {self.rate_mbit} delay {self.rtt_ms / 2} queue {self.queue_bytes()} "
                f"loss {self.loss_percent}")


def parse(text):
    """"a=100/10 b=20/60/1@6" -> {"a": Spec, "b": Spec}"""
    return {name: Spec(rest) for name, rest in (one.split("=") for one in text.split())}


def make_wires(topology, gate_dev, net_dev):
    """Both halves of a link. Who sends into the emulator cuts into segments himself."""
    for side, dev, inner in ((topology.gate, gate_dev, f"g-{net_dev}"),
                             (topology.net, net_dev, f"n-{net_dev}")):
        ns.run("ip", "link", "add", "name", dev, "netns", side.name, "type", "veth",
               "peer", "name", inner, "netns", topology.links.name)
        side.sh(f"ethtool -K {dev} tso off >/dev/null")
        topology.links.sh(f"sysctl -qw net.ipv6.conf.{inner}.disable_ipv6=1\n"
                          f"ip link set dev {inner} up arp off")


class Links:
    """The emulator, running; ends with stop()."""

    def __init__(self, where, tools, specs, seed=1):
        self.ns = where
        self.control = f"/tmp/{where.name}.links"
        self.process = where.start(
            [f"{tools}/link", "--control", self.control, "--seed", str(seed)] +
            [f"{name}:g-{name}:n-{name}" for name in specs], stdout=subprocess.PIPE, text=True)
        self.read("ready")
        for name, spec in specs.items():
            self(f"{name} {spec.commands()}")

    def read(self, word=None):
        line = ns.read_line(self.process, ANSWER_S)
        if word and line != word:
            raise Failure(f"link emulator: expected '{word}', got '{line}'")
        return line

    def __call__(self, command):
        """links("a loss 1"), links("b.to_gate dead"), links("a flap 300 700"): see link.c."""
        self.write(command)
        self.read("ok")

    def write(self, command):
        with open(self.control, "w", encoding="ascii") as f:
            f.write(command + "\n")

    def counters(self):
        """{"a": {"to_net": {"frames": ..., "bytes": ...}, "to_gate": ...}, "late_max_us": ...}"""
        self.write("counters")
        return json.loads(self.read())

    def check(self):
        """That the emulator itself was fast enough: nothing was lost but by its orders."""
        counters = self.counters()
        for name, link in counters.items():
            if name != "late_max_us" and any(link[d][k] for d in link
                                             for k in ("overrun", "unsegmented")):
                raise Failure(f"the emulator lost frames on link {name}: {link}")
        return counters

    def carrier(self, name, on):
        """The gate's interface loses or regains its carrier: a cable is pulled."""
        self.ns.sh(f"ip link set dev g-{name} {'up' if on else 'down'}")

    def stop(self):
        ns.processes.stop(self.process)
        if os.path.exists(self.control):
            os.unlink(self.control)
