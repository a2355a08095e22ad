# SPDX-License-Identifier: GPL-2.0-or-later
"""The other direction: a remote client's kernel opens, the guest's plain service answers."""
import socket

from lib import forge
from lib.wire import ACK, RST, SYN
from rec.place import PORT, topo
from rec.scene import scene


def called(p, family=4):
    g, s = p.pair_called(family)
    p.talk(s, g, 3)
    p.close(s, g)


@scene("called", "3.1, 3.3", server="client")
def called_v4(p):
    """Three questions of a remote client and three answers of the guest, then both ends close.

    Look at: MP_CAPABLE taken out of the SYN for the guest and put into its SYN/ACK for the client;
    both keys in the third ACK and in the first data, which has its mapping from there; DATA_ACK and
    mapping in all that the gate sends.
    """
    called(p)


@scene("called-v6", "3.1, 3.3", server="client")
def called_v6(p):
    """As called, over IPv6."""
    called(p, 6)


def guest_speaks(p):
    g, s = p.pair_called()
    p.talk(g, s, up=3000, down=500)
    p.close(s, g)


@scene("called-guest-first", "3.1", server="client")
def guest_first(p):
    """The guest speaks first (SMTP, SSH): 3000 bytes, then the client's 500.

    Look at: the third ACK without data carries both keys and is all that the gate needs; the
    guest's data has a mapping at once; the client's first data then has an ordinary mapping.
    """
    guest_speaks(p)


@scene("called-bulk", "3.3", server="client")
def bulk(p):
    """150 KB up and 150 KB down at the same time, super-segments included."""
    g, s = p.pair_called()
    p.exchange(g, s, 150000, 150000)
    p.close(s, g)


@scene("called-loss-third-ack", "3.1", server="client")
def third_ack_lost(p):
    """The third ACK is lost; the client's first data carries the keys as well, and a length.

    Look at: the guest hears of the third ACK by that data.
    """
    p.listen_guest()
    p.drop("net", f"--dport {PORT} --tcp-flags SYN,ACK ACK")
    s = p.call()
    s.send(700)
    g = p.answer()
    g.expect(700)
    g.send(300)
    s.expect(300)
    p.close(s, g)


@scene("called-loss-third-ack-guest-first", "3.1", server="client")
def third_ack_lost_guest_first(p):
    """The third ACK is lost and the guest is to speak first: it repeats its SYN/ACK, and so does
    the gate, with the same key.

    Look at: two SYN/ACKs to the client, the same option in both.
    """
    p.drop("net", f"--dport {PORT} --tcp-flags SYN,ACK ACK")
    guest_speaks(p)


@scene("called-loss-syn", "3.1", server="client")
def syn_lost(p):
    """The stripped SYN is lost on its way to the guest, and the client sends it again."""
    p.drop("guest", f"--dport {PORT} --tcp-flags SYN,ACK SYN", chain="INPUT")
    g, s = p.talked(called=True)
    p.close(s, g)


@scene("called-refused", "3.1", server={"MPCapableSYNTX": 1, "MPCapableSYNACKRX": 0})
def refused(p):
    """Nobody listens in the guest.

    Look at: its RST goes on, and the record is gone: no timer follows.
    """
    try:
        p.call()
    except ConnectionRefusedError:
        p.rest()
        return
    raise AssertionError("connected to nobody")


@scene("called-reset-by-client", "3.5", server={"MPCapableSYNACKRX": 1, "MPFastcloseTx": 1,
                                                 "MPRstTx": "any"})
def reset_by_client(p):
    """The client aborts: its MP_FASTCLOSE carries the gate's key, and the guest gets a RST."""
    g, s = p.talked(called=True)
    p.abort(s, g)


@scene("called-reset-by-guest", "3.5", server={"MPCapableSYNACKRX": 1, "MPFastcloseRx": 1})
def reset_by_guest(p):
    """The guest aborts: the gate says so by MP_FASTCLOSE with the client's key."""
    p.abort(*p.talked(called=True))


