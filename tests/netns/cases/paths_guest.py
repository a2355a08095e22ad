# SPDX-License-Identifier: GPL-2.0-or-later
"""Several subflows, and a guest that loses what the gate sends it: the gate sends it again."""
from lib.case import expect
from lib.multi import Transfer
from .paths import PLACE, each_way
from .quirks import drop_some


def transfer_with_loss(ctx, way, percent):
    # in large segments it is few that pass: a hundred may well lose none
    drops = [drop_some(ctx.guest, "INPUT", percent, least=0),
             drop_some(ctx.gate_ns, "PREROUTING -t raw", percent, "-i guest0", least=0)]
    try:
        Transfer(ctx, way, "8M").result(joins=1, timeout_s=60)
    finally:
        lost = [stop() for stop in drops]
    expect(sum(lost) > 0, "the guest lost nothing")
    ctx.note(f"{lost[0]} lost")


@each_way("paths:guest-loss", ("up", "down", "both"), **PLACE)
def guest_loss(ctx, way):
    transfer_with_loss(ctx, way, 1)


@each_way("paths:guest-loss:no-sack", ("down",), **PLACE)
def guest_loss_no_sack(ctx, way):
    ctx.guest.sh("sysctl -qw net.ipv4.tcp_sack=0")
    try:
        transfer_with_loss(ctx, way, 1)
    finally:
        ctx.guest.sh("sysctl -qw net.ipv4.tcp_sack=1")
