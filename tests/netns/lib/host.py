# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host looks like: everything that mpgate may change and must give back."""
import difflib
import re
import time

from .ns import Failure

LOOKS = {
    "iptables": "iptables-save | grep -v '^#'",
    "ip6tables": "ip6tables-save | grep -v '^#'",
    "nft": "nft list ruleset",
    "rule": "ip -4 rule; ip -6 rule",
    "route": "ip -4 route show table all; ip -6 route show table all",
    "link": "ip -o link",
    "tc": "tc qdisc show; for d in $(ip -o link | sed 's/^[0-9]*: //; s/[:@].*//'); do "
          "tc filter show dev $d ingress; done",
    "addr": "ip -o addr",
    "sysctl": "sysctl -a 2>/dev/null | grep -E "
              "'^net.ipv[46].(conf|ip_forward|route|ip_local_reserved_ports)|"
              "^net.netfilter.nf_conntrack_tcp'",
}


def settle(ns, seconds=4):
    """An interface that came up a moment ago gets its link-local address and the routes of it when
    the kernel comes round to it: nothing of ours, but it would show in a comparison."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        up = set(re.findall(r"^\d+: ([^:@]+)[@:].*LOWER_UP", ns.sh("ip -o link show up"), re.M))
        up = {name for name in up - {"lo"} if not name.startswith("mpg-")}
        have = set(re.findall(r"^\d+: (\S+) +inet6 fe80", ns.sh("ip -6 -o addr"), re.M))
        if up <= have and not ns.sh("ip -6 -o addr show tentative").strip():
            return
        time.sleep(0.1)


def snapshot(ns):
    settle(ns)
    out = {}
    for name, command in LOOKS.items():
        text = ns.sh(command)
        text = re.sub(r"\[\d+:\d+\]", "[]", text)               # counters
        text = re.sub(r"counter packets \d+ bytes \d+", "counter", text)
        text = re.sub(r" expires \d+sec| refcnt \d+| age \S+", "", text)
        lines = text.splitlines()
        if name in ("route", "sysctl"):
            lines = sorted(line for line in lines
                           if "nf_conntrack_count" not in line and "mpg-" not in line)
        out[name] = lines
    return out


def same(before, after):
    for name in LOOKS:
        diff = [line for line in difflib.unified_diff(before[name], after[name], lineterm="", n=0)
                if not line.startswith(("---", "+++", "@@"))]
        if diff:
            raise Failure(f"{name} is not as before:\n" + "\n".join(diff))
