# SPDX-License-Identifier: GPL-2.0-or-later
"""Several subflows with DSS checksums, and a middlebox on one link that alters payload: the
subflow ends with MP_FAIL (RFC 8684 section 3.7), the bytes are whole all the same."""
from lib.case import expect
from lib.move import Middlebox
from lib.multi import ENDED_SUBFLOWS, Transfer
from .paths import MB, MULTIPATH, TWO, each_way

CHECKED = {"links": TWO, "gate": {"extra": MULTIPATH}, "gso": False, "checksum": True}
FAILS = ENDED_SUBFLOWS + ("MPFailTx", "MPFailRx", "DataCsumErr")


@each_way("paths:checksum", **CHECKED)
def checksum(ctx, way):
    """Nothing is altered: both links carry, nobody complains."""
    transfer = Transfer(ctx, way, "12M")
    transfer.result(joins=1)
    transfer.all_carry(MB)


@each_way("paths:checksum-altered", **CHECKED)
def altered(ctx, way):
    """A byte of the joined subflow, with its TCP checksum mended."""
    side = "--corrupt-from-server" if way == "down" else ""
    box = Middlebox(ctx.net, ctx.tools, f"--corrupt-at 200000 {side}", link="b")
    transfer = Transfer(ctx, way, "12M")
    grown = transfer.result(joins=1, allow=FAILS)
    expect(box.counts()["corrupted"] >= 1, "nothing was altered")
    if way == "up":
        expect(grown.get("DataCsumErr", 0) >= 1, f"the server saw nothing: {grown}")
        return
    counters = ctx.daemon.counters()
    expect(counters.get("subflow_checksum", 0) >= 1, f"the gate saw nothing: {counters}")
