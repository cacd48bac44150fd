"""CPU and memory of managed databases, as far as they are available.

Nobody can log in to a managed database. The emulator reports under ``/_wavetank/usage`` what its databases'
containers use; DigitalOcean's API has no such numbers for the last minute, so on the real cloud they are not
available.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from harness.load.watch.counters import Reading, Track

PATH = "/usage"
PREFIX = "database:"
SOURCE = "the emulator: the container's control group"
ROLE = "database"


def tracks(names: Mapping[str, str]) -> dict[str, Track]:
    """An empty track for each database, by its reference; ``names`` are names by ids."""
    return {f"{PREFIX}{identity}": Track(name, ROLE, source=SOURCE) for identity, name in names.items()}


def take(tracks: Mapping[str, Track], ask: Callable[[str, str], Mapping[str, Any]]) -> None:
    """Ask once, and add the answer to the tracks. Raises what ``ask(METHOD, PATH)`` raises."""
    usage = ask("GET", PATH)
    now = time.monotonic()
    for each in usage.get("databases", ()):
        track = tracks.get(each["ref"])
        if track is not None:
            track.cores = float(each["cores"])
            track.readings.append(Reading(now, each["at"], each["cpu_seconds"], each["memory_bytes"]))
