# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves data between two namespaces and judges what came of it."""
import json
import os
import select
import signal
import subprocess
import time

from . import ns
from .ns import Failure
from .topo import ADDR

PORT = 7001
READY_S = 20        # for a program to begin, on a machine that is busy
# Counters of the server's kernel that a healthy connection never moves. (RcvWndConflict is none of
# them: it grows whenever two subflows move the window at once, between two kernels as well.)
MUST_NOT_GROW = (
    "MPCapableFallbackACK", "MPCapableFallbackSYNACK", "MPFallbackTokenInit", "DSSNotMatching",
    "DSSCorruptionFallback", "DSSCorruptionReset", "InfiniteMapTx", "InfiniteMapRx",
    "DSSNoMatchTCP", "DataCsumErr", "NoDSSInWindow", "MPFailTx", "MPFailRx",
    "MPCapableDataFallback", "MD5SigFallback", "DssFallback", "SimultConnectFallback",
    "FallbackFailed",
)
RESET_COUNTERS = ("MPFastcloseTx", "MPFastcloseRx", "MPRstTx", "MPRstRx")


LISTENS_OR_OVER = ("0A", "06")      # of /proc/net/tcp: LISTEN, TIME_WAIT


def settle(*sides, timeout_s=5):
    """Until these have no TCP socket that is still at work: what connections before have left would
    be counted among what comes. Some wait for long, as for an end that does not come: these are not
    waited for."""
    def at_work():
        for side in sides:
            with side.inside():
                for table in ("tcp", "tcp6"):
                    with open(f"/proc/thread-self/net/{table}", encoding="ascii") as f:
                        yield from (line for line in f.readlines()[1:]
                                    if line.split()[3] not in LISTENS_OR_OVER)
    deadline = time.monotonic() + timeout_s
    while any(True for _ in at_work()) and time.monotonic() < deadline:
        time.sleep(0.02)


class Slowed:
    """The router's two interfaces pass no more than that: what moves lasts as long as a case needs
    to do something amid it."""

    def __init__(self, router, rate="200mbit", devices=("a", "s")):
        self.router, self.rate, self.devices = router, rate, devices

    def __enter__(self):
        for dev in self.devices:
            self.router.sh(f"tc qdisc replace dev {dev} root tbf rate {self.rate} burst 128k "
                           "latency 30ms")
        return self

    def __exit__(self, *_):
        for dev in self.devices:
            self.router.sh(f"tc qdisc del dev {dev} root")


def wait_line(process, word, timeout_s=READY_S):
    """Until the program has printed `word` on a line of its own."""
    ready, _, _ = select.select([process.stdout], [], [], timeout_s)
    line = process.stdout.readline() if ready else ""
    if line.strip() != word:
        raise Failure(f"{process.args}: expected '{word}', got '{line}'")


# A mover that stops in its middle until go_on(); at last it goes on by itself.
UNTIL_GO_ON = "--idle-ms 25000 --timeout 30"


def go_on(process):
    """What stopped at --idle-at sends the rest."""
    if process.poll() is None:
        process.send_signal(signal.SIGUSR1)


def finish(process, timeout_s):
    """What a mover says at its end; one that does not end is ended."""
    try:
        out, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.terminate()
        out, _ = process.communicate(timeout=READY_S)
    ns.processes.stop(process)
    return parse(out)


def last_words():
    """What the movers that still run, or have ended and were not asked, say of their transfer."""
    out = []
    for process in [p for p in ns.processes.all if "xfer" in " ".join(p.args) and p.stdout]:
        name = " ".join(process.args[-8:])
        was = process.poll()
        process.terminate()
        try:
            said, _ = process.communicate(timeout=2)
        except (subprocess.TimeoutExpired, ValueError) as e:
            said = str(e)
        out.append((f"{name} ({'ran' if was is None else f'had ended, {was}'})", said.strip()))
    return out


class Server:
    """xfer server in a namespace; result() waits for its end."""

    def __init__(self, where, tools, family=4, options="", mptcp=True, port=PORT, host=None):
        host = host or ("::" if family == 6 else "0.0.0.0")
        argv = [f"{tools}/xfer", "server", "--host", host, "--port", str(port)]
        argv += ["--mptcp"] if mptcp else []
        self.process = where.start(argv + options.split(), stdout=subprocess.PIPE, text=True)
        wait_line(self.process, "ready")

    def go_on(self):
        go_on(self.process)

    def result(self, timeout_s=60):
        return finish(self.process, timeout_s)

    def stop(self):
        self.process.terminate()
        return self.result(5)


def parse(out):
    try:
        return json.loads(out.strip().splitlines()[-1])
    except (json.JSONDecodeError, IndexError):
        raise Failure(f"xfer printed no result: '{out}'") from None


