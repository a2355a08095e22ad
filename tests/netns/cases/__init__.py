# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of the namespace tests; each module registers its own. The longest cases do not come
last: the other workers would stand idle meanwhile."""
MODULES = ("oracles", "web", "check", "matrix", "ends", "quirks", "fallback", "host",
           "host_dies", "host_flushed", "scale", "abuse", "unwanted", "responder", "called",
           "gates", "paths", "paths_checksum", "paths_death", "paths_guest", "paths_modes",
           "uplinks", "uplinks_host", "join", "datapath", "show")
