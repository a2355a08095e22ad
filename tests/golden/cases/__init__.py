# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenes, one file for each part of a connection's life."""
MODULES = ("data", "loss", "window", "fallback", "close", "checksum", "guests", "plain", "called")
