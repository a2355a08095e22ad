# SPDX-License-Identifier: GPL-2.0-or-later
"""Is what a golden case expects lawful? Judged from the bytes and RFC 8684 alone: this shares
nothing with the engine. Inputs and expectation together are the whole conversation of each side.
"""
import bisect
import re
import struct
import tempfile

from lib import wire
from lib.wire import ACK, RST, SYN, Segment

from . import files, show
from .joined import Joined
from .pattern import pattern

PORT = 7001
MTU = 1500


def fold(total):
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    return fold(sum(struct.unpack(f">{len(data) // 2}H", data)))


class Case:
    """The captures of a case, parsed; those of all paths together."""

    def __init__(self, directory, expect=None):
        expect = expect or f"{directory}/expect"
        self.guest_in = files.read(f"{directory}/guest.pcap")
        paths = files.paths(directory)
        self.net_in = files.merge(*[files.read(f"{directory}/{n}.pcap") for n in paths])
        self.guest_out = files.read(f"{expect}/guest.pcap")
        self.net_out = files.merge(*[files.read(f"{expect}/{n}.pcap") for n in paths])
        self.found = []

    def say(self, us, text):
        self.found.append(f"{us / 1e6:.6f} {text}")

    # ---- packet by packet ----

    def headers(self):
        """Lengths and checksums of all that the gate sends."""
        passed = {bytes(p) for _, p in self.guest_in + self.net_in}
        for side, packets in (("net", self.net_out), ("guest", self.guest_out)):
            for us, p in packets:
                self.header(us, side, p, p in passed)

    def header(self, us, side, p, passed):
        four = p[0] >> 4 == 4
        head = (p[0] & 15) * 4 if four else 40
        total, = struct.unpack_from(">H", p, 2 if four else 4)
        total += 0 if four else 40
        if total != len(p):
            self.say(us, f"to the {side}: {len(p)} bytes, the header says {total}")
        if four and ones_sum(p[:head]) != 0xffff:
            self.say(us, f"to the {side}: wrong IP checksum")
        if p[9 if four else 6] != 6:
            return
        pseudo = (p[12:20] if four else p[8:40]) + struct.pack(">HH", 6, len(p) - head)
        if ones_sum(pseudo + p[head:]) != 0xffff:
            self.say(us, f"to the {side}: wrong TCP checksum")
        if len(p) > MTU and not passed and not p[head + 13] & SYN and not self.plain_super(p):
            self.say(us, f"to the {side}: {len(p)} bytes at an MTU of {MTU}")
        s = Segment.parse(us, p, len(p))
        if any(kind == -1 for kind, _ in s.options):
            self.say(us, f"to the {side}: options overrun their field")
        for kind in (8, 3, 2, 4):
            if sum(1 for k, _ in s.options if k == kind) > 1:
                self.say(us, f"to the {side}: option {kind} twice")

    def plain_super(self, p):
        """Passed by with its checksum completed."""
        head = (p[0] & 15) * 4 if p[0] >> 4 == 4 else 40
        bare = p[head:head + 16] + p[head + 18:]
        return any(bare == q[-len(bare) - 2:][:16] + q[-len(bare) - 2:][18:]
                   for _, q in self.guest_in + self.net_in if len(q) == len(p))

    # ---- conversations ----

    def segments(self):
        """(segment, side, way, is it from the guest's side) of all, by time."""
        events = files.merge(
            *[[(us, (side, way, p)) for us, p in packets] for side, way, packets in (
                ("guest", "in", self.guest_in), ("net", "in", self.net_in),
                ("net", "out", self.net_out), ("guest", "out", self.guest_out))])
        for us, (side, way, p) in events:
            s = Segment.parse(us / 1e6, p, len(p))
            if s is not None and PORT in (s.sport, s.dport):
                s.us = us
                yield s, side, way, (side == "guest") == (way == "in")

    def conversations(self):
        """Connections of one subflow as Talk, those that were joined as Joined."""
        talks, newest, joined = [], {}, set()
        for s, side, way, from_guest in self.segments():
            key = s.key() if from_guest else s.reverse()
            if way == "in" and s.flags & (SYN | ACK) == SYN:
                if is_join(s):
                    joined.add(key[1])          # at whatever address of the gate
                elif key not in newest or newest[key].first != s.seq:
                    newest[key] = Talk(self, key, s.seq, side == "net")
                    talks.append(newest[key])
            if key in newest:
                newest[key].take(s, side, way, from_guest)
        return [self.join(t) if t.called and t.key[1] in joined else t for t in talks]

    def join(self, talk):
        """The same conversation with all its subflows."""
        self.found = [f for f in self.found if f"port {talk.client_port()}:" not in f]
        out = Joined(self, talk.key)
        for s, side, way, from_guest in self.segments():
            if out.belongs(s, from_guest, side):
                out.take(s, side, way, from_guest)
        return out

    def tshark(self, senders):
        """An independent dissector: nothing malformed, checksums good. The frames in which it sees
        data without a mapping from one of these ports to the other."""
        with tempfile.NamedTemporaryFile(suffix=".pcap") as f:
            files.write(f.name, files.merge(self.net_in, self.net_out))
            out = wire.run(
                "tshark", "-r", f.name, "-o", "tcp.check_checksum:TRUE", "-o",
                "ip.check_checksum:TRUE", "-Y",
                f"tcp.port == {PORT} && !icmp && !icmpv6", "-T", "fields",
                "-e", "frame.number", "-e", "tcp.len", "-e", "tcp.checksum.status", "-e",
                "tcp.options.mptcp.datalvllen", "-e", "_ws.malformed", "-e", "tcp.srcport", "-e",
                "tcp.dstport")
        unmapped = []
        for line in out.splitlines():
            frame, length, status, mapped, malformed, *ports = line.split("\t")
            if tuple(map(int, ports)) not in senders:
                continue
            if malformed or status != "1":
                self.found.append(f"tshark: frame {frame}: checksum status {status} {malformed}")
            if length != "0" and not mapped and senders[tuple(map(int, ports))]:
                unmapped.append(frame)
        return unmapped


