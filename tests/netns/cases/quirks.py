# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests, servers and paths that are not like the others."""
import threading

from lib.case import case, check_honest, check_mapped, expect
from lib.move import Middlebox
from lib.topo import ADDR

ALL = "--send 1M"


def with_sysctls(side, settings):
    """A case in which one end lacks something."""
    def transfer(ctx):
        host = getattr(ctx, side)
        before = host.sh("sysctl " + " ".join(s.split("=")[0] for s in settings))
        try:
            host.sh("sysctl -qw " + " ".join(settings))
            for family in (4, 6):
                capture = ctx.capture(label=f"-{family}")
                ctx.converted(ALL, ALL, family)
                ctx.converted("--send 1 --send-after 1", "--send 1", family)
                capture.stop()
                check_mapped(capture.path, 2)
        finally:
            host.sh("sysctl -qw " + " ".join(before.replace(" = ", "=").split("\n")))
    return transfer


TS, SACK = "net.ipv4.tcp_timestamps=0", "net.ipv4.tcp_sack=0"
WS = "net.ipv4.tcp_window_scaling=0"
for side_ in ("guest", "server"):
    for name_, settings_ in (("timestamps", (TS,)), ("sack", (SACK,)), ("window-scale", (WS,)),
                             ("anything", (TS, SACK, WS))):
        case(f"quirk:{side_}-without-{name_}")(with_sysctls(side_, settings_))
    case(f"quirk:{side_}-without-anything:nogso", gso=False)(with_sysctls(side_, (TS, SACK, WS)))
case("quirk:ecn")(lambda ctx: [with_sysctls(s, ("net.ipv4.tcp_ecn=1",))(ctx)
                               for s in ("guest", "server")])


def drop_some(ns, chain, percent, match="", least=1):
    """Random losses; returns what ends them and makes sure that there were `least`."""
    rule = (f"{chain} -p tcp {match} -m statistic --mode random "
            f"--probability {percent / 100} -j DROP")
    ns.sh(f"iptables -I {rule}; ip6tables -I {rule}")

    def stop():
        table = chain.partition("-t ")[2] or "filter"
        out = ns.sh(f"iptables -t {table} -vnxL {chain.split()[0]}; "
                    f"ip6tables -t {table} -vnxL {chain.split()[0]}")
        dropped = sum(int(line.split()[0]) for line in out.splitlines() if " statistic " in line)
        ns.sh(f"iptables -D {rule}; ip6tables -D {rule}")
        expect(dropped >= least, f"{dropped} lost: {out}")
        return dropped
    return stop


def lossy(family, gso):
    offload = "gso" if gso else "nogso"

    @case(f"loss:net:v{family}:{offload}", gso=gso)
    def net(ctx):
        stop = drop_some(ctx.net, "FORWARD", 0.5 if not gso else 2)
        capture = ctx.capture()
        ctx.converted("--send 10M", "--send 10M", family, timeout_s=60)
        stop()
        capture.stop()
        check_mapped(capture.path)

    @case(f"loss:guest:v{family}:{offload}", gso=gso)
    def guest(ctx):
        """Between the guest and the gate."""
        up = drop_some(ctx.gate_ns, "PREROUTING -t raw", 0.5 if not gso else 2, "-i guest0")
        down = drop_some(ctx.guest, "INPUT", 0.5 if not gso else 2)
        capture = ctx.capture()
        ctx.converted("--send 10M", "--send 10M", family, timeout_s=60)
        up()
        down()
        capture.stop()
        check_mapped(capture.path)


for family_ in (4, 6):
    for gso_ in (True, False):
        lossy(family_, gso_)


@case("loss:heavy", gso=False, fresh=True)     # two SYNs lost in a row: remembered as a blackhole
def heavy(ctx):
    """5 % each way, on the net and at the guest; short connections too: every handshake packet,
    FIN and DATA_FIN is lost now and then."""
    stops = [drop_some(ctx.net, "FORWARD", 5), drop_some(ctx.guest, "INPUT", 5)]
    one, two = ctx.exchange("--send 20k --concurrency 40 --timeout 30", "--send 20k --timeout 30",
                            connections=40, timeout_s=120)
    lost = [stop() for stop in stops]
    ctx.note(f"lost {lost}; {two['mptcp_end']} of 40 were MPTCP, {one['seconds']:.1f} s")
    expect(two["mptcp_end"] >= 30, f"only {two['mptcp_end']} of 40 were MPTCP")