def client(where, tools, family=4, options="", mptcp=False, port=PORT, host=None, timeout_s=120):
    argv = where.prefix() + [f"{tools}/xfer", "client", "--host", host or ADDR[family]["server"],
                             "--port", str(port)]
    argv += ["--mptcp"] if mptcp else []
    done = subprocess.run(argv + options.split(), capture_output=True, text=True,
                          timeout=timeout_s, stdin=subprocess.DEVNULL)
    if done.stderr:
        raise Failure(f"xfer client {options}: {done.stderr}")
    return parse(done.stdout)


class Middlebox:
    """mbox on an NFQUEUE of the router; counts() ends it. `link`: only what takes this one."""

    def __init__(self, where, tools, options, link=None):
        self.ns = where
        self.matches = [f"-i {link}", f"-o {link}"] if link else [""]
        self.process = where.start([f"{tools}/mbox", "--queue", "7"] + options.split(),
                                   stdout=subprocess.PIPE, text=True)
        wait_line(self.process, "ready")
        self.rules("A")

    def rules(self, action):
        for match in self.matches:
            self.ns.sh("for t in iptables ip6tables; do "
                       f"$t -{action} FORWARD {match} -p tcp -j NFQUEUE --queue-num 7; done")

    def counts(self):
        self.rules("D")
        self.process.terminate()
        out, _ = self.process.communicate(timeout=READY_S)
        ns.processes.stop(self.process)
        return parse(out)


class Capture:
    """tcpdump on one interface; stop() returns the file's name."""

    def __init__(self, where, interface, path, snaplen=200, expression="tcp"):
        self.path, self.ran = path, None
        if os.path.exists(path):
            os.unlink(path)
        self.process = where.start(
            ["tcpdump", "-i", interface, "-s", str(snaplen), "-w", path, "-B", "32768", "-n",
             "--immediate-mode", "-U", "-Z", "root", expression],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        while line and "listening on" not in line:
            line = self.process.stderr.readline()
        if not line:
            raise Failure(f"tcpdump on {interface} did not start")

    def asleep(self):
        """It has written all that came: sleeps, and has not run since the look before."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            state = f.read().rpartition(") ")[2].split()[0]
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            ran = [line for line in f if "ctxt_switches" in line]
        same, self.ran = ran == self.ran, ran
        return same and state == "S"

    def stop(self):
        deadline = time.monotonic() + 10
        time.sleep(0.05)
        while not self.asleep() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.process.terminate()
        _, err = self.process.communicate(timeout=10)
        ns.processes.stop(self.process)
        for line in err.splitlines():
            if "dropped by kernel" in line and not line.startswith("0 "):
                raise Failure(f"tcpdump lost packets: {line}")
        return self.path


def same_data(one, two, connections=1, clean=True):
    """Both ends agree, byte for byte, on what each sent; all ended by FIN."""
    ends = (("client", one), ("server", two))
    for name, end in ends:
        if end["bad_offset"] != -1:
            raise Failure(f"{name} received a wrong byte at offset {end['bad_offset']}: {end}")
    for name, end in ends:
        if clean and (end["clean"] != connections or end["errors"]):
            raise Failure(f"{name}: {end['clean']} of {connections} connections ended cleanly, "
                          f"errors {end['errors']}: {end}")
    for sender, receiver, way in ((one, two, "upload"), (two, one, "download")):
        if sender["sent"] != receiver["received"]:
            raise Failure(f"{way}: {sender['sent']} bytes sent, {receiver['received']} received")
        if sender.get("sent_sha256") != receiver.get("received_sha256") \
                or receiver["digests_differ"]:
            raise Failure(f"{way}: digests differ")


class ServerCounters:
    """What the server's kernel counted between the making and check()."""

    def __init__(self, where):
        self.ns = where
        settle(where)
        self.before = where.counters()

    def growth(self):
        after = self.ns.counters()
        return {k.removeprefix("MPTcpExt."): v - self.before.get(k, 0) for k, v in after.items()
                if k.startswith("MPTcpExt.") and v != self.before.get(k, 0)}

    def check_mptcp(self, connections, resets=False, allow=()):
        """So many connections came as Multipath TCP, and nothing about them was unlawful."""
        grown = self.growth()
        if grown.get("MPCapableACKRX", 0) != connections:
            raise Failure(f"the server's kernel saw {grown.get('MPCapableACKRX', 0)} MPTCP "
                          f"connections, not {connections}: {grown}")
        if grown.get("MPCapableSYNRX", 0) < connections:
            raise Failure(f"MPCapableSYNRX {grown.get('MPCapableSYNRX', 0)}, not {connections}")
        bad = {k: grown[k] for k in MUST_NOT_GROW if k in grown and k not in allow}
        if not resets:
            bad.update({k: grown[k] for k in RESET_COUNTERS if k in grown and k not in allow})
        if bad:
            raise Failure(f"the server's kernel counted {bad}")
        return grown

    def check_plain(self, allow=()):
        """No connection was Multipath TCP."""
        grown = self.growth()
        if grown.get("MPCapableACKRX", 0):
            raise Failure(f"MPTCP where plain TCP was expected: {grown}")
        return grown
