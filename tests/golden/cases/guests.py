# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests, servers and paths that are not like the others."""
import socket

from rec.scene import scene

TIMESTAMPS, SACK = "net.ipv4.tcp_timestamps=0", "net.ipv4.tcp_sack=0"
WINDOW_SCALE = "net.ipv4.tcp_window_scaling=0"


def lacking(p, side, *settings):
    getattr(p, side).sh("sysctl -qw " + " ".join(settings))
    g, s = p.talked()
    p.exchange(g, s, 20000, 20000)
    p.close(g, s)


@scene("guest-without-timestamps", "3.1")
def guest_without_timestamps(p):
    """The guest's SYN has no timestamps: neither leg uses them; options have more room."""
    lacking(p, "guest", TIMESTAMPS)


@scene("guest-without-sack", "3.1")
def guest_without_sack(p):
    """The guest's SYN has no SACK-permitted."""
    lacking(p, "guest", SACK)


@scene("guest-without-window-scale", "3.1")
def guest_without_window_scale(p):
    """The guest's SYN has no window scale: no window of either end is scaled."""
    lacking(p, "guest", WINDOW_SCALE)


@scene("guest-without-options", "3.1")
def guest_without_options(p):
    """The guest's SYN has nothing but an MSS; all alignment is the gate's."""
    lacking(p, "guest", TIMESTAMPS, SACK, WINDOW_SCALE)


@scene("server-without-options", "3.1")
def server_without_options(p):
    """The server takes none of what the guest offers."""
    lacking(p, "server", TIMESTAMPS, SACK, WINDOW_SCALE)


@scene("loss-without-timestamps", "3.3")
def loss_without_timestamps(p):
    """SACK blocks have room beside the DATA_ACK when there are no timestamps: up to three."""
    p.guest.sh(f"sysctl -qw {TIMESTAMPS}")
    p.small_packets("gate:up-a", "server:eth0", "gate:guest0", "guest:eth0")
    for nth in (14, 17, 21):
        p.drop("net", "--dport 7001 -m length --length 300:1500", nth)
    p.drop("net", "--sport 7001 -m length --length 300:1500", 14)
    g, s = p.pair()
    p.exchange(g, s, 50000, 0)
    p.exchange(g, s, 0, 50000)
    p.close(g, s)


@scene("small-mss", "3.1")
def small_mss(p):
    """The guest announces an MSS of 536, and the server's answers obey it."""
    p.guest.sh("ip route change $(ip route show default) advmss 536")
    g, s = p.pair()
    p.talk(g, s, 1, 2000, 2000)
    p.close(g, s)


@scene("ecn", "3.1")
def ecn(p):
    """Both ends ask for ECN: ECE and CWR on the SYN pass, and on what follows."""
    for side in (p.guest, p.server):
        side.sh("sysctl -qw net.ipv4.tcp_ecn=1")
    g, s = p.pair()
    p.talk(g, s, 2)
    p.close(g, s)


@scene("urgent", "3.3.5")
def urgent(p):
    """The guest sends an urgent byte between others. MPTCP has no urgent pointer: the byte goes
    inline, at its place (RFC 6093 tells applications to expect no better).
    """
    g, s = p.pair()
    p.talk(g, s, 1, 100, 100)
    g.send(51)
    p.rest(0.05)
    g.send(1, socket.MSG_OOB)
    p.rest(0.05)
    g.send(60)
    s.expect(112)
    p.close(g, s)


def keepalive(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)


@scene("keepalive-guest", "3.3.2")
def keepalive_guest(p):
    """The guest probes a silent connection, each second.

    Look at: the probe stands one below the next number on the net side too, and the server's
    answer comes back to the guest although it acknowledges nothing new.
    """
    g, s = p.pair(prepare=keepalive)
    p.talk(g, s)
    p.rest(3.4)
    p.talk(g, s)
    p.close(g, s)


@scene("keepalive-server", "3.3.2")
def keepalive_server(p):
    """The server probes a silent connection; the guest's own TCP answers."""
    g, s = p.pair(prepare_server=keepalive)
    p.talk(g, s)
    p.rest(3.4)
    p.talk(g, s)
    p.close(g, s)


def too_big(p, family):
    p.net.sh("ip link set dev s mtu 1340")
    g, s = p.pair(family)
    p.talk(g, s)
    p.exchange(g, s, 30000, 0)
    p.close(g, s)


@scene("packet-too-big", "3.3")
def too_big_v4(p):
    """A router behind the uplink has an MTU of 1340 and says so by ICMP.

    Look at: the ICMP message that the guest gets (its own numbers, an MTU that leaves room for the
    options), and the size of what follows on the net side.
    """
    too_big(p, 4)


@scene("packet-too-big-v6", "3.3")
def too_big_v6(p):
    """As packet-too-big, over IPv6."""
    too_big(p, 6)
