# SPDX-License-Identifier: GPL-2.0-or-later
"""Data through the gate: families x offloads x directions x sizes, all of it Multipath TCP."""
from lib import wire
from lib.case import case, check_honest, check_mapped, expect

SIZES = {"1": 5, "1k": 5, "100k": 10, "10M": 30}
WAYS = {"upload": (1, 0), "download": (0, 1), "both": (1, 1)}


def both_ways(size, way):
    up, down = WAYS[way]
    return (f"--send {size}" if up else ""), (f"--send {size}" if down else "")


def add(family, gso, way, size, captured=True, **topology):
    offload = "gso" if gso else "nogso"
    extra = "".join(f":{k}" for k in topology)

    @case(f"data:v{family}:{offload}:{way}:{size}{extra}", gso=gso, **topology)
    def transfer(ctx):
        client, server = both_ways(size, way)
        if not captured:        # every byte is compared, but hashing it all would take minutes
            client, server = client + " --no-digest", server + " --no-digest"
        capture = ctx.capture() if captured else None
        _, two = ctx.converted(client, server, family, timeout_s=180)
        if capture:
            capture.stop()
            found = check_mapped(capture.path)[0]
            for direction, end in ((found.client, "received"), (found.server, "sent")):
                expect(direction.mapped_bytes() == two[end],
                       f"{direction.who}: {direction.mapped_bytes()} bytes mapped on the wire, "
                       f"{two[end]} moved")
        else:
            ctx.note(f"{two['sent'] + two['received']} bytes in {two['seconds']:.1f} s")


for gso_ in (True, False):
    for family_ in (4, 6):
        for way_ in WAYS:
            for size_ in SIZES:
                add(family_, gso_, way_, size_)
for family_ in (4, 6):
    for way_ in WAYS:
        for size_ in ("100k", "10M"):
            add(family_, True, way_, size_, checksum=True)
add(4, True, "upload", "1G", captured=False)
add(6, True, "download", "1G", captured=False)


@case("data:tshark-agrees")
def tshark(ctx):
    """An independent dissector finds a mapping on every segment with data."""
    for family in (4, 6):
        capture = ctx.capture(label=f"-{family}")
        ctx.converted("--send 300k", "--send 300k", family)
        capture.stop()
        unmapped, segments = wire.tshark_unmapped(capture.path)
        expect(segments > 0 and not unmapped, f"tshark: no mapping in frames {unmapped} of "
               f"{segments} with data in {capture.path}")


@case("data:honest-acknowledgements", gso=False)
def honest(ctx):
    """I1, on captures of both of the gate's sides."""
    for label, client, server in (
            ("up", "--send 1M", ""), ("down", "", "--send 1M"),
            ("slow", "--send 1M --pause-at 1000 --pause-ms 300 --rcvbuf 20000",
             "--send 1M --pause-at 100000 --pause-ms 500 --rcvbuf 20000")):
        net = ctx.capture("gate_ns", "up-a", label=f"-{label}-net")
        guest = ctx.capture("gate_ns", "guest0", label=f"-{label}-guest")
        ctx.converted(client, server)
        net.stop()
        guest.stop()
        checks = check_honest(net.path, guest.path)
        ctx.note(f"{label}: {checks['to_guest']} and {checks['to_net']} acknowledgements")
