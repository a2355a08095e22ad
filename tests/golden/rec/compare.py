# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what replay puts out with what is expected."""
import os

from . import files


def text(packet):
    us, data = packet
    return f"{us / 1e6:.6f} {len(data)} bytes {data[:80].hex()}"


def first_difference(name, got, want):
    """Of two outputs that are not the same, in words."""
    if name == "events.txt":
        with open(got, encoding="ascii") as f, open(want, encoding="ascii") as g:
            a, b, show = f.read().splitlines(), g.read().splitlines(), str
    else:
        try:
            a, b, show = files.read(got), files.read(want), text
        except ValueError as e:
            return str(e)
    for i in range(max(len(a), len(b))):
        one = show(a[i]) if i < len(a) else "nothing"
        two = show(b[i]) if i < len(b) else "nothing"
        if one != two:
            return f"{name}, item {i + 1}:\n  got      {one}\n  expected {two}"
        if i < len(a) and i < len(b) and a[i] != b[i]:
            at = next((k for k, (x, y) in enumerate(zip(a[i][1], b[i][1])) if x != y), 0)
            return f"{name}, item {i + 1}: byte {at} of the packet"
    return f"{name}: the file's header"


def differences(mpgate, directory, to):
    """What of the case in that directory is not as expected, in words."""
    files.replay(mpgate, directory, to)
    out = []
    for name in files.outputs(directory):
        got, want = f"{to}/{name}", f"{directory}/expect/{name}"
        if not os.path.exists(want):
            out.append(f"{name}: nothing is expected; tests/golden/update makes it")
            continue
        with open(got, "rb") as f, open(want, "rb") as g:
            same = f.read() == g.read()
        if not same:
            out.append(first_difference(name, got, want))
    return out
