# SPDX-License-Identifier: GPL-2.0-or-later
"""An attacker: hears what passes an interface, and sends TCP segments of its own making with
whatever addresses and options it likes. Knows MPTCP from RFC 8684 alone, as wire.py does.
"""
import hashlib
import os
import socket
import struct
import time

from . import wire
from .ns import Failure
from .wire import ACK, RST, SYN

AF = {4: socket.AF_INET, 16: socket.AF_INET6}
PACKET_ANY = 3          # ETH_P_ALL


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def segment(src, dst, sport, dport, seq, ack, flags, options=b"", payload=b"", window=1000):
    """The packet from its IP header on; addresses as in Segment, packed."""
    options += b"\x01" * (-len(options) % 4)
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff,
                      (20 + len(options)) << 2, flags, window, 0, 0) + options + payload
    pseudo = src + dst + struct.pack(">HH", 6, len(tcp))
    check = ~ones_sum(pseudo + tcp) & 0xffff
    tcp = tcp[:16] + struct.pack(">H", check) + tcp[18:]
    if len(src) == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + src + dst
        return head[:10] + struct.pack(">H", ~ones_sum(head) & 0xffff) + head[12:] + tcp
    return struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + src + dst + tcp


def option(subtype, low, body):
    """An MPTCP option: `low` is the half byte beside the subtype."""
    return struct.pack("BBB", wire.MPTCP, 3 + len(body), subtype << 4 | low) + body


def join_syn(token, nonce, address_id=9):
    return option(1, 0, struct.pack(">BII", address_id, token, nonce))


def join_ack(digest):
    return option(1, 0, b"\0" + digest[:20])


def add_addr(address, address_id, digest):
    return option(3, 0, bytes([address_id]) + address + digest[:8])


def fastclose(key):
    return option(7, 0, b"\0" + key)


def tcprst_reason(s):
    """Of a RST's MP_TCPRST; None when it has none."""
    found = [raw[3] for raw in s.mptcp if raw[2] >> 4 == 8]
    return found[0] if found else None


def token_of(synack):
    """By which the connection that this SYN/ACK with MP_CAPABLE belongs to is joined."""
    key = next(raw[4:12] for raw in synack.mptcp if raw[2] >> 4 == 0)
    return int.from_bytes(hashlib.sha256(key).digest()[:4], "big")


def join_of(s):
    """(token, nonce) of an MP_JOIN SYN, or None."""
    for raw in s.mptcp:
        if raw[2] >> 4 == 1 and len(raw) == 12 and s.flags & (SYN | ACK) == SYN:
            return struct.unpack_from(">II", raw, 4)
    return None


class Attacker:
    """In the namespace `where`, which routes; hears the interface."""

    def __init__(self, where, interface):
        with where.inside():
            self.ears = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                      socket.htons(PACKET_ANY))
            self.ears.bind((interface, PACKET_ANY))
            self.mouths = {4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
                           16: socket.socket(socket.AF_INET6, socket.SOCK_RAW,
                                             socket.IPPROTO_RAW)}
        self.interface = interface
        self.ears.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)   # SO_RCVBUFFORCE
        self.heard = []

    def listen(self):
        """Takes in what has come up to now."""
        self.ears.setblocking(False)
        while True:
            try:
                data, address = self.ears.recvfrom(65536)
            except BlockingIOError:
                return
            if address[1] in (0x0800, 0x86dd):
                s = wire.Segment.parse(time.monotonic(), data, len(data))
                if s:
                    self.heard.append(s)

    def wait(self, what, condition, timeout_s=10, since=0):
        """The first segment heard, from number `since` on, for which the condition holds."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.listen()
            for s in self.heard[since:]:
                if condition(s):
                    return s
            time.sleep(0.01)
        raise Failure(f"{what}: not heard within {timeout_s} s")

    def mark(self):
        self.listen()
        return len(self.heard)

    def last(self, condition):
        self.listen()
        found = [s for s in self.heard if condition(s)]
        if not found:
            raise Failure("no such segment was heard")
        return found[-1]

    def say(self, src, dst, *args, **kwargs):
        packet = segment(src, dst, *args, **kwargs)
        to = (socket.inet_ntop(AF[len(dst)], dst), 0)
        self.mouths[len(src)].sendto(packet, to)

    def push(self, s, flags, mac, options=b"", payload=b""):
        """As `after`, but out of the interface to that neighbour, wherever the address is."""
        packet = segment(s.src, s.dst, s.sport, s.dport, s.seq + s.len, s.ack, flags, options,
                         payload)
        self.ears.sendto(packet, (self.interface, 0x0800 if len(s.src) == 4 else 0x86dd, 0, 0,
                                  mac))

    def after(self, s, flags, options=b"", payload=b"", **kwargs):
        """As the sender of `s` would go on."""
        end = s.seq + s.len + bool(s.flags & SYN) + bool(s.flags & 1)
        self.say(s.src, s.dst, s.sport, s.dport, end, s.ack, flags, options, payload, **kwargs)

    def stop(self):
        for one in (self.ears, *self.mouths.values()):
            one.close()


def some_hmac():
    return os.urandom(32)
