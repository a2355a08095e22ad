# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of bench/paths: links, what is measured on them, and the bars."""
import re
import time

from lib import move, ns
from lib.topo import ADDR

MEGA = 1000000
PAYLOAD = 1448 / 1514           # of a frame, with TCP timestamps
DIES_S, REVIVES_S, ENDS_S = 2.0, 4.5, 8.0
NOISE = 0.003                   # of a time; medians of the same thing differ by so much
AGAIN_BYTES = 200000            # so much by a healed link is more than probes


def status_kb(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(rf"^{field}:\s+(\d+)", f.read(), re.M).group(1))


class Transfer:
    """One run of xfer at both ends, the client in the background; `beside`: plain TCP to a port of
    its own."""

    def __init__(self, bench, contender, way, size, options="", connections=1, beside=None):
        common = f"--no-digest --times --timeout 20 --connections {connections} {options} "
        send = f"--send {size}"
        self.way = way
        where, mptcp = contender.server()
        self.server = move.Server(
            where, bench.ctx.tools, 4,
            common + (send if way == "down" else "--fin-after-eof"), mptcp and not beside,
            beside or move.PORT)
        where, mptcp = contender.client()
        self.process = where.start(
            [f"{bench.ctx.tools}/xfer", "client", "--host", contender.host(), "--port",
             str(beside or move.PORT)] + (["--mptcp"] if mptcp else []) +
            (common + (send if way == "up" else "--fin-after-eof")).split(),
            stdout=-1, text=True)

    def stop(self):
        """In the middle, receiver first."""
        ends = [self.server.process, self.process]
        for process in ends if self.way == "up" else reversed(ends):
            process.terminate()
            time.sleep(0.05)

    def result(self, timeout_s=120):
        """(client's, server's)"""
        out, _ = self.process.communicate(timeout=timeout_s)
        ns.processes.stop(self.process)
        return move.parse(out), self.server.result(20)

    def receiver(self, timeout_s=120, size=None):
        """What the receiving end says; `size`: so much it must have received."""
        one, two = self.result(timeout_s)
        for end in (one, two):
            if end["bad_offset"] != -1:
                raise ns.Failure(f"wrong data: {end}")
        sender, receiver = (one, two) if self.way == "up" else (two, one)
        if size and receiver["received"] != size:
            raise ns.Failure(f"{self.way}: {receiver['received']} of {size} bytes, errors "
                             f"{receiver['errors']} and, of the sender, {sender['errors']}")
        return receiver


class Case:
    rounds = None
    role = None         # that of the run
    asked = False       # only when it is named

    def __init__(self, name, text, links, contenders, bars):
        self.name, self.text, self.links = name, text, links
        self.contenders = contenders.split()
        self.bar_list = bars

    def capacity(self):
        """Mbit/s of payload that all links hold."""
        return [float(one.split("=")[1].split("/")[0]) * PAYLOAD for one in self.links.split()]

    def ways(self):
        return ("up", "down")

    def keys(self, medians):
        return [k for k in medians if k != "failed"]

    def bars(self, medians):
        """[(text, met)]; met is None when something was not measured."""
        out = []
        for bar in self.bar_list:
            for key in self.keys(medians):
                found = bar(self, key, medians[key])
                if found:
                    out.append(found)
        return out


def compare(text, value, limit, least=True):
    if value is None or limit is None:
        return text, None
    sign = ">=" if least else "<="
    return f"{text}: {value:.1f} {sign} {limit:.1f}", value >= limit if least else value <= limit


def at_least(factor, other, who="mpgate", by_guest=False):
    """mpgate's value against a factor of another's; `by_guest`: only where a guest sends."""
    def bar(case, key, row):
        if by_guest and case.role.guest_sends not in key or who not in case.contenders:
            return None
        return compare(f"{key}: {who} at least {factor} of {other}", row.get(who),
                       row[other] * factor if row.get(other) else None)
    return bar


def at_most(factor, other, only=None):
    def bar(case, key, row):
        if only and only not in key:
            return None
        return compare(f"{key}: mpgate at most {factor} of {other}", row.get("mpgate"),
                       row[other] * (factor + NOISE) if row.get(other) else None, least=False)
    return bar


def limit(most, only, least=False):
    def bar(case, key, row):
        if only not in key:
            return None
        return compare(f"{key}: {'at least' if least else 'at most'} {most:g}", row.get("mpgate"),
                       most, least)
    return bar


