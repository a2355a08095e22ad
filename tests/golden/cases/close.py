# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way in which a connection ends."""
import socket

from rec.place import GUEST_PORT, PORT, topo
from rec.scene import scene


@scene("close-server-first", "3.3.3")
def server_first(p):
    """The server ends its data first.

    Look at: DATA_FIN becomes FIN; the guest's acknowledgement of it becomes a DATA_ACK one higher
    while the subflow's acknowledgement stays (a DATA_FIN has no subflow sequence number); FIN on
    the subflow only after both DATA_FINs are acknowledged.
    """
    g, s = p.talked()
    p.close(s, g)


@scene("close-server-first-v6", "3.3.3")
def server_first_v6(p):
    """As close-server-first, over IPv6."""
    g, s = p.talked(6)
    p.close(s, g)


@scene("close-simultaneous", "3.3.3")
def simultaneous(p):
    """Both ends end their data at the same time: the FINs cross."""
    g, s = p.talked()
    p.rest(0.1)
    g.end()
    s.end()
    g.expect_end()
    s.expect_end()
    p.rest(0.1)
    g.close()
    s.close()
    p.rest()


@scene("half-close-guest", "3.3.3")
def half_guest(p):
    """The guest ends its data; the server goes on for 20 KB, then ends."""
    g, s = p.talked()
    g.end()
    s.expect_end()
    for _ in range(4):
        s.send(5000)
        g.expect(5000)
        p.rest(0.05)
    s.end()
    g.expect_end()
    p.rest()


@scene("half-close-server", "3.3.3")
def half_server(p):
    """The server ends its data; the guest goes on for 20 KB, then ends."""
    g, s = p.talked()
    s.end()
    g.expect_end()
    for _ in range(4):
        g.send(5000)
        s.expect(5000)
        p.rest(0.05)
    g.end()
    s.expect_end()
    p.rest()


@scene("fin-with-data-guest", "3.3.3")
def fin_with_data_guest(p):
    """The guest's FIN rides on its last data: DATA_FIN in the same mapping, one number longer."""
    g, s = p.talked()
    g.send(500, socket.MSG_MORE)
    g.end()
    s.expect(500)
    s.expect_end()
    s.end()
    g.expect_end()
    p.rest()


@scene("fin-with-first-data", "3.1, 3.3.3")
def fin_with_first_data(p):
    """The guest's only data carries its FIN: MP_CAPABLE with data has no place for a DATA_FIN."""
    g, s = p.pair()
    g.send(100, socket.MSG_MORE)
    g.end()
    s.expect(100)
    s.expect_end()
    s.send(200)
    s.end()
    g.expect(200)
    g.expect_end()
    p.rest()


@scene("fin-with-data-server", "3.3.3")
def fin_with_data_server(p):
    """The server ends its data right behind 3000 bytes: DATA_FIN in the last mapping."""
    g, s = p.talked()
    s.send(3000, socket.MSG_MORE)
    s.end()
    g.expect(3000)
    g.expect_end()
    g.end()
    s.expect_end()
    p.rest()


@scene("close-without-data", "3.1, 3.3.3")
def without_data(p):
    """No data at all: the guest's FIN follows the third ACK."""
    g, s = p.pair()
    p.rest(0.1)
    p.close(g, s)


@scene("guest-reset", "3.5", server={"MPCapableACKRX": 1, "MPFastcloseRx": 1})
def guest_reset(p):
    """The guest aborts: its RST becomes MP_FASTCLOSE with the server's key on the subflow's RST,
    and the server's application sees a reset.
    """
    p.abort(*p.talked())


@scene("guest-reset-v6", "3.5", server={"MPCapableACKRX": 1, "MPFastcloseRx": 1})
def guest_reset_v6(p):
    """As guest-reset, over IPv6."""
    p.abort(*p.talked(6))


@scene("guest-reset-unread", "3.5", server={"MPCapableACKRX": 1, "MPFastcloseRx": 1})
def guest_reset_unread(p):
    """The guest closes while the server's data lies unread in its buffer: its kernel sends RST."""
    g, s = p.talked()
    s.send(20000)
    p.rest(0.1)
    g.close()
    s.expect_reset()
    p.rest()


@scene("server-reset", "3.5", server={"MPCapableACKRX": 1, "MPFastcloseTx": 1, "MPRstTx": "any"})
def server_reset(p):
    """The server aborts: MP_FASTCLOSE with the gate's key, on a RST; the guest gets a RST."""
    g, s = p.talked()
    p.abort(s, g)


@scene("server-reset-while-sending", "3.5",
       server={"MPCapableACKRX": 1, "MPFastcloseTx": 1, "MPRstTx": "any"})
def server_reset_sending(p):
    """The server aborts while 30 KB of the guest's lie unread in its buffer."""
    g, s = p.talked()
    g.send(30000)
    p.rest(0.1)
    s.close()
    g.expect_reset()
    p.rest()


@scene("subflow-reset", "3.6", server={"MPCapableACKRX": 1, "MPRstRx": 0})
def subflow_reset(p):
    """A firewall answers the guest's data with RST, without MP_FASTCLOSE, towards the guest only.

    Look at: the connection has one subflow and the gate no data: the guest gets a RST. The server
    knows nothing; its next words are answered with RST by the gate, not by the host.
    """
    g, s = p.talked()
    p.rest(0.1)
    p.drop("net", "--dport 7001 -m length --length 300:1500",
           verdict="REJECT --reject-with tcp-reset")
    g.send(400)
    g.expect_reset()
    s.send(100)
    p.rest(0.2)
    g.close()
    s.close()
    p.rest()


@scene("guest-gives-up", "3.1", server={"MPCapableACKRX": 0, "MPCapableSYNRX": 1})
def gives_up(p):
    """The guest closes while it connects; the SYN/ACK is lost the first time, and its repetition
    is answered with RST by the guest's kernel.

    Look at: the gate has converted the connection by then; the RST carries MP_FASTCLOSE, which
    harms nobody, and the server forgets the SYN.
    """
    p.listen()
    p.drop("net", "--sport 7001 --tcp-flags SYN,ACK SYN,ACK")
    g = p.guest_socket()
    g.setblocking(False)
    try:
        g.connect((topo.ADDR[4]["server"], PORT))
    except BlockingIOError:
        pass
    g.close()
    p.rest(1.5)


@scene("guest-reset-after-end", "3.5", server={"MPCapableACKRX": 1, "MPFastcloseRx": 1})
def reset_after_end(p):
    """The guest has ended its data and then aborts while the server still sends."""
    g, s = p.talked()
    g.end()
    s.expect_end()
    s.send(5000)
    g.expect(2000)
    p.rest(0.1)
    g.close()
    p.rest(0.1)
    s.expect_broken()
    p.rest()


@scene("refused", "3.1", server="plain")
def refused(p):
    """Nobody listens: RST answers the SYN."""
    g = p.guest_socket()
    try:
        g.connect((topo.ADDR[4]["server"], PORT))
    except ConnectionRefusedError:
        pass
    else:
        raise RuntimeError("somebody listens")
    p.rest()


@scene("tuple-reuse", "3.1, 3.3.3", connections=2)
def tuple_reuse(p):
    """The guest opens a second connection with the addresses and ports of one that the server
    closed a moment ago (the server is in TIME-WAIT).

    Look at: the second connection has keys of its own; the first one's record gives way to it.
    """
    for _ in range(2):
        g, s = p.pair(guest_port=GUEST_PORT)
        p.talk(g, s)
        s.end()
        g.expect_end()
        g.end()
        s.expect_end()
        s.close()
        g.close()
        p.rest(0.1)
