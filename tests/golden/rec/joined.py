# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges a connection of several subflows that a remote client opened: the proofs of each join,
every byte's mapping on whatever subflow, honest DATA_ACKs, what is said to joins that are refused.
From the bytes and RFC 8684 alone, as check.py does for a single subflow.
"""
import hashlib
import hmac
import struct

from lib import wire
from lib.wire import ACK, RST, SYN

from .pattern import pattern

CAPABLE, JOIN, DSS, ADD_ADDR, TCPRST = 0, 1, 2, 3, 8


def find(s, subtype):
    return next((raw for raw in s.mptcp if raw[2] >> 4 == subtype), None)


def digest(key_one, key_two, message):
    return hmac.new(key_one + key_two, message, hashlib.sha256).digest()


class Subflow:
    """One TCP connection of the net side; sequence numbers count from the ISN."""

    def __init__(self, key, isn, nonce):
        self.key = key
        self.isn = {False: isn}         # by from_gate
        self.nonce = {False: nonce}     # None: the initial one
        self.proved = nonce is None
        self.refused = False
        self.maps = {False: [], True: []}

    def relative(self, s, from_gate):
        return (s.seq - self.isn[from_gate]) & 0xffffffff

    def dsn_at(self, ssn, from_gate):
        for start, length, dsn in reversed(self.maps[from_gate]):
            if start <= ssn < start + length:
                return dsn + ssn - start
        return None


class Joined:
    def __init__(self, case, key):
        self.case, self.key = case, key
        self.subflows = {}
        self.keys, self.idsn = {}, {}           # by from_gate
        self.guest_isn = self.guest_acked = self.peer_isn = None
        self.data_ack = {False: 0, True: 0}     # bytes; what that end has acknowledged
        self.mapped = 0
        self.refused = self.announced = 0

    def say(self, s, text):
        self.case.say(s.us, f"port {self.key[3]}: {text}")

    def belongs(self, s, from_guest, side):
        key = s.key() if from_guest else s.reverse()
        return key == self.key if side == "guest" else key[1] == self.key[1]

    def take(self, s, side, way, from_guest):
        if side == "net":
            self.net(s, way == "out")
        elif way == "in":
            self.from_guest(s)
        else:
            self.to_guest(s)

    # ---- the guest's side ----

    def from_guest(self, s):
        if s.flags & SYN:
            self.guest_isn = s.seq
        elif s.flags & ACK and self.peer_isn is not None:
            acked = (s.ack - self.peer_isn - 1) & 0xffffffff
            if acked < 1 << 31:
                self.guest_acked = max(self.guest_acked or 0, acked)

    def to_guest(self, s):
        if s.mptcp:
            self.say(s, "an MPTCP option reaches the guest")
        if s.flags & SYN:
            self.peer_isn = s.seq
            return
        at = (s.seq - self.peer_isn - 1) & 0xffffffff
        if s.len and s.payload != pattern("down", at, s.len) and at < 1 << 31:
            self.say(s, f"to the guest: wrong data at {at}")
        acked = (s.ack - self.guest_isn - 1) & 0xffffffff
        if not s.flags & RST and acked > self.data_ack[False]:
            self.say(s, f"I1: the guest is told {acked}, the DATA_ACK was {self.data_ack[False]}")

    # ---- the net's ----

    def net(self, s, from_gate):
        key = s.key() if from_gate else s.reverse()
        if s.flags & (SYN | ACK) == SYN and not from_gate:
            join = find(s, JOIN)
            if key not in self.subflows or self.subflows[key].isn[False] != s.seq:
                self.subflows[key] = Subflow(key, s.seq, join[8:12] if join else None)
                self.subflows[key].token = join[4:8] if join else None
            return
        flow = self.subflows.get(key)
        if flow is None:
            return
        if s.flags & RST:
            self.reset(s, flow, from_gate)
        elif s.flags & SYN:
            self.synack(s, flow)
        else:
            self.segment(s, flow, from_gate)

    def learn(self, key, from_gate):
        self.keys[from_gate] = key
        self.idsn[from_gate] = int.from_bytes(hashlib.sha256(key).digest()[-8:], "big")

    def synack(self, s, flow):
        flow.isn[True] = s.seq
        raw = find(s, CAPABLE)
        if flow.nonce[False] is None:
            self.learn(raw[4:12], True)
            return
        raw = find(s, JOIN)
        flow.nonce[True] = raw[12:16]
        token = hashlib.sha256(self.keys[True]).digest()[:4]
        if flow.token != token:
            self.say(s, "a join with another token is answered")
        want = digest(self.keys[True], self.keys[False], flow.nonce[True] + flow.nonce[False])
        if raw[4:12] != want[:8]:
            self.say(s, "wrong HMAC on a join's SYN/ACK")

    def reset(self, s, flow, from_gate):
        if not from_gate or flow.proved:
            return
        self.refused += 1
        flow.refused = True
        if not find(s, TCPRST):
            self.say(s, "a join is refused without MP_TCPRST")

    def segment(self, s, flow, from_gate):
        raw = find(s, CAPABLE)
        if raw and not from_gate and len(raw) >= 20:
            self.learn(raw[4:12], False)
            if len(raw) >= 22:
                length, = struct.unpack_from(">H", raw, 20)
                self.map(s, flow, False, 1, length, self.idsn[False] + 1)
        raw = find(s, JOIN)
        if raw and not from_gate:
            want = digest(self.keys[False], self.keys[True],
                          flow.nonce[False] + flow.nonce[True])
            flow.proved |= raw[4:24] == want[:20]
        if from_gate and not flow.proved:
            self.say(s, "the gate sends on a subflow that is not proved")
        raw = find(s, ADD_ADDR)
        if raw and from_gate and not raw[2] & 1:
            self.add_addr(s, raw)
        raw = find(s, DSS)
        if raw:
            self.dss(s, flow, from_gate, wire.Dss(raw, False))
        if s.len:
            self.data(s, flow, from_gate)

    def add_addr(self, s, raw):
        """Section 3.4.1: id, address and port 0, by the key of who announces."""
        self.announced += 1
        want = digest(self.keys[True], self.keys[False], raw[3:-8] + b"\0\0")
        if raw[-8:] != want[-8:]:
            self.say(s, "wrong HMAC in an ADD_ADDR")

    def dss(self, s, flow, from_gate, d):
        if d.data_ack is not None:
            base = self.idsn[not from_gate]
            ack = d.data_ack if d.wide_ack else wire.extend(d.data_ack, base)
            told = ack - base - 1
            self.data_ack[from_gate] = max(self.data_ack[from_gate], told)
            if from_gate and told > (self.guest_acked or 0):
                self.say(s, f"I1: the peer is told DATA_ACK {told}, the guest acknowledged "
                         f"{self.guest_acked}")
        if d.dsn is not None and d.length > d.data_fin:
            dsn = d.dsn if d.wide_dsn else wire.extend(d.dsn, self.idsn[from_gate])
            self.map(s, flow, from_gate, d.ssn, d.length - d.data_fin, dsn)

    def map(self, s, flow, from_gate, ssn, length, dsn):
        old = flow.dsn_at(ssn, from_gate)
        if old is not None and old != dsn:
            self.say(s, f"ssn {ssn} was mapped with another dsn before")
        if old is None or (ssn, length, dsn) not in flow.maps[from_gate]:
            flow.maps[from_gate].append((ssn, length, dsn))
            self.mapped += length

    def data(self, s, flow, from_gate):
        at = flow.relative(s, from_gate)
        for i in range(s.len):
            dsn = flow.dsn_at(at + i, from_gate)
            if dsn is None:
                self.say(s, f"data {at + i} has no mapping")
                return
            offset = dsn - self.idsn[from_gate] - 1
            if s.payload[i:i + 1] != pattern("up" if from_gate else "down", offset, 1):
                self.say(s, f"wrong data at {offset}")
                return

    # ---- at the end ----

    def summary(self):
        proved = sum(f.proved for f in self.subflows.values())
        return (f"{proved} subflows, {self.refused} joins refused, {self.announced} addresses "
                f"announced, {self.mapped} bytes mapped")
