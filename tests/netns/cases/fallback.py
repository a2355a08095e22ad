# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that cannot be Multipath TCP, or cannot stay so (RFC 8684 section 3.7): the guest has
plain TCP, the daemon a reason, and the kernel the packets."""
from lib import move
from lib.case import case, check_mapped, expect
from lib.move import Middlebox

BOTH = "--send 300k"


def reasons(ctx, before):
    """Counters that moved."""
    now = ctx.daemon.counters()
    return {k: v - before.get(k, 0) for k, v in now.items() if v != before.get(k, 0)}


def offloaded(ctx, exchange, most=60):
    """Few packets of what `exchange` moves visit the daemon, however much it is."""
    move.settle(ctx.guest, ctx.server)
    before = ctx.daemon.queued_packets()
    exchange()
    queued = ctx.daemon.queued_packets() - before
    expect(queued < most, f"{queued} packets of a plain connection visited the daemon")
    ctx.note(f"{queued} packets queued")


def usual(ctx, family):
    """The next connection is Multipath TCP as if nothing had been."""
    ctx.converted("--send 10k", "--send 10k", family)


for family_ in (4, 6):
    @case(f"plain:server-without-mptcp:v{family_}")
    def without(ctx, family=family_):
        """A listener that speaks TCP only."""
        before = ctx.daemon.counters()
        offloaded(ctx, lambda: ctx.plain("--send 20M", "--send 20M", family, server_mptcp=False))
        grown = reasons(ctx, before)
        expect(grown.get("fallback_synack") == 1, f"{grown}")
        usual(ctx, family)

    @case(f"plain:mptcp-disabled:v{family_}", server_enabled=False)
    def disabled(ctx, family=family_):
        offloaded(ctx, lambda: ctx.plain("--send 20M", "", family, server_mptcp=False))

    @case(f"plain:policy:v{family_}",
          gate={"extra": 'policy { match = "tcp dport 7002" use = "never" }'})
    def policy(ctx, family=family_):
        move.settle(ctx.guest, ctx.server)
        before = ctx.daemon.counters()
        server = ctx.serve("--send 1M", family, port=7002)
        queued = ctx.daemon.queued_packets()
        one = ctx.client("--send 1M", family, port=7002)
        two = server.result()
        queued = ctx.daemon.queued_packets() - queued
        move.same_data(one, two)
        expect(two["mptcp_start"] == 0, "MPTCP in spite of the policy")
        grown = reasons(ctx, before)
        expect(grown.get("plain_policy", 0) >= 1, f"{grown}")
        expect(queued < 40, f"{queued} packets visited the daemon")
        usual(ctx, family)

    @case(f"strip:syn:v{family_}", gso=False)
    def strip_syn(ctx, family=family_):
        stripped(ctx, family, "syn", "fallback_synack")

    @case(f"strip:synack:v{family_}", gso=False)
    def strip_synack(ctx, family=family_):
        stripped(ctx, family, "synack", "fallback_synack", mptcp_start=None)

    @case(f"strip:ack3:v{family_}", gso=False)
    def strip_ack3(ctx, family=family_):
        """Only the third ACK: the first data repeats MP_CAPABLE, and nothing is lost."""
        box = Middlebox(ctx.net, ctx.tools, "--strip ack3")
        ctx.exchange(BOTH, BOTH, family)
        expect(box.counts()["stripped"] > 0, "nothing was stripped")
        usual(ctx, family)

    @case(f"strip:all-from-client:v{family_}", gso=False)
    def strip_client(ctx, family=family_):
        """The SYN alone gets through with its option."""
        stripped(ctx, family, "client", "fallback_", mptcp_start=None)

    @case(f"strip:all-from-server:v{family_}", gso=False)
    def strip_server(ctx, family=family_):
        stripped(ctx, family, "server", "fallback_", mptcp_start=None)

    @case(f"strip:data-from-client:v{family_}", gso=False)
    def strip_client_data(ctx, family=family_):
        """The server falls back at the first data, before it has said anything itself."""
        stripped(ctx, family, "client-data", "fallback_", None, BOTH, f"{BOTH} --send-after 1")

    @case(f"strip:data-from-server:v{family_}", gso=False)
    def strip_server_data(ctx, family=family_):
        """The server's first data is the first of all."""
        stripped(ctx, family, "server-data", "fallback_", None, f"{BOTH} --send-after 1", BOTH)

    @case(f"strip:data-both-speaking:v{family_}", gso=False)
    def strip_both(ctx, family=family_):
        """Both have said something under a mapping when it vanishes, or not: depends on who was
        faster. See vanishing()."""
        for position in ("client-data", "server-data"):
            vanishing(ctx, f"--strip {position}", BOTH, BOTH)


