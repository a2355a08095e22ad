# SPDX-License-Identifier: GPL-2.0-or-later
"""The four namespaces of a test: guest - gate - net - server.

    guest eth0 --- guest0 gate up-a --- a net s --- eth0 server
                               up-b --- b

The guest knows nothing of MPTCP; gate is the host that mpgate runs on; net is the router in which
tests break things; server has the kernel's own MPTCP. The path by up-b is there for tests that
need a second uplink.

With `links` there is a fifth namespace between gate and net, in which the emulator (links.py) joins
up-a and a, up-b and b, up-c and c by lines of given rate, delay, queue and loss.
"""
from . import links as emulator
from . import ns

SIDES = ("guest", "gate", "net", "server")

# Addresses: [family][end of a link].
ADDR = {
    4: {"guest": "10.77.1.2", "guest0": "10.77.1.1", "up-a": "10.77.11.2", "a": "10.77.11.1",
        "up-b": "10.77.12.2", "b": "10.77.12.1", "up-c": "10.77.13.2", "c": "10.77.13.1",
        "s": "10.77.9.1", "server": "10.77.9.9", "server2": "10.77.9.10"},
    6: {"guest": "fd77:1::2", "guest0": "fd77:1::1", "up-a": "fd77:11::2", "a": "fd77:11::1",
        "up-b": "fd77:12::2", "b": "fd77:12::1", "up-c": "fd77:13::2", "c": "fd77:13::1",
        "s": "fd77:9::1", "server": "fd77:9::9", "server2": "fd77:9::10"},
}
LENGTH = {4: 24, 6: 64}
LINKS = (("guest", "eth0", "guest", "gate", "guest0", "guest0"),
         ("gate", "up-a", "up-a", "net", "a", "a"),
         ("gate", "up-b", "up-b", "net", "b", "b"),
         ("gate", "up-c", "up-c", "net", "c", "c"),
         ("net", "s", "s", "server", "eth0", "server"))
ALLOWED_PORT = 7001
FORBIDDEN_PORT = 7666

IPTABLES_FIREWALL = """
for t in iptables ip6tables; do
    $t -P FORWARD DROP
    $t -P INPUT DROP
    $t -A INPUT -i lo -j ACCEPT
    $t -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    $t -A INPUT -p ipv6-icmp -j ACCEPT 2>/dev/null || true
    $t -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    $t -A FORWARD -i guest0 -p tcp --dport 7001 -m conntrack --ctstate NEW -j ACCEPT
    $t -A FORWARD -p ipv6-icmp -j ACCEPT 2>/dev/null || true
done
"""
NFT_FIREWALL = """
nft -f - <<END
table inet house {
    chain input {
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ct state established,related accept
        meta l4proto ipv6-icmp accept
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "guest0" tcp dport 7001 ct state new accept
        meta l4proto ipv6-icmp accept
    }
}
END
"""
MASQUERADE = """
for t in iptables ip6tables; do
    for dev in up-a up-b up-c; do $t -t nat -A POSTROUTING -o $dev -j MASQUERADE; done
done
"""
# So that tables and base chains exist before as after: iptables never removes them.
TABLES = {"raw": "PREROUTING OUTPUT", "mangle": "PREROUTING INPUT FORWARD OUTPUT POSTROUTING",
          "nat": "PREROUTING INPUT OUTPUT POSTROUTING", "filter": "INPUT FORWARD OUTPUT",
          "security": "INPUT FORWARD OUTPUT"}
TOUCH_TABLES = "for t in iptables ip6tables; do $t-restore --noflush <<END\n" + "".join(
    f"*{table}\n" + "".join(f"-A {chain} -j ACCEPT\n-D {chain} -j ACCEPT\n"
                            for chain in chains.split()) + "COMMIT\n"
    for table, chains in TABLES.items()) + "END\ndone"


