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
