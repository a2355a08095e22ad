# SPDX-License-Identifier: GPL-2.0-or-later
"""Each scheduler, congestion controller and kind of path once, over emulated links."""
from lib.case import case, expect
from lib.multi import ENDED_SUBFLOWS, Transfer

from .paths import MB, MULTIPATH, TWO, WAYS

CONTROLLERS = ("lia", "olia", "balia", "cubic", "bbr")
SCHEDULERS = ("lowest-rtt", "blest", "round-robin", "redundant")


def daemon(ctx, extra="", **kwargs):
    """Another one in the same namespaces."""
    ctx.new_daemon(extra=MULTIPATH + extra, **kwargs).start()


def mode(name, **topology):
    def register(function):
        @case(f"modes:{name}", needs_gate=False, **{"links": TWO, **topology})
        def run(ctx):
            function(ctx)
            ctx.daemon.stop()
            ctx.daemon = None
        return run
    return register


for name_ in CONTROLLERS:
    @mode(f"congestion:{name_}")
    def congestion(ctx, name=name_):
        """Upload: the gate's own controller is at work; some loss, so that it must react."""
        daemon(ctx, f'congestion = "{name}"\n')
        ctx.links("b loss 0.1")
        transfer = Transfer(ctx, "up", "10M")
        transfer.result(joins=1)
        ctx.links("b loss 0")
        transfer.all_carry(MB // 10)     # early losses leave a small window (once 493 KB)


for name_ in SCHEDULERS:
    @mode(f"scheduler:{name_}")
    def scheduler(ctx, name=name_):
        daemon(ctx, f'scheduler = "{name}"\n')
        transfer = Transfer(ctx, "up", "8M")
        transfer.result(joins=1)
        transfer.all_carry(MB)
        carried = transfer.carried()
        if name == "redundant":
            expect(sum(carried.values()) > 12 * MB, f"not everything went twice: {carried}")


@mode("backup")
def backup(ctx):
    """A backup path carries nothing, until it is the only one."""
    daemon(ctx, options={"b": "backup = true"})
    for way in WAYS:
        transfer = Transfer(ctx, way, "24M")
        transfer.wait_carried(3 * MB)
        carried = transfer.carried()
        expect(carried["b"] < MB // 4, f"{way}: the backup path was used: {carried}")
        ctx.links("a dead")
        transfer.result(joins=1, allow=ENDED_SUBFLOWS, timeout_s=60)
        expect(transfer.carried()["b"] > 5 * MB, f"{way}: {transfer.carried()}")
        ctx.links("a up")


@mode("single")
def single(ctx):
    ctx.new_daemon(extra='multipath { mode = "single" }\n').start()
    transfer = Transfer(ctx, "up", "4M")
    grown = transfer.result()
    expect(not grown.get("MPJoinSynRx"), f"{grown}")


@mode("ndiffports")
def ndiffports(ctx):
    """Three subflows of one path."""
    ctx.new_daemon(extra='multipath { mode = "ndiffports 3" after_bytes = 50000 }\n',
                   paths="a").start()
    for way in WAYS:
        Transfer(ctx, way, "8M").result(joins=2)


@mode("mixed-families", links="a=100/10@4 b=100/10@6", announce="6:server")
def mixed(ctx):
    """The guest speaks IPv4, the second path is IPv6: the server announces its address."""
    daemon(ctx)
    for way in WAYS:
        transfer = Transfer(ctx, way, "12M", any_family=True)
        transfer.result(joins=1)
        transfer.all_carry(MB)


@mode("second-address", announce="4:server2")
def second_address(ctx):
    """fullmesh: each path to each address of the server."""
    daemon(ctx)
    transfer = Transfer(ctx, "up", "12M")
    grown = transfer.result(joins=2)
    ctx.note(f"{grown['MPJoinAckRx']} joins")