@case("loss:honest", gso=False)
def honest_loss(ctx):
    """I1 under loss on both sides."""
    stops = [drop_some(ctx.net, "FORWARD", 1), drop_some(ctx.guest, "INPUT", 1)]
    net = ctx.capture("gate_ns", "up-a", label="-net")
    guest = ctx.capture("gate_ns", "guest0", label="-guest")
    ctx.converted("--send 2M", "--send 2M")
    for stop in stops:
        stop()
    net.stop()
    guest.stop()
    check_honest(net.path, guest.path)


def paused(name, client, server, gso):
    @case(f"window:{name}:{'gso' if gso else 'nogso'}", gso=gso)
    def pause(ctx):
        """The reader stops until the window is closed, and reads on after 0.8 s."""
        for family in (4, 6):
            capture = ctx.capture(label=f"-{family}")
            one, _ = ctx.converted(client, server, family, allow=("RcvWndConflict",))
            capture.stop()
            found = check_mapped(capture.path)[0]
            expect(found.server.zero_windows if "server" in name else found.client.zero_windows,
                   "no window was ever closed on the wire")
            expect(0.7 < one["seconds"] < 8, f"took {one['seconds']} s")


paused("server-stops", "--send 4M", "--pause-at 50000 --pause-ms 800 --rcvbuf 20000", True)
paused("guest-stops", "--pause-at 50000 --pause-ms 800 --rcvbuf 20000", "--send 4M", True)
for gso_ in (True, False):
    both = "--send 4M --pause-at 50000 --pause-ms 800 --rcvbuf 20000"
    paused("both-stop-guest-and-server", both, both, gso_)


@case("quirk:tiny-writes")
def tiny(ctx):
    for family in (4, 6):
        capture = ctx.capture(label=f"-{family}")
        ctx.converted("--send 3000 --chunk 1 --nodelay", "--send 3000 --chunk 1 --nodelay",
                      family)
        capture.stop()
        check_mapped(capture.path)


@case("quirk:odd-writes", checksum=True)
def odd(ctx):
    """Odd lengths, with checksums, which then start at odd places."""
    ctx.converted("--send 300001 --chunk 1237 --nodelay", "--send 300001 --chunk 4391 --nodelay")


@case("quirk:urgent")
def urgent(ctx):
    """I3: the urgent byte arrives in its place."""
    for family in (4, 6):
        ctx.converted("--send 100k --urgent-at 50000", "--send 100k", family)
        ctx.converted("--send 100 --urgent-at 99", "", family)


@case("quirk:keepalive", fresh=True)
def keepalive(ctx):
    """The guest's kernel gives up when two probes in a row are not answered."""
    capture = ctx.capture()
    ctx.converted("--send 2000 --keepalive --idle-at 1000 --idle-ms 3600", "--send 10")
    capture.stop()
    check_mapped(capture.path)


@case("quirk:keepalive-of-server", fresh=True)
def keepalive_server(ctx):
    ctx.converted("--send 10 --fin-after-eof",
                  "--send 2000 --keepalive --idle-at 1000 --idle-ms 3600", 6)


@case("quirk:sequence-wrap")
def wrap(ctx):
    """Both ends' sequence numbers pass 2^32 in mid-stream, and at the first byte."""
    for isn in (0xfffffffe, 0xffffffff, 0xffff0000):
        for family in (4, 6):
            box = Middlebox(ctx.net, ctx.tools, f"--server-isn {isn}")
            capture = ctx.capture(label=f"-{isn}-{family}")
            ctx.converted(f"--send 300k --isn {isn}", "--send 300k", family)
            box.counts()
            capture.stop()
            check_mapped(capture.path)


@case("quirk:shifted-sequence-numbers", gso=False)
def shifted(ctx):
    """A firewall that hides initial sequence numbers, in both directions."""
    stop = drop_some(ctx.guest, "INPUT", 0.5)
    box = Middlebox(ctx.net, ctx.tools, "--seq-shift 0x80000000 --server-isn 1 --loss-ppm 3000")
    ctx.converted("--send 2M", "--send 2M")
    box.counts()
    stop()


