# SPDX-License-Identifier: GPL-2.0-or-later
"""What a case is: a function that lives through it, and what must be true afterwards."""
import inspect

from lib import move
from lib.ns import Failure

scenes = {}


class Scene:
    """`server`: what the server's kernel must have counted.
    "mptcp": Multipath TCP without a fault; "plain": no Multipath TCP; "client": it opened Multipath
    TCP connections, without a fault; or a dictionary of exact
    growths ("any" for one that must only be above zero). `allow`: counters that may grow.
    `verify`: what verify may find. `lost_at_gate`: packets that the scene drops there;
    None: some. `both_paths`: the gate has the path "b" as well.
    """

    def __init__(self, name, function, section, conf, topology, server, connections, allow,
                 verify, lost_at_gate, both_paths):
        self.name, self.function, self.section = name, function, section
        self.conf, self.topology = conf, topology
        if "max_connections" not in conf:
            self.conf = "max_connections = 64\n" + conf
        self.server, self.connections, self.allow = server, connections, allow
        self.verify, self.lost_at_gate = verify, lost_at_gate
        self.both_paths = both_paths
        self.text = inspect.cleandoc(function.__doc__)

    def check_server(self, counters):
        """Judges, and returns what the kernel counted."""
        grown = counters.growth()
        if self.server == "mptcp":
            counters.check_mptcp(self.connections, allow=self.allow)
        elif self.server == "plain":
            counters.check_plain()
        elif self.server == "client":
            counters.check_client(self.connections, allow=self.allow)
        else:
            for name, want in self.server.items():
                have = grown.get(name, 0)
                if have != want and not (want == "any" and have):
                    raise Failure(f"the server's {name} grew by {have}, not {want}: {grown}")
            bad = {k: v for k, v in grown.items()
                   if k in move.MUST_NOT_GROW and k not in self.allow and k not in self.server}
            if bad:
                raise Failure(f"the server's kernel counted {bad}: {grown}")
        return grown


def scene(name, section, conf="", server="mptcp", connections=1, allow=(), verify=(),
          lost_at_gate=0, both_paths=False, **topology):
    """Registers a function of one argument, the Place. Its text becomes the case's README."""
    def register(function):
        if name in scenes:
            raise ValueError(f"two scenes named {name}")
        scenes[name] = Scene(name, function, section, conf, topology, server, connections, allow,
                             verify, lost_at_gate, both_paths)
        return function
    return register
