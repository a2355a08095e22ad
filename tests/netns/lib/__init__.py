# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness of the namespace tests."""
