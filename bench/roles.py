# SPDX-License-Identifier: GPL-2.0-or-later
"""Which way round the connection goes: who opens it, where both ends are, and what stands in for
what in each role. "Up" is always from the client to the server.
"""
from lib.topo import ADDR


class Role:
    """A guest opens to a server whose kernel speaks MPTCP."""
    name, text = "initiator", "a guest calls a server whose kernel speaks MPTCP"
    to_server = "to_net"        # the links' direction from the client to the server
    guest_sends = "up"          # the way in which the gate's own controller sends
    server_speaks = True        # the server that a guest's leg leads to, MPTCP
    client_speaks = False       # the same of the client
    second_gate = False

    def __init__(self, ctx):
        self.ctx = ctx

    def client(self):
        return self.ctx.guest

    def server(self):
        return self.ctx.server

    def host(self):
        return ADDR[4]["server"]

    # Kernel MPTCP end to end, with an end of its own in the gate's place.

    def native_client(self):
        return self.ctx.gate_ns

    def native_server(self):
        return self.ctx.server

    def native_host(self):
        return ADDR[4]["server"]

    def native_endpoint(self):
        """How the gate's kernel uses a further address of its own."""
        return "subflow"


class Responder(Role):
    """A remote client with an interface on each link calls a plain guest."""
    name, text = "responder", "a multihomed client whose kernel speaks MPTCP calls a plain guest"
    to_server = "to_gate"
    guest_sends = "down"
    server_speaks = False
    client_speaks = True

    def client(self):
        return self.ctx.net

    def server(self):
        return self.ctx.guest

    def host(self):
        return ADDR[4]["guest"]

    def native_client(self):
        return self.ctx.net

    def native_server(self):
        return self.ctx.gate_ns

    def native_host(self):
        return ADDR[4]["up-" + self.ctx.topo.uplinks()[0]]

    def native_endpoint(self):
        return "signal"


class Gates(Role):
    """Plain ends, a gate before each."""
    name, text = "gates", "a guest calls a plain server; a gate stands before each"
    server_speaks = False
    second_gate = True


ROLES = {r.name: r for r in (Role, Responder, Gates)}
