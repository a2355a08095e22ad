# SPDX-License-Identifier: GPL-2.0-or-later
"""A golden case as text: both legs in one list, numbers relative to the connection's beginning."""
import struct

from lib import wire
from lib.wire import ACK, FIN, PSH, RST, SYN

from . import files

NAMES = {1: "JOIN", 3: "ADD_ADDR", 4: "REMOVE_ADDR", 5: "PRIO", 6: "MP_FAIL", 7: "FASTCLOSE",
         8: "TCPRST"}
PORT = 7001
FLAGS = {"S": SYN, "F": FIN, "R": RST, "P": PSH, "U": 32, "E": 64, "W": 128, ".": ACK}
PLAIN = {3: "ws", 4: "sack-ok", 8: "ts", 19: "md5", 34: "tfo"}


class Numbers:
    """What the numbers of one connection count from."""

    def __init__(self):
        self.isn, self.idsn = {}, {}

    def relative(self, seq, from_guest):
        n = (seq - self.isn.get(from_guest, seq)) & 0xffffffff
        return n - (1 << 32) if n >> 31 else n

    def data(self, dsn, wide, from_guest):
        base = self.idsn.get(from_guest)
        if base is None:
            return "?"
        return (dsn if wide else wire.extend(dsn, base)) - base


def mptcp(raw, n, from_guest, checksum):
    subtype = raw[2] >> 4
    if subtype == 0:
        keys = {4: "", 12: " key", 20: " keys"}.get(len(raw), "")
        if len(raw) >= 22:
            keys = f" keys len {int.from_bytes(raw[20:22], 'big')}"
        return f"CAPABLE{keys}" + (" csum" if raw[3] & 0x80 else "")
    if subtype == 2:
        d = wire.Dss(raw, checksum)
        text = ""
        if d.data_ack is not None:
            text += f" ack {n.data(d.data_ack, d.wide_ack, not from_guest)}"
        if d.dsn is not None:
            text += f" map {n.data(d.dsn, d.wide_dsn, from_guest)}@{d.ssn}+{d.length}"
        return "DSS" + text + (" FIN" if d.data_fin else "")
    return NAMES.get(subtype, f"subtype {subtype}")


def learn(n, s, from_guest):
    for raw in s.mptcp:
        if raw[2] >> 4 == 0:
            at = 4
            if len(raw) >= 12:
                own = wire.Direction("")
                own.learn_key(raw[at:at + 8])
                n.idsn[from_guest] = own.idsn
            if len(raw) >= 20:
                n.idsn[not from_guest] = n.idsn.get(not from_guest)


def tos(packet):
    """DSCP with ECN, when not zero, and the flow label."""
    first, = struct.unpack_from(">I", packet)
    if packet[0] >> 4 == 4:
        return f" tos {packet[1]:02x}" if packet[1] else ""
    return (f" tos {first >> 20 & 255:02x}" if first >> 20 & 255 else "") + \
        (f" flow {first & 0xfffff:05x}" if first & 0xfffff else "")


def line(us, side, way, packet, talks):
    s = wire.Segment.parse(us / 1e6, packet, len(packet))
    label = f"{us / 1e6:10.6f} " + (f"{side}>" if way == "in" else f"       >{side}").ljust(14)
    if s is None:
        return f"{label} ICMP or other, {len(packet)} bytes"
    from_guest = (side == "guest") == (way == "in")
    n, checksum = talks.setdefault(s.sport if s.dport == PORT else s.dport, (Numbers(), set()))
    if s.flags & SYN:
        n.isn[from_guest] = s.seq
        if any(raw[2] >> 4 == 1 for raw in s.mptcp):    # of the first connection there is
            n.idsn = next(iter(talks.values()))[0].idsn
    learn(n, s, from_guest)
    for raw in s.mptcp:
        if raw[2] >> 4 == 0 and raw[3] & 0x80:
            checksum.add(1)
    flags = "".join(c for c, f in FLAGS.items() if s.flags & f)
    at = n.relative(s.seq, from_guest)
    text = f"{label} {flags:3} {at}" + (f"..{at + s.len} ({s.len})" if s.len else "")
    if s.flags & ACK:
        text += f" ack {n.relative(s.ack, not from_guest)}"
    text += f" win {s.window}"
    text += tos(packet)
    for kind, raw in s.options:
        if kind == 5:
            edges = [n.relative(int.from_bytes(raw[i:i + 4], "big"), not from_guest)
                     for i in range(2, len(raw), 4)]
            text += f" sack {edges}"
        if kind == 2:
            text += f" mss {int.from_bytes(raw[2:4], 'big')}"
        if kind in PLAIN and s.flags & SYN:
            text += " " + PLAIN[kind]
    try:
        text += "".join(f" [{mptcp(raw, n, from_guest, bool(checksum))}]" for raw in s.mptcp)
    except ValueError as e:
        text += f" [{e}]"
    return text


def lines(directory):
    """One line for each packet, in the order of time; what the gate puts out after what came."""
    talks = {}
    every = files.merge(*[
        [(us, (side, way, p)) for us, p in files.read(f"{directory}/{name}")]
        for side, way, name in (
            ("guest", "in", "guest.pcap"),
            *[("net", "in", f"{path}.pcap") for path in files.paths(directory)],
            *[("net", "out", f"expect/{path}.pcap") for path in files.paths(directory)],
            ("guest", "out", "expect/guest.pcap"))])
    return [line(us, side, way, packet, talks) for us, (side, way, packet) in every]
