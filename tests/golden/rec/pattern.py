# SPDX-License-Identifier: GPL-2.0-or-later
"""The data of every case: lines of 16 bytes that tell who sent them and at which offset."""


def pattern(word, start, length):
    text = "".join(f"{word:5.5}{at:10d}\n" for at in range(start // 16 * 16, start + length, 16))
    return text.encode()[start % 16:start % 16 + length]
