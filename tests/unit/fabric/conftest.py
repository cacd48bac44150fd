"""Lets tests import what runs inside the fabric container."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "emulator" / "images" / "fabric"))
