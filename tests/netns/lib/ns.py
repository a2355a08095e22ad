# SPDX-License-Identifier: GPL-2.0-or-later
"""Namespaces and processes that belong to this run, and their removal, whatever happens.

Everything is named mpg<pid>-NAME after the run's process id, so that the leavings of a run that was
killed can be told from a run that still lives.
"""
import atexit
import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import sys

PREFIX = f"mpg{os.getpid()}-"
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000


class Failure(Exception):
    """What a case found wrong."""


def run(*argv, check=True, text=None, timeout=60):
    """Runs to the end; the output is returned. Fails loudly with what the program said."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout,
                          stdin=None if text is not None else subprocess.DEVNULL)
    if check and done.returncode:
        raise Failure(f"{' '.join(argv)}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def read_line(process, timeout_s):
    """The next line of its output, unbuffered on our side; fails when none comes in time."""
    ready, _, _ = select.select([process.stdout], [], [], timeout_s)
    line = process.stdout.readline() if ready else ""
    if not line:
        raise Failure(f"{process.args[-1]}: no line within {timeout_s} s")
    return line.rstrip("\n")


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Processes:
    """Those that run in the background; none outlives the harness."""

    def __init__(self):
        self.all = []

    def start(self, argv, **kwargs):
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                   **kwargs)
        self.all.append(process)
        return process

    def stop(self, process, wait_s=5, sig=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(sig)
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.all:
            self.all.remove(process)

    def stop_all(self):
        for process in list(self.all):
            if process.poll() is None:
                process.kill()
                process.wait()
            self.all.remove(process)


processes = Processes()


class Ns:
    """One network namespace."""
    live = []

    def __init__(self, name):
        self.short = name
        self.name = PREFIX + name
        run("ip", "netns", "add", self.name)
        Ns.live.append(self)

    def prefix(self):
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    @contextlib.contextmanager
    def inside(self):
        """Sockets made by this thread here belong to the namespace."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        to = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if LIBC.setns(to, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            LIBC.setns(own, CLONE_NEWNET)
            os.close(own)
            os.close(to)

    def sh(self, script, check=True, timeout=60):
        """A shell script inside; stops at its first error."""
        return run(*self.prefix(), "sh", "-e", "-c", script, check=check, timeout=timeout)

    def start(self, argv, **kwargs):
        return processes.start(self.prefix() + list(argv), **kwargs)

    def counters(self, *files):
        """Of /proc/net/netstat and snmp: {"MPTcpExt.MPCapableSYNRX": 1, ...}."""
        out = {}
        lines = self.sh("cat /proc/net/netstat /proc/net/snmp").splitlines()
        for head, values in zip(lines[0::2], lines[1::2]):
            group = head.split(":")[0]
            for name, value in zip(head.split()[1:], values.split()[1:]):
                out[f"{group}.{name}"] = int(value)
        return out

    def remove(self):
        if self in Ns.live:
            Ns.live.remove(self)
        kill_inside(self.name)
        run("ip", "netns", "del", self.name, check=False)


def kill_inside(name):
    """Ends, by its id, each process that still lives in the namespace."""
    for pid in run("ip", "netns", "pids", name, check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


def remove_all():
    processes.stop_all()
    for ns in list(Ns.live):
        ns.remove()


def remove_leavings():
    """Namespaces of runs whose process is gone."""
    for line in run("ip", "netns", "list", check=False).splitlines():
        m = re.match(r"mpg(\d+)-\S+", line)
        if m and not os.path.exists(f"/proc/{m.group(1)}"):
            kill_inside(m.group(0))
            run("ip", "netns", "del", m.group(0), check=False)


def on_signal(number, frame):
    sys.exit(128 + number)


def hurry():
    """What is measured goes before what else the machine runs, all of it alike."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        os.setpriority(os.PRIO_PROCESS, 0, -20)


def guard(keep=False):
    """Call once at start."""
    remove_leavings()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    atexit.register(processes.stop_all if keep else remove_all)