def of_capacity(factor):
    def bar(case, key, row):
        return compare(f"{key}: mpgate at least {factor} of all links' payload",
                       row.get("mpgate"), factor * sum(case.capacity()))
    return bar


class Goodput(Case):
    """Bulk transfers both ways, of so many bytes as the contender's links take in some seconds."""

    def measure(self, bench, contender):
        out = {}
        capacity = max(self.capacity()) if contender.name == "plain" else sum(self.capacity())
        for way in self.ways():
            size = int(capacity * MEGA / 8 * bench.options.seconds)
            got = Transfer(bench, contender, way, size).receiver(size=size)
            out[way] = size * 8 / got["receive_seconds"] / MEGA
        return out


class Short(Case):
    """Many small transfers one after the other: the median from connect() to the last byte."""

    def __init__(self, *args, size, count):
        super().__init__(*args)
        self.size, self.count = size, count

    def measure(self, bench, contender):
        out = {}
        for way in self.ways():
            one, two = Transfer(bench, contender, way, self.size,
                                connections=self.count).result()
            if one["clean"] != self.count or one["bad_offset"] != -1 or two["bad_offset"] != -1:
                raise ns.Failure(f"{way}: {one['clean']} of {self.count}: {one['errors']}")
            out[f"{way} ms"] = one["connection_p50_us"] / 1000
        return out


class Death(Case):
    """A link dies in mid-transfer and comes back."""

    def __init__(self, *args, silent):
        super().__init__(*args)
        self.silent = silent

    def die(self, bench, link):
        if self.silent:
            bench.ctx.links(f"{link} dead")
        else:
            bench.ctx.gate_ns.sh(f"ip link set dev up-{link} down")

    def revive(self, bench, contender, link):
        if self.silent:
            bench.ctx.links(f"{link} up")
            return
        metric = 10 * (bench.ctx.topo.uplinks().index(link) + 1)
        bench.ctx.gate_ns.sh(f"ip link set dev up-{link} up\n"
                             f"ip route replace default via {ADDR[4][link]} dev up-{link} "
                             f"metric {metric}")
        contender.link_is_back(link)

    def once(self, bench, contender, way, link):
        transfer = Transfer(bench, contender, way, "3G")
        start = time.monotonic()
        there, back = bench.role.to_server, "to_gate" if bench.role.to_server == "to_net" \
            else "to_net"

        def carried():
            counters = bench.ctx.links.counters()[link]
            return counters[there if way == "up" else back]["bytes"]

        time.sleep(DIES_S)
        died = time.monotonic()
        self.die(bench, link)
        time.sleep(start + REVIVES_S - time.monotonic())
        revived = time.monotonic()
        self.revive(bench, contender, link)
        base, again = carried(), None
        while time.monotonic() < start + ENDS_S:
            time.sleep(0.05)
            if again is None and carried() - base > AGAIN_BYTES:
                again = time.monotonic() - revived
        transfer.stop()
        got = transfer.receiver()
        gaps = [s for at, s in got["gaps"] if at + s > died and at < revived]
        first, last = (int((t - got["first_at"]) / got["bin_seconds"])
                       for t in (died + 1, revived))
        span = got["bins"][first:last]
        after = sum(span) * 8 / (max(1, len(span)) * got["bin_seconds"]) / MEGA
        if len(got["bins"]) <= first:       # nothing has come any more
            gaps, after = [revived - died], 0.0
        return max(gaps, default=0.02) * 1000, after, again

    def measure(self, bench, contender):
        out = {}
        for way in ("up", "down"):
            for link in ("a", "b"):
                if contender.name == "plain" and link == "a":
                    continue
                gap, after, again = self.once(bench, contender, way, link)
                out[f"{way}, {link}: gap ms"] = gap
                out[f"{way}, {link}: Mbit/s"] = after
                out[f"{way}, {link}: again s"] = again if again is not None else 99
        return out


