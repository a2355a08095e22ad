# SPDX-License-Identifier: GPL-2.0-or-later
"""An independent look at a capture of the net side: is every byte mapped, and lawfully?

Written from RFC 8684 alone; shares nothing with the engine. One object per connection and
direction follows sequence numbers, keys, mappings and DATA_ACKs.
"""
import bisect
import hashlib
import struct

from .ns import Failure, run

MPTCP = 30
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def read_pcap(path):
    """(seconds, bytes from the IP header on, original length) of each packet."""
    with open(path, "rb") as f:
        data = f.read()
    magic, = struct.unpack_from("<I", data)
    scale = {0xa1b2c3d4: 1e6, 0xa1b23c4d: 1e9}[magic]
    link = {1: 14, 101: 0, 113: 16, 276: 20}[struct.unpack_from("<I", data, 20)[0]]
    at = 24
    while at + 16 <= len(data):
        sec, sub, caplen, length = struct.unpack_from("<IIII", data, at)
        at += 16
        if at + caplen > len(data):
            break
        yield sec + sub / scale, data[at + link:at + caplen], length - link
        at += caplen


class Segment:
    """One TCP segment; None from parse() for anything else."""

    @staticmethod
    def parse(time, ip, length):
        s = Segment()
        s.time = time
        if ip[0] >> 4 == 4:
            if ip[9] != 6:
                return None
            head = (ip[0] & 15) * 4
            s.src, s.dst = ip[12:16], ip[16:20]
            total = struct.unpack_from(">H", ip, 2)[0] or length
        else:
            if ip[6] != 6:
                return None
            head = 40
            s.src, s.dst = ip[8:24], ip[24:40]
            total = (struct.unpack_from(">H", ip, 4)[0] or length - 40) + 40
        s.sport, s.dport, s.seq, s.ack, off, s.flags, s.window = struct.unpack_from(
            ">HHIIBBH", ip, head)
        tcp = (off >> 4) * 4
        s.len = total - head - tcp
        s.payload = ip[head + tcp:head + tcp + s.len]
        s.options, s.option_bytes = options(ip[head + 20:head + tcp]), tcp - 20
        s.mptcp = [o for k, o in s.options if k == MPTCP]
        return s

    def key(self):
        return (self.src, self.sport, self.dst, self.dport)

    def reverse(self):
        return (self.dst, self.dport, self.src, self.sport)


def options(raw):
    out, i = [], 0
    while i < len(raw):
        kind = raw[i]
        if kind == 0:
            break
        if kind == 1:
            i += 1
            continue
        if i + 1 >= len(raw) or raw[i + 1] < 2 or i + raw[i + 1] > len(raw):
            out.append((-1, raw[i:]))
            break
        out.append((kind, raw[i:i + raw[i + 1]]))
        i += raw[i + 1]
    return out


class Dss:
    """A DSS option taken apart (RFC 8684 section 3.3)."""

    def __init__(self, raw, checksum):
        flags, at = raw[3], 4
        self.data_fin = bool(flags & 16)
        self.data_ack = self.dsn = self.checksum = None
        self.wide_ack, self.wide_dsn = bool(flags & 2), bool(flags & 8)
        if flags & 1:
            n = 8 if self.wide_ack else 4
            self.data_ack = int.from_bytes(raw[at:at + n], "big")
            at += n
        if flags & 4:
            n = 8 if self.wide_dsn else 4
            self.dsn = int.from_bytes(raw[at:at + n], "big")
            self.ssn, self.length = struct.unpack_from(">IH", raw, at + n)
            at += n + 6
            if checksum:
                if at + 2 > len(raw):
                    raise ValueError("a mapping without the checksum that was agreed on")
                self.checksum, = struct.unpack_from(">H", raw, at)
                at += 2
        if at != len(raw):
            raise ValueError(f"DSS of {len(raw)} bytes, {at} expected: {raw.hex()}")


