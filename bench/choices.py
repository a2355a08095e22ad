# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of bench/paths that run when they are named: what the choice of a congestion controller and
of a scheduler brings. Both decide about what the guest sends, so that is the way that is measured.
"""
import time

import contenders
from lib import ns
from measure import MEGA, TWO, UNEQUAL, Goodput, Short, Transfer

BESIDE_PORT = 7002
SETTLED_S, ENDS_S = 3.0, 14.0
CONTROLLERS = ("lia", "olia", "balia", "cubic", "bbr")
SCHEDULERS = ("blest", "lowest-rtt", "round-robin", "redundant")


def add(names, text):
    for name in names:
        contenders.add_variant(name, text.format(name))
    return " ".join(names)


LIA_TO_BBR = add(CONTROLLERS, 'congestion = "{}"')
BLEST_TO_REDUNDANT = add(SCHEDULERS, 'scheduler = "{}"')
contenders.add_variant("single", 'multipath { mode = "single" }')
# Two subflows over the one link.
ON_ONE = " ".join(contenders.add_variant(
    f"{c}-x2", f'congestion = "{c}"\nmultipath {{ mode = "ndiffports 2" }}') for c in CONTROLLERS)


class OneWay:
    """Only where the guest sends."""
    asked = True

    def ways(self):
        return (self.role.guest_sends,)


class GoodputOut(OneWay, Goodput):
    pass


class ShortOut(OneWay, Short):
    pass


class Fair(OneWay, Goodput):
    """A plain connection beside the contender's over link a, for eleven seconds after three."""

    def measure(self, bench, contender):
        way = self.role.guest_sends
        start = time.monotonic()
        both = [Transfer(bench, contender, way, "9G"),
                Transfer(bench, contenders.Plain(bench), way, "9G", beside=BESIDE_PORT)]
        time.sleep(ENDS_S)
        end = time.monotonic()
        for transfer in both:
            transfer.stop()
        mbit = []
        for transfer in both:
            got = transfer.receiver()
            first, last = (int((t - got["first_at"]) / got["bin_seconds"])
                           for t in (start + SETTLED_S, end - 0.1))
            span = got["bins"][first:last]
            if not span:
                raise ns.Failure(f"nothing came: {got}")
            mbit.append(sum(span) * 8 / (len(span) * got["bin_seconds"]) / MEGA)
        return {"Mbit/s": mbit[0], "plain beside it": mbit[1]}


CASES = [
    GoodputOut("controllers-two", "two equal links", TWO, LIA_TO_BBR, []),
    GoodputOut("controllers-unequal", "a fast and a slow link", UNEQUAL, LIA_TO_BBR, []),
    GoodputOut("controllers-loss", "1 % loss on one of two", "a=100/10 b=100/10/1", LIA_TO_BBR,
               []),
    Fair("fair-one", "plain TCP beside two subflows over one link", "a=100/10",
         f"plain single {ON_ONE}", []),
    Fair("fair-pool", "plain TCP on one of two links", TWO, f"native {LIA_TO_BBR}", []),
    GoodputOut("schedulers-two", "two equal links", TWO, BLEST_TO_REDUNDANT, []),
    GoodputOut("schedulers-unequal", "a fast and a slow link", UNEQUAL, BLEST_TO_REDUNDANT, []),
    ShortOut("schedulers-1M", "1 MB", UNEQUAL, BLEST_TO_REDUNDANT, [], size=MEGA, count=20),
    ShortOut("schedulers-5M", "5 MB", UNEQUAL, BLEST_TO_REDUNDANT, [], size=5 * MEGA, count=8),
]
