"""Paths of Wavetank's own files, in a clone of the project and in an installed wheel.

Both have ``harness``, ``emulator`` and ``topologies`` in one directory. State and caches are elsewhere: state
in ``.wavetank`` of the current directory, caches in :func:`cache_dir`.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CHECKS = PROJECT / "harness" / "checks"
SETUP = PROJECT / "harness" / "setup.sh"


def cache_dir() -> Path:
    """The cache directory, by the XDG base directory specification."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "wavetank"