@scene("called-half-close", "3.3.3", server="client")
def half_close(p):
    """The client ends its data; the guest still sends 20 KB, then ends its own."""
    g, s = p.pair_called()
    s.send(400)
    g.expect(400)
    s.end()
    g.expect_end()
    g.send(20000)
    s.expect(20000)
    g.end()
    s.expect_end()
    p.rest(0.1)
    g.close()
    s.close()
    p.rest()


# ---- joins from outside ----

# So that a default that changes is no difference here.
OWN_PACE = "multipath { after_bytes = 262144  on_congestion = false }\n"


def second_address(p, *more):
    """The client's kernel joins from its other address, as soon as the connection is there."""
    p.server.sh(f"ip mptcp endpoint add {topo.ADDR[4]['server2']} dev eth0 subflow " +
                " ".join(more))


@scene("called-join", "3.2", server="client", conf=OWN_PACE)
def join(p):
    """The client joins from a second address; then 30 KB each way.

    Look at: SYN with the token of the gate's key, SYN/ACK and third ACK with HMACs, the fourth ACK;
    data on both subflows, one stream at the guest.
    """
    second_address(p)
    g, s = p.talked(called=True)
    p.rest()
    p.exchange(g, s, 30000, 30000)
    p.close(s, g)


@scene("called-join-backup", "3.2", server="client", conf=OWN_PACE)
def join_backup(p):
    """As called-join, with the flag B: the second subflow is for when the first is gone.

    Look at: no data of the guest's on it.
    """
    second_address(p, "backup")
    g, s = p.talked(called=True)
    p.rest()
    p.exchange(g, s, 30000, 30000)
    p.close(s, g)


@scene("called-join-refused", "3.2, 3.6", conf='multipath { mode = "single" }\n',
       server={"MPCapableSYNACKRX": 1, "MPJoinSynTx": 1, "MPJoinSynAckRx": 0})
def join_refused(p):
    """The gate's configuration allows one subflow only.

    Look at: RST with MP_TCPRST, reason "administratively prohibited"; the connection goes on.
    """
    second_address(p)
    g, s = p.talked(called=True)
    p.rest()
    p.talk(g, s)
    p.close(s, g)


@scene("called-join-forged", "3.2, 3.6", server="client")
def join_forged(p):
    """Somebody else joins: with a token of nobody's, and with the connection's token but without
    its keys.

    Look at: the first is refused at its SYN, the second at its third ACK, both with MP_TCPRST
    "MPTCP-specific error".
    """
    attacker = forge.Attacker(p.net, "a")
    g, s = p.talked(called=True)
    guest, stranger = (socket.inet_aton(a) for a in (topo.ADDR[4]["guest"], "10.77.9.66"))
    synack = attacker.wait("the SYN/ACK", lambda x: x.flags & SYN and x.flags & ACK)
    token = forge.token_of(synack)
    for port, what in ((50001, token ^ 1), (50002, token)):
        attacker.say(stranger, guest, port, PORT, 1000, 0, SYN, forge.join_syn(what, 1))
        answer = attacker.wait("an answer", lambda x, n=port: x.dport == n)
        if answer.flags & SYN:
            attacker.say(stranger, guest, port, PORT, 1001, answer.seq + 1, ACK,
                         forge.join_ack(bytes(20)))
            attacker.wait("the refusal", lambda x, n=port: x.dport == n and x.flags & RST)
    attacker.stop()
    p.talk(g, s)
    p.close(s, g)


@scene("called-announced", "3.4.1, 3.2", server="client", both_paths=True, conf=OWN_PACE)
def announced(p):
    """The gate announces the address of its second path behind the first data; the client
    confirms and joins there; then 30 KB each way.

    Look at: ADD_ADDR of the path "b" with its HMAC and the echo; a join to that address at the
    service's port, though no guest has it; data on both.
    """
    p.server.sh("ip mptcp limits set subflow 2 add_addr_accepted 2")
    g, s = p.talked(called=True)
    p.rest()
    p.exchange(g, s, 30000, 30000)
    p.close(s, g)