def narrow(ctx, family, mtu):
    """The router's links in both directions get narrower; it tells senders by ICMP."""
    addr, ip = ADDR[family], f"ip -{family} route replace"
    server, guests, gate = (("10.77.9.0/24", "10.77.1.0/24", "10.77.11.0/24") if family == 4 else
                            ("fd77:9::/64", "fd77:1::/64", "fd77:11::/64"))
    ctx.net.sh(f"{ip} {server} dev s mtu lock {mtu}\n"
               f"{ip} {guests} via {addr['up-a']} dev a mtu lock {mtu}\n"
               f"{ip} {gate} dev a mtu lock {mtu}")


def heard(ctx):
    counters = ctx.daemon.counters()
    expect(counters.get("icmp_to_guest"), f"no ICMP was taken in: {counters}")


def small_mtu(masquerade):
    @case(f"mtu:narrow-behind:{'masquerade' if masquerade else 'routed'}", fresh=True,
          masquerade=masquerade)
    def behind(ctx):
        """A narrower link behind the first hop: both senders must hear of it."""
        for family in (4, 6):
            narrow(ctx, family, 1400)
            for client, server in (("--send 1M", ""), ("", "--send 1M"), (ALL, ALL)):
                one, _ = ctx.converted(client, server, family)
                expect(one["seconds"] < 5, f"took {one['seconds']} s")
            heard(ctx)

    @case(f"mtu:narrower-in-mid-stream:{'masquerade' if masquerade else 'routed'}", fresh=True,
          masquerade=masquerade)
    def later(ctx):
        """The same while data flow: what was sent under one mapping is sent again in pieces."""
        for family in (4, 6):
            timer = threading.Timer(0.5, narrow, (ctx, family, 1320))
            timer.start()
            one, _ = ctx.converted("--send 4M --idle-at 1M --idle-ms 1000",
                                   "--send 4M --idle-at 1M --idle-ms 1000", family)
            timer.join()
            heard(ctx)
            expect(one["seconds"] < 8, f"took {one['seconds']} s")


for masquerade_ in (False, True):
    small_mtu(masquerade_)


@case("quirk:guest-mtu-9000", fresh=True)
def jumbo(ctx):
    """A guest whose link is wider than the uplink."""
    ctx.guest.sh("ip link set dev eth0 mtu 9000")
    ctx.gate_ns.sh("ip link set dev guest0 mtu 9000")
    for family in (4, 6):
        ctx.converted("--send 1M", "--send 1M", family)


@case("quirk:small-mss", fresh=True)
def small_mss(ctx):
    """536 told by the guest, later by the server."""
    for side in (ctx.guest, ctx.server):
        for family in (4, 6):
            ip = f"ip -{family} route"
            default = side.sh(f"{ip} show default").strip().splitlines()[0]
            side.sh(f"{ip} change {default} advmss 536")
            ctx.converted("--send 300k", "--send 300k", family)
            side.sh(f"{ip} change {default}")


@case("quirk:guest-speaks-mptcp", fresh=True)
def guest_mptcp(ctx):
    """The gate steps aside; the two kernels speak to each other."""
    for family in (4, 6):
        ctx.converted("--send 300k", "--send 300k", family, client_mptcp=True)
    counters = ctx.daemon.counters()
    expect(counters.get("plain_guest_mptcp", 0) >= 2, f"{counters}")
    expect("syn_mp_capable" not in counters, f"{counters}")


@case("quirk:fast-open", fresh=True)
def fast_open(ctx):
    """A guest that asks for a cookie, then sends data in its SYN: plain, and whole."""
    for side in (ctx.guest, ctx.server):
        side.sh("sysctl -qw net.ipv4.tcp_fastopen=1027")
    for size in (100, 100, 3000):
        server = ctx.serve("", 4, mptcp=False)
        one = ctx.client(f"--send {size} --fast-open --fin-after-eof", 4)
        two = server.result()
        expect(one["clean"] == 1 and two["received"] == size, f"{one} {two}")
        expect(one["sent_sha256"] == two["received_sha256"], "digests differ")
    counters = ctx.daemon.counters()
    expect(counters.get("plain_tfo", 0) >= 2, f"no plain_tfo: {counters}")
