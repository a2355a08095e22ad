# SPDX-License-Identifier: GPL-2.0-or-later
"""Remote MPTCP clients reach plain guests: the far end's kernel opens, the guest's plain server
answers."""
from lib import inbound
from lib.case import case, expect


def both_families(name, **topology):
    def register(function):
        for family in (4, 6):
            case(f"{name}:v{family}", **topology)(lambda ctx, f=family: function(ctx, f))
        return function
    return register


def data(ctx, family):
    for size in ("1", "1k", "100k", "10M"):
        inbound.converted(ctx, f"--send {size}", "", family)
        inbound.converted(ctx, "", f"--send {size}", family)
        inbound.converted(ctx, f"--send {size}", f"--send {size}", family)
    inbound.converted(ctx, "--send 1000", "--send 1000", family, connections=50)
    roles = {c["role"] for c in ctx.daemon.connections()}
    expect(roles <= {"responder"}, f"roles {roles}")


for gso_ in (True, False):
    both_families(f"responder:data:{'gso' if gso_ else 'nogso'}", gso=gso_)(data)


def second_address(ctx, family):
    """The client joins from its other address as well, whichever it began with."""
    first, second = (("10.77.9.9", "10.77.9.10/24") if family == 4 else
                     ("fd77:9::9", "fd77:9::10/64"))
    ctx.server.sh(f"ip addr show dev eth0 | grep -q {second} || "
                  f"ip addr add {second} {'nodad' if family == 6 else ''} dev eth0\n"
                  f"ip mptcp endpoint flush\n"
                  f"ip mptcp endpoint add {first} dev eth0 subflow\n"
                  f"ip mptcp endpoint add {second.split('/')[0]} dev eth0 subflow")


def joins(ctx, family):
    """The client opens a second subflow to where it reached the guest."""
    second_address(ctx, family)
    pause = "--idle-at 20000 --idle-ms 300"     # else it is over before the join
    for client, server in ((f"--send 20M {pause}", "--fin-after-eof"),
                           ("--fin-after-eof", f"--send 20M {pause}"),
                           (f"--send 20M {pause}", f"--send 20M {pause}")):
        one, _ = inbound.converted(ctx, client, server, family, joins=1)
        ctx.note(f"{one['seconds']:.1f} s")
    grown = ctx.daemon.counters()
    expect(grown.get("join_accepted", 0) >= 3, f"{grown}")


for gso_ in (True, False):
    both_families(f"responder:join:{'gso' if gso_ else 'nogso'}", gso=gso_)(joins)