class Direction:
    """What one end has sent. Sequence numbers count from the ISN, the first byte being 1."""

    def __init__(self, who):
        self.who = who
        self.isn = None
        self.capable = self.checksum = False
        self.key = self.idsn = None
        self.starts = []        # of mappings, sorted
        self.maps = {}          # start -> (length, dsn)
        self.offset = None      # dsn - ssn of the newest mapping
        self.high = 1           # next new ssn
        self.dsn_high = None    # next new dsn
        self.data_ack = None
        self.segments = self.dss = self.zero_windows = 0
        self.fin = self.data_fin = self.rst = self.fastclose = False
        self.acks = []          # (time, bytes of the other that a DATA_ACK covers)

    def learn_key(self, key):
        digest = hashlib.sha256(key).digest()
        self.key, self.idsn = key, int.from_bytes(digest[-8:], "big")
        self.offset, self.dsn_high = self.idsn, self.idsn + 1

    def mapped_bytes(self):
        """Of the data stream, probes of a closed window not counted twice."""
        return self.dsn_high - self.idsn - 1

    def relative(self, seq):
        return extend((seq - self.isn) & 0xffffffff, self.high)

    def map_at(self, ssn):
        """(start, length, dsn) of the mapping that holds this byte, or None."""
        i = bisect.bisect_right(self.starts, ssn) - 1
        while i >= 0:
            start = self.starts[i]
            length, dsn = self.maps[start]
            if start + length > ssn:
                return start, length, dsn
            if ssn - start > 65536 * 2:
                break
            i -= 1
        return None

    def add_map(self, ssn, length, dsn):
        """None, or what is wrong with it."""
        old = self.map_at(ssn)
        wrong = None
        if old:
            if old[2] - old[0] != dsn - ssn:
                wrong = f"ssn {ssn} was mapped with another dsn before"
        elif length == 1 and dsn < self.dsn_high and ssn >= self.high:
            self.offset = dsn - ssn     # a window probe: one old byte at a new ssn
        elif ssn >= self.high and dsn - ssn != self.offset:
            if dsn - ssn == self.offset + 1 or dsn - ssn > self.offset or dsn > self.dsn_high:
                wrong = f"dsn {dsn - self.idsn} at ssn {ssn} leaves a gap"
            if dsn == self.dsn_high:    # what follows after a probe
                wrong = None
            self.offset = dsn - ssn
        if ssn not in self.maps:
            bisect.insort(self.starts, ssn)
            self.maps[ssn] = (length, dsn)
        elif length > self.maps[ssn][0]:
            self.maps[ssn] = (length, dsn)
        self.dsn_high = max(self.dsn_high, dsn + length)
        return wrong

    def covered(self, at, end):
        while at < end:
            found = self.map_at(at)
            if not found:
                return False
            at = found[0] + found[1]
        return True


def extend(narrow, near):
    """The number with these low 32 bits that is closest to `near`."""
    value = (near & ~0xffffffff) + narrow
    return min((value - (1 << 32), value, value + (1 << 32)), key=lambda v: abs(v - near))


