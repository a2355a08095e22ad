# SPDX-License-Identifier: GPL-2.0-or-later
"""Links that die, flap and return while data move: nothing is lost, nobody waits for ever."""
from lib.case import case, expect
from lib.multi import ENDED_SUBFLOWS, Transfer, link_down, link_up, wait_usable

from .paths import MB, MULTIPATH, PLACE, TWO, each_way

# The initial subflow's link is the one whose addresses the connection began with.
DEATHS = {"silent": (lambda ctx, link: ctx.links(f"{link} dead"),
                     lambda ctx, link: ctx.links(f"{link} up")),
          "admin": (link_down, link_up),
          "cable": (lambda ctx, link: ctx.links.carrier(link, False),
                    lambda ctx, link: ctx.links.carrier(link, True))}


def dies(ctx, way, link, how, size="14M"):
    """A link dies for good; the rest goes by the other one."""
    die, revive = DEATHS[how]
    transfer = Transfer(ctx, way, size)
    transfer.wait_carried(MB // 2, ["b"])       # both are in use
    transfer.wait_carried(4 * MB)
    die(ctx, link)
    transfer.result(joins=1, allow=ENDED_SUBFLOWS, timeout_s=60)
    revive(ctx, link)
    wait_usable(ctx)


for how_ in DEATHS:
    for link_ in ("a", "b"):
        each_way(f"death:{how_}:{link_}")(
            lambda ctx, way, how=how_, link=link_: dies(ctx, way, link, how))


@each_way("death:returns:silent")
def returns(ctx, way):
    """A link that healed is used again."""
    transfer = Transfer(ctx, way, "60M")
    transfer.wait_carried(MB // 2, ["b"])
    ctx.links("b dead")
    at_death = transfer.carried()
    transfer.wait_carried(at_death["a"] + 4 * MB, ["a"])
    ctx.links("b up")
    transfer.result(joins=1, allow=ENDED_SUBFLOWS, timeout_s=60)
    more = transfer.carried()["b"] - at_death["b"]
    expect(more > MB // 2, f"only {more} bytes by the link that has returned")


@each_way("death:flaps")
def flaps(ctx, way):
    """b is dead for 150 ms of each 400."""
    transfer = Transfer(ctx, way, "24M")
    transfer.wait_carried(MB // 2, ["b"])
    ctx.links("b flap 150 250")
    transfer.result(joins=1, allow=ENDED_SUBFLOWS, timeout_s=60)
    ctx.links("b up")


@each_way("death:both")
def both(ctx, way):
    """There is no path at all for a second and a half."""
    transfer = Transfer(ctx, way, "24M")
    transfer.wait_carried(MB // 2, ["b"])
    ctx.links("a dead")
    ctx.links("b dead")
    expect(transfer.process.poll() is None, "it was over before")
    try:
        transfer.process.wait(1.5)
    except Exception:   # as it should be
        pass
    ctx.links("b up")
    ctx.links("a up")
    transfer.result(joins=1, allow=ENDED_SUBFLOWS, timeout_s=60)


@each_way("death:one-way")
def one_way(ctx, way):
    """Only the acknowledgements' direction of b dies."""
    transfer = Transfer(ctx, way, "14M")
    transfer.wait_carried(MB // 2, ["b"])
    ctx.links("b.to_gate dead" if way == "up" else "b.to_net dead")
    transfer.result(joins=1, allow=ENDED_SUBFLOWS, timeout_s=60)
    ctx.links("b up")


for how_ in ("silent", "admin"):
    @each_way(f"death:masquerade:{how_}", links=TWO, masquerade=True, gate={"extra": MULTIPATH})
    def masquerade(ctx, way, how=how_):
        """The uplink whose address the guest's connection was translated to dies, and with it, when
        it is set down, the translation: the guest notices nothing."""
        dies(ctx, way, "a", how)


@case("death:new-connections", **PLACE)
def new_ones(ctx):
    """While a is down a new connection begins by b, and joins a when that is back."""
    link_down(ctx, "a")
    # the guest's way follows the host's routing; so must the answers
    ctx.net.sh("ip route replace 10.77.1.0/24 via 10.77.12.2")
    transfer = Transfer(ctx, "up", "40M")
    transfer.wait_carried(4 * MB, ["b"])
    link_up(ctx, "a")
    transfer.result(joins=1, allow=ENDED_SUBFLOWS)
    ctx.net.sh("ip route replace 10.77.1.0/24 via 10.77.11.2")


@case("death:unpromoted", links=TWO)
def unpromoted(ctx):
    """Too little has moved for a second subflow when the only link in use dies. The guest's timer
    tells, and that is reason enough. (When it is the guest that waits, nothing tells.)"""
    transfer = Transfer(ctx, "up", "2M", options="--idle-at 10000 --idle-ms 2500")
    transfer.wait_carried(5000)
    ctx.links("a dead")
    transfer.result(allow=ENDED_SUBFLOWS, timeout_s=60)
    ctx.links("a up")


@case("death:concurrent", fresh=True, **PLACE)
def concurrent(ctx):
    """Forty connections on both links when one of these dies."""
    transfer = Transfer(ctx, "both", "1M", connections=40)
    ctx.wait("all have joined", lambda: transfer.counters.growth().get("MPJoinAckRx", 0) >= 40, 15)
    ctx.links("a dead")
    transfer.result(allow=ENDED_SUBFLOWS, timeout_s=60)
    ctx.links("a up")
    # those before still close what they had on a
    ctx.converted("--send 1000", "--send 1000", connections=5, allow=ENDED_SUBFLOWS)
