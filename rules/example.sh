#!/bin/sh -e
# routing rules and routes of ours alone: those of protocol 77
ip -4 rule flush protocol 77 2>/dev/null || :
ip -4 route flush table all protocol 77 2>/dev/null || :

# a routing table per path
ip -4 -batch - <<'END'
route replace 10.1.1.0/24 dev eth0 table 20000 metric 0 protocol 77
route replace 0.0.0.0/0 via 10.1.1.1 dev eth0 table 20000 metric 100 protocol 77
route replace 172.16.0.0/12 via 10.1.1.7 dev eth0 table 20000 metric 0 protocol 77
rule add iif mpg-fibre table 20000 pref 15100 protocol 77
rule add fwmark 0x20000000/0x30000000 oif eth0 table 20000 pref 15000 protocol 77
rule add from 10.1.1.2 table main suppress_prefixlength 0 pref 15200 protocol 77
rule add from 10.1.1.2 table 20000 pref 15300 protocol 77
route replace 0.0.0.0/0 dev wwan0 table 102 metric 0 protocol 77
rule add iif mpg-lte table 102 pref 15101 protocol 77
rule add fwmark 0x20000000/0x30000000 oif wwan0 table 102 pref 15001 protocol 77
rule add from 10.1.2.2 table main suppress_prefixlength 0 pref 15201 protocol 77
rule add from 10.1.2.2 table 102 pref 15301 protocol 77
END

# what the gate re-emits is not tracked: conntrack has seen it once already
iptables-restore -w --noflush <<'END'
*raw
:MPGATE-RAW - [0:0]
-A MPGATE-RAW -i mpg-fibre -j CT --notrack
-A MPGATE-RAW -i mpg-lte -j CT --notrack
-A MPGATE-RAW -i mpg-g0 -j CT --notrack
-A MPGATE-RAW -i mpg-g1 -j CT --notrack
COMMIT
END

# and is not filtered: the host's firewall has passed its handshake
iptables-restore -w --noflush <<'END'
*filter
:MPGATE-ACCEPT - [0:0]
-A MPGATE-ACCEPT -i mpg-fibre -j ACCEPT
-A MPGATE-ACCEPT -i mpg-lte -j ACCEPT
-A MPGATE-ACCEPT -i mpg-g0 -j ACCEPT
-A MPGATE-ACCEPT -i mpg-g1 -j ACCEPT
COMMIT
END

# what visits the daemon; the rules are told in rules/README.md
iptables-restore -w --noflush <<'END'
*mangle
:MPGATE-FWD - [0:0]
:MPGATE-FWDG - [0:0]
:MPGATE-FWDN - [0:0]
:MPGATE-POST - [0:0]
:MPGATE-PRE - [0:0]
:MPGATE-GUEST - [0:0]
:MPGATE-NET - [0:0]
:MPGATE-OWN - [0:0]
:MPGATE-SET - [0:0]
-A MPGATE-FWD -p tcp --tcp-flags SYN,ACK,RST,FIN SYN -i virbr0 -g MPGATE-FWDG
-A MPGATE-FWD -p tcp --tcp-flags SYN,ACK,RST,FIN SYN,ACK -o virbr0 -g MPGATE-FWDN
-A MPGATE-FWD -p tcp --tcp-flags SYN,ACK,RST,FIN SYN -i virbr1 -g MPGATE-FWDG
-A MPGATE-FWD -p tcp --tcp-flags SYN,ACK,RST,FIN SYN,ACK -o virbr1 -g MPGATE-FWDN
-A MPGATE-FWDG -o eth0 -j MARK --set-xmark 0x80000000/0x80000000
-A MPGATE-FWDG -o eth0 -j RETURN
-A MPGATE-FWDN -i eth0 -j MARK --set-xmark 0x80000000/0x80000000
-A MPGATE-FWDG -o wwan0 -j MARK --set-xmark 0x80000000/0x80000000
-A MPGATE-FWDG -o wwan0 -j RETURN
-A MPGATE-FWDN -i wwan0 -j MARK --set-xmark 0x80000000/0x80000000
-A MPGATE-FWDG -m connmark --mark 0x0/0x30000000 -j CONNMARK --set-xmark 0x10000000/0x30000000
-A MPGATE-POST -m mark --mark 0x40000000/0x40000000 -g MPGATE-SET
-A MPGATE-POST -m mark ! --mark 0x80000000/0x80000000 -j RETURN
-A MPGATE-POST -j MARK --set-xmark 0x0/0x80000000
-A MPGATE-POST -m connmark --mark 0x10000000/0x30000000 -j RETURN
-A MPGATE-POST -m connmark --mark 0x20000000/0x30000000 -g MPGATE-OWN
-A MPGATE-POST -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-PRE -m mark --mark 0x40000000/0x40000000 -g MPGATE-SET
-A MPGATE-PRE -m connmark --mark 0x10000000/0x30000000 -j RETURN
-A MPGATE-PRE -i virbr0 -g MPGATE-GUEST
-A MPGATE-PRE -i virbr1 -g MPGATE-GUEST
-A MPGATE-PRE -i eth0 -g MPGATE-NET
-A MPGATE-PRE -i wwan0 -g MPGATE-NET
-A MPGATE-GUEST -p tcp --tcp-flags SYN SYN -j RETURN
-A MPGATE-GUEST -m connmark --mark 0x20000000/0x30000000 -g MPGATE-OWN
-A MPGATE-GUEST -m addrtype --dst-type LOCAL -j RETURN
-A MPGATE-GUEST -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-NET -p tcp -d 10.1.1.2 --dport 61000:65000 -m conntrack --ctstate NEW,INVALID,UNTRACKED -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-NET -p tcp -d 10.1.2.2 --dport 61000:65000 -m conntrack --ctstate NEW,INVALID,UNTRACKED -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-NET -p tcp --tcp-flags SYN SYN -j RETURN
-A MPGATE-NET -m connmark --mark 0x20000000/0x30000000 -g MPGATE-OWN
-A MPGATE-NET -m conntrack --ctstate INVALID -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-OWN -j MARK --set-xmark 0x20000000/0x30000000
-A MPGATE-OWN -j NFQUEUE --queue-num 61
-A MPGATE-SET -m mark ! --mark 0x0/0x30000000 -j CONNMARK --save-mark --nfmask 0x30000000 --ctmask 0x30000000
-A MPGATE-SET -j MARK --set-xmark 0x0/0xf0000000
COMMIT
END

