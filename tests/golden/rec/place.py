# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a case is recorded: the namespaces, the recording gate, and sockets in the namespaces.

One process holds both ends' sockets, so that a scene is a script: what happens first is done
first, and nothing depends on who is faster.
"""
import select
import signal
import socket
import struct
import threading
import time

from lib import move, ns, topo
from lib.ns import Failure

from . import files
from .pattern import pattern

IPPROTO_MPTCP = 262
TCP_MD5SIG, TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 14, 19, 20, 21
SO_TIMESTAMPNS, PACKET_OUTGOING, SO_RCVBUFFORCE = 35, 4, 33
PORT, GUEST_PORT = 7001, 40001
AF = {4: socket.AF_INET, 6: socket.AF_INET6}

CONF = """# The gate of this case, when it was recorded and when it is replayed.
guests = {{ "guest0" }}
{paths}
memory_mb = 2
{extra}"""
PATH_A = 'path "a" { interface = "up-a" }'
# replay knows no interfaces: what is announced must stand there
BOTH_PATHS = (f'path "a" {{ interface = "up-a" address = "{topo.ADDR[4]["up-a"]}" }}\n'
              f'path "b" {{ interface = "up-b" address = "{topo.ADDR[4]["up-b"]}" }}')


def conf(scene):
    return CONF.format(paths=BOTH_PATHS if scene.both_paths else PATH_A, extra=scene.conf)


class Wire:
    """Every packet that arrives at an interface, as tcpdump would see it. They are read at once:
    a sender does not merge segments for a retransmission while anybody still holds one."""

    def __init__(self, where, interface):
        with where.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self.socket.bind((interface, 3))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.settimeout(0.2)
        self.over = False
        self.seen = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                data, extra, _, address = self.socket.recvmsg(262144, 64)
            except TimeoutError:
                if self.over:
                    return
                continue
            except OSError:         # the namespace is gone: the scene failed
                return
            if address[2] != PACKET_OUTGOING and data[0] >> 4 in (4, 6):
                seconds, nanoseconds = struct.unpack("qq", extra[0][2])
                self.seen.append((seconds * 1000000 + nanoseconds // 1000, data))

    def packets(self):
        self.over = True
        self.thread.join()
        self.socket.close()
        return self.seen


class Conn:
    """One end of a connection; both ends' data is a pattern that is checked."""

    def __init__(self, sock, word, other):
        self.sock, self.word, self.other = sock, word, other
        self.sent = self.received = 0
        sock.settimeout(10)

    def send(self, length, flags=0):
        self.sock.sendall(pattern(self.word, self.sent, length), flags)
        self.sent += length

    def pattern(self, length):
        """The next bytes, counted as sent."""
        self.sent += length
        return pattern(self.word, self.sent - length, length)

    def take_any(self, length):
        """So many bytes, whatever they are: something changed them on the way."""
        while length:
            data = self.sock.recv(length)
            if not data:
                raise Failure(f"{self.word}: the end of the data after {self.received} bytes")
            self.received += len(data)
            length -= len(data)

    def send_some(self):
        """As much as a socket that does not block takes."""
        self.sent += self.sock.send(pattern(self.word, self.sent, 4096))

    def expect(self, length):
        """Exactly so many bytes more, the right ones."""
        while length:
            self.take(length)
            length -= self.last

    def take(self, length):
        data = self.sock.recv(min(length, 262144))
        if not data:
            raise Failure(f"{self.word}: the end of the data after {self.received} bytes")
        if data != pattern(self.other, self.received, len(data)):
            raise Failure(f"{self.word}: wrong data after {self.received} bytes: {data[:64]}")
        self.received += len(data)
        self.last = len(data)

    def expect_end(self):
        data = self.sock.recv(1)
        if data:
            raise Failure(f"{self.word}: data where the end was expected: {data}")

    def expect_reset(self):
        try:
            data = self.sock.recv(1)
        except ConnectionResetError:
            return
        raise Failure(f"{self.word}: '{data}' where a reset was expected")

    def expect_broken(self):
        """The other end is gone: nothing can be sent any more."""
        try:
            self.sock.send(b"x")
        except (BrokenPipeError, ConnectionResetError):
            return
        raise Failure(f"{self.word}: the connection still takes data")

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


