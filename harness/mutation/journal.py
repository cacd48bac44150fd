"""What was in force before the first mutant, on disk, so that even ``kill -9`` leaves a way back.

It is there exactly as long as something may be left mutated: written before the first change, removed once
everything was put back and looked at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from harness.documents import read_object
from harness.errors import TopologyError, WavetankError
from harness.mutation.protection import Protection, Wall, source_of, wall_of
from harness.rundir import RunDir

FILE = "mutation-journal.json"


def write(run_dir: RunDir, original: Protection) -> None:
    """Keep ``original``, on the disk when this returns."""
    document = {
        "firewalls": [{"id": each.id, **each.body()} for each in original.walls],
        "trusted_sources": {
            name: [{"type": kind, "value": value} for kind, value in sources]
            for name, sources in original.trusted
        },
    }
    fresh = run_dir.path / f".{FILE}-{os.getpid()}"
    with fresh.open("w") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path(run_dir))


def read(run_dir: RunDir) -> Protection | None:
    """What an earlier process has not put back; None where there is nothing. Raises ``WavetankError``."""
    try:
        if not os.path.lexists(path(run_dir)):
            return None
        return _protection(read_object(path(run_dir), "a mutation's journal", remedy="see below"))
    except (TopologyError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WavetankError(
            f"{path(run_dir)} cannot be read ({error}); `wavetank up --run {run_dir.run}` makes the "
            "protection what the topology says, and removes this file"
        ) from error


def forget(run_dir: RunDir) -> None:
    """Nothing is left to be put back."""
    path(run_dir).unlink(missing_ok=True)


def path(run_dir: RunDir) -> Path:
    """Where it lies."""
    return run_dir.path / FILE


def _protection(document: dict[str, Any]) -> Protection:
    walls: tuple[Wall, ...] = tuple(wall_of(each) for each in document["firewalls"])
    trusted = {
        name: tuple(source_of(each) for each in sources)
        for name, sources in document["trusted_sources"].items()
    }
    return Protection(walls, tuple(sorted(trusted.items())))
