# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness against itself, without mpgate: every oracle passes where it should and fails where
it should."""
from lib import move, wire
from lib.case import case, check_mapped, expect, expect_failure
from lib.ns import Failure
from lib.move import Middlebox, ServerCounters, same_data


@case("oracle:plain-forwarding-is-no-mptcp", needs_gate=False)
def plain_forwarding(ctx):
    """Plain TCP through the gate's host without mpgate: the data arrive, the counters' oracle and
    the capture's oracle must both complain."""
    for family in (4, 6):
        counters = ServerCounters(ctx.server)
        capture = ctx.capture(label=f"-{family}")
        ctx.exchange("--send 100k", "--send 100k", family)
        capture.stop()
        expect_failure(lambda: counters.check_mptcp(1), "saw 0 MPTCP connections")
        expect_failure(lambda: check_mapped(capture.path), "plain TCP on the wire")
        unmapped, segments = wire.tshark_unmapped(capture.path)
        expect(len(unmapped) == segments > 0, "tshark saw mappings in plain TCP")
        counters.check_plain()


@case("oracle:kernel-mptcp-is-lawful", needs_gate=False)
def kernel_mptcp(ctx):
    """The guest's own kernel speaks MPTCP: all oracles are content, but the plain one is not."""
    for family in (4, 6):
        counters = ServerCounters(ctx.server)
        capture = ctx.capture(label=f"-{family}")
        _, two = ctx.exchange("--send 300k", "--send 300k", family, client_mptcp=True)
        capture.stop()
        expect(two["mptcp_end"] == 1, "not MPTCP at the end")
        counters.check_mptcp(1, allow=("NoDSSInWindow",))   # two kernels count it now and then
        check_mapped(capture.path)
        unmapped, _ = wire.tshark_unmapped(capture.path)
        expect(not unmapped, f"tshark: no mapping in frames {unmapped}")
        expect_failure(counters.check_plain, "MPTCP where plain")


@case("oracle:stripped-data-is-seen", needs_gate=False, gso=False)
def stripped_data(ctx):
    """A router that strips the client's data: counters, capture and tshark complain."""
    counters = ServerCounters(ctx.server)
    box = Middlebox(ctx.net, ctx.tools, "--strip-after 20000")
    capture = ctx.capture("server", "eth0")
    try:
        ctx.exchange("--send 100k --timeout 2", "--send 100k --timeout 2", client_mptcp=True)
    except Failure:
        pass            # what becomes of the data is the kernel's affair, and differs
    capture.stop()
    counts = box.counts()
    expect(counts["stripped"] > 0, f"mbox stripped nothing: {counts}")
    expect_failure(lambda: counters.check_mptcp(1), "counted")
    expect_failure(lambda: check_mapped(capture.path), "no mapping")
    unmapped, _ = wire.tshark_unmapped(capture.path)
    expect(unmapped, "tshark saw a mapping everywhere")


@case("oracle:stripped-handshake-is-seen", needs_gate=False, gso=False)
def stripped_handshake(ctx):
    for position in ("syn", "synack", "ack3"):
        counters = ServerCounters(ctx.server)
        box = Middlebox(ctx.net, ctx.tools, f"--strip {position}")
        _, two = ctx.exchange("--send 10k", "--send 10k", client_mptcp=True)
        counts = box.counts()
        expect(counts["stripped"] > 0, f"mbox stripped nothing: {counts}")
        if position != "ack3":      # the first data repeats MP_CAPABLE
            expect(two["mptcp_end"] == 0, "still MPTCP")
            expect_failure(lambda: counters.check_mptcp(1), "kernel")


@case("oracle:wrong-byte-is-seen", needs_gate=False, gso=False)
def wrong_byte(ctx):
    """A byte changed on the way with its TCP checksum mended."""
    box = Middlebox(ctx.net, ctx.tools, "--corrupt-at 5000")
    expect_failure(lambda: ctx.exchange("--send 100k", ""), "wrong byte at offset 5000")
    expect(box.counts()["corrupted"] == 1, "mbox corrupted nothing")


@case("oracle:checksum-error-is-seen", needs_gate=False, gso=False, checksum=True)
def checksum_error(ctx):
    counters = ServerCounters(ctx.server)
    box = Middlebox(ctx.net, ctx.tools, "--corrupt-at 5000")
    expect_failure(lambda: ctx.exchange("--send 100k --timeout 2", "--timeout 2",
                                        client_mptcp=True), "")
    expect(box.counts()["corrupted"], "mbox corrupted nothing")
    grown = counters.growth()
    expect(grown.get("DataCsumErr"), f"no DataCsumErr: {grown}")
    expect_failure(lambda: counters.check_mptcp(1), "DataCsumErr")


@case("oracle:ends-are-seen", needs_gate=False)
def ends(ctx):
    """A reset at either side is an error at the other, and never "clean"."""
    expect_failure(lambda: ctx.exchange("--send 100k --reset-after-sent 50000", ""), "cleanly")
    server = ctx.serve("--reset-after-received 1000")
    one = ctx.client("--send 10M")
    server.result()
    expect("ECONNRESET" in one["errors"] or "EPIPE" in one["errors"], f"client: {one}")
    one = ctx.client("--send 1", port=7999)
    expect(one["errors"] == {"ECONNREFUSED": 1}, f"nobody listens: {one}")
    server = ctx.serve("--send 1 --send-after 10 --timeout 2")
    one = ctx.client("--send 5 --fin-after-eof --timeout 1")
    server.result()
    expect(one["errors"] == {"timeout": 1}, f"nothing moves: {one}")


@case("oracle:short-data-is-seen", needs_gate=False)
def short(ctx):
    """The judge of the data itself."""
    one, two = ctx.exchange("--send 1000", "--send 2000")
    for end, key, value in ((one, "sent", 999), (two, "received", 999), (two, "sent", 1),
                            (two, "bad_offset", 3), (one, "received_sha256", "00"),
                            (one, "clean", 0), (two, "errors", {"ECONNRESET": 1})):
        expect_failure(lambda: same_data({**one, **({key: value} if end is one else {})},
                                         {**two, **({key: value} if end is two else {})}), "")


@case("oracle:loss-and-shift-are-harmless", needs_gate=False, gso=False)
def loss(ctx):
    """What a kernel survives, the middlebox must be able to do."""
    box = Middlebox(ctx.net, ctx.tools, "--loss-ppm 5000 --seq-shift 0x70000000")
    ctx.exchange("--send 1M", "--send 1M", client_mptcp=True)
    counts = box.counts()
    expect(counts["dropped"] > 0, f"nothing lost: {counts}")


@case("oracle:dropped-syns", needs_gate=False)
def dropped_syns(ctx):
    """SYNs with MP_CAPABLE vanish: Linux leaves the option off after some."""
    box = Middlebox(ctx.net, ctx.tools, "--drop-capable-syns 9")
    _, two = ctx.exchange("--send 1000", "--send 1000", client_mptcp=True)
    counts = box.counts()
    expect(counts["dropped"] >= 2 and two["mptcp_start"] == 0, f"{counts} {two}")


@case("oracle:server-without-mptcp", needs_gate=False, server_enabled=False)
def without(ctx):
    server = move.Server(ctx.server, ctx.tools, 4, "", mptcp=False)
    one = ctx.client("--send 1000", mptcp=True)
    server.result()
    expect(one["clean"] == 1 and one["mptcp_end"] == 0, f"{one}")
