# SPDX-License-Identifier: GPL-2.0-or-later
"""mpgate check: exit 0 only where run would work; each finding says what is wrong and how to mend
it, and nothing stays changed."""
import subprocess

from lib import host
from lib.case import case, expect
from lib.topo import ADDR

NO_PROBE = ("--no-probe",)


def look(ctx, daemon, *more, prefix=()):
    """Exit code and what was said; the host must look as before."""
    before = host.snapshot(ctx.gate_ns)
    done = subprocess.run([*prefix, *daemon.argv("check", "-c", daemon.config, *more)],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    host.same(before, host.snapshot(ctx.gate_ns))
    expect("Sanitizer" not in done.stderr and 0 <= done.returncode <= 1, f"{done}")
    lines = done.stdout.splitlines()
    for line in lines[:-1]:
        expect(line.split()[0] in ("ok", "warn", "FAIL"), f"what is this: '{line}'")
    expect(("would not work" in lines[-1]) == (done.returncode == 1) and
           any(line.startswith("FAIL") for line in lines) == (done.returncode == 1),
           f"exit {done.returncode}: {done.stdout}")
    return done.returncode, done.stdout


def finds(ctx, daemon, level, words, *more):
    """A finding of that level with those words, and the cure behind a semicolon."""
    code, text = look(ctx, daemon, *more)
    found = [line for line in text.splitlines() if line.startswith(level) and words in line]
    expect(found, f"no {level} with '{words}': {text}")
    expect(all(";" in line for line in found), f"no cure: {found}")
    expect(code == 1 if level == "FAIL" else True, f"exit {code} with a FAIL")
    return code


def checked(name, **kwargs):
    return case("check:" + name, needs_gate=False, fresh=True, **kwargs)


@checked("good", firewall="nft", masquerade=True)
def good(ctx):
    """All is well, also in a house with a default-drop firewall and masquerading: the probe
    leaves as it was sent by each device; then run works."""
    daemon = ctx.new_daemon(path_b=True)
    ctx.guest.sh(f"ping -q -c 1 -W 2 {ADDR[4]['guest0']} || true")
    code, text = look(ctx, daemon)
    expect(code == 0, text)
    for device in ("mpg-a", "mpg-b"):
        expect(text.count(f"a packet through {device} left by up-") == 2, f"{device}: {text}")
    expect("a packet through mpg-g0 left by guest0" in text, text)
    daemon.start()
    ctx.converted("--send 10k", "--send 10k")


@checked("interfaces")
def interfaces(ctx):
    daemon = ctx.new_daemon(extra='path "c" { interface = "nosuch0" }')
    finds(ctx, daemon, "FAIL", 'there is no interface "nosuch0"')
    daemon = ctx.new_daemon(path_b=True)
    ctx.gate_ns.sh("ip link set up-b down")
    expect(finds(ctx, daemon, "warn", "up-b is down or without carrier") == 0, "exit not 0")
    ctx.gate_ns.sh("ip link set up-a down")
    finds(ctx, daemon, "FAIL", "none has interface, address and gateway")
    ctx.gate_ns.sh("ip link add mpg-b type veth peer name mpg-x")
    finds(ctx, daemon, "FAIL", "mpg-b exists already")


@checked("addresses-and-gateways")
def gateways(ctx):
    daemon = ctx.new_daemon(extra='path "b" { interface = "up-b" address = "10.77.12.200" }')
    finds(ctx, daemon, "FAIL", "10.77.12.200 is not an address of up-b")
    daemon = ctx.new_daemon(extra='path "b" { interface = "up-b" gateway = "192.0.2.77" }')
    finds(ctx, daemon, "FAIL", "the gateway 192.0.2.77 is on no network of up-b")
    ctx.gate_ns.sh("ip route del default dev up-b; ip -6 route del default dev up-b")
    daemon = ctx.new_daemon(path_b=True)
    expect(finds(ctx, daemon, "warn", "no gateway and no default route through up-b") == 0, "exit")
    # there is a gateway, but nobody answers
    daemon = ctx.new_daemon(extra='path "b" { interface = "up-b" gateway = "10.77.12.99" }')
    expect(finds(ctx, daemon, "warn", "the gateway 10.77.12.99 does not answer on up-b") == 0,
           "exit not 0 although path a is good")


@checked("probe-is-dropped")
def dropped(ctx):
    """Rules of others that drop what the gate sends are found by the probe."""
    daemon = ctx.new_daemon(path_b=True)
    # a shaper that takes no packet at all; the neighbour is known, so that it is not to blame
    mac = ctx.net.sh("ip -o link show b").split("link/ether ")[1].split()[0]
    for gateway in ("10.77.12.1", "fd77:12::1"):
        ctx.gate_ns.sh(f"ip neigh replace {gateway} lladdr {mac} dev up-b nud permanent")
    ctx.gate_ns.sh("tc qdisc replace dev up-b root tbf rate 1kbit burst 10b limit 10")
    finds(ctx, daemon, "FAIL", "a packet through mpg-b did not leave by up-b")
    code, text = look(ctx, daemon, *NO_PROBE)
    expect(code == 0 and "probe" not in text, text)
    ctx.gate_ns.sh("tc qdisc del dev up-b root")
    expect(look(ctx, daemon)[0] == 0, "still not good")


@checked("settings")
def settings(ctx):
    daemon = ctx.new_daemon(path_b=True)
    ctx.gate_ns.sh("sysctl -qw net.ipv4.conf.up-b.rp_filter=1")
    expect(finds(ctx, daemon, "warn", "strict on up-b", *NO_PROBE) == 0, "exit not 0")
    ctx.gate_ns.sh("sysctl -qw net.ipv4.conf.up-b.rp_filter=0 net.ipv6.conf.all.forwarding=0")
    finds(ctx, daemon, "warn", "IPv6 is not forwarded", *NO_PROBE)
    ctx.gate_ns.sh("sysctl -qw net.ipv4.ip_forward=0")
    finds(ctx, daemon, "FAIL", "what arrives on guest0 is not forwarded")
    ctx.gate_ns.sh("sysctl -qw net.ipv4.ip_forward=1")
    daemon = ctx.new_daemon(extra="memory_mb = 1048576", connections=4096)
    with open(daemon.config, encoding="utf-8") as f:
        text = f.read().replace("memory_mb = 64\n", "")
    with open(daemon.config, "w", encoding="utf-8") as f:
        f.write(text)
    finds(ctx, daemon, "FAIL", "MB are needed", *NO_PROBE)
    daemon = ctx.new_daemon(extra='state = "/nonexistent/state"')
    finds(ctx, daemon, "FAIL", "/nonexistent does not exist", *NO_PROBE)
    daemon = ctx.new_daemon(extra="shedule = 1")
    done = subprocess.run(daemon.argv("check", "-c", daemon.config), capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)
    expect(done.returncode == 1 and "no such option 'shedule'" in done.stdout, f"{done}")


@checked("table-occupied")
def occupied(ctx):
    ctx.gate_ns.sh("ip route add 198.51.100.0/24 dev lo table 102")
    daemon = ctx.new_daemon(extra='path "b" { interface = "up-b" table = 102 }')
    finds(ctx, daemon, "FAIL", "routing table 102 is used by others")


@checked("kernel-and-tools")
def kernel(ctx):
    """Without root; without the commands; without /dev/net/tun; where a queue is taken."""
    daemon = ctx.new_daemon(path_b=True)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(ctx.gate_ns.prefix() + user +
                          [daemon.program, "check", "-c", daemon.config], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)
    expect(done.returncode == 1 and "run as root" in done.stdout, f"{done}")
    for hide, words in (
            ("mount --bind /dev/null /usr/sbin/iptables", "iptables: there is no such command"),
            ("mount --bind /dev/null /dev/net/tun", "FAIL tun:")):
        done = subprocess.run(ctx.gate_ns.prefix() + [
            "unshare", "-m", "sh", "-c",
            f"{hide} && exec {daemon.program} check -c {daemon.config}"], capture_output=True,
            text=True, stdin=subprocess.DEVNULL)
        expect(done.returncode == 1 and words in done.stdout, f"{hide}: {done}")
        for line in done.stdout.splitlines():
            expect(not line.startswith("FAIL") or ";" in line or "?" in line, f"no cure: {line}")
    daemon.start()
    done = subprocess.run(daemon.argv("check", "-c", daemon.config), capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)
    expect(done.returncode == 1 and "queue 61 is taken" in done.stdout and
           "another mpgate answers" in done.stdout, f"{done}")
    ctx.converted("--send 100k", "--send 100k")     # and it did no harm
    daemon.kill()
    code, text = look(ctx, daemon)                  # its rules, left behind, are not touched
    expect(code == 0 and "left by up-a" in text, text)
