# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon under test in the gate's namespace."""
import json
import os
import re
import signal
import subprocess
import time

from . import ns
from .ns import Failure

CONFIG = """
guests  = {{ "{guests}" }}
control = "{control}"
manage_host = true
{paths}
max_connections = {connections}
memory_mb = {memory_mb}
{extra}
"""
READY_S = 20
END_S = 15
MEMORY = "/dev/shm"     # as /run is on any host: the state file must not wait for a disk


class Gate:
    def __init__(self, gate_ns, program, directory, path_b=False, connections=4096, extra="",
                 paths=None, memory_mb=64, options=None, name="gate", guests="guest0",
                 interfaces=None):
        """`paths`: names, "a b"; `options`: {name: what its block has beside the interface};
        `interfaces`: {name: interface} where it is not up-NAME. `name` tells two gates apart."""
        self.ns = gate_ns
        self.program = program
        self.directory = directory
        self.control = f"{directory}/{ns.PREFIX}{name}.sock"
        self.config = f"{directory}/{ns.PREFIX}{name}.conf"
        self.state = None
        self.log = f"{directory}/{ns.PREFIX}{name}.log"
        if "state =" not in extra and os.path.ismount(MEMORY):
            self.state = f"{MEMORY}/{ns.PREFIX}{name}.state"
            extra = f'state = "{self.state}"\n{extra}'
        self.process = None
        self.wrap = []      # words before the program's name
        if os.path.exists(self.log):
            os.unlink(self.log)
        with open(self.config, "w", encoding="utf-8") as f:
            names = (paths or ("a b" if path_b else "a")).split()
            f.write(CONFIG.format(
                control=self.control, connections=connections, extra=extra, memory_mb=memory_mb,
                guests=guests,
                paths="\n".join(f'path "{path}" {{ interface = '
                                f'"{(interfaces or {}).get(path, "up-" + path)}" '
                                f'{(options or {}).get(path, "")} }}' for path in names)))

    def edit(self, old, new):
        """Changes the configuration's text; the daemon has not read it yet."""
        with open(self.config, encoding="utf-8") as f:
            text = f.read()
        if old not in text:
            raise Failure(f"no '{old}' in {text}")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))

    def argv(self, *argv):
        # "ip netns exec" gives a /sys of the namespace's own, which the daemon may read
        return ["ip", "netns", "exec", self.ns.name, *self.wrap, self.program, *argv]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = ns.processes.start(self.argv("run", "-c", self.config), stdout=log,
                                              stderr=log)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failure(f"mpgate ended at once, exit {self.process.returncode}:\n" +
                              self.log_tail())
            if self.show("paths", check=False):
                return self
            time.sleep(0.05)
        raise Failure("mpgate did not answer on its control socket:\n" + self.log_tail())

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def pid(self):
        """Of the daemon itself: "ip netns exec" replaces itself by it."""
        return self.process.pid

    def stop(self):
        """SIGTERM; the daemon must withdraw everything and exit 0."""
        if not self.process:
            return
        process, self.process = self.process, None
        if process.poll() is not None:
            raise Failure(f"mpgate had ended, exit {process.returncode}:\n" + self.log_tail())
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failure(f"mpgate did not end within {END_S} s of SIGTERM:\n" +
                          self.log_tail()) from None
        ns.processes.stop(process)
        if process.returncode:
            raise Failure(f"mpgate exit {process.returncode}:\n" + self.log_tail())

    def kill(self):
        self.process.kill()
        self.process.wait()
        ns.processes.stop(self.process)
        self.process = None

    def discard(self):
        """At the end of a case that may have failed."""
        if self.process:
            ns.processes.stop(self.process)
            self.process = None
        if self.state and os.path.exists(self.state):
            os.unlink(self.state)

    def show(self, *what, check=True):
        done = subprocess.run(self.argv("show", *what, "--control", self.control),
                              capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            if check:
                raise Failure(f"mpgate show {what}: {done.stdout}{done.stderr}")
            return None
        return done.stdout

    def connections(self):
        out = json.loads(self.show("connections", "--json"))
        return out["connections"] if isinstance(out, dict) else out

    def counters(self):
        """{reason: count} of those that are not zero."""
        text = self.show("counters", "--json", check=False)
        if text:
            out = json.loads(text)
            out = out.get("counters", out) if isinstance(out, dict) else out
            if isinstance(out, dict):
                out = {k: v["count"] if isinstance(v, dict) else v for k, v in out.items()}
            else:
                out = {c["name"]: c.get("count", c.get("value")) for c in out}
            return {k: v for k, v in out.items() if v}
        return {}

    def records(self):
        """{kind: in use} of the engine's records that are in use: its memory."""
        done = ns.run(*self.argv("metrics", "--control", self.control))
        found = re.findall(r'^mpgate_records{kind="(\w+)"} (\d+)$', done, re.M)
        if not found:
            raise Failure(f"no records in: {done}")
        return {kind: int(n) for kind, n in found if int(n)}

    def sanitized(self):
        """Then its resident memory says nothing: what was freed stays for a while."""
        with open(f"/proc/{self.pid()}/maps", encoding="utf-8") as f:
            return "libasan" in f.read()

    def resident_kb(self):
        with open(f"/proc/{self.pid()}/status", encoding="ascii") as f:
            return int(re.search(r"^VmRSS:\s+(\d+)", f.read(), re.M).group(1))

    def log_tail(self, lines=40):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except FileNotFoundError:
            return "(no log)\n"

    def cpu_seconds(self):
        with open(f"/proc/{self.pid()}/stat", encoding="ascii") as f:
            fields = re.sub(r"^.*\) ", "", f.read()).split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def queues(self, *columns):
        """The sum of these columns over the gate's NFQUEUEs."""
        lines = self.ns.sh("cat /proc/net/netfilter/nfnetlink_queue").splitlines()
        return sum(int(line.split()[n]) for line in lines for n in columns)

    def queued_packets(self):
        """All that ever went through: the id sequence."""
        return self.queues(7)

    def queue_waiting(self):
        """Packets that the daemon has not answered yet."""
        return self.queues(2)

    def queue_overruns(self):
        """Packets that found the queue or its socket full: the machine was too busy."""
        return self.queues(5, 6)
