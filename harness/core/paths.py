"""Where the files that come with Wavetank are, in a clone of the project and in an installed wheel alike.

Both have ``harness``, ``emulator`` and ``topologies`` side by side in one directory. What Wavetank keeps for
itself is elsewhere: state in ``.wavetank`` of the current directory, caches in :func:`cache_dir`.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CHECKS = PROJECT / "harness" / "checks"
SETUP = PROJECT / "harness" / "setup.sh"


def cache_dir() -> Path:
    """The directory of what can be made or downloaded again, as the XDG base directories say."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "wavetank"
