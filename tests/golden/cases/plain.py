# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that stay plain TCP from their first SYN."""
import socket
import struct

from rec.place import PORT, TCP_MD5SIG, Conn, topo
from rec.scene import scene


@scene("plain-policy", "3.1", server="plain",
       conf='policy { match = "tcp dport 7001" use = "never" }\n')
def policy(p):
    """A policy rule says never: the SYN goes on as it is."""
    g, s = p.talked()
    p.close(g, s)


@scene("plain-guest-speaks-mptcp", "3.1", server="mptcp")
def guest_mptcp(p):
    """The guest's own kernel speaks Multipath TCP: the gate steps aside, the two kernels speak to
    each other.
    """
    g, s = p.pair(guest_mptcp=True)
    p.talk(g, s)
    p.close(g, s)


@scene("plain-fast-open", "3.1", server="plain")
def fast_open(p):
    """TCP Fast Open: a SYN that asks for a cookie, then one with the cookie and data."""
    for side in (p.guest, p.server):
        side.sh("sysctl -qw net.ipv4.tcp_fastopen=3")
    p.listen(mptcp=False, prepare=lambda s: s.setsockopt(socket.IPPROTO_TCP,
                                                         socket.TCP_FASTOPEN, 8))
    for port in (40001, 40002):
        sock = p.guest_socket(port=port)
        g = Conn(sock, "up", "down")
        sock.settimeout(None)
        sock.sendto(g.pattern(300), socket.MSG_FASTOPEN, (topo.ADDR[4]["server"], PORT))
        s = Conn(p.accept(), "down", "up")
        s.expect(300)
        s.send(200)
        g.expect(200)
        p.close(g, s)


def signed(address):
    """TCP_MD5SIG with a password, for what comes from and goes to that address."""
    def prepare(sock):
        peer = struct.pack("=H", socket.AF_INET) + struct.pack(">H", 0) + \
            socket.inet_aton(topo.ADDR[4][address])
        key = b"secret"
        sock.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, peer.ljust(128, b"\0") +
                        struct.pack("=BBHi", 0, 0, len(key), 0) + key.ljust(80, b"\0"))
    return prepare


@scene("plain-md5", "3.1", server="plain")
def md5(p):
    """TCP MD5 signatures (RFC 2385): every byte of the header is signed, so nothing is touched."""
    g, s = p.pair(mptcp=False, prepare=signed("server"), prepare_server=signed("guest"))
    p.talk(g, s)
    p.close(g, s)


@scene("connection-table-full", "3.1", server={"MPCapableACKRX": 1, "MPCapableSYNRX": 1},
       conf="max_connections = 1\n")
def table_full(p):
    """max_connections = 1: the second connection at the same time stays plain."""
    a = p.pair(guest_port=40001)
    p.talk(*a)
    b = p.pair(guest_port=40002)
    p.talk(*b)
    p.close(*b)
    p.close(*a)