# one jump into each, where the host's own rules stand
iptables -w -t raw -C PREROUTING -i mpg-+ -j MPGATE-RAW 2>/dev/null ||
	iptables -w -t raw -I PREROUTING -i mpg-+ -j MPGATE-RAW
iptables -w -t filter -C FORWARD -i mpg-+ -j MPGATE-ACCEPT 2>/dev/null ||
	iptables -w -t filter -I FORWARD -i mpg-+ -j MPGATE-ACCEPT
iptables -w -t mangle -C FORWARD -p tcp --tcp-flags SYN SYN -j MPGATE-FWD 2>/dev/null ||
	iptables -w -t mangle -A FORWARD -p tcp --tcp-flags SYN SYN -j MPGATE-FWD
iptables -w -t mangle -C POSTROUTING -p tcp --tcp-flags SYN SYN -j MPGATE-POST 2>/dev/null ||
	iptables -w -t mangle -A POSTROUTING -p tcp --tcp-flags SYN SYN -j MPGATE-POST
iptables -w -t mangle -C PREROUTING -p tcp -j MPGATE-PRE 2>/dev/null ||
	iptables -w -t mangle -A PREROUTING -p tcp -j MPGATE-PRE

# routing rules and routes of ours alone: those of protocol 77
ip -6 rule flush protocol 77 2>/dev/null || :
ip -6 route flush table all protocol 77 2>/dev/null || :

# a routing table per path
ip -6 -batch - <<'END'
route replace 2001:db8:1::/64 dev eth0 table 20000 metric 256 protocol 77
route replace ::/0 via fe80::1 dev eth0 table 20000 metric 1024 protocol 77
rule add iif mpg-fibre table 20000 pref 15100 protocol 77
rule add fwmark 0x20000000/0x30000000 oif eth0 table 20000 pref 15000 protocol 77
rule add from 2001:db8:1::2 table main suppress_prefixlength 0 pref 15200 protocol 77
rule add from 2001:db8:1::2 table 20000 pref 15300 protocol 77
rule add iif mpg-lte table 102 pref 15101 protocol 77
rule add fwmark 0x20000000/0x30000000 oif wwan0 table 102 pref 15001 protocol 77
END

# what the gate re-emits is not tracked: conntrack has seen it once already
ip6tables-restore -w --noflush <<'END'
*raw
:MPGATE-RAW - [0:0]
-A MPGATE-RAW -i mpg-fibre -j CT --notrack
-A MPGATE-RAW -i mpg-lte -j CT --notrack
-A MPGATE-RAW -i mpg-g0 -j CT --notrack
-A MPGATE-RAW -i mpg-g1 -j CT --notrack
COMMIT
END

# and is not filtered: the host's firewall has passed its handshake
ip6tables-restore -w --noflush <<'END'
*filter
:MPGATE-ACCEPT - [0:0]
-A MPGATE-ACCEPT -i mpg-fibre -j ACCEPT
-A MPGATE-ACCEPT -i mpg-lte -j ACCEPT
-A MPGATE-ACCEPT -i mpg-g0 -j ACCEPT
-A MPGATE-ACCEPT -i mpg-g1 -j ACCEPT
COMMIT
END

