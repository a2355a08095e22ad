# SPDX-License-Identifier: GPL-2.0-or-later
"""The other direction: the far end's kernel is the MPTCP client, the guest a plain server."""
from . import move
from .case import expect
from .topo import ADDR

# Of the client's kernel; what a healthy connection that it opens never moves.
CLIENT_MUST_NOT_GROW = move.MUST_NOT_GROW + ("MPCapableSYNTXDrop", "MPCapableSYNTXDisabled",
                                             "MPJoinNoTokenFound", "MPJoinSynAckHMacFailure")


class ClientCounters(move.ServerCounters):
    """What the client's kernel counted between the making and check()."""

    def check_client(self, connections, resets=False, allow=(), joins=None):
        grown = self.growth()
        expect(grown.get("MPCapableSYNACKRX", 0) == connections,
               f"the client's kernel saw {grown.get('MPCapableSYNACKRX', 0)} SYN/ACKs with "
               f"MP_CAPABLE, not {connections}: {grown}")
        bad = {k: grown[k] for k in CLIENT_MUST_NOT_GROW if k in grown and k not in allow}
        if not resets:
            # MPRstTx: the connection ended before a join of the client's was through
            bad.update({k: grown[k] for k in move.RESET_COUNTERS
                        if k in grown and k not in allow and k != "MPRstTx"})
        expect(not bad, f"the client's kernel counted {bad}")
        if joins is not None:
            expect(grown.get("MPJoinSynAckRx", 0) >= joins,
                   f"{grown.get('MPJoinSynAckRx', 0)} joins answered, not {joins}: {grown}")
        return grown


def serve(ctx, options="", family=4, port=move.PORT, mptcp=False):
    """A server in the guest; it speaks plain TCP."""
    return move.Server(ctx.guest, ctx.tools, family, options, mptcp, port)


def connect(ctx, options="", family=4, port=move.PORT, mptcp=True, host=None, timeout_s=120):
    return move.client(ctx.server, ctx.tools, family, options, mptcp, port,
                       host or ADDR[family]["guest"], timeout_s)


def converted(ctx, client_options, server_options, family=4, connections=1, host=None,
              port=move.PORT, to_port=None, allow=(), joins=None, timeout_s=120, clean=True):
    """An exchange that must be Multipath TCP at the client, all of it, to its end."""
    counters = ClientCounters(ctx.server)
    server = serve(ctx, f"--connections {connections} {server_options}", family, to_port or port)
    one = connect(ctx, f"--connections {connections} {client_options}", family, port, host=host,
                  timeout_s=timeout_s)
    two = server.result(30)
    move.same_data(one, two, connections, clean)
    expect(one["mptcp_start"] == connections and one["mptcp_end"] == connections,
           f"the client's sockets: MPTCP at {one['mptcp_start']} starts and "
           f"{one['mptcp_end']} ends of {connections}")
    counters.check_client(connections, allow=allow, joins=joins)
    return one, two


def plain(ctx, client_options, server_options, family=4, connections=1, host=None, mptcp=True,
          port=move.PORT, to_port=None, clean=True):
    """An exchange that must be plain TCP at the client, from one end to the other."""
    server = serve(ctx, f"--connections {connections} {server_options}", family, to_port or port)
    one = connect(ctx, f"--connections {connections} {client_options}", family, port, mptcp, host)
    two = server.result(30)
    move.same_data(one, two, connections, clean)
    expect(one["mptcp_end"] == 0, f"MPTCP where plain TCP was expected: {one}")
    return one, two
