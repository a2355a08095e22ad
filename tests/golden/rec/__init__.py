# SPDX-License-Identifier: GPL-2.0-or-later
"""What recording and checking golden captures have in common."""
