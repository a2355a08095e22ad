# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's nginx in a guest that has never heard of Multipath TCP, and clients that speak it."""
import hashlib
import re
import subprocess

from lib import inbound, move
from lib.case import both_families, case, expect
from lib.nginx import Nginx
from lib.topo import ADDR

MEGABYTES = 40
MULTIPATH = 'multipath { mode = "fullmesh" after_bytes = 50000 on_congestion = false }\n'


def url(family, name):
    host = ADDR[family]["guest"]
    return f"http://{f'[{host}]' if family == 6 else host}/{name}"


def sockets(where):
    """What `ss -M` says of the Multipath TCP sockets that are connected: [subflows beside the
    first]."""
    out = where.sh("ss -HMino state established")
    return [int(n) for n in re.findall(r"\bsubflows:(\d+)", out)]


@both_families("web:curl", links="a=100/10 b=100/10", gate={"extra": MULTIPATH})
def curl(ctx, family):
    """`mptcpize run curl` from a host with an interface on each line: the file is whole, `ss -M`
    shows the connection with two subflows while it runs, the kernel counts no fallback."""
    client = ctx.net
    client.sh("ip mptcp limits set subflow 8 add_addr_accepted 8\n"
              "sysctl -qw net.ipv4.tcp_rmem='4096 131072 33554432'")
    server = Nginx(ctx.guest, ctx.options.out, {"file": MEGABYTES * 1000000})
    counters, before = inbound.ClientCounters(client), ctx.links.check()
    process = client.start(["mptcpize", "run", "curl", "-sS", "--fail", "-o", "-",
                            url(family, "file")], stdout=subprocess.PIPE)
    digest, size, seen = hashlib.sha256(), 0, 0
    while data := process.stdout.read(1 << 20):
        digest.update(data)
        size += len(data)
        if size > MEGABYTES * 400000 and seen < 2:
            seen = 1 + max(sockets(client), default=-1)
    expect(process.wait(10) == 0 and size == MEGABYTES * 1000000, f"curl: {size} bytes")
    expect(digest.hexdigest() == server.sha256["file"], "the file is not the one that was served")
    expect(seen >= 2, f"ss -M at the client: {seen} subflows in mid-transfer")
    grown = counters.check_client(1, joins=1, allow=("MPRstRx",))
    after = ctx.links.check()
    carried = {n: after[n]["to_net"]["bytes"] - before[n]["to_net"]["bytes"] for n in "ab"}
    expect(min(carried.values()) > MEGABYTES * 200000, f"bytes over the lines: {carried}")
    ctx.note(f"{seen} subflows; {grown}")
    server.stop()


def load(ctx, family, options):
    done = subprocess.run(
        ctx.server.prefix() + [f"{ctx.tools}/webload", "--host", ADDR[family]["guest"], "--path",
                               "/file"] + options.split(),
        capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    return move.parse(done.stdout)


@case("web:100-a-second", fresh=True, gate={"path_b": True})
def short(ctx):
    """A hundred calls a second for some seconds: each is answered, each by Multipath TCP, and when
    they are over nothing is in use any more."""
    server = Nginx(ctx.guest, ctx.options.out, {"file": 3000})
    for family in (4, 6):
        got = load(ctx, family, "--mptcp --rate 100 --seconds 3")
        expect(got["answered"] == 300 and got["mptcp"] == 300, f"{got}")
        ctx.note(f"p50 {got['p50_us'] / 1000:.1f} ms")
    ctx.wait("no record is in use", lambda: not ctx.daemon.records(), 20)
    # what the first calls touched is all that will ever be touched
    resident_kb = ctx.daemon.resident_kb()
    got = load(ctx, 4, "--mptcp --rate 100 --seconds 3")
    expect(got["answered"] == 300 and got["mptcp"] == 300, f"{got}")
    expect(ctx.daemon.resident_kb() - resident_kb < 512 or ctx.daemon.sanitized(),
           f"{resident_kb} kB, then {ctx.daemon.resident_kb()} kB")
    server.stop()
