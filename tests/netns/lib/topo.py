# SPDX-License-Identifier: GPL-2.0-or-later
"""The four namespaces of a test: guest - gate - net - server.

    guest eth0 --- guest0 gate up-a --- a net s --- eth0 server
                               up-b --- b

The guest knows nothing of MPTCP; gate is the host that mpgate runs on; net is the router in which
tests break things; server has the kernel's own MPTCP. The path by up-b is there for tests that
need a second uplink.
"""
from . import ns

SIDES = ("guest", "gate", "net", "server")

# Addresses: [family][end of a link].
ADDR = {
    4: {"guest": "10.77.1.2", "guest0": "10.77.1.1", "up-a": "10.77.11.2", "a": "10.77.11.1",
        "up-b": "10.77.12.2", "b": "10.77.12.1", "s": "10.77.9.1", "server": "10.77.9.9"},
    6: {"guest": "fd77:1::2", "guest0": "fd77:1::1", "up-a": "fd77:11::2", "a": "fd77:11::1",
        "up-b": "fd77:12::2", "b": "fd77:12::1", "s": "fd77:9::1", "server": "fd77:9::9"},
}
LENGTH = {4: 24, 6: 64}
LINKS = (("guest", "eth0", "guest", "gate", "guest0", "guest0"),
         ("gate", "up-a", "up-a", "net", "a", "a"),
         ("gate", "up-b", "up-b", "net", "b", "b"),
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
    for dev in up-a up-b; do $t -t nat -A POSTROUTING -o $dev -j MASQUERADE; done
done
"""
# So that tables and base chains exist before as after: iptables never removes them.
TOUCH_TABLES = """
touch() {
    table=$1; shift
    for chain; do
        for t in iptables ip6tables; do
            $t -t $table -A $chain -j ACCEPT; $t -t $table -D $chain -j ACCEPT
        done
    done
}
touch raw PREROUTING OUTPUT
touch mangle PREROUTING INPUT FORWARD OUTPUT POSTROUTING
touch nat PREROUTING INPUT OUTPUT POSTROUTING
touch filter INPUT FORWARD OUTPUT
"""


class Topology:
    def __init__(self, gso=True, masquerade=False, firewall=None, checksum=False,
                 server_enabled=True):
        self.gso = gso
        self.masquerade = masquerade
        self.firewall = firewall
        for side in SIDES:
            setattr(self, side, ns.Ns(side))
            # addresses count at once, link-local ones too, or the first packets are lost
            getattr(self, side).sh("sysctl -qw net.ipv6.conf.default.accept_dad=0 "
                                   "net.ipv6.conf.all.accept_dad=0")
        self.links()
        self.routes()
        self.sysctls(checksum, server_enabled)
        self.gate.sh(TOUCH_TABLES)
        self.gate.sh({None: "true", "iptables": IPTABLES_FIREWALL, "nft": NFT_FIREWALL}[firewall])
        if masquerade:
            self.gate.sh(MASQUERADE)
        self.server.sh("ip mptcp limits set subflow 8 add_addr_accepted 8")

    def links(self):
        for side, dev, _, peer, peer_dev, _ in LINKS:
            ns.run("ip", "link", "add", dev, "netns", getattr(self, side).name, "type", "veth",
                   "peer", "name", peer_dev, "netns", getattr(self, peer).name)
        for side in SIDES:
            script = "ip link set lo up\n"
            for one, dev, end, two, peer_dev, peer_end in LINKS:
                for where, name, addr in ((one, dev, end), (two, peer_dev, peer_end)):
                    if where != side:
                        continue
                    for family in (4, 6):
                        nodad = "nodad" if family == 6 else ""
                        script += (f"ip addr add {ADDR[family][addr]}/{LENGTH[family]} {nodad} "
                                   f"dev {name}\n")
                    script += f"ip link set dev {name} up\n"
                    if not self.gso:
                        script += f"ethtool -K {name} tso off gso off gro off tx off >/dev/null\n"
            getattr(self, side).sh(script)

    def routes(self):
        for family in (4, 6):
            a, ip = ADDR[family], f"ip -{family}"
            guests = "10.77.1.0/24" if family == 4 else "fd77:1::/64"
            self.guest.sh(f"{ip} route add default via {a['guest0']}")
            self.gate.sh(f"{ip} route add default via {a['a']} dev up-a metric 10\n"
                         f"{ip} route add default via {a['b']} dev up-b metric 20")
            self.server.sh(f"{ip} route add default via {a['s']}")
            if not self.masquerade:
                self.net.sh(f"{ip} route add {guests} via {a['up-a']}")

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
        for side in SIDES:
            getattr(self, side).remove()
