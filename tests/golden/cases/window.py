# SPDX-License-Identifier: GPL-2.0-or-later
"""Closed windows."""
import socket

from rec.scene import scene


def small_buffer(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)


@scene("zero-window-guest", "3.3.4", allow=("RcvWndConflict",))
def guest(p):
    """The guest does not read: its window closes, the server probes, the guest reads on.

    Look at: the window that the peer is told is the guest's and never more (I2); the kernel's
    probe, one byte at an old data sequence number, not the old byte; the guest's answer.
    """
    g, s = p.pair(prepare=small_buffer)
    s.sock.setblocking(False)
    while True:
        try:
            s.send_some()
        except BlockingIOError:
            break
    p.rest(1.5)
    s.sock.settimeout(10)
    g.expect(s.sent)
    p.talk(g, s)
    p.close(g, s)


@scene("zero-window-server", "3.3.4", allow=("RcvWndConflict",))
def server(p):
    """The server does not read: the guest meets a closed window and probes.

    Look at: the guest's probe, a segment below what is acknowledged, becomes an acknowledgement
    below the subflow's own; the server's answer brings the window, also when it opens again.
    """
    g, s = p.pair(prepare_server=small_buffer)
    g.sock.setblocking(False)
    g.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 30000)
    while True:
        try:
            g.send_some()
        except BlockingIOError:
            break
    p.rest(1.5)
    g.sock.settimeout(10)
    s.expect(g.sent)
    p.talk(g, s)
    p.close(g, s)
