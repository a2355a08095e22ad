# SPDX-License-Identifier: GPL-2.0-or-later
"""Fallback to TCP at each stage, and what follows from options that vanish."""
from cases.window import small_buffer
from rec.scene import scene

PLAIN_SYNACK = {"MPCapableSYNRX": 1, "MPCapableFallbackACK": 1, "MPCapableACKRX": 0}


def stripped(p, options, family=4, rounds=2):
    box = p.middlebox(options)
    g, s = p.pair(family)
    p.talk(g, s, rounds)
    p.close(g, s)
    if not box.counts()["stripped"]:
        raise RuntimeError("nothing was stripped")


@scene("fallback-syn", "3.7", server="plain")
def syn(p):
    """A router strips MP_CAPABLE from the SYN; the SYN/ACK has none.

    Look at: after the SYN/ACK nothing visits the engine ("kernel" in events.txt): the guest's own
    packets are on the net side as they were. The MSS is not lowered.
    """
    stripped(p, "--strip syn")


@scene("fallback-syn-v6", "3.7", server="plain")
def syn_v6(p):
    """As fallback-syn, over IPv6."""
    stripped(p, "--strip syn", 6)


@scene("fallback-synack", "3.7", server=PLAIN_SYNACK)
def synack(p):
    """A router strips MP_CAPABLE from the SYN/ACK: plain from there on. The server learns it by a
    third ACK without MP_CAPABLE.
    """
    stripped(p, "--strip synack")


@scene("fallback-synack-v6", "3.7", server=PLAIN_SYNACK)
def synack_v6(p):
    """As fallback-synack, over IPv6."""
    stripped(p, "--strip synack", 6)


# Data without mapping is what falling back is about.
BARE = ("has no mapping", "tshark: no mapping")
# From the fallback on the peer's packets pass as they are, with the options that they still have.
FAIL = (*BARE, "MP_FAIL", "an MPTCP option reaches the guest")
# Every data segment of the guest's has a mapping, be it an infinite one.
MAPPED = ("has no mapping", "MP_FAIL", "infinite mapping")


@scene("fallback-third-ack", "3.1, 3.7", verify=BARE,
       server={"MPCapableACKRX": 0, "MPCapableFallbackACK": 1})
def third_ack(p):
    """A router strips the third ACK only: Linux falls back at once, although MP_CAPABLE comes
    again with the first data (that helps when the third ACK is lost: loss-third-ack).
    """
    stripped(p, "--strip ack3")


@scene("fallback-first-data", "3.7", verify=BARE,
       server={"MPCapableACKRX": 0, "MPCapableFallbackACK": 1})
def first_data(p):
    """A router strips all that the guest's side sends after the SYN: the server falls back.

    Look at: the server's first acknowledgement has no DSS; from there on the connection is plain.
    What the guest had sent before needs nothing: subflow and guest sequence numbers are the same.
    """
    stripped(p, "--strip client")


@scene("fallback-server-stripped", "3.7", verify=BARE,
       server={"MPCapableACKRX": 1, "DssFallback": 1})
def server_stripped(p):
    """A router strips all that the server sends after the SYN/ACK: the gate hears no DSS with the
    first acknowledgement and falls back; the server notices when data comes without mapping.
    """
    stripped(p, "--strip server")


@scene("fallback-both-stripped", "3.7", verify=BARE,
       server={"MPCapableACKRX": 0, "MPCapableFallbackACK": 1})
def both_stripped(p):
    """A router strips all options behind SYN and SYN/ACK, both ways."""
    stripped(p, "--strip client --strip server")


@scene("fallback-server-first", "3.7", verify=BARE,
       server={"MPCapableACKRX": 0, "MPCapableFallbackACK": 1})
def server_first_stripped(p):
    """As fallback-both-stripped, and the server speaks first: its data comes without a mapping.

    Look at: no MP_FAIL: a server whose first data comes bare has fallen back itself.
    """
    box = p.middlebox("--strip client --strip server")
    g, s = p.pair()
    s.send(3000)
    g.expect(3000)
    g.send(500)
    s.expect(500)
    p.close(g, s)
    box.counts()


@scene("stripped-in-mid-stream", "3.7", verify=("server: data",), server={"MPCapableACKRX": 1})
def mid_stream(p):
    """A router begins to strip all options when 20 KB have passed.

    Look at: what the gate does once data arrives without a mapping or acknowledgements without
    DSS; nothing wrong reaches the guest (I3).
    """
    p.small_packets("gate:up-a", "gate:guest0", "server:eth0")
    box = p.middlebox("--strip-after 20000")
    g, s = p.pair()
    p.talk(g, s, 3)
    g.send(12000)
    s.expect(12000)
    s.send(20000)
    p.hear(g, s)
    box.counts()


@scene("mp-fail-from-server", "3.7", checksum=True,
       verify=MAPPED,
       server={"MPCapableACKRX": 1, "DataCsumErr": 1, "MPFailTx": 1, "MPFailRx": 1,
               "InfiniteMapRx": 1, "DssFallback": 1})