class Topology:
    """`links`: "a=RATE/RTT[/LOSS][@FAMILY] b=..." (Mbit/s, ms, percent): emulated, as links.Spec
    says. `announce`: addresses that the server's kernel announces, as "4:server2 6:server".
    """

    def __init__(self, gso=True, masquerade=False, firewall=None, checksum=False,
                 server_enabled=True, links=None, tools=None, announce=""):
        self.gso = gso
        self.masquerade = masquerade
        self.firewall = firewall
        self.specs = emulator.parse(links) if links else {}
        self.emulator = None
        self.sides = SIDES + (("links",) if links else ())
        for side in self.sides:
            setattr(self, side, ns.Ns(side))
            # addresses count at once, link-local ones too, or the first packets are lost
            getattr(self, side).sh("sysctl -qw net.ipv6.conf.default.accept_dad=0 "
                                   "net.ipv6.conf.all.accept_dad=0")
        self.make_links()
        self.routes()
        self.sysctls(checksum, server_enabled)
        self.gate.sh(TOUCH_TABLES)
        self.gate.sh({None: "true", "iptables": IPTABLES_FIREWALL, "nft": NFT_FIREWALL}[firewall])
        if masquerade:
            self.gate.sh(MASQUERADE)
        self.server.sh("ip mptcp limits set subflow 8 add_addr_accepted 8")
        for one in announce.split():
            family, end = one.split(":")
            self.server.sh(f"ip mptcp endpoint add {ADDR[int(family)][end]} dev eth0 signal")
        if links:
            self.emulator = emulator.Links(self.links, tools, self.specs)

    def uplinks(self):
        return list(self.specs) or ["a", "b"]

    def all_links(self):
        """Those of LINKS that exist here."""
        return [one for one in LINKS if one[0] != "gate" or one[4] in self.uplinks()]

    def make_links(self):
        for side, dev, _, peer, peer_dev, _ in self.all_links():
            if self.specs and side == "gate":
                emulator.make_wires(self, dev, peer_dev)
                continue
            ns.run("ip", "link", "add", dev, "netns", getattr(self, side).name, "type", "veth",
                   "peer", "name", peer_dev, "netns", getattr(self, peer).name)
        for side in SIDES:
            script = "ip link set lo up\n"
            for one, dev, end, two, peer_dev, peer_end in self.all_links():
                for where, name, addr in ((one, dev, end), (two, peer_dev, peer_end)):
                    if where != side:
                        continue
                    for family in self.families(peer_dev):
                        nodad = "nodad" if family == 6 else ""
                        script += (f"ip addr add {ADDR[family][addr]}/{LENGTH[family]} {nodad} "
                                   f"dev {name}\n")
                    script += f"ip link set dev {name} up\n"
                    if not self.gso:
                        script += f"ethtool -K {name} tso off gso off gro off tx off >/dev/null\n"
            getattr(self, side).sh(script)
        for family in (4, 6):
            nodad = "nodad" if family == 6 else ""
            self.server.sh(f"ip addr add {ADDR[family]['server2']}/{LENGTH[family]} {nodad} "
                           "dev eth0")

    def families(self, link):
        return self.specs[link].families if link in self.specs else (4, 6)

    def routes(self):
        for family in (4, 6):
            a, ip = ADDR[family], f"ip -{family}"
            guests = "10.77.1.0/24" if family == 4 else "fd77:1::/64"
            self.guest.sh(f"{ip} route add default via {a['guest0']}")
            links = [link for link in self.uplinks() if family in self.families(link)]
            for n, link in enumerate(links):
                self.gate.sh(f"{ip} route add default via {a[link]} dev up-{link} "
                             f"metric {10 * (n + 1)}")
            self.server.sh(f"{ip} route add default via {a['s']}")
            if not self.masquerade and links:
                self.net.sh(f"{ip} route add {guests} via {a['up-' + links[0]]}")

    def sysctls(self, checksum, server_enabled):
        forward = ("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
                   "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
        self.gate.sh(forward)
        self.net.sh(forward)
        for side in (self.guest, self.server):
            # a namespace may choose only what the machine allows; cubic where it may
            side.sh("sysctl -qw net.ipv4.tcp_congestion_control=cubic 2>/dev/null || "
                    "sysctl -qw net.ipv4.tcp_congestion_control=reno\n"
                    "sysctl -qw net.mptcp.blackhole_timeout=0 2>/dev/null || true\n"
                    "sysctl -qw net.ipv4.tcp_rmem='4096 131072 33554432' "
                    "net.ipv4.tcp_wmem='4096 16384 33554432'\n"
                    "sysctl -qw net.ipv4.tcp_no_metrics_save=1")
        self.server.sh(f"sysctl -qw net.mptcp.checksum_enabled={int(checksum)} "
                       f"net.mptcp.enabled={int(server_enabled)}")

    def remove(self):
        if self.emulator:
            self.emulator.stop()
        for side in self.sides:
            getattr(self, side).remove()
