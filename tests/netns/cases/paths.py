# SPDX-License-Identifier: GPL-2.0-or-later
"""Several subflows at once over emulated links: bytes are whole, each link carries its share. The
bars are low on purpose, the machine is shared: bench/paths has the real ones."""
from lib.case import case, expect
from lib.multi import ENDED_SUBFLOWS, Transfer

MULTIPATH = 'multipath { mode = "fullmesh" after_bytes = 50000 on_congestion = false }\n'
TWO = "a=100/10 b=100/10"
PLACE = {"links": TWO, "gate": {"extra": MULTIPATH}}
WAYS = ("up", "down")
MB = 1 << 20


def each_way(name, ways=WAYS, **topology):
    def register(function):
        for way in ways:
            case(f"{name}:{way}", **(topology or PLACE))(lambda ctx, w=way: function(ctx, w))
        return function
    return register


for family_ in (4, 6):
    @each_way(f"paths:two:v{family_}", WAYS + ("both",))
    def two(ctx, way, family=family_):
        transfer = Transfer(ctx, way, "12M", family)
        transfer.result(joins=1)
        transfer.all_carry(2 * MB)


class Shaped:
    """Links as told, and as before afterwards."""

    def __init__(self, ctx, *commands):
        self.ctx = ctx
        for command in commands:
            ctx.links(command)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name, spec in self.ctx.topo.specs.items():
            self.ctx.links(f"{name} {spec.commands()} mtu 0 up")


@each_way("paths:unequal")
def unequal(ctx, way):
    """The slow link of a long way carries something, and does not hold up the fast one."""
    with Shaped(ctx, "b rate 20 delay 30 queue 150000"):
        transfer = Transfer(ctx, way, "20M")
        transfer.result(joins=1, timeout_s=60)


@each_way("paths:loss")
def loss(ctx, way):
    """On both links, so that no way is spared repairs."""
    with Shaped(ctx, "a loss 0.3", "b loss 1"):
        transfer = Transfer(ctx, way, "12M")
        transfer.result(joins=1)
        transfer.all_carry(MB // 4)
        lost = ctx.links.counters()
        expect(lost["b"]["to_net"]["lost"] + lost["b"]["to_gate"]["lost"] > 5, f"{lost}")


@each_way("paths:heavy-loss")
def heavy_loss(ctx, way):
    """A tenth of all, acknowledgements too."""
    with Shaped(ctx, "a loss 10", "b loss 10"):
        Transfer(ctx, way, "1M").result(allow=ENDED_SUBFLOWS)   # a join may come too late


@each_way("paths:tiny-queues")
def tiny_queues(ctx, way):
    """A few segments fit: losses come in rows."""
    with Shaped(ctx, "a queue 12000", "b queue 12000"):
        Transfer(ctx, way, "8M").result(joins=1)


@each_way("paths:rate-changes")
def rates(ctx, way):
    """The fast link becomes the slow one in the middle, and the reverse."""
    with Shaped(ctx, "b rate 10"):
        transfer = Transfer(ctx, way, "16M")
        transfer.wait_carried(5 * MB)
        ctx.links("a rate 10")
        ctx.links("b rate 100")
        transfer.result(joins=1, timeout_s=60)


@each_way("paths:mtu-told", links=TWO, gate={"extra": MULTIPATH}, fresh=True)
def mtu_told(ctx, way):
    """Behind the router of b only 1400 bytes pass, and it says so (ICMP): as a tunnel does."""
    ctx.net.sh("ip rule add iif b lookup 200\n"
               "ip route add 10.77.9.0/24 dev s mtu lock 1400 table 200\n"
               "ip rule add to 10.77.12.0/24 lookup 201\n"
               "ip route add 10.77.12.0/24 dev b mtu lock 1400 table 201")
    transfer = Transfer(ctx, way, "12M")
    transfer.result(joins=1)
    transfer.all_carry(MB // 4)


@each_way("paths:mtu-own", links=TWO, gate={"extra": MULTIPATH}, fresh=True)
def mtu_own(ctx, way):
    """b's own interfaces, both ends, have a smaller MTU."""
    ctx.gate_ns.sh("ip link set dev up-b mtu 1300")
    ctx.net.sh("ip link set dev b mtu 1300")
    transfer = Transfer(ctx, way, "12M")
    transfer.result(joins=1)
    transfer.all_carry(MB)


@each_way("paths:mtu-black-hole")
def mtu_black_hole(ctx, way):
    """Large packets vanish on b without a word: a must carry it all, as if b were not."""
    with Shaped(ctx, "b mtu 1300"):
        transfer = Transfer(ctx, way, "8M")
        transfer.result(allow=ENDED_SUBFLOWS, timeout_s=60)
        expect(transfer.carried()["a"] > 6 * MB, f"bytes by link: {transfer.carried()}")


@case("paths:concurrent:100", **PLACE)
def concurrent(ctx):
    """A hundred at once, each on both links, both ways."""
    transfer = Transfer(ctx, "both", "200k", connections=100)
    grown = transfer.result(timeout_s=60)
    expect(grown.get("MPJoinAckRx", 0) >= 80, f"joins: {grown}")
    ctx.note(f"{grown.get('MPJoinAckRx', 0)} joins")


@each_way("paths:memory", links=TWO, gate={"extra": MULTIPATH, "memory_mb": 8, "connections": 400})
def memory(ctx, way):
    """I7: far more is on its way than the memory holds. Senders wait, nothing is lost."""
    with Shaped(ctx, "a delay 100 queue 2500000", "b delay 20 queue 500000"):
        transfer = Transfer(ctx, way, "400k", connections=60)
        transfer.result(allow=ENDED_SUBFLOWS, timeout_s=90)


@each_way("paths:memory:one", links=TWO, gate={"extra": MULTIPATH, "memory_mb": 8,
                                             "connections": 400})
def memory_one(ctx, way):
    """The slow way's data wait for the fast one's, or the reverse: reordering beyond the bound."""
    with Shaped(ctx, "a delay 150 queue 4000000", "b delay 1"):
        Transfer(ctx, way, "10M").result(timeout_s=60)


@each_way("paths:reader-sleeps")
def sleeper(ctx, way):
    """The receiver stops for a second: its window closes and opens again on both subflows."""
    transfer = Transfer(ctx, way, "8M", options="--pause-at 3M --pause-ms 1000")
    transfer.result(joins=1)


@each_way("paths:idle")
def idle(ctx, way):
    """The sender sleeps for longer than any retransmission timer, then goes on."""
    transfer = Transfer(ctx, way, "8M", options="--idle-at 3M --idle-ms 2500")
    transfer.result(joins=1)


@case("paths:three", links="a=60/10 b=40/20 c=20/40", gate={"extra": MULTIPATH})
def three(ctx):
    for way in WAYS:
        transfer = Transfer(ctx, way, "10M")
        transfer.result(joins=2)
        transfer.all_carry(MB // 4)