class Gate:
    """recgate in the gate's namespace."""

    def __init__(self, place, program, directory, text, both_paths):
        self.dir = directory
        self.conf, self.log = f"{directory}/mpgate.conf", f"{directory}/log"
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text)
        with open(f"{directory}/run.conf", "w", encoding="utf-8") as f:
            f.write(text + f'control = "{directory}/sock"\n')
        self.wires = {"guest.pcap": Wire(place.gate, "guest0"),
                      "a.pcap": Wire(place.gate, "up-a")}
        if both_paths:
            self.wires["b.pcap"] = Wire(place.gate, "up-b")
        with open(self.log, "wb") as log:
            self.process = ns.processes.start(
                ["ip", "netns", "exec", place.gate.name, program, f"{directory}/run.conf",
                 directory, files.SEED], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while "ready:" not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure("the gate does not start:\n" + self.text())
            time.sleep(0.02)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(10):
            raise Failure(f"the gate's exit code is {self.process.returncode}:\n" + self.text())
        ns.processes.stop(self.process)


class Place:
    def __init__(self, build, directory, scene):
        self.tools = f"{build}/tests/netns"
        self.topo = topo.Topology(**scene.topology)
        for side in topo.SIDES:
            setattr(self, side, getattr(self.topo, side))
        self.server.sh("sysctl -qw net.ipv4.tcp_tw_reuse=0 2>/dev/null || true")
        self.quiet()
        if scene.both_paths:        # one address each, as the configuration says
            for path in "ab":
                self.gate.sh(f"ip -6 addr flush dev up-{path} scope global")
        self.rules = []
        self.listeners = {}
        self.gate_process = Gate(self, f"{build}/tests/golden/recgate", directory,
                                 conf(scene), scene.both_paths)

    def quiet(self):
        """Nothing but the scene's own packets: no neighbour discovery in the middle of it."""
        for family in (4, 6):
            self.guest.sh(f"ping -{family} -q -c1 -W2 {topo.ADDR[family]['server']}")

    def small_packets(self, *devices):
        """No super-segments leave these devices ("gate:up-a")."""
        for device in devices:
            where, name = device.split(":")
            getattr(self, where).sh(f"ethtool -K {name} tso off gso off >/dev/null")

    # ---- sockets ----

    def listen(self, family=4, mptcp=True, port=PORT, prepare=None):
        with self.server.inside():
            s = socket.socket(AF[family], socket.SOCK_STREAM, IPPROTO_MPTCP if mptcp else 0)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if prepare:
            prepare(s)
        s.bind((topo.ADDR[family]["server"], port))
        s.listen(8)
        s.settimeout(10)
        self.listeners[family, port] = s
        return s

    def guest_socket(self, family=4, port=GUEST_PORT, isn=None, mptcp=False):
        with self.guest.inside():
            s = socket.socket(AF[family], socket.SOCK_STREAM, IPPROTO_MPTCP if mptcp else 0)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((topo.ADDR[family]["guest"], port))
        s.settimeout(20)
        if isn is not None:
            s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, 2)
            s.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("I", isn))
            s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)
        return s

    def pair(self, family=4, port=PORT, guest_port=GUEST_PORT, isn=None, mptcp=True,
             prepare=None, prepare_server=None, guest_mptcp=False):
        """A connection through the gate: (guest's end, server's end)."""
        if (family, port) not in self.listeners:
            self.listen(family, mptcp, port, prepare_server)
        g = self.guest_socket(family, guest_port, isn, guest_mptcp)
        g.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if prepare:
            prepare(g)
        g.connect((topo.ADDR[family]["server"], port))
        return Conn(g, "up", "down"), Conn(self.accept(family, port), "down", "up")

    def accept(self, family=4, port=PORT):
        s, _ = self.listeners[family, port].accept()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def listen_guest(self, family=4):
        """A plain service in the guest."""
        with self.guest.inside():
            s = socket.socket(AF[family], socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((topo.ADDR[family]["guest"], PORT))
        s.listen(8)
        s.settimeout(10)
        self.listeners["guest", family] = s

    def call(self, family=4, mptcp=True, port=GUEST_PORT):
        """The remote client's socket, connected to the guest's service."""
        with self.server.inside():
            s = socket.socket(AF[family], socket.SOCK_STREAM, IPPROTO_MPTCP if mptcp else 0)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.bind((topo.ADDR[family]["server"], port))
        s.settimeout(20)
        s.connect((topo.ADDR[family]["guest"], PORT))
        return Conn(s, "down", "up")

    def answer(self, family=4):
        s, _ = self.listeners["guest", family].accept()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Conn(s, "up", "down")

    def pair_called(self, family=4, port=GUEST_PORT):
        """A connection that the remote client opens: (guest's end, client's end). "Up" is from the
        guest, as ever."""
        if ("guest", family) not in self.listeners:
            self.listen_guest(family)
        s = self.call(family, port=port)
        return self.answer(family), s

    def talked(self, family=4, called=False):
        """A connection over which both ends have spoken once; `called`: the remote client opened
        it."""
        g, s = self.pair_called(family) if called else self.pair(family)
        self.talk(g, s)
        return g, s

    def exchange(self, g, s, up, down, timeout_s=20):
        """So many bytes each way at the same time, as fast as it goes."""
        want = {g: [up, down], s: [down, up]}
        deadline = time.monotonic() + timeout_s
        for end in want:
            end.sock.setblocking(False)
        while any(any(w) for w in want.values()):
            readers = [e.sock for e in want if want[e][1]]
            writers = [e.sock for e in want if want[e][0]]
            ready, free, _ = select.select(readers, writers, [], 1)
            if time.monotonic() > deadline:
                raise Failure(f"nothing more after {g.received} and {s.received} bytes")
            for end, left in want.items():
                if end.sock in free:
                    n = end.sock.send(pattern(end.word, end.sent, min(left[0], 65536)))
                    end.sent += n
                    left[0] -= n
                if end.sock in ready:
                    end.take(left[1])
                    left[1] -= end.last
        for end in want:
            end.sock.settimeout(10)

    def talk(self, g, s, rounds=1, up=600, down=900):
        """Question and answer, one after the other."""
        for _ in range(rounds):
            g.send(up)
            s.expect(up)
            s.send(down)
            g.expect(down)

    def hear(self, *ends, seconds=1):
        """Whatever comes, right data or an end or a reset; then the ends are closed."""
        deadline = time.monotonic() + seconds
        for end in ends:
            end.sock.settimeout(0.1)
        over = set()
        while len(over) < len(ends) and time.monotonic() < deadline:
            for end in ends:
                try:
                    if end not in over and not end.sock.recv(1, socket.MSG_PEEK):
                        over.add(end)
                    elif end not in over:
                        end.take(65536)
                except TimeoutError:
                    continue
                except ConnectionResetError:
                    over.add(end)
        for end in ends:
            end.close()
        self.rest()

    def close(self, first, second):
        """`first` ends its data, then `second`; both are closed."""
        first.end()
        second.expect_end()
        second.end()
        first.expect_end()
        self.rest(0.1)
        first.close()
        second.close()
        self.rest()

    def abort(self, one, other, quiet_s=0.1):
        """`one` resets, `other` hears of it."""
        self.rest(quiet_s)
        one.reset()
        other.expect_reset()
        self.rest()

    def rest(self, seconds=0.3):
        time.sleep(seconds)

    # ---- mishaps on the way ----

    def middlebox(self, options):
        """mbox between gate and server; its counts() ends it."""
        return move.Middlebox(self.net, self.tools, options)

    def drop(self, where, match, nth=1, chain="FORWARD", family=4, verdict="DROP"):
        """Drops the nth packet that matches, once. Recording fails unless it did."""
        tool = "iptables" if family == 4 else "ip6tables"
        rule = (f"{chain} -p tcp {match} -m statistic --mode nth --every 100000 "
                f"--packet {nth - 1} -j {verdict}")
        getattr(self, where).sh(f"{tool} -I {rule}")
        self.rules.append((where, tool, chain))

    def check_drops(self):
        for where, tool, chain in self.rules:
            name = chain.split(" -t ")
            table = name[1] if len(name) > 1 else "filter"
            text = getattr(self, where).sh(f"{tool} -t {table} -nvxL {name[0]}")
            for line in text.splitlines():
                if "statistic" in line and line.split()[0] == "0":
                    raise Failure(f"never dropped: {line}")

    def remove(self):
        for s in self.listeners.values():
            s.close()
        self.topo.remove()