class Connection:
    def __init__(self, key):
        self.key = key
        self.client, self.server = Direction("client"), Direction("server")
        self.plain = False
        self.found = []
        self.first_time = None

    def say(self, s, who, text):
        if len(self.found) < 20:
            self.found.append(f"port {self.key[1]} at {s.time - self.first_time:.6f} s: "
                              f"{who.who}: {text}")

    def take(self, s, from_client):
        me, other = (self.client, self.server) if from_client else (self.server, self.client)
        if self.first_time is None:
            self.first_time = s.time
        if any(k == -1 for k, _ in s.options):
            self.say(s, me, "options overrun their field")
        if s.flags & SYN:
            self.syn(s, me)
        elif not (self.client.capable and self.server.capable):
            self.plain = True
            if s.mptcp and not s.flags & RST and self.server.isn is not None:
                self.say(s, me, "MPTCP option on a plain connection")
        else:
            for raw in s.mptcp:
                self.option(s, me, other, raw)
            self.data(s, me)
            me.zero_windows += s.window == 0 and not s.flags & RST
        me.rst |= bool(s.flags & RST)
        me.fin |= bool(s.flags & FIN)

    def syn(self, s, me):
        me.isn = s.seq
        capable = [o for o in s.mptcp if o[2] >> 4 == 0]
        me.capable = bool(capable)
        if not capable:
            return
        raw = capable[0]
        if raw[2] & 15 != 1 or raw[3] & 0x1f != 1:
            self.say(s, me, f"MP_CAPABLE {raw.hex()}: version 1 and flag H expected")
        if len(raw) != (12 if s.flags & ACK else 4):
            self.say(s, me, f"MP_CAPABLE of {len(raw)} bytes on a SYN")
        me.checksum = bool(raw[3] & 0x80)
        if s.flags & ACK:
            me.learn_key(raw[4:12])

    def agreed_checksum(self):
        return self.client.checksum or self.server.checksum

    def option(self, s, me, other, raw):
        subtype = raw[2] >> 4
        if subtype == 0:
            self.capable_late(s, me, other, raw)
        elif subtype == 2:
            try:
                dss = Dss(raw, self.agreed_checksum())
            except (ValueError, struct.error, IndexError) as e:
                self.say(s, me, str(e))
                return
            me.dss += 1
            if dss.data_ack is not None:
                self.take_data_ack(s, me, other, dss)
            if dss.dsn is not None:
                self.take_mapping(s, me, dss)
        elif subtype == 7:
            me.fastclose = True
        elif subtype == 6:
            self.say(s, me, "MP_FAIL")

    def capable_late(self, s, me, other, raw):
        if me is not self.client or len(raw) not in (20, 22, 24):
            self.say(s, me, f"MP_CAPABLE of {len(raw)} bytes after the handshake")
            return
        if me.key is None:
            me.learn_key(raw[4:12])
        if raw[4:12] != me.key or raw[12:20] != other.key:
            self.say(s, me, f"keys {raw[4:20].hex()} are not those agreed on")
        at = me.relative(s.seq)
        if at != 1 and (len(raw) < 22 or at > struct.unpack_from(">H", raw, 20)[0]):
            self.say(s, me, "MP_CAPABLE elsewhere than at the first data")
        if len(raw) >= 22:
            if (len(raw) == 24) != self.agreed_checksum():
                self.say(s, me, "MP_CAPABLE with data: checksum not as agreed")
            self.map(s, me, 1, struct.unpack_from(">H", raw, 20)[0], me.idsn + 1)
        elif s.len:
            self.say(s, me, f"MP_CAPABLE without a length on {s.len} bytes of data")

    def take_data_ack(self, s, me, other, dss):
        if other.idsn is None:
            self.say(s, me, "DATA_ACK before the other's key was heard")
            return
        near = me.data_ack or other.idsn + 1
        ack = dss.data_ack
        if not dss.wide_ack:
            ack = extend(ack, near)
        if ack > other.dsn_high + other.data_fin:
            self.say(s, me, f"DATA_ACK {ack - other.idsn - 1} beyond the "
                     f"{other.dsn_high - other.idsn - 1} bytes sent")
        if ack <= other.idsn:
            self.say(s, me, "DATA_ACK below the connection's start")
        if ack > near or me.data_ack is None:
            me.data_ack = ack
            me.acks.append((s.time, ack - other.idsn - 1))

    def take_mapping(self, s, me, dss):
        if me.idsn is None:
            self.say(s, me, "mapping before its key was heard")
            return
        if dss.length == 0:
            self.say(s, me, "infinite mapping")
            return
        length = dss.length - dss.data_fin
        dsn = dss.dsn if dss.wide_dsn else extend(dss.dsn, me.dsn_high)
        if dss.data_fin:
            if me.data_fin and dsn + length != me.fin_dsn:
                self.say(s, me, "a second DATA_FIN at another place")
            me.data_fin, me.fin_dsn = True, dsn + length
        if length:
            self.map(s, me, extend(dss.ssn, me.high), length, dsn)

    def map(self, s, me, ssn, length, dsn):
        if s.len and ssn > me.relative(s.seq):
            self.say(s, me, f"mapping at {ssn} starts after its data at {me.relative(s.seq)}")
        wrong = me.add_map(ssn, length, dsn)
        if wrong:
            self.say(s, me, wrong)

    def data(self, s, me):
        if not s.len:
            return
        at = me.relative(s.seq)
        if at < 1 or (s.len == 1 and at == me.high - 1):
            return              # keepalive
        me.segments += 1
        if not me.covered(at, at + s.len):
            self.say(s, me, f"data {at}..{at + s.len} has no mapping")
        me.high = max(me.high, at + s.len)