# what visits the daemon; the rules are told in rules/README.md
ip6tables-restore -w --noflush <<'END'
*mangle
:MPGATE-FWD - [0:0]
:MPGATE-FWDG - [0:0]
:MPGATE-FWDN - [0:0]
:MPGATE-POST - [0:0]
:MPGATE-PRE - [0:0]
:MPGATE-GUEST - [0:0]
:MPGATE-NET - [0:0]
:MPGATE-OWN - [0:0]
:MPGATE-SET - [0:0]
-A MPGATE-FWD -p tcp --tcp-flags SYN,ACK,RST,FIN SYN -i virbr0 -g MPGATE-FWDG
-A MPGATE-FWD -p tcp --tcp-flags SYN,ACK,RST,FIN SYN,ACK -o virbr0 -g MPGATE-FWDN
-A MPGATE-FWD -p tcp --tcp-flags SYN,ACK,RST,FIN SYN -i virbr1 -g MPGATE-FWDG
-A MPGATE-FWD -p tcp --tcp-flags SYN,ACK,RST,FIN SYN,ACK -o virbr1 -g MPGATE-FWDN
-A MPGATE-FWDG -o eth0 -j MARK --set-xmark 0x80000000/0x80000000
-A MPGATE-FWDG -o eth0 -j RETURN
-A MPGATE-FWDN -i eth0 -j MARK --set-xmark 0x80000000/0x80000000
-A MPGATE-FWDG -o wwan0 -j MARK --set-xmark 0x80000000/0x80000000
-A MPGATE-FWDG -o wwan0 -j RETURN
-A MPGATE-FWDN -i wwan0 -j MARK --set-xmark 0x80000000/0x80000000
-A MPGATE-FWDG -m connmark --mark 0x0/0x30000000 -j CONNMARK --set-xmark 0x10000000/0x30000000
-A MPGATE-POST -m mark --mark 0x40000000/0x40000000 -g MPGATE-SET
-A MPGATE-POST -m mark ! --mark 0x80000000/0x80000000 -j RETURN
-A MPGATE-POST -j MARK --set-xmark 0x0/0x80000000
-A MPGATE-POST -m connmark --mark 0x10000000/0x30000000 -j RETURN
-A MPGATE-POST -m connmark --mark 0x20000000/0x30000000 -g MPGATE-OWN
-A MPGATE-POST -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-PRE -m mark --mark 0x40000000/0x40000000 -g MPGATE-SET
-A MPGATE-PRE -m connmark --mark 0x10000000/0x30000000 -j RETURN
-A MPGATE-PRE -i virbr0 -g MPGATE-GUEST
-A MPGATE-PRE -i virbr1 -g MPGATE-GUEST
-A MPGATE-PRE -i eth0 -g MPGATE-NET
-A MPGATE-PRE -i wwan0 -g MPGATE-NET
-A MPGATE-GUEST -p tcp --tcp-flags SYN SYN -j RETURN
-A MPGATE-GUEST -m connmark --mark 0x20000000/0x30000000 -g MPGATE-OWN
-A MPGATE-GUEST -m addrtype --dst-type LOCAL -j RETURN
-A MPGATE-GUEST -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-NET -p tcp -d 2001:db8:1::2 --dport 61000:65000 -m conntrack --ctstate NEW,INVALID,UNTRACKED -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-NET -p tcp --tcp-flags SYN SYN -j RETURN
-A MPGATE-NET -m connmark --mark 0x20000000/0x30000000 -g MPGATE-OWN
-A MPGATE-NET -m conntrack --ctstate INVALID -j NFQUEUE --queue-num 61 --queue-bypass
-A MPGATE-OWN -j MARK --set-xmark 0x20000000/0x30000000
-A MPGATE-OWN -j NFQUEUE --queue-num 61
-A MPGATE-SET -m mark ! --mark 0x0/0x30000000 -j CONNMARK --save-mark --nfmask 0x30000000 --ctmask 0x30000000
-A MPGATE-SET -j MARK --set-xmark 0x0/0xf0000000
COMMIT
END

# one jump into each, where the host's own rules stand
ip6tables -w -t raw -C PREROUTING -i mpg-+ -j MPGATE-RAW 2>/dev/null ||
	ip6tables -w -t raw -I PREROUTING -i mpg-+ -j MPGATE-RAW
ip6tables -w -t filter -C FORWARD -i mpg-+ -j MPGATE-ACCEPT 2>/dev/null ||
	ip6tables -w -t filter -I FORWARD -i mpg-+ -j MPGATE-ACCEPT
ip6tables -w -t mangle -C FORWARD -p tcp --tcp-flags SYN SYN -j MPGATE-FWD 2>/dev/null ||
	ip6tables -w -t mangle -A FORWARD -p tcp --tcp-flags SYN SYN -j MPGATE-FWD
ip6tables -w -t mangle -C POSTROUTING -p tcp --tcp-flags SYN SYN -j MPGATE-POST 2>/dev/null ||
	ip6tables -w -t mangle -A POSTROUTING -p tcp --tcp-flags SYN SYN -j MPGATE-POST
ip6tables -w -t mangle -C PREROUTING -p tcp -j MPGATE-PRE 2>/dev/null ||
	ip6tables -w -t mangle -A PREROUTING -p tcp -j MPGATE-PRE
