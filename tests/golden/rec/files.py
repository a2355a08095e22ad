# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files of raw IP, and where the cases live."""
import os
import struct
import subprocess

GOLDEN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(os.path.dirname(GOLDEN))
PCAPS = os.environ.get("GOLDEN_PCAPS", f"{ROOT}/pcaps")
SEED = "1"
PATHS = ("a", "b")
RAW = 101


def read(path):
    """[(microseconds, packet)] of a capture of raw IP."""
    with open(path, "rb") as f:
        data = f.read()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    if magic != 0xa1b2c3d4 or link != RAW:
        raise ValueError(f"{path}: not a capture of raw IP with microseconds")
    out, at = [], 24
    while at < len(data):
        seconds, us, caplen, length = struct.unpack_from("<IIII", data, at)
        if caplen != length or at + 16 + caplen > len(data):
            raise ValueError(f"{path}: cut short")
        out.append((seconds * 1000000 + us, data[at + 16:at + 16 + caplen]))
        at += 16 + caplen
    return out


def write(path, packets):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, RAW))
        for us, packet in packets:
            f.write(struct.pack("<IIII", us // 1000000, us % 1000000, len(packet), len(packet)))
            f.write(packet)


def merge(*lists):
    """By time; of the same time, the earlier list's first."""
    every = [(us, i, n, packet) for i, packets in enumerate(lists)
             for n, (us, packet) in enumerate(packets)]
    return [(us, packet) for us, _, _, packet in sorted(every, key=lambda x: x[:3])]


def paths(where):
    """Those of PATHS that the case has a capture of."""
    return [path for path in PATHS if os.path.exists(f"{where}/{path}.pcap")]


def inputs(where):
    return ["guest.pcap"] + [f"{path}.pcap" for path in paths(where)]


def outputs(where):
    return inputs(where) + ["events.txt"]


def names(words=()):
    """Recorded cases whose name has one of the words in it; all when there are none."""
    every = sorted(n for n in os.listdir(PCAPS) if os.path.exists(f"{PCAPS}/{n}/mpgate.conf"))
    return [n for n in every if not words or any(w in n for w in words)]


def replay(mpgate, where, to):
    """Runs the case in that directory; what replay said. Its output is in `to`."""
    done = subprocess.run(
        [mpgate, "replay", "-c", f"{where}/mpgate.conf", "--guest", f"{where}/guest.pcap",
         *[word for path in paths(where) for word in ("--path", f"{path}={where}/{path}.pcap")],
         "--out", to, "--seed", SEED],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    if done.returncode:
        raise RuntimeError(f"mpgate replay: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
