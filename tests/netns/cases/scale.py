# SPDX-License-Identifier: GPL-2.0-or-later
"""Many connections, one after the other and at once."""
from lib import move
from lib.case import case, expect

for family_ in (4, 6):
    @case(f"many:1000-short:v{family_}")
    def short(ctx, family=family_):
        """A request and an answer each."""
        one, _ = ctx.converted("--send 100 --fin-after-eof", "--send 1000 --send-after 100",
                               family, connections=1000)
        ctx.note(f"{1000 / one['seconds']:.0f} a second")

    @case(f"many:200-concurrent:v{family_}")
    def concurrent(ctx, family=family_):
        one, _ = ctx.converted("--send 200k --concurrency 200", "--send 200k", family,
                               connections=200)
        ctx.note(f"{one['seconds']:.1f} s")

    @case(f"many:300-resets:v{family_}")
    def resets(ctx, family=family_):
        """Every connection is reset in the middle; none leaves a record behind."""
        server = ctx.serve("--connections 300", family)
        one = ctx.client("--send 1M --reset-after-sent 100000 --connections 300 "
                         "--concurrency 100", family)
        server.result()
        expect(one["errors"] == {"reset-sent": 300}, f"{one}")
        ctx.wait("all are forgotten", lambda: not [
            c for c in ctx.daemon.connections() if c["state"] != "closed"])


@case("many:200-concurrent:nogso", gso=False)
def concurrent_nogso(ctx):
    ctx.converted("--send 50k --concurrency 200", "--send 50k", 4, connections=200)


@case("many:more-than-fit", gate={"connections": 50})
def more(ctx):
    """I7: max_connections are converted, the others are plain, all are whole; and when these are
    over there is room at once."""
    both = f"--connections 200 --concurrency 200 --send 100k --idle-at 50k {move.UNTIL_GO_ON}"
    for family in (4, 6):
        server, client = ctx.serve(both, family), ctx.background(both, family)
        ctx.wait("all at once", lambda: ctx.guest.sh(
            "ss -Htn state established dport = :7001").count("\n") == 200, 10)
        move.go_on(client)
        server.go_on()
        one, two = move.finish(client, 60), server.result()
        move.same_data(one, two, 200)
        expect(20 <= two["mptcp_start"] <= 50, f"{two['mptcp_start']} were MPTCP")
        ctx.note(f"{two['mptcp_start']} of 200 were MPTCP")
    expect(ctx.daemon.counters().get("plain_table_full"), f"{ctx.daemon.counters()}")
    ctx.converted("--send 10k --concurrency 40", "--send 10k", connections=40)