def mp_fail_up(p):
    """Something on the way changes a byte of the guest's data; checksums are on.

    Look at: the server's MP_FAIL and the gate's, the infinite mapping (length 0) of the guest's
    next data; when the server answers without DSS, the connection is plain TCP.
    """
    box = p.middlebox("--corrupt-at 1000")
    g, s = p.pair()
    g.send(600)
    s.expect(600)
    g.send(900)
    s.take_any(900)
    s.send(500)
    g.expect(500)
    g.send(700)
    s.expect(700)
    p.close(g, s)
    if box.counts()["corrupted"] != 1:
        raise RuntimeError("nothing was changed")


@scene("mp-fail-from-gate", "3.7", checksum=True,
       verify=(*FAIL, "infinite mapping", "to the guest: wrong data at 600"),
       server={"MPCapableACKRX": 1, "MPFailRx": 1, "MPFailTx": 1, "InfiniteMapTx": 1})
def mp_fail_down(p):
    """Something on the way changes a byte of the server's data; checksums are on.

    Look at: the gate's MP_FAIL, the server's infinite mapping (length 0), plain TCP from there on.
    """
    box = p.middlebox("--corrupt-at 1000 --corrupt-from-server")
    g, s = p.pair()
    p.talk(g, s, 1, 300, 600)
    s.send(900)
    g.take_any(900)
    p.rest(0.05)
    s.send(700)
    g.expect(700)
    g.send(500)
    s.expect(500)
    p.close(g, s)
    if box.counts()["corrupted"] != 1:
        raise RuntimeError("nothing was changed")


@scene("mp-fail-in-bulk-up", "3.7", checksum=True, verify=MAPPED,
       server={"MPCapableACKRX": 1, "DataCsumErr": 1, "MPFailTx": 1, "MPFailRx": "any",
               "InfiniteMapRx": "any", "DssFallback": 1})
def mp_fail_bulk_up(p):
    """As mp-fail-from-server, with 60 KB on their way: what was mapped before the MP_FAIL came,
    what is retransmitted, what follows bare.
    """
    p.small_packets("guest:eth0", "gate:up-a", "server:eth0")
    box = p.middlebox("--corrupt-at 20000")
    g, s = p.pair()
    g.send(60000)
    s.take_any(60000)
    s.send(500)
    g.expect(500)
    p.close(g, s)
    box.counts()


@scene("mp-fail-in-bulk-down", "3.7", checksum=True,
       verify=(*MAPPED, "to the guest: wrong data at 19936"),
       server={"MPCapableACKRX": 1, "MPFailRx": "any", "MPFailTx": "any", "InfiniteMapRx": "any",
               "DssFallback": "any"})
def mp_fail_bulk_down(p):
    """As mp-fail-from-gate, with 60 KB on their way."""
    p.small_packets("gate:up-a", "server:eth0")
    box = p.middlebox("--corrupt-at 20000 --corrupt-from-server")
    g, s = p.pair()
    s.send(60000)
    g.take_any(60000)
    g.send(500)
    s.expect(500)
    p.close(g, s)
    box.counts()


@scene("mp-fail-after-probe", "3.7", checksum=True, allow=("RcvWndConflict",),
       verify=(*BARE, "MP_FAIL", "infinite mapping", "to the guest: wrong data"),
       server={"MPCapableACKRX": 1, "MPFailRx": 1, "MPFailTx": 1, "WinProbe": "any",
               "InfiniteMapTx": 1})
def mp_fail_after_probe(p):
    """A probe of the closed window has put one byte more on the subflow than the guest was sent;
    then something changes a byte of the server's data.

    Look at: from the fallback on the two legs still differ by one: the segments are rewritten
    (fallback_segment), they do not leave for the kernel.
    """
    box = p.middlebox("--corrupt-at 24000 --corrupt-from-server")
    g, s = p.pair(prepare=small_buffer)
    s.send(20000)
    p.rest(1.5)
    g.expect(20000)
    p.rest(0.1)
    for _ in range(4):
        s.send(1500)
        g.take_any(1500)
        p.rest(0.05)
    for _ in range(2):
        p.talk(g, s)
    p.close(g, s)
    if box.counts()["corrupted"] != 1:
        raise RuntimeError("nothing was changed")


@scene("plain-server", "3.7", server="plain")
def plain_server(p):
    """The server speaks no Multipath TCP: 30 KB up and 30 KB down.

    Look at: the SYN with MP_CAPABLE is the only packet that differs from plain forwarding.
    """
    g, s = p.pair(mptcp=False)
    p.exchange(g, s, 30000, 0)
    p.exchange(g, s, 0, 30000)
    p.close(g, s)


@scene("plain-server-v6", "3.7", server="plain")
def plain_server_v6(p):
    """As plain-server with less data, over IPv6."""
    g, s = p.pair(6, mptcp=False)
    p.talk(g, s, 2)
    p.close(g, s)


@scene("blackhole", "3.1, 3.7", server="plain")
def blackhole(p):
    """A firewall drops SYNs that carry MP_CAPABLE. Then a second connection to the same server.

    Look at: SYN, SYN after a second, then the third SYN as the guest sent it; the second
    connection's first SYN has no MP_CAPABLE at all (plain_blackhole).
    """
    p.net.sh("iptables -A FORWARD -p tcp --syn --tcp-option 30 -j DROP")
    for port in (40001, 40002):
        g, s = p.pair(guest_port=port)
        p.talk(g, s)
        p.close(g, s)