def stripped(ctx, family, positions, reason, mptcp_start=0, client=BOTH, server=BOTH):
    """Data arrive whole although options are removed in that position; the reason is counted; the
    next connection, without the box, is converted."""
    move.settle(ctx.guest, ctx.server)
    before = ctx.daemon.counters()
    box = Middlebox(ctx.net, ctx.tools, "".join(f"--strip {p} " for p in positions.split()))
    _, two = ctx.exchange(client, server, family)
    expect(box.counts()["stripped"] > 0, "nothing was stripped")
    expect(mptcp_start is None or two["mptcp_start"] == mptcp_start, f"{two}")
    grown = reasons(ctx, before)
    expect(any(k.startswith(reason) for k in grown), f"no {reason}* counted: {grown}")
    expect(not [k for k in grown if k.startswith("closed_by_")], f"reset: {grown}")
    usual(ctx, family)


def vanishing(ctx, box_options, client, server_options):
    """At some point every option is gone. A receiver cannot place data that lost its mapping, so
    the connection may end, but what arrived is a prefix of what was sent (I3), the guest does not
    hang, and the gate says why."""
    move.settle(ctx.guest, ctx.server)
    before = ctx.daemon.counters()
    box = Middlebox(ctx.net, ctx.tools, box_options)
    server = ctx.serve(server_options + " --timeout 60")
    one = ctx.client(client + " --timeout 10")
    two = server.result(4)      # it may wait for what will not come: it is ended
    counts = box.counts()
    expect(counts["stripped"] > 0, f"nothing was stripped: {counts}")
    for end in (one, two):
        expect(end["bad_offset"] == -1, f"not a prefix: {one} {two}")
    expect("timeout" not in one["errors"], f"the guest hangs: {one} {two}")
    grown = reasons(ctx, before)
    expect(any(k.startswith(("fallback_", "closed_unmapped", "closed_no_fallback")) for k in grown),
           f"{grown}")
    ctx.note(f"ended {one['errors'] or 'cleanly'}/{two['errors'] or 'cleanly'}")
    usual(ctx, 4)


for name_, client_, server_ in (
        ("upload", "--send 2M", "--fin-after-eof"), ("upload-half-closed", "--send 2M", ""),
        ("download", "--fin-after-eof", "--send 2M"), ("download-half-closed", "", "--send 2M"),
        ("both", "--send 2M", "--send 2M")):
    case(f"strip:mid-stream:{name_}", gso=False)(
        lambda ctx, c=client_, s=server_: vanishing(ctx, "--strip-after 50000", c, s))


def corrupted(ctx, options, reason):
    """A changed byte under checksums must not be delivered as good data and pass for it: either it
    is refused, or the connection ends or falls back, with the reason."""
    move.settle(ctx.guest, ctx.server)
    before = ctx.daemon.counters()
    box = Middlebox(ctx.net, ctx.tools, f"--corrupt-at 30000 {options}")
    server = ctx.serve("--send 200k --timeout 3")
    ctx.client("--send 200k --timeout 3")
    server.result()
    expect(box.counts()["corrupted"] == 1, "nothing was corrupted")
    grown = reasons(ctx, before)
    expect(any(grown.get(r) for r in reason), f"none of {reason}: {grown}")
    usual(ctx, 4)


@case("checksum:corrupt-from-client", gso=False, checksum=True)
def corrupt_client(ctx):
    """The server's kernel says MP_FAIL."""
    corrupted(ctx, "", ("fallback_mp_fail", "closed_by_peer_fastclose", "closed_by_peer_rst"))


@case("checksum:corrupt-from-server", gso=False, checksum=True)
def corrupt_server(ctx):
    corrupted(ctx, "--corrupt-from-server", ("fallback_checksum",))


@case("checksum:asked-by-gate", gate={"extra": "checksum = true"})
def asked(ctx):
    """The server does not ask; the gate does: both use them."""
    capture = ctx.capture()
    ctx.converted("--send 1M", "--send 1M")
    capture.stop()
    found = check_mapped(capture.path)[0]
    expect(found.client.checksum and found.server.dss > 0, "no checksum asked for")


@case("blackhole:syn-with-option-vanishes", fresh=True)
def blackhole(ctx):
    """Whoever drops SYNs with MP_CAPABLE costs the first connection some seconds and the next ones
    nothing."""
    box = Middlebox(ctx.net, ctx.tools, "--drop-capable-syns 1000")
    one, _ = ctx.plain("--send 10k", "--send 10k")
    ctx.note(f"first {one['seconds']:.1f} s")
    expect(1 < one["seconds"] < 8, f"{one['seconds']} s")
    took = [ctx.plain("--send 10k", "--send 10k")[0]["seconds"] for _ in range(3)]
    expect(sorted(took)[1] < 0.9, f"the next ones took {took} s")
    counters = ctx.daemon.counters()
    expect(counters.get("plain_syn_retries") and counters.get("plain_blackhole"), f"{counters}")
    box.counts()
    ctx.converted("--send 10k", "--send 10k", 6)      # another destination


@case("blackhole:one-lost-syn-is-no-blackhole", fresh=True)
def lost_syn(ctx):
    box = Middlebox(ctx.net, ctx.tools, "--drop-capable-syns 1")
    one, _ = ctx.converted("--send 10k", "--send 10k")
    expect(one["seconds"] < 3, f"{one['seconds']} s")
    box.counts()
    usual(ctx, 4)
