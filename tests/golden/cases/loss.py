# SPDX-License-Identifier: GPL-2.0-or-later
"""Lost packets on either leg: the guest's and the peer's own TCP repair them."""
from rec.scene import scene

DATA = "-m length --length 300:1500"
TO_SERVER, TO_GUEST = "--dport 7001", "--sport 7001"


def part_of_mapping(p, family=4):
    p.small_packets("gate:up-a", "server:eth0")
    p.drop("net", f"{TO_SERVER} {DATA}", 16, family=family)
    g, s = p.pair(family)
    p.exchange(g, s, 60000, 0)
    p.close(g, s)


@scene("loss-part-of-mapping", "3.3")
def part_of_mapping_v4(p):
    """60 KB up; one piece of a super-segment is lost between gate and server.

    Look at: the guest retransmits only that piece; on the net side it carries the mapping of the
    whole super-segment, as before (the kernel takes a different mapping for bytes that an
    unconsumed one covers as an error). The server's SACK blocks, as far as they fit beside the
    DATA_ACK, reach the guest.
    """
    part_of_mapping(p)


@scene("loss-part-of-mapping-v6", "3.3")
def part_of_mapping_v6(p):
    """As loss-part-of-mapping, over IPv6."""
    part_of_mapping(p, 6)


@scene("loss-across-mappings", "3.3")
def across_mappings(p):
    """Two writes of 400 bytes, both lost; the guest retransmits them as one segment of 800.

    Look at: the gate cuts the retransmission where the first mapping ends: two segments, each with
    the mapping that it had.
    """
    p.guest.sh("sysctl -qw net.ipv4.tcp_early_retrans=0")
    p.small_packets("gate:up-a", "server:eth0")
    g, s = p.pair()
    p.talk(g, s, 1, 100, 100)
    p.rest(0.1)
    p.drop("net", f"{TO_SERVER} {DATA}", 1)
    p.drop("net", f"{TO_SERVER} {DATA}", 1)
    g.send(400)
    g.send(400)
    s.expect(800)
    p.close(g, s)


@scene("loss-tail", "3.3")
def tail(p):
    """The last of the guest's data is lost; its tail loss probe repeats it."""
    g, s = p.pair()
    p.talk(g, s, 2)
    p.rest(0.1)
    p.drop("net", f"{TO_SERVER} {DATA}", 1)
    p.talk(g, s)
    p.close(g, s)


@scene("loss-of-guest", "3.3", lost_at_gate=1)
def of_guest(p):
    """Lost between the guest and the gate: the gate sees a hole in the guest's data.

    Look at: what comes behind the hole keeps the hole on the subflow as well, so that the
    retransmission fits in.
    """
    p.small_packets("guest:eth0")
    g, s = p.talked()
    p.drop("gate", f"-i guest0 {TO_SERVER} {DATA}", 6, chain="PREROUTING -t raw")
    p.exchange(g, s, 30000, 0)
    p.close(g, s)


@scene("loss-of-server", "3.3")
def of_server(p):
    """60 KB down; a packet is lost between server and gate.

    Look at: data behind the hole goes to the guest at once; its SACK blocks go to the server.
    """
    p.small_packets("server:eth0")
    g, s = p.pair()
    p.drop("net", f"{TO_GUEST} {DATA}", 16)
    p.exchange(g, s, 0, 60000)
    p.close(g, s)


@scene("loss-at-guest", "3.3")
def at_guest(p):
    """60 KB down; a packet is lost between gate and guest.

    Look at: the gate has no bytes to retransmit; no DATA_ACK passes the hole until the server
    itself has retransmitted (I1).
    """
    p.small_packets("server:eth0", "gate:guest0")
    g, s = p.pair()
    p.drop("guest", f"{TO_GUEST} {DATA}", 16, chain="INPUT")
    p.exchange(g, s, 0, 60000)
    p.close(g, s)


@scene("loss-syn", "3.1", server="mptcp")
def syn(p):
    """The first SYN is lost; the guest's second carries MP_CAPABLE again."""
    p.drop("net", f"{TO_SERVER} --syn")
    data(p)


@scene("loss-synack", "3.1", server="mptcp")
def synack(p):
    """The SYN/ACK is lost; SYN and SYN/ACK come once more."""
    p.drop("net", f"{TO_GUEST} --tcp-flags SYN,ACK SYN,ACK")
    data(p)


@scene("loss-synack-at-guest", "3.1", server="mptcp")
def synack_at_guest(p):
    """The SYN/ACK is lost behind the gate: the gate has converted the connection already and
    must treat SYN and SYN/ACK as before when they come again.
    """
    p.drop("guest", f"{TO_GUEST} --tcp-flags SYN,ACK SYN,ACK", chain="INPUT")
    data(p)


@scene("loss-third-ack", "3.1", server="mptcp")
def third_ack(p):
    """The third ACK is lost; the first data carries MP_CAPABLE with both keys all the same."""
    p.drop("net", f"{TO_SERVER} --tcp-flags SYN,ACK ACK")
    data(p)


