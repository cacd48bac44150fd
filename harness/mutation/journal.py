"""What was in force before the first mutant, on disk, so that even ``kill -9`` leaves a way back.

It is there exactly as long as something may be left mutated: written before the first change, removed once
everything was put back and looked at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from harness.core.documents import read_object
from harness.core.errors import TopologyError, WavetankError
from harness.firewall.bodies import firewall_of, source_bodies, sources_of
from harness.firewall.model import FirewallState
from harness.run.rundir import RunDir

FILE = "mutation-journal.json"


def write(run_dir: RunDir, original: FirewallState) -> None:
    """Keep ``original``, on the disk when this returns."""
    document = {
        "firewalls": [{"id": each.id, **each.body()} for each in original.firewalls],
        "trusted_sources": {name: source_bodies(sources) for name, sources in original.trusted},
    }
    fresh = run_dir.path / f".{FILE}-{os.getpid()}"
    with fresh.open("w") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path(run_dir))


def read(run_dir: RunDir) -> FirewallState | None:
    """What an earlier process has not put back; None where there is nothing. Raises ``WavetankError``."""
    try:
        if not os.path.lexists(path(run_dir)):
            return None
        return _state(read_object(path(run_dir), "a mutation's journal", remedy="see below"))
    except (TopologyError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WavetankError(
            f"{path(run_dir)} cannot be read ({error}); `wavetank up --run {run_dir.run}` makes the "
            "firewalls what the topology says, and removes this file"
        ) from error


def forget(run_dir: RunDir) -> None:
    """Nothing is left to be put back."""
    path(run_dir).unlink(missing_ok=True)


def path(run_dir: RunDir) -> Path:
    """Where it lies."""
    return run_dir.path / FILE


def _state(document: dict[str, Any]) -> FirewallState:
    trusted = {name: sources_of(each) for name, each in document["trusted_sources"].items()}
    return FirewallState(tuple(map(firewall_of, document["firewalls"])), tuple(sorted(trusted.items())))