class Memory(Case):
    """The daemon's resident memory: empty with room for many and for few connections, with idle
    ones, and at its peak after fast transfers."""
    rounds = 1
    FEW, MANY, IDLE = 1024, 65536, 2000

    def empty_kb(self, bench, contender, connections):
        bench.ctx.daemon.stop()
        daemon = bench.ctx.new_daemon(memory_mb=256, connections=connections).start()
        # What the first packet touches (the queue's buffers) is no connection's.
        Transfer(bench, contender, "up", "10k").receiver()
        return status_kb(daemon.pid(), "VmRSS")

    def idle(self, bench, contender):
        """(how many are converted, resident kB)"""
        bench.ctx.net.sh("ip mptcp limits set add_addr_accepted 0")     # one path each
        where, mptcp = contender.server()
        server = move.Server(where, bench.ctx.tools, 4, f"--connections {self.IDLE} "
                             "--no-digest --fin-after-eof", mptcp)
        where, mptcp = contender.client()
        client = where.start(
            [f"{bench.ctx.tools}/xfer", "client", "--host", contender.host(), "--port",
             str(move.PORT), "--connections", str(self.IDLE), "--concurrency", str(self.IDLE),
             "--send", "200", "--chunk", "100", "--idle-at", "100", "--idle-ms", "6000",
             "--no-digest"] + (["--mptcp"] if mptcp else []), stdout=-1, text=True)
        time.sleep(4)
        n = sum(c["mode"] == "single" for c in bench.ctx.daemon.connections())
        out = n, status_kb(bench.ctx.daemon.pid(), "VmRSS")
        client.communicate(timeout=30)
        server.result()
        return out

    def measure(self, bench, contender):
        few_kb = self.empty_kb(bench, contender, self.FEW)
        empty_kb = self.empty_kb(bench, contender, self.MANY)
        room_bytes = (empty_kb - few_kb) * 1024 / (self.MANY - self.FEW)
        converted, idle_kb = self.idle(bench, contender)
        for way in ("up", "down"):
            Transfer(bench, contender, way, "200M").receiver()
        if not converted:
            raise ns.Failure("no connection was converted")
        return {"empty MB": empty_kb / 1024, "idle connections": converted,
                "B per idle connection": room_bytes + (idle_kb - empty_kb) * 1024 / converted,
                "peak MB": status_kb(bench.ctx.daemon.pid(), "VmHWM") / 1024}


TWO = "a=100/10 b=100/10"
UNEQUAL = "a=100/10 b=20/60"
FOUR = "plain native relay mpgate"

CASES = [
    Goodput("two", "two equal links", TWO, FOUR, [at_least(0.98, "native")]),
    Goodput("unequal", "a fast and a slow link", UNEQUAL, FOUR,
            [at_least(1.0, "native"), at_least(1.0, "plain")]),
    Goodput("loss", "1 % loss on one of two", "a=100/10 b=100/10/1", FOUR + " mpgate-bbr",
            [at_least(1.0, "plain"), at_least(1.0, "plain", "mpgate-bbr"),
             at_least(1.7, "native", "mpgate-bbr", by_guest=True)]),
    Goodput("fast", "two fast links", "a=500/2 b=500/2", FOUR, [at_least(0.95, "native")]),
    Goodput("three", "three links", "a=100/10 b=50/10 c=20/10", FOUR, [of_capacity(0.93)]),
    Death("silent", "a link dies silently after 2 s, heals at 4.5 s", TWO, "native relay mpgate",
          [limit(300, "gap"), at_most(1.0, "native", only="gap"),
           limit(85, "Mbit/s", least=True), limit(2, "again")], silent=True),
    Death("admin", "a link is set down after 2 s, up at 4.5 s", TWO, "native relay mpgate",
          [limit(150, "gap"), limit(85, "Mbit/s", least=True), limit(2, "again")], silent=False),
    Short("30k", "30 kB", TWO, FOUR, [at_most(1.0, "native"), at_most(1.02, "plain")],
          size=30000, count=60),
    Short("30k-unequal", "30 kB", UNEQUAL, FOUR,
          [at_most(1.0, "native"), at_most(1.02, "plain")], size=30000, count=60),
    Short("1M", "1 MB", TWO, FOUR, [at_most(1.0, "native")], size=MEGA, count=20),
    Short("1M-unequal", "1 MB", UNEQUAL, FOUR,
          [at_most(1.0, "native"), at_most(1.0, "plain")], size=MEGA, count=20),
    Memory("memory", "resident memory, memory_mb = 256", "a=500/2 b=500/2", "mpgate",
           [limit(1024, "B per idle"), limit(256, "peak MB")]),
]
