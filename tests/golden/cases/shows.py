# SPDX-License-Identifier: GPL-2.0-or-later
"""What each case is there for, as patterns that its text (show) must match. So a recording that
went another way than it was meant to is not taken for good."""

NET, GUEST = r" >net +", r" >guest +"
FALLS = r"guest> +\S+ +\d+\.\.\d+ \(\d+\) ack \d+ win \d+\n.*>net +\S+ +\d+\.\.\d+ \(\d+\) " \
    r"ack \d+ win \d+\n"      # data of the guest's that goes on bare

BOTH_WAYS = (r"mss 1460 .*\[CAPABLE\]", GUEST + r"S\. .*mss 1432",
             r"\[CAPABLE keys len 600\]", r"DSS ack 901 map 601@601\+600",
             r"map 1801@0\+1 FIN")
SERVER_FIRST = (r"\[CAPABLE keys\]\n.*1\.\.3001 \(3000\)", r"DSS ack 3001 map 1@1\+500")
SUPER = (r"guest> +.*\((1[0-9]|[2-6][0-9])[0-9]{3}\)", NET + r".*\(1424\).* map \d+@\d+\+\d{5}",
         r"net> +.*\([1-6][0-9]{4}\)")
FASTCLOSE_TO_NET = (r"guest> +R.*\n" + r".*>net +R\. .*\[FASTCLOSE\]",)
FASTCLOSE_TO_GUEST = (r"net> +R.*\[FASTCLOSE\].*\n.*>guest +R\.",)
TOO_BIG = (r">guest +ICMP", r"\(1260\).* map 601@601\+\d{4}")
CHECKSUM = (r"CAPABLE keys len 601 csum", r"map 602@602\+1\]", r"\+1 FIN")
SAME_MAPPING = (r"(?s)>net [^\n]* map (\d+@\d+\+\d+)\].*sack \[.*>net [^\n]* map \1\]",)
CALLED = (r"net> +S .*\[CAPABLE\]\n.*>guest +S .*mss 14[13]2(?!.*CAPABLE)",
          r">net +S\. .*\[CAPABLE key\]\n.*net> .*\[CAPABLE keys")
JOIN = (r"net> +S .*\[JOIN\]\n.*>net +S\. .*\[JOIN\]\n.*net> +\. .*\[JOIN\]\n.*>net +\. .*\[DSS",
        r"net> .*\[DSS ack \d+ map (\d+)@(?!\1\+)\d+\+")

