# SPDX-License-Identifier: GPL-2.0-or-later
"""DSS checksums."""
from rec.scene import scene


def odd_lengths(p, family=4):
    g, s = p.pair(family)
    for up, down in ((601, 903), (1, 1), (1399, 77)):
        p.talk(g, s, 1, up, down)
    p.close(g, s)


@scene("checksum-asked-by-server", "3.3.1", checksum=True)
def by_server(p):
    """The server sets the A bit of MP_CAPABLE; segments of odd lengths.

    Look at: the checksum in MP_CAPABLE with the first data (24 bytes), in every mapping (28 bytes
    with the DATA_ACK: 40 with timestamps, the option space is full), and in the lone DATA_FIN.
    """
    odd_lengths(p)


@scene("checksum-asked-by-server-v6", "3.3.1", checksum=True)
def by_server_v6(p):
    """As checksum-asked-by-server, over IPv6."""
    odd_lengths(p, 6)


@scene("checksum-asked-by-gate", "3.3.1", conf="checksum = true\n")
def by_gate(p):
    """checksum = true in the gate's configuration; the server would not have asked."""
    odd_lengths(p)


@scene("checksum-super-segments", "3.3.1", checksum=True)
def super_segments(p):
    """60 KB up and down with checksums.

    Look at: each piece of a guest's super-segment has a mapping and a checksum of its own (with one
    for the whole, a lost tail would stop both ends); the peer's checksums cover many segments.
    """
    g, s = p.pair()
    p.exchange(g, s, 60000, 0)
    p.exchange(g, s, 0, 60000)
    p.close(g, s)


@scene("checksum-loss", "3.3.1", checksum=True)
def loss(p):
    """A piece of a super-segment is lost; its retransmission has the mapping and the checksum that
    it had, also where the guest cuts it otherwise than the first time.
    """
    p.small_packets("gate:up-a", "server:eth0")
    p.drop("net", "--dport 7001 -m length --length 300:1500", 16)
    g, s = p.pair()
    p.exchange(g, s, 60000, 0)
    p.close(g, s)
