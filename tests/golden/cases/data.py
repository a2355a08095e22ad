# SPDX-License-Identifier: GPL-2.0-or-later
"""Data both ways, and sequence numbers."""
import socket

from rec.place import PORT, Conn, topo
from rec.scene import scene


def data_both_ways(p, family=4):
    g, s = p.pair(family)
    p.talk(g, s, 3)
    p.close(g, s)


@scene("data-both-ways", "3.1, 3.3, 3.3.3")
def both_ways(p):
    """Three questions of the guest and three answers, then both ends close, the guest first.

    Look at: MP_CAPABLE on the SYN, with both keys on the third ACK, and once more with the first
    data (22 bytes, with the data's length); DSS with a mapping from then on; the guest's
    acknowledgements as DATA_ACKs, the peer's DATA_ACKs as the guest's acknowledgements; the MSS
    that the guest is told, 28 less than the peer's.
    """
    data_both_ways(p)


@scene("data-both-ways-v6", "3.1, 3.3, 3.3.3")
def both_ways_v6(p):
    """As data-both-ways, over IPv6."""
    data_both_ways(p, 6)


def server_first(p, family=4):
    g, s = p.pair(family)
    s.send(3000)
    g.expect(3000)
    g.send(500)
    s.expect(500)
    p.close(g, s)


@scene("server-first", "3.1")
def server_first_v4(p):
    """The server speaks first (SMTP, SSH): 3000 bytes, then the guest's 500.

    Look at: the third ACK carries MP_CAPABLE with both keys; the guest's acknowledgement of the
    server's data still stands at ISN+1, but the server's DSS was seen by then, so it is a
    DATA_ACK; the guest's first data has an ordinary mapping, not MP_CAPABLE.
    """
    server_first(p)


@scene("server-first-v6", "3.1")
def server_first_v6(p):
    """As server-first, over IPv6."""
    server_first(p, 6)


@scene("data-as-third-ack", "3.1")
def data_as_third_ack(p):
    """The guest sends no third ACK of its own: its first data is the third ACK.

    Look at: MP_CAPABLE with both keys and the data's length is the first that the server hears.
    """
    p.listen()
    g = p.guest_socket()
    g.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    g.connect((topo.ADDR[4]["server"], PORT))
    g = Conn(g, "up", "down")
    g.send(300)
    s = Conn(p.accept(), "down", "up")
    s.expect(300)
    s.send(400)
    g.expect(400)
    p.talk(g, s)
    p.close(g, s)


@scene("dscp", "3.3")
def dscp(p):
    """Both ends mark their packets (DSCP EF): each leg carries the mark of who sent the data."""
    g, s = p.pair(prepare=lambda k: k.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xb8),
                  prepare_server=lambda k: k.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x28))
    p.talk(g, s, 2)
    p.close(g, s)


@scene("dscp-v6", "3.3")
def dscp_v6(p):
    """As dscp, with the traffic class and the flow label of IPv6."""
    ipv6_tclass = 67
    g, s = p.pair(6, prepare=lambda k: k.setsockopt(socket.IPPROTO_IPV6, ipv6_tclass, 0xb8))
    p.talk(g, s, 2)
    p.close(g, s)


def super_segments(p, family, length):
    g, s = p.pair(family)
    p.exchange(g, s, length, 0)
    p.exchange(g, s, 0, length)
    p.close(g, s)


@scene("super-segments", "3.3")
def super_segments_v4(p):
    """150 KB up, then 150 KB down, with segmentation offload everywhere: segments of up to 40 KB.

    Look at: guest.pcap holds the guest's super-segments; expect/a.pcap their pieces, all pieces of
    one super-segment with the same mapping (the mapping begins before most of them and is longer
    than each).
    """
    super_segments(p, 4, 150000)


@scene("super-segments-v6", "3.3")
def super_segments_v6(p):
    """As super-segments, 60 KB each way, over IPv6."""
    super_segments(p, 6, 60000)


@scene("both-at-once", "3.3")
def both_at_once(p):
    """60 KB each way at the same time: data that acknowledges data.

    Look at: DATA_ACK and mapping in one DSS (8 byte numbers both), 26 of 40 bytes of options.
    """
    g, s = p.pair()
    p.exchange(g, s, 60000, 60000)
    p.close(g, s)


@scene("mss-sized", "3.3")
def mss_sized(p):
    """30 KB each way without segmentation offload at either end.

    Look at: a guest's segment of 1420 bytes and one of the net side are one to one.
    """
    p.small_packets("guest:eth0", "gate:up-a", "gate:guest0", "server:eth0")
    g, s = p.pair()
    p.exchange(g, s, 30000, 0)
    p.exchange(g, s, 0, 30000)
    p.close(g, s)


@scene("small-writes", "3.3")
def small_writes(p):
    """Writes of 1 to 23 bytes by both ends, without waiting for each other.

    Look at: many short mappings, one behind the other; several of them unacknowledged at once.
    """
    g, s = p.pair()
    for n in range(1, 24, 2):
        g.send(n)
        s.send(n + 1)
    g.expect(s.sent)
    s.expect(g.sent)
    p.close(g, s)


@scene("two-connections", "3.1", connections=2)
def two_connections(p):
    """Two connections of one guest at the same time, data alternating.

    Look at: each has keys, tokens and data sequence numbers of its own.
    """
    a, b = p.pair(guest_port=40001), p.pair(guest_port=40002)
    for _ in range(2):
        p.talk(*a)
        p.talk(*b, up=300, down=200)
    p.close(*a)
    p.close(*b)


@scene("wrap-guest", "3.3.1")
def wrap_guest(p):
    """The guest's sequence numbers pass 2^32 after 2000 bytes: initial sequence number fffff82f.

    Look at: the mappings' relative subflow sequence numbers and the data sequence numbers go on.
    """
    g, s = p.pair(isn=0xfffff82f)
    p.talk(g, s, 4, up=1300)
    p.close(g, s)


@scene("wrap-guest-super-segment", "3.3.1")
def wrap_guest_super(p):
    """The wrap lies in the middle of a super-segment."""
    g, s = p.pair(isn=0xffffc000)
    p.exchange(g, s, 50000, 0)
    p.close(g, s)


@scene("wrap-server", "3.3.1")
def wrap_server(p):
    """The server's sequence numbers pass 2^32 after 2000 bytes (a firewall in between shifts
    them, as those do that hide initial sequence numbers).
    """
    box = p.middlebox(f"--server-isn {0xfffff82f}")
    g, s = p.pair()
    p.talk(g, s, 4, down=1300)
    p.close(g, s)
    box.counts()


@scene("wrap-first-byte", "3.3.1")
def wrap_first_byte(p):
    """Both initial sequence numbers are ffffffff: the first byte of data has number 0."""
    box = p.middlebox(f"--server-isn {0xffffffff}")
    g, s = p.pair(isn=0xffffffff)
    p.talk(g, s, 2)
    p.close(g, s)
    box.counts()