def is_join(s):
    return any(raw[2] >> 4 == 1 for raw in s.mptcp)


class Talk:
    """One connection as both sides saw it; `key`: guest first. `called`: the peer opened it."""

    def __init__(self, case, key, first, called):
        self.case, self.key, self.first, self.called = case, key, first, called
        self.net = wire.Connection(key)
        self.mine, self.peers = (self.net.server, self.net.client) if called else \
            (self.net.client, self.net.server)
        self.isn = self.peer_isn = None
        self.scale = {"guest": None, "peer": None}
        self.segments = []
        self.guest_acks = []        # (us, bytes of the peer's that the guest has acknowledged)
        self.guest_edge = self.peer_edge = None
        self.guest_tsvals = []
        self.told_tsval = None
        self.fell_back = False
        self.failing = False        # an MP_FAIL was sent or came
        self.guest_mptcp = False    # the guest itself speaks it: nothing may change

    def client_port(self):
        return self.key[3] if self.called else self.key[1]

    def say(self, s, text):
        self.case.say(s.us, f"port {self.client_port()}: {text}")

    def take(self, s, side, way, from_guest):
        s.from_guest = from_guest
        self.segments.append((s, side, way))
        if side == "net":
            self.net.take(s, from_guest != self.called)
        if s.flags & SYN:
            self.syn(s, from_guest)
        if side == "guest" and way == "in":
            self.from_guest(s)
        elif side == "guest":
            self.to_guest(s)
        elif way == "in":
            self.from_net(s)
        else:
            self.to_net(s)

    def syn(self, s, from_guest):
        self.guest_mptcp |= from_guest and bool(s.mptcp) and s is self.segments[0][0]
        shift = [o[2] for k, o in s.options if k == 3]
        self.scale["guest" if from_guest else "peer"] = shift[0] if shift else None
        if from_guest:
            self.isn = s.seq
        else:
            self.peer_isn = s.seq

    def shift(self, who):
        both = None not in self.scale.values()
        return self.scale[who] if both else 0

    def from_guest(self, s):
        for kind, raw in s.options:
            if kind == 8:
                self.guest_tsvals.append(struct.unpack_from(">I", raw, 2)[0])
        if s.flags & SYN or not s.flags & ACK or self.peer_isn is None:
            return
        acked = (s.ack - self.peer_isn - 1) & 0xffffffff
        if acked < 1 << 31 and (not self.guest_acks or acked > self.guest_acks[-1][1]):
            self.guest_acks.append((s.us, acked))
        edge = acked + (s.window << self.shift("guest"))
        if acked < 1 << 31:
            self.guest_edge = max(self.guest_edge or 0, edge)

    def to_guest(self, s):
        """I1, I2 and timestamps of what the guest is told."""
        for kind, raw in s.options:
            if kind == 8 and not s.flags & RST and (s.flags & (SYN | ACK)) != SYN:
                val, echo = struct.unpack_from(">II", raw, 2)
                if echo not in self.guest_tsvals:
                    self.say(s, f"the guest is echoed a timestamp {echo} that it never sent")
                told = val if self.told_tsval is None else self.told_tsval
                # after a fallback the peer's own segments pass, in whatever order they come
                if (val - told) & 0x80000000 and not self.fell_back:
                    self.say(s, f"the timestamp told to the guest goes back to {val}")
                self.told_tsval = val
            if kind == 30 and not self.guest_mptcp:
                self.say(s, "an MPTCP option reaches the guest")
        if s.flags & (SYN | RST) or self.plain():
            return
        acked = (s.ack - self.isn - 1) & 0xffffffff
        said = self.peers.acks[-1][1] if self.peers.acks else 0
        if not self.fell_back and acked > said:
            self.say(s, f"I1: the guest is told {acked}, the peer's DATA_ACK was {said}")
        edge = acked + (s.window << self.shift("peer"))
        if self.peer_edge is not None and edge > self.peer_edge:
            self.say(s, f"I2: the guest is told an edge of {edge}, the peer granted "
                     f"{self.peer_edge}")

    def from_net(self, s):
        if s.flags & SYN:
            self.peer_edge = s.window
        elif s.flags & ACK and self.mine.isn is not None:
            said = self.peers.acks[-1][1] if self.peers.acks else 0
            if self.plain() or self.fell_back:
                said = (s.ack - self.isn - 1) & 0xffffffff
            # RFC 8684 section 3.3.1: the window counts from the segment's DATA_ACK
            self.peer_edge = max(self.peer_edge or 0,
                                 said + (s.window << self.shift("peer")))
        if self.falls_back(s):
            self.fell_back = True
            self.peer_edge = ((s.ack - self.isn - 1) & 0xffffffff) + \
                (s.window << self.shift("peer"))

    def falls_back(self, s):
        """The peer no longer speaks Multipath TCP (RFC 8684 section 3.7)."""
        end = self.peers
        if self.plain() or not end.idsn or s.flags & (SYN | RST):
            return False
        self.failing |= any(raw[2] >> 4 == 6 for raw in s.mptcp)
        checksum = self.net.agreed_checksum()
        if any(raw[2] >> 4 == 2 and raw[3] & 4 and wire.Dss(raw, checksum).length == 0
               for raw in s.mptcp):
            return True
        return not s.mptcp and (not end.dss or self.failing or (
            s.len > 0 and end.map_at(end.relative(s.seq)) is None))

    def to_net(self, s):
        self.failing |= any(raw[2] >> 4 == 6 for raw in s.mptcp)
        if s.flags & (SYN | RST) or self.plain() or self.fell_back:
            return
        acked = self.guest_acks[-1][1] if self.guest_acks else 0
        told = self.mine.acks[-1][1] if self.mine.acks else 0
        if told > acked:
            self.say(s, f"I1: the peer is told DATA_ACK {told}, the guest acknowledged {acked}")
        edge = told + (s.window << self.shift("guest"))
        if self.guest_edge is not None and edge > self.guest_edge:
            self.say(s, f"I2: the peer is told an edge of {edge}, the guest granted "
                     f"{self.guest_edge}")

    def plain(self):
        return self.guest_mptcp or not (self.mine.capable and self.peers.capable)

    # ---- at the end ----

    def check_data(self):
        """I3: every byte on either side is the byte that belongs there."""
        for s, side, way in self.segments:
            if not s.len or s.flags & SYN:
                continue
            from_guest = s.from_guest
            at = self.offset(s, side, from_guest)
            if at is None:
                continue
            want = pattern("up" if from_guest else "down", max(at, 0), s.len)
            if s.payload != want and way == "out":
                self.say(s, f"to the {side}: wrong data at {at}: {s.payload[:32]}")

    def offset(self, s, side, from_guest):
        """Of the segment's first byte in the stream; None: no data of the stream."""
        end = self.mine if from_guest else self.peers
        isn = self.isn if from_guest else self.peer_isn
        if isn is None:
            return None
        at = (s.seq - isn - 1) & 0xffffffff
        if at >= 1 << 31:
            return None
        if side == "net" and not self.plain():
            ssn = end.relative(s.seq)
            mapped = end.map_at(ssn)
            if mapped:
                at = mapped[2] + (ssn - mapped[0]) - end.idsn - 1
        if s.len == 1 and self.acked_before(s, at, from_guest):
            return None             # a probe with an old byte
        return at

    def acked_before(self, s, at, from_guest):
        if from_guest:
            acks = [(int(t * 1e6), n) for t, n in self.peers.acks]
        else:
            acks = self.guest_acks
        i = bisect.bisect_right(acks, (s.us, 1 << 62)) - 1
        return i >= 0 and at < acks[i][1]

    def check_passed(self):
        """What belongs to a plain connection goes on as it came, but for the SYNs' options."""
        if not self.plain():
            return
        came = [(s.seq, s.ack, s.flags, s.window, s.options, s.payload)
                for s, _, way in self.segments if way == "in"]
        for s, side, way in self.segments:
            if way == "out" and (not s.flags & SYN or self.guest_mptcp) and \
                    (s.seq, s.ack, s.flags, s.window, s.options, s.payload) not in came:
                self.say(s, f"to the {side}: a plain connection's segment was changed")

    def check_dss_checksums(self):
        """RFC 8684 section 3.3.1, of what the gate sends, for mappings seen whole."""
        if self.plain() or not self.net.agreed_checksum():
            return 0
        data = {}                   # ssn -> byte, as sent first
        for s, side, way in self.segments:
            if side == "net" and way == "out" and s.len:
                at = self.mine.relative(s.seq)
                for i, byte in enumerate(s.payload):
                    data.setdefault(at + i, byte)
        checked = set()
        for s, side, way in self.segments:
            if side == "net" and way == "out":
                for raw in s.mptcp:
                    self.dss_checksum(s, raw, data, checked)
        return len(checked)

    def dss_checksum(self, s, raw, data, checked):
        subtype = raw[2] >> 4
        if subtype == 0 and len(raw) == 24:
            length, csum = struct.unpack_from(">HH", raw, 20)
            dsn, ssn, fin = self.mine.idsn + 1, 1, False
        elif subtype == 2 and raw[3] & 4:
            d = wire.Dss(raw, True)
            length, csum, ssn, fin = d.length, d.checksum, d.ssn, d.data_fin
            dsn = d.dsn if d.wide_dsn else wire.extend(d.dsn, self.mine.idsn)
            if length == 0:
                return              # infinite mapping
        else:
            return
        at = wire.extend(ssn, self.mine.relative(s.seq))
        try:
            payload = bytes(data[at + i] for i in range(length - fin))
        except KeyError:
            return                  # never sent whole in this capture
        pseudo = struct.pack(">QIHH", dsn & (1 << 64) - 1, ssn, length, csum)
        checked.add((at, length))
        if ones_sum(pseudo + payload) != 0xffff:
            self.say(s, f"wrong DSS checksum of the mapping {ssn}+{length}")


