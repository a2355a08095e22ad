# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins that nobody awaits, and what comes after them: the gate refuses them as RFC 8684 section
3.2 says, the host's own stack never answers for it, and the host's own services notice nothing."""
import socket
import time

from lib import forge
from lib.case import both_families, expect
from lib.topo import ADDR
from lib.wire import ACK, RST, SYN

from .abuse import MPTCP_ERROR, STRANGER, Held, count_of, packed, wait_count

PSH = 8
SILENCE_S = 1


class Stranger:
    """Outside of path b, from where the gate's announced address is reached."""

    def __init__(self, ctx, family):
        self.attacker = forge.Attacker(ctx.net, "b")
        self.me, self.gate = (packed(family, a) for a in (STRANGER[family], ADDR[family]["up-b"]))
        self.nonce = 7

    def say(self, sport, dport, seq, ack, flags, options=b"", payload=b""):
        since = self.attacker.mark()
        self.attacker.say(self.me, self.gate, sport, dport, seq, ack, flags, options, payload)
        return since

    def answer(self, sport, since, timeout_s=10):
        return self.attacker.wait(f"an answer to port {sport}",
                                  lambda s: s.dport == sport and s.src == self.gate,
                                  timeout_s, since)

    def silence(self, sport, since):
        time.sleep(SILENCE_S)
        self.attacker.listen()
        heard = [s for s in self.attacker.heard[since:] if s.dport == sport]
        expect(not heard, f"answered: {[(hex(s.flags), s.mptcp) for s in heard]}")

    def join(self, sport, dport, token):
        self.nonce += 1
        return self.answer(sport, self.say(sport, dport, 1000, 0, SYN,
                                           forge.join_syn(token, self.nonce)))

    def refused(self, sport, dport, token):
        """The join is answered by RST with MP_TCPRST."""
        rst = self.join(sport, dport, token)
        expect(rst.flags & RST and forge.tcprst_reason(rst) == MPTCP_ERROR,
               f"port {dport}: {hex(rst.flags)} {rst.mptcp}")


def token(held):
    return forge.token_of(held.attacker.wait("the SYN/ACK", lambda s: s.flags & SYN and
                                             s.flags & ACK))


@both_families("unwanted:join", fresh=True, gate={"path_b": True})
def join(ctx, family):
    """Joins with unknown tokens to the address of a path that was announced and that nobody joined
    yet: refused, at the service's port as at any other. Where the host itself has a service on that
    port it answers itself; where its firewall lets nobody in, nobody answers."""
    held, stranger = Held(ctx, family), Stranger(ctx, family)
    known = token(held)
    before = count_of(ctx, "join_token")
    stranger.refused(50001, 7001, known ^ 1)
    stranger.refused(50002, 7999, known ^ 1)
    expect(count_of(ctx, "join_token") == before + 2, f"{ctx.daemon.counters()}")
    with ctx.gate_ns.inside():
        service = socket.create_server((ADDR[family]["up-b"], 7001),
                                       family=socket.AF_INET if family == 4 else socket.AF_INET6)
    synack = stranger.join(50003, 7001, known ^ 1)
    expect(synack.flags & (SYN | ACK | RST) == SYN | ACK and not synack.mptcp,
           f"the host's service: {hex(synack.flags)} {synack.mptcp}")
    expect(count_of(ctx, "join_token") == before + 2, f"{ctx.daemon.counters()}")
    # The lawful token is the gate's all the same, at the same address and port.
    expect(stranger.join(50004, 7001, known).flags & (SYN | ACK) == SYN | ACK, "not accepted")
    service.close()
    tool = "iptables" if family == 4 else "ip6tables"
    ctx.gate_ns.sh(f"{tool} -A INPUT -p tcp --dport 7998 -j DROP")
    stranger.silence(50005, stranger.say(50005, 7998, 1000, 0, SYN,
                                         forge.join_syn(known ^ 1, 1)))
    held.end()


@both_families("unwanted:forgotten", fresh=True, gate={"path_b": True})
def forgotten(ctx, family):
    """What comes later on a join that was refused at its third ACK is the gate's to refuse. With
    the daemon dead nobody does, and a SYN of a new connection goes to the host, whose port is
    closed."""
    held, stranger = Held(ctx, family), Stranger(ctx, family)
    synack = stranger.join(50001, 7001, token(held))
    expect(synack.flags & (SYN | ACK) == SYN | ACK, f"{hex(synack.flags)} {synack.mptcp}")
    since = stranger.say(50001, 7001, 1001, synack.seq + 1, ACK,
                         forge.join_ack(forge.some_hmac()))
    expect(forge.tcprst_reason(stranger.answer(50001, since)) == MPTCP_ERROR, "no MP_TCPRST")
    wait_count(ctx, "join_ack_hmac")

    def later(flags=ACK | PSH, options=forge.join_ack(forge.some_hmac()), payload=b"late"):
        return stranger.say(50001, 7001, 1001, synack.seq + 1, flags, options, payload)

    rst = stranger.answer(50001, later())
    expect(forge.tcprst_reason(rst) == MPTCP_ERROR, f"{hex(rst.flags)} {rst.mptcp}")
    before = count_of(ctx, "drop_orphan") + count_of(ctx, "drop_no_subflow")
    expect(stranger.answer(50001, later(ACK, b"", b"")).flags & RST, "no RST")
    expect(count_of(ctx, "drop_orphan") + count_of(ctx, "drop_no_subflow") == before + 1,
           "the host's own stack has answered")
    held.end()
    ctx.daemon.kill()
    stranger.silence(50001, later())
    stranger.silence(50001, later(ACK, b"", b""))
    rst = stranger.answer(50001, stranger.say(50001, 7001, 5000, 0, SYN))
    expect(rst.flags & RST and not rst.mptcp, f"{hex(rst.flags)} {rst.mptcp}")
    rst = stranger.answer(50001, later(ACK, b"", b""))
    expect(rst.flags & RST, "the host should answer for a tuple that is its own again")