SHOWS = {
    "called": (*CALLED, r"\[CAPABLE keys len 600\]", r"DSS ack 601 map 1@1\+900", r"@0\+1 FIN\]"),
    "called-v6": (*CALLED, r"\[CAPABLE keys len 600\]", r"DSS ack 601 map 1@1\+900"),
    "called-guest-first": (*CALLED, r"\[CAPABLE keys\]\n.*>guest .*\n.*1\.\.3001 \(3000\).*\n.*"
                           r"map 1@1\+3000", r"net> .*\(500\).*map 1@1\+500"),
    "called-bulk": (*CALLED, NET + r".*DSS ack \d{4,} map \d{4,}@"),
    "called-loss-third-ack": (r"\[CAPABLE key\]\n.*net> +P\. .*\(700\).*CAPABLE keys len 700\]\n"
                              r".*>guest +\. +1 ack 1 .*\n.*>guest +P\. .*\(700\)",),
    "called-loss-third-ack-guest-first": (
        r"\[CAPABLE key\]\n +2\.\d+ guest> +S\. .*\n.*>net +S\. .*\[CAPABLE key\]\n",),
    "called-loss-syn": (r"(>guest +S .*)\n +2\.\d+ net> +S .*\[CAPABLE\]\n.*>guest +S ",),
    "called-refused": (r"guest> +R\. .*\n.*>net +R\. ",),
    "called-reset-by-client": (r"net> +R.*\[FASTCLOSE\].*\n.*>guest +R",),
    "called-reset-by-guest": (r"guest> +R.*\n.*>net +R.*\[FASTCLOSE\]",),
    "called-join": JOIN,
    "called-join-backup": JOIN,
    "called-join-refused": (r"net> +S .*\[JOIN\]\n.*>net +R\. .*\[TCPRST\]",),
    "called-join-forged": (r"net> +S .*\[JOIN\]\n.*>net +R\. .*\[TCPRST\]",
                           r"net> +\. .*\[JOIN\]\n.*>net +R.*\[TCPRST\]"),
    "called-announced": (r">net .*\[ADD_ADDR\] \[DSS ack 1\]\n(?s:.*)net> .*\[ADD_ADDR\]", *JOIN),
    "called-half-close": (r"net> .*401@0\+1 FIN\]\n.*>guest +F\.", r"guest> +F\. +20001 ",
                          r">net .*map 20001@0\+1 FIN"),
    "data-both-ways": BOTH_WAYS,
    "data-both-ways-v6": (r"mss 1440 .*\[CAPABLE\]", GUEST + r"S\. .*mss 1412", *BOTH_WAYS[2:]),
    "server-first": SERVER_FIRST,
    "server-first-v6": SERVER_FIRST,
    "data-as-third-ack": (r"mss 1432.*\n.*guest> +P\. .*\n.*CAPABLE keys len 300",),
    "dscp": (r"guest> .*tos b8\n.*>net .*tos b8 \[DSS", r"net> .*tos 28.*\n.*>guest .*tos 28\n"),
    "dscp-v6": (r"tos b8 (flow \w+)\n.*>net .*tos b8 \1 \[DSS",),
    "super-segments": SUPER,
    "super-segments-v6": (SUPER[0], NET + r".*\(1404\).* map \d+@\d+\+\d{5}", SUPER[2]),
    "both-at-once": (NET + r".*DSS ack \d{4,} map \d{4,}@",),
    "mss-sized": (r"guest> +.*\(1420\)", NET + r".*\(1420\).* map (\d+)@\1\+1420"),
    "two-connections": (r"(?s)\[CAPABLE\].*\[CAPABLE\].*len 600.*len 300",),
    "loss-part-of-mapping": SAME_MAPPING,
    "loss-part-of-mapping-v6": SAME_MAPPING,
    "loss-across-mappings": (r"101\.\.901 \(800\).*\n.*101\.\.501 .*map 101@101\+400\]\n"
                             r".*501\.\.901 .*map 501@501\+400",),
    "loss-of-guest": (NET + r".*sack|sack \[",),
    "loss-of-server": (NET + r".*sack \[",),
    "loss-at-guest": (r"guest> .*sack \[",),
    "loss-syn": (r"\[CAPABLE\]\n +2\.\d+ guest> +S .*\n.*\[CAPABLE\]",),
    "loss-synack": (r"(?s)\[CAPABLE\].* 2\.\d+ .*\[CAPABLE\]",),
    "loss-synack-at-guest": (r"\[CAPABLE key\]\n.*>guest +S\. [^\n]*\n +2\.\d+ guest> +S ",),
    "loss-first-data": (r"(?s)CAPABLE keys len 600.*CAPABLE keys len 600",),
    "loss-guest-fin": (r"(?s)guest> +F.*FIN\].*guest> +F.*FIN\]",),
    "loss-server-fin": (r"(?s)(>guest +F.*){4}guest> +\S+ +\d+ ack 902",),
    "loss-subflow-fin": (r">net +F\. (?s:.*)>net +F\.",),
    "loss-third-ack-server-first": (r"\[CAPABLE keys\]\n +2\.\d+ net> +S\. (?s:.*)"
                                    r"\[CAPABLE keys\]\n.*net> .*map 1@1\+500",),
    "loss-first-data-confirmed": (r"CAPABLE keys len 600(?s:.*)map 1@1\+600",),
    "loss-without-sack": (r"(?s)guest> +\S+ +(\d+)\.\.[^\n]*\n.*guest> +\S+ +\1\.\.",),
    "blackout": (r"(?s)guest> +\S+ +(\d+)\.\.[^\n]*\n.*guest> +\S+ +\1\.\.",),
    "zero-window-guest": (NET + r".*win 0 ", r"net> .*\(1\) .*map (\d+)@(?!\1)\d+\+1\]"),
    "zero-window-server": (GUEST + r".*win 0", NET + r"\.   \d+ ack 1 win \d+ \[DSS ack 1\]"),
    "fallback-syn": (r"net> +S\. (?!.*CAPABLE).*\n.*>guest +S\. .*mss 1460",),
    "fallback-syn-v6": (r"net> +S\. (?!.*CAPABLE).*\n.*>guest +S\. .*mss 1440",),
    "fallback-synack": (NET + r"\. +1 ack 1 win \d+\n",),
    "fallback-third-ack": (r"\[CAPABLE keys\]", r"CAPABLE keys len", FALLS),
    "fallback-first-data": (FALLS,),
    "fallback-server-stripped": (FALLS,),
    "fallback-both-stripped": (FALLS,),
    "fallback-server-first": (r"\[CAPABLE keys\]\n.*net> .*ack 1 win \d+\n", FALLS),
    "stripped-in-mid-stream": (NET + r"R\. .*FASTCLOSE", GUEST + r"R\."),
    "mp-fail-from-server": (r"net> .*MP_FAIL", NET + r".*MP_FAIL",
                            NET + r".*map \d+@\d+\+0\]", NET + r"F\. .*win \d+\n"),
    "mp-fail-from-gate": (NET + r".*MP_FAIL", r"net> .*map \d+@\d+\+0\]"),
    "mp-fail-in-bulk-up": (r"net> .*MP_FAIL", NET + r".*map \d+@\d+\+0\]"),
    "mp-fail-in-bulk-down": (NET + r".*MP_FAIL",),
    "mp-fail-after-probe": (r"net> .*\((\d+)\).*map \d+@\d+\+0\]\n.*>guest .*\(\1\)",
                            r"guest> +F\. .*ack (\d+).*\n.*>net +F\. .*ack (?!\1)"),
    "plain-server": (NET + r".*\[CAPABLE\]", r"guest> .*\(\d{4,}\).*\n.*>net .*win \d+\n"),
    "blackhole": (
        r"(?s)\[CAPABLE\].* 2\.\d+ [^\n]*\[CAPABLE\].* 3\.\d+ +>net +S +0 [^\n]*ws\n.*"
        r">net +S +0 [^\n]*ws\n",),
    "close-server-first": (r"map 901@0\+1 FIN\]\n.*>guest +F\.", NET + r".*\(?.*DSS ack 902"),
    "close-simultaneous": (r"guest> +F\..*\n.*FIN\]\n.*net> .*901@0\+1 FIN\]\n",),
    "half-close-guest": (r"(?s)guest> +F\..*\(5000\).*>guest +F\.",),
    "half-close-server": (r"(?s)>guest +F\..*\(5000\).*guest> +F\.",),
    "fin-with-data-guest": (r"map 601@601\+501 FIN\]",),
    "fin-with-first-data": (r"keys len 100\]\n.*map 101@0\+1 FIN\]",),
    "guest-reset": FASTCLOSE_TO_NET,
    "guest-reset-v6": FASTCLOSE_TO_NET,
    "guest-reset-unread": FASTCLOSE_TO_NET,
    "server-reset": FASTCLOSE_TO_GUEST,
    "server-reset-while-sending": FASTCLOSE_TO_GUEST,
    "subflow-reset": (r"net> +R (?!.*FASTCLOSE).*\n.*>guest +R\.", NET + r"R"),
    "guest-gives-up": (r"guest> +R .*\n.*>net +R",),
    "guest-reset-after-end": (r"(?s)guest> +F.*guest> +R[^\n]*\n[^\n]*>net +R\. [^\n]*FASTCLOSE",),
    "refused": (r"net> +R\. .*\n.*>guest +R\. ",),
    "tuple-reuse": (r"(?s)\[CAPABLE\].*>guest +F.*\[CAPABLE\].*>guest +F",),
    "checksum-asked-by-server": CHECKSUM,
    "checksum-asked-by-server-v6": CHECKSUM,
    "checksum-asked-by-gate": (r">net +S .*\[CAPABLE csum\]", *CHECKSUM),
    "guest-without-timestamps": (r">net +S +0 win \d+ mss 1460 sack-ok ws",),
    "guest-without-sack": (r">net +S +0 win \d+ mss 1460 ts ws",),
    "guest-without-window-scale": (r">net +S +0 win \d+ mss 1460 sack-ok ts \[",),
    "guest-without-options": (r">net +S +0 win \d+ mss 1460 \[CAPABLE\]",),
    "server-without-options": (r"net> +S\. +0 ack 1 win \d+ mss 1460 \[",),
    "loss-without-timestamps": (r"sack \[\d+, \d+, \d+, \d+",),
    "small-mss": (r"S   0 win \d+ mss 536", r"net> .*\(5\d\d\)|>guest .*\(524\)"),
    "ecn": (r">net +SEW .*\[CAPABLE\]", r">guest +SE\. "),
    "urgent": (r"guest> +PU\. 152\.\.153 \(1\).*\n.*>net +P\.  152\.\.153 .*map 152@152\+1",),
    "keepalive-guest": (r"guest> +\.   600 .*\n.*>net +\.   600 .*DSS.*\n"
                        r".*net> .*\n.*>guest +\. ",),
    "keepalive-server": (r"net> +\.   900 .*\n.*>guest +\.   900 .*\n.*guest> ",),
    "packet-too-big": TOO_BIG,
    "packet-too-big-v6": (TOO_BIG[0], r"\(1240\).* map 601@601\+\d{4}"),
    "plain-policy": (r">net +S (?!.*CAPABLE)",),
    "plain-guest-speaks-mptcp": (r"guest> +S .*\[CAPABLE\]", r"guest> .*\[DSS"),
    "plain-fast-open": (r"guest> +S .*tfo", r"S +0\.\.300 \(300\).*tfo"),
    "plain-md5": (r">net +S .*md5",),
    "connection-table-full": (r"(?s)\[CAPABLE\].*>net +S (?![^\n]*CAPABLE)",),
}