def verify(directory, allow=(), shows=(), tshark=True):
    """What is unlawful about a case, and a sentence on what was looked at. `allow`: what may be
    found; `shows`: patterns of lines that the case is there for (see show)."""
    c = Case(directory)
    c.headers()
    talks = c.conversations()
    single = [t for t in talks if isinstance(t, Talk)]
    n_csum = n_mapped = 0
    for t in single:
        t.check_data()
        t.check_passed()
        n_csum += t.check_dss_checksums()
        if not t.plain():
            c.found += t.net.found
            n_mapped += sum(end.dsn_high - end.idsn - 1 for end in (t.mine, t.peers)
                            if end.idsn is not None)
    senders = {(t.key[1], t.key[3]): not t.plain() for t in single}
    unmapped = c.tshark(senders) if tshark else ()
    if unmapped:
        c.found.append(f"tshark: no mapping in frames {' '.join(unmapped)}")
    left = [f for f in c.found if not any(a in f for a in allow)]
    unused = [a for a in allow if not any(a in f for f in c.found)]
    if unused and tshark:
        left.append(f"the case allows '{unused[0]}', which is not there any more")
    text = "\n".join(show.lines(directory))
    left += [f"it does not show '{want}'" for want in shows if not re.search(want, text)]
    modes = ["plain" if t.plain() else "MPTCP" for t in single] + \
        [t.summary() for t in talks if t not in single]
    return left, (f"{len(talks)} connections ({', '.join(modes)}), {n_mapped} bytes mapped, "
                  f"{n_csum} DSS checksums")