def connections(path, port=7001):
    """Every connection to that port in the capture, in order of its SYN."""
    out, newest = [], {}
    for time, ip, length in read_pcap(path):
        s = Segment.parse(time, ip, length)
        if s is None or port not in (s.sport, s.dport):
            continue
        from_client = s.dport == port
        key = s.key() if from_client else s.reverse()
        fresh = s.flags & SYN and not s.flags & ACK
        if key not in newest or (fresh and newest[key].client.isn not in (None, s.seq)):
            newest[key] = Connection(key)
            out.append(newest[key])
        newest[key].take(s, from_client)
    return [c for c in out if c.client.isn is not None]     # the rest began before


def check_mapped(path, count=1, port=7001):
    """Every connection is Multipath TCP and lawful; returns them."""
    found = connections(path, port)
    if len(found) != count:
        raise Failure(f"{path}: {len(found)} connections captured, not {count}")
    for c in found:
        if c.plain or not c.client.capable or not c.server.capable:
            raise Failure(f"{path}: port {c.key[1]}: plain TCP on the wire")
        if c.found:
            raise Failure(f"{path}: " + "\n".join(c.found))
    return found


def check_honest(net_path, guest_path, port=7001):
    """I1: no acknowledgement to the guest before the peer's DATA_ACK, none to the peer before the
    guest's. Both captures are of the gate's own interfaces, so their clock is the same."""
    net = connections(net_path, port)[0]
    checks = {"to_guest": 0, "to_net": 0}
    peer, isn, acked = net.server.acks, {}, []
    for time, ip, length in read_pcap(guest_path):
        s = Segment.parse(time, ip, length)
        if s is None or port not in (s.sport, s.dport) or net.key[1] not in (s.sport, s.dport):
            continue        # leavings of connections before
        from_guest = s.dport == port
        if s.flags & SYN:
            isn[from_guest] = s.seq
            continue
        if not s.flags & ACK or s.flags & RST:
            continue
        covered = (s.ack - isn[not from_guest] - 1) & 0xffffffff
        if from_guest:
            if not acked or covered > acked[-1][1]:
                acked.append((s.time, covered))
            continue
        i = bisect.bisect_right(peer, (s.time, 1 << 62)) - 1
        promised = peer[i][1] if i >= 0 else 0
        checks["to_guest"] += 1
        if covered > promised:
            raise Failure(f"I1: guest told {covered} at {s.time:.6f}, the peer's DATA_ACK was "
                          f"{promised}")
    for time, covered in net.client.acks:
        i = bisect.bisect_right(acked, (time, 1 << 62)) - 1
        promised = acked[i][1] if i >= 0 else 0
        checks["to_net"] += 1
        if covered > promised:
            raise Failure(f"I1: peer told DATA_ACK {covered} at {time:.6f}, the guest's "
                          f"acknowledgement was {promised}")
    if not checks["to_guest"] or not checks["to_net"]:
        raise Failure(f"nothing to check: {checks}")
    return checks


def tshark_unmapped(path, port=7001):
    """Data segments in which tshark, an independent dissector, sees no mapping; and all."""
    out = run("tshark", "-r", path, "-Y", f"tcp.port == {port} && tcp.len > 0", "-T", "fields",
              "-e", "frame.number", "-e", "tcp.options.mptcp.datalvllen", timeout=300)
    lines = [line.split("\t") for line in out.splitlines()]
    return [n for n, mapping in lines if not mapping], len(lines)