@scene("loss-first-data", "3.1", server="mptcp")
def first_data(p):
    """The guest's first data is lost and repeated: with MP_CAPABLE, as the first time."""
    p.drop("net", f"{TO_SERVER} {DATA}")
    data(p)


def data(p):
    g, s = p.pair()
    p.talk(g, s, 2)
    p.close(g, s)


@scene("loss-third-ack-server-first", "3.1", server="mptcp")
def third_ack_server_first(p):
    """The third ACK is lost and the server is to speak first: it repeats its SYN/ACK after a
    second, and the guest's answer carries MP_CAPABLE with both keys once more.
    """
    p.drop("net", f"{TO_SERVER} --tcp-flags SYN,ACK ACK")
    g, s = p.pair()
    s.send(500)
    g.expect(500)
    p.talk(g, s)
    p.close(g, s)


@scene("loss-first-data-confirmed", "3.1", server="mptcp")
def first_data_confirmed(p):
    """The guest's first data is lost while the server speaks: when it is repeated, the server's
    DSS was seen, so its mapping stands in a DSS instead of MP_CAPABLE.
    """
    p.drop("net", f"{TO_SERVER} {DATA}")
    g, s = p.pair()
    g.send(600)
    s.send(900)
    g.expect(900)
    s.expect(600)
    p.close(g, s)


@scene("loss-without-sack", "3.3", server="mptcp")
def without_sack(p):
    """Several losses and no SACK: the guest goes back and sends again what the server has, cut
    otherwise than the first time.
    """
    p.guest.sh("sysctl -qw net.ipv4.tcp_sack=0")
    p.small_packets("gate:up-a", "server:eth0")
    for nth in (12, 13, 17, 22, 23, 31):
        p.drop("net", f"{TO_SERVER} {DATA}", nth)
    g, s = p.pair()
    p.exchange(g, s, 60000, 0)
    p.close(g, s)


@scene("loss-both-legs", "3.3", server="mptcp", lost_at_gate=None)
def both_legs(p):
    """Every 13th packet is lost on each leg and in each direction, handshake and end included;
    30 KB each way at the same time.
    """
    p.small_packets("gate:up-a", "gate:guest0", "server:eth0")
    for where, chain, match in (("net", "FORWARD", TO_SERVER), ("net", "FORWARD", TO_GUEST),
                                ("guest", "INPUT", TO_GUEST),
                                ("gate", "PREROUTING -t raw", f"-i guest0 {TO_SERVER}")):
        getattr(p, where).sh(f"iptables -A {chain} -p tcp {match} -m statistic --mode nth "
                             "--every 13 --packet 5 -j DROP")
    g, s = p.pair()
    p.exchange(g, s, 30000, 30000)
    p.close(g, s)
    p.rest(1)


@scene("blackout", "3.3", server="mptcp")
def blackout(p):
    """Nothing passes between gate and server for 0.7 s, in the middle of 60 KB each way."""
    g, s = p.pair()
    p.exchange(g, s, 30000, 30000)
    p.net.sh("iptables -I FORWARD -p tcp -j DROP")
    g.send(20000)
    s.send(20000)
    p.rest(0.7)
    p.net.sh("iptables -D FORWARD -p tcp -j DROP")
    g.expect(20000)
    s.expect(20000)
    p.exchange(g, s, 10000, 10000)
    p.close(g, s)


# DSS with DATA_ACK and mapping, DATA_FIN alone: 20 + 32 + 28 bytes of IP and TCP header.
DATA_FIN = "-m length --length 80"


@scene("loss-guest-fin", "3.3.3")
def guest_fin(p):
    """The guest's FIN, a DATA_FIN on the net side, is lost; the guest repeats it."""
    g, s = p.talked()
    p.rest(0.1)
    p.drop("net", f"{TO_SERVER} {DATA_FIN}")
    p.close(g, s)


@scene("loss-server-fin", "3.3.3")
def server_fin(p):
    """The server's FIN is lost on its way from the gate to the guest.

    Look at: the server repeats its DATA_FIN until it is acknowledged, and each becomes a FIN for
    the guest; the gate acknowledges none of them before the guest does (I1).
    """
    g, s = p.talked()
    p.rest(0.1)
    for _ in range(3):
        p.drop("guest", f"{TO_GUEST} --tcp-flags FIN FIN", chain="INPUT")
    p.close(s, g)


@scene("loss-subflow-fin", "3.3.3")
def subflow_fin(p):
    """The FIN of the gate's own on the subflow, when all data is done, is lost.

    Look at: the gate repeats it after 300 ms by its own timer; the guest has no part in it.
    """
    g, s = p.talked()
    p.drop("net", f"{TO_SERVER} --tcp-flags FIN FIN")
    p.close(g, s)
    p.rest(0.6)
